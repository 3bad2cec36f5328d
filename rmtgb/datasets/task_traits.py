"""What the dials draw of each task, and the function of a task that they make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import BoolArray, FloatArray, IntArray
from rmtgb.datasets.dials import TaskDials

__all__ = ["DialledFunction", "TaskTraits"]

#: Standard deviation of a feature within a task: that of a uniform variable on [-1, 1].
FEATURE_DEVIATION = 1.0 / np.sqrt(3.0)


@dataclass(frozen=True, eq=False)
class TaskTraits:
    """What `TaskDials` drew of the tasks of a scenario.

    Parameters
    ----------
    feature_means, feature_scales : ndarray of shape (n_tasks, n_features), float64
        Mean of each feature in each task, and the factor on its standard deviation.
    feature_signs : ndarray of shape (n_tasks, n_features), float64
        Signs of 1: features j and k of a task have the correlation
        ``feature_correlation * signs[j] * signs[k]``.
    relevant, measured : ndarray of shape (n_tasks, n_features), bool
        Features that the task's function depends on, and that the task has.
    category_effects : ndarray of shape (n_groups, n_categorical, n_categories), float64
        What each category adds to the target, by group of tasks.
    group_means : ndarray of shape (n_tasks, n_group_features), float64
        Mean of each group-level feature in each task.
    offsets, scales : ndarray of shape (n_tasks,), float64
        The target of task t is ``offsets[t] + scales[t] *`` what its function and the other
        effects add up to.
    """

    feature_means: FloatArray
    feature_scales: FloatArray
    feature_signs: FloatArray
    relevant: BoolArray
    measured: BoolArray
    category_effects: FloatArray
    group_means: FloatArray
    offsets: FloatArray
    scales: FloatArray


@dataclass(frozen=True, eq=False)
class DialledFunction:
    """The noise-free target of a task as a function of all columns but that of the task.

    Parameters
    ----------
    function : callable
        Function of the features alone, from shape (n, n_features) to (n,).
    later : callable or None
        What it turns into; None without drift.
    drift : float
        How far it turns from time 0 to time 1; 1 is all the way.
    relevant : ndarray of shape (n_features,), bool
        Features that both functions depend on.
    category_effects : ndarray of shape (n_categorical, n_categories), float64
        What each category adds.
    group_means : ndarray of shape (n_group_features,), float64
        Means of the group-level features.
    between_effect, within_effect : float
        What each unit of the mean adds, and each unit of a row's distance from it.
    offset, scale : float
        The value is ``offset + scale * (function + effects)``.
    """

    function: Callable[[Any], FloatArray]
    later: Callable[[Any], FloatArray] | None
    drift: float
    relevant: BoolArray
    category_effects: FloatArray
    group_means: FloatArray
    between_effect: float
    within_effect: float
    offset: float
    scale: float

    @property
    def n_columns(self) -> int:
        """Number of columns that the function takes."""
        n_further = len(self.category_effects) + len(self.group_means)
        return self.relevant.size + n_further + (self.later is not None)

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Evaluate the function.

        Parameters
        ----------
        X : array-like of shape (n, n_columns)
            Features, categories, group-level features and time, as `make_task_scenario` lays
            them out. Where a relevant feature is NaN, so is the value.

        Returns
        -------
        values : ndarray of shape (n,), float64

        Raises
        ------
        ValueError
            If `X` does not have that shape, or a category is none.
        """
        columns = np.asarray(X, dtype=np.float64)
        if columns.ndim != 2 or columns.shape[1] != self.n_columns:
            raise ValueError(
                f"X must have shape (n, {self.n_columns}), got {columns.shape}; leave out the "
                f"task column."
            )
        n_features, n_categorical = self.relevant.size, len(self.category_effects)
        features, codes, group, time = np.split(
            columns,
            np.cumsum([n_features, n_categorical, len(self.group_means)]),
            axis=1,
        )
        seen = np.where(self.relevant, features, 0.0)
        values = self.function(seen)
        if self.later is not None:
            angle = self.drift * 0.5 * np.pi * time[:, 0]
            values = np.cos(angle) * values + np.sin(angle) * self.later(seen)
        values = values + self._category_effects(codes) + self._group_effects(group)
        scaled: FloatArray = self.offset + self.scale * values
        return scaled

    def _category_effects(self, codes: FloatArray) -> FloatArray:
        n_columns, n_categories = self.category_effects.shape
        if not np.isin(codes, np.arange(n_categories)).all():
            raise ValueError(f"categories must be integers from 0 to {n_categories - 1}.")
        effects = self.category_effects[np.arange(n_columns), codes.astype(np.int64)]
        total: FloatArray = effects.sum(axis=1)
        return total

    def _group_effects(self, group: FloatArray) -> FloatArray:
        distance = group - self.group_means
        effects = self.between_effect * self.group_means + self.within_effect * distance
        total: FloatArray = effects.sum(axis=1) / np.sqrt(max(self.group_means.size, 1))
        return total


