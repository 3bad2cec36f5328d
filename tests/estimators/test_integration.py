"""The estimators inside scikit-learn's tools, with a task column of strings."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingRegressor, StackingRegressor, VotingRegressor
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.estimators.data import few_rounds, school

GRID = {"n_iter_shared": [0, 8], "n_iter_partition": [0, 8], "n_iter_task": [8]}


@pytest.fixture(scope="module")
def data():
    return school(n_rows=60)


def regressor(**settings):
    """A small regressor that finds the tasks in the column "school"."""
    return RMTGBRegressor(
        **{"task_feature": "school", "random_state": 0} | few_rounds(8) | settings
    )


def score(model, data):
    """R^2 on the training rows."""
    return 1.0 - np.var(data.y - model.predict(data.X)) / np.var(data.y)


class TestEstimatorContract:
    @pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
    def test_parameters(self, kind):
        model = kind(task_feature="school", n_iter_task=7)
        assert clone(model).get_params() == model.get_params()
        model.set_params(n_iter_task=9, learning_rate=0.2)
        assert model.get_params()["n_iter_task"] == 9
        assert model.learning_rate == 0.2
        assert "n_iter_task=9" in repr(model)

    def test_a_clone_is_not_fitted(self, data):
        copy = clone(regressor().fit(data.X, data.y))
        assert not [name for name in vars(copy) if name.endswith("_")]

    @pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
    def test_pickle(self, data, kind):
        y = data.y if kind is RMTGBRegressor else data.y > 0
        model = kind(task_feature="school", **few_rounds(5)).fit(data.X, y)
        loaded = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(loaded.predict(data.X), model.predict(data.X))
        np.testing.assert_array_equal(loaded.outlier_weights_, model.outlier_weights_)
        assert loaded.tasks_.tolist() == model.tasks_.tolist()
        assert loaded.get_params() == model.get_params()

    def test_a_pickle_holds_no_rows(self):
        small, large = (
            len(pickle.dumps(regressor(n_iter_task=0).fit(d.X, d.y)))
            for d in (school(n_rows=40), school(n_rows=4000))
        )
        assert large < 2 * small
        assert small < 50_000

    def test_a_pickle_scores_tasks(self, data):
        model = regressor().fit(data.X, data.y)
        table = _reload(model).task_scores(data.X, data.y, X_train=data.X, y_train=data.y)
        expected = model.task_scores(data.X, data.y, X_train=data.X, y_train=data.y)
        pd.testing.assert_frame_equal(table, expected)

    def test_feature_names(self, data):
        model = regressor().fit(data.X, data.y)
        assert model.feature_names_in_.tolist() == ["x0", "x1", "x2", "school"]
        assert model.n_features_in_ == 4
        model.set_params(task_feature=None).fit(data.features, data.y)
        assert not hasattr(model, "feature_names_in_")
        assert model.n_features_in_ == 3

    @pytest.mark.parametrize("kind", [RMTGBRegressor, RMTGBClassifier])
    def test_tags(self, kind):
        tags = get_tags(kind())
        assert tags.input_tags.allow_nan
        assert tags.input_tags.categorical
        assert not tags.input_tags.sparse
        assert tags.target_tags.required
        assert not tags.target_tags.multi_output
        assert is_regressor(kind()) != is_classifier(kind())

    def test_what_is_fitted_does_not_follow_later_changes_of_parameters(self, data):
        model = regressor(loss="poisson").fit(data.X, np.abs(data.y))
        before = model.predict(data.X)
        model.set_params(loss="squared_error", task_feature=None, categorical_features=[0])
        np.testing.assert_array_equal(model.predict(data.X), before)


class TestTools:
    def test_grid_search_over_stage_lengths(self, data):
        search = GridSearchCV(regressor(), GRID, cv=3, error_score="raise").fit(data.X, data.y)
        assert set(search.best_params_) == set(GRID)
        assert score(search, data) > 0.5
        # stages that matter for these data are kept
        assert search.best_params_["n_iter_shared"] + search.best_params_["n_iter_partition"] > 0

    def test_cross_val_predict(self, data):
        prediction = cross_val_predict(regressor(), data.X, data.y, cv=3)
        assert prediction.shape == data.y.shape
        assert np.corrcoef(prediction, data.y)[0, 1] > 0.8

    @pytest.mark.parametrize("scoring", [None, "r2", ["neg_mean_absolute_error", "r2"]])
    def test_cross_validate(self, data, scoring):
        scores = cross_validate(
            regressor(),
            data.X,
            data.y,
            cv=3,
            scoring=scoring,
            error_score="raise",
            return_estimator=True,
        )
        assert np.all(scores.get("test_score", scores.get("test_r2")) > 0.5)
        assert all(model.n_tasks_ == 5 for model in scores["estimator"])

    def test_cross_validate_a_classifier(self, data):
        model = RMTGBClassifier(task_feature="school", **few_rounds(8))
        y = np.where(data.y > 0, "high", "low")
        scores = cross_validate(
            model,
            data.X,
            y,
            cv=3,
            scoring=["accuracy", "neg_log_loss", "roc_auc"],
            error_score="raise",
        )
        assert np.all(scores["test_roc_auc"] > 0.8)

    def test_permutation_importance(self, data):
        model = regressor().fit(data.X, data.y)
        importance = permutation_importance(model, data.X, data.y, n_repeats=2, random_state=0)
        assert importance.importances_mean.shape == (4,)
        assert importance.importances_mean[3] > 0.01, "the task matters"
        assert importance.importances_mean[0] > importance.importances_mean[3]

    def test_partial_dependence(self, data):
        model = regressor().fit(data.X, data.y)
        result = partial_dependence(model, data.X, ["x1"], grid_resolution=5)
        assert result["average"].shape == (1, 5)
        assert np.all(np.diff(result["average"][0]) > 0)

    def test_partial_dependence_on_the_task(self, data):
        model = regressor().fit(data.X, data.y)
        result = partial_dependence(
            model, data.X, ["school"], categorical_features=["school"], grid_resolution=5
        )
        assert result["grid_values"][0].tolist() == ["a", "b", "c", "d", "e"]
        assert np.ptp(result["average"]) > 0.3

    def test_stacking(self, data):
        model = StackingRegressor(
            [("few", regressor()), ("pooled", regressor(n_iter_task=0))], LinearRegression(), cv=3
        )
        assert score(model.fit(data.X, data.y), data) > 0.7

    def test_voting(self, data):
        model = VotingRegressor([("few", regressor()), ("pooled", regressor(n_iter_task=0))])
        assert score(model.fit(data.X, data.y), data) > 0.7

    def test_bagging_takes_the_task_by_position(self, data):
        # it hands on numpy arrays, here of objects
        model = BaggingRegressor(regressor(task_feature=-1), n_estimators=3, random_state=0)
        assert score(model.fit(data.X, data.y), data) > 0.6

    def test_bagging_names_the_way_out(self, data):
        with pytest.raises(ValueError, match="Give the position of the task column instead"):
            BaggingRegressor(regressor(), n_estimators=2).fit(data.X, data.y)

    def test_transformed_target(self, data):
        model = TransformedTargetRegressor(regressor(), func=np.arcsinh, inverse_func=np.sinh)
        assert score(model.fit(data.X, data.y), data) > 0.7
        assert model.regressor_.n_tasks_ == 5

    def test_learning_curve(self, data):
        _, _, scores = learning_curve(
            regressor(), data.X, data.y, cv=3, train_sizes=[0.3, 1.0], error_score="raise"
        )
        assert scores.shape == (2, 3)
        assert scores[1].mean() > scores[0].mean()

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_threads_change_no_bit(self, data, early_stopping, monkeypatch):
        monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
        model = regressor(early_stopping=early_stopping, subsample=0.8)
        alone, together = (
            clone(model).set_params(n_jobs=n).fit(data.X, data.y).predict(data.X) for n in (1, 2)
        )
        np.testing.assert_array_equal(together, alone)

    @pytest.mark.parametrize("backend", ["threading", "loky"])
    def test_fits_at_the_same_time(self, data, backend):
        from joblib import parallel_config

        with parallel_config(backend, n_jobs=2):
            together = cross_val_predict(regressor(), data.X, data.y, cv=4)
        np.testing.assert_array_equal(
            together, cross_val_predict(regressor(), data.X, data.y, cv=4)
        )


class TestPipelines:
    def scaler(self, **settings):
        """Scales x0 and lets the other columns through."""
        return ColumnTransformer(
            [("scaled", StandardScaler(), ["x0"])], remainder="passthrough", **settings
        )

    def test_the_task_by_name(self, data):
        scaler = self.scaler(verbose_feature_names_out=False).set_output(transform="pandas")
        model = make_pipeline(scaler, regressor()).fit(data.X, data.y)
        assert score(model, data) > 0.7
        assert model[-1].tasks_.tolist() == list("abcde")

    def test_the_task_by_position(self, data):
        model = make_pipeline(self.scaler(), regressor(task_feature=-1)).fit(data.X, data.y)
        assert score(model, data) > 0.7
        assert model[-1].tasks_.tolist() == list("abcde")

    def test_both_give_the_same(self, data):
        by_name = make_pipeline(
            self.scaler(verbose_feature_names_out=False).set_output(transform="pandas"),
            regressor(),
        )
        by_position = make_pipeline(self.scaler(), regressor(task_feature=-1))
        np.testing.assert_array_equal(
            *(model.fit(data.X, data.y).predict(data.X) for model in (by_name, by_position))
        )

    def test_a_name_that_got_a_prefix(self, data):
        scaler = self.scaler().set_output(transform="pandas")
        message = r"remainder__school.*verbose_feature_names_out=False"
        with pytest.raises(ValueError, match=message):
            make_pipeline(scaler, regressor()).fit(data.X, data.y)

    def test_names_that_are_gone(self, data):
        with pytest.raises(ValueError, match=r'task_feature=-1.*set_output\(transform="pandas"\)'):
            make_pipeline(self.scaler(), regressor()).fit(data.X, data.y)

    def test_search_in_a_pipeline(self, data):
        scaler = self.scaler(verbose_feature_names_out=False).set_output(transform="pandas")
        search = GridSearchCV(
            make_pipeline(scaler, regressor()),
            {"rmtgbregressor__n_iter_task": [0, 8]},
            cv=3,
            scoring="neg_mean_absolute_error",
            error_score="raise",
        )
        assert score(search.fit(data.X, data.y), data) > 0.5


class TestMetadataRouting:
    def test_task_needs_no_request(self, data):
        X = data.X.drop(columns="school")
        with config_context(enable_metadata_routing=True):
            search = GridSearchCV(
                regressor(task_feature=None), {"n_iter_task": [0, 8]}, cv=3, error_score="raise"
            ).fit(X, data.y, task=data.task)
            assert search.best_estimator_.tasks_.tolist() == list("abcde")
            assert search.score(X, data.y, task=data.task) > 0.7
            prediction = search.best_estimator_.predict(X, task=data.task)
        column = GridSearchCV(regressor(), {"n_iter_task": [0, 8]}, cv=3).fit(data.X, data.y)
        np.testing.assert_array_equal(prediction, column.predict(data.X))

    def test_a_classifier(self, data):
        X, y = data.X.drop(columns="school"), data.y > 0
        with config_context(enable_metadata_routing=True):
            model = make_pipeline(StandardScaler(), RMTGBClassifier(**few_rounds(5)))
            model.fit(X, y, task=data.task)
            assert model.predict_proba(X, task=data.task).shape == (y.size, 2)
            assert model.decision_function(X, task=data.task).shape == (y.size,)
            assert model.score(X, y, task=data.task) > 0.8

    def test_other_metadata_are_requested_as_usual(self, data):
        X = data.X.drop(columns="school")
        with config_context(enable_metadata_routing=True):
            model = regressor(task_feature=None)
            model.set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
            scores = cross_validate(
                model,
                X,
                data.y,
                cv=3,
                error_score="raise",
                params={"task": data.task, "sample_weight": np.ones(data.y.size)},
            )
        assert np.all(scores["test_score"] > 0.5)


def _reload(model):
    return pickle.loads(pickle.dumps(model))
