from dataclasses import astuple
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.transfer import (
    LinearTransferProblem,
    averaging_error,
    best_subset,
    dispersion_factor,
    fixed_design_error,
    one_knob,
    pooled_error,
    simulate,
    weighted_error,
)
from rmtgb.transfer.jacobi_ensemble import JacobiEnsemble
from rmtgb.transfer.one_knob import knob_coefficients
from tests.oracles import transfer as oracle

RNG = np.random.default_rng(12)
D = 8
SHIFTS = RNG.standard_normal((4, D)) * 0.4
SHIFTS[0] = 0
# The main task's own coefficients must not matter.
COEFFICIENTS = SHIFTS + RNG.standard_normal(D)
NOISE = np.array([1.0, 2.0, 0.5, 3.0])


def covariance(seed, d=D):
    root = np.random.default_rng(seed).standard_normal((d, 5 * d))
    return root @ root.T / (5 * d)


def problem(n_samples, **params):
    K = len(n_samples)
    params = {"noise_variance": NOISE[:K], "coefficients": COEFFICIENTS[:K]} | params
    return LinearTransferProblem(n_samples, **params)


def two_tasks(n_main, n_auxiliary, d, shift2=1.0, noise=(1.0, 1.0)):
    return LinearTransferProblem([n_main, n_auxiliary], noise, shift_gram=[[shift2]], n_features=d)


def parts(error):
    return np.array([error.bias2, error.variance])


def assert_mean(draws, expected, power=0.0025):
    """Within 4 standard errors, which are small enough for 1 % to show."""
    standard_error = draws.std(ddof=1) / np.sqrt(len(draws))
    assert standard_error < power * expected
    assert abs(draws.mean() - expected) < 4 * standard_error


# --- known values --------------------------------------------------------------------------


def test_dispersion_factor():
    assert dispersion_factor(20, 3) == pytest.approx(0.216507177, abs=5e-10)
    for n in (3, 10, 1e9):  # one feature: 2 / (N + 2)
        assert dispersion_factor(n, 1) == pytest.approx(2 / (n + 2), rel=1e-14)


def test_pooling_of_two_tasks():
    error = pooled_error(two_tasks(8, 12, 3))
    assert error.bias2 == pytest.approx(0.411961722, abs=5e-10)
    assert error.variance == pytest.approx(0.1875, rel=1e-14)
    assert error.main_only_error == pytest.approx(0.75, rel=1e-14)
    assert error.error == error.bias2 + error.variance
    assert error.benefit == error.main_only_error - error.error
    assert error.helps
    assert error.status == "exact"
    assert error.standard_error == 0
    # At the break-even shift both are the same, beyond it pooling hurts.
    at_limit = pooled_error(two_tasks(8, 12, 3, 1.168511069**2))
    assert at_limit.error == pytest.approx(0.75, abs=1e-8)
    assert not pooled_error(two_tasks(8, 12, 3, 1.17**2)).helps
    assert pooled_error(two_tasks(8, 12, 3, 1.16**2)).helps


def test_factors_of_one_weight():
    factors = knob_coefficients(10, 12, 3, 0.5)
    assert factors.main_noise == pytest.approx(0.1327850694, abs=5e-11)
    assert factors.auxiliary_noise == pytest.approx(0.0505440112, abs=5e-11)
    assert factors.mean_shift == pytest.approx(0.2090583486, abs=5e-11)
    assert factors.dispersion == pytest.approx(0.0606854849, abs=1e-8)
    # t = v_0 + v_1 / a is the mean of the inverse's trace, -v_1 / a^2 its slope.
    t = factors.main_noise + factors.auxiliary_noise / 0.5
    assert t == pytest.approx(0.2338730919, abs=1e-10)
    assert -factors.auxiliary_noise / 0.25 == pytest.approx(-0.2021760449, abs=2e-10)


def test_error_of_one_weight_has_these_factors():
    error = weighted_error(two_tasks(10, 12, 3, 2.0, (3.0, 5.0)), [1, 0.5])
    assert error.bias2 == pytest.approx(2 * 0.2090583486, abs=1e-9)
    assert error.variance == pytest.approx(3 * 0.1327850694 + 5 * 0.0505440112, abs=1e-9)
    assert error.status == "exact"


def test_one_feature_is_hypergeometric():
    factors = knob_coefficients(6, 9, 1, 0.5)
    t = factors.main_noise + factors.auxiliary_noise / 0.5
    assert t == pytest.approx(0.1114808098, abs=5e-11)


@pytest.mark.parametrize("n", [(6, 9), (1, 9), (9, 1), (2, 3), (14, 30)])
@pytest.mark.parametrize("a", [1e-3, 0.2, 1.0, 30.0])
def test_one_feature_by_integrals(n, a):
    factors = knob_coefficients(*n, 1, a)
    excess = sum(n) - 2

    def mean(function):
        return oracle.beta_expectation(*n, function)

    assert_allclose(
        [factors.main_noise, factors.auxiliary_noise, factors.mean_shift],
        [
            mean(lambda u: (1 - u) / (1 + (a - 1) * u) ** 2) / excess,
            mean(lambda u: a**2 * u / (1 + (a - 1) * u) ** 2) / excess,
            mean(lambda u: (a * u / (1 + (a - 1) * u)) ** 2),
        ],
        rtol=1e-10,
    )
    t = factors.main_noise + factors.auxiliary_noise / a
    assert t == pytest.approx(oracle.inverse_mean_of_one_feature(*n, a), rel=1e-10)


@pytest.mark.parametrize("n", [(10, 12), (4, 6), (14, 8)])
@pytest.mark.parametrize("a", [0.1, 0.5, 1.0, 6.0])
def test_three_features_by_integrals(n, a):
    # Of the triple density of the eigenvalues, with the coefficients from transfer.md.
    rows, d = sum(n), 3
    excess = rows - d - 1

    def mean(function):
        return oracle.three_eigenvalues_expectation(*n, function)

    def r(u):
        return 1 / (1 + (a - 1) * u)

    square = a**2 * mean(lambda u: ((u * r(u)) ** 2).sum(axis=0))
    trace_square = a**2 * mean(lambda u: (u * r(u)).sum(axis=0) ** 2)
    cross = a**2 * mean(lambda u: (u * r(u) ** 2).sum(axis=0) * u.sum(axis=0))
    gamma = ((rows - 1) * square - trace_square) / (d * excess)
    inner = rows * (cross + 2 * square) - 2 * (trace_square + 2 * square)
    psi = (n[1] * inner / (d * excess * (n[1] + 2)) - gamma) / (n[1] - 1)
    factors = knob_coefficients(*n, 3, a)
    assert_allclose(
        [factors.main_noise, factors.auxiliary_noise, factors.mean_shift, factors.dispersion],
        [
            mean(lambda u: ((1 - u) * r(u) ** 2).sum(axis=0)) / excess,
            a**2 * mean(lambda u: (u * r(u) ** 2).sum(axis=0)) / excess,
            gamma,
            psi,
        ],
        rtol=1e-10,
    )


# --- against simulation --------------------------------------------------------------------

