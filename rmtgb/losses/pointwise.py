"""The one place where kernels choose a formula by the number of the loss.

Everything here works on a range of rows, so that several threads can share the work.
A row's gradient depends on that row alone: how the rows are divided changes no bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.engine.jit import kernel, part
from rmtgb.losses import log_loss
from rmtgb.losses.base import Loss
from rmtgb.losses.registry import ONE_OUTPUT

_MULTICLASS = log_loss.MulticlassLogLoss.code


def _choice(formulas: Sequence[tuple[int, Callable[..., Any]]]) -> Callable[..., Any]:
    """Return a function of (code, parameter, y, raw) that calls the formula of a code.

    Each function asks for one code and leaves the others to the next; the compiler makes one
    function of them all. The last formula is not asked for.
    """
    code_here, formula = formulas[0]
    if len(formulas) == 1:

        @part
        def last(code: int, parameter: float, y: float, raw: float) -> Any:
            return formula(y, raw, parameter)

        return last
    others = _choice(formulas[1:])

    @part
    def choose(code: int, parameter: float, y: float, raw: float) -> Any:
        if code == code_here:
            return formula(y, raw, parameter)
        return others(code, parameter, y, raw)

    return choose


#: Loss of one row of unit weight, and its gradient and hessian, under a loss with one output.
pointwise_value = _choice([(loss.code, loss.value) for loss in ONE_OUTPUT])
pointwise_gradient_hessian = _choice([(loss.code, loss.gradient_hessian) for loss in ONE_OUTPUT])


@kernel
def fill_gradients(
    start: int,
    stop: int,
    code: int,
    parameter: float,
    y: FloatArray,
    sample_weight: FloatArray,
    raw: FloatArray,
    gradient: FloatArray,
    hessian: FloatArray,
) -> None:
    """Write the weighted gradients and hessians of a range of rows.

    Parameters
    ----------
    start, stop : int
        First row, and the one after the last.
    code : int
        ``Loss.code``.
    parameter : float
        The loss's own parameter, ``Loss.parameter``.
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets (class numbers for log loss), and weights >= 0.
    raw : ndarray of float64 of shape (K, n)
        Raw predictions, finite.
    gradient : ndarray of float64 of shape (K, n)
        OUT, columns start to stop: the derivative times the weight. Rows of weight 0 get
        exactly 0, whatever their target and prediction.
    hessian : ndarray of float64 of shape (K, n) or (K, 0)
        OUT, likewise; without columns it is not wanted.
    """
    wanted = hessian.shape[1] > 0
    for row in range(start, stop):
        weight = sample_weight[row]
        if weight == 0.0:
            for k in range(raw.shape[0]):
                gradient[k, row] = 0.0
                if wanted:
                    hessian[k, row] = 0.0
        elif code == _MULTICLASS:
            log_loss.multiclass_gradient_hessian(row, y[row], weight, raw, gradient, hessian)
        else:
            g, h = pointwise_gradient_hessian(code, parameter, y[row], raw[0, row])
            gradient[0, row] = weight * g
            if wanted:
                hessian[0, row] = weight * h


@kernel
def sum_losses(
    start: int,
    stop: int,
    code: int,
    parameter: float,
    y: FloatArray,
    sample_weight: FloatArray,
    raw: FloatArray,
) -> float:
    """Weighted sum of the losses of a range of rows, added in row order.

    Partial sums of two ranges add up to the sum of their union only up to rounding:
    threads that need equal bits divide the rows at places that do not depend on the
    number of threads.

    Parameters
    ----------
    start, stop : int
        First row, and the one after the last.
    code : int
        ``Loss.code``.
    parameter : float
        The loss's own parameter, ``Loss.parameter``.
    y, sample_weight : ndarray of float64 of shape (n,)
        Targets (class numbers for log loss), and weights >= 0.
    raw : ndarray of float64 of shape (K, n)
        Raw predictions, finite.

    Returns
    -------
    float
        Sum of weight times loss; rows of weight 0 are skipped.
    """
    total = 0.0
    for row in range(start, stop):
        weight = sample_weight[row]
        if weight == 0.0:
            continue
        if code == _MULTICLASS:
            total += weight * log_loss.multiclass_value(row, y[row], raw)
        else:
            total += weight * pointwise_value(code, parameter, y[row], raw[0, row])
    return total


def mean_loss(loss: Loss, y: FloatArray, raw: FloatArray, sample_weight: FloatArray) -> float:
    """Weighted mean of a loss.

    Parameters
    ----------
    loss : Loss
    y : ndarray of float64 of shape (n,)
        Targets.
    raw : ndarray of float64 of shape (K, n)
        Raw predictions.
    sample_weight : ndarray of float64 of shape (n,)
        Weights >= 0.

    Returns
    -------
    float
        The mean; NaN where no row has a positive weight.
    """
    total_weight = float(np.sum(sample_weight))
    if not total_weight > 0.0:
        return float("nan")
    y, raw, sample_weight = _as_kernels_take_them(y, raw, sample_weight)
    total = sum_losses(0, y.size, loss.code, loss.parameter, y, sample_weight, raw)
    return float(total) / total_weight


def gradients(
    loss: Loss, y: FloatArray, raw: FloatArray, sample_weight: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gradients and hessians of all rows, in new arrays.

    Parameters
    ----------
    loss : Loss
    y : ndarray of float64 of shape (n,)
        Targets.
    raw : ndarray of float64 of shape (K, n)
        Raw predictions.
    sample_weight : ndarray of float64 of shape (n,)
        Weights >= 0.

    Returns
    -------
    gradient, hessian : ndarray of float64 of shape (K, n)
        Derivatives by the raw prediction, times the weight. What stands for the
        hessian where a loss has none is said in the file of the loss.
    """
    y, raw, sample_weight = _as_kernels_take_them(y, raw, sample_weight)
    gradient, hessian = np.empty_like(raw), np.empty_like(raw)
    fill_gradients(0, y.size, loss.code, loss.parameter, y, sample_weight, raw, gradient, hessian)
    return gradient, hessian


def _as_kernels_take_them(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Give arrays the one type for which kernels are compiled; mostly a no-op."""
    return tuple(np.require(array, np.float64, ["C", "W"]) for array in arrays)
