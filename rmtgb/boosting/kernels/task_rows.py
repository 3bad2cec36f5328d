"""Kernels of stage 3: a task's rows, copied out and binned for themselves, and given back."""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner, part
from rmtgb.engine.record import Array, array_of, wait
from rmtgb.engine.team import share
from rmtgb.tree.kernels.category_sets import in_set
from rmtgb.tree.kernels.growth import N_NODES
from rmtgb.tree.records import SET_WORDS, STANDARDIZED

#: Bytes of a standardised value.
VALUE_BYTES = np.uint64(np.dtype(STANDARDIZED).itemsize)

#: Marks codes that no row of the task has.
ABSENT = 255


@part
def take_rows(boost: Any, grow: Any, all_boost: Any, all_grow: Any, task: Int) -> None:
    """Copy a task's rows to where they are worked on, with bins of their own.

    Parameters
    ----------
    boost, grow : BOOST and GROW record
        With room for them; OUT.
    all_boost, all_grow : BOOST and GROW record
        Where all rows are, those of a task next to each other.
    task : Int
    """
    offsets = array_of(all_boost, "offsets")
    start, stop = offsets[task], offsets[task + 1]
    _set_sizes(boost, grow, all_boost, stop - start)
    grow["total_units"] = array_of(boost, "task_units")[task]
    if grow["linear_leaves"]:  # values need no copy, for rows of a task lie together
        row_bytes = np.uint64(grow["n_features"]) * VALUE_BYTES
        grow["standardized"] = all_grow["standardized"] + np.uint64(start) * row_bytes
    grow["missing_code"] = _choose_bins(boost, grow, all_boost, all_grow, task)
    grow["histogram_width"] = (grow["missing_code"] + 1) * grow["sum_words"]
    _copy_codes(boost, grow, all_grow, start)
    _copy_labels(boost, all_boost, start)
    wait(boost)


@inner
def _set_sizes(boost: Any, grow: Any, all_boost: Any, n_rows: Int) -> None:
    """Say how many rows there are now, in place of how many there is room for."""
    boost["n_rows"] = grow["n_rows"] = n_rows
    boost["n_hessians"] = n_rows if boost["n_hessians"] > 0 else 0
    boost["n_validation"] = n_rows if all_boost["n_validation"] > 0 else 0
    grow["n_linear_rows"] = n_rows if grow["linear_leaves"] else 0
    grow["n_residuals"] = n_rows if grow["leaf_quantile"] > 0.0 else 0


@inner
def _copy_labels(boost: Any, all_boost: Any, start: Int) -> None:
    """Copy a member's share of targets, weights and raw predictions."""
    y, weight, raw = array_of(boost, "y"), array_of(boost, "weight"), array_of(boost, "raw")
    all_y, all_weight = array_of(all_boost, "y"), array_of(all_boost, "weight")
    validation = array_of(boost, "validation_weight")
    all_validation = array_of(all_boost, "validation_weight")
    all_raw, own_offsets = array_of(all_boost, "raw"), array_of(boost, "offsets")
    own_offsets[0], own_offsets[1] = 0, boost["n_rows"]
    first, last = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    for i in range(first, last):
        y[i], weight[i] = all_y[start + i], all_weight[start + i]
        for k in range(raw.shape[0]):
            raw[k, i] = all_raw[k, start + i]
        if validation.size > 0:
            validation[i] = all_validation[start + i]


@inner
def give_back_rows(boost: Any, all_boost: Any, task: Int) -> None:
    """Copy the raw prediction of a task's rows to where it came from."""
    raw, all_raw = array_of(boost, "raw"), array_of(all_boost, "raw")
    start = array_of(all_boost, "offsets")[task]
    first, last = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    for k in range(raw.shape[0]):
        for i in range(first, last):
            all_raw[k, start + i] = raw[k, i]


