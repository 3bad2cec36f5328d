"""Best-first growth of one tree by a team.

Read :func:`grow_tree` first. Member 0 keeps the books between barriers; the rows of a
leaf are divided among the members for moving, its features for histograms and splits.
"""

import numpy as np

from rmtgb._jit import inner
from rmtgb._team import barrier, share
from rmtgb.tree.dtypes import SET_WORDS
from rmtgb.tree.kernels.histograms import TILE, build_histograms
from rmtgb.tree.kernels.packing import unpack
from rmtgb.tree.kernels.partition import collect_share, divide_share, gather_share
from rmtgb.tree.kernels.random import mix, uniform
from rmtgb.tree.kernels.splitting import scan_categorical, scan_numerical, score

#: Positions in ``Workspace.sizes``.
N_LEAVES, N_NODES, N_SETS = 0, 1, 2

#: A split must save more than the rounding errors of its own gain.
RELATIVE_MIN_GAIN = 1e-10

#: Rows of a leaf per member from which it pays to divide the rows of histograms.
MIN_ROWS_PER_MEMBER = 1024

NONE = -1
SMALL, LARGE = 0, 1


@inner
def grow_tree(job):
    """Grow one tree on the packed gradients of a workspace; called by every member.

    Parameters
    ----------
    job : TreeJob
        ``nodes`` (>= 2 L - 1) and ``category_sets`` (>= L - 1) of a tree with at most
        L leaves are OUT; node 0 is the root. Afterwards, for every member,
        ``workspace.leaves[:n_leaves]`` and ``workspace.order`` tell which rows are in
        which leaf, and ``workspace.sizes`` the numbers of leaves, nodes and sets.
    """
    _start_at_root(job)
    left, right = np.int64(0), np.int64(NONE)  # the root has no sibling
    while True:
        wait(job)
        _find_splits(job, left, right)
        wait(job)
        left = _choose_leaf(job)
        if left == NONE:
            break
        leaf, split = job.workspace.leaves[left], job.workspace.splits[left]
        divide_share(job, leaf, split, job.workspace.split_sets[left])
        wait(job)
        middle = collect_share(job, leaf)
        right = job.workspace.sizes[N_LEAVES]
        wait(job)
        if job.member == 0:
            _record_split(job, left, middle)


@inner
def wait(job):
    """Wait for the other members."""
    barrier(job.member, job.n_members, job.workspace.arrivals)


@inner
def _choose_leaf(job):
    """Return the leaf with the largest gain, the earliest among equals."""
    splits = job.workspace.splits
    n_leaves = job.workspace.sizes[N_LEAVES]
    best, largest = NONE, 0.0
    if n_leaves < job.params.max_leaf_nodes:
        for leaf in range(n_leaves):
            if splits[leaf]["gain"] > largest:
                best, largest = leaf, splits[leaf]["gain"]
    return best


@inner
def _start_at_root(job):
    workspace, n_words = job.workspace, job.packing.n_words
    n_rows = job.binned.row_codes.shape[0]
    first, last = share(0, n_rows, job.member, job.n_members)
    total_0, total_1 = 0, 0
    for row in range(first, last):
        workspace.order[row] = row
        total_0 += workspace.payload[n_words * row]
        if n_words == 2:
            total_1 += workspace.payload[2 * row + 1]
    workspace.candidates[job.member, 0]["left_0"] = total_0
    workspace.candidates[job.member, 0]["left_1"] = total_1
    wait(job)
    if job.member == 0:
        root, sums = workspace.leaves[0], workspace.candidates[: job.n_members, 0]
        root["start"], root["stop"], root["depth"], root["slot"] = 0, n_rows, 0, 0
        root["total_0"], root["total_1"] = 0, 0
        for member in range(job.n_members):
            root["total_0"] += sums[member]["left_0"]
            root["total_1"] += sums[member]["left_1"]
        workspace.sizes[N_LEAVES], workspace.sizes[N_NODES], workspace.sizes[N_SETS] = 1, 0, 0
        _add_node(job, root)