OWN = np.stack([covariance(1), 2 * covariance(2), covariance(3)])
SIMULATED = {
    "main task alone": (problem([25]), [1]),
    "pooled": (problem([14, 10, 12]), [1, 1, 1]),
    "pooled, few main rows": (problem([2, 4, 24], covariance=covariance(0)), [1, 1, 1]),
    "pooled, no main rows": (problem([0, 10, 14]), [1, 1, 1]),
    "pooled, test metric": (
        problem([14, 6, 12], covariance=covariance(0), test_covariance=covariance(1)),
        [1, 1, 1],
    ),
    "one weight": (problem([14, 16], covariance=covariance(0)), [2, 0.6]),
    "one weight, few main rows": (problem([4, 18]), [1, 3]),
    "one weight, few auxiliary rows": (problem([22, 5]), [1, 4]),
    "one weight, test metric": (
        problem([12, 18], covariance=covariance(0), test_covariance=covariance(1)),
        [1, 0.3],
    ),
    "one weight on two tasks": (problem([16, 5, 12]), [1, 0.4, 0.4]),
    "one weight on three tasks": (problem([12, 1, 9, 6]), [1, 3, 3, 3]),
    "auxiliary task of its own covariance": (problem([0, 26], covariance=OWN[:2]), [1, 1]),
}


@pytest.mark.parametrize("name", SIMULATED)
def test_exact_errors_are_those_of_simulated_data(name):
    known, weights = SIMULATED[name]
    formula = weighted_error(known, weights)
    assert formula.status == "exact"
    simulated = simulate(known, weights, n_repeats=80_000, random_state=0)
    assert simulated.standard_error < 0.0025 * formula.error
    assert abs(simulated.error - formula.error) < 4 * simulated.standard_error


@pytest.mark.parametrize("name", SIMULATED)
def test_exact_parts_are_means_of_fixed_designs(name):
    known, weights = SIMULATED[name]
    formula = weighted_error(known, weights)
    bias2, variance = oracle.random_design_parts(
        np.random.default_rng(1),
        known.n_samples,
        known.coefficients,
        known.noise_variance,
        weights,
        known.task_covariances,
        known.metric,
        90_000,
    )
    assert_mean(variance, formula.variance)
    if formula.bias2 > 0 and np.ptp(bias2) > 1e-9:
        assert_mean(bias2, formula.bias2)
    else:  # one task alone: the same in every design
        assert_allclose(bias2, formula.bias2, atol=1e-12)


@pytest.mark.parametrize(
    "known",
    [
        problem([14, 10, 12], covariance=covariance(0)),
        problem([14, 10, 12], test_covariance=covariance(1)),
        problem([14, 10, 12], covariance=OWN),
        problem([4, 40, 9], covariance=OWN, test_covariance=covariance(4)),
    ],
    ids=["common", "test metric", "own", "own, test metric"],
)
def test_monte_carlo_with_any_weights_is_simulated(known):
    weights = [1, 0.3, 2.5]
    formula = weighted_error(known, weights, n_draws=20_000)
    assert formula.status == "monte_carlo"
    assert 0 < formula.standard_error < 0.004 * formula.error
    simulated = simulate(known, weights, n_repeats=50_000, random_state=0)
    both = np.hypot(formula.standard_error, simulated.standard_error)
    assert abs(formula.error - simulated.error) < 4 * both
    bias2, variance = oracle.random_design_parts(
        np.random.default_rng(2),
        known.n_samples,
        known.coefficients,
        known.noise_variance,
        weights,
        known.task_covariances,
        known.metric,
        50_000,
    )
    for draws, value in ((bias2, formula.bias2), (variance, formula.variance)):
        own = draws.std(ddof=1) / np.sqrt(len(draws))
        assert own < 0.004 * value
        # Draws of the formula are no wilder, but fewer.
        assert abs(draws.mean() - value) < 4 * np.sqrt(1 + 50 / 20) * own


def test_simulation_is_least_squares_on_drawn_rows():
    counts, weights = [7, 5, 9], np.array([1.0, 0.4, 3.0])
    W = COEFFICIENTS[:3, :3]
    known = LinearTransferProblem(counts, NOISE[:3], W, test_covariance=covariance(0, 3))
    naive = oracle.fitted_errors(
        np.random.default_rng(3), counts, W, NOISE[:3], weights, known.metric, 6000
    )
    simulated = simulate(known, weights, n_repeats=100_000, random_state=0)
    own = naive.std(ddof=1) / np.sqrt(len(naive))
    assert abs(naive.mean() - simulated.error) < 4 * np.hypot(own, simulated.standard_error)
    # The standard error is that of a mean of as many errors.
    assert simulated.standard_error == pytest.approx(naive.std() / np.sqrt(100_000), rel=0.1)
    assert simulated.n_repeats == 100_000
    assert simulated.status == "monte_carlo"


def test_simulation_without_noise_and_shift_is_exact():
    same = problem([9, 6], noise_variance=[0, 0], coefficients=COEFFICIENTS[[0, 0]])
    assert simulate(same, n_repeats=50, random_state=0).error < 1e-20


def test_simulated_bias_is_that_of_the_mean_estimate():
    # Equal shares of opposite shifts: no mean deviation, but dispersion.
    W = np.array([[0.0, 0], [1, 0], [-1, 0]])
    known = problem([0, 9, 9], noise_variance=[1, 1, 1], coefficients=W)
    result = simulate(known, n_repeats=20_000, random_state=0)
    assert result.bias2 < 1e-3 * result.error
    # One auxiliary task alone: the estimate is its coefficients on average.
    result = simulate(known, [0, 1, 0], n_repeats=20_000, random_state=0)
    assert result.bias2 == pytest.approx(1, abs=0.03)


def test_simulation_repeats_itself_with_a_seed_only():
    known = problem([14, 10])

    def error(state):
        return simulate(known, n_repeats=20, random_state=state).error

    assert error(1) == error(1)
    assert error(1) != error(2)
    assert error(None) != error(None)
    rng = np.random.default_rng(1)
    assert error(rng) != error(rng)


# --- identities ----------------------------------------------------------------------------


@pytest.mark.parametrize("a", [1, 0.3, 1e-20, 1e20])
def test_equal_weights_are_pooling(a):
    known = problem([14, 10, 12])
    assert_array_equal(parts(weighted_error(known, [a] * 3)), parts(pooled_error(known)))


@pytest.mark.parametrize("counts", [[9], [2, 7], [0, 4, 5], [8], [0, 8]])
def test_equal_weights_are_pooling_with_few_rows(counts):
    known = problem(counts)
    weighted, pooled = weighted_error(known, np.ones(len(counts))), pooled_error(known)
    assert_array_equal(parts(weighted), parts(pooled))
    assert weighted.note == pooled.note


@pytest.mark.parametrize("n", [(10, 12, 3), (6, 9, 1), (2, 12, 3), (12, 2, 3), (60, 100, 20)])
def test_weight_one_by_quadrature_is_pooling(n):
    pooled = pooled_error(two_tasks(*n, 1.7, (2.0, 3.0)))
    factors = knob_coefficients(*n, 1.0)
    assert factors.mean_shift * 1.7 == pytest.approx(pooled.bias2, rel=1e-12)
    variance = 2 * factors.main_noise + 3 * factors.auxiliary_noise
    assert variance == pytest.approx(pooled.variance, rel=1e-12)
    rows = n[0] + n[1]
    expected = dispersion_factor(rows, n[2]) * n[1] / rows
    assert factors.dispersion == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("metric", [None, covariance(1)])
