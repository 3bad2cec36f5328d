"""Kernels of stage 3: a task's whole boosting in one call."""

from typing import NamedTuple

import numpy as np

from rmtgb._jit import inner, kernel, part
from rmtgb._team import share, take_ticket
from rmtgb.boosting.rounds import boost_ensemble, compute_gradients
from rmtgb.losses.pointwise import sum_losses
from rmtgb.tree.dtypes import SET_WORDS, TreeBuffer
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import bit_length
from rmtgb.tree.kernels.random import mix
from rmtgb.tree.kernels.splitting import in_set

#: Bins of a numerical feature within a task: scanning more costs more than its rows.
TASK_BINS = 64

#: Marks codes that no row of the task has.
ABSENT = 255


class TaskRows(NamedTuple):
    """All rows, those of a task next to each other. K outputs, n rows, F features, T tasks.

    ``column_codes`` (F, n) uint8; ``n_bins`` (F,) int32; ``thresholds`` (F, B) float64;
    ``y``, ``weight`` (n,) float64; ``raw`` (K, n) float64; ``offsets`` (T + 1,) int64,
    where the rows of each task start; ``validation_weight`` (n,) float64, or (0,) without
    validation rows.
    """

    column_codes: np.ndarray
    n_bins: np.ndarray
    thresholds: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    raw: np.ndarray
    offsets: np.ndarray
    validation_weight: np.ndarray


class TaskTrees(NamedTuple):
    """Where the trees of all tasks are written, and how they fared.

    ``nodes`` (N,) TREE_NODE and ``sets`` (S, 4) uint64, each task from
    ``node_starts[task]`` (T,) and ``set_starts[task]`` (T,) on, with ``n_leaves`` (T,)
    int64 bounding a tree; ``sizes`` (T, R * K, 2) int32 for R rounds;
    ``validation_loss`` (T, R + 1) float64, or (T, 0) without validation rows.
    """

    nodes: np.ndarray
    sets: np.ndarray
    node_starts: np.ndarray
    set_starts: np.ndarray
    n_leaves: np.ndarray
    sizes: np.ndarray
    validation_loss: np.ndarray


@kernel
def boost_tasks(  # noqa: PLR0913, PLR0917
    member, n_members, jobs, queue, tasks, seed, n_rounds, rows, table, ones, trees
):
    """Boost some tasks, one after another, each through all of its rounds.

    Parameters
    ----------
    member, n_members : int
        The calling member and its team. A team of one shares ``tasks`` with others
        through the queue; a larger team works on every task together.
    jobs : ndarray of JOB of shape (n_members,)
        With room for the largest of these tasks.
    queue : ndarray of int64 of shape (1,)
        INOUT, position in ``tasks`` of the next one to be taken.
    tasks : ndarray of int64
        The tasks.
    seed : uint64
        Decides all random choices.
    n_rounds : int
        Rounds of each task.
    rows : TaskRows
        ``raw`` is INOUT.
    table : ndarray of uint8 of shape (n_features, 256)
        Scratch of the team: the task's bin of each code.
    ones : ndarray of float64 of shape (1,)
        The constant 1.
    trees : TaskTrees
        OUT for these tasks.
    """
    job, position = jobs[member], np.int64(0)
    while True:
        if n_members == 1:
            position = take_ticket(queue)
        if position >= tasks.size:
            break
        task = tasks[position]
        _boost_task(jobs, job, task, mix(seed, task), n_rounds, rows, table, ones, trees)
        wait(job)
        position += 1


