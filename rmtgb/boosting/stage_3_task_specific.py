"""Stage 3: an ensemble of its own for every task."""

from dataclasses import dataclass

import numpy as np

from rmtgb._team import Team
from rmtgb.boosting.task_rounds import (
    TASK_BINS,
    TaskRows,
    TaskTrees,
    boost_tasks,
    compact_trees,
)
from rmtgb.tree.dtypes import SET_WORDS, TREE_NODE
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.job import Job, n_words_for

#: Codes (rows times features) of a task from which a whole team works on it together.
TEAM_TASK_CODES = 2**20


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
    starts: np.ndarray

    @property
    def n_rounds(self):
        """Rounds of each task, shape (n_tasks,)."""
        return np.diff(self.starts) // self.trees.n_outputs

    @classmethod
    def empty(cls, n_tasks, n_outputs):
        """Return ensembles without trees."""
        return cls(Ensemble.empty(n_outputs), np.zeros(n_tasks + 1, np.int64))

    def followed_by(self, other):
        """Return ensembles of each task's trees here, and then its trees there."""
        tasks = np.concatenate(
            [np.repeat(np.arange(e.starts.size - 1), np.diff(e.starts)) for e in (self, other)]
        )
        trees = self.trees.followed_by(other.trees).take(np.argsort(tasks, kind="stable"))
        return TaskEnsembles(trees, self.starts + other.starts)


class TaskStage:
    """Stage 3: after stage 2 tasks no longer interact, so each runs all of its rounds alone.

    Small tasks are given out to the members of the team one by one, the largest first;
    large ones are worked on by all members together. Neither changes a bit.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    rng : numpy.random.Generator
    former : TaskEnsembles, optional
        What is to be continued: each task goes on until it has ``n_iter_task`` rounds.

    Attributes
    ----------
    validation_loss : ndarray of float64 of shape (n_tasks, n_iter_task + 1)
        Weighted sum of the loss over a task's validation rows before each round, and
        after the last one. No columns without validation rows.
    """

    def __init__(self, state, settings, rng, former=None):
        self._state, self._training, self._team = state, state.training, state.team
        self._settings = settings.task_trees
        if former is None:
            former = TaskEnsembles.empty(self._training.n_tasks, self._training.loss.n_outputs)
        self._former = former
        self._missing_rounds = settings.n_iter_task - former.n_rounds
        self._n_rounds = int(self._missing_rounds.max())
        # a seed for each number of rounds before: going on repeats no random choice
        self._seed = np.uint64(rng.integers(2**63, size=1 + former.n_rounds.max())[-1])
        self._trees = self._allocate_trees()
        if self._n_rounds:
            self._boost()

    @property
    def validation_loss(self):
        """See the class."""
        return self._trees.validation_loss

    def _allocate_trees(self):
        training, n_outputs = self._training, self._training.loss.n_outputs
        task_weight = np.add.reduceat(training.weight, training.offsets[:-1])
        n_leaves = np.array([self._settings.n_leaves(w) for w in task_weight], dtype=np.int64)
        per_task = (
            self._n_rounds * n_outputs * np.stack([2 * n_leaves - 1, np.maximum(1, n_leaves - 1)])
        )
        ends = np.cumsum(per_task, axis=1)
        n_losses = self._n_rounds + 1 if training.validation_weight.size else 0
        return TaskTrees(
            nodes=np.empty(ends[0, -1], TREE_NODE),
            sets=np.empty((ends[1, -1], SET_WORDS), np.uint64),
            node_starts=ends[0] - per_task[0],
            set_starts=ends[1] - per_task[1],
            n_leaves=n_leaves,
            sizes=np.zeros((training.n_tasks, self._n_rounds * n_outputs, 2), np.int32),
            validation_loss=np.zeros((training.n_tasks, n_losses)),
        )

    def _boost(self):
        n_rows = np.diff(self._training.offsets)
        by_size = np.argsort(-n_rows, kind="stable")
        large = n_rows[by_size] * self._training.n_features >= TEAM_TASK_CODES
        if self._team.n_members == 1:
            large[:] = False
        if large.any():
            self._boost_some(by_size[large], self._team)
        if not large.all():
            self._boost_some(by_size[~large], Team(1))

    def _boost_some(self, tasks, team):
        """Boost some tasks by a given team, several teams of one sharing them."""
        queue, table_shape = np.zeros(1, np.int64), (self._training.n_features, 256)
        training, binned = self._training, self._training.binned
        rows = TaskRows(
            binned.column_codes,
            binned.n_bins,
            binned.thresholds,
            training.y,
            training.weight,
            self._state.raw,
            training.offsets,
            training.validation_weight,
        )

        def work(member, n_members, job, table):
            boost_tasks(
                member,
                n_members,
                job.records,
                queue,
                tasks,
                self._seed,
                self._n_rounds,
                rows,
                table,
                np.ones(1),
                self._trees,
            )

        if team.n_members > 1:
            team.run(work, self._make_job(tasks, team), np.empty(table_shape, np.uint8))
        else:
            self._team.run(
                lambda *_: work(
                    0, 1, self._make_job(tasks, Team(1)), np.empty(table_shape, np.uint8)
                )
            )

    def _make_job(self, tasks, team):
        """Return a job with room for the largest of some tasks."""
        training, binned = self._training, self._training.binned
        n_rows = int(np.diff(training.offsets)[tasks].max())
        n_leaves, n_features = int(self._trees.n_leaves[tasks].max()), training.n_features
        limits = np.where(binned.categorical, binned.n_bins, np.minimum(binned.n_bins, TASK_BINS))
        sizes = {
            "n_rows": n_rows,
            "n_features": n_features,
            "n_outputs": training.loss.n_outputs,
            "n_words": n_words_for(training.constant_hessian, n_rows),
            "missing_code": int(limits.max(initial=1)),
            "n_leaves": n_leaves,
        }
        arrays = {
            "categorical": binned.categorical,
            "thresholds": np.empty((n_features, 256)),
            "task_codes": np.zeros(n_rows, np.int32),  # one task: coefficient 0 for all
        }
        if training.loss.leaf_quantile is None:
            arrays["scratch"] = np.empty((4, 0))
        fields = training.row_fields | self._settings.growth_params(n_features, n_leaves)
        return Job(sizes, fields, arrays, team)

    def ensembles(self, n_rounds=None):
        """Return the trees of all tasks.

        Parameters
        ----------
        n_rounds : ndarray of int64 of shape (n_tasks,), optional
            Rounds to keep of each task's new ones; by default ``n_iter_task`` with the
            former ones.

        Returns
        -------
        TaskEnsembles
        """
        trees, n_outputs = self._trees, self._training.loss.n_outputs
        if n_rounds is None:
            n_rounds = self._missing_rounds
        starts = np.concatenate([[0], np.cumsum(n_rounds * n_outputs)]).astype(np.int64)
        kept = np.arange(trees.sizes.shape[1]) < (n_rounds * n_outputs)[:, None]
        n_nodes, n_sets = trees.sizes[kept].sum(axis=0, dtype=np.int64)
        ensemble = Ensemble(
            np.empty(n_nodes, TREE_NODE),
            np.empty((n_sets, SET_WORDS), np.uint64),
            np.zeros(starts[-1] + 1, np.int64),
            np.zeros(starts[-1] + 1, np.int64),
            n_outputs,
        )
        compact_trees(np.arange(n_rounds.size), n_rounds, n_outputs, trees, *ensemble.arrays)
        return self._former.followed_by(TaskEnsembles(ensemble, starts))
