"""Targets of any size: a power of two changes nothing but the unit, and nothing overflows."""

import functools
import warnings

import numpy as np
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.boosting.helpers import task_data

SCALE_FREE = ("squared_error", "absolute_error", "huber", "quantile")
LIMITS = {"n_iter_shared": 30, "n_iter_partition": 30, "n_iter_task": 60}
DATA = task_data(n_rows=320)


@pytest.fixture(autouse=True)
def every_warning_is_an_error():
    """Those of NumPy, above all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def fitted(y, kind=RMTGBRegressor, **parameters):
    """Fit a default estimator of fewer rounds, with lengths chosen on validation rows."""
    settings = LIMITS | {"early_stopping": True, "n_iter_no_change": 4, "learning_rate": 0.3}
    return kind(task_feature=-1, random_state=0, **settings | parameters).fit(DATA[0], y)


@functools.cache
def at_scale_one(loss):
    """The model of targets as they are."""
    return fitted(DATA[1], loss=loss)


def assert_curves_are_in_units_of_the_loss(model, expected, exponent):
    """Squared for the squared error and Huber's."""
    exponent *= 2 if model.loss in ("squared_error", "huber") else 1
    for name in ("train_score_", "validation_score_"):
        curves = getattr(model, name)
        for stage, curve in getattr(expected, name).items():
            np.testing.assert_array_equal(curves[stage], np.ldexp(curve, exponent))


@pytest.mark.parametrize("exponent", [-900, -60, 60, 900])
@pytest.mark.parametrize("loss", SCALE_FREE)
def test_a_power_of_two_changes_the_unit_and_no_bit(loss, exponent):
    """Squares of such targets are 0 or infinite in float64."""
    expected, model = at_scale_one(loss), fitted(np.ldexp(DATA[1], exponent), loss=loss)
    X = DATA[0]
    np.testing.assert_array_equal(model.predict(X), np.ldexp(expected.predict(X), exponent))
    parts = model.predict_parts(X)
    for name, part in expected.predict_parts(X).items():
        np.testing.assert_array_equal(parts[name], np.ldexp(part, exponent), err_msg=name)
    for name in ("baseline_", "task_descriptors_"):
        scaled = np.ldexp(getattr(expected, name), exponent)
        np.testing.assert_array_equal(getattr(model, name), scaled, err_msg=name)
    for name in ("theta_", "outlier_weights_", "n_iter_task_"):
        np.testing.assert_array_equal(getattr(model, name), getattr(expected, name))
    for name in ("n_iter_shared_", "n_iter_partition_"):
        assert getattr(model, name) == getattr(expected, name)
    np.testing.assert_array_equal(model.feature_importances_, expected.feature_importances_)
    if abs(exponent) < 500:  # beyond, squares are 0 or infinite
        assert_curves_are_in_units_of_the_loss(model, expected, exponent)


@pytest.mark.parametrize("loss", SCALE_FREE)
def test_the_data_make_every_stage_and_stopping_work(loss):
    """Otherwise the tests above would say little."""
    model = at_scale_one(loss)
    lengths = [model.n_iter_shared_, model.n_iter_partition_, *model.n_iter_task_]
    assert sum(lengths[:2]) > 0
    assert 0 < np.sum(lengths[2:]) < 4 * LIMITS["n_iter_task"]


def test_curves_beyond_float64_are_infinite():
    """2^900 squared."""
    assert np.isinf(fitted(np.ldexp(DATA[1], 900)).validation_score_["task"]).all()


ONE = np.arange(len(DATA[1])) == 3
EXTREMES = {
    "one of 1e200": np.where(ONE, 1e200, DATA[1]),
    "one of 1e301": np.where(ONE, 1e301, DATA[1]),
    "1e-160": DATA[1] * 1e-160,
    "denormal": DATA[1] * 1e-315,
    "all but one zero": np.where(ONE, 5e-324, 0.0),
    "both ends": np.where(np.arange(ONE.size) % 2 == 0, 1e301, -1e301),
    "constant": np.full(ONE.size, 1e301),
    "zero": np.zeros(ONE.size),
}


