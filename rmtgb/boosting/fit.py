"""From arrays to a fitted model: sorting by task, binning, stage lengths, the stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choose.search import Fold, LengthSearch
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.choose.validation_split import split_by_content
from rmtgb.boosting.linear_part import may_have_linear, mixed_data, unseen_predictions
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.outlier_gate import starting_theta
from rmtgb.boosting.plan import Plan, is_better, validation_loss
from rmtgb.boosting.profiles import find_profiles
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
from rmtgb.linear.fit import MixedData, fit_mixed
from rmtgb.linear.model import MixedModel
from rmtgb.tasks.baseline import fit_baseline
from rmtgb.tasks.descriptors import describe
from rmtgb.tasks.evidence import TaskEvidence
from rmtgb.tasks.outlier_test import MIN_TASKS, judge
from rmtgb.tasks.profiles import Profiles
from rmtgb.tasks.table import TaskTable
from rmtgb.tree.binning import BinMapper
from rmtgb.tree.standardizer import Standardizer


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
class _Fit:
    """What all steps of a fit are told; ``evidence`` and ``descriptors`` are of all rows."""

    n_tasks: int
    settings: FitSettings
    seeds: Seeds
    team: Team
    monitor: Monitor
    evidence: TaskEvidence | None = None
    descriptors: FloatArray | None = None

    def anew(self, rows: Rows, validation: Rows | None, unit: float) -> FitResult:
        """Fit a model from the start: choose what is to be chosen, then fit all rows."""
        plain = self._plan(rows, validation, AddedFeatures())
        return self._knowing_tasks(plain.training)._choose_and_fit(plain, unit)

    def _knowing_tasks(self, training: TrainingSet) -> _Fit:
        """Tell by all training rows, once for all paths, how tasks differ."""
        if self.n_tasks < MIN_TASKS and not self._may_describe:
            return replace(self, evidence=TaskEvidence.none(self.n_tasks, training.n_features))
        profiles = self._profiles(Fold(training, self._baseline(training)))
        evidence = judge(profiles, np.random.default_rng(self.seeds.evidence))
        descriptors = describe(profiles) if self._may_describe else None
        return replace(self, evidence=evidence, descriptors=descriptors)

    def _profiles(self, fold: Fold) -> Profiles:
        return find_profiles(fold.training, fold.tasks, self.seeds.evidence, self.team)

    def _choose_and_fit(self, plain: Plan, unit: float) -> FitResult:
        if self.settings.stopping is not None:
            plain = self._choose_lengths(plain)
        plan = plain
        if self._wants_linear(plain):
            plan = self._with_linear(plain)
        if self._wants_descriptors(plain):
            plan = self._with_descriptors(plain, plan)
        plan = self._in_own_steps(plan)
        training = plan.training
        stages, lengths = plan.stages, plan.lengths
        if lengths is not None:
            stages = lengths.limit(stages)
        start = ThreeStageModel.untrained(
            self._baseline(training),
            plan.added,
            plan.mapper.standardizer,
            stages.task_trees.random_thresholds,
            unit,
        )
        start = replace(start, evidence=self.evidence)
        state = BoostState(training, start.tasks, self.team)
        return self._fit_stages(state, start, stages, lengths)

    def onwards(self, rows: Rows, former: ThreeStageModel) -> FitResult:
        """Continue a model, with stages of the lengths that the settings say."""
        linear = None
        if former.added.linear is not None:
            plain = self._plan(rows, None, AddedFeatures())
            linear = self._unseen_predictions(
                former.added.linear, mixed_data(rows, self.n_tasks, self.settings), plain
            )
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
    ) -> Plan:
        """Bin rows with added features, linear predictions (n_outputs, n) of them.

        Values are standardized as these rows are, or as a standardizer has it.
        """
        rows = replace(rows, X=added.beside(rows.X, rows.task_codes, linear, self.team))
        if validation is not None:
            X = added.beside(validation.X, validation.task_codes, team=self.team)
            validation = replace(validation, X=X)
        n_categories = np.append(self.settings.n_categories, np.zeros(added.n_features, np.int64))
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
        return Plan(rows, validation, added, linear, mapper, training, self.settings.stages)

    def _wants_linear(self, plain: Plan) -> bool:
        """Tell whether a linear mixed model is to be fitted."""
        kind = self.settings.task_baseline
        if not may_have_linear(plain.rows, self.settings):
            return False
        chooses = plain.lengths is not None and self.n_tasks > 1
        return kind == "linear" or (kind == "auto" and chooses)

    def _with_linear(self, plain: Plan) -> Plan:
        """Return a plan with a linear mixed model, where validation rows do not speak against it.

        A search without stage 2 says whether it is worth a whole one.
        """
        self.monitor.tell("fitting a linear mixed model, which is one more feature")
        data = mixed_data(plain.rows, self.n_tasks, self.settings)
        linear = fit_mixed(data, self.team)
        predictions = self._unseen_predictions(linear, data, plain)
        added = AddedFeatures(linear=linear)
        other = self._plan(plain.rows, plain.validation, added, predictions)
        if plain.lengths is None:
            return other
        if self.settings.task_baseline == "linear":
            return self._choose_lengths(other, plain.folds)
        without = replace(other, stages=replace(other.stages, n_iter_partition=0))
        tried = self._choose_lengths(without, plain.folds, plain.lengths)
        if not is_better(tried, plain):
            return plain
        if self.settings.stages.n_iter_partition > 0:
            whole = self._choose_lengths(other, plain.folds, tried.lengths, needs_partition=True)
            tried = min(tried, whole, key=validation_loss)
        return tried

    def _unseen_predictions(self, linear: MixedModel, data: MixedData, plain: Plan) -> FloatArray:
        return unseen_predictions(linear, data, plain.training, self.seeds.validation, self.team)

    @property
    def _may_describe(self) -> bool:
        """Whether trees may be to see descriptors of tasks, as far as settings say."""
        kind, stages = self.settings.task_descriptors, self.settings.stages
        n_rounds = min(stages.n_iter_shared, stages.n_iter_task)
        can_use = self.settings.stopping is not None and n_rounds > 0
        return self.n_tasks > 1 and (kind is True or (kind == "auto" and can_use))

    def _wants_descriptors(self, plain: Plan) -> bool:
        """Tell whether trees are to see descriptors of tasks: there are some, and who decides."""
        decided = self.settings.task_descriptors is True or plain.lengths is not None
        return decided and self.descriptors is not None and self.descriptors.size > 0

    def _with_descriptors(self, plain: Plan, best: Plan) -> Plan:
        """Return the best plan with descriptors, where validation rows do not speak against it.

        Those that a fold is judged with are of its training rows alone.
        """
        self.monitor.tell("describing tasks by numbers, which are more features")

        def described(descriptors: FloatArray | None) -> Plan:
            added = replace(best.added, descriptors=descriptors)
            return self._plan(plain.rows, plain.validation, added, best.linear)

        if plain.lengths is None:
            return described(self.descriptors)
        training_sets = []
        for fold in plain.folds:
            training_sets += self._training_sets(described(describe(self._profiles(fold))), [fold])
        must_win = self.settings.task_descriptors == "auto"
        judged = self._with_lengths(
            replace(best, stages=plain.stages), training_sets, best.lengths if must_win else None
        )
        if not must_win or is_better(judged, best):
            return replace(described(self.descriptors), folds=judged.folds, lengths=judged.lengths)
        return best

    def _choose_lengths(
        self,
        plan: Plan,
        like: Sequence[Fold] | None = None,
        simpler: StageLengths | None = None,
        needs_partition: bool = False,
    ) -> Plan:
        """Choose stage lengths on validation rows, those of other folds if given.

        What cannot beat a simpler choice is not searched to its end, nor are ways without stage 2
        if it is needed.
        """
        training_sets = self._training_sets(plan, like)
        if not training_sets:  # no task has a row to spare
            return plan
        return self._with_lengths(plan, training_sets, simpler, needs_partition)

    def _training_sets(self, plan: Plan, like: Sequence[Fold] | None) -> list[TrainingSet]:
        """Return the rows of a plan, of which some only validate, as in other folds if given."""
        if plan.validation is not None:
            return [self._binned(plan.rows, plan.validation, plan.mapper)]
        if like is not None:
            choices = [fold.training.validation_weight > 0.0 for fold in like]
        else:
            fraction = self.settings.validation_fraction
            choices = split_by_content(plan.training, fraction, self.seeds.validation)
        return [plan.training.setting_aside(held_out) for held_out in choices]

    def _with_lengths(
        self,
        plan: Plan,
        training_sets: Sequence[TrainingSet],
        simpler: StageLengths | None,
        needs_partition: bool = False,
    ) -> Plan:
        """Return a plan with what is chosen, in large steps, on validation rows."""
        folds = [Fold(rows, self._baseline(rows)) for rows in training_sets]
        search = self._search(plan, folds, plan.stages.coarse_steps)
        return replace(plan, folds=folds, lengths=search.choose(simpler, needs_partition))

    def _in_own_steps(self, plan: Plan) -> Plan:
        """Return a plan with lengths of the way that was chosen, at the rate of the fit."""
        if plan.lengths is None or plan.stages.coarse_steps == 1.0:
            return plan
        search = self._search(plan, plan.folds, 1.0)
        return replace(plan, lengths=search.measure(plan.lengths))

    def _search(self, plan: Plan, folds: Sequence[Fold], steps: float) -> LengthSearch:
        stages, stopping = plan.stages, self.settings.stopping
        if plan.validation is None:
            # fewer rows, but trees of the same size: a task of 16 rows would have other ones
            stages = stages.on_fewer_rows(1.0 - self.settings.validation_fraction)
        assert stopping is not None
        return LengthSearch(
            folds,
            stages.in_steps(steps),
            stopping.in_steps(steps),
            self.seeds,
            self.monitor,
            self.team,
        )

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

    def _baseline(self, training: TrainingSet) -> TaskTable:
        """Return what is known of tasks before the first stage."""
        tasks = fit_baseline(
            self.settings.task_baseline,
            training.loss,
            training.y,
            training.weight,
            training.offsets,
        )
        if self.evidence is None:
            return tasks
        return replace(tasks, theta_start=starting_theta(self.evidence.called))

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
