"""Features that trees see beside those of the user: what is known of a row's task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.team import Team
from rmtgb.linear.model import MixedModel


@dataclass(frozen=True)
class AddedFeatures:
    """What is known of a row's task, as features after those of the user.

    Attributes
    ----------
    clusters : ndarray of int64 of shape (n_tasks,) or None
        Cluster of each task, the first of these features, a category.
    linear : MixedModel or None
        Its raw predictions are the last features. Training rows have those of models that were
        fitted without them.
    """

    clusters: IntArray | None = None
    linear: MixedModel | None = None

    def n_categories(self) -> IntArray:
        """Return the number of categories of each of these features, 0 for a number."""
        clusters = [] if self.clusters is None else [self.clusters.max() + 1]
        outputs = [] if self.linear is None else [0] * len(self.linear.fixed)
        return np.array(clusters + outputs, np.int64)

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
            -1 for a task that was not seen, whose cluster is missing.
        linear : ndarray of float64 of shape (n_outputs, n), optional
            Raw predictions of linear models, where they are not to be those of ``self.linear``.
        team : Team, optional
            Who predicts.
        """
        columns: list[Any] = []
        if self.clusters is not None:
            columns.append(np.append(self.clusters, np.nan)[task_codes])
        if self.linear is not None:
            if linear is None:
                linear = self.linear.predict(np.asarray(X, np.float64), task_codes, team)
            columns.extend(linear.astype(np.float32))  # the same number beside any X
        if not columns:
            return X
        return np.ascontiguousarray(np.column_stack([X, *(c.astype(X.dtype) for c in columns)]))
