"""Best-first growth of one tree by a team.

Read :func:`grow_tree` first. Member 0 keeps the books between barriers; the rows of a
leaf are divided among the members for moving, its features for histograms and splits.
"""

import numpy as np

from rmtgb.engine.jit import inner, part
from rmtgb.engine.random import mix, uniform
from rmtgb.engine.team import share
from rmtgb.tree.dtypes import SET_WORDS
from rmtgb.tree.kernels.histograms import TILE, build_histograms
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import packing_of, unpack
from rmtgb.tree.kernels.partition import collect_share, divide_share
from rmtgb.tree.kernels.splitting import (
    Scratch,
    complete_split,
    make_node,
    scan_categorical,
    scan_numerical,
    score,
)

#: Positions in the counts of a job.
N_LEAVES, N_NODES, N_SETS, N_SLOPES = 0, 1, 2, 3

#: A split must save more than the rounding errors of its own gain.
RELATIVE_MIN_GAIN = 1e-10

#: Rows of a leaf per member from which it pays to divide the rows of histograms.
MIN_ROWS_PER_MEMBER = 1024

NONE = -1
SMALL, LARGE = 0, 1


@part
def grow_tree(job, nodes, category_sets):
    """Grow one tree on the packed gradients of a job; called by every member.

    Parameters
    ----------
    job : JOB record
        Afterwards, for every member, ``leaves[:n_leaves]`` and ``order`` tell which rows
        are in which leaf, and ``counts`` the numbers of leaves, nodes and sets.
    nodes : ndarray of TREE_NODE of shape (>= 2 * max_leaf_nodes - 1,)
        OUT, the tree; node 0 is the root.
    category_sets : ndarray of uint64 of shape (>= max_leaf_nodes - 1, 4)
        OUT, the codes that go left in categorical splits.
    """
    leaves, splits, split_sets = (
        array_of(job, "leaves"),
        array_of(job, "splits"),
        array_of(job, "split_sets"),
    )
    counts = array_of(job, "counts")
    _start_at_root(job, nodes)
    left, right = np.int64(0), np.int64(NONE)  # the root has no sibling
    while True:
        wait(job)
        _find_splits(job, left, right)
        wait(job)
        left = _choose_leaf(splits, counts[N_LEAVES], job["max_leaf_nodes"])
        if left == NONE:
            break
        divide_share(job, leaves[left], splits[left], split_sets[left])
        wait(job)
        middle = collect_share(job, leaves[left])
        right = counts[N_LEAVES]
        wait(job)
        if job["member"] == 0:
            _record_split(job, left, middle, nodes, category_sets)


@inner
def _choose_leaf(splits, n_leaves, max_leaf_nodes):
    """Return the leaf with the largest gain, the earliest among equals."""
    best, largest = NONE, 0.0
    if n_leaves < max_leaf_nodes:
        for leaf in range(n_leaves):
            if splits[leaf]["gain"] > largest:
                best, largest = leaf, splits[leaf]["gain"]
    return best


@inner
def _start_at_root(job, nodes):
    order, payload, candidates = (
        array_of(job, "order"),
        array_of(job, "payload"),
        array_of(job, "candidates"),
    )
    n_rows, n_words = job["n_rows"], job["n_words"]
    first, last = share(0, n_rows, job["member"], job["n_members"])
    total_0, total_1 = 0, 0
    for row in range(first, last):
        order[row] = row
        total_0 += payload[n_words * row]
        if n_words == 2:
            total_1 += payload[2 * row + 1]
    candidates[job["member"], 0]["left_0"] = total_0
    candidates[job["member"], 0]["left_1"] = total_1
    wait(job)
    if job["member"] == 0:
        root, counts = array_of(job, "leaves")[0], array_of(job, "counts")
        root["start"], root["stop"], root["depth"], root["slot"] = 0, n_rows, 0, 0
        root["total_0"], root["total_1"] = 0, 0
        for member in range(job["n_members"]):
            root["total_0"] += candidates[member, 0]["left_0"]
            root["total_1"] += candidates[member, 0]["left_1"]
        counts[N_LEAVES], counts[N_NODES], counts[N_SETS], counts[N_SLOPES] = 1, 0, 0, 0
        _add_node(job, root, counts, nodes)


@inner
def _add_node(job, leaf, counts, nodes):
    """Append the node of a new leaf to the tree, and decide whether it may be split."""
    gradient, hessian, weight = unpack(leaf["total_0"], leaf["total_1"], packing_of(job))
    hessian += job["l2_regularization"]
    node = nodes[counts[N_NODES]]
    node["value"] = -job["learning_rate"] * gradient / hessian if hessian > 0.0 else 0.0
    node["weight"] = weight
    node["feature"], node["left"], node["category_set"] = NONE, NONE, NONE
    node["threshold"], node["gain"], node["missing_left"] = 0.0, 0.0, 0
    node["first_slope"], node["n_slopes"] = 0, 0
    leaf["node"] = counts[N_NODES]
    leaf["open"] = (
        counts[N_LEAVES] < job["max_leaf_nodes"]
        and leaf["depth"] < job["max_depth"]
        and weight >= 2.0 * _min_weight(job)
        and hessian > 0.0
    )
    counts[N_NODES] += 1


