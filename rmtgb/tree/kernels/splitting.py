"""The best split of one feature, from a histogram of packed sums."""

from typing import NamedTuple

import numpy as np
from numba import config

from rmtgb.engine.jit import inner
from rmtgb.engine.random import uniform
from rmtgb.tree.dtypes import Packing
from rmtgb.tree.kernels.packing import unpack

#: Hessian, in units of an average row of the node, below which a child is refused:
#: its Newton step would be a division by nearly nothing.
MIN_HESSIAN = 1e-3

#: Categories are ordered by gradient / hessian with this many average rows added to
#: the hessian, and their gain is computed with as many: sorting by the target
#: overfits rare categories. LightGBM's cat_smooth and cat_l2 have the same value.
CATEGORY_SMOOTHING = 10.0


#: Splits whose gains are computed at a time: a multiple of what any processor's vectors hold,
#: and LLVM's unrolling of them. One without compilation: what fills up a vector is leftovers.
VECTOR = np.uint64(1 if config.DISABLE_JIT else 32)

_ZERO, _ONE = np.uint64(0), np.uint64(1)  # positions: signed ones are tested for negative values


class Node(NamedTuple):
    """A node that is to be split, in scalars that stay in registers; see ``make_node``.

    ``total_0``, ``total_1`` are its packed sums, ``gradient``, ``hessian``, ``weight`` the same
    unpacked, ``l2_regularization`` is added to the
    hessian of a child; ``min_weight`` is a child's smallest weight, ``min_hessian`` is below its
    smallest hessian; ``packing`` tells how sums are packed. ``per_hessian``, ``scale`` and
    ``constant`` are parts of the gain that are the same for all splits. If ``random`` is not 0,
    only one split of each feature is tried, drawn with ``seed`` from those that leave rows on
    both sides (Geurts, Ernst, Wehenkel 2006, extremely randomised trees).
    """

    total_0: int
    total_1: int
    gradient: float
    hessian: float
    weight: float
    l2_regularization: float
    min_weight: float
    min_hessian: float
    packing: Packing
    per_hessian: float
    scale: float
    constant: float
    random: int
    seed: int


class Scratch(NamedTuple):
    """Where a scan keeps what it knows of each possible split, 256 at most.

    ``left_0``, ``left_1`` (256,) int64, packed sums of the left child; ``codes`` (256,) uint8,
    the bin or category up to which rows go left; ``gains`` (256,) float32; ``keys`` (256,)
    float64, by which categories are sorted.
    """

    left_0: np.ndarray
    left_1: np.ndarray
    codes: np.ndarray
    gains: np.ndarray
    keys: np.ndarray


@inner
def score(gradient, hessian, l2_regularization):
    """Return G^2 / (H + lambda), twice the loss that a Newton leaf saves."""
    return gradient * gradient / (hessian + l2_regularization)


@inner
def make_node(total_0, total_1, l2_regularization, min_weight, packing, random, seed):
    """Return a Node of these packed sums and limits.

    A split's gain is score(left) + score(right) - score(parent). With a and b the regularised
    hessians of the children, u = a / (a + b), and G the gradient of the node, it equals
    (g_left - u G)^2 / (u (1 - u) (a + b)) minus a constant of the node, which loses no digits
    in a difference of large scores.
    """
    gradient, hessian, weight = unpack(total_0, total_1, packing)
    both = hessian + 2.0 * l2_regularization
    constant = score(gradient, hessian, l2_regularization) - score(gradient, both, 0.0)
    return Node(
        total_0,
        total_1,
        gradient,
        hessian,
        weight,
        l2_regularization,
        min_weight,
        MIN_HESSIAN * hessian / weight,
        packing,
        1.0 / both,
        1.0 / np.sqrt(both),
        constant,
        random,
        seed,
    )


@inner
def _gain(left_0, left_1, node):
    """Return what a split saves, or -1 if a child is too small; without a branch.

    It is rounded to single precision: splits of equal worth compare equal, whatever the order
    or the unit of the sums, and the first of them is taken.
    """
    g_left, h_left, w_left = unpack(left_0, left_1, node.packing)
    u = (h_left + node.l2_regularization) * node.per_hessian
    difference = (g_left - u * node.gradient) * node.scale
    gain = np.float32(difference * difference / (u * (1.0 - u)) - node.constant)
    h_right, w_right = node.hessian - h_left, node.weight - w_left
    enough = (w_left >= node.min_weight) & (w_right >= node.min_weight)
    fits = enough & (h_left > node.min_hessian) & (h_right > node.min_hessian)
    return gain if fits else np.float32(-1.0)


