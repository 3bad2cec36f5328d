"""The array kernels: ranges of rows, order of sums, extremes, layouts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.losses import gradients, mean_loss
from rmtgb.losses.pointwise import fill_gradients, sum_losses
from tests.losses.cases import (
    LOSSES,
    draw,
    every_loss,
    values_of,
    without_deadline,
)


class TestKernels:
    @every_loss
    @without_deadline
    @given(cuts=st.lists(st.integers(0, 101), max_size=4))
    def test_dividing_the_rows_changes_no_bit(self, key, cuts):
        loss = LOSSES[key]
        y, raw, weights = draw(key, 9, n=101)
        weights = weights.astype(float)
        g, h = gradients(loss, y, raw, weights)
        # NaN marks what was not written.
        parts_g, parts_h = np.full_like(raw, np.nan), np.full_like(raw, np.nan)
        edges = [0, *sorted(cuts), 101]
        for start, stop in pairwise(edges):
            fill_gradients(
                start, stop, loss.code, loss.parameter, y, weights, raw, parts_g, parts_h
            )
        np.testing.assert_array_equal(parts_g.view(np.uint64), g.view(np.uint64))
        np.testing.assert_array_equal(parts_h.view(np.uint64), h.view(np.uint64))

    @every_loss
    def test_sum_losses_adds_in_row_order(self, key):
        loss = LOSSES[key]
        y, raw, weights = draw(key, 10)
        weights = weights.astype(float)
        expected = 0.0
        for single, weight in zip(values_of(loss, y, raw), weights, strict=True):
            expected += weight * single
        total = sum_losses(0, y.size, loss.code, loss.parameter, y, weights, raw)
        # Compiled code may fuse the product and the sum.
        assert total == pytest.approx(expected, rel=1e-14)
        assert sum_losses(5, 5, loss.code, loss.parameter, y, weights, raw) == 0.0

    @every_loss
    def test_extreme_raw_predictions_stay_finite(self, key):
        loss = LOSSES[key]
        y, raw, _ = draw(key, 11)
        raw = np.where(raw > 0, 800.0, -800.0)
        weights = np.full(y.size, 1e6)
        g, h = gradients(loss, y, raw, weights)
        assert np.isfinite(g).all()
        assert np.isfinite(h).all()
        assert (h >= 0).all()
        # The gain of a split squares sums of gradients.
        assert np.isfinite(g.sum(axis=1) ** 2).all()
        assert np.isfinite(mean_loss(loss, y, raw, weights))
        assert np.isfinite(loss.inverse_link(raw)).all()

    def test_arguments_are_left_as_they_are_and_any_layout_is_taken(self):
        loss = LOSSES["multiclass"]
        y, raw, weights = draw("multiclass", 12)
        weights = weights.astype(float)
        strided = np.asfortranarray(raw)
        for array in (y, strided, weights):
            array.flags.writeable = False
        np.testing.assert_array_equal(
            gradients(loss, y, strided, weights)[0], gradients(loss, y, raw, weights)[0]
        )
        mean_loss(loss, y, strided, weights)
        loss.fit_intercept(y, weights)
        loss.inverse_link(strided)
