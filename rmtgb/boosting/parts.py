"""What the stages leave behind: the parts of the sum that a prediction is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.tree.ensemble import Ensemble, RowsToPredict

#: Names of the parts, in the order in which they are told.
PARTS = ("baseline", "shared", "inlier", "outlier", "task_specific")


@dataclass(frozen=True)
class Partition:
    """The two ensembles of stage 2; how a task is divided between them is in its table.

    The second is that of outlier tasks: only tasks that were called start there, and no other
    can come to it.

    Attributes
    ----------
    sides : tuple of Ensemble
        That of inlier tasks, and that of outlier tasks.
    """

    sides: tuple[Ensemble, Ensemble]

    @classmethod
    def empty(cls, n_outputs: int) -> Partition:
        """Return a partition without trees."""
        none = Ensemble.empty(n_outputs)
        return cls((none, none))

    @property
    def n_rounds(self) -> int:
        """Number of rounds."""
        return self.sides[0].n_rounds

    @property
    def inlier(self) -> Ensemble:
        """The ensemble of the inlier side."""
        return self.sides[0]

    @property
    def outlier(self) -> Ensemble:
        """The ensemble of the outlier side."""
        return self.sides[1]


@dataclass(frozen=True)
class TaskEnsembles:
    """The ensembles of all tasks, one after another.

    Attributes
    ----------
    trees : Ensemble
        All trees; those of task t are ``range(starts[t], starts[t + 1])``.
    starts : ndarray of int64 of shape (n_tasks + 1,)
    """

    trees: Ensemble
    starts: IntArray

    @property
    def n_rounds(self) -> IntArray:
        """Rounds of each task, shape (n_tasks,)."""
        return np.diff(self.starts) // self.trees.n_outputs

    @classmethod
    def empty(cls, n_tasks: int, n_outputs: int) -> TaskEnsembles:
        """Return ensembles without trees."""
        starts = np.zeros(n_tasks + 1, np.int64)
        return cls(Ensemble.empty(n_outputs), starts)

    @classmethod
    def sorted_by_task(cls, trees: Ensemble, tasks: IntArray, n_tasks: int) -> TaskEnsembles:
        """Return the trees, of which the task (n_trees,) is given, with those of a task together.

        Trees of a task keep their order.
        """
        counts = np.bincount(tasks, minlength=n_tasks)
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        if np.any(np.diff(tasks) < 0):
            trees = trees.take(np.argsort(tasks, kind="stable"))
        return cls(trees, starts)

    @property
    def tasks(self) -> IntArray:
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
        return gains.astype(np.float64).reshape(n_tasks, n_features)


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
