"""The prediction of a linear mixed model as a feature of the trees."""

import pickle

import numpy as np
import pytest
from numba import config
from sklearn.base import clone
from sklearn.metrics import root_mean_squared_error

from rmtgb import RMTGBClassifier, RMTGBRegressor
from tests.boosting.helpers import QUICK, task_data


def with_slopes(seed=0, n_tasks=30, n_rows=8, bend=0.0):
    """Return rows of tasks with slopes of their own, and others of the same tasks."""
    rng = np.random.default_rng(seed)
    slopes = np.array([2.0, 0.0, -1.0]) + rng.normal(size=(n_tasks, 3))
    level = rng.normal(size=n_tasks)

    def rows(n_rows):
        task = np.repeat(np.arange(n_tasks), n_rows)
        X = rng.normal(size=(task.size, 3))
        y = level[task] + np.einsum("ij,ij->i", X, slopes[task]) + bend * np.sin(3.0 * X[:, 0])
        return np.column_stack([X, task]), y + 0.2 * rng.normal(size=task.size)

    return rows(n_rows), rows(20)


def model(kind="linear", **parameters):
    return RMTGBRegressor(task_feature=-1, random_state=0, task_baseline=kind, **parameters)


QUICK_LINEAR = model(**QUICK)


def test_few_rows_of_tasks_with_slopes_of_their_own():
    """Slopes of eight rows are shrunken, not cut into steps; validation rows see that."""
    for seed in range(2):
        (X, y), (X_new, y_new) = with_slopes(seed)
        errors = {
            kind: root_mean_squared_error(y_new, model(kind).fit(X, y).predict(X_new))
            for kind in ("auto", "linear", "shrunken")
        }
        assert errors["linear"] < 0.75 * errors["shrunken"]
        assert errors["auto"] == errors["linear"], "the same model was chosen"


def test_auto_is_the_simpler_model_where_that_validates_better():
    X, y = task_data(n_rows=400, n_tasks=6, seed=1)
    y = np.floor(3.0 * np.sin(4.0 * np.nan_to_num(X[:, 0]))) * (X[:, -1] - 2)
    limits = {"n_iter_shared": 100, "n_iter_partition": 30, "n_iter_task": 100}
    auto, shrunken = (model(kind, **limits).fit(X, y) for kind in ("auto", "shrunken"))
    assert auto._model.added.linear is None
    np.testing.assert_array_equal(auto.predict(X), shrunken.predict(X))


def test_training_rows_get_predictions_of_models_that_have_not_seen_them():
    """With more columns than rows of a task, a model of all rows would repeat its targets."""
    rng = np.random.default_rng(0)
    task = np.repeat(np.arange(20), 4)
    X = np.column_stack([rng.normal(size=(80, 8)), task])
    y = rng.normal(size=80)
    fitted = model(early_stopping=False, n_iter_shared=30, n_iter_partition=0, n_iter_task=0)
    fitted.fit(X, y)
    assert (
        np.std(
            fitted.predict(np.column_stack([rng.normal(size=(200, 8)), np.tile(task, 3)[:200]]))
        )
        < 0.6
    )


def test_new_tasks_get_the_fixed_part():
    (X, y), _ = with_slopes()
    fitted = model().fit(X, y)
    X_new = X.copy()
    X_new[:, -1] = 999
    with pytest.warns(UserWarning, match="unseen task"):
        prediction = fitted.predict(X_new)
    assert np.corrcoef(prediction, 2.0 * X[:, 0] - X[:, 2])[0, 1] > 0.9