@inner
def _choose_bins(boost: Any, grow: Any, all_boost: Any, all_grow: Any, task: Int) -> Int:
    """Give the task bins of its own, return its code of missing values."""
    offsets = array_of(all_boost, "offsets")
    start, stop = offsets[task], offsets[task + 1]
    limit, task_bins = array_of(boost, "bin_limits")[task], array_of(boost, "task_bins")
    n_bins, categorical = array_of(grow, "n_bins"), array_of(grow, "categorical")
    thresholds, all_thresholds = array_of(grow, "thresholds"), array_of(all_grow, "thresholds")
    all_codes, all_n_bins = array_of(all_grow, "column_codes"), array_of(all_grow, "n_bins")
    all_weight = array_of(all_boost, "weight")
    bin_weight = array_of(grow, "scan_keys")[grow["member"]]
    first, last = share(0, n_bins.size, grow["member"], grow["n_members"])
    for feature in range(first, last):
        column = all_codes[feature]
        for code in range(bin_weight.size):
            bin_weight[code] = 0.0
        for i in range(start, stop):
            bin_weight[column[i]] += all_weight[i]
        n_bins[feature] = merge_bins(
            bin_weight[: all_n_bins[feature]],
            ABSENT if categorical[feature] else limit,
            categorical[feature],
            all_thresholds[feature],
            task_bins[feature],
            thresholds[feature],
        )
    wait(boost)
    missing_code: Int = 1
    for feature in range(n_bins.size):
        missing_code = max(missing_code, np.int64(n_bins[feature]))
    return missing_code


@inner
def merge_bins(
    bin_weight: Array,
    limit: Int,
    is_category: Int,
    thresholds: Array,
    table: Array,
    own_thresholds: Array,
) -> Int:
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
        is_full = below * limit >= (own + 1) * total * (1.0 - 1e-12) and own + 1 < limit
        if own < 0 or n_used <= limit or is_full:
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
def _fill_gaps(n_codes: Int, last_own: Int, table: Array) -> None:
    """Give codes without rows the bin of the next code that has some, or the last bin."""
    own = last_own
    for code in range(n_codes - 1, -1, -1):
        if table[code] == ABSENT:
            table[code] = own
        own = np.int64(table[code])


@inner
def _copy_codes(boost: Any, grow: Any, all_grow: Any, start: Int) -> None:
    """Copy the task's rows of codes, as codes of its own bins."""
    row_codes, column_codes = array_of(grow, "row_codes"), array_of(grow, "column_codes")
    n_bins, task_bins = array_of(grow, "n_bins"), array_of(boost, "task_bins")
    all_codes, all_n_bins = array_of(all_grow, "column_codes"), array_of(all_grow, "n_bins")
    first, last = share(0, n_bins.size, grow["member"], grow["n_members"])
    for feature in range(first, last):
        column, own_column = all_codes[feature], column_codes[feature]
        for i in range(own_column.size):
            code = np.int64(column[start + i])
            own_code = np.int64(task_bins[feature, code])
            if code >= all_n_bins[feature] or own_code >= n_bins[feature]:
                own_code = grow["missing_code"]
            own_column[i] = own_code
            row_codes[i, feature] = own_code


@inner
def to_common_codes(boost: Any, grow: Any) -> None:
    """Translate the sets of categories of a new tree from the task's codes to common ones."""
    task_bins, nodes = array_of(boost, "task_bins"), array_of(grow, "nodes")
    category_sets = array_of(grow, "category_sets")
    for position in range(array_of(grow, "counts")[N_NODES]):
        node = nodes[position]
        if node["category_set"] < 0:
            continue
        own = category_sets[node["category_set"]]
        words: Any = (own[0], own[1], own[2], own[3])
        for word in range(SET_WORDS):
            own[word] = 0
        for code in range(task_bins.shape[1]):
            own_code = np.int64(task_bins[node["feature"], code])
            left = node["missing_left"] > 0
            if own_code != ABSENT:
                left = in_set(words, own_code)
            if left:
                own[code >> 6] |= np.uint64(1) << np.uint64(code & 63)
