"""Linear leaves: ridge regression on the features that a leaf's path has split.

Shi, Li, Li, "Gradient boosting with piece-wise linear regression trees", IJCAI 2019. All
sums are taken over integers, so that they are exact: neither the order of the rows nor the
number of threads changes a bit.
"""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner
from rmtgb.engine.record import Array, array_of, wait
from rmtgb.engine.team import share
from rmtgb.tree.kernels.growth import N_LEAVES, N_NODES, N_SLOPES, NONE
from rmtgb.tree.kernels.packing import integers_of_row, row_packing
from rmtgb.tree.kernels.quantile import weighted_quantile
from rmtgb.tree.kernels.slopes import slopes_of
from rmtgb.tree.kernels.steps import log_shortening
from rmtgb.tree.records import MAX_SLOPES, MISSING_Z, MOMENTS, TILE_ROWS, Z_UNIT

#: The rows of a tile: hessians, gradients, values of the slopes' features, and a product.
HESSIAN, GRADIENT, VALUES, PRODUCT = 0, 1, 2, MAX_SLOPES + 2

#: Distance between the rows of the matrix in moments, and where the vector is.
ORDER = MAX_SLOPES + 1
VECTOR = ORDER * ORDER

#: Standardised values are rounded to 2^3 of their units before they are multiplied: below 2^12
#: in size, they leave 33 bits for hessians in sums of 64 products with two of them.
MOMENT_SHIFT = 3
MOMENT_HALF = 1 << (MOMENT_SHIFT - 1)

#: Sums of 64 rows are added up in two halves, so that those of 2^32 rows fit.
HALF_BITS = 32
LOW, HIGH = 0, 1

#: Least ridge for each unit of hessian, the variance of features being one: what differs by
#: rounding only shall get no slope.
RELATIVE_RIDGE = 1e-6


@inner
def add_linear_values(
    grow: Any, start: Int, stop: Int, value: float, slopes: Array, prediction: Array
) -> None:
    """Add the value of a leaf and what its slopes add, as :func:`slope_part`, to some rows."""
    order, standardized = array_of(grow, "order"), array_of(grow, "standardized")
    totals = array_of(grow, "totals")[grow["member"]]
    for first in range(start, stop, TILE_ROWS):
        n = min(TILE_ROWS, stop - first)
        for i in range(n):
            totals[i] = 0.0
        for j in range(slopes.size):  # one after another, so that rows go abreast
            feature, center = slopes[j]["feature"], slopes[j]["center"]
            coefficient = slopes[j]["coefficient"]
            for i in range(n):
                z = standardized[order[first + i], feature]
                distance = np.float64(z) * Z_UNIT - center
                totals[i] += 0.0 if z == MISSING_Z else coefficient * distance
        for i in range(n):
            prediction[order[first + i]] += value + totals[i]


@inner
def fit_slopes(grow: Any) -> None:
    """Give every leaf of the tree that was grown its slopes; called by every member.

    With G, H, b and A the sums of g, h, ``g (z - m)`` and ``h (z - m)(z - m)'`` over the
    rows of a leaf, and m the mean of z weighted by h, the loss of ``value + beta'(z - m)`` is
    ``value G + value^2 H / 2 + beta'b + beta'A beta / 2``: the constant is that of a leaf
    without slopes, and ``beta = -(A + lambda)^-1 b``. Rows with a missing value among the
    leaf's features are left out.

    Parameters
    ----------
    grow : GROW record
        ``nodes`` is INOUT, ``slopes`` OUT.
    """
    if grow["member"] == 0:
        _choose_features(grow)
    wait(grow)
    _sum_moments(grow)
    wait(grow)
    _solve_leaves(grow)
    wait(grow)


@inner
def _choose_features(grow: Any) -> None:
    """List the numerical features of each leaf's path, those nearest to it first."""
    parents, counts = array_of(grow, "parents"), array_of(grow, "counts")
    leaves, categorical = array_of(grow, "leaves"), array_of(grow, "categorical")
    nodes, slopes = array_of(grow, "nodes"), array_of(grow, "slopes")
    parents[0] = NONE
    for position in range(counts[N_NODES]):
        left = nodes[position]["left"]
        if left != NONE:
            parents[left], parents[left + 1] = position, position
    for position in range(counts[N_LEAVES]):
        node, at = nodes[leaves[position]["node"]], parents[leaves[position]["node"]]
        node["first_slope"] = counts[N_SLOPES]
        while at != NONE and node["n_slopes"] < MAX_SLOPES:
            feature = nodes[at]["feature"]
            if not categorical[feature] and not _is_among(slopes_of(node, slopes), feature):
                slopes[counts[N_SLOPES]]["feature"] = feature
                counts[N_SLOPES] += 1
                node["n_slopes"] += 1
            at = parents[at]


