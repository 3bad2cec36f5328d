"""Monte Carlo over the designs, with everything else integrated exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.transfer.problem import LinearTransferProblem

# Numbers of a batch of matrices: some tens of megabytes.
_BATCH_VALUES = 2_000_000


def sample_shared_errors(
    problem: LinearTransferProblem, weights: FloatArray, n_draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    r"""Draw errors of weighted least squares for tasks with a common covariance.

    With W the sum of the tasks' Wishart matrices, their shares ``U_k`` and W are independent
    and W enters through its means only, which are known. So only the shares are drawn
    (Rao-Blackwell): with ``F_k = a_k (sum_j a_j U_j)^-1 U_k``, the error has the coefficients

    .. math:: \Gamma_{jk} = \frac{N tr(F_j' F_k) - tr(F_j F_k) - tr F_j\, tr F_k}{d (N - d - 1)}

    of the inner products of shifts and ``a_k^2 tr(C^-1 U_k C^-1) / (N - d - 1)`` of the noise.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks whose rows with a weight are more than ``d + 1``.
    weights : ndarray of shape (K + 1,), float64
        Weights, 0 or more.
    n_draws : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness; it is advanced.

    Returns
    -------
    bias2, variance : ndarray of shape (n_draws,), float64
        Their means are unbiased.
    """
    active = problem.active(weights)
    a, counts = weights[active], problem.n_samples[active]
    gram, noise = problem.gram[np.ix_(active, active)], problem.noise_variance[active]
    d, n_rows = problem.n_features, float(counts.sum())
    excess = n_rows - d - 1
    bias2, variance = [], []
    for size in batches(n_draws, len(a) * d * d):
        parts = np.stack([draw_wishart(rng, int(n), d, size) for n in counts], axis=1)
        inverse = np.linalg.inv(np.linalg.cholesky(parts.sum(axis=1)))[:, None]
        U = inverse @ parts @ inverse.swapaxes(-1, -2)
        C_inverse = np.linalg.inv(np.einsum("k,bkij->bij", a, U))[:, None]
        F = a[:, None, None] * (C_inverse @ U)
        traces = np.trace(F, axis1=-2, axis2=-1)
        flat, turned = F.reshape(size, len(a), -1), F.swapaxes(-1, -2).reshape(size, len(a), -1)
        inner = n_rows * (flat @ flat.swapaxes(-1, -2)) - turned @ flat.swapaxes(-1, -2)
        inner -= traces[:, :, None] * traces[:, None, :]
        bias2.append(np.sum(inner * gram, axis=(1, 2)) / (d * excess))
        squares = np.sum((C_inverse @ U) * C_inverse.swapaxes(-1, -2), axis=(-2, -1))
        variance.append((a**2 * squares) @ noise / excess)
    return np.concatenate(bias2), np.concatenate(variance)


def sample_design_errors(
    problem: LinearTransferProblem, weights: FloatArray, n_draws: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Draw errors of weighted least squares for tasks with any covariances.

    The designs are drawn, through their second moments, and the noise is integrated.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks whose rows with a weight are more than ``d + 1``.
    weights : ndarray of shape (K + 1,), float64
        Weights, 0 or more.
    n_draws : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness; it is advanced.

    Returns
    -------
    bias2, variance : ndarray of shape (n_draws,), float64
        Their means are unbiased.
    """
    active = np.flatnonzero(problem.active(weights))
    d, metric = problem.n_features, problem.metric
    shifts = problem.vectors - problem.vectors[0]
    roots = np.linalg.cholesky(problem.task_covariances[active])
    bias2, variance = [], []
    for size in batches(n_draws, len(active) * d * d):
        S = np.stack(
            [
                root @ draw_wishart(rng, int(problem.n_samples[k]), d, size) @ root.T
                for k, root in zip(active, roots, strict=True)
            ],
            axis=1,
        )
        parts = fixed_parts(
            S, shifts[active], problem.noise_variance[active], weights[active], metric
        )
        bias2.append(parts[0])
        variance.append(parts[1])
    return np.concatenate(bias2), np.concatenate(variance)


def fixed_parts(
    S: FloatArray, shifts: FloatArray, noise: FloatArray, weights: FloatArray, metric: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute squared bias and variance given the second moments of the designs.

    Parameters
    ----------
    S : ndarray of shape (..., K + 1, d, d), float64
        Second moments ``X_k' X_k``.
    shifts : ndarray of shape (K + 1, d), float64
        Differences ``w_k - w_0``.
    noise, weights : ndarray of shape (K + 1,), float64
        Noise variances and weights.
    metric : ndarray of shape (d, d), float64
        Covariance in which errors count.

    Returns
    -------
    bias2, variance : ndarray of shape (...), float64
    """
    inverse = np.linalg.inv(np.einsum("k,...kij->...ij", weights, S))
    pull = np.einsum("k,...kij,kj->...i", weights, S, shifts)
    mean = np.einsum("...ij,...j->...i", inverse, pull)
    noise_part = np.einsum("k,...kij->...ij", noise * weights**2, S)
    spread = inverse @ noise_part @ inverse
    bias2 = np.einsum("...i,ij,...j->...", mean, metric, mean)
    return bias2, np.einsum("ij,...ji->...", metric, spread)


def draw_wishart(rng: np.random.Generator, n_rows: int, d: int, size: int) -> FloatArray:
    """Draw second moments of standard normal rows.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; it is advanced.
    n_rows, d : int
        Rows, any number of them, and features.
    size : int
        Number of matrices.

    Returns
    -------
    W : ndarray of shape (size, d, d), float64
    """
    if n_rows < 2 * d:
        Z = rng.standard_normal((size, n_rows, d))
        W: FloatArray = Z.swapaxes(-1, -2) @ Z
        return W
    # Bartlett: a triangular root, whatever the number of rows.
    root = np.tril(rng.standard_normal((size, d, d)), -1)
    diagonal = np.sqrt(rng.chisquare(n_rows - np.arange(d), (size, d)))
    root[:, np.arange(d), np.arange(d)] = diagonal
    return root @ root.swapaxes(-1, -2)


def batches(n_items: int, values_per_item: int, limit: int = _BATCH_VALUES) -> Iterator[int]:
    """Yield how many items to take at once, so that a batch has no more values than the limit.

    Parameters
    ----------
    n_items, values_per_item : int
        How many there are, and how many numbers each has.
    limit : int
        Numbers of a batch.

    Yields
    ------
    size : int
        One or more; all together they are `n_items`.
    """
    largest = max(limit // values_per_item, 1)
    for start in range(0, n_items, largest):
        yield min(largest, n_items - start)
