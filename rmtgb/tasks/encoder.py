"""Task labels <-> codes: the mapping is made at fit and only looked up afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import BoolArray, IntArray, counted
from rmtgb.containers.labels import LabelEncoder, as_array, distinct


class TaskEncoder(LabelEncoder):
    """Mapping from task labels to the codes 0..T-1, fixed at fit, which refuses missing ones.

    Which labels are equal, and how they are ordered, is said in
    :class:`~rmtgb.containers.labels.LabelEncoder`.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        The distinct labels in sorted order; the code of a label is its position.
        ``TaskEncoder().fit(tasks_)`` is an equal encoder.
    kinds_ : tuple of str
        Kinds of the labels in `tasks_`, sorted.
    """

    def __init__(self) -> None:
        super().__init__("The task column")

    @property
    def tasks_(self) -> NDArray[Any]:
        """The distinct labels."""
        return self.labels_

    def _check_missing(self, missing: BoolArray) -> None:
        rows = np.flatnonzero(missing)
        if rows.size:
            raise ValueError(
                f"{rows.size} of {missing.size} rows have a missing task label (first: row "
                f"{rows[0]}). Drop these rows, or give them a label of their own, to fit."
            )


def describe_unseen(labels: Any, codes: IntArray, limit: int = 5) -> str:
    """Say in words which labels `TaskEncoder.encode` did not find.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        The labels that were encoded.
    codes : ndarray of int64 of shape (n_samples,)
        What ``encode(labels)`` returned.
    limit : int, default=5
        Number of labels to list; the others are counted.

    Returns
    -------
    str
        For example ``"5 rows of 2 unseen tasks ('x', 'y') and 1 row without a task label"``;
        empty if every label was found.
    """
    positions, keys, _ = distinct(as_array(labels)[np.asarray(codes) < 0])
    parts = []
    if keys:
        listed = [repr(key) for key in keys[:limit]]
        if len(keys) > limit:
            listed.append(f"{len(keys) - limit} more")
        rows = counted(int(np.count_nonzero(positions >= 0)), "row")
        parts.append(f"{rows} of {counted(len(keys), 'unseen task')} ({', '.join(listed)})")
    n_missing = int(np.count_nonzero(positions < 0))
    if n_missing:
        parts.append(f"{counted(n_missing, 'row')} without a task label")
    return " and ".join(parts)
