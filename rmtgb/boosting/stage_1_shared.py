"""Stage 1: one ensemble for all tasks."""

import numpy as np

from rmtgb.boosting.state import EnsembleGrower


def boost_shared(state, settings, rng, after_round, former=None):
    """Add a shared ensemble S to the raw prediction.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    rng : numpy.random.Generator
    after_round : callable
        Called after each round; the stage ends when it returns True.
    former : Ensemble, optional
        What is to be continued: its rounds count, and the new ones are the same as if
        the stage had gone on at once.

    Returns
    -------
    Ensemble

    References
    ----------
    Emami, Martínez-Muñoz, Hernández-Lobato, "Robust-Multi-Task Gradient Boosting",
    arXiv 2507.11411, the first of the three blocks.
    """
    grower = EnsembleGrower(state, settings.common_trees, state.training.constant_hessian, former)
    ones = np.ones(state.training.n_tasks)
    for seed in rng.integers(2**63, size=settings.n_iter_shared)[grower.n_former :]:
        grower.refresh()
        grower.grow(ones, state.raw, seed)
        if after_round():
            break
    return grower.ensemble()
