"""Cholesky's decomposition and what is solved with it, row by row in a fixed order.

BLAS rounds differently on each kind of processor; here every element is one chain of operations
in the order of the source. Inner loops go along rows, so that they are vectors whose elements do
not meet.
"""

from typing import Any

import numpy as np

from rmtgb._common import Float, FloatArray, Int
from rmtgb.engine.jit import inner, kernel

#: Share of the largest element below which a pivot is rounding: some units of the last digit.
ROUNDING = 2.0**-48


@inner
def _subtract(target: FloatArray, a: Float, x: FloatArray, start: Int, stop: Int) -> None:
    """Subtract a multiple of a row from part of another; limits without a sign allow vectors."""
    for k in range(np.uint64(start), np.uint64(stop)):
        target[k] -= a * x[k]


@inner
def _subtract_four(
    target: FloatArray, factors: Any, X: FloatArray, first: Int, start: Int, stop: Int
) -> None:
    """Subtract multiples of four rows of X: the target is read and written once."""
    a, b, c, d = factors
    w, x, y, z = X[first], X[first + 1], X[first + 2], X[first + 3]
    for k in range(np.uint64(start), np.uint64(stop)):
        target[k] -= (a * w[k] + b * x[k]) + (c * y[k] + d * z[k])


@inner
def _subtract_before(
    U: FloatArray, i: Int, B: FloatArray, target: FloatArray, start: Int, stop: Int
) -> None:
    """Subtract from row i what the rows of B before it contribute."""
    whole = i - i % 4
    for j in range(0, whole, 4):
        factors = (U[j, i], U[j + 1, i], U[j + 2, i], U[j + 3, i])
        _subtract_four(target, factors, B, j, start, stop)
    for j in range(whole, i):
        _subtract(target, U[j, i], B[j], start, stop)


@inner
def decompose(A: FloatArray, n: Int, least: Float) -> None:
    """Replace the upper triangle of A by U with ``U'U = A``.

    Parameters
    ----------
    A : ndarray of float64 of shape (>= n, >= n)
        INOUT. Only the upper triangle of the first n rows is read and written.
    n : int
    least : float
        What a pivot is at least in exact arithmetic: a smaller one is rounding, as is one that is
        nothing beside the largest, and to divide by it would make rounding grow without end.
    """
    for i in range(n):
        least = max(least, ROUNDING * A[i, i])
    for i in range(n):
        row = A[i]
        _subtract_before(A, i, A, row, i, n)
        root = np.sqrt(max(row[i], least))
        row[i] = root
        for k in range(np.uint64(i + 1), np.uint64(n)):
            row[k] /= root


@inner
def solve_lower(U: FloatArray, n: Int, B: FloatArray, width: Int) -> None:
    """Replace the first n rows of B by ``U'^-1 B``.

    Parameters
    ----------
    U : ndarray of float64 of shape (>= n, >= n)
        Upper triangular.
    n, width : int
    B : ndarray of float64 of shape (>= n, >= width)
        INOUT.
    """
    for i in range(n):
        row, pivot = B[i], U[i, i]
        _subtract_before(U, i, B, row, 0, width)
        for k in range(np.uint64(width)):
            row[k] /= pivot


@inner
def solve_upper(U: FloatArray, n: Int, b: FloatArray) -> None:
    """Replace the first n elements of b, INOUT, by ``U^-1 b``."""
    for j in range(n - 1, -1, -1):
        total = b[j]
        for k in range(j + 1, n):
            total -= U[j, k] * b[k]
        b[j] = total / U[j, j]


@inner
def add_product(W: FloatArray, n: Int, sign: Float, P: FloatArray) -> None:
    """Add ``sign * W'W`` of the first n rows of W to the upper triangle of P.

    Parameters
    ----------
    W : ndarray of float64 of shape (>= n, w)
    n : int
    sign : float
    P : ndarray of float64 of shape (w, w)
        INOUT. Four rows at a time, whose products are added to each other first.
    """
    width, whole = P.shape[0], n - n % 4
    for i in range(0, whole, 4):
        for j in range(width):
            a, b, c, d = W[i, j], W[i + 1, j], W[i + 2, j], W[i + 3, j]
            if a != 0.0 or b != 0.0 or c != 0.0 or d != 0.0:  # levels are mostly zero
                factors = (-sign * a, -sign * b, -sign * c, -sign * d)
                _subtract_four(P[j], factors, W, i, j, width)
    for i in range(whole, n):
        for j in range(width):
            _subtract(P[j], -sign * W[i, j], W[i], j, width)


@kernel
def solve_positive(A: FloatArray, b: FloatArray, least: float) -> None:
    """Replace b by ``A^-1 b``, and A by its decomposition.

    Parameters
    ----------
    A : ndarray of float64 of shape (n, n)
        Positive definite, INOUT.
    b : ndarray of float64 of shape (n, 1)
        INOUT.
    least : float
        See :func:`decompose`.
    """
    n = A.shape[0]
    decompose(A, n, least)
    solve_lower(A, n, b, 1)
    solve_upper(A, n, b[:, 0])


@kernel
def solve_fixed(
    S: FloatArray, ridge: float, U: FloatArray, inverse: FloatArray, fixed: FloatArray
) -> None:
    """Solve for the fixed part, once all tasks are eliminated.

    Parameters
    ----------
    S : ndarray of float64 of shape (f + 1, f + 1)
        ``[F, y]' V^-1 [F, y]``, upper triangle.
    ridge : float
        Added to the diagonal but that of the intercept, the first.
    U : ndarray of float64 of shape (f, f)
        OUT, decomposition of ``F' V^-1 F + ridge``.
    inverse : ndarray of float64 of shape (f, f)
        OUT, ``U'^-1``.
    fixed : ndarray of float64 of shape (f, 3)
        OUT, the coefficients, ``U'^-1 F' V^-1 y``, and the diagonal of the inverse, which is the
        sums of squares of the columns of ``U'^-1``.
    """
    f = U.shape[0]
    for j in range(f):
        for k in range(f):
            U[j, k] = S[j, k] if k >= j else 0.0
            inverse[j, k] = 1.0 if k == j else 0.0
        U[j, j] += ridge if j > 0 else 0.0
        fixed[j, 0], fixed[j, 1], fixed[j, 2] = S[j, f], S[j, f], 0.0
    decompose(U, f, min(ridge, U[0, 0]))  # the first pivot, and what the others have at least
    solve_lower(U, f, fixed, 2)
    solve_upper(U, f, fixed[:, 0])
    solve_lower(U, f, inverse, f)
    for j in range(f):
        for k in range(f):
            fixed[k, 2] += inverse[j, k] * inverse[j, k]
