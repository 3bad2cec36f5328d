"""One row of the design, made from the features as they are given."""

from typing import NamedTuple

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.jit import inner, kernel
from rmtgb.engine.record import Array

#: What a column of the design shows of its feature.
NUMBER, MISSING, LEVEL = 0, 1, 2

#: A column: ``(clip(x, low, high) * per_unit - center) * per_scale`` of a number, 0 where it is
#: missing; 1 where a value is missing; 1 where a category's code is ``low``.
COLUMN = np.dtype(
    [
        ("source", np.int64),
        ("kind", np.int64),
        ("low", np.float64),
        ("high", np.float64),
        ("per_unit", np.float64),
        ("center", np.float64),
        ("per_scale", np.float64),
    ]
)


class TaskRows(NamedTuple):
    """Rows with their working response and weights, those of a task together.

    ``X`` (n, p) and ``columns`` (q,) are as given; the rows of task t are ``order[offsets[t] :
    offsets[t + 1]]``. ``response`` and ``root_weight``, both (n,), are in the order of X.
    """

    X: FloatArray
    columns: Array
    order: IntArray
    offsets: IntArray
    response: FloatArray
    root_weight: FloatArray


@inner
def _value(x: float, column: Array) -> float:
    if column["kind"] == LEVEL:
        return 1.0 if x == column["low"] else 0.0
    if column["kind"] == MISSING:
        return 1.0 if np.isnan(x) else 0.0
    if np.isnan(x):
        return 0.0
    clipped = min(max(x, column["low"]), column["high"])
    return (clipped * column["per_unit"] - column["center"]) * column["per_scale"]


@inner
def fill_design(features: FloatArray, columns: Array, factor: float, out: FloatArray) -> None:
    """Write ``factor * [1, x]`` for one row to the first elements of OUT ``out``."""
    out[0] = factor
    for k in range(columns.size):
        out[k + 1] = factor * _value(features[columns[k]["source"]], columns[k])


@inner
def fill_row(rows: TaskRows, position: int, out: FloatArray) -> None:
    """Write ``sqrt(weight) * [1, x, response]`` of a position in the order to OUT ``out``."""
    row = rows.order[position]
    factor = rows.root_weight[row]
    fill_design(rows.X[row], rows.columns, factor, out)
    out[rows.columns.size + 1] = factor * rows.response[row]


@kernel
def predict_rows(
    start: int,
    stop: int,
    X: FloatArray,
    columns: Array,
    task: IntArray,
    fixed: FloatArray,
    effects: FloatArray,
    buffer: FloatArray,
    raw: FloatArray,
) -> None:
    """Write the raw predictions of a range of rows.

    Parameters
    ----------
    start, stop : int
        First row, and the one after the last.
    X : ndarray of float64 of shape (n, p)
    columns : ndarray of COLUMN of shape (q,)
    task : ndarray of int64 of shape (n,)
        Codes, -1 for a task without effects.
    fixed : ndarray of float64 of shape (K, 1 + q)
        Intercept and coefficients of each output.
    effects : ndarray of float64 of shape (K, T, r)
        What tasks add to the first r of them.
    buffer : ndarray of float64 of shape (1 + q,)
        OUT, memory to work with.
    raw : ndarray of float64 of shape (K, n)
        OUT, columns start to stop.
    """
    for row in range(start, stop):
        fill_design(X[row], columns, 1.0, buffer)
        for k in range(fixed.shape[0]):
            total = 0.0
            for j in range(fixed.shape[1]):
                total += fixed[k, j] * buffer[j]
            if task[row] >= 0:
                for j in range(effects.shape[2]):
                    total += effects[k, task[row], j] * buffer[j]
            raw[k, row] = total


@kernel
def weighted_moments(
    x: FloatArray, weight: FloatArray, low: float, high: float, per_unit: float, out: FloatArray
) -> None:
    """Write weight, mean and standard deviation of the known values of a feature.

    Parameters
    ----------
    x, weight : ndarray of float64 of shape (n,)
        Values, NaN is missing, and their weights.
    low, high, per_unit : float
        Values are clipped to low and high, and then multiplied.
    out : ndarray of float64 of shape (3,)
        OUT. Summed in the order of the rows, in two passes.
    """
    total, first, second = 0.0, 0.0, 0.0
    for i in range(x.size):
        if not np.isnan(x[i]):
            total += weight[i]
            first += weight[i] * (min(max(x[i], low), high) * per_unit)
    mean = first / total if total > 0.0 else 0.0
    for i in range(x.size):
        if not np.isnan(x[i]):
            distance = min(max(x[i], low), high) * per_unit - mean
            second += weight[i] * (distance * distance)
    out[0], out[1] = total, mean
    out[2] = np.sqrt(second / total) if total > 0.0 else 0.0
