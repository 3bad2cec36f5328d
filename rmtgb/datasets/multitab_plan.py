"""What a call of `make_multitab_bench` asks for: presets, checks, and the tasks that follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rmtgb._common import FloatArray, IntArray, check_integer
from rmtgb.datasets._parameters import check_noise, check_range, per_task
from rmtgb.datasets.multitab_targets import (
    NoisyPolynomial,
    find_missing_intercept,
    find_thresholds,
)
from rmtgb.datasets.task_correlation import draw_task_weights, make_task_correlation

_TASK_TYPES = ("regression", "binary", "multiclass", "ordinal", "count")
_LAYOUTS = ("wide", "long")
#: What a preset says of the parameters that are not given: the paper's degrees of seven tasks,
#: repeated for more of them; the defaults of the code that its authors published.
_PRESETS: dict[str, dict[str, Any]] = {
    "paper": {"degrees": (1, 3, 2, 3, 4, 2, 3), "dtype": "float64", "test_size": 0.0},
    "publishers": {"degrees": (2,), "dtype": "float32", "test_size": 0.3},
}
# The variance of a target grows like the factorial of twice its degree.
_MAX_DEGREE = 20
# Counts beyond are as good as real numbers; the Poisson distribution of numpy ends at 1e18.
_MAX_MEAN_COUNT = 1e6
# The noise floor of a thousand classes takes seconds, and grows with them.
_MAX_CLASSES = 1000
# Times a normal number, no infinity among numbers of single precision.
_MAX_SINGLE_NOISE = 1e35
# At a slope of ten the labels above the mean are all missing, or all those below it.
_MAX_DEPENDENCE = 10.0


def choose(preset: Any, n_tasks: int, **given: Any) -> dict[str, Any]:
    """Return what is given, and what the preset says of the rest."""
    if not isinstance(preset, str) or preset not in _PRESETS:
        raise ValueError(f"preset must be one of {list(_PRESETS)}, got {preset!r}.")
    chosen = _PRESETS[preset] | {name: v for name, v in given.items() if v is not None}
    if given["degrees"] is None:
        chosen["degrees"] = np.resize(chosen["degrees"], n_tasks)
    return chosen


def count_test_rows(counts: IntArray, test_size: Any) -> int:
    """Return how many rows at the end are for the test, rounded up as scikit-learn does."""
    n_test = math.ceil(check_range("test_size", test_size, 0, 1, "[)") * counts.max())
    if n_test and (counts != counts[0]).any():
        raise ValueError(
            "test_size must be 0 if tasks have different n_samples: the last rows, which are the "
            "test set, would have labels of the largest tasks only."
        )
    if n_test == counts.max():
        raise ValueError(
            f"n_samples must leave rows to learn from, got {counts[0]} with test_size={test_size}."
        )
    return n_test


def check_count(name: str, value: Any) -> int:
    """Return a number of rows."""
    return check_integer(name, value, minimum=1)


def _check_degree(name: str, value: Any) -> int:
    degree = check_integer(name, value, minimum=1)
    if degree > _MAX_DEGREE:
        raise ValueError(f"{name} must be at most {_MAX_DEGREE}, got {degree}.")
    return degree


def _check_share(name: str, value: Any) -> float:
    return check_range(name, value, 0, 1, "[)")


def _check_dependence(name: str, value: Any) -> float:
    return check_range(name, value, -_MAX_DEPENDENCE, _MAX_DEPENDENCE)


def _check_mean_count(name: str, value: Any) -> float:
    return check_range(name, value, 0, _MAX_MEAN_COUNT, "(]")


def _check_type(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in _TASK_TYPES:
        raise ValueError(f"{name} must be one of {list(_TASK_TYPES)}, got {value!r}.")
    return str(value)


def check_layout(layout: Any) -> None:
    """Refuse a layout that there is not."""
    if not isinstance(layout, str) or layout not in _LAYOUTS:
        raise ValueError(f"layout must be one of {list(_LAYOUTS)}, got {layout!r}.")


def check_dtype(dtype: Any, noise: FloatArray) -> np.dtype[Any]:
    """Return the type of the data, if there is such a one and it can hold the noise."""
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"dtype must be float64 or float32, got {dtype!r}.") from error
    if kind not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {kind}.")
    if kind == np.float32 and noise.max() > _MAX_SINGLE_NOISE:
        raise ValueError(
            f"noise must be at most {_MAX_SINGLE_NOISE:g} in float32, got {noise.max():g}."
        )
    return kind


def relate_tasks(
    correlation: Any, n_tasks: int, n_features: int, n_outlier_tasks: Any
) -> tuple[FloatArray, IntArray]:
    """Return the cosines of the tasks' weights, and the labels of the outlier tasks."""
    if n_tasks > n_features:
        raise ValueError(
            f"n_tasks must be at most n_features={n_features}, got {n_tasks}: no more "
            f"vectors can have arbitrary cosines."
        )
    n_outlier_tasks = check_integer("n_outlier_tasks", n_outlier_tasks, minimum=0)
    if n_outlier_tasks >= n_tasks:
        raise ValueError(
            f"n_outlier_tasks must be less than n_tasks={n_tasks}, got {n_outlier_tasks}."
        )
    P = make_task_correlation(correlation, n_tasks, n_outlier_tasks)
    return P, np.arange(n_tasks - n_outlier_tasks, n_tasks, dtype=np.int64)


def draw_weights(
    rng: np.random.Generator, P: FloatArray, n_features: int, n_irrelevant: Any
) -> FloatArray:
    """Draw the weights of the features, those of irrelevant ones zero."""
    n_irrelevant = check_integer("n_irrelevant", n_irrelevant, minimum=0)
    return np.pad(draw_task_weights(rng, P, n_features), ((0, 0), (0, n_irrelevant)))


def plan_targets(
    n_tasks: int, degrees: Any, noise: Any, task_types: Any, n_classes: Any, mean_count: Any
) -> dict[str, Any]:
    """Return what the truth is to say of the targets."""
    degree_of = per_task("degrees", degrees, n_tasks, _check_degree)
    noise_of = per_task("noise", noise, n_tasks, check_noise)
    type_of = per_task("task_types", task_types, n_tasks, _check_type)
    n_classes = check_integer("n_classes", n_classes, minimum=2)
    if n_classes > _MAX_CLASSES:
        raise ValueError(f"n_classes must be at most {_MAX_CLASSES}, got {n_classes}.")
    plans = zip(degree_of, noise_of, type_of, strict=True)
    return {
        "degrees": tuple(degree_of),
        "noise": np.array(noise_of),
        "task_types": tuple(type_of),
        "thresholds": tuple(
            find_thresholds(NoisyPolynomial(degree, sd), task_type, n_classes)
            for degree, sd, task_type in plans
        ),
        "mean_count": np.array(per_task("mean_count", mean_count, n_tasks, _check_mean_count)),
    }


def plan_missing(
    targets: dict[str, Any], missing_labels: Any, missing_dependence: Any
) -> dict[str, Any]:
    """Return what the truth is to say of missing labels: what their log-odds are made of."""
    n_tasks = len(targets["degrees"])
    shares = per_task("missing_labels", missing_labels, n_tasks, _check_share)
    slopes = per_task("missing_dependence", missing_dependence, n_tasks, _check_dependence)
    plans = zip(targets["degrees"], targets["noise"], shares, slopes, strict=True)
    intercepts = [
        find_missing_intercept(NoisyPolynomial(degree, float(sd)), share, slope)
        for degree, sd, share, slope in plans
    ]
    return {"missing_intercept": np.array(intercepts), "missing_slope": np.array(slopes)}
