"""A further fit that continues the model of the one before."""

import re

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_squared_error

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.boosting.helpers import model_arrays, outliers_by_rows, task_data
from tests.boosting.test_splitter import independent_tasks
from tests.estimators.data import NO_ROUNDS, few_rounds, school

STAGES = ("n_iter_shared", "n_iter_partition", "n_iter_task")


def lengths(model):
    return [
        model.n_iter_shared_,
        model.n_iter_partition_,
        model.n_iter_task_.tolist(),
    ]


def training_loss(model, data):
    """Mean squared error or log loss: unlike accuracy, never saturated."""
    if isinstance(model, RMTGBClassifier):
        return log_loss(data.y, model.predict_proba(data.X))
    return mean_squared_error(data.y, model.predict(data.X))


def continued(model, X, y, **limits):
    """Fit to the end in two steps."""
    return model.fit(X, y).set_params(warm_start=True, **limits).fit(X, y)


@pytest.mark.parametrize("stage", ["n_iter_shared", "n_iter_task"])
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "poisson"])
def test_two_halves_of_a_stage_are_the_whole(loss, stage):
    data = school(n_tasks=1)
    X, y = data.X.drop(columns="school"), np.abs(data.y)
    model = RMTGBRegressor(loss=loss, **NO_ROUNDS, random_state=3, min_samples_leaf=5)
    whole = clone(model).set_params(**{stage: 20}).fit(X, y)
    halves = continued(clone(model).set_params(**{stage: 10}), X, y, **{stage: 20})
    assert lengths(halves) == lengths(whole)
    np.testing.assert_array_equal(halves.predict(X), whole.predict(X))


def test_random_choices_go_on_where_they_were():
    data = school(n_tasks=1)
    X, y = data.X.drop(columns="school"), data.y
    model = RMTGBRegressor(**NO_ROUNDS, random_state=3, subsample=0.7, max_features=0.5)
    whole = clone(model).set_params(n_iter_shared=20).fit(X, y)
    halves = continued(clone(model).set_params(n_iter_shared=10), X, y, n_iter_shared=20)
    np.testing.assert_array_equal(halves.predict(X), whole.predict(X))


def test_two_halves_of_the_shared_stage_of_a_classifier():
    data = school(n_tasks=1, n_classes=3)
    X = data.X.drop(columns="school")
    model = RMTGBClassifier(**NO_ROUNDS, random_state=3, min_samples_leaf=5)
    whole = clone(model).set_params(n_iter_shared=12).fit(X, data.y)
    halves = continued(clone(model).set_params(n_iter_shared=6), X, data.y, n_iter_shared=12)
    np.testing.assert_array_equal(halves.predict_proba(X), whole.predict_proba(X))


def same_model(first, second, X):
    """Assert that two models have the same arrays, to the bit, and predictions."""
    arrays = model_arrays(second._model)
    for name, array in model_arrays(first._model).items():
        assert array.tobytes() == arrays[name].tobytes(), name
    np.testing.assert_array_equal(first.predict(X), second.predict(X))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"loss": "absolute_error"},
        {"loss": "huber", "linear_leaves": True},
        {"subsample": 0.7, "max_features": 0.5, "splitter": "random"},
    ],
    ids=["plain", "medians", "linear leaves", "random"],
)
@pytest.mark.parametrize("stands_out", [False, True])
class TestHalvesOfAStageOfManyTasks:
    """To the bit in every array, with a penalty that pulls theta to where it started."""

    def halves_and_whole(self, first, last, stands_out, parameters):
        X, y = outliers_by_rows() if stands_out else task_data(n_rows=300, n_tasks=6)
        settings = NO_ROUNDS | {"min_samples_leaf": 5, "partition_regularization": 3.0}
        model = RMTGBRegressor(task_feature=-1, random_state=3, **settings | parameters)
        half = clone(model).set_params(**first).fit(X, y)
        if stands_out:
            assert half.outlier_tasks_.tolist() == [0]
        theta = half._model.tasks.theta
        half.set_params(warm_start=True, **last).fit(X, y)
        whole = clone(model).set_params(**(first | last)).fit(X, y)
        assert lengths(half) == lengths(whole)
        same_model(half, whole, X)
        return half, theta

    @pytest.mark.parametrize("stage", STAGES)
    def test_one_stage_alone(self, stage, stands_out, parameters):
        model, theta = self.halves_and_whole({stage: 8}, {stage: 16}, stands_out, parameters)
        tasks = model._model.tasks
        if stage == "n_iter_partition":
            assert not np.array_equal(tasks.theta, theta), "theta must move"
            assert set(np.abs(tasks.theta_start)) == {2.0}

    def test_a_longer_stage_2_after_stage_1(self, stands_out, parameters):
        first = {"n_iter_shared": 8, "n_iter_partition": 6}
        self.halves_and_whole(first, {"n_iter_partition": 14}, stands_out, parameters)

    def test_a_longer_stage_3_after_both(self, stands_out, parameters):
        first = dict.fromkeys(STAGES, 6)
        self.halves_and_whole(first, {"n_iter_task": 12}, stands_out, parameters)


