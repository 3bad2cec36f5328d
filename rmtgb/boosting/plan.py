"""Plans of a fit: what trees are to see, and which plan validation rows prefer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rmtgb._common import FloatArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choose.search import Fold
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.rows import Rows, TrainingSet
from rmtgb.boosting.settings import StageSettings
from rmtgb.tree.binning import BinMapper


@dataclass(frozen=True)
class Plan:
    """Rows as the stages will see them, with what is added to them, and what was chosen.

    ``linear`` (n_outputs, n) are predictions of linear models, if these are among ``added``;
    ``training`` are all training rows in bins, ``folds`` the same with validation rows among them,
    and ``lengths`` what was chosen on these, if anything.
    """

    rows: Rows
    validation: Rows | None
    added: AddedFeatures
    linear: FloatArray | None
    mapper: BinMapper
    training: TrainingSet
    stages: StageSettings
    folds: Sequence[Fold] = ()
    lengths: StageLengths | None = None


def validation_loss(plan: Plan) -> float:
    """Return the mean validation loss with the lengths that were chosen."""
    assert plan.lengths is not None
    return plan.lengths.loss


def is_better(plan: Plan, simpler: Plan) -> bool:
    """Tell whether validation rows prefer a plan to a simpler one."""
    assert plan.lengths is not None
    assert simpler.lengths is not None
    return plan.lengths.beat(simpler.lengths)
