"""How many rounds of each stage to keep, chosen together on validation rows.

Stopping stage 1 when it stops improving is not enough: where tasks differ, the best
stage 1 can be empty although each of its rounds improves the prediction, because the
later stages do the same work better. So every combination of "not at all" and "as long
as it improves" is tried for the first two stages, and each is judged with its own
stage 3 at its end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.booster import Curve
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.records import TRAIN, VALIDATION
from rmtgb.boosting.rows import BoostState, TrainingSet
from rmtgb.boosting.settings import Seeds, StageSettings, Stopping
from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import ROUNDS_PER_LOOK, watch_tasks
from rmtgb.engine.team import Team
from rmtgb.tasks.table import TaskTable

#: The common curve of validation losses counts as this many validation rows of a task
#: when the task's own number of rounds is chosen.
COMMON_ROWS = 50.0

#: Standard errors by which another plan must be better than a simpler one. On 25 sets, two seeds,
#: gains of 0 to 0.5 of them were followed by test errors of 0.98 to 1.06, in the mean 1.00; at 1,
#: sets would be missed on which the linear part takes 6 to 14 % off.
MIN_ERRORS = 0.5

#: Stage 3 goes on as long as each look at the losses finds them smaller by this share.
MIN_IMPROVEMENT = 1e-3

#: Factor by which stage 3 may still fall more than a constant rate says; see `least_loss_to_come`.
SLACK = 6.0

#: Losses that tell a rate which the start does not: those of three looks and the one before them.
LOOKS_BACK = 4


@dataclass(frozen=True)
class StageLengths:
    """Rounds of each stage to keep, and the curves that led to the choice.

    Attributes
    ----------
    shared, partition : int
    task : ndarray of int64 of shape (n_tasks,)
    task_random_thresholds : bool
        Whether the trees of stage 3 try random thresholds.
    loss : float
        Mean validation loss with these lengths, in the unit of the fit.
    task_losses : ndarray of float64 of shape (n_tasks,)
        Sums of the same losses over the validation rows of each task.
    fold_losses : tuple of float
        Mean validation loss of each fold.
    train_score, validation_score : dict of str to ndarray of float64
        Mean loss before the first and after each round of the stages "shared",
        "partition" and "task", of the combination that was chosen.
    """

    shared: int
    partition: int
    task: IntArray
    task_random_thresholds: bool
    loss: float = np.nan
    task_losses: FloatArray = field(default_factory=lambda: np.empty(0))
    fold_losses: tuple[float, ...] = ()
    train_score: dict[str, FloatArray] = field(default_factory=dict)
    validation_score: dict[str, FloatArray] = field(default_factory=dict)

    def beat(self, simpler: StageLengths) -> bool:
        """Tell whether the loss is below that of a simpler choice by more than chance.

        Tasks are what differs by chance: the standard error is that of a sum over tasks of paired
        differences.
        """
        gains = simpler.task_losses - self.task_losses
        correction = gains.size / max(gains.size - 1, 1)
        error = np.sqrt(correction * np.square(gains - gains.mean()).sum())
        return bool(gains.sum() > MIN_ERRORS * error)

    def limit(self, settings: StageSettings) -> StageSettings:
        """Return the settings with what was chosen for the stages."""
        return replace(
            settings.with_task_thresholds(self.task_random_thresholds),
            n_iter_shared=self.shared,
            n_iter_partition=self.partition,
            n_iter_task=int(self.task.max(initial=0)),
        )

    def in_unit(self, unit: float, degree: int) -> StageLengths:
        """Return the lengths with losses in a power of a unit; infinite if they are too large."""

        def scaled(curve: FloatArray) -> FloatArray:
            with np.errstate(over="ignore"):
                for _ in range(degree):
                    curve = curve * unit
            return curve

        train, validation = (
            {name: scaled(curve) for name, curve in scores.items()}
            for scores in (self.train_score, self.validation_score)
        )
        return replace(self, train_score=train, validation_score=validation)


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
            curve.best_raw,
            self.rounds | {name: curve.best_round},
            self.losses | {name: curve.losses},
        )


_Key = tuple[bool, ...]


class _Search:
    """A fold, and what was tried on it.

    ``paths`` are tuples of whether stages 1 and 2 are used, and the :class:`_Path`.
    """

    def __init__(
        self,
        fold: Fold,
        settings: StageSettings,
        loss_to_beat: float,
        monitor: Monitor,
        team: Team,
    ) -> None:
        self._settings, self._monitor, self._loss_to_beat = settings, monitor, loss_to_beat
        self._tried: dict[tuple[int, ...], FloatArray] = {}
        self._state = BoostState(fold.training, fold.tasks, team)
        self._weight = fold.training.validation_weight.sum()
        self.paths: dict[_Key, _Path] = {(): _Path(self._state.raw.copy(), {}, {})}

    def extend_paths(
        self, name: str, boost: Callable[..., Any], limit: int, seed: int, stopping: Stopping
    ) -> None:
        """Go on from every path without and, at most so many rounds, with a stage."""
        for key, path in list(self.paths.items()):
            del self.paths[key]
            self.paths[*key, False] = path.without(name)
            if limit == 0:
                continue
            self._state.raw[:] = path.raw
            *_, curve = boost(self._state, self._settings, seed, Monitor(), stopping=stopping)
            self.paths[*key, True] = path.extended(name, curve)
            best = curve.losses[curve.best_round, VALIDATION] / self._weight
            self._tell(name, path.rounds, f"{curve.best_round} rounds", best)

    def finish(self, key: _Key, random_thresholds: bool, seed: int) -> FloatArray:
        """Return the losses of stage 3 at the end of a path, (n_tasks, n_rounds + 1, 2)."""
        path = self.paths[key]
        tried = *path.rounds.values(), random_thresholds  # no rounds are as good as no stage
        if tried not in self._tried:
            settings = self._settings.with_task_thresholds(random_thresholds)
            self._state.raw[:] = path.raw
            best = min([self._loss_to_beat, *map(self.loss, self._tried.values())])
            enough = partial(self._is_enough, settings.n_iter_task, best)
            losses = watch_tasks(
                self._state, settings.task_trees, seed, settings.n_iter_task, enough
            )
            self._tried[tried] = losses
            self._tell("task", path.rounds, f"{losses.shape[1] - 1} rounds", self.loss(losses))
        return self._tried[tried]

    def _tell(self, name: str, before: dict[str, int], what: str, loss: float) -> None:
        after = "".join(f", after {n} of stage {stage}" for stage, n in before.items() if n)
        self._monitor.tell(f"choosing lengths: {name}{after}: {what}, validation loss {loss:.6g}")

    def loss(self, losses: FloatArray) -> float:
        """Return the mean validation loss of losses of stage 3."""
        return _task_lengths(losses, self._weight)[0]

    def _is_enough(self, limit: int, loss_to_beat: float, losses: FloatArray) -> bool:
        """Tell whether the last look brought too little, or another path will not be beaten."""
        made = losses.shape[1] - 1
        ends = range(0, made + 1, ROUNDS_PER_LOOK)[-LOOKS_BACK:]
        at_looks = [self.loss(losses[:, : end + 1]) for end in ends]
        saved = at_looks[-2] - at_looks[-1]
        is_over = saved < abs(at_looks[-1]) * MIN_IMPROVEMENT
        looks_left = (limit - made) / ROUNDS_PER_LOOK
        return is_over or least_loss_to_come(at_looks, looks_left) > loss_to_beat


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


def choose_stage_lengths(
    folds: Sequence[Fold],
    settings: StageSettings,
    stopping: Stopping,
    seeds: Seeds,
    monitor: Monitor,
    team: Team,
    simpler: StageLengths | None = None,
    needs_partition: bool = False,
) -> StageLengths:
    """Choose the rounds of all stages on validation rows.

    Parameters
    ----------
    folds : sequence of Fold
        The same rows, other ones of which are for validation.
    settings : StageSettings
        Its numbers of rounds are upper limits.
    stopping : Stopping
    seeds : Seeds
        Used as in :func:`~rmtgb.boosting.three_stages.fit_three_stages`.
    monitor : Monitor
        Told of what was tried.
    team : Team
    simpler : StageLengths, optional
        A choice on the same validation rows. Where it will not be beaten, nothing is searched to
        its end.
    needs_partition : bool
        Whether ways without stage 2 are left out, because they have been judged before.

    Returns
    -------
    StageLengths
    """
    to_beat = [np.inf] * len(folds) if simpler is None else simpler.fold_losses
    searches = [
        _Search(fold, settings, loss, monitor, team)
        for fold, loss in zip(folds, to_beat, strict=True)
    ]
    for search in searches:
        search.extend_paths("shared", boost_shared, settings.n_iter_shared, seeds.shared, stopping)
        search.extend_paths(
            "partition", boost_partition, settings.n_iter_partition, seeds.partition, stopping
        )
    weights = np.array(
        [(f.training.weight.sum(), f.training.validation_weight.sum()) for f in folds]
    )
    total_weight = weights.sum(axis=0)

    def judge(key: _Key, random_thresholds: bool) -> tuple[StageLengths, _Key]:
        return _judge(searches, key, random_thresholds, seeds.task, total_weight), key

    # the most promising one first: what will not be better is left early
    keys = [key for key in searches[0].paths if key[-1] or not needs_partition]
    keys.sort(key=lambda key: sum(search.paths[key].loss for search in searches))
    kinds = settings.task_threshold_kinds
    best = min((judge(key, kinds[0]) for key in keys), key=_loss_of)
    for kind in kinds[1:] if settings.n_iter_task else ():  # only where it matters most
        best = min(best, judge(best[1], kind), key=_loss_of)
    return best[0]


def _loss_of(judged: tuple[StageLengths, _Key]) -> float:
    return judged[0].loss


def _judge(
    searches: Sequence[_Search],
    key: _Key,
    random_thresholds: bool,
    seed: int,
    total_weight: FloatArray,
) -> StageLengths:
    """Return all lengths of a path, with its validation loss."""
    of_folds = [search.finish(key, random_thresholds, seed) for search in searches]
    task_losses = _sum_padded(of_folds)
    loss, n_rounds = _task_lengths(task_losses, total_weight[VALIDATION])
    paths = [search.paths[key] for search in searches]
    sums = {
        name: _sum_padded([path.losses[name][None] for path in paths]) for name in paths[0].losses
    }
    train, validation = (
        {name: np.empty(0) for name in paths[0].rounds}  # of stages that the path leaves out
        | {name: both[:, :, kind].sum(axis=0) / total_weight[kind] for name, both in sums.items()}
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
