"""Least squares on each task alone, with all that estimates need of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmtgb._common import FloatArray, IntArray, counted
from rmtgb.transfer.dependence import ROUNDING, name_dependent

#: Limits of the largest value of a column: fourth powers, and quotients of squares, stay numbers.
_LEAST, _MOST = 1e-60, 1e60
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
    """Fit least squares; return rows, coefficients, noise variance, X' X and X' y.

    Features without a name are called by their number.
    """
    if not isinstance(fit_intercept, bool | np.bool_):
        raise TypeError(f"fit_intercept must be True or False, got {fit_intercept!r}.")
    features = features or range(X.shape[1])
    size = np.abs(X).max(axis=0, initial=0.0)
    _check_unit(f"The target of {name}", float(np.abs(y).max(initial=0.0)))
    for feature, largest in zip(features, size, strict=True):
        _check_unit(f"Column {feature!r} of {name}", float(largest))
    if fit_intercept and len(X):
        X, y = X - X.mean(axis=0), y - y.mean()
    n, d = len(X) - fit_intercept, X.shape[1]
    if d == 0:
        raise ValueError(f"{name} has no column of features.")
    if n <= d:
        raise ValueError(
            f"{name} has {counted(len(X), 'row')}; a fit of {counted(d, 'feature')} and its noise "
            f"needs at least {d + 1 + fit_intercept}."
        )
    S = X.T @ X
    # What rounding leaves of a constant is no variation.
    is_constant = np.diag(S) <= n * (ROUNDING * size) ** 2
    if is_constant.any() or _is_singular(S):
        named = name_dependent(X, is_constant, features)
        raise ValueError(f"The features of {name} are collinear or constant: leave out {named}.")
    # In powers of two as units, or small features would count as rounding beside large ones.
    unit = np.exp2(np.round(np.log2(np.diag(S)) / 2))
    coefficients = np.asarray(np.linalg.lstsq(X / unit, y, rcond=None)[0], np.float64) / unit
    residuals = y - X @ coefficients
    return n, coefficients, float(residuals @ residuals) / (n - d), S, X.T @ y


def _check_unit(what: str, largest: float) -> None:
    """Refuse values whose powers are no numbers any more."""
    if largest > 0 and not _LEAST <= largest <= _MOST:
        raise ValueError(
            f"{what} has values up to {largest:.3g}, which must be between {_LEAST:g} and "
            f"{_MOST:g}: choose another unit."
        )


def _is_singular(matrix: FloatArray) -> bool:
    """Tell whether a matrix of second moments is singular, up to rounding."""
    scale = np.sqrt(np.diag(matrix))
    if (scale == 0).any():
        return True
    eigenvalues = np.linalg.eigvalsh(matrix / np.outer(scale, scale))
    return bool(eigenvalues[0] <= _RANK_TOLERANCE * len(scale))
