"""Bins of a task's own: never more than allowed, and a place for every code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.boosting.kernels import task_rows
from rmtgb.boosting.kernels.task_rows import ABSENT
from rmtgb.engine.jit import kernel
from rmtgb.engine.record import copy, empty, zeros
from rmtgb.tree.records import N_CODES

#: What rows of a bin may weigh together: nothing, hardly anything, much, or what they like.
weights_of_bins = st.lists(
    st.one_of(
        st.just(0.0),
        st.sampled_from([1e-300, 1e-20, 1e-12, 1.0, 1e20]),
        st.floats(1e-20, 1e20),
        st.integers(1, 50).map(float),
    ),
    min_size=1,
    max_size=255,
)
limits = st.integers(1, 254)


@kernel
def merge_bins(bin_weight, limit, is_category, thresholds, table, own_thresholds):
    """Call the kernel of the same name."""
    return task_rows.merge_bins(bin_weight, limit, is_category, thresholds, table, own_thresholds)


class Merged:
    """What becomes of bins of some weights; thresholds lie at 0.5, 1.5, ..."""

    def __init__(self, weights, limit, is_category=0):
        self.weights, n_bins = np.array(weights), len(weights)
        thresholds = np.append(np.arange(n_bins - 1) + 0.5, np.inf)
        table, own = zeros(N_CODES, np.uint8), empty(N_CODES, np.float64)
        self.n_bins = merge_bins(
            copy(self.weights), limit, is_category, copy(thresholds), table, own
        )
        self.table, self.rest = table[:n_bins], table[n_bins:]
        self.thresholds = own[: self.n_bins - 1]
        self.end = own[self.n_bins - 1]


@given(weights=weights_of_bins, limit=limits)
def test_no_more_bins_than_allowed_and_none_without_rows(weights, limit):
    merged = Merged(weights, limit)
    used = merged.weights > 0
    assert 1 <= merged.n_bins <= limit
    if np.count_nonzero(used) <= limit:
        assert merged.n_bins == max(1, np.count_nonzero(used))
    # every code has a bin, in the same order, and none is skipped
    assert merged.table[0] == 0
    assert merged.table[-1] == merged.n_bins - 1
    assert (np.diff(merged.table.astype(int)) >= 0).all()
    if used.any():
        assert np.unique(merged.table[used]).tolist() == list(range(merged.n_bins))
    assert (merged.rest == ABSENT).all()


@given(weights=weights_of_bins, limit=limits)
def test_own_thresholds_divide_codes_as_the_table_does(weights, limit):
    merged = Merged(weights, limit)
    codes = np.searchsorted(merged.thresholds, np.arange(len(weights)))
    np.testing.assert_array_equal(codes, merged.table)
    assert merged.end == np.inf


@given(weights=weights_of_bins)
def test_categories_keep_a_bin_each_and_others_have_none(weights):
    merged = Merged(weights, ABSENT, is_category=1)
    used = merged.weights > 0
    assert merged.n_bins == max(1, np.count_nonzero(used))
    np.testing.assert_array_equal(merged.table[used], np.arange(np.count_nonzero(used)))
    assert (merged.table[~used] == ABSENT).all()


@pytest.mark.parametrize("limit", [2, 7, 32])
def test_bins_of_equal_weight_become_bins_of_about_equal_weight(limit):
    merged = Merged(np.ones(255), limit)
    assert merged.n_bins == limit
    # a bin is full with the code at which its share is reached: off by one code
    assert abs(np.bincount(merged.table) - 255 / limit).max() <= 1


def test_hardly_any_weight_beside_much():
    # shares of what weighs nothing beside the rest are reached at once: a bin each until the last
    weights = [1.0, *[1e-20] * 100, 1.0, *[1e-20] * 100]
    for limit in (2, 10, 50):
        assert Merged(weights, limit).n_bins <= limit
