"""Stage 2: an ensemble for inlier tasks, one for outlier tasks, and a learned weight per task."""

from dataclasses import dataclass

import numpy as np

from rmtgb.boosting.state import EnsembleGrower
from rmtgb.tasks.outlier_gate import OutlierGate
from rmtgb.tree.ensemble import Ensemble


@dataclass(frozen=True)
class Partition:
    """The result of stage 2: two ensembles, and each task's logit of its outlier weight."""

    inlier: Ensemble
    outlier: Ensemble
    theta: np.ndarray


def boost_partition(state, settings, rng, after_round, former=None):
    """Add ``(1 - w_t) I(x) + w_t O(x)`` to the raw prediction.

    In each round both trees and the step of theta are computed at the same raw
    prediction F. By the chain rule dF/dI = 1 - w and dF/dO = w, so the trees are fitted
    to ``((1 - w) g, (1 - w)^2 h)`` and ``(w g, w^2 h)``.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    rng : numpy.random.Generator
    after_round : callable
        Called after each round; the stage ends when it returns True.
    former : Partition, optional
        What is to be continued: its rounds count, and theta goes on from where it was.

    Returns
    -------
    Partition

    References
    ----------
    arXiv 2507.11411, the second block; hessians and the step of theta are ours.
    """
    former = Partition(None, None, None) if former is None else former
    inlier_side, outlier_side = (
        EnsembleGrower(state, settings.common_trees, constant_hessian=False, former=ensemble)
        for ensemble in (former.inlier, former.outlier)
    )
    inlier, outlier = state.sides()
    inlier_side.refresh()
    gate = OutlierGate(
        state, settings.partition_regularization, former.theta if inlier_side.n_former else None
    )
    share = gate.weights[state.training.task_codes]
    offset = state.raw - (1.0 - share) * inlier - share * outlier
    for seed in rng.integers(2**63, size=settings.n_iter_partition)[inlier_side.n_former :]:
        weights = gate.weights
        gate.step(inlier, outlier)
        inlier_side.grow(1.0 - weights, inlier, seed)
        outlier_side.grow(weights, outlier, seed)
        gate.combine(offset, inlier, outlier)
        if after_round():
            break
        inlier_side.refresh()
    sides = (inlier_side.ensemble(), outlier_side.ensemble())
    if gate.fix_sign():
        sides = sides[::-1]
    return Partition(*sides, gate.theta)
