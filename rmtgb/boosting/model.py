"""A fitted model, and its predictions; it imports nothing of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb.engine.team import Team
from rmtgb.tasks.baseline import Baseline
from rmtgb.tree.ensemble import Ensemble, RowsToPredict
from rmtgb.tree.standardizer import Standardizer

FloatArray = NDArray[np.float64]

#: Rows that are predicted at a time: their values stay in the second-level cache.
BLOCK_ROWS = 4096

PARTS = ("baseline", "shared", "inlier", "outlier", "task_specific")


def with_cluster_column(
    X: NDArray[np.floating[Any]], task_codes: NDArray[np.int64], clusters: NDArray[np.int64]
) -> NDArray[np.floating[Any]]:
    """Return features with each row's cluster of tasks as the last, NaN for an unseen task."""
    column = np.append(clusters, np.nan)[task_codes].astype(X.dtype)
    return np.ascontiguousarray(np.column_stack([X, column]))


@dataclass(frozen=True)
class Partition:
    """What stage 2 has learned: two ensembles, and how each task is divided between them.

    While rounds are made, the sides have no names. Afterwards the one with fewer rows' worth of
    tasks is called outlier, and ``exchanged`` tells whether it is the first.

    Attributes
    ----------
    sides : tuple of Ensemble
        The two ensembles, as they were boosted.
    theta, weights : ndarray of float64 of shape (n_tasks,)
        Logit and weight of the second side.
    theta_start : ndarray of float64 of shape (n_tasks,)
        Where theta started, and where its penalty pulls it to.
    exchanged : bool
        Whether the first side is called outlier.
    """

    sides: tuple[Ensemble, Ensemble]
    theta: FloatArray
    weights: FloatArray
    theta_start: FloatArray
    exchanged: bool = False

    @classmethod
    def empty(cls, n_tasks: int, n_outputs: int) -> Partition:
        """Return a partition without trees."""
        none = Ensemble.empty(n_outputs)
        return cls((none, none), np.zeros(n_tasks), np.full(n_tasks, 0.5), np.zeros(n_tasks))

    def starting_at(self, theta: FloatArray) -> Partition:
        """Return the partition before its first round."""
        return replace(self, theta=theta, weights=1.0 / (1.0 + np.exp(-theta)), theta_start=theta)

    @property
    def n_rounds(self) -> int:
        """Number of rounds."""
        return self.sides[0].n_rounds

    @property
    def inlier(self) -> Ensemble:
        """The ensemble of the inlier side."""
        return self.sides[int(self.exchanged)]

    @property
    def outlier(self) -> Ensemble:
        """The ensemble of the outlier side."""
        return self.sides[1 - int(self.exchanged)]

    @property
    def outlier_theta(self) -> FloatArray:
        """Logit of the outlier weight of each task, shape (n_tasks,)."""
        return -self.theta if self.exchanged else self.theta

    @property
    def outlier_weights(self) -> FloatArray:
        """Weight w of each task on the outlier side, in (0, 1), shape (n_tasks,)."""
        return 1.0 - self.weights if self.exchanged else self.weights

    @property
    def unseen_weight(self) -> float:
        """Weight w of a task that was not seen: the median of the inlier tasks'."""
        weights = self.outlier_weights
        inliers = weights[weights <= 0.5]
        return float(np.median(inliers)) if inliers.size else 0.0

    @property
    def second_weights(self) -> FloatArray:
        """Weights of the second side, shape (n_tasks + 1,), the last of a task not seen."""
        unseen = self.unseen_weight
        return np.append(self.weights, 1.0 - unseen if self.exchanged else unseen)


