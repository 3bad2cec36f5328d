"""A job: the memory in which a team boosts, and each member's record of it."""

import numpy as np

from rmtgb.tree.dtypes import JOB, JOB_ARRAYS, SET_WORDS, TREE_NODE, TreeBuffer
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


class Job:
    """Memory for boosting some rows, and the records through which kernels find it.

    Parameters
    ----------
    sizes : dict of str to int
        ``n_rows``, ``n_features``, ``n_outputs``, ``n_words``, ``missing_code`` (the
        largest one to be expected) and ``n_leaves`` (of a tree).
    scalars : dict of str to int or float
        Further fields of the records: the loss, and the limits of trees.
    arrays : dict of str to ndarray
        Arrays of the rows and features that exist already. All others of ``JOB_ARRAYS``
        are allocated.
    team : Team
        Who will work on it.

    Attributes
    ----------
    records : ndarray of JOB of shape (n_members,)
        One for each member. They hold addresses: keep the job as long as they are used.
    arrays : dict of str to ndarray
        All arrays.
    """

    def __init__(self, sizes, scalars, arrays, team):
        members, row_words = team.n_members, (sizes["missing_code"] + 1) * sizes["n_words"]
        kept = HISTOGRAM_BYTES // (8 * max(1, sizes["n_features"]) * row_words)
        n_slots = max(1, min(sizes["n_leaves"], kept))
        n_partial = 2 * members if sizes["n_features"] < TILE * members else 2
        self.sizes = {
            **sizes,
            "n_members": members,
            "n_payload": sizes["n_rows"] * sizes["n_words"],
            "row_words": row_words,
            "n_slots": n_slots,
            "n_histograms": n_slots + n_partial,
        }
        self.arrays = {"arrivals": team.arrivals, **arrays}
        self.sizes["threshold_width"] = self.arrays["thresholds"].shape[1]
        for name, (dtype, shape) in JOB_ARRAYS.items():
            if name not in self.arrays:
                self.arrays[name] = np.empty([self.sizes.get(n, n) for n in shape], dtype)
        self.records = np.zeros(members, JOB)
        for name, value in (self.sizes | scalars).items():
            self.records[name] = value
        for name, (dtype, _) in JOB_ARRAYS.items():
            array = self.arrays[name]
            if array.dtype != dtype or not array.flags.c_contiguous:
                raise TypeError(f"{name} must be a C-ordered array of {dtype}.")
            self.records[name] = array.ctypes.data
        self.records["member"] = np.arange(members)


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
