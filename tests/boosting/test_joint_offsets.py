"""Offsets of tasks are estimated together with the shared part, not before it."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import r2_score

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.boosting import joint_offsets
from rmtgb.boosting.choose.search import LengthSearch
from rmtgb.tasks.baseline import fit_baseline

N_TASKS, N_ROWS = 60, 8


def grouped(seed, between, n_tasks=N_TASKS, noise=0.3, offset=0.5):
    """Return rows of known tasks to learn from, others of them, and rows of new tasks.

    ``between`` is the share of the features' variance that lies between tasks.
    """
    rng = np.random.default_rng(seed)
    centres, offsets = rng.normal(size=(2 * n_tasks, 3)), offset * rng.normal(size=2 * n_tasks)

    def rows(first, n_rows):
        task = np.repeat(np.arange(first, first + n_tasks), n_rows)
        within = rng.normal(size=(task.size, 3))
        X = np.sqrt(between) * centres[task] + np.sqrt(1.0 - between) * within
        y = 2.0 * X[:, 0] + np.sin(2.0 * X[:, 1]) + offsets[task]
        return np.column_stack([X, task]), y + noise * rng.normal(size=task.size)

    return rows(0, N_ROWS), rows(0, 20), rows(n_tasks, 20), offsets


def model(**parameters):
    return RMTGBRegressor(task_feature=-1, random_state=0, unknown_task="shared", **parameters)


@pytest.mark.filterwarnings("ignore:.*unseen task")
@pytest.mark.parametrize("between", [0.0, 0.9])
def test_known_and_new_tasks_are_predicted_no_worse_than_by_a_pooled_model(between):
    """What features explain is left to the trees, which know it for new tasks too."""
    scores = []
    for seed in range(3):
        (X, y), known, new, _ = grouped(seed, between)
        fitted, pooled = model().fit(X, y), RMTGBRegressor(random_state=0).fit(X[:, :-1], y)
        scores.append(
            [
                [r2_score(rows[1], fitted.predict(rows[0])) for rows in (known, new)],
                [r2_score(rows[1], pooled.predict(rows[0][:, :-1])) for rows in (known, new)],
            ]
        )
    (known, new), (known_pooled, new_pooled) = np.mean(scores, axis=0)
    assert known > 0.96
    assert known > known_pooled + 0.02
    assert new > new_pooled - 0.02


def test_offsets_are_those_of_the_data():
    """A mixed model's: shrunken means of what features leave, not of the targets."""
    (X, y), _, _, offsets = grouped(5, 0.5)
    fitted = model(n_iter_partition=0, n_iter_task=0).fit(X, y)
    found = fitted.baseline_ - fitted.baseline_.mean()
    means = np.array([y[X[:, -1] == task].mean() for task in range(N_TASKS)])
    assert np.corrcoef(found, offsets[:N_TASKS])[0, 1] > 0.8
    assert np.std(found - offsets[:N_TASKS]) < 0.25 * np.std(means - offsets[:N_TASKS])


def test_no_stage_1_no_other_offsets():
    (X, y), *_ = grouped(0, 0.0)
    fitted = model(n_iter_shared=0, early_stopping=False).fit(X, y)
    task = np.argsort(X[:, -1], kind="stable")
    offsets = np.arange(0, y.size + 1, N_ROWS)
    start = fit_baseline("shrunken", fitted._loss, y[task], np.ones(y.size), offsets)
    np.testing.assert_allclose(fitted.baseline_, start.baseline[:, 0], rtol=1e-12)


@pytest.mark.parametrize(
    ("learning_rate", "n_rounds"),
    [(0.05, 2), (0.05, 20), (0.05, 40), (0.3, 2), (0.3, 3), (0.3, 40), (1.0, 1)],
)
def test_short_stages_have_offsets_too(learning_rate, n_rounds):
    (X, y), *_ = grouped(1, 0.0, offset=2.0)
    limits = {"n_iter_shared": n_rounds, "n_iter_partition": 0, "n_iter_task": 0}
    fitted = model(learning_rate=learning_rate, early_stopping=False, **limits).fit(X, y)
    assert np.std(fitted.baseline_) > 1.0


