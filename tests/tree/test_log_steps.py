"""Leaf values where raw predictions are logarithms of means."""

import numpy as np
import pytest
from sklearn.metrics import mean_poisson_deviance

from rmtgb import RMTGBRegressor
from rmtgb.losses import gradients, make_loss


def one_leaf(y, raw=0.0, l2_regularization=0.0):
    """Return the raw prediction after one round of trees of one leaf with rate 1."""
    settings = {"n_iter_shared": 1, "n_iter_partition": 0, "n_iter_task": 0, "learning_rate": 1.0}
    settings |= {"task_baseline": "zero", "early_stopping": False, "min_samples_leaf": 10**6}
    model = RMTGBRegressor(loss="poisson", l2_regularization=l2_regularization, **settings)
    return np.log(model.fit(np.zeros((y.size, 1)), y).predict(np.zeros((1, 1))))[0]


@pytest.mark.parametrize("mean", [1.5, 50.0, 1e6])
def test_a_positive_step_of_a_constant_leaf_is_exact(mean):
    """One round from 0 reaches the logarithm of the mean, where Newton's step is mean - 1."""
    y = mean * np.array([0.5, 1.0, 1.5])
    np.testing.assert_allclose(one_leaf(y), np.log(mean), rtol=1e-6)


def test_a_negative_step_is_newtons():
    y = np.array([0.0, 0.2, 0.1])
    gradient, hessian = gradients(make_loss("poisson"), y, np.zeros((1, 3)), np.ones(3))
    np.testing.assert_allclose(one_leaf(y), -gradient.sum() / hessian.sum(), rtol=1e-6)


@pytest.mark.parametrize("linear_leaves", [False, True])
def test_heavy_tailed_counts_do_not_run_away(linear_leaves):
    """No regularisation, a rate of 1, and counts of which a few are thousands."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = rng.poisson(np.exp(X[:, 0] + 2.0 * rng.standard_t(3, 400).clip(-4, 4)))
    settings = {"n_iter_shared": 100, "n_iter_partition": 0, "n_iter_task": 0}
    settings |= {"early_stopping": False, "l2_regularization": 0.0, "learning_rate": 1.0}
    model = RMTGBRegressor(loss="poisson", random_state=0, linear_leaves=linear_leaves, **settings)
    error = mean_poisson_deviance(y, model.fit(X, y).predict(X))
    assert error < 0.5 * mean_poisson_deviance(y, np.full(400, y.mean()))


@pytest.mark.parametrize("seed", [25, 30, 38])
def test_slopes_where_known_rows_weigh_nothing(seed):
    """Huge counts, most without a value, beside zeros whose hessians round to nothing."""
    rng = np.random.default_rng(seed)
    X, is_huge = rng.normal(size=(200, 3)), rng.random(200) < 0.3
    y = np.where(is_huge, rng.poisson(1e9, 200), 0).astype(float)
    y[~is_huge] = rng.random((~is_huge).sum()) < 0.02
    X[is_huge & (rng.random(200) < 0.95), 0] = np.nan
    settings = {"n_iter_shared": 60, "n_iter_partition": 0, "n_iter_task": 0}
    settings |= {"early_stopping": False, "learning_rate": 1.0, "max_leaf_nodes": 16}
    model = RMTGBRegressor(loss="poisson", random_state=seed, **settings).fit(X, y)
    assert np.isfinite(model._model.shared.slopes["coefficient"]).all()
    assert np.isfinite(model.predict(X)).all()
