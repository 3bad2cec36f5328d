"""Making losses, the scale of Huber's delta, and refusing targets."""

import pickle

import numpy as np
import pytest

from rmtgb.losses import Loss, huber, make_loss
from tests.losses.cases import (
    LEVEL,
    LOSSES,
    N_CLASSES,
    ONE_OUTPUT,
    draw,
    every_loss,
)


class TestMakeLoss:
    def test_unknown_names_are_answered_with_the_known_ones(self):
        with pytest.raises(ValueError, match=r"squared_error, absolute_error, huber.*'hubert'"):
            make_loss("hubert")

    @pytest.mark.parametrize("quantile", [None, 0, 1, -0.1, np.nan, "0.5", True])
    def test_quantile_out_of_range(self, quantile):
        with pytest.raises(ValueError, match=r"quantile must be a number in \(0, 1\)"):
            make_loss("quantile", quantile=quantile)

    @pytest.mark.parametrize("huber_delta", [None, 0.0, -1, np.inf, np.nan])
    def test_huber_delta_out_of_range(self, huber_delta):
        with pytest.raises(ValueError, match=r"huber_delta must be a number in \(0, inf\)"):
            make_loss("huber", huber_delta=huber_delta, y=np.arange(3.0))

    def test_huber_needs_targets(self):
        with pytest.raises(ValueError, match="y must be given for loss 'huber'"):
            make_loss("huber", huber_delta=1.35)

    @pytest.mark.parametrize("n_classes", [None, 1, 2.0])
    def test_log_loss_needs_classes(self, n_classes):
        with pytest.raises(ValueError, match="n_classes must be an integer >= 2"):
            make_loss("log_loss", n_classes=n_classes)

    def test_outputs_and_leaf_quantiles(self):
        outputs = {key: loss.n_outputs for key, loss in LOSSES.items()}
        assert outputs == dict.fromkeys(ONE_OUTPUT, 1) | {"multiclass": N_CLASSES}
        quantiles = {key: loss.leaf_quantile for key, loss in LOSSES.items()}
        assert quantiles == dict.fromkeys(LOSSES) | {"absolute_error": 0.5, "quantile": LEVEL}
        assert len({loss.code for loss in LOSSES.values()}) == len(LOSSES)

    @every_loss
    def test_a_loss_is_frozen_and_survives_pickling(self, key):
        with pytest.raises(AttributeError):
            LOSSES[key].name = "other"
        assert pickle.loads(pickle.dumps(LOSSES[key])) == LOSSES[key]
        assert isinstance(LOSSES[key], Loss)


class TestScaleOfHuber:
    def test_delta_of_a_normal_sample_is_a_multiple_of_its_standard_deviation(self):
        y = np.random.default_rng(0).normal(3.0, 5.0, 20_000)
        delta = make_loss("huber", huber_delta=1.35, y=y).parameter
        assert delta == pytest.approx(1.35 * 5.0, rel=0.03)

    @pytest.mark.parametrize("factor", [2.0**-300, 2.0**10, 2.0**300])
    @pytest.mark.parametrize("y", [[1.0, 2.0, 4.0, 9.0], [5.0, 5.0, 5.0, 9.0]])
    def test_it_follows_the_scale_of_the_target(self, factor, y):
        y, weights = np.array(y), np.ones(4)
        assert huber.robust_scale(factor * y, weights) == pytest.approx(
            factor * huber.robust_scale(y, weights), rel=1e-13
        )

    def test_fallbacks(self):
        # More than half of the rows at 5: root mean square deviation from the median.
        spread = huber.robust_scale(np.array([5.0, 5.0, 5.0, 9.0]), np.ones(4))
        assert spread == pytest.approx(2.0)
        constant, weights = np.full(3, 0.1), np.array([0.3, 0.7, 0.9])
        assert huber.robust_scale(constant, weights) == 1.0
        without_weight = make_loss("huber", huber_delta=2, y=constant, sample_weight=np.zeros(3))
        assert without_weight.parameter == 2.0


class TestCheckTarget:
    @every_loss
    def test_good_targets_pass(self, key):
        LOSSES[key].check_target(draw(key, 14)[0])

    @every_loss
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_targets_that_are_not_finite(self, key, bad):
        with pytest.raises(ValueError, match=f"'{LOSSES[key].name}' needs finite.*{bad}"):
            LOSSES[key].check_target(np.array([1.0, bad]))

    @every_loss
    def test_no_targets(self, key):
        with pytest.raises(ValueError, match=f"'{LOSSES[key].name}' needs at least one"):
            LOSSES[key].check_target(np.empty(0))

    @pytest.mark.parametrize(
        ("y", "found"), [([1.0, -2.5], "found is -2.5"), ([0.0, 0.0], "found is 0, the sum 0")]
    )
    def test_poisson(self, y, found):
        with pytest.raises(ValueError, match=f"'poisson' needs y >= 0 .* {found}"):
            LOSSES["poisson"].check_target(np.array(y))

    @pytest.mark.parametrize(
        ("key", "bad", "allowed"),
        [
            ("binary", 2.0, "0 to 1"),
            ("multiclass", 4.0, "0 to 3"),
            ("multiclass", 0.5, "0 to 3"),
        ],
    )
    def test_log_loss(self, key, bad, allowed):
        with pytest.raises(ValueError, match=f"class numbers {allowed} in y; found {bad:g}"):
            LOSSES[key].check_target(np.array([0.0, bad]))
