"""What the rest of the package may know about a loss."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rmtgb.losses import absolute_and_quantile, huber, log_loss, poisson, squared_error
from rmtgb.losses.codes import (
    ABSOLUTE_ERROR,
    HUBER,
    LOG_LOSS_BINARY,
    LOG_LOSS_MULTICLASS,
    POISSON,
    QUANTILE,
    SQUARED_ERROR,
)
from rmtgb.losses.pointwise import fill_gradients, sum_losses

FloatArray = NDArray[np.float64]

_ONE_OUTPUT_INTERCEPTS: dict[int, Callable[[FloatArray, FloatArray, float], float]] = {
    SQUARED_ERROR: squared_error.intercept,
    ABSOLUTE_ERROR: absolute_and_quantile.absolute_intercept,
    HUBER: huber.intercept,
    QUANTILE: absolute_and_quantile.quantile_intercept,
    POISSON: poisson.intercept,
    LOG_LOSS_BINARY: log_loss.intercept,
}

#: Losses that are not listed have the identity as link.
_INVERSE_LINKS: dict[int, Callable[[FloatArray], FloatArray]] = {
    POISSON: poisson.inverse_link,
    LOG_LOSS_BINARY: log_loss.inverse_link,
    LOG_LOSS_MULTICLASS: log_loss.multiclass_inverse_link,
}


@dataclass(frozen=True)
class Loss:
    """A loss function with everything that boosting needs of it.

    Made by :func:`rmtgb.losses.make_loss`. Raw predictions always have the shape
    (K, n), also where K is 1: the grower then knows one layout only.

    Parameters
    ----------
    name : str
        Name by which users choose the loss.
    code : int
        Its number in the kernels, of :mod:`rmtgb.losses.codes`.
    parameter : float
        Delta of the Huber loss in units of the target, level of the quantile loss, 0
        for the others.
    n_outputs : int
        Number K of raw predictions per row: 1, or the number of classes if there are
        more than two.
    constant_hessian : bool
        Whether the hessian of every row equals its weight.
    leaf_quantile : float or None
        Level in (0, 1) if leaf values are to be estimated again, as the weighted
        quantile of the residuals ``y - raw`` in the leaf at this level.
    """

    name: str
    code: int
    parameter: float
    n_outputs: int
    constant_hessian: bool
    leaf_quantile: float | None

    def fit_intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Best constant raw prediction.

        Parameters
        ----------
        y : ndarray of float64 of shape (n,)
            Targets; class numbers 0, ..., n_classes - 1 for log loss.
        sample_weight : ndarray of float64 of shape (n,)
            Weights >= 0.

        Returns
        -------
        ndarray of float64 of shape (K,)
            The minimiser of the mean loss on the link scale. Always finite: means and
            shares of zero are raised to 2.2e-16 before their logarithm is taken, and
            zeros are returned where no row has a positive weight.
        """
        if not np.any(sample_weight > 0):
            return np.zeros(self.n_outputs)
        if self.code == LOG_LOSS_MULTICLASS:
            return log_loss.multiclass_intercept(y, sample_weight, self.n_outputs)
        fit = _ONE_OUTPUT_INTERCEPTS[self.code]
        return np.array([fit(y, sample_weight, self.parameter)])

    def inverse_link(self, raw: FloatArray) -> FloatArray:
        """Turn raw predictions into predictions.

        Parameters
        ----------
        raw : ndarray of float64 of shape (K, n)
            Raw predictions.

        Returns
        -------
        ndarray of float64 of shape (K, n)
            Predicted counts for poisson, probabilities of class 1 for log loss of two
            classes and of each class for more; otherwise a copy of ``raw``.
        """
        if self.code in _INVERSE_LINKS:
            return _INVERSE_LINKS[self.code](raw)
        return raw.copy()

    def mean_loss(self, y: FloatArray, raw: FloatArray, sample_weight: FloatArray) -> float:
        """Weighted mean of the loss.

        Parameters
        ----------
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
        total = sum_losses(0, y.size, self.code, self.parameter, y, sample_weight, raw)
        return float(total) / total_weight

    def gradients(
        self, y: FloatArray, raw: FloatArray, sample_weight: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Gradients and hessians of all rows, in new arrays.

        Parameters
        ----------
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
        fill_gradients(
            0, y.size, self.code, self.parameter, y, sample_weight, raw, gradient, hessian
        )
        return gradient, hessian

    def check_target(self, y: FloatArray) -> None:
        """Refuse targets for which the loss is not defined.

        Parameters
        ----------
        y : ndarray of float64 of shape (n,)
            Targets; class numbers for log loss.

        Raises
        ------
        ValueError
            If y is empty or not finite; for poisson, if a value is negative or none is
            positive; for log loss, if a value is not one of the class numbers.
        """
        if y.size == 0:
            raise ValueError(f"loss '{self.name}' needs at least one target value, y is empty.")
        finite = np.isfinite(y)
        if not finite.all():
            raise ValueError(
                f"loss '{self.name}' needs finite values in y; found {y[~finite][0]}."
            )
        if self.code == POISSON and (y.min() < 0 or y.max() == 0):
            raise ValueError(
                "loss 'poisson' needs y >= 0 with a positive sum; the smallest value "
                f"found is {y.min():g}, the sum {y.sum():g}."
            )
        if self.code in (LOG_LOSS_BINARY, LOG_LOSS_MULTICLASS):
            self._check_classes(y)

    def _check_classes(self, y: FloatArray) -> None:
        n_classes = max(2, self.n_outputs)
        foreign = (y < 0) | (y >= n_classes) | (y != np.floor(y))
        if foreign.any():
            raise ValueError(
                f"loss '{self.name}' needs class numbers 0 to {n_classes - 1} in y; "
                f"found {y[foreign][0]:g}."
            )


def _as_kernels_take_them(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """Give arrays the one layout for which kernels are compiled; mostly a no-op."""
    return tuple(np.ascontiguousarray(array, dtype=np.float64) for array in arrays)
