"""Pictures of a transfer problem: which weight, and how far and how many."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from rmtgb._common import FloatArray, check_integer, import_pyplot
from rmtgb.transfer.basic_errors import main_only_error, spread
from rmtgb.transfer.pooling import pooled_error
from rmtgb.transfer.problem import LinearTransferProblem, check_problem
from rmtgb.transfer.weighting import weighted_error

_FACTORS = (0.0, 3.0)  # of all shifts, in the map
_COUNTS = (0.05, 20.0)  # of all auxiliary rows, in the map
_MIN_POINTS = 5
_LARGEST_WEIGHT = 1e12


@dataclass(frozen=True, eq=False, repr=False)
class TransferDisplay:
    """Error over the weight of the auxiliary tasks, and where pooling helps.

    Make it with `from_problem`.

    Parameters
    ----------
    problem : LinearTransferProblem
        The problem.
    weights : ndarray of shape (n_points,), float64
        Weights of an auxiliary row, that of a main row being 1.
    errors : ndarray of shape (n_points,), float64
        Exact errors at these weights, the same for all auxiliary tasks.
    main_only_error, pooled_error : float
        Errors of the main task alone, and at weight 1.
    best_weight, best_error : float
        The least error with one weight for all auxiliary tasks.
    break_even_weight : float
        Weight above which the error is that of the main task alone or more; infinite if none is.
    shift_factors : ndarray of shape (n_columns,), float64
        Factors of all shifts in the map.
    n_auxiliary : ndarray of shape (n_lines,), float64
        Total numbers of auxiliary rows in the map.
    benefits : ndarray of shape (n_lines, n_columns), float64
        Benefit of pooling as a share of the main task's own error.

    Attributes
    ----------
    figure_ : matplotlib Figure
        The figure, after `plot`.
    axes_ : ndarray of matplotlib Axes of shape (2,)
        Curve and map, after `plot`.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, TransferDisplay
    >>> problem = LinearTransferProblem([10, 12], [1, 1], shift_gram=[[1]], n_features=3)
    >>> display = TransferDisplay.from_problem(problem)
    >>> round(display.best_weight, 2), round(display.break_even_weight, 2)
    (0.19, 0.94)
    >>> display.plot()  # doctest: +SKIP
    """

    problem: LinearTransferProblem
    weights: FloatArray
    errors: FloatArray
    main_only_error: float
    pooled_error: float
    best_weight: float
    best_error: float
    break_even_weight: float
    shift_factors: FloatArray
    n_auxiliary: FloatArray
    benefits: FloatArray

    def __repr__(self) -> str:
        names = ("best_weight", "best_error", "main_only_error", "pooled_error")
        return f"TransferDisplay({', '.join(f'{n}={getattr(self, n):.6g}' for n in names)})"

    @classmethod
    def from_problem(
        cls, problem: LinearTransferProblem, *, n_points: int = 61
    ) -> TransferDisplay:
        """Compute what is to be drawn.

        Parameters
        ----------
        problem : LinearTransferProblem
            With more than ``d + 1`` main rows with noise, at least one auxiliary row, and one
            covariance of all rows. That of an `EstimatedProblem` is its ``problem``.
        n_points : int, default=61
            Points of the curve and lines of the map, 5 or more.

        Returns
        -------
        display : TransferDisplay

        Raises
        ------
        TypeError, ValueError
            If the problem is another one, or there are fewer points.
        """
        check_problem(problem)
        n_points = check_integer("n_points", n_points, minimum=_MIN_POINTS)
        if problem.has_task_covariances or problem.has_test_metric:
            raise ValueError("The display is for one covariance of all rows only.")
        own = main_only_error(problem)
        if np.isinf(own) or problem.n_samples[1:].sum() == 0:
            raise ValueError(
                f"The display needs at least {problem.n_features + 2} main rows and an auxiliary "
                f"row, got {problem.n_samples.tolist()}."
            )
        if own == 0:
            raise ValueError("The display needs noise in the main task: alone it has no error.")
        guess = _large_sample_weight(problem)
        weights = np.geomspace(min(1e-3, guess / 1e2), max(1e2, guess * 1e2), n_points)
        errors = np.array([_knob_error(problem, weight) for weight in weights])
        best = _best_weight(problem, weights, errors)
        factors = np.linspace(*_FACTORS, n_points)
        n_others = problem.n_samples[1:]
        least = np.count_nonzero(n_others) / n_others.sum()  # a row of each
        counts = np.geomspace(max(_COUNTS[0], least), _COUNTS[1], n_points)
        return cls(
            problem,
            weights,
            errors,
            own,
            pooled_error(problem).error,
            best,
            _knob_error(problem, best),
            _break_even_weight(problem, weights, errors, own),
            factors,
            counts * n_others.sum(),
            np.array([[_scaled_benefit(problem, f, c) for f in factors] for c in counts]) / own,
        )

    def plot(self) -> TransferDisplay:
        """Draw the curve and the map.

        Returns
        -------
        self : TransferDisplay
            With `figure_` and `axes_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot()
        figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
        self._draw_curve(axes[0])
        figure.colorbar(self._draw_map(axes[1]), ax=axes[1], label="benefit / error alone")
        object.__setattr__(self, "figure_", figure)
        object.__setattr__(self, "axes_", axes)
        return self

    def _draw_curve(self, axis: Any) -> None:
        axis.plot(self.weights, self.errors, color="#3b7dd8")
        axis.axhline(self.main_only_error, color="#555555", linestyle="--", label="main task only")
        axis.plot(1, self.pooled_error, "s", color="#8a8a8a", label="pooled")
        axis.plot(self.best_weight, self.best_error, "o", color="#d1495b", label="best weight")
        if np.isfinite(self.break_even_weight):
            axis.plot(
                self.break_even_weight,
                self.main_only_error,
                "D",
                color="black",
                label="break-even",
            )
        axis.set_xscale("log")
        axis.set_ylim(0, min(self.errors.max(), 2.5 * self.main_only_error) * 1.05)
        axis.set(xlabel="weight of an auxiliary row", ylabel="expected excess error")
        axis.legend(frameon=False)

    def _draw_map(self, axis: Any) -> Any:
        grid = self.shift_factors, self.n_auxiliary
        shown = np.clip(self.benefits, -1, 1)
        image = axis.pcolormesh(*grid, shown, vmin=-1, vmax=1, cmap="RdBu", shading="nearest")
        if self.benefits.min() < 0 < self.benefits.max():
            axis.contour(*grid, self.benefits, levels=[0.0], colors="black", linewidths=1)
        axis.plot(1, self.problem.n_samples[1:].sum(), "k*", markersize=11)
        axis.set_yscale("log")
        axis.set(xlabel="all shifts times", ylabel="auxiliary rows", title="where pooling helps")
        return image


def _knob_error(problem: LinearTransferProblem, weight: float) -> float:
    weights = np.full(problem.n_tasks, weight)
    weights[0] = 1.0
    return weighted_error(problem, weights).error


def _large_sample_weight(problem: LinearTransferProblem) -> float:
    """Return the best weight of many rows: the noise of the others, inflated by their shifts."""
    n_others = problem.n_samples[1:]
    share = np.concatenate([[0.0], n_others / n_others.sum()])
    mean2, dispersion = spread(share, problem.gram)
    noise = float(share @ problem.noise_variance) + dispersion
    inflated = noise + n_others.sum() * mean2 / problem.n_features
    if inflated == 0:
        return 1.0
    return float(np.clip(problem.noise_variance[0] / inflated, 1 / _LARGEST_WEIGHT, 1e2))


def _best_weight(problem: LinearTransferProblem, weights: FloatArray, errors: FloatArray) -> float:
    """Return the weight of the least error, between the neighbours of the best point."""
    best = int(errors.argmin())
    around = np.log(weights[[max(best - 1, 0), min(best + 1, len(weights) - 1)]])
    found = minimize_scalar(
        lambda log_weight: _knob_error(problem, float(np.exp(log_weight))),
        bounds=tuple(around),
        method="bounded",
    )
    return float(np.exp(found.x))


def _break_even_weight(
    problem: LinearTransferProblem, weights: FloatArray, errors: FloatArray, own: float
) -> float:
    """Return the largest weight at which the error falls below that of the main task alone."""
    helps = np.flatnonzero(errors < own)
    if helps.size == 0:
        return 0.0
    low = high = float(weights[helps[-1]])
    while _knob_error(problem, high) < own:
        low, high = high, high * 10
        if high > _LARGEST_WEIGHT:
            return np.inf
    root = brentq(lambda x: _knob_error(problem, float(np.exp(x))) - own, *np.log([low, high]))
    return float(np.exp(root))


def _scaled_benefit(problem: LinearTransferProblem, shift: float, rows: float) -> float:
    """Return the benefit of pooling with other shifts and other numbers of auxiliary rows."""
    counts = np.maximum(np.rint(problem.n_samples * rows), 1).astype(np.int64)
    counts[0] = problem.n_samples[0]
    counts[problem.n_samples == 0] = 0
    scaled = replace(
        problem,
        n_samples=counts,
        coefficients=None,
        shift_gram=problem.gram[1:, 1:] * shift**2,
        covariance=None,
    )
    return pooled_error(scaled).benefit
