"""Stage 1: one ensemble for all tasks."""

from __future__ import annotations

from rmtgb.boosting.booster import Booster, Curve
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.rows import BoostState
from rmtgb.boosting.settings import StageSettings, Stopping
from rmtgb.tree.ensemble import Ensemble


def boost_shared(
    state: BoostState,
    settings: StageSettings,
    seed: int,
    monitor: Monitor,
    former: Ensemble | None = None,
    stopping: Stopping | None = None,
) -> tuple[Ensemble, Curve | None]:
    """Add ``S(x)`` to the raw prediction: each round a tree on the gradients of all rows.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    settings : StageSettings
    seed : int
    monitor : Monitor
        Told of every round; may end the stage.
    former : Ensemble, optional
        What is to be continued: its rounds count, and the new ones are the same as if
        the stage had gone on at once.
    stopping : Stopping, optional
        When the validation rows end the stage.

    Returns
    -------
    ensemble : Ensemble
    curve : Curve or None
        What became of it on the validation rows, if they could end it.

    References
    ----------
    Emami, Martínez-Muñoz, Hernández-Lobato, "Robust-Multi-Task Gradient Boosting",
    arXiv 2507.11411, the first of the three blocks.
    """
    former = Ensemble.empty(state.training.loss.n_outputs) if former is None else former
    # the ensemble is added to the raw prediction where that is
    booster = Booster(state, settings.common_trees, [former], state.raw[None], seed)
    curve = booster.run(settings.n_iter_shared - former.n_rounds, monitor, stopping)
    return booster.ensembles()[0], curve
