"""Exact errors of least squares on pooled rows, and of averages of separate fits."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from rmtgb._common import BoolArray, FloatArray
from rmtgb.transfer.problem import LinearTransferProblem, as_floats, check_problem
from rmtgb.transfer.results import SubsetChoice, TransferError, make_error

_MAX_SUBSET_TASKS = 20


def main_only_error(problem: LinearTransferProblem) -> float:
    """Return the error of least squares on the main task alone.

    Parameters
    ----------
    problem : LinearTransferProblem
        The problem.

    Returns
    -------
    error : float
        ``s_0 tr(S^-1 S_test) / (n_0 - d - 1)``, infinite if ``n_0 <= d + 1``.
    """
    excess = int(problem.n_samples[0]) - problem.n_features - 1
    return (
        float(problem.noise_variance[0] * problem.trace_ratio / excess) if excess > 0 else np.inf
    )


def dispersion_factor(n_rows: float, n_features: int) -> float:
    r"""Return the factor with which dispersion between tasks acts as noise.

    .. math:: \kappa(N, d) = \frac{(d + 1) N^2 - (d + 5) N + 2 (d + 1)}
              {(N - 1) (N + 2) (N - d - 1)}

    Parameters
    ----------
    n_rows : float
        Rows N of all tasks together, more than ``d + 1``.
    n_features : int
        Number of features d.

    Returns
    -------
    kappa : float
        About ``(d + 1) / N``.
    """
    n, d = float(n_rows), n_features
    return ((d + 1) * n * n - (d + 5) * n + 2 * (d + 1)) / ((n - 1) * (n + 2) * (n - d - 1))


def pooled_error(problem: LinearTransferProblem) -> TransferError:
    """Compute the error of least squares on the rows of all tasks, each with weight one.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks of which at least one has rows.

    Returns
    -------
    error : TransferError
        Exact for normal features with a common covariance; also for another covariance of
        the test rows, and for one auxiliary task of its own covariance without main rows.
        With other task covariances it is simulated (Monte Carlo).

    Raises
    ------
    ValueError
        If all tasks together have fewer rows than features.

    Notes
    -----
    Differences between tasks act twice: their mean is a bias that stays, their dispersion
    about it is noise that more rows average out.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, pooled_error
    >>> pooled_error(LinearTransferProblem([8, 12], [1, 1], shift_gram=[[1]], n_features=3))
    TransferError
      bias2            0.411962
      variance         0.1875
      error            0.599462
      main_only_error  0.75
      benefit          0.150538
      helps            True
      status           exact
      standard_error   0
    """
    check_problem(problem)
    active = problem.n_samples > 0
    if problem.has_task_covariances:
        from rmtgb.transfer.weighting import weighted_error  # knows what is exact there

        return weighted_error(problem, np.ones(problem.n_tasks))
    return pooled_error_of(problem, active)


def pooled_error_of(problem: LinearTransferProblem, active: BoolArray) -> TransferError:
    """Compute the error of pooling the tasks that a mask selects, with a common covariance."""
    main_only = main_only_error(problem)
    d = problem.n_features
    n_rows = check_rows(problem, active)
    share = np.where(active, problem.n_samples, 0) / n_rows
    mean2, dispersion = spread(share, problem.gram)
    if n_rows <= d + 1:
        bias2 = np.inf if dispersion > 0 else spread(share, problem.test_gram)[0]
        note = f"The error is infinite with {n_rows:.0f} rows; {d + 2} make it finite."
        return make_error(bias2, np.inf, main_only, "exact", note=note)
    excess = n_rows - d - 1
    variance = float(share @ problem.noise_variance) * problem.trace_ratio / excess
    if not problem.has_test_metric:
        bias2 = mean2 + dispersion_factor(n_rows, d) * dispersion
    else:
        test_mean2, test_dispersion = spread(share, problem.test_gram)
        inner = n_rows * problem.trace_ratio * dispersion - 2 * test_dispersion
        cost = (n_rows - 2) * test_dispersion + n_rows * inner / excess
        bias2 = test_mean2 + cost / ((n_rows - 1.0) * (n_rows + 2.0))
    return make_error(bias2, variance, main_only, "exact")


def spread(share: FloatArray, gram: FloatArray) -> tuple[float, float]:
    """Return the squared mean shift and the dispersion about it, from inner products."""
    mean2 = float(share @ gram @ share)
    # Differences of rounded numbers may fall below 0 where all shifts are the same.
    return max(mean2, 0.0), max(float(share @ np.diag(gram)) - mean2, 0.0)


def check_rows(problem: LinearTransferProblem, active: BoolArray) -> float:
    """Return the rows of the active tasks, as a float that cannot overflow."""
    n_rows = float(problem.n_samples[active].sum())
    if n_rows < problem.n_features:
        raise ValueError(
            f"Least squares needs at least n_features={problem.n_features} rows, the tasks with "
            f"a weight have {n_rows:.0f}."
        )
    return n_rows


def averaging_error(problem: LinearTransferProblem, shares: FloatArray) -> TransferError:
    """Compute the error of an average of separate least-squares fits.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks, each of which may have a covariance of its own.
    shares : array-like of shape (K + 1,), float
        Share of each task's coefficients, 0 or more; scaled to sum to one. A task with a share
        needs more than ``d + 1`` rows, otherwise the error is infinite.

    Returns
    -------
    error : TransferError
        Exact.

    Raises
    ------
    ValueError
        If shares are negative or all 0.
    """
    check_problem(problem)
    p = as_floats("shares", shares, (problem.n_tasks,))
    if (p < 0).any() or not (p > 0).any():
        raise ValueError(f"shares must be >= 0 and not all 0, got {p.tolist()}.")
    p = p / p.sum()
    bias2 = float(p @ problem.test_gram @ p)
    variance = float(np.sum(p[p > 0] ** 2 * fit_variances(problem)[p > 0]))
    return make_error(max(bias2, 0.0), variance, main_only_error(problem), "exact")


def fit_variances(problem: LinearTransferProblem) -> FloatArray:
    """Return the error that noise gives a fit to each task alone, infinite with few rows."""
    excess = problem.n_samples - problem.n_features - 1.0
    if problem.has_task_covariances:
        solved = np.linalg.solve(problem.task_covariances, problem.metric)
        traces = np.trace(solved, axis1=1, axis2=2)
    else:
        traces = np.full(problem.n_tasks, problem.trace_ratio)
    finite = excess > 0
    variances = np.full(problem.n_tasks, np.inf)
    variances[finite] = (problem.noise_variance * traces)[finite] / excess[finite]
    return variances


def best_subset(problem: LinearTransferProblem) -> SubsetChoice:
    """Find the auxiliary tasks whose pooling with the main task has the least error.

    Parameters
    ----------
    problem : LinearTransferProblem
        At most 20 auxiliary tasks with a common covariance.

    Returns
    -------
    choice : SubsetChoice
        Of all ``2**K`` subsets the best, the smallest of equal ones.

    Raises
    ------
    ValueError
        If there are more than 20 auxiliary tasks, or tasks have covariances of their own.
    """
    check_problem(problem)
    auxiliary = range(1, problem.n_tasks)
    if len(auxiliary) > _MAX_SUBSET_TASKS:
        raise ValueError(f"At most {_MAX_SUBSET_TASKS} auxiliary tasks can be enumerated.")
    if problem.has_task_covariances:
        raise ValueError("Subsets are enumerated only for tasks with a common covariance.")
    best = main_only_error(problem)
    chosen: tuple[int, ...] = (0,)
    for size in range(1, len(auxiliary) + 1):
        for subset in combinations(auxiliary, size):
            active = np.isin(np.arange(problem.n_tasks), (0, *subset)) & (problem.n_samples > 0)
            if problem.n_samples[active].sum() <= problem.n_features + 1:
                continue
            error = pooled_error_of(problem, active).error
            if error < best:
                best, chosen = error, (0, *subset)
    return SubsetChoice(chosen, float(best), main_only_error(problem))
