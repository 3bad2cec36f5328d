"""What a fitted estimator says about itself: parts, importances, scores of tasks."""

from abc import abstractmethod
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from rmtgb._common import FloatArray
from rmtgb.boosting.parts import PARTS
from rmtgb.estimators._base import BaseRMTGB, by_row
from rmtgb.estimators.task_scores import cross_validated_table, fit_references, held_out_table


class InspectedRMTGB(BaseRMTGB):
    """Adds to an estimator what explains and judges its predictions.

    The importance of a feature is the gain of the splits on it, as a share of all gain. No
    split uses the task column itself, but where descriptors of tasks are used, splits on these
    are its importance.
    """

    def predict_parts(self, X: Any, *, task: Any = None) -> dict[str, FloatArray]:
        """Take the raw prediction apart.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            As at fit.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples,) or (n_samples, n_classes)
            "baseline", "shared", "inlier", "outlier" and "task_specific", already
            multiplied by the weights of the row's task; their sum is the raw prediction
            (the log-odds, or the logarithm of the expected count, where the loss has a
            link).
        """
        values, codes = self._read_rows(X, task)
        with self._team(values.shape) as team:
            parts = self._model.predict_parts(values, codes, team)
        return {name: by_row(part) for name, part in zip(PARTS, parts, strict=True)}

    @property
    def task_evidence_(self) -> pd.DataFrame:
        """What speaks for each task being an outlier; see the attributes of the estimator."""
        check_is_fitted(self)
        evidence = self._model.evidence
        assert evidence is not None
        columns = np.flatnonzero(self._input.kept_columns)
        names = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))[columns]
        return pd.DataFrame(
            {
                "weight": evidence.weights,
                "score": evidence.score,
                "standard_error": evidence.error,
                "p_value": evidence.p_value,
                "stability": evidence.stability,
                "features": [
                    tuple(names[np.array(features, dtype=np.int64)].tolist())
                    for features in evidence.departing_features()
                ],
            },
            index=pd.Index(self.tasks_, name="task"),
        )

    @property
    def feature_importances_(self) -> FloatArray:
        """Importance in the whole model; ndarray of float64 of shape (n_features_in_,)."""
        check_is_fitted(self)
        return _shares(self._gains().sum(axis=0))

    @property
    def stage_feature_importances_(self) -> dict[str, FloatArray]:
        """Importance in each ensemble.

        Dict of str to ndarray of float64 of shape (n_features_in_,): "shared", "inlier",
        "outlier", "task_specific". An ensemble without splits has zeros.
        """
        check_is_fitted(self)
        ensembles = PARTS[1:]  # the baseline has no trees
        return {name: _shares(g) for name, g in zip(ensembles, self._gains(), strict=True)}

    @property
    def task_feature_importances_(self) -> FloatArray:
        """Importance for each task; ndarray of float64 of shape (n_tasks, n_features_in_).

        The gain of the common ensembles is divided among tasks by the share that their
        training rows have in it; that of a task's own trees is all its own.
        """
        check_is_fitted(self)
        shared, inlier, outlier, _ = self._gains()
        rows, w = self._model.tasks.weight, self._model.side_weights
        common = (
            np.outer(_shares(rows), shared)
            + np.outer(_shares(rows * (1.0 - w) ** 2), inlier)
            + np.outer(_shares(rows * w**2), outlier)
        )
        own = self._with_task_column(self._model.task_specific.gains(self._n_model_features))
        return np.apply_along_axis(_shares, 1, common + own)

    @property
    def _n_model_features(self) -> int:
        return self._input.n_features + self._model.added.n_features

    def _gains(self) -> FloatArray:
        """Return the gain of each column of X by ensemble: shape (4, n_features_in_)."""
        return self._with_task_column(self._model.gains(self._n_model_features))

    def _with_task_column(self, gains: FloatArray) -> FloatArray:
        """Put gains of features where their columns are, and of added ones where they are from.

        That is the task for descriptors, and for a linear model the features and the task, by
        their shares in it. Where tasks are given beside X, there is no column for them, and their
        gain is left out.
        """
        own, added = np.split(gains, [self._input.n_features], axis=1)
        linear = self._model.added.linear
        n_linear = 0 if linear is None else len(linear.fixed)
        of_task, by_linear = (
            part.sum(axis=1) for part in np.split(added, [added.shape[1] - n_linear], axis=1)
        )
        if linear is not None:
            of_features = np.outer(by_linear, linear.shares())
            own, of_task = own + of_features[:, :-1], of_task + of_features[:, -1]
        kept = self._input.kept_columns
        everything = np.zeros((gains.shape[0], kept.size))
        everything[:, kept] = own
        everything[:, ~kept] += of_task[:, None]
        return everything

    def task_scores(
        self,
        X: Any,
        y: Any,
        *,
        task: Any = None,
        sample_weight: Any = None,
        X_train: Any = None,
        y_train: Any = None,
        task_train: Any = None,
        sample_weight_train: Any = None,
    ) -> pd.DataFrame:
        """Score every task, and compare with one pooled model and one model per task.

        The pooled model is stage 1 alone, without knowledge of tasks; a task's own model is
        stage 3 alone. Both have as many rounds as all stages together, and all other
        parameters as they were when this estimator was fitted, whatever they are now.

        With ``X_train`` and ``y_train`` they are fitted on these rows, which should be those
        that this estimator was fitted on, and all three are judged on X and y, which should
        be others. The estimator itself keeps no rows. Without them, all three, this one
        included, are fitted again by cross-validation within X and y: five times on four
        fifths of the rows of every task, to predict the other fifth. That says how well such
        models do with so many rows, and not how well this one does.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows to judge on. Those of tasks that this estimator does not know are left out,
            with a warning.
        y : array-like of shape (n_samples,)
            Their targets.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.
        sample_weight : array-like of shape (n_samples,), optional
            Weights >= 0.
        X_train, y_train, task_train, sample_weight_train : optional
            Rows to fit the other two models on, as they were given to ``fit``.

        Returns
        -------
        pandas.DataFrame
            One row per task that occurs in X, indexed by its label: "rows", then the
            metric of "rmtgb", "pooled" and "single_task" (smaller is better), then
            "outlier_weight", which is that of this estimator. ``attrs["metric"]`` is the name
            of the metric, and ``attrs["evaluation"]`` is "held-out rows" or, for example,
            "5-fold cross-validation".

        Raises
        ------
        ValueError
            If the estimator has no tasks, one of ``X_train`` and ``y_train`` is missing, or
            there are too few rows to cross-validate.
        """
        check_is_fitted(self)
        if self._input.tasks is None:
            raise ValueError("task_scores needs an estimator that was fitted with tasks.")
        if X_train is None and y_train is None:
            return cross_validated_table(self, X, y, task, sample_weight)
        if X_train is None or y_train is None:
            raise ValueError("X_train and y_train must be given together.")
        references = fit_references(self, X_train, y_train, task_train, sample_weight_train)
        return held_out_table(self, references, X, y, task, sample_weight)

    @property
    @abstractmethod
    def _metric_name(self) -> str:
        """Name of the error that ``task_scores`` reports."""

    @abstractmethod
    def _metric_input(self, other: Self, raw: FloatArray) -> FloatArray:
        """Return raw predictions of an estimator of the same kind as ``_metric`` takes them."""

    @abstractmethod
    def _metric(self, y: FloatArray, prediction: FloatArray, weight: FloatArray) -> float:
        """Return the error of predictions for encoded targets."""


def _shares(gains: FloatArray) -> FloatArray:
    total = gains.sum()
    return gains / total if total > 0 else np.zeros_like(gains, dtype=float)
