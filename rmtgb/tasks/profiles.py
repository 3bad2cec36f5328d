"""Profiles of tasks: what is left of their targets where all tasks are fitted alike."""

from collections.abc import Iterable
from typing import NamedTuple

from rmtgb._common import FloatArray

#: Keeps quotients of nothing finite.
TINY = 1e-300


class Profiles(NamedTuple):
    """What is left of the targets of tasks, in cells: a group of rows by one feature each.

    Attributes
    ----------
    mean : ndarray of float64 of shape (n_tasks, n_features, n_cells)
        Mean by cell, of which the mean over the cells of a feature is zero; zero where a task has
        no rows.
    share : ndarray of float64 of shape (n_tasks, n_features, n_cells)
        Share of a task's information in a cell; adds up to one over a task.
    information : ndarray of float64 of shape (n_tasks,)
        Sum of hessians of a task: for squared error, the weight of its rows.
    draws : iterable of ndarray of float64 of shape (n_tasks, n_features, n_cells)
        What means are off by in each of some half-samples of the rows: errors of the size of
        their own. Can be gone through again and again; together they may be too large to keep.
    unexplained : float
        Variance of what is left, of a usual task.
    n_features : int
        How many of the first features are of the user.
    """

    mean: FloatArray
    share: FloatArray
    information: FloatArray
    draws: Iterable[FloatArray]
    unexplained: float
    n_features: int
