"""The target column."""

import numpy as np
import pandas as pd
from sklearn.utils import assert_all_finite, column_or_1d


def read_target(y, name, dtype=None):
    """Return a target column without gaps.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        A column of shape (n_samples, 1) is taken with a ``DataConversionWarning``.
    name : str
        What to call it in messages.
    dtype : dtype, optional
        What to convert it to; by default it is not converted.

    Returns
    -------
    ndarray of shape (n_samples,)
        May share memory with y.

    Raises
    ------
    ValueError
        If there are several columns, or a value is missing, infinite or of another type.
    """
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {shape} instead. Several targets "
            "are not supported yet: stack them as tasks, one row per sample and target, and "
            "name the task column by task_feature."
        )
    y = column_or_1d(y, warn=True)
    missing = np.flatnonzero(pd.isna(y))
    if missing.size:
        raise ValueError(
            f"Input {name} contains NaN or another missing value in {missing.size} of {y.size} "
            f"rows (first: row {missing[0]}). Several targets with missing labels are not "
            f"supported yet: drop the rows without a label, as in X[~isnan({name})]."
        )
    y = y if dtype is None else y.astype(dtype, copy=False)
    if y.dtype.kind == "f":
        assert_all_finite(y, input_name=name)
    return y
