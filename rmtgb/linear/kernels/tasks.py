"""Sums of products of rows, and the elimination of the effects of tasks.

With Z the first r columns of F (intercept and slopes), D the ratios of variances, W the weights,
and ``V = W^-1 + Z D Z'`` of one task, all that is needed of that task is the first r rows of
``M = [F, y]' V^-1 [F, y]``, and the sum of all M over tasks. With ``G = [F, y]' W [F, y]``,
``R = W^1/2 [F, y]`` and Woodbury's identity, M is either of

- ``G - C'C`` with ``U'U = I + D^1/2 G_ZZ D^1/2`` and ``C = U'^-1 D^1/2 G_Z`` (r x r systems),
- ``C'C`` with ``U'U = I + R_Z D R_Z'`` and ``C = U'^-1 R`` (systems of the task's rows),

of which the smaller is taken. By D being a factor, not a divisor, variances may be zero.
"""

import math
from typing import NamedTuple

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.jit import inner, kernel
from rmtgb.linear.kernels.rows import TaskRows, fill_row
from rmtgb.linear.kernels.triangular import add_product, decompose, solve_lower

#: Rows that are expanded before they are multiplied: enough to multiply four at a time.
TILE_ROWS = 16


class Work(NamedTuple):
    """Memory for one task: ``system`` (r, r), ``solved`` (r, w) and ``product`` (w, w)."""

    system: FloatArray
    solved: FloatArray
    product: FloatArray


@inner
def _copy_rows(P: FloatArray, out: FloatArray) -> None:
    """Copy the first rows of a symmetric matrix, of which the upper triangle is known."""
    for j in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[j, k] = P[j, k] if k >= j else P[k, j]


@kernel
def sum_pieces(
    first: int,
    last: int,
    pieces: IntArray,
    rows: TaskRows,
    tile: FloatArray,
    gram: FloatArray,
    by_piece: FloatArray,
    total: FloatArray,
) -> None:
    """Sum the products of the columns over the rows of some pieces of tasks.

    Parameters
    ----------
    first, last : int
        Range of pieces.
    pieces : ndarray of int64 of shape (n_pieces, 2)
        First position, and the one after the last, in the order of rows.
    rows : TaskRows
    tile : ndarray of float64 of shape (TILE_ROWS, w)
        OUT, memory to work with; w = 1 + q + 1.
    gram : ndarray of float64 of shape (w, w)
        OUT, likewise.
    by_piece : ndarray of float64 of shape (n_pieces, r, w)
        OUT, the first r rows of ``[F, y]' W [F, y]`` of each piece.
    total : ndarray of float64 of shape (w, w)
        INOUT, upper triangle: all of it is added, piece by piece.
    """
    width = total.shape[0]
    for piece in range(first, last):
        gram[:] = 0.0
        start, stop = pieces[piece, 0], pieces[piece, 1]
        for tile_start in range(start, stop, TILE_ROWS):
            n = min(TILE_ROWS, stop - tile_start)
            for i in range(n):
                fill_row(rows, tile_start + i, tile[i])
            add_product(tile, n, 1.0, gram)
        for j in range(width):
            for k in range(j, width):
                total[j, k] += gram[j, k]
        _copy_rows(gram, by_piece[piece])


@inner
def _by_effects(G: FloatArray, root: FloatArray, work: Work) -> float:
    """Set ``solved`` to C of the first form; return the logarithm of the determinant of V W."""
    r, width = G.shape
    for j in range(r):
        for k in range(width):
            work.solved[j, k] = root[j] * G[j, k]
        for k in range(j, r):
            work.system[j, k] = work.solved[j, k] * root[k]
        work.system[j, j] += 1.0
    return _decompose_and_solve(r, width, work)


@inner
def _by_rows(task: int, rows: TaskRows, root: FloatArray, work: Work) -> float:
    """Set ``solved`` to C of the second form; return the logarithm of the determinant of V W."""
    r, width = work.solved.shape
    start = rows.offsets[task]
    n = rows.offsets[task + 1] - start
    for i in range(n):
        fill_row(rows, start + i, work.solved[i])
    for i in range(n):
        for h in range(i, n):
            total = 1.0 if h == i else 0.0
            for j in range(r):
                total += (root[j] * work.solved[i, j]) * (root[j] * work.solved[h, j])
            work.system[i, h] = total
    return _decompose_and_solve(n, width, work)


@inner
def _decompose_and_solve(n: int, width: int, work: Work) -> float:
    decompose(work.system, n, 1.0)  # the identity plus what is positive
    solve_lower(work.system, n, work.solved, width)
    total = 0.0
    for j in range(n):
        total += math.log(work.system[j, j])
    return 2.0 * total