def test_error_is_continuous_at_weight_one(metric):
    # Exactly 1 is pooling, beside it is quadrature.
    for counts in ([14, 16], [4, 5, 12]) if metric is None else ([14, 16], [4, 17]):
        known = problem(counts, covariance=covariance(0), test_covariance=metric)
        a = [1] + [1 + 1e-13] * (len(counts) - 1)
        error = weighted_error(known, a)
        assert error.status == "exact"
        assert_allclose(parts(error), parts(pooled_error(known)), rtol=1e-11)


@pytest.mark.parametrize("n", [(10, 12, 3), (2, 12, 3), (12, 2, 3), (3, 4, 5), (60, 100, 20)])
@pytest.mark.parametrize("a", [0.05, 0.5, 4.0])
def test_factors_follow_from_the_mean_of_the_inverse_trace(n, a):
    # The map of t, t' to gamma by integration by parts, and v_0 = t + a t'.
    n_main, n_auxiliary, d = n
    rows = n_main + n_auxiliary
    factors = knob_coefficients(*n, a)
    t = factors.main_noise + factors.auxiliary_noise / a
    slope = -factors.auxiliary_noise / a**2
    p = (d - (rows - d - 1) * t) / (a - 1)
    gamma = (a / d) * (p + (n_auxiliary * t + a * rows * slope) / (a - 1))
    assert factors.mean_shift == pytest.approx(gamma, rel=1e-11)
    # The slope is one: compare with a central difference.
    near = [knob_coefficients(*n, a * (1 + h)) for h in (1e-4, -1e-4)]
    values = [
        x.main_noise + x.auxiliary_noise / w
        for x, w in zip(near, (a * 1.0001, a * 0.9999), strict=True)
    ]
    assert slope == pytest.approx((values[0] - values[1]) / (2e-4 * a), rel=1e-6)


@pytest.mark.parametrize("a", [0.01, 1.0, 50.0])
def test_weights_do_not_matter_without_main_rows(a):
    factors = knob_coefficients(0, 12, 3, a)
    assert factors.mean_shift == pytest.approx(1, rel=1e-13)
    assert factors.main_noise == pytest.approx(0, abs=1e-15)
    assert factors.auxiliary_noise == pytest.approx(3 / 8, rel=1e-13)
    known = two_tasks(0, 12, 3, 2.0)
    assert_array_equal(parts(weighted_error(known, [1, a])), parts(pooled_error(known)))


@pytest.mark.parametrize("a", [1e-9, 1e-17])
def test_vanishing_weight_leaves_the_main_task_alone(a):
    known = problem([20, 12])
    alone = pooled_error(known.subset([0])).error
    assert weighted_error(known, [1, a]).error == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("a", [1e9, 1e17])
def test_overwhelming_weight_leaves_the_auxiliary_task_alone(a):
    known = problem([12, 20])
    error = weighted_error(known, [1, a])
    assert_allclose(parts(error), parts(weighted_error(known, [0, 1])), rtol=1e-6)


@pytest.mark.parametrize("n", [(1, 9), (9, 1), (2, 9)])
@pytest.mark.parametrize("a", [1e-4, 1e4, 1e-6, 1e6, 1e-8, 1e8])
def test_extreme_weights_with_few_rows(n, a):
    # Few rows of one feature: density at the end where the functions change at a scale of a.
    factors = knob_coefficients(*n, 1, a)
    t = factors.main_noise + factors.auxiliary_noise / a
    assert t == pytest.approx(oracle.inverse_mean_of_one_feature(*n, a), rel=1e-6)


def test_small_weight_always_helps():
    # However large the shift and the noise of the auxiliary task.
    known = two_tasks(9, 30, 4, 100.0, (1.0, 50.0))
    assert not pooled_error(known).helps
    assert weighted_error(known, [1, 1e-3]).helps


def test_pooling_with_task_covariances_is_simulated_with_equal_weights():
    known = problem([14, 10, 12], covariance=OWN)
    pooled = pooled_error(known)
    assert pooled.status == "monte_carlo"
    assert_array_equal(parts(pooled), parts(weighted_error(known, [1, 1, 1])))


def test_main_task_alone():
    known = problem([20, 12, 6], test_covariance=covariance(1))
    for error in (
        weighted_error(known, [3, 0, 0]),
        pooled_error(known.subset([0])),
        averaging_error(known, [1, 0, 0]),
    ):
        assert error.bias2 == 0
        assert error.error == pytest.approx(np.trace(covariance(1)) / (20 - D - 1), rel=1e-14)
        assert error.benefit == 0
        assert not error.helps
        assert error.status == "exact"


def test_pure_transfer_with_own_covariance_by_hand():
    own = np.stack([np.diag([1.0, 4.0]), np.diag([2.0, 0.5])])
    known = LinearTransferProblem([0, 9], [1, 3], [[0, 0], [1, 2]], covariance=own)
    for error in (pooled_error(known), weighted_error(known, [1, 0.2])):
        assert error.bias2 == pytest.approx(1 + 4 * 4)
        assert error.variance == pytest.approx(3 * (1 / 2 + 4 / 0.5) / (9 - 2 - 1))
        assert error.main_only_error == np.inf
        assert error.benefit == np.inf
        assert error.helps
        assert error.status == "exact"


