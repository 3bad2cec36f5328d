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

from rmtgb._jit import kernel
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import TaskStage
from rmtgb.boosting.state import BoostState
from rmtgb.losses.pointwise import sum_losses

#: The common curve of validation losses counts as this many validation rows of a task
#: when the task's own number of rounds is chosen.
COMMON_ROWS = 50.0


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
    train_score, validation_score : dict of str to ndarray of float64
        Mean loss before the first and after each round of the stages "shared",
        "partition" and "task", of the combination that was chosen.
    """

    shared: int
    partition: int
    task: np.ndarray
    train_score: dict = field(default_factory=dict)
    validation_score: dict = field(default_factory=dict)


@kernel
def losses_by_task(member, n_members, offsets, data_y, weight, raw, code, parameter, losses):
    """Sum the loss over the rows of each task; members share the tasks.

    Parameters
    ----------
    offsets : ndarray of int64 of shape (n_tasks + 1,)
    data_y, weight : ndarray of float64 of shape (n_rows,)
    raw : ndarray of float64 of shape (n_outputs, n_rows)
    code, parameter
        The loss.
    losses : ndarray of float64 of shape (n_tasks,)
        OUT.
    """
    for task in range(member, losses.size, n_members):
        losses[task] = sum_losses(
            offsets[task], offsets[task + 1], code, parameter, data_y, weight, raw
        )


class _Watch(Monitor):
    """Follows a stage on the validation rows and remembers its best round."""

    def __init__(self, state, stopping):
        self._state, self._stopping = state, stopping
        self.train, self.validation = [], []
        self.best_round, self.best_loss, self.best_raw = 0, np.inf, None
        self.after_round()

    def after_round(self):
        """Take note of a round; return True when the stage has stopped improving."""
        loss = self._mean_loss(self._state.training.validation_weight)
        self.train.append(self._mean_loss(self._state.training.weight))
        self.validation.append(loss)
        done = len(self.validation) - 1
        if self.best_raw is None or loss < self.best_loss - self._stopping.tolerance * abs(
            self.best_loss
        ):
            self.best_round, self.best_loss = done, loss
            self.best_raw = self._state.raw.copy()
        return done - self.best_round >= self._stopping.patience

    def _mean_loss(self, weight):
        training = self._state.training
        losses = np.empty(training.n_tasks)
        self._state.team.run(
            losses_by_task,
            training.offsets,
            training.y,
            weight,
            self._state.raw,
            training.loss.code,
            training.loss.parameter,
            losses,
        )
        return float(losses.sum() / weight.sum())


@dataclass(frozen=True)
class _Path:
    """A way through the stages so far: rounds, curves, and the raw prediction at its end."""

    raw: np.ndarray
    loss: float
    rounds: dict
    train: dict
    validation: dict

    def extended(self, name, watch):
        return _Path(
            watch.best_raw,
            watch.best_loss,
            self.rounds | {name: watch.best_round},
            self.train | {name: np.array(watch.train)},
            self.validation | {name: np.array(watch.validation)},
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
    start = _Watch(state, stopping)
    paths = [_Path(start.best_raw, start.best_loss, {"shared": 0, "partition": 0}, {}, {})]
    stages = (
        ("shared", boost_shared, settings.n_iter_shared, rngs[0]),
        ("partition", boost_partition, settings.n_iter_partition, rngs[1]),
    )
    for name, boost, limit, stage_rng in stages:
        for path in list(paths) if limit else []:
            state.raw[:] = path.raw
            watch = _Watch(state, stopping)
            boost(state, settings, deepcopy(stage_rng), watch.after_round)
            if watch.best_round:
                paths.append(path.extended(name, watch))
    finished = [_finish(state, settings, stopping, rngs[2], path) for path in paths]
    return min(finished, key=lambda pair: pair[0])[1]


def _finish(state, settings, stopping, rng, path):
    """Run stage 3 at the end of a path, return its mean validation loss and all lengths."""
    training = state.training
    total_weight = training.validation_weight.sum()
    n_rounds, loss, curve = np.zeros(training.n_tasks, np.int64), path.loss, None
    if settings.n_iter_task:
        state.raw[:] = path.raw
        stage = TaskStage(state, settings, deepcopy(rng))
        losses = stage.validation_loss
        common = losses.sum(axis=0) / total_weight
        n_rounds = np.argmin(losses + COMMON_ROWS * common, axis=1)
        loss = losses[np.arange(n_rounds.size), n_rounds].sum() / total_weight
        curve = {"task": common}
    lengths = StageLengths(
        path.rounds["shared"],
        path.rounds["partition"],
        n_rounds,
        path.train,
        path.validation | (curve or {}),
    )
    return loss, lengths


def limited(settings, lengths):
    """Return the settings with numbers of rounds replaced by chosen ones."""
    return replace(
        settings,
        n_iter_shared=lengths.shared,
        n_iter_partition=lengths.partition,
        n_iter_task=int(lengths.task.max(initial=0)),
    )
