"""Which features are constant, or combinations of others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import qr

from rmtgb._common import BoolArray, FloatArray, named

#: Part of a feature's spread that those before it leave over, if it counts as its own. Fits square
#: it, so that below this they lose more than half of all digits.
COLLINEAR = 1e-5
#: Part of a number's size below which it is taken for rounding.
ROUNDING = 1e-12


def own_parts(rows: FloatArray) -> FloatArray:
    """Return the part of each feature's length that the features before it leave over.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float64
        Features, about their means if there is an intercept.

    Returns
    -------
    parts : ndarray of shape (d,), float64
        Between 0 and 1; 0 for a column of zeros.
    """
    norms = np.linalg.norm(rows, axis=0)
    parts = np.zeros(rows.shape[1])
    varying = np.flatnonzero(norms > 0)
    if varying.size:
        triangle = qr(rows[:, varying] / norms[varying], mode="r")[0]
        parts[varying[: len(triangle)]] = np.abs(np.diag(triangle))
    return parts


def name_dependent(rows: FloatArray, is_constant: BoolArray, features: Sequence[Any]) -> str:
    """Name the features of a singular design that are best left out, in words.

    Parameters
    ----------
    rows : ndarray of shape (n, d), float64
        Features, about their means if there is an intercept.
    is_constant : ndarray of shape (d,), bool
        Those without variation, which are named alone if there are any.
    features : sequence of length d
        Their names.
    """
    bad, what = is_constant, "constant"
    if not bad.any():
        parts = own_parts(rows)
        bad = parts <= max(COLLINEAR, parts.min())
        what = "a combination of those before"
    names = [name for name, is_bad in zip(features, bad, strict=True) if is_bad]
    return f"{'column' if len(names) == 1 else 'columns'} {named(names)} ({what})"
