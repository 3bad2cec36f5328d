"""What is known of each task's departure from what most tasks share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmtgb._common import BoolArray, FloatArray

#: A departure below this share of what is unexplained is not called, however certain: its root
#: mean square is a tenth of a standard deviation.
MATERIAL = 0.01

#: Features that are named, and the share of the largest departure that is not worth it.
MAX_NAMED, SMALL_BESIDE = 3, 0.1


@dataclass(frozen=True)
class TaskEvidence:
    """What is known of each task's departure from what most tasks share.

    Attributes
    ----------
    called : ndarray of bool of shape (n_tasks,)
        Whether it is an outlier.
    score, error : ndarray of float64 of shape (n_tasks,)
        Squared distance from the other tasks, in units of what noise and the usual variation
        between tasks make it; its standard error. NaN for fewer than three tasks.
    p_value : ndarray of float64 of shape (n_tasks,)
        How often the largest score of so many tasks would be as large if no task stood out.
    stability : ndarray of float64 of shape (n_tasks,)
        Share of samples in which the task stands out: halves of the rows and, if it is called,
        all of them.
    departures : ndarray of float64 of shape (n_tasks, n_features)
        Mean squared departure by feature, in units of what is unexplained; near zero, and of
        either sign, where there is none.
    """

    called: BoolArray
    score: FloatArray
    error: FloatArray
    p_value: FloatArray
    stability: FloatArray
    departures: FloatArray

    @classmethod
    def none(cls, n_tasks: int, n_features: int) -> TaskEvidence:
        """Return what is known of tasks that are too few: nothing."""
        unknown = np.full(n_tasks, np.nan)
        called, one = np.zeros(n_tasks, dtype=bool), np.ones(n_tasks)
        return cls(called, unknown, unknown, one, unknown, np.zeros((n_tasks, n_features)))

    @property
    def weights(self) -> FloatArray:
        """Outlier weights in [0, 1], above 1/2 for those called; 1/2 where nothing is known.

        The mean of the call and of how stable it is, the rows themselves counted as one more of
        their samples: shape (n_tasks,).
        """
        return np.where(np.isnan(self.stability), 0.5, 0.5 * (self.called + self.stability))

    def departing_features(self) -> list[list[int]]:
        """Return the features in which each task departs most: at most three, in order.

        Left out are departures that are not material, or small beside the largest.
        """
        found = []
        for of_task in self.departures:
            order = np.argsort(-of_task, kind="stable")[:MAX_NAMED]
            least = max(MATERIAL, SMALL_BESIDE * float(of_task.max(initial=0.0)))
            found.append([int(feature) for feature in order if of_task[feature] > least])
        return found
