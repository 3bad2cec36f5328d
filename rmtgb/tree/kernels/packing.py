"""From float gradients to packed integers, and back."""

import numpy as np

from rmtgb.engine.jit import inner
from rmtgb.engine.random import uniform
from rmtgb.engine.team import share
from rmtgb.tree.dtypes import Packing
from rmtgb.tree.kernels.memory import array_of, wait

#: Bits of one row's gradient and hessian at the most; more would not change a float64 sum.
GRADIENT_BITS = 40
HESSIAN_BITS = 30

#: Linear leaves sum products of gradients and one standardised value, or of hessians and two:
#: these are shifted, which leaves them so many bits, for sums to fit into 64.
MOMENT_SHIFT, MOMENT_BITS = 3, 12

#: Bits of the sum of integer weights up to which a row of weight k has k times the payload of a
#: row of weight one, so that repetition gives the same sums to the last bit. Beyond it too few
#: bits would be left.
COPY_BITS = 24

#: Stands for the largest gradient where all are zero; its unit still has a reciprocal.
SMALLEST = 1e-280


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
def integers_of(word_0, word_1, packing):
    """Return gradient and hessian in packed words as integers, in their units."""
    if packing.n_words == 1:
        return word_0 >> packing.shift, word_0 & ((1 << packing.shift) - 1)
    return word_0, word_1 >> packing.shift


@inner
def packing_of(job):
    """Return the packing of a job as scalars that stay in registers."""
    return Packing(
        job["n_words"],
        job["shift"],
        job["gradient_unit"],
        job["hessian_unit"],
        job["weight_unit"],
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
def _are_copies(job):
    """Tell whether weights are packed as that many equal rows: integers, few enough."""
    return job["weight_scale"] == 1.0 and job["weight_bits"] <= COPY_BITS


@inner
def _per_copy(value, weight, are_copies):
    """Return a row's share of a sum, if a row of weight k is packed as k equal rows."""
    return value / weight if are_copies and weight > 1.0 else value


@inner
def _measure_share(job, output, coefficient):
    """Find the largest |c g| and c^2 h of a member's rows."""
    gradient, hessian = array_of(job, "gradient")[output], array_of(job, "hessian")[output]
    task_codes, weight = array_of(job, "task_codes"), array_of(job, "weight")
    start, stop = share(0, job["n_rows"], job["member"], job["n_members"])
    largest_gradient, largest_hessian = 0.0, 0.0
    n_words, are_copies = job["n_words"], _are_copies(job)
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        g = _per_copy(c * gradient[i], weight[i], are_copies)
        largest_gradient = max(largest_gradient, abs(g))
        if n_words == 2:
            h = _per_copy(c * c * hessian[i], weight[i], are_copies)
            largest_hessian = max(largest_hessian, h)
    extents = array_of(job, "extents")
    extents[job["member"], 0] = largest_gradient
    extents[job["member"], 1] = largest_hessian


@inner
def _choose_units(job):
    """Give gradient and hessian all the bits that no sum of the rows can overflow."""
    largest_gradient, largest_hessian = SMALLEST, SMALLEST
    extents = array_of(job, "extents")
    for member in range(job["n_members"]):
        largest_gradient = max(largest_gradient, extents[member, 0])
        largest_hessian = max(largest_hessian, extents[member, 1])
    row_bits, weight_bits = bit_length(job["n_rows"]), job["weight_bits"]
    if _are_copies(job):
        row_bits = weight_bits
    job["shift"] = weight_bits
    job["weight_unit"] = 1.0 / job["weight_scale"]
    value_bits = MOMENT_BITS if job["linear_leaves"] else 0
    if job["n_words"] == 1:
        gradient_bits = min(GRADIENT_BITS, 62 - max(weight_bits, value_bits) - row_bits)
        job["hessian_unit"] = job["weight_unit"]
    else:
        gradient_bits = min(GRADIENT_BITS, 62 - value_bits - row_bits)
        hessian_bits = min(HESSIAN_BITS, 63 - max(weight_bits, 2 * value_bits + 1) - row_bits)
        job["hessian_unit"] = largest_hessian / ((1 << hessian_bits) - 1)
    job["gradient_unit"] = largest_gradient / ((1 << gradient_bits) - 1)


@inner
def pack_rows(job, output, coefficient):
    """Pack ``(c g, c^2 h, weight)`` of every row for one tree; called by every member.

    Rows of weight zero, and rows left out of the subsample, get an empty payload:
    they move through the tree like the others, and so receive its prediction, but
    have no part in it.

    Parameters
    ----------
    job : JOB record
        ``payload`` and the packing are OUT.
    output : int
        Which gradients and hessians.
    coefficient : ndarray of float64 of shape (n_tasks,)
        c, the derivative of the raw prediction with respect to this ensemble.
    """
    _measure_share(job, output, coefficient)
    wait(job)
    _choose_units(job)
    gradient, hessian = array_of(job, "gradient")[output], array_of(job, "hessian")[output]
    weights, task_codes, payload = (
        array_of(job, "weight"),
        array_of(job, "task_codes"),
        array_of(job, "payload"),
    )
    gradient_scale, hessian_scale = 1.0 / job["gradient_unit"], 1.0 / job["hessian_unit"]
    weight_scale, shift, seed = job["weight_scale"], job["shift"], job["seed"]
    n_words, subsample, are_copies = job["n_words"], job["subsample"], _are_copies(job)
    start, stop = share(0, job["n_rows"], job["member"], job["n_members"])
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        g, h, weight = 0, 0, 0
        if weights[i] > 0.0 and (subsample >= 1.0 or uniform(seed, i) < subsample):
            copies = max(weights[i], 1.0) if are_copies else 1.0
            own = _per_copy(c * gradient[i], weights[i], are_copies)
            g = np.int64(np.rint(own * gradient_scale) * copies)
            if n_words == 2:
                own = _per_copy(c * c * hessian[i], weights[i], are_copies)
                h = np.int64(np.rint(own * hessian_scale) * copies)
            weight = np.int64(np.rint(weights[i] * weight_scale))
        if n_words == 1:
            payload[i] = (g << shift) + weight
        else:
            payload[2 * i] = g
            payload[2 * i + 1] = (h << shift) + weight
