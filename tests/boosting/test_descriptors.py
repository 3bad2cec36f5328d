"""Descriptors of tasks: found, seen by trees, and kept by everything that a model does."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.boosting import profiles
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.datasets import make_task_scenario

SIZES = (4, 5, 6)


def data(n_rows=60, n_new=40, scenario="clusters", **settings):
    """Features with the task as the last column, target, new rows with theirs, and the truth."""
    X, y, truth = make_task_scenario(
        scenario,
        cluster_sizes=SIZES,
        n_features=2,
        length_scale=1.0,
        n_samples_per_task=n_rows + n_new,
        random_state=0,
        return_truth=True,
        **settings,
    )
    is_new = np.arange(y.size) % (n_rows + n_new) >= n_rows
    return X[~is_new], y[~is_new], X[is_new], y[is_new], truth.clusters


def regressor(**settings):
    return RMTGBRegressor(task_feature=-1, random_state=0, **settings)


@pytest.fixture(scope="module")
def fitted():
    X, y, *_ = data()
    return regressor().fit(X, y)


def error(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


def test_clusters_are_found_and_help(fitted):
    X, y, X_new, y_new, truth = data()
    described = fitted.task_descriptors_
    alike = np.abs(described[:, None] - described).max(axis=-1) == 0.0
    np.testing.assert_array_equal(alike, truth[:, None] == truth)
    without = regressor(task_descriptors=False).fit(X, y)
    assert without.task_descriptors_.shape == (15, 0)
    assert error(fitted, X_new, y_new) < 0.8 * error(without, X_new, y_new)


def test_equal_tasks_have_none_and_are_as_they_were():
    X, y, X_new, *_ = data(scenario="pooled", n_tasks=15)
    model, without = (regressor(task_descriptors=kind).fit(X, y) for kind in ("auto", False))
    assert model.task_descriptors_.shape == (15, 0)
    np.testing.assert_array_equal(model.predict(X_new), without.predict(X_new))


def test_classes_and_validation_rows_of_the_user():
    X, y, X_new, y_new, _ = data(n_rows=150, classification=True)
    model = RMTGBClassifier(task_feature=-1, random_state=0, task_baseline="shrunken")
    model.fit(X, y, X_val=X_new, y_val=y_new)
    assert model.task_descriptors_.shape[1] >= 2


def test_features_are_finite_and_of_the_type_of_x():
    added = AddedFeatures(descriptors=np.array([[1e60, -0.5], [-1e300, 0.25]]))
    for dtype in (np.float32, np.float64):
        rows = added.beside(np.ones((3, 1), dtype), np.array([0, 1, -1]))
        assert rows.dtype == dtype
        expected = [[1.0, 2.0**100, -0.5], [1.0, -(2.0**100), 0.25], [1.0, 0.0, 0.0]]
        np.testing.assert_array_equal(rows, expected)


def test_they_are_used_unasked_where_no_length_is_chosen():
    X, y, X_new, y_new, _ = data()
    few = {"early_stopping": False, "n_iter_shared": 50, "n_iter_partition": 0, "n_iter_task": 0}
    kinds = {kind: regressor(task_descriptors=kind, **few).fit(X, y) for kind in ("auto", True)}
    assert kinds["auto"].task_descriptors_.shape == (15, 0)
    assert kinds[True].task_descriptors_.shape[1] >= 2
    assert error(kinds[True], X_new, y_new) < 0.8 * error(kinds["auto"], X_new, y_new)


def test_pooling_knows_no_tasks():
    X, y, X_new, *_ = data()
    pooled = regressor(n_iter_partition=0, n_iter_task=0, task_baseline="global").fit(X, y)
    assert pooled.task_descriptors_.shape == (15, 0)
    one = pooled.predict(X_new)
    X_new[:, -1] = np.roll(X_new[:, -1], 45)
    np.testing.assert_array_equal(pooled.predict(X_new), one)


def test_predictions_their_parts_and_stages(fitted):
    _, _, X_new, _, _ = data()
    prediction = fitted.predict(X_new)
    np.testing.assert_allclose(
        sum(fitted.predict_parts(X_new).values()), prediction, rtol=1e-12, atol=1e-14
    )
    *_, last = fitted.staged_predict(X_new)
    np.testing.assert_allclose(last, prediction, rtol=1e-9)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X_new), prediction)
    one_task = X_new[:, -1] == 7
    np.testing.assert_array_equal(fitted.predict(X_new[one_task]), prediction[one_task])


def test_a_task_that_was_not_seen_is_a_usual_one(fitted):
    _, _, X_new, _, _ = data()
    X_new[:, -1] = 99
    with pytest.warns(UserWarning, match="99"):
        assert np.isfinite(fitted.predict(X_new)).all()


def test_descriptors_count_as_the_task_in_importances(fitted):
    importances = fitted.feature_importances_
    assert importances.shape == (3,)
    assert importances[-1] > 0.1
    assert fitted.task_feature_importances_.shape == (15, 3)
    np.testing.assert_allclose(importances.sum(), 1.0)


def test_a_fit_goes_on_with_the_descriptors_it_has():
    X, y, X_new, *_ = data()
    model = regressor(warm_start=True).fit(X, y)
    before, described = model.predict(X_new), model.task_descriptors_
    model.set_params(
        n_iter_shared=model.n_iter_shared_ + 20,
        n_iter_partition=model.n_iter_partition_,
        n_iter_task=int(model.n_iter_task_.max()),
    )
    model.fit(X, y)
    np.testing.assert_array_equal(model.task_descriptors_, described)
    assert 0 < np.abs(model.predict(X_new) - before).max() < 0.5


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    X, y, X_new, *_ = data()
    few = dict.fromkeys(("n_iter_shared", "n_iter_partition", "n_iter_task"), 20)
    models = [regressor(n_jobs=n, learning_rate=0.3, **few).fit(X, y) for n in (1, 2)]
    assert models[0].task_descriptors_.size
    for name in ("task_descriptors_", "n_iter_task_"):
        np.testing.assert_array_equal(getattr(models[1], name), getattr(models[0], name))
    np.testing.assert_array_equal(models[1].predict(X_new), models[0].predict(X_new))


def test_the_order_of_rows_does_not_matter(fitted):
    X, y, X_new, *_ = data()
    order = np.random.default_rng(0).permutation(y.size)
    model = regressor().fit(X[order], y[order])
    np.testing.assert_allclose(model.task_descriptors_, fitted.task_descriptors_, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X_new), fitted.predict(X_new), rtol=1e-6, atol=1e-9)


def test_other_labels_describe_tasks_alike(fitted):
    X, y, *_ = data()
    order = np.random.default_rng(0).permutation(15)
    renamed = np.column_stack([X[:, :-1], order[X[:, -1].astype(int)]])
    described = regressor().fit(renamed, y).task_descriptors_[order]
    np.testing.assert_allclose(described, fitted.task_descriptors_, rtol=1e-3, atol=1e-3)


def test_half_samples_that_are_not_kept_say_the_same(monkeypatch):
    X, y, *_ = data(20)
    model = RMTGBRegressor(task_feature=-1, n_iter_partition=0, random_state=0, n_iter_shared=20)
    kept = clone(model).fit(X, y)
    assert kept.task_descriptors_.size > 0
    monkeypatch.setattr(profiles, "MOST_KEPT", 0)
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.task_descriptors_, kept.task_descriptors_)
    pd.testing.assert_frame_equal(again.task_evidence_, kept.task_evidence_)
