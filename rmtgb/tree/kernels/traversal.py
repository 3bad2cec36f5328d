"""Prediction on raw values."""

from typing import Any

import numpy as np

from rmtgb._common import Int, IntArray
from rmtgb.engine.jit import inner, kernel
from rmtgb.engine.record import Array, array_of
from rmtgb.tree.kernels.category_sets import in_set
from rmtgb.tree.kernels.slopes import slope_part, slopes_of
from rmtgb.tree.records import ABREAST

#: In a step's feature: missing values go right.
MISSING_RIGHT = np.uint32(1 << 31)

#: Depth of a tree that has categorical splits, which steps cannot tell.
CATEGORICAL = -1

_ABREAST, _ONE = np.uint64(ABREAST), np.uint64(1)


@kernel
def fill_steps(ensembles: Array) -> None:
    """Translate nodes to steps: what walking down a tree needs, and no leaf to be told apart.

    Parameters
    ----------
    ensembles : ndarray of ENSEMBLE of shape (1,)
        ``steps`` is OUT, where a leaf leads to itself, and ``depths``: steps from the root to the
        deepest leaf, or ``CATEGORICAL``.
    """
    ensemble = ensembles[0]
    all_nodes, all_steps = array_of(ensemble, "nodes"), array_of(ensemble, "steps")
    starts, depths = array_of(ensemble, "starts"), array_of(ensemble, "depths")
    for tree in range(depths.size):
        start, stop = starts[0, tree], starts[0, tree + 1]
        nodes, steps = all_nodes[start:stop], all_steps[start:stop]
        depths[tree] = _depth(nodes, steps)
        for i in range(nodes.size):
            node, step = nodes[i], steps[i]
            if node["feature"] >= 0:
                step["threshold"], step["child"] = node["threshold"], node["left"]
                step["feature"] = np.uint32(node["feature"])
                if node["missing_left"] == 0:
                    step["feature"] |= MISSING_RIGHT
                if node["category_set"] >= 0:
                    depths[tree] = CATEGORICAL
            else:
                step["threshold"], step["child"], step["feature"] = np.inf, i, 0


@inner
def _depth(nodes: Array, steps: Array) -> Int:
    """Return the depth of a tree; children come after their parents. Scratch in steps."""
    deepest: Int = 0
    steps[0]["child"] = 0
    for i in range(nodes.size):
        depth = np.int64(steps[i]["child"])
        deepest = max(deepest, depth)
        if nodes[i]["feature"] >= 0:
            steps[nodes[i]["left"]]["child"] = depth + 1
            steps[nodes[i]["left"] + 1]["child"] = depth + 1
    return deepest


@inner
def _next(step: Any, value: float) -> Int:
    """Return the position after a step with a value (float64, NaN is missing)."""
    missing_right = (step["feature"] & MISSING_RIGHT) != 0
    right = (value > step["threshold"]) | (np.isnan(value) & missing_right)
    return np.uint64(step["child"]) + np.uint64(right)


@inner
def _add_numerical(
    values: Any,
    first_row: Int,
    stop_row: Int,
    nodes: Array,
    slopes: Array,
    steps: Array,
    depth: Int,
    output: Array,
) -> None:
    """Add the values of a tree's leaves to the rows of a range, some rows abreast."""
    X, Z = array_of(values, "raw"), array_of(values, "standardized")
    positions = array_of(values, "positions")
    flat, width, mask = X.reshape(-1), np.uint64(X.shape[1]), np.uint64(MISSING_RIGHT - 1)
    row, stop_row = np.uint64(first_row), np.uint64(stop_row)
    while row < stop_row:
        abreast = _ABREAST if stop_row - row >= _ABREAST else _ONE
        for k in range(_ABREAST):
            positions[k] = 0
        for _ in range(depth):
            if abreast == _ABREAST:
                for k in range(_ABREAST):  # of known length, so that LLVM unrolls it
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
def _leaf_value(Z: Array, row: Int, leaf: Any, slopes: Array) -> float:
    """Return what a leaf predicts for a row."""
    if leaf["n_slopes"] == 0:
        return leaf["value"]
    return leaf["value"] + slope_part(Z[row], slopes_of(leaf, slopes))


@inner
def find_leaf(row: Array, nodes: Array, category_sets: Array) -> Int:
    """Return the position of the leaf that a row (float64, NaN is missing) falls into."""
    position: Int = 0
    while nodes[position]["feature"] >= 0:
        node = nodes[position]
        value = row[node["feature"]]
        left: Any
        if np.isnan(value):
            left = node["missing_left"] > 0
        elif node["category_set"] >= 0:
            left = in_set(category_sets[node["category_set"]], np.int64(value))
        else:
            left = value <= node["threshold"]
        position = np.int64(node["left"]) + (0 if left else 1)
    return position


@inner
def _add_tree(
    values: Any, first_row: Int, stop_row: Int, ensemble: Any, tree: Int, output: Array
) -> None:
    """Add one tree's prediction to the rows of a range."""
    starts, depth = array_of(ensemble, "starts"), array_of(ensemble, "depths")[tree]
    start, stop = starts[0, tree], starts[0, tree + 1]
    nodes = array_of(ensemble, "nodes")[start:stop]
    slopes = array_of(ensemble, "slopes")[starts[2, tree] : starts[2, tree + 1]]
    if depth == CATEGORICAL:
        X, Z = array_of(values, "raw"), array_of(values, "standardized")
        sets = array_of(ensemble, "category_sets")[starts[1, tree] : starts[1, tree + 1]]
        for i in range(first_row, stop_row):
            output[i] += _leaf_value(Z, i, nodes[find_leaf(X[i], nodes, sets)], slopes)
    else:
        steps = array_of(ensemble, "steps")[start:stop]
        _add_numerical(values, first_row, stop_row, nodes, slopes, steps, depth, output)


@kernel
def add_trees(
    values: Array,
    ensembles: Array,
    first: IntArray,
    stop: IntArray,
    by_task: bool,
) -> None:
    """Add the predictions of some trees of an ensemble to ``prediction``.

    Parameters
    ----------
    values : ndarray of VALUES of shape (1,)
        The rows; ``prediction`` is INOUT.
    ensembles : ndarray of ENSEMBLE of shape (1,)
    first, stop : ndarray of int64 of shape (n_ranges,)
        Ranges of trees, each of which begins with a tree of output 0.
    by_task : bool
        Whether each row takes the range of its task, and none where that is -1; it is fast where
        rows of a task are together. Otherwise all rows take the first range.
    """
    rows, ensemble = values[0], ensembles[0]
    prediction, task_codes = array_of(rows, "prediction"), array_of(rows, "task_codes")
    n_rows, n_outputs = prediction.shape[1], prediction.shape[0]
    start = 0
    while start < n_rows:
        task, end = 0, n_rows
        if by_task:
            task, end = task_codes[start], start + 1
            while end < n_rows and task_codes[end] == task:
                end += 1
        if task >= 0:
            for tree in range(first[task], stop[task]):
                output = prediction[(tree - first[task]) % n_outputs]
                _add_tree(rows, start, end, ensemble, tree, output)
        start = end
