"""From arrays to a fitted model: sorting by task, binning, stage lengths, the stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choose.clusters import cluster_tasks, may_have_clusters
from rmtgb.boosting.choose.lengths import Fold, StageLengths, choose_stage_lengths
from rmtgb.boosting.choose.validation_split import folds_by_content, split_by_content
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.outlier_gate import starting_theta
from rmtgb.boosting.profiles import find_evidence
from rmtgb.boosting.rows import (
    LARGEST_IN_UNIT,
    BoostState,
    Rows,
    TrainingSet,
    unit_of_target,
)
from rmtgb.boosting.settings import FitSettings, Seeds, StageSettings
from rmtgb.boosting.three_stages import fit_three_stages
from rmtgb.boosting.warm_start import former_predictions
from rmtgb.engine.team import Team
from rmtgb.linear.fit import MixedData, fit_mixed, out_of_fold
from rmtgb.linear.model import MixedModel
from rmtgb.tasks.baseline import fit_baseline
from rmtgb.tasks.evidence import TaskEvidence
from rmtgb.tasks.table import TaskTable
from rmtgb.tree.binning import BinMapper
from rmtgb.tree.standardizer import Standardizer

#: Folds of which training rows get the predictions of linear models that have not seen them.
N_FOLDS = 5

#: Largest target of a loss with no unit that a linear model is fitted to: its normal equations
#: multiply hessians, which are as large as counts, and nothing is counted that far.
LARGEST_LINEAR_COUNT = 2.0**40


@dataclass(frozen=True)
class FitResult:
    """A fitted model, and how long its stages are."""

    model: ThreeStageModel
    lengths: StageLengths


def fit_rows(
    rows: Rows,
    validation: Rows | None,
    n_tasks: int,
    settings: FitSettings,
    rng: np.random.Generator,
    team: Team,
    monitor: Monitor,
    former: ThreeStageModel | None = None,
) -> FitResult:
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
        In units of the target as given.

    Raises
    ------
    ValueError
        If targets are too large, by themselves or for the model that is to be continued.
    """
    unit = unit_of_target(rows.y, settings.loss)
    if former is not None:
        unit = _unit_to_continue(former, unit)
    settings = replace(settings, loss=settings.loss.in_unit(unit))
    rows = rows.in_unit(unit)
    validation = None if validation is None else validation.in_unit(unit)
    fit = _Fit(n_tasks, settings, Seeds.draw(rng), team, monitor)
    if former is None:
        result = fit.anew(rows, validation, unit)
    else:
        result = fit.onwards(rows, former.in_unit(unit))
    lengths = result.lengths.in_unit(unit, settings.loss.degree)
    return FitResult(result.model.in_unit(1.0 / unit), lengths)


def _unit_to_continue(former: ThreeStageModel, unit: float) -> float:
    """Return the unit of a model, in which its gains are; refuse targets too large for it."""
    if unit > former.unit * LARGEST_IN_UNIT:
        raise ValueError(
            f"y holds values up to {unit:g} in size, too large to continue a model of targets up "
            f"to {former.unit:g}. Fit with warm_start=False."
        )
    return former.unit


@dataclass(frozen=True)
class _Plan:
    """Rows as the stages will see them, with what is added to them, and what was chosen.

    ``training`` are all training rows in bins, ``folds`` the same with validation rows among them,
    and ``lengths`` what was chosen on these, if anything. ``evidence`` is that of all tasks.
    """

    rows: Rows
    validation: Rows | None
    added: AddedFeatures
    mapper: BinMapper
    training: TrainingSet
    stages: StageSettings
    folds: Sequence[Fold] = ()
    lengths: StageLengths | None = None
    evidence: TaskEvidence | None = None


