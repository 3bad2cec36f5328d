"""A job: the memory in which a team boosts, and each member's record of it."""

import numpy as np

from rmtgb.tree.dtypes import JOB, JOB_ARRAYS
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
        ``n_rows``, ``n_features``, ``n_outputs``, ``n_words``, ``n_tasks``,
        ``missing_code`` (the largest one to be expected), ``n_leaves`` (of a tree), and
        those of ``JOB_SIZES`` that neither follow from these nor from arrays that are given
        and are not zero.
    fields : dict of str to int or float
        Further fields of the records: the loss, the limits of trees, and so on.
    arrays : dict of str to ndarray
        Arrays that exist already. All others of ``JOB_ARRAYS`` are allocated.
    team : Team
        Who will work on it.

    Attributes
    ----------
    records : ndarray of JOB of shape (n_members,)
        One for each member. They hold addresses: keep the job as long as they are used.
    arrays : dict of str to ndarray
        All arrays.
    """

    def __init__(self, sizes, fields, arrays, team):
        members, row_words = team.n_members, (sizes["missing_code"] + 1) * sizes["n_words"]
        kept = HISTOGRAM_BYTES // (8 * max(1, sizes["n_features"]) * row_words)
        n_slots = max(1, min(sizes["n_leaves"], kept))
        n_partial = 2 * members if sizes["n_features"] < TILE * members else 2
        sizes = {
            **sizes,
            "n_members": members,
            "n_payload": sizes["n_rows"] * sizes["n_words"],
            "row_words": row_words,
            "n_slots": n_slots,
            "n_histograms": n_slots + n_partial,
        }
        arrays = {"arrivals": team.arrivals, **arrays}
        sizes = _sizes_of(arrays) | sizes
        for name, (dtype, shape) in JOB_ARRAYS.items():
            if name not in arrays:
                arrays[name] = np.empty(
                    [n if isinstance(n, int) else sizes.get(n, 0) for n in shape], dtype
                )
        self.arrays = arrays
        self.records = make_records(members, arrays, fields | sizes)


def make_records(n_members, arrays, fields):
    """Write addresses of arrays, their sizes, and other fields into records.

    Parameters
    ----------
    n_members : int
        How many records.
    arrays : dict of str to ndarray
        Some of ``JOB_ARRAYS``. Keep them as long as the records are used.
    fields : dict of str to int or float

    Returns
    -------
    ndarray of JOB of shape (n_members,)

    Raises
    ------
    TypeError
        If an array has another dtype or order than kernels expect.
    """
    record = np.zeros((), JOB)
    for name, array in arrays.items():
        dtype, _ = JOB_ARRAYS[name]
        if array.dtype != dtype or not array.flags.c_contiguous:
            raise TypeError(f"{name} must be a C-ordered array of {np.dtype(dtype)}.")
        record[name] = array.ctypes.data
    for name, value in (_sizes_of(arrays) | fields).items():
        record[name] = value
    records = np.repeat(record, n_members)
    records["member"] = np.arange(n_members)
    return records


def _sizes_of(arrays):
    """Return the sizes that the shapes of arrays tell."""
    return {
        size: length
        for name, array in arrays.items()
        for size, length in zip(JOB_ARRAYS[name][1], array.shape, strict=True)
        if isinstance(size, str)
    }
