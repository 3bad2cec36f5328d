"""The Monte-Carlo twin of every formula: rows, noise, least squares, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray, check_integer
from rmtgb.transfer.basic_errors import check_ratios
from rmtgb.transfer.design_sampling import batches
from rmtgb.transfer.network import check_network
from rmtgb.transfer.problem import LinearTransferProblem, check_problem, check_weights
from rmtgb.transfer.results import Result

# Numbers of a batch of designs: some tens of megabytes.
_BATCH_VALUES = 4_000_000
# Numbers that may be drawn in all: on one core that takes about half an hour.
_MOST_VALUES = 10**11
# The normal equations keep six digits if weights differ by 1e10.
_LEAST_RATIO = 1e-10


@dataclass(frozen=True, repr=False, eq=False)
class Simulation(Result):
    """Simulated error of an estimate of the main task's coefficients.

    Parameters
    ----------
    error : float
        Mean squared error, in the metric of the problem.
    standard_error : float
        Its standard error.
    bias2 : float
        Squared norm of the mean deviation. In random designs it is not the squared bias of the
        formulas, which average over the noise only and square before they average over designs.
    n_repeats : int
        Number of simulated data sets.
    status : {"monte_carlo"}
        What it is.
    """

    error: float
    standard_error: float
    bias2: float
    n_repeats: int
    status: str = "monte_carlo"


def simulate(
    problem: LinearTransferProblem,
    weights: npt.ArrayLike | None = None,
    rank: int | None = None,
    n_repeats: int = 10_000,
    random_state: Any = None,
) -> Simulation:
    """Draw data sets, fit each, and average the error.

    Parameters
    ----------
    problem : LinearTransferProblem
        What to draw from.
    weights : array-like of shape (K + 1,), float, optional
        Weight of a row of each task; by default all 1.
    rank : int, optional
        Fit the linear network of this width with a common representation, as `network_bound`
        describes it: designs with ``X_k' X_k = n_k S``, which only then are not drawn. By
        default weighted least squares.
    n_repeats : int, default=10_000
        Number of data sets.
    random_state : int, Generator or None, default=None
        Source of randomness.

    Returns
    -------
    simulation : Simulation

    Raises
    ------
    TypeError, ValueError
        If weights, rank or the number of repeats are not possible, if there are too few rows, or
        if more than 1e11 numbers would have to be drawn.
    """
    check_problem(problem)
    a = np.ones(problem.n_tasks) if weights is None else check_weights(weights, problem.n_tasks)
    n_repeats = check_integer("n_repeats", n_repeats, minimum=2)
    used = problem.active(a)
    if problem.n_samples[used].sum() < problem.n_features:
        raise ValueError(
            f"At least n_features={problem.n_features} rows with a weight are needed."
        )
    rng = np.random.default_rng(random_state)
    if rank is None:
        values_per_repeat = int(problem.n_samples[used].sum()) * problem.n_features
        check_ratios(problem, a, _LEAST_RATIO, problem.n_features)
        draw = _draw_least_squares
    else:
        check_network(problem, rank, a)
        values_per_repeat = problem.n_tasks * problem.n_features
        draw = _draw_network
    _check_work(n_repeats, values_per_repeat)
    total, total_squares, mean = 0.0, 0.0, np.zeros(problem.n_features)
    for count in batches(n_repeats, values_per_repeat, _BATCH_VALUES):
        deviations = draw(problem, np.where(used, a, 0.0), rank, count, rng)
        errors = np.einsum("bi,ij,bj->b", deviations, problem.metric, deviations)
        total += errors.sum()
        total_squares += (errors**2).sum()
        mean += deviations.sum(axis=0)
    error = total / n_repeats
    variance = max(total_squares / n_repeats - error**2, 0.0) / (n_repeats - 1)
    mean /= n_repeats
    return Simulation(
        error, float(np.sqrt(variance)), float(mean @ problem.metric @ mean), n_repeats
    )


def _check_work(n_repeats: int, values_per_repeat: int) -> None:
    """Refuse what would be drawn for hours."""
    if n_repeats * values_per_repeat > _MOST_VALUES:
        raise ValueError(
            f"{n_repeats} data sets of {values_per_repeat} numbers are more than the "
            f"{_MOST_VALUES:.0e} numbers that may be drawn: lower n_repeats or numbers of rows."
        )


def _draw_least_squares(
    problem: LinearTransferProblem,
    weights: FloatArray,
    rank: int | None,
    count: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Return estimate minus truth of some data sets, (count, d)."""
    W, d = problem.vectors, problem.n_features
    moments, pulls = np.zeros((count, d, d)), np.zeros((count, d))
    for task in np.flatnonzero(weights):
        root = np.linalg.cholesky(problem.task_covariances[task])
        for n in batches(int(problem.n_samples[task]), count * d, _BATCH_VALUES):
            X = rng.standard_normal((count, n, d)) @ root.T
            noise = np.sqrt(problem.noise_variance[task]) * rng.standard_normal((count, n))
            y = X @ W[task] + noise
            turned = weights[task] * X.swapaxes(-1, -2)
            moments += turned @ X
            pulls += (turned @ y[..., None])[..., 0]
    solved: FloatArray = np.linalg.solve(moments, pulls[..., None])[..., 0]
    return solved - W[0]


def _draw_network(
    problem: LinearTransferProblem,
    weights: FloatArray,
    rank: int | None,
    count: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Return the same for the network: the best coefficients of the rank, by Eckart and Young."""
    used = np.flatnonzero(weights)
    root = np.linalg.cholesky(problem.common_covariance)  # S^(1/2) up to a rotation
    truth = problem.vectors[used] @ root
    rows = problem.n_samples[used].astype(np.float64)
    scale = np.sqrt(problem.noise_variance[used] / rows)[:, None]
    fits = truth + scale * rng.standard_normal((count, *truth.shape))
    weighted = np.sqrt(weights[used] * rows)[:, None] * fits
    left = np.linalg.svd(weighted.swapaxes(-1, -2), full_matrices=False)[0][..., :rank]
    main = fits[:, 0]
    projected = (left @ (left.swapaxes(-1, -2) @ main[..., None]))[..., 0]
    deviations: FloatArray = np.linalg.solve(root.T, (projected - truth[0]).T).T
    return deviations
