"""Stage 1: one ensemble for all tasks."""

from __future__ import annotations

import numpy as np

from rmtgb.boosting.booster import Booster, Curve
from rmtgb.boosting.joint_offsets import JointOffsets
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.rows import BoostState
from rmtgb.boosting.settings import StageSettings, Stopping
from rmtgb.engine.record import copy, zeros
from rmtgb.tasks.table import TaskTable
from rmtgb.tree.ensemble import Ensemble


def boost_shared(
    state: BoostState,
    settings: StageSettings,
    seed: int,
    monitor: Monitor,
    former: Ensemble | None = None,
    stopping: Stopping | None = None,
) -> tuple[Ensemble, TaskTable, Curve | None]:
    """Add ``S(x)`` to the raw prediction: each round a tree on the gradients of all rows.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    seed : int
    monitor : Monitor
        Told of every round; may end the stage.
    former : Ensemble, optional
        What is to be continued: its rounds count, and the new ones are the same as if
        the stage had gone on at once.
    stopping : Stopping, optional
        When the validation rows end the stage.

    Returns
    -------
    ensemble : Ensemble
    tasks : TaskTable
        With the offsets that were estimated together with the ensemble.
    curve : Curve or None
        What became of it on the validation rows, if they could end it.

    References
    ----------
    Emami, Martínez-Muñoz, Hernández-Lobato, "Robust-Multi-Task Gradient Boosting",
    arXiv 2507.11411, the first of the three blocks.
    """
    former = Ensemble.empty(state.training.loss.n_outputs) if former is None else former
    n_rounds = settings.n_iter_shared - former.n_rounds
    if n_rounds <= 0:
        return former, state.tasks, None
    if state.former is None:
        side, offset = zeros(state.raw.shape, np.float64), copy(state.raw)
    else:
        side, offset = copy(state.former.shared), copy(state.former.rest_of_shared)
    offsets = None
    if settings.joint_offsets:
        rate = settings.common_trees.learning_rate
        offsets = JointOffsets(state, side, offset, former.n_rounds, rate)
    booster = Booster(state, settings.common_trees, [former], side[None], seed, {"offset": offset})
    curve = booster.run(n_rounds, monitor, stopping, offsets)
    shared = booster.ensembles()[0]
    tasks = state.tasks
    if offsets is not None:
        tasks = offsets.finish(shared.n_rounds - former.n_rounds)
    return shared, tasks, curve
