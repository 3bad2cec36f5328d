"""What a model that is to be continued predicts for the rows of a further fit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import IntArray
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.outlier_gate import combined
from rmtgb.boosting.rows import FormerPredictions
from rmtgb.engine.team import Team
from rmtgb.tree.ensemble import RowsToPredict


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
    raw, shared, rest_of_shared, rest = (np.empty(shape) for _ in range(4))
    sides = np.empty((2, *shape))

    def predict_block(rows: RowsToPredict, codes: IntArray, block: Any) -> None:
        prediction, weight = rows.prediction, model.tasks.second_weight[codes]
        for k, side in enumerate(model.partition.sides):
            prediction[:] = 0.0
            side.add_to(rows)
            sides[k][:, block] = prediction
        prediction[:] = 0.0
        model.shared.add_to(rows)
        shared[:, block] = prediction
        offset = model.tasks.baseline_of(codes).T
        prediction += offset
        common = prediction.copy()
        before = combined(common, sides[:, :, block], weight)
        prediction[:] = before
        model.task_specific.add_to(rows)
        raw[:, block] = prediction
        rest[:, block] = common + (prediction - before)
        rest_of_shared[:, block] = offset + (prediction - common)

    model.in_blocks(predict_block, X, task_codes, team)
    return FormerPredictions(raw, shared, rest_of_shared, rest, sides)
