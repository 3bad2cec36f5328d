"""Linear leaves: ridge regression on the features that a leaf's path has split.

Shi, Li, Li, "Gradient boosting with piece-wise linear regression trees", IJCAI 2019. All
sums are taken over blocks of rows of fixed size, and blocks are added up in their order,
so that the number of threads changes no bit.
"""

import numpy as np

from rmtgb._jit import inner, part, reduction
from rmtgb._team import share
from rmtgb.tree.dtypes import MAX_SLOPES, TILE_ROWS
from rmtgb.tree.kernels.growth import N_LEAVES, N_NODES, N_SLOPES, NONE
from rmtgb.tree.kernels.memory import array_of, wait
from rmtgb.tree.kernels.packing import packing_of, unpack
from rmtgb.tree.kernels.quantile import weighted_quantile

#: Rows whose moments one member sums: some tiles.
BLOCK_ROWS = 32 * TILE_ROWS

#: The rows of a tile: hessians, gradients, values of the slopes' features, and a product.
HESSIAN, GRADIENT, VALUES, PRODUCT = 0, 1, 2, MAX_SLOPES + 2

#: Distance between the rows of the matrix in moments, and where the vector is.
ORDER = MAX_SLOPES + 1
VECTOR = ORDER * ORDER

#: Least ridge for each unit of hessian, the variance of features being one: what differs by
#: rounding only shall get no slope.
RELATIVE_RIDGE = 1e-6


@inner
def slope_part(row, slopes):
    """Return what slopes (ndarray of SLOPE) add to the constant of a leaf.

    ``row`` (n_features,) float32 holds standardised values.
    """
    total = 0.0
    for slope in range(slopes.size):
        z = np.float64(row[slopes[slope]["feature"]])
        if not np.isnan(z):
            total += slopes[slope]["coefficient"] * (z - slopes[slope]["center"])
    return total


@inner
def add_linear_values(job, start, stop, value, slopes, prediction):
    """Add the value of a leaf and what its slopes add, as :func:`slope_part`, to some rows."""
    order, standardized = array_of(job, "order"), array_of(job, "standardized")
    totals = array_of(job, "tile")[job["member"], PRODUCT]
    for first in range(start, stop, TILE_ROWS):
        n = min(TILE_ROWS, stop - first)
        for i in range(n):
            totals[i] = 0.0
        for j in range(slopes.size):  # one after another, so that rows go abreast
            feature, center = slopes[j]["feature"], slopes[j]["center"]
            coefficient = slopes[j]["coefficient"]
            for i in range(n):
                z = np.float64(standardized[order[first + i], feature])
                totals[i] += 0.0 if np.isnan(z) else coefficient * (z - center)
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
def _n_blocks(leaf):
    return (leaf["stop"] - leaf["start"] + BLOCK_ROWS - 1) // BLOCK_ROWS


@inner
def _sum_moments(job, nodes, slopes):
    """Sum the moments of a member's share of the blocks."""
    leaves, n_leaves = array_of(job, "leaves"), array_of(job, "counts")[N_LEAVES]
    moments, total = array_of(job, "moments"), 0
    for position in range(n_leaves):
        total += _n_blocks(leaves[position])
    first, last = share(0, total, job["member"], job["n_members"])
    block = 0
    for position in range(n_leaves):
        leaf = leaves[position]
        own = slopes_of(nodes[leaf["node"]], slopes)
        for start in range(leaf["start"], leaf["stop"], BLOCK_ROWS):
            if first <= block < last and own.size > 0:
                _sum_block(job, start, min(start + BLOCK_ROWS, leaf["stop"]), own, moments[block])
            block += 1


@inner
def _sum_block(job, start, stop, slopes, moments):
    """Sum the moments of a range of rows, tile by tile."""
    tile = array_of(job, "tile")[job["member"]]
    for k in range(moments.size):
        moments[k] = 0.0
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
        gradients[i], hessians[i], _ = unpack(word, second, packing)
    for i in range(n, TILE_ROWS):
        gradients[i], hessians[i] = 0.0, 0.0
    for j in range(slopes.size):
        feature, values = slopes[j]["feature"], tile[VALUES + j]
        for i in range(n):  # a row with a missing value counts as absent
            value = np.float64(standardized[order[start + i], feature])
            known = not np.isnan(value)
            values[i] = value if known else 0.0
            hessians[i] = hessians[i] if known else 0.0
            gradients[i] = gradients[i] if known else 0.0
        for i in range(n, TILE_ROWS):
            values[i] = 0.0


@reduction
def _sum(a):
    total = 0.0
    for i in range(np.uint64(TILE_ROWS)):
        total += a[i]
    return total


@reduction
def _dot(a, b):
    total = 0.0
    for i in range(np.uint64(TILE_ROWS)):
        total += a[i] * b[i]
    return total


@inner
def _multiply(a, b, product):
    for i in range(np.uint64(TILE_ROWS)):
        product[i] = a[i] * b[i]


@inner
def _solve_leaves(job, nodes, slopes):
    """Add up the blocks of a member's leaves and solve for their slopes."""
    leaves, moments = array_of(job, "leaves"), array_of(job, "moments")
    block = 0
    for position in range(array_of(job, "counts")[N_LEAVES]):
        leaf = leaves[position]
        n_blocks, own = _n_blocks(leaf), slopes_of(nodes[leaf["node"]], slopes)
        if position % job["n_members"] == job["member"] and own.size > 0:
            for other in range(block + 1, block + n_blocks):
                for k in range(moments.shape[1]):
                    moments[block, k] += moments[other, k]
            _center(moments[block], own)
            ridge = job["l2_regularization"] + RELATIVE_RIDGE * moments[block, 0]
            _solve(moments[block], own.size, ridge)
            scale = job["learning_rate"] * _residual_scale(job, leaf)
            for j in range(own.size):
                own[j]["coefficient"] = -scale * moments[block, VECTOR + j + 1]
        block += n_blocks


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
def _center(moments, slopes):
    """Turn moments about zero into those about the mean, the slopes' centers."""
    for j in range(slopes.size, 0, -1):  # backwards: the means are read until the end
        mean = moments[j * ORDER] / moments[0] if moments[0] > 0.0 else 0.0
        slopes[j - 1]["center"] = mean
        for k in range(1, j + 1):
            moments[j * ORDER + k] -= mean * moments[k * ORDER]
        moments[VECTOR + j] -= mean * moments[VECTOR]


@inner
def _solve(moments, n, ridge):
    """Replace b by ``(A + ridge)^-1 b``, by Cholesky decomposition in place.

    Parameters
    ----------
    moments : ndarray of float64 of shape (MOMENTS,)
        Centered; INOUT.
    n : int
        Number of slopes.
    ridge : float
        Added to the diagonal of A.
    """
    for j in range(1, n + 1):
        row = j * ORDER
        for k in range(1, j + 1):
            entry = moments[row + k]
            for i in range(1, k):
                entry -= moments[row + i] * moments[k * ORDER + i]
            if k < j:
                moments[row + k] = entry / moments[k * ORDER + k]
            else:
                pivot = max(entry, 0.0) + ridge  # negative by rounding only
                moments[row + j] = np.sqrt(pivot) if pivot > 0.0 else 1.0
        for i in range(1, j):
            moments[VECTOR + j] -= moments[row + i] * moments[VECTOR + i]
        moments[VECTOR + j] /= moments[row + j]
    for j in range(n, 0, -1):
        for i in range(j + 1, n + 1):
            moments[VECTOR + j] -= moments[i * ORDER + j] * moments[VECTOR + i]
        moments[VECTOR + j] /= moments[j * ORDER + j]
