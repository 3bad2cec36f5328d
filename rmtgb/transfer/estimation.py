"""What data say about a transfer problem, and how sure that is."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from rmtgb._common import FloatArray, as_floats
from rmtgb.transfer.estimates import EstimatedBenefit, EstimatedProblem
from rmtgb.transfer.frames import Tasks, are_names, read_tasks
from rmtgb.transfer.least_squares import Fits, fit_one
from rmtgb.transfer.problem import LinearTransferProblem, check_covariance
from rmtgb.transfer.verdicts import (
    JudgedRows,
    Judgement,
    adjusted,
    judge,
    judged_rows,
    mean_inflation,
    square_variance,
    verdict,
)

# Variances of a direction that differ by more than this factor, beyond what few rows make of equal
# ones, are no chance even for features with heavy tails: of 4000 normal data with 1 to 10 features
# two were beyond these deviations, and none beyond the factor too.
_CLEARLY, _DEVIATIONS = 2.0, 1.5

_CONSTANT_NOTE = (
    "The main task's target is constant: nothing is known of its noise, and there is no verdict."
)


def estimate_problem(
    X_list: Any,
    y_list: Any,
    *,
    task: Any = None,
    main: Any = None,
    one_hot: bool = False,
    covariance: npt.ArrayLike | str | None = None,
    fit_intercept: bool = True,
    level: float = 0.95,
) -> EstimatedProblem:
    """Estimate a transfer problem, and whether the auxiliary tasks help, from data.

    Parameters
    ----------
    X_list : sequence, dict, or data frame
        Features of each task: a sequence of arrays or frames of shape (n_k, d), the main task
        first; a dict of them by label; or one frame of all rows with a column of labels. Columns
        of frames are matched by name.
    y_list : sequence, dict, array-like or str
        Target of each task in the same way, (n_k,); beside one frame an array with an entry for
        each row. For frames also the name of the column that holds it.
    task : label of a column, optional
        The column of labels, if all rows are in one frame.
    main : label, optional
        The main task, for a frame or a dict; the first of a dict by default.
    one_hot : bool, default=False
        Whether columns of text or categories become indicators of their values, all but the first.
    covariance : {"main", "all"} or array-like of shape (d, d), float, optional
        Covariance of the features in which errors count. "main", the default, is that of the main
        task's rows, which is right where features vary otherwise in other tasks. "all" is that of
        the rows of all tasks about their means. A frame is matched by name with named features.
    fit_intercept : bool, default=True
        Whether each task has an intercept of its own. Rows are then centred within tasks,
        which costs one row of each.
    level : float, default=0.95
        At the point of break-even, where neither is true, the probability of any verdict is
        ``1 - level`` or less; of the single tasks, that of any verdict on any of them. It can be
        more where noise grows with the features in which tasks differ and the others have fewer
        rows than the main task.

    Returns
    -------
    estimate : EstimatedProblem

    Warns
    -----
    UserWarning
        If features clearly vary otherwise in the main task than in the others.

    Raises
    ------
    TypeError, ValueError
        If there is no auxiliary task, shapes or columns do not fit, values are missing, infinite
        or text, a task has too few rows for a fit of its own, or its features are constant or
        collinear; the message names the task and the column.

    Notes
    -----
    With fits ``w_k`` and noise variances ``s_k`` of their residuals, an inner product of shifts
    is estimated by that of the fitted ones less what noise adds to it, ``s_0 tr(S S_0^-1)`` and on
    the diagonal also ``s_k tr(S S_k^-1)``. That is unbiased given the designs, without any normal
    distribution; standard errors are those of normal noise.

    The benefit of pooling is twice the covariance of the main task's own fit with its difference
    from the pooled one, less the square of that difference. Noise may be of another variance in
    each row of the main task. A verdict compares both with what they would be at break-even
    (`rmtgb.transfer.verdicts`); four fifths of ``1 - level`` go to "helps", the harder verdict.
    Even the best test finds equal tasks with d features only so often: at these 4 % in 7 % of
    all data for d = 1, 14 % for d = 3, 42 % for d = 10.

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
    tasks = read_tasks(X_list, y_list, task=task, main=main, one_hot=one_hot)
    fits = _fit_tasks(tasks, fit_intercept)
    whose, metric = _read_covariance(covariance, fits, tasks)
    note = _covariance_note(fits, tasks.labels)
    if note:
        warnings.warn(note, UserWarning, stacklevel=2)
    rows = judged_rows(tasks.X, tasks.y, fits, fit_intercept)
    if rows.is_constant:
        note = f"{note} {_CONSTANT_NOTE}".strip()
    each, together = _benefits(fits, rows, None if whose == "main" else metric, float(level))
    gram = _unbiased_gram(fits, metric)
    return EstimatedProblem(
        problem=_plug_in(fits, gram),
        labels=tasks.labels,
        features=tasks.features,
        covariance=metric,
        covariance_of=whose,
        coefficients=fits.coefficients,
        auxiliary_coefficients=_together(fits),
        shift_gram=gram,
        squared_shift=np.diag(gram).copy(),
        squared_shift_standard_error=_shift_errors(fits, metric),
        main_only_error=_main_only_error(fits, metric, whose),
        each=each,
        together=together,
        note=note,
    )


