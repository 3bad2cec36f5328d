"""From arrays to a fitted model: sorting by task, binning, stage lengths, the stages."""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from rmtgb.boosting.cluster_search import cluster_tasks, may_have_clusters
from rmtgb.boosting.model import ThreeStageModel, with_cluster_column
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
    cluster_tasks: bool


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
    rngs = rng.spawn(4)
    if former is not None:
        plan = _Plan(rows, validation, n_tasks, settings, former.clusters, rngs, team)
        # its slopes belong to its scale
        plan.mapper = replace(plan.mapper, standardizer=former.standardizer)
        training = plan.training_set()
        order = _by_task([rows], n_tasks).order
        predictions = former.former_predictions(rows.X[order], rows.task_codes[order], team)
        training = replace(training, former=predictions)
        return _fit_lengths(training, former, None, settings, rngs[2], team, monitor)
    plan = _Plan(rows, validation, n_tasks, settings, None, rngs, team)
    if settings.stopping is not None:
        plan.choose_lengths()
    looks_for_clusters = settings.cluster_tasks and may_have_clusters(n_tasks, settings.stages)
    if plan.lengths is not None and looks_for_clusters:
        plan = _with_clusters(plan, rngs, team)
    training = plan.training_set()
    start = ThreeStageModel.untrained(
        _baseline(training, settings), plan.mapper.standardizer, plan.clusters
    )
    return _fit_lengths(training, start, plan.lengths, settings, rngs[2], team, monitor)


class _Plan:
    """Rows in bins, with or without clusters of tasks, and the stage lengths chosen for them."""

    def __init__(self, rows, validation, n_tasks, settings, clusters, rngs, team):
        self.n_tasks, self.settings, self.clusters = n_tasks, settings, clusters
        self._rngs, self._team = rngs, team
        self.rows, self.validation = rows, validation
        n_categories = settings.n_categories
        if clusters is not None:
            self.rows, self.validation = (
                None
                if r is None
                else replace(r, X=with_cluster_column(r.X, r.task_codes, clusters))
                for r in (rows, validation)
            )
            n_categories = np.append(n_categories, clusters.max() + 1)
        equal = bool(np.all(rows.weight == rows.weight[0]))
        self.mapper = BinMapper.fit(
            self.rows.X,
            None if equal else rows.weight,
            n_categories,
            settings.max_bins,
            deepcopy(rngs[0]),
            team,
        )
        self.folds, self.lengths = [], None

    def choose_lengths(self, like=None):
        """Choose stage lengths on validation rows, those of another plan if given."""
        settings, stages = self.settings, self.settings.stages
        if like is not None:
            stages = replace(stages, n_iter_partition=0)  # clusters do its work
        if self.validation is not None:
            folds = [self._binned(self.validation)]
        else:
            # fewer rows, but trees of the same size: a task of 16 rows would have other ones
            stages = stages.on_fewer_rows(1.0 - settings.validation_fraction)
            everything = self._binned()
            folds = [
                _setting_aside(everything, chosen) for chosen in self._choices(everything, like)
            ]
        self.folds = [replace(f, baseline=_baseline(f, settings).tasks) for f in folds]
        if self.folds:
            rng = deepcopy(self._rngs[2])
            self.lengths = choose_stage_lengths(
                self.folds, stages, settings.stopping, rng, self._team
            )

    def _choices(self, everything, like):
        if like is not None:
            return [fold.validation_weight > 0.0 for fold in like.folds]
        fraction = self.settings.validation_fraction
        return split_by_content(everything, fraction, deepcopy(self._rngs[1]))

    def training_set(self):
        """Return all training rows; the baseline is left at zero."""
        if self.validation is None and self.folds:
            fold = self.folds[0]
            weight = fold.weight + fold.validation_weight
            return replace(fold, weight=weight, validation_weight=np.empty(0))
        return self._binned()

    def _binned(self, validation=None):
        rows = self.rows, validation, self.mapper
        return _training_set(*rows, self.n_tasks, self.settings, self._team)


def _with_clusters(plan, rngs, team):
    """Return a plan with clusters of tasks if they make the validation loss smaller."""
    rows, validation, n_tasks, settings = plan.rows, plan.validation, plan.n_tasks, plan.settings
    order = _by_task([rows] if validation is None else [rows, validation], n_tasks).order
    clusters = cluster_tasks(
        plan.folds[0], rows.X, order, plan.mapper.standardizer, settings.stages, rngs[3], team
    )
    if clusters is None:
        return plan
    other = _Plan(rows, validation, n_tasks, settings, clusters, rngs, team)
    other.choose_lengths(like=plan)
    return other if other.lengths.loss < plan.lengths.loss else plan


def _setting_aside(everything, held_out):
    """Return a training set some rows of which only validate."""
    return replace(
        everything,
        weight=np.where(held_out, 0.0, everything.weight),
        validation_weight=np.where(held_out, everything.weight, 0.0),
    )


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


def _baseline(training, settings):
    return fit_baseline(
        settings.task_baseline, settings.loss, training.y, training.weight, training.offsets
    )


def _by_task(parts, n_tasks):
    """Return the TaskIndex of some Rows, one after another."""
    return TaskIndex.from_codes(np.concatenate([part.task_codes for part in parts]), n_tasks)


def _training_set(rows, validation, mapper, n_tasks, settings, team):
    """Sort rows by task and bin them; the baseline is left at zero."""
    both = [rows] if validation is None else [rows, validation]
    index = _by_task(both, n_tasks)
    position = np.empty_like(index.order)
    position[index.order] = np.arange(index.order.size)
    binned = mapper.empty(index.codes.size, settings.stages.any_linear)
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
        index.codes[index.order].astype(np.int32),
        index.offsets,
        np.zeros((n_tasks, settings.loss.n_outputs)),
        settings.loss,
    )
