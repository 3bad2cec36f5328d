"""Sums of rows by task, feature and group: what evidence of outlier tasks is made of."""

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, Int
from rmtgb.engine.jit import kernel


@kernel
def sum_profiles(
    member: Int,
    n_members: Int,
    column_codes: NDArray[np.uint8],
    groups: NDArray[np.uint8],
    task_codes: NDArray[np.int32],
    values: FloatArray,
    sums: FloatArray,
) -> None:
    """Sum values by task, feature and group of bins; members share the features.

    Parameters
    ----------
    column_codes : ndarray of uint8 of shape (n_features, n_rows)
    groups : ndarray of uint8 of shape (n_features, 256)
        Group of each code.
    task_codes : ndarray of int32 of shape (n_rows,)
    values : ndarray of float64 of shape (n_outputs, n_rows)
    sums : ndarray of float64 of shape (n_tasks, n_outputs, n_features, n_groups)
        INOUT, added to.
    """
    for feature in range(member, groups.shape[0], n_members):
        column, group = column_codes[feature], groups[feature]
        for k in range(values.shape[0]):
            for i in range(task_codes.size):
                sums[task_codes[i], k, feature, np.int64(group[column[i]])] += values[k, i]
