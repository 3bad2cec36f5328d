"""Moving the rows of a split leaf to its two children, in two steps."""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner
from rmtgb.engine.record import Array, array_of
from rmtgb.engine.team import share
from rmtgb.tree.kernels.category_sets import in_set


@inner
def _fill_goes_left(split: Any, codes_left: Array, missing_code: Int, goes_left: Array) -> None:
    """Tabulate the split by code: numerical, categorical and missing alike."""
    for code in range(missing_code + 1):
        if split["categorical"]:
            goes_left[code] = in_set(codes_left, code)
        else:
            goes_left[code] = code <= split["bin"]
    goes_left[missing_code] = split["missing_left"]


@inner
def divide_share(grow: Any, leaf: Any, split: Any, codes_left: Array) -> None:
    """Divide a member's share of a leaf's rows into left ones and right ones.

    The left rows are written to the front of the share's part of ``buffer``, the
    right ones, backwards, to its end; ``left_counts[member]`` is the number of the
    former. Both ends are written for every row and only one of them advances, which
    avoids a branch that no processor can predict.
    """
    start, stop = share(leaf["start"], leaf["stop"], grow["member"], grow["n_members"])
    goes_left = array_of(grow, "goes_left")[grow["member"]]
    _fill_goes_left(split, codes_left, grow["missing_code"], goes_left)
    column = array_of(grow, "column_codes")[split["feature"]]
    order, buffer = array_of(grow, "order"), array_of(grow, "buffer")
    front, back = start, stop - 1
    for i in range(start, stop):
        row = order[i]
        left: Int = np.int64(goes_left[column[row]])
        buffer[front] = row
        buffer[back] = row
        front += left
        back += left - 1
    array_of(grow, "left_counts")[grow["member"]] = front - start


@inner
def collect_share(grow: Any, leaf: Any) -> Int:
    """Copy a member's divided rows to their final places; order is kept within a side.

    Returns
    -------
    int
        Where the right child starts, the same in every member.
    """
    counts = array_of(grow, "left_counts")
    start, stop = share(leaf["start"], leaf["stop"], grow["member"], grow["n_members"])
    left_before, middle = 0, leaf["start"]
    for member in range(grow["n_members"]):
        middle += counts[member]
        left_before += counts[member] if member < grow["member"] else 0
    left_to = leaf["start"] + left_before
    right_to = middle + (start - leaf["start"]) - left_before
    n_left = counts[grow["member"]]
    order, buffer = array_of(grow, "order"), array_of(grow, "buffer")
    for i in range(n_left):
        order[left_to + i] = buffer[start + i]
    for i in range(stop - start - n_left):
        order[right_to + i] = buffer[stop - 1 - i]
    return middle
