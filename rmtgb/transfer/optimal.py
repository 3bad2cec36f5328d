"""Weights with the least expected error."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from rmtgb._common import FloatArray
from rmtgb.transfer.basic_errors import main_only_error, pooled_rows_error
from rmtgb.transfer.equivalents import NoEquivalentError, equivalent_parts
from rmtgb.transfer.one_auxiliary import RandomDesignError, weights_at
from rmtgb.transfer.problem import LinearTransferProblem, check_problem
from rmtgb.transfer.quadratic import least_linear, least_quadratic_form
from rmtgb.transfer.results import OptimalWeights
from rmtgb.transfer.weighting import weighted_error

# Weights below this part of the largest are 0; a search does not go further than this factor.
_NEGLIGIBLE, _LOG_REACH = 1e-6, 8.0
# Weights of several tasks are held against a simulation of so many draws, fewer if matrices are
# large, whose standard error is of the order of one per cent: they must be better by two of these,
# and the approximation off by no more than that and a tenth.
_DRAWS, _DRAWN_VALUES = (200, 2000), 20_000_000
_STANDARD_ERRORS, _AGREEMENT = 2.0, 0.1
# Stands for the error where no equivalent exists.
_FORBIDDEN = 1e100
_EXACT_NOTE = (
    "No better weights were found and confirmed than one weight, for all auxiliary rows or for "
    "those of one task, whose error is exact."
)


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
        of a convex part of that of first order, which gives `lower_bound`. A simulation must
        confirm that its weights are better than the best single weight for all auxiliary rows or
        for those of one task, pooling and the main task alone; otherwise the best of these is
        returned, with its exact error and a `note` that says so.

    Raises
    ------
    ValueError
        If there are too few rows, or if covariances differ between tasks or from that of the test
        rows.

    Notes
    -----
    With more than ``d + 3`` main rows, and noise in them, a small auxiliary weight always helps,
    whatever the shift and the noise of the auxiliary task. So known weights never hurt; estimated
    ones can.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, optimal_weights
    >>> problem = LinearTransferProblem([10, 12], [1, 1], shift_gram=[[1]], n_features=3)
    >>> optimal_weights(problem).weights.round(3)
    array([1.   , 0.191])
    """
    check_problem(problem)
    if problem.has_task_covariances or problem.has_test_metric:
        raise ValueError("Optimal weights are known for one covariance of all rows only.")
    active = problem.n_samples > 0
    if problem.n_samples.sum() <= problem.n_features + 1:
        raise ValueError(f"More than {problem.n_features + 1} rows are needed for a finite error.")
    main_only, pooled = main_only_error(problem), pooled_rows_error(problem, active).error
    tasks = np.flatnonzero(active)
    note = ""
    weights = np.zeros(problem.n_tasks)
    if len(tasks) == 1:
        weights[tasks] = 1.0
        value = bound = pooled
        status = "exact"
    elif len(tasks) == 2 and tasks[0] == 0:
        minimum = RandomDesignError(problem.subset(tasks)).minimum()
        weights[tasks] = weights_at(minimum.position)
        value, bound, status = minimum.value, minimum.lower_bound, "exact"
    else:
        weights, value, bound, note = _several(problem, tasks)
        status = "approximation"
    return OptimalWeights(
        weights, float(value), main_only, pooled, float(bound), float(value - bound), status, note
    )


def _several(
    problem: LinearTransferProblem, tasks: npt.NDArray[np.intp]
) -> tuple[FloatArray, float, float, str]:
    """Return weights, error, lower bound and a note for several tasks with rows."""
    start, bound = _start(problem, tasks)
    simple, value = _best_simple(problem, tasks)
    weights, note = simple, _EXACT_NOTE
    pooled = (problem.n_samples > 0).astype(np.float64)
    found = _descend(problem, [start, simple, pooled])
    if found is not None and _is_confirmed(problem, *found, value):
        (weights, value), note = found, ""
    weights = weights / (weights[0] if weights[0] > 0 else weights.max())
    return weights, value, max(min(bound, value), 0.0), note


def _best_simple(
    problem: LinearTransferProblem, tasks: npt.NDArray[np.intp]
) -> tuple[FloatArray, float]:
    """Return the best weights whose error is exact: one, for all auxiliary rows or one task's."""
    weights = np.zeros(problem.n_tasks)
    weights[tasks] = 1.0
    value = pooled_rows_error(problem, weights > 0).error
    if tasks[0] != 0:
        return weights, value
    for chosen in (tasks, _best_single(problem, tasks)):
        minimum = RandomDesignError(problem.subset(chosen)).minimum(certified=False)
        if minimum.value < value:
            weights, value = np.zeros(problem.n_tasks), minimum.value
            weights[0], weights[chosen[1:]] = weights_at(minimum.position)
    return weights, value


