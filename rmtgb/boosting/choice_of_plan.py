"""Which plan validation rows prefer: a linear part, descriptors of tasks, kinds of thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rmtgb._common import FloatArray
from rmtgb.boosting.added_features import AddedFeatures
from rmtgb.boosting.choose.search import Fold, LengthSearch
from rmtgb.boosting.choose.stage_lengths import StageLengths
from rmtgb.boosting.linear_part import may_have_linear
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.plan import Plan, Planner
from rmtgb.boosting.rows import TrainingSet
from rmtgb.linear.fit import fit_mixed
from rmtgb.tasks.descriptors import describe

#: Largest number of trials: offsets alone, a linear part without and with stage 2, descriptors,
#: thresholds, and the rounds at the rate of the fit.
MOST_TRIALS = 6

#: Share of the time that there is for the first trial, if it is limited: the fit of what it finds
#: takes as long in the worst case, where nothing but that was tried.
PLAIN_SHARE = 0.4


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
    if planner.settings.stopping is None:
        return _choose(planner, plain)
    with planner.monitor.trial("choice", MOST_TRIALS):
        return _choose(planner, plain)


def _choose(planner: Planner, plain: Plan) -> Plan:
    """Return the plan that is preferred, with its lengths if any are to be chosen."""
    monitor = planner.monitor
    before = monitor.seconds_left()
    if planner.settings.stopping is not None:
        with monitor.limited(PLAIN_SHARE * before):
            plain = _with_lengths(planner, "offsets", plain)
    # a fit of what was found takes no longer than it took to find it
    reserve = _spent(before, monitor)
    plan = plain
    for may_add in (_with_linear, _with_descriptors, _with_thresholds):
        before = monitor.seconds_left()
        with monitor.limited((before - reserve) / 2.0):
            other = may_add(planner, plain, plan)
        if other is not plan:
            plan, reserve = other, max(reserve, _spent(before, monitor))
    return plan if plan.lengths is None else _in_own_steps(planner, plan, reserve)


def _spent(before: float, monitor: Monitor) -> float:
    """Return the time since there were so many seconds left; 0 if it is not limited."""
    return before - monitor.seconds_left() if before < math.inf else 0.0


def _wants_linear(planner: Planner, plain: Plan) -> bool:
    """Tell whether a linear mixed model is to be fitted."""
    kind = planner.settings.task_baseline
    if not may_have_linear(plain.rows, planner.settings):
        return False
    if kind == "auto" and plain.lengths is not None and planner.n_tasks > 1:
        return planner.monitor.has_time_for("a linear mixed model")
    return kind == "linear"


def _with_linear(planner: Planner, plain: Plan, best: Plan) -> Plan:
    """Return a plan with a linear mixed model, where validation rows do not speak against it.

    A search without stage 2 says whether it is worth a whole one.
    """
    if not _wants_linear(planner, plain):
        return best
    planner.monitor.tell("fitting a linear mixed model")
    data = planner.linear_data(plain)
    linear = fit_mixed(data, planner.team)
    predictions = planner.linear_predictions(linear, data, plain)
    other = planner.plan(plain.rows, plain.validation, AddedFeatures(linear=linear), predictions)
    if plain.lengths is None:
        return other
    if planner.settings.task_baseline == "linear":
        return _with_lengths(planner, "linear", other, plain.folds)
    without = replace(other, stages=replace(other.stages, n_iter_partition=0))
    tried = _with_lengths(planner, "linear", without, plain.folds, plain.lengths)
    if not _is_preferred(planner, "a linear mixed model as one more feature", tried, plain):
        return best
    if other.stages.n_iter_partition > 0:
        whole = _with_lengths(
            planner, "linear with stage 2", other, plain.folds, tried.lengths, needs_partition=True
        )
        tried = min(tried, whole, key=validation_loss)
    return tried


def _wants_descriptors(planner: Planner, plain: Plan) -> bool:
    """Tell whether trees are to see descriptors of tasks: there are some, and who decides."""
    if planner.descriptors is None or planner.descriptors.size == 0:
        return False
    if planner.settings.task_descriptors is True:
        return True
    return plain.lengths is not None and planner.monitor.has_time_for("descriptors of tasks")


def _with_descriptors(planner: Planner, plain: Plan, best: Plan) -> Plan:
    """Return the best plan with descriptors, where validation rows do not speak against it.

    Those that a fold is judged with are of its training rows alone.
    """
    if not _wants_descriptors(planner, plain):
        return best
    planner.monitor.tell("describing tasks by numbers")

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
        "descriptors",
        replace(best, stages=plain.stages),
        training_sets,
        best.lengths if must_win else None,
    )
    if not must_win or _is_preferred(planner, "descriptors of tasks", judged, best):
        return replace(described(planner.descriptors), folds=judged.folds, lengths=judged.lengths)
    return best


def _with_thresholds(planner: Planner, plain: Plan, plan: Plan) -> Plan:
    """Return the plan with the thresholds of stages 1 and 2 that validation rows prefer."""
    if plan.lengths is None or plan.lengths.shared + plan.lengths.partition == 0:
        return plan
    for kind in planner.settings.stages.common_threshold_kinds[1:]:
        what = f"{'random' if kind else 'all'} thresholds in stages 1 and 2"
        if not planner.monitor.has_time_for(what):
            break
        other = replace(plan, stages=plan.stages.with_common_thresholds(kind))
        search = _search(planner, "thresholds", other, plan.folds, other.stages.coarse_steps)
        other = replace(other, lengths=search.measure(plan.lengths, plan.lengths))
        if _is_preferred(planner, what, other, plan):
            plan = other
    return plan


def _with_lengths(
    planner: Planner,
    name: str,
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
    return _judged(planner, name, plan, training_sets, simpler, needs_partition)


def _judged(
    planner: Planner,
    name: str,
    plan: Plan,
    training_sets: Sequence[TrainingSet],
    simpler: StageLengths | None,
    needs_partition: bool = False,
) -> Plan:
    """Return a plan with what is chosen, in large steps, on validation rows."""
    folds = [Fold(rows, planner.baseline(rows)) for rows in training_sets]
    search = _search(planner, name, plan, folds, plan.stages.coarse_steps)
    return replace(plan, folds=folds, lengths=search.choose(simpler, needs_partition))


def _in_own_steps(planner: Planner, plan: Plan, reserve: float) -> Plan:
    """Return a plan with lengths of the way that was chosen, at the rate of the fit.

    That takes as long as the fit with them. If it takes more than half of the time that is left,
    or leaves less than is reserved, the plan is fitted in the steps that it was compared in.
    """
    monitor, steps = planner.monitor, plan.stages.coarse_steps
    if steps == 1.0:
        return plan
    assert plan.lengths is not None
    search = _search(planner, "own rate", plan, plan.folds, 1.0)
    what = "rounds at the learning rate of the fit"
    half = monitor.seconds_left() / 2.0
    with monitor.limited(half if half >= reserve else 0.0):
        if monitor.has_time_for(what):
            lengths = search.measure(plan.lengths)
            if monitor.has_time_for(what):
                return replace(plan, lengths=lengths)
    return replace(plan, stages=plan.stages.in_steps(steps))


def _search(
    planner: Planner, name: str, plan: Plan, folds: Sequence[Fold], steps: float
) -> LengthSearch:
    stages, stopping = plan.stages, planner.settings.stopping
    if plan.validation is None:
        # fewer rows, but trees of the same size: a task of 16 rows would have other ones
        stages = stages.on_fewer_rows(1.0 - planner.settings.validation_fraction)
    assert stopping is not None
    return LengthSearch(
        name,
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


def _is_preferred(planner: Planner, what: str, plan: Plan, simpler: Plan) -> bool:
    """Tell whether validation rows prefer a plan to a simpler one; say so."""
    assert plan.lengths is not None
    assert simpler.lengths is not None
    is_better = plan.lengths.beat(simpler.lengths)
    loss, before = (
        f"{planner.monitor.loss_as_given(validation_loss(p)):.6g}" for p in (plan, simpler)
    )
    verdict = "kept" if is_better else "dropped"
    planner.monitor.tell(f"{what}: {verdict}, validation loss {loss}, without {before}")
    return is_better
