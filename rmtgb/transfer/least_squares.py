"""Least squares on each task alone, with all that estimates need of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmtgb._common import FloatArray, IntArray, counted
from rmtgb.transfer.dependence import name_dependent

#: Part of a number's size below which it is taken for rounding.
ROUNDING = 1e-12
# Smallest eigenvalue of correlations, in units of their number, that is more than rounding.
_RANK_TOLERANCE = 1e-12


@dataclass(frozen=True)
class Fits:
    """Least squares on each task alone."""

    counts: IntArray  # (K + 1,), less one each where intercepts were fitted
    coefficients: FloatArray  # (K + 1, d)
    noise: FloatArray  # (K + 1,), residual variances
    moments: FloatArray  # (K + 1, d, d), X' X about the means
    inverses: FloatArray  # (K + 1, d, d)
    pulls: FloatArray  # (K + 1, d), X' y

    @property
    def residual_rows(self) -> FloatArray:
        """Rows beyond those that the coefficients take, (K + 1,)."""
        return (self.counts - self.coefficients.shape[1]).astype(np.float64)


def fit_one(
    X: FloatArray, y: FloatArray, fit_intercept: bool, name: str, features: Sequence[Any] = ()
) -> tuple[int, FloatArray, float, FloatArray, FloatArray]:
    """Fit least squares; return rows, coefficients, noise variance, X' X and X' y."""
    if not isinstance(fit_intercept, bool | np.bool_):
        raise TypeError(f"fit_intercept must be True or False, got {fit_intercept!r}.")
    size = np.abs(X).max(axis=0, initial=0.0)
    if fit_intercept and len(X):
        X, y = X - X.mean(axis=0), y - y.mean()
    n, d = len(X) - fit_intercept, X.shape[1]
    if n <= d:
        raise ValueError(
            f"{name} has {counted(len(X), 'row')}; a fit of {counted(d, 'feature')} and its noise "
            f"needs at least {d + 1 + fit_intercept}."
        )
    S = X.T @ X
    # What rounding leaves of a constant is no variation.
    is_constant = np.diag(S) <= n * (ROUNDING * size) ** 2
    if is_constant.any() or _is_singular(S):
        named = name_dependent(X, is_constant, features or range(d))
        raise ValueError(f"The features of {name} are collinear or constant: leave out {named}.")
    coefficients = np.asarray(np.linalg.lstsq(X, y, rcond=None)[0], np.float64)
    residuals = y - X @ coefficients
    return n, coefficients, float(residuals @ residuals) / (n - d), S, X.T @ y


def _is_singular(matrix: FloatArray) -> bool:
    """Tell whether a matrix of second moments is singular, up to rounding."""
    scale = np.sqrt(np.diag(matrix))
    if (scale == 0).any():
        return True
    eigenvalues = np.linalg.eigvalsh(matrix / np.outer(scale, scale))
    return bool(eigenvalues[0] <= _RANK_TOLERANCE * len(scale))
