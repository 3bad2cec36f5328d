"""Weights as integers: rounding, totals, and limits that trees keep to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb import RMTGBRegressor
from rmtgb.tree import weights as module
from rmtgb.tree.weights import (
    MAX_COPIES,
    MAX_COPIES_TOTAL,
    MAX_SHARED_WORD_ROWS,
    RELATIVE_TOLERANCE,
    WeightUnits,
    Words,
)
from tests.tree.cases import Problem, draw, grow, settings

seeds = st.integers(0, 2**32 - 1)


def near_one(rng, n):
    """Just below one: the totals of leaves are just below whole numbers."""
    return rng.uniform(0.992, 1.0, n)


def lognormal(rng, n):
    return np.exp(2 * rng.normal(size=n))


def integers(rng, n):
    return rng.integers(1, 9, n).astype(float)


def large_integers(rng, n):
    return rng.integers(1, 2**20, n).astype(float)


def equal_fractions(rng, n):
    return np.full(n, rng.choice([0.1, 0.3, 1 / 3, 1 - 1e-12, 1e-9]))


def sixty_orders(rng, n):
    """Weights that decay to nothing."""
    return 10.0 ** -rng.permutation(np.linspace(0, 60, n))


KINDS = [near_one, lognormal, integers, large_integers, equal_fractions, sixty_orders]
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def of(weight):
    """Units of one part."""
    return WeightUnits.of(weight, np.array([0, weight.size]))


class TestRounding:
    @every_kind
    @given(seed=seeds, n=st.integers(1, 300), n_parts=st.integers(1, 5))
    def test_totals_are_sums_of_rounded_weights(self, kind, seed, n, n_parts):
        rng = np.random.default_rng(seed)
        weight = kind(rng, n)
        cuts = np.sort(rng.choice(np.arange(1, n), min(n_parts, n) - 1, replace=False))
        offsets = np.array([0, *cuts, n])
        units = WeightUnits.of(weight, offsets)
        rounded = np.rint(weight * units.scale).astype(np.int64)
        expected = [part.sum() for part in np.split(rounded, offsets[1:-1])]
        np.testing.assert_array_equal(units.totals, expected)
        np.testing.assert_array_equal(units.n_rows, np.diff(offsets))
        assert np.frexp(units.scale)[0] == 0.5  # a power of two
        assert 0 <= max(expected) < 2**62

    @given(seed=seeds, n=st.integers(1, 50))
    def test_integers_stay_as_they_are(self, seed, n):
        for kind in (integers, large_integers):
            weight = kind(np.random.default_rng(seed), n)
            units = of(weight)
            assert units.scale == 1.0
            assert units.totals == [weight.sum()]
            assert units.copies == (weight.max() <= MAX_COPIES)
            assert units.largest == (weight.max() if units.copies else 1)

    def test_rows_of_weight_zero_and_one_are_no_copies(self):
        assert of(np.array([0.0, 1.0, 1.0])).all_one
        assert not of(np.array([0.0, 1.0, 2.0])).all_one
        assert not of(np.array([0.5, 1.0])).all_one
        assert of(np.zeros(3)).totals == [0]

    def test_copies_are_so_few_that_sums_leave_their_gradients_enough_bits(self, monkeypatch):
        # without a limit of each row, 2000 rows reach what takes 2^29 rows with it
        monkeypatch.setattr(module, "MAX_COPIES", 2**40)
        n = 2048
        assert of(np.full(n, MAX_COPIES_TOTAL // n - 1.0)).copies
        assert not of(np.full(n, MAX_COPIES_TOTAL / n)).copies

    @pytest.mark.parametrize("n", [2, 100, MAX_SHARED_WORD_ROWS - 1, MAX_SHARED_WORD_ROWS])
    @pytest.mark.parametrize("direction", [-1, 1])
    def test_two_words_never_lose_half_a_mean_row(self, n, direction):
        # 63 bits, less 22 for the hessian and those of the number of rows, are for the sum of all,
        # or twice these and 11 if that is less: it has at least two less; all weights are rounded
        # the same way by nearly half a unit
        bits = min(63 - 22 - n.bit_length(), 2 * n.bit_length() + 11)
        weight = np.full(n, 2 ** (bits - 2) // n + 1.5 + direction * 0.01)
        units = of(weight)
        assert (units.scale, Words.choose(units, False)) == (1.0, Words(2, 2))
        error = direction * (units.totals[0] - weight.sum())
        assert 0.48 * n < error < 0.5 * weight.mean()

    def test_more_rows_get_three_words(self):
        weight = np.full(MAX_SHARED_WORD_ROWS + 1, 0.3)
        assert Words.choose(of(weight), False) == Words(3, 3)
        assert of(weight).totals[0] / of(weight).scale == pytest.approx(weight.sum(), rel=1e-12)

    def test_any_unit_of_weights(self):
        weight = lognormal(np.random.default_rng(0), 1000)
        one = of(weight)
        for power in (-900, -30, 1, 900):
            units = of(weight * 2.0**power)
            np.testing.assert_array_equal(units.totals, one.totals)
            assert units.scale == one.scale * 2.0**-power


class TestLeafLimits:
    @every_kind
    @pytest.mark.parametrize("random_thresholds", [False, True])
    @given(seed=seeds, min_samples_leaf=st.sampled_from([1, 1.5, 2, 3, 7]))
    def test_trees_keep_to_them(self, kind, random_thresholds, seed, min_samples_leaf):
        # nothing else stops a tree here; places of trees have no more room, and have guards
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 120))
        problem = draw(seed, n=n)
        problem.w = kind(rng, n)
        problem.h = problem.w
        problem.g = problem.g * problem.w
        limits = {"max_leaf_nodes": None, "min_samples_leaf": min_samples_leaf}
        (limit,) = settings(**limits).leaf_limits(of(problem.w))
        grown = grow(problem, random_thresholds=random_thresholds, n_trees=2, **limits)
        sizes = np.diff(grown.ensemble.tree_starts)
        assert (sizes <= 2 * limit - 1).all()
        assert 1 <= limit <= n
        assert limit <= max(
            1, problem.w.sum() / min_samples_leaf * (1 + RELATIVE_TOLERANCE) + n * 1e-6
        )
        # float32 weights of nodes, and rounding that no leaf is refused for
        leaves = grown.nodes["feature"] < 0
        if sizes.max() > 1:
            assert grown.nodes["weight"][leaves].min() >= min_samples_leaf * (
                1 - RELATIVE_TOLERANCE - 1e-6
            )

    @pytest.mark.parametrize("weight", [0.1, 0.3, 1 / 3, 0.7, 1 - 2**-53])
    @pytest.mark.parametrize("n_rows", [1, 10])
    def test_sums_that_differ_by_rounding_are_equal(self, monkeypatch, weight, n_rows):
        # ten rows of 0.1 weigh one, whatever their sum is in float64
        monkeypatch.setattr(module, "MAX_SHARED_WORD_ROWS", 0)
        problem = draw(0, n=40, n_numerical=1)
        problem.X, problem.g = problem.X.repeat(n_rows, axis=0), problem.g.repeat(n_rows) * weight
        problem.w = problem.h = np.full(40 * n_rows, weight)
        grown = grow(problem, max_leaf_nodes=None, min_samples_leaf=n_rows * weight)
        assert grown.nodes.size == 2 * 40 - 1

    def test_other_limits(self):
        units = of(np.ones(100))
        assert units.leaf_limits(None, None, 1) == [100]
        assert units.leaf_limits(7, None, 1) == [7]
        assert units.leaf_limits(None, 3, 1) == [8]
        assert units.leaf_limits(None, 60, 30) == [3]
        assert units.leaf_limits(None, None, 1000) == [1]
        assert units.leaf_limits(5, 2, 1) == [4]

    @pytest.mark.parametrize("power", [-300, -10, 0, 10, 300])
    @pytest.mark.parametrize("n", [100, MAX_SHARED_WORD_ROWS + 1])
    def test_a_leaf_that_must_weigh_far_more_than_there_is(self, n, power):
        weight = lognormal(np.random.default_rng(0), n) * 2.0**power
        units = of(weight)
        for factor in (1.001, 1e6, 1e200):
            smallest = units.min_leaf_units(factor * weight.sum())
            assert units.totals[0] < smallest < 2**62  # a kernel doubles it
            assert units.leaf_limits(None, None, factor * weight.sum()) == [1]

    def test_each_part_has_its_own(self):
        weight = np.repeat([1.0, 3.0, 0.0], [10, 4, 2])
        units = WeightUnits.of(weight, np.array([0, 10, 14, 16]))
        np.testing.assert_array_equal(units.totals, [10, 12, 0])
        np.testing.assert_array_equal(units.leaf_limits(None, None, 2), [5, 4, 1])


class TestLightRows:
    @staticmethod
    def data():
        """16,000 rows of 0.0015, whose target steps in their middle, beside 4000 of 1."""
        rng = np.random.default_rng(0)
        x = np.concatenate([rng.integers(0, 10, 16_000), rng.integers(10, 20, 4000)]) / 10
        y = np.where(x < 0.5, 10.0, np.where(x < 1, -10.0, 0.0)) + 0.1 * rng.normal(size=20_000)
        return x[:, None], y, np.repeat([0.0015, 1.0], [16_000, 4000])

    def test_each_half_of_a_light_region_is_a_leaf(self):
        X, y, weight = self.data()
        # the estimator scales weights to a mean of one; each half then weighs 60
        weight /= weight.mean()
        problem = Problem(X, -y * weight, w=weight)
        nodes = grow(problem, max_leaf_nodes=3, min_samples_leaf=20).nodes
        leaves = nodes[nodes["feature"] < 0]
        np.testing.assert_allclose(np.sort(leaves["value"]), [-10, 0, 10], atol=0.1)
        totals = [weight[(X[:, 0] < 1) == light].sum() for light in (False, True)]
        expected = [totals[1] / 2, totals[1] / 2, totals[0]]
        # as many rows in each half, to within five standard deviations of 4 percent
        np.testing.assert_allclose(np.sort(leaves["weight"]), expected, rtol=0.04)

    def test_through_the_estimator(self):
        X, y, weight = self.data()
        model = RMTGBRegressor(
            n_iter_shared=1,
            n_iter_partition=0,
            n_iter_task=0,
            learning_rate=1.0,
            max_leaf_nodes=3,
            min_samples_leaf=20,
            l2_regularization=0.0,
            splitter="best",
            linear_leaves=False,
            early_stopping=False,
            task_baseline="global",
        ).fit(X, y, sample_weight=weight)
        np.testing.assert_allclose(model.predict([[0.25], [0.75], [1.5]]), [10, -10, 0], atol=0.1)

    @given(seed=seeds)
    def test_sixty_orders_of_magnitude(self, seed):
        # the heaviest rows decide, and those that weigh nothing beside them only get a prediction
        rng = np.random.default_rng(seed)
        problem = draw(seed, n=200)
        problem.w = sixty_orders(rng, 200)
        problem.g, problem.h = problem.g * problem.w, problem.w
        # without compilation numpy warns of splits without hessian, which are refused
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = grow(problem, max_leaf_nodes=6, min_samples_leaf=1e-3)
        assert np.isfinite(grown.nodes["value"]).all()
        assert grown.nodes["weight"][0] == pytest.approx(problem.w.sum(), rel=1e-6)
        np.testing.assert_array_equal(grown.prediction, grown.nodes["value"][grown.leaf_of_row])
        for leaf in np.unique(grown.leaf_of_row):
            rows = grown.leaf_of_row == leaf
            mean = -problem.g[rows].sum() / problem.w[rows].sum()
            # gradients and hessians keep 22 bits of the largest one, leaves a thousandth of it
            assert grown.nodes["value"][leaf] == pytest.approx(mean, rel=1e-2, abs=1e-2)
