"""Sample weights: repetitions or relative ones, and never too large to add up."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.class_weight import compute_class_weight

from rmtgb._common import FloatArray, IntArray
from rmtgb.estimators._warn import warn_caller

#: Largest total of weights, as exponent of two: up to there sums of integers are exact.
LARGEST_TOTAL = 53

#: Mean weight above which a warning asks whether repetitions are meant: nobody writes down that
#: many copies of every row, whereas survey weights and amounts of money are that large.
LARGE_MEAN = 10.0

#: Largest weight of a class: squares of weights, which are up to 2**53 themselves, are finite.
LARGEST_CLASS_WEIGHT = 1e100

#: Smallest positive number of full precision.
SMALLEST = float(np.finfo(np.float64).tiny)


def read_weight(sample_weight: Any, n_rows: int, name: str = "sample_weight") -> FloatArray:
    """Return weights as they count in a fit.

    Weights that are all integers are repetitions, and are kept; if they add up to more than
    2**53, a power of two is divided out of them. All others are relative, and are scaled to a
    mean of one over the rows whose weight is positive.

    Parameters
    ----------
    sample_weight : array-like of shape (n_rows,), number or None
        As the user gave it; None stands for ones.
    n_rows : int
        Number of rows.
    name : str, default="sample_weight"
        What to call it in messages.

    Returns
    -------
    ndarray of float64 of shape (n_rows,)
        A new array. Weights so small that the largest makes them vanish are zero.

    Raises
    ------
    ValueError
        If a weight is no number, missing, negative or infinite, or all are zero.
    """
    if sample_weight is None:
        return np.ones(n_rows)
    if np.ma.is_masked(sample_weight):
        n_masked = int(np.ma.getmaskarray(sample_weight).sum())
        raise ValueError(f"{name} is masked in {n_masked} rows; every row needs a weight >= 0.")
    weight = _as_array(sample_weight, n_rows, name)
    negative = np.flatnonzero(weight < 0)
    if negative.size:
        raise ValueError(
            f"Negative values in data passed to `{name}`: {negative.size} weights, the first is "
            f"{weight[negative[0]]:g} in row {negative[0]}; weights >= 0 are allowed."
        )
    if not weight.any():
        raise ValueError(f"{name} is zero for every row; at least 2 must be positive.")
    if np.all(weight == np.floor(weight)):
        return _within_largest_total(weight)
    # the largest is taken out first: neither the sum of large ones nor of small ones is exact
    weight /= weight.max()
    return weight / weight[weight > 0].mean()


def warn_of_large_weights(sample_weight: Any, weight: FloatArray) -> None:
    """Say what weights mean whose mean is so large that something else may be meant.

    Parameters
    ----------
    sample_weight : array-like or None
        As the user gave it.
    weight : ndarray of float64 of shape (n_rows,)
        What :func:`read_weight` made of it.
    """
    if sample_weight is None:
        return
    given = np.asarray(sample_weight, dtype=np.float64)
    given = given[given > 0]
    mean = float(np.mean(given / given.max()) * given.max())
    if mean <= LARGE_MEAN:
        return
    if np.all(given == np.floor(given)):
        meaning = (
            "are integers and count as repeated rows, so leaf sizes, regularisation and "
            f"validation see {weight.sum():.6g} rows in place of {given.size}; divide them by "
            "their mean if they are meant to be relative"
        )
    else:
        meaning = (
            "are taken as relative and scaled to a mean of one; divide them by their mean "
            "yourself to say that this is meant"
        )
    warn_caller(f"The weights in sample_weight have a mean of {mean:.6g} and {meaning}.")


def weigh_classes(
    class_weight: Mapping[Any, float] | str | None,
    classes: NDArray[Any],
    codes: IntArray,
    weight: FloatArray,
) -> FloatArray:
    """Multiply weights by those of their classes; their sum does not become smaller.

    Parameters
    ----------
    class_weight : mapping, "balanced" or None
        As the user gave it.
    classes : ndarray of shape (n_classes,)
        In sorted order.
    codes : ndarray of int64 of shape (n_samples,)
        Position of each row's class.
    weight : ndarray of float64 of shape (n_samples,)
        Positive.

    Returns
    -------
    ndarray of float64 of shape (n_samples,)

    Raises
    ------
    ValueError
        If the weight of a class is not positive, or larger than ``LARGEST_CLASS_WEIGHT``.
    """
    if class_weight is None:
        return weight
    if isinstance(class_weight, str):
        weighed: FloatArray = weight / np.bincount(codes, weight)[codes]
        return weighed * (weight.sum() / classes.size)
    by_class = compute_class_weight(class_weight, classes=classes, y=classes[codes])
    if not np.all((by_class > 0.0) & (by_class <= LARGEST_CLASS_WEIGHT)):
        raise ValueError(
            "class_weight must be positive for every class and at most "
            f"{LARGEST_CLASS_WEIGHT:g}, got {class_weight}."
        )
    weighed = np.maximum(weight * by_class[codes], SMALLEST)  # none becomes zero
    return weighed * max(1.0, weight.sum() / weighed.sum())


def _as_array(sample_weight: Any, n_rows: int, name: str) -> FloatArray:
    """Return a new array (n_rows,) of finite numbers; one number stands for that many."""
    given = np.asarray(sample_weight)
    if given.dtype.kind in "cmM":  # what would be cast to numbers with a loss
        raise ValueError(f"{name} must hold numbers >= 0: its type is {given.dtype}.")
    try:
        weight = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must hold numbers >= 0: {error}.") from error
    if weight.ndim == 0:
        weight = np.full(n_rows, weight)
    if weight.shape != (n_rows,):
        raise ValueError(f"{name} must have shape ({n_rows},), got {weight.shape}.")
    if not np.isfinite(weight).all():
        first = int(np.flatnonzero(~np.isfinite(weight))[0])
        what = "NaN" if np.isnan(weight[first]) else "infinity"
        raise ValueError(f"{name} contains {what}, first in row {first}; it needs numbers >= 0.")
    return weight


def _within_largest_total(weight: FloatArray) -> FloatArray:
    """Divide integers by the smallest power of two that leaves their sum at most 2**53."""
    exponent = math.frexp(weight.max())[1]
    mantissa, carry = math.frexp(np.ldexp(weight, -exponent).sum())
    excess = exponent + carry - (mantissa == 0.5) - LARGEST_TOTAL
    return np.ldexp(weight, -excess) if excess > 0 else weight
