"""Kernels of stage 2: the step of theta, and the two sides put together."""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.boosting.records import FIRST, SECOND
from rmtgb.engine.jit import inner
from rmtgb.engine.record import array_of, wait
from rmtgb.engine.team import share

#: Largest step of theta in one round, and largest theta.
MAX_STEP = 0.5
MAX_THETA = 6.0

#: Steps of theta per unit.
THETA_STEPS = 2.0**20

#: Positions in the sums of a task: first and second derivative of the loss by its outlier
#: weight, and, where leaves are quantiles, weighted absolute residuals and weights.
SLOPE, CURVATURE, RESIDUAL, WEIGHT = 0, 1, 2, 3

#: Mean residual that counts as none, in the unit of the fit: its inverse times weights is finite.
SMALLEST_RESIDUAL = 1e-90


@inner
def sigmoid(theta: float) -> float:
    """Return the side weight of a logit."""
    return 1.0 / (1.0 + np.exp(-theta))


@inner
def _sum_by_task(boost: Any, task: Int, is_quantile: bool) -> None:
    """Sum ``g (O - I)`` and ``h (O - I)^2`` over the rows of a task."""
    gradient, hessian, sides = (
        array_of(boost, "gradient"),
        array_of(boost, "hessian"),
        array_of(boost, "sides"),
    )
    offsets, sums = array_of(boost, "offsets"), array_of(boost, "theta_sums")[task]
    first, second = 0.0, 0.0
    for k in range(gradient.shape[0]):
        for i in range(offsets[task], offsets[task + 1]):
            difference = sides[SECOND, k, i] - sides[FIRST, k, i]
            first += gradient[k, i] * difference
            second += hessian[k, i] * difference * difference
    sums[SLOPE], sums[CURVATURE], sums[RESIDUAL], sums[WEIGHT] = first, second, 0.0, 0.0
    if is_quantile:
        y, weight, raw = array_of(boost, "y"), array_of(boost, "weight"), array_of(boost, "raw")[0]
        for i in range(offsets[task], offsets[task + 1]):
            sums[RESIDUAL] += weight[i] * abs(y[i] - raw[i])
            sums[WEIGHT] += weight[i]


@inner
def _curvature_scale(boost: Any, is_quantile: bool) -> float:
    """Return what turns sums of hessians into curvatures, in the unit of the target.

    Losses whose leaves are quantiles have hessian one by convention; the quadratic
    that touches |r| from above has curvature 1 / |r|.
    """
    if not is_quantile:
        return 1.0
    sums, residual, weight = array_of(boost, "theta_sums"), 0.0, 0.0
    for task in range(sums.shape[0]):
        residual += sums[task, RESIDUAL]
        weight += sums[task, WEIGHT]
    return weight / max(residual, weight * SMALLEST_RESIDUAL)


@inner
def _next_theta(theta: float, start: float, slope: float, curvature: float, kappa: float) -> float:
    """Return theta after a damped Newton step of the penalised loss."""
    w = sigmoid(theta)
    spread = w * (1.0 - w)
    slope = spread * slope + kappa * (theta - start)
    curvature = spread * spread * curvature + kappa
    step = slope / curvature if curvature > 0.0 else 0.0
    theta -= min(max(step, -MAX_STEP), MAX_STEP)
    # sums over a task's rows differ by rounding with their order: let no bit of theta do so
    theta = np.rint(theta * THETA_STEPS) / THETA_STEPS
    # When the sides have fitted what there is to fit, what is left for theta is noise. So theta
    # may take an outlier task back, but no task that did not stand out at the start becomes one.
    return min(max(theta, -MAX_THETA), MAX_THETA if start > 0.0 else 0.0)


@inner
def step_theta(boost: Any, is_quantile: bool) -> None:
    """Set the sides' coefficients ``1 - w`` and ``w``, then take a Newton step of theta.

    Theta minimises the training loss plus
    ``partition_regularization * kappa / 2 * (theta - start)^2``, where kappa is the mean over
    tasks of the curvature that theta can have: rescaling the target, or repeating every
    row, changes loss and penalty alike and so no weight. Called by every member.
    """
    theta, start = array_of(boost, "theta"), array_of(boost, "theta_start")
    weight, sums = array_of(boost, "second_weight"), array_of(boost, "theta_sums")
    coefficient = array_of(boost, "coefficient")
    for task in range(boost["member"], theta.size, boost["n_members"]):
        _sum_by_task(boost, task, is_quantile)
    wait(boost)
    scale, total = _curvature_scale(boost, is_quantile), 0.0
    for task in range(theta.size):
        total += sums[task, CURVATURE]
    kappa = boost["partition_regularization"] * scale * total / theta.size / 16.0
    for task in range(boost["member"], theta.size, boost["n_members"]):
        coefficient[FIRST, task], coefficient[SECOND, task] = 1.0 - weight[task], weight[task]
        slope, curvature = sums[task, SLOPE], scale * sums[task, CURVATURE]
        theta[task] = _next_theta(theta[task], start[task], slope, curvature, kappa)
        weight[task] = sigmoid(theta[task])
    wait(boost)


@inner
def add_offset(boost: Any) -> None:
    """Make ``offset + S`` the raw prediction; called by every member."""
    raw, offset, side = (
        array_of(boost, "raw"),
        array_of(boost, "offset"),
        array_of(boost, "sides")[FIRST],
    )
    start, stop = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    for k in range(raw.shape[0]):
        for i in range(start, stop):
            raw[k, i] = offset[k, i] + side[k, i]
    wait(boost)


@inner
def combine_sides(boost: Any) -> None:
    """Make ``offset + (1 - w) I + w O`` the raw prediction; called by every member."""
    raw, offset, sides = (
        array_of(boost, "raw"),
        array_of(boost, "offset"),
        array_of(boost, "sides"),
    )
    weight, task_codes = array_of(boost, "second_weight"), array_of(boost, "task_codes")
    start, stop = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    for k in range(raw.shape[0]):
        for i in range(start, stop):
            w = weight[task_codes[i]]
            raw[k, i] = offset[k, i] + (1.0 - w) * sides[FIRST, k, i] + w * sides[SECOND, k, i]
    wait(boost)
