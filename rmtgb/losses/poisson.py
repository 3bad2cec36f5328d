"""Poisson negative log-likelihood: the mean of counts, log link.

The terms that do not depend on the prediction are left out, as in scikit-learn's
``HalfPoissonLoss``; the value can therefore be negative.
"""

import math
from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.engine.jit import inner
from rmtgb.losses.base import Loss
from rmtgb.losses.safe_exp import MAX_EXPONENT, safe_exp

#: Smallest mean whose logarithm is used as a raw prediction.
SMALLEST_MEAN = float(np.finfo(np.float64).eps)

#: Largest target: sums of 2^32 of them, and their squares, are finite.
LARGEST_COUNT = 1e100


@inner
def value(y: float, raw: float, parameter: float) -> float:
    """Negative log-likelihood of a count, without its constant.

    Parameters
    ----------
    y : float
        Count, >= 0.
    raw : float
        Logarithm of the predicted mean.
    parameter : float
        Not read.

    Returns
    -------
    float
        ``exp(raw) - y * raw``: half the Poisson deviance up to a constant.
    """
    return safe_exp(raw) - y * raw


@inner
def gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """First and second derivative with respect to the raw prediction.

    Parameters
    ----------
    y : float
        Count, >= 0.
    raw : float
        Logarithm of the predicted mean.
    parameter : float
        Not read.

    Returns
    -------
    gradient, hessian : float
        ``exp(raw) - y`` and ``exp(raw)``. The hessian is 0 below raw = -745, where the
        exponential underflows.
    """
    mean = safe_exp(raw)
    return mean - y, mean


@dataclass(frozen=True)
class Poisson(Loss):
    """The Poisson negative log-likelihood; the logarithm of the mean."""

    name = "poisson"
    code = 4
    is_scale_free = False
    is_likelihood = True
    has_log_link = True
    value = staticmethod(value)
    gradient_hessian = staticmethod(gradient_hessian)

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the logarithm of the weighted mean, of ``SMALLEST_MEAN`` if that is larger.

        The rows of positive weight may all be zero.
        """
        mean = float(np.average(y, weights=sample_weight))
        return np.array([math.log(max(mean, SMALLEST_MEAN))])

    def inverse_link(self, raw: FloatArray) -> FloatArray:
        """Return ``exp(raw)``, finite as the kernels have it."""
        means: FloatArray = np.exp(np.minimum(raw, MAX_EXPONENT))
        return means

    def check_target(self, y: FloatArray) -> None:
        """Refuse targets that are not finite, negative, all zero or larger than any count."""
        super().check_target(y)
        if y.min() < 0 or y.max() == 0:
            raise ValueError(
                "loss 'poisson' needs y >= 0 with a positive sum; the smallest value "
                f"found is {y.min():g}, the sum {y.sum():g}."
            )
        if y.max() > LARGEST_COUNT:
            raise ValueError(
                f"loss 'poisson' needs y <= {LARGEST_COUNT:g}; the largest value found is "
                f"{y.max():g}."
            )
