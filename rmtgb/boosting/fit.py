"""From arrays to a fitted model: sorting by task, binning, stage lengths, the stages."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.stage_lengths import (
    StageLengths,
    Stopping,
    choose_stage_lengths,
    limited,
)
from rmtgb.boosting.state import StageSettings, TrainingSet
from rmtgb.boosting.three_stages import fit_three_stages
from rmtgb.boosting.validation_split import split_by_content
from rmtgb.losses import Loss
from rmtgb.tasks.baseline import fit_baseline
from rmtgb.tasks.index import TaskIndex
from rmtgb.tree.binning import BinMapper


@dataclass(frozen=True)
class Rows:
    """Rows as the estimator has validated them.

    ``X`` (n, n_features) float32 or float64, categories numbered; ``y`` (n,) float64;
    ``weight`` (n,) float64, positive; ``task_codes`` (n,) int64.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    task_codes: np.ndarray


@dataclass(frozen=True)
class FitSettings:
    """All settings of a fit besides the data."""

    stages: StageSettings
    loss: Loss
    task_baseline: str
    max_bins: int
    n_categories: np.ndarray
    stopping: Stopping | None
    validation_fraction: float


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how long its stages are."""

    model: ThreeStageModel
    lengths: StageLengths


def fit_rows(rows, validation, n_tasks, settings, rng, team, monitor, former=None):
    """Fit the three stages.

    Parameters
    ----------
    rows : Rows
        Training rows.
    validation : Rows or None
        Validation rows given by the user; otherwise some training rows are set aside
        where stage lengths have to be chosen, and used again for the final fit.
    n_tasks : int
    settings : FitSettings
    rng : numpy.random.Generator
    team : Team
    monitor : Monitor
    former : ThreeStageModel, optional
        A model that is to be continued, with stages of fixed lengths.

    Returns
    -------
    FitResult
    """
    rng_bins, rng_split, rng_boost = rng.spawn(3)
    equal = bool(np.all(rows.weight == rows.weight[0]))
    mapper = BinMapper.fit(
        rows.X,
        None if equal else rows.weight,
        settings.n_categories,
        settings.max_bins,
        rng_bins,
        team,
    )
    if former is not None:  # its slopes belong to its scale
        mapper = replace(mapper, standardizer=former.standardizer)
    lengths, folds = None, []
    if settings.stopping is not None and former is None:
        folds = _with_validation(rows, validation, mapper, n_tasks, settings, rng_split, team)
    if folds:
        stages = settings.stages
        if validation is None:
            # fewer rows, but trees of the same size: a task of 16 rows would have other ones
            stages = stages.on_fewer_rows(1.0 - settings.validation_fraction)
        lengths = choose_stage_lengths(folds, stages, settings.stopping, deepcopy(rng_boost), team)
        if validation is None:
            training = replace(
                folds[0],
                weight=folds[0].weight + folds[0].validation_weight,
                validation_weight=np.empty(0),
            )
    if lengths is None or validation is not None:
        training = _training_set(rows, None, mapper, n_tasks, settings, team)
    if former is None:
        former = ThreeStageModel.untrained(_baseline(training, settings), mapper.standardizer)
    else:
        order = TaskIndex.from_codes(rows.task_codes, n_tasks).order
        predictions = former.former_predictions(rows.X[order], rows.task_codes[order], team)
        training = replace(training, former=predictions)
    return _fit_lengths(training, former, lengths, settings, rng_boost, team, monitor)


def _fit_lengths(training, former, lengths, settings, rng, team, monitor):
    """Fit on all training rows, with chosen lengths or else the user's."""
    stages = settings.stages if lengths is None else limited(settings.stages, lengths)
    model = fit_three_stages(
        replace(training, baseline=former.baseline.tasks),
        former,
        stages,
        rng,
        team,
        monitor,
        None if lengths is None else lengths.task,
    )
    if lengths is None:
        lengths = StageLengths(
            model.shared.n_rounds,
            model.partition.n_rounds,
            model.task_specific.n_rounds,
            stages.task_trees.random_thresholds,
        )
    return FitResult(model, lengths)


def _with_validation(rows, validation, mapper, n_tasks, settings, rng, team):
    """Return training sets some rows of which only validate; none if no row can."""
    if validation is not None:
        folds = [_training_set(rows, validation, mapper, n_tasks, settings, team)]
    else:
        everything = _training_set(rows, None, mapper, n_tasks, settings, team)
        folds = [
            replace(
                everything,
                weight=np.where(held_out, 0.0, everything.weight),
                validation_weight=np.where(held_out, everything.weight, 0.0),
            )
            for held_out in split_by_content(everything, settings.validation_fraction, rng)
        ]
    return [replace(fold, baseline=_baseline(fold, settings).tasks) for fold in folds]


def _baseline(training, settings):
    return fit_baseline(
        settings.task_baseline, settings.loss, training.y, training.weight, training.offsets
    )


def _training_set(rows, validation, mapper, n_tasks, settings, team):
    """Sort rows by task and bin them; the baseline is left at zero."""
    both = [rows] if validation is None else [rows, validation]
    task_codes = np.concatenate([r.task_codes for r in both])
    index = TaskIndex.from_codes(task_codes, n_tasks)
    position = np.empty_like(index.order)
    position[index.order] = np.arange(index.order.size)
    binned = mapper.empty(task_codes.size, settings.stages.any_linear)
    done = 0
    for part in both:
        mapper.transform(part.X, position[done : done + part.y.size], binned, team)
        done += part.y.size
    weight = np.concatenate([rows.weight, *(np.zeros(r.y.size) for r in both[1:])])
    validation_weight = np.empty(0)
    if validation is not None:
        validation_weight = np.concatenate([np.zeros(rows.y.size), validation.weight])
        validation_weight = validation_weight[index.order]
    return TrainingSet(
        binned,
        np.concatenate([r.y for r in both])[index.order],
        weight[index.order],
        validation_weight,
        task_codes[index.order].astype(np.int32),
        index.offsets,
        np.zeros((n_tasks, settings.loss.n_outputs)),
        settings.loss,
    )
