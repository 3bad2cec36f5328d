"""Tasks as users give them: labels, containers, unseen ones; and that no data are changed."""

import copy
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.special import expit

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.estimators.data import few_rounds, school


def regressor(**settings):
    """A small regressor that finds the tasks in the column "school"."""
    return RMTGBRegressor(
        **{"task_feature": "school", "random_state": 0} | few_rounds(6) | settings
    )


@pytest.fixture(scope="module")
def data():
    return school(n_outlier_tasks=1)


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(data.X, data.y)


def with_school(X, rows, label):
    """X with another label in some rows."""
    labels = X["school"].astype(object)
    labels.iloc[rows] = label
    return X.assign(school=labels)


class TestUnseenTasks:
    def test_one_warning_lists_them(self, fitted, data):
        X = with_school(with_school(data.X, [0, 1], "new"), [5], "other")
        message = (
            r"X holds 3 rows of 2 unseen tasks \('new', 'other'\); they are predicted by what"
        )
        with pytest.warns(UserWarning, match=message) as caught:
            fitted.predict(X)
        assert len(caught) == 1
        assert caught[0].filename == __file__

    def test_the_known_rows_are_predicted_as_ever(self, fitted, data):
        X = with_school(data.X, [0, 7], "new")
        with pytest.warns(UserWarning, match="unseen"):
            prediction = fitted.predict(X)
        known = np.delete(np.arange(data.y.size), [0, 7])
        np.testing.assert_array_equal(prediction[known], fitted.predict(data.X)[known])

    def test_what_they_get(self, fitted, data):
        """The population's baseline, the shared part, and the inliers' mixture of the sides."""
        known = fitted.predict_parts(data.X)
        with pytest.warns(UserWarning, match="200 rows of 1 unseen task"):
            parts = fitted.predict_parts(data.X.assign(school="new"))
        assert not parts["task_specific"].any()
        assert np.ptp(parts["baseline"]) == 0.0
        assert fitted.baseline_.min() < parts["baseline"][0] < fitted.baseline_.max()
        np.testing.assert_array_equal(parts["shared"], known["shared"])
        of_gate = expit(fitted.theta_)
        weights = of_gate[of_gate <= 0.5]
        expected = known["outlier"] / of_gate[fitted_codes(fitted, data)]
        np.testing.assert_allclose(
            parts["outlier"], expected * np.median(weights), rtol=1e-9, atol=1e-12
        )

    def test_error(self, fitted, data):
        strict = copy.copy(fitted).set_params(unknown_task="error")
        strict.predict(data.X)
        with pytest.raises(
            ValueError, match=r"X holds 1 row of 1 unseen task \('new'\), and unknown_task='error'"
        ):
            strict.predict(with_school(data.X, [3], "new"))

    @pytest.mark.parametrize("missing", [None, np.nan, pd.NA])
    def test_a_missing_label_is_unseen(self, fitted, data, missing):
        X = with_school(data.X, [0, 3], missing)
        with pytest.warns(UserWarning, match="X holds 2 rows without a task label"):
            prediction = fitted.predict(X)
        with pytest.warns(UserWarning, match="unseen"):
            other = fitted.predict(with_school(data.X, [0, 3], "new"))
        np.testing.assert_array_equal(prediction, other)

    def test_every_label_missing(self, fitted, data):
        with pytest.warns(UserWarning, match="200 rows without a task label"):
            fitted.predict(data.X.assign(school=None))

    def test_a_missing_label_at_fit(self, data):
        with pytest.raises(ValueError, match="1 of 200 rows have a missing task label"):
            regressor().fit(with_school(data.X, [3], None), data.y)

    def test_every_method_warns_once(self, data):
        y = data.y > 0
        model = RMTGBClassifier(task_feature="school", **few_rounds(3)).fit(data.X, y)
        X = with_school(data.X, [3], "new")
        calls = [
            model.predict,
            model.predict_proba,
            model.decision_function,
            model.predict_parts,
            lambda X: list(model.staged_predict(X)),
            lambda X: model.score(X, y),
            lambda X: model.task_scores(X, y),
            lambda X: model.task_scores(X, y, X_train=data.X, y_train=y),
        ]
        for call in calls:
            with pytest.warns(UserWarning, match="unseen") as caught:
                call(X)
            assert len(caught) == 1

    def test_a_task_of_which_all_rows_have_weight_zero_is_unseen(self, data):
        weight = np.where(data.task == "b", 0.0, 1.0)
        model = regressor().fit(data.X, data.y, sample_weight=weight)
        assert model.tasks_.tolist() == ["a", "c", "d", "e"]
        with pytest.warns(UserWarning, match=r"unseen task \('b'\)"):
            model.predict(data.X)

    def test_validation_rows_of_unseen_tasks(self, data):
        X_val = with_school(data.X, [0], "new")
        with pytest.raises(ValueError, match=r"X_val holds 1 row of 1 unseen task \('new'\)"):
            regressor(early_stopping=True).fit(data.X, data.y, X_val=X_val, y_val=data.y)


