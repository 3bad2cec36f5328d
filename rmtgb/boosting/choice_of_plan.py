"""Which plan validation rows prefer: a linear part, descriptors of tasks, kinds of thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rmtgb._common import FloatArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choose.search import Fold, LengthSearch
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.linear_part import may_have_linear
from rmtgb.boosting.plan import Plan, Planner
from rmtgb.boosting.rows import TrainingSet
from rmtgb.linear.fit import fit_mixed
from rmtgb.tasks.descriptors import describe


def choose_plan(planner: Planner, plain: Plan) -> Plan:
    """Return the plan that validation rows prefer, with its lengths.

    Parameters
    ----------
    planner : Planner
    plain : Plan
        The rows as they are, with nothing added.

    Returns
    -------
    Plan
        Without lengths if none are to be chosen, or no task has a row to spare.
    """
    if planner.settings.stopping is not None:
        plain = _with_lengths(planner, plain)
    plan = plain
    if _wants_linear(planner, plain):
        plan = _with_linear(planner, plain)
    if _wants_descriptors(planner, plain):
        plan = _with_descriptors(planner, plain, plan)
    if plan.lengths is None:
        return plan
    return _in_own_steps(planner, _with_thresholds(planner, plan))


def _wants_linear(planner: Planner, plain: Plan) -> bool:
    """Tell whether a linear mixed model is to be fitted."""
    kind = planner.settings.task_baseline
    if not may_have_linear(plain.rows, planner.settings):
        return False
    chooses = plain.lengths is not None and planner.n_tasks > 1
    return kind == "linear" or (kind == "auto" and chooses)


def _with_linear(planner: Planner, plain: Plan) -> Plan:
    """Return a plan with a linear mixed model, where validation rows do not speak against it.

    A search without stage 2 says whether it is worth a whole one.
    """
    planner.monitor.tell("fitting a linear mixed model, which is one more feature")
    data = planner.linear_data(plain)
    linear = fit_mixed(data, planner.team)
    predictions = planner.linear_predictions(linear, data, plain)
    other = planner.plan(plain.rows, plain.validation, AddedFeatures(linear=linear), predictions)
    if plain.lengths is None:
        return other
    if planner.settings.task_baseline == "linear":
        return _with_lengths(planner, other, plain.folds)
    without = replace(other, stages=replace(other.stages, n_iter_partition=0))
    tried = _with_lengths(planner, without, plain.folds, plain.lengths)
    if not is_better(tried, plain):
        return plain
    if other.stages.n_iter_partition > 0:
        whole = _with_lengths(planner, other, plain.folds, tried.lengths, needs_partition=True)
        tried = min(tried, whole, key=validation_loss)
    return tried


def _wants_descriptors(planner: Planner, plain: Plan) -> bool:
    """Tell whether trees are to see descriptors of tasks: there are some, and who decides."""
    decided = planner.settings.task_descriptors is True or plain.lengths is not None
    return decided and planner.descriptors is not None and planner.descriptors.size > 0


def _with_descriptors(planner: Planner, plain: Plan, best: Plan) -> Plan:
    """Return the best plan with descriptors, where validation rows do not speak against it.

    Those that a fold is judged with are of its training rows alone.
    """
    planner.monitor.tell("describing tasks by numbers, which are more features")

    def described(descriptors: FloatArray | None) -> Plan:
        added = replace(best.added, descriptors=descriptors)
        return planner.plan(plain.rows, plain.validation, added, best.linear)

    if plain.lengths is None:
        return described(planner.descriptors)
    training_sets = []
    for fold in plain.folds:
        of_fold = described(describe(planner.profiles(fold)))
        training_sets += planner.training_sets(of_fold, [fold])
    must_win = planner.settings.task_descriptors == "auto"
    judged = _judged(
        planner,
        replace(best, stages=plain.stages),
        training_sets,
        best.lengths if must_win else None,
    )
    if not must_win or is_better(judged, best):
        return replace(described(planner.descriptors), folds=judged.folds, lengths=judged.lengths)
    return best


def _with_thresholds(planner: Planner, plan: Plan) -> Plan:
    """Return the plan with the thresholds of stages 1 and 2 that validation rows prefer."""
    assert plan.lengths is not None
    if plan.lengths.shared + plan.lengths.partition == 0:
        return plan
    for kind in planner.settings.stages.common_threshold_kinds[1:]:
        planner.monitor.tell("trying the other kind of thresholds in stages 1 and 2")
        other = replace(plan, stages=plan.stages.with_common_thresholds(kind))
        search = _search(planner, other, plan.folds, other.stages.coarse_steps)
        other = replace(other, lengths=search.measure(plan.lengths, plan.lengths))
        if is_better(other, plan):
            plan = other
    return plan


def _with_lengths(
    planner: Planner,
    plan: Plan,
    like: Sequence[Fold] | None = None,
    simpler: StageLengths | None = None,
    needs_partition: bool = False,
) -> Plan:
    """Return a plan with the lengths that validation rows prefer, those of other folds if given.

    What cannot beat a simpler choice is not searched to its end, nor are ways without stage 2
    if it is needed.
    """
    training_sets = planner.training_sets(plan, like)
    if not training_sets:  # no task has a row to spare
        return plan
    return _judged(planner, plan, training_sets, simpler, needs_partition)


def _judged(
    planner: Planner,
    plan: Plan,
    training_sets: Sequence[TrainingSet],
    simpler: StageLengths | None,
    needs_partition: bool = False,
) -> Plan:
    """Return a plan with what is chosen, in large steps, on validation rows."""
    folds = [Fold(rows, planner.baseline(rows)) for rows in training_sets]
    search = _search(planner, plan, folds, plan.stages.coarse_steps)
    return replace(plan, folds=folds, lengths=search.choose(simpler, needs_partition))


def _in_own_steps(planner: Planner, plan: Plan) -> Plan:
    """Return a plan with lengths of the way that was chosen, at the rate of the fit."""
    if plan.stages.coarse_steps == 1.0:
        return plan
    assert plan.lengths is not None
    search = _search(planner, plan, plan.folds, 1.0)
    return replace(plan, lengths=search.measure(plan.lengths))


def _search(planner: Planner, plan: Plan, folds: Sequence[Fold], steps: float) -> LengthSearch:
    stages, stopping = plan.stages, planner.settings.stopping
    if plan.validation is None:
        # fewer rows, but trees of the same size: a task of 16 rows would have other ones
        stages = stages.on_fewer_rows(1.0 - planner.settings.validation_fraction)
    assert stopping is not None
    return LengthSearch(
        folds,
        stages.in_steps(steps),
        stopping.in_steps(steps),
        planner.seeds,
        planner.monitor,
        planner.team,
    )


def validation_loss(plan: Plan) -> float:
    """Return the mean validation loss with the lengths that were chosen."""
    assert plan.lengths is not None
    return plan.lengths.loss


def is_better(plan: Plan, simpler: Plan) -> bool:
    """Tell whether validation rows prefer a plan to a simpler one."""
    assert plan.lengths is not None
    assert simpler.lengths is not None
    return plan.lengths.beat(simpler.lengths)
