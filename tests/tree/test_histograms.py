"""Histograms of packed sums against np.add.at."""

import numpy as np
import pytest

from rmtgb.tree.kernels.histograms import TILE
from tests.oracles import tree as oracle
from tests.tree.cases import build_histograms

N_ROWS, N_CODES = 200, 33


def build(codes, rows, payload, spare=0, first=0, stop=None, fill=-7):
    """Histograms as (n_features, words of a row), the words not meant for us filled before.

    ``payload`` is that of ``rows``; rows that are not summed get nonsense.
    """
    n_features, n_words = codes.shape[1], payload.shape[1]
    of_all_rows = np.full((codes.shape[0], n_words), 2**40)
    of_all_rows[rows] = payload
    out = np.full((n_features, N_CODES * n_words + spare), fill, dtype=np.int64)
    build_histograms(
        codes.astype(np.uint8),
        first,
        n_features if stop is None else stop,
        rows.astype(np.uint32),
        of_all_rows.reshape(-1),
        n_words,
        out,
    )
    return out


def draw(n_features, n_words, n_used, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, N_CODES, (N_ROWS, n_features))
    rows = rng.permutation(N_ROWS)[:n_used]
    payload = rng.integers(-(2**54), 2**54, (n_used, n_words))
    return codes, rows, payload


@pytest.mark.parametrize("n_words", [1, 2])
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
        codes = np.full((3, 2), 255)
        out = np.zeros((2, 256 * n_words), dtype=np.int64)
        payload = np.arange(1, 3 * n_words + 1)
        build_histograms(
            codes.astype(np.uint8), 0, 2, np.arange(3, dtype=np.uint32), payload, n_words, out
        )
        expected = payload.reshape(3, n_words).sum(axis=0)
        np.testing.assert_array_equal(out[:, -n_words:], [expected, expected])
        assert not out[:, :-n_words].any()
