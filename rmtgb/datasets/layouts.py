"""Two layouts of rows with several targets, and the way from one to the other.

Wide: one row of X per sample, one column of Y per task, NaN where a label is missing. Long:
one row per label, and a column of X that says of which task it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt

__all__ = ["to_long", "to_wide"]

Array = npt.NDArray[Any]

# Rows copied at once into the long matrix; the copy that fancy indexing makes stays small.
_BLOCK_ROWS = 65_536


def to_long(
    X: Any, Y: Any, *, task_feature: str = "task", drop_missing: bool = True
) -> tuple[Any, Any, Array]:
    """Turn one row per sample into one row per label.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n, d)
        Features.
    Y : array-like or DataFrame of shape (n, T)
        Numerical targets, one column per task; NaN or null where a label is missing. The
        column names of a frame are the task labels, otherwise they are 0..T-1.
    task_feature : str, default="task"
        Name of the new column, if `X` is a frame.
    drop_missing : bool, default=True
        Whether to leave out rows without a label, which no estimator takes. If not, the way
        back with `to_wide` gives all samples, also those without any label.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_labels, d + 1)
        Features, and the task as last column. The rows of a sample follow each other in the
        order of the tasks.
    y : ndarray or Series of shape (n_labels,)
        Target, a Series named "target" if `Y` is a frame.
    rows : ndarray of shape (n_labels,)
        Sample of each label: its index if `X` is a pandas frame, otherwise its position. To
        be used as groups, so that a sample does not come apart in cross-validation.

    Raises
    ------
    TypeError
        If `Y` is not numerical.
    ValueError
        If `X` and `Y` do not have two dimensions and the same rows, if a new name is taken,
        or if there is an array `X` with a frame `Y` whose columns are not numbers.

    See Also
    --------
    to_wide : The inverse.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtgb.datasets import to_long
    >>> X, y, rows = to_long([[0.5], [0.7]], [[1.0, 2.0], [np.nan, 4.0]])
    >>> X.tolist(), y.tolist(), rows.tolist()
    ([[0.5, 0.0], [0.5, 1.0], [0.7, 1.0]], [1.0, 2.0, 4.0], [0, 0, 1])
    """
    X, Y = _as_table("X", X), _as_table("Y", Y)
    if len(X) != len(Y):
        raise ValueError(f"X and Y must have the same number of rows, got {len(X)} and {len(Y)}.")
    _check_same_index(X, Y)
    targets = _as_numbers(Y)
    kept = ~np.isnan(targets) if drop_missing else np.ones(targets.shape, dtype=bool)
    rows, tasks = np.nonzero(kept)
    y = targets[rows, tasks]
    labels = np.array(Y.columns) if isinstance(Y, nw.DataFrame) else np.arange(targets.shape[1])
    if isinstance(Y, nw.DataFrame):
        y = nw.new_series("target", y, backend=Y.implementation).to_native()
    if isinstance(X, nw.DataFrame):
        return _long_frame(X, rows, labels[tasks], task_feature), y, _index(X)[rows]
    return _long_array(X, rows, labels[tasks]), y, rows


def to_wide(
    X: Any,
    y: Any,
    rows: Any,
    *,
    task_feature: str | int | None = None,
    tasks: Sequence[Any] | None = None,
) -> tuple[Any, Any, Array]:
    """Turn one row per label into one row per sample, as it was before `to_long`.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_labels, d + 1)
        Features and a task column.
    y : array-like or Series of shape (n_labels,)
        Numerical target.
    rows : array-like of shape (n_labels,)
        Which labels are of the same sample: equal values, of any type that can be hashed.
    task_feature : str or int, optional
        Name or position of the task column; by default "task" in a frame and the last column
        of an array.
    tasks : sequence, optional
        Task labels in the order that the columns of Y are to have, by default those that
        occur, sorted. A task without a label can be given.

    Returns
    -------
    X : ndarray or DataFrame of shape (n, d)
        Features of each sample, in the order in which `rows` names them. A pandas frame has
        the values of `rows` as index.
    Y : ndarray or DataFrame of shape (n, T)
        Targets, NaN where there is no label; a DataFrame with the task labels as columns if
        `X` is one.
    tasks : ndarray of shape (T,)
        Task label of each column of Y.

    Raises
    ------
    TypeError
        If `y` is not numerical.
    ValueError
        If lengths differ, the task column is absent, a task is not in `tasks`, a sample has
        two labels of one task, or the features of a sample are not the same in all its rows.

    See Also
    --------
    to_long : The inverse. Wide data come back from it as they were if `tasks` are those of
        its columns (sorted ones need not be given) and, unless `drop_missing` was off, every
        sample has a label.
    """
    import pandas as pd  # here: it takes longer to import than everything above

    X, y = _as_table("X", X), _as_vector(y)
    rows = pd.Index(rows, tupleize_cols=False)
    if rows.hasnans:
        raise ValueError("rows must not be missing: they tell which labels are of one sample.")
    if not len(X) == len(y) == len(rows):
        raise ValueError(
            f"X, y and rows must have the same length, got {len(X)}, {len(y)} and {len(rows)}."
        )
    features, task_labels = _split_task_column(X, task_feature)
    row_codes, samples = pd.factorize(rows)
    task_codes, labels = _encode_tasks(task_labels, tasks)
    first = np.full(len(samples), len(rows))
    np.minimum.at(first, row_codes, np.arange(len(rows)))
    _check_features_agree(features, first[row_codes], rows)
    Y = _fill(y, row_codes, task_codes, samples, labels)
    if not isinstance(features, nw.DataFrame):
        return features[first], Y, labels
    columns = dict(zip(labels.tolist(), Y.T, strict=True))
    wide = features[first].to_native()
    if isinstance(wide, pd.DataFrame):
        wide.index = samples
        return wide, pd.DataFrame(columns, index=samples), labels
    named = {str(label): column for label, column in columns.items()}
    return wide, nw.from_dict(named, backend=features.implementation).to_native(), labels


def _as_table(name: str, table: Any) -> Any:
    """Return a frame of narwhals or a two-dimensional array."""
    frame = nw.from_native(table, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame
    array = np.asarray(table)
    if array.ndim != 2:
        raise ValueError(f"{name} must have two dimensions, got shape {array.shape}.")
    return array


def _as_vector(y: Any) -> Array:
    values = np.asarray(y)
    if values.ndim != 1 or values.dtype.kind not in "biuf":
        problem = f"shape {values.shape} and type {values.dtype}"
        error = ValueError if values.ndim != 1 else TypeError
        raise error(f"y must be a vector of numbers, got {problem}.")
    return values


def _as_numbers(Y: Any) -> Array:
    """Return the targets of any table as floating-point numbers, missing ones NaN."""
    if isinstance(Y, nw.DataFrame):
        for name, dtype in Y.schema.items():
            if not dtype.is_numeric() and dtype != nw.Boolean:
                raise TypeError(f"Y must hold numbers, its column {name!r} is of type {dtype}.")
        columns = [column.cast(nw.Float64).to_numpy() for column in Y.iter_columns()]
        return np.column_stack(columns) if columns else np.empty((len(Y), 0))
    if Y.dtype.kind not in "biuf":
        raise TypeError(f"Y must hold numbers, its type is {Y.dtype}.")
    return np.asarray(Y)


def _check_same_index(X: Any, Y: Any) -> None:
    if not (isinstance(X, nw.DataFrame) and isinstance(Y, nw.DataFrame)):
        return
    index, target_index = nw.maybe_get_index(X), nw.maybe_get_index(Y)
    if index is not None and target_index is not None and not index.equals(target_index):
        raise ValueError("X and Y must have the same index.")


def _index(X: nw.DataFrame[Any]) -> Array:
    """Return what names the rows: the index of pandas, otherwise their positions."""
    index = nw.maybe_get_index(X)
    return np.arange(len(X)) if index is None else np.asarray(index)


def _long_frame(X: nw.DataFrame[Any], rows: Array, tasks: Array, task_feature: str) -> Any:
    if task_feature in X.columns:
        raise ValueError(f"task_feature={task_feature!r} is already a column of X.")
    taken = nw.maybe_reset_index(X[rows])
    column = nw.new_series(task_feature, tasks, backend=X.implementation)
    return taken.with_columns(column).to_native()


def _long_array(X: Array, rows: Array, tasks: Array) -> Array:
    if tasks.dtype.kind not in "biuf":
        raise ValueError(
            "The columns of Y must be numbers if X is an array, as they become a column of it; "
            f"got {tasks[:1].tolist()}. Give X as a frame."
        )
    n_features = X.shape[1]
    # The type of X, unless it cannot hold the labels.
    long = np.empty((len(rows), n_features + 1), _common_type(X.dtype, tasks))
    for start in range(0, len(rows), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        long[part, :n_features] = X[rows[part]]
    long[:, n_features] = tasks
    return long


def _common_type(dtype: np.dtype[Any], tasks: Array) -> np.dtype[Any]:
    """Return a type that holds features of a type and these labels without loss."""
    if dtype.kind == "b" or not np.array_equal(tasks.astype(dtype), tasks):
        return np.result_type(dtype, tasks)
    return dtype


def _split_task_column(X: Any, task_feature: str | int | None) -> tuple[Any, Array]:
    """Return the features without the task column, and the task labels."""
    if not isinstance(X, nw.DataFrame):
        position = -1 if task_feature is None else task_feature
        if not isinstance(position, int | np.integer) or not -X.shape[1] <= position < X.shape[1]:
            raise ValueError(
                f"task_feature must be a position in the {X.shape[1]} columns of X, "
                f"got {task_feature!r}."
            )
        return np.delete(X, position, axis=1), X[:, position]
    name = "task" if task_feature is None else task_feature
    if isinstance(name, int | np.integer) and name not in X.columns:
        name = dict(enumerate(X.columns)).get(int(name), name)
    if name not in X.columns:
        raise ValueError(f"task_feature={name!r} is no column of X; these are {X.columns}.")
    return X.drop(name), X[name].to_numpy()


def _encode_tasks(labels: Array, tasks: Sequence[Any] | None) -> tuple[Array, Array]:
    """Return the column of each label and the task of each column."""
    import pandas as pd

    if pd.isna(labels).any():
        raise ValueError("The task must not be missing in any row of X.")
    if tasks is None:
        return pd.factorize(labels, sort=True)
    known = pd.Index(tasks)
    codes = known.get_indexer(labels)
    if (codes < 0).any():
        label = _nth(labels, np.argmin(codes))
        raise ValueError(f"task {label!r} of X is not in tasks={list(tasks)}.")
    return codes, np.asarray(known)


def _check_features_agree(features: Any, first: Array, rows: Array) -> None:
    """Check that the features of a sample are the same wherever it occurs."""
    import pandas as pd

    columns = features.iter_columns() if isinstance(features, nw.DataFrame) else features.T
    for position, column in enumerate(columns):
        values = column.to_numpy() if isinstance(column, nw.Series) else column
        others = values[first]
        differs = (values != others) & ~(pd.isna(values) & pd.isna(others))
        if np.any(differs):
            sample = _nth(rows, np.flatnonzero(differs)[0])
            raise ValueError(f"feature {position} is not the same in all rows of {sample!r}.")


def _fill(y: Array, row_codes: Array, task_codes: Array, samples: Array, tasks: Array) -> Array:
    """Put each target into its place, and NaN where there is none."""
    shape = (len(samples), len(tasks))
    cells = np.ravel_multi_index((row_codes, task_codes), shape)
    counts = np.bincount(cells, minlength=shape[0] * shape[1])
    if counts.max(initial=0) > 1:
        row, task = np.unravel_index(counts.argmax(), shape)
        sample, label = _nth(samples, row), _nth(tasks, task)
        raise ValueError(f"sample {sample!r} has two labels of task {label!r}.")
    complete = counts.all()
    Y = np.full(shape, 0 if complete else np.nan, y.dtype if complete else np.result_type(y, 1.0))
    Y[row_codes, task_codes] = y
    return Y


def _nth(values: Array, position: np.intp) -> Any:
    """Return a value as an object of Python, which is shown without its numpy type."""
    return values[position : position + 1].tolist()[0]
