"""Default fits of rmtgb next to a LightGBM that was stopped early and fitted again.

    python benchmarks/default_fit.py                       # generated data; takes long
    python benchmarks/default_fit.py regression-20k classes --pairs 3
    python benchmarks/default_fit.py --sets ../data --sets ../more-data school ames
    python benchmarks/default_fit.py --scale 0.01 --pairs 1           # does it run?

rmtgb has default settings. LightGBM has the task as a category, learns at rate 0.05, stops after
100 rounds without improvement on 15 % of the rows, and is fitted again on all rows at the best
length. Both are called once, and then in turn, A B A B; times are medians, ``per pair`` is the
median of the ratios. ``chosen`` is a fit of nothing but what a default fit has chosen, and
``search`` how many times as long the default fit takes. Errors are those of other rows: root mean
squared error, log loss, or root of the Poisson deviance.
"""

import argparse
import statistics
from pathlib import Path

import _peers
import joblib
import numpy as np
import pandas as pd
from _common import duration, print_circumstances, print_row, save, timed_in_turn
from _measure import error_of
from _methods import make_rmtgb
from _peers import Data
from _sets import Case, as_category, find_tables
from _sets import load as load_set
from sklearn.model_selection import train_test_split

COLUMNS = {
    "set": 24, "rows": 8, "rmtgb": 8, "LightGBM": 8, "ratio": 6, "per pair": 8, "chosen": 8,
    "search": 6, "error": 8, "LightGBM's": 10,
}  # fmt: skip


def task_data(n_rows, n_features, n_tasks, kind="numbers", noise=0.5, n_classes=2):
    """Return training rows, and X and y of others: tasks share curves and have own slopes.

    Of classes, each has a score of that kind with Gumbel noise, whose standard deviation is 1.28
    times the noise given, and the largest one wins.
    """
    rng = np.random.default_rng(n_rows + n_features)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    task = rng.integers(0, n_tasks, n_rows)
    n_scores = 1 if kind == "numbers" else n_classes
    score = np.empty((n_rows, n_scores))
    for k in range(n_scores):
        turned = np.roll(X[:, : min(n_features, 8)], k, axis=1)
        slopes = 0.5 * rng.standard_normal((n_tasks, n_features))
        curves = np.sin(2 * turned[:, 0]) + turned[:, 1] * turned[:, 2]
        score[:, k] = curves + np.einsum("ij,ij->i", X, slopes[task])
    if kind == "numbers":
        y = score[:, 0] + noise * rng.standard_normal(n_rows)
    else:
        y = np.argmax(score + noise * rng.gumbel(size=score.shape), axis=1)
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(n_features)])
    frame["task"] = as_category(pd.Series(task))
    fit, test = train_test_split(np.arange(n_rows), test_size=0.2, random_state=0)
    data = Data(frame.iloc[fit].reset_index(drop=True), y[fit], kind, 0)
    return data, frame.iloc[test].reset_index(drop=True), y[test]


#: Rows (of which a fifth is not learned from), features, tasks, and what the target is.
GENERATED = {
    "regression-3k": (3_750, 5, 10),
    "regression-20k": (25_000, 10, 50),
    "regression-100k": (125_000, 20, 100),
    "regression-800k": (1_000_000, 28, 100),
    "classes": (20_875, 9, 12, "many classes", 0.5, 12),
    "noisy-binary": (45_000, 16, 12, "classes", 4.0),
}


def chosen_settings(model):
    """Return the settings with which nothing is chosen: what a default fit has chosen."""
    return {
        "early_stopping": False,
        "n_iter_shared": model.n_iter_shared_,
        "n_iter_partition": model.n_iter_partition_,
        "n_iter_task": int(model.n_iter_task_.max(initial=0)),
        "task_baseline": "shrunken" if model._model.added.linear is None else "linear",
        "task_descriptors": model.task_descriptors_.shape[1] > 0,
    }


def measure(name, data, X_test, y_test, n_pairs):
    """Return the times and errors of both, as a dict."""
    model = make_rmtgb(data).fit(data.X, data.y)
    fits = [
        lambda: make_rmtgb(data).fit(data.X, data.y),
        lambda: _peers.fit_lightgbm(data),
        lambda: make_rmtgb(data, **chosen_settings(model)).fit(data.X, data.y),
    ]
    predictions = {"error": data.predictor(model)(X_test), "peer_error": fits[1]()(X_test)}
    fits[2]()
    times = timed_in_turn(fits, n_pairs)
    ours, theirs, chosen = map(statistics.median, times)
    return {
        "name": name,
        "rows": data.y.size,
        "seconds": ours,
        "peer_seconds": theirs,
        "chosen_seconds": chosen,
        "ratio_of_medians": ours / theirs,
        "ratio_per_pair": statistics.median(a / b for a, b, _ in zip(*times, strict=True)),
        "search": ours / chosen,
        **{key: float(error_of(data.kind, y_test, found)) for key, found in predictions.items()},
    }


def print_result(result):
    """Print a line of the table."""
    texts = [result["name"], str(result["rows"])]
    texts += [duration(result[key]) for key in ("seconds", "peer_seconds")]
    texts += [f"{result[key]:.2f}" for key in ("ratio_of_medians", "ratio_per_pair")]
    texts += [duration(result["chosen_seconds"]), f"{result['search']:.1f}"]
    texts += [f"{result[key]:.4g}" for key in ("error", "peer_error")]
    print_row(texts, COLUMNS.values())


def read_options():
    """Return the options of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(GENERATED))
    parser.add_argument("--sets", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the generated rows")
    parser.add_argument("--threads", type=int, default=joblib.cpu_count())
    parser.add_argument("--save", type=Path, metavar="FILE")
    options = parser.parse_args()
    options.tables = find_tables(options.sets) if options.sets else {}
    known = [*GENERATED, *options.tables]
    for name in options.names:
        if name not in known:
            parser.error(f"there is no {name}; there are {', '.join(known)}")
    options.names = options.names or (list(options.tables) if options.sets else list(GENERATED))
    return options


def main():
    """Measure what the options name, and print a line for each."""
    options = read_options()
    _peers.THREADS = options.threads
    print_circumstances()
    print_row(COLUMNS, COLUMNS.values())
    results = []
    for name in options.names:
        if name in GENERATED:
            n_rows, *others = GENERATED[name]
            problem = task_data(round(n_rows * options.scale), *others)
        else:
            problem = load_set(Case(name, "random", 1), options.tables)
        results.append(measure(name, *problem, options.pairs))
        print_result(results[-1])
    if len(results) > 1:
        mean = statistics.geometric_mean(result["ratio_of_medians"] for result in results)
        print(f"geometric mean of the ratios: {mean:.2f}")
    if options.save:
        save(options.save, {"pairs": options.pairs, "threads": options.threads}, results)


if __name__ == "__main__":
    main()
