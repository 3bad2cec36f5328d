"""Hashes of what rows contain: chance that does not depend on where a row stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import BoolArray, Int, IntArray
from rmtgb.engine.jit import kernel
from rmtgb.engine.random import mix


@kernel
def hash_rows(
    row_codes: NDArray[np.uint8],
    y_bits: IntArray,
    seed: Int,
    hashes: NDArray[np.uint64],
) -> None:
    """Write a hash of each row's bin codes and target.

    Parameters
    ----------
    row_codes : ndarray of uint8 of shape (n_rows, n_features)
    y_bits : ndarray of int64 of shape (n_rows,)
    seed : uint64
    hashes : ndarray of uint64 of shape (n_rows,)
        OUT.
    """
    for i in range(hashes.size):
        state = mix(seed, y_bits[i])
        for feature in range(row_codes.shape[1]):
            state = mix(state, np.int64(row_codes[i, feature]))
        hashes[i] = state


def sort_within_tasks(
    task_codes: NDArray[np.int32], hashes: NDArray[np.uint64]
) -> tuple[IntArray, BoolArray]:
    """Return the order by task and hash, and where a new hash or task starts in it."""
    order = np.lexsort((hashes, task_codes))
    hashes, task = hashes[order], task_codes[order]
    return order, np.r_[True, (hashes[1:] != hashes[:-1]) | (task[1:] != task[:-1])]
