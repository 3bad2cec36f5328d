"""What is known about the tasks of MultiTab-Bench."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from rmtgb._common import FloatArray, IntArray
from rmtgb.datasets.gaussian_moments import polynomial_moments

# Points of equal probability that stand for the distribution of a latent score: what depends
# on it is right to about the reciprocal of their number.
_N_POINTS = 20_001


@dataclass(frozen=True, eq=False)
class MultiTabTruth:
    """What is known about the tasks of `make_multitab_bench`.

    Parameters
    ----------
    weights : ndarray of shape (n_tasks, n_columns), float64
        Unit vectors w_t; zero for irrelevant features.
    correlation : ndarray of shape (n_tasks, n_tasks), float64
        Cosines of the weights, and so correlations of the latent scores.
    degrees : tuple of int, length n_tasks
        Degree of each task's polynomial.
    noise : ndarray of shape (n_tasks,), float64
        Standard deviation of the noise of each task, in the unit of the target.
    task_types : tuple of {"regression", "binary", "multiclass"}, length n_tasks
        Type of each task.
    thresholds : tuple of ndarray of float64, length n_tasks
        Limits between classes on the noisy polynomial, ascending; empty for regression.
    outlier_tasks : ndarray of shape (n_outlier_tasks,), int64
        Labels of the outlier tasks.

    Attributes
    ----------
    target_mean, target_variance : ndarray of shape (n_tasks,), float64
        Moments of the noisy targets, for classes those before the thresholds.
    target_correlation : ndarray of shape (n_tasks, n_tasks), float64
        Correlation matrix of the same.
    noise_floor : ndarray of shape (n_tasks,), float64
        Error that no model can go below: for regression the root mean squared error, for
        classes the share of wrong ones (with an absolute error of about 1e-4).

    Notes
    -----
    The moments are exact: see `rmtgb.datasets.gaussian_moments`. Functions of the rows are
    methods, not arrays, so that the truth costs no memory and holds for new rows as well.
    """

    weights: FloatArray
    correlation: FloatArray
    degrees: tuple[int, ...]
    noise: FloatArray
    task_types: tuple[str, ...]
    thresholds: tuple[FloatArray, ...]
    outlier_tasks: IntArray

    def latent_scores(self, X: npt.ArrayLike) -> FloatArray:
        """Compute the latent score of each row for each task.

        Parameters
        ----------
        X : array-like of shape (n, n_columns)
            Features in the wide layout, without a task column.

        Returns
        -------
        Z : ndarray of shape (n, n_tasks), float64
            ``X @ weights.T``, with standard normal columns.

        Raises
        ------
        ValueError
            If `X` does not have that shape.
        """
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.weights.shape[1]:
            raise ValueError(
                f"X must have shape (n, {self.weights.shape[1]}), got {rows.shape}; leave out "
                f"the task column."
            )
        # Not matmul: one sum per row is one that neither threads nor other rows can change.
        scores: FloatArray = np.vecdot(rows[:, None, :], self.weights)
        return scores

    def noise_free_targets(self, X: npt.ArrayLike) -> FloatArray:
        """Compute the polynomial of each latent score.

        Parameters
        ----------
        X : array-like of shape (n, n_columns)
            Features in the wide layout, without a task column.

        Returns
        -------
        Y : ndarray of shape (n, n_tasks), float64
            Targets without noise, for classes before the thresholds.

        Raises
        ------
        ValueError
            If `X` does not have that shape.
        """
        Y = self.latent_scores(X)
        for task, degree in enumerate(self.degrees):
            Y[:, task] = power_sum(Y[:, task], degree)
        return Y

    @property
    def target_mean(self) -> FloatArray:
        """Mean of each target, (n_tasks,)."""
        return self._moments[0]

    @property
    def target_variance(self) -> FloatArray:
        """Variance of each target, (n_tasks,)."""
        return self._moments[1].diagonal()

    @property
    def target_correlation(self) -> FloatArray:
        """Correlation matrix of the targets, (n_tasks, n_tasks)."""
        deviation = np.sqrt(self.target_variance)
        correlation: FloatArray = self._moments[1] / np.outer(deviation, deviation)
        return correlation

    @property
    def noise_floor(self) -> FloatArray:
        """Least error that can be reached in each task, (n_tasks,)."""
        tasks = zip(self.task_types, self.degrees, self.noise, self.thresholds, strict=True)
        floors = [
            noise if task_type == "regression" else least_error_rate(degree, noise, thresholds)
            for task_type, degree, noise, thresholds in tasks
        ]
        return np.array(floors)

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Means and covariances of the noisy targets."""
        polynomials = [[0.0] + [1.0] * degree for degree in self.degrees]
        mean, covariance = polynomial_moments(polynomials, self.correlation)
        return mean, covariance + np.diag(self.noise**2)


def power_sum(z: FloatArray, degree: int) -> FloatArray:
    """Return ``z + z**2 + ... + z**degree``, by Horner's rule."""
    value = z.copy()
    for _ in range(degree - 1):
        value += 1.0
        value *= z
    return value


def find_thresholds(degree: int, noise: float, n_classes: int) -> FloatArray:
    """Find limits between equally frequent classes of a noisy polynomial.

    Quantiles of the population, not of a sample: the class of a row depends on no other row.

    Parameters
    ----------
    degree : int
        Degree of the polynomial.
    noise : float
        Standard deviation of the noise.
    n_classes : int
        Number of classes.

    Returns
    -------
    thresholds : ndarray of shape (n_classes - 1,), float64
        Ascending limits.
    """
    values = _polynomial_values(degree)
    shares = np.arange(1, n_classes) / n_classes
    if noise == 0:
        return np.quantile(values, shares)
    low, high = values.min() - 40 * noise, values.max() + 40 * noise

    def excess(threshold: float, share: float) -> float:
        return float(ndtr((threshold - values) / noise).mean() - share)

    return np.array([brentq(excess, low, high, args=(share,)) for share in shares])


def least_error_rate(degree: int, noise: float, thresholds: FloatArray) -> float:
    """Return the share of wrong classes of the best possible classifier."""
    if noise == 0:
        return 0.0
    values = _polynomial_values(degree)
    below = ndtr((thresholds[:, None] - values) / noise)
    n = values.size
    probabilities = np.diff(np.vstack([np.zeros(n), below, np.ones(n)]), axis=0)
    return float(1.0 - probabilities.max(axis=0).mean())


def _polynomial_values(degree: int) -> FloatArray:
    """Return values of the polynomial at points of equal probability."""
    points = ndtri((np.arange(_N_POINTS) + 0.5) / _N_POINTS)
    return power_sum(points, degree)