def fitted_codes(model, data):
    """Position of each row's task in ``tasks_``."""
    return np.searchsorted(model.tasks_.astype(str), data.task.astype(str))


@pytest.fixture(scope="module", params=[None, 2, 3], ids=["regressor", "binary", "multiclass"])
def case(request):
    """The prediction of a fitted model, and its X."""
    data = school(n_outlier_tasks=1, n_classes=request.param)
    kind = RMTGBRegressor if request.param is None else RMTGBClassifier
    model = kind(task_feature="school", random_state=0, **few_rounds(6)).fit(data.X, data.y)
    return (model.predict if request.param is None else model.predict_proba), data.X


class TestBatches:
    """A row's prediction does not depend on the other rows: not by a single bit."""

    def test_each_row_alone(self, case):
        predict, X = case
        alone = np.concatenate([predict(X.iloc[[i]]) for i in range(len(X))])
        np.testing.assert_array_equal(alone, predict(X))

    def test_each_task_alone(self, case):
        predict, X = case
        whole = predict(X)
        for label in "abcde":
            rows = (X["school"] == label).to_numpy()
            np.testing.assert_array_equal(predict(X[rows]), whole[rows])

    def test_subsets_and_permutations(self, case):
        predict, X = case
        whole, rng = predict(X), np.random.default_rng(0)
        for size in (200, 100, 17):
            rows = rng.permutation(len(X))[:size]
            np.testing.assert_array_equal(predict(X.iloc[rows]), whole[rows])

    def test_more_rows_than_one_block(self, case):
        predict, X = case
        many = pd.concat([X] * 50)
        np.testing.assert_array_equal(predict(many), np.concatenate([predict(X)] * 50))


CONTAINERS = {
    "strings": lambda X: X.assign(school=X["school"].astype("str")),
    "python strings": lambda X: X.assign(school=X["school"].astype(object)),
    "categorical": lambda X: X.assign(school=X["school"].astype("category")),
    "pyarrow strings": lambda X: X.assign(school=X["school"].astype("string[pyarrow]")),
    "polars strings": pl.from_pandas,
    "polars categorical": lambda X: pl.from_pandas(X).with_columns(
        pl.col("school").cast(pl.Categorical)
    ),
    "numpy objects": lambda X: X.to_numpy(dtype=object),
    "numpy strings": lambda X: X.to_numpy().astype(str),
    "lists": lambda X: X.to_numpy(dtype=object).tolist(),
}


class TestContainers:
    @pytest.mark.parametrize("container", CONTAINERS)
    def test_strings(self, fitted, data, container):
        X = CONTAINERS[container](data.X)
        named = hasattr(X, "columns")
        model = regressor(task_feature="school" if named else -1).fit(X, data.y)
        assert model.tasks_.tolist() == ["a", "b", "c", "d", "e"]
        expected = fitted.predict(data.X)
        tolerance = {"rtol": 1e-9} if container == "numpy strings" else {"rtol": 0}
        np.testing.assert_allclose(model.predict(X), expected, **tolerance)

    @pytest.mark.parametrize("container", CONTAINERS)
    def test_another_container_than_at_fit(self, fitted, data, container):
        X = CONTAINERS[container](data.X)
        with warnings.catch_warnings():
            # of an array after a data frame, scikit-learn says so
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            prediction = fitted.predict(X)
        np.testing.assert_allclose(prediction, fitted.predict(data.X), rtol=1e-9)

    @pytest.mark.parametrize(
        "number",
        [
            lambda codes: codes,
            lambda codes: codes.astype(np.uint8),
            lambda codes: codes.astype("Int64"),
            lambda codes: codes + 0.5,
            lambda codes: 10**15 + 7 * codes,
        ],
        ids=["int64", "uint8", "nullable", "float", "large"],
    )
    def test_numbers(self, fitted, data, number):
        codes = pd.Series(fitted_codes(fitted, data))
        labels = number(codes)
        model = regressor().fit(data.X.assign(school=labels), data.y)
        assert model.n_tasks_ == 5
        assert model.tasks_.dtype.kind in "iuf"
        np.testing.assert_array_equal(
            model.predict(data.X.assign(school=labels)), fitted.predict(data.X)
        )

    def test_a_float_array(self, fitted, data):
        X = np.column_stack([data.features, 7.5 * fitted_codes(fitted, data)])
        model = regressor(task_feature=3).fit(X, data.y)
        assert model.tasks_.tolist() == [0.0, 7.5, 15.0, 22.5, 30.0]
        np.testing.assert_array_equal(model.predict(X), fitted.predict(data.X))

    @pytest.mark.parametrize("position", [0, 1, -1, -4])
    def test_the_task_column_anywhere(self, fitted, data, position):
        columns = ["x0", "x1", "x2"]
        columns.insert(position % 4, "school")
        X = data.X[columns]
        for model in (regressor(), regressor(task_feature=position)):
            prediction = model.fit(X, data.y).predict(X)
            np.testing.assert_array_equal(prediction, fitted.predict(data.X))

    def test_tuples_and_dates(self, fitted, data):
        codes = fitted_codes(fitted, data)
        for labels in (
            pd.Series([("site", int(c)) for c in codes]),
            pd.Timestamp("2026-01-01") + pd.to_timedelta(pd.Series(codes), unit="D"),
        ):
            X = data.X.assign(school=labels)
            model = regressor().fit(X, data.y)
            np.testing.assert_array_equal(model.predict(X), fitted.predict(data.X))

    def test_labels_apart(self, fitted, data):
        model = regressor(task_feature=None).fit(data.features, data.y, task=data.task)
        prediction = model.predict(data.features, task=list(data.task))
        np.testing.assert_array_equal(prediction, fitted.predict(data.X))
        assert model.score(data.features, data.y, task=data.task) > 0.5

    def test_names_of_tasks_do_not_matter(self, fitted, data):
        other = {"a": "v", "b": "w", "c": "x", "d": "y", "e": "z"}
        X = data.X.assign(school=data.X["school"].map(other))
        np.testing.assert_array_equal(
            regressor().fit(X, data.y).predict(X), fitted.predict(data.X)
        )


