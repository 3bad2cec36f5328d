"""Places for trees in a store, as kernels open and close them."""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner
from rmtgb.engine.record import array_of
from rmtgb.tree.kernels.growth import N_NODES, N_SETS, N_SLOPES
from rmtgb.tree.records import SET_WORDS, SLOPE, TREE_NODE

_NODE_BYTES = np.uint64(TREE_NODE.itemsize)
_SET_BYTES = np.uint64(8 * SET_WORDS)
_SLOPE_BYTES = np.uint64(SLOPE.itemsize)


@inner
def open_place(store: Any, ensemble: Int, tree: Int, grow: Any) -> None:
    """Let a grower write its next tree where a tree of an ensemble belongs.

    Parameters
    ----------
    store : STORE record
    ensemble, tree : Int
        Which ensemble, and which of its trees in the store.
    grow : GROW record
        ``nodes``, ``category_sets``, ``slopes``, their sizes and ``max_leaf_nodes`` are OUT.
    """
    starts = array_of(store, "place_starts")[ensemble]
    widths = array_of(store, "place_widths")[ensemble]
    grow["n_nodes"], grow["n_sets"], grow["n_slopes"] = widths[0], widths[1], widths[2]
    grow["nodes"] = store["nodes"] + np.uint64(starts[0] + tree * widths[0]) * _NODE_BYTES
    grow["category_sets"] = (
        store["category_sets"] + np.uint64(starts[1] + tree * widths[1]) * _SET_BYTES
    )
    grow["slopes"] = store["slopes"] + np.uint64(starts[2] + tree * widths[2]) * _SLOPE_BYTES
    grow["max_leaf_nodes"] = array_of(store, "leaf_limits")[ensemble]


@inner
def close_place(store: Any, ensemble: Int, tree: Int, grow: Any) -> None:
    """Note the size of the tree that a grower has written; called by one member."""
    counts = array_of(grow, "counts")
    sizes = array_of(store, "tree_sizes")[array_of(store, "first_trees")[ensemble] + tree]
    sizes[0], sizes[1], sizes[2] = counts[N_NODES], counts[N_SETS], counts[N_SLOPES]
