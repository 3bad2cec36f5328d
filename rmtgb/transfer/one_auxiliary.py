"""The best weight of a single auxiliary task, certified to be the global optimum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from rmtgb._common import FloatArray
from rmtgb.transfer.basic_errors import main_only_error, pooled_rows_error, spread
from rmtgb.transfer.branch_and_bound import CertifiedMinimum, minimise
from rmtgb.transfer.fixed_design import FixedDesign
from rmtgb.transfer.one_knob import KnobCoefficients, knob_coefficients
from rmtgb.transfer.problem import LinearTransferProblem
from rmtgb.transfer.results import OptimalWeights

_FIXED_TOLERANCE, _FIXED_NODES = 1e-6, 50_000
_RANDOM_TOLERANCE, _RANDOM_NODES = 1e-3, 2_000
# Logarithm of the factor by which a search may leave the weight of large samples. In 90 % of 222
# random problems the optimum was within a factor of 1.4 of it; a search this wide missed none.
_LOG_REACH = 10.0
# Where a search begins if its guess is an end: errors may be infinite there, and small beside it.
_EDGE = 1e-12
# Share of a task in a direction below which it is rounding: the square of what that leaves of a 0.
_ONE_TASK = 1e-26


def weights_at(u: float) -> FloatArray:
    """Return weights (1, u / (1 - u)), or (0, 1) at the end u = 1."""
    return np.array([1.0, u / (1.0 - u)]) if u < 1 else np.array([0.0, 1.0])


class RandomDesignError:
    """Exact error of a random design over ``u = a / (1 + a)``, with bounds on intervals.

    Parameters
    ----------
    problem : LinearTransferProblem
        A main task and one or more auxiliary tasks, all with rows, which share the weight a; a
        common covariance, more than ``d + 1`` rows together.
    """

    def __init__(self, problem: LinearTransferProblem) -> None:
        counts = problem.n_samples
        self.n_main, self.n_auxiliary = int(counts[0]), int(counts[1:].sum())
        self.n_features = problem.n_features
        share = np.concatenate([[0.0], counts[1:] / self.n_auxiliary])
        self.noise = np.array([problem.noise_variance[0], share @ problem.noise_variance])
        self.shift2, self.dispersion = spread(share, problem.gram)
        main_only = main_only_error(problem)
        self.ends, self._end_variances = [main_only, np.inf], [main_only, np.inf]
        if self.n_auxiliary > self.n_features + 1:
            others = pooled_rows_error(problem, np.arange(problem.n_tasks) > 0)
            self.ends[1], self._end_variances[1] = others.error, others.variance
        self._memory: dict[float, KnobCoefficients] = {}

    def minimum(self, certified: bool = True) -> CertifiedMinimum:
        """Minimise over all weights; without certificate the lower bound says little."""
        inside = [_inside(u) for u in (_even_position(self.noise), self.guess())]
        inside += [self._descend(u) for u in inside]
        inside.append(0.5)  # pooling, so that nothing worse is returned
        nodes = _RANDOM_NODES if certified else 0
        return minimise(self.error, self.lower_bound, inside, _RANDOM_TOLERANCE, nodes)

    def roughly_least(self) -> float:
        """Return the least error at a few weights about the guess."""
        guess = _inside(self.guess())
        centre = np.log(guess / (1 - guess))
        return min(self.error(_position(centre + step)) for step in (-4.0, -2.0, 0.0, 2.0))

    def guess(self) -> float:
        """Return the optimum of large samples: the noise of the others inflated by the shifts."""
        bias2 = self.shift2 * self.n_auxiliary / self.n_features
        inflated = self.noise[1] + bias2 + self.dispersion
        return _even_position(np.array([self.noise[0], inflated]))

    def error(self, u: float) -> float:
        """Return squared bias and variance together."""
        if u in (0.0, 1.0):
            return self.ends[int(u)]
        factors = self._factors(u)
        bias2 = factors.mean_shift * self.shift2 + factors.dispersion * self.dispersion
        return self._variance(u) + bias2

    def lower_bound(self, low: float, high: float) -> float:
        """Bound the error on an interval from below; the dispersion is left out.

        The variance is least at the point next to ``s_0 / s_1``, where each part of it has its
        only minimum; the squared bias is at least what the smaller and the larger of two
        increasing functions give at opposite ends.
        """
        d = self.n_features
        # Limits of both functions for weight 0 and for main weight 0.
        square = self._factors(low).square if low > 0 else float(max(0, d - self.n_main))
        most = float(min(d, self.n_auxiliary)) ** 2
        trace_square = self._factors(high).trace_square if high < 1 else most
        n = self.n_main + self.n_auxiliary
        bias2 = self.shift2 * max(0.0, (n - 1) * square - trace_square) / (d * (n - d - 1))
        return self._variance(min(max(_even_position(self.noise), low), high)) + bias2

    def _variance(self, u: float) -> float:
        """Return the variance, at the ends its limit even if a task alone has an infinite one."""
        if u in (0.0, 1.0) and np.isfinite(self._end_variances[int(u)]):
            return self._end_variances[int(u)]
        factors = self._factors(u)
        return float(factors.main_noise * self.noise[0] + factors.auxiliary_noise * self.noise[1])

    def _factors(self, u: float) -> KnobCoefficients:
        if u not in self._memory:
            weight = u / (1 - u) if u < 1 else np.inf  # as large as makes a difference
            self._memory[u] = knob_coefficients(
                self.n_main, self.n_auxiliary, self.n_features, weight
            )
        return self._memory[u]

    def _descend(self, start: float) -> float:
        """Search near a position, over the logarithm of the weight: it may be tiny."""
        centre = np.log(start / (1 - start))
        found = minimize_scalar(
            lambda log_weight: self.error(_position(log_weight)),
            bounds=(centre - _LOG_REACH, centre + _LOG_REACH),
            method="bounded",
            options={"xatol": 1e-6},
        )
        return _position(found.x)


class FixedDesignError:
    """Exact error of given designs over u with the weight ``a = c u / (1 - u)``, and its bounds.

    The unit c is the ratio of noise variances ``s_0 / s_1``, or 1 if there is none. The basis V
    makes both second moments diagonal, ``V' (S_0 + c S_1) V = I`` and ``c V' S_1 V = diag(mu)``.

    Parameters
    ----------
    design : FixedDesign
        Of two tasks, together not singular.
    """

    def __init__(self, design: FixedDesign) -> None:
        noise = design.noise_variance
        self.unit = float(noise[0] / noise[1]) if (noise > 0).all() else 1.0
        self.noise = noise * [1.0, self.unit]
        main, auxiliary = design.designs[0], np.sqrt(self.unit) * design.designs[1]
        Q, R = np.linalg.qr(np.concatenate([main, auxiliary]))
        Q0, Q1 = Q[: len(main)], Q[len(main) :]
        Z = _common_directions(Q0, Q1)
        #: Share of the main task in each direction, and of the auxiliary one: they sum to one.
        self.rest, self.mu = (np.sum((part @ Z) ** 2, axis=0) for part in (Q0, Q1))
        # Directions of one task only are told exactly, as their limits at the ends differ.
        self.rest[self.rest < _ONE_TASK], self.mu[self.mu < _ONE_TASK] = 0.0, 0.0
        self.shift = Z.T @ R @ design.shifts[1]
        if design.test_root is None:
            self.metric_root = np.linalg.qr(Q0 @ Z, mode="r") / np.sqrt(len(main))
        else:
            self.metric_root = design.test_root @ np.linalg.solve(R, Z)
        self.lengths2 = np.sum(self.metric_root**2, axis=0)

    def weights(self, u: float) -> FloatArray:
        """Return the weights at a position."""
        return weights_at(u) * ([1.0, self.unit] if u < 1 else 1.0)

    def minimum(self) -> CertifiedMinimum:
        """Minimise over all weights."""
        # There may be several minima: a grid finds a good one before the bounds do.
        starts = [_even_position(self.noise), *np.linspace(0, 1, 65)[1:-1].tolist()]
        return minimise(self.error, self.lower_bound, starts, _FIXED_TOLERANCE, _FIXED_NODES)

    def error(self, u: float) -> float:
        """Return squared bias and variance together."""
        if (u == 0 and self.rest.min() == 0) or (u == 1 and self.mu.min() == 0):
            return np.inf  # a direction that no task with a weight determines
        bias = self.metric_root @ (self._pull(u)[0] * self.shift)
        return float(bias @ bias) + self._variance(u)

    def lower_bound(self, low: float, high: float) -> float:
        """Bound the error on an interval: each part of the variance has one minimum."""
        pull = self._pull(low)[0]
        at_low = np.linalg.norm(self.metric_root @ (pull * self.shift))
        length = np.abs(self.shift) * np.sqrt(self.lengths2)
        bias = max(0.0, float(at_low - length @ (self._pull(high)[0] - pull)))
        return self._variance(min(max(_even_position(self.noise), low), high)) + bias**2

    def _pull(self, u: float) -> tuple[FloatArray, FloatArray]:
        """Return how far each direction is pulled to the auxiliary task, 0 to 1, and the rest."""
        own, other = (1 - u) * self.rest, u * self.mu
        m = own + other
        pull = np.divide(other, m, out=(self.rest == 0).astype(np.float64), where=m > 0)
        rest = np.divide(own, m, out=(self.rest > 0).astype(np.float64), where=m > 0)
        return pull, rest

    def _variance(self, u: float) -> float:
        """Return the variance, at the ends its limit."""
        pull, rest = self._pull(u)
        # Where both tasks tell a direction, noise is mixed as they are; otherwise it is one's.
        own = np.divide(rest**2, self.rest, out=np.zeros_like(rest), where=self.rest > 0)
        other = np.divide(pull**2, self.mu, out=np.zeros_like(pull), where=self.mu > 0)
        return float(self.lengths2 @ (own * self.noise[0] + other * self.noise[1]))


def _common_directions(Q0: FloatArray, Q1: FloatArray) -> FloatArray:
    """Return the orthogonal Z with orthogonal columns of both ``Q0 Z`` and ``Q1 Z``.

    For ``Q0' Q0 + Q1' Q1 = I``. Singular values tell small sines from each other but no cosines
    near one: directions of mostly the second task are told apart by what the first says of them.
    """
    _, sines, turned = np.linalg.svd(np.linalg.qr(Q1, mode="r"))
    Z: FloatArray = turned.T
    n_large = int(np.sum(sines**2 > 0.5))
    large = Z[:, :n_large]
    again = np.linalg.svd(np.linalg.qr(Q0 @ large, mode="r"))[2]
    Z[:, :n_large] = large @ again.T
    return Z


def _position(log_weight: float) -> float:
    """Return u, in (0, 1) as far as it is not rounded to an end."""
    return float(1.0 / (1.0 + np.exp(-log_weight)))


def _inside(u: float) -> float:
    """Return a position near one that may be an end, where a task has no noise."""
    return min(max(u, _EDGE), 1.0 - _EDGE)


def _even_position(noise: FloatArray) -> float:
    """Return where the weight is the ratio of noise variances."""
    total = float(noise.sum())
    return float(noise[0]) / total if total > 0 else 0.5


def fixed_design_optimal_weight(
    designs: Sequence[Any],
    coefficients: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    test_covariance: npt.ArrayLike | None = None,
) -> OptimalWeights:
    """Find the weight of one auxiliary task with the least error, for given designs.

    Parameters
    ----------
    designs : sequence of 2 array-like of shape (n_k, d), float
        Features of the main and of the auxiliary task.
    coefficients : array-like of shape (2, d), float
        Coefficients of both tasks.
    noise_variance : array-like of shape (2,), float
        Variance of the noise of both tasks.
    test_covariance : array-like of shape (d, d), float, optional
        Metric of the error; by default ``X_0' X_0 / n_0``.

    Returns
    -------
    weights : OptimalWeights
        Exact, a global minimum up to the certified gap.

    Raises
    ------
    ValueError
        If there are not two tasks, shapes do not fit, or both designs together are singular or
        so nearly that rounding of their entries changes the error; see `fixed_design_error`.

    Notes
    -----
    The error may have several minima, so descent is not enough.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtgb.transfer import fixed_design_optimal_weight
    >>> designs = [np.eye(2), np.diag([1, 10])]
    >>> best = fixed_design_optimal_weight(designs, [[0, 0], [0, 1]], [1, 0.01], np.eye(2))
    >>> best.weights.round(1)
    array([ 1. , 48.5])
    """
    if len(designs) != 2:
        raise ValueError(f"designs must hold two matrices, got {len(designs)}.")
    design = FixedDesign.from_arrays(designs, coefficients, noise_variance, test_covariance)
    pooled = sum(design.error(np.ones(2)))  # refuses singular designs
    error = FixedDesignError(design)
    minimum = error.minimum()
    weights = error.weights(minimum.position)
    design.error(weights)  # refuses what rounding decides, at these weights too
    return OptimalWeights(
        weights,
        minimum.value,
        design.main_only_error(),
        float(pooled),
        minimum.lower_bound,
        minimum.value - minimum.lower_bound,
        "exact",
    )
