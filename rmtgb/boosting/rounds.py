"""The kernel of boosting: all rounds of a stage, or many of them, in one call.

Read :func:`boost` first, then :func:`_boost_rounds`: they are the algorithm. Everything is
called by every member of a team.
"""

import numpy as np

from rmtgb.boosting.gate_rounds import combine_sides, step_theta
from rmtgb.boosting.task_rows import give_back_rows, take_rows, to_common_codes
from rmtgb.engine.jit import inner, kernel, part
from rmtgb.engine.random import mix
from rmtgb.engine.team import share, take_ticket
from rmtgb.losses.pointwise import fill_gradients, sum_losses
from rmtgb.tree.kernels.growth import N_NODES, N_SETS, N_SLOPES, grow_tree
from rmtgb.tree.kernels.leaves import add_leaf_values, set_leaf_quantiles
from rmtgb.tree.kernels.linear_leaves import fit_slopes
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import pack_rows

#: Coefficients below which a row says nothing about an ensemble's leaf quantiles.
MIN_COEFFICIENT = 1e-3

#: Positions in losses.
TRAIN, VALIDATION = 0, 1


@kernel
def boost(member, n_members, jobs, source):
    """Boost the ensembles of a job, or one task after another.

    Parameters
    ----------
    member, n_members : int
        The calling member and its team. Of tasks, a team of one takes its share through
        the queue; a larger team works on every task together.
    jobs : ndarray of JOB of shape (n_members,)
        What to do. Raw predictions, trees and losses are OUT.
    source : ndarray of JOB of shape (>= 1,)
        Where the rows of queued tasks are; their raw predictions are INOUT. Not looked at
        if no task is queued.
    """
    job, position, ensemble = jobs[member], np.int64(0), np.int64(0)
    by_task = job["n_queued"] > 0
    while True:
        if by_task:
            if n_members == 1:
                position = take_ticket(array_of(job, "queue"))
            if position >= job["n_queued"]:
                break
            ensemble = array_of(job, "queued_tasks")[position]
            take_rows(job, source[0], ensemble)
        _boost_rounds(job, ensemble)
        if not by_task:
            break
        give_back_rows(job, source[0], ensemble)
        wait(job)
        position += 1


@part
def _boost_rounds(job, ensemble):
    """Make rounds, each of gradients and a tree per side and output."""
    done = job["first_round"]
    job["rounds_done"], job["stopped"] = done, 0
    if done == 0:
        _watch(job, ensemble, 0)
    seed = mix(job["stage_seed"], ensemble)
    for r in range(job["n_rounds"]):
        _compute_gradients(job)
        if job["n_gate_tasks"] > 0:
            step_theta(job)
        round_seed = mix(seed, array_of(job, "former_rounds")[ensemble] + done)
        for tree in range(job["n_sides"] * job["n_outputs"]):
            _add_tree(job, ensemble, r, tree, round_seed)
        if job["n_gate_tasks"] > 0:
            combine_sides(job)
        done += 1
        job["rounds_done"] = done
        if _watch(job, ensemble, done):
            job["stopped"] = 1
            break


@inner
def _compute_gradients(job):
    """Compute gradients and hessians at the raw prediction."""
    start, stop = share(0, job["n_rows"], job["member"], job["n_members"])
    fill_gradients(
        start,
        stop,
        job["loss"],
        job["loss_parameter"],
        array_of(job, "y"),
        array_of(job, "weight"),
        array_of(job, "raw"),
        array_of(job, "gradient"),
        array_of(job, "hessian"),
    )
    wait(job)


