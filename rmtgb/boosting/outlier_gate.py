"""The outlier gate: where theta starts, and which side of stage 2 is called outlier."""

from __future__ import annotations

import numpy as np

from rmtgb._common import BoolArray, FloatArray
from rmtgb.boosting.kernels.profiles import PROFILE_GROUPS, sum_profiles
from rmtgb.boosting.rows import BoostState, TrainingSet
from rmtgb.engine.team import Team
from rmtgb.losses import gradients
from rmtgb.losses.huber import MAD_TO_STANDARD_DEVIATION

#: Logit of the outlier weight of a task before there is evidence: a weight of 0.12.
START = 2.0

#: Robust standard deviations by which a task must differ from the others to start as outlier.
START_THRESHOLD = 3.0


def starting_theta(state: BoostState) -> FloatArray:
    """Return the logit of each task's outlier weight before stage 2.

    Parameters
    ----------
    state : BoostState
        Rows and the baseline of their tasks. Its raw prediction is not looked at: what stage 1
        leaves of its training rows is noise.

    Returns
    -------
    ndarray of float64 of shape (n_tasks,)
        ``START`` for tasks that stand out at the baseline, ``-START`` for all others.
    """
    return np.where(_standing_out(state), START, -START)


def exchanges_sides(theta: FloatArray, task_weight: FloatArray) -> bool:
    """Tell whether the side called outlier must be called inlier, and the other way round.

    "Outlier" is the side with fewer rows' worth of tasks; at a tie, not that of the first.

    Parameters
    ----------
    theta : ndarray of float64 of shape (n_tasks,)
    task_weight : ndarray of float64 of shape (n_tasks,)
        Weight of the rows of each task.

    Returns
    -------
    bool
    """
    # not by BLAS: a tie is one on every processor
    balance = float(np.sum(task_weight * np.sign(theta)))
    return bool(balance > 0 or (balance == 0 and theta[0] > 0))


def _standing_out(state: BoostState) -> BoolArray:
    """Return which tasks' residuals differ from the others' more than tasks do.

    A task's distance from the median of all tasks, less what noise alone would give, is
    compared with the spread of these distances over tasks and with its own error.
    Then tasks that are nearer to those that stand out than to the others join them.
    """
    training = state.training
    if training.n_tasks < 3:
        return np.zeros(training.n_tasks, dtype=bool)
    raw = training.by_row(state.tasks.baseline_start)
    gradient, hessian = gradients(training.loss, training.y, raw, training.weight)
    sums, information = _profiles(training, gradient, hessian, state.team)
    mean = np.divide(sums, information, out=np.zeros_like(sums), where=information > 0)
    centre = _median_of_known(mean, information > 0)
    noise, error = _profile_noise(training, gradient, hessian, information)
    distance = _distance(mean, centre, information) - noise
    middle = np.median(distance)
    spread = MAD_TO_STANDARD_DEVIATION * np.median(np.abs(distance - middle))
    # the spread of few tasks is itself uncertain
    threshold = START_THRESHOLD * (1.0 + 3.0 / (distance.size - 2.0))
    outliers = distance - middle > threshold * np.hypot(spread, error)
    if not outliers.any():
        return outliers
    sides = [
        np.average(mean[side], axis=0, weights=information[side] + 1e-300)
        for side in (~outliers, outliers)
    ]
    from_inliers, from_outliers = (_distance(mean, side, information) for side in sides)
    return outliers | (from_inliers - from_outliers > error)


def _profile_noise(
    training: TrainingSet, gradient: FloatArray, hessian: FloatArray, information: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of a task's distance if it were noise alone."""
    weight = np.where(training.weight > 0, training.weight, 1.0)
    squares = training.sum_by_task((np.square(gradient) / weight).sum(axis=0))
    hessians = training.sum_by_task(hessian.sum(axis=0))
    noise = squares / np.maximum(hessians, 1e-300)
    n_groups = np.count_nonzero(information > 0, axis=1)
    total = np.maximum(information.sum(axis=1), 1e-300)
    return noise * n_groups / total, noise * np.sqrt(2.0 * n_groups) / total


def _profiles(
    training: TrainingSet, gradient: FloatArray, hessian: FloatArray, team: Team
) -> tuple[FloatArray, FloatArray]:
    """Return each task's gradient and hessian sums by quantile group of each feature."""
    n_tasks, n_outputs = training.n_tasks, training.loss.n_outputs
    n_features = training.n_features
    shape = (n_tasks, n_outputs, n_features, PROFILE_GROUPS + 1)
    sums, information = np.zeros(shape), np.zeros(shape)
    team.run(
        sum_profiles,
        training.binned.column_codes,
        training.binned.n_bins,
        training.task_codes,
        gradient,
        hessian,
        sums,
        information,
    )
    return -sums.reshape(n_tasks, -1), information.reshape(n_tasks, -1)


def _median_of_known(values: FloatArray, known: BoolArray) -> FloatArray:
    """Return the median of each column's known values, 0 where none is known."""
    ordered = np.sort(np.where(known, values, np.inf), axis=0)
    n_known, columns = known.sum(axis=0), np.arange(values.shape[1])
    middle = [ordered[np.maximum(n, 0), columns] for n in ((n_known - 1) // 2, n_known // 2)]
    return np.where(n_known > 0, 0.5 * (middle[0] + middle[1]), 0.0)


def _distance(mean: FloatArray, centre: FloatArray, information: FloatArray) -> FloatArray:
    """Return each task's mean squared distance from a profile."""
    total = np.maximum(information.sum(axis=1), 1e-300)
    return (information * np.square(mean - centre)).sum(axis=1) / total
