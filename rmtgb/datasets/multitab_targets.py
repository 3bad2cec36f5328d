"""What one task of MultiTab-Bench does with its latent score, and what follows from it.

Expectations over the score and the noise are means over points that stand for their
distribution: no random number is drawn for anything that is known of a task.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtr, ndtri

from rmtgb._common import FloatArray
from rmtgb.datasets.gaussian_moments import polynomial_moments

# Points of equal probability that stand for the distribution of a latent score: what depends
# on it is right to about the reciprocal of their number.
_N_POINTS = 20_001

# Steps of a sequence that fills the unit square evenly (powers of the reciprocal of the plastic
# number, arXiv 1809.01084): beside the evenly spread scores they give two independent noises.
_NOISE_STEPS = (0.7548776662466927, 0.5698402909980532)

# Of the range of a noisy polynomial, what the levels of an ordinal task divide evenly.
_ORDINAL_RANGE = (0.05, 0.95)


@dataclass(frozen=True)
class NoisyPolynomial:
    """The variable ``v = z + z**2 + ... + z**degree + noise * e`` with normal z and e.

    Parameters
    ----------
    degree : int
        Degree of the polynomial, 1 or more.
    noise : float
        Standard deviation of the noise.
    """

    degree: int
    noise: float

    def standardise(self, v: FloatArray) -> FloatArray:
        """Return v with mean 0 and variance 1 in its distribution."""
        mean, deviation = self._moments
        return (v - mean) / deviation

    def scores_below(self, limits: FloatArray) -> FloatArray:
        """Return the probability of each limit and point of z that v is below, (n, n_points)."""
        distance = limits[:, None] - _values_at_points(self.degree)
        if self.noise == 0:
            return (distance > 0).astype(np.float64)
        # A noise so small that the quotient overflows to an infinity has its limit there.
        with np.errstate(over="ignore"):
            below: FloatArray = ndtr(distance / self.noise)
        return below

    def quantiles(self, shares: FloatArray) -> FloatArray:
        """Return the values that v is below with these probabilities."""
        values = _values_at_points(self.degree)
        if self.noise == 0:
            return np.quantile(values, shares)
        low, high = values.min() - 40 * self.noise, values.max() + 40 * self.noise

        def excess(limit: float, share: float) -> float:
            return float(self.scores_below(np.array([limit])).mean() - share)

        return np.array([brentq(excess, low, high, args=(share,)) for share in shares])

    def two_draws(self) -> tuple[FloatArray, FloatArray]:
        """Return points of v, and others of the same scores with another noise."""
        values = _values_at_points(self.degree)
        place = np.arange(_N_POINTS) + 0.5
        first, second = (values + self.noise * ndtri(place * s % 1.0) for s in _NOISE_STEPS)
        return first, second

    @cached_property
    def _moments(self) -> tuple[float, float]:
        """Mean and standard deviation."""
        mean, covariance = polynomial_moments([polynomial(self.degree)], np.ones((1, 1)))
        return float(mean[0]), math.hypot(math.sqrt(covariance[0, 0]), self.noise)


def polynomial(degree: int) -> list[float]:
    """Return the coefficients of ``z + ... + z**degree``, the constant first."""
    return [0.0] + [1.0] * degree


def power_sum(z: FloatArray, degree: int) -> FloatArray:
    """Return ``z + z**2 + ... + z**degree``, by Horner's rule."""
    value = z.copy()
    for _ in range(degree - 1):
        value += 1.0
        value *= z
    return value


def find_thresholds(target: NoisyPolynomial, task_type: str, n_classes: int) -> FloatArray:
    """Find the limits between the classes of a task.

    They follow from the population, not from a sample: the class of a row depends on no other
    row.

    Parameters
    ----------
    target : NoisyPolynomial
        What is cut.
    task_type : str
        "binary" and "multiclass" have equally frequent classes, "ordinal" limits that divide
        the middle 90 % of the distribution evenly, so that some levels are rare; other types
        have no limits.
    n_classes : int
        Number of classes, if the type is not "binary".

    Returns
    -------
    thresholds : ndarray of shape (n_classes - 1,), float64
        Ascending limits.
    """
    if task_type in ("regression", "count"):
        return np.empty(0)
    if task_type == "ordinal":
        low, high = target.quantiles(np.array(_ORDINAL_RANGE))
        return np.linspace(low, high, n_classes + 1)[1:-1]
    n_classes = 2 if task_type == "binary" else n_classes
    return target.quantiles(np.arange(1, n_classes) / n_classes)


def least_error_rate(target: NoisyPolynomial, thresholds: FloatArray) -> float:
    """Return the share of wrong classes of the best possible classifier."""
    below = target.scores_below(thresholds)
    n = below.shape[1]
    probabilities = np.diff(np.vstack([np.zeros(n), below, np.ones(n)]), axis=0)
    return float(1.0 - probabilities.max(axis=0).mean())


def least_level_error(target: NoisyPolynomial, thresholds: FloatArray) -> float:
    """Return the mean absolute error of the best possible level, the conditional median."""
    # E|L - median| is the sum over limits k of min(P(L <= k), P(L > k)).
    below = target.scores_below(thresholds)
    return float(np.minimum(below, 1.0 - below).sum(axis=0).mean())


def make_count_rate(
    target: NoisyPolynomial, mean_count: float
) -> Callable[[FloatArray], FloatArray]:
    """Return the function from values of the noisy polynomial to the mean of the count.

    It is ``mean_count * softplus(s) / E[softplus(s)]`` with the standardised value s. Not the
    exponential, under which a polynomial of degree two or more has counts of infinite mean.
    """

    def softplus(v: FloatArray) -> FloatArray:
        return np.logaddexp(0.0, target.standardise(v))

    factor = mean_count / softplus(target.two_draws()[0]).mean()

    def rate(v: FloatArray) -> FloatArray:
        return factor * softplus(v)

    return rate


def least_count_error(target: NoisyPolynomial, mean_count: float) -> float:
    """Return the root mean squared error of the best possible prediction of a count."""
    rate = make_count_rate(target, mean_count)
    first, second = target.two_draws()
    # Var(count | z) = E[rate | z] + Var(rate | z), and a variance is half the mean squared
    # difference of two independent draws.
    overdispersion = 0.5 * np.mean((rate(first) - rate(second)) ** 2)
    return float(np.sqrt(mean_count + overdispersion))


def find_missing_intercept(target: NoisyPolynomial, share: float, slope: float) -> float:
    """Find a such that ``expit(a + slope * s)`` has the mean `share` over standardised values."""
    if share == 0:
        return -np.inf
    steps = slope * target.standardise(target.two_draws()[0])

    def excess(intercept: float) -> float:
        return float(expit(intercept + steps).mean() - share)

    start = np.log(share) - np.log1p(-share)
    reach = np.abs(steps).max() + 1.0
    return float(brentq(excess, start - reach, start + reach))


def _values_at_points(degree: int) -> FloatArray:
    """Return values of the polynomial at points of equal probability."""
    return power_sum(ndtri((np.arange(_N_POINTS) + 0.5) / _N_POINTS), degree)