@inner
def _eliminate(
    task: int,
    rows: TaskRows,
    slots: IntArray,
    grams: FloatArray,
    root: FloatArray,
    work: Work,
    score: FloatArray,
) -> float:
    """Set ``score`` to the first rows of M, and ``product`` to what M adds to the total.

    The grams of tasks that have one are in the total from the start.
    """
    r = root.size
    work.product[:] = 0.0
    if slots[task] >= 0:
        determinant = _by_effects(grams[slots[task]], root, work)
        add_product(work.solved, r, -1.0, work.product)
        _copy_rows(work.product, score)
        for j in range(r):
            for k in range(score.shape[1]):
                score[j, k] += grams[slots[task], j, k]
        return determinant
    n = rows.offsets[task + 1] - rows.offsets[task]
    determinant = _by_rows(task, rows, root, work)
    add_product(work.solved, n, 1.0, work.product)
    _copy_rows(work.product, score)
    return determinant


@kernel
def sum_tasks(
    first: int,
    last: int,
    rows: TaskRows,
    slots: IntArray,
    grams: FloatArray,
    root: FloatArray,
    work: Work,
    scores: FloatArray,
    total: FloatArray,
    determinant: FloatArray,
) -> None:
    """Eliminate the effects of some tasks.

    Parameters
    ----------
    first, last : int
        Range of tasks.
    rows : TaskRows
    slots : ndarray of int64 of shape (T,)
        Where the gram of a task is; -1 for a task of fewer rows than effects.
    grams : ndarray of float64 of shape (n_grams, r, w)
        First rows of G.
    root : ndarray of float64 of shape (r,)
        ``D^1/2``.
    work : Work
        OUT.
    scores : ndarray of float64 of shape (m, r, w)
        OUT, the first r rows of M of each task; with fewer than ``last - first`` places, each is
        used again.
    total : ndarray of float64 of shape (w, w)
        INOUT, upper triangle: the sum of M, for tasks that have a gram of M - G.
    determinant : ndarray of float64 of shape (1,)
        INOUT, the logarithms of the determinants of V W are added.
    """
    width = total.shape[0]
    for task in range(first, last):
        score = scores[(task - first) % scores.shape[0]]
        determinant[0] += _eliminate(task, rows, slots, grams, root, work, score)
        for j in range(width):
            for k in range(j, width):
                total[j, k] += work.product[j, k]


@kernel
def solve_tasks(
    first: int,
    last: int,
    rows: TaskRows,
    slots: IntArray,
    grams: FloatArray,
    root: FloatArray,
    work: Work,
    fixed: FloatArray,
    score: FloatArray,
    effects: FloatArray,
) -> None:
    """Write the effects of some tasks, ``D Z' V^-1 (y - F beta)``.

    Parameters
    ----------
    first, last, rows, slots, grams, root, work
        As for :func:`sum_tasks`.
    fixed : ndarray of float64 of shape (1 + q,)
    score : ndarray of float64 of shape (r, w)
        OUT, memory to work with.
    effects : ndarray of float64 of shape (T, r)
        OUT, rows first to last.
    """
    for task in range(first, last):
        _eliminate(task, rows, slots, grams, root, work, score)
        for j in range(root.size):
            effects[task, j] = (root[j] * root[j]) * _residual(score, j, fixed)


@inner
def _residual(score: FloatArray, j: int, fixed: FloatArray) -> float:
    """Return element j of ``Z' V^-1 (y - F beta)``."""
    total = score[j, fixed.size]
    for k in range(fixed.size):
        total -= score[j, k] * fixed[k]
    return total


@kernel
def sum_derivatives(
    scores: FloatArray,
    fixed: FloatArray,
    U: FloatArray,
    turned: FloatArray,
    sums: FloatArray,
    information: FloatArray,
) -> None:
    """Sum what the derivatives by the variances need of some tasks.

    Parameters
    ----------
    scores : ndarray of float64 of shape (m, r, w)
        The first rows of M.
    fixed : ndarray of float64 of shape (f,)
    U : ndarray of float64 of shape (f, f)
        Of ``F' V^-1 F + ridge``.
    turned : ndarray of float64 of shape (f, r)
        OUT, memory to work with.
    sums : ndarray of float64 of shape (2, r)
        INOUT: diagonals of ``Z' P Z``, and squares of ``Z' P y``, with P the projection that
        restricted likelihoods are made of.
    information : ndarray of float64 of shape (r, r)
        INOUT: squares of the elements of ``Z' V^-1 Z``.
    """
    f, r = turned.shape
    for task in range(scores.shape[0]):
        score = scores[task]
        for k in range(f):
            for j in range(r):
                turned[k, j] = score[j, k]
        solve_lower(U, f, turned, r)
        for k in range(f):
            for j in range(r):
                sums[0, j] -= turned[k, j] * turned[k, j]
        for j in range(r):
            residual = _residual(score, j, fixed)
            sums[0, j] += score[j, j]
            sums[1, j] += residual * residual
            for k in range(r):
                information[j, k] += score[j, k] * score[j, k]
