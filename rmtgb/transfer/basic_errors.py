"""Exact errors of a task alone and of pooled rows: what other errors are made of."""

from __future__ import annotations

import numpy as np

from rmtgb._common import BoolArray, FloatArray
from rmtgb.transfer.problem import LinearTransferProblem
from rmtgb.transfer.results import TransferError, make_error


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


def check_rows(problem: LinearTransferProblem, active: BoolArray) -> float:
    """Return the rows of the active tasks, as a float that cannot overflow."""
    n_rows = float(problem.n_samples[active].sum())
    if n_rows < problem.n_features:
        raise ValueError(
            f"Least squares needs at least n_features={problem.n_features} rows, the tasks with "
            f"a weight have {n_rows:.0f}."
        )
    return n_rows


def check_ratios(
    problem: LinearTransferProblem, weights: FloatArray, least: float, n_needed: int
) -> None:
    """Refuse weights so unequal that rounding decides what the rows of small ones tell.

    Parameters
    ----------
    problem : LinearTransferProblem
        The tasks.
    weights : ndarray of shape (K + 1,), float64
        Weights, the largest 1.
    least : float
        What is larger keeps its digits beside 1.
    n_needed : int
        How many rows with larger weights make those with smaller ones indifferent.

    Raises
    ------
    ValueError
        If the tasks with larger weights have fewer rows than are needed, and others have a weight.
    """
    n_rows = int(problem.n_samples[weights >= least].sum())
    if n_rows < n_needed:
        raise ValueError(
            f"weights are too unequal: of rows that weigh at least {least:g} times the largest "
            f"weight there are {n_rows}, and at least {n_needed} are needed with "
            f"n_features={problem.n_features}."
        )


def spread(share: FloatArray, gram: FloatArray) -> tuple[float, float]:
    """Return the squared mean shift and the dispersion about it, from inner products."""
    mean2 = float(share @ gram @ share)
    # Differences of rounded numbers may fall below 0 where all shifts are the same.
    return max(mean2, 0.0), max(float(share @ np.diag(gram)) - mean2, 0.0)


def kappa(n_rows: float, n_features: int) -> float:
    """Return what `dispersion_factor` does, unchecked: searches also try too few rows."""
    n, d = float(n_rows), n_features
    above = d + 1 - (d + 5) / n + 2 * (d + 1) / n / n  # over n^2: no number of rows overflows
    return above / ((1 - 1 / n) * (1 + 2 / n) * (n - d - 1))


def pooled_rows_error(problem: LinearTransferProblem, active: BoolArray) -> TransferError:
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
        bias2 = mean2 + kappa(n_rows, d) * dispersion
    else:
        test_mean2, test_dispersion = spread(share, problem.test_gram)
        inner = n_rows * problem.trace_ratio * dispersion - 2 * test_dispersion
        cost = (n_rows - 2) * test_dispersion + n_rows * inner / excess
        bias2 = test_mean2 + cost / ((n_rows - 1.0) * (n_rows + 2.0))
    return make_error(bias2, variance, main_only, "exact")
