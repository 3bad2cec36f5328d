"""Packed gradients: how much of the floats is left, and that no sum overflows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.engine.team import Team
from rmtgb.tree.weights import WeightUnits, Words
from tests.tree.cases import Problem, pack_rows, packing_of, settings, units_of, unpack

ONE, TWO, THREE = Words(1, 1), Words(2, 2), Words(3, 3)
#: Rows in blocks are packed as others, with another number of bits.
IN_BLOCKS = Words(1, 2), Words(2, 3)
EVERY_WAY = [ONE, TWO, THREE, *IN_BLOCKS]
every_way = pytest.mark.parametrize("words", EVERY_WAY, ids=str)


class Packed:
    """A problem's payload, and what it unpacks to."""

    def __init__(self, problem, words, n_members=1, seed=0, **changes):
        with Team(n_members) as team:
            grower, _ = problem.grower(settings(max_leaf_nodes=2, **changes), team, words=words)
            record = grower.record
            record.members["seed"] = seed
            team.run(pack_rows, record.members)
            record.check_guards()
        self.words = record.arrays["payload"].reshape(problem.g.size, words.per_row)
        self.how, self.units = packing_of(record.members[0]), units_of(record.members[0])
        assert {packing_of(member) for member in record.members} == {self.how}
        assert {tuple(units_of(member)) for member in record.members} == {tuple(self.units)}

    def unpacked(self, words):
        """Gradient, hessian and weight in some words."""
        return self.units * unpack(*np.resize(words, 3), self.how)

    def sums(self, rows=slice(None)):
        """Unpacked sums of some rows; the words are added without limit of length."""
        words = [int(w) for w in self.words[rows].astype(object).sum(axis=0)]
        assert all(-(2**63) <= w < 2**63 for w in words), "overflow"
        return self.unpacked(words)

    def rows(self):
        """Unpacked gradient, hessian and weight of each row: three arrays."""
        return np.array([self.unpacked(words) for words in self.words]).T


def problem(seed, n=50, weights=None):
    rng = np.random.default_rng(seed)
    g = rng.normal(size=n) * np.exp(rng.normal(size=n))
    h = None if weights is None else rng.random(n) * weights + 1e-3
    return Problem(rng.normal(size=(n, 1)), g, h, weights)


class TestRoundTrip:
    @pytest.mark.parametrize(("words", "bits"), [(ONE, 39), (Words(1, 2), 26)])
    @given(seed=st.integers(0, 2**32 - 1))
    def test_one_word(self, words, bits, seed):
        p = problem(seed)
        packed = Packed(p, words)
        g, h, w = packed.rows()
        # rounding to the nearest unit, of the largest gradient: 39 bits at the most, and those
        # that sums of 2^17 rows and of their weights leave of 62, with 18 each
        gradient_unit = packed.units[0]
        assert gradient_unit == pytest.approx(abs(p.g).max() / 2**bits, rel=1e-14)
        assert abs(g - p.g).max() <= 0.5001 * gradient_unit
        np.testing.assert_array_equal([h, w], [p.w, p.w])
        g, h, w = packed.sums()
        assert g == pytest.approx(p.g.sum(), abs=50 * 0.5001 * gradient_unit)
        assert h == w == 50.0

    @pytest.mark.parametrize("words", [TWO, THREE])
    @given(seed=st.integers(0, 2**32 - 1))
    def test_words_for_hessians(self, words, seed):
        p = problem(seed, weights=np.random.default_rng(seed).integers(1, 9, 50))
        packed = Packed(p, words)
        g, h, w = packed.rows()
        # a row of weight k is packed as k equal rows, of as many bits as rows of weight one
        bits = 28
        gradient_unit, hessian_unit, _ = packed.units
        assert hessian_unit == pytest.approx((p.h / p.w).max() / 2**bits, rel=1e-14)
        assert gradient_unit == pytest.approx(abs(p.g / p.w).max() / 2**39, rel=1e-14)
        assert (abs(g - p.g) / p.w).max() <= 0.5001 * gradient_unit
        assert (abs(h - p.h) / p.w).max() <= 0.5001 * hessian_unit
        np.testing.assert_array_equal(w, p.w)
        g, h, w = packed.sums()
        rounding = 0.5001 * p.w.sum()
        assert g == pytest.approx(p.g.sum(), abs=rounding * gradient_unit)
        assert h == pytest.approx(p.h.sum(), abs=rounding * hessian_unit)
        assert w == p.w.sum()

    @given(seed=st.integers(0, 2**32 - 1))
    def test_hessians_in_blocks(self, seed):
        p = problem(seed, weights=np.ones(50))
        packed = Packed(p, Words(2, 3))
        g, h, w = packed.rows()
        # 18 of 63 bits each for the sums of 2^17 rows and of their weights
        assert packed.units[1] == pytest.approx(p.h.max() / 2**27, rel=1e-14)
        assert abs(g - p.g).max() <= 0.5001 * packed.units[0]
        assert abs(h - p.h).max() <= 0.5001 * packed.units[1]
        np.testing.assert_array_equal(w, 1.0)

    @every_way
    def test_negative_sums_borrow_nothing_from_the_weights(self, words):
        # rounding to nearest: 2^-26 of the largest where bits are fewest, 10^-9 with more
        tolerance = 2.0**-25 if words == Words(1, 2) else 1e-10
        for seed in range(20):
            p = problem(seed)
            p.g = -abs(p.g)
            g, _, w = Packed(p, words).sums()
            assert g == pytest.approx(p.g.sum(), rel=tolerance)
            assert w == 50.0

    def test_weights_that_are_no_integers(self):
        weights = np.random.default_rng(0).random(50) + 0.01
        p = problem(0, weights=weights)
        w = Packed(p, TWO).rows()[2]
        # twice the 6 bits of 50 rows, and 11, hold the sum of all, of which the highest bit may be
        # lost in a scale that is a power of two, and one is left for rounding
        assert abs(w - weights).max() <= 0.5001 * weights.sum() / 2**21
        np.testing.assert_array_equal(Packed(p, THREE).rows()[2], w)

    @every_way
    def test_all_gradients_zero(self, words):
        p = problem(0, n=51)
        p.g = np.zeros(51)
        g, h, w = Packed(p, words).sums()
        assert g == 0.0
        assert (h, w) == (pytest.approx(51), 51.0)

    @pytest.mark.parametrize("words", [TWO, THREE, Words(2, 3)])
    def test_all_hessians_zero(self, words):
        p = problem(0, weights=np.ones(51), n=51)
        p.h = np.zeros(51)
        g, h, w = Packed(p, words).sums()
        assert g == pytest.approx(p.g.sum(), rel=1e-9)
        assert (h, w) == (0.0, 51.0)

    @pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
    @pytest.mark.parametrize("words", [TWO, THREE])
    def test_any_scale_of_gradients(self, words, scale):
        p = problem(1, weights=np.ones(50))
        p.g, p.h = p.g * scale, p.h * scale
        g, h, _ = Packed(p, words).sums()
        assert g == pytest.approx(p.g.sum(), rel=1e-9)
        assert h == pytest.approx(p.h.sum(), rel=1e-7)


