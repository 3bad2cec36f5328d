"""Features that trees see beside those of the user: what is known of a row's task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.team import Team
from rmtgb.linear.model import MixedModel

#: Largest descriptor that trees see: float32 holds it, and it is far from those of other tasks.
LARGEST = 2.0**100


@dataclass(frozen=True)
class AddedFeatures:
    """What is known of a row's task, as features after those of the user.

    Attributes
    ----------
    descriptors : ndarray of float64 of shape (n_tasks, n_directions) or None
        Descriptors of each task, the first of these features.
    linear : MixedModel or None
        Its raw predictions are the last features. Training rows have those of models that were
        fitted without them.
    """

    descriptors: FloatArray | None = None
    linear: MixedModel | None = None

    @property
    def n_features(self) -> int:
        """How many these features are."""
        n_descriptors = 0 if self.descriptors is None else self.descriptors.shape[1]
        return n_descriptors + (0 if self.linear is None else len(self.linear.fixed))

    def beside(
        self,
        X: NDArray[np.floating[Any]],
        task_codes: IntArray,
        linear: FloatArray | None = None,
        team: Team | None = None,
    ) -> NDArray[np.floating[Any]]:
        """Return rows with these features.

        Parameters
        ----------
        X : ndarray of float32 or float64 of shape (n, n_features)
        task_codes : ndarray of int64 of shape (n,)
            -1 for a task that was not seen, which is described as a usual one.
        linear : ndarray of float64 of shape (n_outputs, n), optional
            Raw predictions of linear models, where they are not to be those of ``self.linear``.
        team : Team, optional
            Who predicts.
        """
        columns: list[Any] = []
        if self.descriptors is not None:
            usual = np.zeros(self.descriptors.shape[1])
            known = np.clip(np.vstack([self.descriptors, usual]), -LARGEST, LARGEST)
            columns.extend(known[task_codes].T.astype(np.float32))  # the same numbers beside any X
        if self.linear is not None:
            if linear is None:
                linear = self.linear.predict(np.asarray(X, np.float64), task_codes, team)
            columns.extend(linear.astype(np.float32))
        if not columns:
            return X
        return np.ascontiguousarray(np.column_stack([X, *(c.astype(X.dtype) for c in columns)]))
