"""A table of scores per task, beside what pooling and single-task models would have given."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length

from rmtgb._common import FloatArray, IntArray
from rmtgb.containers import take_rows
from rmtgb.estimators._base import make_generator
from rmtgb.estimators._input import drop_rows_without_weight

if TYPE_CHECKING:
    from rmtgb.estimators._inspection import InspectedRMTGB

Estimator = TypeVar("Estimator", bound="InspectedRMTGB")

#: Folds of the cross-validation, if there are twice as many rows.
N_FOLDS = 5


@dataclass(frozen=True)
class JudgedRows:
    """Rows of known tasks and positive weight: as they were given, and as numbers."""

    X: Any
    y: Any
    task: Any
    weight: FloatArray
    codes: IntArray
    encoded_y: FloatArray


def fit_references(
    model: Estimator, X: Any, y: Any, task: Any = None, sample_weight: Any = None
) -> dict[str, Estimator]:
    """Fit the two models that an estimator is compared with.

    Parameters
    ----------
    model : RMTGBRegressor or RMTGBClassifier
        Fitted, with tasks. The parameters of its fit are used, whatever they are now.
    X, y, task, sample_weight
        Rows to fit on, as for its ``fit``.

    Returns
    -------
    dict of str to estimator
        "pooled", which has stage 1 alone, and "single_task", which has stage 3 alone; both
        with as many rounds as all stages of `model` together.
    """
    unfitted = model._unfitted()
    rounds = unfitted.n_iter_shared + unfitted.n_iter_partition + unfitted.n_iter_task
    no_rounds = {"n_iter_shared": 0, "n_iter_partition": 0, "n_iter_task": 0}
    with _without_repeated_warnings():
        return {
            name: model._unfitted(**no_rounds | {stage: rounds, "task_baseline": "global"}).fit(
                X, y, task=task, sample_weight=sample_weight
            )
            for name, stage in (("pooled", "n_iter_shared"), ("single_task", "n_iter_task"))
        }


def held_out_table(
    model: Estimator,
    references: Mapping[str, Estimator],
    X: Any,
    y: Any,
    task: Any = None,
    sample_weight: Any = None,
) -> pd.DataFrame:
    """Score an estimator and those it is compared with on rows that none was fitted on.

    Parameters
    ----------
    model : RMTGBRegressor or RMTGBClassifier
        Fitted, with tasks.
    references : mapping of str to estimator
        As :func:`fit_references` returns them.
    X, y, task, sample_weight
        Rows to judge on.

    Returns
    -------
    pandas.DataFrame
        As ``task_scores`` of the estimator describes it.
    """
    rows = _judged_rows(model, X, y, task, sample_weight)
    models = {"rmtgb": model, **references}
    predictions = {
        name: _prediction(model, other, rows.X, rows.task)
        for name, other in (models if rows.codes.size else {}).items()
    }
    return _table(model, rows, predictions, "held-out rows")


def cross_validated_table(
    model: InspectedRMTGB, X: Any, y: Any, task: Any = None, sample_weight: Any = None
) -> pd.DataFrame:
    """Score what an estimator, and those it is compared with, are on other rows when refitted.

    Parameters
    ----------
    model : RMTGBRegressor or RMTGBClassifier
        Fitted, with tasks; it says which parameters to fit with.
    X, y, task, sample_weight
        Rows to fit and to judge on, in turns.

    Returns
    -------
    pandas.DataFrame
        As ``task_scores`` of the estimator describes it.

    Raises
    ------
    ValueError
        If there are fewer than 4 rows.
    """
    rows = _judged_rows(model, X, y, task, sample_weight)
    n_rows = rows.codes.size
    if n_rows < 4:
        raise ValueError(
            "Without X_train and y_train, task_scores cross-validates, which needs at least 4 "
            f"rows of known tasks; X has {n_rows}."
        )
    n_folds = min(N_FOLDS, n_rows // 2)
    fold = _deal_folds(model, rows, n_folds)
    predictions: dict[str, NDArray[Any]] = {}
    for k in range(n_folds):
        judged = fold == k
        X_new, task_new = take_rows(rows.X, judged), take_rows(rows.task, judged)
        X_fit, y_fit, task_fit = (take_rows(g, ~judged) for g in (rows.X, rows.y, rows.task))
        weight = rows.weight[~judged]
        with _without_repeated_warnings():
            again = model._unfitted().fit(X_fit, y_fit, task=task_fit, sample_weight=weight)
        references = fit_references(model, X_fit, y_fit, task_fit, weight)
        for name, other in {"rmtgb": again, **references}.items():
            prediction = _prediction(model, other, X_new, task_new)
            if name not in predictions:
                predictions[name] = np.empty((n_rows, *prediction.shape[1:]), prediction.dtype)
            predictions[name][judged] = prediction
    return _table(model, rows, predictions, f"{n_folds}-fold cross-validation")


def _judged_rows(
    model: InspectedRMTGB, X: Any, y: Any, task: Any, sample_weight: Any
) -> JudgedRows:
    X, y, task, weight, _ = drop_rows_without_weight(X, y, task, sample_weight)
    _, codes = model._as_fitted()._read_rows(X, task)  # it warns of unknown tasks
    encoded_y = model._encode_target(model._read_target(y))
    check_consistent_length(codes, encoded_y)
    known = codes >= 0
    if not known.all():
        X, y, task = (take_rows(given, known) for given in (X, y, task))
    return JudgedRows(X, y, task, weight[known], codes[known], encoded_y[known])


def _deal_folds(model: InspectedRMTGB, rows: JudgedRows, n_folds: int) -> IntArray:
    """Return the fold of each row; those of a task, and of a class in it, are spread evenly."""
    rng = make_generator(model._unfitted().random_state)
    classes = rows.encoded_y if is_classifier(model) else np.zeros(rows.codes.size)
    order = np.lexsort((rng.random(rows.codes.size), classes, rows.codes))
    fold = np.empty(order.size, dtype=np.int64)
    fold[order] = np.arange(order.size) % n_folds
    return fold


def _prediction(judge: InspectedRMTGB, model: InspectedRMTGB, X: Any, task: Any) -> FloatArray:
    values, codes, _ = model._encode_rows(X, task)
    return judge._metric_input(model, model._raw_of(values, codes))


def _table(
    model: InspectedRMTGB,
    rows: JudgedRows,
    predictions: Mapping[str, FloatArray],
    evaluation: str,
) -> pd.DataFrame:
    counts = np.bincount(rows.codes, minlength=model.n_tasks_)
    table = pd.DataFrame({"rows": counts}, index=pd.Index(model.tasks_, name="task"))
    for name in ("rmtgb", "pooled", "single_task"):
        scores = np.full(counts.size, np.nan)
        for code in np.flatnonzero(counts):
            own = rows.codes == code
            prediction = predictions[name][own]
            scores[code] = model._metric(rows.encoded_y[own], prediction, rows.weight[own])
        table[name] = scores
    table["outlier_weight"] = model.outlier_weights_
    table.attrs |= {"metric": model._metric_name, "evaluation": evaluation}
    return table[table["rows"] > 0]


@contextmanager
def _without_repeated_warnings() -> Iterator[None]:
    """Leave out what the fit of the estimator has said of the same rows."""
    with warnings.catch_warnings():
        for message in ("The weights in sample_weight", "The task column"):
            warnings.filterwarnings("ignore", message, UserWarning)
        yield