@dataclass(frozen=True)
class _Fit:
    """What all steps of a fit are told."""

    n_tasks: int
    settings: FitSettings
    seeds: Seeds
    team: Team
    monitor: Monitor

    def anew(self, rows: Rows, validation: Rows | None, unit: float) -> FitResult:
        """Fit a model from the start: choose what is to be chosen, then fit all rows."""
        plain = self._with_evidence(self._plan(rows, validation, AddedFeatures()))
        if self.settings.stopping is not None:
            plain = self._choose_lengths(plain)
        plan = plain
        if self._wants_linear(plain):
            plan = self._with_linear(plain)
        looks_for_clusters = self.settings.cluster_tasks and may_have_clusters(
            self.n_tasks, self.settings.stages
        )
        if plain.lengths is not None and looks_for_clusters:
            plan = self._with_clusters(plain, plan)
        training = plan.training
        stages, lengths = plan.stages, plan.lengths
        if lengths is not None:
            stages = lengths.limit(stages)
        start = ThreeStageModel.untrained(
            self._baseline(training, plan.evidence),
            plan.added,
            plan.mapper.standardizer,
            stages.task_trees.random_thresholds,
            unit,
        )
        start = replace(start, evidence=plan.evidence)
        state = BoostState(training, start.tasks, self.team)
        return self._fit_stages(state, start, stages, lengths)

    def onwards(self, rows: Rows, former: ThreeStageModel) -> FitResult:
        """Continue a model, with stages of the lengths that the settings say."""
        linear = None
        if former.added.linear is not None:
            plain = self._plan(rows, None, AddedFeatures())
            linear = self._out_of_fold(former.added.linear, self._mixed_data(rows), plain)
        # its slopes are in units of its own standardized features
        plan = self._plan(rows, None, former.added, linear, former.standardizer)
        training = plan.training
        predictions = former_predictions(
            replace(former, added=AddedFeatures()),  # plan.rows have them
            plan.rows.X[training.order],
            plan.rows.task_codes[training.order],
            self.team,
        )
        stages = plan.stages.with_task_thresholds(former.task_specific.random_thresholds)
        if former.partition.n_rounds or former.task_specific.trees.n_trees:
            stages = replace(stages, joint_offsets=False)  # the others have been fitted to these
        tasks = replace(former.tasks, weight=training.task_weight)
        state = BoostState(training, tasks, self.team, predictions)
        return self._fit_stages(state, former, stages, None)

    def _plan(
        self,
        rows: Rows,
        validation: Rows | None,
        added: AddedFeatures,
        linear: FloatArray | None = None,
        standardizer: Standardizer | None = None,
    ) -> _Plan:
        """Bin rows with added features, linear predictions (n_outputs, n) of them.

        Values are standardized as these rows are, or as a standardizer has it.
        """
        rows = replace(rows, X=added.beside(rows.X, rows.task_codes, linear, self.team))
        if validation is not None:
            X = added.beside(validation.X, validation.task_codes, team=self.team)
            validation = replace(validation, X=X)
        n_categories = np.concatenate([self.settings.n_categories, added.n_categories()])
        mapper = BinMapper.fit(
            rows.X,
            rows.weight,
            n_categories,
            self.settings.max_bins,
            self.seeds.bins,
            self.team,
            n_telling=self.settings.n_categories.size,
        )
        if standardizer is not None:
            mapper = replace(mapper, standardizer=standardizer)
        training = self._binned(rows, None, mapper)
        stages = self.settings.stages
        if added.clusters is not None:
            # they do the work of stage 2; offsets of raw means had 0.88 to 0.96 of the error
            stages = replace(stages, n_iter_partition=0, joint_offsets=False)
        return _Plan(rows, validation, added, mapper, training, stages)

    def _wants_linear(self, plain: _Plan) -> bool:
        """Tell whether a linear mixed model is to be fitted."""
        kind, loss = self.settings.task_baseline, self.settings.loss
        if not loss.is_scale_free and plain.rows.y.max() > LARGEST_LINEAR_COUNT:
            return False
        chooses = plain.lengths is not None and self.n_tasks > 1
        return kind == "linear" or (kind == "auto" and chooses)

    def _with_linear(self, plain: _Plan) -> _Plan:
        """Return a plan with a linear mixed model, where validation rows do not speak against it.

        A search without stage 2 says whether it is worth a whole one.
        """
        self.monitor.tell("fitting a linear mixed model, which is one more feature")
        data = self._mixed_data(plain.rows)
        linear = fit_mixed(data, self.team)
        predictions = self._out_of_fold(linear, data, plain)
        added = AddedFeatures(linear=linear)
        other = self._plan(plain.rows, plain.validation, added, predictions)
        other = replace(other, evidence=plain.evidence)
        if plain.lengths is None:
            return other
        if self.settings.task_baseline == "linear":
            return self._choose_lengths(other, like=plain)
        without = replace(other, stages=replace(other.stages, n_iter_partition=0))
        tried = self._choose_lengths(without, like=plain)
        if not _is_better(tried, plain):
            return plain
        if self.settings.stages.n_iter_partition > 0:
            tried = min(tried, self._choose_lengths(other, like=plain), key=_validation_loss)
        return tried

    def _mixed_data(self, rows: Rows) -> MixedData:
        return MixedData(
            np.asarray(rows.X, np.float64),
            self.settings.n_categories > 0,
            rows.y,
            rows.task_codes,
            self.n_tasks,
            rows.weight,
            self.settings.loss,
        )

    def _out_of_fold(self, linear: MixedModel, data: MixedData, plain: _Plan) -> FloatArray:
        """Return linear predictions (n_outputs, n) of rows by models that have not seen them."""
        training = plain.training
        fold = np.empty_like(data.task)
        fold[training.order] = folds_by_content(training, N_FOLDS, self.seeds.validation)
        if np.unique(fold).size < N_FOLDS:  # a handful of rows, or equal ones
            fold = np.arange(fold.size) % N_FOLDS
        return out_of_fold(linear, data, fold, self.team)

    def _choose_lengths(self, plan: _Plan, like: _Plan | None = None) -> _Plan:
        """Choose stage lengths on validation rows, those of another plan if given."""
        settings, stages = self.settings, plan.stages
        if plan.validation is not None:
            training_sets = [self._binned(plan.rows, plan.validation, plan.mapper)]
        else:
            # fewer rows, but trees of the same size: a task of 16 rows would have other ones
            stages = stages.on_fewer_rows(1.0 - settings.validation_fraction)
            everything = plan.training
            if like is None:
                choices = split_by_content(
                    everything, settings.validation_fraction, self.seeds.validation
                )
            else:
                choices = [fold.training.validation_weight > 0.0 for fold in like.folds]
            training_sets = [everything.setting_aside(held_out) for held_out in choices]
        if not training_sets:  # no task has a row to spare
            return plan
        folds = [Fold(rows, self._baseline(rows, plan.evidence)) for rows in training_sets]
        assert settings.stopping is not None
        lengths = choose_stage_lengths(
            folds, stages, settings.stopping, self.seeds, self.monitor, self.team
        )
        return replace(plan, folds=folds, lengths=lengths)

    def _with_clusters(self, plain: _Plan, best: _Plan) -> _Plan:
        """Return a plan with clusters of tasks if they make the validation loss smaller."""
        clusters = cluster_tasks(
            plain.folds[0],
            plain.rows,
            plain.mapper.standardizer,
            self.settings.stages,
            self.seeds.clusters,
            self.team,
        )
        if clusters is None:
            return best
        other = self._plan(plain.rows, plain.validation, AddedFeatures(clusters))
        other = self._choose_lengths(replace(other, evidence=plain.evidence), like=plain)
        return other if _is_better(other, best) else best

    def _binned(self, rows: Rows, validation: Rows | None, mapper: BinMapper) -> TrainingSet:
        return TrainingSet.of(
            rows,
            validation,
            mapper,
            self.n_tasks,
            self.settings.loss,
            self.settings.stages.any_linear,
            self.team,
        )

    def _with_evidence(self, plan: _Plan) -> _Plan:
        """Tell by all training rows, once for all paths, which tasks are outliers."""
        tasks = self._baseline(plan.training, None)
        evidence = find_evidence(plan.training, tasks, self.seeds.evidence, self.team)
        return replace(plan, evidence=evidence)

    def _baseline(self, training: TrainingSet, evidence: TaskEvidence | None) -> TaskTable:
        """Return what is known of tasks before the first stage."""
        tasks = fit_baseline(
            self.settings.task_baseline,
            training.loss,
            training.y,
            training.weight,
            training.offsets,
        )
        if evidence is None:
            return tasks
        return replace(tasks, theta_start=starting_theta(evidence.called))

    def _fit_stages(
        self,
        state: BoostState,
        former: ThreeStageModel,
        stages: StageSettings,
        lengths: StageLengths | None,
    ) -> FitResult:
        """Fit on all training rows, with chosen lengths or else those of the settings."""
        if lengths is None:
            task_rounds = np.maximum(0, stages.n_iter_task - former.task_specific.n_rounds)
        else:
            task_rounds = lengths.task
        model = fit_three_stages(state, former, stages, task_rounds, self.seeds, self.monitor)
        if lengths is None:
            lengths = StageLengths(
                model.shared.n_rounds,
                model.partition.n_rounds,
                model.task_specific.n_rounds,
                stages.task_trees.random_thresholds,
            )
        return FitResult(model, lengths)


def _validation_loss(plan: _Plan) -> float:
    """Return the mean validation loss with the lengths that were chosen."""
    assert plan.lengths is not None
    return plan.lengths.loss


def _is_better(plan: _Plan, other: _Plan) -> bool:
    return _validation_loss(plan) < _validation_loss(other)
