"""Codes of whole matrices: every layout, every team, against searchsorted."""

import numpy as np
import pytest

from rmtgb.engine.team import Team
from rmtgb.tree import binning
from rmtgb.tree.binning import BLOCK_ROWS, BinMapper
from tests.oracles import tree as oracle
from tests.tree.cases import thresholds

NO_CATEGORIES = np.zeros(4, dtype=int)
SEED = 0


def matrix(n, dtype=np.float64, seed=0):
    """Four numerical features: continuous, skewed, few values, mostly missing."""
    rng = np.random.default_rng(seed)
    X = np.column_stack(
        [
            rng.normal(size=n),
            np.exp(5 * rng.normal(size=n)),
            rng.integers(-2, 3, n),
            np.where(rng.random(n) < 0.9, np.nan, rng.normal(size=n)),
        ]
    )
    X[rng.random(n) < 0.05, 0] = np.nan
    return X.astype(dtype)


def fit(X, n_categories=None, max_bins=32, weight=None, n_members=1):
    n_categories = np.zeros(X.shape[1], dtype=int) if n_categories is None else n_categories
    weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight, dtype=float)
    with Team(n_members) as team:
        return BinMapper.fit(X, weight, n_categories, max_bins, SEED, team)


def transform(mapper, X, positions=None, n_members=1):
    binned = mapper.empty(X.shape[0])
    positions = np.arange(X.shape[0]) if positions is None else positions
    with Team(n_members) as team:
        mapper.transform(X, positions, binned, team)
    np.testing.assert_array_equal(binned.row_codes, binned.column_codes.T)
    return binned


def expected_codes(X, n_categories=NO_CATEGORIES, max_bins=32):
    edges = [oracle.thresholds(x, np.ones(x.size), max_bins) for x in X.T.astype(float)]
    n_bins = [k or len(e) + 1 for k, e in zip(n_categories, edges, strict=True)]
    return oracle.codes_of(X, edges, n_categories, max(n_bins)), n_bins


class TestNumerical:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_codes_equal_searchsorted(self, dtype, order):
        X = np.array(matrix(500, dtype), order=order)
        expected, n_bins = expected_codes(X)
        mapper = fit(X)
        binned = transform(mapper, X)
        np.testing.assert_array_equal(binned.row_codes, expected)
        np.testing.assert_array_equal(mapper.n_bins, n_bins)
        assert binned.row_codes.dtype == np.uint8
        assert mapper.missing_code == max(n_bins) == 32

    def test_a_slice_of_a_larger_matrix(self):
        X = matrix(400)
        np.testing.assert_array_equal(
            transform(fit(X[::2]), X[::2]).row_codes, expected_codes(X[::2])[0]
        )

    def test_new_values_and_infinite_edges(self):
        X = matrix(300)
        mapper = fit(X)
        new = np.array([[-1e308] * 4, [1e308] * 4, [np.nan] * 4, mapper.thresholds[:, 0]])
        codes = transform(mapper, new).row_codes
        np.testing.assert_array_equal(codes[0], 0)
        np.testing.assert_array_equal(codes[1], mapper.n_bins - 1)
        np.testing.assert_array_equal(codes[2], mapper.missing_code)
        np.testing.assert_array_equal(codes[3], 0)  # a threshold belongs to the bin below it

    @pytest.mark.parametrize("max_bins", [2, 3, 127, 128, 255])
    def test_any_number_of_bins(self, max_bins):
        X = matrix(1500, seed=1)
        mapper = fit(X, max_bins=max_bins)
        expected, n_bins = expected_codes(X, max_bins=max_bins)
        np.testing.assert_array_equal(mapper.n_bins, n_bins)
        np.testing.assert_array_equal(transform(mapper, X).row_codes, expected)

    def test_features_without_values_or_with_one(self):
        X = np.column_stack([np.full(50, np.nan), np.full(50, 2.5)])
        mapper = fit(X)
        np.testing.assert_array_equal(mapper.n_bins, [1, 1])
        codes = transform(mapper, X).row_codes
        np.testing.assert_array_equal(codes, np.column_stack([np.ones(50), np.zeros(50)]))

    def test_weights_move_thresholds_like_repetition(self):
        X, weight = matrix(300), np.random.default_rng(5).integers(1, 4, 300)
        weighted, repeated = fit(X, weight=weight.astype(float)), fit(X.repeat(weight, axis=0))
        np.testing.assert_array_equal(weighted.thresholds, repeated.thresholds)

    def test_rows_go_to_their_positions(self):
        X = matrix(300)
        mapper, positions = fit(X), np.random.default_rng(0).permutation(300)
        moved = transform(mapper, X, positions).row_codes
        np.testing.assert_array_equal(moved[positions], transform(mapper, X).row_codes)

    def test_thresholds_are_filled_up_with_infinity(self):
        X = matrix(300)
        mapper = fit(X)
        for feature, n_bins in enumerate(mapper.n_bins):
            edges = thresholds(X[:, feature], None, 32)
            np.testing.assert_array_equal(mapper.thresholds[feature, : n_bins - 1], edges)
            assert np.isposinf(mapper.thresholds[feature, n_bins - 1 :]).all()


