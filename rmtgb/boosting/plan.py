"""Plans of a fit: what trees are to see, and how rows become that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choose.search import Fold
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.choose.validation_split import choose_validation, folds_of_rows
from rmtgb.boosting.linear_part import N_FOLDS, mixed_data, unseen_predictions
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.outlier_gate import starting_theta
from rmtgb.boosting.profiles import find_profiles
from rmtgb.boosting.rows import Rows, TrainingSet
from rmtgb.boosting.settings import FitSettings, Seeds, StageSettings
from rmtgb.engine.team import Team
from rmtgb.linear.fit import MixedData
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


@dataclass(frozen=True)
class Planner:
    """Makes plans: what all steps of a fit are told, and what is known of its tasks.

    ``evidence`` and ``descriptors`` are of all training rows.
    """

    n_tasks: int
    settings: FitSettings
    seeds: Seeds
    team: Team
    monitor: Monitor
    evidence: TaskEvidence | None = None
    descriptors: FloatArray | None = None

    def knowing_tasks(self, training: TrainingSet) -> Planner:
        """Tell by all training rows, once for all paths, how tasks differ."""
        if self.n_tasks < MIN_TASKS and not self.may_describe:
            return replace(self, evidence=TaskEvidence.none(self.n_tasks, training.n_features))
        profiles = self.profiles(Fold(training, self.baseline(training)))
        evidence = judge(profiles, np.random.default_rng(self.seeds.evidence))
        descriptors = describe(profiles) if self.may_describe else None
        return replace(self, evidence=evidence, descriptors=descriptors)

    @property
    def may_describe(self) -> bool:
        """Whether trees may be to see descriptors of tasks, as far as settings say."""
        kind, stages = self.settings.task_descriptors, self.settings.stages
        n_rounds = min(stages.n_iter_shared, stages.n_iter_task)
        can_use = self.settings.stopping is not None and n_rounds > 0
        return self.n_tasks > 1 and (kind is True or (kind == "auto" and can_use))

    def plan(
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

    def linear_data(self, plain: Plan) -> MixedData:
        """Return the rows as a linear mixed model takes them."""
        return mixed_data(plain.rows, self.n_tasks, self.settings)

    def linear_predictions(self, linear: MixedModel, data: MixedData, plain: Plan) -> FloatArray:
        """Return what a linear model predicts of rows when it has not seen them."""
        fold = folds_of_rows(
            plain.training, N_FOLDS, self.seeds.validation, self.settings.last_rows_validate
        )
        return unseen_predictions(linear, data, plain.training.order, fold, self.team)

    def baseline(self, training: TrainingSet) -> TaskTable:
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

    def profiles(self, fold: Fold) -> Profiles:
        """Return what is left of each task's targets, of the training rows of a fold."""
        return find_profiles(fold.training, fold.tasks, self.seeds.evidence, self.team)

    def training_sets(self, plan: Plan, like: Sequence[Fold] | None) -> list[TrainingSet]:
        """Return the rows of a plan, of which some only validate, as in other folds if given."""
        if plan.validation is not None:
            return [self._binned(plan.rows, plan.validation, plan.mapper)]
        if like is not None:
            choices = [fold.training.validation_weight > 0.0 for fold in like]
        else:
            choices = choose_validation(
                plan.training,
                self.settings.validation_fraction,
                self.seeds.validation,
                self.settings.last_rows_validate,
            )
        return [plan.training.setting_aside(held_out) for held_out in choices]

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
