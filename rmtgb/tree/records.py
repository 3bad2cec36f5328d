"""The records and small integer types of the tree core, each with its reason."""

from typing import NamedTuple

import numpy as np

from rmtgb.engine.record import Layout

#: Bin codes. One byte, so a feature has at most 255 bins of values and one of missing.
CODE = np.uint8

#: Codes that a byte can hold.
N_CODES = 256

#: Positions of rows. Four bytes halve the traffic of the partition against int64.
ROW = np.uint32

#: A set of bin codes as 256 bits.
SET_WORDS = 4

#: A node of a fitted tree. The right child follows the left one, so one link is enough.
#: Leaves have feature -1. Values are already shrunk by the learning rate.
TREE_NODE = np.dtype(
    [
        ("value", np.float64),
        ("threshold", np.float64),  # numerical: rows with x <= threshold go left
        ("gain", np.float64),  # twice the loss that the split saves
        ("weight", np.float32),  # sum of sample weights, what SHAP calls cover
        ("feature", np.int32),
        ("left", np.int32),  # position of the left child in its tree
        ("category_set", np.int32),  # which set of categories goes left, -1: numerical
        ("first_slope", np.int32),  # of a leaf: its slopes among those of its tree
        ("n_slopes", np.int16),
        ("missing_left", np.int16),  # 0 or 1; wide, so that no byte of a node is padding
    ],
    align=True,
)

#: A slope of a linear leaf, which predicts ``value + sum of coefficient * (z - center)`` over
#: its slopes, z the standardised value of the feature. A missing value adds nothing.
SLOPE = np.dtype(
    [
        ("coefficient", np.float64),  # already shrunk by the learning rate
        ("center", np.float64),
        ("feature", np.int64),
    ],
    align=True,
)

#: Standardised values are integers in a unit; the least one stands for a missing value.
STANDARDIZED = np.int16
Z_UNIT = 2.0**-11
MISSING_Z = np.iinfo(STANDARDIZED).min

#: Slopes of a leaf at the most. With the constant they are eight.
MAX_SLOPES = 7

#: Sums over the rows of a leaf: of h u u' and of g u, where u is 1 and its slopes' values.
MOMENTS = (MAX_SLOPES + 2) * (MAX_SLOPES + 1)

#: Rows of linear leaves that are worked on side by side.
TILE_ROWS = 64

#: Rows that go through a tree side by side: each waits for memory, so eight take little longer
#: than one.
ABREAST = 8

#: A node as prediction needs it: a third of the memory, for it is memory that is waited for.
STEP = np.dtype(
    [
        ("threshold", np.float64),  # rows with x <= threshold take the left child
        ("feature", np.uint32),  # the highest bit: missing values go right
        ("child", np.uint32),  # position of the left child in its tree; a leaf's is its own
    ],
    align=True,
)

#: The best split found for a leaf, and the sums of its left child: exact integers, so that
#: those of the right child are the difference.
SPLIT = np.dtype(
    [
        ("gain", np.float64),  # in units of the packing; -1: none
        ("gradient", np.int64),
        ("hessian", np.int64),
        ("weight", np.int64),
        ("feature", np.int32),
        ("bin", np.int32),
        ("missing_left", np.uint8),
        ("categorical", np.uint8),
    ],
    align=True,
)

#: A leaf of the tree being grown: its rows, as a range of the row order, its sums, and where
#: its histogram is kept (-1: nowhere).
LEAF = np.dtype(
    [
        ("start", np.int64),
        ("stop", np.int64),
        ("gradient", np.int64),
        ("hessian", np.int64),
        ("weight", np.int64),
        ("node", np.int32),
        ("depth", np.int32),
        ("kept", np.int32),  # which of the kept histograms
        ("open", np.uint8),  # may be split further
    ],
    align=True,
)

#: What trees are made of: nodes, category sets and slopes.
PIECES = 3

