"""The best split of one feature against exhaustive search.

Gradients, hessians and weights are integers here, with units of one: sums are exact, and
scores of kernel and oracle differ by the rounding to single precision at most.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb._jit import kernel
from rmtgb.tree.dtypes import SPLIT, Packing
from rmtgb.tree.kernels import splitting
from tests.oracles import tree as oracle

SHIFT = 20
ROUNDING = 2e-7
FEATURE = 3  # what the scanned feature is called; the oracle knows it as column 0
seeds = st.integers(0, 2**32 - 1)
l2_of = st.sampled_from([0.0, 1.0, 17.5])
min_weights = st.sampled_from([1.0, 2.0, 5.0, 40.0])


@kernel
def scan_numerical(histogram, n_bins, node, scratch, splits, codes_left):
    splitting.scan_numerical(histogram, FEATURE, n_bins, node, scratch, splits[0])
    if splits[0]["feature"] == FEATURE:
        splitting.complete_split(histogram, node, splits[0], codes_left)


@kernel
def scan_categorical(histogram, node, scratch, splits, codes_left):
    splitting.scan_categorical(histogram, FEATURE, node, scratch, splits[0], codes_left)
    if splits[0]["feature"] == FEATURE:
        splitting.complete_split(histogram, node, splits[0], codes_left)


@kernel
def make_node(totals, l2, min_weight, packing, random, seed):
    """Call the kernel of the same name."""
    return splitting.make_node(totals[0], totals[1], l2, min_weight, packing, random, seed)


def make_scratch():
    """Scratch with nonsense in it."""
    dtypes = (np.int64, np.int64, np.uint8, np.float32, np.float64)
    return splitting.Scratch(*(np.full(256, 99, dtype) for dtype in dtypes))


class Scan:
    """One feature of some rows, scanned."""

    def __init__(
        self, rows, n_codes, limits, categorical=False, n_words=2, floor=-1.0, random_seed=None
    ):
        packing = Packing(n_words, SHIFT, 1.0, 1.0, 1.0)
        payload = np.column_stack([rows.g, rows.h]).astype(np.int64)
        if n_words == 1:
            payload = payload[:, :1]
        payload[:, -1] = (payload[:, -1] << SHIFT) + rows.w.astype(np.int64)
        histogram = oracle.histograms(rows.codes, slice(None), payload, n_codes).reshape(-1)
        splits, words = np.zeros(1, SPLIT), np.full(4, 2**64 - 1, dtype=np.uint64)
        splits["gain"], splits["feature"] = floor, -1
        totals = np.append(payload.sum(axis=0), 0)[:2]
        seed = np.uint64(0 if random_seed is None else random_seed)
        random = random_seed is not None
        node = make_node(totals, limits.l2, limits.min_weight, packing, random, seed)
        if categorical:
            scan_categorical(histogram, node, make_scratch(), splits, words)
        else:
            scan_numerical(histogram, n_codes - 1, node, make_scratch(), splits, words)
        self.split, self.missing = splits[0], n_codes - 1
        self.found = bool(self.split["feature"] == FEATURE)
        self.codes_left = oracle.members(words)
        self.left = self._mask(rows.codes[:, 0])
        if self.found:
            left_sums = np.append(payload[self.left].sum(axis=0), 0)[:2]
            assert [self.split["left_0"], self.split["left_1"]] == left_sums.tolist()
            assert bool(self.split["categorical"]) == categorical

    def _mask(self, codes):
        if self.split["categorical"]:
            return np.isin(codes, list(self.codes_left))
        return np.where(
            codes == self.missing, self.split["missing_left"] > 0, codes <= self.split["bin"]
        )


def draw(seed, n_codes, missing=True, n=40, equal=False, hessian=True):
    """Rows of one feature; some codes have none. ``equal``: as many rows for each code."""
    rng = np.random.default_rng(seed)
    used = rng.permutation(n_codes - 1)[: rng.integers(1, n_codes)]
    if missing:
        used = np.append(used, n_codes - 1)
    codes = np.resize(used, n // used.size * used.size) if equal else rng.choice(used, n)
    w = np.ones(codes.size) if equal else rng.integers(1, 4, codes.size).astype(float)
    h = rng.integers(1, 9, codes.size) * w if hessian else w
    g = rng.integers(-1000, 1000, codes.size) + 300.0 * rng.normal(size=n_codes)[codes].round(1)
    return oracle.Rows(codes[:, None], g.round() * w, h, w)


def assert_best(scan, rows, expected, l2, limits):
    """The scan found a split exactly if the oracle did, and none is better."""
    assert scan.found == (expected.feature == 0)
    if scan.found:
        reached = oracle.children_score(rows, scan.left, l2, limits.min_weight)
        assert scan.split["gain"] == pytest.approx(reached, rel=ROUNDING)
        assert scan.split["gain"] == pytest.approx(expected.gain, rel=ROUNDING)


def assert_missing_follow_the_heavier(scan, rows):
    heavier_left = 2 * rows.w[scan.left].sum() >= rows.w.sum()
    assert bool(scan.split["missing_left"]) == heavier_left


class TestNumerical:
    @pytest.mark.parametrize("n_words", [1, 2])
    @given(seed=seeds, l2=l2_of, min_weight=min_weights, missing=st.booleans())
    def test_exhaustive_search(self, n_words, seed, l2, min_weight, missing):
        rows = draw(seed, 9, missing, hessian=n_words == 2)
        limits = oracle.Limits(min_weight=min_weight, l2=l2)
        scan = Scan(rows, 9, limits, n_words=n_words)
        expected = oracle.best_numerical(rows, 0, 8, 8, limits)
        assert_best(scan, rows, expected, l2, limits)
        if scan.found and not missing:
            assert_missing_follow_the_heavier(scan, rows)

    @given(seed=seeds, share=st.floats(0.5, 1.5))
    def test_only_a_larger_gain_replaces_a_split(self, seed, share):
        rows, limits = draw(seed, 9), oracle.Limits()
        best = Scan(rows, 9, limits).split["gain"]
        again = Scan(rows, 9, limits, floor=share * best)
        assert again.found == (share * best < best)
        assert again.split["gain"] == (best if again.found else share * best)

    @pytest.mark.parametrize("side", [-1, 1])
    def test_missing_values_go_where_they_belong(self, side):
        # bins 0 and 1 differ; missing rows are like bin 0 (left) or like bin 1 (right)
        codes = np.repeat([0, 1, 5], 10)[:, None]
        g = np.repeat([5.0, -5.0, -5.0 * side], 10)
        scan = Scan(oracle.Rows(codes, g, np.ones(30), np.ones(30)), 6, oracle.Limits())
        assert (scan.split["bin"], scan.split["missing_left"]) == (0, side < 0)

    def test_missing_against_known_values(self):
        codes = np.repeat([0, 1, 2, 3], 10)[:, None]
        g = np.repeat([1.0, 1.0, 1.0, -9.0], 10)
        scan = Scan(oracle.Rows(codes, g, np.ones(40), np.ones(40)), 4, oracle.Limits())
        assert (scan.split["bin"], scan.split["missing_left"]) == (2, 0)

    def test_among_equal_gains_the_lowest_bin(self):
        # mirror images: the first and the last threshold save the same
        codes, ones = np.arange(4)[:, None], np.ones(4)
        scan = Scan(oracle.Rows(codes, np.array([-2.0, 0, 0, 2]), ones, ones), 5, oracle.Limits())
        assert scan.split["bin"] == 0
        assert scan.split["gain"] == pytest.approx(4 / 1 + 4 / 3, rel=ROUNDING)

    def test_a_gap_is_divided_at_its_lower_end(self):
        codes, ones = np.array([1, 6])[:, None], np.ones(2)
        scan = Scan(oracle.Rows(codes, np.array([-1.0, 1.0]), ones, ones), 9, oracle.Limits())
        assert scan.split["bin"] == 1

    def test_one_bin_cannot_be_divided(self):
        ones = np.ones(5)
        for code in (0, 3, 8):  # 8: all values are missing
            rows = oracle.Rows(np.full((5, 1), code), np.arange(5.0), ones, ones)
            assert not Scan(rows, 9, oracle.Limits()).found

    def test_a_child_of_hardly_any_hessian_is_refused(self):
        codes, w = np.array([0, 1, 2])[:, None], np.ones(3)
        g, h = np.array([50.0, 1, -1]), np.array([1.0, 5000, 5000])
        scan = Scan(oracle.Rows(codes, g, h, w), 4, oracle.Limits())
        assert scan.split["bin"] == 1  # bin 0 alone would save 2500
        h[0] = 10.0  # an average row has 3337 here, a thousandth of it suffices
        assert Scan(oracle.Rows(codes, g, h, w), 4, oracle.Limits()).split["bin"] == 0


class TestCategorical:
    @pytest.mark.parametrize("n_words", [1, 2])
    @given(seed=seeds, l2=l2_of, min_weight=min_weights, missing=st.booleans())
    def test_every_prefix_in_the_order_of_smoothed_targets(
        self, n_words, seed, l2, min_weight, missing
    ):
        rows = draw(seed, 12, missing, hessian=n_words == 2)
        limits = oracle.Limits(min_weight=min_weight, l2=l2)
        scan = Scan(rows, 12, limits, categorical=True, n_words=n_words)
        expected = oracle.best_categorical(rows, 0, 11, limits)
        assert_best(scan, rows, expected, l2 + oracle.smoothing_of(rows), limits)
        if scan.found:
            assert scan.codes_left <= set(rows.codes[:, 0].tolist())
            if (rows.codes == 11).any():
                assert bool(scan.split["missing_left"]) == (11 in scan.codes_left)
            else:
                assert_missing_follow_the_heavier(scan, rows)

    @given(seed=seeds, l2=l2_of, missing=st.booleans())
    def test_no_other_subset_is_better_under_squared_error(self, seed, l2, missing):
        # Among all subsets the best is a prefix in the order of G / H (Fisher 1958). The order
        # of the smoothed ratio is the same where all categories have as many rows.
        rows, limits = draw(seed, 8, missing, equal=True, hessian=False), oracle.Limits(l2=l2)
        scan = Scan(rows, 8, limits, categorical=True, n_words=1)
        best = oracle.best_subset_score(rows, 0, limits)
        assert max(scan.split["gain"], 0.0) == pytest.approx(max(best, 0.0), rel=ROUNDING)

    @pytest.mark.parametrize("n_used", [20, 100, 255, 256])
    def test_many_categories(self, n_used):
        rng = np.random.default_rng(n_used)
        codes = rng.permutation(256)[:n_used].repeat(4)
        w = np.ones(codes.size)
        effect = rng.integers(-9999, 9999, 256)[codes]  # of a category, more than noise
        g = effect + rng.integers(-999, 999, codes.size) * 1.0
        rows = oracle.Rows(codes[:, None], g, w, w)
        scan = Scan(rows, 256, oracle.Limits(), categorical=True, n_words=1)
        expected = oracle.best_categorical(rows, 0, 255, oracle.Limits())
        assert scan.found
        assert scan.codes_left == expected.codes_left
        assert scan.split["gain"] == pytest.approx(expected.gain, rel=ROUNDING)

    def test_equal_categories_are_taken_by_number(self):
        codes, ones = np.arange(4)[:, None], np.ones(4)
        rows = oracle.Rows(codes, np.array([3.0, -3, 3, -3]), ones, ones)
        scan = Scan(rows, 5, oracle.Limits(), categorical=True)
        assert scan.codes_left == {1, 3}
        # {1} | {0, 2, 3} saves as much as its mirror image {0, 1, 3} | {2}, which comes later
        rows.g[:] = [0, -2, 2, 0]
        assert Scan(rows, 5, oracle.Limits(), categorical=True).codes_left == {1}
        rows.g[:] = 1.0  # all the same: any one of them, or any three
        assert Scan(rows, 5, oracle.Limits(), categorical=True).codes_left == {0}

    def test_one_category_cannot_be_divided(self):
        ones = np.ones(5)
        rows = oracle.Rows(np.full((5, 1), 7), np.arange(5.0), ones, ones)
        assert not Scan(rows, 9, oracle.Limits(), categorical=True).found

    def test_a_split_that_is_not_replaced_keeps_its_set(self):
        scan = Scan(draw(0, 9), 9, oracle.Limits(), categorical=True, floor=1e12)
        assert not scan.found
        assert len(scan.codes_left) == 256  # as before the call