class TestWrongColumns:
    def test_reordered(self, fitted, data):
        with pytest.raises(ValueError, match="same order as they were in fit"):
            fitted.predict(data.X[["x1", "x0", "x2", "school"]])

    def test_reordered_with_the_task_by_position(self, data):
        model = regressor(task_feature=-1).fit(data.X, data.y)
        with pytest.raises(ValueError, match=r"task_feature=-1 was the column 'school' at fit"):
            model.predict(data.X[["school", "x0", "x1", "x2"]])

    def test_another_name(self, fitted, data):
        with pytest.raises(ValueError, match=r"(?s)unseen at fit time:.*z.*missing:.*x1"):
            fitted.predict(data.X.rename(columns={"x1": "z"}))

    def test_fewer_or_more(self, fitted, data):
        for X in (data.X.drop(columns="x2"), data.X.assign(x3=0.0)):
            with pytest.raises(ValueError, match=r"The feature names should match"):
                fitted.predict(X)

    def test_the_same_name_twice(self, fitted, data):
        with pytest.raises(ValueError, match="Expected unique column names"):
            regressor().fit(data.X[["x0", "x1", "x0", "school"]], data.y)

    def test_fewer_or_more_of_an_array(self, data):
        model = regressor(task_feature=None).fit(data.features, data.y)
        for X in (data.features[:, :2], np.tile(data.features, 2)):
            with pytest.raises(
                ValueError, match=f"X has {X.shape[1]} features, but .* expecting 3"
            ):
                model.predict(X)

    def test_no_task_column_at_predict(self, fitted, data):
        with pytest.raises(ValueError, match="task_feature='school' is not among the 3 columns"):
            fitted.predict(data.X.drop(columns="school"))

    def test_no_task_column_at_fit(self, data):
        with pytest.raises(ValueError, match="task_feature='pupil' is not among the 4 columns"):
            regressor(task_feature="pupil").fit(data.X, data.y)

    @pytest.mark.parametrize("task_feature", [4, -5])
    def test_no_such_position(self, data, task_feature):
        with pytest.raises(ValueError, match=rf"task_feature={task_feature} is out of range"):
            regressor(task_feature=task_feature).fit(data.X, data.y)

    def test_a_name_without_names(self, data):
        with pytest.raises(ValueError, match=r"no column names.*task_feature=-1"):
            regressor().fit(data.X.to_numpy(dtype=object), data.y)

    def test_another_dtype_of_the_task_column(self, fitted, data):
        numbers = data.X.assign(school=np.arange(200) % 5)
        with pytest.raises(ValueError, match=r"task column holds numbers .* but held strings"):
            fitted.predict(numbers)
        other = regressor().fit(numbers, data.y)
        with pytest.raises(ValueError, match=r"task column holds strings .* but held numbers"):
            other.predict(data.X)

    def test_integers_as_floats_are_the_same_labels(self, data):
        numbers = data.X.assign(school=np.arange(200) % 5)
        model = regressor().fit(numbers, data.y)
        floats = numbers.assign(school=numbers["school"].astype(float))
        np.testing.assert_array_equal(model.predict(floats), model.predict(numbers))


