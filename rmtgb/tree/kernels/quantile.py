"""Weighted quantiles, in place and in linear time."""

import numpy as np

from rmtgb._common import Float, Int
from rmtgb.engine.jit import inner
from rmtgb.engine.record import Array


@inner
def weighted_quantile(values: Array, weights: Array, level: float) -> float:
    """Return a weighted quantile, in linear time on average; integer weights are repetition.

    The smallest value at which the cumulative weight reaches ``level`` of the total; if
    it reaches it exactly, the mean of that value and the next (the median of an even
    number of values is the usual one).

    Parameters
    ----------
    values, weights : ndarray of float64 of shape (n,)
        INOUT, reordered. Weights are positive.
    level : float
        In (0, 1).

    Returns
    -------
    float
        The quantile, 0 without values.
    """
    total: Float = 0.0
    for weight in weights:
        total += weight
    target, tolerance = level * total, 1e-12 * total
    below, first, last = 0.0, 0, values.size
    while first < last:
        pivot = values[(first + last) // 2]
        less, more, less_weight, equal_weight = _three_way(values, weights, first, last, pivot)
        if below + less_weight >= target - tolerance and less > first:
            last = less
        elif below + less_weight + equal_weight >= target - tolerance:
            if abs(below + less_weight + equal_weight - target) <= tolerance:
                following = np.inf
                for value in values:
                    if pivot < value < following:
                        following = value
                return 0.5 * (pivot + following) if following < np.inf else pivot
            return pivot
        else:
            below += less_weight + equal_weight
            first = more
    return values[last - 1] if values.size else 0.0


@inner
def _three_way(
    values: Array, weights: Array, first: Int, last: Int, pivot: Float
) -> tuple[Int, Int, Float, Float]:
    """Reorder a range into values below, equal to and above a pivot."""
    less, i, more = first, first, last
    less_weight: Float = 0.0
    equal_weight: Float = 0.0
    while i < more:
        value, weight = values[i], weights[i]
        if value < pivot:
            less_weight += weight
            values[i], weights[i] = values[less], weights[less]
            values[less], weights[less] = value, weight
            less += 1
            i += 1
        elif value > pivot:
            more -= 1
            values[i], weights[i] = values[more], weights[more]
            values[more], weights[more] = value, weight
        else:
            equal_weight += weight
            i += 1
    return less, more, less_weight, equal_weight
