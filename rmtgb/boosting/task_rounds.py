"""Kernels of stage 3: a task's whole boosting in one call."""

from typing import NamedTuple

import numpy as np

from rmtgb._jit import inner, kernel
from rmtgb._team import barrier, share, take_ticket
from rmtgb.boosting.rounds import BoostData, boost_ensemble
from rmtgb.losses.pointwise import fill_gradients, sum_losses
from rmtgb.tree.dtypes import SET_WORDS, BinnedView, RowInfo, TreeBuffer
from rmtgb.tree.kernels.packing import bit_length
from rmtgb.tree.kernels.random import mix
from rmtgb.tree.kernels.splitting import in_set

#: Bins of a numerical feature within a task: scanning more costs more than its rows.
TASK_BINS = 64

#: Marks codes that no row of the task has.
ABSENT = 255


class TaskData(NamedTuple):
    """All rows, those of a task next to each other; K outputs, n rows, T tasks.

    ``data`` BoostData of all rows; ``offsets`` (T + 1,) int64, where the rows of each task
    start; ``validation_weight`` (n,) float64, or (0,) without validation rows.
    """

    data: BoostData
    offsets: np.ndarray
    validation_weight: np.ndarray


class TaskLimits(NamedTuple):
    """How long a task is boosted: rounds at most, and rounds without improvement."""

    n_rounds: int
    patience: int
    tolerance: float


class TaskBuffers(NamedTuple):
    """Room for the largest task of a team: its codes, predictions and derivatives.

    With m rows, F features and K outputs: ``row_codes``, ``column_codes`` (m * F,) uint8;
    ``raw``, ``gradient``, ``hessian`` (K * m,) float64; ``scratch`` (4 * m,) float64 or
    (0,); ``no_task`` (m,) int32 zeros; ``table`` (F, 256) uint8, the task's bin of each
    code; ``bin_weight`` (members, 256) float64; ``n_bins`` (F,) int32; ``thresholds``
    (F, 257) float64.
    """

    row_codes: np.ndarray
    column_codes: np.ndarray
    raw: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    scratch: np.ndarray
    no_task: np.ndarray
    table: np.ndarray
    bin_weight: np.ndarray
    n_bins: np.ndarray
    thresholds: np.ndarray


class TaskTrees(NamedTuple):
    """Where the trees of all tasks are written, and how they fared.

    ``nodes`` (N,) TREE_NODE and ``sets`` (S, 4) uint64, each task from
    ``node_starts[task]`` (T,) and ``set_starts[task]`` (T,) on, with ``n_leaves`` (T,)
    int64 bounding a tree; ``sizes`` (T, R * K, 2) int32; ``n_rounds`` (T,) int64 rounds
    grown; ``validation_loss`` (T, R + 1) float64, or (T, 0) without validation rows.
    """

    nodes: np.ndarray
    sets: np.ndarray
    node_starts: np.ndarray
    set_starts: np.ndarray
    n_leaves: np.ndarray
    sizes: np.ndarray
    n_rounds: np.ndarray
    validation_loss: np.ndarray


@kernel
def boost_tasks(
    member, n_members, queue, tasks, seed, task_data, limits, n_words, params, coefficient,
    workspace, buffers, trees,
):
    """Boost some tasks, one after another, each through all of its rounds.

    Parameters
    ----------
    member, n_members : int
        The calling member and its team. A team of one shares ``tasks`` with others
        through the queue; a larger team works on every task together.
    queue : ndarray of int64 of shape (1,)
        INOUT, position in ``tasks`` of the next one to be taken.
    tasks : ndarray of int64
        The tasks.
    seed : uint64
        Decides all random choices.
    task_data : TaskData
        ``data.raw`` is INOUT.
    limits : TaskLimits
    n_words : int
        Packed words per row.
    params : GrowthParams
    coefficient : ndarray of float64 of shape (1,)
        The constant 1.
    workspace : Workspace
    buffers : TaskBuffers
    trees : TaskTrees
        OUT for these tasks.
    """
    position = np.int64(0)
    while True:
        if n_members == 1:
            position = take_ticket(queue)
        if position >= tasks.size:
            break
        task = tasks[position]
        _boost_task(
            member, n_members, task, mix(seed, task), task_data, limits, n_words, params,
            coefficient, workspace, buffers, trees,
        )
        position += 1


