"""Intercepts against their own minima, and weights against repetition."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from rmtgb.losses import gradients, make_loss, mean_loss
from rmtgb.losses.weighted_quantile import weighted_quantile
from tests.losses.cases import (
    LOSSES,
    N_CLASSES,
    draw,
    every_loss,
    seeds,
    without_deadline,
)
from tests.oracles import losses as oracle


class TestIntercept:
    @every_loss
    @without_deadline
    @given(seed=seeds, n=st.integers(1, 30))
    def test_no_perturbation_lowers_the_mean_loss(self, key, seed, n):
        loss = LOSSES[key]
        y, _, weights = draw(key, seed, n)
        weights = weights.astype(float)
        best = loss.fit_intercept(y, weights)
        assert best.shape == (loss.n_outputs,)
        assert np.isfinite(best).all()
        constant = np.tile(best[:, np.newaxis], n)
        minimum = mean_loss(loss, y, constant, weights)
        for k in range(loss.n_outputs):
            for size in (1e-6, 1e-3, 0.1, 3.0):
                for sign in (-1, 1):
                    moved = constant.copy()
                    moved[k] += sign * size
                    assert mean_loss(loss, y, moved, weights) >= minimum - 1e-12

    @every_loss
    def test_a_general_minimiser_finds_nothing_better(self, key):
        loss = LOSSES[key]
        y, _, weights = draw(key, 6)
        weights = weights.astype(float)

        def mean_at(constant):
            return mean_loss(loss, y, np.tile(constant[:, np.newaxis], y.size), weights)

        best = loss.fit_intercept(y, weights)
        start = np.zeros(loss.n_outputs)
        found = minimize(mean_at, start, method="Nelder-Mead", options={"maxiter": 500})
        assert mean_at(best) <= found.fun + 1e-12

    @every_loss
    @without_deadline
    @given(seed=seeds)
    def test_smooth_losses_have_no_gradient_there(self, key, seed):
        if LOSSES[key].leaf_quantile is not None:
            return
        y, _, weights = draw(key, seed)
        best = LOSSES[key].fit_intercept(y, weights.astype(float))
        if np.abs(best).max() > 30:  # a class or count that is missing: share was clipped
            return
        constant = np.tile(best[:, np.newaxis], y.size)
        g, _ = gradients(LOSSES[key], y, constant, weights.astype(float))
        np.testing.assert_allclose(g.sum(axis=1), 0.0, atol=1e-10)

    def test_huber_keeps_its_digits_far_from_zero(self):
        y = np.array([0.0, 1.0, 2.0, 7.0, 100.0])
        weights = np.ones(5)
        near = LOSSES["huber"].fit_intercept(y, weights)
        far = LOSSES["huber"].fit_intercept(y + 1e9, weights)
        assert far[0] - 1e9 == pytest.approx(near[0], abs=5e-7)

    @pytest.mark.parametrize("delta", [1.0, 1e10, 1e250])
    def test_huber_keeps_its_digits_whatever_delta(self, delta):
        """A constant target has no spread that delta could be a multiple of."""
        huber = replace(LOSSES["huber"], parameter=delta)
        assert huber.fit_intercept(np.full(9, 0.3), np.ones(9))[0] == 0.3
        y = np.array([0.1, 0.2, 0.6])
        weights = np.array([1.0, 2.0, 1.0])
        np.testing.assert_allclose(huber.fit_intercept(y, weights), 0.275, rtol=1e-15)

    def test_huber_takes_the_middle_of_several_minimisers(self):
        y = np.array([-10.0, 10.0])
        assert LOSSES["huber"].fit_intercept(y, np.ones(2))[0] == pytest.approx(0.0, abs=1e-9)

    @pytest.mark.parametrize("key", ["binary", "multiclass"])
    def test_a_class_without_weight_gives_a_finite_intercept(self, key):
        y = np.array([0.0, 1.0])
        best = LOSSES[key].fit_intercept(y, np.array([1.0, 0.0]))
        assert np.isfinite(best).all()
        predicted = LOSSES[key].inverse_link(best[:, np.newaxis])
        expected = [1.0] + [0.0] * (N_CLASSES - 1) if key == "multiclass" else [0.0]
        np.testing.assert_allclose(predicted[:, 0], expected, atol=1e-14)

    def test_counts_that_are_all_zero_give_a_finite_intercept(self):
        poisson = LOSSES["poisson"]
        best = poisson.fit_intercept(np.array([0.0, 0.0, 3.0]), np.array([1.0, 1.0, 0.0]))
        assert best[0] == pytest.approx(np.log(np.finfo(float).eps))

    @every_loss
    def test_without_any_weight_it_is_zero_and_the_mean_loss_undefined(self, key):
        y, raw, _ = draw(key, 7)
        nothing = np.zeros(y.size)
        np.testing.assert_array_equal(LOSSES[key].fit_intercept(y, nothing), 0.0)
        assert np.isnan(mean_loss(LOSSES[key], y, raw, nothing))

    def test_unweighted_median_and_quantile_are_numpys_averaged_ones(self):
        for n in (1, 2, 9, 10):
            y = np.random.default_rng(n).normal(size=n)
            for level in (0.1, 0.3, 0.5, 0.7):
                expected = np.quantile(y, level, method="averaged_inverted_cdf")
                assert weighted_quantile(y, np.ones(n), level) == pytest.approx(expected)


class TestWeights:
    @every_loss
    @without_deadline
    @given(seed=seeds)
    def test_integer_weights_equal_repetition(self, key, seed):
        loss = LOSSES[key]
        y, raw, weights = draw(key, seed)
        many_y, many_raw = oracle.repeated(weights, y, raw)
        ones = np.ones(many_y.size)
        weights = weights.astype(float)
        np.testing.assert_allclose(
            loss.fit_intercept(y, weights), loss.fit_intercept(many_y, ones), atol=1e-11
        )
        np.testing.assert_allclose(
            mean_loss(loss, y, raw, weights), mean_loss(loss, many_y, many_raw, ones), rtol=1e-12
        )
        for once, many in zip(
            gradients(loss, y, raw, weights), gradients(loss, many_y, many_raw, ones), strict=True
        ):
            np.testing.assert_allclose(once.sum(axis=1), many.sum(axis=1), rtol=1e-9, atol=1e-11)

    @without_deadline
    @given(seed=seeds)
    def test_delta_of_huber_too(self, seed):
        y, _, weights = draw("huber", seed)
        (many,) = oracle.repeated(weights, y)
        by_weight = make_loss("huber", huber_delta=1.35, y=y, sample_weight=weights.astype(float))
        by_repetition = make_loss("huber", huber_delta=1.35, y=many)
        assert by_weight.parameter == by_repetition.parameter

    def test_rounding_of_weights_does_not_move_a_quantile(self):
        # The cumulated weights 0.1, 0.2, 0.30000000000000004, ... miss the level 0.3.
        y = np.arange(10.0)
        for level in (0.1, 0.2, 0.3, 0.5, 0.7, 0.9):
            assert weighted_quantile(y, np.full(10, 0.1), level) == pytest.approx(10 * level - 0.5)

    @every_loss
    def test_rows_of_weight_zero_get_exactly_zero_and_do_not_count(self, key):
        loss = LOSSES[key]
        y, raw, weights = draw(key, 8)
        weights = weights.astype(float)
        weights[3] = 0.0
        expected = mean_loss(loss, y, raw, weights)
        raw[:, 3] = np.inf
        g, h = gradients(loss, y, raw, weights)
        assert not g[:, weights == 0].any()
        assert not h[:, weights == 0].any()
        assert mean_loss(loss, y, raw, weights) == expected
