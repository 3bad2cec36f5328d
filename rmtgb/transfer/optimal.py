"""Weights with the least expected error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from rmtgb.transfer.equivalents import equivalent_parts
from rmtgb.transfer.one_auxiliary import RandomDesignError, weights_at
from rmtgb.transfer.pooling import main_only_error, pooled_error_of
from rmtgb.transfer.problem import FloatArray, LinearTransferProblem
from rmtgb.transfer.quadratic import least_quadratic_form
from rmtgb.transfer.results import OptimalWeights


def optimal_weights(problem: LinearTransferProblem) -> OptimalWeights:
    """Find the weights of the tasks with the least expected error.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks with a common covariance, with more than ``d + 1`` rows together.

    Returns
    -------
    weights : OptimalWeights
        With one auxiliary task the exact error and a global minimum up to the certified gap.
        With several the deterministic equivalent of second order is minimised, from the minimum
        of a convex part of that of first order, which gives `lower_bound`.

    Raises
    ------
    ValueError
        If there are too few rows, or if covariances differ between tasks or from that of the test
        rows.

    Notes
    -----
    With more than ``d + 3`` main rows a small auxiliary weight always helps, whatever the shift
    and the noise of the auxiliary task. So known weights never hurt; estimated ones can.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, optimal_weights
    >>> problem = LinearTransferProblem([10, 12], [1, 1], shift_gram=[[1]], n_features=3)
    >>> optimal_weights(problem).weights.round(3)
    array([1.   , 0.191])
    """
    if problem.has_task_covariances or problem.has_test_metric:
        raise ValueError("Optimal weights are known for one covariance of all rows only.")
    active = problem.n_samples > 0
    if problem.n_samples.sum() <= problem.n_features + 1:
        raise ValueError(f"More than {problem.n_features + 1} rows are needed for a finite error.")
    main_only, pooled = main_only_error(problem), pooled_error_of(problem, active).error
    tasks = np.flatnonzero(active)
    weights = np.zeros(problem.n_tasks)
    if len(tasks) == 1:
        weights[tasks] = 1.0
        return OptimalWeights(weights, pooled, main_only, pooled, pooled, 0.0, "exact")
    if problem.n_tasks == 2:
        minimum = RandomDesignError(problem).minimum()
        weights[:] = weights_at(minimum.position)
        value, bound, status = minimum.value, minimum.lower_bound, "exact"
    else:
        weights[tasks], value, bound = _several(problem, tasks)
        status = "approximation"
    return OptimalWeights(
        weights, float(value), main_only, pooled, float(bound), float(value - bound), status
    )


def _several(
    problem: LinearTransferProblem, tasks: npt.NDArray[np.intp]
) -> tuple[FloatArray, float, float]:
    """Return weights, error and lower bound for several tasks with rows."""
    n = problem.n_samples[tasks].astype(np.float64)
    gram, noise, d = (
        problem.gram[np.ix_(tasks, tasks)],
        problem.noise_variance[tasks],
        problem.n_features,
    )
    share, bound = _convex_programme(gram, noise, n, d)
    # From shares of the information back to weights: h = d p / n, a = h / (1 - h).
    h = np.clip(d * share / n, 0.0, 1 - 1e-9)
    start = h / (1 - h)

    def error(log_weights: FloatArray) -> float:
        full = np.zeros(problem.n_tasks)
        full[tasks] = np.where(used, np.exp(log_weights), 0.0)
        try:
            return float(sum(equivalent_parts(problem, full, "second")))
        except FloatingPointError:
            return np.inf

    used = start > 1e-9 * start.max()
    x = np.log(np.where(used, start, 1.0))
    found = minimize(error, x, method="BFGS", options={"gtol": 1e-9 * max(error(x), 1e-300)})
    if not found.fun <= error(x):
        found.x, found.fun = x, error(x)
    weights = np.where(used, np.exp(found.x - found.x.max()), 0.0)
    scale = weights[0] if tasks[0] == 0 and weights[0] > 0 else weights.max()
    return weights / scale, float(found.fun), min(bound, float(found.fun))


def _convex_programme(
    gram: FloatArray, noise: FloatArray, n: FloatArray, d: int
) -> tuple[FloatArray, float]:
    """Minimise the part of the first-order equivalent that is convex in the shares p.

    ``p' G p + d sum(p^2 s / n) / (1 - d sum(p^2 / n))`` on the simplex with ``p <= n / d``. What
    it leaves out, the dispersion, is not negative, so its minimum is a lower bound.
    """

    def value_and_slope(p: FloatArray) -> tuple[float, FloatArray]:
        quadratic, room = d * np.sum(p * p * noise / n), 1.0 - d * np.sum(p * p / n)
        value = p @ gram @ p + quadratic / room
        slope = 2 * gram @ p + 2 * d * p * noise / n / room + quadratic / room**2 * 2 * d * p / n
        return float(value), slope

    start = np.minimum(least_quadratic_form(gram + np.diag(d * noise / n)), n / d)
    # Where that is not inside, sharing by rows is: there the denominator is 1 - d / N > 0.
    if start.sum() < 1 - 1e-12 or d * np.sum(start**2 / n) >= 1:
        start = n / n.sum()
    scale = value_and_slope(start)[0] or 1.0
    found = minimize(
        lambda p: tuple(part / scale for part in value_and_slope(p)),
        start,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, min(1.0, count / d)) for count in n],
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-14, "maxiter": 500},
    )
    share = np.clip(found.x, 0.0, None)
    share /= share.sum()
    value, slope = value_and_slope(share)
    # Convexity: no point of the simplex is below the tangent plane at this one.
    lowest = _least_linear(slope, np.minimum(1.0, n / d))
    return share, value + float(lowest - slope @ share)


def _least_linear(slope: FloatArray, upper: FloatArray) -> float:
    """Return the least ``slope @ p`` over shares with upper limits that sum to one."""
    left, total = 1.0, 0.0
    for task in np.argsort(slope):
        part = min(upper[task], left)
        total += part * slope[task]
        left -= part
    return total
