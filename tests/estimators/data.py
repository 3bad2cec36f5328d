"""Small data sets that the estimators can learn."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

NO_ROUNDS = {
    "n_iter_shared": 0,
    "n_iter_partition": 0,
    "n_iter_task": 0,
    "learning_rate": 0.3,
    "max_leaf_nodes": 8,
    "early_stopping": False,
}


def few_rounds(n):
    """Settings of a model of a few rounds per stage."""
    return NO_ROUNDS | dict.fromkeys(("n_iter_shared", "n_iter_partition", "n_iter_task"), n)


@dataclass
class School:
    """Pupils of some schools; the label of an outlier school's rows follows another function.

    ``X`` has the features x0, x1, x2 and the column "school" with labels "a", "b", ...; last.
    """

    X: pd.DataFrame
    y: np.ndarray
    outlier_tasks: list

    @property
    def task(self):
        """Labels as an array of objects."""
        return self.X["school"].to_numpy(dtype=object)

    @property
    def features(self):
        """The features as an array of floats."""
        return self.X[["x0", "x1", "x2"]].to_numpy()


def school(n_tasks=5, n_rows=40, n_outlier_tasks=0, n_classes=None, seed=0, noise_seed=None):
    """Return a School with ``n_rows`` rows per task, in mixed order."""
    rng = np.random.default_rng(seed)
    n = n_tasks * n_rows
    task = rng.permutation(np.repeat(np.arange(n_tasks), n_rows))
    X = np.random.default_rng(noise_seed if noise_seed is not None else rng).normal(size=(n, 3))
    common = np.sin(2 * X[:, 0]) + X[:, 1]
    other = np.cos(2 * X[:, 0]) - 2 * X[:, 1]
    outlier = task >= n_tasks - n_outlier_tasks
    own = 0.5 * (task % 3) + 0.3 * (task % 2) * X[:, 2]
    y = np.where(outlier, other, common) + own + 0.05 * rng.normal(size=n)
    if n_classes is not None:
        y = np.searchsorted(np.quantile(y, np.arange(1, n_classes) / n_classes), y)
    labels = np.array([chr(ord("a") + t) for t in range(n_tasks)], dtype=object)
    frame = pd.DataFrame(X, columns=["x0", "x1", "x2"]).assign(school=labels[task])
    return School(frame, y, labels[n_tasks - n_outlier_tasks :].tolist())