@inner
def _min_weight(job):
    """Return the smallest weight of a leaf, less what summing weights may lose."""
    return job["min_samples_leaf"] * (1.0 - 1e-9)


@inner
def _record_split(job, parent, middle, nodes, category_sets):
    """Turn a leaf into an inner node: its left child takes its place, the right one is new."""
    counts, split = array_of(job, "counts"), array_of(job, "splits")[parent]
    left, right = array_of(job, "leaves")[parent], array_of(job, "leaves")[counts[N_LEAVES]]
    node = nodes[left["node"]]
    node["feature"], node["gain"] = split["feature"], split["gain"]
    node["missing_left"], node["left"] = split["missing_left"], counts[N_NODES]
    if split["categorical"]:
        node["category_set"] = counts[N_SETS]
        codes_left = array_of(job, "split_sets")[parent]
        for word in range(SET_WORDS):
            category_sets[counts[N_SETS], word] = codes_left[word]
        counts[N_SETS] += 1
    else:
        node["threshold"] = array_of(job, "thresholds")[split["feature"], split["bin"]]
    # The larger child inherits the parent's histogram: the other is subtracted from it.
    slot = counts[N_LEAVES] if counts[N_LEAVES] < job["n_slots"] else NONE
    right["start"], right["stop"], left["stop"] = middle, left["stop"], middle
    right["slot"] = slot
    if _is_larger(right, left):
        right["slot"], left["slot"] = left["slot"], slot
    right["total_0"] = left["total_0"] - split["left_0"]
    right["total_1"] = left["total_1"] - split["left_1"]
    left["total_0"], left["total_1"] = split["left_0"], split["left_1"]
    left["depth"] += 1
    right["depth"] = left["depth"]
    counts[N_LEAVES] += 1
    _add_node(job, left, counts, nodes)
    _add_node(job, right, counts, nodes)


@part
def _find_splits(job, left, right):
    """Find the best splits of two sibling leaves, or of the root (right is NONE).

    Only the smaller sibling's histograms are summed; the larger one's are what is left
    of the parent's, where those were kept.
    """
    leaves = array_of(job, "leaves")
    siblings = (left, right)
    if right != NONE and not _is_larger(leaves[right], leaves[left]):
        siblings = (right, left)
    small, large = siblings
    build_small = leaves[small]["open"] > 0
    build_large = False
    if large != NONE and leaves[large]["open"]:
        build_large = leaves[large]["slot"] == NONE
        build_small = build_small or not build_large
    build = (build_small, build_large)
    for child in range(2):
        if build[child]:
            _build_share(job, leaves[siblings[child]], child)
    wait(job)
    if build_small or build_large:
        _scan_share(job, siblings, build)
        wait(job)
    if job["member"] == 0:
        for child in range(2):
            if siblings[child] != NONE:
                _keep_best(job, siblings[child], child, build_small or build_large)


@inner
def _n_rows(leaf):
    return leaf["stop"] - leaf["start"]


@inner
def _is_larger(right, left):
    """Return whether the right sibling is the larger one: who inherits histograms."""
    return _n_rows(right) > _n_rows(left)


@inner
def _slot(job, leaf, child):
    """Return where the histograms of a leaf are; those not kept have two fixed places."""
    return leaf["slot"] if leaf["slot"] != NONE else job["n_slots"] + child


@inner
def _partial_slot(job, member, child):
    """Return where the sums of a member other than 0 are before they are added up."""
    return job["n_slots"] + 2 * member + child


@inner
def _shares_rows(job, leaf):
    """Return whether members divide a leaf's rows among them, or else the features.

    Dividing the rows reads every row once, but the members' sums must be added up.
    """
    return (
        job["n_members"] > 1
        and job["n_features"] < TILE * job["n_members"]
        and _n_rows(leaf) >= MIN_ROWS_PER_MEMBER * job["n_members"]
    )


@part
def _build_share(job, leaf, child):
    """Sum a member's share of the histograms of a leaf."""
    first, last = 0, job["n_features"]
    start, stop = leaf["start"], leaf["stop"]
    slot, n_words = _slot(job, leaf, child), job["n_words"]
    if _shares_rows(job, leaf):
        start, stop = share(start, stop, job["member"], job["n_members"])
        if job["member"] > 0:
            slot = _partial_slot(job, job["member"], child)
    else:
        first, last = share(first, last, job["member"], job["n_members"])
    build_histograms(
        array_of(job, "row_codes"),
        first,
        last,
        array_of(job, "order")[start:stop],
        array_of(job, "payload"),
        n_words,
        array_of(job, "histograms")[slot],
    )


