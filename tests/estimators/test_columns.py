"""Columns that are something else than they were, or than numbers: matched or refused by name."""

import datetime
import decimal
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.ensemble import BaggingRegressor
from sklearn.feature_selection import RFE

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.datasets import make_task_scenario
from tests.estimators.data import NO_ROUNDS, few_rounds

N = 60
CODE = np.arange(N) % 3
DAYS = pd.Series(pd.date_range("2020-01-01", periods=N))


def regressor(**settings):
    """A small regressor whose first split tells categories apart."""
    stumps = {"n_iter_shared": 5, "min_samples_leaf": 1, "splitter": "best"}
    return RMTGBRegressor(**NO_ROUNDS | stumps | settings)


def frame(**columns):
    return pd.DataFrame({"a": np.linspace(0, 1, N), **columns})


class TestCategoriesOfAnotherType:
    @pytest.mark.parametrize(
        ("fitted", "new"),
        [
            (CODE, CODE.astype(float)),
            (CODE > 0, (CODE > 0).astype(int)),
            ((CODE * 0.1).astype("f4"), CODE * 0.1),
            (CODE * 0.1, (CODE * 0.1).astype("f4")),
            (np.array(list("uvw"))[CODE], np.array(list("uvw"), dtype=object)[CODE]),
            (DAYS.dt.month, DAYS.dt.month.astype("int8")),
            (DAYS.astype("datetime64[ns]"), DAYS.astype("datetime64[s]")),
            (DAYS, DAYS.dt.date),
        ],
    )
    def test_the_same_values_match(self, fitted, new):
        y = pd.factorize(np.asarray(fitted))[0] * 1.0
        model = regressor().fit(frame(c=pd.Categorical(fitted)), y)
        assert np.ptp(model.predict(frame(c=pd.Categorical(fitted)))) > 0.5
        np.testing.assert_array_equal(
            model.predict(frame(c=pd.Categorical(new))),
            model.predict(frame(c=pd.Categorical(fitted))),
        )

    @pytest.mark.parametrize("gap", [None, np.nan])
    def test_floats_beside_a_missing_one_keep_their_precision(self, gap):
        single = pd.Series(pd.Categorical((CODE * 0.1).astype("f4"))).mask(CODE == 2)
        double = pd.Series(pd.Categorical(CODE * 0.1)).mask(CODE == 2)
        model = regressor().fit(frame(c=single), CODE * 1.0)
        np.testing.assert_array_equal(
            model.predict(frame(c=double)), model.predict(frame(c=single))
        )

    @pytest.mark.parametrize(
        ("fitted", "new", "message"),
        [
            (CODE, CODE.astype(str), r"'c' of X holds strings .* held numbers .* at fit"),
            (CODE.astype(str), CODE, r"'c' of X holds numbers .* held strings .* at fit"),
            (DAYS.astype(str), DAYS, r"'c' of X holds datetimes .* held strings"),
            (
                1 + CODE * 1e-9,
                (1 + CODE * 1e-9).astype("f4"),
                "'c' of X holds float32, which cannot tell apart all the labels.*as float64",
            ),
        ],
    )
    def test_others_are_refused(self, fitted, new, message):
        model = regressor(categorical_features=["c"]).fit(frame(c=fitted), CODE)
        with pytest.raises(ValueError, match=message):
            model.predict(frame(c=new))

    def test_all_missing_or_unknown_ones_are_missing_values(self):
        model = regressor(categorical_features=["c"]).fit(frame(c=CODE.astype(str)), CODE)
        np.testing.assert_array_equal(
            model.predict(frame(c=None)), model.predict(frame(c="unknown"))
        )

    def test_what_cannot_be_a_category(self):
        with pytest.raises(TypeError, match="Column 'c' of X must hold labels that are hashable"):
            regressor(categorical_features=["c"]).fit(frame(c=[[1]] * N), CODE)


