"""Rows of one task: columns, and the noise of its target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.datasets.dials import TaskDials
from rmtgb.datasets.task_traits import TaskTraits

#: What is drawn row by row, each from a stream of its own.
ROW_STREAMS = ("features", "noise", "common", "categories", "group", "time", "tails")


@dataclass(frozen=True, eq=False)
class TaskRows:
    """Rows of one task."""

    base: FloatArray  # (n, n_features): features before the dials, in [-1, 1]
    columns: FloatArray  # (n, n_columns): all columns but that of the task, none missing
    noise_scale: FloatArray  # (n,): standard deviation of the noise
    noise: FloatArray  # (n,)


def draw_task_rows(
    rngs: dict[str, np.random.Generator],
    count: int,
    task: int,
    *,
    noise_of: list[float],
    dials: TaskDials,
    traits: TaskTraits,
) -> TaskRows:
    """Draw rows of a task; more rows leave the first ones as they are."""
    n_features = traits.feature_means.shape[1]
    base = rngs["features"].uniform(-1.0, 1.0, (count, n_features))
    relative = base
    if dials.feature_correlation > 0:
        share = dials.feature_correlation
        common = traits.feature_signs[task] * rngs["common"].uniform(-1.0, 1.0, (count, 1))
        relative = np.sqrt(1.0 - share) * base + np.sqrt(share) * common
    features = traits.feature_means[task] + traits.feature_scales[task] * relative
    columns = [features, *_draw_further_columns(rngs, count, task, dials, traits)]
    spread = np.sqrt(1.0 + dials.heteroscedasticity * np.clip(relative[:, 0], -1.0, 1.0))
    noise_scale = noise_of[task] * spread
    return TaskRows(
        base=base,
        columns=np.hstack(columns),
        noise_scale=noise_scale,
        noise=noise_scale * _draw_standard_noise(rngs, count, dials.noise_df),
    )


def _draw_further_columns(
    rngs: dict[str, np.random.Generator],
    count: int,
    task: int,
    dials: TaskDials,
    traits: TaskTraits,
) -> list[FloatArray]:
    """Draw categories, group-level features and times, as far as there are any."""
    uniform = rngs["categories"].random((count, dials.n_categorical))
    distance = rngs["group"].standard_normal((count, dials.n_group_features))
    within = np.sqrt(1.0 - dials.intraclass_correlation)
    return [
        np.floor(dials.n_categories * uniform),
        traits.group_means[task] + within * distance,
        rngs["time"].random((count, 1 if dials.drift > 0 else 0)),
    ]


def _draw_standard_noise(
    rngs: dict[str, np.random.Generator], count: int, df: float
) -> FloatArray:
    """Draw from a normal or t distribution with unit variance."""
    normal = rngs["noise"].standard_normal(count)
    if df == np.inf:
        return normal
    # The variance of t is df / (df - 2), which is divided out.
    scaled: FloatArray = normal * np.sqrt((df - 2.0) / rngs["tails"].chisquare(df, count))
    return scaled
