"""A fitted linear mixed model, and its predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.team import Team
from rmtgb.linear.design import Design, as_kernels_take
from rmtgb.linear.kernels.rows import predict_rows
from rmtgb.linear.ratios import Variances

#: Rows that are predicted at a time by one thread.
ROWS_AT_A_TIME = 1 << 14


@dataclass(frozen=True, eq=False)
class MixedModel:
    """A linear model with an intercept and slopes for every task.

    The raw prediction of output k for a row of task t is ``(fixed[k] + effects[k, t]) . [1, x]``
    with x the columns of the design, of which only the first have effects of tasks.

    Attributes
    ----------
    design : Design
    fixed : ndarray of float64 of shape (K, 1 + q)
        Intercept and coefficients of each output.
    effects : ndarray of float64 of shape (K, T, r)
        What each task adds: r = 1 + n_slopes, or 0 if there is one task only.
    limits : ndarray of float64 of shape (K, 2)
        Smallest and largest raw prediction.
    variances : tuple of Variances
        Of each output.
    """

    design: Design
    fixed: FloatArray
    effects: FloatArray
    limits: FloatArray
    variances: tuple[Variances, ...]

    def __post_init__(self) -> None:
        for array in (self.design.columns, self.fixed, self.effects, self.limits):
            array.flags.writeable = False

    def shares(self) -> FloatArray:
        """Return what each feature, and last the intercepts of tasks, have in the predictions.

        Returns
        -------
        ndarray of float64 of shape (p + 1,)
            Sums to one, or zeros: squares of coefficients, which numbers have on one scale, with
            those of tasks' effects on average.
        """
        columns = self.fixed[:, 1:] ** 2
        intercepts = 0.0
        if self.effects.shape[2]:
            spread = np.mean(np.square(self.effects), axis=1)
            columns[:, : spread.shape[1] - 1] += spread[:, 1:]
            intercepts = spread[:, 0].sum()
        sources = self.design.columns["source"]
        of_feature = np.bincount(sources, columns.sum(axis=0), self.design.n_features)
        shares = np.append(of_feature, intercepts)
        return shares / max(float(shares.sum()), np.finfo(np.float64).tiny)

    def predict(self, X: FloatArray, task: IntArray, team: Team | None = None) -> FloatArray:
        """Return raw predictions.

        Parameters
        ----------
        X : ndarray of float64 of shape (n, p)
            As at fit; NaN is missing.
        task : ndarray of int64 of shape (n,)
            Codes 0..T-1; -1 for an unseen task, which gets the fixed part.
        team : Team, optional
            Threads to work with.

        Returns
        -------
        ndarray of float64 of shape (K, n)

        Raises
        ------
        ValueError
            If X does not have p columns and a row for each code, or a code is not in -1..T-1.
        """
        n_tasks = self.effects.shape[1]
        if X.shape != (task.size, self.design.n_features):
            raise ValueError(
                f"X must have a row for each of the {task.size} codes in task and "
                f"{self.design.n_features} columns, got shape {X.shape}."
            )
        if task.size and not -1 <= task.min() <= task.max() < n_tasks:
            raise ValueError(
                f"task must hold codes from -1 to {n_tasks - 1}, got {task.min()} to {task.max()}."
            )
        raw = predict(self.design, X, task, self.fixed, self.effects, team or Team(1))
        np.clip(raw, self.limits[:, :1], self.limits[:, 1:], out=raw)
        return raw


def predict(
    design: Design,
    X: FloatArray,
    task: IntArray,
    fixed: FloatArray,
    effects: FloatArray,
    team: Team,
) -> FloatArray:
    """Return raw predictions (K, n), as in :meth:`MixedModel.predict`, without limits."""
    raw = np.empty((fixed.shape[0], task.size))
    X, columns = as_kernels_take(X, np.float64), as_kernels_take(design.columns)
    task = as_kernels_take(task, np.int64)
    fixed, effects = as_kernels_take(fixed), as_kernels_take(effects)

    def fill(start: int) -> None:
        stop = min(start + ROWS_AT_A_TIME, task.size)
        buffer = np.empty(design.n_fixed)
        predict_rows(start, stop, X, columns, task, fixed, effects, buffer, raw)

    team.map(fill, range(0, task.size, ROWS_AT_A_TIME))
    return raw
