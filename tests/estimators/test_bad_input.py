"""Bad input gets an error that names what is wrong, and changes nothing."""

import copy
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import DataConversionWarning, NotFittedError

import rmtgb.boosting.three_stages
from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.estimators._input import check_row_count
from tests.estimators.data import few_rounds, school

KINDS = [RMTGBRegressor, RMTGBClassifier]


@pytest.fixture(scope="module")
def data():
    return school()


def small(kind, **settings):
    """A small model without tasks."""
    return kind(**few_rounds(4) | settings)


def target(kind, data):
    return data.y if kind is RMTGBRegressor else (data.y > 0).astype(int)


@pytest.mark.parametrize("kind", KINDS)
class TestRows:
    def test_none(self, kind):
        with pytest.raises(ValueError, match=r"0 sample\(s\).* minimum of 1 is required"):
            small(kind).fit(np.empty((0, 3)), [])
        with pytest.raises(ValueError, match=r"0 sample\(s\).* minimum of 1 is required"):
            small(kind, task_feature="t").fit(pd.DataFrame({"x": [], "t": []}, dtype=float), [])

    def test_none_at_predict(self, kind, data):
        model = small(kind).fit(data.features, target(kind, data))
        with pytest.raises(ValueError, match=r"0 sample\(s\)"):
            model.predict(np.empty((0, 3)))

    def test_no_features(self, kind, data):
        X = data.X[["school"]]
        with pytest.raises(ValueError, match=r"0 feature\(s\)"):
            small(kind, task_feature="school").fit(X, target(kind, data))

    def test_one(self, kind, data):
        with pytest.raises(ValueError, match="needs at least 2 rows of positive weight"):
            small(kind).fit(data.features[:1], [1.0])

    def test_one_of_positive_weight(self, kind, data):
        weight = np.zeros(data.y.size)
        weight[3] = 2.0
        with pytest.raises(ValueError, match="needs at least 2 rows of positive weight"):
            small(kind).fit(data.features, target(kind, data), sample_weight=weight)

    def test_another_number_of_targets(self, kind, data):
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples.*200.*199"):
            small(kind).fit(data.features, target(kind, data)[1:])

    def test_no_target(self, kind, data):
        with pytest.raises(ValueError, match="requires y to be passed, but the target y is None"):
            small(kind).fit(data.features, None)

    def test_one_dimension(self, kind, data):
        for settings in ({}, {"task_feature": 0}):
            with pytest.raises(ValueError, match=r"(?s)Expected 2D array, got 1D array.*Reshape"):
                small(kind, **settings).fit(data.features[:, 0], target(kind, data))

    def test_unfitted(self, kind, data):
        model = small(kind)
        names = ["predict", "predict_parts", "staged_predict", "score", "task_scores"]
        if kind is RMTGBClassifier:
            names += ["predict_proba", "decision_function", "staged_predict_proba"]
        for name in names:
            arguments = (data.features, data.y)[: 2 if "score" in name else 1]
            with pytest.raises(NotFittedError, match=f"{kind.__name__} instance is not fitted"):
                list(getattr(model, name)(*arguments))
        with pytest.raises(NotFittedError):
            model.feature_importances_  # noqa: B018


def test_more_rows_than_can_be_numbered():
    check_row_count((2**32 - 1, 3))
    with pytest.raises(ValueError, match=r"X has 4294967296 rows, at most 2\*\*32 - 1"):
        check_row_count((2**32, 3))


