r"""Whether pooling helps, from data: how sure that is at the point of break-even.

The main task's own fit w and the pooled one w - D have expected errors that differ by
``2 tr(A C Omega S^-1) - E |D|_A^2`` in a metric A, where Omega is the covariance of ``X' e`` of
the main rows, S their moments, M the inverse of all moments and ``C = S^-1 - M``. The noise of
the other tasks drops out: only what it adds to D is left, and D is observed. So pooling helps
if and only if ``E |D|_A^2`` is below twice the covariance term, and that is what is tested.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from rmtgb._common import FloatArray
from rmtgb.transfer.dependence import ROUNDING
from rmtgb.transfer.least_squares import Fits

HELPS, HURTS, CANNOT_TELL = "helps", "hurts", "cannot tell at this sample size"
# Of the probability that a verdict may be wrong, the part for "helps". It is by far the harder
# verdict: with equal tasks and d = 3 a test of level 4 % finds it in 15 % of the cases and one of
# 2.5 % in 9 %, while "hurts" loses little from 2.5 % to 1 %.
_PART_FOR_HELPS = 0.8
# Residual degrees of freedom are shifted by these before they divide the rows, see `_inflations`.
_CAUTIOUS, _MEAN = 2, -1
# Noise that differs between rows hides from few residuals, and most where it is felt in one
# direction only: with noise that falls with the size of the one feature, "helps" at break-even was
# said in 7 % of data with 1 to 3 residual rows and in 6 % with 8. Chances are larger by this over
# the features and one more than the residual rows.
_HIDDEN = 2.0
# Rows for each feature with which equal noise counts beside what residuals say of its directions.
# With none, equal tasks of three and ten features were found in 11 and 24 % of data, not in 15 and
# 45 % (60 and 22 rows; by verdicts that had none of the cautions below); with 20, noise that grows
# with the feature in which tasks differ had a verdict at break-even in 6 to 8 %, with 6 in 4 to
# 6 %, and if no residual is asked in 7 to 8 %.
_EQUAL = 4.0
# To say "helps", noise of another task is taken for as much larger as a sum of squares with its
# degrees of freedom is too small in one of a thousand cases, and this part of that is put in the
# direction in which noise is largest: noise that is taken for shift makes a small distance look
# rare. With 6 to 13 rows of the others, 40 and 60 of the main task, and noise that grows with the
# feature in which tasks differ, 7 to 14 % of the verdicts at break-even were wrong without this
# (1, 3 and 10 features), and 1 to 5 % with it. Equal tasks with ten features, 60 and 100 rows are
# found in 28 instead of 32 %, with three features in 10 instead of 11 %.
_TOO_SMALL, _IN_ONE_DIRECTION = 0.001, 0.125
# To say "hurts", noise of the others is as much larger as such a sum is too small at these levels,
# in turn. With 5 to 8 rows of the others, one in twenty of which is ten times as noisy, 6 to 7 %
# of the verdicts at break-even were wrong without this, 11 to 13 % with two to five other tasks.
_LEVELS = (np.arange(8) + 0.5) / 8
# A row of higher leverage has no residual to speak of: its noise is taken for that of all rows.
_LARGEST_LEVERAGE = 1 - 1e-6
# More degrees of freedom, and a larger share of the shift, are taken for these: their effect on
# a quantile is below 1 %, and to the cautious side.
_MOST_FREEDOM = 1e4
# Points of the integral: 34 is where its tails are below 1e-11, and the step resolves a phase
# that turns about as often as the root of the degrees of freedom.
_REACH, _STEP = 34.0, 0.1


@dataclass(frozen=True)
class JudgedRows:
    """What a comparison needs of rows: of the main task's, and of the noise of all."""

    rows: FloatArray  # (n, d), the main task's, about their means if there is an intercept
    residuals: FloatArray  # (n,)
    basis: FloatArray  # (n, d or d + 1), orthonormal, of features and intercept
    excess_kurtosis: float  # of the noise of all tasks, 0 or more
    noise_moments: FloatArray  # (K + 1, d, d), covariance of X' e of each task
    freedoms: FloatArray  # (K + 1,), degrees of freedom of its estimates
    is_constant: bool  # whether the main task's target is, whose noise is then not known

    @property
    def leverages(self) -> FloatArray:
        """Return what each row contributes to its own fitted value, (n,)."""
        return _leverages(self.basis)


@dataclass(frozen=True)
class Judgement:
    """What is known of the benefit of pooling some tasks with the main one."""

    benefit: float
    standard_error: float
    p_helps: float
    p_hurts: float
    says_nothing: bool  # the benefit is rounding, or nothing is known of the noise


@dataclass(frozen=True)
class _Noise:
    """What the main task's noise contributes, its rows weighted as the comparison feels them."""

    doubled: float  # twice the covariance term
    freedom: float  # its degrees of freedom
    normal_freedom: float  # the same if the noise is normal


