"""The best split of one feature against exhaustive search.

Gradients, hessians and weights are integers here, with units of one: sums are exact, and
scores of kernel and oracle differ by the rounding to single precision at most.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.engine.jit import kernel
from rmtgb.tree.kernels import splitting
from rmtgb.tree.records import SPLIT, Packing
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
def scan_categorical(histogram, node, weight_unit, scratch, splits, codes_left):
    splitting.scan_categorical(
        histogram, FEATURE, node, weight_unit, scratch, splits[0], codes_left
    )
    if splits[0]["feature"] == FEATURE:
        splitting.complete_split(histogram, node, splits[0], codes_left)


@kernel
def make_node(totals, weight_unit, l2, min_weight, packing, random, seed):
    """Call the kernel of the same name."""
    return splitting.make_node(
        totals[0], totals[1], totals[2], weight_unit, l2, min_weight, packing, random, seed
    )


def make_scratch():
    """Scratch with nonsense in it."""
    arrays = [((3, 256), np.int64), (256, np.uint8), (256, np.float32), (256, np.float64)]
    return splitting.Scratch(*(np.full(shape, 99, dtype) for shape, dtype in arrays))


#: How sums can be packed: all in a word; gradient and weight in words of their own; hessian and
#: weight in one word; a word for each.
ONE = Packing(1, SHIFT, 1)
TWO_EQUAL = Packing(2, SHIFT, 1)
TWO = Packing(2, SHIFT, 0)
THREE = Packing(3, SHIFT, 0)
packings = pytest.mark.parametrize("how", [ONE, TWO_EQUAL, TWO, THREE], ids=str)


def pack(rows, how):
    """Sums of rows as words."""
    g, h, w = (values.astype(np.int64) for values in (rows.g, rows.h, rows.w))
    if how.n_words == 3:
        return np.column_stack([g, h, w])
    if how.n_words == 2:
        return np.column_stack([g, w if how.hessian_is_weight else (h << SHIFT) + w])
    return ((g << SHIFT) + w)[:, None]


class Scan:
    """One feature of some rows, scanned."""

    def __init__(
        self, rows, n_codes, limits, categorical=False, how=TWO, floor=-1.0, random_seed=None
    ):
        payload = pack(rows, how)
        sums = np.column_stack([rows.g, rows.h, rows.w]).astype(np.int64)
        histogram = oracle.histograms(rows.codes, slice(None), payload, n_codes).reshape(-1)
        splits, words = np.zeros(1, SPLIT), np.full(4, 2**64 - 1, dtype=np.uint64)
        splits["gain"], splits["feature"] = floor, -1
        seed = np.uint64(0 if random_seed is None else random_seed)
        random = random_seed is not None
        totals, min_weight = sums.sum(axis=0), int(limits.min_weight)
        node = make_node(totals, 1.0, limits.l2, min_weight, how, int(random), seed)
        node = node._replace(seed=seed)  # Python has made an int of it, which is a signed one
        if categorical:
            scan_categorical(histogram, node, 1.0, make_scratch(), splits, words)
        else:
            scan_numerical(histogram, n_codes - 1, node, make_scratch(), splits, words)
        self.split, self.missing = splits[0], n_codes - 1
        self.found = bool(self.split["feature"] == FEATURE)
        self.codes_left = oracle.members(words)
        self.left = self._mask(rows.codes[:, 0])
        if self.found:
            found = [self.split[name] for name in ("gradient", "hessian", "weight")]
            assert found == sums[self.left].sum(axis=0).tolist()
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
    @packings
    @given(seed=seeds, l2=l2_of, min_weight=min_weights, missing=st.booleans())
    def test_exhaustive_search(self, how, seed, l2, min_weight, missing):
        rows = draw(seed, 9, missing, hessian=not how.hessian_is_weight)
        limits = oracle.Limits(min_weight=min_weight, l2=l2)
        scan = Scan(rows, 9, limits, how=how)
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
    @packings
    @given(seed=seeds, l2=l2_of, min_weight=min_weights, missing=st.booleans())
    def test_every_prefix_in_the_order_of_smoothed_targets(
        self, how, seed, l2, min_weight, missing
    ):
        rows = draw(seed, 12, missing, hessian=not how.hessian_is_weight)
        limits = oracle.Limits(min_weight=min_weight, l2=l2)
        scan = Scan(rows, 12, limits, categorical=True, how=how)
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
        scan = Scan(rows, 8, limits, categorical=True, how=ONE)
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
        scan = Scan(rows, 256, oracle.Limits(), categorical=True, how=ONE)
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


def possible_splits(rows, missing, categorical):
    """Masks of what an exhaustive search tries, by bin and direction or by set of codes."""
    codes = rows.codes[:, 0]
    if categorical:
        smoothing = oracle.smoothing_of(rows)
        key = {
            code: rows.g[codes == code].sum() / (rows.h[codes == code].sum() + smoothing)
            for code in np.unique(codes).tolist()
        }
        in_order = sorted(key, key=lambda code: (key[code], code))
        sets = [in_order[:size] for size in range(1, len(in_order))]
        return {frozenset(chosen): np.isin(codes, chosen) for chosen in sets}
    splits = {}
    for missing_left in (False, True) if (codes == missing).any() else (False,):
        for code in np.unique(codes[codes != missing]).tolist():
            left = np.where(codes == missing, missing_left, codes <= code)
            if not left.all():
                splits[code, missing_left] = left
    return splits


def what_was_drawn(scan, rows):
    """The key of the split in possible_splits."""
    if scan.split["categorical"]:
        return frozenset(scan.codes_left)
    any_missing = (rows.codes == scan.missing).any()
    return int(scan.split["bin"]), bool(any_missing and scan.split["missing_left"])


#: 99.9 percent of chi-square variables of so many degrees of freedom are below.
CHI_SQUARE = {4: 18.5, 6: 22.5}


def assert_equally_often(counts):
    expected = sum(counts) / len(counts)
    assert sum((n - expected) ** 2 for n in counts) / expected < CHI_SQUARE[len(counts) - 1]


class TestRandomThresholds:
    @pytest.mark.parametrize("categorical", [False, True])
    @packings
    @given(seed=seeds, l2=l2_of, min_weight=min_weights, missing=st.booleans())
    def test_a_split_of_the_exhaustive_search(
        self, categorical, how, seed, l2, min_weight, missing
    ):
        rows = draw(seed, 9, missing, hessian=not how.hessian_is_weight)
        limits = oracle.Limits(min_weight=min_weight, l2=l2)
        options = {"categorical": categorical, "how": how}
        best, splits = Scan(rows, 9, limits, **options), possible_splits(rows, 8, categorical)
        l2 += oracle.smoothing_of(rows) if categorical else 0.0
        # the oracle takes a difference of scores, whose digits cancel where the gain is small
        cancelled = 1e-15 * np.abs(rows.g).sum() ** 2
        for random_seed in range(30):
            scan = Scan(rows, 9, limits, random_seed=random_seed, **options)
            if not scan.found:
                continue
            assert scan.split["gain"] <= best.split["gain"]
            np.testing.assert_array_equal(scan.left, splits[what_was_drawn(scan, rows)])
            reached = oracle.children_score(rows, scan.left, l2, limits.min_weight)
            assert reached > -1.0
            assert scan.split["gain"] == pytest.approx(reached, rel=ROUNDING, abs=cancelled)
            if not (rows.codes == 8).any():
                assert_missing_follow_the_heavier(scan, rows)

    @packings
    def test_every_threshold_equally_often(self, how):
        codes, rng = np.array([0, 2, 3, 7, 8, 9, 14, 15]).repeat(5), np.random.default_rng(0)
        rows = oracle.Rows(
            codes[:, None], rng.integers(-99, 99, 40) * 1.0, np.ones(40), np.ones(40)
        )
        scans = [Scan(rows, 20, oracle.Limits(), how=how, random_seed=s) for s in range(700)]
        assert all(scan.found for scan in scans)
        counts = np.bincount([scan.split["bin"] for scan in scans], minlength=20)
        assert np.flatnonzero(counts).tolist() == [0, 2, 3, 7, 8, 9, 14]
        assert_equally_often(counts[counts > 0])

    @pytest.mark.parametrize("missing", [False, True])
    def test_every_prefix_of_the_categories_equally_often(self, missing):
        codes = np.array([1, 2, 5, 6, 7, 19 if missing else 18]).repeat(5)
        g = np.array([30.0, -10, 20, 50, -40, 0]).repeat(5)
        rows = oracle.Rows(codes[:, None], g, np.ones(30), np.ones(30))
        counts = dict.fromkeys(possible_splits(rows, 19, categorical=True), 0)
        assert len(counts) == 5
        for seed in range(500):
            scan = Scan(rows, 20, oracle.Limits(), categorical=True, random_seed=seed)
            counts[frozenset(scan.codes_left)] += 1
        assert_equally_often(counts.values())

    def test_what_is_drawn_may_be_too_small(self):
        # of three thresholds only the last leaves three rows on both sides; nothing is
        # drawn again where another one was
        codes, ones = np.array([0, 1, 2, *[3] * 10])[:, None], np.ones(13)
        rows, limits = oracle.Rows(codes, np.arange(13.0), ones, ones), oracle.Limits(min_weight=3)
        scans = [Scan(rows, 5, limits, random_seed=seed) for seed in range(300)]
        assert {int(scan.split["bin"]) for scan in scans if scan.found} == {2}
        # five standard deviations
        assert abs(sum(scan.found for scan in scans) - 100) < 5 * np.sqrt(300 * 2 / 9)

    def test_one_bin_cannot_be_divided(self):
        ones = np.ones(5)
        for code in (0, 3, 8):  # 8: all values are missing
            rows = oracle.Rows(np.full((5, 1), code), np.arange(5.0), ones, ones)
            for categorical in (False, True):
                for seed in range(50):
                    scan = Scan(
                        rows, 9, oracle.Limits(), categorical=categorical, random_seed=seed
                    )
                    assert not scan.found

    @pytest.mark.parametrize("code", [0, 3, 7])
    def test_one_bin_and_missing_values_have_one_split(self, code):
        ones = np.ones(6)
        rows = oracle.Rows(np.array([code, 8]).repeat(3)[:, None], np.arange(6.0), ones, ones)
        for seed in range(50):
            split = Scan(rows, 9, oracle.Limits(), random_seed=seed).split
            assert (split["bin"], split["missing_left"]) == (code, 0)

    def test_missing_values_go_where_they_belong(self):
        # they are like bin 1, or like bin 2: right of bin 0, left of bins 2, and apart from all
        codes, ones = np.array([0, 1, 2, 3, 5]).repeat(10)[:, None], np.ones(50)
        rows = oracle.Rows(codes, np.array([30.0, 10, -10, -30, 0]).repeat(10), ones, ones)
        seen = set()
        for seed in range(200):
            scan = Scan(rows, 6, oracle.Limits(), random_seed=seed)
            seen.add((int(scan.split["bin"]), int(scan.split["missing_left"])))
        assert {(0, 0), (2, 1)} <= seen
        assert not {(0, 1), (3, 1)} & seen

    def test_only_a_larger_gain_replaces_a_split(self):
        rows = draw(5, 9)
        for seed in range(50):
            drawn = Scan(rows, 9, oracle.Limits(), random_seed=seed).split["gain"]
            for share in (0.9, 1.0, 1.1):
                again = Scan(rows, 9, oracle.Limits(), floor=share * drawn, random_seed=seed)
                assert again.found == (share < 1.0)
