"""Random data, weights and parameters, and what must hold whatever they are.

Guards must be on: they tell whether a kernel wrote past an array. Everything follows from one
number, so that what fails can be run again: ``python -m tests.fuzz.configurations 1234`` runs one
configuration, ``... 0 50000`` all of a range.
"""

import sys
import warnings

import numpy as np

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.engine.record import guards_are_on
from rmtgb.estimators import _base
from rmtgb.tree.ensemble import Ensemble

REGRESSION = ("squared_error", "absolute_error", "huber", "quantile", "poisson")

#: Rounding of weights: steps of a mean weight, summed over the rows of a leaf.
WEIGHT_TOLERANCE = 1e-5


def run(seed):
    """Fit and predict one configuration.

    Raises
    ------
    AssertionError, RuntimeError, Warning
        If something does not hold, a guard was written to, or a fit gave a numerical warning.
    """
    assert guards_are_on()
    rng = np.random.default_rng(seed)
    X, task, y, weight, classes = draw_rows(rng)
    model = draw_model(rng, classes, X.shape[1])
    if getattr(model, "loss", "") == "poisson":
        y = draw_counts(rng, X, len(y))
    for feature in model.categorical_features or ():
        X[:, feature] = np.round(np.abs(np.clip(X[:, feature], -99, 99) * 9)) % model.max_bins
    extra = {}
    if rng.random() < 0.2 and task is not None:
        used = np.flatnonzero(np.ones(len(y)) if weight is None else weight / weight.max())[::3]
        extra = {"X_val": X[used], "y_val": y[used], "task_val": task[used]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "The weights in sample_weight have a mean", UserWarning)
        model.fit(X, y, task=task, sample_weight=weight, **extra)
        if rng.random() < 0.15 and not model.early_stopping:
            stage = str(rng.choice(["n_iter_shared", "n_iter_partition", "n_iter_task"]))
            model.set_params(warm_start=True, **{stage: getattr(model, stage) + 2})
            model.fit(X, y, task=task, sample_weight=weight)
        check(model, X, task)


def draw_rows(rng):
    """Return features, tasks (or None), targets, weights (or None), and whether y are classes."""
    n = int(np.exp(rng.uniform(np.log(8), np.log(400))))
    n_features = int(rng.integers(1, 6))
    X = rng.normal(size=(n, n_features))
    for feature in range(n_features):
        kind = rng.integers(4)
        if kind == 0:
            X[:, feature] = rng.integers(0, 2 + rng.integers(60), n)
        elif kind == 1:
            X[:, feature] = np.round(X[:, feature], 1) * 10.0 ** rng.integers(-300, 300)
        X[rng.random(n) < rng.choice([0.0, 0.0, 0.2, 1.0], p=[0.5, 0.2, 0.25, 0.05]), feature] = (
            np.nan
        )
    known = np.nan_to_num(np.clip(X, -3, 3))
    task = None
    signal = known[:, 0] + rng.normal(size=n) * rng.choice([0.0, 0.1, 2.0])
    if rng.random() < 0.8:
        task = rng.integers(0, rng.choice([1, 2, 4, 12, n]), n)
        signal = signal + (task % 3 - 1) * known[:, -1]
    classes = bool(rng.random() < 0.35)
    if classes:
        cuts = np.quantile(signal, np.linspace(0, 1, rng.integers(2, 5) + 1)[1:-1])
        y = np.searchsorted(cuts, signal)
        y[0], y[1] = 0, 1
    else:
        y = signal * 10.0 ** rng.choice([0, 0, 0, -250, -20, 20, 250])
    return X, task, y, draw_weights(rng, n), classes


def draw_counts(rng, X, n):
    """Return counts of any size, 0 among them."""
    log_mean = np.nan_to_num(np.clip(X[:, 0], -3, 3)) + rng.normal(size=n)
    y = rng.poisson(np.exp(log_mean)).astype(float) * (rng.random(n) > rng.choice([0.0, 0.5, 0.9]))
    y[rng.random(n) < rng.choice([0.0, 0.0, 0.3])] *= 10.0 ** rng.choice([3, 9, 30, 99])
    y[0] = 1.0
    return np.minimum(y, 1e100)


def draw_weights(rng, n):
    """Return weights of a random kind, or None."""
    kinds = {
        "none": lambda: None,
        "near one": lambda: rng.uniform(0.99, 1.01, n),
        "two values near one": lambda: rng.choice([1.0, 0.999, 0.992], n),
        "decaying": lambda: 10.0 ** -np.linspace(0, 60, n),
        "integers": lambda: rng.integers(0, 5, n).astype(float),
        "large integers": lambda: rng.integers(1, 10 ** int(rng.integers(2, 9)), n).astype(float),
        "lognormal": lambda: np.exp(rng.normal(0, rng.uniform(0.1, 5), n)),
        "zeros and ones": lambda: (rng.random(n) < 0.6).astype(float),
        "anything": lambda: 10.0 ** rng.uniform(-300, 300, n),
        "a constant": lambda: np.full(n, 10.0 ** rng.uniform(-300, 15)),
        "one heavy row": lambda: np.where(np.arange(n) == 3, 1e12, 1.0),
    }
    weight = kinds[rng.choice(sorted(kinds))]()
    if weight is not None:
        # two classes, two rows; weights may all be drawn as zero
        weight[:4] = np.maximum(weight[:4], weight.max() * 1e-3 or 1.0)
    return weight


