"""MultiTab-Bench: targets of one feature matrix with chosen correlation and complexity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray, IntArray, check_integer
from rmtgb.datasets._parameters import RandomState, make_generator, per_task
from rmtgb.datasets.layouts import to_long
from rmtgb.datasets.multitab_plan import (
    check_count,
    check_dtype,
    check_layout,
    choose,
    count_test_rows,
    draw_weights,
    plan_missing,
    plan_targets,
    relate_tasks,
)
from rmtgb.datasets.multitab_targets import make_count_rate
from rmtgb.datasets.multitab_truth import MultiTabTruth

__all__ = ["make_multitab_bench"]

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
    mean_count: float | Sequence[float] = 3.0,
    n_outlier_tasks: int = 0,
    missing_labels: float | Sequence[float] = 0.0,
    missing_dependence: float | Sequence[float] = 0.0,
    n_irrelevant: int = 0,
    preset: str = "paper",
    test_size: float | None = None,
    layout: str = "wide",
    dtype: npt.DTypeLike | None = None,
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
        Degrees of the polynomials, 1 to 20. By default those of the preset, repeated as
        needed.
    noise : float or sequence of float of length n_tasks, default=0.01
        Standard deviation of the noise, in the unit of the target.
    task_types : str or sequence of str of length n_tasks, default="regression"
        "regression", "binary", "multiclass", "ordinal" or "count". Classes 0, 1, ... are cut
        from the noisy target at quantiles of its distribution, so that all are equally
        frequent. The levels 0, 1, ... of "ordinal" are cut at limits that divide its middle
        90 % evenly, so that some are rare. A count is drawn from a Poisson distribution whose
        mean rises with the noisy target (see `MultiTabTruth.count_rates`).
    n_classes : int, default=3
        Number of classes of a task of type "multiclass" or "ordinal", 2 to 1000.
    mean_count : float or sequence of float of length n_tasks, default=3.0
        Mean of a task of type "count" over all rows, above 0 and at most 1e6.
    n_outlier_tasks : int, default=0
        The last tasks, whose weights are orthogonal to those of all others and have the
        cosine `correlation` with each other; less than `n_tasks`. Not together with a matrix.
    missing_labels : float or sequence of float of length n_tasks, default=0.0
        Probability that a label is missing, in [0, 1).
    missing_dependence : float or sequence of float of length n_tasks, default=0.0
        By how much the log-odds that a label is missing rise with each standard deviation of
        the noisy target, in [-10, 10]. At 0 labels are missing independently of everything
        else; otherwise those that are missing are unlike the others, while `missing_labels`
        remains their share.
    n_irrelevant : int, default=0
        Further features that no target depends on, the last columns of X.
    preset : {"paper", "publishers"}, default="paper"
        What holds of `degrees`, `dtype` and `test_size` where they are not given. "paper":
        degrees (1, 3, 2, 3, 4, 2, 3), float64, no test set. "publishers": the defaults of the
        code that the authors published, which are all degrees 2, float32 and a test set of 30 %.
    test_size : float, optional
        Share of the rows to return as a test set, in [0, 1): the last ones, which are as random
        as the first. At 0 there is none; by default that of the preset. Not together with
        different rows for each task.
    layout : {"wide", "long"}, default="wide"
        "wide": a row per sample and a column of Y per task, NaN where a label is missing.
        "long": a row per label, with the task label 0..n_tasks-1 as last column of X; the
        rows of a sample follow each other (see `to_long`).
    dtype : {"float64", "float32"} or type of numpy, optional
        Of X and Y; by default that of the preset. Everything is computed in float64 and then
        rounded.
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
        Targets, of type int64 if all are classes or counts and none is missing. The DataFrame
        has the task labels as columns, the Series is named "target".
    X_train, X_test, Y_train, Y_test
        In place of X and Y if there is a test set.
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
    features, and nothing but the number of rows and `random_state` the noise of a task.

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
    chosen = choose(preset, n_tasks, degrees=degrees, dtype=dtype, test_size=test_size)
    check_layout(layout)
    counts = np.array(per_task("n_samples", n_samples, n_tasks, check_count))
    n_test = count_test_rows(counts, chosen["test_size"])
    # One stream per purpose: no dial changes what another one draws.
    weight_rng, *row_rngs = make_generator(random_state).spawn(5)
    P, outlier_tasks = relate_tasks(correlation, n_tasks, n_features, n_outlier_tasks)
    weights = draw_weights(weight_rng, P, n_features, n_irrelevant)
    targets = plan_targets(n_tasks, chosen["degrees"], noise, task_types, n_classes, mean_count)
    kind = check_dtype(chosen["dtype"], targets["noise"])
    missing = plan_missing(targets, missing_labels, missing_dependence)
    truth = MultiTabTruth(weights, P, outlier_tasks=outlier_tasks, **targets, **missing)
    X, Y = _draw_rows(row_rngs, truth, n_features, counts, kind)
    data = _lay_out(X, Y, truth, layout, as_frame, n_test)
    return (*data, truth) if return_truth else data


def _draw_rows(
    rngs: Sequence[np.random.Generator],
    truth: MultiTabTruth,
    n_features: int,
    counts: IntArray,
    dtype: np.dtype[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Fill features and targets, block by block, in the layout "wide"."""
    feature_rng, irrelevant_rng, noise_rng, missing_rng = rngs
    n_tasks, n_columns = truth.weights.shape
    n_rows = int(counts.max())
    X = np.empty((n_rows, n_columns), dtype)
    Y = np.empty((n_rows, n_tasks), dtype)
    # One stream per task: one more task changes no label of the others.
    streams = zip(noise_rng.spawn(n_tasks), missing_rng.spawn(n_tasks), strict=True)
    labellers = [_Labeller.of(truth, task, *pair) for task, pair in enumerate(streams)]
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
        for task, labeller in enumerate(labellers):
            targets[:, task] = labeller.label(targets[:, task])
        targets[rows >= counts] = np.nan
        X[part] = features
        Y[part] = targets
    return X, Y


