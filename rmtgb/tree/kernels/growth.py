"""Best-first growth of one tree by a team.

Read :func:`grow_tree` first. Member 0 keeps the books between barriers; the rows of a
leaf are divided among the members for moving, its features for histograms and splits.
"""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner, part
from rmtgb.engine.random import mix, uniform
from rmtgb.engine.record import Array, array_of, wait
from rmtgb.engine.team import share
from rmtgb.tree.kernels.histograms import TILE, build_histograms
from rmtgb.tree.kernels.packing import integers_of_row, row_packing, sum_packing
from rmtgb.tree.kernels.partition import collect_share, divide_share
from rmtgb.tree.kernels.splitting import (
    Node,
    Scratch,
    complete_split,
    make_node,
    scan_categorical,
    scan_numerical,
    score,
)
from rmtgb.tree.kernels.steps import log_shortening
from rmtgb.tree.records import SET_WORDS

#: Positions in the counts of a grower.
N_LEAVES, N_NODES, N_SETS, N_SLOPES = 0, 1, 2, 3

#: A split must save more than the rounding errors of its own gain.
RELATIVE_MIN_GAIN = 1e-10

#: Rows of a leaf per member from which it pays to divide the rows of histograms.
MIN_ROWS_PER_MEMBER = 1024

NONE = -1
SMALL, LARGE = 0, 1


@part
def grow_tree(grow: Any) -> None:
    """Grow one tree on packed gradients; called by every member.

    Parameters
    ----------
    grow : GROW record
        ``nodes`` and ``category_sets`` are OUT; node 0 is the root. Afterwards, for every member,
        ``leaves[:n_leaves]`` and ``order`` tell which rows are in which leaf, and ``counts`` the
        numbers of leaves, nodes and sets.
    """
    leaves, splits = array_of(grow, "leaves"), array_of(grow, "splits")
    split_sets, counts = array_of(grow, "split_sets"), array_of(grow, "counts")
    _start_at_root(grow)
    left, right = np.int64(0), np.int64(NONE)  # the root has no sibling
    while True:
        wait(grow)
        _find_splits(grow, left, right)
        wait(grow)
        left = _choose_leaf(splits, counts[N_LEAVES], grow["max_leaf_nodes"])
        if left == NONE:
            break
        divide_share(grow, leaves[left], splits[left], split_sets[left])
        wait(grow)
        middle = collect_share(grow, leaves[left])
        right = counts[N_LEAVES]
        wait(grow)
        if grow["member"] == 0:
            _record_split(grow, left, middle)


@inner
def _choose_leaf(splits: Array, n_leaves: Int, max_leaf_nodes: Int) -> Int:
    """Return the leaf with the largest gain, the earliest among equals."""
    best, largest = NONE, 0.0
    if n_leaves < max_leaf_nodes:
        for leaf in range(n_leaves):
            if splits[leaf]["gain"] > largest:
                best, largest = leaf, splits[leaf]["gain"]
    return best


@inner
def _start_at_root(grow: Any) -> None:
    order, payload = array_of(grow, "order"), array_of(grow, "payload")
    partial, packing = array_of(grow, "candidates")[grow["member"], 0], row_packing(grow)
    first, last = share(0, grow["n_rows"], grow["member"], grow["n_members"])
    gradient, hessian, weight = np.int64(0), np.int64(0), np.int64(0)
    for row in range(first, last):
        order[row] = row
        g, h, w = integers_of_row(payload, row, packing)
        gradient += g
        hessian += h
        weight += w
    partial["gradient"], partial["hessian"], partial["weight"] = gradient, hessian, weight
    wait(grow)
    if grow["member"] == 0:
        root, counts = array_of(grow, "leaves")[0], array_of(grow, "counts")
        root["start"], root["stop"], root["depth"], root["kept"] = 0, grow["n_rows"], 0, 0
        root["gradient"], root["hessian"], root["weight"] = 0, 0, 0
        for member in range(grow["n_members"]):
            sums = array_of(grow, "candidates")[member, 0]
            root["gradient"] += sums["gradient"]
            root["hessian"] += sums["hessian"]
            root["weight"] += sums["weight"]
        counts[N_LEAVES], counts[N_NODES], counts[N_SETS], counts[N_SLOPES] = 1, 0, 0, 0
        _add_node(grow, root, counts)


