"""Correlation matrices of tasks, and weight vectors that have them as cosines."""

from __future__ import annotations

from typing import Any

import numpy as np

from rmtgb._common import FloatArray, as_floats, check_real, check_semidefinite

#: How far the diagonal, the symmetry and the eigenvalues of a given matrix may be off.
TOLERANCE = 1e-12


def make_task_correlation(correlation: Any, n_tasks: int, n_outlier_tasks: int) -> FloatArray:
    """Return the matrix P of cosines that the weight vectors of the tasks are to have.

    Parameters
    ----------
    correlation : float or array-like of shape (n_tasks, n_tasks)
        One number for all pairs, or the matrix.
    n_tasks : int
        Number of tasks T.
    n_outlier_tasks : int
        The last tasks that are orthogonal to the others, while they have the same cosine
        with each other; 0 if a matrix is given.

    Returns
    -------
    P : ndarray of shape (n_tasks, n_tasks), float64
        Symmetric and positive semidefinite with ones on the diagonal.

    Raises
    ------
    TypeError
        If a single correlation is not a real number.
    ValueError
        If no vectors can have these cosines; the message names the limit.
    """
    if np.ndim(correlation) == 0:
        return _equal_correlation(check_real("correlation", correlation), n_tasks, n_outlier_tasks)
    if n_outlier_tasks > 0:
        raise ValueError(
            f"n_outlier_tasks must be 0 if correlation is a matrix, got {n_outlier_tasks}: "
            f"the matrix says which tasks are unlike the others."
        )
    return _check_matrix(correlation, n_tasks)


def _equal_correlation(value: float, n_tasks: int, n_outlier_tasks: int) -> FloatArray:
    if not np.isfinite(value):
        raise ValueError(f"correlation must be a finite number, got {value}.")
    sizes = (n_tasks - n_outlier_tasks, n_outlier_tasks)
    lowest = -1.0 / (max(sizes) - 1) if max(sizes) > 1 else -1.0
    if not lowest <= value <= 1.0:
        raise ValueError(
            f"correlation must be between {lowest:.6g} and 1, got {value}: {max(sizes)} unit "
            f"vectors cannot all have a pairwise cosine below -1/({max(sizes)} - 1)."
        )
    is_outlier = np.arange(n_tasks) >= sizes[0]
    P = np.where(is_outlier[:, None] == is_outlier, value, 0.0)
    np.fill_diagonal(P, 1.0)
    return P


def _check_matrix(correlation: Any, n_tasks: int) -> FloatArray:
    if np.shape(correlation) != (n_tasks, n_tasks):
        raise ValueError(
            f"correlation must be a number or have shape ({n_tasks}, {n_tasks}) for "
            f"n_tasks={n_tasks}, got shape {np.shape(correlation)}."
        )
    P = as_floats("correlation", correlation, (n_tasks, n_tasks))
    if np.abs(np.diag(P) - 1.0).max() > TOLERANCE:
        raise ValueError(f"correlation must have ones on its diagonal, got {np.diag(P)}.")
    check_semidefinite("correlation", P, TOLERANCE)
    return P


def draw_task_weights(rng: np.random.Generator, P: FloatArray, n_features: int) -> FloatArray:
    """Draw unit vectors with given cosines, in an orientation drawn uniformly.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; it is advanced.
    P : ndarray of shape (n_tasks, n_tasks), float64
        Matrix of cosines, positive semidefinite with ones on the diagonal.
    n_features : int
        Length D >= n_tasks of the vectors.

    Returns
    -------
    W : ndarray of shape (n_tasks, n_features), float64
        ``W @ W.T`` equals P up to rounding.

    Notes
    -----
    ``W = P^(1/2) U`` with the symmetric square root and the rows of U orthonormal. Any root
    would do; this one depends on no choice of eigenvectors, which is not unique where all
    pairs have the same cosine. Likewise the signs of the QR decomposition are fixed, without
    which its orientation would not be uniform [1]_.

    References
    ----------
    .. [1] F. Mezzadri, "How to Generate Random Matrices from the Classical Compact Groups",
       Notices of the AMS 54, 2007.
    """
    Q, R = np.linalg.qr(rng.standard_normal((len(P), n_features)).T)
    U = (Q * np.where(np.diag(R) < 0, -1.0, 1.0)).T
    eigenvalues, vectors = np.linalg.eigh(P)
    root = (vectors * np.sqrt(np.maximum(eigenvalues, 0.0))) @ vectors.T
    W: FloatArray = root @ U
    return W
