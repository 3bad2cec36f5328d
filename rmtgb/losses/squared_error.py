"""Half squared error: the mean of the target, identity link."""

from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.engine.jit import inner
from rmtgb.losses.base import Loss


@inner
def value(y: float, raw: float, parameter: float) -> float:
    """Half the squared residual.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Not read.

    Returns
    -------
    float
        ``(y - raw)**2 / 2``. The half makes the hessian 1, as in scikit-learn's
        histogram gradient boosting.
    """
    residual = y - raw
    return 0.5 * residual * residual


@inner
def gradient_hessian(y: float, raw: float, parameter: float) -> tuple[float, float]:
    """First and second derivative with respect to the raw prediction.

    Parameters
    ----------
    y, raw : float
        Target and raw prediction, in units of the target.
    parameter : float
        Not read.

    Returns
    -------
    gradient, hessian : float
        ``raw - y`` and 1.
    """
    return raw - y, 1.0


@dataclass(frozen=True)
class SquaredError(Loss):
    """Half the squared residual; the mean."""

    name = "squared_error"
    code = 0
    constant_hessian = True
    value = staticmethod(value)
    gradient_hessian = staticmethod(gradient_hessian)

    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the weighted mean."""
        return np.array([np.average(y, weights=sample_weight)])
