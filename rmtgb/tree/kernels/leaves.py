"""What happens at the leaves of a grown tree: other values, and the prediction."""

from rmtgb.engine.jit import inner
from rmtgb.engine.team import share
from rmtgb.tree.kernels.growth import N_LEAVES
from rmtgb.tree.kernels.linear_leaves import add_linear_values, slope_part, slopes_of
from rmtgb.tree.kernels.memory import array_of
from rmtgb.tree.kernels.quantile import weighted_quantile


@inner
def add_leaf_values(job, nodes, slopes, prediction):
    """Add the value of its leaf to every row's prediction; all members together.

    Parameters
    ----------
    job : JOB record
    nodes : ndarray of TREE_NODE
        The tree that the job has grown.
    slopes : ndarray of SLOPE
        Its slopes.
    prediction : ndarray of float64 of shape (n_rows,)
        INOUT.
    """
    leaves, order = array_of(job, "leaves"), array_of(job, "order")
    for position in range(array_of(job, "counts")[N_LEAVES]):
        leaf = leaves[position]
        value, own = nodes[leaf["node"]]["value"], slopes_of(nodes[leaf["node"]], slopes)
        first, last = share(leaf["start"], leaf["stop"], job["member"], job["n_members"])
        if own.size > 0:
            add_linear_values(job, first, last, value, own, prediction)
        else:
            for i in range(first, last):
                prediction[order[i]] += value


@inner
def set_leaf_quantiles(job, nodes, slopes):
    """Replace leaf values by a weighted quantile of residuals; members share the leaves.

    For losses whose gradient is only a sign, a Newton step has the wrong length; the
    quantile is the exact minimiser (Friedman 2001, algorithm 3).

    Parameters
    ----------
    job : JOB record
        Its ``leaf_quantile`` is the level of the quantile. The first two rows of its ``scratch``
        are residuals and weights; rows of weight zero do not count.
    nodes : ndarray of TREE_NODE
        The tree that the job has grown; its leaf values are OUT.
    slopes : ndarray of SLOPE
        Its slopes, which have their part in the residuals.
    """
    leaves, order = array_of(job, "leaves"), array_of(job, "order")
    standardized, scratch = array_of(job, "standardized"), array_of(job, "scratch")
    residual, weight, values, weights = scratch[0], scratch[1], scratch[2], scratch[3]
    for position in range(job["member"], array_of(job, "counts")[N_LEAVES], job["n_members"]):
        leaf = leaves[position]
        size, own = leaf["start"], slopes_of(nodes[leaf["node"]], slopes)
        for i in range(leaf["start"], leaf["stop"]):
            row = order[i]
            if weight[row] > 0.0:
                values[size], weights[size] = residual[row], weight[row]
                if own.size > 0:
                    values[size] -= slope_part(standardized[row], own) / job["learning_rate"]
                size += 1
        quantile = weighted_quantile(
            values[leaf["start"] : size], weights[leaf["start"] : size], job["leaf_quantile"]
        )
        nodes[leaf["node"]]["value"] = job["learning_rate"] * quantile
