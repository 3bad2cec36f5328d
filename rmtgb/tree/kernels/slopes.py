"""Slopes of linear leaves, as growing and predicting read them."""

from typing import Any

import numpy as np

from rmtgb.engine.jit import inner, part
from rmtgb.engine.record import Array
from rmtgb.tree.records import MISSING_Z, Z_UNIT


@part
def slopes_of(node: Any, slopes: Array) -> Array:
    """Return the slopes of a leaf."""
    return slopes[node["first_slope"] : node["first_slope"] + node["n_slopes"]]


@inner
def slope_part(row: Array, slopes: Array) -> float:
    """Return what slopes (ndarray of SLOPE) add to the constant of a leaf.

    ``row`` (n_features,) int16 holds standardised values.
    """
    total = 0.0
    for slope in range(slopes.size):
        z = row[slopes[slope]["feature"]]
        if z != MISSING_Z:
            distance = np.float64(z) * Z_UNIT - slopes[slope]["center"]
            total += slopes[slope]["coefficient"] * distance
    return total
