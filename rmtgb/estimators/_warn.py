"""Warnings that point at the caller's line."""

import sys
import warnings

_INSIDE = ("rmtgb.", "sklearn.", "joblib.")


def warn_caller(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the innermost line outside this package and scikit-learn.

    How many calls lie between depends on the method, and on scikit-learn's decorators.
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
