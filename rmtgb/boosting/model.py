"""A fitted model, and its predictions; it imports nothing of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.parts import PARTS, Part, Partition, TaskEnsembles
from rmtgb.engine.team import Team
from rmtgb.tasks.evidence import TaskEvidence
from rmtgb.tasks.table import TaskTable
from rmtgb.tree.ensemble import Ensemble, RowsToPredict
from rmtgb.tree.standardizer import Standardizer

#: Rows that are predicted at a time: their values stay in the second-level cache.
BLOCK_ROWS = 4096


@dataclass(frozen=True)
class ThreeStageModel:
    """What three stages have learned; immutable.

    ``F(x, t) = b_t + S(x) + (1 - w_t) I(x) + w_t O(x) + K_t(x)``

    Attributes
    ----------
    tasks : TaskTable
        b, and what w is made of.
    added : AddedFeatures
        What ensembles see beside the features of the user.
    standardizer : Standardizer
    shared : Ensemble
        S.
    partition : Partition
        I and O.
    task_specific : TaskEnsembles
        K.
    unit : float
        Of the target while the model was fitted; gains are in its square.
    evidence : TaskEvidence or None
        Which tasks depart from what most share, by the rows of the first fit.
    common_random_thresholds, task_random_thresholds : bool
        Whether trees of stages 1 and 2, and those of stage 3, tried one threshold of a feature
        that was drawn, and not all: how the model is to be continued.
    """

    tasks: TaskTable
    added: AddedFeatures
    standardizer: Standardizer
    shared: Ensemble
    partition: Partition
    task_specific: TaskEnsembles
    unit: float = 1.0
    evidence: TaskEvidence | None = None
    common_random_thresholds: bool = False
    task_random_thresholds: bool = False

    @classmethod
    def untrained(
        cls,
        tasks: TaskTable,
        added: AddedFeatures,
        standardizer: Standardizer,
        unit: float = 1.0,
    ) -> ThreeStageModel:
        """Return a model of baselines and no trees."""
        n_tasks, n_outputs = tasks.baseline.shape
        return cls(
            tasks,
            added,
            standardizer,
            Ensemble.empty(n_outputs),
            Partition.empty(n_outputs),
            TaskEnsembles.empty(n_tasks, n_outputs),
            unit,
        )

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts in the order in which they are added up; the one place of the formula."""
        weight = np.append(self.side_weights, self.unseen_weight)
        return (
            Part("shared", self.shared),
            Part("inlier", self.partition.inlier, 1.0 - weight),
            Part("outlier", self.partition.outlier, weight),
            Part("task_specific", self.task_specific),
        )

    @property
    def outlier_theta(self) -> FloatArray:
        """Logit of the side weight of each task, shape (n_tasks,)."""
        return self.tasks.theta

    @property
    def side_weights(self) -> FloatArray:
        """Weight w of the outlier side for each task, in (0, 1), shape (n_tasks,)."""
        return self.tasks.second_weight

    @property
    def unseen_weight(self) -> float:
        """Weight w of a task that was not seen: the median of the inlier tasks'."""
        weights = self.side_weights
        inliers = weights[weights <= 0.5]
        return float(np.median(inliers)) if inliers.size else 0.0

    @property
    def n_outputs(self) -> int:
        """Raw predictions per row."""
        return self.shared.n_outputs

    def predict_parts(
        self, X: NDArray[np.floating[Any]], task_codes: IntArray, team: Team
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

        def predict_block(rows: RowsToPredict, codes: IntArray, block: Any) -> None:
            parts[0][:, block] = self.tasks.baseline_of(codes).T
            for part in self.parts:
                rows.prediction[:] = 0.0
                part.trees.add_to(rows)
                if part.coefficient is not None:
                    rows.prediction *= part.coefficient[codes]
                parts[PARTS.index(part.name)][:, block] = rows.prediction

        self.in_blocks(predict_block, X, task_codes, team)
        return parts

    def raw(self, X: NDArray[np.floating[Any]], task_codes: IntArray, team: Team) -> FloatArray:
        """Return the raw prediction, shape (n_outputs, n); arguments as for predict_parts.

        It is added up in the order of training: for a training row it has the same bits.
        """
        raw = np.empty((self.n_outputs, X.shape[0]))

        def predict_block(rows: RowsToPredict, codes: IntArray, block: Any) -> None:
            self._start(rows, codes)
            for part in self.parts[1:]:
                self._add(part, rows, codes)
            raw[:, block] = rows.prediction

        self.in_blocks(predict_block, X, task_codes, team)
        return raw

    def _start(self, rows: RowsToPredict, codes: IntArray) -> None:
        """Let rows begin at S + b, added up as in training: offsets change while S grows."""
        rows.prediction[:] = 0.0
        self.shared.add_to(rows)
        rows.prediction += self.tasks.baseline_of(codes).T

    def _add(self, part: Part, rows: RowsToPredict, codes: IntArray, *round_range: int) -> None:
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

    def in_blocks(
        self,
        predict_block: Any,
        X: NDArray[np.floating[Any]],
        task_codes: IntArray,
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
        self, X: NDArray[np.floating[Any]], task_codes: IntArray
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
        rows, offset = self._rows(X, task_codes), self.tasks.baseline_of(task_codes).T
        rows.prediction[:] = 0.0
        shared, first, second, own = self.parts
        for r in range(self.shared.n_rounds):  # b after S, as in :meth:`raw`
            self._add(shared, rows, task_codes, r, r + 1)
            yield rows.prediction + offset
        rows.prediction += offset
        for stage in ((first, second), (own,)):
            for r in range(int(np.max(stage[0].trees.n_rounds, initial=0))):
                for part in stage:
                    self._add(part, rows, task_codes, r, r + 1)
                yield rows.prediction.copy()

    def _rows(self, X: NDArray[np.floating[Any]], task_codes: IntArray) -> RowsToPredict:
        """Return rows (m, n_features) as ensembles take them."""
        X = self.added.beside(X, task_codes)
        raw = np.ascontiguousarray(X, dtype=np.float64)
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

    @property
    def task_descriptors(self) -> FloatArray:
        """Descriptors of tasks in units of the raw prediction, (n_tasks, n_directions)."""
        described = self.added.descriptors
        if described is None:
            return np.zeros((self.tasks.n_tasks, 0))
        return described * self.unit

    def in_unit(self, unit: float) -> ThreeStageModel:
        """Return the model for targets that are divided by a unit, a power of two."""
        if unit == 1.0:
            return self
        by = 1.0 / unit
        first, second = (side.scaled(by) for side in self.partition.sides)
        own = self.task_specific
        return replace(
            self,
            tasks=self.tasks.scaled(by),
            shared=self.shared.scaled(by),
            partition=replace(self.partition, sides=(first, second)),
            task_specific=replace(own, trees=own.trees.scaled(by)),
        )
