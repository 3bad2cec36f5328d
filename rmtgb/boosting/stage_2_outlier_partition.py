"""Stage 2: an ensemble for inlier tasks, one for outlier tasks, and a learned weight per task."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from rmtgb.boosting.booster import Booster
from rmtgb.tasks.outlier_gate import exchanges_sides, starting_theta
from rmtgb.tree.ensemble import Ensemble


@dataclass(frozen=True)
class Partition:
    """The result of stage 2: two ensembles, and each task's logit of its outlier weight."""

    inlier: Ensemble
    outlier: Ensemble
    theta: np.ndarray

    @property
    def n_rounds(self):
        """Number of rounds."""
        return self.inlier.n_rounds

    @classmethod
    def empty(cls, n_tasks, n_outputs):
        """Return a partition without trees."""
        return cls(Ensemble.empty(n_outputs), Ensemble.empty(n_outputs), np.zeros(n_tasks))


def boost_partition(state, settings, rng, monitor, former=None, watch=None):
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
    monitor : Monitor
        Told of every round; may end the stage.
    former : Partition, optional
        What is to be continued: its rounds count, and theta goes on from where it was.
    watch : Watch, optional
        Follows the stage on validation rows and ends it.

    Returns
    -------
    Partition
        Without rounds all weights are 1/2: no task stands out.

    References
    ----------
    arXiv 2507.11411, the second block; hessians and the step of theta are ours.
    """
    training = state.training
    if former is None:
        former = Partition.empty(training.n_tasks, training.loss.n_outputs)
    n_rounds = settings.n_iter_partition - former.n_rounds
    if n_rounds <= 0:
        return former
    theta = former.theta.copy() if former.n_rounds else starting_theta(training, state.team)
    sides = state.sides()
    booster = Booster(
        state,
        settings.common_trees,
        [former.inlier, former.outlier],
        sides,
        False,  # coefficients make hessians differ
        rng.integers(2**63),
        _gate(state, sides, theta),
        settings.partition_regularization,
    )
    booster.run(n_rounds, monitor, watch)
    inlier, outlier = booster.ensembles()
    if exchanges_sides(theta, training):
        return Partition(outlier, inlier, -theta)
    return Partition(inlier, outlier, theta)


def _gate(state, sides, theta):
    """Return the arrays of the outlier gate; theta itself is stepped where it is."""
    share = expit(theta)[state.training.task_codes]
    return {
        "theta": theta,
        "theta_start": theta.copy(),
        "outlier_weight": expit(theta),
        "offset": state.raw - (1.0 - share) * sides[0] - share * sides[1],
    }
