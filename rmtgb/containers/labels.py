"""A column of labels <-> codes: the mapping is made once and only looked up afterwards."""

from __future__ import annotations

import copy
import datetime
import numbers
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Self

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmtgb._common import BoolArray, IntArray

_KIND_OF_DTYPE = dict.fromkeys("biufc", "number") | {"U": "string", "S": "bytes"}


class LabelEncoder:
    """Mapping from labels to the codes 0, 1, ..., fixed at fit.

    Labels are equal if Python says so: 1, 1.0 and True are one label, as are ``"a"`` and
    ``numpy.str_("a")``; so are a date, a datetime and a ``datetime64`` of the same instant. Of
    two columns of floats, labels are equal if they are in the precision of the coarser one.

    Parameters
    ----------
    name : str
        What to call the column in messages, at the beginning of a sentence.

    Attributes
    ----------
    labels_ : ndarray of shape (n_labels,)
        The distinct labels; the code of a label is its position. In sorted order, thus
        independent of the order of the rows, but for those of :meth:`extended`. Labels
        that cannot be compared are grouped by kind
        ("bytes", "datetime", "number", "string", "timedelta", else the name of the type),
        each group in sorted order or, failing that, in order of first appearance.
        The dtype is int64, float64, bool, datetime64 or timedelta64 where that holds every label
        exactly, else object.
    kinds_ : tuple of str
        Kinds of the labels, sorted.
    """

    labels_: NDArray[Any]
    kinds_: tuple[str, ...]

    def __init__(self, name: str) -> None:
        self._name = name

    def fit(self, labels: Any) -> Self:
        """Learn the distinct labels.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Hashable labels; of categoricals only the labels that occur count.

        Returns
        -------
        LabelEncoder
            Itself.

        Raises
        ------
        TypeError
            If a label is not hashable.
        ValueError
            If `labels` is not one-dimensional.
        """
        array = as_array(labels, self._name)
        positions, keys, kinds = self._distinct(array)
        self._check_missing(positions < 0)
        # a date and a datetime are two objects to factorize and one key
        keys = list(dict.fromkeys(keys))
        self.labels_ = _native_array(_ordered(keys), kinds)
        self.kinds_ = tuple(sorted(kinds))
        self._float_bytes = _float_bytes(array)
        self._code_of_key = _code_of_key(self.labels_)
        return self

    def extended(self, labels: Any) -> Self:
        """Return an encoder that also knows labels that came later.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Hashable labels; those that are known already add nothing.

        Returns
        -------
        LabelEncoder
            Known labels keep their codes, new ones get the next, in sorted order.

        Raises
        ------
        TypeError, ValueError
            As for :meth:`fit` and :meth:`encode`.
        """
        array = as_array(labels, self._name)
        later = copy.copy(self).fit(array[self.encode(array) < 0])
        later._float_bytes = min(self._float_bytes, later._float_bytes)
        new = dict.fromkeys(_rounded(key, later._float_bytes) for key in later._code_of_key)
        kinds = {*self.kinds_, *later.kinds_}
        later.labels_ = _native_array([*self._code_of_key, *new], kinds)
        later.kinds_ = tuple(sorted(kinds))
        later._code_of_key = _code_of_key(later.labels_)
        return later

    def encode(self, labels: Any) -> IntArray:
        """Look up the codes of labels; the result for a row depends on that row alone.

        Parameters
        ----------
        labels : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        ndarray of int64 of shape (n_samples,)
            Position of each label in `labels_`; -1 where it is missing or was unseen at fit.

        Raises
        ------
        TypeError
            If a label is not hashable.
        ValueError
            If `labels` is not one-dimensional, or its labels are all of a kind that none had
            at fit, such as numbers where there were strings, or floats too coarse to tell the
            labels of the fit apart.
        """
        array = as_array(labels, self._name)
        positions, keys, kinds = self._distinct(array)
        if kinds and self.kinds_ and not kinds & set(self.kinds_):
            raise ValueError(
                f"{self._name} holds {_kinds_text(kinds)} (dtype {array.dtype}, for example "
                f"{keys[0]!r}), but held {_kinds_text(self.kinds_)} (dtype {self.labels_.dtype}, "
                f"for example {self.labels_.tolist()[0]!r}) at fit. Is it another column, or was "
                "it converted?"
            )
        code_of_key = self._code_of_key
        precision = min(self._float_bytes, _float_bytes(array))
        if self._float_bytes != _float_bytes(array):
            code_of_key = self._in_precision(precision)
            keys = [_rounded(key, precision) for key in keys]
        # position -1, a missing label, finds the last entry
        code_of_position = np.full(len(keys) + 1, -1, dtype=np.int64)
        code_of_position[:-1] = [code_of_key.get(key, -1) for key in keys]
        return code_of_position[positions]

    def _check_missing(self, missing: BoolArray) -> None:
        """Refuse rows without a label at fit, where that is not allowed; here it is."""

    def _in_precision(self, n_bytes: int) -> dict[Any, int]:
        """Return the codes by labels that are rounded to floats of some bytes."""
        code_of_key = {_rounded(key, n_bytes): code for key, code in self._code_of_key.items()}
        if len(code_of_key) < len(self._code_of_key):
            raise ValueError(
                f"{self._name} holds float{8 * n_bytes}, which cannot tell apart all the labels "
                f"that it held as float{8 * self._float_bytes} at fit. Give it in the dtype of "
                "the fit."
            )
        return code_of_key

    def _distinct(self, array: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any], set[str]]:
        try:
            return distinct(array)
        except TypeError as error:
            raise TypeError(
                f"{self._name} must hold labels that are hashable, such as numbers, strings or "
                f"tuples: {error}."
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        # made again from labels_: a file need not hold the labels twice
        return {name: value for name, value in vars(self).items() if name != "_code_of_key"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if "labels_" in state:
            self._code_of_key = _code_of_key(self.labels_)


def as_array(column: Any, name: str = "A column") -> NDArray[Any]:
    """Convert a column to a numpy array without changing any value.

    Parameters
    ----------
    column : array-like of shape (n_samples,)
        numpy array, list, pandas or polars series or any other that narwhals knows.
    name : str, default="A column"
        What to call it in messages, at the beginning of a sentence.

    Returns
    -------
    ndarray of shape (n_samples,)
        A native dtype, or object: for strings of a series, for lists, and wherever numpy's own
        conversion would lose something (missing values next to integers, time zones, masks).
        May share memory with `column`.

    Raises
    ------
    ValueError
        If `column` is not one-dimensional.
    """
    array = _to_numpy(column)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be one-dimensional, got {type(column).__name__} of shape {array.shape}."
        )
    return array


def _to_numpy(values: Any) -> NDArray[Any]:
    if isinstance(values, list | tuple):
        return _object_array(values)
    if isinstance(values, np.ma.MaskedArray):
        return _masked_to_numpy(values)
    if isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return _pandas_to_numpy(values)
    series = nw.from_native(values, series_only=True, pass_through=True)
    if not isinstance(series, nw.Series):
        return np.asarray(values)
    dtype = series.dtype
    with_zone = isinstance(dtype, nw.Datetime) and dtype.time_zone is not None
    # next to a null, integers come out of to_numpy as floats, and the null of a pyarrow
    # dictionary as another row's label
    gaps = series.null_count() > 0 and not dtype.is_float()
    if with_zone or dtype.is_nested() or gaps:
        return _object_array(series.to_list())
    return np.asarray(series.to_numpy())


def _masked_to_numpy(values: np.ma.MaskedArray[Any, Any]) -> NDArray[Any]:
    if not np.ma.is_masked(values):
        return np.ma.getdata(values)
    array = np.ma.getdata(values).astype(object)
    array[np.ma.getmaskarray(values)] = None
    return array


def _pandas_to_numpy(values: Any) -> NDArray[Any]:
    # the default makes floats of integers next to a missing value: large ones would merge
    if isinstance(values.dtype, pd.api.extensions.ExtensionDtype) and values.isna().any():
        dtype = getattr(values.dtype, "categories", values).dtype
        if dtype.kind != "f":
            return np.asarray(values.astype(object))
        return np.asarray(values.astype(f"f{dtype.itemsize}"))
    return np.asarray(values.to_numpy())


def _object_array(values: Sequence[Any]) -> NDArray[Any]:
    # numpy.array would turn [1, "a"] into strings and a list of tuples into a matrix
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def distinct(array: NDArray[Any]) -> tuple[NDArray[np.intp], list[Any], set[str]]:
    """Return the distinct labels of a column.

    Parameters
    ----------
    array : ndarray of shape (n_samples,)
        As :func:`as_array` gives it.

    Returns
    -------
    positions : ndarray of intp of shape (n_samples,)
        Position of each row's label among `keys`; -1 where it is missing.
    keys : list
        The labels in order of appearance.
    kinds : set of str
        Their kinds, as in `LabelEncoder.kinds_`.

    Raises
    ------
    TypeError
        If a label is not hashable.
    """
    if not array.dtype.isnative:  # pandas takes no other byte order
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind in "TV":
        array = array.astype(object)
    positions, uniques = pd.factorize(array)
    keys = _keys(uniques)
    if array.dtype.kind in _KIND_OF_DTYPE:
        return positions, keys, {_KIND_OF_DTYPE[array.dtype.kind]} if keys else set()
    return positions, keys, {_kind(key) for key in keys}


def _keys(labels: NDArray[Any]) -> list[Any]:
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


def _code_of_key(tasks: NDArray[Any]) -> dict[Any, int]:
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
        raise TypeError("the labels have no total order")
    return ordered


def _native_array(keys: list[Any], kinds: set[str]) -> NDArray[Any]:
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


def _float_bytes(array: NDArray[Any]) -> int:
    return array.dtype.itemsize if array.dtype.kind == "f" else 8


def _rounded(key: Any, n_bytes: int) -> Any:
    if not isinstance(key, float):
        return key
    with np.errstate(over="ignore"):
        return np.dtype(f"f{n_bytes}").type(key).item()
