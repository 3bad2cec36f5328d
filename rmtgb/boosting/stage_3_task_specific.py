"""Stage 3: an ensemble of its own for every task."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.booster import CODES_PER_CALL
from rmtgb.boosting.kernels.rounds import boost
from rmtgb.boosting.monitor import MeanLosses, Monitor
from rmtgb.boosting.parts import TaskEnsembles
from rmtgb.boosting.records import BOOST
from rmtgb.boosting.rows import BoostState
from rmtgb.engine.record import Record, empty, run, zeros
from rmtgb.engine.team import Team
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.grower import TreeGrower, TreeSettings, TreeStore, grower_arrays
from rmtgb.tree.records import GROW, N_CODES, BinnedFeatures
from rmtgb.tree.weights import WeightUnits, Words

#: Bins of a numerical feature within a small task. More are slower (a scan costs more than the
#: rows) and no more accurate: coarse thresholds vary less with few rows.
TASK_BINS = 32

#: Weight of a task for each bin that it may have beyond that.
ROWS_PER_BIN = 32

#: Codes (rows times features) of a task from which a whole team works on it together.
TEAM_TASK_CODES = 2**20

#: Nodes that are grown before they are copied to where they stay: twice what a stage over all rows
#: has, for a call of many small tasks is over sooner than its members can be kept busy.
NODES_PER_CALL = 2**19


class GrownTrees(NamedTuple):
    """Trees of one call: an ensemble, and the task (n_trees,) of each."""

    trees: Ensemble
    tasks: IntArray


def boost_tasks(
    state: BoostState,
    trees: TreeSettings,
    seed: int,
    n_rounds: IntArray,
    monitor: Monitor,
    former: TaskEnsembles | None = None,
) -> TaskEnsembles:
    """Add ``K_t(x)`` to the raw prediction: for each task trees on its own rows.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    trees : TreeSettings
    seed : int
    n_rounds : ndarray of int64 of shape (n_tasks,)
        New rounds of each task.
    monitor : Monitor
        Told of as many rounds as the largest number of a task, by the share of the work that is
        done: tasks take turns. If it ends the stage, those that have not had all of
        theirs have fewer or none, and the raw prediction of the state may lack some.
    former : TaskEnsembles, optional
        What is to be continued.

    Returns
    -------
    TaskEnsembles
        The former trees of each task, and then the new ones.

    References
    ----------
    arXiv 2507.11411, the third block.
    """
    n_tasks, n_outputs = state.training.n_tasks, state.training.loss.n_outputs
    if former is None:
        former = TaskEnsembles.empty(n_tasks, n_outputs)
    longest = int(n_rounds.max(initial=0))
    booster = TaskBooster(state, trees, seed, former.n_rounds, longest)
    grown = [GrownTrees(former.trees, former.tasks)]
    # trees times rows of their tasks, as work to be done, and rounds that were told of
    n_rows = np.diff(state.training.offsets)
    work, done, told = int(n_rows @ n_rounds) * n_outputs, 0, 0
    for part in booster.run(0, n_rounds):
        grown.append(part)
        done += int(n_rows[part.tasks].sum())
        if monitor.after_rounds(longest * done // work - told):
            break
        told = longest * done // work
    return TaskEnsembles.sorted_by_task(
        Ensemble.joined([part.trees for part in grown]),
        np.concatenate([part.tasks for part in grown]),
        n_tasks,
    )


def watch_tasks(
    state: BoostState,
    trees: TreeSettings,
    seed: int,
    limit: int,
    rounds_per_look: int,
    monitor: Monitor,
    enough: Callable[[FloatArray], bool],
) -> FloatArray:
    """Look at the losses of stage 3, round by round; no trees are kept.

    Parameters
    ----------
    state, trees, seed
        As for :func:`boost_tasks`.
    limit : int
        The largest number of rounds.
    rounds_per_look : int
        Rounds between two looks at the losses.
    monitor : Monitor
        Told of the rounds at every look; may end the stage.
    enough : callable
        Asked at every look, with the losses so far, whether there are enough.

    Returns
    -------
    ndarray of float64 of shape (n_tasks, n_rounds + 1, 2)
        Sums of the loss over a task's training and validation rows before each round, and after
        the last one.
    """
    n_tasks = state.training.n_tasks
    former_rounds = np.zeros(n_tasks, np.int64)
    booster = TaskBooster(state, trees, seed, former_rounds, limit, keeps_trees=False)
    done = 0
    while True:  # at least once, for losses are noted before the first round too
        made = min(rounds_per_look, limit - done)
        for _ in booster.run(done, np.full(n_tasks, made)):
            pass
        done += made
        losses = booster.losses[:, : done + 1]
        is_told_to_stop = monitor.after_rounds(made, booster.mean_losses(done))
        if is_told_to_stop or done == limit or enough(losses):
            return losses


class TaskBooster:
    """The kernel that grows every task's ensemble on its own rows.

    After stage 2 tasks no longer interact, so each runs its rounds alone. Small tasks are given
    out to the members of the team one by one, the largest first; large ones are worked on by all
    members together. Neither changes a bit.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    trees : TreeSettings
    seed : int
    former_rounds : ndarray of int64 of shape (n_tasks,)
        Rounds of earlier fits.
    max_rounds : int
        The largest number of rounds of a task in this fit.
    keeps_trees : bool
        Whether trees are copied from where they are grown.

    Attributes
    ----------
    losses : ndarray of float64 of shape (n_tasks, max_rounds + 1, 2)
        Sums of the loss over a task's training and validation rows before each round, and
        after the last one. No columns without validation rows.
    """

    def __init__(
        self,
        state: BoostState,
        trees: TreeSettings,
        seed: int,
        former_rounds: IntArray,
        max_rounds: int,
        keeps_trees: bool = True,
    ) -> None:
        training = state.training
        self._keeps_trees = keeps_trees
        self._training, self._team = training, state.team
        self._trees, self._numbers = trees, state.numbers(seed)
        self._units = WeightUnits.of(training.weight, training.offsets)
        self._words = Words.choose(self._units, training.constant_hessian)
        self._leaf_limits = trees.leaf_limits(self._units)
        self._nodes_per_round = 2 * self._leaf_limits * training.loss.n_outputs
        rows_of_bins = self._units.totals / self._units.scale // ROWS_PER_BIN
        self._bin_limits = np.clip(rows_of_bins, TASK_BINS, N_CODES - 1).astype(np.int64)
        bins = self._leaf_limits * np.minimum(self._bin_limits, training.binned.missing_code + 1)
        codes = (np.diff(training.offsets) + bins) * max(1, training.n_features)
        self._codes = codes * training.loss.n_outputs  # and bins, of a round
        n_losses = max_rounds + 1 if training.validation_weight.size else 0
        self.losses = zeros((training.n_tasks, n_losses, 2), np.float64)
        self._of_tasks = {
            "losses": self.losses,
            "former_rounds": former_rounds,
            "task_units": self._units.totals,
            "bin_limits": self._bin_limits,
        }
        self._all_rows = [
            Record(BOOST, None, state.arrays),
            Record(GROW, None, grower_arrays(training.binned)),
        ]

    def mean_losses(self, done: int) -> MeanLosses:
        """Return the losses of all tasks after some rounds."""
        return self._training.mean_losses(self.losses[:, done].sum(axis=0))

    def run(self, first_round: int, n_rounds: IntArray) -> Iterator[GrownTrees]:
        """Make rounds of every task, some of them at a time.

        Parameters
        ----------
        first_round : int
            Rounds that were made before.
        n_rounds : ndarray of int64 of shape (n_tasks,)
            Rounds to be made.

        Yields
        ------
        GrownTrees
            New trees; those of a task in their order.
        """
        training = self._training
        if not n_rounds.any() and not self.losses.size:
            return
        n_rows, codes = np.diff(training.offsets), self._codes
        by_size = np.argsort(-n_rows, kind="stable")
        is_large = n_rows[by_size] * training.n_features >= TEAM_TASK_CODES
        for task in by_size[is_large]:
            yield from self._run_large(task, first_round, int(n_rounds[task]))
        small = by_size[~is_large]
        done = np.zeros_like(n_rounds)
        while small.size:
            limit = np.minimum(CODES_PER_CALL // codes, NODES_PER_CALL // self._nodes_per_round)
            made = np.minimum(n_rounds - done, np.maximum(1, limit))
            for batch in self._batches(small, made):
                yield self._run_queue(batch, first_round + done[batch], made[batch])
            done = done + made
            small = small[done[small] < n_rounds[small]]

    def _run_large(self, task: int, first_round: int, n_rounds: int) -> Iterator[GrownTrees]:
        """Make rounds of one task, all members together."""
        tasks = np.array([task])
        per_call = self._rounds_per_call(task)
        boosting, grower = self._make_records(tasks, self._team, zeros(1, np.int64))
        for start in range(0, max(1, n_rounds), per_call):
            made = np.array([min(per_call, n_rounds - start)])
            store = self._make_store(tasks, made)
            boosting.arrays["queue"][0] = 0
            boosting.arrays["first_rounds"][:], boosting.arrays["n_rounds"][:] = (
                first_round + start,
                made,
            )
            boosting.members["takes_rows"] = start == 0
            boosting.members["gives_back"] = start + made[0] == n_rounds
            run(self._team, boost, [boosting, grower, store.record, *self._all_rows])
            yield self._gather(store, tasks, made)

    def _rounds_per_call(self, task: int) -> int:
        by_codes = self._team.n_members * CODES_PER_CALL // self._codes[task]
        return max(1, int(min(by_codes, NODES_PER_CALL // self._nodes_per_round[task])))

    def _batches(self, tasks: IntArray, n_rounds: IntArray) -> Iterator[IntArray]:
        """Divide tasks into those that are worked on in one call."""
        size = n_rounds[tasks] * np.maximum(
            self._codes[tasks] / (self._team.n_members * CODES_PER_CALL),
            self._nodes_per_round[tasks] / NODES_PER_CALL,
        )
        batch = np.floor(np.cumsum(size)).astype(np.int64)
        for number in np.unique(batch):
            yield tasks[batch == number]

    def _run_queue(
        self, tasks: IntArray, first_rounds: IntArray, n_rounds: IntArray
    ) -> GrownTrees:
        """Make rounds of some tasks, each member of one after another."""
        store, queue = self._make_store(tasks, n_rounds), zeros(1, np.int64)

        def take_tasks(member: int, n_members: int) -> None:
            alone = Team(1)
            boosting, grower = self._make_records(tasks, alone, queue)
            boosting.arrays["first_rounds"][:] = first_rounds
            boosting.arrays["n_rounds"][:] = n_rounds
            boosting.members["takes_rows"] = boosting.members["gives_back"] = True
            run(alone, boost, [boosting, grower, store.record, *self._all_rows])

        self._team.run(take_tasks)
        return self._gather(store, tasks, n_rounds)

    def _make_store(self, tasks: IntArray, n_rounds: IntArray) -> TreeStore:
        n_trees = n_rounds * self._training.loss.n_outputs
        return TreeStore(self._leaf_limits[tasks], n_trees, self._trees.linear_leaves)

    def _gather(self, store: TreeStore, tasks: IntArray, n_rounds: IntArray) -> GrownTrees:
        """Copy all trees of a store to where they stay, if they do."""
        n_outputs = self._training.loss.n_outputs
        if not self._keeps_trees:
            return GrownTrees(Ensemble.empty(n_outputs), np.empty(0, np.int64))
        n_trees = n_rounds * n_outputs
        place = np.repeat(np.arange(tasks.size), n_trees)
        tree = np.arange(place.size) - np.repeat(np.cumsum(n_trees) - n_trees, n_trees)
        return GrownTrees(store.gather(place, tree, n_outputs), tasks[place])

    def _make_records(self, tasks: IntArray, team: Team, queue: IntArray) -> tuple[Record, Record]:
        """Return records with room for the largest of some tasks."""
        training = self._training
        n_rows = int(np.diff(training.offsets)[tasks].max())
        grower = TreeGrower(
            self._own_features(tasks, n_rows),
            {"weight": empty(n_rows, np.float64)},
            self._units,
            self._words,
            self._trees,
            int(self._leaf_limits[tasks].max()),
            training.loss.leaf_quantile,
            training.loss.has_log_link,
            team,
        )
        raw = empty((training.loss.n_outputs, n_rows), np.float64)
        arrays = {
            **self._of_tasks,
            "weight": grower.record.arrays["weight"],
            "task_codes": np.zeros(n_rows, np.int32),  # one task, of coefficient one
            "coefficient": np.ones((1, 1)),
            "raw": raw,
            "sides": raw[None],
            "queue": queue,
            "queued_tasks": tasks,
        }
        sizes = {
            "n_grown": tasks.size,
            "n_offsets": 2,
            "n_hessians": n_rows if self._words.per_row > 1 else 0,
            "n_validation": n_rows if training.validation_weight.size else 0,
            "n_rebinned": training.n_features,
        }
        return Record(BOOST, team, arrays, sizes, self._numbers), grower.record

    def _own_features(self, tasks: IntArray, n_rows: int) -> BinnedFeatures:
        """Return room for the codes of the largest of some tasks, in bins of their own."""
        binned, n_features = self._training.binned, self._training.n_features
        limit = np.minimum(binned.n_bins, self._bin_limits[tasks].max())
        n_bins = np.where(binned.categorical, binned.n_bins, limit)
        return BinnedFeatures(
            empty((n_rows, n_features), binned.row_codes.dtype),
            empty((n_features, n_rows), binned.column_codes.dtype),
            empty(n_features, binned.n_bins.dtype),
            binned.categorical,
            empty((n_features, N_CODES), np.float64),
            int(n_bins.max(initial=1)),
            binned.standardized[:0],  # kernels look at all rows' values
        )
