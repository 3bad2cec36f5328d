"""Multi-task data sets in which it is known which tasks belong together.

The tasks of a scenario form groups. Each group has a common random Fourier function, and
each of its tasks mixes a function of its own into it, or not. One task column, the last,
tells the tasks apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from rmtgb._common import FloatArray, IntArray, check_integer, check_integers, check_real
from rmtgb.datasets._parameters import RandomState, check_noise, make_generator
from rmtgb.datasets.random_fourier import LinearCombination, RandomFourierFunction

__all__ = ["ScenarioTruth", "make_task_scenario"]

TaskFunction: TypeAlias = RandomFourierFunction | LinearCombination
# A function and its values on the rows of each task that it is for.
Candidates: TypeAlias = Iterator[tuple[TaskFunction, list[FloatArray]]]

_SCENARIOS = ("outliers", "pooled", "independent", "related", "clusters")
_MIXED_SCENARIOS = ("outliers", "related", "clusters")
_MIXTURE_WEIGHTS = (0.9, 0.1)  # common function of the group, own function of the task
_DEFAULT_LENGTH_SCALE = 0.25  # times the number of features
_CLUSTER_LENGTH_SCALES = (0.1, 0.5)  # times the number of features
_MIN_CLASS_PERCENT = 10
_MAX_REDRAWS = 100


@dataclass(frozen=True, eq=False)
class ScenarioTruth:
    """What is known about generated tasks.

    Parameters
    ----------
    outlier_tasks : ndarray of shape (n_outlier_tasks,), int64
        Labels of the outlier tasks, empty in all scenarios but "outliers".
    clusters : ndarray of shape (n_tasks,), int64
        Group of each task: tasks of one group have the same common function.
    functions : list of RandomFourierFunction or LinearCombination, length n_tasks
        ``functions[t](X_without_task)`` is the noise-free raw value of task t for rows of
        shape (n, n_features). A classification label is 1 where it is above 0.
    length_scales : ndarray of shape (n_tasks,), float64
        Length scale of each task's functions.
    noise : float
        Standard deviation of the noise.
    """

    outlier_tasks: IntArray
    clusters: IntArray
    functions: list[TaskFunction]
    length_scales: FloatArray
    noise: float


@dataclass(frozen=True, eq=False)
class _Plan:
    """Everything about the functions of a scenario that is not random."""

    groups: IntArray  # (n_tasks,), ascending, so that the rows of a group are contiguous
    mixed: bool  # each task has a function of its own beside the common one of its group
    n_features: int
    n_fourier: int
    length_scale: float | None  # None: each group draws its own
    balanced: bool  # the sign of the values is a class, and neither class may be rare

    def draw_length_scales(self, rng: np.random.Generator) -> FloatArray:
        """Draw one length scale per group."""
        n_groups = int(self.groups[-1]) + 1
        if self.length_scale is not None:
            return np.full(n_groups, self.length_scale)
        return self.n_features * rng.uniform(*_CLUSTER_LENGTH_SCALES, n_groups)


def make_task_scenario(  # noqa: PLR0913 - the parameters are the dials of the data set
    scenario: str = "outliers",
    *,
    n_tasks: int = 10,
    n_features: int = 5,
    n_samples_per_task: int | Sequence[int] = 300,
    n_outlier_tasks: int = 2,
    cluster_sizes: Sequence[int] = (3, 4, 5, 8, 10),
    classification: bool = False,
    noise: float = 0.0,
    length_scale: float | None = None,
    n_fourier: int = 500,
    as_frame: bool = False,
    return_truth: bool = False,
    random_state: RandomState = None,
) -> tuple[Any, ...]:
    """Generate tasks whose functions are shared, related, unrelated or outlying.

    Features are drawn from ``U(-1, 1)``, targets are values of random Fourier functions
    (see `RandomFourierFunction`). The scenarios "pooled" to "outliers" are those of [1]_,
    "clusters" is that of [2]_:

    - "pooled": all tasks have one function.
    - "independent": each task has a function of its own.
    - "related": each task has 0.9 times a common function plus 0.1 times its own.
    - "outliers": as "related", but the last `n_outlier_tasks` tasks have another common
      function.
    - "clusters": as "related" within each cluster; each cluster has its own common function
      and its own length scale.

    Parameters
    ----------
    scenario : {"outliers", "pooled", "independent", "related", "clusters"}
        How the functions of the tasks depend on each other.
    n_tasks : int, default=10
        Number of tasks. Not read by "clusters", where it is ``sum(cluster_sizes)``.
    n_features : int, default=5
        Number of features d, without the task column.
    n_samples_per_task : int or sequence of int of length n_tasks, default=300
        Rows of each task. With the same `random_state`, a task's first rows stay the same
        when more are asked for, so train and test rows can come from one call or from two
        (in classification only as long as no function has to be drawn again, see Notes).
    n_outlier_tasks : int, default=2
        Number of outlier tasks, less than `n_tasks`. Read by "outliers" only.
    cluster_sizes : sequence of int, default=(3, 4, 5, 8, 10)
        Number of tasks of each cluster. Read by "clusters" only.
    classification : bool, default=False
        Whether `y` holds the labels 0 and 1 (raw value above 0) in place of the raw values.
    noise : float, default=0.0
        Standard deviation of the Gaussian noise added to the raw values, in classification
        before the label is taken. It changes neither the features nor the functions.
    length_scale : float, optional
        Length scale of the functions. By default ``0.25 * n_features``, in "clusters"
        drawn for each cluster from ``U(0.1, 0.5) * n_features``.
    n_fourier : int, default=500
        Number of cosines per function.
    as_frame : bool, default=False
        Whether `X` is a pandas DataFrame.
    return_truth : bool, default=False
        Whether to return the truth as well.
    random_state : int, Generator, RandomState, SeedSequence or None, default=None
        Source of randomness. A Generator is spawned from, a RandomState drawn from, so that
        a second call with the same object gives other data.

    Returns
    -------
    X : ndarray of shape (n, n_features + 1), float64, or DataFrame
        Features and, as last column, the task label 0..n_tasks-1; rows are ordered by task.
        The DataFrame has columns "x0", "x1", ... (float64) and "task" (int64).
    y : ndarray of shape (n,), float64, or int64 in classification
        Target of each row.
    truth : ScenarioTruth
        Only with ``return_truth=True``.

    Raises
    ------
    TypeError
        If a parameter has a wrong type.
    ValueError
        If a parameter has a wrong value; the message names it and what is allowed.
    RuntimeError
        If in classification no function with at least 10 % of each class in each of its
        tasks is found in 100 redraws.

    Notes
    -----
    In classification each class has at least 10 % of the rows of each task (before noise).
    A group's common function that misses this for one of its tasks is drawn again, then a
    task's own function if the mixture misses it.

    References
    ----------
    .. [1] "Robust Multi-Task Gradient Boosting", arXiv:2507.11411.
    .. [2] Clusters of tasks (RMB-CLE), arXiv:2602.14231.

    Examples
    --------
    >>> from rmtgb.datasets import make_task_scenario
    >>> X, y, truth = make_task_scenario(
    ...     "outliers", n_samples_per_task=50, return_truth=True, random_state=0
    ... )
    >>> X.shape, y.shape
    ((500, 6), (500,))
    >>> truth.outlier_tasks
    array([8, 9])
    """
    groups, outlier_tasks = _group_tasks(scenario, n_tasks, n_outlier_tasks, cluster_sizes)
    n_features = check_integer("n_features", n_features, minimum=1)
    plan = _Plan(
        groups=groups,
        mixed=scenario in _MIXED_SCENARIOS,
        n_features=n_features,
        n_fourier=check_integer("n_fourier", n_fourier, minimum=1),
        length_scale=_check_length_scale(length_scale, scenario, n_features),
        balanced=classification,
    )
    counts = _check_counts(n_samples_per_task, len(groups), minimum=2 if classification else 1)
    noise = check_noise("noise", noise)

    # One stream per purpose: neither noise nor the number of rows changes the functions.
    function_rng, feature_rng, noise_rng = make_generator(random_state).spawn(3)
    features = _draw_features(feature_rng, counts, n_features)
    functions, length_scales, raw = _draw_functions(function_rng, plan, features, counts)
    y = _make_target(noise_rng, raw, counts, noise, classification)
    X = _with_task_column(features, counts, as_frame)
    if not return_truth:
        return X, y
    return X, y, ScenarioTruth(outlier_tasks, groups, functions, length_scales, noise)


def _group_tasks(
    scenario: str, n_tasks: int, n_outlier_tasks: int, cluster_sizes: Sequence[int]
) -> tuple[IntArray, IntArray]:
    """Return the group of each task and the labels of the outlier tasks."""
    if not isinstance(scenario, str) or scenario not in _SCENARIOS:
        raise ValueError(f"scenario must be one of {list(_SCENARIOS)}, got {scenario!r}.")
    n_tasks = check_integer("n_tasks", n_tasks, minimum=1)
    n_outlier_tasks = check_integer("n_outlier_tasks", n_outlier_tasks, minimum=0)
    outlier_tasks = np.empty(0, dtype=np.int64)
    if scenario == "clusters":
        sizes = check_integers("cluster_sizes", cluster_sizes, minimum=1)
        return np.repeat(np.arange(len(sizes), dtype=np.int64), sizes), outlier_tasks
    if scenario == "independent":
        return np.arange(n_tasks, dtype=np.int64), outlier_tasks
    groups = np.zeros(n_tasks, dtype=np.int64)
    if scenario == "outliers":
        if n_outlier_tasks >= n_tasks:
            raise ValueError(
                f"n_outlier_tasks must be less than n_tasks={n_tasks}, got {n_outlier_tasks}."
            )
        outlier_tasks = np.arange(n_tasks - n_outlier_tasks, n_tasks, dtype=np.int64)
        groups[outlier_tasks] = 1
    return groups, outlier_tasks


def _draw_features(rng: np.random.Generator, counts: IntArray, n_features: int) -> FloatArray:
    """Draw from one stream per task, so that more rows leave a task's first rows as they are."""
    streams = zip(rng.spawn(len(counts)), counts, strict=True)
    return np.concatenate(
        [stream.uniform(-1.0, 1.0, (count, n_features)) for stream, count in streams]
    )


