"""Stage 2: an ensemble for inlier tasks, one for outlier tasks, and a learned weight per task."""

from dataclasses import dataclass

import numpy as np

from rmtgb.boosting.state import EnsembleGrower, refresh
from rmtgb.tasks.outlier_gate import OutlierGate
from rmtgb.tree.ensemble import Ensemble


@dataclass(frozen=True)
class Partition:
    """The result of stage 2: two ensembles, and each task's logit of its outlier weight."""

    inlier: Ensemble
    outlier: Ensemble
    theta: np.ndarray


def boost_partition(training, data, settings, rng, team, after_round):
    """Add ``(1 - w_t) I(x) + w_t O(x)`` to the raw prediction.

    In each round both trees and the step of theta are computed at the same raw
    prediction F. By the chain rule dF/dI = 1 - w and dF/dO = w, so the trees are fitted
    to ``((1 - w) g, (1 - w)^2 h)`` and ``(w g, w^2 h)``.

    Parameters
    ----------
    training : TrainingSet
    data : BoostData
        Its raw prediction is replaced.
    settings : StageSettings
    rng : numpy.random.Generator
    team : Team
    after_round : callable
        Called after each round; the stage ends when it returns True.

    Returns
    -------
    Partition

    References
    ----------
    arXiv 2507.11411, the second block; hessians and the step of theta are ours.
    """
    grow_inlier, grow_outlier = (
        EnsembleGrower(training, settings.common_trees, False, team) for _ in range(2)
    )
    offset = data.raw.copy()
    inlier, outlier = np.zeros_like(offset), np.zeros_like(offset)
    refresh(data, team)
    gate = OutlierGate(training, data, settings.partition_regularization, team)
    for seed in rng.integers(2**63, size=settings.n_iter_partition):
        weights = gate.weights
        gate.step(inlier, outlier)
        grow_inlier.grow(data, 1.0 - weights, inlier, seed)
        grow_outlier.grow(data, weights, outlier, seed)
        gate.combine(offset, inlier, outlier, data.raw)
        if after_round():
            break
        refresh(data, team)
    sides = (grow_inlier.ensemble(), grow_outlier.ensemble())
    if gate.fix_sign():
        sides = sides[::-1]
    return Partition(*sides, gate.theta)
