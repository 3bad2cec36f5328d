"""The dials that bring what real tasks have into a scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmtgb._common import check_integer, dimensions
from rmtgb.datasets._parameters import check_range

__all__ = ["TaskDials"]

# Random Fourier functions of features that large lose their last digits, no more.
_MAX_SHIFT = 1e6
# A spread of logarithms: the factors of five standard deviations are still below 1e22.
_MAX_LOG_SCALE = 10.0

_RANGES = {
    "feature_shift": (0.0, _MAX_SHIFT, "[]"),
    "feature_scale": (0.0, _MAX_LOG_SCALE, "[]"),
    "feature_correlation": (0.0, 1.0, "[]"),
    "relevant_share": (0.0, 1.0, "(]"),
    "measured_share": (0.0, 1.0, "(]"),
    "categorical_effect": (-_MAX_SHIFT, _MAX_SHIFT, "[]"),
    "intraclass_correlation": (0.0, 1.0, "[]"),
    "between_effect": (-_MAX_SHIFT, _MAX_SHIFT, "[]"),
    "within_effect": (-_MAX_SHIFT, _MAX_SHIFT, "[]"),
    "target_shift": (0.0, _MAX_SHIFT, "[]"),
    "target_scale": (0.0, _MAX_LOG_SCALE, "[]"),
    "drift": (0.0, 1.0, "[]"),
    "heteroscedasticity": (0.0, 1.0, "[]"),
    "noise_df": (2.0, np.inf, "(]"),
}
_MINIMA = {"n_categorical": 0, "n_categories": 2, "n_group_features": 0}


@dataclass(frozen=True, kw_only=True)
class TaskDials:
    """How far the tasks of `make_task_scenario` are from textbook ones.

    Every dial starts where it changes nothing. Each draws from random streams of its own, by
    task where that makes sense: turning one leaves what the others draw as it is, to the bit,
    and so does another task. What was drawn is in `TaskTraits`.

    Parameters
    ----------
    feature_shift : float, default=0.0
        Spread of the features' means over tasks, in standard deviations within a task.
    feature_scale : float, default=0.0
        Spread, over tasks, of the logarithm of the features' standard deviation; at most 10.
    feature_correlation : float, default=0.0
        Absolute correlation of each pair of features within a task, in [0, 1]; the signs are
        drawn for each task.
    relevant_share : float, default=1.0
        Share of the features that a task's function depends on, in (0, 1], drawn for each
        task; at least one. The function sees 0 in place of the others.
    measured_share : float, default=1.0
        Share of the features that a task has, in (0, 1], drawn for each task; at least one.
        The others are NaN in all of its rows, while the target depends on them as before.
    n_categorical : int, default=0
        Further columns "c0", "c1", ... of categories.
    n_categories : int, default=10
        Categories of each such column, all equally likely; 2 or more.
    categorical_effect : float, default=1.0
        Standard deviation of what the categories together add to the target. Tasks of one group
        have the same effects.
    n_group_features : int, default=0
        Further columns "g0", "g1", ... that tell tasks apart: standard normal, with a part that
        all rows of a task share.
    intraclass_correlation : float, default=1.0
        The share of this part in their variance, in [0, 1]. At 1 they are constant in a task.
    between_effect, within_effect : float, default=1.0, 0.0
        What the target gains with each unit of a task's mean of a group-level feature, and of
        a row's distance from it; over the root of their number.
    target_shift : float, default=0.0
        Spread of the tasks' offsets of the target.
    target_scale : float, default=0.0
        Spread, over tasks, of the logarithm of a factor on the target (not on its offset or
        noise); at most 10.
    drift : float, default=0.0
        How far the functions turn into others from time 0 to time 1, in [0, 1]: at time t their
        correlation with those of time 0 is ``cos(drift * t * pi / 2)``. Above 0 there is a
        column "time", uniform in [0, 1]; sort by it to test on what comes later.
    heteroscedasticity : float, default=0.0
        How unequally noise is spread, in [0, 1]: its variance is ``1 + heteroscedasticity * r``
        times the mean, where r is the first feature without the task's shift and scale, cut to
        [-1, 1].
    noise_df : float, default=inf
        Degrees of freedom of Student's t distribution that the noise has, above 2; its standard
        deviation stays as it is.
    class_prior : float or sequence of float of length n_tasks, optional
        Share of class 1, in (0, 1), in the distribution of each task; only in classification.
        By default the limit between the classes is zero.

    Raises
    ------
    TypeError
        If a dial has a wrong type.
    ValueError
        If a dial is outside its range; the message names both.

    Examples
    --------
    >>> from rmtgb.datasets import TaskDials, make_task_scenario
    >>> dials = TaskDials(feature_shift=0.5, target_shift=2.0, n_categorical=1)
    >>> X, y, truth = make_task_scenario(
    ...     n_tasks=3, dials=dials, as_frame=True, return_truth=True, random_state=0
    ... )
    >>> list(X.columns)
    ['x0', 'x1', 'x2', 'x3', 'x4', 'c0', 'task']
    >>> truth.traits.offsets.shape
    (3,)
    """

    feature_shift: float = 0.0
    feature_scale: float = 0.0
    feature_correlation: float = 0.0
    relevant_share: float = 1.0
    measured_share: float = 1.0
    n_categorical: int = 0
    n_categories: int = 10
    categorical_effect: float = 1.0
    n_group_features: int = 0
    intraclass_correlation: float = 1.0
    between_effect: float = 1.0
    within_effect: float = 0.0
    target_shift: float = 0.0
    target_scale: float = 0.0
    drift: float = 0.0
    heteroscedasticity: float = 0.0
    noise_df: float = np.inf
    class_prior: float | Sequence[float] | None = None

    def __post_init__(self) -> None:
        checked: dict[str, object] = {
            name: check_range(name, getattr(self, name), *limits)
            for name, limits in _RANGES.items()
        }
        for name, minimum in _MINIMA.items():
            checked[name] = check_integer(name, getattr(self, name), minimum)
        checked["class_prior"] = _check_prior(self.class_prior)
        for name, value in checked.items():
            object.__setattr__(self, name, value)


def _check_prior(prior: object) -> float | tuple[float, ...] | None:
    """Return a share or several; how many there must be depends on the scenario."""
    if prior is None:
        return None
    if dimensions(prior) == 0:
        return check_range("class_prior", prior, 0, 1, "()")
    if dimensions(prior) != 1:
        raise ValueError(f"class_prior must be a share or a sequence of shares, got {prior!r}.")
    pairs = enumerate(np.asarray(prior, dtype=object).tolist())
    return tuple(check_range(f"class_prior[{task}]", share, 0, 1, "()") for task, share in pairs)
