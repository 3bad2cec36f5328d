"""What the benchmark scripts share: versions, paired timings, data."""

import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version

import numpy as np

PACKAGES = ("rmtgb", "numpy", "numba", "scikit-learn", "lightgbm", "xgboost")


def print_versions():
    """Print what the figures below were measured with."""
    found = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    print(", ".join(found))


def seconds(function):
    """Return how long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def paired(ours, theirs, n_pairs):
    """Time two functions in turn, after one uncounted call of each; return the pairs."""
    ours()
    theirs()
    return [(seconds(ours), seconds(theirs)) for _ in range(n_pairs)]


def report(name, pairs, target):
    """Print the medians of both and of the ratios, and the target of the ratio."""
    mine, peer = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name}: rmtgb {mine:.3f} s, peer {peer:.3f} s, ratio {ratio:.2f} (target {target})")


def smooth_data(n_rows, n_features, seed=0):
    """Return float32 features and a target with main effects, an interaction and noise."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    signal = 2 * X[:, 0] + np.sin(3 * X[:, 1]) + np.abs(X[:, 2]) * X[:, 3]
    return X, signal + 0.5 * rng.standard_normal(n_rows)
