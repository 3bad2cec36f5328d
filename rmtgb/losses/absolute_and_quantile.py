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

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.engine.jit import inner
from rmtgb.losses.base import Loss
from rmtgb.losses.options import real_between
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


@dataclass(frozen=True)
class AbsoluteError(Loss):
    """The absolute residual; the median."""

    name = "absolute_error"
    code = 1
    constant_hessian = True
    degree = 1
    value = staticmethod(absolute_value)
    gradient_hessian = staticmethod(absolute_gradient_hessian)

    @property
    def leaf_quantile(self) -> float:
        """One half: leaf values are medians."""
        return 0.5

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the weighted median."""
        return np.array([weighted_quantile(y, sample_weight, 0.5)])


@dataclass(frozen=True)
class QuantileError(Loss):
    """The pinball loss; a quantile, whose level is the parameter."""

    name = "quantile"
    code = 3
    constant_hessian = True
    degree = 1
    value = staticmethod(quantile_value)
    gradient_hessian = staticmethod(quantile_gradient_hessian)

    @classmethod
    def make(cls, *, quantile: object = None, **options: Any) -> Self:
        """Return the loss of a level in (0, 1)."""
        return cls(real_between("quantile", quantile, cls.name, 0.0, 1.0))

    @property
    def leaf_quantile(self) -> float:
        """The level."""
        return self.parameter

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the weighted quantile."""
        return np.array([weighted_quantile(y, sample_weight, self.parameter)])