@inner
def _add_node(job, leaf):
    """Append the node of a new leaf to the tree, and decide whether it may be split."""
    params, sizes = job.params, job.workspace.sizes
    gradient, hessian, weight = unpack(leaf["total_0"], leaf["total_1"], job.packing)
    hessian += params.l2_regularization
    node = job.nodes[sizes[N_NODES]]
    node["value"] = -params.learning_rate * gradient / hessian if hessian > 0.0 else 0.0
    node["weight"] = weight
    node["feature"], node["left"], node["category_set"] = NONE, NONE, NONE
    node["threshold"], node["gain"], node["missing_left"] = 0.0, 0.0, 0
    leaf["node"] = sizes[N_NODES]
    leaf["open"] = (
        sizes[N_LEAVES] < params.max_leaf_nodes
        and leaf["depth"] < params.max_depth
        and weight >= 2.0 * params.min_samples_leaf * (1.0 - 1e-9)
        and hessian > 0.0
    )
    sizes[N_NODES] += 1


@inner
def _record_split(job, parent, middle):
    """Turn a leaf into an inner node: its left child takes its place, the right one is new."""
    workspace = job.workspace
    sizes, split = workspace.sizes, workspace.splits[parent]
    left, right = workspace.leaves[parent], workspace.leaves[sizes[N_LEAVES]]
    node = job.nodes[left["node"]]
    node["feature"], node["gain"] = split["feature"], split["gain"]
    node["missing_left"], node["left"] = split["missing_left"], sizes[N_NODES]
    if split["categorical"]:
        node["category_set"] = sizes[N_SETS]
        for word in range(SET_WORDS):
            job.category_sets[sizes[N_SETS], word] = workspace.split_sets[parent, word]
        sizes[N_SETS] += 1
    else:
        node["threshold"] = job.binned.thresholds[split["feature"], split["bin"]]
    # The larger child inherits the parent's histogram: the other is subtracted from it.
    slot = sizes[N_LEAVES] if sizes[N_LEAVES] < workspace.n_slots else NONE
    right["start"], right["stop"], left["stop"] = middle, left["stop"], middle
    right["slot"] = slot
    if right["stop"] - right["start"] > left["stop"] - left["start"]:
        right["slot"], left["slot"] = left["slot"], slot
    right["total_0"] = left["total_0"] - split["left_0"]
    right["total_1"] = left["total_1"] - split["left_1"]
    left["total_0"], left["total_1"] = split["left_0"], split["left_1"]
    left["depth"] += 1
    right["depth"] = left["depth"]
    sizes[N_LEAVES] += 1
    _add_node(job, left)
    _add_node(job, right)


@inner
def _find_splits(job, left, right):
    """Find the best splits of two sibling leaves, or of the root (right is NONE).

    Only the smaller sibling's histograms are summed; the larger one's are what is left
    of the parent's, where those were kept.
    """
    leaves = job.workspace.leaves
    siblings = (left, right)
    if right != NONE and _n_rows(leaves[right]) < _n_rows(leaves[left]):
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
    if job.member == 0:
        for child in range(2):
            if siblings[child] != NONE:
                _keep_best(job, siblings[child], child, build_small or build_large)


@inner
def _n_rows(leaf):
    return leaf["stop"] - leaf["start"]


@inner
def _slot(job, leaf, child):
    """Return where the histograms of a leaf are; those not kept have two fixed places."""
    return leaf["slot"] if leaf["slot"] != NONE else job.workspace.n_slots + child


@inner
def _partial_slot(job, member, child):
    """Return where the sums of a member other than 0 are before they are added up."""
    return job.workspace.n_slots + 2 * member + child


@inner
def _shares_rows(job, leaf):
    """Return whether members divide a leaf's rows among them, or else the features.

    Dividing the rows reads every row once, but the members' sums must be added up.
    """
    n_features = job.binned.row_codes.shape[1]
    return (
        job.n_members > 1
        and n_features < TILE * job.n_members
        and _n_rows(leaf) >= MIN_ROWS_PER_MEMBER * job.n_members
    )


@inner
def _build_share(job, leaf, child):
    """Sum a member's share of the histograms of a leaf."""
    gather_share(job, leaf)
    wait(job)
    workspace, n_words = job.workspace, job.packing.n_words
    first, last = 0, job.binned.row_codes.shape[1]
    start, stop = leaf["start"], leaf["stop"]
    slot = _slot(job, leaf, child)
    if _shares_rows(job, leaf):
        start, stop = share(start, stop, job.member, job.n_members)
        if job.member > 0:
            slot = _partial_slot(job, job.member, child)
    else:
        first, last = share(first, last, job.member, job.n_members)
    build_histograms(
        job.binned.row_codes,
        first,
        last,
        workspace.order[start:stop],
        workspace.node_payload[n_words * start : n_words * stop],
        n_words,
        workspace.histograms[slot],
    )


