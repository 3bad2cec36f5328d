"""From arrays to a fitted model: sorting by task, binning, stage lengths, the stages."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choice_of_plan import choose_plan
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.plan import Planner
from rmtgb.boosting.rows import LARGEST_IN_UNIT, BoostState, Rows, unit_of_target
from rmtgb.boosting.settings import FitSettings, Seeds, StageSettings
from rmtgb.boosting.three_stages import fit_three_stages
from rmtgb.boosting.warm_start import former_predictions
from rmtgb.engine.team import Team


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
        Its model, and the curves of its lengths, in units of the target as given.

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
    monitor.unit, monitor.degree = unit, settings.loss.degree
    planner = Planner(n_tasks, settings, Seeds.draw(rng), team, monitor)
    if former is None:
        result = _fit_anew(planner, rows, validation, unit)
    else:
        result = _fit_onwards(planner, rows, former.in_unit(unit))
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


def _fit_anew(planner: Planner, rows: Rows, validation: Rows | None, unit: float) -> FitResult:
    """Fit a model from the start: choose what is to be chosen, then fit all rows."""
    plain = planner.plan(rows, validation, AddedFeatures())
    planner = planner.knowing_tasks(plain.training)
    plan = choose_plan(planner, plain)
    stages, lengths = plan.stages, plan.lengths
    if lengths is not None:
        stages = lengths.limit(stages)
    start = ThreeStageModel.untrained(
        planner.baseline(plan.training), plan.added, plan.mapper.standardizer, unit
    )
    start = replace(
        start,
        evidence=planner.evidence,
        common_random_thresholds=stages.common_trees.random_thresholds,
        task_random_thresholds=stages.task_trees.random_thresholds,
    )
    state = BoostState(plan.training, start.tasks, planner.team)
    return _fit_stages(planner, state, start, stages, lengths)


def _fit_onwards(planner: Planner, rows: Rows, former: ThreeStageModel) -> FitResult:
    """Continue a model, with stages of the lengths that the settings say."""
    linear = None
    if former.added.linear is not None:
        plain = planner.plan(rows, None, AddedFeatures())
        data = planner.linear_data(plain)
        linear = planner.linear_predictions(former.added.linear, data, plain)
    # its slopes are in units of its own standardized features
    plan = planner.plan(rows, None, former.added, linear, former.standardizer)
    training = plan.training
    predictions = former_predictions(
        replace(former, added=AddedFeatures()),  # plan.rows have them
        plan.rows.X[training.order],
        plan.rows.task_codes[training.order],
        planner.team,
    )
    stages = plan.stages.with_common_thresholds(former.common_random_thresholds)
    stages = stages.with_task_thresholds(former.task_random_thresholds)
    if former.partition.n_rounds or former.task_specific.trees.n_trees:
        stages = replace(stages, joint_offsets=False)  # the others have been fitted to these
    tasks = replace(former.tasks, weight=training.task_weight)
    state = BoostState(training, tasks, planner.team, predictions)
    return _fit_stages(planner, state, former, stages, None)


def _fit_stages(
    planner: Planner,
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
    monitor = planner.monitor
    # what was chosen is fitted to its end: time is kept back for that
    with monitor.limited(monitor.seconds_left() if lengths is None else np.inf):
        model = fit_three_stages(state, former, stages, task_rounds, planner.seeds, monitor)
    if lengths is None:
        lengths = StageLengths(
            model.shared.n_rounds,
            model.partition.n_rounds,
            model.task_specific.n_rounds,
            stages.task_trees.random_thresholds,
        )
    return FitResult(model, lengths)
