"""From X, task labels and weights to arrays, at fit and ever after in the same way."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from rmtgb._common import BoolArray, FloatArray, IntArray
from rmtgb._compat import count_rows
from rmtgb.containers import as_array, as_frame, as_table, column_names, take_rows
from rmtgb.estimators._features import FeatureArray, FeatureEncoder, find_categorical
from rmtgb.estimators._warn import warn_caller
from rmtgb.estimators._weights import read_weight
from rmtgb.tasks import TaskEncoder, split_task_column

#: Rows that the tree core can number.
MAX_ROWS = 2**32 - 1

#: Fractions that are labels of more tasks than this share of the rows are taken for a feature.
LARGEST_SHARE_OF_TASKS = 0.5


class InputReader:
    """Splits the task column off X, numbers categories and tasks.

    Parameters
    ----------
    task_feature, categorical_features, max_bins
        As the estimator has them; later changes of its parameters do not matter.

    Attributes
    ----------
    features : FeatureEncoder
    tasks : TaskEncoder or None
        None if there is but one task, because there are no labels.
    kept_columns : ndarray of bool of shape (n_columns,)
        Columns of X that are features: all but the task column.
    """

    features: FeatureEncoder
    tasks: TaskEncoder | None
    kept_columns: BoolArray

    def __init__(
        self, task_feature: str | int | None, categorical_features: Any, max_bins: int
    ) -> None:
        self._task_feature = task_feature
        self._categorical_features = categorical_features
        self._max_bins = max_bins

    @property
    def n_features(self) -> int:
        """Number of features, the task column not counted."""
        return int(self.kept_columns.sum())

    def fit(self, X: Any, task: Any, estimator: Any) -> tuple[FeatureArray, NDArray[Any] | None]:
        """Learn columns and categories.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_columns)
        task : array-like of shape (n_samples,) or None
            Labels, where they are not a column of X.
        estimator : estimator
            Gets ``n_features_in_`` and ``feature_names_in_``.

        Returns
        -------
        values : ndarray of float32 or float64 of shape (n_samples, n_features)
        labels : ndarray of shape (n_samples,) or None
            To be given to :meth:`fit_tasks`.

        Raises
        ------
        ValueError, TypeError
            If there are two sources of labels, or X is not a table of numbers and
            categories with the columns that are named.
        """
        features, labels = split_task_column(X, self._task_feature)
        if task is not None:
            if labels is not None:
                raise ValueError(
                    f"task= was passed, but task_feature={self._task_feature!r} already names "
                    "the task column; give one of the two."
                )
            labels = as_array(task, "task")
        features = _table(features, X, estimator)
        validate_data(estimator, X, skip_check_array=True)
        self._fit_columns(X, features, int(estimator.n_features_in_))
        values = self.features.transform(features, estimator)
        check_row_count(values.shape)
        if labels is not None:
            check_consistent_length(values, labels)
        return values, labels

    def _fit_columns(self, X: Any, features: Any, n_columns: int) -> None:
        self._names = names = column_names(X)
        categorical = find_categorical(X, self._categorical_features, names, n_columns)
        self.kept_columns = np.ones(n_columns, dtype=bool)
        if self._task_feature is not None:
            self.kept_columns[self._task_position(names)] = False
            if n_columns == 1:
                raise ValueError(
                    f"X has 0 feature(s) besides the task column {self._task_feature!r}, while a "
                    "minimum of 1 is required."
                )
        kept = np.flatnonzero(self.kept_columns).tolist()
        called = kept if names is None else [names[position] for position in kept]
        self.features = FeatureEncoder().fit(features, categorical[kept], self._max_bins, called)

    def _task_position(self, names: list[Any] | None) -> Any:
        if names is None or not isinstance(self._task_feature, str):
            return self._task_feature
        return names.index(self._task_feature)

    def fit_tasks(self, labels: NDArray[Any] | None) -> NDArray[Any]:
        """Learn the distinct labels.

        Parameters
        ----------
        labels : ndarray of shape (n_samples,) or None

        Returns
        -------
        tasks : ndarray of shape (n_tasks,)
            The distinct labels; the number 0 if there are no labels.

        Raises
        ------
        ValueError
            If a label is missing.

        Warns
        -----
        UserWarning
            If the labels look like the values of a feature.
        """
        if labels is None:
            self.tasks = None
            return np.zeros(1, dtype=np.int64)
        self.tasks = TaskEncoder().fit(labels)
        tasks = self.tasks.tasks_
        many = tasks.size > LARGEST_SHARE_OF_TASKS * labels.size
        if many and tasks.dtype.kind == "f" and np.any(tasks != np.floor(tasks)):
            source = "task=" if self._task_feature is None else f"{self._task_feature!r}"
            warn_caller(
                f"The task column ({source}) holds {tasks.size} different fractions in "
                f"{labels.size} rows (for example {tasks[0]}), as a feature does: is it another "
                "column? A position means another column where one before it was dropped. If "
                "they are labels, give them as strings."
            )
        return tasks

    def check_same_tasks(self, labels: NDArray[Any] | None) -> None:
        """Refuse labels, as for :meth:`fit_tasks`, other than those that are known."""
        if self.tasks is None:
            return
        found = set(TaskEncoder().fit(labels).tasks_.tolist())
        known = set(self.tasks.tasks_.tolist())
        if found != known:
            differing = sorted(map(repr, found ^ known))
            listed = ", ".join(differing[:5] + ["..."] * (len(differing) > 5))
            raise ValueError(
                "warm_start=True goes on with the tasks of the former fit, but of the tasks "
                f"{listed} there are rows in one of the fits only. Fit with warm_start=False."
            )

    def read(self, X: Any, task: Any, estimator: Any) -> tuple[FeatureArray, NDArray[Any] | None]:
        """Read rows as at fit.

        Parameters
        ----------
        X, task, estimator
            As for :meth:`fit`.

        Returns
        -------
        values : ndarray of float32 or float64 of shape (n_samples, n_features)
        labels : ndarray of shape (n_samples,) or None

        Raises
        ------
        ValueError, TypeError
            If X has other columns than at fit, or labels come in another way.
        """
        if task is not None and (self._task_feature is not None or self.tasks is None):
            raise ValueError(
                "task= was passed, but the estimator was fitted "
                + ("without tasks." if self.tasks is None else "with a task column in X.")
            )
        if task is None and self._task_feature is None and self.tasks is not None:
            raise ValueError(
                "The estimator was fitted with task=; task= is needed here too. A column of X, "
                "named by task_feature, works everywhere in scikit-learn."
            )
        features, labels = split_task_column(
            X, self._task_feature, fitted_names=getattr(estimator, "feature_names_in_", None)
        )
        features = _table(features, X, estimator)
        validate_data(estimator, X, skip_check_array=True, reset=False)
        self._check_other_names(X)
        values = self.features.transform(features, estimator)
        if task is not None:
            labels = as_array(task, "task")
            check_consistent_length(values, labels)
        return values, labels

    def _check_other_names(self, X: Any) -> None:
        """Compare names that are no strings, which scikit-learn does not look at."""
        names = column_names(X)
        compared = self._names is not None and names is not None
        if compared and names != self._names and not (_any_text(names) or _any_text(self._names)):
            raise ValueError(
                f"X has the columns {names}, and had {self._names} at fit: they must be the same "
                "and in the same order."
            )

    def encode_tasks(self, labels: NDArray[Any] | None, n_rows: int) -> IntArray:
        """Return the code of each row's task, -1 if unseen or missing; int64 (n_rows,)."""
        if self.tasks is None:
            return np.zeros(n_rows, dtype=np.int64)
        return self.tasks.encode(labels)


