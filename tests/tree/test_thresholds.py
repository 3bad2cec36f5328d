"""Quantile thresholds against their definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.tree.binning import distribution, quantile_thresholds
from tests.oracles import tree as oracle

any_float = st.floats(-1e308, 1e308)
few_values = st.lists(st.sampled_from([-2.0, -0.5, 0.0, 0.1, 1.0, 3.0, 1e6, np.nan]), min_size=1)
values_lists = st.one_of(few_values, st.lists(any_float, min_size=1, max_size=60))
max_bins_of = st.integers(2, 12)


def thresholds(values, weights=None, max_bins=255):
    weights = None if weights is None else np.asarray(weights, dtype=float)
    return quantile_thresholds(*distribution(np.asarray(values, dtype=float), weights), max_bins)


class TestDefinition:
    @given(values=values_lists, max_bins=max_bins_of)
    def test_equal_weights(self, values, max_bins):
        expected = oracle.thresholds(values, np.ones(len(values)), max_bins)
        np.testing.assert_array_equal(thresholds(values, None, max_bins), expected)

    @given(values=values_lists, max_bins=max_bins_of, seed=st.integers(0, 2**32 - 1))
    def test_integer_weights(self, values, max_bins, seed):
        weights = np.random.default_rng(seed).integers(1, 9, len(values))
        expected = oracle.thresholds(values, weights, max_bins)
        np.testing.assert_array_equal(thresholds(values, weights, max_bins), expected)

    @given(values=values_lists, max_bins=max_bins_of, seed=st.integers(0, 2**32 - 1))
    def test_an_integer_weight_is_repetition_to_the_bit(self, values, max_bins, seed):
        weights = np.random.default_rng(seed).integers(1, 9, len(values))
        np.testing.assert_array_equal(
            thresholds(values, weights, max_bins),
            thresholds(np.repeat(values, weights), None, max_bins),
        )

    @given(values=values_lists, max_bins=max_bins_of, seed=st.integers(0, 2**32 - 1))
    def test_the_order_of_the_rows_does_not_matter(self, values, max_bins, seed):
        rng = np.random.default_rng(seed)
        weights, order = rng.random(len(values)) + 0.1, rng.permutation(len(values))
        values = np.array(values)
        np.testing.assert_array_equal(
            thresholds(values, weights, max_bins),
            thresholds(values[order], weights[order], max_bins),
        )

    @given(values=values_lists, max_bins=max_bins_of, scale=st.sampled_from([0.1, 3.0, 1e-9]))
    def test_the_scale_of_the_weights_does_not_matter(self, values, max_bins, scale):
        np.testing.assert_array_equal(
            thresholds(values, np.full(len(values), scale), max_bins),
            thresholds(values, None, max_bins),
        )

    def test_bins_hold_about_equal_numbers_of_rows(self):
        values = np.random.default_rng(0).normal(size=10_000)
        codes = np.searchsorted(thresholds(values, None, 16), values)
        # a threshold is set after the row at which a sixteenth is reached: one row off
        assert np.abs(np.bincount(codes) - 10_000 / 16).max() <= 1
        assert codes.max() == 15


class TestSpecialValues:
    @given(values=few_values)
    def test_few_distinct_values_get_a_bin_each(self, values):
        distinct = np.unique([v for v in values if not np.isnan(v)])
        edges = thresholds(values, None, 8)
        assert edges.size == max(distinct.size - 1, 0)
        np.testing.assert_array_equal(np.searchsorted(edges, distinct), np.arange(distinct.size))

    @given(values=values_lists, n_missing=st.integers(0, 30), max_bins=max_bins_of)
    def test_missing_values_are_ignored(self, values, n_missing, max_bins):
        with_missing = np.concatenate([np.full(n_missing, np.nan), values])
        np.testing.assert_array_equal(
            thresholds(with_missing, None, max_bins), thresholds(values, None, max_bins)
        )
        np.testing.assert_array_equal(
            thresholds(with_missing, np.full(with_missing.size, 2), max_bins),
            thresholds(values, np.full(len(values), 2), max_bins),
        )

    @pytest.mark.parametrize("values", [[np.nan, np.nan], [], [3.0], [3.0, 3.0, np.nan]])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_nothing_to_divide(self, values, weighted):
        weights = np.ones(len(values)) if weighted else None
        edges = thresholds(values, weights, 4)
        assert edges.shape == (0,)
        assert edges.dtype == np.float64

    @pytest.mark.parametrize(
        ("below", "above"),
        [
            (-1e308, 1e308),  # the difference overflows
            (1e308, 1.7e308),  # the sum overflows
            (0.0, 5e-324),  # nothing lies between
            (5e-324, 1e-323),
            (-5e-324, 0.0),
            (1.0, np.nextafter(1.0, 2.0)),
            (-np.nextafter(1.0, 2.0), -1.0),
            (1e16, 1e16 + 2),
        ],
    )
    def test_a_threshold_separates_neighbours(self, below, above):
        (edge,) = thresholds([above, below])
        assert below <= edge < above

    def test_both_zeros_are_one_value(self):
        assert thresholds([0.0, -0.0, 0.0, -0.0]).size == 0


class TestAgreementOfCodesAndValues:
    @given(
        values=st.lists(st.floats(-1.7e308, 1.7e308), min_size=1, max_size=60),
        max_bins=max_bins_of,
    )
    def test_code_at_most_b_means_value_at_most_threshold_b(self, values, max_bins):
        edges, values = thresholds(values, None, max_bins), np.array(values)
        assert (np.diff(edges) > 0).all()
        codes = np.searchsorted(edges, values)
        for b, edge in enumerate(edges):
            np.testing.assert_array_equal(codes <= b, values <= edge)
            # no bin is empty, so each threshold divides the rows it was made from
            assert (codes == b).any()
