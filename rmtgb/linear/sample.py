"""Of very many tasks, those that variances are estimated from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray
from rmtgb.tasks.index import TaskIndex

#: Numbers that the scores of all tasks may take: 32 MB, of 1581 tasks with 50 columns. Their
#: effects say what each variance is within 4 %, a standard error.
MAX_SCORES = 1 << 22


def sample_of_tasks(
    index: TaskIndex, y: FloatArray, scores_per_task: int
) -> NDArray[np.intp] | None:
    """Choose some tasks, evenly among those of few and of many rows.

    Parameters
    ----------
    index : TaskIndex
    y : ndarray of float64 of shape (n,)
        Targets. Tasks of equally many rows are taken by their smallest and largest targets: the
        choice depends on neither labels nor the order of rows.
    scores_per_task : int
        Numbers that each task needs.

    Returns
    -------
    ndarray of intp or None
        Positions in ``index.order`` whose tasks were chosen; None if all of them are.
    """
    filled = np.flatnonzero(index.counts > 0)
    n_chosen = max(MAX_SCORES // max(scores_per_task, 1), 2)
    if filled.size <= n_chosen:
        return None
    values, starts = y[index.order], index.offsets[filled]
    smallest = np.minimum.reduceat(values, starts)
    largest = np.maximum.reduceat(values, starts)
    ranked = filled[np.lexsort((largest, smallest, index.counts[filled]))]
    chosen = np.zeros(index.n_tasks, dtype=bool)
    # the middles of equal parts of the ranking
    chosen[ranked[(2 * np.arange(n_chosen) + 1) * filled.size // (2 * n_chosen)]] = True
    return np.flatnonzero(chosen[np.repeat(np.arange(index.n_tasks), index.counts)])
