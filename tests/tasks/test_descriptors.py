"""Descriptors of tasks, told by profiles that are planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb.tasks.descriptors import MAX_CLUSTERED, MAX_DIRECTIONS, describe, find_clusters
from rmtgb.tasks.profiles import Profiles

N_DRAWS = 32


def profiles(true, noise=0.2, seed=0):
    """Profiles (n_tasks, n_features, n_cells) that are seen with as much noise, equal shares."""
    rng = np.random.default_rng(seed)
    mean = true + noise * rng.standard_normal(true.shape)
    draws = noise * rng.standard_normal((N_DRAWS, *true.shape))
    share = np.full(true.shape, 1.0 / true[0].size)
    unexplained = noise**2 * true[0].size
    return Profiles(mean, share, np.ones(len(true)), draws, unexplained, true.shape[1])


def planted(coordinates, seed=0, n_features=6, n_cells=5):
    """True profiles of tasks with coordinates (n_tasks, n_directions) in random directions."""
    size = coordinates.shape[1], n_features * n_cells
    directions = np.linalg.qr(np.random.default_rng(seed).standard_normal(size[::-1]))[0].T
    return (coordinates @ directions).reshape(-1, n_features, n_cells) * np.sqrt(size[1])


def spread(n_tasks, *sizes, seed=0):
    """Coordinates of tasks that fall into no clusters."""
    rng = np.random.default_rng(seed)
    return np.column_stack([size * rng.permutation(np.linspace(-1, 1, n_tasks)) for size in sizes])


@given(seed=st.integers(0, 1000), n_directions=st.integers(1, MAX_DIRECTIONS))
def test_planted_directions_are_found(seed, n_directions):
    truth = spread(24, *(4.0 * 0.6 ** np.arange(n_directions)), seed=seed)
    found = describe(profiles(planted(truth, seed), seed=seed))
    assert n_directions <= found.shape[1] <= n_directions + 1  # another one may be of noise
    centred = truth - truth.mean(axis=0)
    left = centred - found @ np.linalg.lstsq(found, centred, rcond=None)[0]
    assert np.square(left).sum() < 0.02 * np.square(centred).sum()


def test_of_more_directions_the_largest_are_kept():
    sizes = 8.0 * 0.7 ** np.arange(MAX_DIRECTIONS + 3)
    assert describe(profiles(planted(spread(40, *sizes)))).shape == (40, MAX_DIRECTIONS)


def test_noise_has_a_direction_in_every_other_set():
    counts = [describe(profiles(np.zeros((20, 4, 5)), seed=seed)).shape[1] for seed in range(60)]
    assert 15 <= np.count_nonzero(counts) <= 45
    assert np.count_nonzero(np.array(counts) > 1) <= 10


def test_they_are_singular_vectors_of_equal_tasks():
    truth = planted(spread(15, 3.0, 1.5))
    seen = profiles(truth)
    # the same draws for every task: all have the same noise
    seen = seen._replace(draws=np.repeat(seen.draws[:, :1], 15, axis=1))
    seen = seen._replace(
        draws=seen.draws * np.random.default_rng(1).choice([-1, 1], (32, 15, 1, 1))
    )
    matrix = seen.mean.reshape(15, -1) / np.sqrt(30)
    left, sizes, _ = np.linalg.svd(matrix - matrix.mean(axis=0))
    expected = left[:, :2] * sizes[:2]
    expected *= np.sign(expected[np.abs(expected).argmax(axis=0), [0, 1]])
    found = describe(seen)
    shrunken = (found * expected).sum(axis=0) / np.square(expected).sum(axis=0)
    assert ((shrunken > 0.8) & (shrunken < 1.0)).all()
    np.testing.assert_allclose(found, shrunken * expected, rtol=1e-3, atol=1e-3)


def test_tasks_of_little_weight_turn_no_direction():
    truth = spread(20, 2.0)
    seen = profiles(planted(truth), noise=0.1)
    loud = np.random.default_rng(3).standard_normal((*seen.draws.shape[:1], 3, 6, 5)) * 20
    draws, mean = seen.draws.copy(), seen.mean.copy()
    draws[:, :3], mean[:3] = loud, loud[0]
    information = np.where(np.arange(20) < 3, 1e-5, 1.0)
    found = describe(seen._replace(draws=draws, mean=mean, information=information))
    assert abs(np.corrcoef(found[3:, 0], truth[3:, 0])[0, 1]) > 0.99
    assert np.abs(found[:3]).max() < 0.1 * np.abs(found[3:]).max(), "they are usual ones"


def test_tasks_of_fewer_rows_are_nearer_to_the_usual_one():
    seen = profiles(planted(spread(20, 0.1)), noise=0.2)
    fewer = np.where(np.arange(20) < 10, 0.1, 1.0)
    ratio = describe(seen._replace(information=fewer))[:, 0] / describe(seen)[:, 0]
    np.testing.assert_allclose(ratio[:10], ratio[0], rtol=1e-12)
    np.testing.assert_allclose(ratio[10:], ratio[10], rtol=1e-12)
    assert 0.0 < ratio[0] < 0.8 * ratio[10]


@pytest.mark.parametrize("exponent", [-300, -7, 200])
def test_a_power_of_two_is_no_other_bit(exponent):
    seen = profiles(planted(spread(12, 2.0, 1.0)))
    unit = 2.0**exponent
    scaled = seen._replace(
        mean=seen.mean * unit, draws=seen.draws * unit, unexplained=seen.unexplained * unit**2
    )
    np.testing.assert_array_equal(describe(scaled), describe(seen) * unit)


@given(seed=st.integers(0, 1000))
def test_the_order_of_tasks_does_not_matter(seed):
    seen = profiles(planted(spread(14, 2.0, 1.0), seed), seed=seed)
    order = np.random.default_rng(seed).permutation(14)
    seen = seen._replace(information=np.random.default_rng(seed).uniform(1, 9, 14))
    moved = seen._replace(
        mean=seen.mean[order],
        share=seen.share[order],
        information=seen.information[order],
        draws=seen.draws[:, order],
    )
    np.testing.assert_allclose(describe(moved), describe(seen)[order], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("n_tasks", [1, 2, 3, 30])
def test_equal_tasks_have_no_descriptors(n_tasks):
    nothing = np.zeros((n_tasks, 3, 5))
    assert describe(profiles(nothing, noise=0.0)).shape == (n_tasks, 0)
    assert describe(profiles(nothing + 7.0, noise=0.0)).shape == (n_tasks, 0)


@pytest.mark.parametrize("size", [1.0, 2.0**200, 2.0**-200])
def test_one_task_of_many_that_differs_without_noise(size):
    truth = np.zeros((9, 3, 5))
    truth[4, 1, :2] = size, -size
    found = describe(profiles(truth, noise=0.0))
    assert found.shape == (9, 1)
    assert np.argmax(found) == 4
    assert np.isfinite(found).all()


def test_two_tasks_have_one_direction_at_most():
    assert describe(profiles(planted(spread(2, 5.0)))).shape == (2, 1)
    assert describe(profiles(planted(np.ones((1, 1))))).shape == (1, 0)


@pytest.mark.parametrize("sizes", [[4, 5, 6], [3, 4, 5, 8, 10]])
def test_tasks_of_a_cluster_have_its_mean(sizes):
    label = np.arange(len(sizes)).repeat(sizes)
    centres = 3.0 * np.random.default_rng(5).standard_normal((len(sizes), 4))
    found = describe(profiles(planted(centres[label])))
    assert len(np.unique(found, axis=0)) == len(sizes)
    for one in range(len(sizes)):
        assert np.ptp(found[label == one], axis=0).max() == 0.0


def points(sizes, noise=0.1, seed=0):
    """Points around as many centres, which are far from each other."""
    rng = np.random.default_rng(seed)
    centres = 3.0 * np.linalg.qr(rng.standard_normal((len(sizes), len(sizes))))[0]
    return centres.repeat(sizes, axis=0) + noise * rng.standard_normal((sum(sizes), len(sizes)))


@given(seed=st.integers(0, 1000), sizes=st.lists(st.integers(2, 6), min_size=3, max_size=8))
def test_clear_clusters_are_found(seed, sizes):
    clusters, truth = find_clusters(points(sizes, seed=seed)), np.arange(len(sizes)).repeat(sizes)
    np.testing.assert_array_equal(
        clusters[:, None] == clusters, truth[:, None] == truth, strict=True
    )


@pytest.mark.parametrize(
    ("sizes", "noise"),
    [
        ([6, 6], 0.1),  # two kinds are stage 2's
        ([1] * 12, 0.1),  # no two alike
        ([4, 4, 4], 6.0),  # hardly to be told apart
        ([1, 1, 1], 0.1),
        ([1], 0.1),
    ],
)
def test_there_is_nothing_to_find(sizes, noise):
    assert find_clusters(points(sizes, noise)) is None


def test_too_many_tasks_and_no_directions_are_no_clusters():
    many = [MAX_CLUSTERED // 3 + 1] * 3
    assert find_clusters(points(many)) is None
    assert find_clusters(points([30] * 3)) is not None
    assert find_clusters(np.zeros((12, 0))) is None
    assert find_clusters(np.zeros((12, 2))) is None
