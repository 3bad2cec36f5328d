"""Features as the tree core takes them: one float array, categories numbered."""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from rmtgb.containers import (
    LabelEncoder,
    as_array,
    as_frame,
    refuse_ambiguous_position,
    take_column,
    take_columns,
)
from rmtgb.estimators._numbers import array_of_numbers, column_of_numbers

FeatureArray = NDArray[np.float32] | NDArray[np.float64]


class FeatureEncoder:
    """Numbers the categories of categorical features, and checks all others."""

    def fit(
        self, X: Any, categorical: NDArray[np.bool_], max_bins: int, names: Sequence[Any]
    ) -> "FeatureEncoder":
        """Learn the categories.

        Parameters
        ----------
        X : ndarray or data frame of shape (n_samples, n_features)
            Without the task column.
        categorical : ndarray of bool of shape (n_features,)
            Which features are categorical.
        max_bins : int
            Largest number of categories.
        names : sequence
            How to call the features in messages.

        Returns
        -------
        FeatureEncoder
            Itself.

        Raises
        ------
        TypeError
            If a category is not hashable.
        ValueError
            If a feature has more than ``max_bins`` categories.
        """
        self._names = list(names)
        self._categories = {
            j: LabelEncoder(f"Column {names[j]!r} of X").fit(take_column(X, j))
            for j in np.flatnonzero(categorical).tolist()
        }
        self.n_categories = np.zeros(categorical.size, dtype=np.int64)
        for j, encoder in self._categories.items():
            self.n_categories[j] = encoder.labels_.size
            if encoder.labels_.size > max_bins:
                raise ValueError(
                    f"categorical feature {names[j]} has {encoder.labels_.size} categories, at "
                    f"most max_bins={max_bins} are allowed. Merge rare ones, or encode it as "
                    "numbers (for example with sklearn.preprocessing.TargetEncoder)."
                )
        return self

    #: Number of categories of each feature, 0 for numerical ones; int64 of shape (n_features,).
    n_categories: NDArray[np.int64]

    def transform(self, X: Any, estimator: Any) -> FeatureArray:
        """Return features as numbers.

        Parameters
        ----------
        X : ndarray or data frame of shape (n_samples, n_features)
            Without the task column.
        estimator : estimator
            Named in messages.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, n_features)
            Unknown and missing categories are NaN. May share memory with X.

        Raises
        ------
        TypeError, ValueError
            If a numerical feature is not made of finite numbers or NaN, or the categories of a
            feature are of another kind than at fit; the message names it.
        """
        alone = {
            j: column_of_numbers(as_array(take_column(X, j)), self._names[j])
            for j in _columns_of_objects(X)
            if j not in self._categories
        }
        for j, encoder in self._categories.items():
            codes = encoder.encode(take_column(X, j))
            alone[j] = np.where(codes < 0, np.nan, codes)  # NaN for unknown and missing ones
        if not alone:
            return array_of_numbers(X, self._names, estimator)
        others = [j for j in range(len(self._names)) if j not in alone]
        values = np.empty((next(iter(alone.values())).size, len(self._names)))
        for j, column in alone.items():
            values[:, j] = column
        if others:
            names = [self._names[j] for j in others]
            values[:, others] = array_of_numbers(take_columns(X, others), names, estimator)
        checked: FeatureArray = check_array(
            values, ensure_all_finite=False, estimator=estimator, input_name="X"
        )
        return checked


def find_categorical(
    X: Any, categorical_features: Any, names: Sequence[Any] | None, n_columns: int
) -> NDArray[np.bool_]:
    """Return which columns are categorical.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_columns)
        All columns, the task column included.
    categorical_features : "from_dtype", array-like or None
        As given by the user: names and positions, a mask, or by the dtypes of a data frame.
    names : sequence or None
        Column names, if X has any.
    n_columns : int
        Number of columns.

    Returns
    -------
    ndarray of bool of shape (n_columns,)

    Raises
    ------
    TypeError
        If an entry is neither name, position nor part of a mask.
    ValueError
        If a name or position does not exist or is ambiguous, or a mask has another length.
    """
    mask = np.zeros(n_columns, dtype=bool)
    if categorical_features is None:
        return mask
    if isinstance(categorical_features, str):
        if categorical_features != "from_dtype":
            raise ValueError(
                "categorical_features must be 'from_dtype', names, positions, a mask or None, "
                f"got {categorical_features!r}."
            )
        frame = as_frame(X)
        if frame is not None:
            dtypes = frame.schema.dtypes()
            mask[:] = [isinstance(dtype, nw.Categorical | nw.Enum) for dtype in dtypes]
        return mask
    # numpy.asarray would make texts of positions that stand beside names
    wanted = as_array(categorical_features, "categorical_features").tolist()
    if wanted and all(isinstance(entry, bool | np.bool_) for entry in wanted):
        if len(wanted) != n_columns:
            raise ValueError(
                f"categorical_features is a mask of shape ({len(wanted)},), "
                f"X has {n_columns} columns."
            )
        return np.array(wanted, dtype=bool)
    for column in wanted:
        mask[_position(column, names, n_columns)] = True
    return mask


def _position(column: Any, names: Sequence[Any] | None, n_columns: int) -> int:
    if isinstance(column, str):
        if names is None or column not in names:
            raise ValueError(
                f"categorical_features names {column!r}, which is not a column of X"
                + (": X has no column names." if names is None else f": {list(names)}.")
            )
        return list(names).index(column)
    if isinstance(column, bool) or not isinstance(column, int | np.integer):
        raise TypeError(
            "categorical_features must hold names (str) and positions (int), or be a mask of "
            f"bool; got {column!r} of type {type(column).__name__}."
        )
    refuse_ambiguous_position(int(column), names or (), "categorical_features")
    if not -n_columns <= column < n_columns:
        raise ValueError(f"categorical_features has position {column}, X has {n_columns} columns.")
    return int(column)


def _columns_of_objects(X: Any) -> list[int]:
    """Return the columns of a frame that have to be looked at value by value."""
    frame = as_frame(X)
    if frame is None:
        return []
    dtypes = frame.schema.dtypes()
    return [j for j, d in enumerate(dtypes) if not (d.is_numeric() or isinstance(d, nw.Boolean))]
