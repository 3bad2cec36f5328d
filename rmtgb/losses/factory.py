"""From the user's words to a loss."""

import math
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from rmtgb.losses import huber
from rmtgb.losses.base import Loss
from rmtgb.losses.codes import (
    ABSOLUTE_ERROR,
    HUBER,
    LOG_LOSS_BINARY,
    LOG_LOSS_MULTICLASS,
    POISSON,
    QUANTILE,
    SQUARED_ERROR,
)

LOSS_NAMES = ("squared_error", "absolute_error", "huber", "quantile", "poisson", "log_loss")


def make_loss(
    name: str,
    *,
    n_classes: int | None = None,
    quantile: float | None = None,
    huber_delta: float | None = None,
    y: NDArray[np.float64] | None = None,
    sample_weight: NDArray[np.float64] | None = None,
) -> Loss:
    """Make the loss of a given name.

    Arguments that a loss does not need are not looked at, so that an estimator can pass
    all of its parameters.

    Parameters
    ----------
    name : {"squared_error", "absolute_error", "huber", "quantile", "poisson", "log_loss"}
        The loss.
    n_classes : int, optional
        Number of classes, at least 2; needed by log_loss.
    quantile : float, optional
        Level in (0, 1); needed by quantile.
    huber_delta : float, optional
        Where the Huber loss becomes linear, > 0, in multiples of the robust standard
        deviation of y, see :func:`rmtgb.losses.huber.robust_scale`; needed by huber.
    y : ndarray of float64 of shape (n,), optional
        Targets; needed by huber.
    sample_weight : ndarray of float64 of shape (n,), optional
        Weights >= 0 of the targets, 1 by default; used by huber.

    Returns
    -------
    Loss
        The loss, with all of its parameters fixed.

    Raises
    ------
    ValueError
        If the name is unknown, or an argument that the loss needs is missing or out of
        range.
    """
    if name == "squared_error":
        return Loss(name, SQUARED_ERROR, 0.0, 1, True, None)
    if name == "absolute_error":
        return Loss(name, ABSOLUTE_ERROR, 0.0, 1, True, 0.5)
    if name == "quantile":
        level = _real_between("quantile", quantile, name, 0.0, 1.0)
        return Loss(name, QUANTILE, level, 1, True, level)
    if name == "huber":
        multiple = _real_between("huber_delta", huber_delta, name, 0.0, math.inf)
        return Loss(name, HUBER, multiple * _scale_of(y, sample_weight), 1, False, None)
    if name == "poisson":
        return Loss(name, POISSON, 0.0, 1, False, None)
    if name == "log_loss":
        return _log_loss(n_classes)
    raise ValueError(f"loss must be one of {', '.join(LOSS_NAMES)}; got {name!r}.")


def _log_loss(n_classes: object) -> Loss:
    if not isinstance(n_classes, Integral) or n_classes < 2:
        raise ValueError(
            f"n_classes must be an integer >= 2 for loss 'log_loss'; got {n_classes!r}."
        )
    if n_classes == 2:
        return Loss("log_loss", LOG_LOSS_BINARY, 0.0, 1, False, None)
    return Loss("log_loss", LOG_LOSS_MULTICLASS, 0.0, int(n_classes), False, None)


def _real_between(argument: str, given: object, name: str, low: float, high: float) -> float:
    if isinstance(given, Real) and not isinstance(given, bool) and low < float(given) < high:
        return float(given)
    raise ValueError(
        f"{argument} must be a number in ({low:g}, {high:g}) for loss '{name}'; got {given!r}."
    )


def _scale_of(y: NDArray[np.float64] | None, sample_weight: NDArray[np.float64] | None) -> float:
    if y is None:
        raise ValueError("y must be given for loss 'huber': its delta is relative to it.")
    weights = np.ones(len(y)) if sample_weight is None else sample_weight
    if not np.any(weights > 0):
        return 1.0
    return huber.robust_scale(y, weights)