def _fit_tasks(tasks: Tasks, fit_intercept: bool) -> Fits:
    parts = [
        fit_one(X, y, fit_intercept, f"task {label}", tasks.features)
        for X, y, label in zip(tasks.X, tasks.y, tasks.labels, strict=True)
    ]
    counts, coefficients, noise, moments, pulls = zip(*parts, strict=True)
    stacked = np.stack(moments)
    return Fits(
        np.array(counts),
        np.stack(coefficients),
        np.array(noise),
        stacked,
        np.linalg.inv(stacked),
        np.stack(pulls),
    )


def _read_covariance(
    covariance: npt.ArrayLike | str | None, fits: Fits, tasks: Tasks
) -> tuple[str, FloatArray]:
    """Return whose covariance counts, and which that is."""
    if covariance is None or (isinstance(covariance, str) and covariance == "main"):
        return "main", fits.moments[0] / fits.counts[0]
    if isinstance(covariance, str):
        if covariance != "all":
            raise ValueError(f'covariance must be "main", "all" or a matrix, got {covariance!r}.')
        return "all", fits.moments.sum(axis=0) / fits.counts.sum()
    if isinstance(covariance, pd.DataFrame) and (
        are_names(tasks.features) or set(covariance.columns) == set(tasks.features)
    ):
        covariance = _matched(covariance, tasks.features)
    d = fits.coefficients.shape[1]
    metric = as_floats("covariance", covariance, (d, d))
    check_covariance("covariance", metric, singular=False)
    return "given", metric


def _matched(covariance: pd.DataFrame, features: tuple[Any, ...]) -> pd.DataFrame:
    """Return rows and columns of a covariance in the order of the features."""
    names = list(features)
    for labels in (covariance.index, covariance.columns):
        if labels.has_duplicates or set(labels) != set(names):
            raise ValueError(
                f"covariance must have a row and a column for each of {names}, got {list(labels)}."
            )
    return covariance.loc[names, names]


def _covariance_note(fits: Fits, labels: tuple[Any, ...]) -> str:
    """Say so if features clearly vary otherwise in the main task than in others.

    In all of them together, or else in one: what is more in one may be less in the next.
    """
    auxiliary = range(1, len(labels))
    ratios, whom = _unequal_ratios(fits, list(auxiliary), _DEVIATIONS), "the others"
    if ratios is None:
        # of K normal deviations the largest is about sqrt(2 log K)
        deviations = np.sqrt(_DEVIATIONS**2 + 2 * np.log(len(auxiliary)))
        found = {k: _unequal_ratios(fits, [k], deviations) for k in auxiliary}
        unequal = [k for k in auxiliary if found[k] is not None]
        if not unequal:
            return ""
        ratios, whom = found[unequal[0]], f"task {labels[unequal[0]]!r}"
        if len(unequal) > 1:
            whom += f" (and {len(unequal) - 1} more)"
    assert ratios is not None
    return (
        f"Features vary otherwise in the main task than in {whom}: the variance of a "
        f"combination of them is {ratios[0]:.2g} to {ratios[-1]:.2g} times as large. Verdicts "
        "allow for that if errors count in the main task's covariance; the plug-in problem, and "
        "weights from it, assume a common one."
    )


