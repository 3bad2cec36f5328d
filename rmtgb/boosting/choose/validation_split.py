"""Setting aside validation rows: by what they contain, in groups, or the last ones."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import BoolArray, IntArray
from rmtgb.boosting.row_hashes import hash_rows, sort_within_tasks
from rmtgb.boosting.rows import TrainingSet
from rmtgb.engine.jit import kernel
from rmtgb.engine.random import mix

#: Weight of validation rows, and number of their groups if these stay together, that are enough to
#: choose on.
ENOUGH_WEIGHT, ENOUGH_GROUPS = 300.0, 10.0


@kernel
def scramble(
    hashes: NDArray[np.uint64], task_seed: NDArray[np.uint64], task_codes: NDArray[np.int32]
) -> None:
    """Mix a seed of its task (n_tasks,) into the hash of each row (n_rows,), INOUT, uint64."""
    for i in range(hashes.size):
        hashes[i] = mix(hashes[i] ^ task_seed[task_codes[i]], 0)


def choose_validation(
    training: TrainingSet, fraction: float, seed: int, last: bool
) -> list[BoolArray]:
    """Choose validation rows, and other ones as often as it takes.

    Parameters
    ----------
    training : TrainingSet
        If it has groups, rows of a group stay together.
    fraction : float
        Share of the weight, in (0, 1).
    seed : int
    last : bool
        Whether the last rows of each task validate, once.

    Returns
    -------
    list of ndarray of bool of shape (n_rows,)
        The validation rows of each choice; empty if nothing can be set aside.
    """
    if last:
        choices = [_last_rows(training, fraction)]
    elif training.groups is not None:
        choices = _split_by_group(training, training.groups, fraction, seed)
    else:
        choices = _split_by_content(training, fraction, seed)
    return [held_out for held_out in choices if held_out.any() and not held_out.all()]


def _split_by_content(training: TrainingSet, fraction: float, seed: int) -> list[BoolArray]:
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
        The validation rows of each choice, which may be none.
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
    choices = []
    for k in range(_n_choices(ENOUGH_WEIGHT / weight.sum(), fraction)):
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
    return choices


def _n_choices(enough: float, fraction: float) -> int:
    """Return how many fractions are enough of the whole, or there can be without overlap."""
    return min(math.ceil(enough / fraction), int(1.0 / fraction * (1.0 + 1e-9)))


def _split_by_group(
    training: TrainingSet, groups: IntArray, fraction: float, seed: int
) -> list[BoolArray]:
    """Choose a fraction of the weight in whole groups; a group is where its middle is.

    The order of groups is one of what they contain, and not of their labels.
    """
    place = _places_of_groups(training, groups, seed)
    weight = np.bincount(place, training.weight)
    middle = (np.cumsum(weight) - weight / 2.0) / weight.sum()
    enough = max(ENOUGH_WEIGHT / training.weight.sum(), ENOUGH_GROUPS / weight.size)
    choice = np.floor(middle / fraction).astype(np.int64)
    choices = [choice[place] == k for k in range(_n_choices(enough, fraction))]
    # groups may be too large for a fraction: then one of them
    return choices if any(held_out.any() for held_out in choices) else [place == 0]


def _places_of_groups(training: TrainingSet, groups: IntArray, seed: int) -> IntArray:
    """Return for each row where its group stands in an order that content alone decides."""
    hashes = _hashes(training, seed)
    order = np.lexsort([hashes, groups])
    hashes, groups = hashes[order], groups[order]
    starts = np.flatnonzero(np.diff(groups, prepend=-1))
    is_new = np.append(True, (hashes[1:] != hashes[:-1]) | (groups[1:] != groups[:-1]))
    of_group = np.add.reduceat(np.where(is_new, hashes, np.uint64(0)), starts)
    rank = np.empty(starts.size, np.int64)
    rank[np.argsort(of_group, kind="stable")] = np.arange(starts.size)
    place = np.empty(groups.size, np.int64)
    place[order] = np.repeat(rank, np.diff(starts, append=groups.size))
    return place


def _last_rows(training: TrainingSet, fraction: float) -> BoolArray:
    """Choose the last rows of each task in the order they were given in, never all of them."""
    before = np.cumsum(training.weight) - training.weight
    before -= before[training.offsets[:-1]][training.task_codes]
    task_weight = training.task_weight
    kept = np.maximum(task_weight - np.round(fraction * task_weight), 1.0)
    held_out: BoolArray = before >= kept[training.task_codes]
    return held_out & (before > 0.0)


def folds_of_rows(training: TrainingSet, n_folds: int, seed: int, last: bool) -> IntArray:
    """Return a fold 0, ..., n_folds - 1 for each row, for models that have not seen it.

    Equal rows, or those of a group, have the same. Of fewer that differ, each has its own fold;
    of but one, there is one fold. If the last rows of tasks validate, folds are parts of a task
    that follow each other.
    """
    if last:
        sizes = np.diff(training.offsets)[training.task_codes]
        number = np.arange(training.n_rows) - training.offsets[:-1][training.task_codes]
        return number * min(n_folds, int(sizes.max())) // sizes
    if training.groups is not None:
        return _places_of_groups(training, training.groups, seed) % n_folds
    place = np.unique(_hashes(training, seed), return_inverse=True)[1]
    return (place % n_folds).astype(np.int64)


def _hashes(training: TrainingSet, seed: int) -> NDArray[np.uint64]:
    hashes = np.empty(training.y.size, np.uint64)
    y_bits = np.ascontiguousarray(training.y, dtype=np.float64).view(np.int64)
    hash_rows(training.binned.row_codes, y_bits, np.uint64(seed), hashes)
    return hashes
