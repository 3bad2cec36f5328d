"""Poisson negative log-likelihood: the mean of counts, log link.

The terms that do not depend on the prediction are left out, as in scikit-learn's
``HalfPoissonLoss``; the value can therefore be negative.
"""

import math

import numpy as np
from numpy.typing import NDArray

from rmtgb.engine.jit import inner
from rmtgb.losses.safe_exp import MAX_EXPONENT, safe_exp

#: Smallest mean whose logarithm is used as a raw prediction.
SMALLEST_MEAN = float(np.finfo(np.float64).eps)


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


def intercept(
    y: NDArray[np.float64], sample_weight: NDArray[np.float64], parameter: float
) -> float:
    """Best constant raw prediction: the logarithm of the weighted mean.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Counts, and weights with a positive sum.
    parameter : float
        Not read.

    Returns
    -------
    float
        Logarithm of the weighted mean, of ``SMALLEST_MEAN`` where that is larger: the
        rows of positive weight may all be zero.
    """
    return math.log(max(float(np.average(y, weights=sample_weight)), SMALLEST_MEAN))


def inverse_link(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    """Predicted means.

    Parameters
    ----------
    raw : ndarray of float64
        Logarithms of the predicted means.

    Returns
    -------
    ndarray of float64, same shape
        ``exp(raw)``, finite as the kernels have it.
    """
    means: NDArray[np.float64] = np.exp(np.minimum(raw, MAX_EXPONENT))
    return means