def _unequal_ratios(fits: Fits, tasks: list[int], deviations: float) -> FloatArray | None:
    """Return the ratios of the main task's variances to those of tasks, if clearly not 1.

    Of variances 1, those from n rows seldom are beyond the squares of
    ``1 -+ (sqrt(d) + t) / sqrt(n)`` (Davidson and Szarek).
    """
    n, others = float(fits.counts[0]), float(fits.counts[tasks].sum())
    d = fits.coefficients.shape[1]
    root = np.linalg.cholesky(fits.moments[tasks].sum(axis=0) / others)
    half = np.linalg.solve(root, fits.moments[0] / n)
    ratios = np.asarray(np.linalg.eigvalsh(np.linalg.solve(root, half.T)), np.float64)
    play, others_play = (np.sqrt(d) + deviations) / np.sqrt([n, others])
    least, others_least = max(1 - play, 0.0) ** 2, max(1 - others_play, 0.0) ** 2
    is_high = ratios[-1] * others_least > _CLEARLY * (1 + play) ** 2
    is_low = ratios[0] * (1 + others_play) ** 2 < least / _CLEARLY
    return ratios if is_high or is_low else None


def _benefits(
    fits: Fits, rows: JudgedRows, metric: FloatArray | None, level: float
) -> tuple[tuple[EstimatedBenefit, ...], EstimatedBenefit]:
    """Judge each auxiliary task, and all of them."""
    auxiliary = range(1, len(fits.counts))
    single = [judge(fits, rows, [k], metric) for k in auxiliary]
    p_helps = adjusted(np.array([one.p_helps for one in single]))
    p_hurts = adjusted(np.array([one.p_hurts for one in single]))
    each = tuple(
        _benefit([k], one, float(helps), float(hurts), level)
        for k, one, helps, hurts in zip(auxiliary, single, p_helps, p_hurts, strict=True)
    )
    if len(each) == 1:
        return each, each[0]
    all_of_them = judge(fits, rows, list(auxiliary), metric)
    chances = all_of_them.p_helps, all_of_them.p_hurts
    return each, _benefit(list(auxiliary), all_of_them, *chances, level)


def _benefit(
    tasks: list[int], judgement: Judgement, p_helps: float, p_hurts: float, level: float
) -> EstimatedBenefit:
    return EstimatedBenefit(
        tuple(tasks),
        judgement.benefit,
        judgement.standard_error,
        p_helps,
        p_hurts,
        verdict(judgement, p_helps, p_hurts, level),
    )


def _together(fits: Fits) -> FloatArray:
    """Fit the rows of all auxiliary tasks."""
    solution = np.linalg.solve(fits.moments[1:].sum(axis=0), fits.pulls[1:].sum(axis=0))
    return np.asarray(solution, dtype=np.float64)


def _main_only_error(fits: Fits, metric: FloatArray, whose: str) -> float:
    given_design = float(fits.noise[0] * np.sum(metric * fits.inverses[0]))
    return given_design * (mean_inflation(fits) if whose == "main" else 1.0)


def _plug_in(fits: Fits, gram: FloatArray) -> LinearTransferProblem:
    """Return the problem of the estimates, the Gram matrix made a possible one."""
    values, vectors = np.linalg.eigh(gram)
    possible = (vectors * np.maximum(values, 0.0)) @ vectors.T
    return LinearTransferProblem(
        fits.counts,
        fits.noise,
        shift_gram=(possible + possible.T) / 2,
        n_features=fits.coefficients.shape[1],
    )


def _unbiased_gram(fits: Fits, metric: FloatArray) -> FloatArray:
    shifts = fits.coefficients[1:] - fits.coefficients[0]
    traces = fits.noise * _traces(metric, fits.inverses)
    gram = np.asarray(shifts @ metric @ shifts.T - traces[0] - np.diag(traces[1:]), np.float64)
    symmetric: FloatArray = (gram + gram.T) / 2
    return symmetric


def _shift_errors(fits: Fits, metric: FloatArray) -> FloatArray:
    variances = [_shift_variance(fits, k, metric) for k in range(1, len(fits.counts))]
    return np.sqrt(np.array(variances))


def _shift_variance(fits: Fits, task: int, metric: FloatArray) -> float:
    """Return the variance of an estimated squared shift, that of the noise's estimate included."""
    used = [0, task]
    shift, noise = fits.coefficients[task] - fits.coefficients[0], fits.noise[used]
    covariance = np.einsum("k,kij->ij", noise, fits.inverses[used])
    traces = _traces(metric, fits.inverses[used])
    of_noise = np.sum(2 * (traces * noise) ** 2 / fits.residual_rows[used])
    return square_variance(shift, metric, covariance) + float(of_noise)


def _traces(metric: FloatArray, matrices: FloatArray) -> FloatArray:
    """Return the trace of the metric times each matrix."""
    traces: FloatArray = np.einsum("ij,kji->k", metric, matrices)
    return traces
