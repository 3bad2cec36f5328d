"""Stage 1: one ensemble for all tasks."""

from rmtgb.boosting.booster import Booster
from rmtgb.tree.ensemble import Ensemble


def boost_shared(state, settings, rng, monitor, former=None, watch=None):
    """Add a shared ensemble S to the raw prediction.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    rng : numpy.random.Generator
    monitor : Monitor
        Told of every round; may end the stage.
    former : Ensemble, optional
        What is to be continued: its rounds count, and the new ones are the same as if
        the stage had gone on at once.
    watch : Watch, optional
        Follows the stage on validation rows and ends it.

    Returns
    -------
    Ensemble

    References
    ----------
    Emami, Martínez-Muñoz, Hernández-Lobato, "Robust-Multi-Task Gradient Boosting",
    arXiv 2507.11411, the first of the three blocks.
    """
    training = state.training
    former = Ensemble.empty(training.loss.n_outputs) if former is None else former
    booster = Booster(
        state,
        settings.common_trees,
        [former],
        state.raw[None],  # the ensemble is added to the raw prediction where that is
        training.constant_hessian,
        rng.integers(2**63),
    )
    booster.run(settings.n_iter_shared - former.n_rounds, monitor, watch)
    return booster.ensembles()[0]
