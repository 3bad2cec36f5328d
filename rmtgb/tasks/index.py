"""The rows of each task as slices of one order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import IntArray

_DIGIT_BITS = 16


# eq=False: comparing arrays with == gives no truth value
@dataclass(frozen=True, eq=False)
class TaskIndex:
    """Rows grouped by task.

    Attributes
    ----------
    codes : ndarray of int64 of shape (n_samples,)
        Task of each row, 0..T-1.
    order : ndarray of intp of shape (n_samples,)
        Row numbers sorted by task; within a task in ascending order.
    offsets : ndarray of int64 of shape (n_tasks + 1,)
        The rows of task t are ``order[offsets[t]:offsets[t + 1]]``; a task may have none.
    """

    codes: IntArray
    order: NDArray[np.intp]
    offsets: IntArray

    @classmethod
    def from_codes(cls, codes: Any, n_tasks: int) -> TaskIndex:
        """Group rows by task, in time linear in rows and tasks.

        Parameters
        ----------
        codes : array-like of int of shape (n_samples,)
            Task of each row. Not copied if it is a contiguous int64 array. To keep the rows of
            unseen tasks (-1), give them the code `n_tasks` and one task more.
        n_tasks : int
            Number of tasks T.

        Returns
        -------
        TaskIndex
            The grouped rows.

        Raises
        ------
        TypeError
            If `codes` does not hold integers.
        ValueError
            If `codes` is not one-dimensional or holds a code outside 0..T-1.
        """
        array = np.asarray(codes)
        if array.ndim != 1:
            msg = f"codes must be one-dimensional, got shape {array.shape}."
            raise ValueError(msg)
        if array.size and array.dtype.kind not in "iu":
            msg = f"codes must hold integers, got dtype {array.dtype}."
            raise TypeError(msg)
        if array.size and (array.min() < 0 or array.max() >= n_tasks):
            bad = np.flatnonzero((array < 0) | (array >= n_tasks))
            msg = (
                f"codes must lie in 0..{n_tasks - 1} for n_tasks={n_tasks}: "
                f"{bad.size} do not, the first is {array[bad[0]]} in row {bad[0]}."
            )
            raise ValueError(msg)
        codes = np.ascontiguousarray(array, dtype=np.int64)
        offsets = np.zeros(n_tasks + 1, dtype=np.int64)
        np.cumsum(np.bincount(codes, minlength=n_tasks), out=offsets[1:])
        return cls(codes=codes, order=_stable_order(codes, n_tasks), offsets=offsets)

    @property
    def n_tasks(self) -> int:
        """Number of tasks, those without rows included."""
        return self.offsets.size - 1

    @property
    def counts(self) -> IntArray:
        """Number of rows per task, int64 of shape (n_tasks,)."""
        return np.diff(self.offsets)

    def rows(self, task: int) -> NDArray[np.intp]:
        """Return the row numbers of one task.

        Parameters
        ----------
        task : int
            Code of the task, 0..T-1.

        Returns
        -------
        ndarray of intp of shape (counts[task],)
            In ascending order; a view of `order`.

        Raises
        ------
        IndexError
            If `task` is not in 0..T-1.
        """
        if not 0 <= task < self.n_tasks:
            msg = f"task must lie in 0..{self.n_tasks - 1}, got {task}."
            raise IndexError(msg)
        return self.order[self.offsets[task] : self.offsets[task + 1]]


def _stable_order(codes: IntArray, n_tasks: int) -> NDArray[np.intp]:
    # numpy's stable sort is a linear radix sort for 16-bit integers only, and ten times
    # slower on int64: so sort by one 16-bit digit after the other
    order = np.argsort(codes.astype(np.uint16), kind="stable")
    for shift in range(_DIGIT_BITS, int(n_tasks - 1).bit_length(), _DIGIT_BITS):
        digit = (codes >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order