@part
def _boost_task(jobs, job, task, seed, n_rounds, rows, table, ones, trees):
    start, stop = rows.offsets[task], rows.offsets[task + 1]
    _take_rows(job, start, stop, rows, table)
    raw = array_of(job, "raw")
    n_outputs, n_nodes = raw.shape[0], 2 * trees.n_leaves[task] - 1
    n_sets = max(1, trees.n_leaves[task] - 1)
    _validate(job, task, 0, start, stop, rows, trees)
    for done in range(n_rounds):
        node = trees.node_starts[task] + done * n_outputs * n_nodes
        one_set = trees.set_starts[task] + done * n_outputs * n_sets
        buffer = TreeBuffer(
            trees.nodes[node : node + n_outputs * n_nodes].reshape(n_outputs, n_nodes),
            trees.sets[one_set : one_set + n_outputs * n_sets].reshape(
                n_outputs, n_sets, SET_WORDS
            ),
            trees.sizes[task, done * n_outputs : (done + 1) * n_outputs],
        )
        compute_gradients(job)
        boost_ensemble(job["member"], job["n_members"], jobs, mix(seed, done), ones, buffer, raw)
        if job["member"] == 0:
            _to_common_codes(buffer, table)
        _validate(job, task, done + 1, start, stop, rows, trees)
        wait(job)
    first, last = share(0, stop - start, job["member"], job["n_members"])
    for k in range(n_outputs):
        for i in range(first, last):
            rows.raw[k, start + i] = raw[k, i]


@inner
def _validate(job, task, done, start, stop, rows, trees):
    """Note the loss of the task's validation rows, if there are any."""
    if job["member"] == 0 and rows.validation_weight.size > 0:
        trees.validation_loss[task, done] = sum_losses(
            0,
            stop - start,
            job["loss"],
            job["loss_parameter"],
            rows.y[start:stop],
            rows.validation_weight[start:stop],
            array_of(job, "raw"),
        )


@part
def _take_rows(job, start, stop, rows, table):
    """Copy a task's rows to the job, with bins of their own."""
    job["n_rows"] = stop - start
    job["missing_code"] = _choose_bins(job, start, stop, rows, table)
    _copy_codes(job, start, rows, table)
    y, weight, raw = array_of(job, "y"), array_of(job, "weight"), array_of(job, "raw")
    first, last = share(start, stop, job["member"], job["n_members"])
    for i in range(first, last):
        y[i - start], weight[i - start] = rows.y[i], rows.weight[i]
        for k in range(raw.shape[0]):
            raw[k, i - start] = rows.raw[k, i]
    total = 0
    for i in range(start, stop):
        total += np.int64(np.rint(rows.weight[i] * job["weight_scale"]))
    job["weight_bits"] = bit_length(total)
    wait(job)


@inner
def _choose_bins(job, start, stop, rows, table):
    """Give the task bins of its own, return its code of missing values."""
    n_bins, categorical, thresholds = (
        array_of(job, "n_bins"),
        array_of(job, "categorical"),
        array_of(job, "thresholds"),
    )
    bin_weight = array_of(job, "sort_keys")[job["member"]]
    first, last = share(0, n_bins.size, job["member"], job["n_members"])
    for feature in range(first, last):
        column = rows.column_codes[feature]
        for code in range(bin_weight.size):
            bin_weight[code] = 0.0
        for i in range(start, stop):
            bin_weight[column[i]] += rows.weight[i]
        n_bins[feature] = _merge_bins(
            bin_weight[: rows.n_bins[feature]],
            ABSENT if categorical[feature] else TASK_BINS,
            categorical[feature],
            rows.thresholds[feature],
            table[feature],
            thresholds[feature],
        )
    wait(job)
    missing_code = 1
    for feature in range(n_bins.size):
        missing_code = max(missing_code, np.int64(n_bins[feature]))
    return missing_code