@dataclass(frozen=True)
class TaskEnsembles:
    """The ensembles of all tasks, one after another.

    Attributes
    ----------
    trees : Ensemble
        All trees; those of task t are ``range(starts[t], starts[t + 1])``.
    starts : ndarray of int64 of shape (n_tasks + 1,)
    random_thresholds : bool
        Whether their thresholds were drawn at random.
    """

    trees: Ensemble
    starts: NDArray[np.int64]
    random_thresholds: bool = False

    @property
    def n_rounds(self) -> NDArray[np.int64]:
        """Rounds of each task, shape (n_tasks,)."""
        return np.diff(self.starts) // self.trees.n_outputs

    @classmethod
    def empty(cls, n_tasks: int, n_outputs: int, random_thresholds: bool = False) -> TaskEnsembles:
        """Return ensembles without trees."""
        starts = np.zeros(n_tasks + 1, np.int64)
        return cls(Ensemble.empty(n_outputs), starts, random_thresholds)

    @classmethod
    def sorted_by_task(
        cls, trees: Ensemble, tasks: NDArray[np.int64], n_tasks: int, random_thresholds: bool
    ) -> TaskEnsembles:
        """Return the trees, of which the task (n_trees,) is given, with those of a task together.

        Trees of a task keep their order.
        """
        counts = np.bincount(tasks, minlength=n_tasks)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        if np.any(np.diff(tasks) < 0):
            trees = trees.take(np.argsort(tasks, kind="stable"))
        return cls(trees, starts, random_thresholds)

    @property
    def tasks(self) -> NDArray[np.int64]:
        """Task of each tree, shape (n_trees,)."""
        return np.repeat(np.arange(self.starts.size - 1), np.diff(self.starts))

    def add_to(
        self, rows: RowsToPredict, first_round: int = 0, stop_round: int | None = None
    ) -> None:
        """Add a range of rounds, all by default, to the prediction of rows with tasks."""
        if self.trees.n_trees == 0:
            return
        first, stop = self.starts[:-1], self.starts[1:]
        if stop_round is not None:
            stop = np.minimum(stop, first + stop_round * self.trees.n_outputs)
        self.trees.add_ranges_to(
            rows, np.minimum(first + first_round * self.trees.n_outputs, stop), stop
        )

    def gains(self, n_features: int) -> FloatArray:
        """Return the gain of each feature in the trees of each task: (n_tasks, n_features)."""
        n_tasks, nodes = self.starts.size - 1, self.trees.nodes
        task_of_node = np.repeat(self.tasks, np.diff(self.trees.tree_starts))
        inner = nodes["feature"] >= 0
        position = task_of_node[inner] * n_features + nodes["feature"][inner]
        gains = np.bincount(position, weights=nodes["gain"][inner], minlength=n_tasks * n_features)
        return gains.reshape(n_tasks, n_features)


@dataclass(frozen=True)
class Part:
    """One part of the sum that a prediction is, beside the baseline.

    Attributes
    ----------
    name : str
        One of ``PARTS``.
    trees : Ensemble or TaskEnsembles
    coefficient : ndarray of float64 of shape (n_tasks + 1,) or None
        What the part is multiplied by, for each task and, last, for one that was not seen; None
        stands for one.
    """

    name: str
    trees: Ensemble | TaskEnsembles
    coefficient: FloatArray | None = None