class TestTargets:
    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    @pytest.mark.parametrize("kind", KINDS)
    def test_infinity(self, data, kind, value):
        y = data.y.copy()
        y[3] = value
        with pytest.raises(ValueError, match="Input y contains infinity"):
            small(kind).fit(data.features, y)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("missing", [np.nan, None, pd.NA])
    def test_missing(self, data, kind, missing):
        y = pd.Series(target(kind, data), dtype=object)
        y[[3, 5]] = missing
        message = (
            r"Input y contains NaN or another missing value in 2 of 200 rows \(first: row 3\)\. "
            r"Several targets with missing labels are not supported yet: drop the rows"
        )
        with pytest.raises(ValueError, match=message):
            small(kind).fit(data.features, y)

    def test_missing_floats(self, data):
        y = np.where(np.arange(200) == 7, np.nan, data.y)
        with pytest.raises(ValueError, match=r"drop the rows without a label, as in X\[~isnan"):
            small(RMTGBRegressor).fit(data.features, y)

    @pytest.mark.parametrize("kind", KINDS)
    def test_several(self, data, kind):
        y = np.column_stack([target(kind, data)] * 2)
        message = r"y should be a 1d array, got an array of shape \(200, 2\).*Several targets"
        with pytest.raises(ValueError, match=message):
            small(kind).fit(data.features, y)

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_column(self, data, kind):
        y = target(kind, data)
        expected = small(kind, random_state=0).fit(data.features, y).predict(data.features)
        with pytest.warns(DataConversionWarning, match="column-vector y was passed"):
            model = small(kind, random_state=0).fit(data.features, y[:, None])
        np.testing.assert_array_equal(model.predict(data.features), expected)

    def test_text_for_a_regressor(self, data):
        with pytest.raises(ValueError, match="could not convert string to float"):
            small(RMTGBRegressor).fit(data.features, np.array(["a", "b"] * 100))

    def test_numbers_for_a_classifier(self, data):
        with pytest.raises(ValueError, match="Unknown label type: continuous"):
            small(RMTGBClassifier).fit(data.features, data.y)

    @pytest.mark.parametrize("label", [0, "a", True])
    def test_one_class(self, data, label):
        with pytest.raises(ValueError, match=f"at least 2 classes, got 1 class: {label!r}"):
            small(RMTGBClassifier).fit(data.features, np.full(200, label))

    def test_one_class_of_positive_weight(self, data):
        y = target(RMTGBClassifier, data)
        with pytest.raises(ValueError, match="at least 2 classes, got 1 class: 1"):
            small(RMTGBClassifier).fit(data.features, y, sample_weight=y)

    @pytest.mark.parametrize("y", [-np.ones(200), np.zeros(200)])
    def test_poisson(self, data, y):
        with pytest.raises(ValueError, match=r"loss 'poisson' needs y >= 0 with a positive sum"):
            small(RMTGBRegressor, loss="poisson").fit(data.features, y)


@pytest.mark.parametrize("kind", KINDS)
class TestWeights:
    @pytest.mark.parametrize(
        ("weight", "message"),
        [
            (-1.0, "Negative values in data passed to `sample_weight`"),
            (np.nan, "sample_weight contains NaN"),
            (np.inf, "sample_weight contains infinity"),
        ],
    )
    def test_bad_ones(self, data, kind, weight, message):
        weights = np.ones(200)
        weights[3] = weight
        with pytest.raises(ValueError, match=message):
            small(kind).fit(data.features, target(kind, data), sample_weight=weights)

    def test_all_zero(self, data, kind):
        with pytest.raises(ValueError, match=r"(?i)(sample.weights? must contain|zero for every)"):
            small(kind).fit(data.features, target(kind, data), sample_weight=np.zeros(200))

    def test_another_shape(self, data, kind):
        with pytest.raises(ValueError, match="sample_weight"):
            small(kind).fit(data.features, target(kind, data), sample_weight=np.ones(199))
        with pytest.raises(ValueError, match=r"sample_weight must have shape"):
            small(kind).fit(data.features, target(kind, data), sample_weight=np.ones((200, 2)))


