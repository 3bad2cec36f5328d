"""What the three stages work on: settings, training rows, and one growing ensemble."""

from dataclasses import dataclass, replace

import numpy as np

from rmtgb.losses import Loss
from rmtgb.tree.dtypes import BinnedFeatures
from rmtgb.tree.job import leaf_limit

#: Resolution of weights that are not integers: steps per mean weight.
WEIGHT_STEPS = 64

#: Total of integer weights up to which they are summed as they are; larger ones would leave
#: too few bits for hessians.
MAX_INTEGER_WEIGHT = 2**32

#: Stands for "no limit" where a kernel needs a number.
NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class TreeSettings:
    """Limits of the trees of a stage, as the user gave them; None means no limit."""

    max_leaf_nodes: int | None
    max_depth: int | None
    min_samples_leaf: float
    l2_regularization: float
    learning_rate: float
    max_features: float
    subsample: float
    random_thresholds: bool
    linear_leaves: bool

    def n_leaves(self, total_weight):
        """Return the largest number of leaves of a tree on rows of some total weight."""
        return leaf_limit(self.max_leaf_nodes, self.max_depth, self.min_samples_leaf, total_weight)

    def growth_params(self, n_features, n_leaves):
        """Return the settings as fields of a job."""
        return {
            "max_leaf_nodes": n_leaves,
            "max_depth": NO_LIMIT if self.max_depth is None else self.max_depth,
            "min_samples_leaf": self.min_samples_leaf,
            "l2_regularization": self.l2_regularization,
            "learning_rate": self.learning_rate,
            "n_candidate_features": max(1, round(self.max_features * n_features)),
            "subsample": self.subsample,
            "random_thresholds": self.random_thresholds,
            "linear_leaves": self.linear_leaves,
        }


@dataclass(frozen=True)
class StageSettings:
    """The settings of the three stages.

    Where lengths are chosen on validation rows, so is whether the trees of stage 3 try random
    thresholds, among ``task_threshold_kinds``.
    """

    n_iter_shared: int
    n_iter_partition: int
    n_iter_task: int
    common_trees: TreeSettings
    task_trees: TreeSettings
    partition_regularization: float
    task_threshold_kinds: tuple[bool, ...]

    @property
    def any_linear(self):
        """Whether a stage has linear leaves."""
        return self.common_trees.linear_leaves or self.task_trees.linear_leaves

    def on_fewer_rows(self, share):
        """Return the settings with which a share of the rows gives trees of the same size."""
        common, own = (
            replace(trees, min_samples_leaf=trees.min_samples_leaf * share)
            for trees in (self.common_trees, self.task_trees)
        )
        return replace(self, common_trees=common, task_trees=own)


@dataclass(frozen=True)
class FormerPredictions:
    """What a model that is to be continued predicts for the rows of a training set.

    ``raw``, and ``inlier`` and ``outlier`` of its stage 2, are ndarrays of float64 of
    shape (n_outputs, n_rows).
    """

    raw: np.ndarray
    inlier: np.ndarray
    outlier: np.ndarray


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
    baseline : ndarray of float64 of shape (n_tasks, n_outputs)
        Raw prediction before the first stage.
    loss : Loss
    former : FormerPredictions or None
        Where the stages start from instead of the baseline.
    """

    binned: BinnedFeatures
    y: np.ndarray
    weight: np.ndarray
    validation_weight: np.ndarray
    task_codes: np.ndarray
    offsets: np.ndarray
    baseline: np.ndarray
    loss: Loss
    former: FormerPredictions | None = None

    @property
    def n_tasks(self):
        """Number of tasks."""
        return self.offsets.size - 1

    @property
    def n_features(self):
        """Number of features."""
        return self.binned.n_bins.size

    @property
    def constant_hessian(self):
        """Whether all hessians of training rows are one."""
        used = self.weight[self.weight > 0.0]
        return self.loss.constant_hessian and bool(np.all(used == 1.0))

    @property
    def row_fields(self):
        """Loss and scale of the weights, as fields of a job."""
        integers = bool(np.all(self.weight == np.rint(self.weight)))
        integers = integers and self.weight.sum() < MAX_INTEGER_WEIGHT
        mean = self.weight.sum() / max(1, np.count_nonzero(self.weight))
        scale = 1.0 if integers else WEIGHT_STEPS / mean
        return {
            "loss": self.loss.code,
            "loss_parameter": self.loss.parameter,
            "leaf_quantile": self.loss.leaf_quantile or 0.0,
            "weight_scale": scale,
            "weight_bits": int(np.rint(self.weight * scale).sum()).bit_length(),
        }


class BoostState:
    """The raw prediction of all rows and its derivatives, while stages go by.

    Parameters
    ----------
    training : TrainingSet
    team : Team

    Attributes
    ----------
    raw, gradient, hessian : ndarray of float64 of shape (n_outputs, n_rows)
        ``raw`` starts at the baseline, or at what a former model predicts.
    """

    def __init__(self, training, team):
        self.training, self.team = training, team
        if training.former is None:
            self.raw = np.ascontiguousarray(training.baseline[training.task_codes].T)
        else:
            self.raw = training.former.raw.copy()
        self.gradient, self.hessian = np.empty_like(self.raw), np.empty_like(self.raw)

    def sides(self):
        """Return what the two sides of stage 2 predict at its start: (2, n_outputs, n_rows)."""
        former = self.training.former
        if former is None:
            return np.zeros((2, *self.raw.shape))
        return np.stack([former.inlier, former.outlier])

    @property
    def arrays(self):
        """The rows as arrays of a job."""
        training = self.training
        return {
            "row_codes": training.binned.row_codes,
            "column_codes": training.binned.column_codes,
            "standardized": training.binned.standardized,
            "n_bins": training.binned.n_bins,
            "categorical": training.binned.categorical,
            "thresholds": training.binned.thresholds,
            "y": training.y,
            "weight": training.weight,
            "validation_weight": training.validation_weight,
            "task_codes": training.task_codes,
            "offsets": training.offsets,
            "raw": self.raw,
            "gradient": self.gradient,
            "hessian": self.hessian,
        }