def _leverages(basis: FloatArray) -> FloatArray:
    diagonal: FloatArray = np.einsum("ij,ij->i", basis, basis)
    return diagonal


def judged_rows(
    X: list[FloatArray], y: list[FloatArray], fits: Fits, fit_intercept: bool
) -> JudgedRows:
    """Prepare rows for comparisons.

    Parameters
    ----------
    X, y : list of ndarray of shape (n_k, d) and (n_k,), float64
        Features and target of each task, the main one first.
    fits : Fits
    fit_intercept : bool
        Whether there is an intercept.
    """
    rows, residuals, bases, moments, freedoms = [], [], [], [], []
    for task, (own_X, own_y) in enumerate(zip(X, y, strict=True)):
        residual = own_y - own_X @ fits.coefficients[task]
        rows.append(own_X - own_X.mean(axis=0) if fit_intercept else own_X)
        residuals.append(residual - residual.mean() if fit_intercept else residual)
        ones = np.ones((len(own_X), int(fit_intercept)))
        scaled = rows[-1] / np.linalg.norm(rows[-1], axis=0)
        bases.append(np.linalg.qr(np.hstack([ones, scaled]))[0])
        leverages, residual_rows = _leverages(bases[-1]), float(fits.residual_rows[task])
        known = leverages < _LARGEST_LEVERAGE
        free = np.where(known, 1.0 - leverages, 1.0)
        squares = np.where(known, residuals[-1] ** 2 / free, fits.noise[task])
        equal = fits.noise[task] * fits.moments[task]
        moments.append(_noise_moments(rows[-1], squares, residual_rows, equal))
        freedoms.append(_freedom(squares, leverages, residual_rows))
    return JudgedRows(
        rows[0],
        residuals[0],
        bases[0],
        _excess_kurtosis(residuals),
        np.stack(moments),
        np.array(freedoms),
        bool(np.ptp(y[0]) == 0.0),
    )


def _noise_moments(
    rows: FloatArray, squares: FloatArray, residual_rows: float, equal: FloatArray
) -> FloatArray:
    """Estimate the covariance of ``X' e`` of a task whose rows may not be equally noisy.

    Squared residuals say in which directions noise is felt, but few of them find one anywhere:
    they count beside the covariance of equal noise, which has ``_EQUAL`` rows for each feature.
    """
    share = residual_rows / (residual_rows + _EQUAL * rows.shape[1])
    blended: FloatArray = share * ((rows.T * squares) @ rows) + (1.0 - share) * equal
    return blended


def _freedom(squares: FloatArray, leverages: FloatArray, residual_rows: float) -> float:
    """Return the degrees of freedom of what residuals say of the noise of a task.

    They are those of squared residuals times leverages, whose variances are two thirds of their
    squares for normal noise of any size: a few rows may make the most of them.
    """
    felt = leverages * squares
    if not felt.any():
        return residual_rows
    felt /= felt.max()
    return min(3.0 * float(felt.sum()) ** 2 / float(felt @ felt), residual_rows)


def _excess_kurtosis(residuals: list[FloatArray]) -> float:
    """Return how heavy the tails of the noise are, 0 for normal or lighter ones.

    A standard error is added, as the mean of fourth powers is mostly below what it estimates:
    with one row in twenty ten times as noisy, 160 rows tell about half of it.
    """
    squares = [(r / np.sqrt(np.mean(r * r))) ** 2 for r in residuals if np.any(r)]
    if not squares:
        return 0.0
    fourth = np.concatenate(squares) ** 2
    return max(float(fourth.mean() + fourth.std() / np.sqrt(len(fourth))) - 3.0, 0.0)


