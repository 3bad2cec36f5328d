"""Moving the rows of a split leaf to its two children, in two steps."""

import numpy as np

from rmtgb.engine.jit import inner
from rmtgb.engine.team import share
from rmtgb.tree.kernels.memory import array_of
from rmtgb.tree.kernels.splitting import in_set


@inner
def _fill_goes_left(split, codes_left, missing_code, goes_left):
    """Tabulate the split by code: numerical, categorical and missing alike."""
    for code in range(missing_code + 1):
        if split["categorical"]:
            goes_left[code] = in_set(codes_left, code)
        else:
            goes_left[code] = code <= split["bin"]
    goes_left[missing_code] = split["missing_left"]


@inner
def divide_share(job, leaf, split, codes_left):
    """Divide a member's share of a leaf's rows into left ones and right ones.

    The left rows are written to the front of the share's part of ``buffer``, the
    right ones, backwards, to its end; ``left_counts[member]`` is the number of the
    former. Both ends are written for every row and only one of them advances, which
    avoids a branch that no processor can predict.
    """
    start, stop = share(leaf["start"], leaf["stop"], job["member"], job["n_members"])
    goes_left = array_of(job, "goes_left")[job["member"]]
    _fill_goes_left(split, codes_left, job["missing_code"], goes_left)
    column = array_of(job, "column_codes")[split["feature"]]
    order, buffer = array_of(job, "order"), array_of(job, "buffer")
    front, back = start, stop - 1
    for i in range(start, stop):
        row = order[i]
        left = np.int64(goes_left[column[row]])
        buffer[front] = row
        buffer[back] = row
        front += left
        back += left - 1
    array_of(job, "left_counts")[job["member"]] = front - start


@inner
def collect_share(job, leaf):
    """Copy a member's divided rows to their final places; order is kept within a side.

    Returns
    -------
    int
        Where the right child starts, the same in every member.
    """
    counts = array_of(job, "left_counts")
    start, stop = share(leaf["start"], leaf["stop"], job["member"], job["n_members"])
    left_before, middle = 0, leaf["start"]
    for member in range(job["n_members"]):
        middle += counts[member]
        left_before += counts[member] if member < job["member"] else 0
    left_to = leaf["start"] + left_before
    right_to = middle + (start - leaf["start"]) - left_before
    n_left = counts[job["member"]]
    order, buffer = array_of(job, "order"), array_of(job, "buffer")
    for i in range(n_left):
        order[left_to + i] = buffer[start + i]
    for i in range(stop - start - n_left):
        order[right_to + i] = buffer[stop - 1 - i]
    return middle
