"""The test of outlier tasks, on profiles that are drawn as they are supposed to be."""

import numpy as np
import pytest

from rmtgb.tasks.evidence import TaskEvidence
from rmtgb.tasks.outlier_test import LEVEL, Profiles, judge

SHAPE = 3, 4  # features, cells


def profiles(seed, n_tasks=8, variation=0.0, outliers=(), departure=0.0, noise=1.0):
    """Return profiles of noise, of tasks that vary, and of outliers in the second feature."""
    rng = np.random.default_rng(seed)
    shape = n_tasks, *SHAPE
    mean = noise * rng.standard_normal(shape) + variation * rng.standard_normal(shape)
    mean[list(outliers), 1] += departure * np.array([-1.0, -1.0, 1.0, 1.0])
    draws = noise * rng.standard_normal((32, *shape))
    ones = np.ones(len(mean))
    return Profiles(mean, np.full(shape, 1 / 12), ones, draws, 30.0, SHAPE[0])


def found(given, seed=0):
    return judge(given, np.random.default_rng(seed))


@pytest.mark.parametrize("outliers", [[0], [3, 5], [0, 1, 2]])
def test_a_minority_that_departs_is_called(outliers):
    evidence = found(profiles(1, outliers=outliers, departure=12.0))
    assert np.flatnonzero(evidence.called).tolist() == outliers
    others = np.delete(np.arange(8), outliers)
    assert evidence.p_value[outliers].max() < LEVEL < evidence.p_value[others].min()
    assert evidence.score[outliers].min() > 5.0 > evidence.score[others].max()
    assert evidence.stability[outliers].min() > 0.9
    assert evidence.stability[others].max() < 0.1
    named = evidence.departing_features()
    assert [named[t][0] for t in outliers] == [1] * len(outliers)


def test_the_majority_is_never_called():
    """Whoever is far from most: five of eight that agree with each other are most."""
    evidence = found(profiles(2, outliers=range(5), departure=12.0))
    assert np.flatnonzero(evidence.called).tolist() == [5, 6, 7]


@pytest.mark.parametrize(("n_tasks", "variation"), [(3, 0.0), (5, 0.5), (8, 10.0)])
def test_false_alarms_are_as_rare_as_the_level_says(n_tasks, variation):
    """At most 4 of 30 sets: more have a chance of 2 % if the rate is 5 %."""
    alarms = [found(profiles(s, n_tasks, variation), s).called.any() for s in range(100, 130)]
    assert sum(alarms) <= 4


def test_noise_of_a_task_is_no_departure():
    """A task of ten times the noise is far away, and is not called."""
    given = profiles(3)
    given.mean[2] *= 10.0
    given.draws[:, 2] *= 10.0
    evidence = found(given)
    assert not evidence.called.any()
    assert evidence.score[2] < 5.0


def test_what_is_certain_but_negligible_is_not_called():
    given = profiles(4, outliers=[6], departure=12.0)
    evidence = found(given._replace(unexplained=1e6))
    assert evidence.p_value[6] < LEVEL
    assert not evidence.called.any()


def test_the_unit_of_the_target_changes_nothing():
    given = profiles(5, outliers=[6], departure=4.0)
    scaled = given._replace(
        mean=given.mean * 2.0**40,
        draws=given.draws * 2.0**40,
        unexplained=given.unexplained * 2.0**80,
    )
    for one, other in zip(vars(found(given)).values(), vars(found(scaled)).values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_standard_error_is_the_spread_of_the_score():
    """Over new draws of noise, roughly: 20 sets, and errors of 32 half-samples each."""
    evidence = [found(profiles(s, outliers=[6], departure=12.0), s) for s in range(20)]
    scores, errors = (
        np.array([getattr(e, name)[6] for e in evidence]) for name in ("score", "error")
    )
    assert 0.6 < errors.mean() / scores.std() < 1.7


@pytest.mark.parametrize("departure", [0.0, 3.0, 4.0, 5.0, 12.0])
def test_weights_are_above_one_half_for_those_that_are_called(departure):
    for seed in range(2):
        evidence = found(profiles(seed, outliers=[6], departure=departure), seed)
        np.testing.assert_array_equal(evidence.weights > 0.5, evidence.called)
        assert np.all((evidence.weights >= 0.0) & (evidence.weights <= 1.0))


def test_cells_without_rows_and_tasks_without_rows_do_not_matter():
    given = profiles(6, outliers=[7], departure=12.0)
    given.share[0] = given.mean[0] = 0.0
    given.draws[:, 0] = 0.0
    given.share[1:, 2, 3] = 0.0
    given.share[1:] /= given.share[1:].sum(axis=(1, 2), keepdims=True)
    given.mean[:, 2, 3] = 1e9  # would be far away
    evidence = found(given)
    assert np.flatnonzero(evidence.called).tolist() == [7]
    assert evidence.score[0] < 1.0


def test_nothing_but_zeros():
    zeros = np.zeros((4, *SHAPE))
    evidence = found(
        Profiles(
            zeros,
            np.full(zeros.shape, 1 / 12),
            np.ones(len(zeros)),
            zeros[None].repeat(3, 0),
            0.0,
            3,
        )
    )
    assert not evidence.called.any()
    assert np.isfinite(evidence.score).all()


def test_of_two_tasks_nothing_is_known():
    evidence = TaskEvidence.none(2, 3)
    assert not evidence.called.any()
    np.testing.assert_array_equal(evidence.weights, 0.5)
    assert evidence.departing_features() == [[], []]
