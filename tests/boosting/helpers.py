"""Small multi-task data, and estimators that fit it quickly."""

import numpy as np

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.boosting.rows import Rows, TrainingSet
from rmtgb.engine.team import Team
from rmtgb.losses import make_loss
from rmtgb.tasks.table import TaskTable
from rmtgb.tree.binning import BinMapper

QUICK = {"n_iter_shared": 6, "n_iter_partition": 6, "n_iter_task": 6, "early_stopping": False}


def task_data(n_rows=240, n_tasks=4, seed=0):
    """Return features with the task in the last column, and a target that differs by task."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 4)).round(2)
    X[rng.random(X.shape) < 0.05] = np.nan
    task = rng.permutation(np.arange(n_rows) % n_tasks)
    signal = np.nan_to_num(X[:, 0]) * (1 + task) + np.nan_to_num(X[:, 1]) ** 2 + task
    return np.column_stack([X, task]), signal + 0.1 * rng.standard_normal(n_rows)


def outliers_by_rows():
    """Data whose first task stands out from the other five, although it has most rows."""
    X, y = task_data(n_rows=400, n_tasks=6)
    X[:250, -1] = 0
    x = np.nan_to_num(X[:, 0])
    return X, np.where(X[:, -1] == 0, -5.0 * x, 5.0 * x) + 0.1 * y


def regressor(**parameters):
    """Return a quick regressor with the task in the last column."""
    return RMTGBRegressor(task_feature=-1, random_state=0, **(QUICK | parameters))


def classifier(**parameters):
    """Return a quick classifier with the task in the last column."""
    return RMTGBClassifier(task_feature=-1, random_state=0, **(QUICK | parameters))


def training_set(X, y, weight=None, loss=None, max_bins=255):
    """Return a training set as the fit makes it, with the task in the last column."""
    tasks, codes = np.unique(X[:, -1], return_inverse=True)
    weight = np.ones(len(y)) if weight is None else weight
    rows = Rows(np.ascontiguousarray(X[:, :-1]), y, weight, codes.astype(np.int64))
    loss = make_loss("squared_error") if loss is None else loss
    with Team(1) as team:
        kinds = np.zeros(X.shape[1] - 1, np.int64)
        mapper = BinMapper.fit(rows.X, weight, kinds, max_bins, 0, team)
        return TrainingSet.of(rows, None, mapper, tasks.size, loss, False, team)


def no_baseline(n_tasks):
    """Return a table of tasks that start at zero, with one output."""
    return TaskTable.starting(np.zeros((n_tasks, 1)), np.zeros(1), np.ones(n_tasks))


def model_arrays(model):
    """Return all arrays of a ThreeStageModel by name."""
    arrays = {
        "baseline": model.tasks.baseline,
        "population": model.tasks.population,
        "task weight": model.tasks.weight,
        "theta": model.tasks.theta,
        "theta_start": model.tasks.theta_start,
        "weights": model.tasks.second_weight,
        "task starts": model.task_specific.starts,
    }
    first, second = model.partition.sides
    ensembles = {"shared": model.shared, "first": first, "second": second}
    for name, trees in (ensembles | {"task": model.task_specific.trees}).items():
        arrays |= {f"{name} {piece}": getattr(trees, piece) for piece in ("nodes", "slopes")}
        arrays |= {f"{name} sets": trees.category_sets, f"{name} starts": trees.starts}
    return arrays
