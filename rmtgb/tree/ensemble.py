"""Fitted trees, stored one after another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.record import Array, Record
from rmtgb.tree.kernels.traversal import add_trees, fill_steps
from rmtgb.tree.records import ENSEMBLE, PIECES, SET_WORDS, SLOPE, STANDARDIZED, TREE_NODE, VALUES


class RowsToPredict:
    """Rows as trees take them, and the prediction that trees are added to.

    Parameters
    ----------
    raw : ndarray of float64 of shape (n_rows, n_features)
        Values as at fit, NaN is missing.
    standardized : ndarray of int16 of shape (n_rows, n_features) or None
        The same, standardised; None where no tree has slopes.
    n_outputs : int
        Raw predictions per row.
    task_codes : ndarray of int64 of shape (n_rows,), optional
        Task of each row, -1 for none.

    Attributes
    ----------
    prediction : ndarray of float64 of shape (n_outputs, n_rows)
        At first zero.
    """

    def __init__(
        self,
        raw: FloatArray,
        standardized: NDArray[np.int16] | None,
        n_outputs: int,
        task_codes: IntArray | None = None,
    ) -> None:
        if standardized is None:
            standardized = np.empty((0, raw.shape[1]), STANDARDIZED)
        codes = np.zeros(raw.shape[0], np.int64) if task_codes is None else task_codes
        arrays: dict[str, Array] = {
            "raw": np.ascontiguousarray(raw, dtype=np.float64),
            "standardized": standardized,
            "task_codes": np.ascontiguousarray(codes),
        }
        self.record = Record(VALUES, None, arrays, {"n_outputs": n_outputs})
        self.prediction = self.record.arrays["prediction"]
        self.prediction[...] = 0.0


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

    nodes: Array
    category_sets: Array
    slopes: Array
    starts: IntArray
    n_outputs: int

    @classmethod
    def empty(cls, n_outputs: int) -> Ensemble:
        """Return an ensemble without trees."""
        pieces = np.empty(0, TREE_NODE), np.empty((0, SET_WORDS), np.uint64), np.empty(0, SLOPE)
        return cls(*pieces, np.zeros((PIECES, 1), np.int64), n_outputs)

    @classmethod
    def gather(
        cls, pieces: Sequence[Array], starts: Array, sizes: Array, n_outputs: int
    ) -> Ensemble:
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
        nodes, category_sets, slopes = (kept for kept, _ in gathered)
        new_starts = np.stack([kept_starts for _, kept_starts in gathered])
        return cls(nodes, category_sets, slopes, new_starts, n_outputs)

    @classmethod
    def joined(cls, ensembles: Sequence[Ensemble]) -> Ensemble:
        """Return one ensemble of the trees of several, one after another."""
        nodes, category_sets, slopes = (
            np.concatenate(piece) for piece in zip(*(e.pieces for e in ensembles), strict=True)
        )
        starts = _joined_starts([e.starts for e in ensembles])
        return cls(nodes, category_sets, slopes, starts, ensembles[0].n_outputs)

    @property
    def pieces(self) -> tuple[Array, Array, Array]:
        """Nodes, category sets and slopes."""
        return self.nodes, self.category_sets, self.slopes

    @property
    def tree_starts(self) -> IntArray:
        """Where the nodes of each tree start, shape (n_trees + 1,)."""
        return self.starts[0]

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return self.starts.shape[1] - 1

    @property
    def n_rounds(self) -> int:
        """Number of rounds."""
        return self.n_trees // self.n_outputs

    @cached_property
    def record(self) -> Record:
        """The ensemble as kernels take it, with steps and depths."""
        arrays = dict(zip(("nodes", "category_sets", "slopes"), self.pieces, strict=True))
        arrays["starts"] = np.ascontiguousarray(self.starts)
        record = Record(ENSEMBLE, None, arrays, {"n_trees": self.n_trees})
        fill_steps(record.members)
        record.check_guards()
        return record

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "record"}

    def add_to(
        self, rows: RowsToPredict, first_round: int = 0, stop_round: int | None = None
    ) -> None:
        """Add a range of rounds, all by default, to the prediction of rows."""
        stop_round = self.n_rounds if stop_round is None else min(stop_round, self.n_rounds)
        if first_round < stop_round:
            first, stop = (np.array([r * self.n_outputs]) for r in (first_round, stop_round))
            self._add(rows, first, stop, by_task=False)

    def add_ranges_to(self, rows: RowsToPredict, first: Array, stop: Array) -> None:
        """Add a range of trees to the prediction of the rows of each task.

        Parameters
        ----------
        rows : RowsToPredict
            Fastest where rows of a task are together.
        first, stop : ndarray of int64 of shape (n_tasks,)
            The ranges; each begins with a tree of output 0.
        """
        self._add(rows, np.array(first), np.array(stop), by_task=True)

    def _add(self, rows: RowsToPredict, first: Array, stop: Array, by_task: bool) -> None:
        # held here: another thread that asks for it first at the same time makes another one
        record = self.record
        add_trees(rows.record.members, record.members, first, stop, by_task)
        rows.record.check_guards()

    def take(self, trees: Array) -> Ensemble:
        """Return an ensemble of some trees, given by an int array in the order wanted."""
        starts, sizes = self.starts[:, trees], np.diff(self.starts)[:, trees]
        return Ensemble.gather(self.pieces, starts, sizes, self.n_outputs)

    def scaled(self, unit: float) -> Ensemble:
        """Return the ensemble with predictions in another unit; gains keep theirs."""
        nodes, slopes = self.nodes.copy(), self.slopes.copy()
        nodes["value"] *= unit
        slopes["coefficient"] *= unit
        return Ensemble(nodes, self.category_sets, slopes, self.starts, self.n_outputs)

    def gains(self, n_features: int) -> FloatArray:
        """Return the total gain of the splits on each feature, shape (n_features,)."""
        inner = self.nodes["feature"] >= 0
        features, gains = self.nodes["feature"][inner], self.nodes["gain"][inner]
        return np.bincount(features, weights=gains, minlength=n_features).astype(np.float64)


def _gather(values: Array, starts: Array, sizes: Array) -> tuple[Array, IntArray]:
    """Return pieces of an array one after another, and where each starts."""
    new_starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    positions = np.arange(new_starts[-1]) + np.repeat(starts - new_starts[:-1], sizes)
    return values[positions], new_starts


def _joined_starts(starts: Sequence[IntArray]) -> IntArray:
    """Return where pieces start that follow one another, from where they start in each part."""
    end, shifted = np.zeros((starts[0].shape[0], 1), np.int64), []
    for part in starts:
        shifted.append(end + part[:, :-1])
        end = end + part[:, -1:]
    return np.concatenate([*shifted, end], axis=1)
