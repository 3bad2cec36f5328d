from itertools import product

import numpy as np
import pytest

from rmtgb.transfer import (
    LinearTransferProblem,
    best_subset,
    dispersion_factor,
    pooled_error,
    subsets,
)

METRIC = np.diag([3.0, 1.0, 0.2, 0.0]) + 0.1


def best_of_all(known):
    """Return the least error of all subsets, one by one."""
    K = known.n_tasks - 1
    masks = (np.arange(2**K)[:, None] >> np.arange(K)) % 2 == 1
    errors = [error_alone_of(known)]
    for mask in masks[1:]:
        tasks = [0, *(np.flatnonzero(mask) + 1)]
        if known.n_samples[tasks].sum() > known.n_features + 1:
            errors.append(pooled_error(known.subset(tasks)).error)
    return min(errors)


def error_alone_of(known):
    excess = known.n_samples[0] - known.n_features - 1
    if excess <= 0:
        return np.inf
    return known.noise_variance[0] * np.trace(known.metric) / excess


def many_tasks(rng, K, d=4, metric=None):
    """Return tasks of which some are alike, some have few rows or none, some are far away."""
    counts = rng.choice([0, 1, d, 3 * d, 20 * d], size=K + 1, p=[0.05, 0.25, 0.25, 0.25, 0.2])
    W = rng.standard_normal((K + 1, d)) * 10 ** rng.uniform(-2, 1, (K + 1, 1))
    W += rng.integers(0, 2, (K + 1, 1)) * rng.standard_normal(d)
    noise = 10 ** rng.uniform(-1, 1, K + 1)
    return LinearTransferProblem(counts, noise, coefficients=W, test_covariance=metric)


@pytest.mark.parametrize("seed", range(12))
def test_best_subset_is_the_best_of_all(seed):
    rng = np.random.default_rng(seed)
    known = many_tasks(rng, 8, metric=METRIC if seed % 3 == 0 else None)
    best = best_subset(known)
    assert best.error == pytest.approx(best_of_all(known), rel=1e-11)
    pooled = error_alone_of(known)
    if len(best.tasks) > 1:
        pooled = pooled_error(known.subset(best.tasks)).error
    assert best.error == pytest.approx(pooled, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_lower_bounds_of_branches_are_below_all_their_subsets(seed):
    rng = np.random.default_rng(seed)
    known = many_tasks(rng, 6, metric=METRIC if seed == 0 else None)
    search, checked = subsets._Search(known), 0
    for _ in range(150):
        search.best_error = np.inf  # no bound is good enough before it is at its best
        state = rng.integers(0, 3, known.n_tasks)  # out, in, open
        state[0] = 1
        inside, undecided = (state == 1) & search.there, (state == 2) & search.there
        low, high = np.sort(rng.uniform(6, known.n_samples.sum() + 1, 2))
        bound = search.lower_bound(subsets._Branch(inside, undecided, low, high))
        for mask in product([False, True], repeat=known.n_tasks):
            full = inside | (undecided & np.array(mask))
            if low <= known.n_samples[full].sum() <= high:
                assert bound <= search.error(full) * (1 + 1e-9)
                checked += 1
    assert checked > 100


def test_best_subset_of_many_tasks():
    # Three clusters of tasks of many rows: the main one's own is best, as can be seen.
    rng = np.random.default_rng(0)
    centres = np.eye(3) @ rng.standard_normal((3, 5)) * 3
    cluster = np.arange(31) % 3
    W = centres[cluster] + 0.01 * rng.standard_normal((31, 5))
    known = LinearTransferProblem([20] + [100] * 30, np.ones(31), coefficients=W)
    best = best_subset(known)
    assert best.tasks == tuple(np.flatnonzero(cluster == 0))
    one_less = [
        pooled_error(known.subset([t for t in best.tasks if t != k])) for k in best.tasks[1:]
    ]
    assert best.error < min(error.error for error in one_less)


def test_subsets_that_are_not_proven_are_refused(monkeypatch):
    monkeypatch.setattr(subsets, "_MAX_BRANCHES", 3)
    with pytest.raises(ValueError, match=r"of 12 auxiliary tasks was not proven with 3 branches"):
        best_subset(many_tasks(np.random.default_rng(1), 12))


def test_the_factor_of_the_dispersion_falls_with_the_rows():
    # What the bounds of branches rest on.
    for d in (1, 2, 3, 10, 100):
        factors = [dispersion_factor(n, d) for n in range(d + 2, d + 500)]
        assert np.all(np.diff(factors) < 0)
