"""What data say about a transfer problem, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from rmtgb._common import FloatArray
from rmtgb.transfer.least_squares import ROUNDING, Fits, fit_tasks
from rmtgb.transfer.problem import LinearTransferProblem, as_floats, check_covariance
from rmtgb.transfer.results import Result

_TINY = np.finfo(np.float64).tiny
HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell at this sample size"


@dataclass(frozen=True, repr=False, eq=False)
class EstimatedBenefit(Result):
    """Estimated benefit of pooling auxiliary tasks with the main task.

    Parameters
    ----------
    tasks : tuple of int
        Numbers of the auxiliary tasks that are pooled with task 0.
    benefit : float
        Unbiased estimate of how much the expected squared error falls, given the designs; may be
        negative. Squared unit of the target.
    standard_error : float
        Its standard error, for normal noise.
    verdict : {"helps", "hurts", "cannot tell at this sample size"}
        Whether zero is outside the confidence interval.
    status : {"approximation"}
        An estimate.
    """

    tasks: tuple[int, ...]
    benefit: float
    standard_error: float
    verdict: str
    status: str = "approximation"


@dataclass(frozen=True, repr=False, eq=False)
class EstimatedProblem(Result):
    """A transfer problem estimated from data, with the benefit of each auxiliary task.

    Parameters
    ----------
    problem : LinearTransferProblem
        Plug-in problem: the estimates below, negative eigenvalues of the Gram matrix set to 0.
        Its numbers of rows are less by one each if intercepts were fitted.
    coefficients : ndarray of shape (K + 1, d), float64
        Least squares on each task alone.
    auxiliary_coefficients : ndarray of shape (d,), float64
        Least squares on the rows of all auxiliary tasks, each with its own intercept.
    shift_gram : ndarray of shape (K, K), float64
        Unbiased estimate of the inner products of the shifts, given the designs; need not be
        positive semidefinite.
    squared_shift : ndarray of shape (K,), float64
        Its diagonal: an estimate of the squared shift of each task, which may be negative.
    squared_shift_standard_error : ndarray of shape (K,), float64
        Standard error of each, for normal noise.
    main_only_error : float
        Unbiased estimate of the error of the main task alone, given its design.
    each : tuple of EstimatedBenefit, length K
        Benefit of pooling each auxiliary task alone with the main task.
    together : EstimatedBenefit
        Benefit of pooling all of them with the main task.
    status : {"approximation"}
        Estimates.
    """

    problem: LinearTransferProblem
    coefficients: FloatArray
    auxiliary_coefficients: FloatArray
    shift_gram: FloatArray
    squared_shift: FloatArray
    squared_shift_standard_error: FloatArray
    main_only_error: float
    each: tuple[EstimatedBenefit, ...]
    together: EstimatedBenefit
    status: str = "approximation"

    def __repr__(self) -> str:
        return f"EstimatedProblem\n{self.to_frame().to_string()}"

    def to_frame(self) -> Any:
        """Return a table with a line for each auxiliary task, and one for all together.

        Returns
        -------
        frame : DataFrame
            Columns rows, noise_variance, squared_shift, squared_shift_se, benefit, benefit_se
            and verdict; indexed by the numbers of the tasks and "all".
        """
        import pandas as pd

        lines = [*self.each, self.together]
        counts = self.problem.n_samples[1:]
        missing = [np.nan]
        return pd.DataFrame(
            {
                "rows": [*counts.tolist(), int(counts.sum())],
                "noise_variance": [*self.problem.noise_variance[1:], *missing],
                "squared_shift": [*self.squared_shift, *missing],
                "squared_shift_se": [*self.squared_shift_standard_error, *missing],
                "benefit": [line.benefit for line in lines],
                "benefit_se": [line.standard_error for line in lines],
                "verdict": [line.verdict for line in lines],
            },
            index=pd.Index([*range(1, len(lines)), "all"], name="task"),
        )


def estimate_problem(
    X_list: Sequence[Any],
    y_list: Sequence[Any],
    *,
    covariance: npt.ArrayLike | None = None,
    fit_intercept: bool = True,
    level: float = 0.95,
) -> EstimatedProblem:
    """Estimate a transfer problem, and whether the auxiliary tasks help, from data.

    Parameters
    ----------
    X_list : sequence of array-like of shape (n_k, d), float
        Features of each task, the main task first; frames are taken as arrays.
    y_list : sequence of array-like of shape (n_k,), float
        Target of each task.
    covariance : array-like of shape (d, d), float, optional
        Covariance of the features; by default that of the rows of all tasks about their means.
    fit_intercept : bool, default=True
        Whether each task has an intercept of its own. Rows are then centred within tasks,
        which costs one row of each.
    level : float, default=0.95
        Level of the two-sided confidence interval that a verdict needs to exclude 0.

    Returns
    -------
    estimate : EstimatedProblem

    Raises
    ------
    TypeError, ValueError
        If there is no auxiliary task, shapes do not fit, values are not finite, a task has too
        few rows for a fit of its own, or its features are collinear; the message names the task.

    Notes
    -----
    With fits ``w_k`` and noise variances ``s_k`` of their residuals, an inner product of shifts
    is estimated by that of the fitted ones less what noise adds to it, ``s_0 tr(S S_0^-1)`` and on
    the diagonal also ``s_k tr(S S_k^-1)``. That is unbiased given the designs, without any normal
    distribution; standard errors are those of normal noise.

    A verdict takes many features or a large difference: even for equal tasks the standard error
    of a benefit is at least about ``sqrt(2 / d)`` times what can be gained.

    Weights from these estimates are not the optimal ones. Where the shift is of the order of its
    standard error, they remain worse than known ones however many rows there are; and weights and
    fit from the same rows can be worse than the main task alone. `safe_combination` cannot.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtgb.transfer import estimate_problem
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.standard_normal((n, 3)) for n in (20, 200)]
    >>> noise = [rng.standard_normal(n) for n in (20, 200)]
    >>> y = [X[0] @ [1.0, 2.0, 3.0] + noise[0], X[1] @ [3.0, 2.0, 1.0] + noise[1]]
    >>> estimate_problem(X, y).together.verdict
    'hurts'
    """
    if isinstance(level, bool) or not isinstance(level, Real) or not 0 < level < 1:
        raise ValueError(f"level must be a number between 0 and 1, got {level!r}.")
    fits = fit_tasks(X_list, y_list, fit_intercept)
    d = fits.coefficients.shape[1]
    if covariance is None:
        metric = fits.moments.sum(axis=0) / fits.counts.sum()
    else:
        metric = as_floats("covariance", covariance, (d, d))
        check_covariance("covariance", metric, singular=False)
    gram = _unbiased_gram(fits, metric)
    possible = _without_negative_eigenvalues(gram)
    problem = LinearTransferProblem(fits.counts, fits.noise, shift_gram=possible, n_features=d)
    auxiliary = range(1, len(fits.counts))
    return EstimatedProblem(
        problem=problem,
        coefficients=fits.coefficients,
        auxiliary_coefficients=np.linalg.solve(
            fits.moments[1:].sum(axis=0), fits.pulls[1:].sum(axis=0)
        ),
        shift_gram=gram,
        squared_shift=np.diag(gram).copy(),
        squared_shift_standard_error=np.sqrt(
            [_shift_variance(fits, k, metric) for k in auxiliary]
        ),
        main_only_error=float(fits.noise[0] * np.sum(metric * fits.inverses[0])),
        each=tuple(_benefit(fits, [k], metric, level) for k in auxiliary),
        together=_benefit(fits, list(auxiliary), metric, level),
    )


def _unbiased_gram(fits: Fits, metric: FloatArray) -> FloatArray:
    shifts = fits.coefficients[1:] - fits.coefficients[0]
    traces = fits.noise * _traces(metric, fits.inverses)
    gram = np.asarray(shifts @ metric @ shifts.T - traces[0] - np.diag(traces[1:]), np.float64)
    symmetric: FloatArray = (gram + gram.T) / 2
    return symmetric


def _without_negative_eigenvalues(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    kept: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    symmetric: FloatArray = (kept + kept.T) / 2
    return symmetric


def _square_variance(fits: Fits, used: list[int], square: _Square) -> float:
    """Return the variance of ``factors @ noise - |v|^2`` with the noise variances estimated.

    For normal v with mean delta and covariance C that of ``|v|^2 = v' A v`` is
    ``4 delta' A C A delta + 2 tr(A C A C)``; the first part is estimated without bias and kept at
    0 or above.
    """
    noise, metric, vector = fits.noise[used], square.metric, square.vector
    AC = metric @ np.einsum("k,kij->ij", noise, square.parts)
    trace = float(np.sum(AC * AC.T))
    mean_part = float(vector @ AC @ (metric @ vector)) - trace
    of_noise = np.sum(2 * (square.factors * noise) ** 2 / fits.residual_rows[used])
    return 4 * max(mean_part, 0.0) + 2 * trace + float(of_noise)


@dataclass(frozen=True)
class _Square:
    """A squared norm of fitted coefficients, and what the noise of each task adds to it."""

    vector: FloatArray  # (d,)
    metric: FloatArray  # (d, d)
    parts: FloatArray  # (tasks, d, d), covariance of the vector by a unit of each noise variance
    factors: FloatArray  # (tasks,), of the noise variances beside the square


def _shift_variance(fits: Fits, task: int, metric: FloatArray) -> float:
    """Return the variance of an estimated squared shift, that of the noise's estimate included."""
    used = [0, task]
    shift, parts = fits.coefficients[task] - fits.coefficients[0], fits.inverses[used]
    return _square_variance(fits, used, _Square(shift, metric, parts, _traces(metric, parts)))


