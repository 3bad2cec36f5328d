"""What the three stages work on: settings, training rows, and one growing ensemble."""

from dataclasses import dataclass

import numpy as np

from rmtgb.boosting.rounds import BoostData, LossSpec, boost_ensemble, refresh_gradients
from rmtgb.losses import Loss
from rmtgb.tree.dtypes import BinnedView, GrowthParams, RowInfo
from rmtgb.tree.ensemble import EnsembleBuilder
from rmtgb.tree.workspace import leaf_limit, make_tree_buffer, make_workspace, n_words_for

#: Resolution of weights that are not integers: steps per mean weight.
WEIGHT_STEPS = 64

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

    def n_leaves(self, total_weight):
        """Return the largest number of leaves of a tree on rows of some total weight."""
        return leaf_limit(
            self.max_leaf_nodes, self.max_depth, self.min_samples_leaf, total_weight
        )

    def growth_params(self, n_features, n_leaves):
        """Return the settings as kernels take them."""
        return GrowthParams(
            n_leaves,
            NO_LIMIT if self.max_depth is None else self.max_depth,
            float(self.min_samples_leaf),
            float(self.l2_regularization),
            float(self.learning_rate),
            max(1, int(round(self.max_features * n_features))),
            float(self.subsample),
        )


@dataclass(frozen=True)
class StageSettings:
    """The settings of the three stages."""

    n_iter_shared: int
    n_iter_partition: int
    n_iter_task: int
    common_trees: TreeSettings
    task_trees: TreeSettings
    partition_regularization: float


@dataclass(frozen=True)
class TrainingSet:
    """The rows of a fit, those of a task next to each other.

    Validation rows are among them with a training weight of zero: they pass through
    the trees with the others and so get their predictions for nothing.

    Attributes
    ----------
    binned : BinnedView
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
    """

    binned: BinnedView
    y: np.ndarray
    weight: np.ndarray
    validation_weight: np.ndarray
    task_codes: np.ndarray
    offsets: np.ndarray
    baseline: np.ndarray
    loss: Loss

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

    def row_info(self):
        """Return weights and tasks as kernels take them."""
        integers = bool(np.all(self.weight == np.rint(self.weight)))
        mean = self.weight.sum() / max(1, np.count_nonzero(self.weight))
        scale = 1.0 if integers else WEIGHT_STEPS / mean
        total = int(np.rint(self.weight * scale).sum())
        return RowInfo(self.weight, self.task_codes, scale, total.bit_length())

    def boost_data(self):
        """Return the rows as kernels take them, with raw predictions at the baseline."""
        shape = (self.loss.n_outputs, self.y.size)
        raw = np.ascontiguousarray(self.baseline[self.task_codes].T)
        level = self.loss.leaf_quantile or 0.0
        return BoostData(
            self.binned,
            self.row_info(),
            self.y,
            LossSpec(self.loss.code, self.loss.parameter, level),
            raw,
            np.empty(shape),
            np.empty(shape),
            np.empty((4, self.y.size if level else 0)),
        )


class EnsembleGrower:
    """An ensemble over all rows while it grows.

    Parameters
    ----------
    training : TrainingSet
    settings : TreeSettings
    constant_hessian : bool
        Whether the trees see constant hessians.
    team : Team
    """

    def __init__(self, training, settings, constant_hessian, team):
        n_rows, n_features = training.binned.row_codes.shape
        n_leaves = settings.n_leaves(training.weight.sum())
        self._n_words = n_words_for(constant_hessian, n_rows)
        self._params = settings.growth_params(n_features, n_leaves)
        self._workspace = make_workspace(
            n_rows, n_features, training.binned.missing_code + 1, self._n_words, n_leaves, team
        )
        self._trees = make_tree_buffer(training.loss.n_outputs, n_leaves)
        self._builder = EnsembleBuilder(training.loss.n_outputs)
        self._team = team

    def grow(self, data, coefficient, prediction, seed):
        """Add one tree per output, fitted to gradients at ``data.raw``, and its prediction.

        Parameters
        ----------
        data : BoostData
            With gradients.
        coefficient : ndarray of float64 of shape (n_tasks,)
            Derivative of the raw prediction by this ensemble.
        prediction : ndarray of float64 of shape (n_outputs, n_rows)
            Prediction of this ensemble; added to.
        seed : int
            Decides the random choices of the round.
        """
        self._team.run(
            boost_ensemble, np.uint64(seed), data, coefficient, self._n_words, self._params,
            self._workspace, self._trees, prediction,
        )
        self._builder.append(self._trees)

    def ensemble(self):
        """Return what has been grown so far."""
        return self._builder.build()


def refresh(data, team):
    """Compute gradients and hessians at ``data.raw``."""
    team.run(refresh_gradients, data, team.arrivals)
