"""Where each task starts: an offset shrunken towards the mean of all tasks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.losses import Loss, gradients
from rmtgb.losses.weighted_quantile import weighted_quantile
from rmtgb.tasks.table import TaskTable

#: Newton iterations for the offsets of losses that are not quadratic.
MAX_ITERATIONS = 20

#: Largest Newton step of an offset on a logarithmic scale, where a task with one class, or
#: with counts of zero only, would run away. Elsewhere a step is exact, and has a unit.
MAX_LOG_STEP = 4.0


def fit_baseline(
    kind: str, loss: Loss, y: FloatArray, weight: FloatArray, offsets: IntArray
) -> TaskTable:
    """Choose the offsets of all tasks.

    Parameters
    ----------
    kind : {"auto", "linear", "shrunken", "global", "zero"}
        Empirical-Bayes offsets for the first three; the best constant for all rows; or zero.
    loss : Loss
    y, weight : ndarray of float64 of shape (n,)
        Targets and weights, the rows of a task next to each other.
    offsets : ndarray of int64 of shape (n_tasks + 1,)
        Where the rows of each task start.

    Returns
    -------
    TaskTable
        With nothing but baselines.

    References
    ----------
    DerSimonian, Laird, "Meta-analysis in clinical trials", 1986, for the variance between
    tasks; Robinson, "That BLUP is a good thing", 1991, for the shrinkage.
    """
    task_weight = np.add.reduceat(weight, offsets[:-1])
    intercept = np.zeros(loss.n_outputs) if kind == "zero" else loss.fit_intercept(y, weight)
    baseline = np.tile(intercept, (task_weight.size, 1)), intercept
    if kind not in ("zero", "global") and task_weight.size > 1:
        nothing = np.zeros((loss.n_outputs, y.size))
        baseline = estimate_offsets(loss, y, weight, offsets, intercept, nothing)
    return TaskTable.starting(*baseline, task_weight)


def estimate_offsets(
    loss: Loss,
    y: FloatArray,
    weight: FloatArray,
    offsets: IntArray,
    intercept: FloatArray,
    rest: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Estimate shrunken offsets beside what else is predicted.

    Parameters
    ----------
    loss, y, weight, offsets
        As for :func:`fit_baseline`.
    intercept : ndarray of float64 of shape (n_outputs,)
        Where the search starts.
    rest : ndarray of float64 of shape (n_outputs, n)
        What the raw prediction is beside the offset.

    Returns
    -------
    tasks : ndarray of float64 of shape (n_tasks, n_outputs)
    population : ndarray of float64 of shape (n_outputs,)
    """
    level = loss.leaf_quantile
    if level is None:
        return _newton_baseline(loss, y, weight, offsets, intercept, rest)
    return _quantile_baseline(loss, level, y - rest[0], weight, offsets)


