"""Which tasks depart from what most tasks share: a test, and what it says of each task.

It is made of profiles alone: what is left of a task's targets in groups of rows, after what all
tasks share and the task's own level have been taken off. No length of a stage has a part in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rmtgb._common import BoolArray, FloatArray
from rmtgb.tasks.evidence import MATERIAL, TaskEvidence
from rmtgb.tasks.profiles import TINY, Profiles

#: Adjusted p-value below which a task is called an outlier.
LEVEL = 0.05

#: Share of half-samples in which a task must stand out to be called. Of generated tasks that are
#: related, those with p-values below the level stood out in a sixth of the half-samples.
STABLE = 0.25

#: Fewest tasks of which one can be an outlier: of two, nobody can say which.
MIN_TASKS = 3

#: Steps from the median of all tasks to the centre of those nearest to it: a third one changed
#: no finding on generated tasks.
CENTRE_STEPS = 2

#: Noise that is drawn is in this share of the directions that noise has: a sum of unequal squares
#: has a longer tail than one of as many equal ones. With all directions, 60 sets of ten equal
#: tasks had 5 false alarms at a level of 5 %; with this share, one.
DIRECTIONS = 0.7

#: Directions beyond which the largest of some sums of squares hardly changes.
MAX_DIRECTIONS = 64

#: Directions in which tasks are taken to vary. One misses outliers beside tasks with smooth
#: functions of their own (7 of 100 sets), which vary in many; where tasks differ by one slope
#: only, two are too many, and false alarms more frequent than the level says.
VARIED = 2

#: Standard errors by which tasks may vary more than is seen, for very many tasks and per
#: ``1 / (n_tasks - 2)``: it takes few tasks for most to be alike by chance. On tasks whose slopes
#: vary, 0.15 for any number gave false alarms in a third of the sets of three and of five.
CAUTION, CAUTION_OF_FEW = 0.25, 0.75

#: Sets of tasks that are drawn: as many as keep to so many tasks, within limits.
DRAWN_TASKS, MIN_SETS, MAX_SETS = 30_000, 99, 999


class _Departures(NamedTuple):
    """How far tasks are from the centre of most: see :func:`_depart`.

    ``distance``, ``score`` and ``core`` are (..., n_tasks), ``variation`` (...,).
    """

    distance: FloatArray
    score: FloatArray
    core: BoolArray
    variation: FloatArray
    centre: FloatArray


@np.errstate(over="ignore", invalid="ignore")  # tasks that weigh next to nothing
def judge(profiles: Profiles, rng: np.random.Generator) -> TaskEvidence:
    """Test every task against what most tasks share.

    The score of a task is compared with the largest of as many tasks that differ by noise and by
    a variation in a few directions, of the size that it may have here; it is drawn, together with
    the choice of those that are most (a parametric bootstrap). So p-values are adjusted for the
    number of tasks, and most tasks are never outliers.

    Parameters
    ----------
    profiles : Profiles
    rng : numpy.random.Generator

    Returns
    -------
    TaskEvidence

    References
    ----------
    Westfall, Young, "Resampling-based multiple testing", 1993, section 2.3: the largest score.
    Rousseeuw, Van Driessen, "A fast algorithm for the minimum covariance determinant
    estimator", Technometrics 41, 1999: steps to the centre of most.
    """
    flat = len(profiles.mean), -1
    mean, share = profiles.mean.reshape(flat), profiles.share.reshape(flat)
    if len(mean) < MIN_TASKS:
        return TaskEvidence.none(len(mean), profiles.n_features)
    squares, of_cells = _sum_squares(profiles)
    noise = squares.mean(axis=0)
    # a task of one row has none beside its level, which says nothing of it
    noise = np.where(noise > 0.0, noise, noise.max()) + 1e-9 * profiles.unexplained + TINY
    found = _depart(mean, share, noise)
    largest = _largest_scores(noise, _directions(squares), float(found.variation), rng)
    p_value = (1.0 + (largest[:, None] >= found.score).sum(axis=0)) / (1.0 + largest.size)
    departures = _by_feature(profiles, found.centre, of_cells / len(squares))

    def stands_out(departed: _Departures, p_is_small: BoolArray) -> BoolArray:
        return p_is_small & ~departed.core & (departures.max(axis=1) > MATERIAL)

    critical = np.quantile(largest, 1.0 - LEVEL)
    scale = found.variation + noise
    stood_out, varied = [], []
    for draw in profiles.draws:
        half_sample = mean + draw.reshape(flat)  # has twice the noise of all rows
        half = _depart(half_sample, share, 2.0 * noise)
        stood_out.append(stands_out(half, half.score > critical))
        varied.append(_distance(half_sample, share, found.centre) / scale)
    share_of_halves = np.mean(stood_out, axis=0)
    called = stands_out(found, p_value < LEVEL) & (share_of_halves >= STABLE)
    stability = (called + len(varied) * share_of_halves) / (1.0 + len(varied))
    return TaskEvidence(
        called,
        found.score,
        np.std(varied, axis=0, ddof=1),
        p_value,
        stability,
        departures[:, : profiles.n_features],
    )


def _sum_squares(profiles: Profiles) -> tuple[FloatArray, FloatArray]:
    """Return squared distances by noise, (n_draws, n_tasks), and sums of squares by cell."""
    squares, of_cells = [], np.zeros_like(profiles.mean)
    for draw in profiles.draws:
        square = np.square(draw)
        of_cells += square
        squares.append((profiles.share * square).reshape(len(draw), -1).sum(axis=-1))
    return np.array(squares), of_cells


def _distance(mean: FloatArray, share: FloatArray, centre: FloatArray) -> FloatArray:
    """Return the mean squared distance of each task from a centre (..., 1, n_cells)."""
    distance: FloatArray = (share * np.square(mean - centre)).sum(axis=-1)
    return distance


def _depart(mean: FloatArray, share: FloatArray, noise: FloatArray) -> _Departures:
    """Measure how far tasks are from the centre of the larger half, of whichever are nearest.

    Parameters
    ----------
    mean : ndarray of float64 of shape (..., n_tasks, n_cells)
        Profiles of one or many sets of tasks.
    share : ndarray of float64 of shape (n_tasks, n_cells)
    noise : ndarray of float64 of shape (n_tasks,)
        Squared distance that noise alone gives.
    """
    centre = _median_of_known(mean, share > 0.0)
    n_core = noise.size // 2 + 1
    for step in range(CENTRE_STEPS + 1):
        distance = _distance(mean, share, centre)
        variation = np.maximum(np.median(distance - noise, axis=-1), 0.0)
        scale = variation[..., None] + noise
        score = distance / scale
        if step == CENTRE_STEPS:
            break
        order = np.argsort(score, axis=-1, kind="stable")
        core = np.zeros(score.shape, dtype=bool)
        np.put_along_axis(core, order[..., :n_core], True, axis=-1)
        weight = (core / scale)[..., None] * share
        total = weight.sum(axis=-2, keepdims=True)
        centre = (weight * mean).sum(axis=-2, keepdims=True) / np.maximum(total, TINY)
    return _Departures(distance, score, core, variation, centre)


def _median_of_known(mean: FloatArray, known: BoolArray) -> FloatArray:
    """Return the median over tasks of what is known in each cell, 0 where nothing is."""
    ordered = np.sort(np.where(known, mean, np.inf), axis=-2)
    n_known = known.sum(axis=0)
    places = np.stack([np.maximum(n_known - 1, 0) // 2, np.minimum(n_known // 2, len(known) - 1)])
    shape = (*ordered.shape[:-2], 2, ordered.shape[-1])
    middle = np.take_along_axis(ordered, np.broadcast_to(places, shape), axis=-2)
    centre: FloatArray = np.where(n_known > 0, middle, 0.0).mean(axis=-2, keepdims=True)
    return centre


def _directions(squares: FloatArray) -> int:
    """Return in how many directions noise is, of its squares (n_draws, n_tasks).

    A sum of as many equal squares varies as much (Satterthwaite's approximation).
    """
    mean = np.maximum(squares.mean(axis=0), TINY)
    relative = float(np.mean((squares / mean).var(axis=0, ddof=1)))
    return int(np.clip(round(DIRECTIONS * 2.0 / max(relative, 1e-6)), 1, MAX_DIRECTIONS))


def _largest_scores(
    noise: FloatArray, n_directions: int, variation: float, rng: np.random.Generator
) -> FloatArray:
    """Draw sets of tasks of which none stands out, and return the largest score of each.

    The tasks vary as much as is seen and as the error of that allows; what is seen is too little
    by a factor that is drawn as well, because it is that of the tasks in the middle.
    """
    n_tasks = noise.size
    n_sets = int(np.clip(DRAWN_TASKS // n_tasks, MIN_SETS, MAX_SETS))
    varied = min(VARIED, n_directions)
    alone = rng.standard_normal((n_sets, n_tasks, varied))
    share = np.full((n_tasks, varied), 1.0 / varied)
    seen = _depart(alone, share, np.full(n_tasks, TINY)).variation.mean()
    error = 1.25 * np.median(noise) * np.sqrt(2.0 / n_directions / n_tasks)
    caution = CAUTION + CAUTION_OF_FEW / (n_tasks - 2)
    between = np.sqrt((variation + caution * error) / seen * n_directions / varied)
    share = np.full((n_tasks, n_directions), 1.0 / n_directions)
    largest = np.empty(n_sets)
    at_once = max(1, 2**20 // share.size)
    for start in range(0, n_sets, at_once):
        part = largest[start : start + at_once]
        means = np.sqrt(noise)[:, None] * rng.standard_normal((part.size, *share.shape))
        means[:, :, :varied] += between * rng.standard_normal((part.size, n_tasks, varied))
        part[:] = _depart(means, share, noise).score.max(axis=-1)
    return largest


def _by_feature(profiles: Profiles, centre: FloatArray, noise: FloatArray) -> FloatArray:
    """Return departures by feature, less what noise makes them: (n_tasks, n_features)."""
    share = profiles.share
    departed = np.square(profiles.mean - centre.reshape(share.shape[1:]))
    excess = (share * (departed - noise)).sum(axis=-1)
    of_feature = np.maximum(share.sum(axis=-1), TINY)
    with np.errstate(over="ignore"):  # where nothing is left unexplained
        departures: FloatArray = excess / of_feature / max(profiles.unexplained, TINY)
    return departures
