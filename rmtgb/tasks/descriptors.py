"""Descriptors of tasks: where they stand in the directions in which tasks differ most.

They are made of profiles: the principal directions of what is left of tasks where all are fitted
alike, as many as stand out from noise. An outlier stands far out in the first direction; tasks of
several kinds fall into clusters.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from rmtgb._common import FloatArray, IntArray
from rmtgb.tasks.profiles import TINY, Profiles

#: Directions at most. Trees split on one number at a time, and further ones were mostly noise.
MAX_DIRECTIONS = 4

#: Half-samples whose noise a direction is compared with.
COMPARED_DRAWS = 9

#: A direction of this share of all values is rounding.
ROUNDING = 1e-9

#: Largest ratio of a task's squares to noise: squares of it are finite.
LARGEST_RATIO = 2.0**400

#: Steps of the power method at most, and the change of a direction at which it ends.
MAX_STEPS, CHANGE = 200, 1e-8

#: Two kinds of tasks are stage 2's; clusters are for more. With two clusters in place of two
#: directions, the error on generated outliers was 0.086 instead of 0.080.
MIN_CLUSTERS, MAX_CLUSTERS = 3, 10

#: Mean silhouette from which tasks are taken for clusters. Six generated sets of five clusters had
#: 0.57 to 0.78; of normal points in two directions, 0.54 and in more 0.49 was exceeded in a tenth
#: of the sets of eight. Points on a line nearly always fall into groups.
MIN_SILHOUETTE, MIN_DIRECTIONS = 0.55, 2

#: Tasks up to which clusters are looked for: distances of all pairs are looked at.
MAX_CLUSTERED = 1000


def describe(profiles: Profiles) -> FloatArray:
    """Return where tasks stand in the directions in which they differ by more than noise.

    Cells of profiles count by the rows in them, tasks by how little noise they have. A direction
    counts if tasks vary more in it than half-samples of pure noise do in any direction, in the
    median (Horn's parallel analysis, with noise as it is here): without a difference, every other
    set has one that counts, and validation rows decide. If tasks form three or more clear
    clusters, each has the mean of its cluster.

    Parameters
    ----------
    profiles : Profiles

    Returns
    -------
    ndarray of float64 of shape (n_tasks, n_directions)
        In units of the raw prediction; a usual task is at zero. Of zero to ``MAX_DIRECTIONS``
        directions, the most telling first.

    References
    ----------
    Horn, "A rationale and test for the number of factors in factor analysis", Psychometrika 30,
    1965.
    """
    n_tasks = len(profiles.mean)
    cells = np.sqrt(profiles.share.mean(axis=0)).ravel()
    values = profiles.mean.reshape(n_tasks, -1) * cells

    def draws() -> Iterator[FloatArray]:
        return (draw.reshape(values.shape) * cells for draw in profiles.draws)

    noise = np.mean([np.square(draw).sum(axis=-1) for draw in draws()], axis=0)
    squares = np.square(values).sum(axis=-1)
    usual = np.median(noise) + 1e-9 * np.median(squares) + TINY
    # where most tasks have neither noise nor differences, the others must not overflow
    weight = 1.0 / (noise + usual + squares / LARGEST_RATIO)
    root = np.sqrt(weight)[:, None]
    left = _centred(values, weight) * root
    by_noise = [
        _direction(_centred(draw, weight) * root)[1] for draw in islice(draws(), COMPARED_DRAWS)
    ]
    limit = max(
        float(np.median(by_noise)), ROUNDING * float(np.sqrt(np.square(values * root).sum()))
    )
    found: list[FloatArray] = []
    while len(found) < min(MAX_DIRECTIONS, n_tasks - 1):
        direction, size = _direction(left)
        if size <= limit:
            break
        found.append(
            _shrunken(direction * size / root[:, 0], size, limit, weight, profiles.information)
        )
        left = left - np.outer(direction, np.einsum("t,tc->c", direction, left))
    descriptors = np.array(found).reshape(len(found), n_tasks).T
    clusters = find_clusters(descriptors)
    if clusters is None:
        return np.ascontiguousarray(descriptors)
    shares = weight / np.bincount(clusters, weight)[clusters]
    means = [np.bincount(clusters, shares * column) for column in descriptors.T]
    return np.ascontiguousarray(np.array(means).T[clusters])


def _shrunken(
    coordinates: FloatArray,
    size: float,
    limit: float,
    weight: FloatArray,
    information: FloatArray,
) -> FloatArray:
    """Shrink coordinates of tasks (n_tasks,) by how much of their squares may be noise.

    The best linear prediction, if noise in this direction is what it is in that of ``limit``, a
    singular value, divided among tasks by their information. What half-samples say of a task alone
    grows with its own departure, and would draw the farthest tasks in.
    """
    between = size**2 - limit**2
    largest = information.max()
    inverse = largest / np.maximum(information, largest / LARGEST_RATIO + TINY)
    relative = inverse / float((weight / weight.sum() * inverse).sum())
    return coordinates * (between / (between + limit**2 * relative))


def find_clusters(descriptors: FloatArray) -> IntArray | None:
    """Return the cluster of each task (n_tasks,), from 0 on; None if there are no clear ones.

    Clusters of descriptors (n_tasks, n_directions) are joined by average linkage; their number is
    the one with the largest mean silhouette (Rousseeuw 1987).
    """
    n_tasks, n_directions = descriptors.shape
    if not MIN_CLUSTERS < n_tasks <= MAX_CLUSTERED or n_directions < MIN_DIRECTIONS:
        return None
    pairs = pdist(descriptors)
    tree, distance = linkage(pairs, "average"), squareform(pairs)
    best, clusters = MIN_SILHOUETTE, np.zeros(n_tasks, np.int64)
    for k in range(2, min(MAX_CLUSTERS, n_tasks - 1) + 1):
        labels = fcluster(tree, k, "maxclust")
        if labels.max() < 2:  # all distances are equal
            continue
        mean = silhouette_score(distance, labels, metric="precomputed")
        if mean > best:
            best, clusters = mean, labels.astype(np.int64) - 1
    return clusters if clusters.max() + 1 >= MIN_CLUSTERS else None


def _centred(values: FloatArray, weight: FloatArray) -> FloatArray:
    """Return values (n_tasks, n_cells) less their weighted mean over tasks."""
    centred: FloatArray = values - np.einsum("t,tc->c", weight / weight.sum(), values)
    return centred


def _direction(matrix: FloatArray) -> tuple[FloatArray, float]:
    """Return the first left singular vector (n_tasks,) of a matrix, and its singular value.

    Its largest entry is positive. By the power method and not by LAPACK, which rounds
    differently on each kind of processor: einsum calls no BLAS.
    """
    lengths = np.square(matrix).sum(axis=0)
    vector = matrix[:, np.argmax(lengths)]
    size = 0.0
    for _ in range(MAX_STEPS):
        norm = np.sqrt(np.square(vector).sum())
        if norm == 0.0:
            return np.zeros(len(matrix)), 0.0
        former, vector = size, vector / norm
        across = np.einsum("tc,t->c", matrix, vector)
        size = float(np.sqrt(np.square(across).sum()))
        if abs(size - former) <= CHANGE * size:
            break
        vector = np.einsum("tc,c->t", matrix, across)
    largest = vector[np.argmax(np.abs(vector))]
    return vector if largest > 0.0 else -vector, size
