"""Stage 3: an ensemble of its own for every task."""

from dataclasses import dataclass

import numpy as np

from rmtgb.boosting.booster import ensemble_fields
from rmtgb.boosting.rounds import boost
from rmtgb.engine.team import Team
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.job import Job, make_records
from rmtgb.tree.slots import TreeSlots

#: Bins of a numerical feature within a small task. More are slower (a scan costs more than the
#: rows) and no more accurate: coarse thresholds vary less with few rows.
TASK_BINS = 32

#: Rows of a task for each bin that it may have beyond that.
ROWS_PER_BIN = 32

#: Rounds between two looks at the losses.
ROUNDS_PER_LOOK = 50

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
        if self.trees.n_trees == 0:
            return other
        tasks = np.concatenate(
            [np.repeat(np.arange(e.starts.size - 1), np.diff(e.starts)) for e in (self, other)]
        )
        trees = Ensemble.joined([self.trees, other.trees]).take(np.argsort(tasks, kind="stable"))
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
    enough : callable, optional
        Asked every ``ROUNDS_PER_LOOK`` rounds, with the losses so far, whether there are
        enough rounds. Only for looking at losses: no trees are kept.

    Attributes
    ----------
    losses : ndarray of float64 of shape (n_tasks, n_rounds + 1, 2)
        Sums of the loss over a task's training and validation rows before each round, and
        after the last one. No columns without validation rows.
    """

    def __init__(self, state, settings, rng, former=None, enough=None):
        self._state, self._training, self._team = state, state.training, state.team
        self._settings = settings.task_trees
        if former is None:
            former = TaskEnsembles.empty(self._training.n_tasks, self._training.loss.n_outputs)
        self._former = former
        self._missing_rounds = settings.n_iter_task - former.n_rounds
        self._n_rounds = max(0, int(self._missing_rounds.max()))
        self._seed = np.uint64(rng.integers(2**63))
        per_look = self._n_rounds if enough is None else ROUNDS_PER_LOOK
        self._grown = self._allocate(min(per_look, self._n_rounds))
        self.losses = self._grown["losses"]
        done = 0
        while True:  # at least once, for losses are noted before the first round too
            made = min(per_look, self._n_rounds - done)
            self._boost(done, made)
            done += made
            if done == self._n_rounds or enough(self.losses[:, : done + 1]):
                break
        self.losses = self.losses[:, : done + 1]

    def _allocate(self, per_look):
        """Return the arrays in which kernels leave the losses, and the trees of some rounds."""
        training, n_rounds = self._training, self._n_rounds
        task_weight = np.add.reduceat(training.weight, training.offsets[:-1])
        n_leaves = [self._settings.n_leaves(weight) for weight in task_weight]
        self._n_leaves = np.array(n_leaves, dtype=np.int64)
        n_rows = np.diff(training.offsets)
        n_losses = n_rounds + 1 if training.validation_weight.size else 0
        self._slots = TreeSlots(
            self._n_leaves, per_look * training.loss.n_outputs, self._settings.linear_leaves
        )
        return {
            **self._slots.arrays,
            "bin_limits": np.clip(n_rows // ROWS_PER_BIN, TASK_BINS, 255),
            "former_rounds": self._former.n_rounds,
            "losses": np.zeros((training.n_tasks, n_losses, 2)),
        }

    def _boost(self, first_round, n_rounds):
        if n_rounds == 0 and not self.losses.size:
            return
        job_rounds = {"first_round": first_round, "n_rounds": n_rounds}
        n_rows = np.diff(self._training.offsets)
        by_size = np.argsort(-n_rows, kind="stable")
        large = n_rows[by_size] * self._training.n_features >= TEAM_TASK_CODES
        if self._team.n_members == 1:
            large[:] = False
        arrays = self._state.arrays
        source = make_records(1, arrays, {})
        if large.any():
            job = self._make_job(by_size[large], self._team, np.zeros(1, np.int64), job_rounds)
            self._team.run(boost, job.records, source)
        if not large.all():
            queue = np.zeros(1, np.int64)

            def take_tasks(member, n_members):
                job = self._make_job(by_size[~large], Team(1), queue, job_rounds)
                boost(0, 1, job.records, source)

            self._team.run(take_tasks)

    def _make_job(self, tasks, team, queue, job_rounds):
        """Return a job with room for the largest of some tasks."""
        training, binned = self._training, self._training.binned
        n_rows = int(np.diff(training.offsets)[tasks].max())
        n_leaves = int(self._n_leaves[tasks].max())
        n_outputs, n_features = training.loss.n_outputs, training.n_features
        bin_limit = self._grown["bin_limits"][tasks].max()
        limits = np.where(binned.categorical, binned.n_bins, np.minimum(binned.n_bins, bin_limit))
        sizes, fields = ensemble_fields(
            training, self._settings, n_rows, n_leaves, training.constant_hessian
        )
        sizes |= {
            "n_tasks": 1,
            "n_offsets": 2,
            "n_validation": n_rows if training.validation_weight.size else 0,
            "missing_code": int(limits.max(initial=1)),
            "threshold_width": 256,
            "n_rebinned": n_features,
        }
        fields |= {"stage_seed": self._seed, **job_rounds}
        raw = np.empty((n_outputs, n_rows))
        arrays = {
            **self._grown,
            "categorical": binned.categorical,
            "task_codes": np.zeros(n_rows, np.int32),  # one task: coefficient 0 for all
            "coefficient": np.ones((1, 1)),
            "raw": raw,
            "sides": raw[None],
            "queue": queue,
            "queued_tasks": tasks,
        }
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
        grown, n_outputs = self._grown, self._training.loss.n_outputs
        n_trees = (self._missing_rounds if n_rounds is None else n_rounds) * n_outputs
        task, tree = np.nonzero(np.arange(grown["tree_sizes"].shape[1]) < n_trees[:, None])
        trees = self._slots.gather(task, tree, n_outputs)
        starts = np.concatenate([[0], np.cumsum(n_trees)]).astype(np.int64)
        return self._former.followed_by(TaskEnsembles(trees, starts))
