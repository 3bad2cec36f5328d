"""What the tests of the tree core share: rows, growers on them, and calls of inner kernels.

Inner kernels have no wrapper for calls from Python; each gets one here. The wrappers are
cached like the kernels of the package.
"""

from dataclasses import dataclass

import numpy as np

from rmtgb.boosting import rounds
from rmtgb.boosting.booster import Booster
from rmtgb.boosting.state import BoostState, TrainingSet, TreeSettings
from rmtgb.engine.jit import kernel
from rmtgb.engine.team import Team
from rmtgb.losses import make_loss
from rmtgb.tree.binning import BinMapper, distribution, quantile_thresholds
from rmtgb.tree.dtypes import Packing
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.kernels import histograms, packing
from rmtgb.tree.standardizer import Values
from tests.oracles import tree as oracle


@kernel
def build_histograms(row_codes, first, stop, order, payload, n_words, out):
    """Call the kernel of the same name."""
    histograms.build_histograms(row_codes, first, stop, order, payload, n_words, out)


@kernel
def unpack(word_0, word_1, how):
    """Call the kernel of the same name."""
    return packing.unpack(word_0, word_1, how)


@kernel
def add_trees(member, n_members, jobs, n_trees, seed):
    """Grow trees on the gradients of a job as they are."""
    for tree in range(n_trees):
        rounds._add_tree(jobs[member], 0, tree, 0, np.uint64(seed + tree))


@kernel
def pack_rows(member, n_members, jobs, output, coefficient):
    """Call the kernel of the same name in one member of a team."""
    packing.pack_rows(jobs[member], output, coefficient)


def predict(ensemble, X, mapper=None, **rounds):
    """Predict raw values; slopes need the mapper that they were fitted with."""
    X = np.ascontiguousarray(X, dtype=float)
    Z = np.empty((0, X.shape[1]), np.int16)
    if mapper is not None:
        Z = mapper.standardizer.transform(X)
    out = np.zeros((ensemble.n_outputs, X.shape[0]))
    ensemble.add_to(out, Values(X, Z), **rounds)
    return out


def thresholds(values, weight, max_bins):
    """Thresholds of a feature."""
    return quantile_thresholds(*distribution(values, weight), max_bins)


def packing_of(record):
    """The packing that a job's record holds."""
    return Packing(*(record[name].item() for name in Packing._fields))


@dataclass
class Problem:
    """Rows to grow trees on. X (n, F); g, h already times the weight."""

    X: np.ndarray
    g: np.ndarray
    h: np.ndarray | None = None  # None: equal to the weight
    w: np.ndarray | None = None  # None: ones
    n_categories: np.ndarray | None = None
    max_bins: int = 255
    task_codes: np.ndarray | None = None  # ascending; None: one task
    y: np.ndarray | None = None  # only looked at by boosting and by quantile leaves
    loss: str = "squared_error"
    validation_weight: np.ndarray | None = None

    def __post_init__(self):
        n, n_features = self.X.shape
        self.w = np.ones(n) if self.w is None else np.asarray(self.w, dtype=float)
        self.h = self.w if self.h is None else self.h
        if self.n_categories is None:
            self.n_categories = np.zeros(n_features, dtype=int)
        if self.task_codes is None:
            self.task_codes = np.zeros(n, dtype=int)
        self.y = -self.g if self.y is None else self.y

    def mapper(self):
        """Bins fitted on the rows of positive weight."""
        used = self.w > 0
        return BinMapper.fit(
            self.X[used],
            None,
            self.n_categories,
            self.max_bins,
            np.random.default_rng(0),
            Team(1),
        )

    def values(self):
        """The rows as ensembles predict them."""
        return Values(self.X, self.mapper().standardizer.transform(self.X))

    def training_set(self):
        """The rows as the stages take them."""
        mapper, n = self.mapper(), self.g.size
        binned = mapper.empty(n, standardized=True)
        mapper.transform(self.X, np.arange(n), binned, Team(1))
        n_tasks = int(self.task_codes.max()) + 1
        return TrainingSet(
            binned=binned,
            y=self.y,
            weight=self.w,
            validation_weight=(
                np.empty(0) if self.validation_weight is None else self.validation_weight
            ),
            task_codes=self.task_codes.astype(np.int32),
            offsets=np.searchsorted(self.task_codes, np.arange(n_tasks + 1)),
            baseline=np.zeros((n_tasks, 1)),
            loss=make_loss(self.loss),
        )

    def state(self, team):
        """A state with these gradients and hessians, at a raw prediction of zero."""
        state = BoostState(self.training_set(), team)
        state.gradient[0], state.hessian[0] = self.g, self.h
        return state

    def oracle_nodes(self, limits):
        """The nodes that the naive grower finds, on bins of its own."""
        edges = [
            oracle.thresholds(x[self.w > 0], self.w[self.w > 0], self.max_bins) for x in self.X.T
        ]
        n_bins = np.where(self.n_categories, self.n_categories, [len(e) + 1 for e in edges])
        missing = int(n_bins.max())
        rows = oracle.Rows(
            oracle.codes_of(self.X, edges, self.n_categories, missing), self.g, self.h, self.w
        )
        return oracle.Grower(rows, n_bins, self.n_categories > 0, missing, limits).grow()