@given(
    counts=st.lists(st.integers(0, 30), min_size=2, max_size=4),
    d=st.integers(1, 5),
    a=st.floats(0.01, 100),
    scale=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_invariances(counts, d, a, scale, seed):
    counts[0] += d + 2
    K = len(counts)
    rng = np.random.default_rng(seed)
    W, S, noise = rng.standard_normal((K, d)), covariance(seed, d), rng.uniform(0, 3, K)
    weights = np.array([1.0] + [a] * (K - 1))
    known = LinearTransferProblem(counts, noise, W, covariance=S)
    expected = weighted_error(known, weights)
    assert expected.status == "exact"

    def assert_same(other, weights=weights, factor=1.0):
        error = weighted_error(other, weights)
        assert_allclose(parts(error), factor * parts(expected), rtol=1e-9, atol=1e-12 * factor)
        assert error.status == "exact"

    # Only ratios of weights matter.
    assert_same(known, scale * weights)
    # The order of auxiliary tasks.
    assert_same(known.subset([0, *range(K - 1, 0, -1)]))
    # A task without rows, or without a weight.
    more = {"noise_variance": [*noise, 9.0], "coefficients": [*W, W[0] + 5.0], "covariance": S}
    assert_same(LinearTransferProblem([*counts, 0], **more), [*weights, 7.0])
    assert_same(LinearTransferProblem([*counts, 50], **more), [*weights, 0.0])
    # A task split in two.
    split = {"noise_variance": [*noise, noise[1]], "coefficients": [*W, W[1]], "covariance": S}
    half = counts[1] // 2
    divided = [counts[0], counts[1] - half, *counts[2:], half]
    assert_same(LinearTransferProblem(divided, **split), [*weights, a])
    # Other features: X A, with coefficients A^-1 w.
    A = rng.standard_normal((d, d)) + 3 * np.eye(d)
    turned = A.T @ S @ A
    assert_same(
        LinearTransferProblem(
            counts, noise, np.linalg.solve(A, W.T).T, covariance=(turned + turned.T) / 2
        )
    )
    # Another unit of the target.
    assert_same(
        LinearTransferProblem(counts, scale**2 * noise, scale * W, covariance=S),
        factor=scale**2,
    )


def test_test_metric_equal_to_the_training_one_changes_nothing():
    for counts, a in (([14, 10, 12], [1, 1, 1]), ([14, 16], [1, 0.3]), ([5, 16], [1, 4])):
        plain = problem(counts, covariance=covariance(0))
        metric = problem(counts, covariance=covariance(0), test_covariance=covariance(0))
        assert_allclose(
            parts(weighted_error(metric, a)), parts(weighted_error(plain, a)), rtol=1e-11
        )


def test_error_is_linear_in_the_test_metric():
    def error(metric, counts, a):
        return parts(weighted_error(problem(counts, test_covariance=metric), a))

    A, B = covariance(1), covariance(2)
    for counts, a in (([14, 10, 12], [1, 1, 1]), ([14, 16], [1, 0.3])):
        together = error(A + 2 * B, counts, a)
        assert_allclose(together, error(A, counts, a) + 2 * error(B, counts, a), rtol=1e-11)


def test_test_metric_with_one_feature_is_a_factor():
    params = {"noise_variance": [1, 2], "coefficients": [[1], [3]]}
    for a in (1.0, 0.3):
        plain = weighted_error(LinearTransferProblem([6, 9], **params), [1, a])
        other = LinearTransferProblem([6, 9], **params, test_covariance=[[5]])
        assert_allclose(parts(weighted_error(other, [1, a])), 5 * parts(plain), rtol=1e-12)


# --- quadrature ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "n",
    [
        (6, 9, 1),
        (1, 4, 1),
        (0, 9, 3),
        (9, 0, 3),
        (10, 12, 3),
        (2, 12, 3),
        (12, 2, 3),
        (3, 3, 4),
        (70, 66, 8),  # exponents on both sides of where the interval is cut
        (300, 400, 100),
        (60, 70, 100),
        (400_000, 600_000, 2),
        (500_000, 500_000, 100),
    ],
)
def test_more_nodes_change_nothing(n, monkeypatch):
    for a in (0.05, 1.0, 7.0):
        coarse = astuple(knob_coefficients(*n, a))
        with monkeypatch.context() as patch:
            finer = JacobiEnsemble(*n, refinement=1.7)
            assert len(finer.u) > 1.6 * len(JacobiEnsemble(*n).u)
            patch.setattr(one_knob, "jacobi_ensemble", lambda *_, finer=finer: finer)
            fine = astuple(knob_coefficients(*n, a))
        assert np.isfinite(coarse).all()
        assert_allclose(coarse, fine, rtol=1e-11)


@pytest.mark.parametrize(
    ("n", "d"), [((500_000, 500_000), 100), ((50, 10**6), 100), ((10**6, 3), 3), ((0, 10**6), 1)]
)
@pytest.mark.parametrize("a", [0.01, 1.0, 20.0])
def test_many_rows_and_features_stay_finite(n, d, a):
    error = weighted_error(two_tasks(*n, d), [1, a])
    assert np.isfinite(parts(error)).all()
    assert error.bias2 >= 0
    # No estimate has less variance than the best one, without shifts.
    assert error.variance >= d / sum(n)


# --- fixed designs -------------------------------------------------------------------------


def fixed(seed, counts=(9, 6, 4), d=3):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, d)) for n in counts], rng.standard_normal((len(counts), d))


@pytest.mark.parametrize("weights", [[1, 1, 1], [1, 0.2, 5], [0, 1, 2], [3, 0, 0]])
@pytest.mark.parametrize("metric", [None, covariance(1, 3)])
def test_fixed_design_by_loops(weights, metric):
    designs, W = fixed(0)
    error = fixed_design_error(designs, W, NOISE[:3], weights, metric)
    if metric is None:
        metric = designs[0].T @ designs[0] / 9
    expected = oracle.fixed_design_parts(designs, W, NOISE[:3], weights, metric)
    assert_allclose(parts(error), expected, rtol=1e-10, atol=1e-14)
    alone = oracle.fixed_design_parts(designs[:1], W[:1], NOISE[:1], [1], metric)
    assert error.main_only_error == pytest.approx(alone[1], rel=1e-12)
    assert error.status == "exact"


def test_fixed_designs_average_to_the_random_one():
    rng = np.random.default_rng(0)
    W = COEFFICIENTS[:2, :4]
    known = LinearTransferProblem([20, 30], NOISE[:2], W)
    designs = [[rng.standard_normal((n, 4)) for n in (20, 30)] for _ in range(1500)]
    drawn = [
        parts(fixed_design_error(X, W, NOISE[:2], [1, 0.5], test_covariance=np.eye(4)))
        for X in designs
    ]
    formula = weighted_error(known, [1, 0.5])
    for draws, expected in zip(np.transpose(drawn), parts(formula), strict=True):
        assert_mean(draws, expected, power=0.015)


def test_fixed_design_by_default_has_equal_weights_and_its_own_rows():
    designs, W = fixed(1)
    metric = designs[0].T @ designs[0] / len(designs[0])
    plain = fixed_design_error(designs, W, NOISE[:3])
    explicit = fixed_design_error(designs, W, NOISE[:3], [2, 2, 2], metric)
    assert_allclose(parts(plain), parts(explicit), rtol=1e-12)
    # On its own rows the main task's error is s_0 d / n_0.
    assert plain.main_only_error == pytest.approx(NOISE[0] * 3 / 9, rel=1e-12)


def test_proportional_designs_are_averages_of_fits():
    # X_k' X_k = n_k S: pooling weighs the fits with a_k n_k.
    counts, a = np.array([9, 6, 4]), np.array([1.0, 0.3, 2.0])
    root, metric = np.linalg.cholesky(covariance(0, 3)).T, covariance(1, 3)
    _, W = fixed(2)
    designs = [np.sqrt(n) * root for n in counts]
    error = fixed_design_error(designs, W, NOISE[:3], a, metric)
    p = a * counts / (a @ counts)
    mean = p @ (W - W[0])
    trace = np.trace(metric @ np.linalg.inv(covariance(0, 3)))
    assert error.bias2 == pytest.approx(mean @ metric @ mean, rel=1e-12)
    assert error.variance == pytest.approx(p**2 @ (NOISE[:3] / counts) * trace, rel=1e-12)


def test_fixed_design_that_only_auxiliary_rows_make_regular():
    designs, W = fixed(3, counts=(2, 5, 0))
    metric = np.eye(3)
    error = fixed_design_error(designs, W, NOISE[:3], test_covariance=metric)
    assert error.main_only_error == np.inf
    assert error.benefit == np.inf
    assert error.helps
    assert_allclose(
        parts(error), oracle.fixed_design_parts(designs, W, NOISE[:3], [1, 1, 1], metric)
    )


