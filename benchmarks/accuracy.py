"""Accuracy at default settings, next to what users of task data would otherwise pick.

    python benchmarks/accuracy.py FOLDER                          # everything; takes long
    python benchmarks/accuracy.py FOLDER --sets school outliers --seeds 42 --methods rmtgb chimera
    python benchmarks/accuracy.py FOLDER --cache FILE.jsonl --plot FILE.png --markdown FILE.md

Sets are the files of FOLDER (.csv, .csv.gz, .parquet) with columns ``task`` and ``target``,
scenarios, and scikit-learn's diabetes set with sex as the task. Fresh sets, on which no default
was chosen, are summed up apart. A table is split at random, 80 to 20, by class if the target has
two values; errors are RMSE, for classes log loss. A ratio is that of an error to the least error
of the peers on the same set and split: 1 is as good as having known the best peer in advance.

With ``--cache`` a rerun computes only what changed: data, sources of rmtgb, version of a library,
or ``_peers.py``, which says how the peers are tuned. Several runs at once may share the file: each
adds a line per result. Fit times contain the tuning.
"""

import argparse
import functools
import hashlib
import itertools
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances, seconds
from _peers import METHODS, USUAL, WITH_STRONG, Data
from scipy.stats import wilcoxon
from sklearn.datasets import load_diabetes
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split

import rmtgb
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

#: No default of rmtgb was chosen on these, and none may be: they show what defaults are worth.
FRESH = ("clusters", "related-noisy", "outliers-many", "outliers-classes", "diabetes")

#: Circles are rmtgb and its settings, squares LightGBM, anything else the other libraries.
MARKS = {
    "rmtgb": ("o", "#d1495b"), "mt-gb": ("o", "#e79aa5"), "pooled": ("o", "#8a8a8a"),
    "single-task": ("o", "#c9a227"), "lgb-pooled": ("s", "#8a8a8a"), "lgb-task": ("s", "#3b7dd8"),
    "lgb-each": ("s", "#c9a227"), "lgb-strong": ("s", "#222222"), "catboost": ("D", "#2a9d6f"),
    "chimera": ("^", "#7b4fb5"), "gpboost": ("v", "#b5784f"), "hgb": ("P", "#6fb1c9"),
}  # fmt: skip


def read_diabetes():
    return load_diabetes(scaled=False, as_frame=True).frame.rename(columns={"sex": "task"})


def find_tables(folder):
    """Return a function for each set that is no scenario, which reads it."""
    tables = {"diabetes": read_diabetes}
    for path in sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES)):
        read = pd.read_parquet if path.suffix == ".parquet" else pd.read_csv
        tables[path.name.removesuffix(".gz").rpartition(".")[0]] = functools.partial(read, path)
    return tables


def as_category(column):
    """Return a column of integer codes as categories; a missing value is one of them."""
    codes = pd.factorize(column, use_na_sentinel=False)[0]
    return pd.Series(codes, index=column.index).astype("category")


@functools.cache
def features_and_target(read):
    """Return X and y of a table; what is no number becomes a category."""
    frame = read()
    y, task = frame.pop("target").to_numpy(), frame.pop("task")
    frame.columns = [f"x{i}" for i in range(frame.shape[1])]  # some libraries dislike odd names
    categories = frame.select_dtypes(exclude="number").apply(as_category)
    X = frame.assign(**categories, task=as_category(task))
    return X, (y == y.max()).astype(np.int64) if np.unique(y).size == 2 else y


def load(name, tables, seed):
    """Return the training rows of a set and split, and X and y of the test rows."""
    if name in tables:
        X, y = features_and_target(tables[name])
        is_class = np.unique(y).size == 2
        rows, stratify = np.arange(y.size), y if is_class else None
        split = train_test_split(rows, test_size=0.2, random_state=seed, stratify=stratify)
    else:
        scenario, n_fit, settings = SCENARIOS[name]
        n, options = n_fit + TEST_ROWS, {"as_frame": True, "random_state": seed}
        X, y = make_task_scenario(scenario, n_samples_per_task=n, **settings, **options)
        X["task"], is_class = as_category(X["task"]), "classification" in settings
        is_fit = np.arange(y.size) % n < n_fit
        split = np.flatnonzero(is_fit), np.flatnonzero(~is_fit)
    X_fit, X_test = (X.iloc[rows].reset_index(drop=True) for rows in split)
    return Data(X_fit, y[split[0]], not is_class, seed), X_test, y[split[1]]


