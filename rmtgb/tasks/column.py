"""Split the task column off X, before anything looks at X as numbers."""

from __future__ import annotations

import difflib
import operator
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtgb.containers import as_array, as_frame, refuse_ambiguous_position

_MAX_LISTED_COLUMNS = 10


def split_task_column(
    X: Any,
    task_feature: str | int | None,
    *,
    fitted_names: Sequence[Any] | None = None,
) -> tuple[Any, NDArray[Any] | None]:
    """Split X into its features and the labels of its task column.

    Parameters
    ----------
    X : data frame, ndarray or list of rows, shape (n_samples, n_columns)
        pandas, polars or any other eager frame that narwhals knows; a numpy array of
        any dtype; anything that converts to one; or a list of lists. Never written to.
    task_feature : str, int or None
        Name of the task column (frames only) or its position (every container,
        negative positions count from the end). None: X has no task column.
    fitted_names : sequence, optional
        Names of all columns of X at fit, the task column included, when it had names.
        With them a position that now holds a column of another name is an error, and
        a name is found by its position at fit in an X that has no names.

    Returns
    -------
    features : same type as X, shape (n_samples, n_columns - 1)
        X without the task column; dtypes and index are kept. Of a numpy array whose
        first or last column is split off it is a view. X itself if `task_feature` is
        None.
    labels : ndarray of shape (n_samples,), or None if `task_feature` is None
        Native dtype or object, as `as_array` gives it; may be a view of X.

    Raises
    ------
    TypeError
        If `task_feature` is neither str, int nor None, or X is sparse, lazy or no table.
    ValueError
        If X is not two-dimensional, or has no such column, or has it more than once, or
        the position holds a column of another name than at fit.
    """
    if task_feature is None:
        return X, None
    task_feature = _check_task_feature(task_feature)
    if isinstance(X, pd.DataFrame):
        position = _position_in_names(list(X.columns), task_feature, fitted_names)
        features = X.iloc[:, _all_but(position, X.shape[1])]
        return features, as_array(X.iloc[:, position])
    frame = as_frame(X)
    if frame is not None:
        name = frame.columns[_position_in_names(frame.columns, task_feature, fitted_names)]
        return frame.drop(name).to_native(), as_array(frame.get_column(name))
    if isinstance(X, list | tuple) and X and isinstance(X[0], list | tuple):
        return _split_rows(X, task_feature, fitted_names)
    return _split_array(X, task_feature, fitted_names)


def _check_task_feature(task_feature: Any) -> str | int:
    if isinstance(task_feature, str):
        return str(task_feature)
    # bool is an int to Python, and would silently mean column 0 or 1
    if not isinstance(task_feature, bool | np.bool_):
        try:
            return operator.index(task_feature)
        except TypeError:
            pass
    msg = (
        "task_feature must be the name of a column (str), its position (int) or None, "
        f"got {task_feature!r} of type {type(task_feature).__name__}."
    )
    raise TypeError(msg)


def _split_array(
    X: Any, task_feature: str | int, fitted_names: Sequence[Any] | None
) -> tuple[NDArray[Any], NDArray[Any]]:
    array = X if isinstance(X, np.ndarray) else np.asarray(X)
    _check_two_dimensional(array.ndim)
    n_columns = array.shape[1]
    position = _position_without_names(n_columns, task_feature, fitted_names, type(X).__name__)
    labels = as_array(array[:, position])
    columns = _all_but(position, n_columns)
    if isinstance(columns, slice):
        return array[:, columns], labels
    # array[:, columns] is five times slower and gives its columns in Fortran order
    return np.take(array, columns, axis=1), labels


def _split_rows(
    X: Sequence[Any], task_feature: str | int, fitted_names: Sequence[Any] | None
) -> tuple[list[list[Any]], NDArray[Any]]:
    n_columns = len(X[0])
    for i, row in enumerate(X):
        if not isinstance(row, list | tuple) or len(row) != n_columns:
            what = f"has {len(row)}" if isinstance(row, list | tuple) else f"is {row!r}"
            msg = (
                f"X must have rows of equal length: row 0 has {n_columns} values, row {i} {what}."
            )
            raise ValueError(msg)
    position = _position_without_names(n_columns, task_feature, fitted_names, "list")
    features = [[*row[:position], *row[position + 1 :]] for row in X]
    return features, as_array([row[position] for row in X])