class TestValidationRows:
    @pytest.mark.parametrize("given", ["X_val", "y_val", "task_val", "sample_weight_val"])
    def test_one_alone(self, data, given):
        rows = dict.fromkeys(["y_val", "task_val", "sample_weight_val"], data.y)
        rows["X_val"] = data.features
        with pytest.raises(ValueError, match="X_val and y_val must be given together"):
            small(RMTGBRegressor).fit(data.features, data.y, **{given: rows[given]})

    def test_other_columns(self, data):
        with pytest.raises(ValueError, match=r"X has 2 features, but .* expecting 3"):
            small(RMTGBRegressor).fit(
                data.features, data.y, X_val=data.features[:, :2], y_val=data.y
            )

    def test_missing_targets(self, data):
        with pytest.raises(ValueError, match="Input y_val contains NaN"):
            small(RMTGBRegressor).fit(
                data.features, data.y, X_val=data.features, y_val=np.full(200, np.nan)
            )

    def test_unknown_classes(self, data):
        y = target(RMTGBClassifier, data)
        with pytest.raises(ValueError, match=r"y_val holds the class 2, known are \[0, 1\]"):
            small(RMTGBClassifier).fit(data.features, y, X_val=data.features, y_val=y + 1)

    def test_no_weight(self, data):
        with pytest.raises(ValueError, match=r"(?i)(sample.weights? must contain|zero for every)"):
            small(RMTGBRegressor).fit(
                data.features,
                data.y,
                X_val=data.features,
                y_val=data.y,
                sample_weight_val=np.zeros(200),
            )


BAD_PARAMETERS = {
    "task_feature": 1.5,
    "n_iter_shared": -1,
    "n_iter_partition": 2.5,
    "n_iter_task": "many",
    "learning_rate": 0.0,
    "max_leaf_nodes": 1,
    "max_depth": 0,
    "min_samples_leaf": 0,
    "max_leaf_nodes_task": 1,
    "min_samples_leaf_task": 0.1,
    "l2_regularization": -1.0,
    "partition_regularization": -0.1,
    "task_baseline": "mean",
    "max_bins": 256,
    "categorical_features": "all",
    "subsample": 0.0,
    "splitter": "exact",
    "linear_leaves": "yes",
    "task_descriptors": "yes",
    "max_features": 1.1,
    "early_stopping": "yes",
    "validation_fraction": 1.0,
    "validation_split": "first",
    "max_seconds": 0,
    "n_iter_no_change": 0,
    "tol": -1.0,
    "unknown_task": "ignore",
    "warm_start": "no",
    "n_jobs": 0,
    "random_state": "seed",
    "verbose": -1,
}
BAD_OF_ONE_KIND = {
    RMTGBRegressor: {"loss": "log_loss", "quantile": 1.0, "huber_delta": 0.0},
    RMTGBClassifier: {"loss": "squared_error", "class_weight": "equal"},
}


class TestParameters:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_parameter_is_checked(self, kind, data):
        bad = BAD_PARAMETERS | BAD_OF_ONE_KIND[kind]
        assert set(bad) == set(kind().get_params())
        for name, value in bad.items():
            got = re.escape(repr(value))
            message = f"The '{name}' parameter of {kind.__name__} must be .* Got {got}"
            with pytest.raises(ValueError, match=message):
                small(kind, **{name: value}).fit(data.features, target(kind, data))

    def test_allowed_values_are_named(self, data):
        with pytest.raises(ValueError, match=r"a str among {.*'shrunken'.*}"):
            small(RMTGBRegressor, task_baseline="mean").fit(data.features, data.y)
        with pytest.raises(ValueError, match=r"an int in the range \[2, 255\]"):
            small(RMTGBRegressor, max_bins=256).fit(data.features, data.y)

    @pytest.mark.parametrize(
        ("class_weight", "message"),
        [({0: 1.0, 1: -1.0}, "must be positive for every class"), ({0: 2.0}, None)],
    )
    def test_class_weights(self, data, class_weight, message):
        model = small(RMTGBClassifier, class_weight=class_weight)
        y = target(RMTGBClassifier, data)
        if message is None:  # a class that is not named has weight one, as in scikit-learn
            model.fit(data.features, y)
        else:
            with pytest.raises(ValueError, match=message):
                model.fit(data.features, y)


