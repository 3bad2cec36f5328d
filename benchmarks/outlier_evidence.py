"""How often the outliers of generated data are found, and how often there is a false alarm.

    python benchmarks/outlier_evidence.py                 # 100 sets of each case, no fits
    python benchmarks/outlier_evidence.py --fits          # by whole fits: takes some minutes

A set is *exact* if the tasks that are called are the true outliers, a *false alarm* if one is
called that is none, and *missed* if one is not called that is. "stability" is the mean share of
half-samples in which called tasks are called. All at default settings; what is called does not
depend on the rounds of a stage, so estimators of no rounds stand for those of many, unless
``--fits`` asks for the defaults.

"example": that of the README, six schools, one of which is an outlier; "example, classes": whether
the score is above its median, 900 rows. "one feature": slopes of one feature vary between tasks.
"""

import argparse

import numpy as np
import pandas as pd
from _common import print_circumstances

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.datasets import make_task_scenario

SCHOOLS = ["north", "south", "east", "west", "centre", "harbour"]
NO_ROUNDS = {"n_iter_shared": 0, "n_iter_partition": 0, "n_iter_task": 0}
NO_ROUNDS |= {"early_stopping": False}


def example(seed, n_rows=1500, classes=False):
    """Return the pupils of the README, or whether their scores are above the median."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "hours": rng.uniform(0, 10, n_rows),
            "age": rng.integers(11, 17, n_rows),
            "support": pd.Categorical(rng.choice(["none", "club", "tutor"], n_rows)),
            "task": rng.choice(SCHOOLS, n_rows),
        }
    )
    per_hour = np.where(X["task"] == "harbour", -2.0, 3.0)
    noise = rng.normal(0, 3, n_rows)
    y = 40 + per_hour * X["hours"] + 5 * (X["support"] == "tutor") + noise
    return X, np.asarray(y > y.median() if classes else y), {"harbour"}


def scenario(seed, kind, levels=False, **settings):
    """Return tasks with random functions; ``levels`` adds a constant to each task."""
    settings |= {"scenario": kind, "random_state": seed, "as_frame": True, "return_truth": True}
    X, y, truth = make_task_scenario(**settings)
    if levels:
        y = y + np.array([0.0, 3.0, -5.0])[X["task"] % 3]
    return X, y, set(truth.outlier_tasks.tolist())


def one_feature(seed, n_tasks):
    """Return tasks that differ by one slope and by a constant."""
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.uniform(-1, 1, (100 * n_tasks, 4)), columns=list("abcd"))
    X["task"] = np.repeat(np.arange(n_tasks), 100)
    slope, level = rng.normal(2.0, 1.0, n_tasks), rng.normal(size=n_tasks)
    y = slope[X["task"]] * X["a"] + np.sin(2 * X["b"]) + level[X["task"]]
    return X, np.asarray(y + rng.normal(size=len(X))), set()


CASES = {
    "example": (example, {}),
    "example, classes": (example, {"n_rows": 900, "classes": True}),
    "outliers": (scenario, {"kind": "outliers"}),
    "outliers, noise": (scenario, {"kind": "outliers", "noise": 0.3}),
    "outliers, classes": (scenario, {"kind": "outliers", "classification": True}),
    "related": (scenario, {"kind": "related"}),
    "related, classes": (scenario, {"kind": "related", "classification": True}),
    "five related": (scenario, {"kind": "related", "n_tasks": 5}),
    "three related": (scenario, {"kind": "related", "n_tasks": 3}),
    "three clean, levels": (scenario, {"kind": "pooled", "n_tasks": 3, "levels": True}),
    "alike": (scenario, {"kind": "pooled", "noise": 0.3}),
    "alike, classes": (scenario, {"kind": "pooled", "classification": True}),
    "three unrelated": (scenario, {"kind": "independent", "n_tasks": 3}),
    "five, one feature": (one_feature, {"n_tasks": 5}),
    "ten, one feature": (one_feature, {"n_tasks": 10}),
    "thirty, one feature": (one_feature, {"n_tasks": 30}),
}


def evidence(X, y, seed, fits):
    """Return ``task_evidence_`` and the labels that are called."""
    estimator = RMTGBClassifier if np.unique(y).size == 2 else RMTGBRegressor
    settings = {} if fits else NO_ROUNDS
    model = estimator(task_feature="task", random_state=seed, **settings).fit(X, y)
    return model.task_evidence_, set(model.outlier_tasks_.tolist())


def rates(name, n_sets, fits):
    """Return a line of the table."""
    make, settings = CASES[name]
    found, stability = [], []
    for seed in range(n_sets):
        X, y, truth = make(seed, **settings)
        table, called = evidence(X, y, seed, fits)
        found.append((called == truth, bool(called - truth), bool(truth - called)))
        stability += table.loc[list(called), "stability"].tolist()
    exact, false, missed = np.sum(found, axis=0)
    mean = np.mean(stability) if stability else np.nan
    return name, n_sets, exact, false, missed, mean


def main():
    """Measure and print."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--sets", type=int, default=100)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--fits", action="store_true")
    options = parser.parse_args()
    print_circumstances()
    lines = [rates(name, options.sets, options.fits) for name in options.cases]
    columns = ("case", "sets", "exact", "false alarm", "missed", "stability")
    print(pd.DataFrame(lines, columns=columns).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
