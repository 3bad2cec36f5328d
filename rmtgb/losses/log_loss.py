"""Log loss of classes: one raw score for two classes, one per class for more.

The two-class functions take the log-odds of class 1. The functions for more classes
work on one row of a (K, n) array, so that the softmax of a row is computed once.
"""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.engine.jit import inner
from rmtgb.losses.base import Loss

#: Smallest share of a class whose logarithm is used as a raw prediction.
SMALLEST_SHARE = float(np.finfo(np.float64).eps)

#: Smallest hessian of a row of weight one; that of a probability within 1e-6 of 0 or 1 is
#: smaller. Without a penalty a Newton step among such rows has any length: in 600 rounds with
#: linear leaves raw predictions of separable classes ran away to 1e15, and are now up to 21.
SMALLEST_HESSIAN = 1e-6


@inner
def value(y: float, raw: float, parameter: float) -> float:
    """Negative log-likelihood of one of two classes.

    Parameters
    ----------
    y : float
        Class, 0 or 1.
    raw : float
        Log-odds of class 1.
    parameter : float
        Not read.

    Returns
    -------
    float
        ``log(1 + exp(raw)) - y * raw`` in nats, computed as ``log(1 + exp(z))`` with z
        the log-odds of the other class: the difference would lose all digits where
        the prediction is right and certain.
    """
    against = -raw if y > 0.5 else raw
    return max(against, 0.0) + math.log1p(math.exp(-abs(raw)))


@inner
def gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """First and second derivative with respect to the raw prediction.

    Parameters
    ----------
    y : float
        Class, 0 or 1.
    raw : float
        Log-odds of class 1.
    parameter : float
        Not read.

    Returns
    -------
    gradient, hessian : float
        ``p - y`` and ``p (1 - p)`` with p the probability of class 1, the latter at least
        ``SMALLEST_HESSIAN``.
    """
    # Both probabilities come from exp(-|raw|), so the smaller one keeps its digits.
    tail = math.exp(-abs(raw))
    larger = 1.0 / (1.0 + tail)
    smaller = tail / (1.0 + tail)
    probability_1, probability_0 = (larger, smaller) if raw > 0.0 else (smaller, larger)
    gradient = -probability_0 if y > 0.5 else probability_1
    return gradient, max(larger * smaller, SMALLEST_HESSIAN)


@inner
def multiclass_value(row: int, y: float, raw: FloatArray) -> float:
    """Negative log-likelihood of the class of one row.

    Parameters
    ----------
    row : int
        Column of ``raw``.
    y : float
        Class, 0, ..., K - 1.
    raw : ndarray of float64 of shape (K, n)
        Raw predictions; the softmax of a column gives its probabilities.

    Returns
    -------
    float
        ``log(sum_k exp(raw_k)) - raw_y`` in nats.
    """
    largest = raw[0, row]
    for k in range(1, raw.shape[0]):
        largest = max(largest, raw[k, row])
    total = 0.0
    for k in range(raw.shape[0]):
        total += math.exp(raw[k, row] - largest)
    return (largest - raw[int(y), row]) + math.log(total)


@inner
def multiclass_gradient_hessian(
    row: int,
    y: float,
    weight: float,
    raw: FloatArray,
    gradient: FloatArray,
    hessian: FloatArray,
) -> None:
    """Write the weighted derivatives of one row with respect to its K raw predictions.

    The hessian is the diagonal ``p_k (1 - p_k)`` of the full K x K matrix, as in
    scikit-learn; every class grows its own tree. The diagonal alone does not majorise
    the loss, ``2 p_k (1 - p_k)`` would (XGBoost uses it) at half the step length:
    shrinkage by the learning rate does that already.

    Parameters
    ----------
    row : int
        Column of the arrays.
    y : float
        Class, 0, ..., K - 1.
    weight : float
        Weight of the row.
    raw : ndarray of float64 of shape (K, n)
        Raw predictions.
    gradient, hessian : ndarray of float64 of shape (K, n)
        OUT, column ``row``: ``p_k - (y == k)``, and ``p_k (1 - p_k)`` or
        ``SMALLEST_HESSIAN`` if that is larger, times the weight.
    """
    n_classes = raw.shape[0]
    largest = raw[0, row]
    for k in range(1, n_classes):
        largest = max(largest, raw[k, row])
    total = 0.0
    for k in range(n_classes):
        # The result's own place holds the exponential until the sum is known, which
        # saves an allocation per row.
        exponential = math.exp(raw[k, row] - largest)
        gradient[k, row] = exponential
        total += exponential
    label = int(y)
    for k in range(n_classes):
        probability = gradient[k, row] / total
        hessian[k, row] = weight * max(probability * (1.0 - probability), SMALLEST_HESSIAN)
        gradient[k, row] = weight * (probability - (1.0 if k == label else 0.0))


