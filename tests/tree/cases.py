"""What the tests of the tree core share: rows, growers on them, and calls of inner kernels.

Trees are grown from codes, gradients, hessians and weights alone: nothing here knows of tasks or
losses. Inner kernels have no wrapper for calls from Python; each gets one here. The wrappers are
cached like the kernels of the package.
"""

from dataclasses import dataclass

import numpy as np

from rmtgb.engine.jit import kernel
from rmtgb.engine.record import wait, zeros
from rmtgb.engine.team import Team
from rmtgb.tree.binning import BinMapper, distribution, quantile_thresholds
from rmtgb.tree.ensemble import Ensemble, RowsToPredict
from rmtgb.tree.grower import TreeGrower, TreeSettings, TreeStore
from rmtgb.tree.kernels import histograms, packing
from rmtgb.tree.kernels.leaves import add_leaf_values, fit_tree
from rmtgb.tree.kernels.store import close_place, open_place
from rmtgb.tree.records import Packing
from rmtgb.tree.weights import WeightUnits, Words
from tests.oracles import tree as oracle


@kernel
def build_histograms(row_codes, first, stop, order, payload, how, sum_words, n_codes, block, out):
    """Call the kernel of the same name."""
    histograms.build_histograms(
        row_codes, first, stop, order, payload, how, sum_words, n_codes, block, out
    )


@kernel
def unpack(word_0, word_1, word_2, how):
    """Call the kernel of the same name."""
    return packing.unpack(word_0, word_1, word_2, how)


@kernel
def fit_trees(member, n_members, grows, stores, n_trees, seed, prediction):
    """Fit trees, all to the same gradients, and add each to the prediction."""
    grow = grows[member]
    for tree in range(n_trees):
        open_place(stores[0], 0, tree, grow)
        grow["seed"] = np.uint64(seed + tree)
        fit_tree(grow)
        add_leaf_values(grow, prediction)
        if member == 0:
            close_place(stores[0], 0, tree, grow)
        wait(grow)


@kernel
def pack_rows(member, n_members, grows):
    """Call the kernel of the same name in one member of a team."""
    packing.pack_rows(grows[member])


def predict(ensemble, X, mapper=None, **rounds):
    """Predict raw values; slopes need the mapper that they were fitted with."""
    X = np.ascontiguousarray(X, dtype=float)
    Z = None if mapper is None else mapper.standardizer.transform(X)
    rows = RowsToPredict(X, Z, ensemble.n_outputs)
    ensemble.add_to(rows, **rounds)
    return rows.prediction


def thresholds(values, weight, max_bins):
    """Thresholds of a feature."""
    return quantile_thresholds(*distribution(values, weight), max_bins)


def packing_of(record):
    """How the rows of a grower's record are packed."""
    return Packing(*(record[name].item() for name in ("n_words", "shift", "hessian_is_weight")))


def units_of(record):
    """Units of gradients, hessians and weights in a grower's record."""
    names = "gradient_unit", "hessian_unit", "weight_unit"
    return np.array([record[name].item() for name in names])


@dataclass
class Problem:
    """Rows to grow trees on. X (n, F); g, h already times the weight."""

    X: np.ndarray
    g: np.ndarray
    h: np.ndarray | None = None  # None: equal to the weight
    w: np.ndarray | None = None  # None: ones
    n_categories: np.ndarray | None = None
    max_bins: int = 255
    residual: np.ndarray | None = None  # what leaf values are quantiles of
    residual_weight: np.ndarray | None = None  # None: the weight

    def __post_init__(self):
        n, n_features = self.X.shape
        self.w = np.ones(n) if self.w is None else np.asarray(self.w, dtype=float)
        self.h = self.w if self.h is None else self.h
        if self.n_categories is None:
            self.n_categories = np.zeros(n_features, dtype=int)
        self.residual = -self.g if self.residual is None else self.residual
        if self.residual_weight is None:
            self.residual_weight = self.w

    def mapper(self):
        """Bins fitted on the rows of positive weight."""
        used = self.w > 0
        return BinMapper.fit(
            self.X[used],
            np.ones(np.count_nonzero(used)),
            self.n_categories,
            self.max_bins,
            0,
            Team(1),
        )

    def binned(self):
        """The rows in bins."""
        mapper = self.mapper()
        binned = mapper.empty(self.g.size, standardized=True)
        mapper.transform(self.X, np.arange(self.g.size), binned, Team(1))
        return binned

    def grower(self, trees, team, constant_hessian=False, words=None, leaf_quantile=None):
        """A grower of these rows."""
        weight = self.w.astype(float)
        units = WeightUnits.of(weight, np.array([0, weight.size]))
        words = Words.choose(units, constant_hessian) if words is None else words
        arrays = {"weight": weight, "gradient": np.asarray(self.g, dtype=float)}
        if words.per_row > 1:
            arrays["hessian"] = np.asarray(self.h, dtype=float)
        if leaf_quantile is not None:
            arrays["residual"] = np.asarray(self.residual, dtype=float)
            arrays["residual_weight"] = np.asarray(self.residual_weight, dtype=float)
        n_leaves = int(trees.leaf_limits(units)[0])
        grower = TreeGrower(
            self.binned(), arrays, units, words, trees, n_leaves, leaf_quantile, False, team
        )
        return grower, n_leaves

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
    problem,
    n_members=1,
    constant_hessian=False,
    words=None,
    leaf_quantile=None,
    seed=0,
    n_trees=1,
    **changes,
):
    """Grow trees on the problem's gradients, all on the same ones."""
    trees, prediction = settings(**changes), zeros(problem.g.size, np.float64)
    with Team(n_members) as team:
        grower, n_leaves = problem.grower(trees, team, constant_hessian, words, leaf_quantile)
        store = TreeStore(np.array([n_leaves]), np.array([n_trees]), trees.linear_leaves)
        team.run(fit_trees, grower.record.members, store.record.members, n_trees, seed, prediction)
        grower.record.check_guards()
        store.record.check_guards()
    trees_of_store = np.arange(n_trees)
    ensemble = store.gather(np.zeros_like(trees_of_store), trees_of_store, 1)
    return Grown(ensemble, prediction, _leaf_of_row(grower.record))


def _leaf_of_row(record):
    """The node of the leaf that each row ended in, from the ranges of the row order."""
    order = record.arrays["order"]
    leaf_of_row = np.full(order.size, -1)
    for leaf in record.arrays["leaves"][: record.arrays["counts"][0]]:
        rows = order[leaf["start"] : leaf["stop"]]
        assert (leaf_of_row[rows] == -1).all()
        leaf_of_row[rows] = leaf["node"]
    return leaf_of_row


def draw(seed, n=60, n_numerical=3, n_categories=(), missing=0.0, digits=None):
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
    return Problem(X, g, n_categories=np.array([0] * n_numerical + list(n_categories)))