@dataclass(frozen=True)
class ThreeStageModel:
    """What three stages have learned; immutable.

    ``F(x, t) = b_t + S(x) + (1 - w_t) I(x) + w_t O(x) + K_t(x)``

    Attributes
    ----------
    baseline : Baseline
        b.
    standardizer : Standardizer
    clusters : ndarray of int64 of shape (n_tasks,) or None
        Cluster of each task, which the common ensembles see as one more feature, the last.
    shared : Ensemble
        S.
    partition : Partition
        I, O and w.
    task_specific : TaskEnsembles
        K.
    unit : float
        Of the target while the model was fitted; gains are in its square.
    """

    baseline: Baseline
    standardizer: Standardizer
    clusters: NDArray[np.int64] | None
    shared: Ensemble
    partition: Partition
    task_specific: TaskEnsembles
    unit: float = 1.0

    @classmethod
    def untrained(
        cls,
        baseline: Baseline,
        standardizer: Standardizer,
        clusters: NDArray[np.int64] | None = None,
        random_thresholds: bool = False,
        unit: float = 1.0,
    ) -> ThreeStageModel:
        """Return a model of a Baseline and no trees."""
        n_tasks, n_outputs = baseline.tasks.shape
        return cls(
            baseline,
            standardizer,
            clusters,
            Ensemble.empty(n_outputs),
            Partition.empty(n_tasks, n_outputs),
            TaskEnsembles.empty(n_tasks, n_outputs, random_thresholds),
            unit,
        )

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts in the order in which they are added up; the one place of the formula."""
        of_first, of_second = ("outlier", "inlier") if self.partition.exchanged else PARTS[2:4]
        weight = self.partition.second_weights
        return (
            Part("shared", self.shared),
            Part(of_first, self.partition.sides[0], 1.0 - weight),
            Part(of_second, self.partition.sides[1], weight),
            Part("task_specific", self.task_specific),
        )

    @property
    def n_outputs(self) -> int:
        """Raw predictions per row."""
        return self.shared.n_outputs

    def predict_parts(
        self, X: NDArray[np.floating[Any]], task_codes: NDArray[np.int64], team: Team
    ) -> FloatArray:
        """Return the parts of the raw prediction, already multiplied by their weights.

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
        parts = np.empty((len(PARTS), self.n_outputs, X.shape[0]))

        def predict_block(rows: RowsToPredict, codes: NDArray[np.int64], block: Any) -> None:
            parts[0][:, block] = self._baseline_of(codes).T
            for part in self.parts:
                rows.prediction[:] = 0.0
                part.trees.add_to(rows)
                if part.coefficient is not None:
                    rows.prediction *= part.coefficient[codes]
                parts[PARTS.index(part.name)][:, block] = rows.prediction

        self.in_blocks(predict_block, X, task_codes, team)
        return parts

    def raw(
        self, X: NDArray[np.floating[Any]], task_codes: NDArray[np.int64], team: Team
    ) -> FloatArray:
        """Return the raw prediction, shape (n_outputs, n); arguments as for predict_parts.

        It is added up in the order of training: for a training row it has the same bits.
        """
        raw = np.empty((self.n_outputs, X.shape[0]))

        def predict_block(rows: RowsToPredict, codes: NDArray[np.int64], block: Any) -> None:
            rows.prediction[:] = self._baseline_of(codes).T
            for part in self.parts:
                self._add(part, rows, codes)
            raw[:, block] = rows.prediction

        self.in_blocks(predict_block, X, task_codes, team)
        return raw

    def _add(
        self, part: Part, rows: RowsToPredict, codes: NDArray[np.int64], *round_range: int
    ) -> None:
        """Add a part, or a range of its rounds, to the prediction of rows."""
        if part.coefficient is None:
            part.trees.add_to(rows, *round_range)
            return
        if isinstance(part.trees, Ensemble) and part.trees.n_trees == 0:
            return
        before = rows.prediction.copy()
        rows.prediction[:] = 0.0
        part.trees.add_to(rows, *round_range)
        rows.prediction *= part.coefficient[codes]
        rows.prediction += before

    def _baseline_of(self, codes: NDArray[np.int64]) -> FloatArray:
        """Return the baseline of each row's task, shape (m, n_outputs)."""
        return np.vstack([self.baseline.tasks, self.baseline.population])[codes]

    def in_blocks(
        self,
        predict_block: Any,
        X: NDArray[np.floating[Any]],
        task_codes: NDArray[np.int64],
        team: Team,
    ) -> None:
        """Call a function of (RowsToPredict, task codes, block) for blocks of rows.

        Rows of a task go through its trees together, which takes an order of rows where there are
        several blocks, or tasks.
        """
        order = None
        if self.task_specific.trees.n_trees:
            order = np.argsort(task_codes, kind="stable")

        def take(start: int) -> None:
            block: Any = slice(start, start + BLOCK_ROWS)
            block = block if order is None else order[block]
            codes = task_codes[block]
            predict_block(self._rows(X[block], codes), codes, block)

        team.map(take, range(0, X.shape[0], BLOCK_ROWS))

    def staged_raw(
        self, X: NDArray[np.floating[Any]], task_codes: NDArray[np.int64]
    ) -> Iterator[FloatArray]:
        """Yield the raw prediction after each round of each stage.

        A round of stage 2 adds a tree to both sides, one of stage 3 a tree to every task that has
        that many.

        Parameters
        ----------
        X, task_codes
            As for :meth:`predict_parts`.

        Yields
        ------
        ndarray of float64 of shape (n_outputs, n)
            A new array each time.
        """
        rows = self._rows(X, task_codes)
        rows.prediction[:] = self._baseline_of(task_codes).T
        shared, first, second, own = self.parts
        for stage in ((shared,), (first, second), (own,)):
            for r in range(int(np.max(stage[0].trees.n_rounds, initial=0))):
                for part in stage:
                    self._add(part, rows, task_codes, r, r + 1)
                yield rows.prediction.copy()

    def _rows(self, X: NDArray[np.floating[Any]], task_codes: NDArray[np.int64]) -> RowsToPredict:
        """Return rows (m, n_features) as ensembles take them."""
        raw: FloatArray = np.ascontiguousarray(X, dtype=np.float64)
        if self.clusters is not None:
            raw = with_cluster_column(raw, task_codes, self.clusters)
        standardized = self.standardizer.transform(raw) if self._any_slopes else None
        return RowsToPredict(raw, standardized, self.n_outputs, task_codes)

    @cached_property
    def _any_slopes(self) -> bool:
        return any(ensemble.slopes.size for ensemble in self._ensembles)

    @property
    def _ensembles(self) -> tuple[Ensemble, ...]:
        own = self.task_specific.trees
        return self.shared, self.partition.inlier, self.partition.outlier, own

    def gains(self, n_features: int) -> FloatArray:
        """Return the gain of each feature by part, all but the baseline: (4, n_features)."""
        return np.array([ensemble.gains(n_features) for ensemble in self._ensembles])

    def in_unit(self, unit: float) -> ThreeStageModel:
        """Return the model for targets that are divided by a unit, a power of two."""
        if unit == 1.0:
            return self
        by = 1.0 / unit
        inlier, outlier = (side.scaled(by) for side in self.partition.sides)
        own = self.task_specific
        return replace(
            self,
            baseline=Baseline(self.baseline.tasks * by, self.baseline.population * by),
            shared=self.shared.scaled(by),
            partition=replace(self.partition, sides=(inlier, outlier)),
            task_specific=replace(own, trees=own.trees.scaled(by)),
        )
