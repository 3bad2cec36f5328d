"""Allocation of the memory in which trees are grown."""

import numpy as np

from rmtgb.tree.dtypes import LEAF, ROW, SET_WORDS, SPLIT, TREE_NODE, TreeBuffer, Workspace
from rmtgb.tree.kernels.histograms import TILE

#: Bytes of histograms kept for subtraction; beyond it both children are summed again.
HISTOGRAM_BYTES = 256 * 2**20

#: Rows from which one packed word would leave too few bits for a gradient.
MAX_ONE_WORD_ROWS = 2**24


def n_words_for(constant_hessian, n_rows):
    """Return how many packed words a row needs: 1 where the weight tells the hessian."""
    return 1 if constant_hessian and n_rows <= MAX_ONE_WORD_ROWS else 2


def leaf_limit(max_leaf_nodes, max_depth, min_samples_leaf, total_weight):
    """Return the largest number of leaves a tree can have.

    Parameters
    ----------
    max_leaf_nodes, max_depth : int or None
        None means no limit.
    min_samples_leaf : float
        Smallest weight of a leaf.
    total_weight : float
        Weight of all rows.
    """
    limit = max(1, int(total_weight / min_samples_leaf * (1.0 + 1e-9)))
    if max_depth is not None and max_depth < 31:
        limit = min(limit, 2**max_depth)
    return limit if max_leaf_nodes is None else min(limit, max_leaf_nodes)


def make_workspace(n_rows, n_features, n_codes, n_words, n_leaves, team):
    """Allocate a workspace.

    Parameters
    ----------
    n_rows, n_features, n_codes : int
        Size of the binned features, the code of missing values included.
    n_words : int
        Packed words per row, 1 or 2.
    n_leaves : int
        Largest number of leaves of a tree.
    team : Team
        Who will work in it.

    Returns
    -------
    Workspace
    """
    members, row_words = team.n_members, n_codes * n_words
    n_partial = 2 * members if n_features < TILE * members else 2
    slots = max(1, min(n_leaves, HISTOGRAM_BYTES // (8 * n_features * row_words)))
    return Workspace(
        order=np.empty(n_rows, ROW),
        buffer=np.empty(n_rows, ROW),
        payload=np.empty(n_rows * n_words, np.int64),
        node_payload=np.empty(n_rows * n_words, np.int64),
        histograms=np.empty((slots + n_partial, n_features, row_words), np.int64),
        n_slots=slots,
        leaves=np.zeros(n_leaves, LEAF),
        splits=np.zeros(n_leaves, SPLIT),
        split_sets=np.zeros((n_leaves, SET_WORDS), np.uint64),
        candidates=np.zeros((members, 2), SPLIT),
        candidate_sets=np.zeros((members, 2, SET_WORDS), np.uint64),
        sort_keys=np.empty((members, n_codes)),
        sorted_codes=np.empty((members, n_codes), np.int64),
        selected=np.empty((members, 2, n_features), np.uint8),
        goes_left=np.empty((members, 256), np.uint8),
        left_counts=np.zeros(members, np.int64),
        extents=np.zeros((members, 2)),
        sizes=np.zeros(3, np.int64),
        arrivals=team.arrivals,
    )


def make_tree_buffer(n_outputs, n_leaves):
    """Allocate room for one tree per output.

    Parameters
    ----------
    n_outputs : int
        Number of trees.
    n_leaves : int
        Largest number of leaves of a tree.

    Returns
    -------
    TreeBuffer
    """
    return TreeBuffer(
        nodes=np.zeros((n_outputs, 2 * n_leaves - 1), TREE_NODE),
        category_sets=np.zeros((n_outputs, max(1, n_leaves - 1), SET_WORDS), np.uint64),
        sizes=np.zeros((n_outputs, 2), np.int32),
    )
