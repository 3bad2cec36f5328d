"""Error of weighted least squares on the rows of all tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import BoolArray, FloatArray, check_integer
from rmtgb.transfer.basic_errors import (
    check_ratios,
    check_rows,
    fit_variances,
    main_only_error,
    pooled_rows_error,
)
from rmtgb.transfer.design_sampling import sample_design_errors, sample_shared_errors
from rmtgb.transfer.equivalents import equivalent_parts
from rmtgb.transfer.one_knob import LARGEST_RATIO, knob_parts
from rmtgb.transfer.problem import LinearTransferProblem, check_problem, check_weights
from rmtgb.transfer.results import TransferError, make_error

# The decomposition of drawn rows keeps six digits if the roots of weights differ by 1e10.
_LEAST_RATIO = 1e-20
_METHODS = ("auto", "monte_carlo", "first_order", "second_order")


def weighted_error(
    problem: LinearTransferProblem,
    weights: npt.ArrayLike,
    *,
    method: str = "auto",
    n_draws: int = 10_000,
    random_state: Any = 0,
) -> TransferError:
    """Compute the error of least squares with a weight for the rows of each task.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks; those without rows or with weight 0 take no part.
    weights : array-like of shape (K + 1,), float
        Weight of a row of each task, 0 or more; only ratios matter.
    method : {"auto", "monte_carlo", "first_order", "second_order"}, default="auto"
        "auto": exact where that is known, otherwise Monte Carlo over the designs (the noise is
        integrated exactly). The last two are deterministic approximations, the
        second of them for one covariance of all rows only.
    n_draws : int, default=10_000
        Draws of Monte Carlo.
    random_state : int, Generator or None, default=0
        Source of randomness of Monte Carlo; an integer gives the same answer again.

    Returns
    -------
    error : TransferError
        With ``status`` "exact" for equal weights, for one auxiliary task, for one weight on all
        of several, and for one task alone; otherwise "monte_carlo" with a standard error, or
        "approximation".

    Raises
    ------
    TypeError, ValueError
        If weights are negative or all 0, if the tasks with a weight have fewer rows than
        features, if weights are too unequal for the digits of a float and the rows of the large
        ones too few alone, or if a parameter is none of those allowed.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, weighted_error
    >>> problem = LinearTransferProblem([10, 12], [1, 1], shift_gram=[[1]], n_features=3)
    >>> weighted_error(problem, [1, 0.5]).error
    0.39238...
    """
    check_problem(problem)
    a = check_weights(weights, problem.n_tasks)
    if method not in _METHODS:
        raise ValueError(f"method must be one of {list(_METHODS)}, got {method!r}.")
    n_draws = check_integer("n_draws", n_draws, minimum=2)  # even where nothing is drawn
    active = problem.active(a)
    n_rows = check_rows(problem, active)
    main_only = main_only_error(problem)
    if n_rows <= problem.n_features + 1:
        return pooled_rows_error(problem, active)  # infinite, whatever the weights
    if method == "auto":
        exact = _exact(problem, a, active)
        if exact is not None:
            return exact
    if method in ("auto", "monte_carlo"):
        return _by_monte_carlo(problem, a, n_draws, random_state)
    order = method.removesuffix("_order")
    if order == "second" and (problem.has_task_covariances or problem.has_test_metric):
        raise ValueError('method="second_order" exists for one covariance of all rows only.')
    parts = equivalent_parts(problem, a, order)
    return make_error(*parts, main_only, "approximation")


def _exact(
    problem: LinearTransferProblem, a: FloatArray, active: BoolArray
) -> TransferError | None:
    """Return the exact error where there is a formula for it."""
    main_only = main_only_error(problem)
    tasks = np.flatnonzero(active)
    if len(tasks) == 1:
        bias2 = float(problem.test_gram[tasks[0], tasks[0]])
        return make_error(bias2, fit_variances(problem)[tasks[0]], main_only, "exact")
    if problem.has_task_covariances:
        return None
    if _equal(a[tasks]):
        return pooled_rows_error(problem, active)
    is_knob = tasks[0] == 0 and _equal(a[tasks[1:]])
    if not is_knob or (problem.has_test_metric and len(tasks) > 2):
        return None
    # With so many rows of larger weight the error is finite without the others, and is that.
    check_ratios(problem, a, 1 / LARGEST_RATIO, problem.n_features + 2)
    bias2, variance = knob_parts(problem.subset(tasks), a[tasks[1]] / a[0])
    return make_error(bias2, variance, main_only, "exact")


def _equal(weights: FloatArray) -> bool:
    """Tell whether weights are the same up to rounding."""
    return bool(np.ptp(weights) <= 1e-12 * weights.max())


def _by_monte_carlo(
    problem: LinearTransferProblem, weights: FloatArray, n_draws: int, random_state: Any
) -> TransferError:
    check_ratios(problem, weights, _LEAST_RATIO, problem.n_features)
    rng = np.random.default_rng(random_state)
    own = problem.has_task_covariances or problem.has_test_metric
    sample = sample_design_errors if own else sample_shared_errors
    bias2, variance = sample(problem, weights, n_draws, rng)
    spread = np.std(bias2 + variance, ddof=1) / np.sqrt(n_draws)
    return make_error(
        bias2.mean(), variance.mean(), main_only_error(problem), "monte_carlo", spread
    )
