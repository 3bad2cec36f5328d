"""Where kernels leave trees until it is known which of them are kept."""

import numpy as np

from rmtgb.tree.dtypes import MAX_SLOPES, PIECES, SET_WORDS, SLOPE, TREE_NODE
from rmtgb.tree.ensemble import Ensemble


class TreeSlots:
    """Room for the trees of some ensembles; the slots of an ensemble are equally large.

    Parameters
    ----------
    n_leaves : ndarray of int64 of shape (n_ensembles,)
        Leaves for which a tree of each ensemble has room.
    n_trees : int
        Trees of each ensemble.
    linear_leaves : bool
        Whether there is room for slopes.

    Attributes
    ----------
    arrays : dict of str to ndarray
        The slots as arrays of a job.
    """

    def __init__(self, n_leaves, n_trees, linear_leaves):
        slopes = n_leaves * np.minimum(n_leaves - 1, MAX_SLOPES) if linear_leaves else 0 * n_leaves
        widths = np.stack([2 * n_leaves - 1, np.maximum(1, n_leaves - 1), slopes], axis=1)
        ends = np.cumsum(n_trees * widths, axis=0)
        n_nodes, n_sets, n_slopes = ends[-1]
        self.arrays = {
            "nodes": np.empty(n_nodes, TREE_NODE),
            "category_sets": np.empty((n_sets, SET_WORDS), np.uint64),
            "slopes": np.empty(n_slopes, SLOPE),
            "slot_starts": ends - n_trees * widths,
            "slot_widths": widths,
            "tree_sizes": np.zeros((n_leaves.size, n_trees, PIECES), np.int32),
        }

    def gather(self, ensemble, tree, n_outputs):
        """Return an Ensemble of the trees in some slots.

        Parameters
        ----------
        ensemble, tree : ndarray of int64 of shape (n,)
            Which ensemble, and which of its trees.
        n_outputs : int
            Trees per round.
        """
        arrays = self.arrays
        starts = arrays["slot_starts"][ensemble] + tree[:, None] * arrays["slot_widths"][ensemble]
        sizes = arrays["tree_sizes"][ensemble, tree]
        pieces = arrays["nodes"], arrays["category_sets"], arrays["slopes"]
        return Ensemble.gather(pieces, starts.T, sizes.T, n_outputs)
