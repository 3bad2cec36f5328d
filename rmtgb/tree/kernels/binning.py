"""From values to bin codes."""

import numpy as np

from rmtgb._jit import inner, kernel


@inner
def find_bin(value, thresholds, first_step):
    """Return the number of thresholds below a value: a search without branches.

    Parameters
    ----------
    value : float
        Not NaN.
    thresholds : ndarray of float64 of shape (>= 2 * first_step - 1,)
        In ascending order, filled up with infinity.
    first_step : uint64
        A power of two, more than half the number of thresholds; 0 if there are none.
    """
    low, step = np.uint64(0), first_step
    while step > 0:
        low += np.uint64(thresholds[low + step - np.uint64(1)] < value) * step
        step >>= np.uint64(1)
    return low


@inner
def first_step(n_thresholds):
    """Return the largest power of two that is at most a number of thresholds, or 0."""
    step = np.uint64(0)
    while n_thresholds > 0:
        step = max(np.uint64(1), step << np.uint64(1))
        n_thresholds >>= 1
    return step


@kernel
def bin_rows(X, positions, thresholds, n_bins, categorical, missing_code, row_codes, column_codes):
    """Write the bin codes of a block of rows.

    Parameters
    ----------
    X : ndarray of float64 of shape (m, n_features), C order
        Values; categories are numbered 0, 1, ...; NaN is missing.
    positions : ndarray of int64 of shape (m,)
        Where each row goes.
    thresholds, n_bins, categorical, missing_code
        As in :class:`~rmtgb.tree.dtypes.BinnedFeatures`.
    row_codes, column_codes : ndarray of uint8
        OUT, shapes (n_rows, n_features) and (n_features, n_rows).
    """
    for feature in range(X.shape[1]):
        edges, step = thresholds[feature], first_step(n_bins[feature] - 1)
        column, is_category = column_codes[feature], categorical[feature]
        for i in range(X.shape[0]):
            value = X[i, feature]
            code = np.uint64(value) if is_category else find_bin(value, edges, step)
            if np.isnan(value):
                code = np.uint64(missing_code)
            column[positions[i]] = code
            row_codes[positions[i], feature] = code
