"""A fitted model, and its predictions."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from rmtgb.boosting.stage_2_outlier_partition import Partition
from rmtgb.boosting.stage_3_task_specific import TaskEnsembles
from rmtgb.boosting.state import FormerPredictions
from rmtgb.tasks.baseline import Baseline
from rmtgb.tree.dtypes import STANDARDIZED
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.standardizer import Standardizer, Values

#: Rows that are predicted at a time: their values stay in the second-level cache.
BLOCK_ROWS = 4096

PARTS = ("baseline", "shared", "inlier", "outlier", "task_specific")


def with_cluster_column(X, task_codes, clusters):
    """Return features with each row's cluster of tasks as the last, NaN for an unseen task."""
    column = np.append(clusters, np.nan)[task_codes].astype(X.dtype)
    return np.ascontiguousarray(np.column_stack([X, column]))


@dataclass(frozen=True)
class ThreeStageModel:
    """What three stages have learned; immutable.

    Attributes
    ----------
    baseline : Baseline
    standardizer : Standardizer
    clusters : ndarray of int64 of shape (n_tasks,) or None
        Cluster of each task, which the common ensembles see as one more feature, the last.
    shared : Ensemble
    partition : Partition
    task_specific : TaskEnsembles
    """

    baseline: Baseline
    standardizer: Standardizer
    clusters: np.ndarray | None
    shared: Ensemble
    partition: Partition
    task_specific: TaskEnsembles

    @classmethod
    def untrained(cls, baseline, standardizer, clusters=None):
        """Return a model of a Baseline and no trees."""
        n_tasks, n_outputs = baseline.tasks.shape
        return cls(
            baseline,
            standardizer,
            clusters,
            Ensemble.empty(n_outputs),
            Partition.empty(n_tasks, n_outputs),
            TaskEnsembles.empty(n_tasks, n_outputs),
        )

    @property
    def _ensembles(self):
        sides = self.partition.inlier, self.partition.outlier
        return self.shared, *sides, self.task_specific.trees

    @property
    def n_outputs(self):
        """Raw predictions per row."""
        return self.shared.n_outputs

    @cached_property
    def outlier_weights(self):
        """Weight w of each task on the outlier side, in (0, 1)."""
        return expit(self.partition.theta)

    @cached_property
    def unseen_weight(self):
        """Weight w of a task that was not seen: the median of the inlier tasks'."""
        inliers = self.outlier_weights[self.outlier_weights <= 0.5]
        return float(np.median(inliers)) if inliers.size else 0.0

    def parts(self, X, task_codes, team):
        """Return the five parts of the raw prediction, already multiplied by their weights.

        Parameters
        ----------
        X : ndarray of float32 or float64 of shape (n, n_features)
            Values, categories numbered as at fit.
        task_codes : ndarray of int64 of shape (n,)
            Task of each row, -1 for a task that was not seen.
        team : Team

        Returns
        -------
        ndarray of float64 of shape (5, n_outputs, n)
            In the order of ``PARTS``; their sum is the raw prediction.
        """
        parts = np.zeros((len(PARTS), self.n_outputs, X.shape[0]))
        weight = np.append(self.outlier_weights, self.unseen_weight)
        baseline = np.vstack([self.baseline.tasks, self.baseline.population])

        # rows of a task together go through its trees together
        order = np.argsort(task_codes, kind="stable") if self.task_specific.starts[-1] else None

        def predict_block(start):
            block = slice(start, start + BLOCK_ROWS)
            if order is not None:
                block = order[block]
            codes = task_codes[block]
            values = self._values(X[block], codes)
            out = np.zeros((len(PARTS), self.n_outputs, codes.size))
            out[0] = baseline[codes].T
            self.shared.add_to(out[1], values)
            self.partition.inlier.add_to(out[2], values)
            self.partition.outlier.add_to(out[3], values)
            out[2] *= 1.0 - weight[codes]
            out[3] *= weight[codes]
            self._add_task_rounds(out[4], values, codes, 0, None)
            parts[:, :, block] = out

        team.map(predict_block, range(0, X.shape[0], BLOCK_ROWS))
        return parts

    def raw(self, X, task_codes, team):
        """Return the raw prediction, shape (n_outputs, n); arguments as for :meth:`parts`."""
        return self.parts(X, task_codes, team).sum(axis=0)

    def former_predictions(self, X, task_codes, team):
        """Return where the stages of a further fit start; arguments as for :meth:`parts`.

        Everything is added up in the order of training, so that going on gives the same
        bits as not having stopped.

        Returns
        -------
        FormerPredictions
        """
        raw = np.ascontiguousarray(self.baseline.tasks[task_codes].T)
        inlier, outlier = np.zeros_like(raw), np.zeros_like(raw)

        def predict_block(start):
            block = slice(start, start + BLOCK_ROWS)
            codes = task_codes[block]
            values = self._values(X[block], codes)
            weight = self.outlier_weights[codes]
            out = np.ascontiguousarray(raw[:, block])
            sides = np.zeros((2, *out.shape))
            self.shared.add_to(out, values)
            self.partition.inlier.add_to(sides[0], values)
            self.partition.outlier.add_to(sides[1], values)
            out = out + (1.0 - weight) * sides[0] + weight * sides[1]
            self._add_task_rounds(out, values, codes, 0, None)
            raw[:, block], inlier[:, block], outlier[:, block] = out, sides[0], sides[1]

        team.map(predict_block, range(0, X.shape[0], BLOCK_ROWS))
        return FormerPredictions(raw, inlier, outlier)

    def staged_raw(self, X, task_codes):
        """Yield the raw prediction after each round of each stage.

        A round of stage 3 adds one tree to every task that has that many.

        Parameters
        ----------
        X, task_codes
            As for :meth:`parts`.

        Yields
        ------
        ndarray of float64 of shape (n_outputs, n)
            A new array each time.
        """
        values = self._values(X, task_codes)
        weight = np.append(self.outlier_weights, self.unseen_weight)[task_codes]
        raw = np.vstack([self.baseline.tasks, self.baseline.population])[task_codes].T.copy()
        for r in range(self.shared.n_rounds):
            self.shared.add_to(raw, values, r, r + 1)
            yield raw.copy()
        for r in range(self.partition.n_rounds):
            for side, share in (
                (self.partition.inlier, 1.0 - weight),
                (self.partition.outlier, weight),
            ):
                step = np.zeros_like(raw)
                side.add_to(step, values, r, r + 1)
                raw += share * step
            yield raw.copy()
        for r in range(int(self.task_specific.n_rounds.max(initial=0))):
            self._add_task_rounds(raw, values, task_codes, r, r + 1)
            yield raw.copy()

    def _values(self, X, task_codes):
        """Return rows (m, n_features) as ensembles take them."""
        raw = np.ascontiguousarray(X, dtype=np.float64)
        if self.clusters is not None:
            raw = with_cluster_column(raw, task_codes, self.clusters)
        if not any(ensemble.slopes.size for ensemble in self._ensembles):
            return Values(raw, np.empty((0, raw.shape[1]), STANDARDIZED))
        return Values(raw, self.standardizer.transform(raw))

    def _add_task_rounds(self, prediction, values, task_codes, first_round, stop_round):
        starts, n_outputs = self.task_specific.starts, self.n_outputs
        if starts[-1] == 0:
            return
        stop = starts[1:]
        if stop_round is not None:
            stop = np.minimum(stop, starts[:-1] + stop_round * n_outputs)
        first = np.minimum(starts[:-1] + first_round * n_outputs, stop)
        self.task_specific.trees.add_ranges_to(prediction, values, task_codes, first, stop)

    def gains(self, n_features):
        """Return the gain of each feature by ensemble: shape (4, n_features)."""
        return np.array([ensemble.gains(n_features) for ensemble in self._ensembles])

    def task_gains(self, n_features):
        """Return the gain of each feature in each task's own trees: (n_tasks, n_features)."""
        trees, n_tasks = self.task_specific.trees, self.partition.theta.size
        task_of_tree = np.repeat(np.arange(n_tasks), np.diff(self.task_specific.starts))
        task_of_node = np.repeat(task_of_tree, np.diff(trees.tree_starts))
        inner = trees.nodes["feature"] >= 0
        position = task_of_node[inner] * n_features + trees.nodes["feature"][inner]
        gains = np.bincount(
            position, weights=trees.nodes["gain"][inner], minlength=n_tasks * n_features
        )
        return gains.reshape(n_tasks, n_features)
