"""Histograms of packed gradient sums: the kernel that takes most of the time."""

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

from rmtgb.engine.jit import inner

#: Features per pass over the rows of a node: their codes fill a cache line at most, and
#: their histograms the second-level cache.
TILE = 64

#: How many rows ahead codes are fetched. Rows of a small node lie far apart and no
#: processor guesses the next one; without this, such nodes take four times as long.
PREFETCH_ROWS = np.int64(16)

_ONE, _TWO, _THREE, _FOUR = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)


@intrinsic
def _add_pair(typingctx, histogram, position, payload, row):
    """Add two neighbouring int64 to two others as one vector operation.

    Written as two scalar additions, LLVM leaves them scalar, at half the speed.
    """

    def codegen(context, builder, signature, arguments):
        word, pair = ir.IntType(64), ir.VectorType(ir.IntType(64), 2)

        def pair_at(which, first):
            array = context.make_array(signature.args[which])(context, builder, arguments[which])
            return builder.bitcast(builder.gep(array.data, [first]), pair.as_pointer())

        target = pair_at(0, arguments[1])
        source = pair_at(2, builder.shl(arguments[3], ir.Constant(word, 1)))
        total = builder.add(builder.load(target, align=8), builder.load(source, align=8))
        builder.store(total, target, align=8)
        return context.get_dummy_value()

    return types.void(histogram, types.uint64, payload, types.int64), codegen


@intrinsic
def _prefetch(typingctx, array, position):
    """Ask for the cache line of an element, without waiting for it."""

    def codegen(context, builder, signature, arguments):
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

    def _add_pair(histogram, position, payload, row):
        histogram[position] += payload[2 * row]
        histogram[position + _ONE] += payload[2 * row + 1]

    def _prefetch(array, position):
        pass


# Unsigned positions throughout: signed ones cost a test for negative values each.


@inner
def _add_one_word(codes, n_features, first, stop, order, payload, histograms, row_words):
    quads = first + (stop - first) // _FOUR * _FOUR
    last = order.size - 1
    for i in range(order.size):
        ahead = np.uint64(order[min(i + PREFETCH_ROWS, last)])
        _prefetch(codes, np.int64(ahead * n_features + first))
        _prefetch(payload, np.int64(ahead))
        row = np.uint64(order[i])
        base, word = row * n_features, payload[row]
        h = np.uint64(0)
        for f in range(base + first, base + quads, _FOUR):
            histograms[h + np.uint64(codes[f])] += word
            h += row_words
            histograms[h + np.uint64(codes[f + _ONE])] += word
            h += row_words
            histograms[h + np.uint64(codes[f + _TWO])] += word
            h += row_words
            histograms[h + np.uint64(codes[f + _THREE])] += word
            h += row_words
        for f in range(base + quads, base + stop):
            histograms[h + np.uint64(codes[f])] += word
            h += row_words


@inner
def _add_two_words(codes, n_features, first, stop, order, payload, histograms, row_words):
    quads = first + (stop - first) // _FOUR * _FOUR
    last = order.size - 1
    for i in range(order.size):
        ahead = np.uint64(order[min(i + PREFETCH_ROWS, last)])
        _prefetch(codes, np.int64(ahead * n_features + first))
        _prefetch(payload, np.int64(ahead * _TWO))
        row = np.int64(order[i])
        base = np.uint64(row) * n_features
        h = np.uint64(0)
        for f in range(base + first, base + quads, _FOUR):
            _add_pair(histograms, h + np.uint64(codes[f]) * _TWO, payload, row)
            h += row_words
            _add_pair(histograms, h + np.uint64(codes[f + _ONE]) * _TWO, payload, row)
            h += row_words
            _add_pair(histograms, h + np.uint64(codes[f + _TWO]) * _TWO, payload, row)
            h += row_words
            _add_pair(histograms, h + np.uint64(codes[f + _THREE]) * _TWO, payload, row)
            h += row_words
        for f in range(base + quads, base + stop):
            _add_pair(histograms, h + np.uint64(codes[f]) * _TWO, payload, row)
            h += row_words


@inner
def build_histograms(row_codes, first, stop, order, payload, n_words, histograms):
    """Sum the payload of some rows by bin, for a range of features.

    Parameters
    ----------
    row_codes : ndarray of uint8 of shape (n_rows, n_features), C order
        Bin codes, row by row: a row of a small node costs one cache line, where feature
        by feature it would cost one for each feature.
    first, stop : int
        The features, ``range(first, stop)``.
    order : ndarray of uint32 of shape (m,)
        The rows.
    payload : ndarray of int64 of shape (n_rows * n_words,)
        Packed gradient, hessian and weight of each row.
    n_words : int
        Words per row, 1 or 2.
    histograms : ndarray of int64 of shape (n_features, >= n_codes * n_words)
        OUT, rows ``first`` to ``stop``.
    """
    n_features, row_words = np.uint64(row_codes.shape[1]), np.uint64(histograms.shape[1])
    codes = row_codes.reshape(-1)
    for start in range(first, stop, TILE):
        end = min(start + TILE, stop)
        rows = histograms[start:end].reshape(-1)
        for i in range(rows.size):
            rows[i] = 0
        if n_words == 1:
            _add_one_word(
                codes,
                n_features,
                np.uint64(start),
                np.uint64(end),
                order,
                payload,
                rows,
                row_words,
            )
        else:
            _add_two_words(
                codes,
                n_features,
                np.uint64(start),
                np.uint64(end),
                order,
                payload,
                rows,
                row_words,
            )
