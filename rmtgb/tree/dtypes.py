"""The records and small integer types of the tree core, each with its reason."""

from typing import NamedTuple

import numpy as np

#: Bin codes. One byte, so a feature has at most 255 bins of values and one of missing.
CODE = np.uint8
MAX_BINS = 255

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
        ("missing_left", np.uint8),
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


class GrowthParams(NamedTuple):
    """The limits of one tree, as scalars a kernel can take."""

    max_leaf_nodes: int
    max_depth: int
    min_samples_leaf: float
    l2_regularization: float
    learning_rate: float
    n_candidate_features: int
    subsample: float


class BinnedView(NamedTuple):
    """Binned features as kernels see them.

    The codes are held twice: ``row_codes`` (n_rows, n_features) uint8 for histograms,
    ``column_codes`` (n_features, n_rows) uint8 for moving rows by one feature; either
    alone would cost one of the two several times as much. ``n_bins`` (n_features,) bins
    of values in use; ``categorical`` (n_features,) uint8; ``thresholds`` (n_features,
    >= n_codes - 1) float64, the upper edge of each bin, then infinity. ``missing_code``
    is the last code, common to all features.
    """

    row_codes: np.ndarray
    column_codes: np.ndarray
    n_bins: np.ndarray
    categorical: np.ndarray
    thresholds: np.ndarray
    missing_code: int


class Workspace(NamedTuple):
    """All memory that growing a tree needs, allocated once.

    Shapes, with n rows, F features, W words, C codes, M members, S slots, L leaves:
    ``order`` and ``buffer`` (n,) uint32; ``payload`` and ``node_payload`` (n * W,)
    int64; ``histograms`` (S + 2 M, F, C * W) int64: those kept, two that are not kept,
    two for the sums of each further member; ``n_slots`` is S;
    ``leaves`` (L,) LEAF; ``splits`` (L,) SPLIT; ``split_sets`` (L, 4) uint64;
    ``candidates`` (M, 2) SPLIT; ``candidate_sets`` (M, 2, 4) uint64; ``sort_keys``
    (M, C) float64; ``sorted_codes`` (M, C) int64; ``selected`` (M, 2, F) uint8; ``goes_left`` (M, 256) uint8;
    ``left_counts`` (M,) int64; ``extents`` (M, 2) float64; ``sizes`` (3,) int64: leaves,
    nodes and category sets of the tree so far; ``arrivals`` (1,) int64, the barrier.
    """

    order: np.ndarray
    buffer: np.ndarray
    payload: np.ndarray
    node_payload: np.ndarray
    histograms: np.ndarray
    n_slots: int
    leaves: np.ndarray
    splits: np.ndarray
    split_sets: np.ndarray
    candidates: np.ndarray
    candidate_sets: np.ndarray
    sort_keys: np.ndarray
    sorted_codes: np.ndarray
    selected: np.ndarray
    goes_left: np.ndarray
    left_counts: np.ndarray
    extents: np.ndarray
    sizes: np.ndarray
    arrivals: np.ndarray


class RowInfo(NamedTuple):
    """What kernels know of the rows besides their features.

    ``weight`` (n_rows,) float64 sample weights; ``task_codes`` (n_rows,) int32;
    ``weight_scale`` turns weights into the integers that are summed (1 when they are
    integers already) and ``weight_bits`` is the length of their total.
    """

    weight: np.ndarray
    task_codes: np.ndarray
    weight_scale: float
    weight_bits: int


class TreeJob(NamedTuple):
    """One member's view of the growth of one tree, so that it travels as one argument."""

    member: int
    n_members: int
    seed: np.uint64
    binned: BinnedView
    params: GrowthParams
    packing: Packing
    workspace: Workspace
    nodes: np.ndarray
    category_sets: np.ndarray


class TreeBuffer(NamedTuple):
    """The trees of one round, one per output.

    ``nodes`` (K, N) TREE_NODE, ``category_sets`` (K, S, 4) uint64, and ``sizes`` (K, 2)
    int32: how many nodes and sets each tree has.
    """

    nodes: np.ndarray
    category_sets: np.ndarray
    sizes: np.ndarray