@part
def _add_tree(job, ensemble, r, tree, round_seed):
    """Fit a tree to ``(c g, c^2 h)``, the chain rule, and add it to its side."""
    side, output = tree // job["n_outputs"], tree % job["n_outputs"]
    coefficient = array_of(job, "coefficient")[side]
    owner, slot = ensemble + side, r * job["n_outputs"] + output
    nodes, category_sets, slopes = _tree_slot(job, owner, slot)
    job["seed"] = mix(round_seed, output)
    pack_rows(job, output, coefficient)
    wait(job)
    grow_tree(job, nodes, category_sets)
    if job["leaf_quantile"] > 0.0:
        _compute_residuals(job, coefficient)
    if job["linear_leaves"]:
        fit_slopes(job, nodes, slopes)
    if job["leaf_quantile"] > 0.0:
        set_leaf_quantiles(job, nodes, slopes)
        wait(job)
    add_leaf_values(job, nodes, slopes, array_of(job, "sides")[side, output])
    if job["member"] == 0:
        counts, sizes = array_of(job, "counts"), array_of(job, "tree_sizes")[owner, slot]
        sizes[0], sizes[1], sizes[2] = counts[N_NODES], counts[N_SETS], counts[N_SLOPES]
        if job["n_queued"] > 0:
            to_common_codes(job, nodes[: counts[N_NODES]], category_sets)
    wait(job)


@part
def _tree_slot(job, owner, slot):
    """Return where the nodes, the category sets and the slopes of a tree belong."""
    starts, widths = array_of(job, "slot_starts")[owner], array_of(job, "slot_widths")[owner]
    node, one_set = starts[0] + slot * widths[0], starts[1] + slot * widths[1]
    slope = starts[2] + slot * widths[2]
    return (
        array_of(job, "nodes")[node : node + widths[0]],
        array_of(job, "category_sets")[one_set : one_set + widths[1]],
        array_of(job, "slopes")[slope : slope + widths[2]],
    )


@inner
def _compute_residuals(job, coefficient):
    """Compute residual / c, and as its weight c times the row's weight.

    Their quantile minimises the sum of ``weight * |residual - c * value|`` over a leaf.
    """
    scratch, y, raw = array_of(job, "scratch"), array_of(job, "y"), array_of(job, "raw")[0]
    residual, weight, row_weight = scratch[0], scratch[1], array_of(job, "weight")
    task_codes = array_of(job, "task_codes")
    start, stop = share(0, job["n_rows"], job["member"], job["n_members"])
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        weight[i] = c * row_weight[i] if c > MIN_COEFFICIENT else 0.0
        residual[i] = (y[i] - raw[i]) / max(c, MIN_COEFFICIENT)
    wait(job)


@inner
def _watch(job, ensemble, done):
    """Note the losses after a round, if there are validation rows, and tell whether to stop."""
    if job["n_validation"] == 0:
        return False
    task_losses, losses = array_of(job, "task_losses"), array_of(job, "losses")[ensemble, done]
    for task in range(job["member"], task_losses.shape[0], job["n_members"]):
        task_losses[task, TRAIN] = _task_loss(job, task, array_of(job, "weight"))
        task_losses[task, VALIDATION] = _task_loss(job, task, array_of(job, "validation_weight"))
    wait(job)
    train, validation = 0.0, 0.0  # every member adds for itself: saves a second wait
    for task in range(task_losses.shape[0]):
        train += task_losses[task, TRAIN]
        validation += task_losses[task, VALIDATION]
    if job["member"] == 0:
        losses[TRAIN], losses[VALIDATION] = train, validation
    if job["patience"] == 0:
        return False
    if done == 0 or validation < job["best_loss"] - job["tolerance"] * abs(job["best_loss"]):
        job["best_round"], job["best_loss"] = done, validation
        _keep_raw(job)
    return done - job["best_round"] >= job["patience"]


@inner
def _task_loss(job, task, weight):
    offsets = array_of(job, "offsets")
    return sum_losses(
        offsets[task],
        offsets[task + 1],
        job["loss"],
        job["loss_parameter"],
        array_of(job, "y"),
        weight,
        array_of(job, "raw"),
    )


@inner
def _keep_raw(job):
    """Copy a member's share of the raw prediction: the best so far."""
    raw, best_raw = array_of(job, "raw"), array_of(job, "best_raw")
    start, stop = share(0, job["n_rows"], job["member"], job["n_members"])
    for k in range(raw.shape[0]):
        for i in range(start, stop):
            best_raw[k, i] = raw[k, i]
