"""Histograms of packed gradient sums: the kernel that takes most of the time."""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from rmtgb._common import Int
from rmtgb.engine.jit import inner, part
from rmtgb.engine.record import Array
from rmtgb.tree.kernels.packing import BLOCK_ROWS, unpack
from rmtgb.tree.records import N_CODES, Packing

#: Features per pass over the rows of a node: their codes fill a cache line at most, and
#: their histograms the second-level cache.
TILE = 64

#: How many rows ahead codes are fetched. Rows of a small node lie far apart and no
#: processor guesses the next one; without this, such nodes take four times as long.
PREFETCH_ROWS = np.int64(16)

_ONE, _TWO, _THREE, _FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


def block_width(n_words: Int) -> Int:
    """Return how many sums of a block a member needs room for; see :func:`build_histograms`."""
    return TILE * N_CODES * n_words


@inner
def _add_one(histogram: Array, position: Int, payload: Array, first: Int) -> None:
    histogram[position] += payload[first]


@intrinsic
def _add_two(typingctx: Any, histogram: Any, position: Any, payload: Any, first: Any) -> Any:
    """Add two neighbouring int64 to two others as one vector operation.

    Written as two scalar additions, LLVM leaves them scalar, at half the speed.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pair = ir.VectorType(ir.IntType(64), 2)

        def pair_at(which: Int, first: Any) -> Any:
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(array.data, [first]), pair.as_pointer())

        target, source = pair_at(0, arguments[1]), pair_at(2, arguments[3])
        total = builder.add(builder.load(target, align=8), builder.load(source, align=8))
        builder.store(total, target, align=8)
        return context.get_dummy_value()

    return types.void(histogram, types.uint64, payload, types.uint64), codegen


@intrinsic
def _prefetch(typingctx: Any, array: Any, position: Any) -> Any:
    """Ask for the cache line of an element, without waiting for it."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer_type, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        prefetch = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer_type, number, number, number]),
            "llvm.prefetch.p0",
        )
        read, keep, is_data = (ir.Constant(number, value) for value in (0, 3, 1))
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), pointer_type)
        builder.call(prefetch, [pointer, read, keep, is_data])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


if config.DISABLE_JIT:

    def _add_two(histogram: Array, position: Int, payload: Array, first: Int) -> None:
        histogram[position] += payload[first]
        histogram[position + _ONE] += payload[first + _ONE]

    def _prefetch(array: Array, position: Int) -> None:
        pass


@inner
def _add_three(histogram: Array, position: Int, payload: Array, first: Int) -> None:
    _add_two(histogram, position, payload, first)
    histogram[position + _TWO] += payload[first + _TWO]


def _row_adder(add: Callable[..., None], n_words: Int) -> Callable[..., None]:
    """Return a function that adds the payloads of rows, of so many words, to histograms."""
    words = np.uint64(n_words)

    # Unsigned positions throughout: signed ones cost a test for negative values each.
    @inner
    def add_rows(
        codes: Array,
        n_features: Int,
        first: Int,
        stop: Int,
        order: Array,
        payload: Array,
        histograms: Array,
        width: Int,
    ) -> None:
        quads = first + (stop - first) // _FOUR * _FOUR
        last: Int = order.size - 1
        for i in range(order.size):
            ahead = np.uint64(order[min(i + PREFETCH_ROWS, last)])
            _prefetch(codes, np.int64(ahead * n_features + first))
            _prefetch(payload, np.int64(ahead * words))
            row = np.uint64(order[i])
            base, word = row * n_features, row * words
            h = np.uint64(0)
            for f in range(base + first, base + quads, _FOUR):
                add(histograms, h + np.uint64(codes[f]) * words, payload, word)
                h += width
                add(histograms, h + np.uint64(codes[f + _ONE]) * words, payload, word)
                h += width
                add(histograms, h + np.uint64(codes[f + _TWO]) * words, payload, word)
                h += width
                add(histograms, h + np.uint64(codes[f + _THREE]) * words, payload, word)
                h += width
            for f in range(base + quads, base + stop):
                add(histograms, h + np.uint64(codes[f]) * words, payload, word)
                h += width

    return add_rows


_add_one_word = _row_adder(_add_one, 1)
_add_two_words = _row_adder(_add_two, 2)
_add_three_words = _row_adder(_add_three, 3)


@inner
def _sum_rows(
    codes: Array,
    n_features: Int,
    first: Int,
    stop: Int,
    order: Array,
    payload: Array,
    n_words: Int,
    histograms: Array,
    width: Int,
) -> None:
    """Set the histograms of some features, one after another, to the sums of some rows."""
    n_features, width = np.uint64(n_features), np.uint64(width)
    first, stop = np.uint64(first), np.uint64(stop)
    for i in range((stop - first) * width):
        histograms[i] = 0
    if n_words == 1:
        _add_one_word(codes, n_features, first, stop, order, payload, histograms, width)
    elif n_words == 2:
        _add_two_words(codes, n_features, first, stop, order, payload, histograms, width)
    else:
        _add_three_words(codes, n_features, first, stop, order, payload, histograms, width)


@inner
def _add_block(block: Array, n_bins: Int, packing: Packing, histograms: Array) -> None:
    """Unpack the sums of a block of rows, and add each to a word of its own."""
    n_sums = packing.n_words + 1
    for i in range(n_bins):
        word = packing.n_words * i
        word_1 = block[word + 1] if packing.n_words > 1 else np.int64(0)
        g, h, w = unpack(block[word], word_1, np.int64(0), packing)
        histograms[n_sums * i] += g
        histograms[n_sums * i + 1] += h
        if n_sums > 2:
            histograms[n_sums * i + 2] += w


@part
def build_histograms(
    row_codes: Array,
    first: Int,
    stop: Int,
    order: Array,
    payload: Array,
    packing: Packing,
    sum_words: Int,
    n_codes: Int,
    block: Array,
    histograms: Array,
) -> None:
    """Sum the payload of some rows by bin, for a range of features.

    Parameters
    ----------
    row_codes : ndarray of uint8 of shape (n_rows, n_features), C order
        Bin codes, row by row: a row of a small node costs one cache line, where feature
        by feature it would cost one for each feature.
    first, stop : Int
        The features, ``range(first, stop)``.
    order : ndarray of uint32 of shape (m,)
        The rows.
    payload : ndarray of int64 of shape (n_rows * n_words,)
        Packed gradient, hessian and weight of each row.
    packing : Packing
        How rows are packed.
    sum_words : Int
        Words of a bin. If they are one more than those of a row, rows are summed in blocks, whose
        sums are unpacked.
    n_codes : Int
        Bins of a feature, those of missing values included.
    block : ndarray of int64 of shape (>= block_width(n_words),)
        Scratch, looked at if there are blocks.
    histograms : ndarray of int64 of shape (n_features, n_codes * sum_words)
        OUT, rows ``first`` to ``stop``.
    """
    n_features, n_words, width = row_codes.shape[1], packing.n_words, histograms.shape[1]
    codes = row_codes.reshape(-1)
    for start in range(first, stop, TILE):
        end = min(start + TILE, stop)
        rows = histograms[start:end].reshape(-1)
        if sum_words == n_words:
            _sum_rows(codes, n_features, start, end, order, payload, n_words, rows, width)
            continue
        for i in range(rows.size):
            rows[i] = 0
        for begin in range(0, order.size, BLOCK_ROWS):
            some = order[begin : min(begin + BLOCK_ROWS, order.size)]
            _sum_rows(
                codes, n_features, start, end, some, payload, n_words, block, n_codes * n_words
            )
            _add_block(block, (end - start) * n_codes, packing, rows)
