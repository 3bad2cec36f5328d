"""Kernels of one boosting round: gradients, then one tree per output of an ensemble."""

from rmtgb._jit import inner, kernel
from rmtgb._team import share
from rmtgb.losses.pointwise import fill_gradients
from rmtgb.tree.kernels.growth import N_NODES, N_SETS, grow_tree
from rmtgb.tree.kernels.leaves import add_leaf_values, set_leaf_quantiles
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import pack_rows
from rmtgb.tree.kernels.random import mix

#: Coefficients below which a row says nothing about an ensemble's leaf quantiles.
MIN_COEFFICIENT = 1e-3


@inner
def compute_gradients(job):
    """Compute gradients and hessians at the raw prediction; called by every member."""
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


@kernel
def refresh_gradients(member, n_members, jobs):
    """Compute gradients and hessians at the raw prediction; called by every member.

    Parameters
    ----------
    member, n_members : int
    jobs : ndarray of JOB of shape (n_members,)
    """
    compute_gradients(jobs[member])


@inner
def _refit_leaves(job, nodes, coefficient):
    """Give leaves the quantile of residual / c, weighted by c times the row's weight.

    It minimises the sum of ``weight * |residual - c * value|`` over a leaf.
    """
    scratch, y, raw, row_weight = (
        array_of(job, "scratch"),
        array_of(job, "y"),
        array_of(job, "raw")[0],
        array_of(job, "weight"),
    )
    residual, weight, task_codes = scratch[0], scratch[1], array_of(job, "task_codes")
    start, stop = share(0, job["n_rows"], job["member"], job["n_members"])
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        weight[i] = c * row_weight[i] if c > MIN_COEFFICIENT else 0.0
        residual[i] = (y[i] - raw[i]) / max(c, MIN_COEFFICIENT)
    wait(job)
    set_leaf_quantiles(job, nodes, residual, weight, scratch[2], scratch[3])
    wait(job)


@kernel
def boost_ensemble(member, n_members, jobs, seed, coefficient, trees, prediction):
    """Add one tree per output to an ensemble; called by every member.

    Parameters
    ----------
    member, n_members : int
    jobs : ndarray of JOB of shape (n_members,)
        With gradients at the current raw prediction.
    seed : uint64
        Decides the random choices of the round.
    coefficient : ndarray of float64 of shape (n_tasks,)
        Derivative c of the raw prediction by this ensemble; trees are fitted to
        ``(c g, c^2 h)``, the chain rule.
    trees : TreeBuffer
        OUT.
    prediction : ndarray of float64 of shape (n_outputs, n_rows)
        INOUT, the prediction of the ensemble.
    """
    job = jobs[member]
    counts = array_of(job, "counts")
    for output in range(prediction.shape[0]):
        job["seed"] = mix(seed, output)
        nodes, category_sets = trees.nodes[output], trees.category_sets[output]
        pack_rows(job, output, coefficient)
        wait(job)
        grow_tree(job, nodes, category_sets)
        if job["leaf_quantile"] > 0.0:
            _refit_leaves(job, nodes, coefficient)
        add_leaf_values(job, nodes, prediction[output])
        if member == 0:
            trees.sizes[output, 0] = counts[N_NODES]
            trees.sizes[output, 1] = counts[N_SETS]
        wait(job)