def test_features_of_very_different_scale_are_not_singular():
    designs, W = fixed(4)
    scale = np.array([1e-9, 1.0, 1e9])
    plain = fixed_design_error(designs, W, NOISE[:3], [1, 0.2, 3])
    scaled = fixed_design_error([X * scale for X in designs], W / scale, NOISE[:3], [1, 0.2, 3])
    assert_allclose(parts(scaled), parts(plain), rtol=1e-8)


def hard_design(rng):
    """Return nearly collinear features, weights and rows of very different size, few rows."""
    d, K = int(rng.integers(2, 4)), int(rng.integers(1, 3))
    counts = rng.integers(1, 2 * d + 2, K + 1)
    counts[0] = max(counts[0], d + 1 - counts[1:].sum())
    designs = [rng.standard_normal((n, d)) * 10.0 ** rng.choice([0, 0, -5, 5]) for n in counts]
    nearly = 10 ** rng.uniform(-12, 0)
    designs = [np.column_stack([X[:, 1] + nearly * X[:, 0], X[:, 1:]]) for X in designs]
    W, noise = rng.standard_normal((K + 1, d)), 10 ** rng.uniform(-1, 1, K + 1)
    weights = 10 ** rng.uniform(-20, 0, K + 1)
    return designs, W, noise, weights / weights.max()


def test_hard_designs_are_right_or_refused():
    rng = np.random.default_rng(0)
    answered = refused = 0
    for _ in range(150):
        designs, W, noise, weights = hard_design(rng)
        metric = np.eye(W.shape[1])
        try:
            error = fixed_design_error(designs, W, noise, weights, metric)
        except ValueError:
            refused += 1
            continue
        exact = oracle.rational_design_parts(designs, W, noise, weights, metric)
        # What is refused changes by 1e-7 under a few last bits.
        assert error.error == pytest.approx(exact.sum(), rel=1e-6)
        answered += 1
    assert answered > 90
    assert refused > 10


def test_nearly_collinear_designs_are_refused_with_their_condition():
    designs, W = fixed(5, counts=(6, 4))
    designs = [np.column_stack([X[:, 0] + 1e-13 * X[:, 1], X[:, 0], X[:, 2]]) for X in designs]
    with pytest.raises(ValueError, match=r"condition number \d.*collinear.*1e-07 is allowed"):
        fixed_design_error(designs, W, NOISE[:2], [1, 1], np.eye(3))


@pytest.mark.parametrize("seed", range(5))
def test_tiny_main_weights_where_the_others_have_fewer_rows_than_features(seed):
    rng = np.random.default_rng(seed)
    designs = [rng.standard_normal((n, 3)) for n in (8, 2)]
    W, weights = rng.standard_normal((2, 3)), [10 ** rng.uniform(-10, -8), 1.0]
    error = fixed_design_error(designs, W, [1, 1], weights, np.eye(3))
    exact = oracle.rational_design_parts(designs, W, [1, 1], weights, np.eye(3))
    assert_allclose(parts(error), exact, rtol=1e-8)


@pytest.mark.parametrize("own", [False, True])
def test_drawn_designs_keep_their_digits_with_tiny_weights(own):
    # Two heavy rows and five features: moments would cancel to noise, or to negative variances.
    params = {"test_covariance": 2 * np.eye(D)} if own else {}
    known = problem([14, 2, 9], covariance=np.eye(D), **params)
    near, far = (weighted_error(known, [a, 1, 2 * a], n_draws=2000) for a in (1e-6, 1e-11))
    # The same draws, and in the limit the light tasks tell what the heavy one does not.
    assert_allclose(parts(far), parts(near), rtol=1e-3)


def test_one_weight_that_is_too_unequal_is_refused():
    # Eight main rows alone have an infinite error, which grows with the ratio without end.
    near, far = (weighted_error(problem([D, 9]), [1, a]).error for a in (1e-13, 1e-14))
    assert far > 2 * near
    for n_main in (D - 2, D, D + 1):
        with pytest.raises(ValueError, match=f"there are {n_main}, and at least {D + 2} are"):
            weighted_error(problem([n_main, 9]), [1, 1e-16])
    # With more rows the error is that of the main task alone.
    known = problem([D + 2, 9])
    alone = weighted_error(known, [1, 0])
    assert_allclose(weighted_error(known, [1, 1e-30]).error, alone.error, rtol=1e-6)


def test_simulation_without_end_is_refused():
    known = problem([2**30, 9])
    with pytest.raises(ValueError, match=r"10000 data sets of 8589934664 numbers .* n_repeats"):
        simulate(known)


def test_weights_that_are_too_unequal_to_be_simulated():
    known = problem([14, 2, 9])
    with pytest.raises(
        ValueError, match=r"at least 1e-20 times .* there are 2, and at least 8 are"
    ):
        weighted_error(known, [1e-21, 1, 2e-21], n_draws=10)
    with pytest.raises(
        ValueError, match=r"at least 1e-10 times .* there are 2, and at least 8 are"
    ):
        simulate(known, [1e-11, 1, 2e-11], n_repeats=10)
    # Where the heavy rows are enough, the others may weigh as little as they like.
    assert weighted_error(known, [1, 1e-21, 1e-30], n_draws=10).error > 0
    assert simulate(known, [1, 1e-21, 1e-30], n_repeats=10).error > 0


def test_metric_that_does_not_see_the_bias():
    X, shift = np.eye(3), np.array([0.0, 0.0, 0.7])
    error = fixed_design_error([X, X], [0 * shift, shift], [0, 0], None, np.diag([1.0, 1.0, 0.0]))
    assert error.error == 0


@pytest.mark.parametrize("case", ["few rows", "collinear", "constant 0", "weight 0"])
def test_singular_design(case):
    designs, W = fixed(5, counts=(2, 4))
    weights = [1, 1]
    if case == "few rows":
        designs = [X[:1] for X in designs]
    elif case == "collinear":
        designs = [np.column_stack([X[:, :2], X[:, 0] - 2 * X[:, 1]]) for X in designs]
    elif case == "constant 0":
        designs = [X * [1, 0, 1] for X in designs]
    else:
        weights = [1, 0]
    with pytest.raises(ValueError, match=r"design is singular.*fewer rows than feat.*collinear"):
        fixed_design_error(designs, W, NOISE[:2], weights, np.eye(3))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"designs": [], "coefficients": []}, "designs must hold one matrix for each task"),
        ({"coefficients": np.ones((2, 3))}, r"coefficients .*\(3, 'any'\), got \(2, 3\)"),
        ({"coefficients": np.ones((3, 2))}, r"designs\[0\] must have shape .* got \(9, 3\)"),
        ({"designs": [np.ones((3, 0))] * 3, "coefficients": np.ones((3, 0))}, "at least one"),
        ({"designs": [np.full((9, 3), np.nan)] * 3}, r"designs\[0\] must be finite"),
        ({"noise_variance": [1, 1]}, r"noise_variance must have shape \(3,\)"),
        ({"noise_variance": [1, -2, 1]}, "noise_variance must be >= 0, got -2"),
        ({"weights": [1, 1]}, r"weights must have shape \(3,\), got \(2,\)"),
        ({"weights": [1, -1, 1]}, "weights must be >= 0, got -1"),
        ({"weights": [0, 0, 0]}, "weights must not all be 0"),
        ({"test_covariance": np.eye(2)}, r"test_covariance must have shape \(3, 3\)"),
        ({"test_covariance": np.tri(3)}, "test_covariance must be symmetric"),
        ({"test_covariance": -np.eye(3)}, "test_covariance must be positive semidefinite"),
        ({"designs": [np.empty((0, 3)), np.eye(3), np.eye(3)]}, "test_covariance is needed"),
    ],
)
def test_bad_fixed_designs(params, message):
    designs, W = fixed(0)
    good = {"designs": designs, "coefficients": W, "noise_variance": NOISE[:3]}
    with pytest.raises(ValueError, match=message):
        fixed_design_error(**(good | params))