@pytest.mark.parametrize("splitter", ["best", "random"])
def test_the_thresholds_that_were_chosen_are_kept(splitter):
    """A fit with "auto" goes on as if it had been told from the start what it has chosen."""
    X, y = independent_tasks("smooth" if splitter == "random" else "steps", n_rows=100)
    settings = {"n_iter_shared": 0, "n_iter_partition": 0, "n_iter_task": 150}
    settings |= {"early_stopping": True, "learning_rate": 0.2, "task_baseline": "shrunken"}
    first = RMTGBRegressor(task_feature=-1, random_state=0, splitter="auto", **settings).fit(X, y)
    assert first._model.task_random_thresholds == (splitter == "random")
    limit = int(first.n_iter_task_.max()) + 20
    fixed = {"early_stopping": False, "n_iter_task": limit}
    whole = clone(first).set_params(splitter=splitter, **fixed).fit(X, y)
    first.set_params(warm_start=True, **fixed).fit(X, y)
    assert first.n_iter_task_.tolist() == [limit] * 4
    same_model(first, whole, X)


@pytest.mark.parametrize("splitter", ["best", "random"])
def test_the_thresholds_that_were_chosen_for_stage_1_are_kept(splitter):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (600, 4))
    signal = np.sin(3 * X).sum(axis=1) if splitter == "random" else np.floor(3 * X[:, 0])
    y = signal + 0.05 * rng.standard_normal(600)
    settings = {"n_iter_shared": 80, "n_iter_partition": 0, "n_iter_task": 0}
    settings |= {"early_stopping": True, "learning_rate": 0.1}
    first = RMTGBRegressor(random_state=0, splitter="auto", **settings).fit(X, y)
    assert first._model.common_random_thresholds == (splitter == "random")
    fixed = {"early_stopping": False, "n_iter_shared": 90}
    whole = clone(first).set_params(splitter=splitter, **fixed).fit(X, y)
    first.set_params(warm_start=True, **fixed).fit(X, y)
    same_model(first, whole, X)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("n_classes", [None, 2, 3])
def test_each_stage_goes_on(stage, n_classes):
    data = school(n_outlier_tasks=1, n_classes=n_classes)
    kind = RMTGBRegressor if n_classes is None else RMTGBClassifier
    model = kind(task_feature="school", **few_rounds(4), random_state=0).fit(data.X, data.y)
    before = training_loss(model, data)
    first = model.predict_parts(data.X)
    model.set_params(warm_start=True, **{stage: 9}).fit(data.X, data.y)
    expected = [4, 4, [4] * model.n_tasks_]
    expected[STAGES.index(stage)] = [9] * model.n_tasks_ if stage == "n_iter_task" else 9
    assert lengths(model) == expected
    assert training_loss(model, data) < before
    # the other parts are what they were
    parts = model.predict_parts(data.X)
    same = {"n_iter_shared": "shared", "n_iter_task": "task_specific"}
    for name in {"baseline", "shared", "task_specific"} - {same.get(stage)}:
        np.testing.assert_array_equal(parts[name], first[name])


def test_nothing_to_do_changes_nothing():
    data = school(n_outlier_tasks=1)
    model = RMTGBRegressor(task_feature="school", **few_rounds(5), random_state=0)
    model.fit(data.X, data.y)
    theta, prediction = model.theta_, model.predict(data.X)
    model.set_params(warm_start=True).fit(data.X, data.y)
    np.testing.assert_array_equal(model.theta_, theta)
    np.testing.assert_array_equal(model.predict(data.X), prediction)


def test_the_outlier_stays_one():
    data = school(n_rows=300, n_outlier_tasks=1)
    model = RMTGBRegressor(task_feature="school", **NO_ROUNDS, random_state=0)
    model.set_params(n_iter_partition=10).fit(data.X, data.y)
    assert model.outlier_tasks_.tolist() == data.outlier_tasks
    model.set_params(warm_start=True, n_iter_partition=20).fit(data.X, data.y)
    assert model.outlier_tasks_.tolist() == data.outlier_tasks


def test_a_first_stage_2_starts_as_it_would_alone():
    data = school(n_outlier_tasks=1)
    model = RMTGBRegressor(task_feature="school", **NO_ROUNDS, random_state=0)
    alone = clone(model).set_params(n_iter_partition=8).fit(data.X, data.y)
    model.fit(data.X, data.y).set_params(warm_start=True, n_iter_partition=8).fit(data.X, data.y)
    np.testing.assert_array_equal(model.predict(data.X), alone.predict(data.X))


def test_the_first_fit_is_an_ordinary_one():
    data = school()
    model = RMTGBRegressor(task_feature="school", **few_rounds(5), random_state=0)
    ordinary = clone(model).fit(data.X, data.y).predict(data.X)
    first = clone(model).set_params(warm_start=True).fit(data.X, data.y).predict(data.X)
    np.testing.assert_array_equal(first, ordinary)


