"""The records and small integer types of the tree core, each with its reason."""

from typing import NamedTuple

import numpy as np

#: Bin codes. One byte, so a feature has at most 255 bins of values and one of missing.
CODE = np.uint8

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
        ("gain", np.float32),
        ("weight", np.float32),  # sum of sample weights, what SHAP calls cover
        ("feature", np.int32),
        ("left", np.int32),  # position of the left child in its tree
        ("category_set", np.int32),  # which set of categories goes left, -1: numerical
        ("missing_left", np.uint32),  # 0 or 1; wide, so that no byte of a node is padding
        ("first_slope", np.int32),  # of a leaf: its slopes among those of its tree
        ("n_slopes", np.int32),
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

#: A node as prediction needs it: a third of the memory, for it is memory that is waited for.
STEP = np.dtype(
    [
        ("threshold", np.float64),  # rows with x <= threshold take the left child
        ("feature", np.uint32),  # the highest bit: missing values go right
        ("child", np.uint32),  # position of the left child in its tree; a leaf's is its own
    ],
    align=True,
)

#: The best split found for a leaf. ``left_0`` and ``left_1`` are the packed sums of
#: the left child: exact integers, so that the right child is the difference.
SPLIT = np.dtype(
    [
        ("gain", np.float64),  # -1: none
        ("left_0", np.int64),
        ("left_1", np.int64),
        ("feature", np.int32),
        ("bin", np.int32),
        ("missing_left", np.uint8),
        ("categorical", np.uint8),
    ],
    align=True,
)

#: A leaf of the tree being grown: its rows, as a range of the row order, its packed
#: sums, and where its histogram is kept (-1: nowhere).
LEAF = np.dtype(
    [
        ("start", np.int64),
        ("stop", np.int64),
        ("total_0", np.int64),
        ("total_1", np.int64),
        ("node", np.int32),
        ("depth", np.int32),
        ("slot", np.int32),
        ("open", np.uint8),  # may be split further
    ],
    align=True,
)

#: What trees are made of: nodes, category sets and slopes.
PIECES = 3

#: Rows of linear leaves that are worked on side by side.
TILE_ROWS = 64

#: The kinds of arrays a job refers to: name, dtype, and shape in sizes of the job. What a
#: job has no use for has a size of zero.
JOB_ARRAYS = {
    # the rows
    "row_codes": (CODE, ("n_rows", "n_features")),  # for histograms
    "column_codes": (CODE, ("n_features", "n_rows")),  # for moving rows by one feature
    "standardized": (STANDARDIZED, ("n_linear_rows", "n_features")),  # for linear leaves
    "y": (np.float64, ("n_rows",)),
    "weight": (np.float64, ("n_rows",)),
    "validation_weight": (np.float64, ("n_validation",)),
    "task_codes": (np.int32, ("n_rows",)),
    "offsets": (np.int64, ("n_offsets",)),  # where the rows of each task start
    "raw": (np.float64, ("n_outputs", "n_rows")),
    "gradient": (np.float64, ("n_outputs", "n_rows")),
    "hessian": (np.float64, ("n_outputs", "n_hessians")),  # none where one word holds all
    "scratch": (np.float64, (4, "n_scratch")),  # where leaf quantiles are wanted
    # the features
    "n_bins": (np.int32, ("n_features",)),
    "categorical": (np.uint8, ("n_features",)),
    "thresholds": (np.float64, ("n_features", "threshold_width")),  # upper edges of bins
    # the ensembles that grow together, called sides, and their derivatives by task
    "sides": (np.float64, ("n_sides", "n_outputs", "n_rows")),
    "coefficient": (np.float64, ("n_sides", "n_tasks")),
    # the trees of all ensembles, each of which has slots of equal size
    "nodes": (TREE_NODE, ("n_nodes",)),
    "category_sets": (np.uint64, ("n_sets", SET_WORDS)),
    "slopes": (SLOPE, ("n_slopes",)),
    "slot_starts": (np.int64, ("n_ensembles", PIECES)),
    "slot_widths": (np.int64, ("n_ensembles", PIECES)),
    "bin_limits": (np.int64, ("n_ensembles",)),  # of bins that a task makes for itself
    "former_rounds": (np.int64, ("n_ensembles",)),  # made by an earlier fit
    "tree_sizes": (np.int32, ("n_ensembles", "n_trees", PIECES)),
    # what is watched: sums of the loss over training and over validation rows
    "losses": (np.float64, ("n_ensembles", "n_losses", 2)),
    "task_losses": (np.float64, ("n_tasks", 2)),
    "best_raw": (np.float64, ("n_outputs", "n_watched")),
    # the outlier gate
    "theta": (np.float64, ("n_gate_tasks",)),
    "theta_start": (np.float64, ("n_gate_tasks",)),
    "theta_sums": (np.float64, ("n_gate_tasks", 4)),
    "outlier_weight": (np.float64, ("n_gate_tasks",)),
    "offset": (np.float64, ("n_outputs", "n_gate_rows")),  # raw prediction without the sides
    # tasks that are worked on one after another
    "queue": (np.int64, (1,)),  # position of the next one
    "queued_tasks": (np.int64, ("n_queued",)),
    "task_bins": (np.uint8, ("n_rebinned", 256)),  # the task's own bin of each code
    # the tree being grown
    "order": (ROW, ("n_rows",)),
    "buffer": (ROW, ("n_rows",)),
    "payload": (np.int64, ("n_payload",)),  # n_words for each row
    "histograms": (np.int64, ("n_histograms", "n_features", "row_words")),
    "leaves": (LEAF, ("n_leaves",)),
    "splits": (SPLIT, ("n_leaves",)),
    "split_sets": (np.uint64, ("n_leaves", SET_WORDS)),
    "counts": (np.int64, (1 + PIECES,)),  # of leaves, and of the pieces so far
    # linear leaves
    "parents": (np.int32, ("n_parents",)),  # of the nodes of a tree
    "moments": (np.int64, ("n_members", "n_linear_leaves", MOMENTS)),
    "system": (np.float64, ("n_members", MOMENTS)),
    "tile": (np.int64, ("n_members", MAX_SLOPES + 3, TILE_ROWS)),  # some rows of a member
    "totals": (np.float64, ("n_members", TILE_ROWS)),
    # one for each member
    "candidates": (SPLIT, ("n_members", 2)),
    "candidate_sets": (np.uint64, ("n_members", 2, SET_WORDS)),
    "scan_left": (np.int64, ("n_members", 2, 256)),  # see Scratch
    "scan_codes": (CODE, ("n_members", 256)),
    "scan_gains": (np.float32, ("n_members", 256)),
    "scan_keys": (np.float64, ("n_members", 256)),
    "selected": (np.uint8, ("n_members", 2, "n_features")),
    "goes_left": (np.uint8, ("n_members", 256)),
    "left_counts": (np.int64, ("n_members",)),
    "extents": (np.float64, ("n_members", 2)),
    "arrivals": (np.int64, (1,)),  # the barrier
}

