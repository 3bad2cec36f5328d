"""Packed gradients: how much of the floats is left, and that no sum overflows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.engine.team import Team
from rmtgb.tree.job import Job
from tests.tree.cases import Problem, pack_rows, packing_of, settings, unpack


class Packed:
    """A problem's payload, and what it unpacks to."""

    def __init__(self, problem, n_words, coefficient=None, n_members=1, subsample=1.0, **fields):
        n = problem.g.size
        coefficient = np.ones(problem.task_codes.max() + 1) if coefficient is None else coefficient
        sizes = {
            "n_rows": n,
            "n_features": problem.X.shape[1],
            "n_outputs": 1,
            "n_words": n_words,
            "missing_code": 255,
            "n_leaves": 2,
            "n_tasks": 1,
        }
        with Team(n_members) as team:
            state = problem.state(team)
            limits = settings(subsample=subsample).growth_params(1, 2)
            fields = state.training.row_fields | limits | fields
            job = Job(sizes, fields, state.arrays, team)
            team.run(pack_rows, job.records, 0, coefficient)
        self.words = job.arrays["payload"].reshape(n, n_words)
        self.how = packing_of(job.records[0])

    def sums(self, rows=slice(None)):
        """Unpacked sums of some rows; the words are added without limit of length."""
        words = [int(w) for w in self.words[rows].astype(object).sum(axis=0)]
        assert all(-(2**63) <= w < 2**63 for w in words), "overflow"
        return unpack(words[0], words[-1], self.how)

    def rows(self):
        """Unpacked gradient, hessian and weight of each row: three arrays."""
        return np.array([unpack(w[0], w[-1], self.how) for w in self.words]).T


def problem(seed, n=50, weights=None, n_tasks=1):
    rng = np.random.default_rng(seed)
    g = rng.normal(size=n) * np.exp(rng.normal(size=n))
    h = None if weights is None else rng.random(n) * weights + 1e-3
    return Problem(
        rng.normal(size=(n, 1)), g, h, weights, task_codes=np.sort(rng.integers(0, n_tasks, n))
    )


class TestRoundTrip:
    @given(seed=st.integers(0, 2**32 - 1))
    def test_one_word(self, seed):
        p = problem(seed)
        packed = Packed(p, 1)
        g, h, w = packed.rows()
        # rounding to the nearest unit; 40 bits of the largest gradient
        assert packed.how.gradient_unit == pytest.approx(abs(p.g).max() / 2**40, rel=1e-11)
        assert abs(g - p.g).max() <= 0.5001 * packed.how.gradient_unit
        np.testing.assert_array_equal([h, w], [p.w, p.w])
        g, h, w = packed.sums()
        assert g == pytest.approx(p.g.sum(), abs=50 * 0.5001 * packed.how.gradient_unit)
        assert h == w == 50.0

    @given(seed=st.integers(0, 2**32 - 1))
    def test_two_words(self, seed):
        p = problem(seed, weights=np.random.default_rng(seed).integers(1, 9, 50))
        packed = Packed(p, 2)
        g, h, w = packed.rows()
        # a row of weight k is packed as k equal rows
        assert packed.how.hessian_unit == pytest.approx((p.h / p.w).max() / 2**30, rel=1e-8)
        assert (abs(g - p.g) / p.w).max() <= 0.5001 * packed.how.gradient_unit
        assert (abs(h - p.h) / p.w).max() <= 0.5001 * packed.how.hessian_unit
        np.testing.assert_array_equal(w, p.w)
        g, h, w = packed.sums()
        rounding = 0.5001 * p.w.sum()
        assert g == pytest.approx(p.g.sum(), abs=rounding * packed.how.gradient_unit)
        assert h == pytest.approx(p.h.sum(), abs=rounding * packed.how.hessian_unit)
        assert w == p.w.sum()

    @pytest.mark.parametrize("n_words", [1, 2])
    def test_negative_sums_borrow_nothing_from_the_weights(self, n_words):
        for seed in range(20):
            p = problem(seed)
            p.g = -abs(p.g)
            g, _, w = Packed(p, n_words).sums()
            assert g == pytest.approx(p.g.sum(), rel=1e-10)
            assert w == 50.0

    def test_the_chain_rule_of_the_coefficients(self):
        p, c = problem(0, weights=np.ones(50), n_tasks=3), np.array([0.0, 0.3, 1.0])
        packed = Packed(p, 2, c)
        g, h, w = packed.rows()
        c = c[p.task_codes]
        assert abs(g - c * p.g).max() <= 0.5001 * packed.how.gradient_unit
        assert abs(h - c**2 * p.h).max() <= 0.5001 * packed.how.hessian_unit
        np.testing.assert_array_equal(w, 1.0)

    def test_weights_that_are_no_integers_are_resolved_to_a_64th_of_their_mean(self):
        weights = np.random.default_rng(0).random(50) + 0.01
        p = problem(0, weights=weights)
        w = Packed(p, 2).rows()[2]
        assert abs(w - weights).max() <= 0.5001 * weights.mean() / 64

    def test_all_gradients_zero(self):
        for n_words in (1, 2):
            p = problem(0, n=51)
            p.g = np.zeros(51)
            g, h, w = Packed(p, n_words).sums()
            assert abs(g) < 1e-290
            assert (h, w) == (pytest.approx(51), 51.0)

    def test_all_hessians_zero(self):
        p = problem(0, weights=np.ones(51), n=51)
        p.h = np.zeros(51)
        g, h, w = Packed(p, 2).sums()
        assert g == pytest.approx(p.g.sum(), rel=1e-9)
        assert (abs(h) < 1e-290, w) == (True, 51.0)

    @pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
    def test_any_scale_of_gradients(self, scale):
        p = problem(1, weights=np.ones(50))
        p.g, p.h = p.g * scale, p.h * scale
        g, h, _ = Packed(p, 2).sums()
        assert g == pytest.approx(p.g.sum(), rel=1e-9)
        assert h == pytest.approx(p.h.sum(), rel=1e-7)


