"""One tree equal to one tree of HistGradientBoostingRegressor."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor

from rmtgb import RMTGBRegressor

#: scikit-learn computes gradients in float32: 24 bits, and sums of them cancel.
FLOAT32_GRADIENTS = 2e-6


def data(seed, n=600, missing=0.0, n_values=40):
    """Features of few values, so that both libraries give each value its own bin."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, n_values, (n, 4)) / 7.0
    X[:, 3] = rng.integers(0, 3, n)
    y = np.sin(X[:, 0]) + 0.3 * X[:, 1] * X[:, 3] + rng.normal(size=n)
    X[rng.random(X.shape) < missing] = np.nan
    return X, y


def predictions(X, y, new, max_iter=1, learning_rate=1.0, **limits):
    """Predictions of both libraries for new rows."""
    common = {
        "learning_rate": learning_rate,
        "early_stopping": False,
        "max_leaf_nodes": 31,
        "min_samples_leaf": 20,
        "max_bins": 255,
        "l2_regularization": 0.0,
        **limits,
    }
    ours = RMTGBRegressor(
        n_iter_shared=max_iter,
        n_iter_partition=0,
        n_iter_task=0,
        task_baseline="global",
        splitter="best",
        linear_leaves=False,
        **common,
    )
    theirs = HistGradientBoostingRegressor(max_iter=max_iter, **common)
    return ours.fit(X, y).predict(new), theirs.fit(X, y).predict(new)


def assert_equal(pair, tolerance=FLOAT32_GRADIENTS):
    np.testing.assert_allclose(pair[0], pair[1], rtol=tolerance, atol=tolerance)


class TestOneTree:
    @pytest.mark.parametrize(
        "limits",
        [
            {"max_leaf_nodes": 2},
            {"max_leaf_nodes": 31},
            {"max_leaf_nodes": None, "max_depth": 3},
            {"max_leaf_nodes": 12, "max_depth": 5, "min_samples_leaf": 3},
            {"max_leaf_nodes": 40, "min_samples_leaf": 1},
            {"l2_regularization": 30.0},
        ],
    )
    def test_new_rows(self, limits):
        X, y = data(0)
        # between the values, too: the thresholds must be the same
        assert_equal(predictions(X, y, data(1)[0] + 0.03, **limits))

    @pytest.mark.parametrize("limits", [{"max_leaf_nodes": 31}, {"min_samples_leaf": 2}])
    def test_missing_values(self, limits):
        X, y = data(2, missing=0.2)
        # Training rows only: in a node without missing values theirs go right, and ours
        # to the heavier child.
        assert_equal(predictions(X, y, X, **limits))

    def test_missing_values_that_tell(self):
        X, y = data(3, missing=0.2)
        y += 3.0 * np.isnan(X[:, 1])
        assert_equal(predictions(X, y, X))

    def test_quantile_bins(self):
        # More values than bins: thresholds are midpoints of neighbours with us, and
        # interpolated percentiles with them. Where each bin is to hold the same number of
        # rows both divide between the same two rows: predictions of training rows agree.
        X = np.random.default_rng(4).permutation(1000)[:, None] + 0.0
        y = np.sin(X[:, 0] / 150) + np.random.default_rng(5).normal(size=1000)
        assert_equal(predictions(X, y, X, max_bins=20))


class TestSeveralTrees:
    def test_boosting(self):
        X, y = data(6, missing=0.1)
        # errors of float32 gradients add up over the rounds
        pair = predictions(X, y, X, max_iter=10, learning_rate=0.2, max_leaf_nodes=8)
        assert_equal(pair, 10 * FLOAT32_GRADIENTS)
