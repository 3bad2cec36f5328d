"""Exact errors of weighted least squares for designs that are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray, as_floats
from rmtgb.transfer.design_sampling import given_parts, root_of
from rmtgb.transfer.problem import (
    check_coefficients,
    check_covariance,
    check_noise_variance,
    check_weights,
)
from rmtgb.transfer.results import TransferError, make_error

# The error is computed for copies of the designs, each entry changed by some of its last bits, and
# must be the same up to the tolerance: what depends on rounding more than that is no answer.
_N_COPIES, _CHANGE, _TOLERANCE = 4, 2.0**-50, 1e-7
_REASONS = (
    "the tasks with a weight have fewer rows than features, or their features are collinear, or "
    "rows that are needed weigh too little"
)


@dataclass(frozen=True, eq=False)
class FixedDesign:
    """Given designs, with coefficients and noise, in units in which features are of order one.

    Parameters
    ----------
    designs : tuple of ndarray of shape (n_k, d), float64
        Features of each task.
    shifts : ndarray of shape (K + 1, d), float64
        Differences ``w_k - w_0``.
    noise_variance : ndarray of shape (K + 1,), float64
        Variance of the noise of each task.
    test_root : ndarray of shape (m, d), float64, or None
        B with the covariance B' B in which errors count; None for that of the main rows.
    """

    designs: tuple[FloatArray, ...]
    shifts: FloatArray
    noise_variance: FloatArray
    test_root: FloatArray | None

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
        largest = np.max([np.abs(rows).max(axis=0, initial=0.0) for rows in X], axis=0)
        unit = np.exp2(np.round(np.log2(np.where(largest > 0, largest, 1.0))))  # exact
        test_root = None
        if test_covariance is not None:
            metric = as_floats("test_covariance", test_covariance, (d, d))
            check_covariance("test_covariance", metric, singular=True)
            test_root = root_of(metric) / unit
        elif len(X[0]) == 0:
            raise ValueError("test_covariance is needed if the main task has no rows.")
        return cls(tuple(rows / unit for rows in X), (W - W[0]) * unit, noise, test_root)

    @property
    def metric_root(self) -> FloatArray:
        """B with the covariance B' B in which errors count, (m, d) with m <= d."""
        if self.test_root is not None:
            return self.test_root
        main = self.designs[0]
        return np.asarray(np.linalg.qr(main, mode="r"), np.float64) / np.sqrt(len(main))

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
            If the rows with a weight do not determine the coefficients, or hardly: so that
            rounding the features changes the error.
        """
        parts = self._parts(weights)
        error = sum(parts)
        rng = np.random.default_rng(0)
        copies = [sum(self._changed(rng)._parts(weights)) for _ in range(_N_COPIES)]
        if not np.isfinite([error, *copies]).all():
            raise ValueError(f"The design is singular: {_REASONS}.")
        change = max(abs(copy - error) for copy in copies)
        # Of a bias that is 0 rounding leaves a square of this order.
        rounding = (_CHANGE * np.linalg.norm(self.metric_root) * np.linalg.norm(self.shifts)) ** 2
        if change > _TOLERANCE * error + rounding:
            raise ValueError(
                f"The design is singular or nearly so, with condition number "
                f"{self._condition(weights):.2g}: {_REASONS}. Rounding its entries changes the "
                f"error by {change / error:.1g} of itself, and {_TOLERANCE:g} is allowed."
            )
        return parts

    def main_only_error(self) -> float:
        """Return the error of the main task alone, infinite if its design is singular."""
        weights = np.zeros(len(self.designs))
        weights[0] = 1.0
        try:
            return sum(self.error(weights))
        except ValueError:
            return np.inf

    def _parts(self, weights: FloatArray) -> tuple[float, float]:
        """Return squared bias and variance, infinite if the design is singular."""
        used = np.flatnonzero(weights)
        designs = [self.designs[k] for k in used]
        if sum(len(X) for X in designs) < self.shifts.shape[1]:
            return np.inf, np.inf
        try:
            bias2, variance = given_parts(
                designs,
                self.shifts[used],
                self.noise_variance[used],
                weights[used],
                self.metric_root,
            )
        except np.linalg.LinAlgError:
            return np.inf, np.inf
        return float(bias2), float(variance)

    def _changed(self, rng: np.random.Generator) -> FixedDesign:
        """Return a copy whose entries differ in their last bits."""
        designs = tuple(X * (1 + _CHANGE * rng.choice([-1, 1], X.shape)) for X in self.designs)
        return replace(self, designs=designs)

    def _condition(self, weights: FloatArray) -> float:
        """Return the condition number of all rows times the roots of their weights."""
        rows = [np.sqrt(a) * X for a, X in zip(weights, self.designs, strict=True)]
        return float(np.linalg.cond(np.concatenate(rows)))


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
        If shapes do not fit together, a value is not possible, or the design is singular or so
        nearly that rounding of its entries changes the error; the message says by how much, and
        how large the condition number of the weighted rows is.

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
