"""Losses against their formulas, their derivatives and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from rmtgb.losses import gradients, make_loss, mean_loss
from rmtgb.losses.pointwise import pointwise_gradient_hessian, pointwise_value
from tests.losses.cases import (
    LOSSES,
    ONE_OUTPUT,
    TRUE_HESSIAN,
    draw,
    every_loss,
    huber_of,
    seeds,
    values_of,
    without_deadline,
)
from tests.oracles import losses as oracle

# functions for kernels alone cannot be called from Python


@njit
def scalar_gradient_hessian(code, parameter, y, raw):
    return pointwise_gradient_hessian(code, parameter, y, raw)


@njit
def scalar_value(code, parameter, y, raw):
    return pointwise_value(code, parameter, y, raw)


class TestFormulas:
    @every_loss
    def test_values_gradients_and_hessians_equal_the_oracle(self, key):
        loss = LOSSES[key]
        y, raw, _ = draw(key, 0)
        g, h = gradients(loss, y, raw, np.ones(y.size))
        arguments = (loss.name, y, raw, loss.parameter)
        np.testing.assert_allclose(
            values_of(loss, y, raw), oracle.value(*arguments), rtol=1e-12, atol=1e-14
        )
        np.testing.assert_allclose(g, oracle.gradient(*arguments), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(h, oracle.hessian(*arguments), rtol=1e-12, atol=1e-14)

    @pytest.mark.parametrize("key", ["absolute_error", "quantile"])
    def test_a_row_that_is_met_exactly_has_no_gradient(self, key):
        g, h = gradients(LOSSES[key], np.array([1.5]), np.array([[1.5]]), np.ones(1))
        assert g[0, 0] == 0.0
        assert h[0, 0] == 1.0

    def test_absolute_error_is_twice_the_pinball_loss_of_the_median(self):
        y, raw, weights = draw("absolute_error", 1)
        median = make_loss("quantile", quantile=0.5)
        absolute = LOSSES["absolute_error"]
        weights = weights.astype(float)
        assert mean_loss(absolute, y, raw, weights) == pytest.approx(
            2 * mean_loss(median, y, raw, weights), rel=1e-14
        )
        np.testing.assert_array_equal(
            gradients(absolute, y, raw, weights)[0], 2 * gradients(median, y, raw, weights)[0]
        )

    @pytest.mark.parametrize("key", ONE_OUTPUT)
    def test_the_scalar_kernels_agree_with_the_array_kernels(self, key):
        loss = LOSSES[key]
        y, raw, _ = draw(key, 2, n=5)
        g, h = gradients(loss, y, raw, np.ones(5))
        for i in range(5):
            pair = scalar_gradient_hessian(loss.code, loss.parameter, y[i], raw[0, i])
            assert pair == (g[0, i], h[0, i])
            single = scalar_value(loss.code, loss.parameter, y[i], raw[0, i])
            assert single == values_of(loss, y[i : i + 1], raw[:, i : i + 1])[0]

    def test_log_losses_keep_their_digits_where_the_prediction_is_certain(self):
        # exp(-40) is lost in 1 + exp(-40), so log(1 + exp(40)) - 40 would give 0.
        binary = LOSSES["binary"]
        y, raw = np.array([1.0, 0.0]), np.array([[40.0, -40.0]])
        np.testing.assert_allclose(values_of(binary, y, raw), np.exp(-40.0), rtol=1e-12)
        g, _ = gradients(binary, y, raw, np.ones(2))
        np.testing.assert_allclose(g, [[-np.exp(-40.0), np.exp(-40.0)]], rtol=1e-12)

    @pytest.mark.parametrize("key", ["binary", "multiclass"])
    def test_hessians_of_log_losses_have_a_floor(self, key):
        loss = LOSSES[key]
        for size in (20.0, 800.0):
            raw = np.full((loss.n_outputs, 2), -size)
            raw[0] = size
            _, h = gradients(loss, np.array([0.0, 1.0]), raw, np.array([1.0, 3.0]))
            expected = np.tile([1e-6, 3e-6], (loss.n_outputs, 1))
            np.testing.assert_allclose(h, expected, rtol=1e-15)


class TestDerivatives:
    @every_loss
    @without_deadline
    @given(seed=seeds)
    def test_gradient_is_the_central_difference_of_the_value(self, key, seed):
        loss, step = LOSSES[key], 1e-5
        y, raw, _ = draw(key, seed, n=6)
        g, _ = gradients(loss, y, raw, np.ones(y.size))
        for k in range(loss.n_outputs):
            above, below = raw.copy(), raw.copy()
            above[k] += step
            below[k] -= step
            slope = (values_of(loss, y, above) - values_of(loss, y, below)) / (2 * step)
            # At the kink of a piecewise linear loss the difference mixes both sides.
            smooth = np.abs(raw[0] - y) > 2 * step
            np.testing.assert_allclose(
                g[k, smooth], slope[smooth], rtol=1e-5, atol=1e-7 * (1 + np.exp(raw.max()))
            )

    @pytest.mark.parametrize("key", TRUE_HESSIAN)
    @without_deadline
    @given(seed=seeds)
    def test_hessian_is_the_central_difference_of_the_gradient(self, key, seed):
        loss, step = LOSSES[key], 1e-5
        y, raw, _ = draw(key, seed, n=6)
        ones = np.ones(y.size)
        _, h = gradients(loss, y, raw, ones)
        for k in range(loss.n_outputs):
            above, below = raw.copy(), raw.copy()
            above[k] += step
            below[k] -= step
            change = gradients(loss, y, above, ones)[0] - gradients(loss, y, below, ones)[0]
            np.testing.assert_allclose(
                h[k], change[k] / (2 * step), rtol=1e-5, atol=1e-8 * (1 + np.exp(raw.max()))
            )

    @without_deadline
    @given(
        y=st.floats(-50, 50),
        at=st.floats(-50, 50),
        elsewhere=st.floats(-50, 50),
        delta=st.floats(1e-3, 100),
    )
    def test_the_parabola_of_huber_lies_above_the_loss(self, y, at, elsewhere, delta):
        loss = huber_of(delta)
        target = np.array([y])
        here, there = values_of(loss, np.array([y, y]), np.array([[at, elsewhere]]))
        g, h = gradients(loss, target, np.array([[at]]), np.ones(1))
        move = elsewhere - at
        assert h[0, 0] > 0
        assert there <= here + g[0, 0] * move + h[0, 0] * move**2 / 2 + 1e-9 * (1 + here)

    @every_loss
    def test_constant_hessian_tells_the_truth(self, key):
        y, raw, weights = draw(key, 3)
        _, h = gradients(LOSSES[key], y, raw, weights.astype(float))
        equals_weight = np.array_equal(h, np.broadcast_to(weights, h.shape))
        assert equals_weight == LOSSES[key].constant_hessian


class TestInverseLink:
    def test_identity_is_a_copy(self):
        raw = np.array([[1.0, 2.0]])
        predicted = LOSSES["squared_error"].inverse_link(raw)
        np.testing.assert_array_equal(predicted, raw)
        assert not np.shares_memory(predicted, raw)

    @pytest.mark.parametrize("key", ["binary", "multiclass"])
    def test_probabilities(self, key):
        _, raw, _ = draw(key, 13)
        predicted = LOSSES[key].inverse_link(raw)
        np.testing.assert_allclose(predicted, oracle.probabilities(raw), rtol=1e-13)
        assert predicted.shape == raw.shape

    def test_counts(self):
        raw = np.array([[-1.0, 0.0, 2.0]])
        np.testing.assert_allclose(LOSSES["poisson"].inverse_link(raw), np.exp(raw))
