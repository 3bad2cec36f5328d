"""Clusters of tasks, found by comparing the predictions of a model for each task."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.choose.lengths import Fold
from rmtgb.boosting.choose.validation_split import split_by_content
from rmtgb.boosting.parts import TaskEnsembles
from rmtgb.boosting.rows import BoostState, Rows
from rmtgb.boosting.settings import StageSettings
from rmtgb.boosting.stage_3_task_specific import boost_tasks
from rmtgb.engine.team import Team
from rmtgb.tasks.clusters import MIN_CLUSTERS, find_clusters
from rmtgb.tree.ensemble import RowsToPredict
from rmtgb.tree.standardizer import Standardizer

#: Rounds of each task's model: at the usual learning rates most of what it learns.
ROUNDS = 150

#: Tasks up to which clusters are looked for, and the weight of rows on which they are compared.
MAX_TASKS, COMPARED_WEIGHT = 300, 1000.0


def may_have_clusters(n_tasks: int, settings: StageSettings) -> bool:
    """Tell whether it is worth looking: for so many tasks, and stages that use what is found."""
    stages_needed = min(settings.n_iter_shared, settings.n_iter_task)
    return MIN_CLUSTERS < n_tasks <= MAX_TASKS and stages_needed > 0


def cluster_tasks(
    fold: Fold,
    rows: Rows,
    standardizer: Standardizer,
    settings: StageSettings,
    seed: int,
    team: Team,
) -> IntArray | None:
    """Look for clusters of tasks in the training rows of a fold.

    Parameters
    ----------
    fold : Fold
        Its validation rows have no part.
    rows : Rows
        The training rows as they were before they were sorted.
    standardizer : Standardizer
    settings : StageSettings
    seed : int
    team : Team

    Returns
    -------
    ndarray of int64 of shape (n_tasks,) or None
        As :func:`~rmtgb.tasks.clusters.find_clusters`.
    """
    training = fold.training.without_validation()
    choices = split_by_content(training, min(0.5, COMPARED_WEIGHT / training.weight.sum()), seed)
    if not choices:
        return None
    # random thresholds: smooth functions of the same kind look alike
    trees = settings.with_task_thresholds(True).task_trees
    state = BoostState(training, fold.tasks, team)
    own = boost_tasks(state, trees, seed, np.full(training.n_tasks, ROUNDS))
    compared = choices[0] & (training.weight > 0.0)
    raw = np.ascontiguousarray(rows.X[training.order[compared]], dtype=np.float64)
    predictor = _TaskPredictor(own, raw, standardizer.transform(raw))
    predictions = np.array(team.map(predictor.predict, range(training.n_tasks)))
    weight = np.tile(training.weight[compared], training.loss.n_outputs)
    return find_clusters(predictions, weight)


@dataclass(frozen=True)
class _TaskPredictor:
    """Predicts the same rows by the model of any task."""

    own: TaskEnsembles
    raw: FloatArray
    standardized: NDArray[np.int16]

    def predict(self, task: int) -> FloatArray:
        """Return the predictions of all outputs one after another."""
        codes = np.full(self.raw.shape[0], task)
        n_outputs = self.own.trees.n_outputs
        rows = RowsToPredict(self.raw, self.standardized, n_outputs, codes)
        self.own.add_to(rows)
        return rows.prediction.ravel()
