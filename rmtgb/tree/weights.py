"""Sample weights as the integers that histograms sum: the one owner of their rounding.

What a kernel counts and what memory is allocated by must be one number, or trees outgrow their
places. So the limits of leaves are counted in these integers, everywhere.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rmtgb._common import FloatArray, IntArray
from rmtgb.engine.jit import kernel
from rmtgb.tree.kernels.packing import BLOCK_ROWS, MIN_BITS, NO_COPIES, units_of

#: Largest weight that is packed as that many equal rows, which leaves hessians ``MIN_BITS``.
MAX_COPIES = 2**11

#: Smallest total of weights that are not, for sums of so many copies would leave gradients less
#: than ``MIN_BITS`` bits.
MAX_COPIES_TOTAL = 2 ** (62 - MIN_BITS)

#: Bits of the total of other weights: all that a word of its own can hold, or what two words
#: leave for it.
OWN_WORD_BITS, SHARED_WORD_BITS = 61, 63 - MIN_BITS

#: Bits of the total of few weights, beyond twice those of their number: the rest is for hessians.
SPARE_BITS = 11

#: More than all weights together, and an int64 even when it is doubled.
MORE_THAN_ALL = 2.0**OWN_WORD_BITS

#: Up to so many rows two words round weights by less than the mean weight over twice the number
#: of rows: even if all were rounded the same way, no leaf would be miscounted by half a mean row.
MAX_SHARED_WORD_ROWS = 2**13 - 1

#: Sums of weights that differ by rounding only count as equal: with two words a weight of a fifth
#: of the mean is rounded by up to 4e-5.
RELATIVE_TOLERANCE = 1e-4


@kernel
def sum_units(
    weight: FloatArray,
    offsets: IntArray,
    scale: float,
    totals: IntArray,
) -> None:
    """Sum integer weights (n_rows,) over ranges, from ``offsets`` (n + 1,) to OUT totals (n,)."""
    for part in range(totals.size):
        total = np.int64(0)
        for i in range(offsets[part], offsets[part + 1]):
            total += units_of(weight[i], scale)
        totals[part] = total


@dataclass(frozen=True)
class WeightUnits:
    """How the weights of some rows become integers, ``rint(weight * scale)``.

    Attributes
    ----------
    scale : float
        A power of two; one for integer weights, which stay as they are.
    copies : bool
        Whether a row of weight k is packed as k equal rows.
    largest : int
        The largest number of copies, one where there are none.
    n_rows : ndarray of int64 of shape (n_parts,)
        Rows of each part of the rows in which trees are grown.
    totals : ndarray of int64 of shape (n_parts,)
        Sum of the integers of each part.
    """

    scale: float
    copies: bool
    largest: int
    n_rows: IntArray
    totals: IntArray

    @classmethod
    def of(cls, weight: FloatArray, offsets: IntArray) -> "WeightUnits":
        """Choose the scale of weights (n_rows,) >= 0.

        Parameters
        ----------
        weight : ndarray of float64 of shape (n_rows,)
        offsets : ndarray of int64 of shape (n_parts + 1,)
            Where the rows of each part start.
        """
        n_rows = np.diff(offsets)
        largest = float(weight.max(initial=0.0))
        total = float(np.add.reduceat(weight, offsets[:-1]).max())
        exponent = math.frexp(total)[1]
        integral = exponent <= OWN_WORD_BITS and bool(np.all(weight == np.rint(weight)))
        copies = integral and largest <= MAX_COPIES and total < MAX_COPIES_TOTAL
        scale = 1.0
        if not integral:
            bits, row_bits = OWN_WORD_BITS, int(n_rows.max()).bit_length()
            if n_rows.max() <= MAX_SHARED_WORD_ROWS:
                bits = min(SHARED_WORD_BITS - row_bits, 2 * row_bits + SPARE_BITS)
            scale = 2.0 ** (bits - 1 - exponent)  # one bit is left for rounding up
        totals = np.empty(n_rows.size, np.int64)
        sum_units(np.ascontiguousarray(weight), np.ascontiguousarray(offsets), scale, totals)
        return cls(scale, copies, max(1, int(largest)) if copies else 1, n_rows, totals)

    @property
    def all_one(self) -> bool:
        """Whether no row weighs more than one, or a fraction."""
        return self.copies and self.largest == 1

    @property
    def largest_bits(self) -> int:
        """What ``choose_bits`` is told of copies."""
        return (self.largest - 1).bit_length() if self.copies else NO_COPIES

    def min_leaf_units(self, min_samples_leaf: float) -> int:
        """Return the smallest sum of a leaf."""
        units = min_samples_leaf * self.scale * (1.0 - RELATIVE_TOLERANCE)
        return max(1, math.ceil(min(units, MORE_THAN_ALL)))

    def leaf_limits(
        self, max_leaf_nodes: int | None, max_depth: int | None, min_samples_leaf: float
    ) -> IntArray:
        """Return the largest number of leaves that a tree can have in each part.

        Parameters
        ----------
        max_leaf_nodes, max_depth : int or None
            None means no limit.
        min_samples_leaf : float
            Smallest weight of a leaf.

        Returns
        -------
        ndarray of int64 of shape (n_parts,)
        """
        limits = self.totals // self.min_leaf_units(min_samples_leaf)
        limits = np.minimum(limits, self.n_rows)  # no leaf without a row
        if max_depth is not None and max_depth < 31:
            limits = np.minimum(limits, 2**max_depth)
        if max_leaf_nodes is not None:
            limits = np.minimum(limits, max_leaf_nodes)
        return np.maximum(limits, 1)


class Words(NamedTuple):
    """How many packed words a row and a bin of a histogram have, see Packing.

    ``per_row`` and ``per_sum`` differ where rows are summed in blocks: there a bin has a word
    for each sum.
    """

    per_row: int
    per_sum: int

    @classmethod
    def choose(cls, units: WeightUnits, constant_hessian: bool) -> "Words":
        """Return the fewest words that leave gradient and hessian ``MIN_BITS`` bits."""
        row_bits = int(units.n_rows.max(initial=0)).bit_length()
        total_bits = int(units.totals.max(initial=0)).bit_length()
        if not units.all_one:
            summed_bits = total_bits if units.copies else row_bits
            return cls(2, 2) if 63 - total_bits - summed_bits >= MIN_BITS else cls(3, 3)
        n_words = 1 if constant_hessian else 2
        if 62 - 2 * row_bits >= MIN_BITS:
            return cls(n_words, n_words)
        return cls(n_words, n_words + 1)

    @property
    def block_rows(self) -> int:
        """Rows that are summed before their sums are unpacked; 0 for all of a leaf."""
        return BLOCK_ROWS if self.per_sum > self.per_row else 0
