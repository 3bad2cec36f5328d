"""Clusters of tasks, told by what is predicted for each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.tasks.clusters import find_clusters


def predictions(sizes, seed=0, noise=0.3, n_rows=200):
    """Tasks that predict one random function for each cluster, and own noise."""
    rng = np.random.default_rng(seed)
    functions = rng.standard_normal((len(sizes), n_rows)).repeat(sizes, axis=0)
    return functions + noise * rng.standard_normal(functions.shape)


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(2, 6), min_size=3, max_size=8))
def test_clear_clusters_are_found(seed, sizes):
    clusters = find_clusters(predictions(sizes, seed), np.ones(200))
    np.testing.assert_array_equal(clusters, np.arange(len(sizes)).repeat(sizes))


@pytest.mark.parametrize(
    ("sizes", "noise"),
    [
        ([12], 0.3),  # one kind of tasks
        ([6, 6], 0.3),  # two kinds are stage 2's
        ([1] * 12, 0.3),  # unrelated tasks
        ([4, 4, 4], 3.0),  # hardly to be told apart
        ([1, 1, 1], 0.3),
        ([1], 0.3),
    ],
)
def test_there_is_nothing_to_find(sizes, noise):
    assert find_clusters(predictions(sizes, noise=noise), np.ones(200)) is None


def test_constants_scales_and_tasks_that_predict_nothing():
    values = predictions([4, 4, 4])
    expected = find_clusters(values, np.ones(200))
    moved = values * 1e6 + np.arange(12)[:, None] * 1e3
    np.testing.assert_array_equal(find_clusters(moved, np.ones(200)), expected)
    assert find_clusters(np.zeros((12, 200)), np.ones(200)) is None


@given(seed=st.integers(0, 1000))
def test_the_order_of_tasks_and_rows_does_not_matter_and_a_weight_is_repetition(seed):
    values, rng = predictions([3, 5, 4], seed), np.random.default_rng(seed)
    weight = rng.integers(1, 4, 200)
    expected = find_clusters(values, weight.astype(float))
    repeated = find_clusters(values.repeat(weight, axis=1), np.ones(weight.sum()))
    np.testing.assert_array_equal(repeated, expected)
    tasks, rows = rng.permutation(12), rng.permutation(200)
    moved = find_clusters(values[tasks][:, rows], weight[rows].astype(float))
    together = expected[tasks][:, None] == expected[tasks]
    np.testing.assert_array_equal(moved[:, None] == moved, together)
