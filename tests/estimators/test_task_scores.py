"""`task_scores`: what it compares with, on which rows, and that nothing later changes it."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import (
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    root_mean_squared_error,
)

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.estimators.task_scores import fit_references
from tests.estimators.data import NO_ROUNDS, few_rounds, school

METRICS = {
    "squared_error": ("root mean squared error", root_mean_squared_error),
    "absolute_error": ("mean absolute error", mean_absolute_error),
    "huber": ("root mean squared error", root_mean_squared_error),
    "quantile": ("mean pinball loss", mean_pinball_loss),
    "poisson": ("mean Poisson deviance", mean_poisson_deviance),
}
MODELS = ["rmtgb", "pooled", "single_task"]
STAGES = ["n_iter_shared", "n_iter_partition", "n_iter_task"]


def regressor(**settings):
    """A small regressor that finds the tasks in the column "school"."""
    return RMTGBRegressor(
        **{"task_feature": "school", "random_state": 0} | few_rounds(6) | settings
    )


@pytest.fixture(scope="module")
def data():
    return school(n_outlier_tasks=1)


@pytest.fixture(scope="module")
def new():
    return school(n_outlier_tasks=1, seed=7)


@pytest.fixture(scope="module")
def fitted(data):
    return regressor().fit(data.X, data.y)


def held_out(model, data, new, **more):
    """The table with training rows given."""
    return model.task_scores(new.X, new.y, X_train=data.X, y_train=data.y, **more)


class TestHeldOutRows:
    @pytest.mark.parametrize("loss", METRICS)
    def test_values(self, loss):
        data, new = (school(n_outlier_tasks=1, seed=seed) for seed in (0, 7))
        if loss == "poisson":
            data.y, new.y = np.exp(data.y), np.exp(new.y)
        model = regressor(loss=loss).fit(data.X, data.y)
        name, metric = METRICS[loss]
        table = held_out(model, data, new)
        assert table.attrs == {"metric": name, "evaluation": "held-out rows"}
        assert table.columns.tolist() == ["rows", *MODELS, "outlier_weight"]
        assert table.index.tolist() == list("abcde")
        assert table.index.name == "task"
        assert table["rows"].tolist() == [40] * 5
        np.testing.assert_array_equal(table["outlier_weight"], model.outlier_weights_)
        models = {"rmtgb": model} | {
            column: clone(model)
            .set_params(**dict.fromkeys(STAGES, 0) | {stage: 18}, task_baseline="global")
            .fit(data.X, data.y)
            for column, stage in (("pooled", "n_iter_shared"), ("single_task", "n_iter_task"))
        }
        for column, other in models.items():
            prediction = other.predict(new.X)
            for label in "abcde":
                rows = new.task == label
                np.testing.assert_allclose(
                    table.loc[label, column], metric(new.y[rows], prediction[rows])
                )

    @pytest.mark.parametrize("names", [None, "strings"])
    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_values_of_a_classifier(self, n_classes, names):
        data = school(n_outlier_tasks=1, n_classes=n_classes)
        y = data.y if names is None else np.array(["u", "v", "w"])[data.y]
        model = RMTGBClassifier(task_feature="school", random_state=0, **few_rounds(6))
        model.fit(data.X, y)
        table = model.task_scores(data.X, y, X_train=data.X, y_train=y)
        assert table.attrs["metric"] == "log loss"
        probability = model.predict_proba(data.X)
        for label in "abcde":
            rows = data.task == label
            np.testing.assert_allclose(
                table.loc[label, "rmtgb"],
                log_loss(y[rows], probability[rows], labels=model.classes_),
            )

    @pytest.mark.parametrize("scale", [1.0, 1e300, 5e-324])
    def test_weights(self, fitted, data, new, scale):
        weight = np.arange(200) % 3
        table = held_out(fitted, data, new, sample_weight=weight * scale)
        rows = np.repeat(np.arange(200), weight)
        repeated = fitted.task_scores(
            new.X.iloc[rows], new.y[rows], X_train=data.X, y_train=data.y
        )
        np.testing.assert_allclose(table[MODELS], repeated[MODELS])
        assert table["rows"].sum() == np.count_nonzero(weight)

    def test_weights_of_the_training_rows(self, fitted, data, new):
        weight = np.where(np.arange(200) < 100, 1.0, 0.0)
        table = held_out(fitted, data, new, sample_weight_train=weight)
        expected = fitted.task_scores(new.X, new.y, X_train=data.X[:100], y_train=data.y[:100])
        pd.testing.assert_frame_equal(table, expected)

    def test_tasks_that_occur(self, fitted, data):
        some = np.isin(data.task, ["b", "d"])
        table = fitted.task_scores(data.X[some], data.y[some], X_train=data.X, y_train=data.y)
        assert table.index.tolist() == ["b", "d"]

    def test_rows_of_unknown_tasks_are_left_out_with_one_warning(self, fitted, data, new):
        X = new.X.assign(school=new.X["school"].replace("b", "new"))
        with pytest.warns(UserWarning, match="X holds 40 rows of 1 unseen task") as caught:
            table = fitted.task_scores(X, new.y, X_train=data.X, y_train=data.y)
        assert len(caught) == 1
        assert caught[0].filename == __file__
        known = new.task != "b"
        expected = fitted.task_scores(new.X[known], new.y[known], X_train=data.X, y_train=data.y)
        pd.testing.assert_frame_equal(table, expected)

    def test_labels_apart(self, fitted, data, new):
        model = regressor(task_feature=None).fit(data.features, data.y, task=data.task)
        table = model.task_scores(
            new.features,
            new.y,
            task=new.task,
            X_train=data.features,
            y_train=data.y,
            task_train=data.task,
        )
        pd.testing.assert_frame_equal(table, held_out(fitted, data, new))

    @pytest.mark.parametrize("given", ["X_train", "y_train"])
    def test_one_of_two(self, fitted, data, given):
        rows = {"X_train": data.X, "y_train": data.y}
        with pytest.raises(ValueError, match="X_train and y_train must be given together"):
            fitted.task_scores(data.X, data.y, **{given: rows[given]})

    def test_an_unknown_class(self):
        data = school(n_classes=2)
        model = RMTGBClassifier(task_feature="school", **few_rounds(2)).fit(data.X, data.y)
        with pytest.raises(ValueError, match=r"y holds the class 2, known are \[0, 1\]"):
            model.task_scores(data.X, data.y + 1)


class TestCrossValidation:
    def test_every_row_is_predicted_by_models_that_have_not_seen_it(self):
        """Noise can be learned by heart, but not be predicted."""
        rng = np.random.default_rng(0)
        X = np.column_stack([rng.normal(size=(200, 2)), np.arange(200) % 4])
        y = rng.normal(size=200)
        settings = NO_ROUNDS | dict.fromkeys(STAGES, 60)
        model = RMTGBRegressor(
            task_feature=2, **settings, min_samples_leaf=1, min_samples_leaf_task=1, random_state=0
        ).fit(X, y)
        assert np.sqrt(np.mean((model.predict(X) - y) ** 2)) < 0.5
        table = model.task_scores(X, y)
        assert table.attrs["evaluation"] == "5-fold cross-validation"
        assert table[MODELS].to_numpy().min() > 0.8
        assert table["rows"].tolist() == [50] * 4

    def test_what_helps(self, fitted, data):
        table = fitted.task_scores(data.X, data.y)
        assert table.loc["e", "rmtgb"] < table.loc["e", "pooled"], "the outlier"
        np.testing.assert_array_equal(table["outlier_weight"], fitted.outlier_weights_)

    def test_the_seed_decides(self, fitted, data):
        table = fitted.task_scores(data.X, data.y)
        pd.testing.assert_frame_equal(table, fitted.task_scores(data.X, data.y))
        other = regressor(random_state=1).fit(data.X, data.y).task_scores(data.X, data.y)
        assert (table["rmtgb"] != other["rmtgb"]).all()

    @pytest.mark.parametrize("seed", [np.random.default_rng(3), np.random.RandomState(3)])
    def test_a_generator_is_remembered_as_it_was(self, data, seed):
        model = regressor(random_state=seed, subsample=0.5).fit(data.X, data.y)
        table = model.task_scores(data.X, data.y)
        seed.random(7) if hasattr(seed, "random") else seed.rand(7)
        pd.testing.assert_frame_equal(table, model.task_scores(data.X, data.y))

    def test_every_task_is_in_every_fold(self, fitted, data, monkeypatch):
        seen = []
        fit = RMTGBRegressor.fit

        def note_tasks(self, X, y, **more):
            seen.append(X["school"].value_counts().to_dict())
            return fit(self, X, y, **more)

        monkeypatch.setattr(RMTGBRegressor, "fit", note_tasks)
        fitted.task_scores(data.X, data.y)
        assert len(seen) == 15
        assert all(counts == dict.fromkeys("abcde", 32) for counts in seen)

    def test_few_rows_have_fewer_folds(self, fitted, data):
        assert fitted.task_scores(data.X[:7], data.y[:7]).attrs["evaluation"].startswith("3-fold")
        with pytest.raises(ValueError, match="at least 4 rows of known tasks; X has 3"):
            fitted.task_scores(data.X[:3], data.y[:3])

    def test_a_class_of_one_row(self):
        data = school(n_classes=2)
        y = np.array(["u", "v", "w"])[data.y]
        y[3] = "w"
        model = RMTGBClassifier(task_feature="school", random_state=0, **few_rounds(2))
        table = model.fit(data.X, y).task_scores(data.X, y)
        assert np.isfinite(table.to_numpy(dtype=float)).all()
        # nothing was known of the class where its row was predicted
        assert table.loc[data.task[3], "rmtgb"] > -np.log(1e-15) / 40

    def test_classes_by_name_have_their_weights(self):
        data = school(n_classes=2)
        y = np.where(data.y > 0, "ill", "well")
        settings = {"class_weight": {"ill": 3.0}, "task_feature": "school", "random_state": 0}
        model = RMTGBClassifier(**settings, **few_rounds(2)).fit(data.X, y)
        assert model.task_scores(data.X, y)["rows"].sum() == 200

    def test_large_weights_warn_at_the_fit_only(self, data):
        weight = np.full(200, 20)
        with pytest.warns(UserWarning, match="count as repeated rows"):
            model = regressor().fit(data.X, data.y, sample_weight=weight)
        table = model.task_scores(data.X, data.y, sample_weight=weight)
        assert table["rows"].sum() == 200


CHANGES = [
    {"learning_rate": 0.9},
    {"n_iter_shared": 1},
    {"task_feature": 0},
    {"random_state": 5},
    {"unknown_task": "error"},
    {"loss": "poisson"},
]


class TestNothingLaterChangesIt:
    @pytest.mark.parametrize("change", CHANGES, ids=str)
    def test_parameters(self, fitted, data, new, change):
        changed = regressor().fit(data.X, data.y).set_params(**change)
        pd.testing.assert_frame_equal(held_out(changed, data, new), held_out(fitted, data, new))
        pd.testing.assert_frame_equal(
            changed.task_scores(new.X, new.y), fitted.task_scores(new.X, new.y)
        )

    def test_a_list_that_is_a_parameter(self, data):
        columns = ["x0"]
        X = data.X.assign(x0=np.arange(200) % 3)
        model = regressor(categorical_features=columns).fit(X, data.y)
        table = model.task_scores(X, data.y)
        columns.append("x1")
        pd.testing.assert_frame_equal(model.task_scores(X, data.y), table)

    def test_no_training_rows_are_kept(self, data):
        class Rows(np.ndarray):
            """An array that can be referred to weakly."""

        X, y = (array.copy().view(Rows) for array in (data.features, data.y))
        task, weight = data.task.copy().view(Rows), np.ones(200).view(Rows)
        model = regressor(task_feature=None, early_stopping=True)
        model.fit(X, y, task=task, sample_weight=weight, X_val=X, y_val=y, task_val=task)
        references = [weakref.ref(rows) for rows in (X, y, task, weight)]
        del X, y, task, weight
        gc.collect()
        assert [reference() for reference in references] == [None] * 4
        assert model.task_scores(data.features, data.y, task=data.task)["rows"].sum() == 200

    def test_references_are_fitted_estimators_of_the_same_kind(self, fitted, data):
        references = fit_references(fitted, data.X, data.y)
        assert list(references) == ["pooled", "single_task"]
        assert all(type(model) is RMTGBRegressor for model in references.values())
        assert references["pooled"].n_iter_shared_ == 18
        assert references["single_task"].n_iter_task_.tolist() == [18] * 5
