"""What was chosen on validation rows, and whether that is better than a simpler choice."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.settings import StageSettings
from rmtgb.losses.base import losses_as_given

#: Standard errors by which another plan must be better than a simpler one. On 25 sets, two seeds,
#: gains of 0 to 0.5 of them were followed by test errors of 0.98 to 1.06, in the mean 1.00; at 1,
#: sets would be missed on which the linear part takes 6 to 14 % off.
MIN_ERRORS = 0.5


@dataclass(frozen=True)
class StageLengths:
    """Rounds of each stage to keep, and the curves that led to the choice.

    Attributes
    ----------
    shared, partition : int
    task : ndarray of int64 of shape (n_tasks,)
    task_random_thresholds : bool
        Whether the trees of stage 3 try random thresholds.
    loss : float
        Mean validation loss with these lengths, in the unit of the fit.
    task_losses : ndarray of float64 of shape (n_tasks,)
        Sums of the same losses over the validation rows of each task.
    fold_losses : tuple of float
        Mean validation loss of each fold.
    train_score, validation_score : dict of str to ndarray of float64
        Mean loss before the first and after each round of the stages "shared",
        "partition" and "task", of the combination that was chosen.
    """

    shared: int
    partition: int
    task: IntArray
    task_random_thresholds: bool
    loss: float = np.nan
    task_losses: FloatArray = field(default_factory=lambda: np.empty(0))
    fold_losses: tuple[float, ...] = ()
    train_score: dict[str, FloatArray] = field(default_factory=dict)
    validation_score: dict[str, FloatArray] = field(default_factory=dict)

    def beat(self, simpler: StageLengths) -> bool:
        """Tell whether the loss is below that of a simpler choice by more than chance.

        Tasks are what differs by chance: the standard error is that of a sum over tasks of paired
        differences.
        """
        gains = simpler.task_losses - self.task_losses
        correction = gains.size / max(gains.size - 1, 1)
        error = np.sqrt(correction * np.square(gains - gains.mean()).sum())
        return bool(gains.sum() > MIN_ERRORS * error)

    def limit(self, settings: StageSettings) -> StageSettings:
        """Return the settings with what was chosen for the stages."""
        return replace(
            settings.with_task_thresholds(self.task_random_thresholds),
            n_iter_shared=self.shared,
            n_iter_partition=self.partition,
            n_iter_task=int(self.task.max(initial=0)),
        )

    def in_unit(self, unit: float, degree: int) -> StageLengths:
        """Return the lengths with curves in a power of a unit; infinite if they are too large."""
        train, validation = (
            {name: losses_as_given(curve, unit, degree) for name, curve in scores.items()}
            for scores in (self.train_score, self.validation_score)
        )
        return replace(self, train_score=train, validation_score=validation)