def _newton_baseline(
    loss: Loss,
    y: FloatArray,
    weight: FloatArray,
    offsets: IntArray,
    intercept: FloatArray,
    rest: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Shrink offsets by penalised maximum likelihood."""
    task_codes = np.repeat(np.arange(offsets.size - 1), np.diff(offsets))

    def sums_at(tasks: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        raw = np.ascontiguousarray(tasks[task_codes].T) + rest
        gradient, hessian = gradients(loss, y, raw, weight)
        return _task_sums(gradient, offsets).T, _task_sums(hessian, offsets).T, gradient

    n_tasks = offsets.size - 1
    max_step = MAX_LOG_STEP if loss.is_likelihood else np.inf
    tasks = np.tile(intercept, (n_tasks, 1))
    slope, information, gradient = sums_at(tasks)
    steps = np.clip(_ratio(-slope, information), -max_step, max_step)
    noise = _noise(loss, weight, offsets, gradient, steps, information)
    if not np.isfinite(noise).all():
        return np.tile(intercept, (n_tasks, 1)), intercept
    variance, centre = _between_tasks(steps, information, noise)
    population = intercept + centre
    pull = np.divide(noise, variance, out=np.full_like(noise, np.inf), where=variance > 0)
    if not np.isfinite(pull).any():
        return np.tile(population, (n_tasks, 1)), population
    tasks = np.tile(population, (n_tasks, 1))
    movable = np.isfinite(pull)
    pull = np.where(movable, pull, 0.0)
    for _ in range(MAX_ITERATIONS):
        slope, information, _ = sums_at(tasks)
        step = _ratio(slope + pull * (tasks - population), information + pull)
        step = np.where(movable, np.clip(step, -max_step, max_step), 0.0)
        tasks = tasks - step
        if np.all(np.abs(step) <= 1e-9 * (1e-300 + np.abs(tasks).max())):
            break
    return tasks, population


def _quantile_baseline(
    loss: Loss,
    level: float,
    y: FloatArray,
    weight: FloatArray,
    offsets: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """Shrink the quantiles of the tasks; their variance is that of a sample quantile."""
    intercept = loss.fit_intercept(y, weight)
    quantiles = np.array(
        [
            loss.fit_intercept(y[a:b], weight[a:b]) if weight[a:b].any() else intercept
            for a, b in pairwise(offsets)
        ]
    )
    task_weight = np.add.reduceat(weight, offsets[:-1])
    information = task_weight[:, None]
    # the residual of a task's only row is zero, whatever the noise
    freedom = np.maximum(task_weight - 1.0, 0.0)
    if freedom.sum() < 1.0:
        return np.tile(intercept, (offsets.size - 1, 1)), intercept
    share = np.divide(freedom, task_weight, out=np.zeros_like(freedom), where=task_weight > 0)
    residual = y - np.repeat(quantiles[:, 0], np.diff(offsets))
    width = min(0.1, level / 2, (1 - level) / 2)
    replicated = weight * np.repeat(share, np.diff(offsets))
    low, high = (weighted_quantile(residual, replicated, level + s * width) for s in (-1, 1))
    sparsity = (high - low) / (2 * width)  # 1 / density of the residuals at the quantile
    noise = np.array([level * (1 - level) * sparsity**2])
    noise *= _caution(freedom.sum(), task_weight)
    variance, centre = _between_tasks(quantiles - intercept, information, noise)
    population = intercept + centre
    kept = _ratio(information * variance, information * variance + noise)
    return population + kept * (quantiles - population), population


def _noise(
    loss: Loss,
    weight: FloatArray,
    offsets: IntArray,
    gradient: FloatArray,
    steps: FloatArray,
    information: FloatArray,
) -> FloatArray:
    """Return the variance of a gradient in units of its hessian, shape (n_outputs,).

    It is one for likelihoods; a scale is estimated within tasks where the loss has one.
    """
    if loss.is_likelihood:
        return np.ones(loss.n_outputs)
    task_weight = np.add.reduceat(weight, offsets[:-1])
    freedom = weight.sum() - np.count_nonzero(task_weight)
    if freedom < 1.0:  # a row for each task: what is the task's and what is noise, nobody can tell
        return np.full(loss.n_outputs, np.inf)
    squares = np.where(weight > 0, gradient**2 / np.maximum(weight, 1e-300), 0.0).sum(axis=1)
    between = (steps**2 * information).sum(axis=0)
    noise: FloatArray = np.maximum(squares - between, 0.0) / freedom
    return noise * _caution(freedom, task_weight)


def _caution(freedom: float, task_weight: FloatArray) -> float:
    """Return a factor of noise that was estimated from few replications.

    Where most tasks have one row, what little noise is seen within tasks decides on the offsets of
    all, and if it is too small offsets take what features explain. Two standard errors of a
    variance on so many degrees of freedom are on the safe side.
    """
    if freedom >= np.count_nonzero(task_weight):
        return 1.0
    return 1.0 + 2.0 * float(np.sqrt(2.0 / freedom))


def _between_tasks(
    steps: FloatArray, information: FloatArray, noise: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return variance and mean of the offsets of tasks (DerSimonian and Laird's estimates)."""
    total = information.sum(axis=0)
    share = _ratio(information, total)  # of hessians, whose squares may overflow
    mean = (share * steps).sum(axis=0)
    excess = (share * (steps - mean) ** 2).sum(axis=0) - _ratio(noise * (len(steps) - 1), total)
    variance = np.maximum(excess, 0.0) / np.maximum(1.0 - (share**2).sum(axis=0), 1e-300)
    weight = _ratio(information, information * variance + noise)
    weight_sum = weight.sum(axis=0)
    return variance, np.where(
        weight_sum > 0, _ratio((weight * steps).sum(axis=0), weight_sum), mean
    )


def _task_sums(values: FloatArray, offsets: IntArray) -> FloatArray:
    return np.add.reduceat(values, offsets[:-1], axis=1)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    out = np.zeros(np.broadcast_shapes(numerator.shape, denominator.shape))
    return np.divide(numerator, denominator, out=out, where=denominator > 0)
