"""Kernels of one boosting round: gradients, then one tree per output of an ensemble."""

from typing import NamedTuple

import numpy as np

from rmtgb._jit import inner, kernel
from rmtgb._team import barrier, share
from rmtgb.losses.pointwise import fill_gradients
from rmtgb.tree.dtypes import BinnedView, RowInfo, TreeJob
from rmtgb.tree.kernels.growth import N_NODES, N_SETS, grow_tree
from rmtgb.tree.kernels.leaves import add_leaf_values, set_leaf_quantiles
from rmtgb.tree.kernels.packing import pack_rows
from rmtgb.tree.kernels.random import mix

#: Coefficients below which a row says nothing about an ensemble's leaf quantiles.
MIN_COEFFICIENT = 1e-3


class LossSpec(NamedTuple):
    """A loss as kernels see it; ``leaf_quantile`` is 0 for Newton leaves."""

    code: int
    parameter: float
    leaf_quantile: float


class BoostData(NamedTuple):
    """The rows being boosted. K outputs, n rows.

    ``y`` (n,) targets; ``raw``, ``gradient``, ``hessian`` (K, n), all float64;
    ``scratch`` (4, n) float64 where leaf quantiles are wanted, (4, 0) elsewhere.
    """

    binned: BinnedView
    rows: RowInfo
    y: np.ndarray
    loss: LossSpec
    raw: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray
    scratch: np.ndarray


@kernel
def refresh_gradients(member, n_members, data, arrivals):
    """Compute gradients and hessians at ``data.raw``; all members together."""
    start, stop = share(0, data.y.size, member, n_members)
    fill_gradients(
        start, stop, data.loss.code, data.loss.parameter, data.y, data.rows.weight, data.raw,
        data.gradient, data.hessian,
    )
    barrier(member, n_members, arrivals)


@kernel
def boost_ensemble(member, n_members, seed, data, coefficient, n_words, params, workspace, trees,
                   prediction):
    """Add one tree per output to an ensemble; all members together.

    Parameters
    ----------
    member, n_members : int
        The calling member and the size of the team.
    seed : uint64
        Decides the random choices of the round.
    data : BoostData
        With gradients at the current raw prediction.
    coefficient : ndarray of float64 of shape (n_tasks,)
        Derivative c of the raw prediction by this ensemble; trees are fitted to
        ``(c g, c^2 h)``, the chain rule.
    n_words : int
        Packed words per row.
    params : GrowthParams
    workspace : Workspace
    trees : TreeBuffer
        OUT.
    prediction : ndarray of float64 of shape (n_outputs, n_rows)
        INOUT, the prediction of the ensemble.
    """
    for output in range(prediction.shape[0]):
        tree_seed = mix(seed, output)
        packing = pack_rows(
            member, n_members, tree_seed, params.subsample, data.gradient[output],
            data.hessian[output], data.rows, coefficient, n_words, workspace,
        )
        barrier(member, n_members, workspace.arrivals)
        job = TreeJob(
            member, n_members, tree_seed, data.binned, params, packing, workspace,
            trees.nodes[output], trees.category_sets[output],
        )
        grow_tree(job)
        if data.loss.leaf_quantile > 0.0:
            _refit_leaves(job, data, coefficient)
        add_leaf_values(job, prediction[output])
        if member == 0:
            trees.sizes[output, 0] = workspace.sizes[N_NODES]
            trees.sizes[output, 1] = workspace.sizes[N_SETS]
        barrier(member, n_members, workspace.arrivals)


@inner
def _refit_leaves(job, data, coefficient):
    """Give leaves the quantile of residual / c, weighted by c times the row's weight.

    It minimises the sum of ``weight * |residual - c * value|`` over a leaf.
    """
    residual, weight = data.scratch[0], data.scratch[1]
    start, stop = share(0, data.y.size, job.member, job.n_members)
    for i in range(start, stop):
        c = coefficient[data.rows.task_codes[i]]
        weight[i] = c * data.rows.weight[i] if c > MIN_COEFFICIENT else 0.0
        residual[i] = (data.y[i] - data.raw[0, i]) / max(c, MIN_COEFFICIENT)
    barrier(job.member, job.n_members, job.workspace.arrivals)
    set_leaf_quantiles(
        job, data.loss.leaf_quantile, residual, weight, data.scratch[2], data.scratch[3]
    )
    barrier(job.member, job.n_members, job.workspace.arrivals)
