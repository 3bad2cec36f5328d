"""The scale of features for linear leaves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.engine.team import Team
from rmtgb.tree.binning import BinMapper
from rmtgb.tree.records import MISSING_Z, Z_UNIT
from rmtgb.tree.standardizer import TAIL


def standardizer(X, weight=None, n_categories=None):
    n_categories = np.zeros(X.shape[1], int) if n_categories is None else n_categories
    weight = np.ones(X.shape[0]) if weight is None else weight
    return BinMapper.fit(X, weight, n_categories, 255, 0, Team(1)).standardizer


def values_of(X, **fit):
    """Standardised values as floats."""
    Z = standardizer(X, **fit).transform(X)
    assert Z.dtype == np.int16
    return np.where(Z == MISSING_Z, np.nan, Z * Z_UNIT)


def test_mean_zero_and_variance_one():
    X = np.random.default_rng(0).exponential(size=(5000, 2)) * [1.0, 1e8] + [1e6, 0.0]
    Z = values_of(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(Z.std(axis=0), 1.0, atol=1e-4)


def test_tails_count_as_where_they_start():
    X = np.random.default_rng(0).standard_normal((4000, 1))
    wild = X.copy()
    wild[wild > np.quantile(X, 1 - TAIL / 2)] = 1e200
    Z, other = values_of(X), values_of(wild)
    np.testing.assert_array_equal(Z, other)
    assert np.mean(Z.max() == Z) == pytest.approx(TAIL, rel=0.2)


@given(seed=st.integers(0, 1000))
def test_an_integer_weight_is_repetition_and_zero_absence(seed):
    rng = np.random.default_rng(seed)
    X, weight = rng.standard_normal((50, 2)).round(1), rng.integers(1, 4, 50)
    once, often = standardizer(X, weight.astype(float)), standardizer(X.repeat(weight, axis=0))
    for name in ("low", "high", "per_unit", "center", "per_scale"):
        np.testing.assert_allclose(getattr(once, name), getattr(often, name), rtol=1e-12)


def test_missing_values_stay_missing_and_others_ignore_them():
    X = np.random.default_rng(0).standard_normal((100, 1))
    gaps = np.vstack([X, np.full((30, 1), np.nan)])
    np.testing.assert_array_equal(values_of(gaps), np.vstack([values_of(X), gaps[100:]]))


@pytest.mark.parametrize("value", [np.nan, 0.0, 5.0, -1e300])
def test_features_that_say_nothing(value):
    Z = standardizer(np.full((20, 1), value)).transform(np.array([[1.0], [-1e308], [np.nan]]))
    np.testing.assert_array_equal(Z, [[0], [0], [MISSING_Z]])


def test_extreme_values_and_categories_stay_finite():
    X = np.column_stack([np.tile([-1.7e308, 1.7e308], 50), np.arange(100) % 3])
    Z = values_of(X, n_categories=np.array([0, 3]))
    assert np.isfinite(Z).all()
    assert not Z[:, 1].any()


def test_the_largest_value_there_can_be():
    X = np.zeros((1000, 1))
    X[:6] = 1e9  # just enough for the tail not to hold them all
    assert values_of(X).max() == pytest.approx(np.sqrt(994 / 6), rel=1e-3)


def any_scale():
    """Features that differ by their scale only."""
    return np.random.default_rng(0).exponential(size=(500, 1)) - 0.5


@pytest.mark.parametrize("exponent", range(-300, 301, 50))
def test_any_scale_is_the_same_scale(exponent):
    # neither squares nor what divides them overflow or vanish; a warning would be an error here
    X = any_scale()
    Z, expected = values_of(X * 10.0**exponent), values_of(X)
    np.testing.assert_allclose(Z, expected, rtol=0, atol=1.001 * Z_UNIT)  # rounded otherwise


@pytest.mark.parametrize("power", [-1000, -500, -1, 1, 100, 1000])
def test_a_power_of_two_is_exact(power):
    X = any_scale()
    one, other = standardizer(X), standardizer(X * 2.0**power)
    np.testing.assert_array_equal(other.transform(X * 2.0**power), one.transform(X))
    np.testing.assert_array_equal(other.center, one.center)
    np.testing.assert_array_equal(other.per_scale, one.per_scale)
    np.testing.assert_array_equal(other.per_unit, one.per_unit * 2.0**-power)


@pytest.mark.parametrize("value", [5e-324, 1e-310, np.finfo(float).tiny, np.finfo(float).max])
def test_the_smallest_and_the_largest_numbers(value):
    Z = values_of(np.tile([0.0, value], 50)[:, None])
    assert np.isfinite(Z).all()
    # one deviation on either side of the mean; a subnormal number may be none beside nothing
    assert np.ptp(Z) == pytest.approx(2.0, abs=2 * Z_UNIT) or value < np.finfo(float).tiny
