"""From features to columns of a linear model: numbers on one scale, levels as indicators."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmtgb._common import BoolArray, FloatArray, IntArray
from rmtgb.engine.record import Array
from rmtgb.engine.team import Team
from rmtgb.linear.kernels.rows import COLUMN, LEVEL, MISSING, NUMBER, weighted_moments

#: Weight of each tail beyond which a value is far out. Values are moved to at most the distance
#: between the tails beyond them, at fit and at prediction: a trend goes on for as long again as
#: it has been seen, and a few wild values decide nothing.
TAIL = 0.005

#: Columns of the design at most; products of all pairs are summed over the rows. Numbers come
#: first, then levels by how often they occur: which are left out does not depend on the target.
MAX_COLUMNS = 500

#: Columns with a slope of its own for every task at most: each task is a system of that size. Of
#: more numbers, those are taken that vary most within tasks, where alone slopes can be seen.
MAX_SLOPES = 64

#: A deviation of less than this share of the mean is rounding.
SMALLEST_DEVIATION = 1e-12


# eq=False: comparing arrays with == gives no truth value
@dataclass(frozen=True, eq=False)
class Design:
    """The columns of a linear model after its intercept, those with slopes of tasks first.

    Attributes
    ----------
    columns : ndarray of COLUMN of shape (q,)
        Numbers have weighted mean 0 and variance 1. Levels of categories are 0 or 1: not put on
        one scale, so that a ridge shrinks the coefficients of rare ones most. So are indicators
        of missing numbers. A level that was not seen, or is missing, is none of the levels.
    n_numbers, n_slopes : int
        How many of the columns with slopes, the first, are numbers; how many columns have slopes.
    n_features : int
        Number of features p.
    """

    columns: Array
    n_numbers: int
    n_slopes: int
    n_features: int

    @classmethod
    def of(
        cls,
        X: FloatArray,
        categorical: BoolArray,
        task: IntArray,
        n_tasks: int,
        weight: FloatArray,
        team: Team,
    ) -> Design:
        """Choose columns by features, tasks and weights alone.

        Parameters
        ----------
        X : ndarray of float64 of shape (n, p)
            Finite values or NaN; codes of categories.
        categorical : ndarray of bool of shape (p,)
        task : ndarray of int64 of shape (n,)
            Codes 0..T-1.
        n_tasks : int
            Number of tasks T; a single one gets no slopes of its own.
        weight : ndarray of float64 of shape (n,)
            Positive.
        team : Team
            Features are divided among its members.

        Returns
        -------
        Design
        """

        def describe(feature: int) -> tuple[list[Any], list[tuple[float, Any]]]:
            x = np.ascontiguousarray(X[:, feature])
            if categorical[feature]:
                return [], _levels(x, weight, feature)
            return _number(x, weight, feature), _missing(x, weight, feature)

        found = team.map(describe, range(X.shape[1]))
        numbers = [column for columns, _ in found for column in columns]
        others = sorted((o for _, more in found for o in more), key=lambda o: -o[0])
        columns = [*numbers, *(column for _, column in others)][:MAX_COLUMNS]
        design = cls(np.array(columns, COLUMN), 0, 0, X.shape[1])
        if n_tasks == 1 or not columns:
            return design
        return design._with_slopes(X, task, n_tasks, weight)

    @property
    def n_fixed(self) -> int:
        """Number of columns with the intercept."""
        return 1 + self.columns.size

    def _with_slopes(
        self, X: FloatArray, task: IntArray, n_tasks: int, weight: FloatArray
    ) -> Design:
        """Return the design with the columns first that get slopes."""
        columns = self.columns
        n_numbers = int(np.count_nonzero(columns["kind"] == NUMBER))
        if n_numbers > MAX_SLOPES:
            within = [_share_within(X, c, task, n_tasks, weight) for c in columns[:n_numbers]]
            columns = columns.copy()
            columns[:n_numbers] = columns[np.argsort(-np.array(within), kind="stable")]
        n_slopes = min(MAX_SLOPES, columns.size)
        return Design(columns, min(n_numbers, n_slopes), n_slopes, self.n_features)


def _number(x: FloatArray, weight: FloatArray, feature: int) -> list[Any]:
    """Return the column of a number; none if it is constant."""
    low, high = _limits(x, weight)
    largest = max(abs(low), abs(high))
    # 2^-1022 and 2^1022 are the last powers that have a reciprocal
    per_unit = 2.0 ** -min(max(math.frexp(largest)[1], -1021), 1021)
    moments = np.empty(3)
    weighted_moments(x, weight, low, high, per_unit, moments)
    _, mean, deviation = moments.tolist()
    if not deviation > SMALLEST_DEVIATION * abs(mean):
        return []
    return [(feature, NUMBER, low, high, per_unit, mean, 1.0 / deviation)]


def _limits(x: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Return what values are clipped to; of an empty feature zeros."""
    known = ~np.isnan(x)
    values, weights = x[known], weight[known]
    if values.size == 0:
        return 0.0, 0.0
    low, high = _tails(values, weights)
    if low == high:  # nearly all values are one: what is left is all there is to see
        low, high = float(values.min()), float(values.max())
    largest = float(np.finfo(np.float64).max)
    span = min(high, largest / 4) - max(low, -largest / 4)
    return max(low - span, -largest), min(high + span, largest)


