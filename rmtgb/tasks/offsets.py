"""The offsets of tasks, as a fitted model holds them."""

from __future__ import annotations

from dataclasses import dataclass

from rmtgb._common import FloatArray


@dataclass(frozen=True)
class Baseline:
    """Raw predictions before the first stage.

    Attributes
    ----------
    tasks : ndarray of float64 of shape (n_tasks, n_outputs)
        Of each task.
    population : ndarray of float64 of shape (n_outputs,)
        Of a task that was not seen.
    """

    tasks: FloatArray
    population: FloatArray
