"""The normal equations of a mixed model, block by block: what tasks add once they are eliminated.

Henderson (1950), "Estimation of genetic parameters", Annals of Mathematical Statistics 21; the
matrix of all coefficients has the shape of an arrow, a block for each task and one for what they
share. Work is divided into parts that do not depend on the number of threads, and their sums are
added in order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.team import Team
from rmtgb.linear.design import Design, as_kernels_take
from rmtgb.linear.kernels.rows import TaskRows
from rmtgb.linear.kernels.tasks import (
    TILE_ROWS,
    Work,
    solve_tasks,
    sum_derivatives,
    sum_pieces,
    sum_tasks,
)
from rmtgb.linear.kernels.triangular import solve_fixed
from rmtgb.tasks.index import TaskIndex

#: Rows of a piece at most, so that a single task can be divided among threads.
PIECE_ROWS = 1 << 15

#: Parts that tasks are divided into, more than there will be threads with work to do.
PARTS = 32

#: Share of a sum of squares that the same without the fixed part is at least: below it is
#: what rounding leaves of a difference.
SMALLEST_REST = 1e-13

#: Times the number of columns, the share of each column's sum of squares that is added to what is
#: left of it where tasks are eliminated: less is rounding, and no matrix. Where weights spanned 18
#: digits, coefficients were 1e186 without it.
LOST_IN_ELIMINATION = 2.0**-52


@dataclass(frozen=True, eq=False)
class MixedRows:
    """Rows of a mixed model by task, without what the target says.

    Attributes
    ----------
    design : Design
    X : ndarray of float64 of shape (n, p)
    index : TaskIndex
        Of the rows that take part.
    total_weight : float
        Weight of these rows, which counts as their number.
    slots : ndarray of int64 of shape (T,)
        See :func:`rmtgb.linear.kernels.tasks.sum_tasks`.
    pieces : ndarray of int64 of shape (n_pieces, 2)
        Where pieces of tasks with a slot start and stop in the order of rows.
    slot_of_piece : ndarray of int64 of shape (n_pieces,)
    team : Team
    """

    design: Design
    X: FloatArray
    index: TaskIndex
    total_weight: float
    slots: IntArray
    pieces: IntArray
    slot_of_piece: IntArray
    team: Team

    @classmethod
    def of(
        cls, design: Design, X: FloatArray, index: TaskIndex, weight: FloatArray, team: Team
    ) -> MixedRows:
        """Divide the rows into pieces."""
        n_effects = _n_effects(design, index)
        with_gram = index.counts >= max(n_effects, 1)
        slots = np.where(with_gram, np.cumsum(with_gram) - 1, -1).astype(np.int64)
        starts, stops = index.offsets[:-1][with_gram], index.offsets[1:][with_gram]
        n_pieces = -(-(stops - starts) // PIECE_ROWS)
        slot_of_piece = np.repeat(np.arange(starts.size), n_pieces)
        number = np.arange(slot_of_piece.size) - np.repeat(
            np.cumsum(n_pieces) - n_pieces, n_pieces
        )
        first = starts[slot_of_piece] + number * PIECE_ROWS
        last = np.minimum(first + PIECE_ROWS, stops[slot_of_piece])
        pieces = np.column_stack([first, last])
        # math.fsum rounds once: neither order nor processor has a say
        total_weight = math.fsum(weight[index.order].tolist())
        return cls(design, X, index, total_weight, slots, pieces, slot_of_piece, team)

    @property
    def n_effects(self) -> int:
        """Number r of effects of each task: an intercept, and slopes; none of a single task."""
        return _n_effects(self.design, self.index)

    @property
    def width(self) -> int:
        """Number of columns with intercept and response."""
        return self.design.n_fixed + 1

    def assemble(self, response: FloatArray, weight: FloatArray) -> MixedSystem:
        """Sum the products of a working response.

        Parameters
        ----------
        response, weight : ndarray of float64 of shape (n,)
            In the order of X.

        Returns
        -------
        MixedSystem
        """
        index, columns = self.index, as_kernels_take(self.design.columns)
        rows = TaskRows(self.X, columns, index.order, index.offsets, response, np.sqrt(weight))
        n_pieces, width = self.slot_of_piece.size, self.width
        by_piece = np.empty((n_pieces, self.n_effects, width))
        sizes = np.cumsum(self.pieces[:, 1] - self.pieces[:, 0])

        def add(part: tuple[int, int]) -> FloatArray:
            total, gram = np.zeros((width, width)), np.empty((width, width))
            tile = np.empty((TILE_ROWS, width))
            sum_pieces(*part, self.pieces, rows, tile, gram, by_piece, total)
            return total

        total = np.zeros((width, width))
        for part in self.team.map(add, _parts(sizes)):
            total += part
        return MixedSystem(self, rows, _join(by_piece, self.slot_of_piece), total)


@dataclass(frozen=True, eq=False)
class Solution:
    """What a mixed model is at some ratios of variances, before the effects of tasks.

    Attributes
    ----------
    fixed : ndarray of float64 of shape (1 + q,)
        Intercept and coefficients.
    rest : float
        ``y' P y``, the sum of squares that is left, effects of tasks and slopes counted as noise
        by their variances.
    determinant : float
        Logarithm of the determinant of ``W V`` times that of ``F' V^-1 F + ridge``.
    U : ndarray of float64 of shape (1 + q, 1 + q)
        Decomposition of the latter.
    inverse : ndarray of float64 of shape (1 + q,)
        Diagonal of its inverse.
    scores : list of ndarray of float64 of shape (m, r, w)
        The first rows of M of all tasks, part by part; empty if they were not to be kept.
    """

    fixed: FloatArray
    rest: float
    determinant: float
    U: FloatArray
    inverse: FloatArray
    scores: list[FloatArray]


@dataclass(frozen=True, eq=False)
class MixedSystem:
    """Sums of products of rows with a response; see :class:`MixedRows` and the kernels.

    Attributes
    ----------
    rows : MixedRows
    given : TaskRows
    grams : ndarray of float64 of shape (n_slots, r, w)
    total : ndarray of float64 of shape (w, w)
        Sum of all products over the rows of tasks with a gram, upper triangle.
    """

    rows: MixedRows
    given: TaskRows
    grams: FloatArray
    total: FloatArray

    def solve(self, ratios: FloatArray, ridge: float, keep: bool = False) -> Solution:
        """Eliminate the effects of tasks, and solve for the fixed part.

        Parameters
        ----------
        ratios : ndarray of float64 of shape (r,)
            Variances of the effects over that of noise, >= 0.
        ridge : float
            Variance of noise over that of the coefficients of the fixed part, > 0.
        keep : bool, default=False
            Whether the scores of tasks are wanted.
        """
        n_effects, width = self.rows.n_effects, self.rows.width
        root = np.sqrt(ratios)

        def eliminate(part: tuple[int, int]) -> tuple[FloatArray, FloatArray, FloatArray]:
            total, determinant = np.zeros((width, width)), np.zeros(1)
            scores = np.empty((part[1] - part[0] if keep else 1, n_effects, width))
            sum_tasks(
                *part, self.given, self.rows.slots, self.grams, root, self._work(), scores, total,
                determinant,
            )  # fmt: skip
            return total, determinant, scores

        parts = self.rows.team.map(eliminate, self._task_parts())
        total, determinant = self.total.copy(), np.zeros(1)
        for more, of_part, _ in parts:
            total += more
            determinant += of_part
        # what heavy tasks leave is a difference of large sums, with their rounding
        columns = np.arange(width - 1)
        total[columns, columns] += width * LOST_IN_ELIMINATION * self.total[columns, columns]
        scores = [of_part for _, _, of_part in parts] if keep else []
        return _solve_fixed(total, ridge, float(determinant[0]), scores)

    def effects(self, ratios: FloatArray, fixed: FloatArray) -> FloatArray:
        """Return the effects of tasks (T, r) for some ratios and the fixed part of a solution."""
        n_effects, width = self.rows.n_effects, self.rows.width
        root, effects = np.sqrt(ratios), np.zeros((self.rows.index.n_tasks, n_effects))

        def solve(part: tuple[int, int]) -> None:
            score = np.empty((n_effects, width))
            solve_tasks(
                *part, self.given, self.rows.slots, self.grams, root, self._work(), fixed, score,
                effects,
            )  # fmt: skip

        self.rows.team.map(solve, self._task_parts())
        return effects

    def derivatives(self, solution: Solution) -> tuple[FloatArray, FloatArray]:
        """Return the sums and the information of :func:`sum_derivatives` over all tasks."""
        n_effects, n_fixed = self.rows.n_effects, self.rows.design.n_fixed

        def add(scores: FloatArray) -> tuple[FloatArray, FloatArray]:
            sums, information = np.zeros((2, n_effects)), np.zeros((n_effects, n_effects))
            turned = np.empty((n_fixed, n_effects))
            sum_derivatives(scores, solution.fixed, solution.U, turned, sums, information)
            return sums, information

        parts = self.rows.team.map(add, solution.scores)
        sums, information = np.zeros((2, n_effects)), np.zeros((n_effects, n_effects))
        for more_sums, more_information in parts:
            sums += more_sums
            information += more_information
        return sums, information

    def _work(self) -> Work:
        r, w = self.rows.n_effects, self.rows.width
        return Work(np.empty((r, r)), np.empty((r, w)), np.empty((w, w)))

    def _task_parts(self) -> list[tuple[int, int]]:
        return _parts(np.arange(1, self.rows.index.n_tasks + 1))


def _n_effects(design: Design, index: TaskIndex) -> int:
    return 1 + design.n_slopes if index.n_tasks > 1 else 0


def _solve_fixed(
    total: FloatArray, ridge: float, determinant: float, scores: list[FloatArray]
) -> Solution:
    n = total.shape[0] - 1
    U, inverse, fixed = np.empty((n, n)), np.empty((n, n)), np.empty((n, 3))
    solve_fixed(total, ridge, U, inverse, fixed)
    explained = math.fsum(fixed[:, 1] * fixed[:, 1])
    rest = max(float(total[n, n]) - explained, SMALLEST_REST * float(total[n, n]))
    determinant += 2.0 * math.fsum(map(math.log, np.diag(U)))
    return Solution(fixed[:, 0].copy(), rest, determinant, U, fixed[:, 2].copy(), scores)


def _parts(cumulative: IntArray) -> list[tuple[int, int]]:
    """Divide items, whose sizes are cumulated, into contiguous parts of about equal size."""
    if cumulative.size == 0:
        return []
    goals = cumulative[-1] * np.arange(1, PARTS) // PARTS
    cuts = np.unique([0, *np.searchsorted(cumulative, goals, side="right"), cumulative.size])
    return [(int(first), int(last)) for first, last in pairwise(cuts)]


def _join(by_piece: FloatArray, slot_of_piece: IntArray) -> FloatArray:
    """Add up the pieces of each task."""
    firsts = np.flatnonzero(np.diff(slot_of_piece, prepend=-1))
    if firsts.size == slot_of_piece.size:
        return by_piece
    joined: FloatArray = np.add.reduceat(by_piece, firsts, axis=0)
    return joined