@inner
def _merge_bins(bin_weight, limit, is_category, thresholds, table, own_thresholds):
    """Merge the bins of a feature to at most ``limit``, return how many are left.

    Bins without rows disappear. A numerical threshold lies in the middle, counted in
    bins, of the gap that it divides.
    """
    n_used, total = 0, 0.0
    for code in range(bin_weight.size):
        n_used += bin_weight[code] > 0.0
        total += bin_weight[code]
    for code in range(table.size):
        table[code] = ABSENT
    own, below, last = -1, 0.0, -1
    for code in range(bin_weight.size):
        if bin_weight[code] == 0.0:
            continue
        if own < 0 or n_used <= limit or below * limit >= (own + 1) * total * (1.0 - 1e-12):
            if own >= 0 and not is_category:
                middle = (last + code - 1) // 2
                own_thresholds[own] = thresholds[middle]
                for between in range(last + 1, middle + 1):
                    table[between] = own
            own += 1
        table[code] = own
        below += bin_weight[code]
        last = code
    own_thresholds[max(own, 0)] = np.inf
    if not is_category:
        _fill_gaps(bin_weight.size, max(own, 0), table)
    return max(own + 1, 1)


@inner
def _fill_gaps(n_codes, last_own, table):
    """Give codes without rows the bin of the next code that has some, or the last bin."""
    own = last_own
    for code in range(n_codes - 1, -1, -1):
        if table[code] == ABSENT:
            table[code] = own
        own = np.int64(table[code])


@inner
def _copy_codes(job, start, rows, table):
    row_codes, column_codes, n_bins = (
        array_of(job, "row_codes"),
        array_of(job, "column_codes"),
        array_of(job, "n_bins"),
    )
    first, last = share(0, n_bins.size, job["member"], job["n_members"])
    for feature in range(first, last):
        source, target = rows.column_codes[feature], column_codes[feature]
        for i in range(target.size):
            code = np.int64(source[start + i])
            own_code = np.int64(table[feature, code])
            if code >= rows.n_bins[feature] or own_code >= n_bins[feature]:
                own_code = job["missing_code"]
            target[i] = own_code
            row_codes[i, feature] = own_code


@inner
def _to_common_codes(buffer, table):
    """Translate the sets of categories of new trees from the task's codes to common ones."""
    for output in range(buffer.sizes.shape[0]):
        for position in range(buffer.sizes[output, 0]):
            node = buffer.nodes[output, position]
            if node["category_set"] < 0:
                continue
            own = buffer.category_sets[output, node["category_set"]]
            word_0, word_1, word_2, word_3 = own[0], own[1], own[2], own[3]
            words = (word_0, word_1, word_2, word_3)
            for word in range(SET_WORDS):
                own[word] = 0
            for code in range(table.shape[1]):
                own_code = np.int64(table[node["feature"], code])
                known = own_code != ABSENT
                left = node["missing_left"] > 0
                if known:
                    left = in_set(words, own_code)
                if left:
                    own[code >> 6] |= np.uint64(1) << np.uint64(code & 63)


@kernel
def compact_trees(tasks, n_rounds, n_outputs, trees, nodes, sets, tree_starts, set_starts):
    """Copy the first rounds of some tasks' trees to arrays without gaps.

    Parameters
    ----------
    tasks : ndarray of int64
        The tasks, in the order in which their trees are stored.
    n_rounds : ndarray of int64 of shape (n_tasks,)
        Rounds to keep of each task.
    n_outputs : int
        Trees per round.
    trees : TaskTrees
    nodes, sets, tree_starts, set_starts
        OUT, as in :class:`~rmtgb.tree.ensemble.Ensemble`.
    """
    tree = 0
    for task in tasks:
        n_nodes = 2 * trees.n_leaves[task] - 1
        n_sets = max(1, trees.n_leaves[task] - 1)
        for j in range(n_rounds[task] * n_outputs):
            from_node = trees.node_starts[task] + j * n_nodes
            from_set = trees.set_starts[task] + j * n_sets
            for i in range(trees.sizes[task, j, 0]):
                nodes[tree_starts[tree] + i] = trees.nodes[from_node + i]
            for i in range(trees.sizes[task, j, 1]):
                for word in range(SET_WORDS):
                    sets[set_starts[tree] + i, word] = trees.sets[from_set + i, word]
            tree_starts[tree + 1] = tree_starts[tree] + trees.sizes[task, j, 0]
            set_starts[tree + 1] = set_starts[tree] + trees.sizes[task, j, 1]
            tree += 1