def draw_traits(
    rngs: dict[str, np.random.Generator], dials: TaskDials, groups: IntArray, n_features: int
) -> TaskTraits:
    """Draw what the dials say of each task, each dial and task from a stream of its own."""
    n_tasks = len(groups)

    def normal(name: str, size: int) -> FloatArray:
        return np.array([rng.standard_normal(size) for rng in rngs[name].spawn(n_tasks)])

    def chosen(name: str, share: float) -> BoolArray:
        # Of the ranks of random numbers: a smaller share is a part of a larger one.
        order = np.argsort(np.argsort(normal(name, n_features), axis=1), axis=1)
        return order < max(1, round(share * n_features))

    shift = dials.feature_shift * FEATURE_DEVIATION
    return TaskTraits(
        feature_means=shift * normal("feature_shift", n_features),
        feature_scales=np.exp(dials.feature_scale * normal("feature_scale", n_features)),
        feature_signs=np.where(normal("feature_signs", n_features) < 0, -1.0, 1.0),
        relevant=chosen("relevant", dials.relevant_share),
        measured=chosen("measured", dials.measured_share),
        category_effects=_draw_category_effects(rngs["category_effects"], dials, groups),
        group_means=np.sqrt(dials.intraclass_correlation)
        * normal("group_means", dials.n_group_features),
        offsets=dials.target_shift * normal("target_shift", 1)[:, 0],
        scales=np.exp(dials.target_scale * normal("target_scale", 1)[:, 0]),
    )


def _draw_category_effects(
    rng: np.random.Generator, dials: TaskDials, groups: IntArray
) -> FloatArray:
    """Draw effects whose variance over the categories is exactly what is asked for."""
    shape = (dials.n_categorical, dials.n_categories)
    effects = np.array([stream.standard_normal(shape) for stream in rng.spawn(groups[-1] + 1)])
    effects -= effects.mean(axis=2, keepdims=True)
    effects /= effects.std(axis=2, keepdims=True)
    scaled: FloatArray = effects * (dials.categorical_effect / np.sqrt(max(shape[0], 1)))
    return scaled


def apply_dials(
    functions: Sequence[Callable[[Any], FloatArray]],
    later: Sequence[Callable[[Any], FloatArray]] | None,
    dials: TaskDials,
    traits: TaskTraits,
    groups: IntArray,
) -> list[DialledFunction]:
    """Return the functions of all columns that the dials make of those of the features."""
    return [
        DialledFunction(
            function=function,
            later=None if later is None else later[task],
            drift=dials.drift,
            relevant=traits.relevant[task],
            category_effects=traits.category_effects[groups[task]],
            group_means=traits.group_means[task],
            between_effect=dials.between_effect,
            within_effect=dials.within_effect,
            offset=float(traits.offsets[task]),
            scale=float(traits.scales[task]),
        )
        for task, function in enumerate(functions)
    ]
