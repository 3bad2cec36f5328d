"""MultiTab-Bench: targets of one feature matrix with chosen correlation and complexity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray, IntArray, check_integer, check_real
from rmtgb.datasets._parameters import RandomState, check_noise, make_generator, per_task
from rmtgb.datasets.layouts import to_long
from rmtgb.datasets.multitab_truth import MultiTabTruth, find_thresholds
from rmtgb.datasets.task_correlation import draw_task_weights, make_task_correlation

__all__ = ["make_multitab_bench"]

_TASK_TYPES = ("regression", "binary", "multiclass")
_LAYOUTS = ("wide", "long")
#: The paper's degrees of seven tasks, repeated for more of them.
_PAPER_DEGREES = (1, 3, 2, 3, 4, 2, 3)
# The variance of a target grows like the factorial of twice its degree.
_MAX_DEGREE = 20

# Rows made at once: the float64 buffers of a block stay in the level-2 cache. No number
# depends on it, as every stream is read row by row.
_BLOCK_VALUES = 32_768


def make_multitab_bench(  # noqa: PLR0913 - the parameters are the dials of the data set
    n_samples: int | Sequence[int] = 10_000,
    n_tasks: int = 7,
    n_features: int = 32,
    *,
    correlation: float | npt.ArrayLike = 0.4,
    degrees: int | Sequence[int] | None = None,
    noise: float | Sequence[float] = 0.01,
    task_types: str | Sequence[str] = "regression",
    n_classes: int = 3,
    n_outlier_tasks: int = 0,
    missing_labels: float | Sequence[float] = 0.0,
    n_irrelevant: int = 0,
    layout: str = "wide",
    dtype: npt.DTypeLike = "float64",
    return_truth: bool = False,
    as_frame: bool = False,
    random_state: RandomState = None,
) -> tuple[Any, ...]:
    """Generate tasks whose number, correlation and complexity are dials.

    Features are standard normal. Task t has a unit vector w_t and the latent score
    ``z_t = X @ w_t``; its target is ``z_t + z_t**2 + ... + z_t**degrees[t]`` plus Gaussian
    noise [1]_. Every pair of the vectors has exactly the cosine that is asked for.

    Parameters
    ----------
    n_samples : int or sequence of int of length n_tasks, default=10_000
        Rows, or rows of each task: then the rows of X are as many as the largest task has,
        and each task has labels for the first of them. More rows leave the first as they are.
    n_tasks : int, default=7
        Number of tasks T, at most `n_features`.
    n_features : int, default=32
        Number of features D that the targets depend on.
    correlation : float or array-like of shape (n_tasks, n_tasks), default=0.4
        Cosine of each pair of weight vectors, at least ``-1 / (n_tasks - 1)``, or their
        matrix, which must be positive semidefinite with ones on the diagonal. How far the
        targets correlate depends on the degrees as well: see `MultiTabTruth`.
    degrees : int or sequence of int of length n_tasks, optional
        Degrees of the polynomials, 1 to 20. By default those of the paper,
        (1, 3, 2, 3, 4, 2, 3), repeated as needed.
    noise : float or sequence of float of length n_tasks, default=0.01
        Standard deviation of the noise, in the unit of the target.
    task_types : str or sequence of str of length n_tasks, default="regression"
        "regression", "binary" or "multiclass". Classes 0, 1, ... are cut from the noisy target
        at quantiles of its distribution, so that all are equally frequent.
    n_classes : int, default=3
        Number of classes of a task of type "multiclass", 2 or more.
    n_outlier_tasks : int, default=0
        The last tasks, whose weights are orthogonal to those of all others and have the
        cosine `correlation` with each other; less than `n_tasks`. Not together with a matrix.
    missing_labels : float or sequence of float of length n_tasks, default=0.0
        Probability that a label is missing, in [0, 1), independently of everything else.
    n_irrelevant : int, default=0
        Further features that no target depends on, the last columns of X.
    layout : {"wide", "long"}, default="wide"
        "wide": a row per sample and a column of Y per task, NaN where a label is missing.
        "long": a row per label, with the task label 0..n_tasks-1 as last column of X; the
        rows of a sample follow each other (see `to_long`).
    dtype : {"float64", "float32"} or type of numpy, default="float64"
        Of X and Y. Everything is computed in float64 and then rounded.
    return_truth : bool, default=False
        Whether to return the truth as well.
    as_frame : bool, default=False
        Whether to return pandas objects.
    random_state : int, Generator, RandomState, SeedSequence or None, default=None
        Source of randomness. A Generator is spawned from, a RandomState drawn from, so that
        a second call with the same object gives other data.

    Returns
    -------
    X : ndarray of shape (n, n_features + n_irrelevant), or one column more if long
        Features. The DataFrame has columns "x0", "x1", ... and, if long, "task" (int64).
    Y : ndarray of shape (n, n_tasks), or of shape (n,) if long
        Targets, of type int64 if all are classes and none is missing. The DataFrame has the
        task labels as columns, the Series is named "target".
    truth : MultiTabTruth
        Only with ``return_truth=True``.

    Raises
    ------
    TypeError
        If a parameter has a wrong type.
    ValueError
        If a parameter has a wrong value, or no vectors can have these cosines; the message
        names what is allowed.

    Notes
    -----
    Nothing but `n_features`, the number of rows and `random_state` changes the relevant
    features, and nothing but these and `n_tasks` the noise.

    References
    ----------
    .. [1] "MultiTab: A Scalable Foundation for Multitask Learning on Tabular Data",
       arXiv:2511.09970.

    Examples
    --------
    >>> from rmtgb.datasets import make_multitab_bench
    >>> X, Y, truth = make_multitab_bench(
    ...     n_samples=100, correlation=0.8, return_truth=True, random_state=0
    ... )
    >>> X.shape, Y.shape
    ((100, 32), (100, 7))
    >>> truth.target_correlation[1, 3].round(3)  # two tasks of degree 3
    np.float64(0.715)
    """
    n_tasks = check_integer("n_tasks", n_tasks, minimum=1)
    n_features = check_integer("n_features", n_features, minimum=1)
    n_irrelevant = check_integer("n_irrelevant", n_irrelevant, minimum=0)
    counts = np.array(per_task("n_samples", n_samples, n_tasks, _check_count))
    missing = np.array(per_task("missing_labels", missing_labels, n_tasks, _check_share))
    _check_choices(layout, dtype)
    # One stream per purpose: no dial changes what another one draws.
    weight_rng, *row_rngs = make_generator(random_state).spawn(5)
    P, outlier_tasks = _relate_tasks(correlation, n_tasks, n_features, n_outlier_tasks)
    weights = np.zeros((n_tasks, n_features + n_irrelevant))
    weights[:, :n_features] = draw_task_weights(weight_rng, P, n_features)
    truth = MultiTabTruth(
        weights, P, *_plan_targets(n_tasks, degrees, noise, task_types, n_classes), outlier_tasks
    )
    X, Y = _draw_rows(row_rngs, truth, n_features, counts, missing, np.dtype(dtype))
    data = _lay_out(X, Y, truth, layout, as_frame)
    return (*data, truth) if return_truth else data


def _check_count(name: str, value: Any) -> int:
    return check_integer(name, value, minimum=1)


def _check_degree(name: str, value: Any) -> int:
    degree = check_integer(name, value, minimum=1)
    if degree > _MAX_DEGREE:
        raise ValueError(f"{name} must be at most {_MAX_DEGREE}, got {degree}.")
    return degree


def _check_share(name: str, value: Any) -> float:
    share = check_real(name, value)
    if not 0 <= share < 1:
        raise ValueError(f"{name} must be in [0, 1), got {share}.")
    return share


def _check_type(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in _TASK_TYPES:
        raise ValueError(f"{name} must be one of {list(_TASK_TYPES)}, got {value!r}.")
    return str(value)


def _check_choices(layout: Any, dtype: Any) -> None:
    if not isinstance(layout, str) or layout not in _LAYOUTS:
        raise ValueError(f"layout must be one of {list(_LAYOUTS)}, got {layout!r}.")
    if np.dtype(dtype) not in (np.float64, np.float32):
        raise ValueError(f"dtype must be float64 or float32, got {np.dtype(dtype)}.")


def _relate_tasks(
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


def _plan_targets(
    n_tasks: int, degrees: Any, noise: Any, task_types: Any, n_classes: Any
) -> tuple[tuple[int, ...], FloatArray, tuple[str, ...], tuple[FloatArray, ...]]:
    """Return degree, noise, type and class limits of each task."""
    if degrees is None:
        degrees = np.resize(_PAPER_DEGREES, n_tasks)
    degree_of = per_task("degrees", degrees, n_tasks, _check_degree)
    noise_of = per_task("noise", noise, n_tasks, check_noise)
    type_of = per_task("task_types", task_types, n_tasks, _check_type)
    n_classes = check_integer("n_classes", n_classes, minimum=2)
    classes_of = {"regression": 1, "binary": 2, "multiclass": n_classes}
    thresholds = [
        find_thresholds(degree, sd, classes_of[kind]) if kind != "regression" else np.empty(0)
        for degree, sd, kind in zip(degree_of, noise_of, type_of, strict=True)
    ]
    return tuple(degree_of), np.array(noise_of), tuple(type_of), tuple(thresholds)


def _draw_rows(
    rngs: Sequence[np.random.Generator],
    truth: MultiTabTruth,
    n_features: int,
    counts: IntArray,
    missing: FloatArray,
    dtype: np.dtype[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Fill features and targets, block by block, in the layout "wide"."""
    feature_rng, irrelevant_rng, noise_rng, missing_rng = rngs
    n_tasks, n_columns = truth.weights.shape
    n_rows = int(counts.max())
    X = np.empty((n_rows, n_columns), dtype)
    Y = np.empty((n_rows, n_tasks), dtype)
    block_rows = max(_BLOCK_VALUES // n_columns, 1)
    for start in range(0, n_rows, block_rows):
        rows = np.arange(start, min(start + block_rows, n_rows))[:, None]
        part = slice(start, start + rows.size)
        features = np.empty((rows.size, n_columns))
        features[:, :n_features] = feature_rng.standard_normal((rows.size, n_features))
        features[:, n_features:] = irrelevant_rng.standard_normal(
            (rows.size, n_columns - n_features)
        )
        targets = truth.noise_free_targets(features)
        targets += truth.noise * noise_rng.standard_normal(targets.shape)
        for task, thresholds in enumerate(truth.thresholds):
            if thresholds.size:
                targets[:, task] = np.searchsorted(thresholds, targets[:, task], side="right")
        if missing.any():
            targets[missing_rng.random(targets.shape) < missing] = np.nan
        targets[rows >= counts] = np.nan
        X[part] = features
        Y[part] = targets
    return X, Y


def _lay_out(
    X: npt.NDArray[Any], Y: npt.NDArray[Any], truth: MultiTabTruth, layout: str, as_frame: bool
) -> tuple[Any, Any]:
    """Return the data in the layout and container that were asked for."""
    all_classes = "regression" not in truth.task_types
    if as_frame:
        import pandas as pd  # here: it takes longer to import than small data to generate

        X = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    if layout == "long":
        X, y, _ = to_long(X, Y)
        y = y.astype(np.int64) if all_classes else y
        return X, pd.Series(y, name="target") if as_frame else y
    if all_classes and not np.isnan(Y).any():
        Y = Y.astype(np.int64)
    if not as_frame:
        return X, Y
    targets = pd.DataFrame(Y)
    classes = [task for task in targets if truth.thresholds[task].size]
    whole = [task for task in classes if targets[task].notna().all()]
    return X, targets.astype(dict.fromkeys(whole, np.int64))