@inner
def _is_among(slopes: Array, feature: Int) -> bool:
    for slope in range(slopes.size):  # noqa: SIM110 - numba has no any() of a generator
        if slopes[slope]["feature"] == feature:
            return True
    return False


@inner
def _sum_moments(grow: Any) -> None:
    """Sum the moments of every leaf over a member's share of its rows."""
    leaves, moments = array_of(grow, "leaves"), array_of(grow, "moments")[grow["member"]]
    nodes, slopes = array_of(grow, "nodes"), array_of(grow, "slopes")
    for position in range(array_of(grow, "counts")[N_LEAVES]):
        leaf = leaves[position]
        own = slopes_of(nodes[leaf["node"]], slopes)
        if own.size > 0:
            first, last = share(leaf["start"], leaf["stop"], grow["member"], grow["n_members"])
            _sum_rows(grow, first, last, own, moments[position])


@inner
def _sum_rows(grow: Any, start: Int, stop: Int, slopes: Array, moments: Array) -> None:
    """Sum the moments of a range of rows, tile by tile."""
    tile = array_of(grow, "tile")[grow["member"]]
    for k in range(MOMENTS):
        moments[LOW, k], moments[HIGH, k] = 0, 0
    for first in range(start, stop, TILE_ROWS):
        _fill_tile(grow, first, min(first + TILE_ROWS, stop), slopes, tile)
        _add_halves(moments, 0, _sum(tile[HESSIAN]))
        _add_halves(moments, VECTOR, _sum(tile[GRADIENT]))
        for j in range(slopes.size):
            _multiply(tile[HESSIAN], tile[VALUES + j], tile[PRODUCT])
            row = (j + 1) * ORDER
            _add_halves(moments, row, _sum(tile[PRODUCT]))
            _add_halves(moments, VECTOR + j + 1, _dot(tile[GRADIENT], tile[VALUES + j]))
            for k in range(j + 1):
                _add_halves(moments, row + k + 1, _dot(tile[PRODUCT], tile[VALUES + k]))


@inner
def _add_halves(moments: Array, k: Int, total: Int) -> None:
    moments[LOW, k] += total & ((1 << HALF_BITS) - 1)
    moments[HIGH, k] += total >> HALF_BITS


@inner
def _fill_tile(grow: Any, start: Int, stop: Int, slopes: Array, tile: Array) -> None:
    """Copy gradients, hessians and values of some rows to where vectors can be loaded."""
    order, payload = array_of(grow, "order"), array_of(grow, "payload")
    standardized, packing = array_of(grow, "standardized"), row_packing(grow)
    hessians, gradients = tile[HESSIAN], tile[GRADIENT]
    n = stop - start
    for i in range(n):
        row = np.int64(order[start + i])
        gradients[i], hessians[i], _ = integers_of_row(payload, row, packing)
    for i in range(n, TILE_ROWS):
        gradients[i], hessians[i] = 0, 0
    for j in range(slopes.size):
        feature, values = slopes[j]["feature"], tile[VALUES + j]
        for i in range(n):  # a row with a missing value counts as absent
            z = standardized[order[start + i], feature]
            known = z != MISSING_Z
            values[i] = (np.int64(z) + MOMENT_HALF) >> MOMENT_SHIFT if known else 0
            hessians[i] = hessians[i] if known else 0
            gradients[i] = gradients[i] if known else 0
        for i in range(n, TILE_ROWS):
            values[i] = 0


@inner
def _sum(a: Array) -> Int:
    total = np.int64(0)
    for i in range(np.uint64(TILE_ROWS)):
        total += a[i]
    return total


@inner
def _dot(a: Array, b: Array) -> Int:
    total = np.int64(0)
    for i in range(np.uint64(TILE_ROWS)):
        total += a[i] * b[i]
    return total


@inner
def _multiply(a: Array, b: Array, product: Array) -> None:
    for i in range(np.uint64(TILE_ROWS)):
        product[i] = a[i] * b[i]


