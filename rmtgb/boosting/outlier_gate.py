"""The outlier gate: where theta starts, and the sum that its weights make."""

from __future__ import annotations

import numpy as np

from rmtgb._common import BoolArray, FloatArray
from rmtgb.boosting.records import FIRST, SECOND

#: Logit of the side weight of a task before there is evidence: a weight of 0.12.
START = 2.0


def starting_theta(called: BoolArray) -> FloatArray:
    """Return the logit of each task's weight on the second side before the first round.

    The second side is that of the tasks that were called outliers, who are a minority. Theta may
    take a task back, and never makes one an outlier (``kernels/outlier_gate``), so it stays so.

    Parameters
    ----------
    called : ndarray of bool of shape (n_tasks,)

    Returns
    -------
    ndarray of float64 of shape (n_tasks,)
        ``START`` for tasks that are called, ``-START`` for all others.
    """
    return np.where(called, START, -START)


def combined(rest: FloatArray, sides: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the raw prediction as `combine_sides` of the kernels does, to the bit.

    Parameters
    ----------
    rest : ndarray of float64 of shape (n_outputs, n_rows)
        The raw prediction without the sides.
    sides : ndarray of float64 of shape (2, n_outputs, n_rows)
    weight : ndarray of float64 of shape (n_rows,)
        Weight w of the second side for each row's task.

    Returns
    -------
    ndarray of float64 of shape (n_outputs, n_rows)
    """
    total: FloatArray = rest + (1.0 - weight) * sides[FIRST] + weight * sides[SECOND]
    return total
