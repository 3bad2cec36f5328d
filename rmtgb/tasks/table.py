"""The one table of what belongs to a task; it imports nothing of training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rmtgb._common import FloatArray, IntArray


@dataclass(frozen=True)
class TaskTable:
    """What a model holds of each task, a row for each code.

    Codes are given once: tasks that come later get the next ones (:meth:`appended`,
    :meth:`~rmtgb.containers.labels.LabelEncoder.extended`), and no row moves. Only trees of a
    task's own are elsewhere, in :class:`~rmtgb.boosting.parts.TaskEnsembles`, for they lie one
    after another.

    Attributes
    ----------
    baseline : ndarray of float64 of shape (n_tasks, n_outputs)
        Its offset in the raw prediction.
    baseline_start : ndarray of float64 of shape (n_tasks, n_outputs)
        The same before the first stage, which estimates it anew.
    population : ndarray of float64 of shape (n_outputs,)
        The same of a task that was not seen.
    weight : ndarray of float64 of shape (n_tasks,)
        Of its training rows.
    theta, second_weight : ndarray of float64 of shape (n_tasks,)
        Logit and weight of the second side of stage 2.
    theta_start : ndarray of float64 of shape (n_tasks,)
        Where theta started, and where its penalty pulls it to.
    """

    baseline: FloatArray
    baseline_start: FloatArray
    population: FloatArray
    weight: FloatArray
    theta: FloatArray
    second_weight: FloatArray
    theta_start: FloatArray

    @classmethod
    def starting(
        cls, baseline: FloatArray, population: FloatArray, weight: FloatArray
    ) -> TaskTable:
        """Return the table before stage 2: no task stands out."""
        n_tasks = len(baseline)
        half, zero = np.full(n_tasks, 0.5), np.zeros(n_tasks)
        return cls(baseline, baseline, population, weight, zero, half, zero)

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.baseline)

    def baseline_of(self, codes: IntArray) -> FloatArray:
        """Return the baseline of each row's task, shape (n_rows, n_outputs); -1 is unseen."""
        return np.vstack([self.baseline, self.population])[codes]

    def starting_at(self, theta: FloatArray) -> TaskTable:
        """Return the table before the first round of stage 2."""
        # not by np.exp, whose last bit depends on the processor
        weight = np.array([1.0 / (1.0 + math.exp(-logit)) for logit in theta])
        return replace(self, theta=theta, second_weight=weight, theta_start=theta)

    def appended(self, later: TaskTable) -> TaskTable:
        """Return the table with tasks that come later; those it has keep their codes."""
        columns = ("baseline", "baseline_start", "weight", "theta", "second_weight", "theta_start")
        joined = {
            name: np.concatenate([getattr(self, name), getattr(later, name)]) for name in columns
        }
        return replace(self, **joined)

    def scaled(self, by: float) -> TaskTable:
        """Return the table for targets in another unit."""
        return replace(
            self,
            baseline=self.baseline * by,
            baseline_start=self.baseline_start * by,
            population=self.population * by,
        )
