"""The regressor."""

from numbers import Real

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    r2_score,
    root_mean_squared_error,
)

from rmtgb._compat import Interval, StrOptions
from rmtgb.estimators._base import BaseRMTGB
from rmtgb.estimators._target import read_target
from rmtgb.estimators._task_scores import TaskScores
from rmtgb.losses import make_loss

#: What ``task_scores`` reports for each loss, huber as the first.
_METRICS = {
    "squared_error": ("root mean squared error", root_mean_squared_error),
    "absolute_error": ("mean absolute error", mean_absolute_error),
    "quantile": ("mean pinball loss", mean_pinball_loss),
    "poisson": ("mean Poisson deviance", mean_poisson_deviance),
}


class RMTGBRegressor(TaskScores, RegressorMixin, BaseRMTGB):
    """Robust multi-task gradient boosting for regression.

    PARAMETERS
    """

    _parameter_constraints: dict = {
        **BaseRMTGB._parameter_constraints,
        "loss": [
            StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"})
        ],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(  # noqa: PLR0913
        self,
        *,
        task_feature=None,
        loss="squared_error",
        quantile=0.5,
        huber_delta=1.345,
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
        self.quantile = quantile
        self.huber_delta = huber_delta
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
        return read_target(y, name, np.float64)

    def _fit_target(self, y, weight, former):
        return y, weight

    def _encode_target(self, y, name="y"):
        return y

    def _make_loss(self, rows):
        loss = make_loss(
            self.loss,
            quantile=self.quantile,
            huber_delta=self.huber_delta,
            y=rows.y,
            sample_weight=rows.weight,
        )
        loss.check_target(rows.y)
        return loss

    def predict(self, X, *, task=None):
        """Predict targets.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            As at fit. The prediction of a row does not depend on the other rows.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.

        Returns
        -------
        ndarray of float64 of shape (n_samples,)
            Expected values (medians or quantiles for those losses).
        """
        return self._predict_raw(self._raw(X, task))

    def staged_predict(self, X, *, task=None):
        """Yield the prediction after each round of each stage; parameters as for predict.

        Yields
        ------
        ndarray of float64 of shape (n_samples,)
        """
        for raw in self._staged_raw(X, task):
            yield self._predict_raw(raw)

    def _predict_raw(self, raw):
        return self._loss.inverse_link(raw)[0]

    def score(self, X, y, sample_weight=None, *, task=None):
        """Return the coefficient of determination R^2 of the prediction.

        Parameters
        ----------
        X, task
            As for predict.
        y : array-like of shape (n_samples,)
            True targets.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
            At most 1.
        """
        return r2_score(y, self.predict(X, task=task), sample_weight=sample_weight)

    @property
    def _metric_name(self):
        return _METRICS.get(self._loss.name, _METRICS["squared_error"])[0]

    def _metric(self, y, raw, weight):
        metric = _METRICS.get(self._loss.name, _METRICS["squared_error"])[1]
        level = {"alpha": self._loss.parameter} if self._loss.name == "quantile" else {}
        return float(metric(y, self._predict_raw(raw), sample_weight=weight, **level))
