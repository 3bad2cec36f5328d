"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array

from rmtgb._compat import StrOptions
from rmtgb.boosting.fit import Rows
from rmtgb.estimators._base import BaseRMTGB, _by_row
from rmtgb.estimators._task_scores import TaskScores
from rmtgb.losses import make_loss


class RMTGBClassifier(TaskScores, ClassifierMixin, BaseRMTGB):
    """Robust multi-task gradient boosting for classification.

    PARAMETERS
    """

    __metadata_request__predict_proba = {"task": True}
    __metadata_request__decision_function = {"task": True}

    _parameter_constraints: dict = {
        **BaseRMTGB._parameter_constraints,
        "loss": [StrOptions({"log_loss"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(  # noqa: PLR0913
        self,
        *,
        task_feature=None,
        loss="log_loss",
        class_weight=None,
        n_iter_shared=300,
        n_iter_partition=300,
        n_iter_task=100,
        learning_rate=0.1,
        max_leaf_nodes=31,
        max_depth=None,
        min_samples_leaf=20,
        max_leaf_nodes_task=8,
        min_samples_leaf_task=5,
        l2_regularization=1.0,
        partition_regularization=0.1,
        task_baseline="shrunken",
        max_bins=255,
        categorical_features="from_dtype",
        subsample=1.0,
        max_features=1.0,
        early_stopping="auto",
        validation_fraction=0.15,
        n_iter_no_change=20,
        tol=1e-7,
        unknown_task="shared",
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.task_feature = task_feature
        self.loss = loss
        self.class_weight = class_weight
        self.n_iter_shared = n_iter_shared
        self.n_iter_partition = n_iter_partition
        self.n_iter_task = n_iter_task
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_leaf_nodes_task = max_leaf_nodes_task
        self.min_samples_leaf_task = min_samples_leaf_task
        self.l2_regularization = l2_regularization
        self.partition_regularization = partition_regularization
        self.task_baseline = task_baseline
        self.max_bins = max_bins
        self.categorical_features = categorical_features
        self.subsample = subsample
        self.max_features = max_features
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.unknown_task = unknown_task
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _read_target(self, y, reset):
        check_classification_targets(y)
        y = column_or_1d(y, warn=True)
        if reset:
            return y
        codes = np.searchsorted(self.classes_, y)
        codes = np.minimum(codes, self.classes_.size - 1)
        if np.any(self.classes_[codes] != y):
            raise ValueError("y_val holds classes that are not in y.")
        return codes.astype(np.float64)

    def _class_weights(self, y):
        if self.class_weight is None:
            return 1.0
        return compute_sample_weight(self.class_weight, y)

    def _finish_target(self, rows):
        self.classes_, codes = np.unique(rows.y, return_inverse=True)
        if self.classes_.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least 2 classes, got 1 class: "
                f"{self.classes_[0]!r}."
            )
        return Rows(rows.X, codes.astype(np.float64), rows.weight, rows.task_codes)

    def _make_loss(self, rows):
        return make_loss("log_loss", n_classes=self.classes_.size)

    def decision_function(self, X, *, task=None):
        """Return raw predictions.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            As at fit.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_classes)
            The log-odds of ``classes_[1]`` for two classes, else one score per class.
        """
        return _by_row(self._raw(X, task))

    def predict_proba(self, X, *, task=None):
        """Return the probabilities of the classes; parameters as for decision_function.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._probabilities(self._raw(X, task))

    def predict(self, X, *, task=None):
        """Return the most probable class; parameters as for decision_function.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the dtype of ``classes_``.
        """
        return self._labels(self._raw(X, task))

    def staged_predict(self, X, *, task=None):
        """Yield the prediction after each round of each stage; parameters as for predict.

        Yields
        ------
        ndarray of shape (n_samples,)
        """
        for raw in self._staged_raw(X, task):
            yield self._labels(raw)

    def staged_predict_proba(self, X, *, task=None):
        """Yield the probabilities after each round of each stage; as for predict_proba.

        Yields
        ------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        for raw in self._staged_raw(X, task):
            yield self._probabilities(raw)

    def _labels(self, raw):
        codes = raw[0] > 0 if raw.shape[0] == 1 else raw.argmax(axis=0)
        return self.classes_[codes.astype(np.int64)]

    def _probabilities(self, raw):
        probability = make_loss("log_loss", n_classes=self.classes_.size).inverse_link(raw)
        if raw.shape[0] == 1:
            return np.column_stack([1.0 - probability[0], probability[0]])
        return np.ascontiguousarray(probability.T)

    def score(self, X, y, sample_weight=None, *, task=None):
        """Return the share of correct predictions.

        Parameters
        ----------
        X, task
            As for predict.
        y : array-like of shape (n_samples,)
            True classes.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        return accuracy_score(y, self.predict(X, task=task), sample_weight=sample_weight)

    _metric_name = "log loss"

    def _metric_input(self, X, task):
        return self.predict_proba(X, task=task)

    def _metric(self, y, prediction, weight):
        column = np.searchsorted(self.classes_, y)
        chosen = np.clip(prediction[np.arange(column.size), column], 1e-15, 1.0)
        return float(np.average(-np.log(chosen), weights=weight))
