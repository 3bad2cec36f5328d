"""Features on a common scale, for the slopes of linear leaves."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rmtgb.tree.dtypes import MISSING_Z, STANDARDIZED, Z_UNIT

#: Weight of the rows in each tail whose values are moved to where the tail starts: they would
#: decide on slopes alone, and slopes would be followed to where no rows were.
TAIL = 0.005


class Values(NamedTuple):
    """Rows to predict: ``raw`` float64 and ``standardized`` int16, (m, n_features), C order.

    The latter has no rows if there are no slopes to be multiplied with.
    """

    raw: np.ndarray
    standardized: np.ndarray


@dataclass(frozen=True)
class Standardizer:
    """Maps features to mean 0 and variance 1, and all values beyond the tails to where they start.

    Attributes
    ----------
    low, high : ndarray of float64 of shape (n_features,)
        Where the tails start.
    center, per_scale : ndarray of float64 of shape (n_features,)
        Mean between them, and the reciprocal of the standard deviation, 0 for a feature that
        has none.
    """

    low: np.ndarray
    high: np.ndarray
    center: np.ndarray
    per_scale: np.ndarray

    @classmethod
    def join(cls, descriptions):
        """Return the standardizer of features that :func:`describe` has described."""
        low, high, center, per_scale = np.array(descriptions).T.copy()
        return cls(low, high, center, per_scale)

    def transform(self, X):
        """Return float64 values (m, n_features) as int16, in units of ``Z_UNIT``.

        Where the tails start is less than 15 deviations from the mean, so that no value is
        too large. NaN becomes ``MISSING_Z``.
        """
        Z = np.clip(X, self.low, self.high)
        Z -= self.center
        Z *= self.per_scale / Z_UNIT
        np.rint(Z, out=Z)
        Z[np.isnan(Z)] = MISSING_Z
        return Z.astype(STANDARDIZED)


def describe(distinct, cumulative):
    """Return where the tails of a feature start, its mean, and its reciprocal deviation.

    Parameters
    ----------
    distinct, cumulative : ndarray of float64 of shape (n_distinct,)
        Distinct values in ascending order, and their cumulative weights.

    Returns
    -------
    tuple of float
        As in :class:`Standardizer`.
    """
    if distinct.size == 0:
        return 0.0, 0.0, 0.0, 0.0
    total = cumulative[-1]
    low, high = distinct[np.searchsorted(cumulative, total * np.array([TAIL, 1.0 - TAIL]))]
    weight = np.diff(cumulative, prepend=0.0) / total
    between = np.clip(distinct, low, high)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        # Not `weight @ between`: BLAS rounds differently on each kind of processor.
        center = np.sum(weight * between)
        scale = np.sqrt(np.sum(weight * (between - center) ** 2))
        return low, high, center, (1.0 / scale if low < high else 0.0)
