"""Whole default fits: a row of integer weight k is the same as k rows."""

import numpy as np
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.tree import binning
from tests.boosting.helpers import task_data

LIMITS = {"n_iter_shared": 25, "n_iter_partition": 25, "n_iter_task": 25, "learning_rate": 0.3}

#: Gradients of a weighted row are divided by its weight, which costs the last bit.
RELATIVE = 1e-9


def data(n_rows, n_tasks=3, ceiling=3, seed=0):
    """Features with the task last, target, and integer weights from 0 to a ceiling."""
    X, y = task_data(n_rows, n_tasks, seed)
    weight = np.random.default_rng(seed).integers(0, ceiling + 1, n_rows)
    weight[: 2 * n_tasks] = 1
    return X, y, weight


def assert_repetition(model, X, y, weight):
    """Fit both ways and compare predictions, lengths and weights of tasks."""
    once = model.fit(X, y, sample_weight=weight.astype(float))
    raw = once.predict_parts(X)
    lengths = once.n_iter_shared_, once.n_iter_partition_, once.n_iter_task_.tolist()
    theta, descriptors = once.theta_, once.task_descriptors_
    assert sum(lengths[:2]) + sum(lengths[2]) > 0
    again = np.repeat(np.arange(len(y)), weight)
    model.fit(X[again], y[again])
    assert (model.n_iter_shared_, model.n_iter_partition_, model.n_iter_task_.tolist()) == lengths
    for name, part in model.predict_parts(X).items():
        scale = np.abs(part).max()
        np.testing.assert_allclose(raw[name], part, rtol=RELATIVE, atol=RELATIVE * scale)
    np.testing.assert_array_equal(model.theta_, theta)
    np.testing.assert_allclose(model.task_descriptors_, descriptors, rtol=1e-9, atol=1e-12)


def default(kind=RMTGBRegressor, **parameters):
    """Return a default estimator of fewer rounds, with lengths chosen on validation rows."""
    settings = LIMITS | {"early_stopping": True, "random_state": 0} | parameters
    return kind(task_feature=-1, **settings)


@pytest.mark.parametrize(
    "loss", ["squared_error", "absolute_error", "huber", "quantile", "poisson"]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_near_200_rows_in_all(loss, seed):
    """Where defaults change with the number of rows."""
    X, y, weight = data(130, seed=seed)
    assert 180 < weight.sum() < 220
    y = np.abs(np.round(2.0 * y)) if loss == "poisson" else y
    assert_repetition(default(loss=loss), X, y, weight)


@pytest.mark.parametrize("seed", range(8))
def test_a_handful_of_rows_with_a_linear_part(seed):
    """Folds of the linear part are of rows that differ, wherever they stand."""
    X, y, _ = data(12, n_tasks=2, seed=seed)
    weight = np.where(np.arange(12) % 3 == 0, 2, 1)
    model = default(task_baseline="linear", early_stopping=False, random_state=seed)
    assert_repetition(model, X, y, weight)
    order = np.random.default_rng(seed).permutation(12)
    parts = model.fit(X, y).predict_parts(X)
    for name, part in model.fit(X[order], y[order]).predict_parts(X).items():
        np.testing.assert_allclose(parts[name], part, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_rows", [2, 6])
def test_one_row_many_times_has_a_linear_part(n_rows):
    X, y = np.ones((n_rows, 2)), np.full(n_rows, 3.0)
    model = default(task_baseline="linear", early_stopping=False).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classes(n_classes):
    X, y, weight = data(200)
    y = np.digitize(y, np.quantile(y, np.arange(1, n_classes) / n_classes))
    assert_repetition(default(RMTGBClassifier), X, y, weight)


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
@pytest.mark.parametrize("splitter", ["best", "random"])
def test_tasks_that_are_large_by_weight_alone(loss, splitter):
    """Bins of stage 3 are more than 32 from a weight of 1024: 600 rows of weight 2 and 3."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((1200, 2)), np.arange(1200) % 2])
    y = np.sin(6.0 * X[:, 0]) * (1.0 - 2.0 * X[:, 2]) + 0.1 * rng.standard_normal(1200)
    weight = rng.integers(2, 4, 1200)
    assert_repetition(default(loss=loss, splitter=splitter, n_iter_shared=3), X, y, weight)


@pytest.mark.parametrize("early_stopping", [False, True])
def test_a_sample_of_the_rows_gives_the_bins(monkeypatch, early_stopping):
    """It is drawn by what rows hold."""
    monkeypatch.setattr(binning, "SAMPLE_ROWS", 100)
    X, y, weight = data(300)
    model = default(early_stopping=early_stopping)
    sampled = model.fit(X, y, sample_weight=weight.astype(float)).predict(X)
    assert_repetition(model, X, y, weight)
    monkeypatch.setattr(binning, "SAMPLE_ROWS", 10**6)
    other = model.fit(X, y, sample_weight=weight.astype(float)).predict(X)
    assert np.abs(sampled - other).max() > 0.01, "the sample must matter"