@dataclass
class Grown:
    """Trees, the prediction that growing them left behind, and the last tree's leaf of a row."""

    ensemble: Ensemble
    prediction: np.ndarray
    leaf_of_row: np.ndarray

    @property
    def nodes(self):
        """The nodes of all trees."""
        return self.ensemble.nodes

    @property
    def bits(self):
        """All that must not depend on the team; fields one by one, for records have gaps."""
        return (
            tuple(self.nodes[name].tobytes() for name in self.nodes.dtype.names),
            self.ensemble.category_sets.tobytes(),
            self.ensemble.slopes.tobytes(),
            self.prediction.tobytes(),
        )


def settings(**changes):
    """Tree settings without limits, regularisation or shrinkage, but for the changes."""
    return TreeSettings(
        **{
            "max_leaf_nodes": 31,
            "max_depth": None,
            "min_samples_leaf": 1,
            "l2_regularization": 0.0,
            "learning_rate": 1.0,
            "max_features": 1.0,
            "subsample": 1.0,
            "random_thresholds": False,
            "linear_leaves": False,
            **changes,
        }
    )


def grow(
    problem, n_members=1, constant_hessian=False, coefficient=None, seed=0, n_trees=1, **changes
):
    """Grow trees on the problem's gradients, all on the same ones."""
    n = problem.g.size
    with Team(n_members) as team:
        state, prediction = problem.state(team), np.zeros((1, 1, n))
        formers = [Ensemble.empty(1)]
        booster = Booster(state, settings(**changes), formers, prediction, constant_hessian, 0)
        job = booster.make_job(n_trees)
        if coefficient is not None:
            job.arrays["coefficient"][0] = coefficient
        team.run(add_trees, job.records, n_trees, seed)
        booster.collect(n_trees)
    return Grown(booster.ensembles()[0], prediction[0, 0], _leaf_of_row(job))


def _leaf_of_row(job):
    """The node of the leaf that each row ended in, from the ranges of the row order."""
    leaf_of_row = np.full(job.arrays["order"].size, -1)
    for leaf in job.arrays["leaves"][: job.arrays["counts"][0]]:
        rows = job.arrays["order"][leaf["start"] : leaf["stop"]]
        assert (leaf_of_row[rows] == -1).all()
        leaf_of_row[rows] = leaf["node"]
    return leaf_of_row


def draw(seed, n=60, n_numerical=3, n_categories=(), missing=0.0, digits=None, n_tasks=1):
    """A random problem; ``digits`` rounds features, which makes ties among values."""
    rng = np.random.default_rng(seed)
    numerical = rng.normal(size=(n, n_numerical))
    if digits is not None:
        numerical = numerical.round(digits)
    categories = [rng.integers(0, k, n).astype(float) for k in n_categories]
    X = np.column_stack([numerical, *categories])
    X[rng.random(X.shape) < missing] = np.nan
    known = np.nan_to_num(X, nan=0.7)
    g = rng.normal(size=n) + np.sin(2 * known[:, 0]) - known[:, -1]
    return Problem(
        X,
        g,
        n_categories=np.array([0] * n_numerical + list(n_categories)),
        task_codes=np.sort(rng.integers(0, n_tasks, n)),
    )