class TestThatWork:
    """Data without information somewhere, which the rest of the data makes up for."""

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_a_task_of_one_row(self, data, early_stopping):
        X = data.X.copy()
        X.loc[3, "school"] = "z"
        model = small(RMTGBRegressor, task_feature="school", early_stopping=early_stopping)
        model.fit(X, data.y)
        assert model.tasks_.tolist() == ["a", "b", "c", "d", "e", "z"]
        assert np.isfinite(model.predict(X)).all()
        assert model.score(X, data.y) > 0.3

    @pytest.mark.parametrize("early_stopping", [False, True])
    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_a_task_of_one_class(self, early_stopping, n_classes):
        data = school(n_classes=n_classes)
        y = np.where(data.task == "b", 1, data.y)
        model = small(RMTGBClassifier, task_feature="school", early_stopping=early_stopping)
        probability = model.fit(data.X, y).predict_proba(data.X)
        assert np.isfinite(probability).all()
        np.testing.assert_allclose(probability.sum(axis=1), 1.0)
        assert probability[data.task == "b", 1].mean() > probability[data.task != "b", 1].mean()

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_every_row_a_task(self, early_stopping):
        data = school(n_rows=20)
        X = data.X.assign(school=np.arange(100))
        model = small(RMTGBRegressor, task_feature="school", early_stopping=early_stopping)
        assert np.isfinite(model.fit(X, data.y).predict(X)).all()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("value", [1.0, np.nan, 1e300, -1e-300])
    def test_constant_features(self, kind, data, value):
        y = target(kind, data)
        for X in (np.full((200, 2), value), np.column_stack([data.features, np.full(200, value)])):
            model = small(kind, random_state=0).fit(X, y)
            assert np.isfinite(model.predict(X)).all()
        alone = small(kind, random_state=0).fit(data.features, y)
        np.testing.assert_array_equal(model.predict(X), alone.predict(data.features))

    @pytest.mark.parametrize(
        "loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"]
    )
    def test_a_constant_target(self, data, loss):
        model = small(RMTGBRegressor, loss=loss, task_feature="school").fit(
            data.X, np.full(200, 3.0)
        )
        np.testing.assert_allclose(model.predict(data.X), 3.0, rtol=1e-6)

    @pytest.mark.parametrize("scale", [1e-15, 1e15])
    def test_targets_of_any_size(self, data, scale):
        model = small(RMTGBRegressor, task_feature="school", random_state=0)
        expected = model.fit(data.X, data.y).predict(data.X)
        prediction = model.fit(data.X, data.y * scale).predict(data.X)
        np.testing.assert_allclose(prediction / scale, expected, rtol=1e-6)

    def test_two_rows(self):
        for kind in KINDS:
            model = small(kind, early_stopping=True).fit([[0.0], [1.0]], [0, 1])
            assert model.predict([[0.0]]).shape == (1,)

    def test_two_rows_of_two_tasks(self):
        X = pd.DataFrame({"x": [0.0, 1.0], "task": ["a", "b"]})
        model = small(RMTGBRegressor, task_feature="task", early_stopping=True).fit(X, [0.0, 1.0])
        assert np.isfinite(model.predict(X)).all()

    def test_no_rounds_at_all(self, data):
        model = RMTGBRegressor(
            n_iter_shared=0, n_iter_partition=0, n_iter_task=0, task_baseline="global"
        ).fit(data.features, data.y)
        np.testing.assert_allclose(model.predict(data.features), data.y.mean())
        assert not model.feature_importances_.any()


