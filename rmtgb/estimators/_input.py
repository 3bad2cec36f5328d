"""From X, task labels and weights to arrays, at fit and ever after in the same way."""

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from rmtgb._compat import check_sample_weight
from rmtgb.estimators._features import FeatureEncoder, find_categorical
from rmtgb.tasks import TaskEncoder, as_label_array, split_task_column

#: Rows that the tree core can number.
MAX_ROWS = 2**32 - 1


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

    def __init__(self, task_feature, categorical_features, max_bins):
        self._task_feature = task_feature
        self._categorical_features = categorical_features
        self._max_bins = max_bins

    @property
    def n_features(self):
        """Number of features, the task column not counted."""
        return int(self.kept_columns.sum())

    def fit(self, X, task, estimator):
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
            labels = as_label_array(task)
        _check_table(X, estimator)
        validate_data(estimator, X, skip_check_array=True)
        self._fit_columns(X, features)
        values = self.features.transform(features, estimator)
        check_row_count(values.shape)
        if labels is not None:
            check_consistent_length(values, labels)
        return values, labels

    def _fit_columns(self, X, features):
        names = column_names(X)
        categorical = find_categorical(X, self._categorical_features, names)
        self.kept_columns = np.ones(categorical.size, dtype=bool)
        if self._task_feature is not None:
            by_name = isinstance(self._task_feature, str)
            position = names.index(self._task_feature) if by_name else self._task_feature
            self.kept_columns[position] = False
            if categorical.size == 1:
                raise ValueError(
                    f"X has 0 feature(s) besides the task column {self._task_feature!r}, while a "
                    "minimum of 1 is required."
                )
        kept = np.flatnonzero(self.kept_columns).tolist()
        called = kept if names is None else [names[position] for position in kept]
        self.features = FeatureEncoder().fit(features, categorical[kept], self._max_bins, called)

    def fit_tasks(self, labels):
        """Learn the distinct labels of the rows of positive weight.

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
        """
        self.tasks = None if labels is None else TaskEncoder().fit(labels)
        return np.zeros(1, dtype=np.int64) if labels is None else self.tasks.tasks_

    def check_same_tasks(self, labels):
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

    def read(self, X, task, estimator):
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
        _check_table(X, estimator)
        validate_data(estimator, X, skip_check_array=True, reset=False)
        values = self.features.transform(features, estimator)
        if task is not None:
            labels = as_label_array(task)
            check_consistent_length(values, labels)
        return values, labels

    def encode_tasks(self, labels, n_rows):
        """Return the code of each row's task, -1 if unseen or missing; int64 (n_rows,)."""
        if self.tasks is None:
            return np.zeros(n_rows, dtype=np.int64)
        return self.tasks.encode(labels)


def check_row_count(shape):
    """Refuse more rows than the tree core can number."""
    if shape[0] > MAX_ROWS:
        raise ValueError(f"X has {shape[0]} rows, at most 2**32 - 1 = {MAX_ROWS} are allowed.")


def read_weight(sample_weight, X):
    """Return weights as repetitions.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    X : ndarray of shape (n_samples, n_features)

    Returns
    -------
    ndarray of float64 of shape (n_samples,)
        A new array. If the mean of the weights that are not zero is below one, it is
        made one: the limits of leaves count weight.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.
    """
    weight = check_sample_weight(
        sample_weight, X, dtype=np.float64, copy=True, ensure_non_negative=True
    )
    n_used = np.count_nonzero(weight)
    if n_used == 0:
        raise ValueError("sample_weight is zero for every row; at least 2 must be positive.")
    return weight * max(1.0, n_used / weight.sum())


def column_names(X):
    """Return the names of the columns of a data frame as a list, None without names."""
    if isinstance(X, pd.DataFrame):
        return list(X.columns)
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame.columns if isinstance(frame, nw.DataFrame) else None


def _check_table(X, estimator):
    """Refuse what does not have rows and columns."""
    if column_names(X) is None and np.asarray(X).ndim != 2:
        check_array(X, estimator=estimator, input_name="X")  # it says what X is instead
