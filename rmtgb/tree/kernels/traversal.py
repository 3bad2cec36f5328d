"""Prediction on raw values."""

import numpy as np

from rmtgb.engine.jit import inner, kernel
from rmtgb.tree.kernels.linear_leaves import slope_part, slopes_of
from rmtgb.tree.kernels.splitting import in_set

#: Rows that go through a tree side by side: each waits for memory, so eight take little longer
#: than one.
ABREAST = np.uint64(8)

#: In a step's feature: missing values go right.
MISSING_RIGHT = np.uint32(1 << 31)

#: Depth of a tree that has categorical splits, which steps cannot tell.
CATEGORICAL = -1

_ONE = np.uint64(1)


@kernel
def fill_steps(nodes, tree_starts, steps, depths):
    """Translate nodes to steps: what walking down a tree needs, and no leaf to be told apart.

    Parameters
    ----------
    nodes, tree_starts
        As in :class:`~rmtgb.tree.ensemble.Ensemble`.
    steps : ndarray of STEP of shape (n_nodes,)
        OUT. A leaf leads to itself.
    depths : ndarray of int64 of shape (n_trees,)
        OUT, steps from the root to the deepest leaf, or ``CATEGORICAL``.
    """
    for tree in range(depths.size):
        start, stop = tree_starts[tree], tree_starts[tree + 1]
        depths[tree] = _depth(nodes[start:stop], steps[start:stop])
        for i in range(start, stop):
            node, step = nodes[i], steps[i]
            if node["feature"] >= 0:
                step["threshold"], step["child"] = node["threshold"], node["left"]
                step["feature"] = np.uint32(node["feature"])
                if node["missing_left"] == 0:
                    step["feature"] |= MISSING_RIGHT
                if node["category_set"] >= 0:
                    depths[tree] = CATEGORICAL
            else:
                step["threshold"], step["child"], step["feature"] = np.inf, i - start, 0


@inner
def _depth(nodes, steps):
    """Return the depth of a tree; children come after their parents. Scratch in steps."""
    deepest = 0
    steps[0]["child"] = 0
    for i in range(nodes.size):
        depth = np.int64(steps[i]["child"])
        deepest = max(deepest, depth)
        if nodes[i]["feature"] >= 0:
            steps[nodes[i]["left"]]["child"] = depth + 1
            steps[nodes[i]["left"] + 1]["child"] = depth + 1
    return deepest


@inner
def _next(step, value):
    """Return the position after a step with a value (float64, NaN is missing)."""
    missing_right = (step["feature"] & MISSING_RIGHT) != 0
    right = (value > step["threshold"]) | (np.isnan(value) & missing_right)
    return np.uint64(step["child"]) + np.uint64(right)


@inner
def _add_numerical(X, Z, first_row, stop_row, nodes, slopes, steps, depth, positions, output):
    """Add the values of a tree's leaves to the rows of a range, some rows abreast."""
    flat, width, mask = X.reshape(-1), np.uint64(X.shape[1]), np.uint64(MISSING_RIGHT - 1)
    row, stop_row = np.uint64(first_row), np.uint64(stop_row)
    while row < stop_row:
        abreast = ABREAST if stop_row - row >= ABREAST else _ONE
        for k in range(ABREAST):
            positions[k] = 0
        for _ in range(depth):
            if abreast == ABREAST:
                for k in range(ABREAST):  # of known length, so that LLVM unrolls it
                    step = steps[positions[k]]
                    feature = np.uint64(step["feature"]) & mask
                    positions[k] = _next(step, flat[(row + k) * width + feature])
            else:
                step = steps[positions[0]]
                feature = np.uint64(step["feature"]) & mask
                positions[0] = _next(step, flat[row * width + feature])
        for k in range(abreast):
            output[row + k] += _leaf_value(Z, row + k, nodes[positions[k]], slopes)
        row += abreast


@inner
def _leaf_value(Z, row, leaf, slopes):
    """Return what a leaf predicts for a row."""
    if leaf["n_slopes"] == 0:
        return leaf["value"]
    return leaf["value"] + slope_part(Z[row], slopes_of(leaf, slopes))


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


@inner
def _add_tree(X, Z, first_row, stop_row, tree, ensemble, positions, output):
    """Add one tree's prediction to the rows of a range."""
    nodes, category_sets, slopes, starts, steps, depths = ensemble
    start, stop = starts[0, tree], starts[0, tree + 1]
    slopes = slopes[starts[2, tree] : starts[2, tree + 1]]
    if depths[tree] == CATEGORICAL:
        sets = category_sets[starts[1, tree] : starts[1, tree + 1]]
        for i in range(first_row, stop_row):
            leaf = nodes[start + find_leaf(X[i], nodes[start:stop], sets)]
            output[i] += _leaf_value(Z, i, leaf, slopes)
    else:
        _add_numerical(
            X,
            Z,
            first_row,
            stop_row,
            nodes[start:stop],
            slopes,
            steps[start:stop],
            depths[tree],
            positions,
            output,
        )


@kernel
def add_trees(X, Z, ensemble, first, stop, n_outputs, positions, prediction):
    """Add the predictions of some trees of an ensemble.

    Parameters
    ----------
    X : ndarray of float64 of shape (m, n_features), C order
        Values as at fit.
    Z : ndarray of int16 of shape (m, n_features), C order
        The same, standardised; not looked at without slopes.
    ensemble : tuple of ndarray
        ``Ensemble.arrays``.
    first, stop : int
        The trees, ``range(first, stop)``; tree j adds to output ``j % n_outputs``.
    n_outputs : int
        Trees per round.
    positions : ndarray of uint64 of shape (8,)
        Scratch.
    prediction : ndarray of float64 of shape (n_outputs, m)
        INOUT.
    """
    for tree in range(first, stop):
        _add_tree(X, Z, 0, X.shape[0], tree, ensemble, positions, prediction[tree % n_outputs])


@kernel
def add_task_trees(X, Z, task_codes, ensemble, first, stop, n_outputs, positions, prediction):
    """Add the predictions of each row's own trees; fast where rows of a task are together.

    Arguments as for :func:`add_trees`, and

    Parameters
    ----------
    task_codes : ndarray of int64 of shape (m,)
        Task of each row, -1 for none.
    first, stop : ndarray of int64 of shape (n_tasks,)
        The trees of each task.
    """
    start = 0
    while start < task_codes.size:
        task, end = task_codes[start], start + 1
        while end < task_codes.size and task_codes[end] == task:
            end += 1
        if task >= 0:
            for tree in range(first[task], stop[task]):
                output = prediction[(tree - first[task]) % n_outputs]
                _add_tree(X, Z, start, end, tree, ensemble, positions, output)
        start = end
