"""Functions of the tasks of a scenario: which nodes of a tree they share, and their draw.

Tasks are leaves of a tree, each node has a random Fourier function, and a task's function is
the weighted sum of those on its path. One level gives tasks without anything of their own, two
levels groups, more of them hierarchies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.datasets.random_fourier import LinearCombination, RandomFourierFunction

BaseFunction: TypeAlias = RandomFourierFunction | LinearCombination
# A function and its values on the rows of each task that it is for.
Candidates: TypeAlias = Iterator[tuple[BaseFunction, list[FloatArray]]]
# What tasks have in common with others: functions from the root down, and their values.
Shared: TypeAlias = list[tuple[list[BaseFunction], list[FloatArray]]]

_CLUSTER_LENGTH_SCALES = (0.1, 0.5)  # times the number of features
_MIN_CLASS_PERCENT = 10
_MAX_REDRAWS = 100


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything about the functions of a scenario that is not random."""

    groups: IntArray  # (n_tasks,), ascending, so that the rows of a group are contiguous
    nodes: IntArray  # (n_tasks, n_levels): node of each task at each level, from the root down
    weights: tuple[float, ...]  # (n_levels,), of the functions of each level
    is_hierarchy: bool  # functions are of nodes, not of groups
    n_features: int
    n_fourier: int
    length_scale: float | None  # None: each group draws its own
    balanced: bool  # the sign of the values is a class, and neither class may be rare

    def draw_length_scales(self, rng: np.random.Generator) -> FloatArray:
        """Draw one length scale per group."""
        n_groups = int(self.groups[-1]) + 1
        if self.length_scale is not None:
            return np.full(n_groups, self.length_scale)
        return self.n_features * rng.uniform(*_CLUSTER_LENGTH_SCALES, n_groups)

    def draw(self, rng: np.random.Generator, length_scale: float) -> RandomFourierFunction:
        """Draw the function of a node."""
        return RandomFourierFunction.draw(rng, self.n_features, self.n_fourier, length_scale)


def draw_functions(
    rngs: list[np.random.Generator], plan: Plan, task_rows: list[FloatArray]
) -> tuple[list[BaseFunction], list[FloatArray], FloatArray]:
    """Draw the function of each task; return them, their values and their length scales.

    Parameters
    ----------
    rngs : list of numpy.random.Generator, length 4
        Sources of common functions, own functions, length scales and of the nodes of a
        hierarchy.
    plan : Plan
        What is to be drawn.
    task_rows : list of ndarray of shape (n_t, n_features), float64
        Rows of each task that the balance of classes is judged on.

    Raises
    ------
    RuntimeError
        If classes are to be balanced and too many draws in a row are not.
    """
    common_rng, own_rng, length_scale_rng, hierarchy_rng = rngs
    length_scales = plan.draw_length_scales(length_scale_rng)
    if plan.is_hierarchy:
        shared = _draw_upper_nodes(hierarchy_rng, plan, task_rows, length_scales)
    else:
        shared = _draw_common(common_rng, plan, task_rows, length_scales)
    scales = length_scales[plan.groups]
    if len(plan.weights) == 1:
        return [f for (f,), _ in shared], [value for _, (value,) in shared], scales
    functions: list[BaseFunction] = []
    raw: list[FloatArray] = []
    own_streams = own_rng.spawn(len(shared))
    for task, (upper, values) in enumerate(shared):
        own = _draw_candidates(own_streams[task], plan, float(scales[task]), [task_rows[task]])
        mixtures = _mix_candidates(plan.weights, upper, values, own)
        mixture, (mixed_values,) = _first_balanced(mixtures, plan)
        functions.append(mixture)
        raw.append(mixed_values)
    return functions, raw, scales


def draw_later_functions(
    rng: np.random.Generator, plan: Plan, length_scales: FloatArray
) -> list[LinearCombination]:
    """Draw what the functions of each task turn into: one function per group.

    It has the variance of the functions that there were, so that these are not drowned.
    """
    deviation = float(np.sqrt(np.square(plan.weights).sum()))
    first = np.unique(plan.groups, return_index=True)[1]
    by_group = [
        LinearCombination((deviation,), (plan.draw(stream, float(scale)),))
        for stream, scale in zip(rng.spawn(len(first)), length_scales[first], strict=True)
    ]
    return [by_group[group] for group in plan.groups]


def _draw_common(
    rng: np.random.Generator, plan: Plan, task_rows: list[FloatArray], length_scales: FloatArray
) -> Shared:
    """Draw one function per group, which has to suit each of its tasks."""
    shared: Shared = []
    streams = rng.spawn(len(length_scales))
    for group, length_scale in enumerate(length_scales.tolist()):
        rows = [task_rows[task] for task in np.flatnonzero(plan.groups == group)]
        candidates = _draw_candidates(streams[group], plan, length_scale, rows)
        common, values = _first_balanced(candidates, plan)
        shared += [([common], [value]) for value in values]
    return shared


def _draw_upper_nodes(
    rng: np.random.Generator, plan: Plan, task_rows: list[FloatArray], length_scales: FloatArray
) -> Shared:
    """Draw the functions of all nodes above the tasks, whatever the balance of classes."""
    shared: Shared = [([], []) for _ in task_rows]
    for nodes, level_rng in zip(plan.nodes.T[:-1], rng.spawn(len(plan.weights)), strict=False):
        streams = level_rng.spawn(int(nodes[-1]) + 1)
        functions = [plan.draw(stream, float(length_scales[0])) for stream in streams]
        for (upper, values), node, rows in zip(shared, nodes, task_rows, strict=True):
            upper.append(functions[node])
            values.append(functions[node](rows))
    return shared


def _draw_candidates(
    rng: np.random.Generator, plan: Plan, length_scale: float, task_rows: list[FloatArray]
) -> Candidates:
    """Yield new functions and their values on the rows of each task, without end."""
    while True:
        function = plan.draw(rng, length_scale)
        # Task by task, as the user will call it: the same call gives the same bits.
        yield function, [function(rows) for rows in task_rows]


def _mix_candidates(
    weights: tuple[float, ...], upper: list[Any], values: list[FloatArray], own: Candidates
) -> Candidates:
    """Yield mixtures of the functions above with each of the own ones of one task."""
    for own_function, (own_values,) in own:
        mixture = LinearCombination(weights, (*upper, own_function))
        yield mixture, [mixture.combine(*values, own_values)]


def _first_balanced(candidates: Candidates, plan: Plan) -> tuple[BaseFunction, list[FloatArray]]:
    """Return the first candidate with enough of each class in each task; any in regression."""
    for function, task_values in islice(candidates, 1 + _MAX_REDRAWS):
        if not plan.balanced or all(_is_balanced(values) for values in task_values):
            return function, task_values
    raise RuntimeError(
        f"No function with at least {_MIN_CLASS_PERCENT} % of each class in each of its tasks "
        f"was found in {_MAX_REDRAWS} redraws (length_scale={plan.length_scale}). A smaller "
        f"length_scale or more rows per task make one likelier."
    )


def _is_balanced(values: FloatArray) -> bool:
    positives = int(np.count_nonzero(values > 0))
    rarer = min(positives, len(values) - positives)
    return 100 * rarer >= _MIN_CLASS_PERCENT * len(values)
