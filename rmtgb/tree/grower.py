"""A grower of trees: memory for it, and the places where its trees are left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rmtgb._common import IntArray
from rmtgb.engine.record import Array, Record, empty, zeros
from rmtgb.engine.team import Team
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.kernels.histograms import TILE, block_width
from rmtgb.tree.records import (
    GROW,
    MAX_SLOPES,
    PIECES,
    SET_WORDS,
    SLOPE,
    STORE,
    TREE_NODE,
    BinnedFeatures,
)
from rmtgb.tree.weights import WeightUnits, Words

#: Bytes of histograms kept for subtraction; beyond it both children are summed again.
HISTOGRAM_BYTES = 256 * 2**20

#: Stands for "no limit" where a kernel needs a number.
NO_LIMIT = 2**31 - 1


@dataclass(frozen=True)
class TreeSettings:
    """Limits of trees, as the user gave them; None means no limit.

    ``random_thresholds`` tells whether one threshold of each feature is tried instead of all,
    ``linear_leaves`` whether leaves have slopes.
    """

    max_leaf_nodes: int | None
    max_depth: int | None
    min_samples_leaf: float
    l2_regularization: float
    learning_rate: float
    max_features: float
    subsample: float
    random_thresholds: bool
    linear_leaves: bool

    def leaf_limits(self, units: WeightUnits) -> IntArray:
        """Return the largest number of leaves of a tree on each part of the rows."""
        return units.leaf_limits(self.max_leaf_nodes, self.max_depth, self.min_samples_leaf)

    def numbers(self, units: WeightUnits, n_features: int) -> dict[str, float]:
        """Return the settings as numbers of a grower's record."""
        return {
            "max_depth": NO_LIMIT if self.max_depth is None else self.max_depth,
            "min_leaf_units": units.min_leaf_units(self.min_samples_leaf),
            "l2_regularization": self.l2_regularization,
            "learning_rate": self.learning_rate,
            "n_candidate_features": max(1, round(self.max_features * n_features)),
            "subsample": self.subsample,
            "random_thresholds": self.random_thresholds,
            "linear_leaves": self.linear_leaves,
        }


class TreeStore:
    """Room for the trees of some ensembles; the places of an ensemble are equally large.

    Parameters
    ----------
    leaf_limits : ndarray of int64 of shape (n_ensembles,)
        Leaves for which a tree of each ensemble has room: growing stops there, for kernels read
        the same numbers.
    n_trees : ndarray of int64 of shape (n_ensembles,)
        Places of each ensemble.
    linear_leaves : bool
        Whether there is room for slopes.

    Attributes
    ----------
    record : Record
        The store as kernels take it.
    """

    def __init__(self, leaf_limits: IntArray, n_trees: IntArray, linear_leaves: bool) -> None:
        widths = self.widths(leaf_limits, linear_leaves)
        ends = np.cumsum(n_trees[:, None] * widths, axis=0)
        n_nodes, n_sets, n_slopes = ends[-1]
        self.record = Record(
            STORE,
            None,
            {
                "nodes": empty(n_nodes, TREE_NODE),
                "category_sets": empty((n_sets, SET_WORDS), np.uint64),
                "slopes": empty(n_slopes, SLOPE),
                "leaf_limits": leaf_limits,
                "place_starts": ends - n_trees[:, None] * widths,
                "place_widths": widths,
                "tree_sizes": zeros((n_trees.sum(), PIECES), np.int32),
                "first_trees": np.cumsum(n_trees) - n_trees,
            },
        )

    @staticmethod
    def widths(leaf_limits: IntArray, linear_leaves: bool) -> IntArray:
        """Return the nodes, sets and slopes of a place, shape (n_ensembles, 3)."""
        slopes = leaf_limits * np.minimum(leaf_limits - 1, MAX_SLOPES) * linear_leaves
        return np.stack([2 * leaf_limits - 1, np.maximum(1, leaf_limits - 1), slopes], axis=1)

    def gather(self, ensemble: IntArray, tree: IntArray, n_outputs: int) -> Ensemble:
        """Return an Ensemble of the trees in some places.

        Parameters
        ----------
        ensemble, tree : ndarray of int64 of shape (n,)
            Which ensemble, and which of its trees.
        n_outputs : int
            Trees per round.
        """
        arrays = self.record.arrays
        starts = (
            arrays["place_starts"][ensemble] + tree[:, None] * arrays["place_widths"][ensemble]
        )
        sizes = arrays["tree_sizes"][arrays["first_trees"][ensemble] + tree]
        pieces = arrays["nodes"], arrays["category_sets"], arrays["slopes"]
        return Ensemble.gather(pieces, starts.T, sizes.T, n_outputs)


class TreeGrower:
    """Memory in which a team grows trees from gradients; it knows neither tasks nor losses.

    Parameters
    ----------
    features : BinnedFeatures
        Codes of the rows; its arrays may have room for more rows than are worked on.
    arrays : dict of str to ndarray
        ``weight`` (n_rows,), and any other arrays of a grower that exist already.
    units : WeightUnits
        Of the weights.
    words : Words
        How sums are packed.
    settings : TreeSettings
    n_leaves : int
        Leaves for which there must be room.
    leaf_quantile : float or None
        Level of the quantile that leaf values are, None for Newton leaves.
    log_steps : bool
        Whether positive Newton steps v are shortened to log(1 + v), as they are exact where raw
        predictions are logarithms of means.
    team : Team
        Who will work on it.

    Attributes
    ----------
    record : Record
        What kernels take.
    """

    def __init__(
        self,
        features: BinnedFeatures,
        arrays: Mapping[str, Array],
        units: WeightUnits,
        words: Words,
        settings: TreeSettings,
        n_leaves: int,
        leaf_quantile: float | None,
        log_steps: bool,
        team: Team,
    ) -> None:
        n_rows, n_features = features.row_codes.shape
        n_codes = features.missing_code + 1
        width = n_codes * words.per_sum
        n_kept = max(1, min(n_leaves, HISTOGRAM_BYTES // (8 * max(1, n_features) * width)))
        n_partial = 2 * team.n_members if n_features < TILE * team.n_members else 2
        linear = settings.linear_leaves
        sizes = {
            "n_payload": n_rows * words.per_row,
            "n_histograms": n_kept + n_partial,
            "histogram_width": width,
            "n_leaves": n_leaves,
            "n_parents": 2 * n_leaves - 1 if linear else 0,
            "n_linear_leaves": n_leaves if linear else 0,
            "block_width": block_width(words.per_row) if words.block_rows else 0,
            "n_residuals": 0 if leaf_quantile is None else n_rows,
        }
        numbers = {
            "missing_code": features.missing_code,
            "n_kept": n_kept,
            "leaf_quantile": leaf_quantile or 0.0,
            "log_steps": log_steps,
            "weight_scale": units.scale,
            "copies": units.copies,
            "largest_bits": units.largest_bits,
            "total_units": units.totals.max(initial=0),
            "n_words": words.per_row,
            "sum_words": words.per_sum,
            "hessian_is_weight": words.per_row == 1,
        }
        self.record = Record(
            GROW,
            team,
            grower_arrays(features) | dict(arrays),
            sizes,
            numbers | settings.numbers(units, n_features),
        )


def grower_arrays(features: BinnedFeatures) -> dict[str, Array]:
    """Return features as arrays of a grower's record."""
    names = "row_codes", "column_codes", "standardized", "n_bins", "categorical", "thresholds"
    return {name: getattr(features, name) for name in names}
