"""Prediction on raw values."""

import numpy as np

from rmtgb._jit import inner, kernel
from rmtgb.tree.kernels.splitting import in_set


@inner
def find_leaf(row, nodes, category_sets):
    """Return the position of the leaf that a row (float64, NaN is missing) falls into."""
    position = 0
    while nodes[position]["feature"] >= 0:
        node = nodes[position]
        value = row[node["feature"]]
        if np.isnan(value):
            left = node["missing_left"] > 0
        elif node["category_set"] >= 0:
            left = in_set(category_sets[node["category_set"]], np.int64(value))
        else:
            left = value <= node["threshold"]
        position = np.int64(node["left"]) + (0 if left else 1)
    return position


@kernel
def add_trees(
    X, nodes, category_sets, tree_starts, set_starts, first, stop, n_outputs, prediction
):
    """Add the predictions of some trees of an ensemble.

    Parameters
    ----------
    X : ndarray of float64 of shape (m, n_features), C order
        Values as at fit.
    nodes, category_sets, tree_starts, set_starts
        As in :class:`~rmtgb.tree.ensemble.Ensemble`.
    first, stop : int
        The trees, ``range(first, stop)``; tree j adds to output ``j % n_outputs``.
    n_outputs : int
        Trees per round.
    prediction : ndarray of float64 of shape (n_outputs, m)
        INOUT.
    """
    for tree in range(first, stop):
        tree_nodes = nodes[tree_starts[tree] : tree_starts[tree + 1]]
        sets = category_sets[set_starts[tree] : set_starts[tree + 1]]
        output = prediction[tree % n_outputs]
        for i in range(X.shape[0]):
            output[i] += tree_nodes[find_leaf(X[i], tree_nodes, sets)]["value"]


@kernel
def add_task_trees(
    X,
    task_codes,
    nodes,
    category_sets,
    tree_starts,
    set_starts,
    first,
    stop,
    n_outputs,
    prediction,
):
    """Add the predictions of each row's own trees.

    Arguments as for :func:`add_trees`, and

    Parameters
    ----------
    task_codes : ndarray of int64 of shape (m,)
        Task of each row, -1 for none.
    first, stop : ndarray of int64 of shape (n_tasks,)
        The trees of each task.
    """
    for i in range(X.shape[0]):
        task = task_codes[i]
        if task < 0:
            continue
        for tree in range(first[task], stop[task]):
            tree_nodes = nodes[tree_starts[tree] : tree_starts[tree + 1]]
            sets = category_sets[set_starts[tree] : set_starts[tree + 1]]
            leaf = find_leaf(X[i], tree_nodes, sets)
            prediction[(tree - first[task]) % n_outputs, i] += tree_nodes[leaf]["value"]
