r"""Limits of shift, noise and sample size within which pooling helps: necessary and sufficient.

With a fixed mixture of auxiliary tasks, pooling n_1 of their rows with n_0 of the main task has
the error

.. math:: p^2 |m|^2 + \kappa(N) [p (1 - p) |m|^2 + p V] + (s_0 (1 - p) + s_1 p) \frac{d}{N - c}

with ``N = n_0 + n_1``, ``p = n_1 / N`` and ``c = d + 1``, the mean m and dispersion V of the
auxiliary shifts and their mean noise s_1. It helps where this is less than
:math:`s_0 d / (n_0 - c)`. The difference times its denominators is a polynomial of degree four
in n_1, so at most four sample sizes are break-even points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.polynomial import Polynomial
from scipy.optimize import brentq

from rmtgb.transfer.basic_errors import kappa, spread
from rmtgb.transfer.problem import LinearTransferProblem, check_problem
from rmtgb.transfer.results import BreakEven


@dataclass(frozen=True)
class _Mixture:
    """Main task and auxiliary mixture, in which only the number of auxiliary rows is open."""

    n_main: float
    n_features: int
    main_noise: float
    noise: float  # mean over auxiliary rows
    mean2: float  # |m|^2
    dispersion: float  # V

    @property
    def main_error(self) -> float:
        excess = self.n_main - self.n_features - 1
        return self.main_noise * self.n_features / excess if excess > 0 else np.inf

    def shift_cost(self, n: float) -> float:
        """Return what the shifts add to the error of pooling n auxiliary rows."""
        total = self.n_main + n
        p = n / total
        factor = kappa(total, self.n_features)
        return p * p * self.mean2 + factor * (p * (1 - p) * self.mean2 + p * self.dispersion)

    def gain(self, n: float, noise: float | None = None) -> float:
        """Return how much the variance falls by pooling n auxiliary rows."""
        total, auxiliary = self.n_main + n, self.noise if noise is None else noise
        mean_noise = (self.n_main * self.main_noise + n * auxiliary) / total
        return self.main_error - mean_noise * self.n_features / (total - self.n_features - 1)

    def benefit(self, n: float) -> float:
        return self.gain(n) - self.shift_cost(n)


def break_even(problem: LinearTransferProblem) -> BreakEven:
    """Find how different, how noisy and how many auxiliary rows may be for pooling to help.

    Parameters
    ----------
    problem : LinearTransferProblem
        A main task and one auxiliary task or more, with a common covariance, more than
        ``d + 1`` rows together, and at least one auxiliary row. Several auxiliary tasks are
        taken as a mixture in their present proportions.

    Returns
    -------
    limits : BreakEven
        Exact. If the main task has no more than ``d + 1`` rows its own error is infinite, and
        no shift or noise prevents pooling from helping.

    Raises
    ------
    ValueError
        If there is no auxiliary row, too few rows, or another covariance than the common one.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, break_even
    >>> problem = LinearTransferProblem([8, 12], [1, 1], shift_gram=[[1]], n_features=3)
    >>> round(break_even(problem).largest_shift, 6)
    1.168511
    """
    check_problem(problem)
    if problem.has_task_covariances or problem.has_test_metric:
        raise ValueError("Break-even values are known for one covariance of all rows only.")
    counts, d = problem.n_samples.astype(np.float64), problem.n_features
    n = float(counts[1:].sum())
    if n == 0:
        raise ValueError("There must be at least one auxiliary row.")
    if counts.sum() <= d + 1:
        raise ValueError(
            f"All tasks together must have more than {d + 1} rows, they have {counts.sum():.0f}."
        )
    share = np.concatenate([[0.0], counts[1:] / n])
    mixture = _Mixture(
        counts[0],
        d,
        float(problem.noise_variance[0]),
        float(share @ problem.noise_variance),
        *spread(share, problem.gram),
    )
    gain, cost = mixture.gain(n), mixture.shift_cost(n)
    factor = _shift_factor(gain, cost)
    intervals = _helpful_intervals(mixture)
    return BreakEven(
        gain=gain,
        shift_factor=factor,
        largest_shift=_largest_shift(mixture, factor, gain, n),
        largest_noise_ratio=_largest_noise_ratio(mixture, n, cost),
        largest_noise_ratio_without_shift=_largest_noise_ratio(mixture, n, 0.0),
        helpful_sample_sizes=intervals,
        first_row_helps=bool(intervals) and bool(intervals[0][0] == 0),
        many_rows_help=bool(intervals) and bool(np.isinf(intervals[-1][1])),
    )


def _shift_factor(gain: float, cost: float) -> float:
    if gain <= 0:
        return 0.0
    return float(np.sqrt(gain / cost)) if cost > 0 and np.isfinite(gain) else np.inf


def _largest_shift(mixture: _Mixture, factor: float, gain: float, n: float) -> float:
    """Return the norm of the mean shift at the factor; of one task if there is no shift now."""
    if mixture.mean2 > 0 or mixture.dispersion > 0:
        return factor * float(np.sqrt(mixture.mean2)) if factor > 0 else 0.0
    if gain <= 0 or np.isinf(gain):
        return max(gain, 0.0)
    unit = _Mixture(mixture.n_main, mixture.n_features, 0.0, 0.0, 1.0, 0.0)
    return float(np.sqrt(gain / unit.shift_cost(n)))


def _largest_noise_ratio(mixture: _Mixture, n: float, cost: float) -> float:
    """Return the ratio s_1 / s_0 at which gain and cost are equal, if noise were all to change."""
    if np.isinf(mixture.main_error):
        return np.inf
    room = mixture.gain(n, noise=0.0) - cost
    if room <= 0:
        return 0.0
    total = mixture.n_main + n
    per_noise = n / total * mixture.n_features / (total - mixture.n_features - 1)
    return float(room / per_noise / mixture.main_noise) if mixture.main_noise > 0 else 0.0


def _helpful_intervals(mixture: _Mixture) -> tuple[tuple[float, float], ...]:
    """Return the open intervals of n_1 > 0 in which pooling helps."""
    c = mixture.n_features + 1
    if mixture.n_main <= c:  # the main task's own error is infinite
        return ((max(0.0, c - mixture.n_main), np.inf),)
    edges = [0.0, *_roots(mixture), np.inf]
    intervals: list[tuple[float, float]] = []
    for low, high in pairwise(edges):
        inside = (low + high) / 2 if np.isfinite(high) else 2 * low + 1e3 * mixture.n_main
        if mixture.benefit(inside) <= 0:
            continue
        if intervals and intervals[-1][1] == low:  # a root without change of sign
            low, high = intervals.pop()[0], high
        intervals.append((low, high))
    return tuple(intervals)


def _roots(mixture: _Mixture) -> list[float]:
    """Return the positive zeros of the benefit, in ascending order."""
    # In units of n_0, so that the coefficients are of one order whatever the sizes.
    zeros = _numerator(mixture).roots()
    near = np.abs(zeros.imag) <= 1e-6 * (1 + np.abs(zeros.real))
    candidates = np.unique(zeros.real[near & (zeros.real > 0)]) * mixture.n_main
    return sorted(_polish(mixture.benefit, candidates))


def _numerator(mixture: _Mixture) -> Polynomial:
    """Return the quartic in ``x = n_1 / n_0`` whose sign is minus that of the benefit."""
    n0, d, c = mixture.n_main, mixture.n_features, mixture.n_features + 1.0
    x = Polynomial([0.0, 1.0])
    total = 1 + x  # N / n_0
    minus_one, plus_two, excess = total - 1 / n0, total + 2 / n0, total - c / n0
    own_excess = 1 - c / n0
    common = minus_one * plus_two * excess
    factor = (c * total**2 - (c + 4) / n0 * total + 2 * c / n0**2) / n0  # times common
    shift = x * mixture.mean2 * common + factor * (mixture.mean2 + total * mixture.dispersion)
    noise = mixture.noise * total * minus_one * plus_two * d / n0
    # s_0 [total (1 / excess) - total^2 / own_excess] / x, by hand: it has a factor x.
    main = -mixture.main_noise * d / n0 * total * minus_one * plus_two * (x + 2 - c / n0)
    return own_excess * (shift + noise) + main


def _polish(function: Callable[[float], float], candidates: np.ndarray) -> list[float]:
    """Return zeros near the candidates to full precision."""
    polished = []
    for root in candidates:
        low, high = root * (1 - 1e-6), root * (1 + 1e-6)
        if function(low) * function(high) < 0:
            polished.append(float(brentq(function, low, high, xtol=1e-12 * root, rtol=1e-14)))
        else:
            polished.append(float(root))
    return polished