def _draw_functions(
    rng: np.random.Generator, plan: _Plan, features: FloatArray, counts: IntArray
) -> tuple[list[TaskFunction], FloatArray, FloatArray]:
    """Draw the function of each task; return them, their length scales and the raw values."""
    common_rng, own_rng, length_scale_rng = rng.spawn(3)
    length_scales = plan.draw_length_scales(length_scale_rng)
    common_streams = common_rng.spawn(len(length_scales))
    own_streams = own_rng.spawn(len(plan.groups))
    task_rows = np.split(features, np.cumsum(counts)[:-1])

    functions: list[TaskFunction] = []
    raw: list[FloatArray] = []  # of each task
    for group, length_scale in enumerate(length_scales.tolist()):
        tasks = np.flatnonzero(plan.groups == group).tolist()
        # The common function has to suit each task of the group before own ones are mixed in.
        rows = [task_rows[task] for task in tasks]
        candidates = _draw_candidates(common_streams[group], plan, length_scale, rows)
        common, values = _first_balanced(candidates, plan)
        if not plan.mixed:
            functions += [common] * len(tasks)
            raw += values
            continue
        for task, common_values in zip(tasks, values, strict=True):
            own = _draw_candidates(own_streams[task], plan, length_scale, [task_rows[task]])
            mixtures = _mix_candidates(common, common_values, own)
            mixture, mixed_values = _first_balanced(mixtures, plan)
            functions.append(mixture)
            raw += mixed_values
    return functions, length_scales[plan.groups], np.concatenate(raw)


