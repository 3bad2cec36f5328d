"""How many rounds of each stage to keep, chosen together on validation rows.

Stopping stage 1 when it stops improving is not enough: where tasks differ, the best
stage 1 can be empty although each of its rounds improves the prediction, because the
later stages do the same work better. So every combination of "not at all" and "as long
as it improves" is tried for the first two stages, and each is judged with its own
stage 3 at its end.
"""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import partial

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
    loss : float
        Mean validation loss with these lengths.
    train_score, validation_score : dict of str to ndarray of float64
        Mean loss before the first and after each round of the stages "shared",
        "partition" and "task", of the combination that was chosen.
    """

    shared: int
    partition: int
    task: np.ndarray
    task_random_thresholds: bool
    loss: float = np.nan
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


class _Fold:
    """A training set with validation rows, and what was tried on it.

    ``paths`` are tuples of whether stages 1 and 2 are used, and the :class:`_Path`.
    """

    def __init__(self, training, settings, team):
        self._settings, self._tried = settings, {}
        self._state = BoostState(training, team)
        self._weight = training.validation_weight.sum()
        self.paths = {(): _Path(self._state.raw.copy(), {}, {})}

    def extend_paths(self, name, boost, limit, rng, stopping):
        """Go on from every path without and, at most so many rounds, with a stage."""
        for key, path in list(self.paths.items()):
            del self.paths[key]
            self.paths[*key, False] = replace(path, rounds=path.rounds | {name: 0})
            if limit == 0:
                continue
            self._state.raw[:] = path.raw
            watch = Watch(stopping.patience, stopping.tolerance)
            boost(self._state, self._settings, deepcopy(rng), Monitor(), watch=watch)
            self.paths[*key, True] = path.extended(name, watch)

    def finish(self, key, random_thresholds, rng):
        """Return the losses of stage 3 at the end of a path, (n_tasks, n_rounds + 1, 2)."""
        path = self.paths[key]
        tried = *path.rounds.values(), random_thresholds  # no rounds are as good as no stage
        if tried not in self._tried:
            settings = with_task_thresholds(self._settings, random_thresholds)
            self._state.raw[:] = path.raw
            best = min((self._loss(losses) for losses in self._tried.values()), default=np.inf)
            enough = partial(self._is_enough, settings.n_iter_task, best)
            stage = TaskStage(self._state, settings, deepcopy(rng), enough=enough)
            self._tried[tried] = stage.losses
        return self._tried[tried]

    def _loss(self, losses):
        return _task_lengths(losses, self._weight)[0]

    def _is_enough(self, limit, loss_to_beat, losses):
        """Tell whether the last look brought too little, or another path cannot be beaten.

        Losses fall ever more slowly: at the end they are not below the line through two looks.
        """
        loss = self._loss(losses)
        saved = self._loss(losses[:, : losses.shape[1] - ROUNDS_PER_LOOK]) - loss
        looks_left = (limit + 1 - losses.shape[1]) / ROUNDS_PER_LOOK
        return saved < abs(loss) * MIN_IMPROVEMENT or loss - saved * looks_left > loss_to_beat


def choose_stage_lengths(folds, settings, stopping, rng, team):
    """Choose the rounds of all stages on validation rows.

    Parameters
    ----------
    folds : list of TrainingSet
        The same rows, other ones of which are for validation.
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
    searches = [_Fold(training, settings, team) for training in folds]
    for search in searches:
        search.extend_paths("shared", boost_shared, settings.n_iter_shared, rngs[0], stopping)
        search.extend_paths(
            "partition", boost_partition, settings.n_iter_partition, rngs[1], stopping
        )
    total_weight = np.array(
        [sum(f.weight.sum() for f in folds), sum(f.validation_weight.sum() for f in folds)]
    )
    kinds, best = settings.task_threshold_kinds, (np.inf, None)
    for key in searches[0].paths:
        best = min(best, _judge(searches, key, kinds[0], rngs[2], total_weight), key=_loss_of)
    for kind in kinds[1:] if settings.n_iter_task else ():  # only where it matters most
        best = min(best, _judge(searches, best[2], kind, rngs[2], total_weight), key=_loss_of)
    return best[1]


def _loss_of(result):
    return result[0]


def _judge(searches, key, random_thresholds, rng, total_weight):
    """Return the validation loss of a path with its stage 3, all lengths, and the path's key."""
    task_losses = _sum_padded([search.finish(key, random_thresholds, rng) for search in searches])
    loss, n_rounds = _task_lengths(task_losses, total_weight[VALIDATION])
    paths = [search.paths[key] for search in searches]
    sums = {
        name: _sum_padded([path.losses[name][None] for path in paths]) for name in paths[0].losses
    }
    scores = [
        {name: both[:, :, kind].sum(axis=0) / total_weight[kind] for name, both in sums.items()}
        | {"task": task_losses[:, :, kind].sum(axis=0) / total_weight[kind]}
        for kind in (TRAIN, VALIDATION)
    ]
    rounds = dict(paths[0].rounds)
    if len(paths) > 1:  # where they are best together
        rounds |= {name: int(np.argmin(scores[VALIDATION][name])) for name in sums}
    lengths = StageLengths(
        rounds["shared"], rounds["partition"], n_rounds, random_thresholds, loss, *scores
    )
    return loss, lengths, key


def _sum_padded(losses):
    """Add up losses (n, n_rounds + 1, 2) of folds; those that ended early stay as they are."""
    longest = max(part.shape[1] for part in losses)
    return sum(
        np.pad(part, ((0, 0), (0, longest - part.shape[1]), (0, 0)), mode="edge")
        for part in losses
    )


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
