"""What a model that is to be continued predicts for the rows of a further fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.rows import FormerPredictions
from rmtgb.engine.team import Team
from rmtgb.tree.ensemble import Ensemble, RowsToPredict


def former_predictions(
    model: ThreeStageModel,
    X: NDArray[np.floating[Any]],
    task_codes: IntArray,
    team: Team,
) -> FormerPredictions:
    """Return where the stages of a further fit start.

    Everything is added up in the order of training, so that going on gives the same bits as not
    having stopped.

    Parameters
    ----------
    model : ThreeStageModel
    X : ndarray of float32 or float64 of shape (n, n_features)
        Values, categories numbered as at fit.
    task_codes : ndarray of int64 of shape (n,)
        Task of each row, all known.
    team : Team

    Returns
    -------
    FormerPredictions
    """
    shape = model.n_outputs, X.shape[0]
    rest, sides = np.empty(shape), np.empty((2, *shape))

    def predict_block(rows: RowsToPredict, codes: IntArray, block: Any) -> None:
        def total(*ensembles: Ensemble) -> FloatArray:
            for trees in ensembles:
                trees.add_to(rows)
            return rows.prediction

        for k, side in enumerate(model.partition.sides):
            rows.prediction[:] = 0.0
            sides[k][:, block] = total(side)
        rows.prediction[:] = model.baseline.tasks[codes].T
        total(model.shared)
        model.task_specific.add_to(rows)
        rest[:, block] = rows.prediction

    model.in_blocks(predict_block, X, task_codes, team)
    w = model.partition.weights[task_codes]
    return FormerPredictions(rest + (1.0 - w) * sides[0] + w * sides[1], rest, sides)
