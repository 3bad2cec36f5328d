"""Stage lengths, validation rows, baselines, and data of unusual shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb import RMTGBRegressor
from rmtgb.boosting.choose.validation_split import ENOUGH_WEIGHT, choose_validation
from rmtgb.losses import make_loss
from rmtgb.tasks.baseline import fit_baseline
from tests.boosting.helpers import classifier, regressor, task_data, training_set


@given(st.integers(0, 1000), st.floats(0.05, 0.5))
def test_validation_rows_are_a_share_of_every_task(seed, fraction):
    """Each task gives its share, rounded up or down, and keeps a row for training."""
    X, y = task_data(seed=seed)
    training = training_set(X, y)
    choices = choose_validation(training, fraction, seed, last=False)
    most = min(np.ceil(ENOUGH_WEIGHT / (fraction * len(y))), int(1 / fraction + 1e-9))
    assert len(choices) == most
    assert np.sum(choices, axis=0).max() == 1
    for held_out in choices:
        for t in range(training.n_tasks):
            rows = slice(training.offsets[t], training.offsets[t + 1])
            wanted = fraction * (rows.stop - rows.start)
            assert np.floor(wanted) <= held_out[rows].sum() <= np.ceil(wanted)


def test_one_choice_is_enough_with_many_rows():
    """Weights count as rows do."""
    X, y = task_data(n_rows=400)
    for weight, expected in ((None, 3), (np.full(400, 6.0), 1), (np.full(400, 0.1), 3)):
        training = training_set(X, y, weight)
        assert len(choose_validation(training, 0.3, 0, last=False)) == expected


def test_equal_rows_stay_on_one_side():
    """Copies of a row are all held out, or none."""
    X, y = task_data(n_rows=120)
    training = training_set(np.repeat(X, 2, axis=0), np.repeat(y, 2))
    held_out, *_ = choose_validation(training, 0.3, 0, last=False)
    rows = np.column_stack([training.binned.row_codes, training.y, training.task_codes])
    _, group = np.unique(rows, axis=0, return_inverse=True)
    share = np.bincount(group.ravel(), held_out) / np.bincount(group.ravel())
    assert set(share) == {0.0, 1.0}


def test_tasks_with_the_same_rows_give_different_ones():
    """A survey asks everybody about the same products; the split must not follow them."""
    rng = np.random.default_rng(0)
    products = rng.standard_normal((20, 3))
    X = np.column_stack([np.tile(products, (30, 1)), np.repeat(np.arange(30), 20)])
    training = training_set(X, rng.integers(0, 3, 600).astype(float))
    held_out = choose_validation(training, 0.2, 0, last=False)[0].reshape(30, 20)
    assert held_out.mean(axis=0).max() < 0.6


def test_a_task_of_one_row_gives_none():
    """It is needed for training."""
    X, y = task_data(n_rows=50)
    X[0, -1] = 99
    training = training_set(X, y)
    (held_out,) = choose_validation(training, 0.9, 0, last=False)
    assert not held_out[training.offsets[-2] :].any()


def test_of_tasks_of_one_row_each_some_validate_whole():
    """No task has a row to spare, and all other rows are as good."""
    X, y = task_data(n_rows=400)
    X[:, -1] = np.arange(400)
    first, second, *_ = choose_validation(training_set(X, y), 0.15, 0, last=False)
    # five standard deviations of a binomial share
    assert abs(first.mean() - 0.15) < 5 * np.sqrt(0.15 * 0.85 / 400)
    assert not (first & second).any()


def test_lengths_are_chosen_per_stage():
    """Stages that bring nothing are left out, and limits are kept."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-1, 1, (3000, 3)), np.arange(3000) % 3])
    pooled = np.sin(4 * X[:, 0]) + 0.3 * rng.standard_normal(3000)
    model = RMTGBRegressor(task_feature=-1, random_state=0).fit(X, pooled)
    assert model.n_iter_shared_ + model.n_iter_partition_ > 10
    assert np.median(model.n_iter_task_) <= 60
    own = np.where(X[:, -1] == 1, -1, 1) * np.sin(4 * X[:, X[:, -1].astype(int).max()])
    own = own * (X[:, -1] + 1)
    model = RMTGBRegressor(task_feature=-1, random_state=0).fit(X, own)
    assert model.n_iter_shared_ <= model.n_iter_shared
    assert set(model.validation_score_) >= {"task"}


