"""The best split of one feature, from a histogram of packed sums.

Everything is computed from integer sums, in the units of the packing: a gain is at most the
square of a 62-bit number over a hessian of at least one, and so fits single precision whatever
the unit of the target or of the weights.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import config

from rmtgb._common import Float, Int
from rmtgb.engine.jit import inner
from rmtgb.engine.random import uniform
from rmtgb.engine.record import Array
from rmtgb.tree.kernels.category_sets import in_set
from rmtgb.tree.kernels.packing import unpack
from rmtgb.tree.records import Packing

#: Hessian, in units of an average row of the node, below which a child is refused:
#: its Newton step would be a division by nearly nothing.
MIN_HESSIAN = 1e-3

#: Categories are ordered by gradient / hessian with this many average rows added to
#: the hessian, and their gain is computed with as many: sorting by the target
#: overfits rare categories. LightGBM's cat_smooth and cat_l2 have the same value.
CATEGORY_SMOOTHING = 10.0


#: Splits whose gains are computed at a time: a multiple of what any processor's vectors hold,
#: and LLVM's unrolling of them. Without compilation one at a time.
VECTOR = np.uint64(1 if config.DISABLE_JIT else 32)

_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)  # signed positions cost a test each


class Node(NamedTuple):
    """A node that is to be split, in scalars that stay in registers; see ``make_node``.

    ``gradient``, ``hessian`` and ``weight`` are its sums as integers, ``l2`` is added to the
    hessian of a child; ``min_weight`` is a child's smallest weight, ``min_hessian`` is below its
    smallest hessian; ``row_hessian`` is the mean hessian of rows of weight one; ``packing`` tells
    how sums are packed. ``per_hessian``, ``scale`` and ``constant`` are parts of the gain that are
    the same for all splits. If ``random`` is not 0, only one split of each feature is tried, drawn
    with ``seed`` from those that leave rows on both sides (Geurts, Ernst, Wehenkel 2006,
    extremely randomised trees).
    """

    gradient: Int
    hessian: Int
    weight: Int
    l2: float
    min_weight: Int
    min_hessian: float
    row_hessian: float
    packing: Packing
    per_hessian: float
    scale: float
    constant: float
    random: Int
    seed: Int


class Scratch(NamedTuple):
    """Where a scan keeps what it knows of each possible split, 256 at most.

    ``left`` (3, 256) int64, packed sums of the left child; ``codes`` (256,) uint8, the bin or
    category up to which rows go left; ``gains`` (256,) float32; ``keys`` (256,) float64, by which
    categories are sorted.
    """

    left: Array
    codes: Array
    gains: Array
    keys: Array


@inner
def score(gradient: float, hessian: float) -> float:
    """Return G^2 / H, twice the loss that a Newton leaf saves; H includes the penalty."""
    return gradient * gradient / hessian


@inner
def make_node(
    gradient: Int,
    hessian: Int,
    weight: Int,
    weight_unit: float,
    l2: float,
    min_weight: Int,
    packing: Packing,
    random: Int,
    seed: Int,
) -> Node:
    """Return a Node of these sums and limits.

    A split's gain is score(left) + score(right) - score(parent). With a and b the regularised
    hessians of the children, u = a / (a + b), and G the gradient of the node, it equals
    (g_left - u G)^2 / (u (1 - u) (a + b)) minus a constant of the node, which loses no digits
    in a difference of large scores.
    """
    both = hessian + 2.0 * l2
    constant = score(np.float64(gradient), hessian + l2) - score(np.float64(gradient), both)
    row_hessian = hessian / (weight * weight_unit)
    return Node(
        gradient,
        hessian,
        weight,
        l2,
        min_weight,
        MIN_HESSIAN * row_hessian,
        row_hessian,
        packing,
        1.0 / both,
        1.0 / np.sqrt(both),
        constant,
        random,
        seed,
    )


@inner
def _gain(left_0: Int, left_1: Int, left_2: Int, node: Node) -> Any:
    """Return what a split saves, or -1 if a child is too small; without a branch.

    It is rounded to single precision: splits of equal worth compare equal, whatever the order
    or the unit of the sums, and the first of them is taken.
    """
    gradient, hessian, weight = unpack(left_0, left_1, left_2, node.packing)
    h_left = np.float64(hessian)
    u = (h_left + node.l2) * node.per_hessian
    difference = (np.float64(gradient) - u * np.float64(node.gradient)) * node.scale
    gain = np.float32(difference * difference / (u * (1.0 - u)) - node.constant)
    enough = (weight >= node.min_weight) & (node.weight - weight >= node.min_weight)
    h_right = np.float64(node.hessian) - h_left
    fits = enough & (h_left > node.min_hessian) & (h_right > node.min_hessian)
    return gain if fits else np.float32(-1.0)


@inner
def _fill_gains(n: Int, node: Node, least: float, scratch: Scratch) -> Int:
    """Compute the gains of n splits, and count those that save more than ``least``.

    The last vector is filled up with whatever stands there: a loop of vectors has no rest that
    would be worked on one by one.
    """
    n_better = 0
    left, gains = scratch.left, scratch.gains
    for i in range((n + VECTOR - _ONE) // VECTOR * VECTOR):
        gain = _gain(left[_ZERO, i], left[_ONE, i], left[_TWO, i], node)
        gains[i] = gain
        n_better += (gain > least) & (i < n)
    return n_better


@inner
def _best_of(n: Int, node: Node, feature: Int, scratch: Scratch, least: Float) -> Int:
    """Return which of n splits saves most, and more than a least gain: the first; else -1."""
    best: Int = -1
    least = np.float32(least)
    if n == _ZERO:
        return best
    left, gains = scratch.left, scratch.gains
    if node.random:
        drawn = np.uint64(uniform(node.seed, feature) * n)
        gains[drawn] = _gain(left[_ZERO, drawn], left[_ONE, drawn], left[_TWO, drawn], node)
        return np.int64(drawn) if gains[drawn] > least else best
    if _fill_gains(n, node, least, scratch) > 0:
        for i in range(n):
            if gains[i] > least:
                best, least = np.int64(i), gains[i]
    return best


@inner
def _words_of(histogram: Array, words: Int, code: Int) -> tuple[Int, Int, Int]:
    """Return the packed sums of a code; words that it does not have are 0."""
    position = words * code
    return (
        histogram[position],
        histogram[position + _ONE] if words > _ONE else np.int64(0),
        histogram[position + _TWO] if words > _TWO else np.int64(0),
    )


@inner
def _keep(
    split: Any, gain: Float, feature: Int, position: Int, missing_left: Int, categorical: Int
) -> None:
    split["gain"] = gain
    split["feature"] = feature
    split["bin"] = position
    split["missing_left"] = missing_left
    split["categorical"] = categorical


@inner
def scan_numerical(
    histogram: Array, feature: Int, n_bins: Int, node: Node, scratch: Scratch, split: Any
) -> None:
    """Try every threshold of a feature, with missing values on either side.

    Parameters
    ----------
    histogram : ndarray of int64 of shape (n_codes * n_words,)
        Packed sums by bin; the last bin holds the missing values.
    feature, n_bins : Int
        The feature and its number of bins of values.
    node : Node
    scratch : Scratch
    split : SPLIT record
        INOUT, replaced where a larger gain is found, but for its sums.
    """
    words = np.uint64(node.packing.n_words)
    missing_code = np.uint64(histogram.size) // words - _ONE
    missing_0, missing_1, missing_2 = _words_of(histogram, words, missing_code)
    any_missing = (missing_0 | missing_1 | missing_2) != 0
    left, codes = scratch.left, scratch.codes
    for missing_left in range(2 if any_missing else 1):
        left_0, left_1, n = missing_left * missing_0, missing_left * missing_1, _ZERO
        left_2 = missing_left * missing_2
        # without missing values the last bin has nothing on its right
        for b in range(np.uint64(n_bins if any_missing and not missing_left else n_bins - 1)):
            word_0, word_1, word_2 = _words_of(histogram, words, b)
            left_0 += word_0
            left_1 += word_1
            left_2 += word_2
            left[_ZERO, n], left[_ONE, n], left[_TWO, n], codes[n] = left_0, left_1, left_2, b
            # what an empty bin wrote is written over
            n += np.uint64((word_0 | word_1 | word_2) != 0)
        if n > _ZERO and _is_all(left_0, left_1, left_2, node):
            n -= _ONE  # nothing is right of the last bin in use
        best = _best_of(n, node, feature, scratch, split["gain"])
        if best >= 0:
            _keep(split, scratch.gains[best], feature, scratch.codes[best], missing_left, 0)


@inner
def _is_all(left_0: Int, left_1: Int, left_2: Int, node: Node) -> bool:
    """Tell whether packed sums are those of the whole node."""
    gradient, hessian, weight = unpack(left_0, left_1, left_2, node.packing)
    return gradient == node.gradient and hessian == node.hessian and weight == node.weight


@inner
def _sort_categories(histogram: Array, node: Node, scratch: Scratch) -> Int:
    """Sort the codes in use by gradient / smoothed hessian, return how many there are."""
    words, keys, by_key = np.uint64(node.packing.n_words), scratch.keys, scratch.codes
    smoothing = CATEGORY_SMOOTHING * node.row_hessian
    n_used = 0
    for code in range(np.uint64(histogram.size) // words):
        word_0, word_1, word_2 = _words_of(histogram, words, code)
        if (word_0 | word_1 | word_2) != 0:
            g, h, _ = unpack(word_0, word_1, word_2, node.packing)
            keys[code] = g / (h + smoothing)
            by_key[n_used] = code
            n_used += 1
    gap = n_used // 2  # Shell's sort: short to compile, and there are 256 codes at most
    while gap > 0:
        for i in range(gap, n_used):
            code, j = by_key[i], i
            while j >= gap and _comes_before(code, by_key[j - gap], keys):
                by_key[j] = by_key[j - gap]
                j -= gap
            by_key[j] = code
        gap //= 2
    return n_used


@inner
def _comes_before(code: Int, other: Int, keys: Array) -> bool:
    return bool(keys[code] < keys[other] or (keys[code] == keys[other] and code < other))


@inner
def scan_categorical(
    histogram: Array,
    feature: Int,
    node: Node,
    weight_unit: float,
    scratch: Scratch,
    split: Any,
    codes_left: Array,
) -> None:
    """Try every prefix of the categories sorted by gradient (Fisher 1958).

    Missing values are a category like the others. Arguments as for :func:`scan_numerical`, and

    Parameters
    ----------
    weight_unit : float
        What a weight of one unit is.
    codes_left : ndarray of uint64 of shape (4,)
        OUT, the set of codes that go left, if the split was replaced.
    """
    words, by_key, left = np.uint64(node.packing.n_words), scratch.codes, scratch.left
    n_used = _sort_categories(histogram, node, scratch)
    left_0, left_1, left_2, n = np.int64(0), np.int64(0), np.int64(0), _ZERO
    for position in range(n_used - 1):
        word_0, word_1, word_2 = _words_of(histogram, words, np.uint64(by_key[position]))
        left_0 += word_0
        left_1 += word_1
        left_2 += word_2
        left[_ZERO, n], left[_ONE, n], left[_TWO, n] = left_0, left_1, left_2
        n += _ONE
    smoothed = make_node(
        node.gradient,
        node.hessian,
        node.weight,
        weight_unit,
        node.l2 + CATEGORY_SMOOTHING * node.row_hessian,
        node.min_weight,
        node.packing,
        node.random,
        node.seed,
    )
    best = _best_of(n, smoothed, feature, scratch, split["gain"])
    if best >= 0:
        _fill_set(by_key[: best + 1], codes_left)
        missing_left = in_set(codes_left, np.int64(histogram.size) // node.packing.n_words - 1)
        _keep(split, scratch.gains[best], feature, 0, missing_left, 1)


@inner
def _fill_set(codes: Array, words: Array) -> None:
    """Write bin codes as a set of 256 bits (4 uint64)."""
    for word in range(words.size):
        words[word] = 0
    for code in codes:
        words[code >> 6] |= np.uint64(1) << np.uint64(code & 63)


@inner
def complete_split(histogram: Array, node: Node, split: Any, codes_left: Array) -> None:
    """Add up the left child of the split that was found, by all codes that go left.

    Where the node has no missing values, those to come follow the heavier child.

    Parameters
    ----------
    histogram : ndarray of int64 of shape (n_codes * n_words,)
        Packed sums of the feature of the split.
    node : Node
    split : SPLIT record
        INOUT.
    codes_left : ndarray of uint64 of shape (4,)
        The set of codes that go left if the split is categorical.
    """
    words = np.uint64(node.packing.n_words)
    missing_code = np.uint64(histogram.size) // words - _ONE
    left_0, left_1, left_2 = np.int64(0), np.int64(0), np.int64(0)
    for code in range(missing_code + _ONE):
        if code == missing_code:
            left = split["missing_left"] > 0
        elif split["categorical"]:
            left = in_set(codes_left, np.int64(code))
        else:
            left = np.int64(code) <= split["bin"]
        if left:
            word_0, word_1, word_2 = _words_of(histogram, words, code)
            left_0 += word_0
            left_1 += word_1
            left_2 += word_2
    split["gradient"], split["hessian"], split["weight"] = unpack(
        left_0, left_1, left_2, node.packing
    )
    missing_0, missing_1, missing_2 = _words_of(histogram, words, missing_code)
    if (missing_0 | missing_1 | missing_2) == 0:
        split["missing_left"] = 2 * split["weight"] >= node.weight
