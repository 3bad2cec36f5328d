"""Speed of fits and predictions, next to other libraries with the same settings.

    python benchmarks/speed.py                                    # everything; takes long
    python benchmarks/speed.py regression-1m --libraries lightgbm
    python benchmarks/speed.py --scale 0.01 --pairs 2             # does it run?
    python benchmarks/speed.py --save new.json

Each line compares rmtgb with a peer: both are called once, which warms them up and gives the
first two columns of times, and then in turn, A B A B. ``ratio`` is that of the medians,
``per pair`` the median of the ratios: the one to trust where the speed of the machine drifts.
``best`` is the ratio of the shortest times: where it is another one, something disturbed the
run, and peers that use OpenMP suffer most. Losses are those of the training rows; a star says
that they differ by more than 1 %, so that the two did not do equal work.

After a change of a kernel, point NUMBA_CACHE_DIR at an empty folder (see CONTRIBUTING.md), or
old code is timed. Files of results are compared by ``compare.py``.
"""

import argparse
import itertools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import joblib
import numpy as np
from _common import (
    duration,
    print_circumstances,
    print_row,
    save,
    seconds,
    smooth_data,
    timed_in_turn,
)
from _libraries import (
    FITS,
    TASK_LEAVES,
    TASK_MIN_LEAF,
    Settings,
    fit_rmtgb,
    fit_xgboost,
    installed,
    make_rmtgb,
    train_lightgbm,
)
from sklearn.utils.validation import validate_data

MAX_LOSS_GAP = 0.01

COLUMNS = {
    "comparison": 40, "first": 8, "peer's": 8, "rmtgb": 8, "peer": 8, "ratio": 6, "per pair": 8,
    "best": 6, "difference": 10, "loss": 8, "peer's loss": 11,
}  # fmt: skip


@dataclass
class Contender:
    """One side of a comparison.

    Parameters
    ----------
    run : callable
        What is timed.
    judge : callable, optional
        Returns the loss of what ``run`` returned.
    """

    run: Callable[[], Any]
    judge: Callable[[Any], float] | None = None
    first_call: float | None = None
    loss: float | None = None

    def warm_up(self):
        """Make the first call, unless it has been made in another comparison."""
        if self.first_call is not None:
            return
        results = []
        self.first_call = seconds(lambda: results.append(self.run()))
        if self.judge is not None:
            self.loss = self.judge(results[0])


class Comparison(NamedTuple):
    """What a line of the table is about."""

    label: str
    ours: Contender
    peer: Contender | None = None
    n_calls: int = 1  # in a row, for what is over too soon to be timed


def measure(problem, comparison, n_pairs):
    """Return the results of a comparison as a dict."""
    label, ours, peer, n_calls = comparison
    contenders = [ours] if peer is None else [ours, peer]
    for contender in contenders:
        contender.warm_up()
    times = timed_in_turn([contender.run for contender in contenders], n_pairs, n_calls)
    medians = [statistics.median(t) for t in times]
    result = {
        "name": f"{problem} {label}",
        "seconds": medians[0],
        "first_call": ours.first_call,
        "loss": ours.loss,
        "times": times[0],
    }
    if peer is None:
        return result
    pairs = list(zip(*times, strict=True))
    return result | {
        "peer_seconds": medians[1],
        "peer_first_call": peer.first_call,
        "peer_loss": peer.loss,
        "peer_times": times[1],
        "ratio_of_medians": medians[0] / medians[1],
        "ratio_of_best": min(times[0]) / min(times[1]),
        "ratio_per_pair": statistics.median(a / b for a, b in pairs),
        "difference_per_pair": statistics.median(a - b for a, b in pairs),
    }


def print_result(result):
    """Print a line of the table."""

    def text(key, form):
        return "" if result.get(key) is None else form(result[key])

    ratio, loss = "{:.2f}".format, "{:.4f}".format
    texts = [
        result["name"],
        text("first_call", duration),
        text("peer_first_call", duration),
        text("seconds", duration),
        text("peer_seconds", duration),
        text("ratio_of_medians", ratio),
        text("ratio_per_pair", ratio),
        text("ratio_of_best", ratio),
        text("difference_per_pair", duration),
        text("loss", loss),
        text("peer_loss", loss) + ("*" if is_unequal(result) else ""),
    ]
    print_row(texts, COLUMNS.values())


def is_unequal(result):
    """Return whether the losses are too far apart to compare times."""
    ours, theirs = result["loss"], result.get("peer_loss")
    return None not in (ours, theirs) and abs(ours - theirs) > MAX_LOSS_GAP * min(ours, theirs)


