"""Tasks of several kinds: found, used in stage 1, and kept by everything that a model does."""

import pickle

import numpy as np
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.boosting.choose import clusters
from rmtgb.datasets import make_task_scenario

SIZES = (4, 5, 6)


def data(n_rows=60, n_new=40, **settings):
    """Features with the task as the last column, target, new rows with theirs, and the truth."""
    X, y, truth = make_task_scenario(
        "clusters",
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


@pytest.fixture(scope="module")
def fitted():
    X, y, *_ = data()
    return RMTGBRegressor(task_feature=-1, random_state=0).fit(X, y)


def error(model, X, y):
    return np.sqrt(np.mean((model.predict(X) - y) ** 2))


def test_clusters_are_found_and_help(fitted):
    X, y, X_new, y_new, truth = data()
    np.testing.assert_array_equal(fitted.task_clusters_, truth)
    without = RMTGBRegressor(task_feature=-1, random_state=0, cluster_tasks=False).fit(X, y)
    assert not without.task_clusters_.any()
    assert error(fitted, X_new, y_new) < 0.8 * error(without, X_new, y_new)
    assert fitted.n_iter_shared_ > 0
    assert fitted.n_iter_partition_ == 0


def test_classes_and_validation_rows_of_the_user():
    X, y, X_new, y_new, truth = data(n_rows=150, classification=True)
    model = RMTGBClassifier(task_feature=-1, random_state=0, task_baseline="shrunken")
    model.fit(X, y, X_val=X_new, y_val=y_new)
    np.testing.assert_array_equal(model.task_clusters_, truth)


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


def test_a_task_that_was_not_seen_has_no_cluster(fitted):
    _, _, X_new, _, _ = data()
    X_new[:, -1] = 99
    with pytest.warns(UserWarning, match="99"):
        assert np.isfinite(fitted.predict(X_new)).all()


def test_the_cluster_counts_as_the_task_in_importances(fitted):
    importances = fitted.feature_importances_
    assert importances.shape == (3,)
    assert importances[-1] > 0.1
    assert fitted.task_feature_importances_.shape == (15, 3)
    np.testing.assert_allclose(importances.sum(), 1.0)


def test_a_fit_goes_on_with_the_clusters_it_has():
    X, y, X_new, _, truth = data()
    model = RMTGBRegressor(task_feature=-1, random_state=0, warm_start=True).fit(X, y)
    before = model.predict(X_new)
    limits = {"n_iter_shared": model.n_iter_shared_ + 20, "n_iter_partition": 0}
    model.set_params(**limits, n_iter_task=int(model.n_iter_task_.max())).fit(X, y)
    np.testing.assert_array_equal(model.task_clusters_, truth)
    assert model.n_iter_shared_ == limits["n_iter_shared"]
    assert 0 < np.abs(model.predict(X_new) - before).max() < 0.5


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_threads_change_no_bit(monkeypatch, fitted, n_jobs):
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    X, y, X_new, *_ = data()
    model = RMTGBRegressor(task_feature=-1, random_state=0, n_jobs=n_jobs).fit(X, y)
    np.testing.assert_array_equal(model.predict(X_new), fitted.predict(X_new))


def test_many_tasks_are_not_compared(monkeypatch):
    monkeypatch.setattr(clusters, "MAX_TASKS", 14)
    X, y, *_ = data()
    assert not RMTGBRegressor(task_feature=-1, random_state=0).fit(X, y).task_clusters_.any()
