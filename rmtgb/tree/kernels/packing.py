"""From float gradients to packed integers, and back."""

import numpy as np

from rmtgb._jit import inner
from rmtgb._team import barrier, share
from rmtgb.tree.dtypes import Packing
from rmtgb.tree.kernels.random import uniform

#: Bits of one row's gradient and hessian at the most; more would not change a float64 sum.
GRADIENT_BITS = 40
HESSIAN_BITS = 30


@inner
def unpack(word_0, word_1, packing):
    """Return the sums of gradients, hessians and weights (float64) in packed sums."""
    if packing.n_words == 1:
        weight = np.float64(word_0 & ((1 << packing.shift) - 1))
        gradient = np.float64(word_0 >> packing.shift) * packing.gradient_unit
        return gradient, weight * packing.hessian_unit, weight * packing.weight_unit
    return (
        np.float64(word_0) * packing.gradient_unit,
        np.float64(word_1 >> packing.shift) * packing.hessian_unit,
        np.float64(word_1 & ((1 << packing.shift) - 1)) * packing.weight_unit,
    )


@inner
def bit_length(number):
    """Return the number of bits of a non-negative integer."""
    bits = 0
    while number > 0:
        number >>= 1
        bits += 1
    return bits


@inner
def _largest(start, stop, gradient, hessian, task_codes, coefficient):
    """Return the largest |c g| and c^2 h of a range of rows."""
    largest_gradient, largest_hessian = 0.0, 0.0
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        largest_gradient = max(largest_gradient, abs(c * gradient[i]))
        largest_hessian = max(largest_hessian, c * c * hessian[i])
    return largest_gradient, largest_hessian


@inner
def _choose_packing(n_words, n_rows, weight_scale, weight_bits, largest_gradient, largest_hessian):
    """Give gradient and hessian all the bits that no sum of the rows can overflow."""
    row_bits = bit_length(n_rows)
    if n_words == 1:
        gradient_bits = min(GRADIENT_BITS, 62 - weight_bits - row_bits)
        hessian_unit = 1.0 / weight_scale
    else:
        gradient_bits = min(GRADIENT_BITS, 62 - row_bits)
        hessian_bits = min(HESSIAN_BITS, 63 - weight_bits - row_bits)
        hessian_unit = max(largest_hessian, 1e-300) / ((1 << hessian_bits) - 1)
    gradient_unit = max(largest_gradient, 1e-300) / ((1 << gradient_bits) - 1)
    return Packing(n_words, weight_bits, gradient_unit, hessian_unit, 1.0 / weight_scale)


@inner
def pack_rows(member, n_members, seed, subsample, gradient, hessian, rows, coefficient, n_words,
              workspace):
    """Pack ``(c g, c^2 h, weight)`` of every row for one tree; all members together.

    Rows of weight zero, and rows left out of the subsample, get an empty payload:
    they move through the tree like the others, and so receive its prediction, but
    have no part in it.

    Parameters
    ----------
    member, n_members : int
        The calling member and the size of the team.
    seed : uint64
        Decides the subsample.
    subsample : float
        Probability of a row to take part.
    gradient, hessian : ndarray of float64 of shape (n_rows,)
        Of the loss at the current prediction, multiplied by the sample weight.
    rows : RowInfo
        Weights and tasks of the rows.
    coefficient : ndarray of float64 of shape (n_tasks,)
        c, the derivative of the raw prediction with respect to this ensemble.
    n_words : int
        1 if hessians are equal to the weights, which must be all equal; else 2.
    workspace : Workspace
        ``payload`` is OUT, ``extents`` is scratch.

    Returns
    -------
    Packing
        How to unpack sums, the same in every member.
    """
    n_rows = gradient.size
    start, stop = share(0, n_rows, member, n_members)
    extents = workspace.extents[member]
    extents[0], extents[1] = _largest(
        start, stop, gradient, hessian, rows.task_codes, coefficient
    )
    barrier(member, n_members, workspace.arrivals)
    largest_gradient, largest_hessian = 0.0, 0.0
    for other in range(n_members):
        largest_gradient = max(largest_gradient, workspace.extents[other, 0])
        largest_hessian = max(largest_hessian, workspace.extents[other, 1])
    packing = _choose_packing(
        n_words, n_rows, rows.weight_scale, rows.weight_bits, largest_gradient, largest_hessian
    )
    payload = workspace.payload
    gradient_scale, hessian_scale = 1.0 / packing.gradient_unit, 1.0 / packing.hessian_unit
    for i in range(start, stop):
        c = coefficient[rows.task_codes[i]]
        g, h, weight = 0, 0, 0
        if rows.weight[i] > 0.0 and (subsample >= 1.0 or uniform(seed, i) < subsample):
            g = np.int64(np.rint(c * gradient[i] * gradient_scale))
            h = np.int64(np.rint(c * c * hessian[i] * hessian_scale))
            weight = np.int64(np.rint(rows.weight[i] * rows.weight_scale))
        if n_words == 1:
            payload[i] = (g << packing.shift) + weight
        else:
            payload[2 * i] = g
            payload[2 * i + 1] = (h << packing.shift) + weight
    return packing
