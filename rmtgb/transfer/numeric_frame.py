"""Columns of a frame as floats: numbers of any type, and indicators of texts."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd

from rmtgb._common import counted


def numeric_frame(frame: pd.DataFrame, one_hot: bool, drop_usual: bool = True) -> pd.DataFrame:
    """Return a frame of floats, missing ones as NaN; texts as indicators if that is asked for.

    Parameters
    ----------
    frame : DataFrame
        Columns of numbers, booleans, texts or categories.
    one_hot : bool
        Whether texts and categories become a column of zeros and ones for each value but one.
    drop_usual : bool, default=True
        Whether the value of most rows (the first of them), which the others tell already, has no
        column. Each task is likely to have it, and then no indicator is constant there.

    Returns
    -------
    numbers : DataFrame
        All columns float64.

    Raises
    ------
    TypeError
        If a column holds something else; it is named.
    ValueError
        If a text or category is missing, or an indicator would have the name of another column.
    """
    texts = [name for name in frame.columns if not is_numeric(frame[name])]
    for name in texts:
        _check_texts(frame[name], one_hot)
    if texts:
        frame = frame.copy()
        usual = []
        for name in texts:
            frame[name] = frame[name].astype("category").cat.remove_unused_categories()
            counts = frame[name].value_counts(sort=False)
            usual += [f"{name}_{counts.idxmax()}"] if len(counts) else []
        frame = pd.get_dummies(frame, columns=texts, dtype=float)
        frame = frame.drop(columns=usual if drop_usual else [])
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()].tolist()
        raise ValueError(
            f"An indicator of a category would be called {twice[0]!r}, as another column is: "
            "rename one."
        )
    columns = {name: _as_float_column(frame[name]) for name in frame.columns}
    return pd.DataFrame(columns, index=frame.index, columns=frame.columns, dtype="float64")


def is_numeric(column: pd.Series) -> bool:
    """Tell whether a column holds numbers or booleans, of any type but complex ones."""
    types = pd.api.types
    if types.is_object_dtype(column):  # numbers that are kept as objects
        values = column.dropna()
        return all(isinstance(v, int | float | Decimal | np.number | np.bool_) for v in values)
    return bool(types.is_numeric_dtype(column)) and not types.is_complex_dtype(column)


def _as_float_column(column: pd.Series) -> pd.Series:
    """Return numbers of any type as float64, missing ones as NaN."""
    try:
        return column.where(column.notna(), np.nan).astype("float64")
    except OverflowError as error:  # integers of Python, which know no limit
        raise TypeError(
            f"Column {column.name!r} holds a number too large for a float ({error})."
        ) from error


def _check_texts(column: pd.Series, one_hot: bool) -> None:
    """Refuse a column that is neither numbers nor, if asked for, texts."""
    types = pd.api.types
    values = column.dropna()
    is_text = isinstance(column.dtype, pd.CategoricalDtype) or types.is_string_dtype(values)
    if not is_text:
        raise TypeError(
            f"Column {column.name!r} is of type {column.dtype}, which is neither number nor text: "
            "leave it out, or turn it into numbers."
        )
    if not one_hot:
        example = f" ({values.iloc[0]!r})" if len(values) else ""
        raise TypeError(
            f"Column {column.name!r} holds text or categories{example}: leave it out, or give "
            "one_hot=True."
        )
    if column.isna().any():
        raise ValueError(
            f"Column {column.name!r} has {counted(int(column.isna().sum()), 'missing value')}."
        )
