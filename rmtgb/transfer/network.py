r"""Bounds for linear networks with a shared representation, :math:`f_k(x) = x' B v_k`.

For designs with ``X_k' X_k = n_k S`` the global minimum of the weighted loss is a truncated
singular-value decomposition (Eckart and Young): in coordinates :math:`S^{1/2} w`, with
:math:`\alpha_k = \sqrt{a_k n_k}`, the columns :math:`\alpha_k \hat w_k` of the fits are a matrix
``Y + E`` with independent normal columns of variance :math:`\tau_k^2 = a_k s_k`, and the network's
main coefficients are the main fit projected on its first q left singular vectors. All bounds
below are for the error times :math:`\alpha_0^2`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray, check_integer
from rmtgb.transfer.dependence import ROUNDING
from rmtgb.transfer.problem import LinearTransferProblem, check_problem, check_weights
from rmtgb.transfer.results import NetworkBound

_TIE = 1e-12
# Where the refined bound is minimised: thresholds of the event as shares of the largest one, and
# exponents of Holder's inequality outside it. Every point of the grid gives a valid bound.
_THRESHOLDS = np.linspace(0.01, 0.99, 99)
_EXPONENTS = np.array([1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 50.0, 200.0])


def network_bound(
    problem: LinearTransferProblem, rank: int, weights: npt.ArrayLike | None = None
) -> NetworkBound:
    """Bound the main task's error of a linear network with a representation shared by all tasks.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks with coefficients and a common covariance S. The designs are taken as given, with
        ``X_k' X_k = n_k S``, and the noise as normal.
    rank : int
        Width q of the representation, 1 or more. From ``min(d, K + 1)`` on the network is least
        squares on each task alone.
    weights : array-like of shape (K + 1,), float, optional
        Weight of a row of each task in the loss, that of the main task above 0; by default all 1.
        Tasks without rows or with weight 0 take no part.

    Returns
    -------
    bound : NetworkBound
        In the metric of S.

    Raises
    ------
    TypeError, ValueError
        If there are no coefficients or no main rows, if covariances differ, or if rank or weights
        are not possible.

    Notes
    -----
    "simple" and "refined" bound the error by its first-order part and a remainder that is
    small where the gap between the q-th and the next singular value is many times the noise;
    "gap_free" needs no gap. A certificate needs a gap of at least twice the noise level in
    practice; without one a network may be better all the same.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtgb.transfer import LinearTransferProblem, network_bound
    >>> rng = np.random.default_rng(0)
    >>> W = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 30))
    >>> problem = LinearTransferProblem([500] * 12, [1.0] * 12, coefficients=W)
    >>> result = network_bound(problem, rank=2)
    >>> result.certified, result.binding
    (True, 'refined')
    """
    check_problem(problem)
    a = np.ones(problem.n_tasks) if weights is None else check_weights(weights, problem.n_tasks)
    check_network(problem, rank, a)
    used = np.flatnonzero(problem.active(a))
    root = np.linalg.cholesky(problem.common_covariance)
    spectrum = _Spectrum(
        Y=(np.sqrt(a * problem.n_samples)[:, None] * (problem.vectors @ root))[used].T,
        tau=np.sqrt(a * problem.noise_variance)[used],
        q=int(rank),
    )
    scale = float(a[0] * problem.n_samples[0])  # of errors: alpha_0^2
    main_only = spectrum.d * float(spectrum.tau[0]) ** 2 / scale
    direction = np.zeros(problem.n_tasks)
    if spectrum.q >= min(spectrum.Y.shape):
        inf = np.inf
        return NetworkBound(
            main_only, main_only, main_only, False, "least_squares", inf, inf, inf, inf, direction
        )
    bounds = {
        "simple": spectrum.simple() / scale,
        "refined": spectrum.refined() / scale,
        "gap_free": spectrum.gap_free() / scale,
    }
    binding = min(bounds, key=lambda name: bounds[name])
    direction[used] = spectrum.log_slopes()
    return NetworkBound(
        bound=bounds[binding],
        first_order=spectrum.first_order / scale,
        main_only_error=main_only,
        certified=bool(bounds[binding] < main_only * (1.0 - ROUNDING)),
        binding=binding,
        simple=bounds["simple"],
        refined=bounds["refined"],
        gap_free=bounds["gap_free"],
        spectral_gap=float(spectrum.gap / spectrum.mu) if spectrum.mu > 0 else np.inf,
        weight_direction=direction,
    )


def check_network(problem: LinearTransferProblem, rank: int, weights: FloatArray) -> None:
    """Refuse a problem, a rank or weights for which the network is not known."""
    check_integer("rank", rank, minimum=1)
    if problem.coefficients is None:
        raise ValueError("The network needs coefficients: shift_gram does not determine it.")
    if problem.has_task_covariances or problem.has_test_metric:
        raise ValueError("The network is known for one covariance of all rows only.")
    if problem.n_samples[0] == 0 or weights[0] == 0:
        raise ValueError("The main task needs rows and a weight above 0.")


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Singular values and all that the bounds need of them, in the notation of the docs."""

    Y: FloatArray  # (d, K + 1), noise-free columns
    tau: FloatArray  # (K + 1,), standard deviation of the noise of each column
    q: int

    @property
    def d(self) -> int:
        return len(self.Y)

    @cached_property
    def svd(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """All left and right singular vectors as columns, and the values."""
        U, sigma, Vt = np.linalg.svd(self.Y)
        return U, sigma, Vt.T

    @cached_property
    def sigma_q(self) -> float:
        return float(self.svd[1][self.q - 1])

    @cached_property
    def sigma_next(self) -> float:
        return float(self.svd[1][self.q])

    @cached_property
    def gap(self) -> float:
        """Delta; 0 where both values are equal up to rounding."""
        difference = self.sigma_q - self.sigma_next
        return difference if difference > _TIE * self.sigma_q else 0.0

    @cached_property
    def right(self) -> FloatArray:
        """First q right singular vectors, (K + 1, q)."""
        return self.svd[2][:, : self.q]

    @cached_property
    def main_row(self) -> FloatArray:
        """First row (and column) of the right projector Q."""
        return self.right @ self.right[0]

    @cached_property
    def leverage(self) -> float:
        return float(self.main_row[0])

    @cached_property
    def residual(self) -> FloatArray:
        """Main column outside the first q left singular vectors, (d,)."""
        left = self.svd[0][:, : self.q]
        return self.Y[:, 0] - left @ (left.T @ self.Y[:, 0])

    @cached_property
    def residual_norm(self) -> float:
        return float(np.linalg.norm(self.residual))

    @cached_property
    def shared_noise2(self) -> float:
        """T_Q^2: noise that the other tasks bring into the main one."""
        return float(np.sum((self.tau * self.main_row) ** 2))

    @cached_property
    def b(self) -> FloatArray:
        unit = np.zeros(len(self.tau))
        unit[0] = 1.0
        return self.tau * (unit - self.main_row)

    @cached_property
    def beta(self) -> float:
        return float(np.linalg.norm(self.b))

    @cached_property
    def mu(self) -> float:
        """Bound of the mean spectral norm of the noise (Chevet)."""
        return float(self.tau.max() * np.sqrt(self.d) + np.linalg.norm(self.tau))

    @cached_property
    def moments(self) -> dict[int, float]:
        """Bounds of the 2nd, 4th, 6th and 8th moment of the spectral norm of the noise."""
        t2 = float(self.tau.max()) ** 2
        m2 = self.mu**2 + t2
        m4 = m2**2 + 4 * t2 * m2
        m6 = m2 * m4 + 9 * t2 * m4
        return {2: m2, 4: m4, 6: m6, 8: m4**2 + 16 * t2 * m6}

    @cached_property
    def first_order(self) -> float:
        """L: error to first order in the noise."""
        own = self.q * float(self.tau[0]) ** 2
        return own + (self.d - self.q) * self.shared_noise2 + self.residual_norm**2

    def simple(self) -> float:
        """Return the bound with the plain remainder."""
        if self.gap == 0:
            return np.inf
        m, d = self.moments, self.d
        remainder = m[4] ** 0.25 * self.beta * (d * (d + 2)) ** 0.25
        remainder += np.sqrt(self.leverage * m[4])
        remainder += (self.sigma_next * np.sqrt(self.leverage) + self.residual_norm) * np.sqrt(
            m[2]
        )
        return float((np.sqrt(self.first_order) + 2 / self.gap * remainder) ** 2)

    def gap_free(self) -> float:
        """Return the bound that needs no gap between singular values."""
        noise = np.sqrt(self.moments[2])
        own, leverage = np.sqrt(self.d) * float(self.tau[0]), np.sqrt(self.leverage)
        lost = self.residual_norm + leverage * (self.sigma_next + noise)
        lost += np.sqrt(self.d * self.shared_noise2)
        first = own**2 + min(float(self.Y[:, 0] @ self.Y[:, 0]), lost**2)
        return float(min(first, (own + self.sigma_next + noise) ** 2))

    def refined(self) -> float:
        """Return the bound that tells good events from bad ones, at its best threshold."""
        scaled = self.tau[:, None] * self.right
        largest, total = np.linalg.norm(scaled, 2), np.linalg.norm(scaled)
        room = self.gap - largest * np.sqrt(self.q) - total
        if room <= 0:
            return np.inf
        spent = room * _THRESHOLDS if largest > 0 else np.zeros(1)
        x = spent / largest if largest > 0 else np.full(1, np.inf)  # no noise: no bad event
        c = self.gap / (room - spent)  # 1 / (1 - y)
        t1, t2, t3, t4 = self._terms(c, float(total))
        inside = np.sqrt((t1 + t4) ** 2 + (t2 + t3) ** 2)
        bounds = np.sqrt(self.first_order) + inside + self._outside(x)
        return float(bounds.min() ** 2)

    def _terms(self, c: FloatArray, total: float) -> tuple[FloatArray, ...]:
        """Return the four parts of the remainder on good events, each the least of options."""
        m, q, f = self.moments, self.q, self.d - self.q
        beta, gap, tau = self.beta, self.gap, self.tau
        m2, m4, m6 = np.sqrt(m[2]), np.sqrt(m[4]), np.sqrt(m[6])
        m4_fourth, m8_fourth = m[4] ** 0.25, m[8] ** 0.25
        outside = self._outside_columns()
        v_f, v_q = beta * (f * (f + 2)) ** 0.25, beta * (q * (q + 2)) ** 0.25
        e4 = (np.sum(tau**2) ** 2 + 2 * np.sum(tau**4)) ** 0.25
        a, s, leverage = self.residual_norm, self.sigma_next, np.sqrt(self.leverage)
        rest = c * m8_fourth * v_f + c * m4_fourth * 3**0.25 * beta * np.linalg.norm(outside)
        t1 = _least(
            c * m4_fourth * v_f / gap,
            beta * np.sqrt(f),
            c / self.sigma_q * (self._shared_square() + rest / gap),
        )
        t2 = _least(c * m4_fourth * v_q / gap, beta * np.sqrt(q))
        omega = np.sqrt(np.sum((self.right[0] / self.svd[1][:q]) ** 2))
        direct = s * np.linalg.norm(tau) + m4_fourth * e4
        t3 = _least(
            c * leverage * (s * m2 + m4) / gap,
            leverage * (s + m2),
            omega * (direct + c / gap * (s**2 * m2 + 2 * s * m4 + m6)),
        )
        along = np.linalg.norm(outside.T @ self.residual)
        t4 = _least(
            c * m2 * a / gap,
            a,
            c / self.sigma_q * (total * a + c / gap * (m4_fourth * e4 * a + m2 * along)),
        )
        return t1, t2, t3, t4

    def _shared_square(self) -> float:
        """Return X of the docs: noise of the residual columns seen by the first q."""
        f = self.d - self.q
        projected = self.right.T @ (self.tau * self.b)
        spread = np.sum((self.right * self.tau[:, None]) ** 2)
        square = f * (f + 1) * projected @ projected + f * self.beta**2 * spread
        return float(np.sqrt(square))

    def _outside_columns(self) -> FloatArray:
        """Return the columns outside the first q left singular vectors, (d, K + 1)."""
        U, sigma, V = self.svd
        k = len(sigma)
        return (U[:, self.q : k] * sigma[self.q :]) @ V[:, self.q : k].T

    def _outside(self, x: FloatArray) -> FloatArray:
        """Return R_x: the remainder on bad events, at its best exponent for each threshold."""
        r = np.sqrt(2 * _EXPONENTS - 1)
        size = self.beta * (np.sqrt(self.d) + r) + self.residual_norm
        size += np.sqrt(self.leverage) * (self.sigma_next + self.mu + r * self.tau.max())
        decay = np.exp(-np.multiply.outer(x**2, 1 - 1 / _EXPONENTS) / 4)
        least: FloatArray = (size * decay).min(axis=1)
        return least

    def log_slopes(self) -> FloatArray:
        """Return the derivatives of ``log(L / alpha_0^2)`` by the logarithm of each weight.

        By perturbation of both projectors: with D the relative changes of the columns, the Gram
        matrices change by ``Y'Y D + D Y'Y`` and ``2 Y D Y'``, ``D = 1/2`` for one weight.
        """
        if self.gap == 0 or self.first_order == 0:
            return np.zeros(len(self.tau))
        U, sigma, V = self.svd
        q = self.q
        values = np.zeros(V.shape[1])
        values[: len(sigma)] = sigma
        first, rest = values[:q, None], values[None, q:]
        pairs = V[:, :q, None] * V[:, None, q:] / (first**2 - rest**2)  # (task, i <= q, j > q)
        # Change of the first column of the right projector, and of the main column's residual.
        turned = 0.5 * pairs * (first**2 + rest**2)
        column = np.einsum("kij,mj,i->km", turned, V[:, q:], V[0, :q])
        column += np.einsum("kij,mi,j->km", turned, V[:, :q], V[0, q:])
        noise2 = self.tau**2
        slopes = (self.d - q) * 2 * column @ (noise2 * self.main_row)
        slopes += (self.d - q) * noise2 * self.main_row**2
        slopes[0] += q * noise2[0] + self.residual_norm**2
        n_left = min(U.shape[1], V.shape[1])  # further ones have no component in Y
        along = U.T[:n_left] @ self.Y[:, 0]
        moved = pairs[:, :, : n_left - q] * first * rest[:, : n_left - q]
        slopes -= 2 * np.einsum("kij,i,j->k", moved, along[:q], along[q:])
        result: FloatArray = slopes / self.first_order
        result[0] -= 1.0  # of the scale alpha_0^2
        return result


def _least(*options: FloatArray | float) -> FloatArray:
    """Return the least of several valid bounds, for each threshold."""
    return np.minimum.reduce(np.broadcast_arrays(*options))
