"""The algorithm: read this first.

``F(x, t) = b_t + S(x) + (1 - w_t) I(x) + w_t O(x) + K_t(x)``
"""

from dataclasses import replace

from rmtgb._common import IntArray
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.rows import BoostState
from rmtgb.boosting.settings import Seeds, StageSettings
from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import boost_tasks


def fit_three_stages(
    state: BoostState,
    former: ThreeStageModel,
    settings: StageSettings,
    task_rounds: IntArray,
    seeds: Seeds,
    monitor: Monitor,
) -> ThreeStageModel:
    """Fit the stages one after another, each to what the former have left.

    Parameters
    ----------
    state : BoostState
        The rows, at the prediction of ``former``.
    former : ThreeStageModel
        What the stages continue: a baseline b without trees, or a model that was fitted.
    settings : StageSettings
    task_rounds : ndarray of int64 of shape (n_tasks,)
        New rounds of stage 3 for each task.
    seeds : Seeds
    monitor : Monitor
        Told of every round.

    Returns
    -------
    ThreeStageModel
    """
    with monitor.stage("shared", settings.n_iter_shared - former.shared.n_rounds):
        shared, tasks, _ = boost_shared(state, settings, seeds.shared, monitor, former.shared)
        state.tasks = tasks
    with monitor.stage("partition", settings.n_iter_partition - former.partition.n_rounds):
        partition, tasks, _ = boost_partition(
            state, settings, seeds.partition, monitor, former.partition
        )
    with monitor.stage("task", int(task_rounds.max(initial=0))):
        task_specific = boost_tasks(
            state, settings.task_trees, seeds.task, task_rounds, monitor, former.task_specific
        )
    return replace(
        former, tasks=tasks, shared=shared, partition=partition, task_specific=task_specific
    )
