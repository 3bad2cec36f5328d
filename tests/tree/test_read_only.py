"""Memory that may not be written to: nothing is compiled for it, and nothing else comes out."""

import joblib
import numpy as np
import pytest
from numba import config
from numba.core import event

from rmtgb import RMTGBRegressor
from rmtgb.tree.kernels.traversal import add_trees, fill_steps

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="nothing is compiled at all")


class Compiled(event.Listener):
    """Notes the names of functions that are compiled."""

    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(event.data["dispatcher"].py_func.__name__)

    def on_end(self, event):
        """What began is over."""


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=(400, 2)), rng.integers(0, 5, 400)])
    X[rng.random(X.shape) < 0.05] = np.nan
    task = np.arange(400) % 3
    return X, np.nan_to_num(X[:, 0]) * (1 + task) + rng.normal(size=400), task


@pytest.fixture(scope="module", params=[False, True], ids=["constant", "linear"])
def model(request, data):
    """A model with trees in all parts, that has predicted before."""
    X, y, task = data
    model = RMTGBRegressor(
        n_iter_shared=5,
        n_iter_partition=5,
        n_iter_task=5,
        linear_leaves=request.param,
        categorical_features=[2],
        early_stopping=False,
        random_state=0,
    ).fit(X, y, task=task)
    model.predict(X, task=task)
    return model


def predict_without_compiling(model, X, task):
    kernels, listener = (add_trees, fill_steps), Compiled()
    known = [kernel.signatures for kernel in kernels]
    with event.install_listener("numba:compile", listener):
        prediction = model.predict(X, task=task)
    assert listener.names == []
    assert [kernel.signatures for kernel in kernels] == known  # nor taken from a cache
    assert [len(signatures) for signatures in known] == [1, 1]
    return prediction


def test_a_model_on_a_memory_map(tmp_path, data, model):
    X, _, task = data
    joblib.dump(model, tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    nodes = mapped._model.shared.nodes
    assert not nodes.flags.writeable
    prediction = predict_without_compiling(mapped, X, task)
    np.testing.assert_array_equal(prediction, model.predict(X, task=task))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_of_any_kind(data, model, dtype, order):
    X, _, task = data
    X = np.array(X, dtype=dtype, order=order)
    expected = model.predict(X.copy(), task=task)
    X.flags.writeable = False
    task = task.copy()
    task.flags.writeable = False
    np.testing.assert_array_equal(predict_without_compiling(model, X, task), expected)


def test_training_rows_that_may_not_be_written_to(data, model):
    arrays = [a.copy() for a in (*data, np.ones(400))]
    for array in arrays:
        array.flags.writeable = False
    X, y, task, weight = arrays
    listener = Compiled()
    with event.install_listener("numba:compile", listener):
        again = type(model)(**model.get_params()).fit(X, y, task=task, sample_weight=weight)
    assert listener.names == []
    expected = model.predict(X, task=task)
    np.testing.assert_array_equal(again.predict(X, task=task), expected)
