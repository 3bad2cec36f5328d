"""How many words rows and sums have: enough bits, no overflow, and the same trees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.engine.jit import kernel
from rmtgb.tree.kernels import packing
from rmtgb.tree.kernels.growth import MIN_ROWS_PER_MEMBER
from rmtgb.tree.kernels.packing import BLOCK_BITS, BLOCK_ROWS, MIN_BITS
from rmtgb.tree.weights import MAX_COPIES, MAX_COPIES_TOTAL, WeightUnits, Words
from tests.tree.cases import Problem, grow

ONE, TWO, THREE = Words(1, 1), Words(2, 2), Words(3, 3)
IN_BLOCKS = Words(1, 2), Words(2, 3)
every_way = pytest.mark.parametrize("words", [ONE, TWO, THREE, *IN_BLOCKS], ids=str)


@kernel
def choose_bits(n_words, in_blocks, weight_bits, row_bits, largest_bits):
    """Call the kernel of the same name."""
    return packing.choose_bits(n_words, in_blocks, weight_bits, row_bits, largest_bits)


def bits_of(units, words):
    """What a kernel chooses for the first part of some rows."""
    weight_bits = int(units.totals[0]).bit_length()
    row_bits = weight_bits if units.copies else int(units.n_rows[0]).bit_length()
    in_blocks = int(words.per_sum > words.per_row)
    return choose_bits(words.per_row, in_blocks, weight_bits, row_bits, units.largest_bits)


def assert_no_sum_overflows(units, words):
    """Sums of rows that are all extreme fit, in integers without limit."""
    shift, gradient_bits, hessian_bits = bits_of(units, words)
    n_rows, total = int(units.n_rows[0]), int(units.totals[0])
    summed = total if units.copies else n_rows  # copies of rows
    g, h = 2**gradient_bits * summed, 2**hessian_bits * summed
    assert max(g, h, total) < 2**63  # what is unpacked
    if words.per_sum > words.per_row:  # rows of weight one; what is packed are sums of blocks
        n_rows = total = summed = min(n_rows, BLOCK_ROWS)
        g, h = 2**gradient_bits * summed, 2**hessian_bits * summed
    if words.per_row < 3:
        assert total < 2**shift
    if words.per_row == 1:
        assert (g << shift) + total < 2**63
        assert -(g << shift) >= -(2**63)
    if words.per_row == 2:
        assert (h << shift) + total < 2**63
    if words.per_row > 1:  # what linear leaves sum of 64 rows, values being 3840 at most
        largest = units.largest
        assert 64 * largest * 2**gradient_bits * 3840 < 2**63
        assert 64 * largest * 2**hessian_bits * 3840**2 < 2**63


def units(n_rows, total=None, largest=1, copies=True, scale=1.0):
    """Units of one part, as if they came from weights."""
    total = n_rows if total is None else total
    return WeightUnits(scale, copies, largest, np.array([n_rows]), np.array([total]))


NUMBERS_OF_ROWS = sorted({n for k in range(33) for n in (2**k - 1, 2**k) if 0 < n < 2**32})


class TestBits:
    """Every number of rows up to 2^32 - 1, which is what row numbers have bits for."""

    def enough(self, units, constant_hessian=False):
        """The words that are chosen, which leave what they should."""
        words = Words.choose(units, constant_hessian)
        assert_no_sum_overflows(units, words)
        _, gradient_bits, hessian_bits = bits_of(units, words)
        assert gradient_bits >= MIN_BITS
        assert words.per_row == 1 or hessian_bits >= MIN_BITS
        return words

    @pytest.mark.parametrize("constant_hessian", [False, True])
    def test_rows_of_weight_one(self, constant_hessian):
        for n in NUMBERS_OF_ROWS:
            words = self.enough(units(n), constant_hessian)
            assert words.per_row == (1 if constant_hessian else 2)
            assert words.block_rows == (BLOCK_ROWS if n >= 2**20 else 0)  # for many rows only
            for fewer in (n // 2, 1):  # smaller parts, as tasks are, packed in the same way
                assert_no_sum_overflows(units(max(fewer, 1)), words)

    @pytest.mark.parametrize("largest", [2, 3, 64, MAX_COPIES - 1, MAX_COPIES])
    def test_rows_in_copies(self, largest):
        for n in NUMBERS_OF_ROWS:
            for total in (n, n + largest - 1, n * largest):
                if total < MAX_COPIES_TOTAL:
                    self.enough(units(n, total, largest))

    def test_large_integers(self):
        for n in NUMBERS_OF_ROWS:
            for total in (n, 2**40 + n, 2**61 - 1):
                self.enough(units(n, total, copies=False))

    def test_floats(self):
        for n in NUMBERS_OF_ROWS:
            for bits in (1, 20, max(1, 41 - n.bit_length()), 61):
                self.enough(units(n, 2**bits - 1, copies=False, scale=0.5))

    @every_way
    def test_no_way_of_packing_overflows_where_it_is_not_chosen(self, words):
        for n in NUMBERS_OF_ROWS:
            if min(bits_of(units(n), words)[1:]) > 0:
                assert_no_sum_overflows(units(n), words)

    def test_blocks(self):
        assert BLOCK_ROWS == 2**BLOCK_BITS
        assert Words(1, 2).block_rows == Words(2, 3).block_rows == BLOCK_ROWS
        assert ONE.block_rows == TWO.block_rows == THREE.block_rows == 0


def integer_problem(seed, weights):
    """Gradients and hessians that are integers, whose largest are powers of two less one."""
    rng = np.random.default_rng(seed)
    n = weights.size
    X = np.column_stack([rng.normal(size=(n, 2)).round(1), rng.integers(0, 9, n)])
    X[rng.random(X.shape) < 0.1] = np.nan
    g = rng.integers(-1000, 1001, n) + 300 * np.nan_to_num(X[:, 0]).round()
    g[0] = 2**14 - 1
    return Problem(X, g * weights, None, weights, n_categories=np.array([0, 0, 9]))


class TestWords:
    """Other words, other units, the same tree."""

    def assert_same(self, p, words, other_words, **options):
        options = {"min_samples_leaf": 3} | options
        one, other = (grow(p, words=w, **options) for w in (words, other_words))
        assert one.nodes.size > 9
        for name in ("feature", "left", "threshold", "category_set", "missing_left", "weight"):
            np.testing.assert_array_equal(one.nodes[name], other.nodes[name])
        np.testing.assert_array_equal(one.ensemble.category_sets, other.ensemble.category_sets)
        np.testing.assert_array_equal(one.leaf_of_row, other.leaf_of_row)
        return one, other

    @pytest.mark.parametrize("n_members", [1, 2])
    @pytest.mark.parametrize("linear_leaves", [False, True])
    @given(seed=st.integers(0, 2**32 - 1))
    def test_three_words_are_two_to_the_bit(self, seed, linear_leaves, n_members):
        # hessians of few bits: both leave them all that linear leaves can use
        weights = np.random.default_rng(seed).integers(1, 9, 300).astype(float)
        p = integer_problem(seed, weights)
        options = {"n_members": n_members, "linear_leaves": linear_leaves}
        one, other = self.assert_same(p, TWO, THREE, **options)
        assert one.bits == other.bits

    @pytest.mark.parametrize("n_members", [1, 2])
    @given(seed=st.integers(0, 2**32 - 1))
    def test_a_word_for_all_and_blocks_of_it(self, seed, n_members):
        p = integer_problem(seed, np.ones(300))
        for words in (Words(1, 2), TWO, Words(2, 3), THREE):
            one, other = self.assert_same(p, ONE, words, n_members=n_members)
            # values differ by the rounding of gradients to 26 bits of the largest one
            np.testing.assert_allclose(
                one.nodes["value"], other.nodes["value"], rtol=0, atol=2.0**-26 * abs(p.g).max()
            )

    @every_way
    @pytest.mark.parametrize("n", [300, 5 * MIN_ROWS_PER_MEMBER])
    def test_teams(self, words, n):
        p = integer_problem(0, np.ones(n))
        alone = grow(p, words=words, subsample=0.8).bits
        for n_members in (2, 4):
            assert grow(p, n_members, words=words, subsample=0.8).bits == alone

    @pytest.mark.slow
    @pytest.mark.parametrize(("words", "other_words"), [(Words(1, 2), ONE), (Words(2, 3), TWO)])
    def test_several_blocks(self, words, other_words):
        p = integer_problem(0, np.ones(2 * BLOCK_ROWS + 9))
        options = {"max_leaf_nodes": 12, "min_samples_leaf": 3}
        one, other = self.assert_same(p, words, other_words, **options)
        # values are means of thousands of gradients that were rounded to 26 bits of the largest
        np.testing.assert_allclose(
            one.nodes["value"], other.nodes["value"], rtol=0, atol=2.0**-26 * abs(p.g).max()
        )
        for n_members in (2, 4):
            assert grow(p, n_members, words=words, **options).bits == one.bits
