"""Stage 2: an ensemble for inlier tasks, one for outlier tasks, and a learned weight per task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.boosting.booster import Booster, Curve
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.outlier_gate import combined
from rmtgb.boosting.parts import Partition
from rmtgb.boosting.rows import BoostState
from rmtgb.boosting.settings import StageSettings, Stopping
from rmtgb.engine.record import Array, copy, zeros
from rmtgb.tasks.table import TaskTable


def boost_partition(
    state: BoostState,
    settings: StageSettings,
    seed: int,
    monitor: Monitor,
    former: Partition | None = None,
    stopping: Stopping | None = None,
) -> tuple[Partition, TaskTable, Curve | None]:
    """Add ``(1 - w_t) I(x) + w_t O(x)`` to the raw prediction.

    In each round both trees and the step of theta are computed at the same raw
    prediction F. By the chain rule dF/dI = 1 - w and dF/dO = w, so the trees are fitted
    to ``((1 - w) g, (1 - w)^2 h)`` and ``(w g, w^2 h)``.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    seed : int
    monitor : Monitor
        Told of every round; may end the stage.
    former : Partition, optional
        What is to be continued: its rounds count, and theta goes on from where the table of tasks
        has it, pulled to where it started.
    stopping : Stopping, optional
        When the validation rows end the stage.

    Returns
    -------
    partition : Partition
    tasks : TaskTable
        With what was learned of the weights; without rounds all are 1/2, no task stands out.
    curve : Curve or None
        What became of it on the validation rows, if they could end it.

    References
    ----------
    arXiv 2507.11411, the second block; hessians and the step of theta are ours.
    """
    training, tasks = state.training, state.tasks
    if former is None:
        former = Partition.empty(training.loss.n_outputs)
    n_rounds = settings.n_iter_partition - former.n_rounds
    if n_rounds <= 0:
        return former, tasks, None
    if former.n_rounds == 0:
        tasks = tasks.starting_at(tasks.theta_start)
    sides, gate = _sides_and_gate(state, former.n_rounds, tasks)
    booster = Booster(
        state,
        settings.common_trees,
        former.sides,
        sides,
        seed,
        gate,
        settings.partition_regularization,
    )
    curve = booster.run(n_rounds, monitor, stopping)
    tasks = replace(tasks, theta=gate["theta"], second_weight=gate["second_weight"])
    first, second = booster.ensembles()
    return Partition((first, second)), tasks, curve


def _sides_and_gate(
    state: BoostState, former_rounds: int, tasks: TaskTable
) -> tuple[FloatArray, dict[str, Array]]:
    """Return what the sides predict so far, and the arrays of the gate, stepped in place."""
    if state.former is None or former_rounds == 0:
        sides, rest = zeros((2, *state.raw.shape), np.float64), copy(state.raw)
    else:
        sides = copy(state.former.sides)
        # what stage 1 has added in this fit; nothing, to the bit, if it had no rounds
        rest = copy(state.former.rest + (state.raw - state.former.raw))
        w = tasks.second_weight[state.training.task_codes]
        state.raw[:] = combined(rest, sides, w)
    gate = {
        "theta": copy(tasks.theta),
        "theta_start": tasks.theta_start,
        "second_weight": copy(tasks.second_weight),
        "offset": rest,
    }
    return sides, gate