def check_row_count(shape: tuple[int, ...]) -> None:
    """Refuse more rows than the tree core can number."""
    if shape[0] > MAX_ROWS:
        raise ValueError(f"X has {shape[0]} rows, at most 2**32 - 1 = {MAX_ROWS} are allowed.")


def drop_rows_without_weight(
    X: Any, y: Any, task: Any, sample_weight: Any, groups: Any = None, name: str = "sample_weight"
) -> tuple[Any, Any, Any, FloatArray, Any]:
    """Leave out rows of weight zero, before anything looks at them.

    Parameters
    ----------
    X : array-like or data frame of shape (n_samples, n_columns)
    y, task, groups : array-like of shape (n_samples,) or None
    sample_weight : array-like of shape (n_samples,), number or None
    name : str, default="sample_weight"
        What to call the weights in messages.

    Returns
    -------
    X, y, task : object
        In the same kind of container, those that were given themselves if no row is left out.
    weight : ndarray of float64 of shape (n_kept,)
        Positive weights, as :func:`~rmtgb.estimators._weights.read_weight` gives them.
    groups : object
        As X, y and task.

    Raises
    ------
    ValueError, TypeError
        If lengths differ, or a weight is not allowed.
    """
    as_frame(X)  # it refuses what has no rows
    check_consistent_length(X, y, task, groups)
    weight = read_weight(sample_weight, count_rows(y), name)
    used = weight > 0
    if not used.all():
        X, y, task, groups = (take_rows(given, used) for given in (X, y, task, groups))
    return X, y, task, weight[used], groups


def encode_groups(groups: Any) -> IntArray | None:
    """Return numbers from 0 on for groups of rows, or None if there are none.

    Raises
    ------
    ValueError
        If groups are not one label for each row, a label is missing, or all are the same.
    """
    if groups is None:
        return None
    labels = as_array(groups)
    if labels.ndim != 1:
        raise ValueError(f"groups must be one-dimensional, got shape {labels.shape}.")
    codes, found = pd.factorize(labels)
    if (codes < 0).any():
        raise ValueError(
            f"groups has no label in {int((codes < 0).sum())} rows, the first in row "
            f"{int(np.argmax(codes < 0))}. Each row must be of a group."
        )
    if len(found) < 2:
        raise ValueError(
            "groups holds one label: rows of a group validate together, which takes two groups."
        )
    return codes.astype(np.int64)


def _any_text(names: Any) -> bool:
    return any(isinstance(name, str) for name in names)


def _table(features: Any, X: Any, estimator: Any) -> Any:
    """Return features as a table; refuse an X without rows and columns."""
    table = as_table(features)
    if as_frame(table) is None and table.ndim != 2:
        check_array(X, estimator=estimator, input_name="X")  # it says what X is instead
    return table