class TestRowsWithoutPart:
    @every_way
    def test_rows_of_weight_zero_are_empty(self, words):
        weights = (np.arange(50) % 3 > 0).astype(float)
        p = problem(0, weights=weights)
        p.g[weights == 0] = 1e6  # a loss gives 0 here; the packing does not rely on it
        payload = Packed(p, words).words
        np.testing.assert_array_equal((payload == 0).all(axis=1), weights == 0)

    @every_way
    def test_the_subsample(self, words):
        p = problem(0, n=4000)
        packed = Packed(p, words, subsample=0.3, seed=5)
        taken = packed.rows()[2] > 0
        # five standard deviations of a binomial share
        assert abs(taken.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4000)
        assert not packed.words[~taken].any()
        full = Packed(p, words).words
        np.testing.assert_array_equal(packed.words[taken], full[taken])

    def test_the_subsample_depends_on_the_seed_and_nothing_else(self):
        p = problem(0, n=4000)
        words = [
            Packed(p, ONE, subsample=0.5, seed=s, n_members=m).words
            for s, m in [(1, 1), (1, 1), (1, 2), (1, 4), (2, 1)]
        ]
        for other in words[1:4]:
            np.testing.assert_array_equal(other, words[0])
        both = (words[0] != 0) & (words[4] != 0)
        assert abs(both.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)

    @every_way
    def test_teams_choose_the_same_units(self, words):
        p = problem(3, n=101, weights=np.ones(101))
        alone, *others = (Packed(p, words, n_members=m) for m in (1, 2, 4))
        for other in others:
            assert other.how == alone.how
            np.testing.assert_array_equal(other.units, alone.units)
            np.testing.assert_array_equal(other.words, alone.words)


class TestNoOverflow:
    @every_way
    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    @pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 2**16 - 1, 2**16])
    def test_all_rows_extreme(self, n, sign, words):
        p = Problem(np.zeros((n, 1)), np.full(n, sign * 1e5))
        g, h, w = Packed(p, words).sums()
        assert g == pytest.approx(sign * 1e5 * n, rel=1e-9)
        assert (h, w) == (pytest.approx(n, rel=1e-8), n)

    @pytest.mark.parametrize("words", [TWO, THREE])
    @pytest.mark.parametrize("weight", [1.0, 1000.0, 2.0**11, 0.7, 1e-9])
    def test_large_weights_too(self, weight, words):
        n = 1000
        p = Problem(np.zeros((n, 1)), np.full(n, -3.0 * weight), None, np.full(n, weight))
        g, h, w = Packed(p, words).sums()
        assert g == pytest.approx(-3.0 * weight * n, rel=1e-9)
        assert h == pytest.approx(weight * n, rel=1e-8)
        # weights that are no integers are rounded to 63 - 22 - 10 - 2 bits of their sum, or better
        assert w == pytest.approx(weight * n, rel=1e-6 if weight < 1 else 0)

    def test_weights_that_would_leave_two_words_nothing_get_three(self):
        n, weight = 1000, 2.0**31
        p = Problem(np.zeros((n, 1)), np.full(n, -3.0 * weight), None, np.full(n, weight))
        words = Words.choose(WeightUnits.of(p.w, np.array([0, n])), False)
        assert words == THREE
        g, h, w = Packed(p, words).sums()
        assert (g, h) == pytest.approx((-3.0 * weight * n, weight * n), rel=1e-8)
        assert w == weight * n