def test_new_rows_of_the_same_tasks():
    data, more = school(seed=0), school(seed=1, noise_seed=5)
    model = RMTGBRegressor(task_feature="school", **few_rounds(8), random_state=0)
    model.fit(data.X, data.y)
    before = model.score(more.X, more.y)
    model.set_params(warm_start=True, n_iter_task=20).fit(more.X, more.y)
    assert model.score(more.X, more.y) > before


def test_chosen_lengths_are_followed_by_fixed_ones():
    data = school()
    settings = few_rounds(10) | {"early_stopping": True}
    model = RMTGBRegressor(task_feature="school", **settings, random_state=0)
    model.fit(data.X, data.y)
    model.set_params(warm_start=True, n_iter_shared=13, n_iter_task=12).fit(data.X, data.y)
    assert lengths(model) == [13, 10, [12] * model.n_tasks_]


class TestRefusals:
    @pytest.fixture
    def fitted(self):
        data = school()
        model = RMTGBRegressor(
            task_feature="school", **few_rounds(4), random_state=0, warm_start=True
        )
        return model.fit(data.X, data.y), data

    @pytest.mark.parametrize("stage", STAGES)
    def test_fewer_rounds_than_there_are(self, fitted, stage):
        model, data = fitted
        message = rf"{stage}=3 must be larger than or equal to {stage}_=4 when warm_start==True"
        with pytest.raises(ValueError, match=message):
            model.set_params(**{stage: 3}).fit(data.X, data.y)

    def test_other_columns(self, fitted):
        model, data = fitted
        with pytest.raises(ValueError, match="feature names"):
            model.fit(data.X.rename(columns={"x0": "z"}), data.y)

    @pytest.mark.parametrize("change", ["new", "missing"])
    def test_other_tasks(self, fitted, change):
        model, data = fitted
        X = data.X.assign(
            school=data.X["school"].replace("b", "a" if change == "missing" else "z")
        )
        with pytest.raises(ValueError, match=r"warm_start=True .* of the tasks .*'b'.* one of"):
            model.fit(X, data.y)

    def test_another_loss(self, fitted):
        model, data = fitted
        with pytest.raises(ValueError, match="loss='squared_error', got loss='huber'"):
            model.set_params(loss="huber").fit(data.X, data.y)

    @pytest.mark.parametrize(
        ("loss", "name", "value"),
        [
            ("quantile", "quantile", 0.95),
            ("huber", "huber_delta", 0.01),
            ("squared_error", "task_feature", 0),
            ("squared_error", "categorical_features", ["x1"]),
            ("squared_error", "task_baseline", "global"),
            ("squared_error", "task_descriptors", False),
        ],
    )
    def test_parameters_of_another_model(self, loss, name, value):
        data = school()
        model = RMTGBRegressor(task_feature="school", loss=loss, **few_rounds(4), warm_start=True)
        before = model.fit(data.X, data.y).predict(data.X)
        old = getattr(model, name)
        model.set_params(**{name: value, "n_iter_shared": 6})
        with pytest.raises(ValueError, match=re.escape(f"{name}={old!r}, got {name}={value!r}")):
            model.fit(data.X, data.y)
        np.testing.assert_array_equal(model.predict(data.X), before)

    def test_parameters_that_the_loss_does_not_read_may_change(self, fitted):
        model, data = fitted
        model.set_params(quantile=0.9, huber_delta=3.0, learning_rate=0.2, n_iter_shared=5)
        assert lengths(model.fit(data.X, data.y))[0] == 5

    def test_other_classes(self):
        data = school(n_classes=3)
        model = RMTGBClassifier(**few_rounds(3), task_feature="school", warm_start=True)
        model.fit(data.X, data.y)
        with pytest.raises(ValueError, match=r"classes \[0, 1, 2\] of the former fit"):
            model.fit(data.X, np.minimum(data.y, 1))


def test_a_model_without_rounds_goes_on_to_the_whole():
    """With rounds of stages 1 and 2 in the same fit, to the bit."""
    rng = np.random.default_rng(2)
    task = np.arange(400) % 4
    X = rng.normal(size=(400, 4))
    y = X[:, 0] * (1 + task) + np.where(task == 0, 5 * X[:, 2], 0) + 0.1 * rng.normal(size=400)
    rounds = {"n_iter_shared": 15, "n_iter_partition": 16, "n_iter_task": 0}
    settings = {"random_state": 0, "early_stopping": False, "learning_rate": 0.2}
    whole = RMTGBRegressor(**rounds, **settings).fit(X, y, task=task)
    nothing = RMTGBRegressor(warm_start=True, **dict.fromkeys(rounds, 0), **settings)
    nothing.fit(X, y, task=task).set_params(**rounds).fit(X, y, task=task)
    assert nothing.predict(X, task=task).tobytes() == whole.predict(X, task=task).tobytes()