@inner
def _add_node(grow: Any, leaf: Any, counts: Array) -> None:
    """Append the node of a new leaf to the tree, and decide whether it may be split."""
    node = array_of(grow, "nodes")[counts[N_NODES]]
    gradient = leaf["gradient"] * grow["gradient_unit"]
    hessian = leaf["hessian"] * grow["hessian_unit"] + grow["l2_regularization"]
    # a penalty alone is no curvature: what weighs nothing moves nothing
    step = -gradient / hessian if leaf["hessian"] > 0 else 0.0
    node["value"] = grow["learning_rate"] * (step * log_shortening(grow, step))
    node["weight"] = leaf["weight"] * grow["weight_unit"]
    node["feature"], node["left"], node["category_set"] = NONE, NONE, NONE
    node["threshold"], node["gain"], node["missing_left"] = 0.0, 0.0, 0
    node["first_slope"], node["n_slopes"] = 0, 0
    leaf["node"] = counts[N_NODES]
    leaf["open"] = (
        counts[N_LEAVES] < grow["max_leaf_nodes"]
        and leaf["depth"] < grow["max_depth"]
        and leaf["weight"] >= 2 * grow["min_leaf_units"]
        and leaf["hessian"] > 0
    )
    counts[N_NODES] += 1


@inner
def _record_split(grow: Any, parent: Int, middle: Int) -> None:
    """Turn a leaf into an inner node: its left child takes its place, the right one is new."""
    counts, split = array_of(grow, "counts"), array_of(grow, "splits")[parent]
    leaves, category_sets = array_of(grow, "leaves"), array_of(grow, "category_sets")
    left, right = leaves[parent], leaves[counts[N_LEAVES]]
    node = array_of(grow, "nodes")[left["node"]]
    node["feature"], node["missing_left"] = split["feature"], split["missing_left"]
    node["gain"] = (
        split["gain"] * grow["gradient_unit"] * (grow["gradient_unit"] / grow["hessian_unit"])
    )
    node["left"] = counts[N_NODES]
    if split["categorical"]:
        node["category_set"] = counts[N_SETS]
        codes_left = array_of(grow, "split_sets")[parent]
        for word in range(SET_WORDS):
            category_sets[counts[N_SETS], word] = codes_left[word]
        counts[N_SETS] += 1
    else:
        node["threshold"] = array_of(grow, "thresholds")[split["feature"], split["bin"]]
    # The larger child inherits the parent's histogram: the other is subtracted from it.
    kept = counts[N_LEAVES] if counts[N_LEAVES] < grow["n_kept"] else NONE
    right["start"], right["stop"], left["stop"] = middle, left["stop"], middle
    right["kept"] = kept
    if _is_larger(right, left):
        right["kept"], left["kept"] = left["kept"], kept
    right["gradient"] = left["gradient"] - split["gradient"]
    right["hessian"] = left["hessian"] - split["hessian"]
    right["weight"] = left["weight"] - split["weight"]
    left["gradient"], left["hessian"] = split["gradient"], split["hessian"]
    left["weight"] = split["weight"]
    left["depth"] += 1
    right["depth"] = left["depth"]
    counts[N_LEAVES] += 1
    _add_node(grow, left, counts)
    _add_node(grow, right, counts)


