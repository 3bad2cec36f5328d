"""``rmtgb transfer``: whether, and by how much, other tasks help a linear model of one."""

import argparse
import json
import math
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rmtgb._common import counted, hint
from rmtgb.cli.data_file import read_data
from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import MAX_LISTED, listed, note, print_aligned
from rmtgb.transfer import (
    EstimatedBenefit,
    EstimatedProblem,
    OptimalWeights,
    SafeCombination,
    estimate_problem,
    optimal_weights,
    safe_combination,
)
from rmtgb.transfer.dependence import COLLINEAR, own_parts
from rmtgb.transfer.numeric_frame import is_numeric, numeric_frame

#: Auxiliary tasks that are printed.
SHOWN_TASKS = 12
#: Part of a feature's size that its spread exceeds if it varies at all.
CONSTANT = 1e-8


@dataclass(frozen=True)
class LinearTasks:
    """The tasks of a file as a linear model takes them, the main task first."""

    labels: list[Any]
    features: list[str]
    X: list[pd.DataFrame]
    y: list[np.ndarray]
    features_left_out: list[str]
    tasks_left_out: dict[Any, str]  # with the reasons


@dataclass(frozen=True)
class Findings:
    """What was found."""

    tasks: LinearTasks
    estimate: EstimatedProblem
    best: OptimalWeights
    safe: SafeCombination


def run(options: argparse.Namespace) -> None:
    """Fit a linear model per task, and print what the others are worth to the main one."""
    X, y = read_data(
        options.data, options.task, options.target, drop=options.drop, missing=options.missing
    )
    try:
        findings = _find(
            _split(X, y.astype(float), options.task, options.main), options.covariance
        )
    except ValueError as error:  # the calculator's word on the data
        raise CommandError(first_line(error)) from error
    if options.json:
        print(json.dumps(_as_json(findings), indent=2, allow_nan=False, default=str))
    else:
        _print_findings(findings)


def _find(tasks: LinearTasks, covariance: str) -> Findings:
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # a note says the same
        estimate = estimate_problem(
            dict(zip(tasks.labels, tasks.X, strict=True)),
            dict(zip(tasks.labels, tasks.y, strict=True)),
            covariance=covariance,
        )
    if estimate.note:
        note(estimate.note.removesuffix("."))
    best = optimal_weights(estimate.problem)
    safe = safe_combination(tasks.X[0], tasks.y[0], estimate)
    return Findings(tasks, estimate, best, safe)


def _split(X: pd.DataFrame, y: pd.Series, task: str, main: str) -> LinearTasks:
    """Return numbers per task: complete rows, features that vary and are not collinear."""
    labels = X[task]
    main_label = _find_label(labels, main)
    X = _without_empty(X.drop(columns=task), labels == main_label, main)
    whole = ~X.replace([np.inf, -np.inf], np.nan).isna().any(axis=1) & np.isfinite(y)
    if not whole.all():
        note(f"{counted(int((~whole).sum()), 'row')} with a missing or infinite value left out")
    labels, y = labels[whole], y[whole]
    features = numeric_frame(X[whole], one_hot=True)
    is_main = labels == main_label
    if not is_main.any():
        raise CommandError(f"task {main} has no row without a missing or infinite value")
    columns = _columns_of_features(features, X)
    names, unused = _sort_features(features, is_main, main, columns)
    labels_of_others = sorted(set(labels.tolist()) - {main_label}, key=str)
    spread = features[names].std()
    groups = {
        label: features.loc[labels == label, names] / spread
        for label in [main_label, *labels_of_others]
    }
    lost = _without_fit(groups, main_label, columns)
    kept = [label for label in groups if label not in lost]
    if len(kept) < 2:
        raise CommandError("no other task allows a linear model of its own")
    targets = [y[labels == label].to_numpy() for label in kept]
    rows = [groups[label] for label in kept]
    return LinearTasks(kept, names, rows, targets, unused, lost)


def _without_empty(features: pd.DataFrame, is_main: pd.Series, main: str) -> pd.DataFrame:
    """Leave out columns for which the main task has no value, rather than all its rows."""
    empty = features.columns[features[is_main].isna().all()].tolist()
    if empty:
        note(f"left out, as task {main} has no value of them: {listed(empty)}")
    return features.drop(columns=empty)


