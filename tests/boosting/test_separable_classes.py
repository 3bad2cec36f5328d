"""Classes that trees tell apart without error, and no penalty: hessians vanish."""

import warnings

import numpy as np
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor


def separable(n_classes):
    """Features with the task as the last column, and classes that follow from the first."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.uniform(-1, 1, (400, 3)), np.arange(400) % 6])
    return X, np.digitize(X[:, 0], np.linspace(-1, 1, n_classes + 1)[1:-1])


@pytest.mark.parametrize("early_stopping", ["auto", False])
@pytest.mark.parametrize("learning_rate", [0.05, 1.0])
@pytest.mark.parametrize("linear_leaves", [False, True])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_raw_predictions_do_not_run_away(n_classes, linear_leaves, learning_rate, early_stopping):
    """The search for lengths and fixed ones have no other numbers."""
    X, y = separable(n_classes)
    settings = dict.fromkeys(("n_iter_shared", "n_iter_partition", "n_iter_task"), 100)
    settings |= {"min_samples_leaf": 1, "min_samples_leaf_task": 1, "l2_regularization": 0.0}
    settings |= {"learning_rate": learning_rate, "linear_leaves": linear_leaves}
    model = RMTGBClassifier(task_feature=-1, random_state=0, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(early_stopping=early_stopping).fit(X, y)
        raw = model.decision_function(X)
        assert np.isfinite(raw).all()
        assert np.isfinite(model.predict_proba(X)).all()
    assert model.score(X, y) > 0.99
    assert np.abs(raw).max() < 30.0, "probabilities within 1e-13 of 0 and 1 are enough"


@pytest.mark.parametrize("linear_leaves", [False, True])
def test_counts_of_zero_without_a_penalty(linear_leaves):
    """Leaves without a count have no finite minimiser."""
    X, y = separable(2)
    settings = {"l2_regularization": 0.0, "min_samples_leaf": 1, "min_samples_leaf_task": 1}
    settings |= dict.fromkeys(("n_iter_shared", "n_iter_partition", "n_iter_task"), 100)
    model = RMTGBRegressor(
        task_feature=-1, loss="poisson", linear_leaves=linear_leaves, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prediction = model.set_params(random_state=0).fit(X, 5.0 * y).predict(X)
    assert np.isfinite(prediction).all()
    np.testing.assert_allclose(prediction, 5.0 * y, atol=0.5)
