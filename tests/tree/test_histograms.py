"""Histograms of packed sums against np.add.at, and sums of blocks against plain ones."""

import numpy as np
import pytest

from rmtgb.tree.kernels.histograms import TILE, block_width
from rmtgb.tree.kernels.packing import BLOCK_BITS, BLOCK_ROWS
from rmtgb.tree.records import Packing
from tests.oracles import tree as oracle
from tests.tree.cases import build_histograms

N_ROWS, N_CODES = 200, 33


def build(codes, rows, payload, spare=0, first=0, stop=None, fill=-7, how=None, n_codes=N_CODES):
    """Histograms as (n_features, words of a row), the words not meant for us filled before.

    ``payload`` is that of ``rows``; rows that are not summed get nonsense. ``how`` they are packed
    matters where they are summed in blocks only, which is where it is given.
    """
    n_features, n_words = codes.shape[1], payload.shape[1]
    of_all_rows = np.full((codes.shape[0], n_words), 2**40)
    of_all_rows[rows] = payload
    sum_words = n_words if how is None else n_words + 1
    out = np.full((n_features, n_codes * sum_words + spare), fill, dtype=np.int64)
    # one number more than needed, which nobody may write to
    block = np.full(0 if how is None else block_width(n_words) + 1, fill)
    build_histograms(
        codes.astype(np.uint8),
        first,
        n_features if stop is None else stop,
        rows.astype(np.uint32),
        of_all_rows.reshape(-1),
        Packing(n_words, 0, 0) if how is None else how,
        sum_words,
        n_codes,
        block,
        out,
    )
    assert (block[-1:] == fill).all()
    return out


def draw(n_features, n_words, n_used, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, N_CODES, (N_ROWS, n_features))
    rows = rng.permutation(N_ROWS)[:n_used]
    payload = rng.integers(-(2**54), 2**54, (n_used, n_words))
    return codes, rows, payload


@pytest.mark.parametrize("n_words", [1, 2, 3])
class TestAgainstAddAt:
    @pytest.mark.parametrize("n_features", [1, 3, 4, 5, TILE, TILE + 1, 70, 2 * TILE + 3])
    @pytest.mark.parametrize("n_used", [1, 37, N_ROWS])
    def test_random_rows(self, n_features, n_words, n_used):
        codes, rows, payload = draw(n_features, n_words, n_used)
        expected = oracle.histograms(codes, rows, payload, N_CODES)
        np.testing.assert_array_equal(
            build(codes, rows, payload), expected.reshape(n_features, -1)
        )

    def test_no_rows_clear_the_histograms(self, n_words):
        codes, rows, payload = draw(5, n_words, 0)
        assert not build(codes, rows, payload).any()

    @pytest.mark.parametrize(("first", "stop"), [(0, 0), (0, 1), (3, 67), (3, 70), (69, 70)])
    def test_a_range_of_features_leaves_the_others_alone(self, n_words, first, stop):
        codes, rows, payload = draw(70, n_words, 50)
        expected = oracle.histograms(codes, rows, payload, N_CODES).reshape(70, -1)
        expected[:first], expected[stop:] = -7, -7
        np.testing.assert_array_equal(
            build(codes, rows, payload, first=first, stop=stop), expected
        )

    def test_a_row_of_the_histogram_may_be_longer_than_needed(self, n_words):
        codes, rows, payload = draw(6, n_words, 50)
        out = build(codes, rows, payload, spare=10)
        expected = oracle.histograms(codes, rows, payload, N_CODES).reshape(6, -1)
        np.testing.assert_array_equal(out[:, :-10], expected)
        assert not out[:, -10:].any()

    def test_neither_the_order_of_the_rows_nor_subtraction_changes_a_bit(self, n_words):
        codes, rows, payload = draw(9, n_words, N_ROWS)
        whole, order = build(codes, rows, payload), np.random.default_rng(1).permutation(N_ROWS)
        np.testing.assert_array_equal(build(codes, rows[order], payload[order]), whole)
        part, rest = slice(0, 60), slice(60, None)
        np.testing.assert_array_equal(
            whole - build(codes, rows[part], payload[part]),
            build(codes, rows[rest], payload[rest]),
        )

    def test_the_last_code_of_a_byte(self, n_words):
        codes, payload = np.full((3, 2), 255), np.arange(1, 3 * n_words + 1).reshape(3, n_words)
        out = build(codes, np.arange(3), payload, n_codes=256)
        np.testing.assert_array_equal(out[:, -n_words:], np.tile(payload.sum(axis=0), (2, 1)))
        assert not out[:, :-n_words].any()


