"""Task labels <-> codes: the mapping is made at fit and only looked up afterwards."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

_KIND_OF_DTYPE = dict.fromkeys("biufc", "number") | {"U": "string", "S": "bytes"}


class TaskEncoder:
    """Mapping from task labels to the codes 0..T-1, fixed at fit.

    Labels are equal if Python says so: 1, 1.0 and True are one label, as are ``"a"`` and
    ``numpy.str_("a")``; so are a date, a datetime and a ``datetime64`` of the same instant.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        The distinct labels; the code of a label is its position. In sorted order, thus
        independent of the order of the rows. Labels that cannot be compared are grouped by kind
        ("bytes", "datetime", "number", "string", "timedelta", else the name of the type),
        each group in sorted order or, failing that, in order of first appearance.
        The dtype is int64, float64, bool, datetime64 or timedelta64 where that holds every label
        exactly, else object. ``TaskEncoder().fit(tasks_)`` is an equal encoder.
    kinds_ : tuple of str
        Kinds of the labels in `tasks_`, sorted.
    """

    tasks_: np.ndarray
    kinds_: tuple[str, ...]

    def fit(self, labels: Any) -> Self:
        """Learn the distinct labels.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Hashable labels; of categoricals only the labels that occur count.

        Returns
        -------
        TaskEncoder
            Itself.

        Raises
        ------
        TypeError
            If a label is not hashable.
        ValueError
            If `labels` is not one-dimensional or a label is missing (None, NaN, NA, NaT).
        """
        positions, keys, kinds = _distinct(as_label_array(labels))
        missing = np.flatnonzero(positions < 0)
        if missing.size:
            msg = (
                f"{missing.size} of {positions.size} rows have a missing task label (first: row "
                f"{missing[0]}). Drop these rows, or give them a label of their own, to fit."
            )
            raise ValueError(msg)
        # a date and a datetime are two objects to factorize and one key
        keys = list(dict.fromkeys(keys))
        tasks = _native_array(_ordered(keys), kinds)
        self._code_of_key = _code_of_key(tasks)
        self.tasks_ = tasks
        self.kinds_ = tuple(sorted(kinds))
        return self

    def encode(self, labels: Any) -> np.ndarray:
        """Look up the codes of labels; the result for a row depends on that row alone.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Task labels.

        Returns
        -------
        ndarray of int64 of shape (n_samples,)
            Position of each label in `tasks_`; -1 where it is missing or was unseen at fit.

        Raises
        ------
        TypeError
            If a label is not hashable.
        ValueError
            If `labels` is not one-dimensional, or its labels are all of a kind that none had
            at fit, such as numbers where there were strings.
        """
        array = as_label_array(labels)
        positions, keys, kinds = _distinct(array)
        if kinds and self.kinds_ and not kinds & set(self.kinds_):
            msg = (
                f"The task column holds {_kinds_text(kinds)} (dtype {array.dtype}, for example "
                f"{keys[0]!r}), but held {_kinds_text(self.kinds_)} (dtype {self.tasks_.dtype}, "
                f"for example {self.tasks_.tolist()[0]!r}) at fit. Is it another column, or was "
                "it converted?"
            )
            raise ValueError(msg)
        # position -1, a missing label, finds the last entry
        code_of_position = np.full(len(keys) + 1, -1, dtype=np.int64)
        code_of_position[:-1] = [self._code_of_key.get(key, -1) for key in keys]
        return code_of_position[positions]

    def __getstate__(self) -> dict[str, Any]:
        # made again from tasks_: a file need not hold the labels twice
        return {name: value for name, value in vars(self).items() if name != "_code_of_key"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "tasks_" in state:
            self._code_of_key = _code_of_key(self.tasks_)


def describe_unseen(labels: Any, codes: np.ndarray, limit: int = 5) -> str:
    """Say in words which labels `TaskEncoder.encode` did not find.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        The labels that were encoded.
    codes : ndarray of int64 of shape (n_samples,)
        What ``encode(labels)`` returned.
    limit : int, default=5
        Number of labels to list; the others are counted.

    Returns
    -------
    str
        For example ``"5 rows of 2 unseen tasks ('x', 'y') and 1 row without a task label"``;
        empty if every label was found.
    """
    positions, keys, _ = _distinct(as_label_array(labels)[np.asarray(codes) < 0])
    parts = []
    if keys:
        listed = [repr(key) for key in keys[:limit]]
        if len(keys) > limit:
            listed.append(f"{len(keys) - limit} more")
        rows = _count_text(int(np.count_nonzero(positions >= 0)), "row")
        parts.append(f"{rows} of {_count_text(len(keys), 'unseen task')} ({', '.join(listed)})")
    n_missing = int(np.count_nonzero(positions < 0))
    if n_missing:
        parts.append(f"{_count_text(n_missing, 'row')} without a task label")
    return " and ".join(parts)


def as_label_array(labels: Any) -> np.ndarray:
    """Convert task labels to a numpy array without changing any label.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        numpy array, list, pandas or polars series or any other that narwhals knows.

    Returns
    -------
    ndarray of shape (n_samples,)
        A native dtype, or object: for strings of a series, for lists, and wherever numpy's own
        conversion would lose something (missing values next to integers, time zones, masks).
        May share memory with `labels`.

    Raises
    ------
    ValueError
        If `labels` is not one-dimensional.
    """
    array = _to_numpy(labels)
    if array.ndim != 1:
        msg = (
            f"Task labels must be one-dimensional, got {type(labels).__name__} of shape "
            f"{array.shape}."
        )
        raise ValueError(msg)
    return array


def _to_numpy(labels: Any) -> np.ndarray:
    if isinstance(labels, list | tuple):
        return _object_array(labels)
    if isinstance(labels, np.ma.MaskedArray):
        array = labels.data.astype(object)
        array[np.ma.getmaskarray(labels)] = None
        return array
    if isinstance(labels, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        # the default makes floats of integers next to a missing value: large ones would merge
        lossy = isinstance(labels.dtype, pd.api.extensions.ExtensionDtype) and labels.isna().any()
        return np.asarray(labels.astype(object)) if lossy else labels.to_numpy()
    series = nw.from_native(labels, series_only=True, pass_through=True)
    if isinstance(series, nw.Series):
        dtype = series.dtype
        with_zone = isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
        # next to a null, integers come out of to_numpy as floats, and the null of a pyarrow
        # dictionary as another row's label
        if with_zone or dtype.is_nested() or series.null_count() > 0:
            return _object_array(series.to_list())
        return series.to_numpy()
    return np.asarray(labels)


def _object_array(values: Sequence[Any]) -> np.ndarray:
    # numpy.array would turn [1, "a"] into strings and a list of tuples into a matrix
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _distinct(array: np.ndarray) -> tuple[np.ndarray, list[Any], set[str]]:
    """Return the position of each row's label in the distinct keys (-1: missing), keys, kinds."""
    if array.dtype.kind in "TV":
        array = array.astype(object)
    try:
        positions, uniques = pd.factorize(array)
    except TypeError as error:
        msg = f"Task labels must be hashable, such as numbers, strings or tuples: {error}."
        raise TypeError(msg) from error
    keys = _keys(uniques)
    if array.dtype.kind in _KIND_OF_DTYPE:
        return positions, keys, {_KIND_OF_DTYPE[array.dtype.kind]} if keys else set()
    return positions, keys, {_kind(key) for key in keys}


