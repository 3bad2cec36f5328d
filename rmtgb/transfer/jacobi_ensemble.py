r"""Expectations over the eigenvalues of a matrix of Beta distribution, without Monte Carlo.

For independent Wishart matrices :math:`W_0, W_1` with n_0 and n_1 degrees of freedom, the
share :math:`U = (W_0 + W_1)^{-1/2} W_1 (W_0 + W_1)^{-1/2}` of the second has eigenvalues with
joint density proportional to

.. math:: \prod_i u_i^{(|n_1 - d| - 1)/2} (1 - u_i)^{(|n_0 - d| - 1)/2}
          \prod_{i<j} |u_i - u_j|

(the Jacobi ensemble with beta = 1), apart from those that are 0 or 1 by the ranks. By
de Bruijn's formula the mean of a product over the eigenvalues is a Pfaffian of double
integrals, so means and second moments of sums over the eigenvalues follow from derivatives
of its logarithm [1]_.

References
----------
.. [1] N. G. de Bruijn, "On some multiple integrals involving determinants", Journal of the
   Indian Mathematical Society 19, 1955.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.polynomial import legendre
from scipy.linalg import eigvalsh_tridiagonal

from rmtgb._common import FloatArray

# Degrees beyond the largest one that occurs whose zeros mark where all functions have decayed,
# and the exponent below which they have not decayed at the end of the interval.
_MARGIN_DEGREES = 80
_HARD_EDGE = 60
# Panels of a graded mesh reach this many decades towards a hard edge: functions that change
# within the square of that are resolved.
_DECADES = 8


class JacobiEnsemble:
    """Eigenvalues of the auxiliary task's share U of the second moments of both tasks.

    Parameters
    ----------
    n_main, n_auxiliary : int
        Rows n_0 and n_1 of the two tasks, 0 or more, ``n_0 + n_1 >= d``.
    n_features : int
        Order d of the matrices.
    graded : bool, default=False
        Whether functions may change within tiny distances from 0 or 1: then panels that get ever
        shorter end there.
    refinement : float, default=1.0
        Factor of the number of quadrature nodes, to check that they are enough.
    """

    def __init__(
        self,
        n_main: int,
        n_auxiliary: int,
        n_features: int,
        graded: bool = False,
        refinement: float = 1.0,
    ) -> None:
        d = n_features
        self.n_ones = max(0, d - n_main)
        self.n_zeros = max(0, d - n_auxiliary)
        self.n_random = d - self.n_ones - self.n_zeros
        low_exponent, high_exponent = abs(n_auxiliary - d), abs(n_main - d)
        low, high = _interval(self.n_random, low_exponent, high_exponent)
        edges, n_nodes = np.array([low, high]), 2 * (self.n_random + _MARGIN_DEGREES)
        if graded:
            edges = _graded(low, high, low_exponent <= _HARD_EDGE, high_exponent <= _HARD_EDGE)
            n_nodes //= 2  # no panel is longer than half of the interval
        self._half, self._n_nodes = np.diff(edges)[:, None] / 2, int(refinement * n_nodes)
        x, w = _legendre_nodes(self._n_nodes)
        theta = (edges[:-1, None] + self._half * (x + 1)).ravel()
        self._weights = (self._half * w).ravel()
        #: Nodes of the quadrature in (0, 1), with which functions are to be evaluated, and their
        #: distances from 1 without cancellation.
        self.u, self.rest = np.sin(theta) ** 2, np.cos(theta) ** 2
        self._basis = _orthonormal_basis(
            self.u, theta, self._weights, self.n_random, low_exponent, high_exponent
        )
        if self.n_random:
            self._inverse = np.linalg.inv(self._skew(self._basis, self._basis, odd_border=1.0))

    def moments(
        self,
        values: FloatArray,
        at_zero: FloatArray,
        at_one: FloatArray,
        pairs: Sequence[tuple[int, int]],
    ) -> tuple[FloatArray, list[float]]:
        """Compute moments of sums of functions over all d eigenvalues.

        Parameters
        ----------
        values : ndarray of shape (n_functions, len(self.u)), float64
            Functions at the nodes `u`.
        at_zero, at_one : ndarray of shape (n_functions,), float64
            Their values at 0 and 1.
        pairs : sequence of (int, int)
            Pairs of functions of whose sums the mean product is wanted.

        Returns
        -------
        mean : ndarray of shape (n_functions,), float64
            ``E sum_i f(u_i)``.
        products : list of float
            ``E [sum_i f(u_i)] [sum_i g(u_i)]`` of each pair.
        """
        fixed = self.n_zeros * at_zero + self.n_ones * at_one
        if not self.n_random:
            return fixed, [float(fixed[i] * fixed[j]) for i, j in pairs]
        slopes = [self._inverse @ self._first_derivative(f) for f in values]
        mean = 0.5 * np.array([np.trace(slope) for slope in slopes])
        products = []
        for i, j in pairs:
            random = self._random_product(values[i], values[j], slopes[i], slopes[j])
            cross = fixed[i] * mean[j] + fixed[j] * mean[i]
            products.append(float(random + mean[i] * mean[j] + cross + fixed[i] * fixed[j]))
        return mean + fixed, products

    def _random_product(
        self, f: FloatArray, g: FloatArray, slope: FloatArray, other_slope: FloatArray
    ) -> float:
        """Return the covariance of the sums of two functions over the random eigenvalues."""
        # Second derivative of the log-Pfaffian: products of different eigenvalues.
        mixed = np.sum(self._inverse * self._second_derivative(f, g).T)
        different = 0.5 * mixed - 0.5 * np.sum(slope * other_slope.T)
        same = 0.5 * np.sum(self._inverse * self._first_derivative(f * g).T)
        return float(different + same)

    def _first_derivative(self, f: FloatArray) -> FloatArray:
        scaled = self._basis * f
        return self._skew(scaled, self._basis, 1.0) + self._skew(self._basis, scaled, 0.0)

    def _second_derivative(self, f: FloatArray, g: FloatArray) -> FloatArray:
        left, right = self._basis * f, self._basis * g
        return self._skew(left, right, 0.0) + self._skew(right, left, 0.0)

    def _skew(self, left: FloatArray, right: FloatArray, odd_border: float) -> FloatArray:
        """Return the double integrals of ``sign(y - x) left_i(x) right_j(y)``.

        An odd number of functions is bordered by the single integrals of `left`.
        """
        to_the_right = (right @ self._weights)[:, None] - 2.0 * self._cumulative(right)
        inner = (left * self._weights) @ to_the_right.T
        size = len(left)
        if size % 2 == 0:
            return inner
        bordered = np.zeros((size + 1, size + 1))
        bordered[:size, :size] = inner
        bordered[:size, size] = odd_border * (left @ self._weights)
        bordered[size, :size] = -bordered[:size, size]
        return bordered

    def _cumulative(self, values: FloatArray) -> FloatArray:
        """Return integrals from the lower end of the interval to each node."""
        # One product of two matrices, not a stack of small ones.
        within = values.reshape(-1, self._n_nodes) @ _integration_matrix(self._n_nodes)
        inside = self._half * within.reshape(len(values), len(self._half), self._n_nodes)
        whole = np.sum((values * self._weights).reshape(inside.shape), axis=2)
        before = np.cumsum(whole, axis=1) - whole
        return (inside + before[:, :, None]).reshape(values.shape)


@lru_cache(maxsize=32)
def jacobi_ensemble(
    n_main: int, n_auxiliary: int, n_features: int, graded: bool
) -> JacobiEnsemble:
    """Return the ensemble, from memory if it was asked for lately."""
    return JacobiEnsemble(n_main, n_auxiliary, n_features, graded)


def _interval(size: int, low_exponent: int, high_exponent: int) -> tuple[float, float]:
    """Return the angles between which all functions of the basis live."""
    low, high = 0.0, np.pi / 2
    # On [-1, 1] the weight is (1 - x)^(high - 1/2) (1 + x)^(low - 1/2), with u = (1 + x) / 2.
    zeros = eigvalsh_tridiagonal(
        *_jacobi_recurrence(size + _MARGIN_DEGREES, high_exponent - 0.5, low_exponent - 0.5)
    )
    angles = np.arcsin(np.sqrt((1.0 + zeros) / 2.0))
    if low_exponent > _HARD_EDGE:
        low = max(low, angles[0] - 3 * (angles[1] - angles[0]))
    if high_exponent > _HARD_EDGE:
        high = min(high, angles[-1] + 3 * (angles[-1] - angles[-2]))
    return low, high


def _jacobi_recurrence(degree: int, a: float, b: float) -> tuple[FloatArray, FloatArray]:
    """Return diagonal and off-diagonal of the Jacobi matrix of the polynomials P^(a, b)."""
    n = np.arange(degree, dtype=np.float64)
    total = 2 * n + a + b
    with np.errstate(divide="ignore", invalid="ignore"):
        diagonal = (b - a) * (b + a) / (total * (total + 2))
        square = 4 * n * (n + a) * (n + b) * (n + a + b)
        square /= total**2 * (total + 1) * (total - 1)
    diagonal[0] = (b - a) / (a + b + 2)
    if degree > 1:  # the general form is 0 / 0 at a + b = -1
        square[1] = 4 * (1 + a) * (1 + b) / ((2 + a + b) ** 2 * (3 + a + b))
    return diagonal, np.sqrt(square[1:])


def _graded(low: float, high: float, at_low: bool, at_high: bool) -> FloatArray:
    """Return ends of panels that get shorter by factors of ten towards hard edges."""
    steps = (high - low) / 2 * 10.0 ** -np.arange(_DECADES + 1)
    near_low = low + steps[:0:-1] if at_low else np.empty(0)
    near_high = high - steps[1:] if at_high else np.empty(0)
    return np.concatenate([[low], near_low, [(low + high) / 2], near_high, [high]])


@lru_cache(maxsize=8)
def _legendre_nodes(n_nodes: int) -> tuple[FloatArray, FloatArray]:
    return legendre.leggauss(n_nodes)


@lru_cache(maxsize=8)
def _integration_matrix(n_nodes: int) -> FloatArray:
    x, w = _legendre_nodes(n_nodes)
    polynomials = legendre.legvander(x, n_nodes)
    degree = np.arange(n_nodes)
    coefficients = (w[:, None] * polynomials[:, :-1]) * (degree + 0.5)
    # Integral of P_k from -1: (P_{k+1} - P_{k-1}) / (2 k + 1), and x + 1 for k = 0.
    integrals = np.empty((n_nodes, n_nodes))
    integrals[0] = x + 1
    integrals[1:] = (polynomials[:, 2:] - polynomials[:, :-2]).T / (2 * degree[1:, None] + 1)
    matrix: FloatArray = coefficients @ integrals
    return matrix


def _orthonormal_basis(
    u: FloatArray,
    theta: FloatArray,
    weights: FloatArray,
    size: int,
    low_exponent: int,
    high_exponent: int,
) -> FloatArray:
    """Return polynomials in u times the weight of the ensemble, orthonormal in theta."""
    basis = np.empty((size, u.size))
    if size == 0:
        return basis
    # u = sin(theta)^2 turns the half-integer powers into integer ones: nothing is singular.
    with np.errstate(divide="ignore"):
        log_weight = low_exponent * np.log(np.sin(theta)) + high_exponent * np.log(np.cos(theta))
    first = np.exp(log_weight - log_weight.max())
    basis[0] = first / np.sqrt(weights @ first**2)
    diagonal, off = _jacobi_recurrence(size, high_exponent - 0.5, low_exponent - 0.5)
    x = 2 * u - 1
    for n in range(size - 1):
        basis[n + 1] = (x - diagonal[n]) * basis[n]
        if n:
            basis[n + 1] -= off[n - 1] * basis[n - 1]
        basis[n + 1] /= off[n]
    return basis