def _tails(values: FloatArray, weights: FloatArray) -> tuple[float, float]:
    """Return the weighted quantiles of levels ``TAIL`` and ``1 - TAIL``."""
    levels = np.array([TAIL, 1.0 - TAIL])
    if np.all(weights == weights[0]):
        # several times as fast as sorting
        ranks = np.ceil(levels * values.size).astype(np.intp) - 1
        low, high = np.partition(values, ranks)[ranks]
    else:
        order = np.argsort(values, kind="stable")
        cumulative = np.cumsum(weights[order])
        low, high = values[order[np.searchsorted(cumulative, levels * cumulative[-1])]]
    return float(low), float(high)


def _missing(x: FloatArray, weight: FloatArray, feature: int) -> list[tuple[float, Any]]:
    """Return weight and column of the indicator of missing values, if only some are."""
    missing = np.isnan(x)
    if missing.all() or not missing.any():
        return []
    return [(float(weight[missing].sum()), (feature, MISSING, 0.0, 0.0, 1.0, 0.0, 1.0))]


def _levels(x: FloatArray, weight: FloatArray, feature: int) -> list[tuple[float, Any]]:
    """Return weights and columns of the levels of a category, if there is more than one."""
    codes, place = np.unique(x, return_inverse=True)
    if codes.size < 2:
        return []
    weights = np.bincount(place, weights=weight)
    return [
        (float(total), (feature, LEVEL, float(code), 0.0, 1.0, 0.0, 1.0))
        for total, code in zip(weights, codes, strict=True)
        if not math.isnan(code)
    ]


def _share_within(
    X: FloatArray, column: Any, task: IntArray, n_tasks: int, weight: FloatArray
) -> float:
    """Return the weight of the variance of a number within tasks, of all of it."""
    x = np.clip(X[:, column["source"]], column["low"], column["high"]) * column["per_unit"]
    z = np.nan_to_num((x - column["center"]) * column["per_scale"])
    sums = np.bincount(task, weight * z, n_tasks)
    totals = np.bincount(task, weight, n_tasks)
    between = np.sum(sums * sums / np.maximum(totals, np.finfo(np.float64).tiny))
    return float(1.0 - between / np.sum(totals))


def as_kernels_take(array: Any, dtype: Any = None) -> Any:
    """Give an array the one type for which kernels are compiled; mostly a no-op."""
    return np.require(array, dtype, ["C", "W"])
