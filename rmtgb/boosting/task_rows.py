"""Kernels of stage 3: a task's rows, copied out and binned for themselves, and given back."""

import numpy as np

from rmtgb.engine.jit import inner, part
from rmtgb.engine.team import share
from rmtgb.tree.dtypes import SET_WORDS, STANDARDIZED
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import bit_length
from rmtgb.tree.kernels.splitting import in_set

#: Bytes of a standardised value.
VALUE_BYTES = np.uint64(np.dtype(STANDARDIZED).itemsize)

#: Marks codes that no row of the task has.
ABSENT = 255


@part
def take_rows(job, source, task):
    """Copy a task's rows to the job, with bins of their own.

    Parameters
    ----------
    job : JOB record
        With room for them; OUT.
    source : JOB record
        Where all rows are, those of a task next to each other.
    task : int
    """
    offsets = array_of(source, "offsets")
    start, stop = offsets[task], offsets[task + 1]
    job["n_rows"] = stop - start
    job["n_hessians"] = job["n_rows"] if job["n_words"] > 1 else 0
    job["n_validation"] = job["n_rows"] if source["n_validation"] > 0 else 0
    if job["linear_leaves"]:  # values need no copy, for rows of a task lie together
        job["n_linear_rows"] = job["n_rows"]
        job["standardized"] = source["standardized"] + _size_of_values(job, start)
    job["missing_code"] = _choose_bins(job, source, task)
    job["row_words"] = (job["missing_code"] + 1) * job["n_words"]
    _copy_codes(job, source, start)
    y, weight, raw = array_of(job, "y"), array_of(job, "weight"), array_of(job, "raw")
    all_y, all_weight = array_of(source, "y"), array_of(source, "weight")
    validation, all_validation = (
        array_of(job, "validation_weight"),
        array_of(source, "validation_weight"),
    )
    all_raw, own_offsets = array_of(source, "raw"), array_of(job, "offsets")
    own_offsets[0], own_offsets[1] = 0, job["n_rows"]
    first, last = share(start, stop, job["member"], job["n_members"])
    for i in range(first, last):
        y[i - start], weight[i - start] = all_y[i], all_weight[i]
        for k in range(raw.shape[0]):
            raw[k, i - start] = all_raw[k, i]
        if validation.size > 0:
            validation[i - start] = all_validation[i]
    total = 0
    for i in range(start, stop):
        total += np.int64(np.rint(all_weight[i] * job["weight_scale"]))
    job["weight_bits"] = bit_length(total)
    wait(job)


@inner
def _size_of_values(job, n_rows):
    """Return the bytes of the standardised values of some rows."""
    return np.uint64(n_rows) * np.uint64(job["n_features"]) * VALUE_BYTES


@inner
def give_back_rows(job, source, task):
    """Copy the raw prediction of a task's rows to where it came from."""
    raw, all_raw = array_of(job, "raw"), array_of(source, "raw")
    start = array_of(source, "offsets")[task]
    first, last = share(0, job["n_rows"], job["member"], job["n_members"])
    for k in range(raw.shape[0]):
        for i in range(first, last):
            all_raw[k, start + i] = raw[k, i]


@inner
def _choose_bins(job, source, task):
    """Give the task bins of its own, return its code of missing values."""
    start, stop = array_of(source, "offsets")[task], array_of(source, "offsets")[task + 1]
    limit = array_of(job, "bin_limits")[task]
    n_bins, categorical = array_of(job, "n_bins"), array_of(job, "categorical")
    thresholds, task_bins = array_of(job, "thresholds"), array_of(job, "task_bins")
    all_codes, all_weight = array_of(source, "column_codes"), array_of(source, "weight")
    all_n_bins, all_thresholds = array_of(source, "n_bins"), array_of(source, "thresholds")
    bin_weight = array_of(job, "scan_keys")[job["member"]]
    first, last = share(0, n_bins.size, job["member"], job["n_members"])
    for feature in range(first, last):
        column = all_codes[feature]
        for code in range(bin_weight.size):
            bin_weight[code] = 0.0
        for i in range(start, stop):
            bin_weight[column[i]] += all_weight[i]
        n_bins[feature] = _merge_bins(
            bin_weight[: all_n_bins[feature]],
            ABSENT if categorical[feature] else limit,
            categorical[feature],
            all_thresholds[feature],
            task_bins[feature],
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
def _copy_codes(job, source, start):
    """Copy the task's rows of codes, as codes of its own bins."""
    row_codes, column_codes = array_of(job, "row_codes"), array_of(job, "column_codes")
    n_bins, task_bins = array_of(job, "n_bins"), array_of(job, "task_bins")
    all_codes, all_n_bins = array_of(source, "column_codes"), array_of(source, "n_bins")
    first, last = share(0, n_bins.size, job["member"], job["n_members"])
    for feature in range(first, last):
        column, own_column = all_codes[feature], column_codes[feature]
        for i in range(own_column.size):
            code = np.int64(column[start + i])
            own_code = np.int64(task_bins[feature, code])
            if code >= all_n_bins[feature] or own_code >= n_bins[feature]:
                own_code = job["missing_code"]
            own_column[i] = own_code
            row_codes[i, feature] = own_code


@inner
def to_common_codes(job, nodes, category_sets):
    """Translate the sets of categories of a new tree from the task's codes to common ones."""
    task_bins = array_of(job, "task_bins")
    for position in range(nodes.size):
        node = nodes[position]
        if node["category_set"] < 0:
            continue
        own = category_sets[node["category_set"]]
        words = (own[0], own[1], own[2], own[3])
        for word in range(SET_WORDS):
            own[word] = 0
        for code in range(task_bins.shape[1]):
            own_code = np.int64(task_bins[node["feature"], code])
            left = node["missing_left"] > 0
            if own_code != ABSENT:
                left = in_set(words, own_code)
            if left:
                own[code >> 6] |= np.uint64(1) << np.uint64(code & 63)