def _keys(labels: np.ndarray) -> list[Any]:
    """Return labels as objects for which equal labels of any container are equal and hash so."""
    if labels.dtype.kind in _KIND_OF_DTYPE:
        return list(labels.tolist())
    if labels.dtype.kind in "mM":
        return list(pd.Index(labels))
    return [_key(label) for label in labels]


def _key(label: Any) -> Any:
    if isinstance(label, datetime.date | np.datetime64):
        return pd.Timestamp(label)
    if isinstance(label, datetime.timedelta | np.timedelta64):
        return pd.Timedelta(label)
    return label.item() if isinstance(label, np.generic) else label


def _kind(key: Any) -> str:
    if isinstance(key, numbers.Number):
        return "number"
    for kind, base in (
        ("string", str),
        ("bytes", bytes),
        ("datetime", pd.Timestamp),
        ("timedelta", pd.Timedelta),
    ):
        if isinstance(key, base):
            return kind
    return type(key).__qualname__


def _code_of_key(tasks: np.ndarray) -> dict[Any, int]:
    return {key: code for code, key in enumerate(_keys(tasks))}


def _ordered(keys: list[Any]) -> list[Any]:
    try:
        return _strictly_sorted(keys)
    except TypeError:
        pass
    groups: dict[str, list[Any]] = {}
    for key in keys:
        groups.setdefault(_kind(key), []).append(key)
    ordered = []
    for kind in sorted(groups):
        try:
            ordered += _strictly_sorted(groups[kind])
        except TypeError:
            ordered += groups[kind]
    return ordered


def _strictly_sorted(keys: list[Any]) -> list[Any]:
    ordered = sorted(keys)
    # sorted() accepts sets, whose "<" is no order: its result would depend on the row order
    if not all(a < b for a, b in pairwise(ordered)):
        msg = "the labels have no total order"
        raise TypeError(msg)
    return ordered


def _native_array(keys: list[Any], kinds: set[str]) -> np.ndarray:
    if kinds == {"number"}:
        array = np.array(keys)
        # numpy rounds integers above 2**53 that stand next to floats
        if array.dtype.kind != "O" and array.tolist() == keys:
            return array
    if kinds in ({"datetime"}, {"timedelta"}):
        index = pd.Index(keys)
        if isinstance(index.dtype, np.dtype) and list(index) == keys:
            return index.to_numpy()
    return _object_array(keys)


def _kinds_text(kinds: Iterable[str]) -> str:
    return " and ".join(kind if kind == "bytes" else f"{kind}s" for kind in sorted(kinds))


def _count_text(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
