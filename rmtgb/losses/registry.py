"""The tables of losses: where kernels and users find what stands in the files of families."""

from collections.abc import Callable

from rmtgb._common import FloatArray
from rmtgb.losses.absolute_and_quantile import AbsoluteError, QuantileError
from rmtgb.losses.base import Loss
from rmtgb.losses.huber import Huber
from rmtgb.losses.log_loss import BinaryLogLoss, make_log_loss
from rmtgb.losses.poisson import Poisson
from rmtgb.losses.squared_error import SquaredError

#: Losses of one raw prediction per row, in the order in which kernels ask for their codes.
ONE_OUTPUT: tuple[type[Loss], ...] = (
    SquaredError,
    BinaryLogLoss,
    AbsoluteError,
    Huber,
    QuantileError,
    Poisson,
)

#: What users may choose.
MAKERS: dict[str, Callable[..., Loss]] = {
    **{
        loss.name: loss.make
        for loss in (SquaredError, AbsoluteError, Huber, QuantileError, Poisson)
    },
    BinaryLogLoss.name: make_log_loss,
}


def make_loss(
    name: str,
    *,
    n_classes: int | None = None,
    quantile: float | None = None,
    huber_delta: float | None = None,
    y: FloatArray | None = None,
    sample_weight: FloatArray | None = None,
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
    if name not in MAKERS:
        raise ValueError(f"loss must be one of {', '.join(MAKERS)}; got {name!r}.")
    return MAKERS[name](
        n_classes=n_classes,
        quantile=quantile,
        huber_delta=huber_delta,
        y=y,
        sample_weight=sample_weight,
    )