@pytest.mark.parametrize("kind", ["classes", "many classes", "poisson", "absolute_error"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_every_loss_categories_missing_values_and_weights(kind, early_stopping):
    X, y = task_data(n_rows=240, n_tasks=4)
    X[:, 2] = np.nan_to_num(np.round(2.0 * X[:, 2]) % 4)
    settings = QUICK | {"early_stopping": early_stopping, "categorical_features": [2]}
    settings |= {"task_feature": -1, "random_state": 0, "task_baseline": "linear"}
    if "classes" in kind:
        y = np.digitize(y, [1.0] if kind == "classes" else [0.0, 2.0])
        fitted = RMTGBClassifier(**settings)
    else:
        y = np.abs(np.round(y)) if kind == "poisson" else y
        fitted = RMTGBRegressor(loss=kind, **settings)
    fitted.fit(X, y, sample_weight=np.random.default_rng(0).uniform(0.5, 2.0, y.size))
    assert fitted._model.added.linear is not None
    assert np.isfinite(fitted.predict(X)).all()
    assert fitted.feature_importances_.shape == (5,)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.parametrize("exponent", [-300, 40])
def test_a_power_of_two_changes_the_unit_and_no_bit(exponent):
    X, y = task_data()
    fitted, scaled = (clone(QUICK_LINEAR).fit(X, y * by) for by in (1.0, 2.0**exponent))
    np.testing.assert_array_equal(scaled.predict(X), fitted.predict(X) * 2.0**exponent)


def test_weight_is_repetition():
    X, y = task_data(n_rows=160)
    weight = np.random.default_rng(0).integers(0, 4, y.size)
    weight[:8] = 1
    again = np.repeat(np.arange(y.size), weight)
    weighted = clone(QUICK_LINEAR).fit(X, y, sample_weight=weight)
    repeated = clone(QUICK_LINEAR).fit(X[again], y[again])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-5, atol=1e-5)


def test_neither_order_of_rows_nor_labels_matter():
    X, y = task_data()
    expected = clone(QUICK_LINEAR).fit(X, y).predict(X)
    order = np.random.default_rng(1).permutation(y.size)
    shuffled = clone(QUICK_LINEAR).fit(X[order], y[order])
    np.testing.assert_allclose(shuffled.predict(X), expected, rtol=1e-5, atol=1e-5)
    renamed = X.copy()
    renamed[:, -1] = 7 - X[:, -1]
    other = clone(QUICK_LINEAR).fit(renamed, y).predict(renamed)
    np.testing.assert_allclose(other, expected, rtol=1e-5, atol=1e-5)


def test_a_row_is_predicted_alone_as_with_others():
    X, y = task_data()
    fitted = clone(QUICK_LINEAR).fit(X, y)
    together = fitted.predict(X)
    np.testing.assert_array_equal(
        [fitted.predict(X[i : i + 1])[0] for i in range(9)], together[:9]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_halves_of_a_warm_start_are_the_whole(dtype):
    X, y = task_data(n_rows=300, n_tasks=6)
    X = X.astype(dtype)
    half = clone(QUICK_LINEAR).set_params(warm_start=True, n_iter_task=3, n_iter_partition=0)
    half.fit(X, y).set_params(n_iter_task=8).fit(X, y)
    whole = clone(QUICK_LINEAR).set_params(n_iter_task=8, n_iter_partition=0).fit(X, y)
    np.testing.assert_array_equal(half.predict(X), whole.predict(X))


@pytest.mark.skipif(config.DISABLE_JIT, reason="without compilation a team is one")
def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    X, y = task_data(n_rows=900, n_tasks=9)
    one, two = (clone(QUICK_LINEAR).set_params(n_jobs=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.predict(X), two.predict(X))


def test_validation_rows_of_the_user():
    (X, y), (X_val, y_val) = with_slopes()
    fitted = model("auto").fit(X, y, X_val=X_val, y_val=y_val)
    assert fitted._model.added.linear is not None
    assert min(fitted.validation_score_["shared"]) < 0.5 * np.var(y_val)


def test_one_task_has_a_linear_part_if_it_is_asked_for():
    (X, y), _ = with_slopes(n_tasks=1, n_rows=60)
    alone = RMTGBRegressor(random_state=0, **QUICK).fit(X[:, :3], y)
    assert alone._model.added.linear is None
    alone.set_params(task_baseline="linear").fit(X[:, :3], y)
    assert alone._model.added.linear is not None


def test_importance_of_the_linear_part_is_that_of_what_it_is_made_of():
    (X, y), _ = with_slopes()
    X = np.column_stack([X[:, :3], np.random.default_rng(0).normal(size=len(X)), X[:, -1]])
    fitted = model(**QUICK).fit(X, y)
    shares = fitted._model.added.linear.shares()
    np.testing.assert_allclose(shares.sum(), 1.0)
    assert shares[3] < 0.05
    assert shares[[0, 1, 2]].min() > 0.05
    importance = fitted.feature_importances_
    assert importance[3] < importance[[0, 2]].min()
    assert importance[4] > 0.0, "the intercepts are the tasks'"
    alone = clone(fitted).set_params(task_feature=None).fit(X[:, :4], y)
    np.testing.assert_allclose(alone.feature_importances_.sum(), 1.0)