@part
def _scan_share(job, siblings, build):
    """Find the best splits of two siblings on a member's share of the features."""
    leaves, histograms, member = (
        array_of(job, "leaves"),
        array_of(job, "histograms"),
        job["member"],
    )
    candidates = array_of(job, "candidates")[member]
    selected = array_of(job, "selected")[member]
    n_children = 1 if siblings[LARGE] == NONE else 2
    for child in range(n_children):
        candidates[child]["feature"] = NONE
        candidates[child]["gain"] = _smallest_gain(job, leaves[siblings[child]])
        _select_features(job, leaves[siblings[child]]["node"], selected[child])
    n_used = (job["missing_code"] + 1) * job["n_words"]
    first, last = share(0, job["n_features"], member, job["n_members"])
    small = histograms[_slot(job, leaves[siblings[SMALL]], SMALL)]
    for child in range(n_children):
        leaf = leaves[siblings[child]]
        of_leaf, shares_rows = histograms[_slot(job, leaf, child)], _shares_rows(job, leaf)
        if build[child] and shares_rows:
            for other in range(1, job["n_members"]):
                partial = histograms[_partial_slot(job, other, child)]
                for feature in range(first, last):
                    _add(of_leaf[feature, :n_used], partial[feature], 1)
        elif child == LARGE and leaf["open"] and not build[child]:
            for feature in range(first, last):
                _add(of_leaf[feature, :n_used], small[feature], -1)
        if leaf["open"]:
            _scan_features(job, leaf, child, first, last)


@inner
def _scan_features(job, leaf, child, first, last):
    """Find the best split of a leaf on some features."""
    member, node = job["member"], _node_of(job, leaf)
    n_used = (job["missing_code"] + 1) * job["n_words"]
    histograms = array_of(job, "histograms")[_slot(job, leaf, child)]
    split = array_of(job, "candidates")[member, child]
    codes_left = array_of(job, "candidate_sets")[member, child]
    selected = array_of(job, "selected")[member, child]
    categorical, n_bins = array_of(job, "categorical"), array_of(job, "n_bins")
    scratch = Scratch(
        array_of(job, "scan_left")[member, 0],
        array_of(job, "scan_left")[member, 1],
        array_of(job, "scan_codes")[member],
        array_of(job, "scan_gains")[member],
        array_of(job, "scan_keys")[member],
    )
    for feature in range(first, last):
        if not selected[feature]:
            continue
        histogram = histograms[feature, :n_used]
        if categorical[feature]:
            scan_categorical(histogram, feature, node, scratch, split, codes_left)
        else:
            scan_numerical(histogram, feature, n_bins[feature], node, scratch, split)
    if split["feature"] != NONE:
        complete_split(histograms[split["feature"], :n_used], node, split, codes_left)


@inner
def _add(histogram, other, sign):
    for i in range(histogram.size):
        histogram[i] += sign * other[i]


@inner
def _smallest_gain(job, leaf):
    """Return the gain that a split of a leaf must exceed."""
    gradient, hessian, _ = unpack(leaf["total_0"], leaf["total_1"], packing_of(job))
    return RELATIVE_MIN_GAIN * score(gradient, hessian, job["l2_regularization"])


@inner
def _node_of(job, leaf):
    """Return a leaf as scans need it."""
    return make_node(
        leaf["total_0"],
        leaf["total_1"],
        job["l2_regularization"],
        _min_weight(job),
        packing_of(job),
        job["random_thresholds"],
        mix(_node_seed(job, leaf["node"]), 1),  # other numbers than those that select features
    )


@inner
def _node_seed(job, node):
    """Return the seed of a node's random choices."""
    return mix(job["seed"], node)


@inner
def _select_features(job, node, selected):
    """Mark the node's random selection of features.

    Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): exactly ``n_candidate_features``
    of all, and every member can tell without asking the others.
    """
    missing = selected.size
    wanted = min(job["n_candidate_features"], missing)
    node_seed = _node_seed(job, node)
    for feature in range(selected.size):
        chosen = wanted == missing or uniform(node_seed, feature) * missing < wanted
        selected[feature] = chosen
        wanted -= chosen
        missing -= 1


@inner
def _keep_best(job, leaf, child, scanned):
    """Keep the best of the members' candidates: largest gain, then lowest feature."""
    split, candidates = array_of(job, "splits")[leaf], array_of(job, "candidates")
    split["gain"] = -1.0
    best = NONE
    for member in range(job["n_members"] if scanned else 0):
        candidate = candidates[member, child]
        if candidate["feature"] != NONE and candidate["gain"] > split["gain"]:
            split["gain"], best = candidate["gain"], member
    if best == NONE:
        return
    array_of(job, "splits")[leaf] = candidates[best, child]
    split_set, codes_left = (
        array_of(job, "split_sets")[leaf],
        array_of(job, "candidate_sets")[best, child],
    )
    for word in range(SET_WORDS):
        split_set[word] = codes_left[word]
