"""Features on a common scale, for the slopes of linear leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray
from rmtgb.tree.records import MISSING_Z, STANDARDIZED, Z_UNIT

#: Weight of the rows in each tail whose values are moved to where the tail starts: they would
#: decide on slopes alone, and slopes would be followed to where no rows were.
TAIL = 0.005


@dataclass(frozen=True)
class Standardizer:
    """Maps features to mean 0 and variance 1, and all values beyond the tails to where they start.

    Attributes
    ----------
    low, high : ndarray of float64 of shape (n_features,)
        Where the tails start.
    per_unit : ndarray of float64 of shape (n_features,)
        Reciprocal of a power of two near the largest value, so that squares can neither overflow
        nor vanish.
    center, per_scale : ndarray of float64 of shape (n_features,)
        Mean between the tails, and the reciprocal of the standard deviation, 0 for a feature that
        has none; both in that unit.
    """

    low: FloatArray
    high: FloatArray
    per_unit: FloatArray
    center: FloatArray
    per_scale: FloatArray

    @classmethod
    def join(cls, descriptions: Sequence[tuple[float, ...]]) -> Standardizer:
        """Return the standardizer of features that :func:`describe` has described."""
        return cls(*np.array(descriptions).T.copy())

    def transform(self, X: FloatArray) -> NDArray[np.int16]:
        """Return float64 values (m, n_features) as int16, in units of ``Z_UNIT``.

        Where the tails start is less than 15 deviations from the mean, so that no value is
        too large. NaN becomes ``MISSING_Z``.
        """
        Z = np.clip(X, self.low, self.high)
        Z *= self.per_unit
        Z -= self.center
        Z *= self.per_scale / Z_UNIT
        np.rint(Z, out=Z)
        Z[np.isnan(Z)] = MISSING_Z
        return Z.astype(STANDARDIZED)


def describe(distinct: FloatArray, cumulative: FloatArray) -> tuple[float, ...]:
    """Return what :class:`Standardizer` holds of a feature.

    Parameters
    ----------
    distinct, cumulative : ndarray of float64 of shape (n_distinct,)
        Distinct values in ascending order, and their cumulative weights.

    Returns
    -------
    tuple of float
        In the order of the attributes.
    """
    if distinct.size == 0:
        return 0.0, 0.0, 1.0, 0.0, 0.0
    total = cumulative[-1]
    low, high = distinct[np.searchsorted(cumulative, total * np.array([TAIL, 1.0 - TAIL]))]
    # 2^-1022 and 2^1022 are the last powers that have a reciprocal
    exponent = np.clip(np.frexp(max(abs(low), abs(high)))[1], -1021, 1021)
    per_unit = 2.0 ** -float(exponent)
    weight = np.diff(cumulative, prepend=0.0) / total
    between = np.clip(distinct, low, high) * per_unit
    # Not `weight @ between`: BLAS rounds differently on each kind of processor.
    center = np.sum(weight * between)
    deviation = np.sqrt(np.sum(weight * (between - center) ** 2))
    return low, high, per_unit, center, 1.0 / deviation if deviation > 0.0 else 0.0
