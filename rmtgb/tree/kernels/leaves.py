"""A tree from gradients to leaf values, and what it adds to a prediction."""

from typing import Any

from rmtgb.engine.jit import inner, part
from rmtgb.engine.record import Array, array_of, wait
from rmtgb.engine.team import share
from rmtgb.tree.kernels.growth import N_LEAVES, grow_tree
from rmtgb.tree.kernels.linear_leaves import add_linear_values, fit_slopes
from rmtgb.tree.kernels.packing import pack_rows
from rmtgb.tree.kernels.quantile import weighted_quantile
from rmtgb.tree.kernels.slopes import slope_part, slopes_of


@part
def fit_tree(grow: Any) -> None:
    """Fit one tree, in its place of the store, to gradients; called by every member.

    Parameters
    ----------
    grow : GROW record
        Reads codes, ``gradient``, ``hessian``, ``weight``, and ``residual`` and
        ``residual_weight`` if leaf values are quantiles; writes the tree, and which rows are in
        which leaf.
    """
    pack_rows(grow)
    wait(grow)
    grow_tree(grow)
    if grow["linear_leaves"]:
        fit_slopes(grow)
    if grow["leaf_quantile"] > 0.0:
        _set_leaf_quantiles(grow)
        wait(grow)


@inner
def add_leaf_values(grow: Any, prediction: Array) -> None:
    """Add the value of its leaf to every row's prediction; all members together.

    Parameters
    ----------
    grow : GROW record
        With the tree that was fitted last.
    prediction : ndarray of float64 of shape (n_rows,)
        INOUT.
    """
    leaves, order = array_of(grow, "leaves"), array_of(grow, "order")
    nodes, slopes = array_of(grow, "nodes"), array_of(grow, "slopes")
    for position in range(array_of(grow, "counts")[N_LEAVES]):
        leaf = leaves[position]
        value, own = nodes[leaf["node"]]["value"], slopes_of(nodes[leaf["node"]], slopes)
        first, last = share(leaf["start"], leaf["stop"], grow["member"], grow["n_members"])
        if own.size > 0:
            add_linear_values(grow, first, last, value, own, prediction)
        else:
            for i in range(first, last):
                prediction[order[i]] += value


@inner
def _set_leaf_quantiles(grow: Any) -> None:
    """Replace leaf values by a weighted quantile of residuals; members share the leaves.

    For losses whose gradient is only a sign, a Newton step has the wrong length; the
    quantile is the exact minimiser (Friedman 2001, algorithm 3). Slopes have their part in the
    residuals; rows of weight zero do not count.
    """
    leaves, order = array_of(grow, "leaves"), array_of(grow, "order")
    nodes, slopes = array_of(grow, "nodes"), array_of(grow, "slopes")
    standardized = array_of(grow, "standardized")
    residual, weight = array_of(grow, "residual"), array_of(grow, "residual_weight")
    values, weights = array_of(grow, "leaf_residuals"), array_of(grow, "leaf_weights")
    for position in range(grow["member"], array_of(grow, "counts")[N_LEAVES], grow["n_members"]):
        leaf = leaves[position]
        size, own = leaf["start"], slopes_of(nodes[leaf["node"]], slopes)
        for i in range(leaf["start"], leaf["stop"]):
            row = order[i]
            if weight[row] > 0.0:
                values[size], weights[size] = residual[row], weight[row]
                if own.size > 0:
                    values[size] -= slope_part(standardized[row], own) / grow["learning_rate"]
                size += 1
        quantile = weighted_quantile(
            values[leaf["start"] : size], weights[leaf["start"] : size], grow["leaf_quantile"]
        )
        nodes[leaf["node"]]["value"] = grow["learning_rate"] * quantile