def _traces(metric: FloatArray, matrices: FloatArray) -> FloatArray:
    """Return the trace of the metric times each matrix."""
    traces: FloatArray = np.einsum("ij,kji->k", metric, matrices)
    return traces


def _benefit(fits: Fits, tasks: list[int], metric: FloatArray, level: float) -> EstimatedBenefit:
    """Estimate the benefit of pooling some tasks, given the designs.

    Pooling moves the main coefficients by ``sum_k M^-1 S_k delta_k``; its squared norm is the
    squared bias, and everything else is linear in the noise variances.
    """
    used = [0, *tasks]
    inverse = np.linalg.inv(fits.moments[used].sum(axis=0))
    pulls = inverse @ fits.moments[used]  # (1 + len(tasks), d, d)
    shifts = fits.coefficients[tasks] - fits.coefficients[0]
    moved = np.einsum("kij,kj->i", pulls[1:], shifts)
    # How far the noise of each fit moves it: that of the main task is in all shifts.
    reach = np.concatenate([pulls[1:].sum(axis=0)[None], pulls[1:]])
    parts = reach @ fits.inverses[used] @ reach.swapaxes(-1, -2)
    inside = _traces(metric, parts)
    factors = inside - _traces(metric, pulls @ inverse)
    factors[0] += np.sum(metric * fits.inverses[0])
    noise = fits.noise[used]
    benefit = float(factors @ noise - moved @ metric @ moved)
    error = float(np.sqrt(_square_variance(fits, used, _Square(moved, metric, parts, factors))))
    # Satterthwaite: residual rows of the tasks, by their parts of the noise in the form.
    added = inside * noise
    freedom = added.sum() ** 2 / max(np.sum(added**2 / fits.residual_rows[used]), _TINY)
    quantile = float(stdtrit(max(freedom, 1.0), (1 + level) / 2))
    size = float(fits.coefficients[0] @ metric @ fits.coefficients[0])
    verdict = CANNOT_TELL
    if abs(benefit) > max(quantile * error, ROUNDING * size):
        verdict = HELPS if benefit > 0 else HURTS
    return EstimatedBenefit(tuple(tasks), benefit, error, verdict)
