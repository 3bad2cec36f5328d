"""The linear mixed model of training rows, and what it predicts of rows that it has not seen."""

from __future__ import annotations

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.rows import Rows
from rmtgb.boosting.settings import FitSettings
from rmtgb.engine.team import Team
from rmtgb.linear.fit import MixedData, out_of_fold
from rmtgb.linear.model import MixedModel

#: Folds of which training rows get the predictions of linear models that have not seen them.
N_FOLDS = 5

#: Largest target of a loss with no unit that a linear model is fitted to: its normal equations
#: multiply hessians, which are as large as counts, and nothing is counted that far.
LARGEST_LINEAR_COUNT = 2.0**40


def may_have_linear(rows: Rows, settings: FitSettings) -> bool:
    """Tell whether a linear model can be fitted to targets of this size."""
    return settings.loss.is_scale_free or bool(rows.y.max() <= LARGEST_LINEAR_COUNT)


def mixed_data(rows: Rows, n_tasks: int, settings: FitSettings) -> MixedData:
    """Return rows as a mixed model takes them."""
    return MixedData(
        np.asarray(rows.X, np.float64),
        settings.n_categories > 0,
        rows.y,
        rows.task_codes,
        n_tasks,
        rows.weight,
        settings.loss,
    )


def unseen_predictions(
    linear: MixedModel, data: MixedData, order: IntArray, fold: IntArray, team: Team
) -> FloatArray:
    """Return linear predictions (n_outputs, n) of rows by models that have not seen them.

    Parameters
    ----------
    linear : MixedModel
        Of which variances and design are kept.
    data : MixedData
        All rows.
    order, fold : ndarray of int64 of shape (n,)
        Rows, and the fold of each of these.
    team : Team
    """
    if not fold.any():  # all rows are one: there is nothing that a model has not seen
        return linear.predict(data.X, data.task, team)
    of_row = np.empty_like(fold)
    of_row[order] = fold
    return out_of_fold(linear, data, of_row, team)
