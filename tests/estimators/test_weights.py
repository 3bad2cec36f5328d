"""Sample weights: repetitions, relative ones, extreme ones, and rows that have none."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.estimators._weights import read_weight, weigh_classes
from tests.estimators.data import few_rounds, school


@pytest.fixture(scope="module")
def data():
    return school()


def regressor(**settings):
    return RMTGBRegressor(
        **{"task_feature": "school", "random_state": 0} | few_rounds(4) | settings
    )


def read(weight):
    weight = np.asarray(weight)
    return read_weight(weight, weight.size)


class TestReading:
    def test_integers_are_kept(self):
        for weight in ([1, 2, 0, 7], [1.0, 2.0, 0.0, 7.0], [40, 80, 80, 0]):
            np.testing.assert_array_equal(read(weight), weight)
        np.testing.assert_array_equal(read_weight(None, 3), np.ones(3))
        np.testing.assert_array_equal(read_weight(2, 3), [2.0, 2.0, 2.0])

    @pytest.mark.parametrize("scale", [1e-310, 1e-3, 0.1, 30.1, 1e12 / 7])
    def test_others_have_a_mean_of_one_over_positive_ones(self, scale):
        weight = read(np.array([0.5, 1.25, 0.0, 1.25]) * scale)
        np.testing.assert_allclose(weight, [0.5, 1.25, 0.0, 1.25])

    @pytest.mark.parametrize("value", [5e-324, 1e-300, 0.3, 3e15 + 0.5])
    def test_equal_ones_are_one(self, value):
        np.testing.assert_allclose(read(np.full(300, value)), 1.0, rtol=1e-15)

    def test_one_that_vanishes_beside_another_is_zero(self):
        np.testing.assert_array_equal(read([5e-324, 0.5, 1e300]) > 0, [False, True, True])
        np.testing.assert_array_equal(read([5e-324, 0.5]) > 0, [True, True])

    @pytest.mark.parametrize("value", [2.0**52, 1e17, 1e300, np.finfo(float).max])
    def test_totals_beyond_exact_integers_lose_a_power_of_two(self, value):
        given = value * np.array([1.0, 0.5, 0.75, 1.0])
        weight = read(given)
        assert 2.0**52 < weight.sum() <= 2.0**53
        np.testing.assert_array_equal(weight / weight[0], given / given[0])
        assert np.frexp(weight[0])[0] == np.frexp(given[0])[0], "a power of two"

    def test_the_largest_exact_total_is_kept(self):
        np.testing.assert_array_equal(read([2.0**52, 2.0**52]), [2.0**52, 2.0**52])
        np.testing.assert_array_equal(read([2.0**52, 2.0**52 + 2]), [2.0**51, 2.0**51 + 1])

    def test_negative(self):
        message = r"`w`: 2 weights, the first is -0.5 in row 1; weights >= 0 are allowed"
        with pytest.raises(ValueError, match=message):
            read_weight(np.array([1.0, -0.5, -2.0]), 3, "w")

    def test_masked(self):
        weight = np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[False, True, False])
        with pytest.raises(ValueError, match="sample_weight is masked in 1 rows"):
            read_weight(weight, 3)

    @pytest.mark.parametrize(
        "given",
        [
            ["a", "1"],
            np.array([1.0, {}], dtype=object),
            np.array([1, 2], dtype="m8[h]"),
            np.array([1j, 2]),
        ],
    )
    def test_no_numbers(self, given):
        with pytest.raises(ValueError, match=r"^w must hold numbers >= 0: "):
            read_weight(given, 2, "w")

    def test_infinite(self):
        with pytest.raises(
            ValueError, match=r"^w contains NaN, first in row 1; it needs numbers >= 0"
        ):
            read_weight([1.0, np.nan], 2, "w")
        with pytest.raises(ValueError, match=r"^w contains infinity, first in row 0; "):
            read_weight([np.inf, 1.0], 2, "w")

    def test_zeros(self):
        with pytest.raises(ValueError, match=r"^w is zero for every row"):
            read_weight([0, 0], 2, "w")

    def test_numbers_as_objects(self):
        np.testing.assert_array_equal(read_weight(np.array([1, 2.0], dtype=object), 2), [1, 2])


class TestWarning:
    def caught(self, model, data, weight):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(data.X, data.y, sample_weight=weight)
        return caught

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_integers(self, data, early_stopping):
        caught = self.caught(
            regressor(early_stopping=early_stopping), data, np.repeat([0, 20, 30], [20, 90, 90])
        )
        assert len(caught) == 1
        assert caught[0].filename == __file__
        text = str(caught[0].message)
        assert "mean of 25 and are integers and count as repeated rows" in text
        assert "see 4500 rows in place of 180" in text
        assert "divide them by their mean" in text

    @pytest.mark.parametrize("scale", [1.0, 1e290])
    def test_relative_ones(self, data, scale):
        weight = np.linspace(1000.5, 3000.25, 200)
        (one,) = self.caught(regressor(), data, weight)
        assert "taken as relative and scaled to a mean of one; divide them" in str(one.message)
        scaled = regressor().fit(data.X, data.y, sample_weight=weight / weight.mean())
        with pytest.warns(UserWarning, match="sample_weight"):
            model = regressor().fit(data.X, data.y, sample_weight=weight)
        np.testing.assert_allclose(model.predict(data.X), scaled.predict(data.X), rtol=1e-6)

    @pytest.mark.parametrize("weight", [None, 10, np.full(200, 10), np.full(200, 9.5)])
    def test_none_for_usual_ones(self, data, weight):
        assert not self.caught(regressor(), data, weight)


class TestFits:
    @pytest.mark.parametrize("value", [5e-324, 1e-200, 1e100, 1e300])
    @pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
    def test_extreme_weights(self, data, kind, value):
        y = data.y if kind is RMTGBRegressor else data.y > 0
        model = kind(task_feature="school", random_state=0, **few_rounds(20))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The weights in sample_weight", UserWarning)
            model.fit(data.X, y, sample_weight=np.full(200, value))
            assert model.score(data.X, y) > 0.9
            model.fit(
                data.X,
                y,
                X_val=data.X,
                y_val=y,
                sample_weight_val=np.full(200, value),
            )

    @pytest.mark.parametrize("n_repeats", [1, 2])
    def test_weight_decides_whether_rows_are_set_aside(self, n_repeats):
        """As many rows of weight two, and twice the rows, are one and the same."""
        data = school(n_rows=3)
        model = regressor(early_stopping="auto", n_iter_shared=40)
        weighted = model.fit(data.X, data.y, sample_weight=np.full(15, n_repeats))
        curve, prediction = weighted.validation_score_, weighted.predict(data.X)
        rows = np.tile(np.arange(15), n_repeats)
        repeated = model.fit(data.X.iloc[rows], data.y[rows])
        assert bool(curve) == bool(repeated.validation_score_) == (n_repeats == 2)
        np.testing.assert_allclose(prediction, repeated.predict(data.X), rtol=1e-6)

    def test_relative_weights_count_the_rows(self, data):
        weight = np.random.default_rng(0).uniform(0.5, 7.0, size=200)
        model = regressor(early_stopping="auto").fit(data.X, data.y, sample_weight=weight)
        assert model.validation_score_, "200 rows, whatever the last digits of the sum"


CONTAINERS = {
    "numpy": lambda X, y, task: (X, y, task),
    "lists": lambda X, y, task: (X.tolist(), y.tolist(), task.tolist()),
    "pandas": lambda X, y, task: (pd.DataFrame(X), pd.Series(y), pd.Categorical(task)),
    "polars": lambda X, y, task: (pl.DataFrame(X), pl.Series(y), pl.Series(task)),
    "masked": lambda X, y, task: (
        np.ma.MaskedArray(X, np.zeros(X.shape, bool)),
        np.ma.MaskedArray(y, np.arange(y.size) == 3),
        np.ma.MaskedArray(task, np.arange(y.size) == 3),
    ),
}


class TestRowsWithoutWeight:
    @pytest.mark.parametrize("container", CONTAINERS)
    def test_nothing_of_them_is_looked_at(self, data, container):
        weight = np.ones(200)
        weight[3] = 0.0
        X, y, task = data.features.copy(), data.y.copy(), data.task.copy()
        X[3, 0], y[3], task[3] = np.inf, np.nan, None
        X, y, task = CONTAINERS[container](X, y, task)
        model = regressor(task_feature=None).fit(X, y, task=task, sample_weight=weight)
        used = weight > 0
        expected = regressor(task_feature=None).fit(
            data.features[used], data.y[used], task=data.task[used]
        )
        new = pd.DataFrame(data.features) if container == "pandas" else data.features
        new = pl.DataFrame(data.features) if container == "polars" else new
        np.testing.assert_array_equal(
            model.predict(new, task=data.task), expected.predict(data.features, task=data.task)
        )

    @pytest.mark.parametrize("label", [np.nan, None, "unknown"])
    def test_classes(self, data, label):
        y = (data.y > 0).astype(object if label is not np.nan else float)
        y = np.where(data.y > 0, "ill", "well").astype(object) if label is not np.nan else y
        y[3] = label
        weight = np.where(np.arange(200) == 3, 0.0, 1.0)
        model = RMTGBClassifier(task_feature="school", **few_rounds(2))
        assert model.fit(data.X, y, sample_weight=weight).classes_.size == 2

    def test_in_validation_rows(self, data):
        X_val, y_val = data.X.copy(), data.y.copy()
        X_val.loc[3, "school"], y_val[3] = "unknown", np.nan
        weight = np.where(np.arange(200) == 3, 0.0, 1.0)
        model = regressor(early_stopping=True)
        model.fit(data.X, data.y, X_val=X_val, y_val=y_val, sample_weight_val=weight)
        used = weight > 0
        expected = regressor(early_stopping=True)
        expected.fit(data.X, data.y, X_val=data.X[used], y_val=data.y[used])
        np.testing.assert_array_equal(model.predict(data.X), expected.predict(data.X))

    def test_categories_and_bins(self, data):
        X = data.X.assign(x0=np.where(np.arange(200) == 3, "rare", "usual"))
        weight = np.where(np.arange(200) == 3, 0.0, 1.0)
        model = regressor(categorical_features=["x0"]).fit(X, data.y, sample_weight=weight)
        assert model._input.features.n_categories.tolist() == [1, 0, 0]

    def test_the_weights_have_to_fit_the_rows(self, data):
        with pytest.raises(ValueError, match=r"sample_weight must have shape \(200,\), got"):
            regressor().fit(data.X, data.y, sample_weight=np.zeros(199))


def test_a_weight_of_a_class_makes_no_weight_vanish():
    given = 1e-30 ** np.arange(4.0)
    weight = weigh_classes({0: 1e-300, 1: 1.0}, np.arange(2), np.arange(4) % 2, given)
    assert (weight > 0).all()


@pytest.mark.parametrize("largest", [np.inf, 1e200, np.nan])
def test_class_weights_that_are_no_numbers_to_sum_are_refused(largest):
    X, y = np.arange(60.0)[:, None], np.arange(60) % 2
    with pytest.raises(ValueError, match=r"^class_weight must be .* and at most 1e\+100"):
        RMTGBClassifier(class_weight={0: largest, 1: 1.0}).fit(X, y)