def digest(*contents):
    return hashlib.sha256(b"".join(contents)).hexdigest()[:12]


@functools.cache
def state_of(library):
    """Return what the errors of a library depend on besides the data; None: not installed."""
    tuning = Path(__file__).with_name("_peers.py").read_bytes()
    if library == "rmtgb":
        sources = sorted(Path(rmtgb.__file__).parent.rglob("*.py"))
        return digest(tuning, *(path.read_bytes() for path in sources))
    try:
        return f"{version(library)}, tuning {digest(tuning)}"
    except PackageNotFoundError:
        print(f"{library} is not installed: skipped")
        return None


@functools.cache
def warm_up(method, is_regression):
    """Let a method compile what it compiles, so that it is not timed."""
    X, y = make_task_scenario(n_samples_per_task=50, as_frame=True, random_state=0)
    X["task"] = as_category(X["task"])
    METHODS[method][1](Data(X, y if is_regression else (y > 0) * 1, is_regression, 0))


def measure(method, data, X_test, y_test):
    """Return error and seconds of a fit; both are None if the method cannot learn such data."""
    library, fit = METHODS[method]
    if library in ("rmtgb", "chimeraboost"):
        warm_up(method, data.is_regression)
    fitted = []
    taken = seconds(lambda: fitted.append(fit(data)))
    if fitted[0] is None:
        return {"error": None, "seconds": None}
    prediction = np.asarray(fitted[0](X_test), dtype=np.float64)
    metric = root_mean_squared_error if data.is_regression else log_loss
    return {"error": float(metric(y_test, prediction)), "seconds": taken}


def measure_all(options):
    """Yield the results of each set, seed and method, from the cache where they are known."""
    lines = options.cache.read_text().splitlines() if options.cache.exists() else []
    known = dict(json.loads(line) for line in lines)
    libraries = {method: METHODS[method][0] for method in options.methods}
    there = {method: lib for method, lib in libraries.items() if state_of(lib) is not None}
    for seed, name in itertools.product(options.seeds, options.sets):
        data, X_test, y_test = load(name, options.tables, seed)
        hashes = (pd.util.hash_pandas_object(X).to_numpy() for X in (data.X, X_test))
        rows = digest(*hashes, data.y, y_test)
        for method, library in there.items():
            key = f"{name} {rows}, seed {seed}, {method}, {library} {state_of(library)}"
            if key not in known:
                known[key] = measure(method, data, X_test, y_test)
                print(f"{key}: {known[key]}", flush=True)
                with options.cache.open("a") as file:
                    file.write(json.dumps([key, known[key]]) + "\n")
            yield {"set": name, "seed": seed, "method": method, **known[key]}


def pivot(results, value):
    """Return a table of set and seed by method, in the order in which they were measured."""
    frame = pd.DataFrame(results).astype({value: float})
    return frame.pivot_table(
        value, ["set", "seed"], "method", sort=False, dropna=False, observed=True
    ).dropna(how="all")


def by_set(table):
    return table.groupby(level="set", sort=False)


def log_ratios(errors, peers):
    """Return the logarithm of each error over the least of the peers on that set and split."""
    best = errors[errors.columns.intersection(peers)].min(axis=1)
    return np.log(errors).sub(np.log(best), axis=0)


def per_set(log_ratio):
    """Return the mean log ratio of each set and its standard error over seeds."""
    return pd.DataFrame({"mean": by_set(log_ratio).mean(), "error": by_set(log_ratio).sem()})


def summarise(errors, peers):
    """Return the figures of rmtgb against the best peer of each pair, and the best single peer.

    The test takes pairs of set and seed as independent; splits of one set are not quite.
    """
    peers = [peer for peer in peers if peer in errors]
    ratios = log_ratios(errors, peers)
    best = ratios[peers].mean().idxmin()
    difference = (ratios["rmtgb"] - ratios[best]).dropna()
    sets = per_set(ratios["rmtgb"])
    return {
        "peers": ", ".join(peers),
        "ratio": np.exp(ratios["rmtgb"].mean()),
        "pairs": len(difference),
        "best": best,
        "best_ratio": np.exp(ratios[best].mean()),
        "ratio_to_best": np.exp(difference.mean()),
        "won": int((difference < 0).sum()),
        "p": float(wilcoxon(difference).pvalue) if difference.any() else 1.0,
        "lost": {
            name: (np.exp(mean), error) for name, mean, error in sets.itertuples() if mean > 0
        },
    }


