"""What is known about the tasks of a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.datasets.dials import TaskDials
from rmtgb.datasets.task_functions import BaseFunction
from rmtgb.datasets.task_traits import DialledFunction, TaskTraits

__all__ = ["ScenarioTruth"]

TaskFunction: TypeAlias = BaseFunction | DialledFunction


@dataclass(frozen=True, eq=False)
class ScenarioTruth:
    """What is known about generated tasks.

    Parameters
    ----------
    outlier_tasks : ndarray of shape (n_outlier_tasks,), int64
        Labels of the outlier tasks, empty in all scenarios but "outliers".
    clusters : ndarray of shape (n_tasks,), int64
        Group of each task: tasks of one group have the same common function.
    functions : sequence of callable, length n_tasks
        ``functions[t](X_without_task)`` is the noise-free raw value of task t for rows of
        shape (n, n_features). A classification label is 1 where it is above the limit. With
        dials they are `DialledFunction` objects, which take all columns but that of the task.
    length_scales : ndarray of shape (n_tasks,), float64
        Length scale of each task's functions.
    noise : float or ndarray of shape (n_tasks,), float64
        Standard deviation of the noise, as it was given.
    nodes : ndarray of shape (n_tasks, n_levels), int64
        Tasks are leaves of a tree: the node above each task at each level. Tasks share the
        functions of the nodes that they share.
    level_weights : tuple of float, length n_levels
        Weights of the functions of each level.
    noise_free_targets : ndarray of shape (n,), float64
        Target of each row of X without noise, in classification before the label is taken.
    noise_scale : ndarray of shape (n,), float64
        Standard deviation of the noise of each row.
    limits : ndarray of shape (n_tasks,), float64
        Limit between the classes of each task.
    dials : TaskDials
        The dials.
    traits : TaskTraits
        What they drew of each task.

    Attributes
    ----------
    function_correlation : ndarray of shape (n_tasks, n_tasks), float64
        Correlation that the tasks' functions have over draws of them, before the dials.
    """

    outlier_tasks: IntArray
    clusters: IntArray
    functions: Sequence[TaskFunction]
    length_scales: FloatArray
    noise: float | FloatArray
    nodes: IntArray
    level_weights: tuple[float, ...]
    noise_free_targets: FloatArray
    noise_scale: FloatArray
    limits: FloatArray
    dials: TaskDials
    traits: TaskTraits

    @property
    def function_correlation(self) -> FloatArray:
        """Share of the variance that is of common nodes, (n_tasks, n_tasks)."""
        is_common = self.nodes[:, None, :] == self.nodes[None, :, :]
        squares = np.square(self.level_weights)
        correlation: FloatArray = (is_common * squares).sum(axis=2) / squares.sum()
        return correlation