def _draw_candidates(
    rng: np.random.Generator, plan: _Plan, length_scale: float, task_rows: list[FloatArray]
) -> Candidates:
    """Yield new functions and their values on the rows of each task, without end."""
    while True:
        function = RandomFourierFunction.draw(rng, plan.n_features, plan.n_fourier, length_scale)
        # Task by task, as the user will call it: the same call gives the same bits.
        yield function, [function(rows) for rows in task_rows]


def _mix_candidates(
    common: TaskFunction, common_values: FloatArray, own_candidates: Candidates
) -> Candidates:
    """Yield mixtures of the common function with each of the own ones of one task."""
    for own, (own_values,) in own_candidates:
        mixture = LinearCombination(_MIXTURE_WEIGHTS, (common, own))
        yield mixture, [mixture.combine(common_values, own_values)]


def _first_balanced(candidates: Candidates, plan: _Plan) -> tuple[TaskFunction, list[FloatArray]]:
    """Return the first candidate with enough of each class in each task; any in regression."""
    for function, task_values in islice(candidates, 1 + _MAX_REDRAWS):
        if not plan.balanced or all(_is_balanced(values) for values in task_values):
            return function, task_values
    raise RuntimeError(
        f"No function with at least {_MIN_CLASS_PERCENT} % of each class in each of its tasks "
        f"was found in {_MAX_REDRAWS} redraws (length_scale={plan.length_scale}). A smaller "
        f"length_scale or more rows per task make one likelier."
    )


