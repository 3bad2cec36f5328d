"""The convex programme behind optimal shares."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from rmtgb._common import FloatArray


def least_quadratic_form(C: FloatArray) -> FloatArray:
    """Minimise ``p' C p`` over shares p.

    Parameters
    ----------
    C : ndarray of shape (K + 1, K + 1), float64
        Positive semidefinite: inner products of shifts, plus the variance of each task's fit on
        the diagonal.

    Returns
    -------
    p : ndarray of shape (K + 1,), float64
        Shares, 0 or more, with sum 1.

    Notes
    -----
    The minimum is that of ``|R y|^2 + (1'y - 1)^2`` over ``y >= 0``, scaled to sum one: along
    each ray both rank the directions alike. That is a non-negative least-squares problem.
    """
    scale = max(float(np.trace(C)), np.finfo(float).tiny)
    # A ridge makes the solution unique where a task has neither noise nor a shift of its own.
    values, vectors = np.linalg.eigh(C / scale + 1e-14 * np.eye(len(C)))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    # The weight of the second part does not change the direction; large, it keeps digits.
    weight = np.sqrt(np.maximum(values, 1e-16).max())
    system = np.vstack([root, np.full(len(C), weight)])
    y, _ = nnls(system, np.append(np.zeros(len(C)), weight))
    shares: FloatArray = y / y.sum()
    return shares


def least_linear(slope: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Return the least ``slope @ p`` over shares within limits that sum to one.

    Parameters
    ----------
    slope, lower, upper : ndarray of shape (n,), float64
        The limits' sums are at most and at least one.
    """
    order = np.argsort(slope)
    room = (upper - lower)[order]
    before = np.cumsum(room) - room
    added = np.clip(1.0 - lower.sum() - before, 0.0, room)
    return float(slope @ lower + slope[order] @ added)