def judge(fits: Fits, main: JudgedRows, tasks: list[int], metric: FloatArray | None) -> Judgement:
    """Compare the main task's own fit with the one that pools some tasks.

    Parameters
    ----------
    fits : Fits
        Fits of all tasks.
    main : JudgedRows
    tasks : list of int
        The auxiliary tasks to pool.
    metric : ndarray of shape (d, d), or None
        Covariance in which errors count; None for that of the main task's rows, whose errors
        on new rows are larger than on these.
    """
    n = float(fits.counts[0])
    M = np.linalg.inv(fits.moments[[0, *tasks]].sum(axis=0))
    C = fits.inverses[0] - M
    A = fits.moments[0] / n if metric is None else metric
    moved = M @ np.einsum(
        "kij,kj->i", fits.moments[tasks], fits.coefficients[tasks] - fits.coefficients[0]
    )
    distance2 = float(moved @ A @ moved)
    own = C @ main.noise_moments[0] @ C

    def of_others(level: float) -> FloatArray:
        """Return the part of the others in the covariance of D, if residuals hide some of it."""
        factors = main.freedoms[tasks] / chi2_quantile(level, main.freedoms[tasks])
        return np.asarray(M @ np.einsum("k,kij->ij", factors, main.noise_moments[tasks]) @ M)

    others = M @ main.noise_moments[tasks].sum(axis=0) @ M
    cautious, mean = (
        _feel(fits, main, A @ C, C, inflation) for inflation in _inflations(fits, metric)
    )
    size = float(fits.coefficients[0] @ A @ fits.coefficients[0])
    benefit = mean.doubled - distance2
    doubt = 1.0 + _HIDDEN / (len(A) * (1.0 + float(fits.residual_rows[0])))
    root = np.linalg.cholesky(A)
    within = _scales_within(cautious, root, own, others, of_others(_TOO_SMALL) - others)
    p_helps = _chance_below(distance2, cautious, within)
    beyond = [_scales(mean, root, own + of_others(level)) for level in _LEVELS]
    p_hurts = 1.0 - float(np.mean([_chance_below(distance2, mean, scales) for scales in beyond]))
    # the standard error is that of normal, equal noise
    equal = np.einsum("k,kij->kij", fits.noise, fits.moments)
    of_equal = C @ equal[0] @ C + M @ equal[tasks].sum(axis=0) @ M
    spread = square_variance(moved, A, of_equal)
    spread += 2 * mean.doubled**2 / mean.normal_freedom
    return Judgement(
        benefit,
        float(np.sqrt(spread)),
        min(doubt * p_helps, 1.0),
        min(doubt * p_hurts, 1.0),
        main.is_constant or abs(benefit) <= ROUNDING * size,
    )


def _inflations(fits: Fits, metric: FloatArray | None) -> tuple[float, float]:
    """Return by how much the noise of the own fit counts for more on new rows than on its own.

    For normal features the variance of a coefficient is ``n / (n - d - 1)`` times that of a
    balanced design on average. But no design is the average one, and to say "helps" takes one
    that may be better: ``n / (n - d + 2)`` kept wrong verdicts within their level for each design
    that was drawn, down to one residual row. Where the mean is infinite, at one residual row, it
    is taken as at two. In a metric that is given the design speaks for itself.
    """
    if metric is not None:
        return 1.0, 1.0
    n, freedom = float(fits.counts[0]), float(fits.residual_rows[0])
    return max(n / (freedom + _CAUTIOUS), 1.0), n / max(freedom + _MEAN, 1.0)


def mean_inflation(fits: Fits) -> float:
    """Return the factor by which errors on new rows of the main task are larger on average."""
    return _inflations(fits, None)[1]


def _feel(fits: Fits, main: JudgedRows, AC: FloatArray, C: FloatArray, inflation: float) -> _Noise:
    """Estimate twice the covariance term, without assuming that all rows are equally noisy.

    A squared residual over one less its leverage is an unbiased estimate of the noise variance;
    weighted sums of those are right for noise that differs between rows. Degrees of freedom
    are those of Satterthwaite, with the excess kurtosis of the noise.
    """
    seen = main.rows @ AC.T
    crossed = np.einsum("ij,ij->i", main.rows @ fits.inverses[0], seen)
    own = np.einsum("ij,ij->i", main.rows @ C, seen)
    parts = 2 * inflation * crossed - (inflation - 1) * own
    free = 1.0 - main.leverages
    known = free > 1.0 - _LARGEST_LEVERAGE
    weights = np.where(known, parts / np.where(known, free, 1.0), 0.0)
    unknown = float(parts[~known].sum()) * float(fits.noise[0])
    doubled = float(weights @ main.residuals**2) + unknown
    inside = main.basis.T @ (weights[:, None] * main.basis)
    normal = 2 * float(np.sum(weights**2 * (2 * free - 1.0)) + np.sum(inside**2))
    heavy = main.excess_kurtosis * float(np.sum(parts[known] ** 2))
    twice_squared = 2 * float(parts[known].sum()) ** 2
    return _Noise(
        doubled,
        min(twice_squared / (normal + heavy), _MOST_FREEDOM) if normal > 0 else 1.0,
        min(twice_squared / normal, _MOST_FREEDOM) if normal > 0 else 1.0,
    )


def square_variance(vector: FloatArray, A: FloatArray, covariance: FloatArray) -> float:
    """Return the variance of ``v' A v`` for normal v of this covariance, its mean unknown."""
    AC = A @ covariance
    trace = float(np.sum(AC * AC.T))
    mean_part = float(vector @ AC @ (A @ vector)) - trace
    return 4 * max(mean_part, 0.0) + 2 * trace