#: Where kernels leave grown trees, until it is known which of them are kept. The trees of an
#: ensemble have places of equal size, one after another. ``leaf_limits`` is the largest number
#: of leaves of a tree of each ensemble: what growing stops at, and what places are sized by.
STORE = Layout(
    "tree store",
    {
        "nodes": (TREE_NODE, ("n_nodes",)),
        "category_sets": (np.uint64, ("n_sets", SET_WORDS)),
        "slopes": (SLOPE, ("n_slopes",)),
        "leaf_limits": (np.int64, ("n_ensembles",)),
        "place_starts": (np.int64, ("n_ensembles", PIECES)),
        "place_widths": (np.int64, ("n_ensembles", PIECES)),
        "tree_sizes": (np.int32, ("n_trees", PIECES)),  # of pieces
        "first_trees": (np.int64, ("n_ensembles",)),  # among all trees
    },
    {},
)

#: All that growing one tree needs: codes, gradients, hessians and weights, and scratch.
GROW = Layout(
    "tree grower",
    {
        # the rows
        "row_codes": (CODE, ("n_rows", "n_features")),  # for histograms
        "column_codes": (CODE, ("n_features", "n_rows")),  # for moving rows by one feature
        "standardized": (STANDARDIZED, ("n_linear_rows", "n_features")),  # for linear leaves
        "weight": (np.float64, ("n_rows",)),
        "gradient": (np.float64, ("n_gradients",)),  # times the weight; of n_rows, once it is lent
        "hessian": (np.float64, ("n_hessians",)),  # likewise; none where it is the weight
        # where leaf values are quantiles: of what, with which weights, and scratch
        "residual": (np.float64, ("n_residuals",)),
        "residual_weight": (np.float64, ("n_residuals",)),
        "leaf_residuals": (np.float64, ("n_residuals",)),
        "leaf_weights": (np.float64, ("n_residuals",)),
        # the features
        "n_bins": (np.int32, ("n_features",)),
        "categorical": (np.uint8, ("n_features",)),
        "thresholds": (np.float64, ("n_features", "threshold_width")),  # upper edges of bins
        # the place of the tree in the store, see open_place
        "nodes": (TREE_NODE, ("n_nodes",)),
        "category_sets": (np.uint64, ("n_sets", SET_WORDS)),
        "slopes": (SLOPE, ("n_slopes",)),
        # the tree being grown
        "order": (ROW, ("n_rows",)),
        "buffer": (ROW, ("n_rows",)),
        "payload": (np.int64, ("n_payload",)),  # n_words for each row
        "histograms": (np.int64, ("n_histograms", "n_features", "histogram_width")),
        "leaves": (LEAF, ("n_leaves",)),
        "splits": (SPLIT, ("n_leaves",)),
        "split_sets": (np.uint64, ("n_leaves", SET_WORDS)),
        "counts": (np.int64, (1 + PIECES,)),  # of leaves, and of the pieces so far
        # linear leaves
        "parents": (np.int32, ("n_parents",)),  # of the nodes of a tree
        "moments": (np.int64, ("n_members", "n_linear_leaves", 2, MOMENTS)),
        "system": (np.float64, ("n_members", MOMENTS)),
        "tile": (np.int64, ("n_members", MAX_SLOPES + 3, TILE_ROWS)),  # some rows of a member
        "totals": (np.float64, ("n_members", TILE_ROWS)),
        # one for each member
        "candidates": (SPLIT, ("n_members", 2)),
        "candidate_sets": (np.uint64, ("n_members", 2, SET_WORDS)),
        "block_sums": (np.int64, ("n_members", "block_width")),  # see build_histograms
        "scan_left": (np.int64, ("n_members", 3, N_CODES)),  # see Scratch
        "scan_codes": (CODE, ("n_members", N_CODES)),
        "scan_gains": (np.float32, ("n_members", N_CODES)),
        "scan_keys": (np.float64, ("n_members", N_CODES)),
        "selected": (np.uint8, ("n_members", 2, "n_features")),
        "goes_left": (np.uint8, ("n_members", N_CODES)),
        "left_counts": (np.int64, ("n_members",)),
        "extents": (np.float64, ("n_members", 2)),
    },
    {
        "missing_code": np.int64,  # the last code, common to all features
        "n_kept": np.int64,  # histograms that are kept
        # limits of a tree
        "max_leaf_nodes": np.int64,
        "max_depth": np.int64,
        "min_leaf_units": np.int64,  # see WeightUnits
        "l2_regularization": np.float64,
        "learning_rate": np.float64,
        "n_candidate_features": np.int64,
        "subsample": np.float64,
        "random_thresholds": np.int64,
        "linear_leaves": np.int64,
        "leaf_quantile": np.float64,  # 0 for Newton leaves
        "log_steps": np.int64,  # whether their positive steps v are shortened to log(1 + v)
        "seed": np.uint64,
        # weights as integers, see WeightUnits
        "weight_scale": np.float64,
        "copies": np.int64,
        "largest_bits": np.int64,
        "total_units": np.int64,
        # packing, see Packing; units turn integer sums into gradients, hessians and weights
        "n_words": np.int64,
        "sum_words": np.int64,
        "shift": np.int64,
        "hessian_is_weight": np.int64,
        "gradient_unit": np.float64,
        "hessian_unit": np.float64,
        "weight_unit": np.float64,
    },
)

