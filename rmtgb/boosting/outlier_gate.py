"""The outlier gate: where theta starts."""

from __future__ import annotations

import numpy as np

from rmtgb._common import BoolArray, FloatArray

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
