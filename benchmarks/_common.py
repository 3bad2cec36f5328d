"""What the benchmark scripts share: data, timings, results and their circumstances."""

import json
import os
import platform
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

import rmtgb

PACKAGES = (
    "numpy",
    "numba",
    "scikit-learn",
    "lightgbm",
    "xgboost",
    "catboost",
    "chimeraboost",
    "gpboost",
)

#: Load average above which something else is running.
BUSY = 0.5


def package_versions():
    """Return the versions of Python, of rmtgb and of the packages that are installed."""
    versions = {"Python": platform.python_version(), "rmtgb": rmtgb.__version__}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def machine():
    """Return the number of cores this process may use, and their name."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {"cores": joblib.cpu_count(), "cpu": names[0] if names else platform.processor()}


def load_average():
    """Return how many processes wanted a core in the last minute; None where it is not known."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def print_circumstances():
    """Print what the figures below were measured with, and whether they can be trusted."""
    print(", ".join(f"{name} {number}" for name, number in package_versions().items()))
    print("{cores} cores, {cpu}".format_map(machine()))
    if (load_average() or 0.0) > BUSY:
        print(
            f"In the last minute this machine was busy (load average {load_average():.1f}). If it "
            "stays so, peers look slower than they are: threads of OpenMP spin while they wait."
        )


def save(path, settings, results):
    """Write results for ``compare.py``.

    Parameters
    ----------
    path : Path or None
        None: nothing is written.
    settings : dict
        What was asked for.
    results : list of dict
        Each with ``name`` and ``seconds``, and whatever else was measured.
    """
    if path is None:
        return
    content = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": package_versions(),
        "machine": machine(),
        "load_average": load_average(),
        "settings": settings,
        "results": results,
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def seconds(function, n_calls=1):
    """Return how long a call takes, the mean of some calls in a row."""
    start = time.perf_counter()
    for _ in range(n_calls):
        function()
    return (time.perf_counter() - start) / n_calls


def timed_in_turn(functions, n_turns, n_calls=1):
    """Time functions A B A B ...; return the times of each function, one per turn."""
    turns = [[seconds(function, n_calls) for function in functions] for _ in range(n_turns)]
    return list(zip(*turns, strict=True))


def duration(value):
    """Return seconds as text in a unit that suits them."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if abs(value) * factor >= 1.0:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.3g} µs"


def print_row(texts, widths):
    """Print a row of a table: the first column to the left, the others to the right."""
    cells = [f"{text:>{width}}" for text, width in zip(texts, widths, strict=True)]
    cells[0] = f"{cells[0].strip():<{len(cells[0])}}"
    print("  ".join(cells), flush=True)


def read_tasks(path):
    """Return X, with a column "task", and y of a csv file; text is a category."""
    frame = pd.read_csv(path)
    y = frame.pop("target").to_numpy()
    text = frame.select_dtypes(exclude="number").columns.difference(["task"])
    return frame.astype(dict.fromkeys(text, "category")), y


def smooth_data(n_rows, n_features, seed=0):
    """Return float32 features and a target with main effects, an interaction and noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    signal = 2 * X[:, 0] + np.sin(3 * X[:, 1]) + np.abs(X[:, 2]) * X[:, 3]
    return X, signal + 0.5 * rng.standard_normal(n_rows)
