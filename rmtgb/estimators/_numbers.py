"""Numerical features: what counts as a number, and what is said of everything else."""

import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import assert_all_finite, check_array

from rmtgb._common import FloatArray
from rmtgb.containers import as_array, as_frame, take_column

_KINDS = {"M": "dates", "m": "durations", "c": "complex numbers"}
_REMEDY = (
    "turn it into numbers (such as days since a date), name it in categorical_features, or leave "
    "it out"
)


def array_of_numbers(
    X: Any, names: Sequence[Any], estimator: Any
) -> NDArray[np.float32] | FloatArray:
    """Return a table of numerical features as floats.

    Parameters
    ----------
    X : ndarray or data frame of shape (n_samples, n_features)
        The columns of a frame are numeric or boolean.
    names : sequence
        How to call the features in messages.
    estimator : estimator
        Named in messages.

    Returns
    -------
    ndarray of float32 or float64 of shape (n_samples, n_features)
        NaN where a value is missing or masked. May share memory with X.

    Raises
    ------
    TypeError, ValueError
        If a value is no number, or infinite; the message names the column.
    """
    try:
        with np.errstate(invalid="ignore"):  # sums of large values of both signs, in search of NaN
            numbers: FloatArray = check_array(
                X if as_frame(X) is not None else _without_gaps(X),
                dtype=[np.float64, np.float32],
                ensure_all_finite="allow-nan",
                estimator=estimator,
                input_name="X",
            )
    except (TypeError, ValueError, OverflowError) as error:
        n_columns = np.shape(X)[1] if np.ndim(X) == 2 else 0
        for j in range(n_columns):
            problem = _problem(as_array(take_column(X, j)))
            if problem:
                raise _named(error, names[j], problem) from error
        raise
    return numbers


def column_of_numbers(column: NDArray[Any], name: Any) -> FloatArray:
    """Return a column of objects as floats.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        Of any dtype.
    name : object
        How to call it in messages.

    Returns
    -------
    ndarray of float64 of shape (n_samples,)
        NaN where a value is missing.

    Raises
    ------
    TypeError, ValueError
        If a value is no number, or infinite; the message names the column.
    """
    try:
        if column.dtype.kind == "c":  # numpy would leave the imaginary part out
            raise ValueError("Complex data not supported.")
        numbers = np.asarray(_without_gaps(column)).astype(np.float64)
        assert_all_finite(numbers, allow_nan=True, input_name="X")
    except (TypeError, ValueError, OverflowError) as error:
        raise _named(error, name, _problem(column) or "cannot be read as numbers") from error
    return numbers


def _without_gaps(values: NDArray[Any]) -> NDArray[Any]:
    """Return an array with NaN in place of what is masked, None, NA or NaT."""
    if values.dtype.kind in "mM":
        # numpy takes a date for the number of units since 1970, so for another in each unit
        raise ValueError(
            f"X holds {_KINDS[values.dtype.kind]} (dtype {values.dtype}), which are no numbers."
        )
    if np.ma.is_masked(values):
        dtype = object if values.dtype == object else np.float64
        values = np.ma.filled(values.astype(dtype), np.nan)
    if values.dtype == object:
        missing = pd.isna(values)
        return np.where(missing, np.nan, values) if np.any(missing) else values
    return np.ma.getdata(values)


def _named(error: Exception, name: Any, problem: str) -> Exception:
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{str(error).rstrip('.')}. Column {name!r} of X {problem}.")


def _problem(column: NDArray[Any]) -> str | None:
    """Say what is wrong with a column that should hold numbers; None if nothing is."""
    if column.dtype.kind in _KINDS:
        return f"holds {_KINDS[column.dtype.kind]}: {_REMEDY}"
    for value in column.tolist() if column.dtype.kind in "OUST" else []:
        if isinstance(value, str | bytes):
            if not _is_number(value):
                return (
                    "holds text: make it categorical (a dtype of categories, or "
                    "categorical_features), or encode it as numbers"
                )
        elif not _is_number(value):
            return f"holds {reprlib.repr(value)} of type {type(value).__name__}: {_REMEDY}"
    if np.isinf(pd.to_numeric(pd.Series(column), errors="coerce")).any():
        return "holds infinity; finite numbers and NaN (missing) are allowed"
    return None


def _is_number(value: Any) -> bool:
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