class TestRowsWithoutPart:
    @pytest.mark.parametrize("n_words", [1, 2])
    def test_rows_of_weight_zero_are_empty(self, n_words):
        weights = (np.arange(50) % 3 > 0).astype(float)
        p = problem(0, weights=weights)
        p.g[weights == 0] = 1e6  # a loss gives 0 here; the packing does not rely on it
        words = Packed(p, n_words).words
        np.testing.assert_array_equal((words == 0).all(axis=1), weights == 0)

    @pytest.mark.parametrize("n_words", [1, 2])
    def test_the_subsample(self, n_words):
        p = problem(0, n=4000)
        packed = Packed(p, n_words, subsample=0.3, seed=5)
        taken = packed.rows()[2] > 0
        # five standard deviations of a binomial share
        assert abs(taken.mean() - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 4000)
        assert not packed.words[~taken].any()
        full = Packed(p, n_words).words
        np.testing.assert_array_equal(packed.words[taken], full[taken])

    def test_the_subsample_depends_on_the_seed_and_nothing_else(self):
        p = problem(0, n=4000)
        words = [
            Packed(p, 1, subsample=0.5, seed=s, n_members=m).words
            for s, m in [(1, 1), (1, 1), (1, 2), (1, 4), (2, 1)]
        ]
        for other in words[1:4]:
            np.testing.assert_array_equal(other, words[0])
        both = (words[0] != 0) & (words[4] != 0)
        assert abs(both.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000)

    def test_teams_choose_the_same_units(self):
        p = problem(3, n=101, weights=np.ones(101))
        hows = [Packed(p, 2, n_members=m).how for m in (1, 2, 4)]
        assert hows[0] == hows[1] == hows[2]


class TestNoOverflow:
    @pytest.mark.parametrize("n_words", [1, 2])
    @pytest.mark.parametrize("sign", [-1.0, 1.0])
    @pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 2**16 - 1, 2**16])
    def test_all_rows_extreme(self, n, sign, n_words):
        p = Problem(np.zeros((n, 1)), np.full(n, sign * 1e5))
        g, h, w = Packed(p, n_words).sums()
        assert g == pytest.approx(sign * 1e5 * n, rel=1e-9)
        assert (h, w) == (pytest.approx(n, rel=1e-8), n)

    @pytest.mark.parametrize("weight", [1.0, 1000.0, 2.0**31, 0.7])
    def test_large_weights_too(self, weight):
        n = 1000
        p = Problem(np.zeros((n, 1)), np.full(n, -3.0 * weight), None, np.full(n, weight))
        g, h, w = Packed(p, 2).sums()
        assert g == pytest.approx(-3.0 * weight * n, rel=1e-9)
        # 63 bits, less 42 of the weights and 10 of the rows, leave 11 for the hessian
        assert h == pytest.approx(weight * n, rel=1e-3 if weight > 1e6 else 1e-8)
        assert w == pytest.approx(weight * n, rel=1e-12)

    def test_the_fewest_bits_that_one_word_may_leave_for_a_gradient(self):
        # 2^24 rows of weight 1 leave 62 - 25 - 25 bits; here 4096 rows and longer weights do
        p = problem(0, n=4096)
        packed = Packed(p, 1, weight_bits=37)
        assert packed.how.gradient_unit == pytest.approx(abs(p.g).max() / (2**12 - 1))
        g, h, w = packed.rows()
        assert abs(g - p.g).max() <= 0.5001 * packed.how.gradient_unit
        np.testing.assert_array_equal([h, w], 1.0)
        p.g[:] = -7.0
        assert Packed(p, 1, weight_bits=37).sums() == (pytest.approx(-7.0 * 4096), 4096, 4096)
