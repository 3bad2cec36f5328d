"""``rmtgb warmup``: compile now, not at the first fit."""

import argparse
import time
from typing import Any

import numpy as np
import pandas as pd

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.engine.team import Team
from rmtgb.tree.binning import sample_rows


def run(options: argparse.Namespace) -> None:
    """Reach every kernel once and print how long that took."""
    start = time.perf_counter()
    fit_every_path()
    print(f"Kernels compiled, or found in the cache, in {time.perf_counter() - start:.1f} s.")


def fit_every_path() -> None:
    """Fit and predict tiny data in all the ways that reach a kernel of their own."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.uniform(size=(120, 2)), columns=["x", "z"])
    X["group"] = pd.Categorical(rng.choice(["a", "b"], 120))
    X["task"] = np.repeat([0, 1, 2], 40)
    y = X["x"].to_numpy() + rng.normal(0, 0.1, 120)
    thirds = np.digitize(y, np.quantile(y, [1 / 3, 2 / 3]))
    settings: dict[str, Any] = {
        "task_feature": "task",
        "n_iter_shared": 2,
        "n_iter_partition": 2,
        "n_iter_task": 2,
        "min_samples_leaf": 5,
        "early_stopping": True,
        "task_baseline": "linear",
        "random_state": 0,
    }
    for estimator, target in (
        (RMTGBRegressor(**settings), y),
        (RMTGBRegressor(loss="absolute_error", **settings), y),
        (RMTGBClassifier(**settings), thirds > 0),
        (RMTGBClassifier(**settings), thirds),
    ):
        estimator.fit(X, target).predict(X)
    with Team(1) as team:  # of more rows than a warm-up has, some are looked at
        sample_rows(X[["x", "z"]].to_numpy(), np.ones(len(X)), 0, team)
