"""What data say about a transfer problem, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from rmtgb.transfer.fixed_design import is_singular
from rmtgb.transfer.pooling import dispersion_factor
from rmtgb.transfer.problem import FloatArray, LinearTransferProblem, as_floats, check_covariance
from rmtgb.transfer.results import Result, SafeCombination

# Part of a feature's size below which its variation is taken for rounding.
_ROUNDING = 1e-12
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
    ValueError
        If there is no auxiliary task, shapes do not fit, values are not finite, a task has too
        few rows for a fit of its own, or its features are collinear; the message names the task.

    Notes
    -----
    With fits ``w_k`` and noise variances ``s_k`` of their residuals, an inner product of shifts
    is estimated by that of the fitted ones less what noise adds to it, ``s_0 tr(S S_0^-1)`` and on
    the diagonal also ``s_k tr(S S_k^-1)``. That is unbiased given the designs, without any normal
    distribution; standard errors are those of normal noise.

    Even for equal tasks the standard error of a benefit is at least about ``sqrt(2 / d)`` times
    what can be gained: with few features "helps" is rarely possible.

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
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, got {level!r}.")
    fits = _fit_tasks(X_list, y_list, fit_intercept)
    d = fits.coefficients.shape[1]
    if covariance is None:
        metric = fits.moments.sum(axis=0) / fits.counts.sum()
    else:
        metric = as_floats("covariance", covariance, (d, d))
        check_covariance("covariance", metric, singular=False)
    gram = _unbiased_gram(fits, metric)
    possible = _without_negative_eigenvalues(gram)
    problem = LinearTransferProblem(fits.counts, fits.noise, shift_gram=possible, n_features=d)
    quantile = float(ndtri((1 + level) / 2))
    auxiliary = range(1, len(fits.counts))
    spreads = [_form_variance(fits, [k], np.ones((1, 1)), metric) for k in auxiliary]
    noise_parts = [_noise_variance_of_shift(fits, k, metric) for k in auxiliary]
    return EstimatedProblem(
        problem=problem,
        coefficients=fits.coefficients,
        auxiliary_coefficients=np.linalg.solve(
            fits.moments[1:].sum(axis=0), fits.pulls[1:].sum(axis=0)
        ),
        shift_gram=gram,
        squared_shift=np.diag(gram).copy(),
        squared_shift_standard_error=np.sqrt(np.add(spreads, noise_parts)),
        each=tuple(_benefit(fits, [k], metric, quantile) for k in auxiliary),
        together=_benefit(fits, list(auxiliary), metric, quantile),
    )


@dataclass(frozen=True)
class _Fits:
    """Least squares on each task alone."""

    counts: npt.NDArray[np.int64]  # (K + 1,), less one each where intercepts were fitted
    coefficients: FloatArray  # (K + 1, d)
    noise: FloatArray  # (K + 1,), residual variances
    moments: FloatArray  # (K + 1, d, d), X' X about the means
    inverses: FloatArray  # (K + 1, d, d)
    pulls: FloatArray  # (K + 1, d), X' y

    @property
    def residual_rows(self) -> FloatArray:
        return (self.counts - self.coefficients.shape[1]).astype(np.float64)


def _fit_tasks(X_list: Sequence[Any], y_list: Sequence[Any], fit_intercept: bool) -> _Fits:
    if len(X_list) != len(y_list) or len(X_list) < 2:
        raise ValueError(
            f"X_list and y_list must have one item per task, two or more, got {len(X_list)} and "
            f"{len(y_list)}."
        )
    parts = []
    width = None
    for k, (X, y) in enumerate(zip(X_list, y_list, strict=True)):
        rows = as_floats(f"X_list[{k}]", X, (None, width))
        width = rows.shape[1]
        target = as_floats(f"y_list[{k}]", y, (len(rows),))
        parts.append(fit_one(rows, target, fit_intercept, f"task {k}"))
    counts, coefficients, noise, moments, pulls = zip(*parts, strict=True)
    stacked = np.stack(moments)
    return _Fits(
        np.array(counts),
        np.stack(coefficients),
        np.array(noise),
        stacked,
        np.linalg.inv(stacked),
        np.stack(pulls),
    )


def fit_one(
    X: FloatArray, y: FloatArray, fit_intercept: bool, name: str
) -> tuple[int, FloatArray, float, FloatArray, FloatArray]:
    """Fit least squares; return rows, coefficients, noise variance, X' X and X' y."""
    size = np.abs(X).max(axis=0, initial=0.0)
    if fit_intercept and len(X):
        X, y = X - X.mean(axis=0), y - y.mean()
    n, d = len(X) - fit_intercept, X.shape[1]
    if n <= d:
        raise ValueError(
            f"{name} has {len(X)} rows; a fit of {d} features and its noise needs at least "
            f"{d + 1 + fit_intercept}."
        )
    S = X.T @ X
    # What rounding leaves of a constant is no variation.
    is_constant = np.diag(S) <= n * (_ROUNDING * size) ** 2
    if is_constant.any() or is_singular(S):
        raise ValueError(f"The features of {name} are collinear or constant: leave some out.")
    coefficients = np.asarray(np.linalg.lstsq(X, y, rcond=None)[0], np.float64)
    residuals = y - X @ coefficients
    return n, coefficients, float(residuals @ residuals) / (n - d), S, X.T @ y


def _unbiased_gram(fits: _Fits, metric: FloatArray) -> FloatArray:
    shifts = fits.coefficients[1:] - fits.coefficients[0]
    traces = fits.noise * np.einsum("ij,kji->k", metric, fits.inverses)
    gram = np.asarray(shifts @ metric @ shifts.T - traces[0] - np.diag(traces[1:]), np.float64)
    symmetric: FloatArray = (gram + gram.T) / 2
    return symmetric


def _without_negative_eigenvalues(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    kept: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
    symmetric: FloatArray = (kept + kept.T) / 2
    return symmetric


def _form_variance(fits: _Fits, tasks: list[int], form: FloatArray, metric: FloatArray) -> float:
    """Return the variance of ``sum_jk form_jk <v_j, v_k>`` over the fitted shifts v.

    For normal v with mean delta and covariance C the variance of ``v' A v`` is
    ``4 delta' A C A delta + 2 tr(A C A C)``; the first part is estimated without bias and kept
    at 0 or above.
    """
    d = metric.shape[0]
    shifts = (fits.coefficients[tasks] - fits.coefficients[0]).ravel()
    A = np.kron(form, metric)
    C = np.kron(np.ones((len(tasks), len(tasks))), fits.noise[0] * fits.inverses[0])
    for position, task in enumerate(tasks):
        own = slice(position * d, (position + 1) * d)
        C[own, own] += fits.noise[task] * fits.inverses[task]
    AC = A @ C
    square = float(np.sum(AC * AC.T))
    mean_part = float(shifts @ AC @ (A @ shifts)) - square
    return 4 * max(mean_part, 0.0) + 2 * square


def _noise_variance_of_shift(fits: _Fits, task: int, metric: FloatArray) -> float:
    """Return what estimating the noise adds to the variance of a squared shift."""
    used = [0, task]
    traces = np.einsum("ij,kji->k", metric, fits.inverses[used])
    return float(np.sum(2 * (traces * fits.noise[used]) ** 2 / fits.residual_rows[used]))


def _benefit(
    fits: _Fits, tasks: list[int], metric: FloatArray, quantile: float
) -> EstimatedBenefit:
    """Estimate the benefit of pooling some tasks, which is linear in forms and noise."""
    d, n_main = metric.shape[0], float(fits.counts[0])
    used = [0, *tasks]
    n_rows = float(fits.counts[used].sum())
    if n_main <= d + 1:  # the main task's own error is infinite
        return EstimatedBenefit(tuple(tasks), np.inf, 0.0, HELPS)
    share = fits.counts[used] / n_rows
    kappa = dispersion_factor(n_rows, d)
    form = (1 - kappa) * np.outer(share[1:], share[1:]) + kappa * np.diag(share[1:])
    shifts = fits.coefficients[tasks] - fits.coefficients[0]
    biased = float(np.sum(form * (shifts @ metric @ shifts.T)))
    # Factors of the noise variances: what the fits add to the form, and the errors' variances.
    traces = np.einsum("ij,kji->k", metric, fits.inverses[used])
    factors = traces * np.concatenate([[form.sum()], np.diag(form)]) - share * d / (n_rows - d - 1)
    factors[0] += d / (n_main - d - 1)
    noise = fits.noise[used]
    benefit = float(factors @ noise) - biased
    variance = _form_variance(fits, tasks, form, metric)
    variance += float(np.sum(2 * (factors * noise) ** 2 / fits.residual_rows[used]))
    error = float(np.sqrt(variance))
    verdict = CANNOT_TELL
    if abs(benefit) > quantile * error:
        verdict = HELPS if benefit > 0 else HURTS
    return EstimatedBenefit(tuple(tasks), benefit, error, verdict)


def safe_combination(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    auxiliary_coefficients: npt.ArrayLike,
    *,
    fit_intercept: bool = True,
) -> SafeCombination:
    r"""Move the coefficients of the main task towards auxiliary ones, but never too far.

    Parameters
    ----------
    X : array-like of shape (n_0, d), float
        Features of the main task.
    y : array-like of shape (n_0,), float
        Its target.
    auxiliary_coefficients : array-like of shape (d,), float
        Any coefficients that do not depend on these rows, such as the
        ``auxiliary_coefficients`` of `estimate_problem`.
    fit_intercept : bool, default=True
        Whether there is an intercept, which is not combined.

    Returns
    -------
    combination : SafeCombination
        With less than three features the main task's own coefficients: nothing else is safe.

    Raises
    ------
    ValueError
        If shapes do not fit, values are not finite, there are too few rows, or features are
        collinear.

    Notes
    -----
    With ``p = min(1, (d - 2) RSS / ((n_0 - d + 2) |w_0 - w|^2))`` in the metric X' X, the expected
    error on the rows of X is never above that of least squares, whatever the auxiliary
    coefficients are, if the noise is normal: this is the positive-part estimator of James and
    Stein, shrunken to a point that is not 0 [1]_.

    References
    ----------
    .. [1] A. Baranchik, "A Family of Minimax Estimators of the Mean of a Multivariate Normal
       Distribution", Annals of Mathematical Statistics 41, 1970.
    """
    rows = as_floats("X", X, (None, None))
    target = as_floats("y", y, (len(rows),))
    d = rows.shape[1]
    auxiliary = as_floats("auxiliary_coefficients", auxiliary_coefficients, (d,))
    n, main, noise, S, _ = fit_one(rows, target, fit_intercept, "the main task")
    if d < 3:
        note = "No weight is safe with less than three features."
        return SafeCombination(main, 0.0, main, note=note)
    difference = auxiliary - main
    distance2 = float(difference @ S @ difference)
    most = (d - 2) * noise * (n - d) / (n - d + 2)
    weight = 1.0 if distance2 <= most else most / distance2
    return SafeCombination(main + weight * difference, weight, main)