@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("loss", SCALE_FREE)
def test_extremes_give_finite_predictions(loss, name):
    """And none that is larger than the targets, by much."""
    y = EXTREMES[name]
    model = fitted(y, loss=loss)
    parts = np.array(list(model.predict_parts(DATA[0]).values()))
    assert np.isfinite(parts).all()
    assert np.abs(model.predict(DATA[0])).max() <= 2.0 * np.abs(y).max()


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("loss", SCALE_FREE)
def test_targets_beyond_the_limit_are_refused(loss, sign):
    """The message names y, what was found and what is allowed."""
    y = np.where(ONE, sign * np.nextafter(2.0**1000, np.inf), DATA[1])
    with pytest.raises(ValueError, match=r"^y holds values up to 1\.07151e\+301 .* 2\*\*1000"):
        fitted(y, loss=loss)
    assert np.isfinite(fitted(np.where(ONE, sign * 2.0**1000, DATA[1]), loss=loss).baseline_).all()


@pytest.mark.parametrize("loss", SCALE_FREE)
def test_validation_targets_of_another_size(loss):
    """They choose lengths; those that no prediction can come near are refused by name."""
    X, y = DATA
    model = RMTGBRegressor(task_feature=-1, random_state=0, loss=loss, **LIMITS)
    for scale in (1e-200, 1e100):
        model.fit(X[:200], y[:200], X_val=X[200:], y_val=scale * y[200:])
        assert np.isfinite(model.predict(X)).all()
    with pytest.raises(
        ValueError, match=r"^y_val holds values up to .*e\+20\d in size, more than"
    ):
        model.fit(X[:200], y[:200], X_val=X[200:], y_val=1e200 * y[200:])


def test_a_model_is_not_continued_with_targets_of_quite_another_size():
    """Larger ones are refused, for their squares would be infinite; smaller ones are not."""
    X, y = DATA
    model = RMTGBRegressor(task_feature=-1, random_state=0, warm_start=True, **LIMITS)
    model.set_params(early_stopping=False, loss="squared_error").fit(X, y)
    before = model.predict(X)
    model.set_params(n_iter_shared=LIMITS["n_iter_shared"] + 2)
    with pytest.raises(ValueError, match=r"too large to continue a model of targets up to \d+\."):
        model.fit(X, 1e200 * y)
    np.testing.assert_array_equal(model.predict(X), before)
    assert np.isfinite(model.fit(X, 1e-200 * y).predict(X)).all()


COUNTS = np.abs(np.round(3.0 * DATA[1]))


@pytest.mark.parametrize(
    "y", [COUNTS, COUNTS * 1e-300, COUNTS * 1e90, np.where(ONE, 1e100, COUNTS)]
)
def test_counts_of_any_size(y):
    """Up to the limit of a loss that is not scale-free."""
    assert np.isfinite(fitted(y, loss="poisson").predict(DATA[0])).all()


def test_counts_beyond_the_limit_are_refused():
    """No unit helps where the link is a logarithm."""
    with pytest.raises(ValueError, match=r"'poisson' needs y <= 1e\+100; .* found is 1e\+101"):
        fitted(np.where(ONE, 1e101, COUNTS), loss="poisson")


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes(n_classes):
    """No warning either."""
    y = np.digitize(DATA[1], np.quantile(DATA[1], np.arange(1, n_classes) / n_classes))
    model = fitted(y, RMTGBClassifier)
    assert np.isfinite(model.predict_proba(DATA[0])).all()


@pytest.mark.parametrize("largest", [1e10, 1e12])
def test_counts_whose_model_underflows(largest):
    """Every mean is zero after a few rounds, and so is every hessian."""
    X, y = np.arange(5.0)[:, None], np.array([0, 2, 3, largest, 0])
    model = RMTGBRegressor(
        loss="poisson", learning_rate=1.0, l2_regularization=1e-3, subsample=0.5, random_state=0
    )
    task = [1, 3, 1, 2, 0]
    assert np.isfinite(model.fit(X, y, task=task).predict(X, task=task)).all()


@pytest.mark.parametrize("penalty", [0.0, 1e-15, 1e-200])
def test_a_small_penalty_gives_light_rows_no_say(penalty):
    """A sample may leave rows out beside which those of a leaf weigh nothing."""
    rng = np.random.default_rng(0)
    X, task = rng.normal(size=(200, 1)), rng.integers(0, 100, 200)
    y, weight = X[:, 0] + rng.normal(0, 0.1, 200), np.exp(20 * rng.normal(size=200))
    weight /= weight.mean()
    model = RMTGBRegressor(
        n_iter_shared=15,
        n_iter_partition=15,
        n_iter_task=10,
        learning_rate=0.2,
        min_samples_leaf_task=1,
        subsample=0.5,
        early_stopping=False,
        l2_regularization=penalty,
        random_state=0,
    ).fit(X, y, task=task, sample_weight=weight)
    assert np.abs(model.predict(X, task=task)).max() < 5