class TestTwoWaysToGiveLabels:
    def test_both(self, fitted, data):
        with pytest.raises(
            ValueError, match="task_feature='school' already names the task column"
        ):
            regressor().fit(data.X, data.y, task=data.task)
        with pytest.raises(ValueError, match="fitted with a task column in X"):
            fitted.predict(data.X, task=data.task)

    def test_at_fit_only(self, data):
        model = regressor(task_feature=None).fit(data.features, data.y, task=data.task)
        with pytest.raises(ValueError, match="fitted with task=; task= is needed here too"):
            model.predict(data.features)

    def test_at_predict_only(self, data):
        model = regressor(task_feature=None).fit(data.features, data.y)
        with pytest.raises(ValueError, match="fitted without tasks"):
            model.predict(data.features, task=data.task)

    def test_another_number_of_labels(self, data):
        model = regressor(task_feature=None)
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples.*200.*199"):
            model.fit(data.features, data.y, task=data.task[1:])
        model.fit(data.features, data.y, task=data.task)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            model.predict(data.features, task=data.task[1:])

    def test_a_table_of_labels(self, data):
        with pytest.raises(ValueError, match="one-dimensional"):
            regressor(task_feature=None).fit(data.features, data.y, task=data.X)

    def test_no_task_scores_without_tasks(self, data):
        model = regressor(task_feature=None).fit(data.features, data.y)
        with pytest.raises(ValueError, match="needs an estimator that was fitted with tasks"):
            model.task_scores(data.features, data.y)


def frozen(X):
    """A copy of an array that cannot be written to."""
    X = X.copy()
    X.setflags(write=False)
    return X


class TestCallersData:
    def use_everything(self, X, y, **fit_arguments):
        model = regressor(early_stopping=True, categorical_features=[0])
        if not hasattr(X, "columns"):
            model.set_params(task_feature=3)
        model.fit(X, y, X_val=X, y_val=y, **fit_arguments)
        model.predict(X)
        model.predict_parts(X)
        list(model.staged_predict(X))
        model.score(X, y)
        model.task_scores(X, y)
        model.task_scores(X, y, X_train=X, y_train=y)

    @pytest.mark.parametrize("missing", [False, True])
    def test_a_data_frame_is_left_alone(self, data, missing):
        X = data.X.assign(x0=np.arange(200) % 3)
        if missing:
            X.iloc[::7, 1] = np.nan
        y, weight = pd.Series(data.y), np.ones(200)
        before = copy.deepcopy((X, y, weight))
        self.use_everything(X, y, sample_weight=weight)
        pd.testing.assert_frame_equal(X, before[0])
        pd.testing.assert_series_equal(y, before[1])
        np.testing.assert_array_equal(weight, before[2])

    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_read_only_arrays(self, fitted, data, dtype, order):
        codes = fitted_codes(fitted, data)
        X = np.column_stack([codes % 3, data.features[:, :2], codes]).astype(dtype)
        X = frozen(np.asarray(X, order=order))
        self.use_everything(X, frozen(data.y), sample_weight=frozen(np.ones(200)))

    def test_memory_maps(self, tmp_path, fitted, data):
        codes = fitted_codes(fitted, data)
        X = np.column_stack([codes % 3, data.features[:, :2], codes])
        arrays = []
        for name, array in {"X": X, "y": data.y, "weight": np.ones(200)}.items():
            joblib.dump(array, tmp_path / name)
            arrays.append(joblib.load(tmp_path / name, mmap_mode="r"))
        X, y, weight = arrays
        assert not X.flags.writeable
        self.use_everything(X, y, sample_weight=weight)

    def test_neither_are_labels_and_parameters(self, data):
        task, categorical = frozen(data.task), [0]
        model = regressor(task_feature=None, categorical_features=categorical)
        X = np.column_stack([np.arange(200) % 3, data.features])
        model.fit(frozen(X), data.y, task=task)
        model.predict(frozen(X), task=task)
        assert model.categorical_features is categorical
        assert categorical == [0]

    def test_a_view_with_gaps(self, fitted, data):
        codes = fitted_codes(fitted, data)
        wide = np.column_stack([data.features, codes]).repeat(2, axis=1).repeat(2, axis=0)
        X = wide[::2, ::2]
        prediction = regressor(task_feature=3).fit(X, data.y).predict(X)
        np.testing.assert_array_equal(prediction, fitted.predict(data.X))