#: The sizes that occur above.
JOB_SIZES = tuple(
    dict.fromkeys(n for _, shape in JOB_ARRAYS.values() for n in shape if isinstance(n, str))
)

#: All that one member of a team knows while it boosts. Kernels take it as their one
#: argument and find arrays through the addresses in it: passed one by one, fifty
#: arrays take Numba three times as long to compile and ten times as long to unpack.
JOB = np.dtype(
    [
        *((name, np.uint64) for name in JOB_ARRAYS),
        *((name, np.int64) for name in JOB_SIZES),
        ("member", np.int64),
        ("missing_code", np.int64),  # the last code, common to all features
        ("n_slots", np.int64),  # histograms that are kept
        # the loss
        ("loss", np.int64),
        ("loss_parameter", np.float64),
        ("leaf_quantile", np.float64),  # 0 for Newton leaves
        # limits of a tree
        ("max_leaf_nodes", np.int64),
        ("max_depth", np.int64),
        ("min_samples_leaf", np.float64),
        ("l2_regularization", np.float64),
        ("learning_rate", np.float64),
        ("n_candidate_features", np.int64),
        ("subsample", np.float64),
        ("random_thresholds", np.int64),
        ("linear_leaves", np.int64),
        # packing; see Packing
        ("n_words", np.int64),
        ("shift", np.int64),
        ("gradient_unit", np.float64),
        ("hessian_unit", np.float64),
        ("weight_unit", np.float64),
        ("weight_scale", np.float64),  # turns weights into the integers that are summed
        ("weight_bits", np.int64),  # length of their total
        # the rounds of one call
        ("stage_seed", np.uint64),
        ("seed", np.uint64),  # of a tree
        ("first_round", np.int64),  # rounds that this fit has made before
        ("n_rounds", np.int64),  # rounds to be made
        ("rounds_done", np.int64),  # first_round, and those made
        ("partition_regularization", np.float64),
        # stopping; patience 0: no stopping
        ("patience", np.int64),
        ("tolerance", np.float64),
        ("best_round", np.int64),
        ("best_loss", np.float64),
        ("stopped", np.int64),
    ],
    align=True,
)


class Packing(NamedTuple):
    """How sums of gradients, hessians and weights are packed into integers.

    With one word it holds ``gradient << shift | weight`` and the hessian is
    proportional to the weight; with two words the first holds the gradient and the
    second ``hessian << shift | weight``. Packed words are added and subtracted as
    they are: integer sums are exact, so neither the order of the rows nor the number
    of threads can change a histogram.
    """

    n_words: int
    shift: int
    gradient_unit: float
    hessian_unit: float
    weight_unit: float


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
