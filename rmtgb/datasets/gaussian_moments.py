r"""Moments of polynomials of standard normal variables.

Hermite polynomials are orthogonal under the normal distribution even between correlated
variables: for standard normal s, t with correlation r,
:math:`E[He_j(s) He_k(t)] = k!\, r^k` if j = k and 0 otherwise (Mehler). A polynomial written
in that basis thus has its moments at hand, without Monte Carlo.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.polynomial.hermite_e import poly2herme
from scipy.special import factorial

from rmtgb._common import FloatArray


def polynomial_moments(
    polynomials: Sequence[Sequence[float]], correlation: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Compute means and covariances of polynomials of correlated normal variables.

    Parameters
    ----------
    polynomials : sequence of sequence of float, length T
        Coefficients of each polynomial p_t, the constant first.
    correlation : ndarray of shape (T, T), float64
        Correlation of the standard normal variables z_t.

    Returns
    -------
    mean : ndarray of shape (T,), float64
        ``E[p_t(z_t)]``.
    covariance : ndarray of shape (T, T), float64
        ``Cov[p_s(z_s), p_t(z_t)]``.
    """
    n_terms = max(len(coefficients) for coefficients in polynomials)
    hermite = np.zeros((len(polynomials), n_terms))
    for row, coefficients in zip(hermite, polynomials, strict=True):
        row[: len(coefficients)] = poly2herme(coefficients)
    covariance = np.zeros_like(correlation)
    for k in range(1, n_terms):
        covariance += factorial(k) * np.outer(hermite[:, k], hermite[:, k]) * correlation**k
    return hermite[:, 0], covariance
