"""The fit of a linear mixed model: the story from rows to coefficients.

Squared error is one linear system, whose variances are estimated by restricted maximum
likelihood. Other losses are minimised in Newton steps of the penalised loss, each of which is
such a system with working weights (hessians) and a working response; the first steps estimate
the variances anew (Breslow and Clayton (1993), "Approximate inference in generalized linear mixed
models", JASA 88). For the Huber loss the hessian is that of the parabola above it.

Absolute and quantile errors have no hessian. They get the location of a Huber loss, whose delta
follows the residuals, and then the best constant is added: slopes of a
quantile that differ from those of the middle are left to what comes after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rmtgb._common import BoolArray, FloatArray, IntArray
from rmtgb.engine.team import Team
from rmtgb.linear.design import Design, as_kernels_take
from rmtgb.linear.model import MixedModel
from rmtgb.linear.newton import NewtonSteps, Target
from rmtgb.linear.ratios import Variances
from rmtgb.linear.sample import sample_of_tasks
from rmtgb.linear.system import MixedRows
from rmtgb.losses import Loss
from rmtgb.losses.huber import Huber, robust_scale
from rmtgb.tasks.index import TaskIndex

#: Delta of the Huber loss in robust standard deviations of residuals: 95 % efficient if they are
#: normal (Huber, "Robust statistics", 1981).
EFFICIENT_DELTA = 1.345

#: Raw predictions go as far beyond those of the fit as these are apart; on a logarithmic scale,
#: where that is a power of the ratio, no further than this, a factor of e.
FURTHEST_LOGARITHM = 1.0


@dataclass(frozen=True, eq=False)
class MixedData:
    """Rows that a mixed model is fitted to.

    Attributes
    ----------
    X : ndarray of float64 of shape (n, p)
        Finite values, NaN is missing; codes of categories.
    categorical : ndarray of bool of shape (p,)
        Which features are categories.
    y : ndarray of float64 of shape (n,)
        Targets as the loss wants them.
    task : ndarray of int64 of shape (n,)
        Codes 0..T-1.
    n_tasks : int
        Number of tasks T.
    weight : ndarray of float64 of shape (n,)
        Weights >= 0, one of them positive. A weight of two is the same as two rows.
    loss : Loss
    """

    X: FloatArray
    categorical: BoolArray
    y: FloatArray
    task: IntArray
    n_tasks: int
    weight: FloatArray
    loss: Loss

    def check(self) -> None:
        """Refuse what no model can be fitted to.

        Raises
        ------
        ValueError
            If shapes do not fit each other, a code is not in 0..T-1, weights are negative, not
            finite or all zero, X holds infinite values, or the loss refuses the targets.
        """
        n = self.y.size
        shapes = {"y": (n,), "task": (n,), "weight": (n,), "categorical": self.X.shape[1:]}
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                found = getattr(self, name).shape
                raise ValueError(f"{name} must have shape {shape}, got {found}.")
        if self.X.shape[0] != n:
            raise ValueError(f"X must have a row for each of {n} targets, got {len(self.X)}.")
        if np.isinf(self.X).any():
            raise ValueError("X must hold finite values or NaN, found an infinite one.")
        if not (np.all(self.weight >= 0.0) and 0.0 < self.weight.sum() < math.inf):
            raise ValueError("weight must hold finite values >= 0, one of them positive.")
        if not 0 <= self.task.min() <= self.task.max() < self.n_tasks:
            raise ValueError(
                f"task must hold codes from 0 to {self.n_tasks - 1}, got {self.task.min()} to "
                f"{self.task.max()}."
            )
        self.loss.check_target(self.y[self.weight > 0.0])

    def in_unit(self) -> tuple[MixedData, float]:
        """Return the rows with targets over a power of two near the largest, and that power.

        Squares can then neither overflow nor vanish, and predictions for a target times a power
        of two are exactly that multiple. Losses that are not scale-free have the unit 1.
        """
        largest = float(np.max(np.abs(self.y), where=self.weight > 0.0, initial=0.0))
        if not self.loss.is_scale_free:
            return self, 1.0
        unit = self.loss.unit_of(largest)
        y = np.where(self.weight > 0.0, self.y, 0.0) / unit
        return replace(self, y=y, loss=self.loss.in_unit(unit)), unit


def fit_mixed(data: MixedData, team: Team | None = None) -> MixedModel:
    """Fit a linear model with an intercept and slopes for every task.

    The effects of tasks and the coefficients that all share are normal with variances that
    are estimated: nothing is to be chosen.

    Parameters
    ----------
    data : MixedData
    team : Team, optional
        Threads to work with; their number changes no bit.

    Returns
    -------
    MixedModel

    Raises
    ------
    ValueError
        See :meth:`MixedData.check`.
    """
    data.check()
    team = team or Team(1)
    data = replace(data, X=as_kernels_take(data.X, np.float64))
    used = data.weight > 0.0
    design = Design.of(
        data.X[used] if not used.all() else data.X, data.categorical, data.task[used],
        data.n_tasks, data.weight[used], team,
    )  # fmt: skip
    return _fit(design, data, None, team)


def out_of_fold(
    model: MixedModel, data: MixedData, fold: IntArray, team: Team | None = None
) -> FloatArray:
    """Predict each row by a model that was fitted to the other folds.

    Variances and design are those of the model of all rows: the variances are a few numbers
    that hardly depend on single rows, and the design has seen no target. Tasks whose rows are
    all in one fold are unseen there, and get the fixed part.

    Parameters
    ----------
    model : MixedModel
        Fitted to the same rows.
    data : MixedData
    fold : ndarray of int64 of shape (n,)
        Number of each row's fold.
    team : Team, optional

    Returns
    -------
    ndarray of float64 of shape (K, n)

    Raises
    ------
    ValueError
        If fold has another shape, or all rows of positive weight are in one fold; and see
        :meth:`MixedData.check`.
    """
    data.check()
    if fold.shape != data.y.shape:
        raise ValueError(f"fold must have shape {data.y.shape}, got {fold.shape}.")
    team = team or Team(1)
    data = replace(data, X=as_kernels_take(data.X, np.float64))
    raw = np.empty((data.loss.n_outputs, data.y.size))
    for number in np.unique(fold):
        here = fold == number
        if not np.any(data.weight[~here] > 0.0):
            raise ValueError(f"fold must leave rows of positive weight outside of fold {number}.")
        others = replace(data, weight=np.where(here, 0.0, data.weight))
        fitted = _fit(model.design, others, model.variances, team)
        raw[:, here] = fitted.predict(data.X[here], data.task[here], team)
    return raw


def _fit(
    design: Design, data: MixedData, variances: tuple[Variances, ...] | None, team: Team
) -> MixedModel:
    """Fit the coefficients, and the variances if they are not given, in a unit of the target."""
    in_unit, unit = data.in_unit()
    if data.loss.leaf_quantile is None:
        model = _minimise(design, in_unit, variances, team)
    else:
        model = _shifted(design, in_unit, variances, team)
    with np.errstate(over="ignore"):
        limits = model.limits * unit
    return replace(model, fixed=model.fixed * unit, effects=model.effects * unit, limits=limits)


def _minimise(
    design: Design, data: MixedData, variances: tuple[Variances, ...] | None, team: Team
) -> MixedModel:
    """Minimise a loss that has a hessian."""
    taking_part = np.flatnonzero(data.weight > 0.0)
    index = TaskIndex.from_codes(data.task[taking_part], data.n_tasks)
    index = replace(index, order=taking_part[index.order])
    rows = MixedRows.of(design, data.X, index, data.weight, team)
    chosen = None
    if variances is None:
        chosen = sample_of_tasks(index, data.y, rows.n_effects * rows.width)
    sample = rows
    if chosen is not None:
        some = TaskIndex.from_codes(data.task[index.order[chosen]], data.n_tasks)
        some = replace(some, order=index.order[chosen][some.order])
        sample = MixedRows.of(design, data.X, some, data.weight, team)
    target = Target(data.y, data.weight, data.loss)
    steps = NewtonSteps(rows, sample, target, data.task, variances)
    coefficients, found, raw = steps.run()
    return MixedModel(
        design,
        np.array([output.fixed for output in coefficients]),
        np.array([output.effects for output in coefficients]),
        _limits(raw[:, taking_part], data.loss),
        found,
    )


def _shifted(
    design: Design, data: MixedData, variances: tuple[Variances, ...] | None, team: Team
) -> MixedModel:
    """Fit the location of a robust loss, and add the best constant for an absolute one."""
    residuals = data.y
    for _ in range(2):  # the scale of targets leads to that of residuals
        delta = EFFICIENT_DELTA * robust_scale(residuals, data.weight)
        model = _minimise(design, replace(data, loss=Huber(delta)), variances, team)
        residuals = data.y - model.predict(data.X, data.task, team)[0]
    shift = data.loss.fit_intercept(residuals, data.weight)
    fixed = model.fixed.copy()
    fixed[:, 0] += shift
    return replace(model, fixed=fixed, limits=model.limits + shift[:, None])


def _limits(raw: FloatArray, loss: Loss) -> FloatArray:
    """Return how far predictions may go, (K, 2), from those of the fit (K, n)."""
    low, high = raw.min(axis=1), raw.max(axis=1)
    margin = high - low
    if loss.is_likelihood:
        margin = np.minimum(margin, FURTHEST_LOGARITHM)
    return np.column_stack([low - margin, high + margin])
