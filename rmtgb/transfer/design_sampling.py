"""Monte Carlo over the designs, with everything else integrated exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
        designs = [draw_design(rng, int(n), d, size) for n in counts]
        whole = np.linalg.qr(np.concatenate(designs, axis=1))[0]
        ends = np.cumsum([X.shape[1] for X in designs])[:-1]
        shares = np.split(whole, ends, axis=1)  # U_k = shares_k' shares_k
        maps = least_squares_maps(shares, a)
        F = np.stack([H @ X for H, X in zip(maps, shares, strict=True)], axis=1)
        traces = np.trace(F, axis1=-2, axis2=-1)
        flat, turned = F.reshape(size, len(a), -1), F.swapaxes(-1, -2).reshape(size, len(a), -1)
        inner = n_rows * (flat @ flat.swapaxes(-1, -2)) - turned @ flat.swapaxes(-1, -2)
        inner -= traces[:, :, None] * traces[:, None, :]
        bias2.append(np.sum(inner * gram, axis=(1, 2)) / (d * excess))
        squares = np.stack([np.sum(H**2, axis=(-2, -1)) for H in maps], axis=-1)
        variance.append(squares @ noise / excess)
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
    d, metric_root = problem.n_features, root_of(problem.metric)
    shifts = problem.vectors - problem.vectors[0]
    roots = np.linalg.cholesky(problem.task_covariances[active]).swapaxes(-1, -2)
    bias2, variance = [], []
    for size in batches(n_draws, len(active) * d * d):
        designs = [
            draw_design(rng, int(problem.n_samples[k]), d, size) @ root
            for k, root in zip(active, roots, strict=True)
        ]
        parts = given_parts(
            designs, shifts[active], problem.noise_variance[active], weights[active], metric_root
        )
        bias2.append(parts[0])
        variance.append(parts[1])
    return np.concatenate(bias2), np.concatenate(variance)


def least_squares_maps(designs: Sequence[FloatArray], weights: FloatArray) -> list[FloatArray]:
    """Return the matrices that take targets of each task to coefficients, ``a_k M^-1 X_k'``.

    With ``M = sum a_k X_k' X_k``, by the QR decomposition of all rows times the roots of their
    weights: moments would lose twice the digits where tasks with large weights have few rows.

    Parameters
    ----------
    designs : sequence of ndarray of shape (..., n_k, d), float64
        Features of each task, together of full rank.
    weights : ndarray of shape (K + 1,), float64
        Weights, above 0.

    Returns
    -------
    maps : list of ndarray of shape (..., d, n_k), float64
    """
    roots = np.sqrt(weights)
    rows = np.concatenate([a * X for a, X in zip(roots, designs, strict=True)], axis=-2)
    # Large rows first: Householder reflections then keep the digits of small ones.
    order = np.argsort(-np.abs(rows).max(axis=-1), axis=-1)
    Q, R = np.linalg.qr(np.take_along_axis(rows, order[..., None], axis=-2))
    Q = np.take_along_axis(Q, np.argsort(order, axis=-1)[..., None], axis=-2)
    solved = np.linalg.inv(R) @ Q.swapaxes(-1, -2)
    ends = np.cumsum([X.shape[-2] for X in designs])[:-1]
    parts = np.split(solved, ends, axis=-1)
    return [a * part for a, part in zip(roots, parts, strict=True)]


def given_parts(
    designs: Sequence[FloatArray],
    shifts: FloatArray,
    noise: FloatArray,
    weights: FloatArray,
    metric_root: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Compute squared bias and variance given the designs.

    Parameters
    ----------
    designs : sequence of ndarray of shape (..., n_k, d), float64
        Features of each task, together of full rank.
    shifts : ndarray of shape (K + 1, d), float64
        Differences ``w_k - w_0``.
    noise, weights : ndarray of shape (K + 1,), float64
        Noise variances, and weights above 0.
    metric_root : ndarray of shape (m, d), float64
        B with the covariance B' B in which errors count.

    Returns
    -------
    bias2, variance : ndarray of shape (...), float64
    """
    bias, variance = [], []
    for k, H in enumerate(least_squares_maps(designs, weights)):
        seen = metric_root @ H
        bias.append((seen @ (designs[k] @ shifts[k])[..., None])[..., 0])
        variance.append(noise[k] * np.sum(seen**2, axis=(-2, -1)))
    bias2: FloatArray = np.sum(np.sum(bias, axis=0) ** 2, axis=-1)
    return bias2, np.sum(variance, axis=0)


def root_of(metric: FloatArray) -> FloatArray:
    """Return B with ``B' B`` equal to a covariance, which may be singular."""
    scale = np.sqrt(np.diag(metric))
    scale = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(metric / np.outer(scale, scale))
    root: FloatArray = (vectors * np.sqrt(np.maximum(values, 0.0))).T * scale
    return root


def draw_design(rng: np.random.Generator, n_rows: int, d: int, size: int) -> FloatArray:
    """Draw standard normal rows, or fewer that have the second moments of so many.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; it is advanced.
    n_rows, d : int
        Rows, any number of them, and features.
    size : int
        Number of designs.

    Returns
    -------
    X : ndarray of shape (size, n_rows, d) or (size, d, d), float64
    """
    if n_rows < 2 * d:
        return rng.standard_normal((size, n_rows, d))
    # Bartlett: a triangular root of the Wishart matrix, whatever the number of rows.
    root = np.triu(rng.standard_normal((size, d, d)), 1)
    diagonal = np.sqrt(rng.chisquare(n_rows - np.arange(d), (size, d)))
    root[:, np.arange(d), np.arange(d)] = diagonal
    return root


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
