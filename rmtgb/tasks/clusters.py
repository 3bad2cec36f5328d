"""Tasks of more than two kinds: which belong together, told by what is predicted for each."""

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import silhouette_score

from rmtgb._common import FloatArray, IntArray

#: The gate of stage 2 has two sides; clusters are for more.
MIN_CLUSTERS, MAX_CLUSTERS = 3, 10

#: Mean silhouette from which there are clusters; what validation rows must confirm.
MIN_SILHOUETTE = 0.5


def find_clusters(predictions: FloatArray, weight: FloatArray) -> IntArray | None:
    """Group tasks whose own models predict alike.

    The distance of two tasks is the mean squared difference of their centred predictions
    for the same rows, over the sum of their variances: 0 for the same function, 1 for unrelated
    ones. Clusters are joined by average linkage; their number is the one with the largest mean
    silhouette (Rousseeuw 1987).

    Parameters
    ----------
    predictions : ndarray of float64 of shape (n_tasks, n_rows)
        What the model of each task predicts for some rows.
    weight : ndarray of float64 of shape (n_rows,)
        Weights of these rows.

    Returns
    -------
    ndarray of int64 of shape (n_tasks,) or None
        The cluster of each task, numbered in the order of their first tasks; None if there are
        not at least ``MIN_CLUSTERS`` that are clear.
    """
    n_tasks = predictions.shape[0]
    if n_tasks <= MIN_CLUSTERS:
        return None
    distance = _distances(predictions, weight / weight.sum())
    tree = linkage(squareform(distance, checks=False), "average")
    best, clusters = MIN_SILHOUETTE, None
    for k in range(2, min(MAX_CLUSTERS, n_tasks - 1) + 1):
        labels = fcluster(tree, k, "maxclust")
        if labels.max() < 2:  # all distances are equal
            continue
        mean = silhouette_score(distance, labels, metric="precomputed")
        if mean > best:
            best, clusters = mean, labels
    if clusters is None or clusters.max() < MIN_CLUSTERS:
        return None
    _, first, label = np.unique(clusters, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[label]


def _distances(predictions: FloatArray, share: FloatArray) -> FloatArray:
    # Not by BLAS, which rounds differently on each kind of processor: einsum calls none.
    centred = predictions - np.einsum("tr,r->t", predictions, share)[:, None]
    products = np.einsum("tr,ur->tu", centred * share, centred)
    variance = np.diag(products)
    total = np.maximum(variance[:, None] + variance, np.finfo(float).tiny)
    distance = np.maximum(1.0 - 2.0 * products / total, 0.0)
    np.fill_diagonal(distance, 0.0)
    return (distance + distance.T) / 2.0