@inner
def _boost_task(
    member, n_members, task, seed, task_data, limits, n_words, params, coefficient, workspace,
    buffers, trees,
):
    start, stop = task_data.offsets[task], task_data.offsets[task + 1]
    data = _own_data(member, n_members, start, stop, task_data, buffers, workspace.arrivals)
    raw, everything = data.raw, task_data.data
    n_outputs, n_rows, n_nodes = raw.shape[0], stop - start, 2 * trees.n_leaves[task] - 1
    n_sets = max(1, trees.n_leaves[task] - 1)
    first, last = share(0, n_rows, member, n_members)
    for k in range(n_outputs):
        for i in range(first, last):
            raw[k, i] = everything.raw[k, start + i]
    barrier(member, n_members, workspace.arrivals)
    best = _validate(member, task, 0, start, stop, task_data, raw, trees)
    best_round, done = 0, 0
    while done < limits.n_rounds and done - best_round < limits.patience:
        fill_gradients(
            first, last, data.loss.code, data.loss.parameter, data.y, data.rows.weight, raw,
            data.gradient, data.hessian,
        )
        barrier(member, n_members, workspace.arrivals)
        node = trees.node_starts[task] + done * n_outputs * n_nodes
        one_set = trees.set_starts[task] + done * n_outputs * n_sets
        buffer = TreeBuffer(
            trees.nodes[node : node + n_outputs * n_nodes].reshape(n_outputs, n_nodes),
            trees.sets[one_set : one_set + n_outputs * n_sets].reshape(
                n_outputs, n_sets, SET_WORDS
            ),
            trees.sizes[task, done * n_outputs : (done + 1) * n_outputs],
        )
        boost_ensemble(
            member, n_members, mix(seed, done), data, coefficient, n_words, params, workspace,
            buffer, raw,
        )
        if member == 0:
            _to_common_codes(buffer, buffers.table)
        done += 1
        loss = _validate(member, task, done, start, stop, task_data, raw, trees)
        barrier(member, n_members, workspace.arrivals)
        if loss < best - limits.tolerance * abs(best):
            best, best_round = loss, done
        elif task_data.validation_weight.size == 0:
            best_round = done
    for k in range(n_outputs):
        for i in range(first, last):
            everything.raw[k, start + i] = raw[k, i]
    if member == 0:
        trees.n_rounds[task] = done
    barrier(member, n_members, workspace.arrivals)


@inner
def _validate(member, task, done, start, stop, task_data, raw, trees):
    """Return the loss of the task's validation rows, 0 where there are none."""
    if task_data.validation_weight.size == 0:
        return 0.0
    loss = sum_losses(
        0, stop - start, task_data.data.loss.code, task_data.data.loss.parameter,
        task_data.data.y[start:stop], task_data.validation_weight[start:stop], raw,
    )
    if member == 0:
        trees.validation_loss[task, done] = loss
    return loss


@inner
def _own_data(member, n_members, start, stop, task_data, buffers, arrivals):
    """Copy a task's rows to buffers of their own, with bins of their own."""
    everything = task_data.data
    binned, rows, n_rows = everything.binned, everything.rows, stop - start
    n_outputs, n_features = everything.raw.shape[0], binned.n_bins.size
    size = n_rows * n_features
    own = BinnedView(
        buffers.row_codes[:size].reshape(n_rows, n_features),
        buffers.column_codes[:size].reshape(n_features, n_rows),
        buffers.n_bins,
        binned.categorical,
        buffers.thresholds,
        _choose_bins(member, n_members, start, stop, everything, buffers, arrivals),
    )
    _copy_codes(member, n_members, start, binned, own, buffers.table)
    total = 0
    for i in range(start, stop):
        total += np.int64(np.rint(rows.weight[i] * rows.weight_scale))
    own_rows = RowInfo(
        rows.weight[start:stop], buffers.no_task[:n_rows], rows.weight_scale, bit_length(total)
    )
    scratch = buffers.scratch[: 4 * min(n_rows, buffers.scratch.size // 4)]
    return BoostData(
        own,
        own_rows,
        everything.y[start:stop],
        everything.loss,
        buffers.raw[: n_outputs * n_rows].reshape(n_outputs, n_rows),
        buffers.gradient[: n_outputs * n_rows].reshape(n_outputs, n_rows),
        buffers.hessian[: n_outputs * n_rows].reshape(n_outputs, n_rows),
        scratch.reshape(4, scratch.size // 4),
    )


@inner
def _choose_bins(member, n_members, start, stop, everything, buffers, arrivals):
    """Give the task bins of its own, return its code of missing values."""
    binned, weight = everything.binned, everything.rows.weight
    bin_weight = buffers.bin_weight[member]
    first, last = share(0, binned.n_bins.size, member, n_members)
    for feature in range(first, last):
        column = binned.column_codes[feature]
        for code in range(bin_weight.size):
            bin_weight[code] = 0.0
        for i in range(start, stop):
            bin_weight[column[i]] += weight[i]
        limit = ABSENT if binned.categorical[feature] else TASK_BINS
        buffers.n_bins[feature] = _merge_bins(
            bin_weight[: binned.n_bins[feature]], limit, binned.categorical[feature],
            binned.thresholds[feature], buffers.table[feature], buffers.thresholds[feature],
        )
    barrier(member, n_members, arrivals)
    missing_code = 1
    for feature in range(binned.n_bins.size):
        missing_code = max(missing_code, buffers.n_bins[feature])
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
                for between in range(last + 1, code):
                    table[between] = own if between <= middle else own + 1
            own += 1
        table[code] = own
        below += bin_weight[code]
        last = code
    if not is_category:
        for code in range(last + 1, bin_weight.size):
            table[code] = max(own, 0)
        for code in range(bin_weight.size - 1, -1, -1):  # below and within merged bins
            if table[code] == ABSENT:
                table[code] = table[code + 1] if code + 1 < bin_weight.size else 0
    if own >= 0:
        own_thresholds[own] = np.inf
    return max(own + 1, 1)


@inner
def _copy_codes(member, n_members, start, binned, own, table):
    n_rows, n_features = own.row_codes.shape
    first, last = share(0, n_features, member, n_members)
    for feature in range(first, last):
        source, target = binned.column_codes[feature], own.column_codes[feature]
        for i in range(n_rows):
            code = np.int64(source[start + i])
            own_code = np.int64(table[feature, code])
            if code >= binned.n_bins[feature] or own_code >= own.n_bins[feature]:
                own_code = own.missing_code
            target[i] = own_code
            own.row_codes[i, feature] = own_code


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