def draw_model(rng, classes, n_features):
    """Return an estimator with random parameters."""
    rounds = {
        "n_iter_shared": int(rng.integers(0, 5)),
        "n_iter_partition": int(rng.integers(0, 5)),
        "n_iter_task": int(rng.integers(0, 5)),
    }
    parameters = {
        **rounds,
        "learning_rate": float(rng.choice([0.05, 0.5, 1.0])),
        "max_leaf_nodes": rng.choice([None, 2, 3, 16, 300]),
        "max_leaf_nodes_task": rng.choice([None, 2, 8, 300]),
        "max_depth": rng.choice([None, None, 1, 3]),
        "min_samples_leaf": rng.choice(np.array(["auto", 1, 3, 20], dtype=object)),
        "min_samples_leaf_task": int(rng.choice([1, 5, 20])),
        "l2_regularization": float(rng.choice([0.0, 1e-200, 1e-15, 1e-3, 1.0, 1.0])),
        "task_baseline": str(rng.choice(["auto", "linear", "shrunken", "global", "zero"])),
        "task_descriptors": rng.choice(np.array(["auto", True, False], dtype=object)),
        "max_bins": int(rng.choice([2, 7, 32, 255])),
        "subsample": float(rng.choice([1.0, 1.0, 0.5])),
        "max_features": float(rng.choice([1.0, 1.0, 0.4])),
        "splitter": str(rng.choice(["auto", "best", "random"])),
        "linear_leaves": bool(rng.random() < 0.6),
        "early_stopping": bool(rng.random() < 0.06),  # five fits or more
        "n_iter_no_change": 2,
        "n_jobs": int(rng.choice([1, 1, 1, 2])),
        "random_state": int(rng.integers(1000)),
    }
    if rng.random() < 0.3:
        parameters["categorical_features"] = [int(rng.integers(n_features))]
    else:
        parameters["categorical_features"] = None
    if classes:
        weight = rng.choice([None, "balanced"])
        return RMTGBClassifier(class_weight=weight, **parameters)
    loss = str(rng.choice(REGRESSION))
    return RMTGBRegressor(loss=loss, quantile=0.3, **parameters)


def check(model, X, task):
    """Check predictions and trees of a fitted model."""
    new_task = None
    if task is not None:
        new_task = task.copy()
        new_task[0] = -1  # not seen
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X holds", UserWarning)
        parts = model.predict_parts(X, task=new_task)
        raw = sum(parts.values())
        assert np.isfinite(raw).all()
        assert np.isfinite(np.asarray(model.predict(X, task=new_task), dtype=float)).all()
        if hasattr(model, "predict_proba"):
            np.testing.assert_allclose(
                model.predict_proba(X, task=new_task).sum(axis=1), 1.0, rtol=1e-9
            )
    stages = model._model
    common = stages.shared, *stages.partition.sides
    for ensembles, limit in (
        (common, model.max_leaf_nodes),
        (
            (stages.task_specific.trees,),
            model.max_leaf_nodes_task,
        ),
    ):
        for ensemble in ensembles:
            check_trees(ensemble, limit, model.max_depth)


def check_trees(ensemble, max_leaf_nodes, max_depth):
    """Check that every tree is one: each node but the root has one parent, limits are kept."""
    for tree in range(ensemble.n_trees):
        one: Ensemble = ensemble.take([tree])
        nodes = one.nodes
        inner = nodes["feature"] >= 0
        children = np.concatenate([nodes["left"][inner], nodes["left"][inner] + 1])
        assert sorted(children) == list(range(1, nodes.size))
        assert nodes.size == 2 * inner.sum() + 1
        assert max_leaf_nodes is None or (~inner).sum() <= max_leaf_nodes
        depth = np.zeros(nodes.size, int)
        for i in np.flatnonzero(inner):
            assert nodes["left"][i] > i
            depth[nodes["left"][i]] = depth[nodes["left"][i] + 1] = depth[i] + 1
        assert max_depth is None or depth.max() <= max_depth
        below = np.array([nodes["weight"][i : i + 2].sum() for i in nodes["left"][inner]])
        np.testing.assert_allclose(below, nodes["weight"][inner], rtol=1e-5)
        slopes = nodes["n_slopes"][~inner]
        ends = nodes["first_slope"][~inner] + slopes
        assert ends.max(initial=0) == one.slopes.size


if __name__ == "__main__":
    _base.SMALL_CODES = 0  # teams whatever the size
    first, *stop = map(int, sys.argv[1:])
    failed = 0
    for number in range(first, stop[0] if stop else first + 1):
        try:
            run(number)
        except Exception as error:
            failed += 1
            print(f"{number}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            if not stop:
                raise
        if number % 1000 == 999:
            print(f"up to {number}: {failed} failed", flush=True)
    print(f"{failed} failed")
    sys.exit(bool(failed))
