"""Feature importances: overall, per stage, per task."""

import numpy as np
from sklearn.utils.validation import check_is_fitted


class Importances:
    """Importances of a fitted estimator, computed when they are asked for.

    The importance of a feature is the gain of the splits on it, as a share of all gain.
    The task column, which no split uses, has importance zero.
    """

    @property
    def feature_importances_(self):
        """Importance in the whole model; ndarray of float64 of shape (n_features_in_,)."""
        check_is_fitted(self)
        return _shares(self._gains().sum(axis=0))

    @property
    def stage_feature_importances_(self):
        """Importance in each ensemble.

        Dict of str to ndarray of float64 of shape (n_features_in_,): "shared", "inlier",
        "outlier", "task_specific". An ensemble without splits has zeros.
        """
        check_is_fitted(self)
        names = ("shared", "inlier", "outlier", "task_specific")
        return {name: _shares(gain) for name, gain in zip(names, self._gains(), strict=True)}

    @property
    def task_feature_importances_(self):
        """Importance for each task; ndarray of float64 of shape (n_tasks, n_features_in_).

        The gain of the common ensembles is divided among tasks by the share that their
        training rows have in it; that of a task's own trees is all its own.
        """
        check_is_fitted(self)
        shared, inlier, outlier, _ = self._gains()
        rows, w = self._task_rows, self.outlier_weights_
        common = (
            np.outer(_shares(rows), shared)
            + np.outer(_shares(rows * (1.0 - w) ** 2), inlier)
            + np.outer(_shares(rows * w**2), outlier)
        )
        own = self._with_task_column(self._model.task_specific.gains(self._n_model_features))
        return np.apply_along_axis(_shares, 1, common + own)

    @property
    def _n_model_features(self):
        return self._input.n_features + (self._model.clusters is not None)

    def _gains(self):
        return self._with_task_column(self._model.gains(self._n_model_features))

    def _with_task_column(self, gains):
        kept = self._input.kept_columns
        everything = np.zeros((gains.shape[0], kept.size))
        everything[:, kept] = gains[:, : self._input.n_features]
        if gains.shape[1] > self._input.n_features:  # of the clusters of tasks
            everything[:, ~kept] += gains[:, self._input.n_features :]
        return everything


def _shares(gains):
    total = gains.sum()
    return gains / total if total > 0 else np.zeros_like(gains, dtype=float)