def test_validation_curves_match_staged_predictions():
    """With rows given by the user, the curve of stage 1 is the loss of staged predictions.

    Not where offsets are estimated between rounds: staged predictions have the last ones.
    """
    X, y = task_data(n_rows=600)
    settings = {"task_baseline": "global", "early_stopping": True, "n_iter_no_change": 99}
    model = regressor(n_iter_partition=0, n_iter_task=0, **settings)
    model.fit(X[:400], y[:400], X_val=X[400:], y_val=y[400:])
    curve = model.validation_score_["shared"][1 : model.n_iter_shared_ + 1]
    staged = [0.5 * np.mean((p - y[400:]) ** 2) for p in model.staged_predict(X[400:])]
    np.testing.assert_allclose(curve, staged, rtol=1e-9)


def test_baseline_is_the_empirical_bayes_mean():
    """Task means are shrunken by within / (within + n * between), as by hand."""
    rng = np.random.default_rng(0)
    sizes = np.array([3, 10, 50, 200])
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    task = np.repeat(np.arange(4), sizes)
    y = np.array([0.0, 3.0, 6.0, 9.0])[task] + rng.standard_normal(task.size)
    baseline = fit_baseline("shrunken", make_loss("squared_error"), y, np.ones(y.size), offsets)
    means = np.array([y[task == t].mean() for t in range(4)])
    kept = (baseline.baseline[:, 0] - baseline.population) / (means - baseline.population)
    assert np.all(np.diff(kept) > 0)
    assert np.all((kept > 0.5) & (kept < 1))
    within = ((y - means[task]) ** 2).sum() / (y.size - 4)
    ratio = (1 / kept - 1) * sizes  # within / between, the same for every task
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-6)
    assert 4 < within / ratio[0] < 16  # the variance of 0, 3, 6, 9 by rows, and by tasks


@pytest.mark.parametrize("kind", ["global", "zero"])
def test_other_baselines(kind):
    """The best constant for all rows, or zero."""
    X, y = task_data()
    model = regressor(task_baseline=kind, n_iter_shared=0, n_iter_partition=0, n_iter_task=0)
    expected = y.mean() if kind == "global" else 0.0
    np.testing.assert_allclose(model.fit(X, y).predict(X), expected)


def test_a_task_with_one_class_or_one_row():
    """The shared parts carry it, and its probabilities stay inside (0, 1)."""
    X, y = task_data(n_rows=300)
    label = (y > np.median(y)).astype(int)
    label[X[:, -1] == 2] = 1
    X[0, -1] = 77
    probability = classifier().fit(X, label).predict_proba(X)
    assert np.all((probability > 0) & (probability < 1))


def test_many_tasks():
    """Ten thousand tasks of three rows."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((30_000, 2)), np.arange(30_000) % 10_000])
    y = X[:, 0] + 0.1 * rng.standard_normal(30_000)
    model = regressor(min_samples_leaf_task=1).fit(X, y)
    assert model.n_tasks_ == 10_000
    assert model.score(X, y) > 0.5


@pytest.mark.parametrize("n_features", [1, 2000])
def test_one_feature_and_two_thousand(n_features):
    """Few and many features; histograms of many are not all kept."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_normal((400, n_features)), np.arange(400) % 2])
    y = X[:, 0] * (1 + X[:, -1])
    assert regressor(learning_rate=0.3).fit(X, y).score(X, y) > 0.5


@pytest.mark.slow
def test_a_million_rows():
    """All three stages on 1,000,000 rows of 100 tasks."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((1_000_000, 11), dtype=np.float32)
    X[:, -1] = np.arange(1_000_000) % 100
    y = X[:, 0] + np.where(X[:, -1] > 95, -X[:, 1], X[:, 1])
    model = regressor(learning_rate=0.3, min_samples_leaf=20).fit(X, y)
    assert model.score(X, y) > 0.8