def _is_balanced(values: FloatArray) -> bool:
    positives = int(np.count_nonzero(values > 0))
    rarer = min(positives, len(values) - positives)
    return 100 * rarer >= _MIN_CLASS_PERCENT * len(values)


def _make_target(
    rng: np.random.Generator, raw: FloatArray, counts: IntArray, noise: float, labels: bool
) -> FloatArray | IntArray:
    """Add noise, from one stream per task as for the features, and take the label."""
    target = raw
    if noise > 0:
        streams = zip(rng.spawn(len(counts)), counts, strict=True)
        draws = [stream.standard_normal(count) for stream, count in streams]
        target = raw + noise * np.concatenate(draws)
    return (target > 0).astype(np.int64) if labels else target


def _with_task_column(features: FloatArray, counts: IntArray, as_frame: bool) -> Any:
    """Append the task labels as last column."""
    tasks = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    if not as_frame:
        return np.column_stack([features, tasks])
    import pandas as pd  # here: it takes longer to import than the data to generate

    frame = pd.DataFrame(features, columns=[f"x{j}" for j in range(features.shape[1])])
    frame["task"] = tasks
    return frame


def _check_counts(n_samples_per_task: Any, n_tasks: int, minimum: int) -> IntArray:
    """Rows of each task; at least two in classification, one for each class."""
    name = "n_samples_per_task"
    if np.ndim(n_samples_per_task) == 0:
        return np.full(n_tasks, check_integer(name, n_samples_per_task, minimum), dtype=np.int64)
    counts = check_integers(name, n_samples_per_task, minimum)
    if len(counts) != n_tasks:
        raise ValueError(
            f"{name} must be an integer or have one value for each of the {n_tasks} tasks, "
            f"got {len(counts)} values."
        )
    return counts


def _check_length_scale(length_scale: Any, scenario: str, n_features: int) -> float | None:
    """Return the length scale of all groups, None if each is to draw its own."""
    if length_scale is None:
        return None if scenario == "clusters" else _DEFAULT_LENGTH_SCALE * n_features
    checked = check_real("length_scale", length_scale)
    if not 0 < checked < np.inf:
        raise ValueError(f"length_scale must be a finite number > 0, got {checked}.")
    return checked