class TestNumbersInObjects:
    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT])
    @pytest.mark.parametrize("values", [[1.5, 2.0, 0.5], [True, False, True], ["1.5", "2", "0.5"]])
    @pytest.mark.parametrize("container", ["frame", "array", "list"])
    def test_missing_ones(self, values, missing, container):
        column = np.empty(N, dtype=object)
        column[:] = [*values, missing] * (N // 4)
        X = frame(c=pd.Series(column, dtype=object))
        expected = frame(c=[*np.array(values, float), np.nan] * (N // 4))
        if container != "frame":
            X, expected = X.to_numpy(dtype=object), expected.to_numpy()
        X = X.tolist() if container == "list" else X
        y = np.arange(N) % 4
        np.testing.assert_array_equal(
            regressor().fit(X, y).predict(X), regressor().fit(expected, y).predict(expected)
        )

    def test_other_numbers(self):
        X = frame(c=[decimal.Decimal("0.5"), np.float32(2), 3, True] * (N // 4))
        expected = X.assign(c=[0.5, 2, 3, 1] * (N // 4))
        model = regressor().fit(X, np.arange(N) % 4)
        np.testing.assert_array_equal(model.predict(X), model.predict(expected))

    def test_masked_arrays(self):
        mask = np.zeros((N, 2), bool)
        mask[::3, 1] = True
        for values in (np.arange(2 * N).reshape(N, 2), np.arange(2.0 * N).reshape(N, 2)):
            X = np.ma.MaskedArray(values, mask)
            expected = np.where(mask, np.nan, values)
            np.testing.assert_array_equal(
                regressor().fit(X, CODE).predict(X),
                regressor().fit(expected, CODE).predict(expected),
            )

    def test_masked_categories(self):
        X = np.ma.MaskedArray(np.column_stack([CODE, CODE]), np.tile(CODE[:, None] == 1, 2))
        model = regressor(categorical_features=[0]).fit(X, CODE == 1)
        assert model.score(X, CODE == 1) > 0.5
        assert model._input.features.n_categories.tolist() == [2, 0]


OTHERS = {
    "dates": (DAYS, "holds (dates|Timestamp)"),
    "with zone": (DAYS.dt.tz_localize("UTC"), "holds Timestamp"),
    "durations": (DAYS - DAYS[0], "holds (durations|Timedelta)"),
    "periods": (DAYS.dt.to_period("D"), "holds Period"),
    "intervals": (pd.interval_range(0, N), "holds Interval"),
    "date objects": ([datetime.date(2020, 1, 1)] * N, "holds datetime.date"),
    "lists": ([[1, 2]] * N, r"holds \[1, 2\] of type list"),
    "complex": (CODE * 1j, "holds complex numbers"),
    "text": (["Rome"] * N, "holds text"),
    "huge": (pd.Series([10**400] * N, dtype=object), "holds 1000.* of type int"),
    "infinity": (pd.Series([1, np.inf, None] * (N // 3), dtype=object), "holds infinity"),
}


class TestWhatIsNoNumber:
    @pytest.mark.parametrize("kind", OTHERS)
    @pytest.mark.parametrize("alone", [False, True])
    def test_in_a_frame(self, kind, alone):
        column, message = OTHERS[kind]
        X = frame(**{"odd one": column})
        X = X[["odd one"]] if alone else X
        with pytest.raises((TypeError, ValueError), match=rf"Column 'odd one' of X {message}"):
            regressor().fit(X, CODE)

    @pytest.mark.parametrize("kind", sorted(set(OTHERS) - {"complex", "lists"}))
    def test_in_an_array(self, kind):
        column, message = OTHERS[kind]
        X = frame(c=column).to_numpy(dtype=object)
        with pytest.raises((TypeError, ValueError), match=rf"(?s)Column 1 of X {message}"):
            regressor().fit(X, CODE)

    @pytest.mark.parametrize("dtype", ["M8[D]", "m8[h]"])
    def test_an_array_of_dates(self, dtype):
        with pytest.raises(ValueError, match=r"Column 0 of X holds (dates|durations)"):
            regressor().fit(np.arange(2 * N).reshape(N, 2).astype(dtype), CODE)

    @pytest.mark.parametrize("dtype", [pl.Date, pl.Datetime, pl.Duration, pl.List(pl.Int64)])
    def test_in_polars(self, dtype):
        column = pl.Series("odd", [[1]] * N if dtype == pl.List(pl.Int64) else range(N))
        X = pl.DataFrame({"a": CODE}).with_columns(column.cast(dtype))
        with pytest.raises((TypeError, ValueError), match="Column 'odd' of X holds"):
            regressor().fit(X, CODE)

    @pytest.mark.parametrize("y", [DAYS, DAYS - DAYS[0]])
    def test_targets(self, y):
        with pytest.raises(ValueError, match=r"y holds dates or durations \(dtype"):
            regressor().fit(frame(), y)

    @pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
    def test_masked_targets(self, kind):
        y = np.ma.MaskedArray(CODE, np.arange(N) == 7)
        with pytest.raises(ValueError, match=r"missing value in 1 of 60 rows \(first: row 7\)"):
            kind(**few_rounds(2)).fit(frame(), y)
        kind(**few_rounds(2)).fit(frame(), np.ma.MaskedArray(CODE))


class TestNumbersAsNames:
    def make(self):
        rng = np.random.default_rng(0)
        return pd.DataFrame({0: CODE, 1: rng.normal(size=N), 2: CODE * 10})

    def test_names_that_are_positions(self):
        X = self.make()
        assert regressor(task_feature=0).fit(X, CODE).tasks_.tolist() == [0, 1, 2]
        assert regressor(task_feature=-1).fit(X, CODE).tasks_.tolist() == [0, 10, 20]
        model = regressor(categorical_features=[2]).fit(X, CODE)
        assert model._input.features.n_categories.tolist() == [0, 0, 3]

    @pytest.mark.parametrize("parameter", ["task_feature", "categorical_features"])
    def test_a_name_at_another_position_is_ambiguous(self, parameter):
        given = 0 if parameter == "task_feature" else [0]
        message = rf"{parameter}=0 is ambiguous: .* called 0, at position 2.*columns.astype\(str\)"
        with pytest.raises(ValueError, match=message):
            regressor(**{parameter: given}).fit(self.make()[[2, 1, 0]], CODE)
        with pytest.raises(ValueError, match=r"is ambiguous: .* called 2, at position 0"):
            regressor(**{parameter: 2 if given == 0 else [2]}).fit(self.make()[[2, 1]], CODE)

    @pytest.mark.parametrize("task_feature", [None, -1])
    def test_another_order_than_at_fit(self, task_feature):
        X = self.make()
        model = regressor(task_feature=task_feature).fit(X, CODE)
        with pytest.raises(ValueError, match=r"columns \[1, 0, 2\], and had \[0, 1, 2\] at fit"):
            model.predict(X[[1, 0, 2]])
        np.testing.assert_array_equal(model.predict(X.to_numpy()), model.predict(X))

    def test_numbers_in_place_of_the_names_at_fit(self):
        X = self.make()
        model = regressor().fit(X.set_axis(list("abc"), axis=1), CODE)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            model.predict(X)  # scikit-learn's own rule


class TestCategoricalFeatures:
    def test_names_and_positions_together(self):
        X = frame(c=CODE.astype(str), d=CODE)
        for given in (["c", 0], ("c", -3), np.array(["c", 0], dtype=object)):
            model = regressor(categorical_features=given).fit(X, CODE)
            assert model._input.features.n_categories.tolist() == [N, 3, 0]

    @pytest.mark.parametrize("given", [[1.0], [True, 1, 0], [None], [("c",)]])
    def test_what_is_neither(self, given):
        message = r"categorical_features must hold names \(str\) and positions \(int\).*; got"
        with pytest.raises(TypeError, match=message):
            regressor(categorical_features=given).fit(frame(c=CODE, d=CODE), CODE)

    def test_a_list_of_rows_keeps_numbers_and_texts_apart(self):
        rows = [[float(code), f"c{code}", code] for code in CODE]
        model = regressor(categorical_features=[1, 2]).fit(rows, CODE)
        X = pd.DataFrame(rows, columns=["a", "b", "c"])
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X has feature names")
            np.testing.assert_array_equal(model.predict(X), model.predict(rows))


class TestAnotherColumnAsTask:
    """Where a tool drops the task column of an array, a feature stands in its place."""

    @pytest.fixture
    def arrays(self):
        rng = np.random.default_rng(0)
        task, x = rng.integers(0, 4, 240), rng.normal(size=(240, 4))
        return np.column_stack([task, x]), 2 * x[:, 0] + (task == 3) * 3 * x[:, 1]

    def test_selectors_of_features_warn(self, arrays):
        model = regressor(task_feature=0, random_state=0)
        for tool in (
            RFE(model, n_features_to_select=3),
            BaggingRegressor(model, n_estimators=5, max_features=3, random_state=0),
        ):
            with pytest.warns(UserWarning, match=r"task column \(0\) holds .* as a feature does"):
                tool.fit(*arrays)

    def test_one_warning_at_the_line_of_the_fit(self, arrays):
        with pytest.warns(UserWarning, match="240 different fractions in 240 rows") as caught:
            model = regressor(task_feature=1).fit(*arrays)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.predict(arrays[0])

    def test_labels_given_beside_x(self, arrays):
        X, y = arrays
        with pytest.warns(UserWarning, match=r"task column \(task=\)"):
            regressor().fit(X, y, task=X[:, 1])

    @pytest.mark.parametrize(
        "label",
        [
            lambda n: np.arange(n),
            lambda n: np.arange(n) * 1.0,
            lambda n: (np.arange(n) + 0.5).astype(str),
            lambda n: np.arange(n) // 4 + 0.5,
        ],
    )
    def test_labels_are_left_alone(self, arrays, label):
        X, y = arrays
        regressor().fit(X, y, task=label(240))


def test_importances_are_of_the_columns_of_x():
    """Beside X there is no column for descriptors of tasks: their share is left out."""
    X, y = make_task_scenario(
        "clusters",
        cluster_sizes=(4, 5, 6),
        n_features=2,
        length_scale=1.0,
        n_samples_per_task=60,
        random_state=0,
    )
    column, beside = (
        RMTGBRegressor(task_feature=feature, random_state=0).fit(values, y, task=task)
        for feature, values, task in ((-1, X, None), (None, X[:, :2], X[:, 2]))
    )
    assert column.task_descriptors_.size
    np.testing.assert_array_equal(beside.task_descriptors_, column.task_descriptors_)
    importances = column.feature_importances_
    assert importances[2] > 0.1
    np.testing.assert_allclose(
        beside.feature_importances_, importances[:2] / importances[:2].sum()
    )
    shared = column.stage_feature_importances_["shared"][:2]
    np.testing.assert_allclose(beside.stage_feature_importances_["shared"], shared / shared.sum())
