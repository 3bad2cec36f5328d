"""What a fit is told besides its data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rmtgb._common import IntArray
from rmtgb.losses import Loss
from rmtgb.tree.grower import TreeSettings

#: Learning rate at which ways through the stages are compared, and how many times the rate of the
#: fit it may be. On 38 splits of 23 sets, rounds four times as large led to errors of 0.98
#: (median 1.00) times those of a comparison at the rate of the fit, in a third of the time.
COARSE_RATE, MOST_STEPS = 0.25, 4.0


@dataclass(frozen=True)
class Stopping:
    """When a stage ends.

    Stages 1 and 2 after ``patience`` rounds without an improvement by the share ``tolerance``,
    stage 3 at one of the looks at its losses, every ``rounds_per_look`` rounds.
    """

    patience: int
    tolerance: float
    rounds_per_look: int = 50

    def in_steps(self, factor: float) -> Stopping:
        """Return the same for rounds that are so many times as large."""
        return replace(
            self,
            patience=math.ceil(self.patience / factor),
            rounds_per_look=math.ceil(self.rounds_per_look / factor),
        )


@dataclass(frozen=True)
class StageSettings:
    """The settings of the three stages.

    Where lengths are chosen on validation rows, so is whether trees try random thresholds: those
    of stages 1 and 2 among ``common_threshold_kinds``, those of stage 3 among
    ``task_threshold_kinds``; the first of each is what others have to beat.
    """

    n_iter_shared: int
    n_iter_partition: int
    n_iter_task: int
    common_trees: TreeSettings
    task_trees: TreeSettings
    partition_regularization: float
    common_threshold_kinds: tuple[bool, ...]
    task_threshold_kinds: tuple[bool, ...]
    joint_offsets: bool = False

    @property
    def any_linear(self) -> bool:
        """Whether a stage has linear leaves."""
        return self.common_trees.linear_leaves or self.task_trees.linear_leaves

    def on_fewer_rows(self, proportion: float) -> StageSettings:
        """Return the settings with which a part of the rows gives trees of the same size."""
        common, own = (
            replace(trees, min_samples_leaf=trees.min_samples_leaf * proportion)
            for trees in (self.common_trees, self.task_trees)
        )
        return replace(self, common_trees=common, task_trees=own)

    @property
    def coarse_steps(self) -> float:
        """How many times as large rounds are when ways through the stages are compared.

        At least twice, or it would not pay to measure the rounds of one way once more.
        """
        steps = min(COARSE_RATE / self.common_trees.learning_rate, MOST_STEPS)
        return steps if steps >= 2.0 else 1.0

    def in_steps(self, factor: float) -> StageSettings:
        """Return the same with fewer rounds that are so many times as large."""
        common, own = (
            replace(trees, learning_rate=trees.learning_rate * factor)
            for trees in (self.common_trees, self.task_trees)
        )
        return replace(
            self,
            n_iter_shared=math.ceil(self.n_iter_shared / factor),
            n_iter_partition=math.ceil(self.n_iter_partition / factor),
            n_iter_task=math.ceil(self.n_iter_task / factor),
            common_trees=common,
            task_trees=own,
        )

    def with_common_thresholds(self, random_thresholds: bool) -> StageSettings:
        """Return the settings with one kind of thresholds in the trees of stages 1 and 2."""
        trees = replace(self.common_trees, random_thresholds=random_thresholds)
        return replace(self, common_trees=trees)

    def with_task_thresholds(self, random_thresholds: bool) -> StageSettings:
        """Return the settings with one kind of thresholds in the trees of stage 3."""
        trees = replace(self.task_trees, random_thresholds=random_thresholds)
        return replace(self, task_trees=trees)


@dataclass(frozen=True)
class FitSettings:
    """All settings of a fit besides the data.

    ``n_categories`` (n_features,) is the number of categories of each feature, 0 for numerical
    ones; without ``stopping`` stages have the lengths that ``stages`` says. A share
    ``validation_fraction`` of the rows validates, the last ones of each task if
    ``last_rows_validate``.
    """

    stages: StageSettings
    loss: Loss
    task_baseline: str
    max_bins: int
    n_categories: IntArray
    stopping: Stopping | None
    validation_fraction: float
    last_rows_validate: bool
    task_descriptors: str | bool


class Seeds(NamedTuple):
    """One seed for each thing that chance decides; ``validation`` is for rows and for folds.

    The length of one stage does not change the random numbers of the next, and what is fitted
    again with other lengths has the same ones.
    """

    bins: int
    validation: int
    shared: int
    partition: int
    task: int
    evidence: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Seeds:
        """Draw all seeds from the generator of a fit."""
        # a new one to the end: what a seed gave before, it gives again
        bins, validation, stages, evidence = rng.spawn(4)
        generators = bins, validation, *stages.spawn(3), evidence
        return cls(*(int(generator.integers(2**63)) for generator in generators))