class InBlocks:
    """Rows as large as their packing in blocks allows, and their sums one by one."""

    def __init__(self, n_words, n_rows, n_features=3, seed=0, extreme=False):
        rng, shift = np.random.default_rng(seed), BLOCK_BITS + 1
        self.how = Packing(n_words, shift, int(n_words == 1))
        bits = 62 - 2 * shift if n_words == 1 else 40
        g = rng.integers(-(2**bits) + 1, 2**bits, n_rows)
        h = rng.integers(0, 2 ** (63 - 2 * shift), n_rows)
        w = rng.integers(0, 2, n_rows)  # rows of weight one, and those out of the bag
        if extreme:
            g[:], h[:], w[:] = -(2**bits) + 1, 2 ** (63 - 2 * shift) - 1, 1
        h = w if n_words == 1 else h
        self.codes = rng.integers(0, 1 if extreme else N_CODES, (n_rows, n_features))
        self.rows = rng.permutation(n_rows)
        payload = [(g << shift) + w] if n_words == 1 else [g, (h << shift) + w]
        self.payload = np.column_stack(payload)[self.rows]
        self.sums = np.column_stack([g, h] if n_words == 1 else [g, h, w])[self.rows]

    def expected(self):
        """Sums of gradients, hessians and weights, nothing packed."""
        sums = oracle.histograms(self.codes, self.rows, self.sums, N_CODES)
        return sums.reshape(self.codes.shape[1], -1)

    def build(self, some=slice(None), **options):
        return build(self.codes, self.rows[some], self.payload[some], how=self.how, **options)


@pytest.mark.parametrize("n_words", [1, 2])
class TestBlocks:
    @pytest.mark.parametrize("n_features", [1, TILE, TILE + 1, 2 * TILE + 3])
    def test_less_than_a_block(self, n_words, n_features):
        case = InBlocks(n_words, N_ROWS, n_features)
        np.testing.assert_array_equal(case.build(), case.expected())

    def test_no_rows_clear_the_histograms(self, n_words):
        assert not InBlocks(n_words, N_ROWS).build(slice(0)).any()

    @pytest.mark.parametrize(("first", "stop"), [(0, 0), (3, 67), (69, 70)])
    def test_a_range_of_features_leaves_the_others_alone(self, n_words, first, stop):
        case = InBlocks(n_words, N_ROWS, 70)
        expected = case.expected()
        expected[:first], expected[stop:] = -7, -7
        np.testing.assert_array_equal(case.build(first=first, stop=stop), expected)

    @pytest.mark.slow
    @pytest.mark.parametrize("n_rows", [BLOCK_ROWS, BLOCK_ROWS + 1, 3 * BLOCK_ROWS - 5])
    @pytest.mark.parametrize("extreme", [False, True])
    def test_several_blocks(self, n_words, n_rows, extreme):
        case = InBlocks(n_words, n_rows, extreme=extreme)
        np.testing.assert_array_equal(case.build(), case.expected())

    @pytest.mark.slow
    def test_neither_order_nor_subtraction_changes_a_bit(self, n_words):
        case = InBlocks(n_words, 2 * BLOCK_ROWS + 9)
        whole = case.build()
        order = np.random.default_rng(1).permutation(case.rows.size)
        np.testing.assert_array_equal(case.build(order), whole)
        np.testing.assert_array_equal(
            whole - case.build(slice(0, 5000)), case.build(slice(5000, None))
        )