# --- averages of separate fits -------------------------------------------------------------


def test_averages_of_fits():
    known = problem([16, 24, 18], covariance=OWN, test_covariance=covariance(4))
    shares = np.array([3.0, 2.0, 1.0])
    error = averaging_error(known, shares)
    p = shares / 6
    mean = p @ SHIFTS[:3]
    assert error.bias2 == pytest.approx(mean @ covariance(4) @ mean, rel=1e-12)
    variance = oracle.average_of_fits_variance(
        np.random.default_rng(4), known.n_samples, NOISE, p, OWN, covariance(4), 25_000
    )
    assert_mean(variance, error.variance)
    assert error.status == "exact"
    alone = oracle.average_of_fits_variance(
        np.random.default_rng(5), [16], NOISE, [1], OWN, covariance(4), 60_000
    )
    assert_mean(alone, error.main_only_error)


def test_average_needs_rows_of_tasks_with_a_share_only():
    known = problem([20, 9])
    assert averaging_error(known, [1, 0.1]).error == np.inf
    assert averaging_error(known, [1, 0]).error == pytest.approx(D / 11)
    # Nor does it matter what the noise of the others is.
    silent = problem([20, 9], noise_variance=[1, 0])
    assert averaging_error(silent, [1, 0]).error == pytest.approx(D / 11)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ([1, 1], r"shares must have shape \(3,\), got \(2,\)"),
        ([1, np.nan, 1], "shares must be finite"),
        ([1, -0.5, 1], r"shares must be >= 0, got -0\.5"),
        ([0, 0, 0], "shares must not all be 0"),
    ],
)
def test_bad_shares(shares, message):
    with pytest.raises(ValueError, match=message):
        averaging_error(problem([14, 16, 18]), shares)


# --- Monte Carlo over designs --------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "metric"), [([10, 12], None), ([3, 16], None), ([14, 16], covariance(1))]
)
@pytest.mark.parametrize("part", ["bias2", "variance"])
def test_monte_carlo_is_unbiased(counts, metric, part):
    params = {"test_covariance": metric}
    if part == "bias2":
        params["noise_variance"] = [0, 0]
    else:
        params["coefficients"] = COEFFICIENTS[[0, 0]]
    known = problem(counts, **params)
    exact = weighted_error(known, [1, 0.3])
    drawn = weighted_error(known, [1, 0.3], method="monte_carlo", n_draws=80_000)
    assert (exact.status, drawn.status) == ("exact", "monte_carlo")
    assert drawn.standard_error < 0.0025 * exact.error
    assert abs(drawn.error - exact.error) < 4 * drawn.standard_error
    assert getattr(drawn, part) == drawn.error


def test_monte_carlo_standard_error_is_the_spread_over_seeds():
    known = problem([14, 10, 12])
    runs = [
        weighted_error(known, [1, 0.3, 2.5], n_draws=200, random_state=seed) for seed in range(100)
    ]
    spread = np.std([run.error for run in runs], ddof=1)
    assert spread == pytest.approx(np.mean([run.standard_error for run in runs]), rel=0.3)


def test_monte_carlo_repeats_itself_with_a_seed_only():
    known = problem([14, 10, 12])

    def error(**params):
        return weighted_error(known, [1, 0.3, 2.5], n_draws=20, **params).error

    assert error() == error(random_state=0)
    assert error(random_state=1) == error(random_state=1) != error()
    assert error(random_state=None) != error(random_state=None)
    rng = np.random.default_rng(1)
    assert error(random_state=rng) == error(random_state=1)
    assert error(random_state=rng) != error(random_state=1)


def test_monte_carlo_knows_ratios_only_and_forgets_tasks_without_weight():
    known = problem([14, 10, 12])
    expected = weighted_error(known, [1, 0.3, 2.5], n_draws=50).error
    scaled = weighted_error(known, [1e-5, 0.3e-5, 2.5e-5], n_draws=50).error
    assert scaled == pytest.approx(expected, rel=1e-10)
    more = problem([14, 10, 12, 40])
    assert weighted_error(more, [1, 0.3, 2.5, 0], n_draws=50).error == expected


@pytest.mark.parametrize("counts", [[14, 16, 300], [14, 15, 17], [3, 15, 4]])
def test_many_and_few_rows_are_drawn_from_one_distribution(counts):
    # Many rows are drawn through the root of their second moments.
    drawn = weighted_error(problem(counts), [1, 1, 1], method="monte_carlo", n_draws=25_000)
    assert drawn.status == "monte_carlo"
    exact = pooled_error(problem(counts))
    assert drawn.standard_error < 0.003 * exact.error
    assert abs(drawn.error - exact.error) < 4 * drawn.standard_error


# --- deterministic equivalents -------------------------------------------------------------


@pytest.mark.parametrize("counts", [[14, 10, 12], [2, 3, 6], [0, 40, 5]])
def test_second_order_is_exact_for_equal_weights(counts):
    known = problem(counts)
    equivalent = weighted_error(known, [3, 3, 3], method="second_order")
    assert_allclose(parts(equivalent), parts(pooled_error(known)), rtol=1e-10)
    assert equivalent.status == "approximation"
    first = weighted_error(known, [3, 3, 3], method="first_order")
    # d / (N - d) instead of d / (N - d - 1).
    q = np.array(counts) / sum(counts)
    assert first.variance == pytest.approx(q @ NOISE[:3] * D / (sum(counts) - D), rel=1e-10)


@pytest.mark.parametrize(
    ("n", "first", "second"),
    [
        ((10, 12, 3), (0.39, 0.36), (0.15, 0.03)),
        ((60, 100, 20), (0.072, 0.066), (0.018, 8e-4)),
        ((2000, 5000, 20), (0.0015, 0.0014), (1.7e-5, 6e-7)),
    ],
)
def test_equivalents_of_two_tasks_are_as_good_as_stated(n, first, second):
    worst = np.zeros((2, 2))
    for noise in ((1, 0), (0, 1)):
        known = two_tasks(*n, noise=noise)
        for a in np.geomspace(0.02, 10, 25):
            exact = parts(weighted_error(known, [1, a]))
            for order, method in enumerate(("first_order", "second_order")):
                error = parts(weighted_error(known, [1, a], method=method))
                worst[order] = np.maximum(worst[order], np.abs(error / exact - 1))
    # As stated, to its last digit: neither worse nor better.
    assert_allclose(worst, [first, second], rtol=0.1)