def _best_single(
    problem: LinearTransferProblem, tasks: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Return the main task and the one that helps it most, at a few weights."""
    errors = np.full(problem.n_tasks, np.inf)
    for k in tasks[1:]:
        if problem.n_samples[[0, k]].sum() > problem.n_features + 1:
            errors[k] = RandomDesignError(problem.subset([0, k])).roughly_least()
    best = int(np.argmin(errors))
    return np.array([0, best]) if np.isfinite(errors[best]) else tasks


def _is_confirmed(
    problem: LinearTransferProblem, weights: FloatArray, error: float, to_beat: float
) -> bool:
    """Tell whether a simulation finds weights better than others, and their error as it is said.

    The equivalent is no bound: where rows are few, a search finds where it is too small.
    """
    size = problem.n_tasks * problem.n_features**2
    n_draws = int(np.clip(_DRAWN_VALUES // size, *_DRAWS))
    drawn = weighted_error(problem, weights, method="monte_carlo", n_draws=n_draws)
    margin = _STANDARD_ERRORS * drawn.standard_error
    is_better = drawn.error + margin < to_beat
    return is_better and abs(drawn.error - error) <= _AGREEMENT * drawn.error + margin


def _start(
    problem: LinearTransferProblem, tasks: npt.NDArray[np.intp]
) -> tuple[FloatArray, float]:
    """Return weights of the convex part of the first-order equivalent, and its lower bound."""
    n, d = problem.n_samples[tasks].astype(np.float64), problem.n_features
    gram, noise = problem.gram[np.ix_(tasks, tasks)], problem.noise_variance[tasks]
    share, bound = _convex_programme(gram, noise, n, d)
    # From shares of the information back to weights: h = d p / n, a = h / (1 - h).
    h = np.clip(d * share / n, 0.0, 1 - _NEGLIGIBLE)
    weights = np.zeros(problem.n_tasks)
    weights[tasks] = h / (1 - h)
    return weights, bound


def _descend(
    problem: LinearTransferProblem, starts: list[FloatArray]
) -> tuple[FloatArray, float] | None:
    """Minimise the second-order equivalent over the logarithms of the weights that are used.

    From the best of the starts; None if it exists for none of them, or is 0 there.
    """

    def with_logarithms(x: FloatArray) -> FloatArray:
        weights = np.zeros(problem.n_tasks)
        weights[used] = np.exp(x - x.max())  # only ratios matter
        return weights

    def error(weights: FloatArray) -> float:
        try:
            return sum(equivalent_parts(problem, weights, "second"))
        except NoEquivalentError:
            return _FORBIDDEN  # finite, as differences are taken

    starts = [np.where(start > _NEGLIGIBLE * start.max(), start, 0.0) for start in starts]
    errors = [error(start) for start in starts]
    start, scale = starts[int(np.argmin(errors))], min(errors)
    if scale in (0.0, _FORBIDDEN):
        return None  # nothing to be gained, or nothing known
    used = np.flatnonzero(start)
    x = np.log(start[used])
    around = [(value - _LOG_REACH, value + _LOG_REACH) for value in x]
    found = minimize(
        lambda x: error(with_logarithms(x)) / scale, x, method="L-BFGS-B", bounds=around
    )
    best = with_logarithms(found.x) if found.fun < 1.0 else start
    return best, error(best)


def _convex_programme(
    gram: FloatArray, noise: FloatArray, n: FloatArray, d: int
) -> tuple[FloatArray, float]:
    """Minimise the part of the first-order equivalent that is convex in the shares p.

    ``p' G p + d sum(p^2 s / n) / (1 - d sum(p^2 / n))`` on the simplex with ``p <= n / d``. What
    it leaves out, the dispersion, is not negative, so its minimum is a lower bound.
    """

    def value_and_slope(p: FloatArray) -> tuple[float, FloatArray]:
        quadratic = d * np.sum(p * p * noise / n)
        # the search may step onto the border, where the quotient has no value
        room = max(1.0 - d * np.sum(p * p / n), np.finfo(np.float64).eps)
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
    lowest = least_linear(slope, np.zeros_like(n), np.minimum(1.0, n / d))
    return share, value + float(lowest - slope @ share)
