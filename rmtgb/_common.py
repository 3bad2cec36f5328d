"""What all of the package may share.

Types of arrays, checks of numbers and matrices, words of messages, and matplotlib if it is
there. It imports nothing of the package, so that every module may import it.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
# Names that a message lists.
_SHOWN = 8
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
    if dimensions(values) != 1 or len(values) == 0:
        raise ValueError(f"{name} must be a sequence of one or more integers, got {values!r}.")
    checked = [check_integer(f"{name}[{i}]", value, minimum) for i, value in enumerate(values)]
    if max(checked) >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {max(checked)}.")
    return np.array(checked, dtype=np.int64)


def dimensions(values: Any) -> int:
    """Return the number of dimensions, -1 of sequences within one that differ in length."""
    try:
        return np.ndim(values)
    except ValueError:
        return -1


def check_real(name: str, value: Any) -> float:
    """Return a number that is not a boolean."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number, got {value!r}.")
    return float(value)


def as_floats(name: str, values: Any, shape: tuple[int | None, ...]) -> FloatArray:
    """Return a copy as float64 after checking shape (None: any) and finiteness."""
    array = real_numbers(name, values)
    fits = array.ndim == len(shape) and all(
        wanted in (None, actual) for wanted, actual in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = tuple("any" if size is None else size for size in shape)
        raise ValueError(f"{name} must have shape {wanted}, got {array.shape}.")
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        where = f"[{', '.join(map(str, first))}]" if first else ""
        raise ValueError(f"{name} must be finite, got {array[first]} in {name}{where}.")
    return array


def real_numbers(name: str, values: Any) -> FloatArray:
    """Return a copy as float64, of real numbers only: numpy also reads text, and times."""
    if np.ma.is_masked(values):
        raise TypeError(f"{name} must not have masked values: leave them out, or fill them.")
    try:
        given = np.asarray(values)
        is_text = given.dtype.kind == "O" and any(isinstance(v, str | bytes) for v in given.flat)
        if given.dtype.kind in "biufO" and not is_text:
            return np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} must hold numbers in a regular shape ({error}).") from error
    raise TypeError(f"{name} must hold real numbers, got an array of dtype {given.dtype}.")


def check_semidefinite(name: str, matrix: FloatArray, tolerance: float) -> float:
    """Refuse a matrix that is not symmetric and positive semidefinite up to a tolerance.

    Returns
    -------
    smallest : float
        Its smallest eigenvalue.
    """
    difference = np.abs(matrix - matrix.T)
    if difference.max() > tolerance:
        i, j = (int(k) for k in np.unravel_index(difference.argmax(), matrix.shape))
        raise ValueError(
            f"{name} must be symmetric, got {matrix[i, j]} at ({i}, {j}) and {matrix[j, i]} at "
            f"({j}, {i})."
        )
    smallest = float(np.linalg.eigvalsh(matrix)[0])
    if smallest < -tolerance:
        raise ValueError(
            f"{name} must be positive semidefinite; its smallest eigenvalue is {smallest:.6g}, at "
            f"least 0 is needed."
        )
    return smallest


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, in the plural where that is due."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def named(names: Sequence[Any], most: int = _SHOWN) -> str:
    """Return names for a message, of many only so many that the mistake can be found."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more


def hint(name: Any, known: Sequence[Any], most: int = _SHOWN) -> str:
    """Say which of the known names may have been meant, or which there are."""
    texts = [str(other) for other in known]
    close = difflib.get_close_matches(str(name), texts, n=1)
    if close:
        return f"did you mean {known[texts.index(close[0])]!r}?"
    return f"there are {named(known, most)}"


def import_pyplot() -> Any:
    """Return `matplotlib.pyplot`, or say how to install it."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plot needs matplotlib: pip install 'rmtgb[plot]'") from error
    return plt