def test_equivalents_of_several_tasks_are_as_good_as_stated():
    known = problem([14, 30, 60], coefficients=COEFFICIENTS[:3, :5])
    weights = [1, 0.3, 0.05]
    drawn = parts(weighted_error(known, weights, n_draws=40_000))  # to about 0.2 %
    first = parts(weighted_error(known, weights, method="first_order"))
    second = parts(weighted_error(known, weights, method="second_order"))
    assert np.all(np.abs(first / drawn - 1) < [0.15, 0.10])
    assert np.all(np.abs(second / drawn - 1) < [0.027, 0.006])


def test_equivalents_converge():
    # The first order as 1 / n, the second as its square.
    def distance(scale, method):
        known = two_tasks(12 * scale, 20 * scale, 4)
        exact = parts(weighted_error(known, [1, 0.2]))
        return np.abs(parts(weighted_error(known, [1, 0.2], method=method)) / exact - 1)

    for method, power in (("first_order", 1), ("second_order", 2)):
        ratio = distance(16, method) / distance(64, method)
        assert_allclose(ratio, 4**power, rtol=0.15)


def test_equivalent_with_equal_task_covariances_is_the_plain_one():
    weights = [1, 0.3, 2.5]
    plain = problem([14, 30, 20], covariance=covariance(0))
    own = problem([14, 30, 20], covariance=np.stack([covariance(0)] * 3))
    assert_allclose(
        parts(weighted_error(own, weights, method="first_order")),
        parts(weighted_error(plain, weights, method="first_order")),
        rtol=1e-10,
    )


@pytest.mark.parametrize(("d", "tolerance"), [(5, 0.04), (20, 0.012)])
@pytest.mark.parametrize("metric", [False, True])
def test_equivalent_with_task_covariances(d, tolerance, metric):
    rng = np.random.default_rng(d)
    own = np.stack([covariance(seed, d) for seed in range(3)])
    known = LinearTransferProblem(
        [4 * d, 6 * d, 10 * d],
        NOISE[:3],
        rng.standard_normal((3, d)) / np.sqrt(d),
        covariance=own,
        test_covariance=covariance(9, d) if metric else None,
    )
    weights = [1, 0.3, 0.7]
    drawn = weighted_error(known, weights, n_draws=4000)
    assert drawn.standard_error < 0.003 * drawn.error
    equivalent = weighted_error(known, weights, method="first_order")
    assert_allclose(parts(equivalent), parts(drawn), rtol=tolerance)


def test_equivalents_ignore_inactive_tasks_and_scale():
    known, more = problem([14, 30, 20]), problem([14, 30, 20, 0])
    for method in ("first_order", "second_order"):
        expected = parts(weighted_error(known, [1, 0.3, 2], method=method))
        for other, weights in ((known, [1e-9, 0.3e-9, 2e-9]), (more, [1, 0.3, 2, 4])):
            assert_allclose(
                parts(weighted_error(other, weights, method=method)), expected, rtol=1e-9
            )


# Weights with which hardly more rows count than there are features.
UNEQUAL = [([4, 9, 9], 3, [1, 1e-25, 1e-26]), ([2, 3, 8], 2, [1, 1e-3, 1e-3])]


@pytest.mark.parametrize(("counts", "d", "weights"), [*UNEQUAL, ([1, 2, 9], 3, [1, 1, 1e-300])])
def test_second_order_is_refused_near_its_pole(counts, d, weights):
    known = LinearTransferProblem(counts, [1, 1, 1], shift_gram=np.eye(2), n_features=d)
    with pytest.raises(ValueError, match='method="auto" has no such limit'):
        weighted_error(known, weights, method="second_order")
    assert weighted_error(known, weights, n_draws=10).error > 0


def test_refusal_of_the_second_order_tells_the_condition():
    counts, d, weights = UNEQUAL[1]
    known = LinearTransferProblem(counts, [1, 1, 1], shift_gram=np.eye(2), n_features=d)
    with pytest.raises(ValueError, match=r"at least 4 effective rows.*these leave 2\.\d+;"):
        weighted_error(known, weights, method="second_order")


def test_equivalents_are_refused_or_within_sight_of_the_exact_error():
    rng = np.random.default_rng(0)
    answered = refused = 0
    for _ in range(400):
        d = int(rng.integers(1, 8))
        counts = rng.choice([1, d, d + 1, d + 2, 2 * d + 3, 20 * d], size=2)
        if counts.sum() <= d + 1:
            continue
        known = LinearTransferProblem(counts, [1, 1], shift_gram=[[1]], n_features=d)
        weights = [1, 10 ** rng.uniform(-6, 6) * 10 ** rng.choice([0.0, 0.0, -30.0])]
        try:
            second = weighted_error(known, weights, method="second_order")
            exact = weighted_error(known, weights)
        except ValueError:
            refused += 1
            continue
        # Far better on average; without refusal it is off a hundredfold, or negative.
        assert 0.8 < second.error / exact.error < 1.2
        answered += 1
    assert answered > 150
    assert refused > 50


# --- subsets -------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [None, covariance(1)])
@pytest.mark.parametrize("counts", [[12, 8, 20, 5], [3, 2, 20, 30], [0, 0, 12, 9], [60, 8, 9, 7]])
def test_best_subset_is_the_best(counts, metric):
    chosen = set()
    for seed in range(6):
        rng = np.random.default_rng(seed)
        W = 0.35 * rng.standard_normal((4, D)) * rng.uniform(0, 1.5, (4, 1))
        known = problem(counts, coefficients=W, test_covariance=metric)
        errors = {(0,): error_alone(known)}
        for size in (1, 2, 3):
            for subset in combinations((1, 2, 3), size):
                rows = sum(counts[k] for k in (0, *subset))
                if rows >= D:
                    tasks = (0, *subset)
                    errors[tasks] = pooled_error(known.subset(tasks)).error
        best = best_subset(known)
        smallest = min(errors.values())
        assert best.error == pytest.approx(smallest, rel=1e-12)
        assert best.error == pytest.approx(errors[best.tasks], rel=1e-12)
        # Nothing smaller is as good, up to rounding.
        assert all(
            error > smallest * (1 + 1e-13)
            for tasks, error in errors.items()
            if len(tasks) < len(best.tasks)
        )
        assert best.main_only_error == errors[(0,)]
        assert best.status == "exact"
        chosen.add(best.tasks)
    assert len(chosen) > 1  # otherwise any constant would pass


def error_alone(known):
    excess = known.n_samples[0] - D - 1
    trace = np.trace(known.metric)
    return NOISE[0] * trace / excess if excess > 0 else np.inf


def test_no_subset_has_enough_rows():
    best = best_subset(problem([2, 3, 4]))
    assert best.tasks == (0,)
    assert best.error == np.inf