@inner
def _fill_gains(n, node, least, scratch):
    """Compute the gains of n splits, and count those that save more than ``least``.

    There is no rest that is worked on one by one: a loop of vectors.
    """
    n_better = 0
    for i in range((n + VECTOR - _ONE) // VECTOR * VECTOR):
        gain = _gain(scratch.left_0[i], scratch.left_1[i], node)
        scratch.gains[i] = gain
        n_better += (gain > least) & (i < n)
    return n_better


@inner
def _best_of(n, node, feature, scratch, least):
    """Return which of n splits saves most, and more than a least gain: the first; else -1."""
    best, least = -1, np.float32(least)
    if n == _ZERO:
        return best
    if node.random:
        i = np.uint64(uniform(node.seed, feature) * n)
        scratch.gains[i] = _gain(scratch.left_0[i], scratch.left_1[i], node)
        return np.int64(i) if scratch.gains[i] > least else best
    if _fill_gains(n, node, least, scratch) > 0:
        for i in range(n):
            if scratch.gains[i] > least:
                best, least = np.int64(i), scratch.gains[i]
    return best


@inner
def _word(histogram, words, code, which):
    """Return one of the packed sums of a code; those without a second word have 0 there."""
    return histogram[words * code + which] if which < words else np.int64(0)


@inner
def _keep(split, gain, feature, position, missing_left, categorical):
    split["gain"] = gain
    split["feature"] = feature
    split["bin"] = position
    split["missing_left"] = missing_left
    split["categorical"] = categorical


@inner
def scan_numerical(histogram, feature, n_bins, node, scratch, split):
    """Try every threshold of a feature, with missing values on either side.

    Parameters
    ----------
    histogram : ndarray of int64 of shape (n_codes * n_words,)
        Packed sums by bin; the last bin holds the missing values.
    feature, n_bins : int
        The feature and its number of bins of values.
    node : Node
    scratch : Scratch
    split : SPLIT record
        INOUT, replaced where a larger gain is found, but for its sums.
    """
    words = np.uint64(node.packing.n_words)
    missing_code = np.uint64(histogram.size) // words - _ONE
    missing_0 = _word(histogram, words, missing_code, _ZERO)
    missing_1 = _word(histogram, words, missing_code, _ONE)
    any_missing = missing_0 != 0 or missing_1 != 0
    lefts_0, lefts_1, codes = scratch.left_0, scratch.left_1, scratch.codes
    for missing_left in range(2 if any_missing else 1):
        left_0, left_1, n = missing_left * missing_0, missing_left * missing_1, _ZERO
        # without missing values the last bin has nothing on its right
        for b in range(np.uint64(n_bins if any_missing and not missing_left else n_bins - 1)):
            word_0, word_1 = _word(histogram, words, b, _ZERO), _word(histogram, words, b, _ONE)
            left_0 += word_0
            left_1 += word_1
            lefts_0[n], lefts_1[n], codes[n] = left_0, left_1, b
            n += np.uint64((word_0 | word_1) != 0)  # what an empty bin wrote is written over
        if n > _ZERO and left_0 == node.total_0 and left_1 == node.total_1:
            n -= _ONE  # nothing is right of the last bin in use
        best = _best_of(n, node, feature, scratch, split["gain"])
        if best >= 0:
            _keep(split, scratch.gains[best], feature, scratch.codes[best], missing_left, 0)


@inner
def _sort_categories(histogram, node, scratch):
    """Sort the codes in use by gradient / smoothed hessian, return how many there are."""
    words, keys, by_key = np.uint64(node.packing.n_words), scratch.keys, scratch.codes
    smoothing = CATEGORY_SMOOTHING * node.hessian / node.weight
    n_used = 0
    for code in range(np.uint64(histogram.size) // words):
        word_0, word_1 = _word(histogram, words, code, _ZERO), _word(histogram, words, code, _ONE)
        if word_0 != 0 or word_1 != 0:
            g, h, _ = unpack(word_0, word_1, node.packing)
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
def _comes_before(code, other, keys):
    return keys[code] < keys[other] or (keys[code] == keys[other] and code < other)


@inner
def scan_categorical(histogram, feature, node, scratch, split, codes_left):
    """Try every prefix of the categories sorted by gradient (Fisher 1958).

    Missing values are a category like the others. Arguments as for
    :func:`scan_numerical`, and

    Parameters
    ----------
    codes_left : ndarray of uint64 of shape (4,)
        OUT, the set of codes that go left, if the split was replaced.
    """
    words, by_key = np.uint64(node.packing.n_words), scratch.codes
    n_used = _sort_categories(histogram, node, scratch)
    left_0, left_1, n = np.int64(0), np.int64(0), _ZERO
    for position in range(n_used - 1):
        code = np.uint64(by_key[position])
        left_0 += _word(histogram, words, code, _ZERO)
        left_1 += _word(histogram, words, code, _ONE)
        scratch.left_0[n], scratch.left_1[n] = left_0, left_1
        n += _ONE
    smoothed = make_node(
        node.total_0,
        node.total_1,
        node.l2_regularization + CATEGORY_SMOOTHING * node.hessian / node.weight,
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
def _fill_set(codes, words):
    """Write bin codes as a set of 256 bits (4 uint64)."""
    for word in range(words.size):
        words[word] = 0
    for code in codes:
        words[code >> 6] |= np.uint64(1) << np.uint64(code & 63)


@inner
def complete_split(histogram, node, split, codes_left):
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
    left_0, left_1 = np.int64(0), np.int64(0)
    for code in range(missing_code + _ONE):
        if code == missing_code:
            left = split["missing_left"] > 0
        elif split["categorical"]:
            left = in_set(codes_left, np.int64(code))
        else:
            left = np.int64(code) <= split["bin"]
        if left:
            left_0 += _word(histogram, words, code, _ZERO)
            left_1 += _word(histogram, words, code, _ONE)
    split["left_0"], split["left_1"] = left_0, left_1
    missing_0 = _word(histogram, words, missing_code, _ZERO)
    missing_1 = _word(histogram, words, missing_code, _ONE)
    if missing_0 == 0 and missing_1 == 0:
        weight_left = unpack(left_0, left_1, node.packing)[2]
        split["missing_left"] = 2.0 * weight_left >= node.weight


@inner
def in_set(words, code):
    """Return whether a bin code is in a set of 256 bits (4 uint64)."""
    return (words[code >> 6] >> np.uint64(code & 63)) & np.uint64(1) == 1
