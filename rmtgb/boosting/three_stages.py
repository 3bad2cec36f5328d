"""The algorithm: read this first.

``F(x, t) = b_t + S(x) + (1 - w_t) I(x) + w_t O(x) + K_t(x)``
"""

from dataclasses import replace

from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import TaskStage
from rmtgb.boosting.state import BoostState


def fit_three_stages(training, former, settings, rng, team, monitor, task_rounds=None):
    """Fit the stages one after another, each to what the former have left.

    Parameters
    ----------
    training : TrainingSet
    former : ThreeStageModel
        What the stages continue: a baseline b without trees, or a model that was fitted.
    settings : StageSettings
    rng : numpy.random.Generator
        Spawned once per stage, so that the length of one does not change the next.
    team : Team
    monitor : Monitor
        Told of every round.
    task_rounds : ndarray of int64 of shape (n_tasks,), optional
        Rounds of stage 3 to keep of each task's new ones; all by default.

    Returns
    -------
    ThreeStageModel
    """
    rng_shared, rng_partition, rng_task = rng.spawn(3)
    state = BoostState(training, team)
    with monitor.stage("shared", settings.n_iter_shared - former.shared.n_rounds):
        shared = boost_shared(state, settings, rng_shared, monitor, former.shared)
    with monitor.stage("partition", settings.n_iter_partition - former.partition.n_rounds):
        partition = boost_partition(state, settings, rng_partition, monitor, former.partition)
    with monitor.stage("task", 1):
        task_stage = TaskStage(state, settings, rng_task, former.task_specific)
        task_specific = task_stage.ensembles(task_rounds)
        monitor.after_rounds(1)
    return replace(former, shared=shared, partition=partition, task_specific=task_specific)