@inner
def _add_partial(job, leaf, child, feature, histogram):
    """Add the other members' sums to those of member 0."""
    if _shares_rows(job, leaf):
        for member in range(1, job.n_members):
            partial = job.workspace.histograms[_partial_slot(job, member, child), feature]
            for i in range(histogram.size):
                histogram[i] += partial[i]


@inner
def _scan_share(job, siblings, build):
    """Find the best splits of two siblings on a member's share of the features."""
    leaves, candidates = job.workspace.leaves, job.workspace.candidates[job.member]
    selected = job.workspace.selected[job.member]
    for child in range(2):
        candidates[child]["feature"] = NONE
        if siblings[child] != NONE:
            candidates[child]["gain"] = _parent_score(job, leaves[siblings[child]])
            _select_features(job, leaves[siblings[child]]["node"], selected[child])
    n_used = (job.binned.missing_code + 1) * job.packing.n_words
    first, last = share(0, job.binned.row_codes.shape[1], job.member, job.n_members)
    for feature in range(first, last):
        small_slot = _slot(job, leaves[siblings[SMALL]], SMALL)
        sibling = job.workspace.histograms[small_slot, feature, :n_used]
        for child in range(2):
            if siblings[child] == NONE:
                continue
            leaf = leaves[siblings[child]]
            histogram = job.workspace.histograms[_slot(job, leaf, child), feature, :n_used]
            if build[child]:
                _add_partial(job, leaf, child, feature, histogram)
            elif child == LARGE and leaf["open"]:
                for i in range(n_used):
                    histogram[i] -= sibling[i]
            if leaf["open"] and selected[child, feature]:
                _scan(job, leaf, feature, histogram, child)


@inner
def _parent_score(job, leaf):
    gradient, hessian, _ = unpack(leaf["total_0"], leaf["total_1"], job.packing)
    return score(gradient, hessian, job.params.l2_regularization) * (1.0 + RELATIVE_MIN_GAIN)


@inner
def _scan(job, leaf, feature, histogram, child):
    """Find the best split of a leaf on one feature."""
    workspace = job.workspace
    split = workspace.candidates[job.member, child]
    if job.binned.categorical[feature]:
        scan_categorical(
            histogram, feature, leaf["total_0"], leaf["total_1"], job.params, job.packing,
            workspace.sort_keys[job.member], workspace.sorted_codes[job.member], split,
            workspace.candidate_sets[job.member, child],
        )
    else:
        scan_numerical(
            histogram, feature, job.binned.n_bins[feature], leaf["total_0"], leaf["total_1"],
            job.params, job.packing, split,
        )


@inner
def _select_features(job, node, selected):
    """Mark the node's random selection of features.

    Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): exactly ``n_candidate_features``
    of all, and every member can tell without asking the others.
    """
    missing = selected.size
    wanted = min(job.params.n_candidate_features, missing)
    node_seed = mix(job.seed, node)
    for feature in range(selected.size):
        chosen = wanted == missing or uniform(node_seed, feature) * missing < wanted
        selected[feature] = chosen
        wanted -= chosen
        missing -= 1


@inner
def _keep_best(job, leaf, child, scanned):
    """Keep the best of the members' candidates: largest gain, then lowest feature."""
    workspace, split = job.workspace, job.workspace.splits[leaf]
    split["gain"] = -1.0
    best = NONE
    for member in range(job.n_members if scanned else 0):
        candidate = workspace.candidates[member, child]
        if candidate["feature"] != NONE and candidate["gain"] > split["gain"]:
            split["gain"], best = candidate["gain"], member
    if best == NONE:
        return
    workspace.splits[leaf] = workspace.candidates[best, child]
    for word in range(SET_WORDS):
        workspace.split_sets[leaf, word] = workspace.candidate_sets[best, child, word]
    split["gain"] -= _parent_score(job, workspace.leaves[leaf])
