"""The losses and rows that the tests of this folder share."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from rmtgb.losses import make_loss, mean_loss

DELTA = 0.8
LEVEL = 0.3
N_CLASSES = 4


def huber_of(delta):
    """A Huber loss with delta in units of y: the targets -1 and 1 have MAD 1."""
    return make_loss("huber", huber_delta=delta / 1.4826, y=np.array([-1.0, 1.0]))


LOSSES = {
    "squared_error": make_loss("squared_error"),
    "absolute_error": make_loss("absolute_error"),
    "huber": huber_of(DELTA),
    "quantile": make_loss("quantile", quantile=LEVEL),
    "poisson": make_loss("poisson"),
    "binary": make_loss("log_loss", n_classes=2),
    "multiclass": make_loss("log_loss", n_classes=N_CLASSES),
}
ONE_OUTPUT = [key for key in LOSSES if key != "multiclass"]
# The others report a hessian that is deliberately not the second derivative.
TRUE_HESSIAN = ["squared_error", "poisson", "binary", "multiclass"]

every_loss = pytest.mark.parametrize("key", LOSSES)
without_deadline = settings(deadline=None, max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def draw(key, seed, n=40):
    """Targets, raw predictions (K, n) and integer weights, some of them zero."""
    rng = np.random.default_rng(seed)
    if key == "poisson":
        y = rng.poisson(2.0, n).astype(float)
        y[0] = 1.0
    elif key == "binary":
        y = rng.integers(0, 2, n).astype(float)
    elif key == "multiclass":
        y = rng.integers(0, N_CLASSES, n).astype(float)
    else:
        y = rng.normal(scale=2.0, size=n)
    raw = rng.normal(scale=2.0, size=(LOSSES[key].n_outputs, n))
    weights = rng.integers(0, 4, n)
    weights[0] = 1
    return y, raw, weights


def values_of(loss, y, raw):
    """Unweighted loss of each row, through the public method."""
    one = np.ones(1)
    return np.array([mean_loss(loss, y[i : i + 1], raw[:, i : i + 1], one) for i in range(y.size)])
