"""What is known about the tasks of MultiTab-Bench."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from rmtgb._common import FloatArray, IntArray
from rmtgb.datasets.gaussian_moments import polynomial_moments
from rmtgb.datasets.multitab_targets import (
    NoisyPolynomial,
    least_count_error,
    least_error_rate,
    least_level_error,
    make_count_rate,
    polynomial,
    power_sum,
)


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
    task_types : tuple of str, length n_tasks
        Type of each task: "regression", "binary", "multiclass", "ordinal" or "count".
    thresholds : tuple of ndarray of float64, length n_tasks
        Limits between classes on the noisy polynomial, ascending; empty for regression and
        counts.
    outlier_tasks : ndarray of shape (n_outlier_tasks,), int64
        Labels of the outlier tasks.
    mean_count : ndarray of shape (n_tasks,), float64
        Mean of each task of counts; not read of other types.
    missing_intercept, missing_slope : ndarray of shape (n_tasks,), float64
        Log-odds that a label is missing at the mean of the noisy polynomial, and what each
        standard deviation of it adds.

    Attributes
    ----------
    target_mean, target_variance : ndarray of shape (n_tasks,), float64
        Moments of the noisy targets, for classes and counts those of the noisy polynomial.
    target_correlation : ndarray of shape (n_tasks, n_tasks), float64
        Correlation matrix of the same.
    noise_floor : ndarray of shape (n_tasks,), float64
        Error that no model can go below: for regression and counts the root mean squared
        error, for classes the share of wrong ones, for levels of an ordinal task the mean
        absolute error (regression is exact, the others have an error of about 1e-4).

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
    mean_count: FloatArray
    missing_intercept: FloatArray
    missing_slope: FloatArray

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
            Targets without noise, for classes and counts the polynomial that they are made of.

        Raises
        ------
        ValueError
            If `X` does not have that shape.
        """
        Y = self.latent_scores(X)
        for task, degree in enumerate(self.degrees):
            Y[:, task] = power_sum(Y[:, task], degree)
        return Y

    def noisy_polynomial(self, task: int) -> NoisyPolynomial:
        """Return the distribution of a task's noisy polynomial.

        Parameters
        ----------
        task : int
            Label of the task.

        Returns
        -------
        distribution : NoisyPolynomial
        """
        return self._noisy_polynomials[task]

    def count_rates(self, values: npt.ArrayLike, task: int) -> FloatArray:
        """Compute the mean of a task's counts.

        Parameters
        ----------
        values : array-like of float
            Values of its noisy polynomial.
        task : int
            Label of a task of type "count".

        Returns
        -------
        rates : ndarray of float64, of the shape of `values`
            Means of the Poisson distributions that the counts are drawn from.

        Raises
        ------
        ValueError
            If the task is of another type.
        """
        if self.task_types[task] != "count":
            raise ValueError(f"task must be one of counts, {task} is of {self.task_types[task]}.")
        rate = make_count_rate(self.noisy_polynomial(task), float(self.mean_count[task]))
        return rate(np.asarray(values, dtype=np.float64))

    def missing_probability(self, values: npt.ArrayLike, task: int) -> FloatArray:
        """Compute the probability that a task's label is missing.

        Parameters
        ----------
        values : array-like of float
            Values of its noisy polynomial, which in regression is the label itself.
        task : int
            Label of the task.

        Returns
        -------
        probability : ndarray of float64, of the shape of `values`
        """
        standardised = self.noisy_polynomial(task).standardise(
            np.asarray(values, dtype=np.float64)
        )
        log_odds = self.missing_intercept[task] + self.missing_slope[task] * standardised
        probability: FloatArray = expit(log_odds)
        return probability

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
        return np.array([self._least_error(task) for task in range(len(self.degrees))])

    def _least_error(self, task: int) -> float:
        target, thresholds = self.noisy_polynomial(task), self.thresholds[task]
        match self.task_types[task]:
            case "regression":
                return target.noise
            case "count":
                return least_count_error(target, self.mean_count[task])
            case "ordinal":
                return least_level_error(target, thresholds)
        return least_error_rate(target, thresholds)

    @cached_property
    def _noisy_polynomials(self) -> list[NoisyPolynomial]:
        pairs = zip(self.degrees, self.noise.tolist(), strict=True)
        return [NoisyPolynomial(*pair) for pair in pairs]

    @cached_property
    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """Means and covariances of the noisy targets."""
        polynomials = [polynomial(degree) for degree in self.degrees]
        mean, covariance = polynomial_moments(polynomials, self.correlation)
        return mean, covariance + np.diag(self.noise**2)
