"""The linear mixed model against ridge regressions whose penalties are cross-validated.

    python benchmarks/linear_part.py FOLDER [FOLDER ...] --seeds 1 2
    python benchmarks/linear_part.py --speed

Sets are the files of the folders (.csv.gz, .parquet) with numerical targets, in columns ``task``
and ``y`` or ``target``; a column ``when`` is left out. Errors are RMSE on a random fifth of the
rows. *grid* is a ridge on [x, a times task, b times x by task] whose a, b and penalty are the
best of 5-fold cross-validation, *ridge* RidgeCV on x and task dummies. Both get the columns that
the mixed model makes of the features. Ratios are those of its error to theirs.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances
from scipy import sparse
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import KFold, train_test_split

from rmtgb.engine.team import Team
from rmtgb.linear.fit import MixedData, fit_mixed
from rmtgb.linear.model import predict
from rmtgb.losses import make_loss

SUFFIXES = (".csv.gz", ".parquet")
INTERCEPTS, SLOPES, PENALTIES = (0.3, 1.0, 3.0), (0.0, 0.1, 0.3, 1.0), (0.1, 1.0, 10.0, 100.0)


def read(path):
    """Return X, which columns are categories, y and codes of tasks; None if y is no number."""
    frame = (pd.read_parquet if path.suffix == ".parquet" else pd.read_csv)(path)
    frame = frame.rename(columns={"target": "y"}).drop(columns="when", errors="ignore")
    y, task = frame.pop("y"), pd.factorize(frame.pop("task"))[0]
    if y.dtype.kind not in "iuf" or y.nunique() == 2:
        return None
    categorical = np.array([dtype.kind not in "iufb" for dtype in frame.dtypes])
    codes = frame.loc[:, categorical].apply(lambda column: pd.factorize(column)[0])
    X = frame.assign(**codes.mask(codes < 0)).to_numpy(np.float64)
    return X, categorical, y.to_numpy(np.float64), task.astype(np.int64)


def columns_of(model, X):
    """Return the columns that the mixed model makes of features."""
    n = model.design.n_fixed
    codes = np.full(len(X), -1)
    return predict(model.design, X, codes, np.eye(n), np.zeros((n, 1, 0)), Team(1))[1:].T


def by_task(F, task, n_tasks):
    """Return the columns once for each task."""
    rows, places = np.arange(len(task))[:, None], task[:, None] * F.shape[1]
    places = places + np.arange(F.shape[1])
    rows = np.broadcast_to(rows, places.shape)
    shape = (len(task), n_tasks * F.shape[1])
    return sparse.csr_matrix((F.ravel(), (rows.ravel(), places.ravel())), shape=shape)


def grid(F, y, task, n_tasks):
    """Return a predictor: the ridge with the best of all grid points by 5 folds."""

    def expand(F, task, a, b):
        parts = [sparse.csr_matrix(F), a * by_task(np.ones((len(F), 1)), task, n_tasks)]
        return sparse.hstack(parts + [b * by_task(F, task, n_tasks)] * (b > 0), format="csr")

    def ridge(penalty):
        return Ridge(alpha=penalty, solver="lsqr", tol=1e-5)

    folds = list(KFold(5, shuffle=True, random_state=0).split(F))
    errors = {}
    for a, b in itertools.product(INTERCEPTS, SLOPES):
        Z = expand(F, task, a, b)
        for penalty in PENALTIES:
            errors[a, b, penalty] = sum(
                np.sum((y[other] - ridge(penalty).fit(Z[rows], y[rows]).predict(Z[other])) ** 2)
                for rows, other in folds
            )
    a, b, penalty = min(errors, key=errors.get)
    model = ridge(penalty).fit(expand(F, task, a, b), y)
    return lambda F, task: model.predict(expand(F, task, a, b))


def dummies(F, y, task, n_tasks):
    """Return a predictor: RidgeCV on columns and an indicator for each task."""

    def expand(F, task):
        return np.hstack([F, by_task(np.ones((len(F), 1)), task, n_tasks).toarray()])

    model = RidgeCV(np.logspace(-2, 3, 11)).fit(expand(F, task), y)
    return lambda F, task: model.predict(expand(F, task))


def errors_of(name, data, seed, known):
    """Return the errors of all methods and the seconds of the mixed model's fit."""
    X, categorical, y, task = data
    n_tasks = int(task.max()) + 1
    rows, test = train_test_split(np.arange(y.size), test_size=0.2, random_state=seed)
    loss, weight = make_loss("squared_error"), np.ones(rows.size)
    start = time.perf_counter()
    model = fit_mixed(MixedData(X[rows], categorical, y[rows], task[rows], n_tasks, weight, loss))
    passed = time.perf_counter() - start
    errors = {"mixed": root_mean_squared_error(y[test], model.predict(X[test], task[test])[0])}
    F = columns_of(model, X)
    for method in (grid, dummies):
        key = f"{name} {seed} {method.__name__} {F.shape[1]}"
        if key not in known:
            predictor = method(F[rows], y[rows], task[rows], n_tasks)
            known[key] = root_mean_squared_error(y[test], predictor(F[test], task[test]))
        errors[method.__name__] = known[key]
    return errors | {"seconds": passed}


def compare(folders, seeds, cache):
    """Print a line for each set, and geometric means."""
    known = json.loads(cache.read_text()) if cache and cache.exists() else {}
    lines = {}
    paths = [path for folder in folders for path in folder.iterdir()]
    for path in sorted(path for path in paths if path.name.endswith(SUFFIXES)):
        name, data = path.name.split(".")[0], read(path)
        for seed in seeds if data else ():
            lines[name, seed] = errors_of(name, data, seed, known)
            print(name, seed, lines[name, seed], flush=True)
            if cache:
                cache.write_text(json.dumps(known))
    table = pd.DataFrame(lines).T
    ratios = table[["mixed"]].to_numpy() / table[["grid", "dummies"]]
    table[["to grid", "to dummies"]] = ratios
    print(table.groupby(level=0).mean().round(4).to_string())
    print("geometric means of ratios:", np.exp(np.log(ratios).mean()).round(4).to_dict())


def speed():
    """Print the seconds of fits of many rows, columns and tasks on two threads."""
    rng = np.random.default_rng(0)
    for n, p, n_tasks in ((2000, 5, 20), (200_000, 50, 10_000), (1_000_000, 50, 10_000),
                          (1_000_000, 50, 20)):  # fmt: skip
        X, task = rng.normal(size=(n, p)), rng.integers(0, n_tasks, n)
        slopes = 0.3 * (rng.random(p) < 0.3) * rng.normal(size=(n_tasks, p))
        y = (X * (0.3 + slopes[task])).sum(axis=1) + rng.normal(size=n)
        data = MixedData(
            X, np.zeros(p, bool), y, task, n_tasks, np.ones(n), make_loss("squared_error")
        )
        with Team(2) as team:
            wall, cpu = time.perf_counter(), time.process_time()
            fit_mixed(data, team)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(f"{n} x {p}, {n_tasks} tasks: {wall:.2f} s, {cpu:.2f} s of processors", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--cache", type=Path, help="file that keeps the errors of the ridges")
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    print_circumstances()
    if options.folders:
        compare(options.folders, options.seeds, options.cache)
    if options.speed:
        speed()


if __name__ == "__main__":
    main()