class TestInterruptedFits:
    """A fit that does not end leaves the estimator as it was."""

    @pytest.fixture(params=["shared", "partition", "task"])
    def interrupt(self, request, monkeypatch):
        """Make a stage fail after its work is done."""
        name = {"shared": "boost_shared", "partition": "boost_partition", "task": "boost_tasks"}
        original = getattr(rmtgb.boosting.three_stages, name[request.param])

        def interrupted(*args, **kwargs):
            original(*args, **kwargs)
            raise KeyboardInterrupt

        return lambda: monkeypatch.setattr(
            rmtgb.boosting.three_stages, name[request.param], interrupted
        )

    def test_the_former_fit_is_whole(self, data, interrupt):
        model = small(RMTGBRegressor, task_feature="school").fit(data.X, data.y)
        expected, before = model.predict(data.X), dict(vars(model))
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            model.fit(data.X[["x1", "school"]], np.zeros(200), sample_weight=np.arange(200) % 9)
        after = vars(model)
        assert set(after) == set(before)
        assert all(after[name] is before[name] for name in before)
        np.testing.assert_array_equal(model.predict(data.X), expected)

    def test_a_warm_start(self, data, interrupt):
        model = small(RMTGBRegressor, task_feature="school", warm_start=True)
        expected = model.fit(data.X, data.y).predict(data.X)
        interrupt()
        model.set_params(n_iter_shared=6, n_iter_partition=6, n_iter_task=6)
        with pytest.raises(KeyboardInterrupt):
            model.fit(data.X, data.y)
        assert model.n_iter_shared_ == 4
        np.testing.assert_array_equal(model.predict(data.X), expected)

    def test_a_first_fit_leaves_nothing(self, data, interrupt):
        model = small(RMTGBRegressor, task_feature="school")
        before = copy.copy(vars(model))
        interrupt()
        with pytest.raises(KeyboardInterrupt):
            model.fit(data.X, data.y)
        assert vars(model) == before
        with pytest.raises(NotFittedError):
            model.predict(data.X)

    def test_bad_input_after_a_good_fit(self, data):
        model = small(RMTGBRegressor, task_feature="school").fit(data.X, data.y)
        before = dict(vars(model))
        for X, y in ((data.X, data.y[1:]), (data.features, data.y), (data.X, data.y * np.nan)):
            with pytest.raises(ValueError, match=r"."):
                model.fit(X, y)
        assert all(vars(model)[name] is before[name] for name in before)


def test_targets_of_validation_rows_are_checked_too():
    X, y = np.arange(60.0)[:, None], np.arange(60) % 5
    model = RMTGBRegressor(loss="poisson", n_iter_shared=2)
    with pytest.raises(ValueError, match=r"^y_val: loss 'poisson' needs y >= 0"):
        model.fit(X, y, X_val=X, y_val=-1.0 * y)


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 1e10), ("l2_regularization", 1e305), ("partition_regularization", 1e305)],
)
def test_numbers_that_nothing_can_be_computed_with_are_refused(name, value):
    with pytest.raises(ValueError, match=rf"'{name}' parameter"):
        RMTGBRegressor(**{name: value}).fit(np.arange(20.0)[:, None], np.arange(20.0))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_is_refused_by_name():
    with pytest.raises(TypeError, match="numpy matrix is not taken"):
        RMTGBRegressor().fit(np.asmatrix(np.arange(40.0).reshape(20, 2)), np.arange(20.0))


def test_labels_of_two_types_are_refused():
    labels = np.array([1, "1"] * 20, dtype=object)
    for y in (labels, pd.Series(labels)):
        with pytest.raises(TypeError, match="y holds labels of the types int, str, which have no"):
            RMTGBClassifier().fit(np.arange(40.0)[:, None], y)


@pytest.mark.parametrize("largest", [1e308, 1.7e308])
def test_features_near_the_largest_number_give_no_warning(largest):
    X = np.asfortranarray(np.column_stack([np.resize([largest, -largest], 60), np.arange(60.0)]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = small(RMTGBRegressor).fit(pd.DataFrame(X), np.arange(60.0))
    assert np.isfinite(model.predict(pd.DataFrame(X))).all()
