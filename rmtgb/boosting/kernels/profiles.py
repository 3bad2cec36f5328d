"""Residual profiles of tasks: what the start of the outlier gate compares."""

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, Int
from rmtgb.engine.jit import inner, kernel

#: Quantile groups in which a task's residuals are compared with the other tasks'.
PROFILE_GROUPS = 8


@inner
def _group(code: Int, n_bins: Int) -> Int:
    return min(code * PROFILE_GROUPS // n_bins, PROFILE_GROUPS)


@kernel
def sum_profiles(
    member: Int,
    n_members: Int,
    column_codes: NDArray[np.uint8],
    n_bins: NDArray[np.int32],
    task_codes: NDArray[np.int32],
    gradient: FloatArray,
    hessian: FloatArray,
    sums: FloatArray,
    information: FloatArray,
) -> None:
    """Sum gradients and hessians by task, feature and group of bins; members share the features.

    Parameters
    ----------
    column_codes : ndarray of uint8 of shape (n_features, n_rows)
    n_bins : ndarray of int32 of shape (n_features,)
    task_codes : ndarray of int32 of shape (n_rows,)
    gradient, hessian : ndarray of float64 of shape (n_outputs, n_rows)
    sums, information : ndarray of float64 of shape (n_tasks, n_outputs, n_features, groups)
        INOUT, added to.
    """
    for feature in range(member, n_bins.size, n_members):
        column = column_codes[feature]
        for k in range(gradient.shape[0]):
            for i in range(task_codes.size):
                group = _group(np.int64(column[i]), n_bins[feature])
                sums[task_codes[i], k, feature, group] += gradient[k, i]
                information[task_codes[i], k, feature, group] += hessian[k, i]