def fits(n_rows, n_features, loss, options, linear=False):
    """Yield binning and training by rmtgb's stage 1 and by each peer that can do the same."""
    settings = Settings(loss=loss, threads=options.threads, linear=linear)
    X, y = smooth_data(options.scaled(n_rows), n_features)
    y = y if settings.is_regression else (y > 0).astype(np.int64)

    def fit(library):
        return Contender(
            lambda: FITS[library](X, y, settings),
            lambda predict: settings.mean_loss(y, predict(X)),
        )

    ours = fit("rmtgb")
    for library in options.libraries:
        if library == "lightgbm" or not linear:
            yield Comparison(f"vs {library}", ours, fit(library))


def task_data(n_tasks, n_rows, n_features):
    """Return X, y and task, sorted by task: an offset each, and one in ten has reversed sign."""
    X, y = smooth_data(n_tasks * n_rows, n_features)
    task = np.repeat(np.arange(n_tasks), n_rows)
    sign = np.where(np.arange(n_tasks) % 10 == 9, -1.0, 1.0)
    offset = np.random.default_rng(1).standard_normal(n_tasks)
    return X, sign[task] * y + offset[task], task


def task_fit(data, settings, judge=None, **rounds):
    """Return the contender that fits stages of rmtgb."""
    X, y, task = data
    return Contender(lambda: make_rmtgb(settings, **rounds).fit(X, y, task=task), judge)


def tasks_alone(options):
    """Yield stage 3 alone, and one LightGBM per task on warm worker processes.

    32 bins, for stage 3 gives tasks of that size no more.
    """
    n_rows = 500
    settings = Settings(
        bins=32, leaves=TASK_LEAVES, min_leaf=TASK_MIN_LEAF, threads=options.threads
    )
    X, y, task = data = task_data(options.scaled(1000), n_rows, 20)
    ours = task_fit(
        data,
        settings,
        lambda model: settings.mean_loss(y, model.predict(X, task=task)),
        task=settings.rounds,
    )
    if "lightgbm" not in options.libraries:
        yield Comparison("absolute", ours)
        return
    starts = range(0, y.size, n_rows)
    fit_one = joblib.delayed(partial(lightgbm_text, settings=settings._replace(threads=1)))

    def loss_of(texts):
        prediction = [
            predict_text(text, X[start : start + n_rows])
            for text, start in zip(texts, starts, strict=True)
        ]
        return settings.mean_loss(y, np.concatenate(prediction))

    with joblib.Parallel(n_jobs=options.threads, backend="loky") as workers:

        def fit_all():
            return workers(fit_one(X[i : i + n_rows], y[i : i + n_rows]) for i in starts)

        yield Comparison("vs one lightgbm per task", ours, Contender(fit_all, loss_of))


def lightgbm_text(X, y, settings):
    """Return a LightGBM as text, which is what comes back from another process."""
    return train_lightgbm(X, y, settings).model_to_string()


def predict_text(text, X):
    """Return what a LightGBM given as text predicts."""
    import lightgbm

    return lightgbm.Booster(model_str=text).predict(X)


def three_stages(options):
    """Yield all three stages, and stage 1 alone."""
    settings = Settings(threads=options.threads)
    data = task_data(options.scaled(100), 10_000, 28)
    rounds = settings.rounds
    yield Comparison(
        "vs stage 1",
        task_fit(data, settings, shared=rounds, partition=rounds, task=rounds),
        task_fit(data, settings, shared=rounds),
    )


def small_tasks(options):
    """Yield all three stages on ten small tasks, with trees of the default size."""
    settings = Settings(leaves=16, threads=options.threads)
    ours = task_fit(task_data(10, 300, 5), settings, shared=100, partition=100, task=100)
    yield Comparison("absolute", ours, n_calls=10)


def predict_many(options):
    """Yield predictions of many rows by rmtgb and by XGBoost without validation."""
    settings = Settings(threads=options.threads)
    X, y = smooth_data(options.scaled(1_000_000), 28)
    few = slice(0, options.scaled(100_000))

    def predictions(fit):
        predict = fit(X[few], y[few], settings)
        return Contender(lambda: predict(X), lambda prediction: settings.mean_loss(y, prediction))

    ours = predictions(fit_rmtgb)
    if "xgboost" in options.libraries:
        yield Comparison("vs inplace_predict", ours, predictions(fit_xgboost))
    else:
        yield Comparison("absolute", ours)