#: A fitted ensemble as prediction takes it.
ENSEMBLE = Layout(
    "ensemble",
    {
        "nodes": (TREE_NODE, ("n_nodes",)),
        "category_sets": (np.uint64, ("n_sets", SET_WORDS)),
        "slopes": (SLOPE, ("n_slopes",)),
        "starts": (np.int64, (PIECES, "n_starts")),
        "steps": (STEP, ("n_nodes",)),
        "depths": (np.int64, ("n_trees",)),
    },
    {},
)

#: Rows to be predicted.
VALUES = Layout(
    "rows to predict",
    {
        "raw": (np.float64, ("n_rows", "n_features")),  # as at fit, NaN is missing
        "standardized": (STANDARDIZED, ("n_linear_rows", "n_features")),  # for slopes
        "task_codes": (np.int64, ("n_rows",)),  # -1 for none
        "prediction": (np.float64, ("n_outputs", "n_rows")),
        "positions": (np.uint64, (ABREAST,)),
    },
    {},
)


class Packing(NamedTuple):
    """How gradients, hessians and weights are packed into the integers that are summed.

    One word holds ``gradient << shift | weight``, and the hessian is the weight. Of two words
    the first holds the gradient and the second ``hessian << shift | weight``, or the weight
    alone where that is the hessian too (``hessian_is_weight``). Three words hold one each. Words
    are added and subtracted as they are: integer sums are exact, so neither the order of the
    rows nor the number of threads can change a histogram.
    """

    n_words: int
    shift: int
    hessian_is_weight: int


class BinnedFeatures(NamedTuple):
    """Features as bin codes, computed once and shared by all stages.

    The codes are held twice: ``row_codes`` (n_rows, n_features) uint8 for histograms,
    ``column_codes`` (n_features, n_rows) uint8 for moving rows by one feature; either
    alone would cost one of the two several times as much. ``n_bins`` (n_features,) int32
    bins of values in use; ``categorical`` (n_features,) uint8; ``thresholds`` (n_features,
    >= missing_code) float64, the upper edge of each bin, then infinity. ``missing_code``
    is the last code, common to all features. ``standardized`` (n_rows, n_features) int16
    holds the values for linear leaves; it has no rows where there are none.
    """

    row_codes: np.ndarray
    column_codes: np.ndarray
    n_bins: np.ndarray
    categorical: np.ndarray
    thresholds: np.ndarray
    missing_code: int
    standardized: np.ndarray
