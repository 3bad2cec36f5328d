"""What all of the package may share.

Types of arrays, checks of numbers, the plural, and matplotlib if it is there. It imports
nothing of the package, so that every module may import it.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
#: An integer in compiled code, whose width and sign the compiler infers and mypy cannot know.
Int: TypeAlias = Any
#: A floating-point number there, of either precision.
Float: TypeAlias = Any


def check_integer(name: str, value: Any, minimum: int) -> int:
    """Return an integer that is at least the minimum; a boolean is none."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer, got {value!r}.")
    if int(value) < minimum:
        raise ValueError(f"{name} must be >= {minimum}, got {value}.")
    return int(value)


def check_integers(name: str, values: Any, minimum: int) -> IntArray:
    """Return a sequence of integers, none below the minimum."""
    if np.ndim(values) != 1 or len(values) == 0:
        raise ValueError(f"{name} must be a sequence of one or more integers, got {values!r}.")
    checked = [check_integer(f"{name}[{i}]", value, minimum) for i, value in enumerate(values)]
    return np.array(checked, dtype=np.int64)


def check_real(name: str, value: Any) -> float:
    """Return a number that is not a boolean."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {value!r}.")
    return float(value)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where that is due."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def import_pyplot() -> Any:
    """Return `matplotlib.pyplot`, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plot needs matplotlib: pip install 'rmtgb[plot]'") from error
    return plt
