"""Fitted trees, stored one after another."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rmtgb.tree.dtypes import PIECES, SET_WORDS, SLOPE, STEP, TREE_NODE
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
    slopes : ndarray of SLOPE
        Slopes of linear leaves.
    starts : ndarray of int64 of shape (3, n_trees + 1)
        Where these three pieces of each tree start.
    n_outputs : int
        Trees per round; tree j belongs to output ``j % n_outputs``.
    """

    nodes: np.ndarray
    category_sets: np.ndarray
    slopes: np.ndarray
    starts: np.ndarray
    n_outputs: int

    @classmethod
    def empty(cls, n_outputs):
        """Return an ensemble without trees."""
        pieces = np.empty(0, TREE_NODE), np.empty((0, SET_WORDS), np.uint64), np.empty(0, SLOPE)
        return cls(*pieces, np.zeros((PIECES, 1), np.int64), n_outputs)

    @classmethod
    def gather(cls, pieces, starts, sizes, n_outputs):
        """Return an ensemble of trees that lie anywhere in three arrays.

        Parameters
        ----------
        pieces : tuple of ndarray
            Nodes, category sets and slopes.
        starts, sizes : ndarray of int of shape (3, n_trees)
            Where the pieces of each tree start, and how many there are.
        n_outputs : int
            Trees per round.
        """
        gathered = [_gather(*piece) for piece in zip(pieces, starts, sizes, strict=True)]
        kept, kept_starts = zip(*gathered, strict=True)
        return cls(*kept, np.stack(kept_starts), n_outputs)

    @classmethod
    def joined(cls, ensembles):
        """Return one ensemble of the trees of several, one after another."""
        pieces = map(np.concatenate, zip(*(e.pieces for e in ensembles), strict=True))
        starts = _joined_starts([e.starts for e in ensembles])
        return cls(*pieces, starts, ensembles[0].n_outputs)

    @property
    def pieces(self):
        """Nodes, category sets and slopes."""
        return self.nodes, self.category_sets, self.slopes

    @property
    def tree_starts(self):
        """Where the nodes of each tree start, shape (n_trees + 1,)."""
        return self.starts[0]

    @property
    def n_trees(self):
        """Number of trees."""
        return self.starts.shape[1] - 1

    @property
    def n_rounds(self):
        """Number of rounds."""
        return self.n_trees // self.n_outputs

    @cached_property
    def arrays(self):
        """The arrays in the order in which kernels take them, with steps and depths."""
        steps, depths = np.empty(self.nodes.size, STEP), np.empty(self.n_trees, np.int64)
        fill_steps(self.nodes, self.tree_starts, steps, depths)
        return *self.pieces, self.starts, steps, depths

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name != "arrays"}

    def add_to(self, prediction, values, first_round=0, stop_round=None):
        """Add the prediction of a range of rounds.

        Parameters
        ----------
        prediction : ndarray of float64 of shape (n_outputs, n_rows)
            Added to.
        values : Values
            The rows.
        first_round, stop_round : int
            The rounds; all by default.
        """
        stop_round = self.n_rounds if stop_round is None else min(stop_round, self.n_rounds)
        first, stop = first_round * self.n_outputs, stop_round * self.n_outputs
        if first < stop:
            add_trees(*values, self.arrays, first, stop, self.n_outputs, _scratch(), prediction)

    def add_ranges_to(self, prediction, values, range_of_row, first, stop):
        """Add the prediction of a range of trees to each row.

        Parameters
        ----------
        prediction : ndarray of float64 of shape (n_outputs, n_rows)
            Added to.
        values : Values
            The rows.
        range_of_row : ndarray of int64 of shape (n_rows,)
            Which range, -1 for none. Fastest where rows of a range are together.
        first, stop : ndarray of int64
            The ranges; each begins with a tree of output 0.
        """
        add_task_trees(
            *values, range_of_row, self.arrays, first, stop, self.n_outputs, _scratch(), prediction
        )

    def take(self, trees):
        """Return an ensemble of some trees, given by an int array in the order wanted."""
        starts, sizes = self.starts[:, trees], np.diff(self.starts)[:, trees]
        return Ensemble.gather(self.pieces, starts, sizes, self.n_outputs)

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
    end, shifted = np.zeros((starts[0].shape[0], 1), np.int64), []
    for part in starts:
        shifted.append(end + part[:, :-1])
        end = end + part[:, -1:]
    return np.concatenate([*shifted, end], axis=1)
