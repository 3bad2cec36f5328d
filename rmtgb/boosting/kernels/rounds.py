"""The kernel of boosting: many rounds of a stage in one call.

Read :func:`boost` first, then :func:`_boost_rounds`: they are the algorithm. Everything is
called by every member of a team.
"""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.boosting.kernels.outlier_gate import add_offset, combine_sides, step_theta
from rmtgb.boosting.kernels.side_gradients import fill_residuals, lend_gradients
from rmtgb.boosting.kernels.task_rows import give_back_rows, take_rows, to_common_codes
from rmtgb.boosting.records import TRAIN, VALIDATION
from rmtgb.engine.jit import inner, kernel, part
from rmtgb.engine.random import mix
from rmtgb.engine.record import Array, array_of, wait
from rmtgb.engine.team import share, take_ticket
from rmtgb.losses.pointwise import fill_gradients, sum_losses
from rmtgb.tree.kernels.leaves import add_leaf_values, fit_tree
from rmtgb.tree.kernels.store import close_place, open_place


@kernel
def boost(
    member: Int,
    n_members: Int,
    boosts: Array,
    grows: Array,
    stores: Array,
    all_boosts: Array,
    all_grows: Array,
) -> None:
    """Boost the ensembles of a stage, or one task after another.

    Parameters
    ----------
    member, n_members : Int
        The calling member and its team. Of tasks, a team of one takes its share through
        the queue; a larger team works on every task together.
    boosts, grows : ndarray of BOOST and of GROW of shape (n_members,)
        What to do, and with what. Raw predictions and losses are OUT.
    stores : ndarray of STORE of shape (1,)
        Where the trees go, OUT.
    all_boosts, all_grows : ndarray of BOOST and of GROW of shape (>= 1,)
        Where the rows of queued tasks are; their raw predictions are INOUT. Not looked at
        if no task is queued.
    """
    boost, grow, store = boosts[member], grows[member], stores[0]
    position: Int = np.int64(0)
    task: Int = np.int64(0)
    by_task = boost["n_queued"] > 0
    while True:  # with one place where rounds are made: their code is large
        if by_task:
            if n_members == 1:
                position = take_ticket(array_of(boost, "queue"))
            if position >= boost["n_queued"]:
                break
            task = array_of(boost, "queued_tasks")[position]
            if boost["takes_rows"]:
                take_rows(boost, grow, all_boosts[0], all_grows[0], task)
        _boost_rounds(boost, grow, store, position, task)
        if not by_task:
            break
        if boost["gives_back"]:
            give_back_rows(boost, all_boosts[0], task)
        wait(boost)
        position += 1


@part
def _boost_rounds(boost: Any, grow: Any, store: Any, ensemble: Int, task: Int) -> None:
    """Make rounds, each of gradients and a tree per side and output.

    ``ensemble`` is the number of the first side in the store, ``task`` that of the task, 0 where
    all rows are worked on.
    """
    done = array_of(boost, "first_rounds")[ensemble]
    boost["rounds_done"], boost["stopped"] = done, 0
    if done == 0:
        _watch(boost, task, 0)
    former_rounds = array_of(boost, "former_rounds")[task]
    for r in range(array_of(boost, "n_rounds")[ensemble]):
        _compute_gradients(boost)
        if boost["n_gate_tasks"] > 0:
            step_theta(boost, grow["leaf_quantile"] > 0.0)
        round_seed = mix(boost["stage_seed"], former_rounds + done)
        for tree in range(boost["n_sides"] * boost["n_outputs"]):
            _add_tree(boost, grow, store, ensemble, r, tree, round_seed)
        if boost["n_gate_tasks"] > 0:
            combine_sides(boost)
        elif boost["n_offset_rows"] > 0:
            add_offset(boost)
        done += 1
        boost["rounds_done"] = done
        if _watch(boost, task, done):
            boost["stopped"] = 1
            break


@inner
def _compute_gradients(boost: Any) -> None:
    """Compute gradients and hessians at the raw prediction."""
    start, stop = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    fill_gradients(
        start,
        stop,
        boost["loss"],
        boost["loss_parameter"],
        array_of(boost, "y"),
        array_of(boost, "weight"),
        array_of(boost, "raw"),
        array_of(boost, "gradient"),
        array_of(boost, "hessian"),
    )
    wait(boost)


@part
def _add_tree(
    boost: Any, grow: Any, store: Any, ensemble: Int, r: Int, tree: Int, round_seed: Int
) -> None:
    """Fit a tree to the derivatives by its side, and add it to the side."""
    side, output = tree // boost["n_outputs"], tree % boost["n_outputs"]
    position = r * boost["n_outputs"] + output
    open_place(store, ensemble + side, position, grow)
    grow["seed"] = mix(round_seed, output)
    lend_gradients(boost, grow, side, output)
    if grow["leaf_quantile"] > 0.0:
        fill_residuals(boost, grow, side)
    fit_tree(grow)
    add_leaf_values(grow, array_of(boost, "sides")[side, output])
    if boost["member"] == 0:
        close_place(store, ensemble + side, position, grow)
        if boost["n_queued"] > 0:
            to_common_codes(boost, grow)
    wait(boost)


@inner
def _watch(boost: Any, task: Int, done: Int) -> bool:
    """Note the losses after a round, if there are validation rows, and tell whether to stop."""
    if boost["n_validation"] == 0:
        return False
    task_losses = array_of(boost, "task_losses")
    losses = array_of(boost, "losses")[task, done]
    for k in range(boost["member"], task_losses.shape[0], boost["n_members"]):
        task_losses[k, TRAIN] = _task_loss(boost, k, array_of(boost, "weight"))
        task_losses[k, VALIDATION] = _task_loss(boost, k, array_of(boost, "validation_weight"))
    wait(boost)
    train, validation = 0.0, 0.0  # every member adds for itself: saves a second wait
    for k in range(task_losses.shape[0]):
        train += task_losses[k, TRAIN]
        validation += task_losses[k, VALIDATION]
    if boost["member"] == 0:
        losses[TRAIN], losses[VALIDATION] = train, validation
    if boost["patience"] == 0:
        return False
    best = boost["best_loss"]
    if done == 0 or validation < best - boost["tolerance"] * abs(best):
        boost["best_round"], boost["best_loss"] = done, validation
        _keep_raw(boost)
    return done - boost["best_round"] >= boost["patience"]


@inner
def _task_loss(boost: Any, task: Int, weight: Array) -> float:
    offsets = array_of(boost, "offsets")
    return sum_losses(
        offsets[task],
        offsets[task + 1],
        boost["loss"],
        boost["loss_parameter"],
        array_of(boost, "y"),
        weight,
        array_of(boost, "raw"),
    )


@inner
def _keep_raw(boost: Any) -> None:
    """Copy a member's share of the raw prediction: the best so far."""
    raw, best_raw = array_of(boost, "raw"), array_of(boost, "best_raw")
    start, stop = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    for k in range(raw.shape[0]):
        for i in range(start, stop):
            best_raw[k, i] = raw[k, i]