def _check_two_dimensional(n_dimensions: int) -> None:
    if n_dimensions == 2:
        return
    # the words of scikit-learn, which users search for and its own checks match
    msg = f"Expected 2D array, got {n_dimensions}D array instead."
    if n_dimensions < 2:
        msg += (
            " Reshape your data either using array.reshape(-1, 1) if your data has a single "
            "feature or array.reshape(1, -1) if it contains a single sample."
        )
    raise ValueError(msg)


def _all_but(position: int, n_columns: int) -> slice | NDArray[np.intp]:
    """Select every column but one: by a slice, hence as a view, where one can say it."""
    if position == 0:
        return slice(1, None)
    if position == n_columns - 1:
        return slice(0, position)
    return np.delete(np.arange(n_columns), position)


def _position_in_names(
    names: list[Any], task_feature: str | int, fitted_names: Sequence[Any] | None
) -> int:
    if isinstance(task_feature, str):
        matches = [i for i, name in enumerate(names) if name == task_feature]
        if len(matches) == 1:
            return matches[0]
        if matches:
            msg = (
                f"task_feature={task_feature!r} names {len(matches)} columns of X (positions "
                f"{', '.join(map(str, matches))}): rename them, or give one position."
            )
            raise ValueError(msg)
        _raise_absent_name(names, task_feature)
    refuse_ambiguous_position(task_feature, names, "task_feature")
    position = _checked_position(task_feature, len(names))
    if fitted_names is not None:
        fitted_position = _checked_position(task_feature, len(fitted_names))
        if fitted_names[fitted_position] != names[position]:
            msg = (
                f"task_feature={task_feature} was the column {fitted_names[fitted_position]!r} "
                f"at fit and is {names[position]!r} now: the columns of X must be the same and "
                "in the same order as at fit, or give task_feature by name."
            )
            raise ValueError(msg)
    return position


def _position_without_names(
    n_columns: int,
    task_feature: str | int,
    fitted_names: Sequence[Any] | None,
    container: str,
) -> int:
    if not isinstance(task_feature, str):
        return _checked_position(task_feature, n_columns)
    if fitted_names is None or task_feature not in fitted_names:
        msg = (
            f"task_feature={task_feature!r} is a column name, but X ({container}) has no column "
            "names. Give the position of the task column instead (after a ColumnTransformer "
            "with remainder='passthrough' the last one: task_feature=-1), or call "
            'set_output(transform="pandas") on the transformer in front to keep the names.'
        )
        raise ValueError(msg)
    if n_columns != len(fitted_names):
        msg = (
            f"X ({container}) has no column names and {n_columns} columns, but had "
            f"{len(fitted_names)} at fit (the task column {task_feature!r} included)."
        )
        raise ValueError(msg)
    return list(fitted_names).index(task_feature)


def _checked_position(task_feature: int, n_columns: int) -> int:
    if -n_columns <= task_feature < n_columns:
        return task_feature % n_columns
    msg = f"task_feature={task_feature} is out of range: X has {n_columns} columns"
    allowed = f" ({-n_columns} to {n_columns - 1} are allowed)." if n_columns else "."
    raise ValueError(msg + allowed)


def _raise_absent_name(names: list[Any], task_feature: str) -> NoReturn:
    listed = ", ".join(repr(name) for name in names[:_MAX_LISTED_COLUMNS])
    if len(names) > _MAX_LISTED_COLUMNS:
        listed += f" and {len(names) - _MAX_LISTED_COLUMNS} more"
    msg = f"task_feature={task_feature!r} is not among the {len(names)} columns of X ({listed})."
    strings = [name for name in names if isinstance(name, str)]
    prefixed = [name for name in strings if name.endswith(f"__{task_feature}")]
    if prefixed:
        msg += (
            f" A ColumnTransformer has renamed it: give task_feature={prefixed[0]!r}, or set "
            "verbose_feature_names_out=False on the ColumnTransformer."
        )
    else:
        near = _near_matches(task_feature, strings)
        if near:
            msg += f" Did you mean {' or '.join(map(repr, near))}?"
    raise ValueError(msg)


def _near_matches(task_feature: str, names: list[str]) -> list[str]:
    bare = task_feature.rpartition("__")[2]
    same = [n for n in names if n == bare or n.strip().lower() == task_feature.strip().lower()]
    return list(dict.fromkeys(same + difflib.get_close_matches(task_feature, names)))[:3]
