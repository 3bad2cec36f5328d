"""Half squared error: the mean of the target, identity link."""

import numpy as np
from numpy.typing import NDArray

from rmtgb.engine.jit import inner


@inner
def value(y: float, raw: float, parameter: float) -> float:
    """Half the squared residual.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Not read.

    Returns
    -------
    float
        ``(y - raw)**2 / 2``. The half makes the hessian 1, as in scikit-learn's
        histogram gradient boosting.
    """
    residual = y - raw
    return 0.5 * residual * residual


@inner
def gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """First and second derivative with respect to the raw prediction.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Not read.

    Returns
    -------
    gradient, hessian : float
        ``raw - y`` and 1.
    """
    return raw - y, 1.0


def intercept(
    y: NDArray[np.float64], sample_weight: NDArray[np.float64], parameter: float
) -> float:
    """Best constant raw prediction: the weighted mean.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets, and weights with a positive sum.
    parameter : float
        Not read.

    Returns
    -------
    float
        The weighted mean, in units of the target.
    """
    return float(np.average(y, weights=sample_weight))
