"""Losses without a closed solution: the penalised minimum, and what keeps it finite."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize

from rmtgb.linear.fit import MixedData, fit_mixed
from rmtgb.losses import make_loss, mean_loss
from rmtgb.losses.huber import Huber
from tests.linear.cases import columns_of, mixed_data
from tests.oracles import linear as oracle


@pytest.mark.parametrize("loss", ["log_loss", "multiclass", "poisson", "huber"])
def test_the_minimum_is_that_of_a_general_optimiser(loss):
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 120)
    data = mixed_data(n_numbers=2, n_levels=3, loss=loss, weight=weight)
    if loss == "huber":
        data = replace(data, loss=Huber(1.0))
    model = fit_mixed(data)
    F = columns_of(model.design, data.X)
    ratios = [v.ratios for v in model.variances]
    arguments = (
        F, data.y, weight, data.task, data.n_tasks, ratios, [v.ridge for v in model.variances],
        loss,
    )  # fmt: skip
    found = np.concatenate(
        [np.concatenate([f, e.ravel()]) for f, e in zip(model.fixed, model.effects, strict=True)]
    )
    best = scipy.optimize.minimize(
        oracle.penalised_loss, found, args=arguments, method="L-BFGS-B",
        options={"maxfun": 10**6, "ftol": 1e-15, "gtol": 1e-8},
    )  # fmt: skip
    # steps end where they take a billionth off the loss; the last ones of Huber's are short
    share = 1e-6 if loss == "huber" else 1e-7
    assert oracle.penalised_loss(found, *arguments) <= best.fun + share * abs(best.fun)
    scale = np.abs(best.x).max()
    np.testing.assert_allclose(found, best.x, atol=(5e-3 if loss == "huber" else 1e-3) * scale)


@pytest.mark.parametrize(
    ("loss", "least"), [("log_loss", 0.75), ("multiclass", 0.8), ("poisson", 0.75)]
)
def test_tasks_are_told_apart(loss, least):
    data = mixed_data(n_rows=600, loss=loss)
    model, half = fit_mixed(replace(data, weight=np.arange(600) % 2.0)), np.arange(600) % 2 == 0
    weight = half.astype(float)
    found = mean_loss(data.loss, data.y, model.predict(data.X, data.task), weight)
    intercept = data.loss.fit_intercept(data.y, 1.0 - weight)
    constant = mean_loss(data.loss, data.y, np.repeat(intercept[:, None], 600, axis=1), weight)
    pooled = mean_loss(data.loss, data.y, model.predict(data.X, np.full(600, -1)), weight)
    if loss != "poisson":  # whose value may be negative
        assert found < least * constant
    assert found < pooled < constant


def test_separable_classes_have_finite_odds():
    X = np.linspace(-1.0, 1.0, 100)[:, None]
    y, task = (X[:, 0] > 0).astype(float), np.arange(100) % 4
    data = MixedData(
        X, np.zeros(1, bool), y, task, 4, np.ones(100), make_loss("log_loss", n_classes=2)
    )
    raw = fit_mixed(data).predict(X, task)
    assert np.abs(raw).max() < 40
    assert ((raw[0] > 0) == y).all()


def test_counts_that_vary_too_much_are_not_believed():
    # all counts of a task are moved by the same noise: 400 times what a Poisson variable has
    rng = np.random.default_rng(0)
    task = np.repeat(np.arange(20), 10)
    y = rng.poisson(20 * rng.gamma(0.05, 20, 200)).astype(float)
    data = MixedData(
        np.zeros((200, 0)), np.zeros(0, bool), y, task, 20, np.ones(200), make_loss("poisson")
    )
    effects = fit_mixed(data).effects[0, :, 0]
    means = np.log(np.maximum([y[task == t].mean() for t in range(20)], 1e-3) / y.mean())
    assert np.abs(effects).max() < 0.5 * np.abs(means).max()


def test_heavy_tails_of_counts_leave_predictions_finite():
    rng = np.random.default_rng(0)
    X = np.exp(3 * rng.normal(size=(500, 3)))
    y = rng.poisson(np.exp(np.clip(np.log(X[:, 0]) * 2, -5, 12))).astype(float)
    data = MixedData(
        X, np.zeros(3, bool), y, np.arange(500) % 7, 7, np.ones(500), make_loss("poisson")
    )
    raw = fit_mixed(data).predict(np.vstack([X, 1e6 * X]), np.arange(1000) % 7)
    assert np.isfinite(raw).all()
    assert raw.max() < 2 * np.log(y.max())


@pytest.mark.parametrize("level", [0.1, 0.5, 0.9])
def test_a_quantile_has_its_share_of_rows_below(level):
    data = mixed_data(n_rows=400)
    data = replace(data, loss=make_loss("quantile", quantile=level))
    raw = fit_mixed(data).predict(data.X, data.task)[0]
    assert np.mean(data.y < raw) == pytest.approx(level, abs=0.01)


def test_wild_targets_do_not_move_robust_losses():
    data = mixed_data(n_rows=300)
    wild = data.y.copy()
    wild[::30] += 1e4
    calm = fit_mixed(data).predict(data.X, data.task)[0]
    for loss in (make_loss("absolute_error"), make_loss("huber", huber_delta=1.35, y=wild)):
        raw = fit_mixed(replace(data, y=wild, loss=loss)).predict(data.X, data.task)[0]
        assert np.abs(raw - calm).mean() < 0.5
