"""From values to bin codes."""

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, Int, IntArray
from rmtgb.engine.jit import inner, kernel
from rmtgb.engine.random import mix
from rmtgb.engine.record import Array

#: Values whose bins are searched side by side, in vectors where the processor has them.
GROUP = 64


@inner
def first_step(n_thresholds: Int) -> Int:
    """Return the largest power of two that is at most a number of thresholds, or 0."""
    step = np.uint64(0)
    while n_thresholds > 0:
        step = max(np.uint64(1), step << np.uint64(1))
        n_thresholds >>= 1
    return step


@inner
def _find_bins(values: Array, thresholds: Array, step: Int, bins: Array) -> None:
    """Count the thresholds below each value, by a search without branches.

    Parameters
    ----------
    values : ndarray of float64 of shape (n,)
        The result for NaN is 0.
    thresholds : ndarray of float64 of shape (>= 2 * step - 1,)
        In ascending order, filled up with infinity.
    step : uint64
        A power of two, more than half the number of thresholds; 0 if there are none.
    bins : ndarray of uint64 of shape (>= n,)
        OUT.
    """
    for k in range(np.uint64(values.size)):
        bins[k] = 0
    while step > 0:
        for k in range(np.uint64(values.size)):
            above = np.uint64(thresholds[bins[k] + step - np.uint64(1)] < values[k])
            bins[k] += above * step
        step >>= np.uint64(1)


@kernel
def bin_rows(
    X: FloatArray,
    positions: IntArray,
    thresholds: FloatArray,
    n_bins: NDArray[np.int32],
    categorical: NDArray[np.uint8],
    missing_code: Int,
    bins: NDArray[np.uint64],
    row_codes: NDArray[np.uint8],
    column_codes: NDArray[np.uint8],
) -> None:
    """Write the bin codes of a block of rows.

    Parameters
    ----------
    X : ndarray of float64 of shape (n_features, m), C order
        Values; categories are numbered 0, 1, ...; NaN is missing.
    positions : ndarray of int64 of shape (m,)
        Where each row goes.
    thresholds, n_bins, categorical, missing_code
        As in :class:`~rmtgb.tree.records.BinnedFeatures`.
    bins : ndarray of uint64 of shape (GROUP,)
        Scratch.
    row_codes, column_codes : ndarray of uint8
        OUT, shapes (n_rows, n_features) and (n_features, n_rows).
    """
    for feature in range(X.shape[0]):
        edges, step = thresholds[feature], first_step(n_bins[feature] - 1)
        column, is_category = column_codes[feature], categorical[feature]
        for start in range(0, X.shape[1], GROUP):
            values = X[feature, start : start + GROUP]
            if not is_category:
                _find_bins(values, edges, step, bins)
            for k in range(values.size):
                code = np.uint64(missing_code)
                if not np.isnan(values[k]):
                    code = np.uint64(values[k]) if is_category else bins[k]
                column[positions[start + k]] = code
                row_codes[positions[start + k], feature] = code


@kernel
def hash_columns(X: IntArray, positions: IntArray, hashes: NDArray[np.uint64]) -> None:
    """Mix the bits of values X (n_features, m) into the hashes, INOUT, of rows at positions."""
    for feature in range(X.shape[0]):
        for i in range(X.shape[1]):
            row = positions[i]
            hashes[row] = mix(hashes[row], X[feature, i])
