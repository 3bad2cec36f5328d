"""The package as plain Python: the kernels are the same functions, only slower."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
CASES = ("squared_error", "absolute_error", "poisson", "log_loss", "validated")


def fit_and_predict(case):
    """Predictions of a tiny model of all three stages, on 60 rows of two tasks."""
    from rmtgb import RMTGBClassifier, RMTGBRegressor

    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(60, 2)).round(1), rng.integers(0, 4, 60)])
    task = np.arange(60) % 2
    y = X[:, 0] * (1 - 2 * task) + X[:, 2] + rng.normal(size=60)
    X[rng.random(X.shape) < 0.1] = np.nan
    common = {
        "n_iter_shared": 2,
        "n_iter_partition": 2,
        "n_iter_task": 2,
        "min_samples_leaf": 5,
        "max_leaf_nodes": 4,
        "early_stopping": case == "validated",
        "max_bins": 16,
        "categorical_features": [2],
        "max_features": 0.7,
        "random_state": 0,
    }
    if case == "log_loss":
        model = RMTGBClassifier(**common).fit(X, np.digitize(y, [0.0, 2.0]), task=task)
        return model.predict_proba(X, task=task)
    loss = "squared_error" if case == "validated" else case
    model = RMTGBRegressor(loss=loss, subsample=0.9, **common)
    target = np.exp(0.3 * y).round() if case == "poisson" else y
    weight = 1.0 + (np.arange(60) % 3 == 0) if case == "squared_error" else None
    model.fit(X, target, task=task, sample_weight=weight)
    new = np.vstack([X, X + 0.05])
    new[60:, 2] = X[:, 2]
    return model.predict(new, task=np.tile(task, 2))


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Predictions of all cases from a process that compiles nothing."""
    path = tmp_path_factory.mktemp("plain") / "predictions.npz"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    # numpy warns of the wrap-around of unsigned integers, which the random numbers want
    subprocess.run(
        [sys.executable, "-W", "ignore:overflow", __file__, str(path)],
        env=environment,
        check=True,
        cwd=ROOT,
        timeout=300,
    )
    with np.load(path) as predictions:
        return dict(predictions)


@pytest.mark.parametrize("case", CASES)
def test_same_predictions(plain, case):
    compiled = fit_and_predict(case)
    assert np.unique(compiled).size > 10
    # compiled code may contract or reorder nothing, but exp and log come from other libraries
    np.testing.assert_allclose(plain[case], compiled, rtol=1e-12, atol=1e-12)


if __name__ == "__main__":
    np.savez(sys.argv[1], **{name: fit_and_predict(name) for name in CASES})
