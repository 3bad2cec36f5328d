"""Linear leaves: ridge regression on the features that a leaf's path has split.

Shi, Li, Li, "Gradient boosting with piece-wise linear regression trees", IJCAI 2019. All
sums are taken over integers, so that they are exact: neither the order of the rows nor the
number of threads changes a bit.
"""

import numpy as np

from rmtgb.engine.jit import inner, part
from rmtgb.engine.team import share
from rmtgb.tree.dtypes import MAX_SLOPES, MISSING_Z, TILE_ROWS, Z_UNIT
from rmtgb.tree.kernels.growth import N_LEAVES, N_NODES, N_SLOPES, NONE
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import MOMENT_SHIFT, integers_of, packing_of
from rmtgb.tree.kernels.quantile import weighted_quantile

#: The rows of a tile: hessians, gradients, values of the slopes' features, and a product.
HESSIAN, GRADIENT, VALUES, PRODUCT = 0, 1, 2, MAX_SLOPES + 2

#: Distance between the rows of the matrix in moments, and where the vector is.
ORDER = MAX_SLOPES + 1
VECTOR = ORDER * ORDER

#: Makes shifting round to the nearest.
MOMENT_HALF = 1 << (MOMENT_SHIFT - 1)

#: Least ridge for each unit of hessian, the variance of features being one: what differs by
#: rounding only shall get no slope.
RELATIVE_RIDGE = 1e-6


@inner
def slope_part(row, slopes):
    """Return what slopes (ndarray of SLOPE) add to the constant of a leaf.

    ``row`` (n_features,) int16 holds standardised values.
    """
    total = 0.0
    for slope in range(slopes.size):
        z = row[slopes[slope]["feature"]]
        if z != MISSING_Z:
            distance = np.float64(z) * Z_UNIT - slopes[slope]["center"]
            total += slopes[slope]["coefficient"] * distance
    return total


@inner
def add_linear_values(job, start, stop, value, slopes, prediction):
    """Add the value of a leaf and what its slopes add, as :func:`slope_part`, to some rows."""
    order, standardized = array_of(job, "order"), array_of(job, "standardized")
    totals = array_of(job, "totals")[job["member"]]
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
def fit_slopes(job, nodes, slopes):
    """Give every leaf of the tree that a job has grown its slopes; called by every member.

    With G, H, b and A the sums of g, h, ``g (z - m)`` and ``h (z - m)(z - m)'`` over the
    rows of a leaf, and m the mean of z weighted by h, the loss of ``value + beta'(z - m)`` is
    ``value G + value^2 H / 2 + beta'b + beta'A beta / 2``: the constant is that of a leaf
    without slopes, and ``beta = -(A + lambda)^-1 b``. Rows with a missing value among the
    leaf's features are left out.

    Parameters
    ----------
    job : JOB record
    nodes : ndarray of TREE_NODE
        INOUT.
    slopes : ndarray of SLOPE
        OUT, large enough.
    """
    if job["member"] == 0:
        _choose_features(job, nodes, slopes)
    wait(job)
    _sum_moments(job, nodes, slopes)
    wait(job)
    _solve_leaves(job, nodes, slopes)
    wait(job)


@part
def slopes_of(node, slopes):
    """Return the slopes of a leaf."""
    return slopes[node["first_slope"] : node["first_slope"] + node["n_slopes"]]


@inner
def _choose_features(job, nodes, slopes):
    """List the numerical features of each leaf's path, those nearest to it first."""
    parents, counts, leaves = (
        array_of(job, "parents"),
        array_of(job, "counts"),
        array_of(job, "leaves"),
    )
    categorical = array_of(job, "categorical")
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
def _is_among(slopes, feature):
    for slope in range(slopes.size):  # noqa: SIM110 - numba has no any() of a generator
        if slopes[slope]["feature"] == feature:
            return True
    return False


@inner
def _sum_moments(job, nodes, slopes):
    """Sum the moments of every leaf over a member's share of its rows."""
    leaves, moments = array_of(job, "leaves"), array_of(job, "moments")[job["member"]]
    for position in range(array_of(job, "counts")[N_LEAVES]):
        leaf = leaves[position]
        own = slopes_of(nodes[leaf["node"]], slopes)
        if own.size > 0:
            first, last = share(leaf["start"], leaf["stop"], job["member"], job["n_members"])
            _sum_rows(job, first, last, own, moments[position])


