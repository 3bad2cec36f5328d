"""What a fitted model tells about itself: parts, rounds, curves, importances."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax
from sklearn.base import clone
from sklearn.metrics import (
    accuracy_score,
    log_loss,
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    r2_score,
    root_mean_squared_error,
)

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.estimators.data import NO_ROUNDS, few_rounds, school

LOSSES = ["squared_error", "absolute_error", "huber", "quantile", "poisson"]
CASES = [*LOSSES, "binary", "multiclass"]
PARTS = ["baseline", "shared", "inlier", "outlier", "task_specific"]


def make(case, **settings):
    """Model and data of a loss."""
    settings = {"task_feature": "school", "random_state": 0} | few_rounds(6) | settings
    if case in LOSSES:
        data = school(n_outlier_tasks=1)
        data.y = np.exp(data.y) if case == "poisson" else data.y
        return RMTGBRegressor(loss=case, **settings), data
    data = school(n_outlier_tasks=1, n_classes=2 if case == "binary" else 3)
    return RMTGBClassifier(**settings), data


def fit(case, **settings):
    model, data = make(case, **settings)
    return model.fit(data.X, data.y), data


class TestParts:
    @pytest.mark.parametrize("case", CASES)
    def test_they_add_up_to_the_raw_prediction(self, case):
        model, data = fit(case)
        parts = model.predict_parts(data.X)
        assert list(parts) == PARTS
        total = sum(parts.values())
        if case in LOSSES:
            expected = model.predict(data.X)
            prediction = np.exp(total) if case == "poisson" else total
        else:
            expected = model.decision_function(data.X)
            prediction = total
        np.testing.assert_allclose(prediction, expected, rtol=1e-12, atol=1e-15)
        for name, part in parts.items():
            assert part.shape == expected.shape, name
            assert part.dtype == np.float64
            assert part.flags.c_contiguous

    @pytest.mark.parametrize("case", ["squared_error", "multiclass"])
    def test_the_sides_carry_the_weight_of_the_task(self, case):
        model, data = fit(case)
        for side in ("inlier", "outlier"):
            row = data.X.iloc[[0]]
            weights = expit(model.theta_ if side == "outlier" else -model.theta_)
            values = [
                np.ravel(model.predict_parts(row.assign(school=label))[side])
                for label in model.tasks_
            ]
            unweighted = np.array(values) / weights[:, None]
            np.testing.assert_allclose(unweighted, unweighted[[0]].repeat(5, axis=0), rtol=1e-9)

    def test_the_baseline_is_that_of_the_task(self):
        model, data = fit("squared_error")
        baseline = model.predict_parts(data.X)["baseline"]
        for label, value in zip(model.tasks_, model.baseline_, strict=True):
            assert np.all(baseline[data.task == label] == value)

    def test_probabilities(self):
        model, data = fit("binary")
        raw = model.decision_function(data.X)
        np.testing.assert_allclose(model.predict_proba(data.X)[:, 1], expit(raw), rtol=1e-12)
        np.testing.assert_array_equal(model.predict(data.X), (raw > 0).astype(int))
        model, data = fit("multiclass")
        raw = model.decision_function(data.X)
        np.testing.assert_allclose(model.predict_proba(data.X), softmax(raw, axis=1), rtol=1e-12)
        np.testing.assert_array_equal(model.predict(data.X), raw.argmax(axis=1))


class TestStagedPredictions:
    @pytest.mark.parametrize("case", CASES)
    def test_the_last_is_the_prediction(self, case):
        model, data = fit(case, n_iter_shared=3, n_iter_partition=4, n_iter_task=5)
        staged = list(model.staged_predict(data.X))
        assert len(staged) == 3 + 4 + 5
        if case in LOSSES:
            np.testing.assert_allclose(staged[-1], model.predict(data.X), rtol=1e-12, atol=1e-14)
        else:
            np.testing.assert_array_equal(staged[-1], model.predict(data.X))
            staged = list(model.staged_predict_proba(data.X))
            assert len(staged) == 3 + 4 + 5
            np.testing.assert_allclose(staged[-1], model.predict_proba(data.X), rtol=1e-12)

    def test_each_is_that_of_a_shorter_model(self):
        settings = {"task_baseline": "global", "n_iter_partition": 0, "n_iter_task": 0}
        model, data = fit("squared_error", n_iter_shared=3, **settings)
        for rounds, prediction in enumerate(model.staged_predict(data.X), start=1):
            shorter, _ = fit("squared_error", n_iter_shared=rounds, **settings)
            np.testing.assert_allclose(prediction, shorter.predict(data.X), rtol=1e-9)

    def test_tasks_of_different_lengths(self):
        model, data = fit("squared_error", early_stopping=True, n_iter_task=20)
        expected = model.n_iter_shared_ + model.n_iter_partition_ + model.n_iter_task_.max()
        staged = list(model.staged_predict(data.X))
        assert len(staged) == expected
        np.testing.assert_allclose(staged[-1], model.predict(data.X), rtol=1e-12, atol=1e-14)


class TestStages:
    def test_fixed_lengths(self):
        model, _ = fit("squared_error", n_iter_shared=3, n_iter_partition=4, n_iter_task=5)
        assert (model.n_iter_shared_, model.n_iter_partition_) == (3, 4)
        assert model.n_iter_task_.tolist() == [5] * 5
        assert model.train_score_ == {}
        assert model.validation_score_ == {}

    @pytest.mark.parametrize("n_rows", [3, 4])  # of each of five tasks
    def test_auto_stops_early_from_20_rows_on(self, n_rows):
        data = school(n_rows=n_rows)
        model = RMTGBRegressor(task_feature="school", **few_rounds(4) | {"early_stopping": "auto"})
        model.fit(data.X, data.y)
        assert bool(model.validation_score_) == (n_rows == 4)

    @pytest.mark.parametrize("case", ["squared_error", "absolute_error", "multiclass"])
    def test_chosen_lengths_and_their_curves(self, case):
        model, _ = fit(case, early_stopping=True, n_iter_shared=30, n_iter_partition=30)
        lengths = {"shared": model.n_iter_shared_, "partition": model.n_iter_partition_}
        assert all(length <= 30 for length in lengths.values())
        assert np.all(model.n_iter_task_ <= 6)
        curves = model.validation_score_
        assert set(curves) <= {"shared", "partition", "task"}
        for name, length in lengths.items():
            # on several choices of validation rows together, the best round may be the start
            assert length == 0 or name in curves, "curves of the way that was chosen"
            if length:
                assert len(curves[name]) == len(model.train_score_[name]) > length
                # the best round by more than the tolerance is the last one kept
                assert curves[name].argmin() == length
                assert model.train_score_[name][length] < model.train_score_[name][0]
        assert curves["task"].shape == (7,)
        assert all(np.isfinite(curve).all() for curve in curves.values())

    def test_given_validation_rows_decide(self):
        data = school(n_rows=60, seed=1)
        noise = np.random.default_rng(0).normal(size=data.y.size)
        model = RMTGBRegressor(
            task_feature="school", **few_rounds(10) | {"early_stopping": True}, random_state=0
        )
        model.fit(data.X, data.y, X_val=data.X, y_val=data.y)
        assert model.n_iter_shared_ + model.n_iter_partition_ > 0
        # against rows that X says nothing about, every round makes it worse
        model.fit(data.X, data.y, X_val=data.X, y_val=noise * 5 - data.y)
        assert model.n_iter_shared_ + model.n_iter_partition_ == 0

    def test_validation_labels_apart(self):
        data = school()
        settings = few_rounds(5) | {"early_stopping": True}
        by_column = RMTGBRegressor(task_feature="school", **settings, random_state=0)
        by_column.fit(data.X, data.y, X_val=data.X, y_val=data.y, sample_weight_val=np.ones(200))
        apart = RMTGBRegressor(**settings, random_state=0).fit(
            data.features,
            data.y,
            task=data.task,
            X_val=data.features,
            y_val=data.y,
            task_val=data.task,
        )
        np.testing.assert_array_equal(
            apart.predict(data.features, task=data.task), by_column.predict(data.X)
        )

    def test_validation_rows_do_not_train(self):
        data, other = school(seed=1), school(seed=2)
        model = RMTGBRegressor(task_feature="school", **few_rounds(5), random_state=0)
        model.set_params(early_stopping=True, task_descriptors=False, splitter="best")
        model.fit(data.X, data.y, X_val=other.X, y_val=other.y)
        fixed = clone(model).set_params(
            early_stopping=False,
            n_iter_shared=model.n_iter_shared_,
            n_iter_partition=model.n_iter_partition_,
            n_iter_task=0,
        )
        fixed.fit(data.X, data.y)
        for name in ("baseline", "shared", "inlier", "outlier"):
            np.testing.assert_array_equal(
                model.predict_parts(data.X)[name], fixed.predict_parts(data.X)[name]
            )

    def test_weights_of_validation_rows(self):
        data = school(seed=1)
        y_val = np.where(np.arange(200) < 100, data.y, 100.0)
        model = RMTGBRegressor(task_feature="school", **few_rounds(5), random_state=0)
        model.set_params(early_stopping=True)
        kept = model.fit(data.X, data.y, X_val=data.X[:100], y_val=data.y[:100])
        expected = kept.validation_score_["task"]
        weighted = clone(model).fit(
            data.X,
            data.y,
            X_val=data.X,
            y_val=y_val,
            sample_weight_val=np.where(np.arange(200) < 100, 1.0, 0.0),
        )
        np.testing.assert_allclose(weighted.validation_score_["task"], expected)

    def test_outliers(self):
        data = school(n_tasks=6, n_rows=100, n_outlier_tasks=1)
        model = RMTGBRegressor(task_feature="school", **NO_ROUNDS, random_state=0)
        model.set_params(n_iter_partition=10).fit(data.X, data.y)
        np.testing.assert_allclose(model._model.side_weights, expit(model.theta_))
        assert model.theta_.shape == (6,)
        assert model.outlier_tasks_.tolist() == data.outlier_tasks
        assert model.outlier_weights_[:5].max() < 0.5 < model.outlier_weights_[5]

    def test_attributes_without_tasks(self):
        data = school()
        model = RMTGBRegressor(**few_rounds(3)).fit(data.features, data.y)
        assert model.tasks_.tolist() == [0]
        assert model.n_tasks_ == 1
        assert model.baseline_.shape == model.theta_.shape == (1,)
        assert model.outlier_tasks_.size == 0


class TestImportances:
    @pytest.mark.parametrize("case", CASES)
    def test_shapes_and_sums(self, case):
        model, _ = fit(case)
        assert model.feature_importances_.shape == (4,)
        np.testing.assert_allclose(model.feature_importances_.sum(), 1.0)
        assert model.task_feature_importances_.shape == (5, 4)
        np.testing.assert_allclose(model.task_feature_importances_.sum(axis=1), 1.0)
        by_stage = model.stage_feature_importances_
        assert list(by_stage) == PARTS[1:]
        for importance in (
            model.feature_importances_,
            *model.task_feature_importances_,
            *by_stage.values(),
        ):
            assert importance[3] == 0.0, "no split uses the task column"
            assert np.all(importance >= 0.0)

    def test_the_task_column_stays_where_it_is(self):
        data = school()
        X = data.X[["x0", "school", "x1", "x2"]]
        model = RMTGBRegressor(task_feature="school", **few_rounds(3), random_state=0)
        importances = model.fit(X, data.y).feature_importances_
        expected = clone(model).fit(data.X, data.y).feature_importances_
        np.testing.assert_allclose(importances, expected[[0, 3, 1, 2]])

    def test_what_matters(self):
        model, _ = fit("squared_error")
        assert model.feature_importances_[:2].sum() > 0.85

    def test_what_matters_to_a_task(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(200, 2))
        task = np.arange(200) % 2
        model = RMTGBRegressor(task_feature=-1, **NO_ROUNDS | {"n_iter_task": 5})
        model.fit(np.column_stack([x, task]), np.where(task == 0, x[:, 0], x[:, 1]))
        assert np.diag(model.task_feature_importances_).min() > 0.8
        np.testing.assert_array_equal(model.stage_feature_importances_["shared"], np.zeros(3))
        np.testing.assert_allclose(
            model.stage_feature_importances_["task_specific"], model.feature_importances_
        )

    def test_a_single_stage(self):
        model, _ = fit("squared_error", n_iter_partition=0, n_iter_task=0)
        np.testing.assert_allclose(
            model.stage_feature_importances_["shared"], model.feature_importances_
        )
        np.testing.assert_allclose(
            model.task_feature_importances_, np.tile(model.feature_importances_, (5, 1))
        )

    def test_names_of_meta_estimators(self):
        from sklearn.feature_selection import SelectFromModel

        data = school()
        model = RMTGBRegressor(**few_rounds(3))
        selector = SelectFromModel(model, threshold=0.2).fit(data.X[["x0", "x1", "x2"]], data.y)
        assert selector.get_feature_names_out().tolist() == ["x0", "x1"]


METRICS = {
    "squared_error": ("root mean squared error", root_mean_squared_error),
    "absolute_error": ("mean absolute error", mean_absolute_error),
    "huber": ("root mean squared error", root_mean_squared_error),
    "quantile": ("mean pinball loss", mean_pinball_loss),
    "poisson": ("mean Poisson deviance", mean_poisson_deviance),
}


class TestLearning:
    """Every loss beats its own baseline on data that can be learned."""

    @pytest.mark.parametrize("case", LOSSES)
    @pytest.mark.parametrize("stage", ["n_iter_shared", "n_iter_partition", "n_iter_task"])
    @pytest.mark.parametrize(("splitter", "n_rounds"), [("best", 20), ("random", 40)])
    def test_regression(self, case, stage, splitter, n_rounds):
        _, metric = METRICS[case]
        model, data = fit(case, **NO_ROUNDS | {stage: n_rounds, "splitter": splitter})
        nothing, _ = fit(case, **NO_ROUNDS)
        error = metric(data.y, model.predict(data.X))
        assert error < 0.7 * metric(data.y, nothing.predict(data.X))

    @pytest.mark.parametrize("case", ["binary", "multiclass"])
    @pytest.mark.parametrize("stage", ["n_iter_shared", "n_iter_partition", "n_iter_task"])
    def test_classification(self, case, stage):
        model, data = fit(case, **NO_ROUNDS | {stage: 20})
        nothing, _ = fit(case, **NO_ROUNDS)
        loss, of_nothing = (log_loss(data.y, m.predict_proba(data.X)) for m in (model, nothing))
        assert loss < 0.7 * of_nothing

    @pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
    def test_quantiles_cover_their_share(self, level):
        data = school(n_rows=200)
        model = RMTGBRegressor(
            loss="quantile", quantile=level, task_feature="school", **few_rounds(15)
        )
        covered = np.mean(data.y <= model.fit(data.X, data.y).predict(data.X))
        assert covered == pytest.approx(level, abs=0.05)

    def test_robust_losses_shrug_off_a_wild_row(self):
        data = school(n_rows=100)
        y = data.y.copy()
        y[::50] = 1e6
        errors = {}
        for loss in ("squared_error", "absolute_error", "huber"):
            model = RMTGBRegressor(loss=loss, task_feature="school", **few_rounds(10))
            prediction = model.fit(data.X, y).predict(data.X)
            errors[loss] = np.median(np.abs(prediction - data.y))
        assert max(errors["absolute_error"], errors["huber"]) < 0.5 < errors["squared_error"]

    def test_scores(self):
        model, data = fit("squared_error")
        weight = np.arange(200) % 4
        assert model.score(data.X, data.y) == r2_score(data.y, model.predict(data.X))
        assert model.score(data.X, data.y, weight) == r2_score(
            data.y, model.predict(data.X), sample_weight=weight
        )
        model, data = fit("multiclass")
        assert model.score(data.X, data.y, weight) == accuracy_score(
            data.y, model.predict(data.X), sample_weight=weight
        )


class TestTargetsOfAllKinds:
    @pytest.mark.parametrize(
        "kind", [pd.Series, list, lambda y: y.astype(np.float32).astype(float)]
    )
    def test_regression(self, kind):
        model, data = make("squared_error")
        y = data.y.astype(np.float32).astype(float)
        expected = model.fit(data.X, y).predict(data.X)
        np.testing.assert_array_equal(model.fit(data.X, kind(y)).predict(data.X), expected)

    @pytest.mark.parametrize(
        "names", [["no", "yes"], [-1, 1], [False, True], [0.0, 1.0], np.array(["no", "yes"])]
    )
    @pytest.mark.parametrize("kind", [np.asarray, pd.Series, list])
    def test_classification(self, names, kind):
        model, data = make("binary")
        expected = model.fit(data.X, data.y).predict_proba(data.X)
        y = np.asarray(names)[data.y]
        model.fit(data.X, kind(y))
        assert model.classes_.tolist() == list(names)
        np.testing.assert_array_equal(model.predict_proba(data.X), expected)
        prediction = model.predict(data.X)
        assert prediction.tolist() == np.asarray(names)[expected.argmax(axis=1)].tolist()
        assert set(prediction) <= set(names)
        assert next(model.staged_predict(data.X)).dtype == model.classes_.dtype

    def test_categorical_targets(self):
        model, data = make("multiclass")
        y = pd.Series(np.array(["u", "v", "w"])[data.y]).astype("category")
        assert model.fit(data.X, y).classes_.tolist() == ["u", "v", "w"]


class TestWeights:
    """A weight is the same as repetition, with tasks too."""

    @pytest.mark.parametrize("case", CASES)
    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_repetition(self, case, early_stopping):
        settings = {"min_samples_leaf": 5, "min_samples_leaf_task": 5, "max_leaf_nodes": 4}
        model, data = make(case, early_stopping=early_stopping, **settings)
        weight = np.random.default_rng(0).integers(0, 3, size=200)
        rows = np.random.default_rng(1).permutation(np.repeat(np.arange(200), weight))
        weighted = model.fit(data.X, data.y, sample_weight=weight).predict_parts(data.X)
        repeated = model.fit(data.X.iloc[rows], data.y[rows]).predict_parts(data.X)
        for name, part in weighted.items():
            np.testing.assert_allclose(part, repeated[name], rtol=1e-6, atol=1e-9, err_msg=name)

    def test_balanced_classes(self):
        model, data = make("multiclass", class_weight="balanced", max_leaf_nodes=4)
        model.set_params(min_samples_leaf=1, min_samples_leaf_task=1)
        weight = np.random.default_rng(0).integers(0, 3, size=200)
        rows = np.repeat(np.arange(200), weight)
        weighted = model.fit(data.X, data.y, sample_weight=weight).predict_proba(data.X)
        repeated = model.fit(data.X.iloc[rows], data.y[rows]).predict_proba(data.X)
        np.testing.assert_allclose(weighted, repeated, rtol=1e-6)

    @pytest.mark.parametrize("class_weight", ["balanced", {0: 0.1, 1: 0.9}])
    def test_rare_classes_count_more(self, class_weight):
        data = school()
        y = (data.y > np.quantile(data.y, 0.9)).astype(int)
        model = RMTGBClassifier(task_feature="school", **few_rounds(2))
        plain = model.fit(data.X, y).predict_proba(data.X)[:, 1].mean()
        weighed = model.set_params(class_weight=class_weight).fit(data.X, y)
        assert weighed.predict_proba(data.X)[:, 1].mean() > 1.5 * plain

    @pytest.mark.parametrize("case", ["squared_error", "binary"])
    def test_the_scale_of_small_weights_does_not_matter(self, case):
        model, data = make(case)
        weight = np.random.default_rng(0).uniform(0.5, 1.0, size=200)
        predictions = [
            model.fit(data.X, data.y, sample_weight=weight * scale).predict_parts(data.X)
            for scale in (1.0, 1e-3, 1e-12)
        ]
        for other in predictions[1:]:
            np.testing.assert_allclose(other["shared"], predictions[0]["shared"], rtol=1e-6)

    @pytest.mark.parametrize(
        ("random_state", "same"), [(0, True), (np.random.RandomState(0), False), (None, False)]
    )
    def test_random_states(self, random_state, same):
        model, data = make("squared_error", subsample=0.5, max_features=0.5)
        model.set_params(random_state=random_state)
        first, second = (model.fit(data.X, data.y).predict(data.X) for _ in range(2))
        assert np.array_equal(first, second) == same

    def test_a_generator(self):
        model, data = make("squared_error", subsample=0.5)
        predictions = [
            clone(model)
            .set_params(random_state=np.random.default_rng(3))
            .fit(data.X, data.y)
            .predict(data.X)
            for _ in range(2)
        ]
        np.testing.assert_array_equal(*predictions)
