"""Newton steps of a penalised loss, each of them the solution of a mixed model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.linear.model import predict
from rmtgb.linear.ratios import Variances
from rmtgb.linear.system import MixedRows, MixedSystem
from rmtgb.linear.variances import (
    HIGHEST,
    HIGHEST_OF_LIKELIHOODS,
    Noise,
    estimate_variances,
    usual_variances,
)
from rmtgb.losses import Loss, gradients
from rmtgb.losses.huber import Huber
from rmtgb.losses.pointwise import sum_losses
from rmtgb.losses.poisson import Poisson
from rmtgb.losses.squared_error import SquaredError

#: Steps over all outputs at most, and in how many of them variances are estimated: they settle
#: as soon as the working weights do.
MAX_STEPS, ESTIMATES = 40, 4

#: Steps end where they take less than this share off the loss.
TOLERANCE = 1e-9

#: How often a step that does not lower the loss is halved.
MAX_HALVINGS = 20

#: Longest step of a row on a logarithmic scale. Where a mean or a probability has nearly vanished
#: its curvature has too, and a count there would ask for a step beyond all numbers.
LONGEST_MOVE = 1000.0

#: Variance of noise: that of the loss, if it is a likelihood of one parameter (counts may have
#: more than they should, never less), and otherwise what residuals say.
KNOWN, AT_LEAST_ONE, UNKNOWN = Noise(1.0, 1.0), Noise(1.0, math.inf), Noise(1e-300, math.inf)


@dataclass(frozen=True)
class Target:
    """What is fitted: ``y`` (n,) in a unit near its size, ``weight`` (n,) and the loss.

    Rows that do not take part have weight zero.
    """

    y: FloatArray
    weight: FloatArray
    loss: Loss

    @property
    def noise(self) -> Noise:
        """What is known of the variance of noise."""
        if not self.loss.is_likelihood:
            return UNKNOWN
        return AT_LEAST_ONE if isinstance(self.loss, Poisson) else KNOWN

    @property
    def highest(self) -> float:
        """Bound of the logarithms of variances."""
        return HIGHEST_OF_LIKELIHOODS if self.loss.is_likelihood else HIGHEST

    def sum_losses(self, raw: FloatArray) -> float:
        """Return the weighted sum of the losses of raw predictions (K, n)."""
        code, parameter = self.loss.code, self.loss.parameter
        return float(sum_losses(0, self.y.size, code, parameter, self.y, self.weight, raw))


@dataclass(frozen=True)
class Coefficients:
    """Fixed part (1 + q,) and effects of tasks (T, r) of one output."""

    fixed: FloatArray
    effects: FloatArray

    def towards(self, other: Coefficients, share: float) -> Coefficients:
        """Return coefficients on the way to others."""
        return Coefficients(
            self.fixed + share * (other.fixed - self.fixed),
            self.effects + share * (other.effects - self.effects),
        )

    def penalty(self, variances: Variances) -> float:
        """Return half the sum of squares, each over its variance."""
        of_effects = np.sum(self.effects * self.effects, axis=0) / variances.ratios
        of_fixed = self.fixed[1:] * self.fixed[1:] * variances.ridge
        return 0.5 * (math.fsum(of_effects) + math.fsum(of_fixed))


@dataclass
class NewtonSteps:
    """The minimisation of a penalised loss over the coefficients of all outputs, one by one.

    Parameters
    ----------
    rows : MixedRows
        All rows that take part.
    sample : MixedRows
        Those that variances are estimated from.
    target : Target
    task : ndarray of int64 of shape (n,)
    variances : tuple of Variances, optional
        Of each output; estimated if they are not given.
    """

    rows: MixedRows
    sample: MixedRows
    target: Target
    task: IntArray
    variances: tuple[Variances, ...] | None = None

    def __post_init__(self) -> None:
        loss, n_tasks, n_effects = self.target.loss, self.rows.index.n_tasks, self.rows.n_effects
        self._center = loss.fit_intercept(self.target.y, self.target.weight)
        self._raw = np.repeat(self._center[:, None], self.target.y.size, axis=1)
        self._now = []
        for center in self._center:
            fixed = np.zeros(self.rows.design.n_fixed)
            fixed[0] = center
            self._now.append(Coefficients(fixed, np.zeros((n_tasks, n_effects))))
        usual = usual_variances(self.rows.design, n_effects)
        self._estimates = 0 if self.variances else ESTIMATES
        self._variances = list(self.variances or [usual] * loss.n_outputs)

    def run(self) -> tuple[list[Coefficients], tuple[Variances, ...], FloatArray]:
        """Return coefficients and variances of each output, and raw predictions (K, n)."""
        if isinstance(self.target.loss, SquaredError):  # the first step is exact
            system = self._system(0, self.rows)
            self._estimate(0, system)
            self._now[0] = self._solution(0, system)
            self._raw[0] = self._predict(self._now[0])
            return self._now, tuple(self._variances), self._raw
        for step in range(MAX_STEPS):
            gains = [self._improve(k, step < self._estimates) for k in range(len(self._now))]
            is_small = math.fsum(gains) <= TOLERANCE * abs(self.target.sum_losses(self._raw))
            if is_small and step >= self._estimates:
                break
        return self._now, tuple(self._variances), self._raw

    def _improve(self, output: int, estimate: bool) -> float:
        """Make a step in the coefficients of one output; return by how much the loss fell."""
        system = self._system(output, self.rows)
        if estimate:
            self._estimate(output, system)
        now, goal = self._now[output], self._solution(output, system)
        variances, raw, old = self._variances[output], self._raw, self._raw[output].copy()
        way = self._predict(goal) - old
        before, share = self.target.sum_losses(raw) + now.penalty(variances), 1.0
        for _ in range(MAX_HALVINGS):
            there = now.towards(goal, share)
            raw[output] = old + share * way
            gain = before - (self.target.sum_losses(raw) + there.penalty(variances))
            if gain > 0.0:
                self._now[output] = there
                return gain
            share *= 0.5
        raw[output] = old
        return 0.0

    def _system(self, output: int, rows: MixedRows, modified: bool = False) -> MixedSystem:
        """Sum the products of working weights and working responses, less the center.

        With modified residuals weights stay what they are: the curvature of losses with identity
        link is at most one.
        """
        target = self.target
        gradient, hessian = gradients(target.loss, target.y, self._raw, target.weight)
        curvature = target.weight if modified else hessian[output]
        if target.loss.is_likelihood:
            curvature = np.maximum(curvature, np.abs(gradient[output]) / LONGEST_MOVE)
        moves = np.divide(
            gradient[output], curvature, out=np.zeros(target.y.size), where=curvature > 0.0
        )
        response = (self._raw[output] - self._center[output]) - moves
        return rows.assemble(response, curvature)

    def _estimate(self, output: int, system: MixedSystem) -> None:
        """Estimate the variances of an output, unless they are given.

        The sum of squares with Huber's weights goes with the size of wild residuals, and variances
        over it would vanish; that of modified residuals is bounded (Huber, "Robust statistics",
        1981, section 7.8).
        """
        if self._estimates == 0:
            return
        modified = isinstance(self.target.loss, Huber)
        if modified or self.sample is not self.rows:
            system = self._system(output, self.sample, modified)
        self._variances[output] = estimate_variances(
            system, self._variances[output], self.target.noise, self.target.highest
        )

    def _solution(self, output: int, system: MixedSystem) -> Coefficients:
        variances = self._variances[output]
        fixed = system.solve(variances.ratios, variances.ridge).fixed
        effects = system.effects(variances.ratios, fixed)
        fixed[0] += self._center[output]
        return Coefficients(fixed, effects)

    def _predict(self, coefficients: Coefficients) -> FloatArray:
        rows = self.rows
        fixed, effects = coefficients.fixed[None], coefficients.effects[None]
        return predict(rows.design, rows.X, self.task, fixed, effects, rows.team)[0]