@inner
def _sum_rows(job, start, stop, slopes, moments):
    """Sum the moments of a range of rows, tile by tile."""
    tile = array_of(job, "tile")[job["member"]]
    for k in range(moments.size):
        moments[k] = 0
    for first in range(start, stop, TILE_ROWS):
        _fill_tile(job, first, min(first + TILE_ROWS, stop), slopes, tile)
        moments[0] += _sum(tile[HESSIAN])
        moments[VECTOR] += _sum(tile[GRADIENT])
        for j in range(slopes.size):
            _multiply(tile[HESSIAN], tile[VALUES + j], tile[PRODUCT])
            row = (j + 1) * ORDER
            moments[row] += _sum(tile[PRODUCT])
            moments[VECTOR + j + 1] += _dot(tile[GRADIENT], tile[VALUES + j])
            for k in range(j + 1):
                moments[row + k + 1] += _dot(tile[PRODUCT], tile[VALUES + k])


@inner
def _fill_tile(job, start, stop, slopes, tile):
    """Copy gradients, hessians and values of some rows to where vectors can be loaded."""
    order, payload = array_of(job, "order"), array_of(job, "payload")
    standardized, packing = array_of(job, "standardized"), packing_of(job)
    hessians, gradients = tile[HESSIAN], tile[GRADIENT]
    n = stop - start
    for i in range(n):
        row = np.int64(order[start + i])
        word = payload[packing.n_words * row]
        second = payload[2 * row + 1] if packing.n_words == 2 else 0
        gradients[i], hessians[i] = integers_of(word, second, packing)
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
def _sum(a):
    total = np.int64(0)
    for i in range(np.uint64(TILE_ROWS)):
        total += a[i]
    return total


@inner
def _dot(a, b):
    total = np.int64(0)
    for i in range(np.uint64(TILE_ROWS)):
        total += a[i] * b[i]
    return total


@inner
def _multiply(a, b, product):
    for i in range(np.uint64(TILE_ROWS)):
        product[i] = a[i] * b[i]


@inner
def _solve_leaves(job, nodes, slopes):
    """Solve for the slopes of a member's leaves."""
    leaves, system = array_of(job, "leaves"), array_of(job, "system")[job["member"]]
    for position in range(job["member"], array_of(job, "counts")[N_LEAVES], job["n_members"]):
        leaf = leaves[position]
        own = slopes_of(nodes[leaf["node"]], slopes)
        if own.size > 0:
            _set_up(job, position, system)
            _center(system, own)
            _solve(system, own.size, job["l2_regularization"] + RELATIVE_RIDGE * system[0])
            scale = job["learning_rate"] * _residual_scale(job, leaf)
            for j in range(own.size):
                own[j]["coefficient"] = -scale * system[VECTOR + j + 1]


@inner
def _set_up(job, position, system):
    """Add up what members have summed for a leaf, in the units of hessians and gradients."""
    moments, packing = array_of(job, "moments"), packing_of(job)
    unit = Z_UNIT * (1 << MOMENT_SHIFT)
    for k in range(system.size):
        total = np.int64(0)
        for member in range(job["n_members"]):
            total += moments[member, position, k]
        scale = packing.hessian_unit if k < VECTOR else packing.gradient_unit
        scale *= 1.0 if k % ORDER == 0 else unit
        scale *= unit if ORDER <= k < VECTOR else 1.0
        system[k] = np.float64(total) * scale


@inner
def _residual_scale(job, leaf):
    """Return the unit of the slopes of a leaf: 1, but for losses whose leaves are quantiles.

    Their gradients are signs and their hessians one by convention. The quadratic that
    touches |r| from above has curvature 1 / |r|, here that of the median.
    """
    if job["leaf_quantile"] == 0.0:
        return 1.0
    order, scratch = array_of(job, "order"), array_of(job, "scratch")
    weight, values, weights = scratch[1], scratch[2], scratch[3]
    y, raw = array_of(job, "y"), array_of(job, "raw")[0]
    size = leaf["start"]
    for i in range(leaf["start"], leaf["stop"]):
        row = order[i]
        if weight[row] > 0.0:
            values[size], weights[size] = abs(y[row] - raw[row]), weight[row]
            size += 1
    return weighted_quantile(values[leaf["start"] : size], weights[leaf["start"] : size], 0.5)


@inner
def _center(system, slopes):
    """Turn moments about zero into those about the mean, the slopes' centers."""
    for j in range(slopes.size, 0, -1):  # backwards: the means are read until the end
        mean = system[j * ORDER] / system[0] if system[0] > 0.0 else 0.0
        slopes[j - 1]["center"] = mean
        for k in range(1, j + 1):
            system[j * ORDER + k] -= mean * system[k * ORDER]
        system[VECTOR + j] -= mean * system[VECTOR]


@inner
def _solve(system, n, ridge):
    """Replace b by ``(A + ridge)^-1 b``, by Cholesky decomposition in place.

    Parameters
    ----------
    system : ndarray of float64 of shape (MOMENTS,)
        Centered; INOUT.
    n : int
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
