"""What must not change a prediction, and what must change it in a known way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

from rmtgb.datasets import make_task_scenario
from tests.boosting.helpers import QUICK, classifier, regressor, task_data

LOSSES = ("squared_error", "absolute_error", "huber", "quantile")
seeds = st.integers(0, 10_000)


def predictions(model, X, y, X_new, **fit):
    """Fit and predict."""
    return model.fit(X, y, **fit).predict(X_new)


@given(seeds)
def test_row_order_does_not_matter(seed):
    """Rows in another order give the same model up to rounding."""
    X, y = task_data(seed=seed)
    order = np.random.default_rng(seed).permutation(len(y))
    expected = predictions(regressor(), X, y, X)
    np.testing.assert_allclose(predictions(regressor(), X[order], y[order], X), expected, 1e-8)


@pytest.mark.parametrize("splitter", ["auto", "random"])
@given(seeds)
def test_task_labels_do_not_matter(splitter, seed):
    """Other labels for the same tasks give the same predictions up to rounding."""
    X, y = task_data(seed=seed)
    renamed = X.copy()
    renamed[:, -1] = np.array([7.0, -2.0, 100.0, 3.0])[X[:, -1].astype(int)]
    expected = predictions(regressor(splitter=splitter), X, y, X)
    np.testing.assert_allclose(
        predictions(regressor(splitter=splitter), renamed, y, renamed),
        expected,
        rtol=1e-8,
        atol=1e-10,
    )


def test_task_labels_do_not_matter_where_lengths_are_chosen():
    X, y = make_task_scenario(
        "outliers", n_tasks=6, n_samples_per_task=60, noise=0.1, random_state=0
    )
    renamed = np.column_stack([X[:, :-1], 9.0 - X[:, -1]])
    limits = {"n_iter_shared": 200, "n_iter_partition": 200, "n_iter_task": 200}
    model = regressor(early_stopping=True, **limits)
    expected = predictions(model, X, y, X)
    assert model._model.task_random_thresholds
    np.testing.assert_allclose(predictions(model, renamed, y, renamed), expected, rtol=1e-8)


@given(seeds, st.integers(0, 3))
def test_prediction_of_a_subset_has_the_same_bits(seed, task):
    """A task predicted alone gets the predictions it has in a batch."""
    X, y = task_data(seed=seed)
    model = regressor().fit(X, y)
    chosen = X[:, -1] == task
    np.testing.assert_array_equal(model.predict(X[chosen]), model.predict(X)[chosen])


@pytest.mark.slow
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
@settings(max_examples=8)  # each of some hundred rounds, twice
@given(seed=seeds)
def test_weight_is_repetition(loss, early_stopping, seed):
    """Rows repeated k times are rows of weight k, and weight zero is absence."""
    X, y = task_data(n_rows=160, seed=seed)
    weight = np.random.default_rng(seed).integers(0, 4, len(y))
    weight[:8] = 1
    again = np.repeat(np.arange(len(y)), weight)
    # all plans together: test_repetition.py
    settings = {"task_baseline": "shrunken", "task_descriptors": False}
    settings |= {"early_stopping": early_stopping, "n_iter_no_change": 3}
    model = regressor(loss=loss, **settings)
    np.testing.assert_allclose(
        predictions(model, X, y, X, sample_weight=weight),
        predictions(model, X[again], y[again], X),
        rtol=1e-7,
        atol=1e-8,
    )


@pytest.mark.parametrize("loss", LOSSES)
@given(seed=seeds, scale=st.sampled_from([1e-6, 0.5, 1024.0, 1e6]), shift=st.floats(-5, 5))
def test_target_may_be_scaled_and_shifted(loss, seed, scale, shift):
    """Predictions follow y to other units, and outlier weights do not change at all."""
    X, y = task_data(seed=seed)
    if loss in ("absolute_error", "quantile"):  # rounding may turn a sign: use exact scales
        scale, shift = 2.0 ** round(np.log2(scale)), 0.0
    model, other = regressor(loss=loss), regressor(loss=loss)
    expected = scale * (predictions(model, X, y, X) + shift)
    np.testing.assert_allclose(
        predictions(other, X, scale * (y + shift), X), expected, rtol=1e-6, atol=1e-6 * scale
    )
    np.testing.assert_allclose(other.outlier_weights_, model.outlier_weights_, rtol=1e-6)


@given(seeds, st.integers(2, 4))
def test_repetition_of_every_row_does_not_change_theta(seed, times):
    """The gate does not depend on how many rows there are, unlike what they are evidence of."""
    X, y = task_data(seed=seed)
    settings = {
        "l2_regularization": 0.0,
        "min_samples_leaf": 1,
        "n_iter_task": 0,
        "task_baseline": "global",  # the others shrink less with more rows
    }
    once = regressor(**settings).fit(X, y)
    often = regressor(**settings).fit(np.repeat(X, times, axis=0), np.repeat(y, times))
    if np.array_equal(often.theta_ > 0.0, once.theta_ > 0.0):  # where they start
        np.testing.assert_allclose(often.theta_, once.theta_, rtol=1e-6)


ALL_AT_ONCE = {
    "subsample": 0.5,
    "max_features": 0.5,
    "categorical_features": [2],
    "early_stopping": True,
}


@pytest.mark.skipif(config.DISABLE_JIT, reason="without compilation a team is one")
@pytest.mark.parametrize(
    "parameters",
    [{}, {"subsample": 0.5}, {"max_features": 0.5}, ALL_AT_ONCE],
    ids=["plain", "subsample", "max_features", "all at once, categories, weights, stopping"],
)
@pytest.mark.parametrize("loss", [*LOSSES, "poisson", "two classes", "three classes"])
def test_threads_change_no_bit(monkeypatch, loss, parameters):
    """Any number of threads gives the same bits; large tasks are shared by the team."""
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    monkeypatch.setattr("rmtgb.boosting.stage_3_task_specific.TEAM_TASK_CODES", 4000)
    X, y = task_data(n_rows=6000)
    X[:3000, -1] = 0
    model, weight = regressor, None
    if "categorical_features" in parameters:
        X[:, 2] = np.round(3 * X[:, 2])  # NaN stays as it is
        weight = np.random.default_rng(0).choice([0.0, 0.3, 1.0, 2.5], len(y))
    if "classes" in loss:
        edges = [0.0] if loss == "two classes" else [-1.0, 1.0]
        model, y = classifier, np.digitize(y - np.median(y), edges)
    else:
        parameters = parameters | {"loss": loss}
        y = np.abs(y) if loss == "poisson" else y
    raws = []
    for n_jobs in (1, 2, 3):
        fitted = model(n_jobs=n_jobs, **parameters).fit(X, y, sample_weight=weight)
        raws.append(np.array(list(fitted.predict_parts(X).values())))
    for raw in raws[1:]:
        np.testing.assert_array_equal(raw, raws[0])


def test_same_seed_same_bits_other_seed_other_bits():
    """Random choices come from random_state alone."""
    X, y = task_data()
    settings = QUICK | {"subsample": 0.5}
    first, second = (regressor(**settings).fit(X, y).predict(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = regressor(**settings).set_params(random_state=1).fit(X, y).predict(X)
    assert not np.array_equal(first, other)
