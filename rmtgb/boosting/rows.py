"""The rows of a fit, sorted by task and in bins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import BoolArray, FloatArray, IntArray
from rmtgb.boosting.monitor import MeanLosses
from rmtgb.engine.record import Array, copy, empty
from rmtgb.engine.team import Team
from rmtgb.losses import Loss
from rmtgb.tasks.index import TaskIndex
from rmtgb.tasks.table import TaskTable
from rmtgb.tree.binning import BinMapper
from rmtgb.tree.records import BinnedFeatures

#: Largest absolute value of a target, so that predictions beyond it are finite.
LARGEST_TARGET = 2.0**1000


#: Largest target in the unit of a fit. The squares of any number of such are finite, and a loss
#: of a larger one has no digit that depends on the prediction.
LARGEST_IN_UNIT = 2.0**400


@dataclass(frozen=True)
class Rows:
    """Rows as the estimator has validated them.

    ``X`` (n, n_features) float32 or float64, categories numbered; ``y`` (n,) float64;
    ``weight`` (n,) float64, positive; ``task_codes`` (n,) int64; ``groups`` (n,) int64, from 0 on,
    of rows that validate together, or None.
    """

    X: NDArray[np.floating[Any]]
    y: FloatArray
    weight: FloatArray
    task_codes: IntArray
    groups: IntArray | None = None

    def in_unit(self, unit: float) -> Rows:
        """Return the rows with targets that are divided by a unit.

        The unit is that of training rows, so only targets of validation rows can be too large.

        Raises
        ------
        ValueError
            If a target is above ``LARGEST_IN_UNIT``.
        """
        with np.errstate(over="ignore"):
            y = self.y / unit
        largest = float(np.abs(self.y).max(initial=0.0))
        if largest / LARGEST_IN_UNIT > unit:
            raise ValueError(
                f"y_val holds values up to {largest:g} in size, more than 2**400 times those of y "
                f"({unit:g}): no digit of their loss would depend on the prediction."
            )
        return replace(self, y=y)


def unit_of_target(y: FloatArray, loss: Loss) -> float:
    """Return the power of two that targets are divided by while a model is fitted.

    Squares of the largest can then neither overflow nor vanish, and predictions for a target
    times a power of two are exactly that multiple. Losses that are not scale-free have unit 1.

    Raises
    ------
    ValueError
        If a target is larger than ``LARGEST_TARGET``.
    """
    largest = float(np.abs(y).max())
    if largest > LARGEST_TARGET:
        raise ValueError(
            f"y holds values up to {largest:g} in size; at most 2**1000 = {LARGEST_TARGET:g} are "
            "allowed. Divide y by a constant."
        )
    return loss.unit_of(largest)


@dataclass(frozen=True)
class FormerPredictions:
    """What a model that is to be continued predicts for the rows of a training set.

    ``raw``, ``shared`` (what stage 1 predicts), ``rest_of_shared``, ``rest`` (the raw prediction
    without the sides of stage 2), and ``sides`` (2, n_outputs, n_rows) are ndarrays of float64;
    the others of shape (n_outputs, n_rows).
    """

    raw: FloatArray
    shared: FloatArray
    rest_of_shared: FloatArray
    rest: FloatArray
    sides: FloatArray


@dataclass(frozen=True)
class TrainingSet:
    """The rows of a fit, those of a task next to each other.

    Validation rows are among them with a training weight of zero: they pass through
    the trees with the others and so get their predictions for nothing.

    Attributes
    ----------
    binned : BinnedFeatures
        Features of n rows.
    y, weight : ndarray of float64 of shape (n,)
        Targets and training weights.
    validation_weight : ndarray of float64 of shape (n,) or (0,)
        Weights of validation rows, zero for training rows; empty without validation.
    task_codes : ndarray of int32 of shape (n,)
        Task of each row, ascending.
    offsets : ndarray of int64 of shape (n_tasks + 1,)
        Where the rows of each task start.
    order : ndarray of int64 of shape (n,)
        Where each row stood before they were sorted, training rows before validation rows.
    loss : Loss
    groups : ndarray of int64 of shape (n,) or None
        See :class:`Rows`; None with validation rows of their own.
    """

    binned: BinnedFeatures
    y: FloatArray
    weight: FloatArray
    validation_weight: FloatArray
    task_codes: NDArray[np.int32]
    offsets: IntArray
    order: IntArray
    loss: Loss
    groups: IntArray | None = None

    @classmethod
    def of(
        cls,
        rows: Rows,
        validation: Rows | None,
        mapper: BinMapper,
        n_tasks: int,
        loss: Loss,
        standardized: bool,
        team: Team,
    ) -> TrainingSet:
        """Sort rows by task and bin them.

        Parameters
        ----------
        rows : Rows
            Training rows.
        validation : Rows or None
            Validation rows.
        mapper : BinMapper
        n_tasks : int
        loss : Loss
        standardized : bool
            Whether values are needed for linear leaves.
        team : Team
        """
        parts = [rows] if validation is None else [rows, validation]
        index = TaskIndex.from_codes(np.concatenate([p.task_codes for p in parts]), n_tasks)
        position = np.empty_like(index.order)
        position[index.order] = np.arange(index.order.size)
        binned, done = mapper.empty(index.codes.size, standardized), 0
        for part in parts:
            mapper.transform(part.X, position[done : done + part.y.size], binned, team)
            done += part.y.size
        everything = cls(
            binned,
            np.concatenate([part.y for part in parts])[index.order],
            np.concatenate([part.weight for part in parts])[index.order],
            np.empty(0),
            index.codes[index.order].astype(np.int32),
            index.offsets,
            index.order,
            loss,
        )
        if validation is None:
            groups = None if rows.groups is None else rows.groups[index.order]
            return replace(everything, groups=groups)
        return everything.setting_aside(index.order >= rows.y.size)

    def setting_aside(self, held_out: BoolArray) -> TrainingSet:
        """Return the rows, some of which only validate."""
        return replace(
            self,
            weight=np.where(held_out, 0.0, self.weight),
            validation_weight=np.where(held_out, self.weight, 0.0),
        )

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return self.offsets.size - 1

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.y.size

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.binned.n_bins.size

    @property
    def constant_hessian(self) -> bool:
        """Whether all hessians of training rows are one."""
        used = self.weight[self.weight > 0.0]
        return self.loss.constant_hessian and bool(np.all(used == 1.0))

    @property
    def task_weight(self) -> FloatArray:
        """Training weight of each task, shape (n_tasks,)."""
        return self.sum_by_task(self.weight)

    @cached_property
    def total_weights(self) -> FloatArray:
        """Weights of all training and of all validation rows, shape (2,)."""
        return np.array([self.weight.sum(), self.validation_weight.sum()])

    def mean_losses(self, sums: FloatArray) -> MeanLosses:
        """Return means of losses, of their sums over training and over validation rows."""
        return MeanLosses(*(sums / self.total_weights).tolist())

    def sum_by_task(self, values: Array) -> Array:
        """Return sums over the rows of each task, along the last axis."""
        return np.add.reduceat(values, self.offsets[:-1], axis=-1)

    def by_row(self, of_task: FloatArray) -> FloatArray:
        """Return values of tasks (n_tasks, n_outputs) for each row (n_outputs, n_rows)."""
        return np.ascontiguousarray(of_task[self.task_codes].T)


class BoostState:
    """The raw prediction of all rows and its derivatives, while stages go by.

    Parameters
    ----------
    training : TrainingSet
    tasks : TaskTable
        What is known of tasks when the stages start.
    team : Team
    former : FormerPredictions, optional
        Where the stages start from instead of the baseline.

    Attributes
    ----------
    raw, gradient, hessian : ndarray of float64 of shape (n_outputs, n_rows)
    """

    def __init__(
        self,
        training: TrainingSet,
        tasks: TaskTable,
        team: Team,
        former: FormerPredictions | None = None,
    ) -> None:
        self.training, self.tasks, self.team, self.former = training, tasks, team, former
        self.raw = copy(training.by_row(tasks.baseline) if former is None else former.raw)
        self.gradient = empty(self.raw.shape, np.float64)
        self.hessian = empty(self.raw.shape, np.float64)

    @property
    def arrays(self) -> dict[str, Array]:
        """The rows as arrays of a boosting record."""
        training = self.training
        return {
            "y": training.y,
            "weight": training.weight,
            "validation_weight": training.validation_weight,
            "task_codes": training.task_codes,
            "offsets": training.offsets,
            "raw": self.raw,
        }

    def numbers(self, seed: int) -> dict[str, Any]:
        """Return the loss and the seed of a stage as numbers of a boosting record."""
        loss = self.training.loss
        return {
            "loss": loss.code,
            "loss_parameter": loss.parameter,
            "stage_seed": np.uint64(seed),
        }
