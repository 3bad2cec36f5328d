"""Variances of effects, estimated by restricted maximum likelihood.

Patterson and Thompson (1971), "Recovery of inter-block information when block sizes are unequal",
Biometrika 58. The variances are those of the intercepts of tasks, of the slopes of each number
over tasks, of the slopes of all levels, and of the coefficients of the fixed part. One variance
for all slopes is not enough: few features differ in their effect, and on three of eleven real
sets slopes with variances of their own had 5 to 12 % less error. Left alone, variances
of dozens of features follow noise, so their logarithms are drawn to each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.linear.design import Design
from rmtgb.linear.kernels.triangular import solve_positive
from rmtgb.linear.ratios import Variances
from rmtgb.linear.system import MixedSystem, Solution

#: Standard deviation of the logarithms of the variances of slopes around their mean. With 2, no
#: set of the eleven lost more than 0.5 % by having many variances; with 1 produc lost 7 %.
SPREAD_OF_SLOPES = 2.0

#: Standard deviation of the logarithm of each ratio around a usual one: so wide that it matters
#: where data say nothing, and keeps ratios of what is not there from going to zero for ever. A
#: deviation of 3 cost 5 to 10 % on produc, whose noise is a thousandth of its variance.
SPREAD = 8.0

#: Usual variances over that of noise: of intercepts, of all slopes together, and of the
#: coefficients of the fixed part together.
USUAL_INTERCEPTS, USUAL_SLOPES, USUAL_FIXED = 0.1, 0.1, 1.0

#: Logarithms of ratios stay within these bounds.
LOWEST, HIGHEST = -18.0, 18.0

#: The same, highest, for losses on a logarithmic scale, where a variance of e^3 of log-odds is
#: certainty, and separable classes have no largest likelihood.
HIGHEST_OF_LIKELIHOODS = 3.0

#: A ratio times the weight of the heaviest task stays below this. There such a task is not
#: shrunken at all, and what is left of its sums without its effects still has digits.
LARGEST_PRODUCT = 1e12

#: An iteration ends where the next step promises less than this of minus twice the logarithm of
#: the likelihood, which is far below what chance makes of it.
TOLERANCE = 0.05

MAX_STEPS = 60

#: Longest step of a logarithm.
LONGEST_STEP = 2.5

#: Damping: of a step that failed, and factors of it after success and failure.
DAMPING, SUCCESS, FAILURE = 0.1, 0.2, 5.0

#: Steps that succeed become longer: expected information is far above the actual one where noise
#: is much larger or much smaller than it was thought to be.
GROWTH, LONGEST_STRIDE = 1.6, 3.0


@dataclass(frozen=True)
class Noise:
    """What is known of the variance of noise: its bounds, in units of the loss."""

    smallest: float
    largest: float

    def estimate(self, rest: float, freedom: float) -> float:
        """Return the most likely variance for a sum of squares."""
        return min(max(rest / freedom, self.smallest), self.largest)


@dataclass(frozen=True, eq=False)
class _Point:
    """The criterion, its gradient and expected second derivatives at some variances."""

    variances: Variances
    value: float
    gradient: FloatArray
    information: FloatArray


def usual_variances(design: Design, n_effects: int) -> Variances:
    """Return what variances are thought to be before data are seen."""
    # intercepts, each number, all levels
    of_effect = np.minimum(np.arange(n_effects), design.n_numbers + 1)
    n_slopes = max(n_effects - 1, 1)
    values = np.full(int(of_effect.max(initial=-1)) + 2, USUAL_SLOPES / n_slopes)
    if n_effects:
        values[0] = USUAL_INTERCEPTS
    values[-1] = USUAL_FIXED / max(design.columns.size, 1)
    usual = np.array([math.log(value) for value in values])
    return Variances(usual, usual, of_effect)


def estimate_variances(
    system: MixedSystem, start: Variances, noise: Noise, highest: float = HIGHEST
) -> Variances:
    """Minimise minus twice the logarithm of the penalised restricted likelihood.

    By Fisher's scoring with the information of tasks one by one, damped where a step fails
    (Levenberg and Marquardt), until steps promise less than ``TOLERANCE``.

    Parameters
    ----------
    system : MixedSystem
    start : Variances
        Where the search starts.
    noise : Noise
    highest : float
        Bound of the logarithms.

    Returns
    -------
    Variances
    """
    bounds = _upper_bounds(system, start, highest)
    start = start.moved(np.minimum(start.logarithms, bounds))
    here, damping, stride = _point(system, start, noise), DAMPING, 1.0
    for _ in range(MAX_STEPS):
        step = _step(here, damping, stride, bounds)
        if not -math.fsum(step * here.gradient) > TOLERANCE * stride:
            break
        there = _point(system, here.variances.moved(here.variances.logarithms + step), noise)
        if there.value < here.value:
            here, damping, stride = there, damping * SUCCESS, min(stride * GROWTH, LONGEST_STRIDE)
        elif stride > 1.0:
            stride = 1.0
        else:
            damping = max(damping, DAMPING) * FAILURE
    return here.variances


def _upper_bounds(system: MixedSystem, variances: Variances, highest: float) -> FloatArray:
    """Return bounds of the logarithms (n_components,): lower ones of effects of heavy tasks."""
    bounds = np.full(variances.logarithms.size, highest)
    heaviest = float(system.grams[:, 0, 0].max(initial=1.0)) if system.grams.size else 1.0
    bounds[variances.of_effect] = min(highest, math.log(LARGEST_PRODUCT / heaviest))
    return bounds


def _step(point: _Point, damping: float, stride: float, bounds: FloatArray) -> FloatArray:
    matrix = point.information.copy()
    diagonal = np.diag(matrix) * (1.0 + damping)
    np.fill_diagonal(matrix, diagonal)
    solved = point.gradient[:, None].copy()
    solve_positive(matrix, solved, 1e-12 * float(diagonal.max()))
    step = np.clip(-stride * solved[:, 0], -LONGEST_STEP, LONGEST_STEP)
    logarithms = point.variances.logarithms
    moved: FloatArray = np.clip(logarithms + step, LOWEST, bounds) - logarithms
    return moved


def _point(system: MixedSystem, variances: Variances, noise: Noise) -> _Point:
    solution = system.solve(variances.ratios, variances.ridge, keep=True)
    freedom = max(system.rows.total_weight - 1.0, 1.0)
    noise_variance = noise.estimate(solution.rest, freedom)
    value, pull, information = _prior(variances)
    gradient = np.zeros(pull.size)
    n_columns = solution.fixed.size - 1
    value += freedom * math.log(noise_variance) + solution.rest / noise_variance
    value += solution.determinant + n_columns * float(variances.logarithms[-1])
    _add_effects(system, solution, variances, noise_variance, gradient, information)
    _add_fixed(solution, variances, noise_variance, gradient, information)
    # where a variance should be smaller and is small, its effect falls with it: in logarithms an
    # exponential, whose second derivative is the first
    information[np.diag_indices_from(information)] += np.maximum(gradient, 0.0)
    return _Point(variances, value, gradient + pull, information)


def _add_effects(
    system: MixedSystem,
    solution: Solution,
    variances: Variances,
    noise_variance: float,
    gradient: FloatArray,
    information: FloatArray,
) -> None:
    """Add the derivatives by the variances of effects of tasks."""
    sums, squares = system.derivatives(solution)
    ratios, place = variances.ratios, variances.of_effect
    np.add.at(gradient, place, ratios * (sums[0] - sums[1] / noise_variance))
    np.add.at(information, (place[:, None], place), ratios[:, None] * ratios * squares)


def _add_fixed(
    solution: Solution,
    variances: Variances,
    noise_variance: float,
    gradient: FloatArray,
    information: FloatArray,
) -> None:
    """Add the derivatives by the variance of the coefficients of the fixed part."""
    ridge, coefficients = variances.ridge, solution.fixed[1:]
    known = 1.0 - ridge * solution.inverse[1:]
    gradient[-1] += math.fsum(known - coefficients * coefficients * (ridge / noise_variance))
    information[-1, -1] += math.fsum(known * known)


def _prior(variances: Variances) -> tuple[float, FloatArray, FloatArray]:
    """Return what unusual variances add to the criterion, with its derivatives."""
    distance = variances.logarithms - variances.usual
    value = math.fsum(distance * distance) / SPREAD**2
    gradient = distance * (2.0 / SPREAD**2)
    information = np.diag(np.full(distance.size, 2.0 / SPREAD**2))
    slopes = slice(1, distance.size - 1)
    n_slopes = distance[slopes].size
    if n_slopes > 1:
        apart = distance[slopes] - math.fsum(distance[slopes]) / n_slopes
        value += math.fsum(apart * apart) / SPREAD_OF_SLOPES**2
        gradient[slopes] += apart * (2.0 / SPREAD_OF_SLOPES**2)
        centering = np.eye(n_slopes) - 1.0 / n_slopes
        information[slopes, slopes] += centering * (2.0 / SPREAD_OF_SLOPES**2)
    return value, gradient, information
