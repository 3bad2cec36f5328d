"""What happens at the leaves of a grown tree: other values, and the prediction."""

import numpy as np

from rmtgb._jit import inner
from rmtgb._team import share
from rmtgb.tree.kernels.growth import N_LEAVES
from rmtgb.tree.kernels.memory import array_of


@inner
def add_leaf_values(job, nodes, prediction):
    """Add the value of its leaf to every row's prediction; all members together.

    Parameters
    ----------
    job : JOB record
    nodes : ndarray of TREE_NODE
        The tree that the job has grown.
    prediction : ndarray of float64 of shape (n_rows,)
        INOUT.
    """
    leaves, order = array_of(job, "leaves"), array_of(job, "order")
    for position in range(array_of(job, "counts")[N_LEAVES]):
        leaf = leaves[position]
        value = nodes[leaf["node"]]["value"]
        first, last = share(leaf["start"], leaf["stop"], job["member"], job["n_members"])
        for i in range(first, last):
            prediction[order[i]] += value


@inner
def set_leaf_quantiles(job, nodes, residual, weight, values, weights):
    """Replace leaf values by a weighted quantile of residuals; members share the leaves.

    For losses whose gradient is only a sign, a Newton step has the wrong length; the
    quantile is the exact minimiser (Friedman 2001, algorithm 3).

    Parameters
    ----------
    job : JOB record
        Its ``leaf_quantile`` is the level of the quantile.
    nodes : ndarray of TREE_NODE
        The tree that the job has grown; its leaf values are OUT.
    residual, weight : ndarray of float64 of shape (n_rows,)
        Residuals and weights; rows of weight zero do not count.
    values, weights : ndarray of float64 of shape (n_rows,)
        Scratch.
    """
    leaves, order = array_of(job, "leaves"), array_of(job, "order")
    for position in range(job["member"], array_of(job, "counts")[N_LEAVES], job["n_members"]):
        leaf = leaves[position]
        size = leaf["start"]
        for i in range(leaf["start"], leaf["stop"]):
            row = order[i]
            if weight[row] > 0.0:
                values[size], weights[size] = residual[row], weight[row]
                size += 1
        quantile = weighted_quantile(
            values[leaf["start"] : size], weights[leaf["start"] : size], job["leaf_quantile"]
        )
        nodes[leaf["node"]]["value"] = job["learning_rate"] * quantile


@inner
def weighted_quantile(values, weights, level):
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
    total = 0.0
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
def _three_way(values, weights, first, last, pivot):
    """Reorder a range into values below, equal to and above a pivot."""
    less, i, more = first, first, last
    less_weight, equal_weight = 0.0, 0.0
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
