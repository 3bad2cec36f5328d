"""From float gradients to packed integers, and back."""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner
from rmtgb.engine.random import uniform
from rmtgb.engine.record import Array, array_of, wait
from rmtgb.engine.team import share
from rmtgb.tree.records import Packing

#: Bits of one copy's gradient and hessian at the most; more would hardly change a float64 sum.
#: Linear leaves sum, for 64 rows at a time, products of a gradient and one standardised value of
#: at most 3840, or of a hessian and two, which leaves 44 and 33 bits for all copies of a row.
#: There are but two limits for copies, of few and of many: as long as the number of bits is the
#: same, a row of weight k has k times the integers of a row of weight one, and repetition gives
#: the same model to the last bit. Rows of other weights have all bits that there are.
NO_COPIES, FEW_COPIES_BITS = -1, 5
NO_COPIES_LIMITS = 40, 33
FEW_COPIES_LIMITS = 39, 28
MANY_COPIES_LIMITS = 33, 22

#: Bits that one row's gradient and hessian keep, whatever the number of rows up to 2^32 - 1:
#: with 2^20 rows and unbounded tails, rounding to 22 bits moves a leaf by 0.1 standard errors.
MIN_BITS = 22

#: Rows whose payloads are summed before the sums are unpacked, where all rows together would
#: leave too few bits in a word. Fewer rows leave more bits, and cost more unpacking: at this
#: size it takes less than one percent.
BLOCK_BITS = 17
BLOCK_ROWS = 2**BLOCK_BITS

#: Stands for the largest gradient where all are zero; its unit still has a reciprocal.
SMALLEST = 1e-280


@inner
def units_of(weight: float, scale: float) -> Int:
    """Return a weight as the integer that is summed: the one place where weights are rounded."""
    return np.int64(np.rint(weight * scale))


@inner
def unpack(word_0: Int, word_1: Int, word_2: Int, packing: Packing) -> tuple[Int, Int, Int]:
    """Return the integer sums of gradients, hessians and weights in packed sums."""
    if packing.n_words == 1:
        weight = word_0 & ((1 << packing.shift) - 1)
        return word_0 >> packing.shift, weight, weight
    if packing.n_words == 3:
        return word_0, word_1, word_2
    if packing.hessian_is_weight:
        return word_0, word_1, word_1
    return word_0, word_1 >> packing.shift, word_1 & ((1 << packing.shift) - 1)


@inner
def row_packing(grow: Any) -> Packing:
    """Return how the payload of a row is packed."""
    return Packing(grow["n_words"], grow["shift"], grow["hessian_is_weight"])


@inner
def sum_packing(grow: Any) -> Packing:
    """Return how histograms are packed."""
    return Packing(grow["sum_words"], grow["shift"], grow["hessian_is_weight"])


@inner
def integers_of_row(payload: Array, row: Int, packing: Packing) -> tuple[Int, Int, Int]:
    """Return gradient, hessian and weight of a row as integers."""
    first = packing.n_words * row
    word_1 = payload[first + 1] if packing.n_words > 1 else np.int64(0)
    word_2 = payload[first + 2] if packing.n_words > 2 else np.int64(0)
    return unpack(payload[first], word_1, word_2, packing)


@inner
def bit_length(number: Int) -> Int:
    """Return the number of bits of a non-negative integer."""
    bits = 0
    while number > 0:
        number >>= 1
        bits += 1
    return bits


@inner
def choose_bits(
    n_words: Int, in_blocks: Int, weight_bits: Int, row_bits: Int, largest_bits: Int
) -> tuple[Int, Int, Int]:
    """Return how many bits words leave, so that no sum can overflow.

    Parameters
    ----------
    n_words : Int
        Of a row.
    in_blocks : Int
        Whether at most ``BLOCK_ROWS`` rows, of weight one, are summed packed.
    weight_bits, row_bits : Int
        Of the sum of all integer weights, and of the number of rows (of copies of rows, where
        integer weights are repetitions).
    largest_bits : Int
        Of the largest number of copies of a row, less one; ``NO_COPIES`` for other weights.

    Returns
    -------
    shift, gradient_bits, hessian_bits : Int
        Bits for the sum of weights, and for one row's gradient and hessian.
    """
    shift = weight_bits
    packed_bits = row_bits
    if in_blocks:
        shift = packed_bits = BLOCK_BITS + 1
    gradient_bits = 62 - row_bits
    hessian_bits = 62 - row_bits
    if n_words == 1:
        gradient_bits = min(gradient_bits, 62 - shift - packed_bits)
    if n_words == 2:
        hessian_bits = min(hessian_bits, 63 - shift - packed_bits)
    limits = FEW_COPIES_LIMITS if largest_bits <= FEW_COPIES_BITS else MANY_COPIES_LIMITS
    if largest_bits == NO_COPIES:
        limits = NO_COPIES_LIMITS
    return shift, min(gradient_bits, limits[0]), min(hessian_bits, limits[1])


