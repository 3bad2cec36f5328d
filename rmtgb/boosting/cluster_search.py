"""Clusters of tasks, found by comparing the predictions of a model for each task."""

from copy import deepcopy
from dataclasses import replace

import numpy as np

from rmtgb.boosting.stage_3_task_specific import TaskStage
from rmtgb.boosting.stage_lengths import with_task_thresholds
from rmtgb.boosting.state import BoostState
from rmtgb.boosting.validation_split import split_by_content
from rmtgb.tasks.clusters import MIN_CLUSTERS, find_clusters
from rmtgb.tree.standardizer import Values

#: Rounds of each task's model: at the usual learning rates most of what it learns.
ROUNDS = 150

#: Tasks up to which clusters are looked for, and the weight of rows on which they are compared.
MAX_TASKS, COMPARED_WEIGHT = 300, 1000.0


def may_have_clusters(n_tasks, settings):
    """Tell whether it is worth looking: for so many tasks, and stages that use what is found."""
    stages_needed = min(settings.n_iter_shared, settings.n_iter_task)
    return MIN_CLUSTERS < n_tasks <= MAX_TASKS and stages_needed > 0


def cluster_tasks(training, X, order, standardizer, settings, rng, team):
    """Look for clusters of tasks in the training rows of a training set.

    Parameters
    ----------
    training : TrainingSet
        Its validation rows have no part.
    X : ndarray of float32 or float64 of shape (n_training_rows, n_features)
        The values of its rows, those first that are not the user's validation rows.
    order : ndarray of int of shape (n_rows,)
        Position in X of each row of the training set; beyond X for validation rows.
    standardizer : Standardizer
    settings : StageSettings
    rng : numpy.random.Generator
    team : Team

    Returns
    -------
    ndarray of int64 of shape (n_tasks,) or None
        As :func:`~rmtgb.tasks.clusters.find_clusters`.
    """
    fraction = min(0.5, COMPARED_WEIGHT / training.weight.sum())
    alone = replace(training, validation_weight=np.empty(0))
    choices = split_by_content(alone, fraction, deepcopy(rng))
    if not choices:
        return None
    # random thresholds: smooth functions of the same kind look alike
    settings = replace(with_task_thresholds(settings, True), n_iter_task=ROUNDS)
    ensembles = TaskStage(BoostState(alone, team), settings, rng).ensembles()
    rows = choices[0] & (training.weight > 0.0)
    raw = np.ascontiguousarray(X[order[rows]], dtype=np.float64)
    values = Values(raw, standardizer.transform(raw))
    starts = ensembles.starts

    def predict(task):
        out = np.zeros((training.loss.n_outputs, raw.shape[0]))
        of_row = np.full(raw.shape[0], task)
        ensembles.trees.add_ranges_to(out, values, of_row, starts[:-1], starts[1:])
        return out.ravel()

    predictions = np.array(team.map(predict, range(training.n_tasks)))
    return find_clusters(predictions, np.tile(training.weight[rows], training.loss.n_outputs))
