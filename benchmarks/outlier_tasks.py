"""How far outlier tasks can be trusted, and what is lost where tasks form several clusters.

    python benchmarks/outlier_tasks.py                              # generated tasks only
    python benchmarks/outlier_tasks.py school.csv.gz landmine.csv.gz --parts stability

All at default settings. A file has feature columns, ``task`` and ``target``.

*Detection*: of how many generated data sets ``outlier_tasks_`` are exactly the true ones, in how
many there is a false alarm (a task that is none), and in how many one is missed. "outliers": 10
tasks of 300 rows, two of them outliers; "related": 10 without outliers; "intercepts": three with
one function and different constants. Noise is in standard deviations of the noise-free numbers.

*Stability*: the rows of each task are drawn anew with replacement, and the model is fitted again.
"called" is the fit to the rows themselves; "share" is in which part of the replicates a task is
called an outlier, "weight" and "± weight" are mean and standard deviation of its outlier weight.
"agreement" is the mean over tasks of max(share, 1 - share), near 1 also where hardly a task is
ever called; so "kept" is the mean share of the called ones. A replicate holds the noise of two
draws: it is a harder test than new rows would be. Where stage 2 has no rounds, no task is called.

*Clusters*: 30 tasks of 100 rows in five clusters, each with a function of its own, where the gate
has two sides. "labelled" is rmtgb with the true cluster as a categorical feature, "oracle" a model
per true cluster; the others are settings of one model. "sd" is that of the target, "called" the
number of outlier tasks. "ratio" is the error over the oracle's; "closed" is how much of the way
from one model per task to the oracle is gone: 0 is as bad as the former, 1 as good as the latter.
Both are given for the RMSE over all test rows, mean over seeds, which hard clusters rule, and for
the geometric mean over clusters and seeds.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances, read_tasks
from _methods import POOLED, SINGLE
from sklearn.metrics import root_mean_squared_error as rmse

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.datasets import make_task_scenario

NOISE = (0.0, 0.1, 0.3)
INTERCEPTS = np.array([0.0, 3.0, -5.0])
COLUMNS = ("case", "target", "noise", "sets", "exact", "false alarm", "missed")
CLUSTER_SIZES, FIT_ROWS, TEST_ROWS = (3, 4, 5, 8, 10), 100, 1000
SETTINGS = {"rmtgb": {}, "mt-gb": {"n_iter_partition": 0}, "single-task": SINGLE, "pooled": POOLED}

#: Up to so many tasks all have a line in the table of stability.
MANY_TASKS = 20


def fit(X, y, seed, is_class=False, **settings):
    estimator = RMTGBClassifier if is_class else RMTGBRegressor
    return estimator(task_feature="task", random_state=seed, **settings).fit(X, y)


def scenario(kind, seed, share_of_noise=0.0, **settings):
    """Return X, y and the true outlier tasks of a detection case."""
    settings |= {"scenario": kind, "as_frame": True, "random_state": seed}
    if kind == "intercepts":
        settings |= {"scenario": "pooled", "n_tasks": INTERCEPTS.size}
    noise = share_of_noise * make_task_scenario(**settings | {"classification": False})[1].std()
    X, y, truth = make_task_scenario(**settings, noise=noise, return_truth=True)
    y = y + INTERCEPTS[X["task"]] if kind == "intercepts" else y
    return X, y, set(truth.outlier_tasks.tolist())


def detection(n_seeds):
    """Return a line per case: how often the outliers that were found are right."""
    cases = [*itertools.product(("outliers", "related"), (False, True), NOISE)]
    cases += [("intercepts", False, share) for share in NOISE]
    lines = []
    for kind, is_class, share in cases:
        sets = []
        for seed in range(n_seeds // 2 if kind == "intercepts" else n_seeds):
            X, y, truth = scenario(kind, seed, share, classification=is_class)
            found = set(fit(X, y, seed, is_class).outlier_tasks_.tolist())
            sets.append((found == truth, bool(found - truth), bool(truth - found)))
        case = (kind, "classes" if is_class else "numbers", share)
        lines.append((*case, len(sets), *np.sum(sets, axis=0)))
    return pd.DataFrame(lines, columns=COLUMNS)


def resampled(task, rng):
    """Return row numbers, of each task as many as it has, drawn with replacement."""
    rows = pd.Series(np.arange(len(task))).groupby(np.asarray(task)).indices.values()
    return np.concatenate([rng.choice(own, own.size) for own in rows])


def replicate(X, y, n_replicates):
    """Return the outlier weights by replicate and task, and how many replicates use the gate."""
    is_class, weights, n_used = np.unique(y).size == 2, [], 0
    for seed in range(n_replicates):
        rows = resampled(X["task"], np.random.default_rng(seed))
        model = fit(X.iloc[rows].reset_index(drop=True), y[rows], seed, is_class)
        weights.append(model.outlier_weights_)
        n_used += model.n_iter_partition_ > 0
    return np.array(weights), n_used


def agreement(share):
    """Return how far replicates agree on a task, mean over tasks."""
    return np.maximum(share, 1 - share).mean()


def stability(name, X, y, n_replicates):
    """Print what replicates say of each task."""
    model = fit(X, y, 0, np.unique(y).size == 2)
    weights, n_used = replicate(X, y, n_replicates)
    called, share = model.outlier_weights_ > 0.5, (weights > 0.5).mean(axis=0)
    columns = {"called": called, "share": share, "weight": weights.mean(axis=0)}
    columns |= {"± weight": weights.std(axis=0, ddof=1)}
    table = pd.DataFrame(columns, index=pd.Index(model.tasks_, name="task"))
    print(f"\nStability: {name}, {n_replicates} replicates")
    shown = table[(share > 0) | called | (len(table) <= MANY_TASKS)]
    print(shown.round(2).to_string() if len(shown) else "no task is ever called an outlier")
    kept = f"{share[called].mean():.2f}" if called.any() else "-"
    print(
        f"{len(table)} tasks, {called.sum()} called, {(share > 0).sum()} in at least one "
        f"replicate; agreement {agreement(share):.3f}, kept {kept}; stage 2 has "
        f"{model.n_iter_partition_} rounds, and some in {n_used} replicates",
        flush=True,
    )


def predict_clusters(seed):
    """Return true cluster and target of the test rows, their predictions, and the calls."""
    n = FIT_ROWS + TEST_ROWS
    X, y, truth = make_task_scenario(
        "clusters", cluster_sizes=CLUSTER_SIZES, n_samples_per_task=n, as_frame=True,
        return_truth=True, random_state=seed,
    )  # fmt: skip
    is_fit, cluster = np.arange(y.size) % n < FIT_ROWS, truth.clusters[X["task"]]
    labelled = X.assign(cluster=pd.Categorical(cluster))
    models = {name: fit(X[is_fit], y[is_fit], seed, **SETTINGS[name]) for name in SETTINGS}
    predictions = pd.DataFrame({name: models[name].predict(X) for name in SETTINGS})
    predictions["labelled"] = fit(labelled[is_fit], y[is_fit], seed).predict(labelled)
    for one in np.unique(cluster):
        own = cluster == one
        model = fit(X[is_fit & own], y[is_fit & own], seed)
        predictions.loc[own, "oracle"] = model.predict(X[own])
    called = truth.clusters[models["rmtgb"].outlier_tasks_]
    return cluster[~is_fit], y[~is_fit], predictions[~is_fit], called


def cluster_errors(seed):
    """Return the RMSE of every method, a line per cluster and one for all test rows."""
    cluster, y, predictions, called = predict_clusters(seed)
    lines, every = {}, np.unique(cluster)
    for name, own in (*((one, [one]) for one in every), ("all", every)):
        rows = np.isin(cluster, own)
        errors = predictions[rows].apply(lambda values, rows=rows: rmse(y[rows], values))
        n_called = np.isin(called, own).sum()
        lines[seed, name] = {"sd": y[rows].std(), **errors, "called": n_called}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(["seed", "cluster"])


def distance_to_oracle(errors):
    """Return ratios to the oracle, and how much of the way from single-task models is gone."""
    single, oracle = errors["single-task"], errors["oracle"]
    closed = (single - errors) / (single - oracle)
    return pd.DataFrame({"error": errors, "ratio": errors / oracle, "closed": closed})


def clusters(seeds):
    """Print errors per cluster, and how far each method goes."""
    table = pd.concat([cluster_errors(seed) for seed in seeds])
    print(f"\nClusters: RMSE\n{table.round(4).to_string()}")
    errors, is_all = table.drop(columns=["sd", "called"]), table.index.isin(["all"], level=1)
    means = errors[is_all].mean(), np.exp(np.log(errors[~is_all]).mean())
    for name, mean in zip(("all test rows", "geometric mean"), means, strict=True):
        print(f"\nClusters: {name}\n{distance_to_oracle(mean).round(4).to_string()}", flush=True)


def main():
    """Measure and print."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE.csv")
    parts = ("detection", "stability", "clusters")
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--seeds", type=int, default=20, help="data sets per detection case")
    parser.add_argument("--replicates", type=int, default=20, help="default: 20")
    parser.add_argument("--cluster-seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    print_circumstances()
    if "detection" in options.parts:
        print(f"\nDetection\n{detection(options.seeds).to_string(index=False)}", flush=True)
    if "stability" in options.parts:
        for kind in ("outliers", "related"):
            stability(kind, *scenario(kind, 0)[:2], options.replicates)
        for path in options.files:
            stability(path.name, *read_tasks(path), options.replicates)
    if "clusters" in options.parts:
        clusters(options.cluster_seeds)


if __name__ == "__main__":
    main()
