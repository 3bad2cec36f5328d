"""Losses against scikit-learn's.

Same conventions throughout: halves, no constant terms, diagonal softmax hessian.
"""

import numpy as np
import pytest

from rmtgb.losses import gradients
from tests.losses.cases import DELTA, LEVEL, LOSSES, N_CLASSES, draw, every_loss, values_of

# A private module: should it move, these tests are skipped and nothing else breaks.
sklearn_loss = pytest.importorskip("sklearn._loss.loss")

TWINS = {
    "squared_error": sklearn_loss.HalfSquaredError(),
    "absolute_error": sklearn_loss.AbsoluteError(),
    "huber": sklearn_loss.HuberLoss(delta=DELTA),
    "quantile": sklearn_loss.PinballLoss(quantile=LEVEL),
    # "Half" is half the deviance, which is the likelihood: no factor of 2.
    "poisson": sklearn_loss.HalfPoissonLoss(),
    "binary": sklearn_loss.HalfBinomialLoss(),
    "multiclass": sklearn_loss.HalfMultinomialLoss(n_classes=N_CLASSES),
}


@every_loss
def test_values_and_derivatives(key):
    loss, twin = LOSSES[key], TWINS[key]
    y, raw, weights = draw(key, 4)
    weights = weights.astype(float)
    theirs = np.ascontiguousarray(raw.T) if loss.n_outputs > 1 else raw[0]
    np.testing.assert_allclose(
        values_of(loss, y, raw), twin.loss(y, theirs), rtol=1e-10, atol=1e-13
    )
    g, h = gradients(loss, y, raw, weights)
    their_g, their_h = twin.gradient_hessian(y, theirs, sample_weight=weights)
    np.testing.assert_allclose(g, np.atleast_2d(their_g.T), rtol=1e-10, atol=1e-13)
    # Their Huber loss reports the second derivative, ours the curvature of a majoriser.
    if key != "huber":
        np.testing.assert_allclose(h, np.atleast_2d(their_h.T), rtol=1e-10, atol=1e-13)


# Their Huber intercept is a single step of an iteration, ours the minimiser.
@pytest.mark.parametrize("key", [key for key in LOSSES if key != "huber"])
def test_intercepts(key):
    y, _, weights = draw(key, 5)
    theirs = TWINS[key].fit_intercept_only(y, sample_weight=weights.astype(float))
    ours = LOSSES[key].fit_intercept(y, weights.astype(float))
    np.testing.assert_allclose(ours, np.ravel(theirs), rtol=1e-10, atol=1e-12)
