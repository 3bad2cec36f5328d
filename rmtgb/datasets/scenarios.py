"""Multi-task data sets in which it is known which tasks belong together.

The tasks of a scenario form groups. Each group has a common random Fourier function, and
each of its tasks mixes a function of its own into it, or not. One task column, the last,
tells the tasks apart. `TaskDials` make the tasks more like real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from rmtgb._common import FloatArray, IntArray, check_integer
from rmtgb.datasets._parameters import RandomState, check_noise, make_generator, per_task
from rmtgb.datasets.dials import TaskDials
from rmtgb.datasets.scenario_plan import check_counts, check_dials, check_length_scale, plant_tree
from rmtgb.datasets.scenario_truth import ScenarioTruth, TaskFunction
from rmtgb.datasets.task_functions import Plan, draw_functions, draw_later_functions
from rmtgb.datasets.task_rows import ROW_STREAMS, TaskRows, draw_task_rows
from rmtgb.datasets.task_traits import TaskTraits, apply_dials, draw_traits

__all__ = ["make_task_scenario"]

Streams: TypeAlias = dict[str, np.random.Generator]

# Rows of each task that stand for its distribution where a class prior sets the limit: the
# share of class 1 is right to 0.5 %.
_REFERENCE_ROWS = 10_000

#: Streams of the dials. The order is part of what a seed means: new ones go to the end.
_DIAL_STREAMS = (
    "hierarchy",
    "feature_shift",
    "feature_scale",
    "feature_signs",
    "relevant",
    "measured",
    "category_effects",
    "group_means",
    "target_shift",
    "target_scale",
    "later",
    "reference",
    *ROW_STREAMS[2:],
)


def make_task_scenario(  # noqa: PLR0913 - the parameters are the dials of the data set
    scenario: str = "outliers",
    *,
    n_tasks: int = 10,
    n_features: int = 5,
    n_samples_per_task: int | Sequence[int] = 300,
    n_outlier_tasks: int = 2,
    cluster_sizes: Sequence[int] = (3, 4, 5, 8, 10),
    branching: Sequence[int] = (2, 2, 3),
    level_shares: Sequence[float] | None = None,
    classification: bool = False,
    noise: float | Sequence[float] = 0.0,
    length_scale: float | None = None,
    n_fourier: int = 500,
    dials: TaskDials | None = None,
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
    - "hierarchy": tasks are the leaves of a tree, and the function of a task is the sum of
      those of all nodes from the root down to it.

    Parameters
    ----------
    scenario : {"outliers", "pooled", "independent", "related", "clusters", "hierarchy"}
        How the functions of the tasks depend on each other.
    n_tasks : int, default=10
        Number of tasks. Not read by "clusters", where it is ``sum(cluster_sizes)``, nor by
        "hierarchy", where it is ``prod(branching)``.
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
    branching : sequence of int, default=(2, 2, 3)
        Number of branches at each level below the root: by default 2 groups of 2 groups of 3
        tasks. Read by "hierarchy" only.
    level_shares : sequence of float of length len(branching) + 1, optional
        Shares of the functions' variance of each level, from the root to the tasks; their sum
        does not matter. By default all are equal. Read by "hierarchy" only.
    classification : bool, default=False
        Whether `y` holds the labels 0 and 1 (raw value above 0) in place of the raw values.
    noise : float or sequence of float of length n_tasks, default=0.0
        Standard deviation of the noise added to the raw values, in classification before the
        label is taken. It changes neither the features nor the functions, and a task's noise
        does not depend on how many others there are.
    length_scale : float, optional
        Length scale of the functions. By default ``0.25 * n_features``, in "clusters"
        drawn for each cluster from ``U(0.1, 0.5) * n_features``.
    n_fourier : int, default=500
        Number of cosines per function.
    dials : TaskDials, optional
        What real tasks have beyond that: features, targets, noise and classes that differ
        between tasks, categories, group-level features, drift.
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
        The DataFrame has columns "x0", "x1", ... (float64) and "task" (int64). Dials may bring
        columns "c0", ... (of pandas' category type), "g0", ... and "time" between them.
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
    In classification each class has at least 10 % of the rows of each task, before noise and
    dials. A group's common function that misses this for one of its tasks is drawn again, then a
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
    hierarchy = branching, level_shares
    tree, outliers = plant_tree(scenario, n_tasks, n_outlier_tasks, cluster_sizes, hierarchy)
    n_tasks = len(tree.groups)
    n_features = check_integer("n_features", n_features, minimum=1)
    n_fourier = check_integer("n_fourier", n_fourier, minimum=1)
    scale = check_length_scale(length_scale, scenario, n_features)
    plan = Plan(*tree, n_features, n_fourier, scale, balanced=classification)
    counts = check_counts(n_samples_per_task, n_tasks, minimum=2 if classification else 1)
    noise_of = per_task("noise", noise, n_tasks, check_noise)
    dials, priors = check_dials(dials, classification, n_tasks)
    rows, truth = _draw(random_state, plan, counts, noise_of, dials, priors)
    raw = truth["noise_free_targets"]
    y = raw + np.concatenate([task.noise for task in rows])
    if classification:
        y = (y > np.repeat(truth["limits"], counts)).astype(np.int64)
    X = _lay_out(rows, counts, dials, truth["traits"], as_frame)
    if not return_truth:
        return X, y
    given_noise = np.array(noise_of) if np.ndim(noise) else noise_of[0]
    return X, y, ScenarioTruth(outlier_tasks=outliers, noise=given_noise, **truth)


def _draw(
    random_state: RandomState,
    plan: Plan,
    counts: IntArray,
    noise_of: list[float],
    dials: TaskDials,
    priors: list[float] | None,
) -> tuple[list[TaskRows], dict[str, Any]]:
    """Draw everything; return the rows of each task, and what the truth is to say."""
    n_tasks = len(counts)
    function_rngs, rngs, row_rngs = _make_streams(random_state, n_tasks)
    traits = draw_traits(rngs, dials, plan.groups, plan.n_features)
    sample = partial(draw_task_rows, noise_of=noise_of, dials=dials, traits=traits)
    rows = [sample(row_rngs[task], counts[task], task) for task in range(n_tasks)]
    function_rngs.append(rngs["hierarchy"])
    functions: Sequence[TaskFunction]
    # On the features before the dials: whatever these are, the functions remain.
    functions, raw, length_scales = draw_functions(
        function_rngs, plan, [task.base for task in rows]
    )
    if dials != TaskDials():
        later = draw_later_functions(rngs["later"], plan, length_scales) if dials.drift else None
        functions = apply_dials(functions, later, dials, traits, plan.groups)
        raw = [function(task.columns) for function, task in zip(functions, rows, strict=True)]
    limits = np.zeros(n_tasks)
    if priors is not None:
        limits = _find_limits(rngs["reference"], functions, priors, sample)
    return rows, {
        "clusters": plan.groups,
        "functions": functions,
        "length_scales": length_scales,
        "nodes": plan.nodes,
        "level_weights": plan.weights,
        "noise_free_targets": np.concatenate(raw),
        "noise_scale": np.concatenate([task.noise_scale for task in rows]),
        "limits": limits,
        "dials": dials,
        "traits": traits,
    }


def _make_streams(
    random_state: RandomState, n_tasks: int
) -> tuple[list[np.random.Generator], Streams, list[Streams]]:
    """Return the streams of the functions, of each dial, and of the rows of each task.

    One stream per purpose, and where it matters per task: neither a dial nor one more task
    changes what the others draw.
    """
    function_rng, feature_rng, noise_rng = make_generator(random_state).spawn(3)
    common_rng, own_rng, scale_rng, *dial_rngs = function_rng.spawn(3 + len(_DIAL_STREAMS))
    rngs = dict(zip(_DIAL_STREAMS, dial_rngs, strict=True))
    of_rows = [feature_rng, noise_rng, *(rngs[name] for name in ROW_STREAMS[2:])]
    by_task = zip(*(rng.spawn(n_tasks) for rng in of_rows), strict=True)
    row_rngs = [dict(zip(ROW_STREAMS, of_task, strict=True)) for of_task in by_task]
    return [common_rng, own_rng, scale_rng], rngs, row_rngs


def _find_limits(
    rng: np.random.Generator,
    functions: Sequence[TaskFunction],
    priors: list[float],
    sample: Callable[[Streams, int, int], TaskRows],
) -> FloatArray:
    """Find the limit above which the share of each task's distribution is its prior."""
    limits = []
    streams = rng.spawn(len(functions))
    for task, (function, prior) in enumerate(zip(functions, priors, strict=True)):
        of_task = streams[task].spawn(len(ROW_STREAMS))
        rows = sample(dict(zip(ROW_STREAMS, of_task, strict=True)), _REFERENCE_ROWS, task)
        limits.append(np.quantile(function(rows.columns) + rows.noise, 1.0 - prior))
    return np.array(limits)


def _lay_out(
    rows: list[TaskRows], counts: IntArray, dials: TaskDials, traits: TaskTraits, as_frame: bool
) -> Any:
    """Put the columns of all tasks below each other, and the task label behind them."""
    n_features = traits.measured.shape[1]
    columns = np.vstack([task.columns for task in rows])
    columns[:, :n_features][~np.repeat(traits.measured, counts, axis=0)] = np.nan
    tasks = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    if not as_frame:
        return np.column_stack([columns, tasks])
    import pandas as pd  # here: it takes longer to import than the data to generate

    categorical = [f"c{j}" for j in range(dials.n_categorical)]
    names = [f"x{j}" for j in range(n_features)] + categorical
    names += [f"g{j}" for j in range(dials.n_group_features)]
    names += ["time"] if dials.drift > 0 else []
    frame = pd.DataFrame(columns, columns=names)
    kind = pd.CategoricalDtype(range(dials.n_categories))
    for name in categorical:
        frame[name] = frame[name].astype(np.int64).astype(kind)
    frame["task"] = tasks
    return frame
