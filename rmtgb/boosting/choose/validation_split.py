"""Setting aside validation rows, by what a row contains and not by where it stands."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import BoolArray, IntArray
from rmtgb.boosting.row_hashes import hash_rows, sort_within_tasks
from rmtgb.boosting.rows import TrainingSet
from rmtgb.engine.jit import kernel
from rmtgb.engine.random import mix

#: Weight of validation rows that is enough to choose on.
ENOUGH_WEIGHT = 300.0


@kernel
def scramble(
    hashes: NDArray[np.uint64], task_seed: NDArray[np.uint64], task_codes: NDArray[np.int32]
) -> None:
    """Mix a seed of its task (n_tasks,) into the hash of each row (n_rows,), INOUT, uint64."""
    for i in range(hashes.size):
        hashes[i] = mix(hashes[i] ^ task_seed[task_codes[i]], 0)


def split_by_content(training: TrainingSet, fraction: float, seed: int) -> list[BoolArray]:
    """Choose a fraction of every task's rows, and other ones as often as it takes.

    One choice is enough if it has ``ENOUGH_WEIGHT``; with less, what is best on a choice says
    little about other rows, and there are as many as reach it together, or as there can be
    without a row in two of them.

    Rows that are equal stay on the same side: a copy of a training row would make a
    validation row worthless, and an integer weight stays the same as repetition. A
    task keeps at least one row for training, and gives none if it has but one, unless most rows
    are of such tasks: then some of these tasks validate as tasks that were not seen.

    Parameters
    ----------
    training : TrainingSet
    fraction : float
        In (0, 1), of each task's weight, rounded by chance.
    seed : int

    Returns
    -------
    list of ndarray of bool of shape (n_rows,)
        The validation rows of each choice; empty if no task can give one.
    """
    hashes = _hashes(training, seed)
    first_of_task = training.offsets[:-1]
    order, new_value = sort_within_tasks(training.task_codes, hashes)
    # Tasks may hold the same rows, and should not give the same ones: scramble the hashes
    # by what else a task holds, which does not depend on its label or on repetition.
    task_seed = training.sum_by_task(np.where(new_value, hashes[order], np.uint64(0)))
    scramble(hashes, task_seed, training.task_codes)
    order, new_value = sort_within_tasks(training.task_codes, hashes)
    weight, task = training.weight[order], training.task_codes[order]
    before = np.cumsum(weight) - weight  # weight of the task's rows with smaller hashes
    before -= before[first_of_task][task]
    task_weight = training.task_weight
    chance = (task_seed >> np.uint64(11)) * 2.0**-53
    is_single = training.sum_by_task(new_value.astype(np.int64)) == 1
    mostly_single = task_weight[is_single].sum() > task_weight.sum() / 2.0 and training.n_tasks > 1
    first_of_value = np.maximum.accumulate(np.where(new_value, np.arange(new_value.size), 0))
    before = before[first_of_value]
    n_choices = math.ceil(ENOUGH_WEIGHT / (fraction * weight.sum()))
    choices = []
    for k in range(min(n_choices, int(1.0 / fraction * (1.0 + 1e-9)))):
        start, stop = np.floor(task_weight * fraction * np.array([[k], [k + 1]]) + chance)
        stop = np.minimum(stop, start + task_weight - 1.0)
        held_out = np.empty(training.y.size, dtype=bool)
        held_out[order] = (before >= start[task]) & (before < stop[task])
        every_row = training.sum_by_task(held_out.astype(np.int64)) == np.diff(training.offsets)
        held_out &= ~every_row[training.task_codes]
        if mostly_single:
            drawn = (chance >= k * fraction) & (chance < (k + 1) * fraction)
            held_out |= (is_single & drawn)[training.task_codes]
        choices.append(held_out)
    return [held_out for held_out in choices if held_out.any() and not held_out.all()]


def folds_by_content(training: TrainingSet, n_folds: int, seed: int) -> IntArray:
    """Return a fold 0, ..., n_folds - 1 for each row, the same for rows that are equal.

    Of fewer rows that differ, each has its own fold; of but one, there is one fold.
    """
    place = np.unique(_hashes(training, seed), return_inverse=True)[1]
    return (place % n_folds).astype(np.int64)


def _hashes(training: TrainingSet, seed: int) -> NDArray[np.uint64]:
    hashes = np.empty(training.y.size, np.uint64)
    y_bits = np.ascontiguousarray(training.y, dtype=np.float64).view(np.int64)
    hash_rows(training.binned.row_codes, y_bits, np.uint64(seed), hashes)
    return hashes
