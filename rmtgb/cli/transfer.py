"""``rmtgb transfer``: whether, and by how much, other tasks help a linear model of one."""

import argparse
import difflib
import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import qr

from rmtgb.cli.data_file import read_data
from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import counted, listed, note, print_aligned
from rmtgb.transfer import (
    EstimatedProblem,
    OptimalWeights,
    SafeCombination,
    estimate_problem,
    optimal_weights,
    safe_combination,
)

#: Auxiliary tasks that are printed.
SHOWN_TASKS = 12
#: Features that are named as the reason why tasks are left out.
SHOWN_FEATURES = 5
#: Part of a feature's spread that the features before it leave over, if it counts as its own.
COLLINEAR = 1e-8


@dataclass(frozen=True)
class LinearTasks:
    """The tasks of a file as a linear model takes them, the main task first."""

    labels: list[Any]
    features: list[str]
    X: list[np.ndarray]
    y: list[np.ndarray]


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
        findings = _find(_split(X, y.astype(float), options.task, options.main))
    except ValueError as error:  # the calculator's word on the data
        raise CommandError(first_line(error)) from error
    if options.json:
        print(json.dumps(_as_json(findings), indent=2, allow_nan=False, default=str))
    else:
        _print_findings(findings)


def _find(tasks: LinearTasks) -> Findings:
    estimate = estimate_problem(tasks.X, tasks.y)
    best = optimal_weights(estimate.problem)
    safe = safe_combination(tasks.X[0], tasks.y[0], estimate.auxiliary_coefficients)
    return Findings(tasks, estimate, best, safe)


def _split(X: pd.DataFrame, y: pd.Series, task: str, main: str) -> LinearTasks:
    """Return numbers per task: complete rows, features that vary and are not collinear."""
    labels = X[task]
    main_label = _find_label(labels, main)
    features = pd.get_dummies(X.drop(columns=task), drop_first=True, dtype=float).astype(float)
    whole = np.isfinite(features).all(axis=1) & np.isfinite(y)
    if not whole.all():
        note(f"{counted(int((~whole).sum()), 'row')} with a missing or infinite value left out")
    features, labels, y = features[whole], labels[whole], y[whole]
    is_main = labels == main_label
    if not is_main.any():
        raise CommandError(f"task {main} has no row without a missing or infinite value")
    names = _independent(features[is_main])
    if len(names) < features.shape[1]:
        lost = [name for name in features if name not in names]
        note(f"left out, as constant or collinear in the main task: {listed(lost)}")
    if not names:
        raise CommandError(f"no feature varies in task {main}")
    labels_of_others = sorted(set(labels.tolist()) - {main_label}, key=str)
    spread = features[names].std()
    groups = {
        label: features.loc[labels == label, names] / spread
        for label in [main_label, *labels_of_others]
    }
    lost = _without_fit(groups, main_label)
    kept = [label for label in groups if label not in lost]
    if len(kept) < 2:
        raise CommandError("no other task has rows enough for a linear model of its own")
    targets = [y[labels == label].to_numpy() for label in kept]
    return LinearTasks(kept, names, [groups[label].to_numpy() for label in kept], targets)


def _without_fit(groups: dict[Any, pd.DataFrame], main_label: Any) -> list[Any]:
    """Return the other tasks that allow no fit of their own, with a note on the reasons."""
    lost, blamed = [], Counter[str]()
    for label, rows in groups.items():
        dependent = set(rows.columns) - set(_independent(rows))
        if label == main_label or (len(rows) > rows.shape[1] + 2 and not dependent):
            continue
        lost.append(label)
        if len(rows) > rows.shape[1] + 2:
            blamed.update(dependent)
    if lost:
        text = f"{counted(len(lost), 'task')} with too few rows or collinear features left out"
        note(f"{text}: {listed(lost)}")
    if blamed:
        names = [
            f"{name} ({counted(n, 'task')})" for name, n in blamed.most_common(SHOWN_FEATURES)
        ]
        note(f"features that do not vary in other tasks, or repeat others: {', '.join(names)}")
    return lost