@part
def _find_splits(grow: Any, left: Int, right: Int) -> None:
    """Find the best splits of two sibling leaves, or of the root (right is NONE).

    Only the smaller sibling's histograms are summed; the larger one's are what is left
    of the parent's, where those were kept.
    """
    leaves = array_of(grow, "leaves")
    siblings = (left, right)
    if right != NONE and not _is_larger(leaves[right], leaves[left]):
        siblings = (right, left)
    small, large = siblings
    build_small = leaves[small]["open"] > 0
    build_large = False
    if large != NONE and leaves[large]["open"]:
        build_large = leaves[large]["kept"] == NONE
        build_small = build_small or not build_large
    build = (build_small, build_large)
    for child in range(2):
        if build[child]:
            _build_share(grow, leaves[siblings[child]], child)
    wait(grow)
    if build_small or build_large:
        _scan_share(grow, siblings, build)
        wait(grow)
    if grow["member"] == 0:
        for child in range(2):
            if siblings[child] != NONE:
                _keep_best(grow, siblings[child], child, build_small or build_large)


@inner
def _n_rows(leaf: Any) -> Int:
    return leaf["stop"] - leaf["start"]


@inner
def _is_larger(right: Any, left: Any) -> bool:
    """Return whether the right sibling is the larger one: who inherits histograms."""
    return _n_rows(right) > _n_rows(left)


@inner
def _histogram_of(grow: Any, leaf: Any, child: Int) -> Int:
    """Return where the histograms of a leaf are; those not kept have two fixed places."""
    return leaf["kept"] if leaf["kept"] != NONE else grow["n_kept"] + child


@inner
def _partial_histogram(grow: Any, member: Int, child: Int) -> Int:
    """Return where the sums of a member other than 0 are before they are added up."""
    return grow["n_kept"] + 2 * member + child


@inner
def _shares_rows(grow: Any, leaf: Any) -> bool:
    """Return whether members divide a leaf's rows among them, or else the features.

    Dividing the rows reads every row once, but the members' sums must be added up.
    """
    return (
        grow["n_members"] > 1
        and grow["n_features"] < TILE * grow["n_members"]
        and _n_rows(leaf) >= MIN_ROWS_PER_MEMBER * grow["n_members"]
    )


@part
def _build_share(grow: Any, leaf: Any, child: Int) -> None:
    """Sum a member's share of the histograms of a leaf."""
    first, last = 0, grow["n_features"]
    start, stop = leaf["start"], leaf["stop"]
    histogram = _histogram_of(grow, leaf, child)
    if _shares_rows(grow, leaf):
        start, stop = share(start, stop, grow["member"], grow["n_members"])
        if grow["member"] > 0:
            histogram = _partial_histogram(grow, grow["member"], child)
    else:
        first, last = share(first, last, grow["member"], grow["n_members"])
    build_histograms(
        array_of(grow, "row_codes"),
        first,
        last,
        array_of(grow, "order")[start:stop],
        array_of(grow, "payload"),
        row_packing(grow),
        grow["sum_words"],
        grow["missing_code"] + 1,
        array_of(grow, "block_sums")[grow["member"]],
        array_of(grow, "histograms")[histogram],
    )


@part
def _scan_share(grow: Any, siblings: tuple[Int, Int], build: tuple[bool, bool]) -> None:
    """Find the best splits of two siblings on a member's share of the features."""
    leaves, histograms = array_of(grow, "leaves"), array_of(grow, "histograms")
    member = grow["member"]
    candidates = array_of(grow, "candidates")[member]
    selected = array_of(grow, "selected")[member]
    n_children = 1 if siblings[LARGE] == NONE else 2
    for child in range(n_children):
        candidates[child]["feature"] = NONE
        candidates[child]["gain"] = _smallest_gain(grow, leaves[siblings[child]])
        _select_features(grow, leaves[siblings[child]]["node"], selected[child])
    first, last = share(0, grow["n_features"], member, grow["n_members"])
    small = histograms[_histogram_of(grow, leaves[siblings[SMALL]], SMALL)]
    for child in range(n_children):
        leaf = leaves[siblings[child]]
        of_leaf = histograms[_histogram_of(grow, leaf, child)]
        if build[child] and _shares_rows(grow, leaf):
            for other in range(1, grow["n_members"]):
                partial = histograms[_partial_histogram(grow, other, child)]
                for feature in range(first, last):
                    _add(of_leaf[feature], partial[feature], 1)
        elif child == LARGE and leaf["open"] and not build[child]:
            for feature in range(first, last):
                _add(of_leaf[feature], small[feature], -1)
        if leaf["open"]:
            _scan_features(grow, leaf, child, first, last)


