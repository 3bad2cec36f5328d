"""Features of all dtypes: categories, missing values, and what is no number."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.estimators.data import NO_ROUNDS, few_rounds, school

CITIES = np.array(["Rome", "Bern", "Oslo", "Lima"], dtype=object)


@pytest.fixture(scope="module")
def data():
    """y depends on a city whose order of names means nothing."""
    rng = np.random.default_rng(0)
    city = rng.integers(4, size=300)
    X = pd.DataFrame({"x0": rng.normal(size=300), "city": CITIES[city]})
    y = np.array([1.0, -1.0, 1.0, -1.0])[city] + 0.1 * X["x0"] + 0.05 * rng.normal(size=300)
    return X, y.to_numpy(), city


def regressor(**settings):
    """A small regressor whose trees make the best split, so they split on categories at once."""
    stumps = {"n_iter_shared": 10, "max_leaf_nodes": 2, "splitter": "best"}
    return RMTGBRegressor(**NO_ROUNDS | stumps | settings)


class TestCategories:
    @pytest.mark.parametrize("kind", ["pandas", "polars", "polars enum"])
    def test_by_dtype(self, data, kind):
        X, y, _ = data
        frame = X.assign(city=X["city"].astype("category"))
        if kind != "pandas":
            dtype = pl.Categorical if kind == "polars" else pl.Enum(sorted(CITIES))
            frame = pl.from_pandas(X).with_columns(pl.col("city").cast(dtype))
        model = regressor().fit(frame, y)
        assert model.score(frame, y) > 0.9, "one split tells the cities apart"
        assert model.feature_importances_[1] > 0.9

    @pytest.mark.parametrize(
        "given", [["city"], [1], [-1], [False, True], np.array([1]), np.array([False, True])]
    )
    def test_by_name_position_or_mask(self, data, given):
        X, y, _ = data
        by_dtype = (
            regressor()
            .fit(X.assign(city=X["city"].astype("category")), y)
            .predict(X.assign(city=X["city"].astype("category")))
        )
        model = regressor(categorical_features=given).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), by_dtype)

    def test_of_an_array(self, data):
        X, y, city = data
        numbers = np.column_stack([X["x0"], 10.0 * city])
        model = regressor(categorical_features=[1]).fit(numbers, y)
        assert model.score(numbers, y) > 0.9
        objects = X.to_numpy(dtype=object)
        model = regressor(categorical_features=[1]).fit(objects, y)
        assert model.score(objects, y) > 0.9

    def test_positions_count_the_task_column(self, data):
        X, y, _ = data
        X = X.assign(task=np.arange(300) % 3)[["task", "x0", "city"]]
        model = regressor(task_feature=0, categorical_features=[2]).fit(X, y)
        assert model.score(X, y) > 0.9
        importances = model.feature_importances_
        assert importances[0] == 0.0
        assert importances[2] > 0.9

    def test_numbers_instead_of_categories_do_worse(self, data):
        _, y, city = data
        numbers = city[:, None]
        one_tree = regressor(n_iter_shared=1, learning_rate=1.0)
        assert one_tree.fit(numbers, y).score(numbers, y) < 0.5
        assert (
            one_tree.set_params(categorical_features=[0]).fit(numbers, y).score(numbers, y) > 0.9
        )

    def test_unknown_and_missing_categories_are_missing_values(self, data):
        X, y, _ = data
        model = regressor(categorical_features=["city"]).fit(X, y)
        unknown, missing = (model.predict(X.assign(city=c)) for c in ("Riga", None))
        np.testing.assert_array_equal(unknown, missing)

    def test_missing_categories_at_fit(self, data):
        X, y, city = data
        X = X.assign(city=np.where(city == 0, None, X["city"]))
        model = regressor(categorical_features=["city"]).fit(X, y)
        assert model.score(X, y) > 0.9

    def test_other_dtype_categories_at_predict(self, data):
        """Categories are known by name, not by their number in a dtype."""
        X, y, _ = data
        frame = X.assign(city=X["city"].astype("category"))
        model = regressor().fit(frame, y)
        few = frame[frame["city"].isin(["Rome", "Oslo"])].copy()
        expected = model.predict(few)
        few["city"] = few["city"].astype(object).astype("category")
        np.testing.assert_array_equal(model.predict(few), expected)

    def test_too_many(self, data):
        X, y, _ = data
        X = X.assign(city=[f"city {i}" for i in range(300)])
        with pytest.raises(
            ValueError, match=r"feature city has 300 categories, at most max_bins=255"
        ):
            regressor(categorical_features=["city"]).fit(X, y)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (["town"], r"names 'town', which is not a column of X: \['x0', 'city'\]"),
            ([2], "has position 2, X has 2 columns"),
            ([True], r"mask of shape \(1,\), X has 2 columns"),
        ],
    )
    def test_no_such_column(self, data, given, message):
        X, y, _ = data
        with pytest.raises(ValueError, match=message):
            regressor(categorical_features=given).fit(X, y)

    def test_names_for_an_array(self, data):
        X, y, _ = data
        with pytest.raises(ValueError, match="X has no column names"):
            regressor(categorical_features=["city"]).fit(X.to_numpy(), y)

    def test_a_weight_is_the_same_as_repetition(self, data):
        X, y, _ = data
        weight = np.arange(300) % 3
        model = regressor(categorical_features=["city"], random_state=0)
        weighted = model.fit(X, y, sample_weight=weight).predict(X)
        rows = np.repeat(np.arange(300), weight)
        repeated = model.fit(X.iloc[rows], y[rows]).predict(X)
        np.testing.assert_allclose(weighted, repeated, rtol=1e-7)


class TestNumbers:
    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "float32", "Int64", "Float64"])
    def test_dtypes(self, data, dtype):
        _, y, city = data
        X = pd.DataFrame({"a": city % 2}).astype(dtype)
        prediction = regressor(max_depth=1).fit(X, y).predict(X)
        assert np.corrcoef(prediction, y)[0, 1] > 0.9

    def test_nullable_integers(self, data):
        _, y, city = data
        X = pd.DataFrame({"a": pd.array(city % 2, dtype="Int64")})
        with_gaps = X.replace(0, pd.NA)
        np.testing.assert_allclose(
            regressor().fit(with_gaps, y).predict(with_gaps), regressor().fit(X, y).predict(X)
        )

    def test_single_precision_keeps_its_values(self):
        data = school()
        X = data.features.astype(np.float32)
        model = RMTGBRegressor(**few_rounds(4), random_state=0)
        np.testing.assert_array_equal(
            model.fit(X, data.y).predict(X),
            model.fit(X.astype(np.float64), data.y).predict(X.astype(np.float64)),
        )

    def test_missing_values_have_a_direction_of_their_own(self, data):
        X, _, city = data
        x = np.where(city == 0, np.nan, X["x0"])[:, None]
        model = regressor().fit(x, np.where(city == 0, 5.0, 0.0))
        np.testing.assert_allclose(model.predict([[np.nan]]), 5.0, atol=0.5)
        np.testing.assert_allclose(model.predict([[0.3]]), 0.0, atol=0.5)

    def test_missing_at_predict_only(self, data):
        X, y, _ = data
        model = regressor().fit(X[["x0"]].to_numpy(), y)
        assert np.isfinite(model.predict([[np.nan]]))

    @pytest.mark.filterwarnings("ignore:X does not have valid feature names")
    def test_text(self, data):
        X, y, _ = data
        message = r"could not convert.*Column 'city' of X holds text: make it categorical"
        with pytest.raises(ValueError, match=message):
            regressor().fit(X, y)
        with pytest.raises(ValueError, match="Column 1 of X holds text"):
            RMTGBClassifier().fit(X.to_numpy(dtype=object), y > 0)

    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    def test_infinity(self, data, value):
        X, y, _ = data
        X = X.drop(columns="city").assign(b=1.0)
        model = regressor().fit(X, y)
        X.loc[7, "b"] = value
        message = r"(?s)Input X contains infinity.*Column 'b' of X holds infinity; finite numbers"
        with pytest.raises(ValueError, match=message):
            regressor().fit(X, y)
        with pytest.raises(ValueError, match=message):
            model.predict(X)
        with pytest.raises(ValueError, match="Column 1 of X holds infinity"):
            regressor().fit(X.to_numpy(), y)
