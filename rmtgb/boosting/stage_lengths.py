"""How many rounds of each stage to keep, chosen together on validation rows.

Stopping stage 1 when it stops improving is not enough: where tasks differ, the best
stage 1 can be empty although each of its rounds improves the prediction, because the
later stages do the same work better. So every combination of "not at all" and "as long
as it improves" is tried for the first two stages, and each is judged with its own
stage 3 at its end.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np

from rmtgb.boosting.booster import Watch
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.rounds import TRAIN, VALIDATION
from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import ROUNDS_PER_LOOK, TaskStage
from rmtgb.boosting.state import BoostState

#: The common curve of validation losses counts as this many validation rows of a task
#: when the task's own number of rounds is chosen.
COMMON_ROWS = 50.0

#: Stage 3 goes on as long as each look at the losses finds them smaller by this share.
MIN_IMPROVEMENT = 1e-3


@dataclass(frozen=True)
class Stopping:
    """When a stage ends: rounds without improvement, and what improvement is."""

    patience: int
    tolerance: float


@dataclass(frozen=True)
class StageLengths:
    """Rounds of each stage to keep, and the curves that led to the choice.

    Attributes
    ----------
    shared, partition : int
    task : ndarray of int64 of shape (n_tasks,)
    task_random_thresholds : bool
        Whether the trees of stage 3 try random thresholds.
    train_score, validation_score : dict of str to ndarray of float64
        Mean loss before the first and after each round of the stages "shared",
        "partition" and "task", of the combination that was chosen.
    """

    shared: int
    partition: int
    task: np.ndarray
    task_random_thresholds: bool
    train_score: dict = field(default_factory=dict)
    validation_score: dict = field(default_factory=dict)


@dataclass(frozen=True)
class _Path:
    """A way through the stages so far: rounds, losses, and the raw prediction at its end."""

    raw: np.ndarray
    rounds: dict
    losses: dict

    def extended(self, name, watch):
        return _Path(
            watch.best_raw,
            self.rounds | {name: watch.best_round},
            self.losses | {name: watch.losses},
        )


def choose_stage_lengths(training, settings, stopping, rng, team):
    """Choose the rounds of all stages on the validation rows of a training set.

    Parameters
    ----------
    training : TrainingSet
        With validation rows.
    settings : StageSettings
        Its numbers of rounds are upper limits.
    stopping : Stopping
    rng : numpy.random.Generator
        Used as in :func:`~rmtgb.boosting.three_stages.fit_three_stages`.
    team : Team

    Returns
    -------
    StageLengths
    """
    rngs = rng.spawn(3)
    state = BoostState(training, team)
    paths = [_Path(state.raw.copy(), {"shared": 0, "partition": 0}, {})]
    stages = (
        ("shared", boost_shared, settings.n_iter_shared, rngs[0]),
        ("partition", boost_partition, settings.n_iter_partition, rngs[1]),
    )
    for name, boost, limit, stage_rng in stages:
        for path in list(paths) if limit else []:
            state.raw[:] = path.raw
            watch = Watch(stopping.patience, stopping.tolerance)
            boost(state, settings, deepcopy(stage_rng), Monitor(), watch=watch)
            if watch.best_round:
                paths.append(path.extended(name, watch))
    kinds = settings.task_threshold_kinds
    best = np.inf, None, None
    for path in paths:
        best = min(best, _finish(state, settings, kinds[0], rngs[2], path, best[0]), key=_loss_of)
    for kind in kinds[1:] if settings.n_iter_task else ():  # only where it matters most
        best = min(best, _finish(state, settings, kind, rngs[2], best[2], best[0]), key=_loss_of)
    return best[1]


def _loss_of(result):
    return result[0]


def _finish(state, settings, random_thresholds, rng, path, loss_to_beat):
    """Run stage 3 at the end of a path, return its mean validation loss, all lengths, the path.

    It ends early where its losses, which fall ever more slowly, cannot beat another path's.
    """
    settings = with_task_thresholds(settings, random_thresholds)
    training = state.training
    total_weight = np.array([training.weight.sum(), training.validation_weight.sum()])
    state.raw[:] = path.raw
    seen = []

    def enough(losses):
        if not seen:
            seen.append(_task_lengths(losses[:, :1], total_weight[VALIDATION])[0])
        seen.append(_task_lengths(losses, total_weight[VALIDATION])[0])
        saved = seen[-2] - seen[-1]
        looks_left = (settings.n_iter_task + 1 - losses.shape[1]) / ROUNDS_PER_LOOK
        is_beaten = seen[-1] - saved * looks_left > loss_to_beat
        return is_beaten or saved < abs(seen[-2]) * MIN_IMPROVEMENT

    losses = TaskStage(state, settings, deepcopy(rng), enough=enough).losses
    loss, n_rounds = _task_lengths(losses, total_weight[VALIDATION])
    sums = path.losses | {"task": losses.sum(axis=0)}
    lengths = StageLengths(
        path.rounds["shared"],
        path.rounds["partition"],
        n_rounds,
        random_thresholds,
        *(
            {name: both[:, kind] / total_weight[kind] for name, both in sums.items()}
            for kind in (TRAIN, VALIDATION)
        ),
    )
    return loss, lengths, path


def _task_lengths(losses, total_weight):
    """Return the mean validation loss of stage 3, and each task's number of rounds for it.

    A task's number is where its own loss and ``COMMON_ROWS`` rows of the common one are least.
    """
    validation = losses[:, :, VALIDATION]
    common = validation.sum(axis=0) / total_weight
    n_rounds = np.argmin(validation + COMMON_ROWS * common, axis=1)
    return validation[np.arange(n_rounds.size), n_rounds].sum() / total_weight, n_rounds


def with_task_thresholds(settings, random_thresholds):
    """Return the settings with one kind of thresholds in the trees of stage 3."""
    trees = replace(settings.task_trees, random_thresholds=random_thresholds)
    return replace(settings, task_trees=trees)


def limited(settings, lengths):
    """Return the settings with what was chosen: numbers of rounds, and thresholds of stage 3."""
    return replace(
        with_task_thresholds(settings, lengths.task_random_thresholds),
        n_iter_shared=lengths.shared,
        n_iter_partition=lengths.partition,
        n_iter_task=int(lengths.task.max(initial=0)),
    )
