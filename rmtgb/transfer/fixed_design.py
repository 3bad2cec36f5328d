"""Exact errors of weighted least squares for designs that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray
from rmtgb.transfer.design_sampling import fixed_parts
from rmtgb.transfer.problem import (
    as_floats,
    check_coefficients,
    check_covariance,
    check_noise_variance,
    check_weights,
)
from rmtgb.transfer.results import TransferError, make_error

_RANK_TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class FixedDesign:
    """Second moments of given designs, with coefficients and noise.

    Parameters
    ----------
    moments : ndarray of shape (K + 1, d, d), float64
        ``X_k' X_k`` of each task.
    shifts : ndarray of shape (K + 1, d), float64
        Differences ``w_k - w_0``.
    noise_variance : ndarray of shape (K + 1,), float64
        Variance of the noise of each task.
    metric : ndarray of shape (d, d), float64
        Covariance in which errors count.
    """

    moments: FloatArray
    shifts: FloatArray
    noise_variance: FloatArray
    metric: FloatArray

    @classmethod
    def from_arrays(
        cls, designs: Sequence[Any], coefficients: Any, noise_variance: Any, test_covariance: Any
    ) -> FixedDesign:
        """Check the arrays of a caller; see `fixed_design_error`."""
        if len(designs) == 0:
            raise ValueError("designs must hold one matrix for each task.")
        W = check_coefficients(coefficients, len(designs))
        d = W.shape[1]
        noise = check_noise_variance(noise_variance, len(designs))
        X = [as_floats(f"designs[{k}]", X, (None, d)) for k, X in enumerate(designs)]
        moments = np.stack([rows.T @ rows for rows in X])
        if test_covariance is None:
            if len(X[0]) == 0:
                raise ValueError("test_covariance is needed if the main task has no rows.")
            metric = moments[0] / len(X[0])
        else:
            metric = as_floats("test_covariance", test_covariance, (d, d))
            check_covariance("test_covariance", metric, singular=True)
        return cls(moments, W - W[0], noise, metric)

    def error(self, weights: FloatArray) -> tuple[float, float]:
        """Return squared bias and variance.

        Parameters
        ----------
        weights : ndarray of shape (K + 1,), float64
            Weights, 0 or more.

        Returns
        -------
        bias2, variance : float

        Raises
        ------
        ValueError
            If the weighted sum of the moments is singular.
        """
        if is_singular(np.einsum("k,kij->ij", weights, self.moments)):
            raise ValueError(
                "The design is singular: the tasks with a weight have fewer rows than features, "
                "or their features are collinear."
            )
        used = weights > 0
        parts = fixed_parts(
            self.moments[used],
            self.shifts[used],
            self.noise_variance[used],
            weights[used],
            self.metric,
        )
        return float(parts[0]), float(parts[1])

    def main_only_error(self) -> float:
        """Return the error of the main task alone, infinite if its design is singular."""
        if is_singular(self.moments[0]):
            return np.inf
        solved = np.linalg.solve(self.moments[0], self.metric)
        return float(self.noise_variance[0] * np.trace(solved))


def is_singular(matrix: FloatArray) -> bool:
    """Tell whether a matrix of second moments is singular, up to rounding."""
    scale = np.sqrt(np.diag(matrix))
    if (scale == 0).any():
        return True
    eigenvalues = np.linalg.eigvalsh(matrix / np.outer(scale, scale))
    return bool(eigenvalues[0] <= _RANK_TOLERANCE * len(scale))


def fixed_design_error(
    designs: Sequence[Any],
    coefficients: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    test_covariance: npt.ArrayLike | None = None,
) -> TransferError:
    """Compute the error of weighted least squares for given designs.

    Parameters
    ----------
    designs : sequence of array-like of shape (n_k, d), float
        Features of each task, the main task first.
    coefficients : array-like of shape (K + 1, d), float
        Coefficients of each task.
    noise_variance : array-like of shape (K + 1,), float
        Variance of the noise of each task; it need not be normal.
    weights : array-like of shape (K + 1,), float, optional
        Weight of a row of each task, 0 or more; by default all 1.
    test_covariance : array-like of shape (d, d), float, optional
        Metric of the error; by default ``X_0' X_0 / n_0``, the error on the main rows.

    Returns
    -------
    error : TransferError
        Exact.

    Raises
    ------
    ValueError
        If shapes do not fit together, a value is not possible or the design is singular.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtgb.transfer import fixed_design_error
    >>> X = np.eye(3)
    >>> fixed_design_error([X, X], [[0, 0, 0], [1, 0, 0]], [1, 1]).error
    0.583...
    """
    design = FixedDesign.from_arrays(designs, coefficients, noise_variance, test_covariance)
    n_tasks = len(design.noise_variance)
    a = np.ones(n_tasks) if weights is None else check_weights(weights, n_tasks)
    return make_error(*design.error(a), design.main_only_error(), "exact")
