"""Fitted trees, stored one after another."""

from dataclasses import dataclass

import numpy as np

from rmtgb.tree.dtypes import SET_WORDS, TREE_NODE
from rmtgb.tree.kernels.traversal import add_trees


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
        return EnsembleBuilder(n_outputs).build()

    @property
    def n_trees(self):
        """Number of trees."""
        return self.tree_starts.size - 1

    @property
    def n_rounds(self):
        """Number of rounds."""
        return self.n_trees // self.n_outputs

    @property
    def arrays(self):
        """The arrays in the order in which kernels take them."""
        return self.nodes, self.category_sets, self.tree_starts, self.set_starts

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
            add_trees(X, *self.arrays, first, stop, self.n_outputs, prediction)

    def first_rounds(self, n_rounds):
        """Return an ensemble of the first rounds only."""
        n_trees = min(n_rounds, self.n_rounds) * self.n_outputs
        return Ensemble(
            self.nodes[: self.tree_starts[n_trees]],
            self.category_sets[: self.set_starts[n_trees]],
            self.tree_starts[: n_trees + 1],
            self.set_starts[: n_trees + 1],
            self.n_outputs,
        )

    def followed_by(self, other):
        """Return an ensemble of these trees, and then those of another ensemble."""
        return Ensemble(
            np.concatenate([self.nodes, other.nodes]),
            np.concatenate([self.category_sets, other.category_sets]),
            np.concatenate([self.tree_starts, self.tree_starts[-1] + other.tree_starts[1:]]),
            np.concatenate([self.set_starts, self.set_starts[-1] + other.set_starts[1:]]),
            self.n_outputs,
        )

    def take(self, trees):
        """Return an ensemble of some trees, given by an int array in the order wanted."""
        nodes, tree_starts = _take_pieces(self.nodes, self.tree_starts, trees)
        sets, set_starts = _take_pieces(self.category_sets, self.set_starts, trees)
        return Ensemble(nodes, sets, tree_starts, set_starts, self.n_outputs)

    def gains(self, n_features):
        """Return the total gain of the splits on each feature, shape (n_features,)."""
        inner = self.nodes["feature"] >= 0
        return np.bincount(
            self.nodes["feature"][inner],
            weights=self.nodes["gain"][inner].astype(np.float64),
            minlength=n_features,
        )


class EnsembleBuilder:
    """Collects the trees of consecutive rounds.

    Parameters
    ----------
    n_outputs : int
        Trees per round.
    """

    def __init__(self, n_outputs):
        self.n_outputs = n_outputs
        self._nodes = []
        self._sets = []

    def append(self, buffer):
        """Copy the trees of one round out of a TreeBuffer."""
        for output, (n_nodes, n_sets) in enumerate(buffer.sizes):
            self._nodes.append(buffer.nodes[output, :n_nodes].copy())
            self._sets.append(buffer.category_sets[output, :n_sets].copy())

    def build(self):
        """Return the Ensemble of all rounds so far."""
        return Ensemble(
            np.concatenate([np.empty(0, TREE_NODE), *self._nodes]),
            np.concatenate([np.empty((0, SET_WORDS), np.uint64), *self._sets]),
            _starts(self._nodes),
            _starts(self._sets),
            self.n_outputs,
        )


def _take_pieces(values, starts, chosen):
    """Return chosen pieces of an array one after another, and where each starts."""
    sizes = np.diff(starts)[chosen]
    new_starts = np.concatenate([[0], np.cumsum(sizes)])
    shift = np.repeat(starts[chosen] - new_starts[:-1], sizes)
    return values[np.arange(new_starts[-1]) + shift], new_starts


def _starts(pieces):
    return np.cumsum([0] + [len(piece) for piece in pieces], dtype=np.int64)