class TestCategorical:
    def test_codes_are_category_numbers(self):
        rng = np.random.default_rng(2)
        n_categories = np.array([0, 7, 200, 1])
        X = np.column_stack(
            [rng.normal(size=400), *(rng.integers(0, k, 400) for k in (7, 200, 1))]
        )
        X[rng.random(X.shape) < 0.1] = np.nan
        mapper = fit(X, n_categories)
        np.testing.assert_array_equal(mapper.n_bins, [32, 7, 200, 1])
        np.testing.assert_array_equal(mapper.categorical, [0, 1, 1, 1])
        assert mapper.missing_code == 200  # one code of missing values for all features
        np.testing.assert_array_equal(
            transform(mapper, X).row_codes, expected_codes(X, n_categories)[0]
        )

    def test_255_categories_and_missing_values_fill_the_byte(self):
        X = np.append(np.arange(255.0), np.nan)[:, None]
        mapper = fit(X, np.array([255]), max_bins=255)
        np.testing.assert_array_equal(transform(mapper, X).row_codes[:, 0], np.arange(256))


class TestSizesAndTeams:
    @pytest.mark.parametrize("n_members", [1, 2, 4])
    def test_several_blocks_and_members(self, n_members):
        n = 2 * BLOCK_ROWS + 1000
        X = matrix(n, np.float32, seed=3)
        positions = np.random.default_rng(1).permutation(n)
        mapper = fit(X, n_members=n_members)
        codes = transform(mapper, X, positions, n_members).row_codes
        # the naive thresholds are quadratic: the same ones from the function tested above
        edges = [thresholds(x, None, 32) for x in X.T.astype(float)]
        expected = oracle.codes_of(X, edges, NO_CATEGORIES, 32)
        np.testing.assert_array_equal(codes[positions], expected)

    @pytest.mark.parametrize("n", [BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1])
    def test_block_edges(self, n):
        X = np.linspace(-1, 1, n)[:, None]
        codes = transform(fit(X, max_bins=4), X).row_codes[:, 0]
        edges = thresholds(X[:, 0], None, 4)
        np.testing.assert_array_equal(codes, np.searchsorted(edges, X[:, 0]))


class TestSamples:
    """Thresholds of more rows than are looked at."""

    N = 3000

    @pytest.fixture(autouse=True)
    def few_rows(self, monkeypatch):
        monkeypatch.setattr(binning, "SAMPLE_ROWS", 500)

    def rows(self, n_features=4):
        """Rows of which some are equal, more features than are hashed at first, both zeros."""
        rng = np.random.default_rng(0)
        X = np.hstack([matrix(self.N)] * (n_features // 4 + 1))[:, :n_features]
        X[:, 0] = rng.integers(-3, 4, self.N) * 0.0
        X[rng.integers(0, self.N, 200)] = X[0]
        return X

    @staticmethod
    def assert_same(a, b):
        np.testing.assert_array_equal(a.thresholds, b.thresholds)
        np.testing.assert_array_equal(a.n_bins, b.n_bins)
        assert a.missing_code == b.missing_code
        for name in ("low", "high", "per_unit", "center", "per_scale"):
            np.testing.assert_array_equal(
                getattr(a.standardizer, name), getattr(b.standardizer, name)
            )

    @pytest.mark.parametrize("n_features", [1, 4, 7])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_where_rows_stand_does_not_matter(self, n_features, weighted):
        X, rng = self.rows(n_features), np.random.default_rng(1)
        weight = rng.integers(1, 5, self.N).astype(float) if weighted else np.ones(self.N)
        order, whole = rng.permutation(self.N), fit(X, weight=weight)
        for n_members in (1, 2, 4):
            moved = fit(X[order], weight=weight[order], n_members=n_members)
            self.assert_same(moved, whole)

    @pytest.mark.parametrize("n_features", [1, 4, 7])
    def test_an_integer_weight_is_repetition(self, n_features):
        X, rng = self.rows(n_features), np.random.default_rng(1)
        weight = rng.integers(1, 5, self.N)
        repeated = X.repeat(weight, axis=0)[rng.permutation(weight.sum())]
        self.assert_same(fit(repeated), fit(X, weight=weight.astype(float)))

    def test_both_zeros_and_single_precision_are_the_same_content(self):
        X = self.rows().astype(np.float32)
        self.assert_same(fit(X), fit(X.astype(float)))
        self.assert_same(fit(np.abs(X) * 0.0 - 0.0), fit(np.abs(X) * 0.0))

    def test_the_seed_decides(self):
        X = self.rows(), np.ones(self.N), np.zeros(4, int), 32
        one, same, other = (BinMapper.fit(*X, seed, Team(1)) for seed in (1, 1, 2))
        self.assert_same(one, same)
        assert (one.thresholds != other.thresholds).any()

    def test_as_many_rows_as_are_wanted_and_heavy_ones_more_often(self):
        X, weight = np.arange(3000.0)[:, None], np.ones(3000)
        weight[:30] = 1000.0
        sample = binning.sample_rows(X, weight, 0, Team(1))
        assert sample.size == 500
        share = 30_000 / weight.sum()
        # drawn systematically: within one row for each change between heavy and light rows
        assert abs(np.mean(sample < 30) - share) <= 60 / 500
        light = binning.sample_rows(X, np.ones(3000), 0, Team(1))
        assert np.unique(light).size == 500

    def test_the_limit_counts_weights(self):
        X, weight = matrix(100), np.full(100, 5.0)  # just enough: all rows are looked at
        whole = fit(X, weight=weight)
        self.assert_same(whole, fit(X))

    def test_quantiles_are_those_of_all_rows(self):
        X = np.random.default_rng(0).normal(size=(50_000, 1))
        edges = fit(X, max_bins=4).thresholds[0, :3]
        # of 500 rows a quartile varies by 0.061 and the median by 0.056: five standard deviations
        np.testing.assert_allclose(edges, [-0.674, 0, 0.674], atol=0.3)
