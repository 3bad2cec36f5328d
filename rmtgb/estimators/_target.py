"""The target column."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import DTypeLike, NDArray
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from rmtgb._common import FloatArray, IntArray
from rmtgb.losses import Loss


def read_target(y: Any, name: str, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """Return a target column without gaps.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        A column of shape (n_samples, 1) is taken with a ``DataConversionWarning``.
    name : str
        What to call it in messages.
    dtype : dtype, optional
        What to convert it to; by default it is not converted.

    Returns
    -------
    ndarray of shape (n_samples,)
        May share memory with y.

    Raises
    ------
    ValueError
        If there are several columns, or a value is missing, masked, infinite or of another type.
    """
    shape = np.asarray(y).shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"{name} should be a 1d array, got an array of shape {shape} instead. Several targets "
            "are not supported yet: stack them as tasks, one row per sample and target, and "
            "name the task column by task_feature."
        )
    column: NDArray[Any] = column_or_1d(y, warn=True)
    missing = np.flatnonzero(pd.isna(column) | np.ravel(np.ma.getmask(y)))
    if missing.size:
        raise ValueError(
            f"Input {name} contains NaN or another missing value in {missing.size} of "
            f"{column.size} rows (first: row {missing[0]}). Several targets with missing labels "
            "are not supported yet: drop the rows without a label, as in "
            f"X[~isnan({name})]."
        )
    if dtype is not None:
        if column.dtype.kind in "mM":
            raise ValueError(
                f"{name} holds dates or durations (dtype {column.dtype}), which mean another "
                f"number in every unit: give numbers, as by {name} / numpy.timedelta64(1, 'D')."
            )
        column = column.astype(dtype, copy=False)
    if column.dtype.kind == "f":
        assert_all_finite(column, input_name=name)
    return column


def check_labels(y: NDArray[Any], name: str) -> None:
    """Refuse what no classifier can learn, and labels of several types, which have no order."""
    try:
        check_classification_targets(y)
    except (TypeError, ValueError) as error:
        types = sorted({type(label).__name__ for label in y.tolist()})
        if len(types) == 1:
            raise
        raise TypeError(
            f"{name} holds labels of the types {', '.join(types)}, which have no common order: "
            f"convert them to one type, as by {name}.astype(str)."
        ) from error


def learn_classes(
    y: NDArray[Any], former: NDArray[Any] | None, name: str
) -> tuple[NDArray[Any], IntArray]:
    """Return the classes in sorted order, and the number (n_samples,) of that of each row.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    former : ndarray of shape (n_classes,) or None
        The classes of a fit that is continued.
    name : str
        Of the estimator.

    Raises
    ------
    ValueError
        If there are fewer than two classes, or not the former ones.
    """
    classes, codes = np.unique(y, return_inverse=True)
    if classes.size < 2:
        raise ValueError(
            f"{name} needs rows of at least 2 classes, got 1 class: {classes.tolist()[0]!r}."
        )
    if former is not None and not np.array_equal(classes, former):
        raise ValueError(
            f"warm_start=True goes on with the classes {former.tolist()} of the former "
            f"fit, but y holds {classes.tolist()}. Fit with warm_start=False."
        )
    return classes, codes


def encode_classes(y: NDArray[Any], classes: NDArray[Any], name: str) -> FloatArray:
    """Return the position of each row's class.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
    classes : ndarray of shape (n_classes,)
        In sorted order.
    name : str
        What to call y in messages.

    Returns
    -------
    ndarray of float64 of shape (n_samples,)

    Raises
    ------
    ValueError
        If y holds another class.
    """
    codes = np.minimum(np.searchsorted(classes, y), classes.size - 1)
    foreign = classes[codes] != y
    if foreign.any():
        raise ValueError(
            f"{name} holds the class {y[foreign].tolist()[0]!r}, known are {classes.tolist()}."
        )
    return codes.astype(np.float64)


def check_target_of_loss(y: FloatArray, name: str, loss: Loss) -> None:
    """Refuse targets for which a loss is not defined; the message begins with their name."""
    try:
        loss.check_target(y)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