def _scales(noise: _Noise, root: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return the parts of noise in E |D|^2 at break-even, direction by direction, largest first.

    ``root`` is the decomposition of the metric.
    """
    if noise.doubled <= 0.0:
        return np.zeros(len(root))
    scales = np.linalg.eigvalsh(root.T @ covariance @ root)[::-1] / noise.doubled
    return np.asarray(np.maximum(scales, 0.0), np.float64)


def _scales_within(
    noise: _Noise, root: FloatArray, own: FloatArray, others: FloatArray, hidden: FloatArray
) -> FloatArray:
    """Return such parts that are no more than all of E |D|^2, and as large as they may be.

    Noise of the others is that which residuals show and what they may hide, of which some is put
    in one direction; where it is too much, it is reduced.
    """
    parts = [float(np.sum((root.T @ part @ root).diagonal())) for part in (own, others, hidden)]
    room = max(noise.doubled - parts[0], 0.0)
    in_one = min(_IN_ONE_DIRECTION * parts[2], room)
    by_others = parts[1] + (1.0 - _IN_ONE_DIRECTION) * parts[2]
    reduced = 1.0 if by_others <= room - in_one else (room - in_one) / by_others
    of_others = others + (1.0 - _IN_ONE_DIRECTION) * hidden
    scales = _scales(noise, root, own + reduced * of_others)
    scales[0] += in_one / noise.doubled if noise.doubled > 0.0 else 0.0
    return np.asarray(scales / max(1.0, scales.sum()))


def _chance_below(distance2: float, noise: _Noise, scales: FloatArray) -> float:
    """Return the probability of a smaller ``|D|^2 / doubled`` at the point of break-even.

    There ``E |D|^2`` is `doubled`. What noise does not make of it is shift, and that is put in the
    direction in which noise is largest: there both tails are heaviest.
    """
    if noise.doubled <= ROUNDING * distance2:  # no noise to speak of
        return 1.0
    shift2 = max(1.0 - scales.sum(), 0.0)
    scales = np.concatenate([[max(scales[0], shift2 / _MOST_FREEDOM)], scales[1:]])
    noncentrality = np.zeros(len(scales) + 1)
    noncentrality[0] = shift2 / scales[0]
    bound = distance2 / noise.doubled / noise.freedom
    freedom = np.append(np.ones(len(scales)), noise.freedom)
    return 1.0 - chance_positive(np.append(scales, -bound), freedom, noncentrality)


def chi2_quantile(level: float, freedom: FloatArray) -> FloatArray:
    """Return quantiles of chi-squared variables."""
    quantile: FloatArray = 2.0 * gammaincinv(freedom / 2.0, level)
    return quantile


def chance_positive(scales: FloatArray, freedom: FloatArray, noncentrality: FloatArray) -> float:
    """Return the probability that a weighted sum of chi-squared variables is above 0.

    Imhof's inversion of the characteristic function [1]_. On a logarithmic scale its integrand
    is analytic in a strip and dies out exponentially, so that equal steps converge like a
    Gauss rule.

    Parameters
    ----------
    scales, freedom, noncentrality : ndarray of shape (m,), float64
        Weight, degrees of freedom and noncentrality of each variable.

    References
    ----------
    .. [1] J. P. Imhof, "Computing the Distribution of Quadratic Forms in Normal Variables",
       Biometrika 48, 1961.
    """
    scales = scales / np.abs(scales).max()
    step = _STEP / max(1.0, 0.1 * np.sqrt(freedom.sum() + noncentrality.sum()))
    log_u = np.arange(-_REACH, _REACH, step)
    x = np.exp(log_u)[:, None] * scales
    square = x * x
    phase = 0.5 * (np.arctan(x) @ freedom + (x / (1 + square)) @ noncentrality)
    damping = 0.25 * (np.log1p(square) @ freedom) + 0.5 * ((square / (1 + square)) @ noncentrality)
    inside = float(np.sum(np.sin(phase) * np.exp(-damping))) * step
    return float(np.clip(0.5 + inside / np.pi, 0.0, 1.0))


def adjusted(chances: FloatArray) -> FloatArray:
    """Adjust p-values for their number (Holm): no wrong one with the level of one test."""
    order = np.argsort(chances)
    factors = np.arange(len(chances), 0, -1)
    result = np.empty(len(chances))
    result[order] = np.minimum(np.maximum.accumulate(factors * chances[order]), 1.0)
    return result


def verdict(judgement: Judgement, p_helps: float, p_hurts: float, level: float) -> str:
    """Say what p-values, adjusted or not, allow to be said at a level."""
    if judgement.says_nothing:
        return CANNOT_TELL
    if judgement.benefit > 0 and p_helps <= _PART_FOR_HELPS * (1 - level):
        return HELPS
    if judgement.benefit < 0 and p_hurts <= (1 - _PART_FOR_HELPS) * (1 - level):
        return HURTS
    return CANNOT_TELL
