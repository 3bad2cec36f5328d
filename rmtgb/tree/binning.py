"""Quantile binning: features as one byte per value, computed once and shared by all stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.record import empty
from rmtgb.engine.team import Team
from rmtgb.tree.kernels.binning import GROUP, bin_rows, hash_columns
from rmtgb.tree.records import CODE, STANDARDIZED, BinnedFeatures
from rmtgb.tree.standardizer import Standardizer, describe

#: Weight of the rows from which thresholds are computed; more would move no quantile noticeably.
SAMPLE_ROWS = 200_000

#: Columns by which rows are told apart for the sample, if they can be.
HASHED_COLUMNS = 4

#: Rows that are converted to float64 at a time: 2 MB for 16 features.
BLOCK_ROWS = 16_384


def distribution(
    values: FloatArray, sample_weight: FloatArray | None
) -> tuple[FloatArray, FloatArray]:
    """Return the distinct values of a feature and their cumulative weights.

    Parameters
    ----------
    values : ndarray of float64 of shape (n,)
        NaN is left out.
    sample_weight : ndarray of float64 of shape (n,) or None
        None means equal weights.

    Returns
    -------
    distinct, cumulative : ndarray of float64 of shape (n_distinct,)
        In ascending order. An integer weight is the same as repetition.
    """
    known = ~np.isnan(values)
    values = values[known]
    if values.size == 0:
        return values, np.empty(0)
    if sample_weight is None:
        values = np.sort(values)
    else:
        by_value = np.argsort(values, kind="stable")
        values, sample_weight = values[by_value], sample_weight[known][by_value]
    ends = np.append(np.flatnonzero(values[1:] != values[:-1]), values.size - 1)
    cumulative = ends + 1.0 if sample_weight is None else np.cumsum(sample_weight)[ends]
    return values[ends], cumulative


def quantile_thresholds(distinct: FloatArray, cumulative: FloatArray, max_bins: int) -> FloatArray:
    """Return thresholds that divide a feature into bins of about equal weight.

    Thresholds lie halfway between neighbouring distinct values; a feature with at most
    ``max_bins`` distinct values gets one bin for each.

    Parameters
    ----------
    distinct, cumulative : ndarray of float64 of shape (n_distinct,)
        What :func:`distribution` returns.
    max_bins : int
        Largest number of bins.

    Returns
    -------
    ndarray of float64 of shape (n_bins - 1,)
        In ascending order; a value belongs to the bin whose threshold is the first one
        that is not below it.
    """
    if distinct.size > max_bins:
        targets = cumulative[-1] * np.arange(1, max_bins) / max_bins
        # the tolerance keeps sums that differ by rounding only on the same side
        cuts = np.unique(np.searchsorted(cumulative * (1 + 1e-12), targets))
        cuts = cuts[cuts < distinct.size - 1]
    else:
        cuts = np.arange(max(0, distinct.size - 1))
    below, above = distinct[cuts], distinct[cuts + 1]
    middle = below / 2 + above / 2
    return np.where((middle >= below) & (middle < above), middle, below)


def sample_rows(
    X: NDArray[np.floating[Any]], weight: FloatArray, seed: int, team: Team
) -> IntArray:
    """Return positions of ``SAMPLE_ROWS`` rows that stand for all, each with equal weight.

    Rows are ordered by a hash of their values and drawn systematically from their cumulative
    weights: which rows these are depends neither on where they stand nor on whether equal rows
    are repeated or weighted. Rows that are equal count as one.
    """
    n_rows, n_features = X.shape
    n_hashed = min(HASHED_COLUMNS, n_features)
    hashes = _hash_rows(X[:, :n_hashed], seed, team)
    order = np.argsort(hashes, kind="stable")
    if n_hashed < n_features and np.any(np.diff(hashes[order]) == 0):
        order = np.argsort(_hash_rows(X, seed, team), kind="stable")
    cumulative = np.cumsum(weight[order])
    targets = cumulative[-1] * (np.arange(SAMPLE_ROWS) + 0.5) / SAMPLE_ROWS
    return order[np.minimum(np.searchsorted(cumulative, targets), n_rows - 1)]


def _hash_rows(X: NDArray[np.floating[Any]], seed: int, team: Team) -> NDArray[np.uint64]:
    hashes = np.full(X.shape[0], seed, np.uint64)

    def hash_block(start: int) -> None:
        values = _columns(X, start) + 0.0  # minus zero is zero
        positions = np.arange(start, start + values.shape[1])
        hash_columns(values.view(np.int64), positions, hashes)

    team.map(hash_block, range(0, X.shape[0], BLOCK_ROWS))
    return hashes


def _columns(X: NDArray[np.floating[Any]], start: int) -> FloatArray:
    """Return a block of rows as a new array (n_features, m) of the one type kernels take."""
    return np.array(X[start : start + BLOCK_ROWS].T, dtype=np.float64, order="C")


@dataclass(frozen=True)
class BinMapper:
    """Thresholds of all features.

    Attributes
    ----------
    thresholds : ndarray of float64 of shape (n_features, >= missing_code)
        Upper edges of the bins, the rest of a row filled with infinity.
    n_bins : ndarray of int32 of shape (n_features,)
        Bins of values in use; for a categorical feature its number of categories.
    categorical : ndarray of uint8 of shape (n_features,)
        Whether codes are category numbers.
    missing_code : int
        The code of missing values, common to all features.
    standardizer : Standardizer
        For linear leaves. Categorical features have no deviation.
    """

    thresholds: FloatArray
    n_bins: NDArray[np.int32]
    categorical: NDArray[np.uint8]
    missing_code: int
    standardizer: Standardizer

    @classmethod
    def fit(
        cls,
        X: NDArray[np.floating[Any]],
        weight: FloatArray,
        n_categories: IntArray,
        max_bins: int,
        seed: int,
        team: Team,
        n_telling: int | None = None,
    ) -> BinMapper:
        """Choose thresholds.

        Parameters
        ----------
        X : ndarray of float32 or float64 of shape (n_rows, n_features)
            Values; categories are numbered 0, 1, ...
        weight : ndarray of float64 of shape (n_rows,)
            Positive weights.
        n_categories : ndarray of int of shape (n_features,)
            Number of categories, 0 for numerical features.
        max_bins : int
            Largest number of bins of a feature.
        seed : int
            Decides which rows are looked at if they weigh more than ``SAMPLE_ROWS``.
        team : Team
        n_telling : int, optional
            Features, the first, by which these rows are drawn; all by default. Features that were
            computed would make the draw depend on their last digits.

        Returns
        -------
        BinMapper
        """
        n_features = X.shape[1]
        rows: slice | IntArray = slice(None)
        unequal: FloatArray | None = weight if weight.min() < weight.max() else None
        if weight.sum() > SAMPLE_ROWS:
            rows, unequal = sample_rows(X[:, :n_telling], weight, seed, team), None

        def look_at(feature: int) -> tuple[FloatArray, tuple[float, ...]]:
            if n_categories[feature]:
                return np.arange(n_categories[feature] - 1.0), describe(np.empty(0), np.empty(0))
            known = distribution(X[rows, feature].astype(np.float64), unequal)
            return quantile_thresholds(*known, max_bins), describe(*known)

        edges, descriptions = zip(*team.map(look_at, range(n_features)), strict=True)
        n_bins = np.array([e.size + 1 for e in edges], dtype=np.int32)
        missing_code = int(n_bins.max(initial=1))
        # the search for a bin takes steps of powers of two
        width = 2 ** int(missing_code).bit_length()
        thresholds = np.full((n_features, width), np.inf)
        for feature, e in enumerate(edges):
            thresholds[feature, : e.size] = e
        categorical = (n_categories > 0).astype(np.uint8)
        standardizer = Standardizer.join(descriptions)
        return cls(thresholds, n_bins, categorical, missing_code, standardizer)

    def transform(
        self,
        X: NDArray[np.floating[Any]],
        positions: IntArray,
        binned: BinnedFeatures,
        team: Team,
    ) -> None:
        """Write the codes of some rows.

        Parameters
        ----------
        X : ndarray of float32 or float64 of shape (m, n_features)
            Values as at fit.
        positions : ndarray of int64 of shape (m,)
            Where each row goes.
        binned : BinnedFeatures
            Made by :meth:`empty`; written to.
        team : Team
        """

        def bin_block(start: int) -> None:
            block = slice(start, start + BLOCK_ROWS)
            values = _columns(X, start)
            if binned.standardized.size:
                binned.standardized[positions[block]] = self.standardizer.transform(values.T)
            bin_rows(
                values,
                positions[block],
                self.thresholds,
                self.n_bins,
                self.categorical,
                self.missing_code,
                np.empty(GROUP, np.uint64),
                binned.row_codes,
                binned.column_codes,
            )

        team.map(bin_block, range(0, X.shape[0], BLOCK_ROWS))

    def empty(self, n_rows: int, standardized: bool = False) -> BinnedFeatures:
        """Return a BinnedFeatures with room for a number of rows.

        Parameters
        ----------
        n_rows : int
        standardized : bool, default=False
            Whether with room for standardised values too.
        """
        n_features = self.n_bins.size
        return BinnedFeatures(
            empty((n_rows, n_features), CODE),
            empty((n_features, n_rows), CODE),
            self.n_bins,
            self.categorical,
            self.thresholds,
            self.missing_code,
            empty((n_rows if standardized else 0, n_features), STANDARDIZED),
        )