def _find_label(labels: pd.Series, main: str) -> Any:
    """Return the label that is written like the one given."""
    values = labels.unique().tolist()
    known = {str(int(label)): label for label in values if _is_whole(label)}  # 7.0 is found as 7
    known |= {str(label): label for label in values}
    if main in known:
        return known[main]
    close = difflib.get_close_matches(main, list(known), n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {listed(list(known))}"
    raise CommandError(f"no row is of task {main!r}; {hint}")


def _is_whole(label: Any) -> bool:
    return isinstance(label, float) and label.is_integer()


def _independent(rows: pd.DataFrame) -> list[str]:
    """Return the features that are neither constant nor combinations of those before them."""
    centred = rows.to_numpy() - rows.to_numpy().mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    size = np.abs(rows.to_numpy()).max(axis=0, initial=0.0) * math.sqrt(len(rows))
    varies = np.flatnonzero(norms > COLLINEAR * np.maximum(size, np.finfo(float).tiny))
    if varies.size == 0:
        return []
    triangle = qr(centred[:, varies] / norms[varies], mode="r")[0]
    left = np.zeros(varies.size)
    left[: min(triangle.shape)] = np.abs(np.diag(triangle))
    return [str(rows.columns[j]) for j in varies[left > COLLINEAR]]


def _print_findings(findings: Findings) -> None:
    tasks, estimate, best = findings.tasks, findings.estimate, findings.best
    n_others = len(tasks.labels) - 1
    print(
        f"Linear model of task {tasks.labels[0]}: {counted(len(tasks.y[0]), 'row')}, "
        f"{counted(len(tasks.features), 'feature')}; {counted(n_others, 'other task')}."
    )
    own_error = f"{estimate.main_only_error:.4g} (squared; noise left out)"
    print(f"Expected excess error of a fit to its rows alone: {own_error}.")
    print("\nPooled with one other task, the error falls by the benefit:")
    _print_tasks(findings)
    together = estimate.together
    if n_others > 1:
        print(
            f"\nAll {n_others} pooled: {together.verdict} "
            f"(benefit {together.benefit:.3g}, standard error {together.standard_error:.2g})."
        )
    # Of random rows alike, as known for any weights; infinite for a main task with few rows.
    own = best.main_only_error
    share = f"{1 - best.error / own:.0%} less than alone" if 0 < own < math.inf else "an estimate"
    print(f"Best weights, if the estimates were true: error {best.error:.4g}, {share}.")
    print(
        f"Safe whatever is true: {findings.safe.weight:.0%} of the way from the main fit to the "
        f"fit of the others{'' if not findings.safe.note else '. ' + findings.safe.note}"
    )


def _print_tasks(findings: Findings) -> None:
    """Print the tasks that help most, with their weights."""
    estimate = findings.estimate
    order = np.argsort([-line.benefit for line in estimate.each], kind="stable")
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
    estimate, tasks = findings.estimate, findings.tasks
    each = [
        {
            "task": tasks.labels[line.tasks[0]],
            "rows": len(tasks.y[line.tasks[0]]),
            "noise_variance": _finite(estimate.problem.noise_variance[line.tasks[0]]),
            "squared_shift": _finite(squared),
            "squared_shift_standard_error": _finite(error),
            "benefit": _finite(line.benefit),
            "benefit_standard_error": _finite(line.standard_error),
            "weight": _finite(findings.best.weights[line.tasks[0]]),
            "verdict": line.verdict,
        }
        for line, squared, error in zip(
            estimate.each,
            estimate.squared_shift,
            estimate.squared_shift_standard_error,
            strict=True,
        )
    ]
    together = estimate.together
    return {
        "main": tasks.labels[0],
        "rows": len(tasks.y[0]),
        "features": tasks.features,
        "main_only_error": _finite(estimate.main_only_error),
        "tasks": each,
        "all": {
            "benefit": _finite(together.benefit),
            "benefit_standard_error": _finite(together.standard_error),
            "verdict": together.verdict,
        },
        "best_weights": {
            "main": _finite(findings.best.weights[0]),
            "error": _finite(findings.best.error),
            "status": findings.best.status,
        },
        "safe_weight": findings.safe.weight,
    }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
