"""Fitted trees, stored one after another."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmtgb.tree.dtypes import SET_WORDS, STEP, TREE_NODE
from rmtgb.tree.kernels.traversal import ABREAST, add_task_trees, add_trees, fill_steps


@dataclass(frozen=True)
class Ensemble:
    """A sequence of trees; with several outputs, one tree per output and round.

    Attributes
    ----------
    nodes : ndarray of TREE_NODE
        The nodes of all trees; links are positions within their tree.
    category_sets : ndarray of uint64 of shape (n_sets, 4)
        Sets of categories that go left.
    tree_starts, set_starts : ndarray of int64 of shape (n_trees + 1,)
        Where the nodes and the sets of each tree start.
    n_outputs : int
        Trees per round; tree j belongs to output ``j % n_outputs``.
    """

    nodes: np.ndarray
    category_sets: np.ndarray
    tree_starts: np.ndarray
    set_starts: np.ndarray
    n_outputs: int

    @classmethod
    def empty(cls, n_outputs):
        """Return an ensemble without trees."""
        start = np.zeros(1, np.int64)
        return cls(
            np.empty(0, TREE_NODE), np.empty((0, SET_WORDS), np.uint64), start, start, n_outputs
        )

    @classmethod
    def gather(cls, nodes, category_sets, node_starts, set_starts, sizes, n_outputs):
        """Return an ensemble of trees that lie anywhere in two arrays.

        Parameters
        ----------
        nodes : ndarray of TREE_NODE
        category_sets : ndarray of uint64 of shape (n_sets, 4)
        node_starts, set_starts : ndarray of int64 of shape (n_trees,)
            Where the nodes and the sets of each tree start.
        sizes : ndarray of int of shape (n_trees, 2)
            How many nodes and sets each tree has.
        n_outputs : int
            Trees per round.
        """
        kept_nodes, tree_starts = _gather(nodes, node_starts, sizes[:, 0])
        kept_sets, kept_set_starts = _gather(category_sets, set_starts, sizes[:, 1])
        return cls(kept_nodes, kept_sets, tree_starts, kept_set_starts, n_outputs)

    @classmethod
    def joined(cls, ensembles):
        """Return one ensemble of the trees of several, one after another."""
        return cls(
            np.concatenate([e.nodes for e in ensembles]),
            np.concatenate([e.category_sets for e in ensembles]),
            _joined_starts([e.tree_starts for e in ensembles]),
            _joined_starts([e.set_starts for e in ensembles]),
            ensembles[0].n_outputs,
        )

    @property
    def n_trees(self):
        """Number of trees."""
        return self.tree_starts.size - 1

    @property
    def n_rounds(self):
        """Number of rounds."""
        return self.n_trees // self.n_outputs

    @cached_property
    def arrays(self):
        """The arrays in the order in which kernels take them, with steps and depths."""
        steps, depths = np.empty(self.nodes.size, STEP), np.empty(self.n_trees, np.int64)
        fill_steps(self.nodes, self.tree_starts, steps, depths)
        return (
            self.nodes,
            self.category_sets,
            self.tree_starts,
            self.set_starts,
            steps,
            depths,
        )

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "arrays"}

    def add_to(self, prediction, X, first_round=0, stop_round=None):
        """Add the prediction of a range of rounds.

        Parameters
        ----------
        prediction : ndarray of float64 of shape (n_outputs, n_rows)
            Added to.
        X : ndarray of float64 of shape (n_rows, n_features), C order
            Values.
        first_round, stop_round : int
            The rounds; all by default.
        """
        stop_round = self.n_rounds if stop_round is None else min(stop_round, self.n_rounds)
        first, stop = first_round * self.n_outputs, stop_round * self.n_outputs
        if first < stop:
            add_trees(X, self.arrays, first, stop, self.n_outputs, _scratch(), prediction)

    def add_ranges_to(self, prediction, X, range_of_row, first, stop):
        """Add the prediction of a range of trees to each row.

        Parameters
        ----------
        prediction : ndarray of float64 of shape (n_outputs, n_rows)
            Added to.
        X : ndarray of float64 of shape (n_rows, n_features), C order
            Values.
        range_of_row : ndarray of int64 of shape (n_rows,)
            Which range, -1 for none. Fastest where rows of a range are together.
        first, stop : ndarray of int64
            The ranges; each begins with a tree of output 0.
        """
        add_task_trees(
            X, range_of_row, self.arrays, first, stop, self.n_outputs, _scratch(), prediction
        )

    def take(self, trees):
        """Return an ensemble of some trees, given by an int array in the order wanted."""
        sizes = np.column_stack([np.diff(self.tree_starts), np.diff(self.set_starts)])[trees]
        starts = self.tree_starts[trees], self.set_starts[trees]
        return Ensemble.gather(self.nodes, self.category_sets, *starts, sizes, self.n_outputs)

    def gains(self, n_features):
        """Return the total gain of the splits on each feature, shape (n_features,)."""
        inner = self.nodes["feature"] >= 0
        return np.bincount(
            self.nodes["feature"][inner],
            weights=self.nodes["gain"][inner].astype(np.float64),
            minlength=n_features,
        )


def _scratch():
    return np.empty(int(ABREAST), np.uint64)


def _gather(values, starts, sizes):
    """Return pieces of an array one after another, and where each starts."""
    new_starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    positions = np.arange(new_starts[-1]) + np.repeat(starts - new_starts[:-1], sizes)
    return values[positions], new_starts


def _joined_starts(starts):
    """Return where pieces start that follow one another, from where they start in each part."""
    ends = np.cumsum([0] + [part[-1] for part in starts])
    shifted = [end + part[:-1] for end, part in zip(ends[:-1], starts, strict=True)]
    return np.concatenate([*shifted, ends[-1:]])