@pytest.mark.parametrize("halves", [(7, 33), (20, 40), (20, 27), (7, 20)])
def test_two_halves_of_a_warm_start_are_the_whole(halves):
    (X, y), *_ = grouped(2, 0.5)
    limits = {"n_iter_partition": 0, "n_iter_task": 0, "early_stopping": False}
    half = model(n_iter_shared=halves[0], warm_start=True, **limits).fit(X, y)
    half.set_params(n_iter_shared=halves[1]).fit(X, y)
    whole = model(n_iter_shared=halves[1], **limits).fit(X, y)
    np.testing.assert_array_equal(half.baseline_, whole.baseline_)
    np.testing.assert_array_equal(half.predict(X), whole.predict(X))


def test_offsets_stay_where_later_stages_have_been_fitted_to_them():
    (X, y), *_ = grouped(3, 0.5)
    settings = {"early_stopping": False, "warm_start": True, "n_iter_partition": 5}
    fitted = model(n_iter_shared=25, n_iter_task=5, **settings).fit(X, y)
    before = fitted.baseline_
    fitted.set_params(n_iter_shared=60).fit(X, y)
    np.testing.assert_array_equal(fitted.baseline_, before)
    assert fitted.n_iter_shared_ == 60


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "poisson", "classes"])
def test_every_loss(loss):
    """The offsets of tasks that are the same but for a constant come out in their order."""
    rng = np.random.default_rng(4)
    task = np.repeat(np.arange(8), 60)
    X = np.column_stack([rng.normal(size=(480, 2)), task])
    raw = X[:, 0] + 0.5 * task
    limits = {"n_iter_shared": 60, "n_iter_partition": 0, "n_iter_task": 0}
    settings = {"task_feature": -1, "random_state": 0, "early_stopping": False} | limits
    if loss == "classes":
        y = rng.random(480) < 1.0 / (1.0 + np.exp(2.0 - raw))
        fitted = RMTGBClassifier(**settings).fit(X, y)
    else:
        y = rng.poisson(np.exp(raw - 2.0)) if loss == "poisson" else raw + rng.normal(size=480)
        fitted = RMTGBRegressor(loss=loss, **settings).fit(X, y)
    assert np.corrcoef(fitted.baseline_, np.arange(8))[0, 1] > 0.95


def test_estimates_are_made_once_in_a_time_constant(monkeypatch):
    calls = []
    estimate = joint_offsets.estimate_offsets

    def counted(*arguments):
        calls.append(1)
        return estimate(*arguments)

    monkeypatch.setattr(joint_offsets, "estimate_offsets", counted)
    (X, y), *_ = grouped(0, 0.0)
    limits = {"n_iter_partition": 0, "n_iter_task": 0, "early_stopping": False}
    slow = model(n_iter_shared=100, learning_rate=0.05, **limits)
    slow.fit(X, y)
    assert len(calls) == 4  # after 20, 40, 60 and 80 rounds
    calls.clear()
    clone(slow).set_params(task_baseline="global").fit(X, y)
    clone(slow).set_params(task_feature=None).fit(X[:, :-1], y)
    assert not calls


def test_a_stage_1_without_rounds_is_judged_with_offsets(monkeypatch):
    """Validation rows of another slope reject its first rounds, before offsets are estimated."""
    rng = np.random.default_rng(0)
    task, offset = np.repeat(np.arange(20), 50), 2.0 * rng.normal(size=20)
    judge, judged = LengthSearch._judge, {}

    def note(search, searches, key, random_thresholds):
        lengths = judge(search, searches, key, random_thresholds)
        judged[key] = searches[0].paths[key].rounds["shared"], lengths.loss
        return lengths

    def rows(slope):
        x = 0.1 * rng.normal(size=1000)
        return np.column_stack([x, task]), slope * x + offset[task]

    (X, y), (X_val, y_val) = rows(1.0), rows(-3.0)
    monkeypatch.setattr(LengthSearch, "_judge", note)
    settings = {"n_iter_no_change": 10, "task_descriptors": False, "task_baseline": "shrunken"}
    limits = {"n_iter_partition": 0, "n_iter_task": 0}
    model(**settings | limits).fit(X, y, X_val=X_val, y_val=y_val)
    assert judged[True, False][0] == 0
    losses = judged[True, False][1], judged[False, False][1]
    assert losses[0] == losses[1]
    unit = 2.0 ** np.ceil(np.log2(np.abs(y).max()))
    assert losses[0] * unit**2 < 2.0 * np.var(y_val - offset[task]) < 0.1 * np.var(y_val)
