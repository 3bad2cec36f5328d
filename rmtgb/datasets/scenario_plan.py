"""Which tasks of a scenario belong together, and checks of what a call asks for."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from rmtgb._common import IntArray, check_integer, check_integers, check_real, dimensions
from rmtgb.datasets._parameters import check_range, per_task
from rmtgb.datasets.dials import TaskDials

_SCENARIOS = ("outliers", "pooled", "independent", "related", "clusters", "hierarchy")
_MIXED_SCENARIOS = ("outliers", "related", "clusters")
_MIXTURE_WEIGHTS = (0.9, 0.1)  # common function of the group, own function of the task
# Each has a function of hundreds of cosines: no memory holds more.
_MAX_LEAVES = 1_000_000
_DEFAULT_LENGTH_SCALE = 0.25  # times the number of features


class Tree(NamedTuple):
    """Who belongs to whom: see `task_functions.Plan`."""

    groups: IntArray
    nodes: IntArray
    weights: tuple[float, ...]
    is_hierarchy: bool = False


def plant_tree(
    scenario: Any, n_tasks: Any, n_outlier_tasks: Any, cluster_sizes: Any, hierarchy: Any
) -> tuple[Tree, IntArray]:
    """Return the tree of the tasks and the labels of the outlier tasks."""
    if not isinstance(scenario, str) or scenario not in _SCENARIOS:
        raise ValueError(f"scenario must be one of {list(_SCENARIOS)}, got {scenario!r}.")
    n_tasks = check_integer("n_tasks", n_tasks, minimum=1)
    n_outlier_tasks = check_integer("n_outlier_tasks", n_outlier_tasks, minimum=0)
    nobody = np.empty(0, dtype=np.int64)
    if scenario == "hierarchy":
        return _branch(*hierarchy), nobody
    if scenario == "clusters":
        sizes = check_integers("cluster_sizes", cluster_sizes, minimum=1)
        return _mix(np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)), nobody
    groups = np.zeros(n_tasks, dtype=np.int64)
    if scenario == "outliers":
        if n_outlier_tasks >= n_tasks:
            raise ValueError(
                f"n_outlier_tasks must be less than n_tasks={n_tasks}, got {n_outlier_tasks}."
            )
        outlier_tasks = np.arange(n_tasks - n_outlier_tasks, n_tasks, dtype=np.int64)
        groups[outlier_tasks] = 1
        return _mix(groups), outlier_tasks
    if scenario == "related":
        return _mix(groups), nobody
    groups = np.arange(n_tasks, dtype=np.int64) if scenario == "independent" else groups
    return Tree(groups, groups[:, None], (1.0,)), nobody


def _mix(groups: IntArray) -> Tree:
    """Return the tree of groups whose tasks have something of their own."""
    nodes = np.column_stack([groups, np.arange(len(groups), dtype=np.int64)])
    return Tree(groups, nodes, _MIXTURE_WEIGHTS)


def _branch(branching: Any, level_shares: Any) -> Tree:
    """Return the tree in which all nodes of a level have the same number of branches."""
    branches = check_integers("branching", branching, minimum=1)
    n_tasks = math.prod(branches.tolist())  # of Python's integers, which do not overflow
    if n_tasks > _MAX_LEAVES:
        raise ValueError(f"branching must make at most {_MAX_LEAVES} tasks, got {n_tasks}.")
    n_levels = len(branches) + 1
    shares = [1.0] * n_levels if level_shares is None else level_shares
    if dimensions(shares) != 1 or len(shares) != n_levels:
        raise ValueError(
            f"level_shares must have one value for each of the {n_levels} levels that branching "
            f"has with the root, got {shares!r}."
        )
    checked = [
        check_range(f"level_shares[{level}]", share, 0, 1e6) for level, share in enumerate(shares)
    ]
    if sum(checked) == 0:
        raise ValueError("level_shares must not all be 0.")
    tasks = np.arange(n_tasks, dtype=np.int64)
    below = [int(branches[level:].prod()) for level in range(n_levels)]
    nodes = np.column_stack([tasks // n for n in below])
    weights = np.sqrt(np.array(checked) / sum(checked))
    return Tree(nodes[:, 1], nodes, tuple(weights.tolist()), is_hierarchy=True)


def check_dials(
    dials: Any, classification: bool, n_tasks: int
) -> tuple[TaskDials, list[float] | None]:
    """Return the dials, and the share of class 1 of each task if it is given."""
    if dials is None:
        dials = TaskDials()
    if not isinstance(dials, TaskDials):
        raise TypeError(f"dials must be a TaskDials object or None, got {dials!r}.")
    if dials.class_prior is None:
        return dials, None
    if not classification:
        raise ValueError("class_prior of dials must be None unless classification is true.")
    return dials, per_task("class_prior", dials.class_prior, n_tasks, check_real)


def check_counts(n_samples_per_task: Any, n_tasks: int, minimum: int) -> IntArray:
    """Rows of each task; at least two in classification, one for each class."""
    name = "n_samples_per_task"
    if np.ndim(n_samples_per_task) == 0:
        return np.full(n_tasks, check_integer(name, n_samples_per_task, minimum), dtype=np.int64)
    counts = check_integers(name, n_samples_per_task, minimum)
    if len(counts) != n_tasks:
        raise ValueError(
            f"{name} must be an integer or have one value for each of the {n_tasks} tasks, "
            f"got {len(counts)} values."
        )
    return counts


def check_length_scale(length_scale: Any, scenario: str, n_features: int) -> float | None:
    """Return the length scale of all groups, None if each is to draw its own."""
    if length_scale is None:
        return None if scenario == "clusters" else _DEFAULT_LENGTH_SCALE * n_features
    checked = check_real("length_scale", length_scale)
    if not 0 < checked < np.inf:
        raise ValueError(f"length_scale must be a finite number > 0, got {checked}.")
    return checked
