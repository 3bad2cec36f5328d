"""The classifier."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from rmtgb._compat import StrOptions
from rmtgb.estimators._base import BaseRMTGB, _by_row
from rmtgb.estimators._target import read_target
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
        n_iter_shared=500,
        n_iter_partition=500,
        n_iter_task=300,
        learning_rate=0.05,
        max_leaf_nodes=16,
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
        n_iter_no_change=30,
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

    def _read_target(self, y, name="y"):
        column = read_target(y, name)
        check_classification_targets(y)
        return column

    def _fit_target(self, y, weight, former):
        """Learn the classes, return their codes and the weights of the rows."""
        classes, codes = np.unique(y, return_inverse=True)
        if classes.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs rows of at least 2 classes, got 1 class: "
                f"{classes.tolist()[0]!r}."
            )
        if former is None:
            self.classes_ = classes
        elif not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start=True goes on with the classes {self.classes_.tolist()} of the former "
                f"fit, but y holds {classes.tolist()}. Fit with warm_start=False."
            )
        return codes.astype(np.float64), self._weigh_classes(codes, weight)

    def _weigh_classes(self, codes, weight):
        """Multiply weights by ``class_weight``; their sum does not become smaller."""
        if self.class_weight is None:
            return weight
        if isinstance(self.class_weight, str):
            by_class = 1.0 / np.bincount(codes, weight)
        else:
            by_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_[codes]
            )
            if not np.all(by_class > 0.0):
                raise ValueError(
                    f"class_weight must be positive for every class, got {self.class_weight}."
                )
        weighed, n_classes = weight * by_class[codes], self.classes_.size
        if isinstance(self.class_weight, str):
            return weighed * (weight.sum() / n_classes)
        return weighed * max(1.0, weight.sum() / weighed.sum())

    def _encode_target(self, y, name="y"):
        codes = np.minimum(np.searchsorted(self.classes_, y), self.classes_.size - 1)
        foreign = self.classes_[codes] != y
        if foreign.any():
            raise ValueError(
                f"{name} holds the class {y[foreign].tolist()[0]!r}, known are "
                f"{self.classes_.tolist()}."
            )
        return codes.astype(np.float64)

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
        probability = self._loss.inverse_link(raw)
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

    def _metric(self, y, raw, weight):
        chosen = self._probabilities(raw)[np.arange(y.size), y.astype(np.int64)]
        return float(np.average(-np.log(np.maximum(chosen, 1e-15)), weights=weight))