def sentences(summary):
    lost = [f"{name} {ratio:.3f} (± {e:.3f})" for name, (ratio, e) in summary["lost"].items()]
    return (
        "Against {peers}: error {ratio:.3f} times that of the best peer, geometric mean over "
        "{pairs} pairs of set and seed. Best single peer: {best} at {best_ratio:.3f}; rmtgb has "
        "{ratio_to_best:.3f} times its error, less in {won} of {pairs}, Wilcoxon p = {p:.2g}."
    ).format_map(summary) + f" rmtgb loses on: {', '.join(lost) or 'no set'}."


def as_text(table, form):
    return table.map(lambda value: "" if np.isnan(value) else format(value, form))


def error_table(errors):
    """Return mean errors as text; beside and below them the ratios to the best usual peer."""
    table = as_text(by_set(errors).mean(), ".4g")
    if "rmtgb" in errors and set(USUAL) & set(errors):
        ratios = log_ratios(errors, USUAL)
        sets = per_set(ratios["rmtgb"])
        table["ratio"] = np.exp(sets["mean"]).map("{:.3f}".format)
        table["± log"] = as_text(sets["error"], ".3f")
        table.loc["ratio"] = np.exp(ratios.mean()).map("{:.3f}".format)
    return table.fillna("")


def report(results):
    """Return titles and tables or sentences."""
    errors, times = (pivot(results, value) for value in ("error", "seconds"))
    for is_fresh, part in errors.groupby(errors.index.isin(FRESH, level="set")):
        kind = "Fresh sets" if is_fresh else "Sets"
        yield f"{kind}: mean error over seeds, ratio to the best usual peer", error_table(part)
        for title, peers in (("usual peers", USUAL), ("with LightGBM strong", WITH_STRONG)):
            if "rmtgb" in part and set(peers) & set(part):
                yield f"{kind}: {title}", sentences(summarise(part, peers))
    yield "Seconds of a fit, mean over seeds", as_text(by_set(times).mean(), ".2f")


def markdown(part):
    if isinstance(part, str):
        return part
    rows = [["set", *part], ["---"] * (part.shape[1] + 1), *part.reset_index().to_numpy()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def draw(errors):
    """Return a figure: a row per set, a point per method, at its ratio to the best peer."""
    from matplotlib.figure import Figure

    ratios = np.exp(by_set(log_ratios(errors, USUAL)).mean())
    rows = np.arange(len(ratios))
    figure = Figure(figsize=(9, 1.6 + 0.5 * len(ratios)), layout="constrained")
    axes = figure.subplots()
    axes.hlines(rows, ratios.min(axis=1), ratios.max(axis=1), "#dddddd", linewidth=1, zorder=1)
    axes.axvline(1.0, color="#222222", linewidth=0.8, linestyle=(0, (3, 3)), zorder=1)
    for name in (name for name in MARKS if name in ratios):
        marker, color = MARKS[name]
        size, order = (90, 3) if name == "rmtgb" else (34, 2)
        axes.scatter(
            ratios[name], rows, size, color, marker=marker, label=name, zorder=order,
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
    axes.set(xscale="log", xlabel="error / error of the best usual peer, log scale")
    ticks = [t for t in (0.5, 0.7, 1, 1.5, 2, 3, 5, 10) if t < 1.1 * ratios.max(axis=None)]
    axes.minorticks_off()
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_yticks(rows, ratios.index)
    axes.set_ylim(len(ratios) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def parse_options():
    """Read the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="default: all")
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--cache", type=Path, default=os.devnull, metavar="FILE.jsonl")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    options.tables = find_tables(options.folder)
    there = sorted([*SCENARIOS, *options.tables], key=FRESH.__contains__)  # those come last
    options.sets = options.sets or there
    if unknown := set(options.sets) - set(there):
        parser.error(f"no such set: {', '.join(unknown)}; there are {', '.join(there)}")
    return options


def main():
    """Measure, print and save."""
    options = parse_options()
    print_circumstances()
    results = list(measure_all(options))
    parts = list(report(results))
    for title, part in parts:
        print(f"\n{title}\n{part if isinstance(part, str) else part.to_string()}")
    if options.markdown:
        text = "\n\n".join(f"## {title}\n\n{markdown(part)}" for title, part in parts)
        options.markdown.write_text(text + "\n", encoding="utf-8")
    if options.plot:
        draw(pivot(results, "error")).savefig(options.plot, dpi=160, facecolor="white")


if __name__ == "__main__":
    main()