@inner
def _scan_features(grow: Any, leaf: Any, child: Int, first: Int, last: Int) -> None:
    """Find the best split of a leaf on some features."""
    member, node = grow["member"], _node_of(grow, leaf)
    histograms = array_of(grow, "histograms")[_histogram_of(grow, leaf, child)]
    split = array_of(grow, "candidates")[member, child]
    codes_left = array_of(grow, "candidate_sets")[member, child]
    selected = array_of(grow, "selected")[member, child]
    categorical, n_bins = array_of(grow, "categorical"), array_of(grow, "n_bins")
    scratch = Scratch(
        array_of(grow, "scan_left")[member],
        array_of(grow, "scan_codes")[member],
        array_of(grow, "scan_gains")[member],
        array_of(grow, "scan_keys")[member],
    )
    for feature in range(first, last):
        if not selected[feature]:
            continue
        histogram = histograms[feature]
        if categorical[feature]:
            scan_categorical(
                histogram, feature, node, grow["weight_unit"], scratch, split, codes_left
            )
        else:
            scan_numerical(histogram, feature, n_bins[feature], node, scratch, split)
    if split["feature"] != NONE:
        complete_split(histograms[split["feature"]], node, split, codes_left)


@inner
def _add(histogram: Array, other: Array, sign: Int) -> None:
    for i in range(histogram.size):
        histogram[i] += sign * other[i]


@inner
def _l2_units(grow: Any) -> float:
    """Return the penalty of a leaf in units of hessians."""
    return grow["l2_regularization"] / grow["hessian_unit"]


@inner
def _smallest_gain(grow: Any, leaf: Any) -> float:
    """Return the gain that a split of a leaf must exceed."""
    hessian = leaf["hessian"] + _l2_units(grow)
    return RELATIVE_MIN_GAIN * score(np.float64(leaf["gradient"]), hessian)


@inner
def _node_of(grow: Any, leaf: Any) -> Node:
    """Return a leaf as scans need it."""
    return make_node(
        leaf["gradient"],
        leaf["hessian"],
        leaf["weight"],
        grow["weight_unit"],
        _l2_units(grow),
        grow["min_leaf_units"],
        sum_packing(grow),
        grow["random_thresholds"],
        mix(_node_seed(grow, leaf["node"]), 1),  # other numbers than those that select features
    )


@inner
def _node_seed(grow: Any, node: Int) -> Int:
    """Return the seed of a node's random choices."""
    return mix(grow["seed"], node)


@inner
def _select_features(grow: Any, node: Int, selected: Array) -> None:
    """Mark the node's random selection of features.

    Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): exactly ``n_candidate_features``
    of all, and every member can tell without asking the others.
    """
    missing = selected.size
    wanted = min(grow["n_candidate_features"], missing)
    node_seed = _node_seed(grow, node)
    for feature in range(selected.size):
        chosen = wanted == missing or uniform(node_seed, feature) * missing < wanted
        selected[feature] = chosen
        wanted -= chosen
        missing -= 1


@inner
def _keep_best(grow: Any, leaf: Int, child: Int, scanned: bool) -> None:
    """Keep the best of the members' candidates: largest gain, then lowest feature."""
    split, candidates = array_of(grow, "splits")[leaf], array_of(grow, "candidates")
    split["gain"] = -1.0
    best = NONE
    for member in range(grow["n_members"] if scanned else 0):
        candidate = candidates[member, child]
        if candidate["feature"] != NONE and candidate["gain"] > split["gain"]:
            split["gain"], best = candidate["gain"], member
    if best == NONE:
        return
    array_of(grow, "splits")[leaf] = candidates[best, child]
    split_set = array_of(grow, "split_sets")[leaf]
    codes_left = array_of(grow, "candidate_sets")[best, child]
    for word in range(SET_WORDS):
        split_set[word] = codes_left[word]
