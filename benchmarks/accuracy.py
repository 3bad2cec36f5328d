"""Accuracy at default settings, next to what users of task data would otherwise pick.

    python benchmarks/accuracy.py FOLDER ...                      # everything; takes hours
    python benchmarks/accuracy.py FOLDER --sets school outliers --seeds 42 --methods rmtgb ridge
    python benchmarks/accuracy.py FOLDER ... --jobs 2 --cache FILE.jsonl \
        --markdown docs/accuracy.md --plot docs/images/accuracy.png

``_sets.py`` says what a set is and how it is split, ``_methods.py``, ``_peers.py`` and
``_ridge.py`` how methods are tuned. Errors are RMSE, for classes log loss, for counts the root of
the mean Poisson deviance. A ratio is that of two errors on the same set, split and seed; those to
the best of several peers take the one that turned out best there: 1 is as good as having known it
in advance. Intervals are those of a bootstrap over sets.

With ``--cache`` a rerun computes only what changed: data, sources of rmtgb, version of a library,
or the file that says how a peer is tuned; with ``--measure rmtgb`` none but rmtgb's. Fit times
contain the tuning, on one thread.
"""

import argparse
import ast
import functools
import hashlib
import inspect
import itertools
import json
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pandas as pd
from _common import print_circumstances
from _measure import measure
from _methods import METHODS, PEERS
from _report import draw, pivot, read_document, report, write_markdown
from _sets import COUNTS, GROUPS, REAL, SCENARIOS, SPLITS, Case, find_tables, group_of, load
from joblib import Parallel, delayed

import rmtgb


def digest(*contents):
    return hashlib.sha256(b"".join(contents)).hexdigest()[:12]


@functools.cache
def state_of(library):
    """Return what is installed of a library, None: nothing."""
    if library == "rmtgb":
        sources = sorted(Path(rmtgb.__file__).parent.rglob("*.py"))
        return digest(*(path.read_bytes() for path in sources))
    try:
        return version(library)
    except PackageNotFoundError:
        print(f"{library} is not installed: skipped")
        return None


def tuning_of(fit):
    """Return a digest of the code, without its comments, that says how a method is fitted."""
    inner, settings = getattr(fit, "func", fit), getattr(fit, "keywords", {})
    code = ast.dump(ast.parse(Path(inspect.getsourcefile(inner)).read_bytes()))
    return digest(code.encode(), repr(settings).encode())


def cases_of(options):
    """Yield set, split and seed of what is asked for; only real sets have other splits."""
    for split, seed, name in itertools.product(options.splits, options.seeds, options.sets):
        if split == "random" or group_of(name) == REAL:
            yield Case(name, split, seed)


def can_predict(method, split):
    return not (split == "unseen" and METHODS[method].knows_all_tasks)


def measure_all(options):
    """Return the results of each case and method, from the cache where they are known.

    Those of methods that are not to be measured are left out where they are not.
    """
    lines = options.cache.read_text().splitlines() if options.cache.exists() else []
    known, wanted = dict(json.loads(line) for line in lines), {}
    methods = [name for name in options.methods if state_of(METHODS[name].library) is not None]
    states = {
        name: f"{METHODS[name].library} {state_of(METHODS[name].library)}, "
        f"tuning {tuning_of(METHODS[name].fit)}"
        for name in methods
    }

    def unknown():
        for case in cases_of(options):
            if (parts := load(case, options.tables)) is None:
                continue
            data, X_test, y_test = parts
            hashes = (pd.util.hash_pandas_object(X).to_numpy() for X in (data.X, X_test))
            rows = digest(*hashes, data.y, y_test, data.kind.encode())
            for name in (name for name in methods if can_predict(name, case.split)):
                key = f"{case.set} {case.split} {rows}, seed {case.seed}, {name}, {states[name]}"
                if key not in known and name not in options.measure:
                    continue
                wanted[case, name] = key
                if key not in known:
                    yield delayed(measure)(key, name, data, X_test, y_test)

    parallel = Parallel(options.jobs, return_as="generator", pre_dispatch="n_jobs")
    for key, result in parallel(unknown()):
        known[key] = result
        print(f"{key}: {result}", flush=True)
        with options.cache.open("a") as file:
            file.write(json.dumps([key, result]) + "\n")
    return [
        {**case._asdict(), "method": name, **known[key]} for (case, name), key in wanted.items()
    ]


def parse_options():
    """Read the command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--sets", nargs="+", metavar="SET", help="default: all")
    parser.add_argument("--counts", nargs="*", default=COUNTS, metavar="SET")
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=SPLITS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[42, 1, 2])
    default = ["rmtgb", *PEERS]
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=default)
    text = "of which to measure what the cache does not hold; default: all of them"
    parser.add_argument("--measure", nargs="*", choices=METHODS, metavar="METHOD", help=text)
    parser.add_argument("--jobs", type=int, default=1, help="processes of one thread each")
    parser.add_argument("--cache", type=Path, default=Path(os.devnull), metavar="FILE.jsonl")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--markdown", type=Path, metavar="FILE.md")
    options = parser.parse_args()
    options.measure = options.methods if options.measure is None else options.measure
    options.tables = find_tables(options.folders, options.counts)
    order = [REAL, *GROUPS].index
    there = sorted([*SCENARIOS, *options.tables], key=lambda name: order(group_of(name)))
    options.sets = options.sets or there
    if unknown := set(options.sets) - set(there):
        parser.error(f"no such set: {', '.join(unknown)}; there are {', '.join(there)}")
    if options.plot and not ("rmtgb" in options.methods and "random" in options.splits):
        parser.error("the picture shows rmtgb and rows at random: both must be measured")
    if options.markdown:
        read_document(options.markdown)  # now, and not after hours
    return options


def main():
    """Measure, print and save."""
    options = parse_options()
    print_circumstances()
    results = measure_all(options)
    if not results:
        raise SystemExit(
            "Nothing was measured, and the cache holds nothing of what was asked for."
        )
    for title, table in report(results):
        print(f"\n{title}\n{table.to_string()}")
    if options.markdown:
        write_markdown(options.markdown, results)
    if options.plot:
        draw(pivot(results, "error")).savefig(options.plot, dpi=160, facecolor="white")


if __name__ == "__main__":
    main()
