"""Data and shortcuts for the tests of linear mixed models."""

import numpy as np

from rmtgb.engine.team import Team
from rmtgb.linear.fit import MixedData
from rmtgb.linear.model import predict
from rmtgb.linear.system import MixedRows
from rmtgb.losses import make_loss
from rmtgb.tasks.index import TaskIndex


def mixed_data(
    n_rows=120, n_numbers=3, n_levels=0, n_tasks=6, loss="squared_error", seed=0, **changes
):
    """Draw rows of tasks whose sizes differ, some of them smaller than their effects."""
    rng = np.random.default_rng(seed)
    task = np.minimum(rng.geometric(0.3, n_rows) - 1, n_tasks - 1).astype(np.int64)
    numbers = rng.normal(2.0, 3.0, (n_rows, n_numbers))
    levels = rng.integers(0, n_levels, (n_rows, 1)) if n_levels else np.empty((n_rows, 0))
    X = np.hstack([numbers, levels])
    slopes = rng.normal(size=n_numbers) + 0.5 * rng.normal(size=(n_tasks, n_numbers))
    score = ((numbers - 2) / 3 * slopes[task]).sum(axis=1) + rng.normal(size=n_tasks)[task]
    if n_levels:
        score += rng.normal(size=n_levels)[levels[:, 0].astype(int)]
    y = score + rng.normal(size=n_rows)
    options = {}
    if loss == "log_loss":
        y, options = (y > 0).astype(float), {"n_classes": 2}
    elif loss == "multiclass":
        y, options, loss = np.digitize(y, [-1.0, 1.0]).astype(float), {"n_classes": 3}, "log_loss"
    elif loss == "poisson":
        y = rng.poisson(np.exp(np.clip(score / 2, -3, 3))).astype(float)
    elif loss == "huber":
        options = {"huber_delta": 1.35, "y": y}
    elif loss == "quantile":
        options = {"quantile": 0.8}
    fields = {
        "X": X,
        "categorical": np.arange(X.shape[1]) >= n_numbers,
        "y": y,
        "task": task,
        "n_tasks": n_tasks,
        "weight": np.ones(n_rows),
        "loss": make_loss(loss, **options),
    }
    return MixedData(**fields | changes)


def columns_of(design, X):
    """Return the design (n, 1 + q) as a matrix: a prediction for each column alone."""
    n = design.n_fixed
    none = np.full(len(X), -1)
    return predict(design, X, none, np.eye(n), np.zeros((n, 1, 0)), Team(1)).T.copy()


def rows_of(data, design, team=None):
    """Return all rows of some data as the parts of a fit want them."""
    index = TaskIndex.from_codes(data.task, data.n_tasks)
    return MixedRows.of(design, data.X, index, data.weight, team or Team(1))
