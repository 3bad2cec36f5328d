"""How many rounds of each stage to keep, chosen together on validation rows.

Stopping stage 1 when it stops improving is not enough: where tasks differ, the best
stage 1 can be empty although each of its rounds improves the prediction, because the
later stages do the same work better. So every combination of "not at all" and "as long
as it improves" is tried for the first two stages, and each is judged with its own
stage 3 at its end.

That is done in large steps, for which way is best hardly depends on the learning rate; the rounds
of the way that was chosen are then measured at the rate of the fit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.booster import Curve
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.records import TRAIN, VALIDATION
from rmtgb.boosting.rows import BoostState, TrainingSet
from rmtgb.boosting.settings import Seeds, StageSettings, Stopping
from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import watch_tasks
from rmtgb.engine.team import Team
from rmtgb.tasks.table import TaskTable

#: The common curve of validation losses counts as this many validation rows of a task
#: when the task's own number of rounds is chosen.
COMMON_ROWS = 50.0

#: Stage 3 goes on as long as each look at the losses finds them smaller by this share.
MIN_IMPROVEMENT = 1e-3

#: Factor by which stage 3 may still fall more than a constant rate says; see `least_loss_to_come`.
SLACK = 6.0

#: Losses that tell a rate which the start does not: those of three looks and the one before them.
LOOKS_BACK = 4


class Fold(NamedTuple):
    """A training set with validation rows, and the baselines of its tasks."""

    training: TrainingSet
    tasks: TaskTable


@dataclass(frozen=True)
class _Path:
    """A way through the stages so far: rounds, losses, and the raw prediction at its end."""

    raw: FloatArray
    rounds: dict[str, int]
    losses: dict[str, FloatArray]

    @property
    def loss(self) -> float:
        """Validation loss at its end; infinite if it has not begun."""
        ends = [losses[self.rounds[name], VALIDATION] for name, losses in self.losses.items()]
        return ends[-1] if ends else np.inf

    def without(self, name: str) -> _Path:
        return replace(self, rounds=self.rounds | {name: 0})

    def extended(self, name: str, curve: Curve) -> _Path:
        return _Path(
            # stage 1 begins without offsets of tasks, which are there if it has no rounds
            curve.best_raw if curve.best_round else self.raw,
            self.rounds | {name: curve.best_round},
            self.losses | {name: curve.losses},
        )


_Key = tuple[bool, ...]

#: Whether stages 1 and 2 are to be used, or not, or both in turn.
Ways = tuple[Sequence[bool], Sequence[bool]]

EITHER = False, True


@dataclass(frozen=True)
class LengthSearch:
    """A search for the rounds of all stages, on validation rows.

    Parameters
    ----------
    name : str
        What is tried, for the monitor.
    folds : sequence of Fold
        The same rows, other ones of which are for validation.
    settings : StageSettings
        Its numbers of rounds are upper limits.
    stopping : Stopping
    seeds : Seeds
        Used as in :func:`~rmtgb.boosting.three_stages.fit_three_stages`.
    monitor : Monitor
        Told of every round.
    team : Team
    """

    name: str
    folds: Sequence[Fold]
    settings: StageSettings
    stopping: Stopping
    seeds: Seeds
    monitor: Monitor
    team: Team

    def choose(
        self, simpler: StageLengths | None = None, needs_partition: bool = False
    ) -> StageLengths:
        """Choose a way through the stages, and its lengths.

        Parameters
        ----------
        simpler : StageLengths, optional
            A choice on the same validation rows. Where it will not be beaten, nothing is searched
            to its end.
        needs_partition : bool
            Whether ways without stage 2 are left out, because they have been judged before.
        """
        with self._trial():
            return self._choose((EITHER, (True,) if needs_partition else EITHER), simpler)

    def _choose(self, ways: Ways, simpler: StageLengths | None) -> StageLengths:
        """Choose among ways, and then the thresholds of stage 3."""
        searches = self._walk(ways, simpler)

        def judge(key: _Key, random_thresholds: bool) -> tuple[StageLengths, _Key]:
            return self._judge(searches, key, random_thresholds), key

        # the most promising one first: what will not be better is left early
        keys = [key for key in searches[0].paths if all(key in s.paths for s in searches)]
        keys.sort(key=lambda key: sum(search.paths[key].loss for search in searches))
        kinds = self.settings.task_threshold_kinds
        best = judge(keys[0], kinds[0])
        for key in keys[1:]:
            if self.monitor.has_time_for("other ways through the stages"):
                best = min(best, judge(key, kinds[0]), key=_loss_of)
        for kind in kinds[1:] if self.settings.n_iter_task else ():  # only where it matters most
            best = min(best, judge(best[1], kind), key=_loss_of)
        return best[0]

    def measure(self, chosen: StageLengths, simpler: StageLengths | None = None) -> StageLengths:
        """Return the lengths of a way that has been chosen, with other settings.

        Where a simpler choice on the same rows will not be beaten, stage 3 ends early.
        """
        ways = (chosen.shared > 0,), (chosen.partition > 0,)
        with self._trial():
            searches = self._walk(ways, simpler)
            (key,) = searches[0].paths
            return self._judge(searches, key, chosen.task_random_thresholds)

    def _trial(self) -> AbstractContextManager[None]:
        """Tell the monitor of all ways that there may be, and of stage 3 at the end of each."""
        kinds = len(self.settings.task_threshold_kinds)
        return self.monitor.trial(self.name, len(self.folds) * (3 + 4 + kinds - 1))

    def _walk(self, ways: Ways, simpler: StageLengths | None) -> list[_Search]:
        to_beat = [np.inf] * len(self.folds) if simpler is None else simpler.fold_losses
        folds = zip(self.folds, to_beat, strict=True)
        searches = [_Search(self, fold, loss) for fold, loss in folds]
        for search in searches:
            search.walk(ways)
        return searches

    def _judge(
        self, searches: Sequence[_Search], key: _Key, random_thresholds: bool
    ) -> StageLengths:
        """Return all lengths of a path, with its validation loss."""
        of_folds = [search.finish(key, random_thresholds) for search in searches]
        total_weight = np.sum([fold.training.total_weights for fold in self.folds], axis=0)
        task_losses = _sum_padded(of_folds)
        loss, n_rounds = _task_lengths(task_losses, total_weight[VALIDATION])
        paths = [search.paths[key] for search in searches]
        sums = {
            name: _sum_padded([path.losses[name][None] for path in paths])
            for name in paths[0].losses
        }
        train, validation = (
            {name: np.empty(0) for name in paths[0].rounds}  # of stages that the path leaves out
            | {
                name: both[:, :, kind].sum(axis=0) / total_weight[kind]
                for name, both in sums.items()
            }
            | {"task": task_losses[:, :, kind].sum(axis=0) / total_weight[kind]}
            for kind in (TRAIN, VALIDATION)
        )
        rounds = dict(paths[0].rounds)
        if len(paths) > 1:  # where they are best together
            rounds |= {name: int(np.argmin(validation[name])) for name in sums}
        return StageLengths(
            rounds["shared"],
            rounds["partition"],
            n_rounds,
            random_thresholds,
            loss,
            task_losses[np.arange(n_rounds.size), n_rounds, VALIDATION],
            tuple(search.loss(losses) for search, losses in zip(searches, of_folds, strict=True)),
            train,
            validation,
        )


class _Search:
    """A fold, and what was tried on it.

    ``paths`` are tuples of whether stages 1 and 2 are used, and the :class:`_Path`.
    """

    def __init__(self, of: LengthSearch, fold: Fold, loss_to_beat: float) -> None:
        self._of, self._loss_to_beat = of, loss_to_beat
        self._tried: dict[tuple[int, ...], FloatArray] = {}
        self._state = BoostState(fold.training, fold.tasks, of.team)
        self._weight = fold.training.total_weights[VALIDATION]
        self.paths: dict[_Key, _Path] = {(): _Path(self._state.raw.copy(), {}, {})}

    def walk(self, ways: Ways) -> None:
        """Find the paths that use stages 1 and 2, or not, in these ways."""
        settings, seeds, monitor = self._of.settings, self._of.seeds, self._of.monitor
        stages: list[tuple[str, Callable[..., Any], int, int]] = [
            ("shared", boost_shared, settings.n_iter_shared, seeds.shared),
            ("partition", boost_partition, settings.n_iter_partition, seeds.partition),
        ]
        for (name, boost, limit, seed), uses in zip(stages, ways, strict=True):
            for key, path in list(self.paths.items()):
                del self.paths[key]
                if False in uses or limit == 0:
                    self.paths[*key, False] = path.without(name)
                is_needed = False not in uses or name == "shared"
                if True in uses and limit > 0 and (is_needed or monitor.has_time_for(name)):
                    self.paths[*key, True] = self._extended(path, name, boost, limit, seed)

    def _extended(
        self, path: _Path, name: str, boost: Callable[..., Any], limit: int, seed: int
    ) -> _Path:
        of = self._of
        self._state.raw[:] = path.raw
        with of.monitor.stage(name, limit):
            *_, curve = boost(self._state, of.settings, seed, of.monitor, stopping=of.stopping)
        return path.extended(name, curve)

    def finish(self, key: _Key, random_thresholds: bool) -> FloatArray:
        """Return the losses of stage 3 at the end of a path, (n_tasks, n_rounds + 1, 2)."""
        path = self.paths[key]
        tried = *path.rounds.values(), random_thresholds  # no rounds are as good as no stage
        if tried not in self._tried:
            of = self._of
            limit = of.settings.n_iter_task
            self._state.raw[:] = path.raw
            best = min([self._loss_to_beat, *map(self.loss, self._tried.values())])
            with of.monitor.stage("task", limit):
                self._tried[tried] = watch_tasks(
                    self._state,
                    of.settings.with_task_thresholds(random_thresholds).task_trees,
                    of.seeds.task,
                    limit,
                    of.stopping.rounds_per_look,
                    of.monitor,
                    partial(self._is_enough, limit, best),
                )
        return self._tried[tried]

    def loss(self, losses: FloatArray) -> float:
        """Return the mean validation loss of losses of stage 3."""
        return _task_lengths(losses, self._weight)[0]

    def _is_enough(self, limit: int, loss_to_beat: float, losses: FloatArray) -> bool:
        """Tell whether the last look brought too little, or another path will not be beaten."""
        per_look = self._of.stopping.rounds_per_look
        made = losses.shape[1] - 1
        ends = range(0, made + 1, per_look)[-LOOKS_BACK:]
        at_looks = [self.loss(losses[:, : end + 1]) for end in ends]
        saved = at_looks[-2] - at_looks[-1]
        is_over = saved < abs(at_looks[-1]) * MIN_IMPROVEMENT
        return is_over or least_loss_to_come(at_looks, (limit - made) / per_look) > loss_to_beat


def least_loss_to_come(at_looks: Sequence[float], looks_left: float) -> float:
    """Return a bound of the losses of so many further looks.

    Losses fall ever more slowly: never below the line through the last two. If each look brings
    the same share of what the one before it brought, all to come bring ``share / (1 - share)``
    times the last; if losses fall like the number of looks to a power from -1/2 on, up to four
    times that, and ``SLACK`` is more. The first look says how fast a start is forgotten, and not
    how fast trees learn.

    Parameters
    ----------
    at_looks : sequence of float
        The loss at the start and at each look so far, of many the last ``LOOKS_BACK``.
    looks_left : float
    """
    to_come, saved = looks_left, at_looks[-2] - at_looks[-1]
    if len(at_looks) >= LOOKS_BACK:
        less = at_looks[-3] - at_looks[-2] - saved
        if less > 0.0:
            to_come = min(to_come, SLACK * saved / less)
    return at_looks[-1] - saved * to_come


def _loss_of(judged: tuple[StageLengths, _Key]) -> float:
    return judged[0].loss


def _sum_padded(losses: Sequence[FloatArray]) -> FloatArray:
    """Add up losses (n, n_rounds + 1, 2) of folds; those that ended early stay as they are."""
    longest = max(part.shape[1] for part in losses)
    total = np.zeros((losses[0].shape[0], longest, 2))
    for part in losses:
        total += np.pad(part, ((0, 0), (0, longest - part.shape[1]), (0, 0)), mode="edge")
    return total


def _task_lengths(losses: FloatArray, total_weight: float) -> tuple[float, IntArray]:
    """Return the mean validation loss of stage 3, and each task's number of rounds for it.

    A task's number is where its own loss and ``COMMON_ROWS`` rows of the common one are least.
    """
    validation = losses[:, :, VALIDATION]
    common = validation.sum(axis=0) / total_weight
    n_rounds = np.argmin(validation + COMMON_ROWS * common, axis=1)
    return validation[np.arange(n_rounds.size), n_rounds].sum() / total_weight, n_rounds
