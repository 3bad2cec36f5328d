"""Huber loss: quadratic near the target, linear far from it, identity link.

References
----------
Huber (1964), "Robust estimation of a location parameter", Annals of Mathematical
Statistics 35.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.engine.jit import inner
from rmtgb.losses.base import Loss
from rmtgb.losses.options import real_between
from rmtgb.losses.weighted_quantile import weighted_quantile

#: Median absolute deviation times this estimates the standard deviation of a normal
#: sample: 1 / (0.75 quantile of the standard normal).
MAD_TO_STANDARD_DEVIATION = 1.4826

#: Gradient sums below this share of their largest possible size count as zero, so
#: that rounding does not pick one end of an interval of minimisers.
ROOT_TOLERANCE = 1e-12

#: Smallest delta: that of targets near it would be rounded to 0, and so every derivative.
SMALLEST_DELTA = 5e-324


@inner
def value(y: float, raw: float, parameter: float) -> float:
    """Huber loss.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Residual delta > 0 at which the loss becomes linear, in units of the target.

    Returns
    -------
    float
        ``r**2 / 2`` where ``|r| <= delta``, ``delta * (|r| - delta / 2)`` elsewhere.
    """
    distance = abs(y - raw)
    if distance <= parameter:
        return 0.5 * distance * distance
    return parameter * (distance - 0.5 * parameter)


@inner
def gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """First derivative and the curvature of the quadratic majoriser.

    The hessian is deliberately not the second derivative, which is 0 beyond delta: a
    leaf of far rows would divide by zero. It is the curvature of the parabola that
    touches the loss at ``raw`` and at the mirrored residual and lies above it
    everywhere. With it a Newton leaf value never increases the loss, and it is one
    step of iteratively reweighted least squares.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Residual delta > 0 at which the loss becomes linear, in units of the target.

    Returns
    -------
    gradient, hessian : float
        ``raw - y`` clipped to [-delta, delta], and ``min(1, delta / |raw - y|)``.

    References
    ----------
    Holland and Welsch (1977), "Robust regression using iteratively reweighted
    least-squares", Communications in Statistics 6. Hunter and Lange (2004), "A tutorial
    on MM algorithms", The American Statistician 58.
    """
    difference = raw - y
    distance = abs(difference)
    if distance <= parameter:
        return difference, 1.0
    if difference > 0.0:
        return parameter, parameter / distance
    return -parameter, parameter / distance


def minimiser(y: FloatArray, sample_weight: FloatArray, parameter: float) -> float:
    """Best constant raw prediction, exact up to rounding.

    The weighted sum of gradients is a non-decreasing, piecewise linear function of the
    constant with a breakpoint at each ``y - delta`` and ``y + delta``. It is built by
    one sort and inverted at zero, which needs no iteration and no stopping rule.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets, and weights with a positive sum.
    parameter : float
        Residual delta > 0 at which the loss becomes linear, in units of the target.

    Returns
    -------
    float
        The minimiser, in units of the target; the middle where there are several.
    """
    # Distances from the median keep the digits that breakpoints y +- delta would lose
    # on targets far from zero.
    centre = weighted_quantile(y, sample_weight, 0.5)
    distance = y - centre
    if np.ptp(distance) <= parameter:  # all are near: a delta of other size would cost digits
        return float(centre + np.average(distance, weights=sample_weight))
    breakpoints = np.concatenate([distance - parameter, distance + parameter])
    slope_changes = np.concatenate([sample_weight, -sample_weight])
    order = np.argsort(breakpoints, kind="stable")
    breakpoints = breakpoints[order]
    slopes = np.maximum(np.cumsum(slope_changes[order]), 0.0)
    largest = parameter * np.sum(sample_weight)
    increments = slopes[:-1] * np.diff(breakpoints)
    gradient_sums = np.concatenate([[0.0], np.cumsum(increments)]) - largest
    slack = ROOT_TOLERANCE * largest
    lower, upper = np.interp([-slack, slack], gradient_sums, breakpoints)
    return float(centre + 0.5 * (lower + upper))


def robust_scale(y: FloatArray, sample_weight: FloatArray) -> float:
    """Spread of the target that a few wild rows cannot move.

    It makes the loss scale free: delta is given to users as a multiple of it, as
    ``epsilon`` is in :class:`sklearn.linear_model.HuberRegressor`.

    Parameters
    ----------
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets, and weights with a positive sum.

    Returns
    -------
    float
        1.4826 times the weighted median absolute deviation from the weighted median,
        in units of the target. Where more than half of the weight sits on one value,
        the root mean square deviation from the median; 1 for a constant target.
    """
    distance = np.abs(y - weighted_quantile(y, sample_weight, 0.5))
    median_distance = weighted_quantile(distance, sample_weight, 0.5)
    if median_distance > 0.0:
        return MAD_TO_STANDARD_DEVIATION * median_distance
    largest = float(np.max(distance, where=sample_weight > 0, initial=0.0))
    if largest == 0.0:
        return 1.0
    # Relative distances: squares of very large or very small targets would overflow.
    mean_square = np.average((distance / largest) ** 2, weights=sample_weight)
    return largest * float(np.sqrt(mean_square))


@dataclass(frozen=True)
class Huber(Loss):
    """The Huber loss, whose parameter delta is in units of the target."""

    name = "huber"
    code = 2
    value = staticmethod(value)
    gradient_hessian = staticmethod(gradient_hessian)

    @classmethod
    def make(
        cls,
        *,
        huber_delta: object = None,
        y: FloatArray | None = None,
        sample_weight: FloatArray | None = None,
        **options: Any,
    ) -> Self:
        """Return the loss with a delta in robust standard deviations of y."""
        multiple = real_between("huber_delta", huber_delta, cls.name, 0.0, math.inf)
        if y is None:
            raise ValueError("y must be given for loss 'huber': its delta is relative to it.")
        weights = np.ones(len(y)) if sample_weight is None else sample_weight
        delta = multiple * (robust_scale(y, weights) if np.any(weights > 0) else 1.0)
        return cls(max(delta, SMALLEST_DELTA))

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the minimiser of the weighted sum."""
        return np.array([minimiser(y, sample_weight, self.parameter)])

    def in_unit(self, unit: float) -> Self:
        """Return the loss with delta in a unit of the target."""
        return replace(self, parameter=self.parameter / unit)