@inner
def _solve_leaves(grow: Any) -> None:
    """Solve for the slopes of a member's leaves."""
    leaves, system = array_of(grow, "leaves"), array_of(grow, "system")[grow["member"]]
    nodes, slopes = array_of(grow, "nodes"), array_of(grow, "slopes")
    for position in range(grow["member"], array_of(grow, "counts")[N_LEAVES], grow["n_members"]):
        leaf = leaves[position]
        own = slopes_of(nodes[leaf["node"]], slopes)
        if own.size == 0:
            continue
        _set_up(grow, position, system)
        if system[0] <= 0.0:  # rows that know all values weigh nothing, to the last unit
            for j in range(own.size):
                own[j]["center"], own[j]["coefficient"] = 0.0, 0.0
        else:
            _center(system, own)
            _solve(system, own.size, grow["l2_regularization"] + RELATIVE_RIDGE * system[0])
            scale = grow["learning_rate"] * _residual_scale(grow, leaf)
            scale *= log_shortening(grow, -system[VECTOR] / system[0])
            for j in range(own.size):
                own[j]["coefficient"] = -scale * system[VECTOR + j + 1]


@inner
def _set_up(grow: Any, position: Int, system: Array) -> None:
    """Add up what members have summed for a leaf, in the units of hessians and gradients."""
    moments = array_of(grow, "moments")
    unit = Z_UNIT * (1 << MOMENT_SHIFT)
    for k in range(system.size):
        low, high = np.int64(0), np.int64(0)
        for member in range(grow["n_members"]):
            low += moments[member, position, LOW, k]
            high += moments[member, position, HIGH, k]
        high += low >> HALF_BITS  # one way to write a sum, however it was divided
        low &= (1 << HALF_BITS) - 1
        scale = grow["hessian_unit"] if k < VECTOR else grow["gradient_unit"]
        scale *= 1.0 if k % ORDER == 0 else unit
        scale *= unit if ORDER <= k < VECTOR else 1.0
        system[k] = (np.float64(high) * 2.0**HALF_BITS + np.float64(low)) * scale


@inner
def _residual_scale(grow: Any, leaf: Any) -> float:
    """Return the unit of the slopes of a leaf: 1, but for losses whose leaves are quantiles.

    Their gradients are signs and their hessians one by convention. The quadratic that
    touches |r| from above has curvature 1 / |r|, here that of the median.
    """
    if grow["leaf_quantile"] == 0.0:
        return 1.0
    order, weight = array_of(grow, "order"), array_of(grow, "weight")
    residual, residual_weight = array_of(grow, "residual"), array_of(grow, "residual_weight")
    values, weights = array_of(grow, "leaf_residuals"), array_of(grow, "leaf_weights")
    size = leaf["start"]
    for i in range(leaf["start"], leaf["stop"]):
        row = order[i]
        if residual_weight[row] > 0.0:
            # residuals are per unit of the coefficient that their weights have
            values[size] = abs(residual[row]) * (residual_weight[row] / weight[row])
            weights[size] = residual_weight[row]
            size += 1
    return weighted_quantile(values[leaf["start"] : size], weights[leaf["start"] : size], 0.5)


@inner
def _center(system: Array, slopes: Array) -> None:
    """Turn moments about zero into those about the mean, the slopes' centers."""
    for j in range(slopes.size, 0, -1):  # backwards: the means are read until the end
        mean = system[j * ORDER] / system[0]
        slopes[j - 1]["center"] = mean
        for k in range(1, j + 1):
            system[j * ORDER + k] -= mean * system[k * ORDER]
        system[VECTOR + j] -= mean * system[VECTOR]


@inner
def _solve(system: Array, n: Int, ridge: float) -> None:
    """Replace b by ``(A + ridge)^-1 b``, by Cholesky decomposition in place.

    Parameters
    ----------
    system : ndarray of float64 of shape (MOMENTS,)
        Centered; INOUT.
    n : Int
        Number of slopes.
    ridge : float
        Added to the diagonal of A.
    """
    for j in range(1, n + 1):
        row = j * ORDER
        for k in range(1, j + 1):
            entry = system[row + k]
            for i in range(1, k):
                entry -= system[row + i] * system[k * ORDER + i]
            if k < j:
                system[row + k] = entry / system[k * ORDER + k]
            else:
                pivot = max(entry, 0.0) + ridge  # negative by rounding only
                system[row + j] = np.sqrt(pivot) if pivot > 0.0 else 1.0
        for i in range(1, j):
            system[VECTOR + j] -= system[row + i] * system[VECTOR + i]
        system[VECTOR + j] /= system[row + j]
    for j in range(n, 0, -1):
        for i in range(j + 1, n + 1):
            system[VECTOR + j] -= system[i * ORDER + j] * system[VECTOR + i]
        system[VECTOR + j] /= system[j * ORDER + j]
