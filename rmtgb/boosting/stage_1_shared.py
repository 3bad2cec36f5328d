"""Stage 1: one ensemble for all tasks."""

import numpy as np

from rmtgb.boosting.state import EnsembleGrower, refresh


def boost_shared(training, data, settings, rng, team, after_round):
    """Add a shared ensemble S to the raw prediction.

    Parameters
    ----------
    training : TrainingSet
    data : BoostData
        Its raw prediction is added to.
    settings : StageSettings
    rng : numpy.random.Generator
    team : Team
    after_round : callable
        Called after each round; the stage ends when it returns True.

    Returns
    -------
    Ensemble

    References
    ----------
    Emami, Martínez-Muñoz, Hernández-Lobato, "Robust-Multi-Task Gradient Boosting",
    arXiv 2507.11411, the first of the three blocks.
    """
    grower = EnsembleGrower(training, settings.common_trees, training.constant_hessian, team)
    ones = np.ones(training.n_tasks)
    for seed in rng.integers(2**63, size=settings.n_iter_shared):
        refresh(data, team)
        grower.grow(data, ones, data.raw, seed)
        if after_round():
            break
    return grower.ensemble()
