"""Features as the tree core takes them: one float array, categories numbered."""

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from sklearn.utils import check_array

from rmtgb.tasks.encoder import as_label_array


class FeatureEncoder:
    """Numbers the categories of categorical features, and checks all others.

    Attributes
    ----------
    categories_ : list of (pandas.Index or None)
        The categories of each feature in the order of their numbers, None for a
        numerical feature.
    """

    def fit(self, X, categorical, max_bins, names):
        """Learn the categories.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Without the task column.
        categorical : ndarray of bool of shape (n_features,)
            Which features are categorical.
        max_bins : int
            Largest number of categories.
        names : sequence of str
            How to call the features in messages.

        Returns
        -------
        FeatureEncoder
            Itself.

        Raises
        ------
        ValueError
            If a feature has more than ``max_bins`` categories.
        """
        self._names = list(names)
        self.categories_ = [
            pd.Categorical(_column(X, j)).categories if is_category else None
            for j, is_category in enumerate(categorical)
        ]
        for name, categories in zip(names, self.categories_, strict=True):
            if categories is not None and len(categories) > max_bins:
                raise ValueError(
                    f"categorical feature {name} has {len(categories)} categories, at most "
                    f"max_bins={max_bins} are allowed. Merge rare ones, or encode it as numbers "
                    "(for example with sklearn.preprocessing.TargetEncoder)."
                )
        return self

    @property
    def n_categories(self):
        """Number of categories of each feature, 0 for numerical ones; int64 array."""
        return np.array([0 if c is None else len(c) for c in self.categories_], dtype=np.int64)

    def transform(self, X, estimator):
        """Return features as numbers.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Without the task column.
        estimator : estimator
            Named in messages.

        Returns
        -------
        ndarray of float32 or float64 of shape (n_samples, n_features)
            Unknown and missing categories are NaN. May share memory with X.

        Raises
        ------
        ValueError
            If a numerical feature is not made of finite numbers or NaN; the message names
            it.
        """
        is_category = np.array([c is not None for c in self.categories_], dtype=bool)
        if not is_category.any():
            return self._numbers(X, np.arange(is_category.size), estimator)
        codes = {
            j: self.categories_[j].get_indexer(_column(X, j))  # -1 for unknown and missing ones
            for j in np.flatnonzero(is_category).tolist()
        }
        n_rows = next(iter(codes.values())).size
        values = np.empty((n_rows, is_category.size))
        if not is_category.all():
            numbers = np.flatnonzero(~is_category)
            values[:, numbers] = self._numbers(_columns(X, numbers), numbers, estimator)
        for j, code in codes.items():
            values[:, j] = np.where(code < 0, np.nan, code)
        return values

    def _numbers(self, X, positions, estimator):
        """Return numerical features, those at some positions of all, as floats."""
        try:
            return check_array(
                X,
                dtype=[np.float64, np.float32],
                ensure_all_finite="allow-nan",
                estimator=estimator,
                input_name="X",
            )
        except ValueError as error:
            for j, position in enumerate(positions):
                problem = _problem(pd.Series(_column(X, j)))
                if problem:
                    raise ValueError(
                        f"{error} Column {self._names[position]!r} of X {problem}."
                    ) from error
            raise


def find_categorical(X, categorical_features, names):
    """Return which columns are categorical.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_columns)
        All columns, the task column included.
    categorical_features : "from_dtype", array-like or None
        As given by the user: names, positions, a mask, or by the dtypes of a data frame.
    names : list of str or None
        Column names, if X has any.

    Returns
    -------
    ndarray of bool of shape (n_columns,)

    Raises
    ------
    ValueError
        If a name or position does not exist, or a mask has another length.
    """
    n_columns = np.asarray(X).shape[1] if names is None else len(names)
    mask = np.zeros(n_columns, dtype=bool)
    if categorical_features is None:
        return mask
    if isinstance(categorical_features, str):
        if categorical_features != "from_dtype":
            raise ValueError(
                "categorical_features must be 'from_dtype', names, positions, a mask or None, "
                f"got {categorical_features!r}."
            )
        frame = nw.from_native(X, eager_only=True, pass_through=True)
        if isinstance(frame, nw.DataFrame):
            dtypes = frame.schema.dtypes()
            mask[:] = [isinstance(dtype, nw.Categorical | nw.Enum) for dtype in dtypes]
        return mask
    wanted = np.asarray(categorical_features)
    if wanted.size == 0:
        return mask
    if wanted.dtype == bool:
        if wanted.shape != (n_columns,):
            raise ValueError(
                f"categorical_features is a mask of shape {wanted.shape}, "
                f"X has {n_columns} columns."
            )
        return wanted.copy()
    for column in wanted.tolist():
        mask[_position(column, names, n_columns)] = True
    return mask


def _position(column, names, n_columns):
    if isinstance(column, str):
        if names is None or column not in names:
            raise ValueError(
                f"categorical_features names {column!r}, which is not a column of X"
                + (": X has no column names." if names is None else f": {list(names)}.")
            )
        return list(names).index(column)
    if not -n_columns <= column < n_columns:
        raise ValueError(f"categorical_features has position {column}, X has {n_columns} columns.")
    return int(column)


def _problem(column):
    """Say what is wrong with a column that should hold numbers; None if nothing is."""
    if column.map(lambda value: isinstance(value, str)).any():
        return (
            "holds text: make it categorical (a dtype of categories, or categorical_features), "
            "or encode it as numbers"
        )
    if np.isinf(pd.to_numeric(column, errors="coerce")).any():
        return "holds infinity; finite numbers and NaN (missing) are allowed"
    return None


def _column(X, position):
    """Return a column as something pandas can number the categories of."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return as_label_array(frame[:, position].to_native())
    return np.asarray(X)[:, position]


def _columns(X, positions):
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame[:, positions.tolist()].to_native()
    return np.asarray(X)[:, positions]
