"""Leaf values that are quantiles."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb import RMTGBRegressor
from rmtgb.engine.jit import kernel
from rmtgb.tree.kernels import quantile as quantiles
from tests.oracles import tree as oracle
from tests.tree.cases import draw, grow

values_of = st.lists(
    st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9)), min_size=1, max_size=40
)
#: Exact in binary, so that numpy agrees about where a jump is.
dyadic_levels = st.integers(1, 15).map(lambda k: k / 16)
levels = st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=100)


@kernel
def kernel_quantile(values, weights, level):
    return quantiles.weighted_quantile(values, weights, level)


def quantile(values, weights, level):
    """The kernel, on copies: it reorders its arguments."""
    return kernel_quantile(np.array(values, dtype=float), np.array(weights, dtype=float), level)


class TestWeightedQuantile:
    @given(values=values_of, level=dyadic_levels)
    def test_numpy(self, values, level):
        expected = np.quantile(values, level, method="averaged_inverted_cdf")
        assert quantile(values, np.ones(len(values)), level) == pytest.approx(expected, rel=1e-15)

    @given(values=values_of, level=levels, seed=st.integers(0, 2**32 - 1))
    def test_integer_weights_are_repetition(self, values, level, seed):
        weights = np.random.default_rng(seed).integers(1, 5, len(values))
        got = quantile(values, weights, float(level))
        repeated = np.repeat(values, weights)
        assert got == quantile(repeated, np.ones(repeated.size), float(level))
        expected = oracle.weighted_quantile(values, weights, level)
        assert got == pytest.approx(expected, rel=1e-15)

    @given(values=values_of, level=levels, seed=st.integers(0, 2**32 - 1))
    def test_neither_order_nor_scale_of_the_weights_matters(self, values, level, seed):
        rng = np.random.default_rng(seed)
        order, weights = rng.permutation(len(values)), rng.integers(1, 5, len(values))
        moved = quantile(np.array(values)[order], 0.1 * weights[order], float(level))
        assert moved == quantile(values, weights, float(level))

    @pytest.mark.parametrize("level", [0.01, 0.5, 0.99])
    def test_no_value_one_value_and_all_the_same(self, level):
        assert quantile([], [], level) == 0.0
        assert quantile([-4.5], [0.3], level) == -4.5
        assert quantile([7.0] * 100, [0.1] * 100, level) == 7.0

    def test_median_of_an_even_number(self):
        assert quantile([4, 1, 3, 2], np.ones(4), 0.5) == 2.5
        assert quantile([1, 2], [3, 1], 0.75) == 1.5

    @pytest.mark.parametrize("k", range(1, 10))
    def test_a_jump_is_found_although_sums_are_rounded(self, k):
        values = np.random.default_rng(k).permutation(10)
        assert quantile(values, np.full(10, 0.1), k / 10) == k - 0.5

    def test_many_values(self):
        values = np.random.default_rng(0).normal(size=20_001)
        for level in (0.1, 0.5, 0.925):
            expected = np.quantile(values, level, method="averaged_inverted_cdf")
            assert quantile(values, np.ones(values.size), level) == expected
        # sorted values are no hard case
        assert quantile(np.arange(20_001), np.ones(20_001), 0.5) == 10_000


class TestLeafValues:
    @pytest.mark.parametrize(
        ("loss", "level"),
        [("absolute_error", "1/2"), ("quantile", "1/5"), ("quantile", "9/10")],
    )
    @pytest.mark.parametrize("weighted", [False, True])
    def test_one_tree_of_the_estimator(self, loss, level, weighted):
        problem, level = draw(0, n=150), Fraction(level)
        y = -problem.g
        weight = np.random.default_rng(0).integers(1, 4, 150) if weighted else np.ones(150, int)
        model = RMTGBRegressor(
            loss=loss,
            quantile=float(level),
            n_iter_shared=1,
            n_iter_partition=0,
            n_iter_task=0,
            max_leaf_nodes=7,
            min_samples_leaf=5,
            learning_rate=0.3,
            early_stopping=False,
            splitter="best",
            linear_leaves=False,
            task_baseline="global",
        ).fit(problem.X, y, sample_weight=weight)
        parts = model.predict_parts(problem.X)
        baseline, shared = parts["baseline"], parts["shared"]
        assert baseline[0] == pytest.approx(oracle.weighted_quantile(y, weight, level))
        assert np.unique(shared).size == 7
        for value in np.unique(shared):
            rows = shared == value
            residual = (y - baseline)[rows]
            expected = 0.3 * oracle.weighted_quantile(residual, weight[rows], level)
            assert value == pytest.approx(expected, rel=1e-12, abs=1e-12)

    def test_a_leaf_minimises_the_loss_of_scaled_steps(self):
        # a step v of the tree moves the prediction of a row by c v: what boosting says of that is
        # a residual per c, with weight c
        problem = draw(1, n=120)
        y, c = -problem.g, np.array([0.15, 0.6, 0.0])[np.arange(120) // 40]
        problem.g, problem.h = -c * np.sign(y), c**2
        problem.residual, problem.residual_weight = y / np.maximum(c, 1e-3), c
        grown = grow(problem, leaf_quantile=0.5, max_leaf_nodes=5, min_samples_leaf=10)
        assert grown.nodes.size == 9

        def loss(leaf, value):
            rows = grown.leaf_of_row == leaf
            return np.abs(y - c * value)[rows].sum()

        for leaf in np.unique(grown.leaf_of_row):
            value = grown.nodes["value"][leaf]
            rows = (grown.leaf_of_row == leaf) & (c > 0)
            jumps = y[rows] / c[rows]  # the loss is linear between them
            assert loss(leaf, value) <= min(loss(leaf, jump) for jump in jumps) + 1e-9
        np.testing.assert_array_equal(grown.prediction, grown.nodes["value"][grown.leaf_of_row])

    @pytest.mark.parametrize("level", ["1/4", "9/10"])
    @given(seed=st.integers(0, 2**32 - 1))
    def test_the_quantile_of_the_rows_of_each_leaf(self, level, seed):
        problem, rng, level = draw(seed, n=100), np.random.default_rng(seed), Fraction(level)
        problem.residual = rng.integers(-9, 9, 100) / 4
        problem.residual_weight = rng.integers(0, 4, 100).astype(float)
        limits = {"learning_rate": 0.5, "max_leaf_nodes": 6, "min_samples_leaf": 9}
        grown = grow(problem, leaf_quantile=float(level), **limits)
        for leaf in np.unique(grown.leaf_of_row):
            rows = grown.leaf_of_row == leaf
            value = oracle.weighted_quantile(
                problem.residual[rows], problem.residual_weight[rows].astype(int), level
            )
            assert grown.nodes["value"][leaf] == 0.5 * value

    def test_a_leaf_without_rows_of_weight_gets_zero(self):
        # only rows of coefficient zero: nothing is known about the ensemble
        problem = draw(2, n=40)
        problem.g, problem.residual_weight = np.zeros(40), np.zeros(40)
        grown = grow(problem, leaf_quantile=0.5)
        assert grown.nodes.size == 1
        assert grown.nodes["value"][0] == 0.0

    def test_teams(self):
        problem = draw(3, n=500, n_categories=(4,), missing=0.1)
        alone = grow(problem, 1, n_trees=2, leaf_quantile=0.5).bits
        for n_members in (2, 4):
            assert grow(problem, n_members, n_trees=2, leaf_quantile=0.5).bits == alone
