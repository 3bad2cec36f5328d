"""The sets that accuracy is measured on, and how they are split.

A set is a file (.csv, .csv.gz, .parquet) with columns ``task`` and ``target`` or ``y``, a
scenario, or scikit-learn's diabetes set with sex as the task. What is no number is a category. A
column ``when`` is no feature: it says what came later.

- *random*: 20 % of the rows are predicted, by class if the target has two values;
- *time*: of each task the last 20 % by ``when``;
- *unseen*: 20 % of the tasks;
- *five*: 20 % of the tasks that have ten rows and more keep five rows to learn from; their other
  rows are predicted.
"""

import functools
from typing import NamedTuple

import numpy as np
import pandas as pd
from _peers import Data
from sklearn.datasets import load_diabetes
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from rmtgb.datasets import make_task_scenario

SUFFIXES = (".csv", ".csv.gz", ".parquet")

#: Scenario, rows per task to learn from, and further arguments of make_task_scenario.
SCENARIOS = {
    **{name: (name, 300, {}) for name in ("pooled", "independent", "related", "outliers")},
    "clusters": ("clusters", 100, {}),
    "related-noisy": ("related", 60, {"n_tasks": 40, "n_features": 8, "noise": 0.3}),
    "outliers-many": ("outliers", 200, {
        "n_tasks": 30, "n_outlier_tasks": 6, "n_features": 10, "noise": 0.2
    }),
    "outliers-classes": ("outliers", 150, {
        "n_tasks": 20, "n_outlier_tasks": 3, "noise": 0.1, "classification": True
    }),
}  # fmt: skip
TEST_ROWS = 1000

#: Groups are summed up apart, real sets first: every file whose name is not below is one.
REAL = "Real sets"
EIGHT = "The eight sets that the first defaults were chosen on"
FRESH = "Sets that no default was chosen on"
GROUPS = {
    EIGHT: (
        "pooled", "independent", "related", "outliers", "computer", "landmine", "parkinson",
        "school",
    ),
    FRESH: ("clusters", "related-noisy", "outliers-many", "outliers-classes", "diabetes"),
}  # fmt: skip

#: Real sets have all of these where they can; the others, which are there to be compared with
#: earlier figures, are split as they always were.
SPLITS = ("random", "time", "unseen", "five")
TEST_SHARE, FEW_ROWS, ROWS_TO_HAVE_FEW_OF = 0.2, 5, 10

#: Targets that are counts with a heavy tail: they are learned with the Poisson loss, and judged
#: by the root of the mean Poisson deviance.
COUNTS = ("murders",)


class Case(NamedTuple):
    """A set, the way it is split, and the seed of the split and of every method."""

    set: str
    split: str
    seed: int


class Table(NamedTuple):
    """A file: features with the task as a category, target, kind of target, time or None."""

    X: pd.DataFrame
    y: np.ndarray
    kind: str
    when: pd.Series | None


def group_of(name):
    return next((group for group, names in GROUPS.items() if name in names), REAL)


def find_tables(folders, counts=COUNTS):
    """Return a function for each set that is no scenario, which reads it once."""
    readers = {"diabetes": read_diabetes}
    for path in sorted(p for folder in folders for p in folder.iterdir()):
        if path.name.endswith(SUFFIXES):
            read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
            name = path.name.removesuffix(".gz").rpartition(".")[0]
            readers[name] = functools.partial(read, path)
    return {
        name: functools.cache(functools.partial(make_table, name, read, name in counts))
        for name, read in readers.items()
    }


def read_diabetes():
    return load_diabetes(scaled=False, as_frame=True).frame.rename(columns={"sex": "task"})


def make_table(name, read, is_count):
    """Return the parts of what is read; some libraries dislike odd names of columns."""
    frame = read().reset_index(drop=True)
    y = frame.pop("target" if "target" in frame else "y").to_numpy()
    task, when = as_category(frame.pop("task")), frame.pop("when") if "when" in frame else None
    frame.columns = [f"x{i}" for i in range(frame.shape[1])]
    categories = frame.select_dtypes(exclude="number").apply(as_category)
    kind = "counts" if is_count else "classes" if np.unique(y).size == 2 else "numbers"
    if kind == "classes":
        y = (y == y.max()).astype(np.int64)
    elif y.dtype.kind not in "fiu":
        raise ValueError(f"the target of {name} is neither a number nor one of two classes")
    return Table(frame.assign(**categories, task=task), y, kind, when)


def as_category(column):
    """Return a column of integer codes as categories; a missing value is one of them."""
    codes = pd.factorize(column, use_na_sentinel=False)[0]
    return pd.Series(codes, index=column.index).astype("category")


def load(case, tables):
    """Return the training rows of a case, and X and y of the rows to predict; or None."""
    if case.set in SCENARIOS:
        X, y, kind, is_test = scenario(case)
    else:
        table = tables[case.set]()
        X, y, kind = table[:3]
        is_test = rows_to_predict(table, case)
    if is_test is None:
        return None
    fit, test = (X[rows].reset_index(drop=True) for rows in (~is_test, is_test))
    return Data(fit, y[~is_test], kind, case.seed), test, y[is_test]


def scenario(case):
    """Return X, y and kind of a scenario and its rows to predict."""
    name, n_fit, settings = SCENARIOS[case.set]
    n, options = n_fit + TEST_ROWS, {"as_frame": True, "random_state": case.seed}
    X, y = make_task_scenario(name, n_samples_per_task=n, **settings, **options)
    kind = "classes" if "classification" in settings else "numbers"
    X["task"] = as_category(X["task"])
    return X, y, kind, np.arange(y.size) % n >= n_fit


def rows_to_predict(table, case):
    """Return which rows are predicted, (n,) bool; None if the table cannot be split so."""
    return {"random": at_random, "time": at_last, "unseen": of_tasks, "five": of_few}[case.split](
        table, case.seed
    )


def at_random(table, seed):
    stratify = table.y if table.kind == "classes" else None
    rows = np.arange(table.y.size)
    test = train_test_split(rows, test_size=TEST_SHARE, random_state=seed, stratify=stratify)[1]
    return np.isin(rows, test)


def at_last(table, seed):
    """Choose rows by time; those of one task and time stay together, and every task has a row."""
    if table.when is None:
        return None
    times = table.when.groupby(table.X["task"], observed=True)
    rank, n = times.rank(method="min"), times.transform("size")
    return ((rank > (1 - TEST_SHARE) * n) & (rank > 1)).to_numpy()


def of_tasks(table, seed):
    splitter = GroupShuffleSplit(1, test_size=TEST_SHARE, random_state=seed)
    test = next(splitter.split(table.X, groups=table.X["task"]))[1]
    return np.isin(np.arange(table.y.size), test)


def of_few(table, seed):
    """Choose tasks, and of these all but a few rows."""
    rng, task = np.random.default_rng(seed), table.X["task"].cat.codes.to_numpy()
    large = np.flatnonzero(np.bincount(task) >= ROWS_TO_HAVE_FEW_OF)
    if large.size < 2:
        return None
    chosen = rng.choice(large, max(1, round(TEST_SHARE * large.size)), replace=False)
    is_test = np.isin(task, chosen)
    for one in chosen:
        is_test[rng.choice(np.flatnonzero(task == one), FEW_ROWS, replace=False)] = False
    return is_test
