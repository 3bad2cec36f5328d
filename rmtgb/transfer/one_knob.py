r"""Exact error with weight 1 on the main task and one weight a on all auxiliary tasks.

With :math:`M = W_0 + a W_1` for the Wishart matrices of the main and of all auxiliary rows,
:math:`U` the share of the second and :math:`r = (I + (a - 1) U)^{-1}`, every term of the error
is an expectation of sums over the eigenvalues of U, which :mod:`rmtgb.transfer.jacobi_ensemble`
computes by quadrature.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.transfer.basic_errors import spread
from rmtgb.transfer.jacobi_ensemble import jacobi_ensemble
from rmtgb.transfer.problem import LinearTransferProblem

# Ratios of weights from which on functions change quickly near the ends, and beyond which nothing
# changes any more within the digits of a float.
_SMOOTH_RATIO, LARGEST_RATIO = 1e3, 1e15


@dataclass(frozen=True)
class KnobCoefficients:
    """Factors of the error at one weight; see the error of :func:`knob_parts`.

    Parameters
    ----------
    main_noise, auxiliary_noise : float
        Factors v_0 and v_1 of the noise variances.
    mean_shift : float
        Factor gamma of the squared mean shift.
    dispersion : float
        Factor psi of the dispersion between auxiliary tasks.
    square, trace_square : float
        ``a^2 E tr F^2`` and ``a^2 E (tr F)^2`` with ``F = U r``, which increase with a.
    """

    main_noise: float
    auxiliary_noise: float
    mean_shift: float
    dispersion: float
    square: float
    trace_square: float


def knob_coefficients(
    n_main: int, n_auxiliary: int, n_features: int, weight: float
) -> KnobCoefficients:
    """Compute the factors of the error by quadrature.

    Parameters
    ----------
    n_main, n_auxiliary : int
        Rows of the main task and of all auxiliary tasks, together more than ``d + 1``.
    n_features : int
        Number of features d.
    weight : float
        Weight a > 0 of an auxiliary row, that of a main row being 1; beyond 1e15 and below 1e-15
        the same as there.

    Returns
    -------
    coefficients : KnobCoefficients
        With a relative error of about 1e-12.
    """
    weight = min(max(weight, 1 / LARGEST_RATIO), LARGEST_RATIO)
    graded = not 1 / _SMOOTH_RATIO < weight < _SMOOTH_RATIO
    ensemble = jacobi_ensemble(n_main, n_auxiliary, n_features, graded)
    zero, one = np.zeros(1), np.ones(1)
    values = np.array(_functions(ensemble.u, ensemble.rest, weight))
    at_zero = np.array(_functions(zero, one, weight))
    at_one = np.array(_functions(one, zero, weight))
    # In the order of _functions: F, F^2, (1 - u) r^2, u r^2, u.
    mean, (trace_square, cross) = ensemble.moments(
        values, at_zero[:, 0], at_one[:, 0], pairs=[(0, 0), (3, 4)]
    )
    n, d = float(n_main + n_auxiliary), n_features
    excess = n - d - 1
    square, trace_square = weight**2 * float(mean[1]), weight**2 * trace_square
    gamma = ((n - 1) * square - trace_square) / (d * excess)
    psi = 0.0
    if n_auxiliary > 1:
        inner = n * (weight**2 * cross + 2 * square) - 2 * (trace_square + 2 * square)
        psi = (n_auxiliary * inner / (d * excess * (n_auxiliary + 2)) - gamma) / (n_auxiliary - 1)
    return KnobCoefficients(
        main_noise=float(mean[2]) / excess,
        auxiliary_noise=weight**2 * float(mean[3]) / excess,
        mean_shift=gamma,
        dispersion=psi,
        square=square,
        trace_square=trace_square,
    )


def _functions(u: FloatArray, rest: FloatArray, weight: float) -> list[FloatArray]:
    """Evaluate functions of u; `rest` is 1 - u, of which little is left where u is near 1."""
    r = 1.0 / (rest + weight * u)
    return [u * r, (u * r) ** 2, rest * r**2, u * r**2, u]


def knob_parts(problem: LinearTransferProblem, weight: float) -> tuple[float, float]:
    """Compute squared bias and variance with one weight on all auxiliary rows.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks with rows and a common covariance; with another test covariance at most one
        auxiliary task.
    weight : float
        Weight a > 0.

    Returns
    -------
    bias2, variance : float
        ``gamma |m|^2 + psi V`` with mean m and dispersion V of the auxiliary shifts, and
        ``v_0 s_0 + v_1 s_1`` with their mean noise variance s_1.
    """
    counts, noise = problem.n_samples, problem.noise_variance
    n_main, n_auxiliary, d = int(counts[0]), int(counts[1:].sum()), problem.n_features
    factors = knob_coefficients(n_main, n_auxiliary, d, weight)
    share = np.concatenate([[0.0], counts[1:] / n_auxiliary])
    variance = factors.main_noise * noise[0] + factors.auxiliary_noise * float(share @ noise)
    if problem.has_test_metric:
        bias2 = _bias_in_test_metric(problem, factors, n_main + n_auxiliary)
        return bias2, variance * problem.trace_ratio / d
    mean2, dispersion = spread(share, problem.gram)
    return factors.mean_shift * mean2 + factors.dispersion * dispersion, variance


def _bias_in_test_metric(
    problem: LinearTransferProblem, factors: KnobCoefficients, n_rows: int
) -> float:
    """Return the squared bias of one auxiliary task where errors count in another metric.

    F is orthogonally invariant and independent of the sum W of both Wishart matrices. So
    ``E F C F = p C + q tr(C) I`` for symmetric C, with p and q from two contractions, and
    ``E tr(W^-1 B) W = (N tr(B) I - 2 B) / (N - d - 1)`` for the test metric B.
    """
    d = problem.n_features
    both = (2 * factors.square + factors.trace_square) / (d * (d + 2))
    q = (d * factors.square - factors.trace_square) / (d * (d + 2) * (d - 1)) if d > 1 else 0.0
    own, test = problem.gram[1, 1], problem.test_gram[1, 1]
    trace_part = (n_rows * problem.trace_ratio * own - 2 * test) / (n_rows - d - 1.0)
    return float((both - q) * test + q * trace_part)