@dataclass(frozen=True, eq=False)
class _Labeller:
    """Makes the labels of one task from its polynomial, block by block."""

    noise: float
    thresholds: FloatArray
    rate: Callable[[FloatArray], FloatArray] | None  # of counts
    missing: Callable[[FloatArray], FloatArray] | None  # probability, None if none is
    noise_rng: np.random.Generator
    count_rng: np.random.Generator
    missing_rng: np.random.Generator

    @classmethod
    def of(
        cls,
        truth: MultiTabTruth,
        task: int,
        noise_rng: np.random.Generator,
        missing_rng: np.random.Generator,
    ) -> _Labeller:
        """Take what is known of a task."""
        target, intercept = truth.noisy_polynomial(task), truth.missing_intercept[task]
        is_count = truth.task_types[task] == "count"
        return cls(
            noise=target.noise,
            thresholds=truth.thresholds[task],
            rate=make_count_rate(target, float(truth.mean_count[task])) if is_count else None,
            missing=partial(truth.missing_probability, task=task) if intercept > -np.inf else None,
            noise_rng=noise_rng,
            count_rng=noise_rng.spawn(1)[0],
            missing_rng=missing_rng,
        )

    def label(self, clean: FloatArray) -> FloatArray:
        """Return the labels, NaN where one is missing, of the next rows."""
        values = clean + self.noise * self.noise_rng.standard_normal(clean.size)
        labels = values
        if self.rate is not None:
            labels = self.count_rng.poisson(self.rate(values)).astype(np.float64)
        elif self.thresholds.size:
            labels = np.searchsorted(self.thresholds, values, side="right").astype(np.float64)
        if self.missing is not None:
            is_missing = self.missing_rng.random(clean.size) < self.missing(values)
            labels = np.where(is_missing, np.nan, labels)
        return labels


def _lay_out(
    X: npt.NDArray[Any],
    Y: npt.NDArray[Any],
    truth: MultiTabTruth,
    layout: str,
    as_frame: bool,
    n_test: int,
) -> tuple[Any, ...]:
    """Return the data in the layout and container that were asked for, split if they are to be."""
    all_integers = "regression" not in truth.task_types
    n_train = len(Y) - n_test
    if as_frame:
        import pandas as pd  # here: it takes longer to import than small data to generate

        X = pd.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    if layout == "long":
        n_train = int(np.count_nonzero(~np.isnan(Y[:n_train])))
        X, Y, _ = to_long(X, Y)
        Y = Y.astype(np.int64) if all_integers else Y
        Y = pd.Series(Y, name="target") if as_frame else Y
    elif as_frame:
        Y = _frame_of_targets(Y, truth.task_types)
    elif all_integers and not np.isnan(Y).any():
        Y = Y.astype(np.int64)
    if n_test == 0:
        return X, Y
    return X[:n_train], X[n_train:], Y[:n_train], Y[n_train:]


def _frame_of_targets(Y: npt.NDArray[Any], task_types: Sequence[str]) -> Any:
    """Return a frame whose columns of classes and counts are integers if none is missing."""
    import pandas as pd

    targets = pd.DataFrame(Y)
    integers = [task for task in targets if task_types[task] != "regression"]
    whole = [task for task in integers if targets[task].notna().all()]
    return targets.astype(dict.fromkeys(whole, np.int64))
