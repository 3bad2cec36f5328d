"""The contract of a loss: all that the rest of the package may know about it."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

from rmtgb._common import FloatArray

Losses = TypeVar("Losses", float, FloatArray)


@dataclass(frozen=True)
class Loss(ABC):
    """A loss function with everything that boosting needs of it.

    A subclass stands in the file of its family, with its formulas, and is listed in
    ``rmtgb.losses.registry``. Instances hold numbers only and can be pickled. Raw predictions
    always have the shape (K, n), also where K is 1: kernels then know one layout only.

    Attributes
    ----------
    name : str
        Name by which users choose the loss.
    code : int
        Number by which compiled functions tell losses apart, each its own.
    constant_hessian : bool
        Whether the hessian of every row equals its weight.
    is_scale_free : bool
        Whether a multiple of the target has that multiple of the prediction.
    degree : int
        Power of the unit of the target that a scale-free loss is in.
    is_likelihood : bool
        Whether it is a negative log-likelihood on a logarithmic scale: its gradients have a known
        variance, and raw predictions may run away.
    has_log_link : bool
        Whether a raw prediction is the logarithm of a mean.
    value, gradient_hessian : callable
        Compiled functions of (y, raw, parameter) for one row of unit weight: the loss, and its
        first two derivatives by the raw prediction. What stands for the hessian where a loss has
        none is said there. Losses of several outputs have formulas of their own, see
        ``rmtgb.losses.pointwise``.
    parameter : float
        Delta of the Huber loss in units of the target, level of the quantile loss, 0 for the
        others.
    n_outputs : int
        Number K of raw predictions per row: 1, or the number of classes if there are more than
        two.
    """

    name: ClassVar[str]
    code: ClassVar[int]
    constant_hessian: ClassVar[bool] = False
    is_scale_free: ClassVar[bool] = True
    degree: ClassVar[int] = 2
    is_likelihood: ClassVar[bool] = False
    has_log_link: ClassVar[bool] = False
    value: ClassVar[Callable[..., Any]]
    gradient_hessian: ClassVar[Callable[..., Any]]

    parameter: float = 0.0
    n_outputs: int = 1

    @classmethod
    def make(cls, **options: Any) -> Self:
        """Return the loss with the options that it needs, of those of ``make_loss``.

        Raises
        ------
        ValueError
            If an option is missing or out of range.
        """
        return cls()

    @property
    def leaf_quantile(self) -> float | None:
        """Level in (0, 1) if leaf values are weighted quantiles of ``y - raw``, else None."""
        return None

    @abstractmethod
    def intercept(self, y: FloatArray, sample_weight: FloatArray) -> FloatArray:
        """Return the best constant raw prediction (K,) for weights of which one is positive."""

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
        return self.intercept(y, sample_weight)

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
        return raw.copy()

    def unit_of(self, largest: float) -> float:
        """Return the power of two by which targets up to a size are divided for a fit.

        Squares of them can then neither overflow nor vanish, and predictions for a target times a
        power of two are exactly that multiple; 1 for losses that are not scale-free.
        """
        if not self.is_scale_free or largest == 0.0:
            return 1.0
        # 2^-1022 is the least power of two that keeps all bits of what is divided by it
        return 2.0 ** min(max(math.frexp(largest)[1], -1021), 1023)

    def in_unit(self, unit: float) -> Self:
        """Return the loss for targets and raw predictions that are divided by a unit."""
        return self

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


def losses_as_given(losses: Losses, unit: float, degree: int) -> Losses:
    """Return losses of targets in a unit as those of targets as given.

    Parameters
    ----------
    losses : float or ndarray of float64
    unit : float
        A power of two, so that no digit is lost.
    degree : int
        Of the loss.

    Returns
    -------
    float or ndarray of float64
        Infinite where they are too large.
    """
    with np.errstate(over="ignore"):
        for _ in range(degree):
            losses = losses * unit
    return losses
