"""Absolute error and pinball loss: the median, or any quantile, identity link.

Both are piecewise linear. The absolute error is twice the pinball loss of level 0.5;
each keeps the factor that scikit-learn and the literature give it.

Their second derivative is 0 wherever it exists. The hessian is reported as 1, which
makes trees split on the mean of the gradients, that is on the share of rows above the
prediction. A Newton step would have no meaningful length, so leaf values are estimated
again as quantiles of the residuals (``Loss.leaf_quantile``), after Friedman (2001),
"Greedy function approximation: a gradient boosting machine", Annals of Statistics 29,
algorithm 3.
"""

import numpy as np
from numpy.typing import NDArray

from rmtgb.engine.jit import inner
from rmtgb.losses.weighted_quantile import weighted_quantile


@inner
def absolute_value(y: float, raw: float, parameter: float) -> float:
    """Absolute residual.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Not read.

    Returns
    -------
    float
        ``|y - raw|``.
    """
    return abs(y - raw)


@inner
def absolute_gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """Subgradient with respect to the raw prediction, and the nominal hessian.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Not read.

    Returns
    -------
    gradient, hessian : float
        ``sign(raw - y)``, 0 for a row that is met exactly, and 1.
    """
    if raw > y:
        return 1.0, 1.0
    if raw < y:
        return -1.0, 1.0
    return 0.0, 1.0


@inner
def quantile_value(y: float, raw: float, parameter: float) -> float:
    """Pinball loss.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Level of the quantile, in (0, 1).

    Returns
    -------
    float
        ``level * (y - raw)`` below the target, ``(1 - level) * (raw - y)`` above it.

    References
    ----------
    Koenker and Bassett (1978), "Regression quantiles", Econometrica 46.
    """
    if raw < y:
        return parameter * (y - raw)
    return (1.0 - parameter) * (raw - y)


@inner
def quantile_gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """Subgradient with respect to the raw prediction, and the nominal hessian.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Level of the quantile, in (0, 1).

    Returns
    -------
    gradient, hessian : float
        ``1 - level`` above the target, ``-level`` below it, 0 for a row that is met
        exactly (scikit-learn has ``-level`` there), and 1.
    """
    if raw > y:
        return 1.0 - parameter, 1.0
    if raw < y:
        return -parameter, 1.0
    return 0.0, 1.0


def absolute_intercept(
    y: NDArray[np.float64], sample_weight: NDArray[np.float64], parameter: float
) -> float:
    """Best constant raw prediction: the weighted median.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets, and weights with a positive sum.
    parameter : float
        Not read.

    Returns
    -------
    float
        The weighted median, in units of the target.
    """
    return weighted_quantile(y, sample_weight, 0.5)


def quantile_intercept(
    y: NDArray[np.float64], sample_weight: NDArray[np.float64], parameter: float
) -> float:
    """Best constant raw prediction: the weighted quantile.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets, and weights with a positive sum.
    parameter : float
        Level of the quantile, in (0, 1).

    Returns
    -------
    float
        The weighted quantile, in units of the target.
    """
    return weighted_quantile(y, sample_weight, parameter)
