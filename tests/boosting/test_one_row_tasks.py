"""Tasks of one row each: their offsets must not take what features explain."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import r2_score

from rmtgb import RMTGBRegressor
from rmtgb.losses import make_loss
from rmtgb.tasks.baseline import fit_baseline

QUICK = {"n_iter_shared": 100, "n_iter_partition": 20, "n_iter_task": 20, "learning_rate": 0.1}


def rows(n, rng):
    x = rng.normal(size=(n, 2))
    return x, 2 * x[:, 0] + np.sin(2 * x[:, 1]) + 0.3 * rng.normal(size=n)


def score_on_unseen_tasks(task, loss="squared_error"):
    rng = np.random.default_rng(3)
    (x, y), (x_new, y_new) = rows(task.size, rng), rows(500, rng)
    X = pd.DataFrame(x, columns=["a", "b"]).assign(task=task)
    X_new = pd.DataFrame(x_new, columns=["a", "b"]).assign(task=-1)
    model = RMTGBRegressor(task_feature="task", loss=loss, random_state=0, **QUICK).fit(X, y)
    return r2_score(y_new, model.predict(X_new)), model


@pytest.mark.filterwarnings("ignore:X holds:UserWarning")
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "quantile"])
def test_features_are_learned_where_each_row_is_a_task(loss):
    score, model = score_on_unseen_tasks(np.arange(600), loss)
    assert score > 0.9
    assert np.ptp(model.baseline_) == 0.0  # nothing tells a task from noise
    assert model.validation_score_  # whole tasks validate, where no task has a row to spare


@pytest.mark.filterwarnings("ignore:X holds:UserWarning")
@pytest.mark.parametrize("n_shared", [30, 6])
def test_and_where_most_rows_are(n_shared):
    task = np.arange(600)
    task[:n_shared] = 10_000 + np.arange(n_shared) % 3
    assert score_on_unseen_tasks(task)[0] > 0.85


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_offsets_are_kept_where_tasks_have_rows(loss):
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 401, 10)
    y = np.repeat(rng.normal(size=40), 10) + 0.1 * rng.normal(size=400)
    baseline = fit_baseline("shrunken", make_loss(loss), y, np.ones(400), offsets)
    means = y.reshape(40, 10).mean(axis=1)
    # shrunken by a noise of 0.1 on ten rows beside a spread of one
    np.testing.assert_allclose(baseline.baseline[:, 0], means, atol=0.1)


def test_few_replications_make_offsets_cautious():
    # 100 tasks of one row and one of three, which happen to be nearly equal
    rng = np.random.default_rng(0)
    offsets = np.append(np.arange(101), 103)
    y = rng.normal(size=103)
    y[100:] = [0.3, 0.6, 0.0]
    baseline = fit_baseline("shrunken", make_loss("squared_error"), y, np.ones(103), offsets)
    kept = np.std(baseline.baseline[:100, 0]) / np.std(y[:100])
    assert kept < 0.8  # 0.90 if the little noise that is seen were believed