def predict_one(options):
    """Yield the prediction of one row, and what scikit-learn's validation takes of it."""
    settings = Settings(threads=options.threads)
    X, y = smooth_data(options.scaled(100_000), 28)
    model = make_rmtgb(settings, shared=settings.rounds).fit(X, y)
    row = X[:1]
    kinds = {"dtype": [np.float64, np.float32], "ensure_all_finite": "allow-nan"}
    yield Comparison(
        "vs validate_data",
        Contender(lambda: model.predict(row)),
        Contender(lambda: validate_data(model, row, reset=False, **kinds)),
        n_calls=1000,
    )


def doublings(sizes, contender_of):
    """Yield a comparison of each size with the one before, half of it."""
    smaller = contender_of(sizes[0])
    for before, size in itertools.pairwise(sizes):
        larger = contender_of(size)
        yield Comparison(f"{size} vs {before}", larger, smaller)
        smaller = larger


def cost_of_rows(options):
    """Yield fits of stage 1 with ever more rows."""
    settings = Settings(threads=options.threads)
    sizes = [options.scaled(4_000_000) >> k for k in range(5, -1, -1)]
    X, y = smooth_data(sizes[-1], 28)
    yield from doublings(sizes, lambda n: Contender(lambda: fit_rmtgb(X[:n], y[:n], settings)))


def cost_of_features(options):
    """Yield fits of stage 1 with ever more features."""
    settings = Settings(threads=options.threads)
    n_rows = options.scaled(100_000)

    def contender_of(n_features):
        X, y = smooth_data(n_rows, n_features)
        return Contender(lambda: fit_rmtgb(X, y, settings))

    yield from doublings([8 << k for k in range(7)], contender_of)


def cost_of_tasks(options):
    """Yield fits of all three stages, 10 rounds each, with ever more tasks of 10 rows."""
    settings = Settings(threads=options.threads)
    sizes = [options.scaled(100_000) >> k for k in range(5, -1, -1)]
    yield from doublings(
        sizes,
        lambda n: task_fit(task_data(n, 10, 5), settings, shared=10, partition=10, task=10),
    )


def cost_of_rounds(options):
    """Yield fits of stage 1 with ever more rounds."""
    X, y = smooth_data(options.scaled(100_000), 28)
    settings = Settings(threads=options.threads)
    yield from doublings(
        [25 << k for k in range(6)],
        lambda n: Contender(lambda: fit_rmtgb(X, y, settings._replace(rounds=n))),
    )


PROBLEMS = {
    "regression-1m": partial(fits, 1_000_000, 28, "squared_error"),
    "binary-1m": partial(fits, 1_000_000, 28, "log_loss"),
    "linear-1m": partial(fits, 1_000_000, 28, "squared_error", linear=True),
    "regression-200": partial(fits, 100_000, 200, "squared_error"),
    "regression-2000": partial(fits, 50_000, 2_000, "squared_error"),
    "tasks-alone": tasks_alone,
    "three-stages": three_stages,
    "small-tasks": small_tasks,
    "predict-1m": predict_many,
    "predict-one": predict_one,
    "rows": cost_of_rows,
    "features": cost_of_features,
    "tasks": cost_of_tasks,
    "rounds": cost_of_rounds,
}


class Options(argparse.Namespace):
    """The command line."""

    def scaled(self, n):
        """Return a number of rows or tasks, scaled down."""
        return max(3, round(n * self.scale))


def parse_options():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    peers = [library for library in FITS if library != "rmtgb"]
    parser.add_argument("problems", nargs="*", metavar="PROBLEM", help=", ".join(PROBLEMS))
    parser.add_argument("--libraries", nargs="+", choices=peers, default=peers)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="factor of rows, or of tasks")
    parser.add_argument("--save", type=Path, metavar="FILE.json")
    options = parser.parse_args(namespace=Options())
    unknown = set(options.problems) - set(PROBLEMS)
    if unknown:
        parser.error(f"no such problem: {', '.join(unknown)}; there are {', '.join(PROBLEMS)}")
    return options


def main():
    """Measure, print and save."""
    options = parse_options()
    print_circumstances()
    options.libraries = installed(options.libraries)
    print_row(COLUMNS, COLUMNS.values())
    results = []
    for problem in options.problems or PROBLEMS:
        for comparison in PROBLEMS[problem](options):
            results.append(measure(problem, comparison, options.pairs))
            print_result(results[-1])
    settings = Settings(threads=options.threads)._asdict()
    asked = {"pairs": options.pairs, "scale": options.scale}
    save(options.save, settings | asked, results)


if __name__ == "__main__":
    main()
