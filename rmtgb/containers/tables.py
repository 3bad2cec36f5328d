"""Tables of any library: what kind one is, and its columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from scipy import sparse

from rmtgb._common import BoolArray


def as_frame(X: Any) -> nw.DataFrame[Any] | None:
    """Return a data frame of any library as one of narwhals, anything else as None.

    Parameters
    ----------
    X : object
        What may be a data frame: of pandas, polars, pyarrow or whatever narwhals knows.

    Returns
    -------
    narwhals.DataFrame or None
        It shares its memory with `X`.

    Raises
    ------
    TypeError
        If `X` is a lazy frame, or sparse, or nothing that has rows and columns.
    """
    if isinstance(X, np.ndarray):  # narwhals takes 0.1 ms to say so, several times a prediction
        return None
    if sparse.issparse(X):
        raise TypeError(
            f"X is a sparse {type(X).__name__}, which is not supported: "
            "give a dense array (X.toarray()) or a data frame."
        )
    if X is None or isinstance(X, dict | set | frozenset | str | bytes):
        raise TypeError(
            f"X must be a data frame, an array or a list of rows, got {type(X).__name__}."
        )
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(
            f"X is a lazy frame ({type(X).__name__}), which has no rows yet: give X.collect()."
        )
    return frame if isinstance(frame, nw.DataFrame) else None


def as_table(X: Any) -> Any:
    """Return a data frame as it is, anything else as an array.

    Parameters
    ----------
    X : data frame or array-like
        What the user gave.

    Returns
    -------
    data frame or ndarray
        Of any number of dimensions; masked if `X` is.

    Raises
    ------
    TypeError
        As :func:`as_frame`, and for a matrix of numpy.
    """
    if isinstance(X, np.matrix):
        raise TypeError(
            "A numpy matrix is not taken, as its columns are matrices: give np.asarray(X)."
        )
    if as_frame(X) is not None or isinstance(X, np.ndarray):
        return X
    array = np.asarray(X)
    # numpy turns numbers that stand beside a text into texts
    return np.asarray(X, dtype=object) if array.dtype.kind in "US" else array


def column_names(X: Any) -> list[Any] | None:
    """Return the names of the columns of a data frame, None for anything else."""
    if isinstance(X, pd.DataFrame):  # narwhals refuses a name that is held twice
        return list(X.columns)
    frame = as_frame(X)
    return None if frame is None else list(frame.columns)


def take_column(X: Any, position: int) -> Any:
    """Return a column of what :func:`as_table` gave: a native series, or a part of the array."""
    frame = as_frame(X)
    return X[:, position] if frame is None else frame[:, position].to_native()


def take_columns(X: Any, positions: Sequence[int]) -> Any:
    """Return some columns of what :func:`as_table` gave, in the same kind of container."""
    frame = as_frame(X)
    return X[:, positions] if frame is None else frame[:, list(positions)].to_native()


def take_rows(values: Any, keep: BoolArray) -> Any:
    """Return some rows of a table or a column, in the same kind of container.

    Parameters
    ----------
    values : data frame, series or array-like, or None
        With one row for each entry of `keep`.
    keep : ndarray of bool of shape (n_rows,)
        Which rows to return.

    Returns
    -------
    object
        A new container; None if `values` is None.
    """
    if values is None:
        return None
    if isinstance(values, pd.DataFrame | pd.Series | pd.Index | pd.api.extensions.ExtensionArray):
        return values[keep]
    if isinstance(values, list | tuple):
        return [value for value, kept in zip(values, keep, strict=True) if kept]
    known = nw.from_native(values, allow_series=True, pass_through=True)
    if isinstance(known, nw.DataFrame | nw.Series):
        return known.filter(keep.tolist()).to_native()
    return values[keep] if hasattr(values, "__getitem__") else np.asarray(values)[keep]


def refuse_ambiguous_position(position: int, names: Sequence[Any], parameter: str) -> None:
    """Refuse a number that is the name of one column and the position of another.

    Parameters
    ----------
    position : int
        What the user gave, meant as a position; negative ones count from the end.
    names : sequence
        Names of the columns, of which some may be integers.
    parameter : str
        What to call the number in the message.

    Raises
    ------
    ValueError
        If a column is called by the number and stands elsewhere.
    """
    meant = position if position >= 0 else position + len(names)
    for i, name in enumerate(names):
        is_number = isinstance(name, Integral) and not isinstance(name, bool)
        if is_number and name == position and i != meant:
            raise ValueError(
                f"{parameter}={position} is ambiguous: numbers are positions, but X also has a "
                f"column that is called {position}, at position {i}. Give the columns names that "
                "are strings, as by X.columns = X.columns.astype(str)."
            )
