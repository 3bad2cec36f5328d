"""The one place where kernels choose a formula by the number of the loss.

Everything here works on a range of rows, so that several threads can share the work.
A row's gradient depends on that row alone: how the rows are divided changes no bit.
"""

import numpy as np
from numpy.typing import NDArray

from rmtgb.engine.jit import inner, kernel
from rmtgb.losses import absolute_and_quantile, huber, log_loss, poisson, squared_error
from rmtgb.losses.codes import (
    ABSOLUTE_ERROR,
    HUBER,
    LOG_LOSS_MULTICLASS,
    POISSON,
    QUANTILE,
    SQUARED_ERROR,
)


@inner
def pointwise_value(code: int, parameter: float, y: float, raw: float) -> float:
    """Loss of one row under a loss with one output.

    Parameters
    ----------
    code : int
        Number of the loss, any of :mod:`rmtgb.losses.codes` but the multiclass one.
    parameter : float
        The loss's own parameter, ``Loss.parameter``.
    y, raw : float
        Target and raw prediction.

    Returns
    -------
    float
        The loss of a row of unit weight.
    """
    if code == SQUARED_ERROR:
        return squared_error.value(y, raw, parameter)
    if code == ABSOLUTE_ERROR:
        return absolute_and_quantile.absolute_value(y, raw, parameter)
    if code == HUBER:
        return huber.value(y, raw, parameter)
    if code == QUANTILE:
        return absolute_and_quantile.quantile_value(y, raw, parameter)
    if code == POISSON:
        return poisson.value(y, raw, parameter)
    return log_loss.value(y, raw, parameter)


@inner
def pointwise_gradient_hessian(
    code: int, parameter: float, y: float, raw: float
) -> tuple[float, float]:
    """Gradient and hessian of one row under a loss with one output.

    Parameters
    ----------
    code : int
        Number of the loss, any of :mod:`rmtgb.losses.codes` but the multiclass one.
    parameter : float
        The loss's own parameter, ``Loss.parameter``.
    y, raw : float
        Target and raw prediction.

    Returns
    -------
    gradient, hessian : float
        Derivatives by the raw prediction, of a row of unit weight.
    """
    if code == SQUARED_ERROR:
        return squared_error.gradient_hessian(y, raw, parameter)
    if code == ABSOLUTE_ERROR:
        return absolute_and_quantile.absolute_gradient_hessian(y, raw, parameter)
    if code == HUBER:
        return huber.gradient_hessian(y, raw, parameter)
    if code == QUANTILE:
        return absolute_and_quantile.quantile_gradient_hessian(y, raw, parameter)
    if code == POISSON:
        return poisson.gradient_hessian(y, raw, parameter)
    return log_loss.gradient_hessian(y, raw, parameter)


@kernel
def fill_gradients(
    start: int,
    stop: int,
    code: int,
    parameter: float,
    y: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    raw: NDArray[np.float64],
    gradient: NDArray[np.float64],
    hessian: NDArray[np.float64],
) -> None:
    """Write the weighted gradients and hessians of a range of rows.

    Parameters
    ----------
    start, stop : int
        First row, and the one after the last.
    code : int
        Number of the loss, of :mod:`rmtgb.losses.codes`.
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
        elif code == LOG_LOSS_MULTICLASS:
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
    y: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    raw: NDArray[np.float64],
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
        Number of the loss, of :mod:`rmtgb.losses.codes`.
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
        if code == LOG_LOSS_MULTICLASS:
            total += weight * log_loss.multiclass_value(row, y[row], raw)
        else:
            total += weight * pointwise_value(code, parameter, y[row], raw[0, row])
    return total