@inner
def is_in_bag(row: Int, subsample: float, seed: Int) -> bool:
    """Tell whether a row is in the random sample of a tree, of which this is the seed."""
    return bool(subsample >= 1.0 or uniform(seed, row) < subsample)


@inner
def _per_copy(value: float, weight: float, copies: Int) -> float:
    """Return a row's share of a sum, if a row of weight k is packed as k equal rows."""
    return value / weight if copies and weight > 1.0 else value


@inner
def _measure_share(grow: Any) -> None:
    """Find the largest gradient and hessian of a member's rows."""
    gradient, hessian = array_of(grow, "gradient"), array_of(grow, "hessian")
    weight, copies = array_of(grow, "weight"), grow["copies"]
    start, stop = share(0, grow["n_rows"], grow["member"], grow["n_members"])
    largest_gradient, largest_hessian = 0.0, 0.0
    for i in range(start, stop):
        g = _per_copy(gradient[i], weight[i], copies)
        largest_gradient = max(largest_gradient, abs(g))
    if grow["n_words"] > 1:
        for i in range(start, stop):
            largest_hessian = max(largest_hessian, _per_copy(hessian[i], weight[i], copies))
    extents = array_of(grow, "extents")
    extents[grow["member"], 0] = largest_gradient
    extents[grow["member"], 1] = largest_hessian


@inner
def _choose_units(grow: Any) -> None:
    """Give gradient and hessian all the bits that no sum of the rows can overflow."""
    largest_gradient, largest_hessian = SMALLEST, SMALLEST
    extents = array_of(grow, "extents")
    for member in range(grow["n_members"]):
        largest_gradient = max(largest_gradient, extents[member, 0])
        largest_hessian = max(largest_hessian, extents[member, 1])
    weight_bits = bit_length(grow["total_units"])
    row_bits = weight_bits if grow["copies"] else bit_length(grow["n_rows"])
    grow["shift"], gradient_bits, hessian_bits = choose_bits(
        grow["n_words"],
        grow["sum_words"] > grow["n_words"],
        weight_bits,
        row_bits,
        grow["largest_bits"],
    )
    grow["weight_unit"] = 1.0 / grow["weight_scale"]
    grow["hessian_unit"] = grow["weight_unit"]
    if not grow["hessian_is_weight"]:
        grow["hessian_unit"] = largest_hessian / (1 << hessian_bits)
    grow["gradient_unit"] = largest_gradient / (1 << gradient_bits)


@inner
def pack_rows(grow: Any) -> None:
    """Pack gradient, hessian and weight of every row for one tree; called by every member.

    Rows of weight zero, and rows left out of the subsample, get an empty payload: they move
    through the tree like the others, and so receive its prediction, but have no part in it.

    Parameters
    ----------
    grow : GROW record
        Reads ``gradient``, ``hessian`` and ``weight``; ``payload`` and the packing are OUT.
    """
    _measure_share(grow)
    wait(grow)
    _choose_units(grow)
    gradient, hessian = array_of(grow, "gradient"), array_of(grow, "hessian")
    weights, payload = array_of(grow, "weight"), array_of(grow, "payload")
    gradient_scale, hessian_scale = 1.0 / grow["gradient_unit"], 1.0 / grow["hessian_unit"]
    weight_scale, shift, copies = grow["weight_scale"], grow["shift"], grow["copies"]
    n_words, subsample, seed = grow["n_words"], grow["subsample"], grow["seed"]
    start, stop = share(0, grow["n_rows"], grow["member"], grow["n_members"])
    for i in range(start, stop):
        g, h, weight = np.int64(0), np.int64(0), np.int64(0)
        if weights[i] > 0.0 and is_in_bag(i, subsample, seed):
            weight = units_of(weights[i], weight_scale)
            n_copies = max(weights[i], 1.0) if copies else 1.0
            own = _per_copy(gradient[i], weights[i], copies)
            g = np.int64(np.rint(own * gradient_scale) * n_copies)
            if n_words > 1:
                own = _per_copy(hessian[i], weights[i], copies)
                h = np.int64(np.rint(own * hessian_scale) * n_copies)
        if n_words == 1:
            payload[i] = (g << shift) + weight
        elif n_words == 2:
            payload[2 * i] = g
            payload[2 * i + 1] = (h << shift) + weight
        else:
            payload[3 * i] = g
            payload[3 * i + 1] = h
            payload[3 * i + 2] = weight