def class_shares(y: FloatArray, sample_weight: FloatArray, n_classes: int) -> FloatArray:
    """Weighted share of each class, none of them zero.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Classes 0, ..., n_classes - 1, and weights with a positive sum.
    n_classes : int
        Number K of classes.

    Returns
    -------
    ndarray of float64 of shape (K,)
        Shares, at least ``SMALLEST_SHARE``: a class may have no weight.
    """
    weights = np.bincount(y.astype(np.intp), weights=sample_weight, minlength=n_classes)
    shares: FloatArray = np.maximum(weights / weights.sum(), SMALLEST_SHARE)
    return shares


@dataclass(frozen=True)
class _LogLoss(Loss):
    """What the losses of two and of more classes have in common."""

    name = "log_loss"
    is_scale_free = False
    is_likelihood = True

    def check_target(self, y: FloatArray) -> None:
        """Refuse what is not a class number."""
        super().check_target(y)
        n_classes = max(2, self.n_outputs)
        foreign = (y < 0) | (y >= n_classes) | (y != np.floor(y))
        if foreign.any():
            raise ValueError(
                f"loss '{self.name}' needs class numbers 0 to {n_classes - 1} in y; "
                f"found {y[foreign][0]:g}."
            )


@dataclass(frozen=True)
class BinaryLogLoss(_LogLoss):
    """Log loss of two classes; the log-odds of class 1."""

    code = 5
    value = staticmethod(value)
    gradient_hessian = staticmethod(gradient_hessian)

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the log-odds of class 1, within 36.1 of zero."""
        share_0, share_1 = class_shares(y, sample_weight, 2)
        return np.array([math.log(share_1) - math.log(share_0)])

    def inverse_link(self, raw: FloatArray) -> FloatArray:
        """Return ``1 / (1 + exp(-raw))``, the probabilities of class 1."""
        tail = np.exp(-np.abs(raw))
        probabilities: FloatArray = np.where(raw > 0, 1.0, tail) / (1.0 + tail)
        return probabilities


@dataclass(frozen=True)
class MulticlassLogLoss(_LogLoss):
    """Log loss of more than two classes; one score for each."""

    code = 6
    value = staticmethod(multiclass_value)
    gradient_hessian = staticmethod(multiclass_gradient_hessian)

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the logarithms of the shares minus their mean.

        A softmax fixes its arguments only up to a constant; summing to zero treats all classes
        alike.
        """
        # not by np.log, whose last bit depends on the processor
        shares = class_shares(y, sample_weight, self.n_outputs)
        logarithms = np.array([math.log(share) for share in shares])
        centred: FloatArray = logarithms - logarithms.mean()
        return centred

    def inverse_link(self, raw: FloatArray) -> FloatArray:
        """Return the softmax over the first axis."""
        exponentials = np.exp(raw - raw.max(axis=0))
        probabilities: FloatArray = exponentials / exponentials.sum(axis=0)
        return probabilities


def make_log_loss(*, n_classes: object = None, **options: Any) -> Loss:
    """Return the log loss of a number of classes, at least two.

    Raises
    ------
    ValueError
        If the number is something else.
    """
    if not isinstance(n_classes, Integral) or n_classes < 2:
        raise ValueError(
            f"n_classes must be an integer >= 2 for loss 'log_loss'; got {n_classes!r}."
        )
    return BinaryLogLoss() if n_classes == 2 else MulticlassLogLoss(n_outputs=int(n_classes))
