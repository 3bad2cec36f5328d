"""The source of randomness, and checks of the parameters that all generators have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import numpy as np

from rmtgb._common import check_integer, check_real, dimensions

T = TypeVar("T")
RandomState: TypeAlias = (
    int | np.random.Generator | np.random.RandomState | np.random.SeedSequence | None
)


def make_generator(random_state: RandomState) -> np.random.Generator:
    """Return a Generator that can be spawned from."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint32))
    if isinstance(random_state, np.random.SeedSequence):
        # Its words rather than the object: spawning would change the caller's object, and
        # the streams could be the same as the children that the caller spawns.
        return np.random.default_rng(random_state.generate_state(4))
    if random_state is not None:
        check_integer("random_state, if not a numpy object or None,", random_state, minimum=0)
    return np.random.default_rng(random_state)


#: The largest standard deviation: squares of values far out must not overflow.
MAX_NOISE = 1e150


def check_noise(name: str, value: Any) -> float:
    """Return a standard deviation."""
    noise = check_real(name, value)
    if not 0 <= noise < np.inf:
        raise ValueError(f"{name} must be a finite number >= 0, got {noise}.")
    if noise > MAX_NOISE:
        raise ValueError(f"{name} must be at most {MAX_NOISE:g}, got {noise}.")
    return noise


def check_range(name: str, value: Any, low: float, high: float, ends: str = "[]") -> float:
    """Return a number between two limits, each of which belongs to the range or not."""
    number = check_real(name, value)
    above = number >= low if ends[0] == "[" else number > low
    below = number <= high if ends[1] == "]" else number < high
    if not (above and below):
        raise ValueError(f"{name} must be in {ends[0]}{low:g}, {high:g}{ends[1]}, got {number}.")
    return number


def per_task(name: str, values: Any, n_tasks: int, check: Callable[[str, Any], T]) -> list[T]:
    """Return one checked value for each task, of a single value or of one for each task."""
    n_dimensions = dimensions(values)
    if n_dimensions == 0:
        return [check(name, values)] * n_tasks
    if n_dimensions != 1 or len(values) != n_tasks:
        got = f"shape {np.shape(values)}" if n_dimensions > 0 else f"{values!r}"
        raise ValueError(
            f"{name} must be a single value or have one for each of the {n_tasks} tasks, "
            f"got {got}."
        )
    return [check(f"{name}[{task}]", value) for task, value in enumerate(values)]