def test_subsets_of_tasks_with_own_covariances():
    with pytest.raises(ValueError, match="only for tasks with a common covariance"):
        best_subset(problem([14, 16, 18], covariance=OWN))


# --- edges and bad parameters --------------------------------------------------------------


@pytest.mark.parametrize("rows", [D, D + 1])
def test_error_is_infinite_with_few_rows(rows):
    known = problem([3, rows - 3])
    for error in (pooled_error(known), weighted_error(known, [1, 0.3])):
        assert error.error == np.inf
        assert error.benefit == 0  # the main task alone is infinite too
        assert not error.helps
        assert error.note == f"The error is infinite with {rows} rows; {D + 2} make it finite."
    finite = problem([3, D - 1])
    assert np.isfinite(pooled_error(finite).error)
    assert pooled_error(finite).benefit == np.inf


def test_bias_of_few_rows_of_one_task_is_its_shift_in_the_test_metric():
    # The estimate is unbiased for the task's coefficients, whatever its variance.
    known = problem([0, D], test_covariance=covariance(1))
    expected = SHIFTS[1] @ covariance(1) @ SHIFTS[1]
    assert pooled_error(known).bias2 == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    "function",
    [
        pooled_error,
        lambda known: weighted_error(known, [1, 0.3, 0]),
        lambda known: simulate(known, [1, 0.3, 0], n_repeats=10),
    ],
)
def test_fewer_rows_than_features(function):
    with pytest.raises(
        ValueError,
        match=f"at least n_features={D} rows|n_features={D} rows with a weight are needed",
    ):
        function(problem([3, D - 4, 0]))


def test_weight_on_few_auxiliary_rows_alone_hurts_infinitely():
    error = weighted_error(problem([20, 9]), [0, 1])
    assert error.error == np.inf
    assert error.benefit == -np.inf
    assert not error.helps


@pytest.mark.parametrize("function", [weighted_error, simulate])
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 1], r"weights must have shape \(3,\), got \(2,\)"),
        ([1, np.nan, 1], "weights must be finite"),
        ([1, np.inf, 1], "weights must be finite"),
        ([1, -0.5, 1], r"weights must be >= 0, got -0\.5"),
        ([0, 0, 0], "weights must not all be 0"),
    ],
)
def test_bad_weights(function, weights, message):
    with pytest.raises(ValueError, match=message):
        function(problem([14, 16, 18]), weights)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"method": "exact"}, ValueError, r"method must be one of \['auto', .*got 'exact'"),
        ({"n_draws": 1}, ValueError, "n_draws must be >= 2, got 1"),
        ({"n_draws": 10.0}, TypeError, r"n_draws must be an integer, got 10\.0"),
        ({"n_draws": True}, TypeError, "n_draws must be an integer, got True"),
        ({"n_draws": 0, "method": "first_order"}, ValueError, "n_draws must be >= 2, got 0"),
    ],
)
def test_bad_parameters_of_weighting(params, error, message):
    with pytest.raises(error, match=message):
        weighted_error(problem([14, 16, 18]), [1, 0.3, 2], **params)


@pytest.mark.parametrize(
    ("n_repeats", "error"), [(1, ValueError), (10.0, TypeError), (True, TypeError)]
)
def test_bad_number_of_repeats(n_repeats, error):
    with pytest.raises(error, match=r"n_repeats must be (an integer|>= 2), got"):
        simulate(problem([14, 16]), n_repeats=n_repeats)


def test_arguments_are_left_unchanged():
    known, weights = problem([14, 16, 0]), np.array([1.0, 0.3, 5.0])
    weighted_error(known, weights)
    averaging_error(known.subset([0, 1]), shares := np.array([3.0, 1.0]))
    assert_array_equal(weights, [1.0, 0.3, 5.0])
    assert_array_equal(shares, [3.0, 1.0])


def test_results_print_and_become_tables():
    error = pooled_error(two_tasks(8, 12, 3))
    assert repr(error).splitlines()[:2] == ["TransferError", "  bias2            0.411962"]
    assert "note" not in repr(error)
    assert "note             The error is infinite" in repr(pooled_error(two_tasks(1, 3, 3)))
    frame = error.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 1
    assert frame.loc[0, "error"] == error.error
    assert frame.loc[0, "status"] == "exact"


# --- what is the same problem --------------------------------------------------------------


def test_weights_that_differ_by_rounding_are_equal():
    known = problem([9, 7, 8])
    assert 0.1 * 3 != 0.3
    assert weighted_error(known, [1, 0.1 * 3, 0.3]).status == "exact"
    assert weighted_error(known, [0.1 * 3, 0.3, 0.3]).error == pytest.approx(
        pooled_error(known).error
    )


def test_covariances_that_are_all_the_same_are_a_common_one():
    covariance = np.diag(np.arange(1.0, D + 1))
    common = problem([9, 7, 8], covariance=covariance)
    listed = problem([9, 7, 8], covariance=np.stack([covariance] * 3))
    tested = problem([9, 7, 8], covariance=covariance, test_covariance=covariance)
    for same in (listed, tested):
        assert not same.has_task_covariances
        assert not same.has_test_metric
        assert pooled_error(same).error == pooled_error(common).error


def test_simulation_in_parts_of_rows(monkeypatch):
    # More rows than fit into a batch are drawn in parts.
    known = problem([40, 60])
    monkeypatch.setattr("rmtgb.transfer.simulation._BATCH_VALUES", 20 * D)
    drawn = simulate(known, n_repeats=3000, random_state=0)
    assert abs(drawn.error - pooled_error(known).error) < 4 * drawn.standard_error


def test_simulated_network_leaves_out_tasks_without_rows_or_weight():
    W = np.random.default_rng(0).standard_normal((5, 4))
    known = LinearTransferProblem([9, 8, 7, 6, 0], [1.0] * 5, coefficients=W)
    fewer = LinearTransferProblem([9, 8, 7], [1.0] * 3, coefficients=W[:3])
    arguments = {"rank": 2, "n_repeats": 50, "random_state": 1}
    assert (
        simulate(known, [1, 1, 1, 0, 1], **arguments).error == simulate(fewer, **arguments).error
    )
    with pytest.raises(ValueError, match="main task needs rows and a weight above 0"):
        simulate(known, [0, 1, 1, 1, 1], **arguments)


def test_shares_whose_sum_overflows():
    average = averaging_error(problem([14, 16, 18]), [1e308, 1e308, 1e308])
    assert average.error == averaging_error(problem([14, 16, 18]), [1, 1, 1]).error


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((4, 3), ValueError, r"n_rows must be finite and above n_features \+ 1 = 4, got 4"),
        ((np.inf, 3), ValueError, "n_rows must be finite"),
        ((np.nan, 3), ValueError, "n_rows must be finite"),
        (("9", 3), TypeError, "n_rows must be a real number, got '9'"),
        ((9, 3.5), TypeError, r"n_features must be an integer, got 3\.5"),
        ((9, 0), ValueError, "n_features must be >= 1, got 0"),
    ],
)
def test_bad_arguments_of_the_dispersion_factor(arguments, error, message):
    with pytest.raises(error, match=message):
        dispersion_factor(*arguments)
