"""Quantiles of weighted values, such that an integer weight equals repetition."""

import numpy as np

from rmtgb._common import FloatArray

#: Cumulated weights that differ from the level by less than this share of the total
#: count as equal: otherwise rounding would choose between two order statistics.
LEVEL_TOLERANCE = 1e-12


def weighted_quantile(values: FloatArray, sample_weight: FloatArray, level: float) -> float:
    """Quantile by the averaged inverse of the weighted distribution function.

    It minimises the weighted pinball loss. Where the minimisers form an interval (a
    median of an even number of rows, say) it is the interval's middle.

    Parameters
    ----------
    values : ndarray of float64 of shape (n,)
        Finite values.
    sample_weight : ndarray of float64 of shape (n,)
        Weights >= 0 with a positive sum; values of weight 0 do not take part.
    level : float
        In (0, 1).

    Returns
    -------
    float
        The quantile, in units of the values.

    References
    ----------
    Hyndman and Fan (1996), "Sample quantiles in statistical packages", The American
    Statistician 50: definition 2, here with weights.
    """
    taking_part = sample_weight > 0
    values, sample_weight = values[taking_part], sample_weight[taking_part]
    order = np.argsort(values, kind="stable")
    values, cumulated = values[order], np.cumsum(sample_weight[order])
    target, slack = level * cumulated[-1], LEVEL_TOLERANCE * cumulated[-1]
    last = values.size - 1
    lower = min(np.searchsorted(cumulated, target - slack, side="left"), last)
    upper = min(np.searchsorted(cumulated, target + slack, side="right"), last)
    return float(0.5 * values[lower] + 0.5 * values[upper])