def _sort_features(
    features: pd.DataFrame, is_main: pd.Series, main: str, columns: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Return the features that vary in the main task and are its own, and the others."""
    rows = features[is_main]
    names = _independent(rows)
    if len(rows) < len(names) + 2:  # so few that more features would look collinear
        d = features.shape[1]
        raise CommandError(
            f"task {main} has {counted(len(rows), 'row')}, too few for a model of its "
            f"{counted(d, 'feature')}{_of_texts(columns)}: {d + 2} are enough, or fewer features "
            "(--drop)"
        )
    unused = [name for name in features if name not in names]
    if unused:
        note(f"left out, as constant or collinear in the main task: {listed(unused)}")
    if not names:
        raise CommandError(f"no feature varies in task {main}")
    return names, unused


def _columns_of_features(features: pd.DataFrame, X: pd.DataFrame) -> dict[str, str]:
    """Return the column of the file that each feature is, or is an indicator of."""
    texts = [name for name in X if not is_numeric(X[name])]
    origin = {name: name for name in features}
    for text in texts:
        origin |= {f"{text}_{value}": text for value in X[text].dropna().unique()}
    return origin


def _of_texts(columns: dict[str, str]) -> str:
    """Say which column of texts most features are indicators of, if there is one."""
    texts = Counter(column for feature, column in columns.items() if column != feature)
    if not texts:
        return ""
    column, count = texts.most_common(1)[0]
    return f" ({count - 1} of the texts in column {column!r})"


def _without_fit(
    groups: dict[Any, pd.DataFrame], main_label: Any, columns: dict[str, str]
) -> dict[Any, str]:
    """Return the other tasks that allow no fit of their own, and why, with notes.

    ``columns`` are those of the file that features are of.
    """
    least = groups[main_label].shape[1] + 3  # an intercept, and two rows to tell the noise by
    small, dependent, to_drop = {}, {}, dict[str, None]()
    for label, rows in groups.items():
        if label == main_label:
            continue
        unused = [name for name in rows if name not in _independent(rows)]
        if len(rows) < least:
            small[label] = f"{counted(len(rows), 'row')}, {least} are needed"
        elif unused:
            dependent[label] = f"constant or collinear: {listed(unused)}"
            to_drop |= dict.fromkeys(columns[name] for name in unused)
    if small:
        text = f"{counted(len(small), 'task')} with fewer than {least} rows left out"
        note(f"{text}: {listed(list(small))}")
    if dependent:
        text = f"{counted(len(dependent), 'task')} with constant or collinear features left out"
        reasons = [f"{label} ({why.split(': ', 1)[1]})" for label, why in dependent.items()]
        note(f"{text}: {listed(reasons)}")
        options = " ".join(f"--drop {name}" for name in to_drop)
        note(f"more tasks take part if their columns are left out: {options}")
    if max(len(small), len(dependent)) > MAX_LISTED:
        note("--json names all tasks that are left out, with the reasons")
    return small | dependent


def _find_label(labels: pd.Series, main: str) -> Any:
    """Return the label that is written like the one given."""
    values = labels.unique().tolist()
    known = {str(int(label)): label for label in values if _is_whole(label)}  # 7.0 is found as 7
    known |= {str(label): label for label in values}
    if main in known:
        return known[main]
    raise CommandError(f"no row is of task {main!r}; {hint(main, list(known))}")


def _is_whole(label: Any) -> bool:
    return isinstance(label, float) and label.is_integer()


def _independent(rows: pd.DataFrame) -> list[str]:
    """Return the features that are neither constant nor combinations of those before them."""
    values = rows.to_numpy()
    centred = values - values.mean(axis=0)
    size = np.abs(values).max(axis=0, initial=0.0) * math.sqrt(len(rows))
    least = CONSTANT * np.maximum(size, np.finfo(float).tiny)
    centred[:, np.linalg.norm(centred, axis=0) <= least] = 0.0
    return [str(rows.columns[j]) for j in np.flatnonzero(own_parts(centred) > COLLINEAR)]


def _print_findings(findings: Findings) -> None:
    tasks, estimate, best = findings.tasks, findings.estimate, findings.best
    n_others = len(tasks.labels) - 1
    print(
        f"Linear model of task {tasks.labels[0]}: {counted(len(tasks.y[0]), 'row')}, "
        f"{counted(len(tasks.features), 'feature')}; {counted(n_others, 'other task')}."
    )
    own_error = f"{estimate.main_only_error:.4g} (squared; noise left out)"
    print(f"Expected excess error of a fit to its rows alone: {own_error}.")
    if estimate.covariance_of == "all":
        print("Errors count where the rows of all tasks are, not where the main task's are.")
    print("\nPooled with one other task, the error falls by the benefit:")
    _print_tasks(findings)
    together = estimate.together
    if n_others > 1:
        print(
            f"\nAll {n_others} pooled: {together.verdict} "
            f"(benefit {together.benefit:.3g}, standard error {together.standard_error:.2g})."
        )
    share = _share_of_alone(best)
    text = f"{1 - share:.0%} less than alone" if share is not None else f"error {best.error:.4g}"
    if share is not None and not math.isclose(best.main_only_error, estimate.main_only_error):
        text += f" (which is {best.main_only_error:.4g} on average over such rows)"
    print(f"Best weights, if the estimates were true: {text}.")
    print(
        f"Safe whatever is true: {findings.safe.weight:.0%} of the way from the main fit to the "
        f"fit of the others{'' if not findings.safe.note else '. ' + findings.safe.note}"
    )


def _share_of_alone(best: OptimalWeights) -> float | None:
    """Return the error at the best weights as a share of that of the main task alone."""
    own = best.main_only_error
    return best.error / own if 0 < own < math.inf else None


def _print_tasks(findings: Findings) -> None:
    """Print the tasks that help most, those that do for sure first, with their weights."""
    estimate = findings.estimate
    order = sorted(
        range(len(estimate.each)),
        key=lambda k: (estimate.each[k].verdict != "helps", -estimate.each[k].benefit),
    )
    lines = [["task", "rows", "benefit", "s.e.", "squared shift", "s.e.", "weight", "verdict"]]
    for position in order[:SHOWN_TASKS]:
        line, task = estimate.each[position], position + 1
        lines.append(
            [
                str(findings.tasks.labels[task]),
                str(len(findings.tasks.y[task])),
                f"{line.benefit:.3g}",
                f"{line.standard_error:.2g}",
                f"{estimate.squared_shift[position]:.3g}",
                f"{estimate.squared_shift_standard_error[position]:.2g}",
                f"{findings.best.weights[task]:.3g}",
                line.verdict,
            ]
        )
    print_aligned(lines)
    rest = [estimate.each[position].verdict for position in order[SHOWN_TASKS:]]
    if rest:
        counts = [f"{rest.count(verdict)} {verdict}" for verdict in dict.fromkeys(rest)]
        print(f"({len(rest)} more tasks: {', '.join(counts)}; --json prints all)")


def _as_json(findings: Findings) -> dict[str, Any]:
    """Return the findings as what JSON can hold; infinite numbers become null."""
    estimate, tasks, best = findings.estimate, findings.tasks, findings.best
    return {
        "main": tasks.labels[0],
        "rows": len(tasks.y[0]),
        "features": tasks.features,
        "features_left_out": tasks.features_left_out,
        "tasks_left_out": {str(label): why for label, why in tasks.tasks_left_out.items()},
        "covariance": estimate.covariance_of,
        "note": estimate.note,
        "main_only_error": _finite(estimate.main_only_error),
        "tasks": [_task_as_json(findings, k) for k in range(len(estimate.each))],
        "all": _benefit_as_json(estimate.together),
        "best_weights": {
            "main": _finite(best.weights[0]),
            "error": _finite(best.error),
            "main_only_error": _finite(best.main_only_error),
            "share_of_alone": _share_of_alone(best),
            "status": best.status,
        },
        "safe_weight": findings.safe.weight,
    }


def _task_as_json(findings: Findings, position: int) -> dict[str, Any]:
    estimate, task = findings.estimate, position + 1
    return {
        "task": findings.tasks.labels[task],
        "rows": len(findings.tasks.y[task]),
        "noise_variance": _finite(estimate.problem.noise_variance[task]),
        "squared_shift": _finite(estimate.squared_shift[position]),
        "squared_shift_standard_error": _finite(estimate.squared_shift_standard_error[position]),
        "weight": _finite(findings.best.weights[task]),
        **_benefit_as_json(estimate.each[position]),
    }


def _benefit_as_json(line: EstimatedBenefit) -> dict[str, Any]:
    return {
        "benefit": _finite(line.benefit),
        "benefit_standard_error": _finite(line.standard_error),
        "p_helps": line.p_helps,
        "p_hurts": line.p_hurts,
        "verdict": line.verdict,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
