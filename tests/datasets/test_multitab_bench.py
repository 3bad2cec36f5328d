import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from rmtgb.datasets import MultiTabTruth, make_multitab_bench, to_wide
from tests.oracles.datasets import power_sum_covariance, power_sum_mean

TYPES = ["regression", "binary", "multiclass", "ordinal", "count"]


def generate(n_samples=200, n_tasks=7, n_features=32, **params):
    params = {"return_truth": True, "random_state": 0} | params
    return make_multitab_bench(n_samples, n_tasks, n_features, **params)


def random_correlation(rng, n_tasks):
    root = rng.standard_normal((n_tasks, n_tasks + 1))
    P = root @ root.T
    P /= np.sqrt(np.outer(P.diagonal(), P.diagonal()))
    np.fill_diagonal(P, 1.0)
    return (P + P.T) / 2


# --- weights -------------------------------------------------------------------------------


@given(
    n_tasks=st.integers(1, 12),
    n_more_features=st.integers(0, 30),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_cosines_are_exact_over_the_whole_feasible_range(n_tasks, n_more_features, share, seed):
    lowest = -1 / (n_tasks - 1) if n_tasks > 1 else -1.0
    correlation = min(lowest + share * (1 - lowest), 1.0)
    correlation = max(correlation, lowest)
    _, _, truth = generate(
        3, n_tasks, n_tasks + n_more_features, correlation=correlation, random_state=seed
    )
    expected = np.full((n_tasks, n_tasks), correlation)
    np.fill_diagonal(expected, 1.0)
    assert_array_equal(truth.correlation, expected)
    assert_allclose(truth.weights @ truth.weights.T, expected, rtol=0, atol=1e-12)


@given(n_tasks=st.integers(1, 8), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None)
def test_any_feasible_matrix(n_tasks, seed):
    P = random_correlation(np.random.default_rng(seed), n_tasks)
    _, _, truth = generate(3, n_tasks, 8, correlation=P)
    assert_allclose(truth.weights @ truth.weights.T, P, rtol=0, atol=1e-12)
    assert_allclose(truth.correlation, P, rtol=0, atol=1e-12)


def test_singular_matrix_is_feasible():
    P = np.array([[1.0, 1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
    _, _, truth = generate(n_tasks=3, correlation=P)
    assert_allclose(truth.weights @ truth.weights.T, P, rtol=0, atol=1e-12)


def test_weights_have_no_preferred_direction():
    # Mean of 500 first weight vectors: each entry has standard error sqrt(1/4/500) = 0.022.
    draws = [generate(1, 2, 4, random_state=seed)[2].weights for seed in range(500)]
    assert_allclose(np.mean(draws, axis=0), 0, atol=0.1)
    assert_allclose(np.mean(np.square(draws), axis=0), 0.25, atol=0.05)


def test_outlier_tasks_are_orthogonal_to_the_others():
    _, _, truth = generate(n_tasks=7, n_outlier_tasks=2, correlation=0.6)
    assert_array_equal(truth.outlier_tasks, [5, 6])
    cosines = truth.weights @ truth.weights.T
    assert_allclose(cosines[:5, 5:], 0, atol=1e-12)
    assert_allclose(cosines[5, 6], 0.6, atol=1e-12)
    assert_allclose(cosines[np.triu_indices(5, k=1)], 0.6, atol=1e-12)
    assert_allclose(cosines.diagonal(), 1, atol=1e-12)


def test_a_correlation_infeasible_for_all_may_be_feasible_beside_outliers():
    generate(n_tasks=4, n_outlier_tasks=2, correlation=-0.9)
    with pytest.raises(ValueError, match=r"between -0.333333 and 1, got -0.9"):
        generate(n_tasks=4, correlation=-0.9)


# --- targets and their truth ---------------------------------------------------------------


@pytest.mark.parametrize("degree", range(1, 9))
def test_targets_follow_the_formula(degree):
    X, Y, truth = generate(50, 2, 3, degrees=degree, noise=0.0)
    Z = X @ truth.weights.T
    expected = sum(Z**power for power in range(1, degree + 1))
    assert_allclose(Y, expected, rtol=1e-9, atol=1e-9)
    assert_allclose(truth.latent_scores(X), Z, atol=1e-12)
    assert_array_equal(truth.noise_free_targets(X), Y)


@pytest.mark.parametrize("correlation", [-0.15, 0.0, 0.4, 1.0])
def test_moments_against_closed_forms(correlation):
    degrees = (1, 2, 3, 4, 5, 6)
    noise = np.array([0.0, 0.1, 1.0, 2.0, 0.5, 3.0])
    _, _, truth = generate(
        3, 6, correlation=correlation, degrees=degrees, noise=noise, random_state=1
    )
    covariance = np.array(
        [
            [
                power_sum_covariance(a, b, 1.0 if s == t else correlation)
                for t, b in enumerate(degrees)
            ]
            for s, a in enumerate(degrees)
        ]
    )
    variance = covariance.diagonal() + noise**2
    assert_allclose(truth.target_mean, [power_sum_mean(degree) for degree in degrees])
    assert_allclose(truth.target_variance, variance, rtol=1e-12)
    scale = np.sqrt(np.outer(variance, variance))
    expected = covariance / scale
    np.fill_diagonal(expected, 1.0)
    assert_allclose(truth.target_correlation, expected, rtol=1e-11, atol=1e-12)


def test_moments_against_monte_carlo():
    _, Y, truth = generate(400_000, 5, 6, degrees=(1, 2, 3, 2, 1), noise=0.5, correlation=0.5)
    error = np.sqrt(truth.target_variance / len(Y))
    assert np.all(np.abs(Y.mean(axis=0) - truth.target_mean) < 5 * error)
    # Heavy tails: the standard error of these correlations is about 0.004.
    assert_allclose(np.corrcoef(Y, rowvar=False), truth.target_correlation, atol=0.02)
    assert_allclose(Y.var(axis=0), truth.target_variance, rtol=0.05)


def test_noise_has_the_standard_deviation_of_its_task_and_is_the_floor():
    noise = (0.1, 1.0, 5.0)
    X, Y, truth = generate(20_000, 3, 4, noise=noise)
    errors = Y - truth.noise_free_targets(X)
    assert_allclose(errors.std(axis=0), noise, rtol=0.03)  # standard error 0.5 %
    assert_allclose(errors.mean(axis=0) / noise, 0, atol=0.04)
    assert np.abs(np.corrcoef(errors, rowvar=False) - np.eye(3)).max() < 0.04
    assert_array_equal(truth.noise_floor, noise)


def test_defaults_are_the_paper_s():
    X, Y, truth = make_multitab_bench(10, return_truth=True, random_state=0)
    assert X.shape == (10, 32)
    assert Y.shape == (10, 7)
    assert truth.degrees == (1, 3, 2, 3, 4, 2, 3)
    assert_array_equal(truth.noise, np.full(7, 0.01))
    assert truth.correlation[0, 1] == 0.4
    assert truth.task_types == ("regression",) * 7
    assert generate(5, 9)[2].degrees == (1, 3, 2, 3, 4, 2, 3, 1, 3)


# --- classes -------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0.0, 0.01, 2.0])
@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_classes_are_equally_frequent(degree, noise):
    _, Y, truth = generate(
        30_000, 2, 3, degrees=degree, noise=noise, task_types=["binary", "multiclass"], n_classes=4
    )
    assert Y.dtype == np.int64
    # Standard error of a share is at most 0.0029.
    assert_allclose(np.bincount(Y[:, 0]) / len(Y), [0.5, 0.5], atol=0.015)
    assert_allclose(np.bincount(Y[:, 1]) / len(Y), np.full(4, 0.25), atol=0.015)
    assert [len(limits) for limits in truth.thresholds] == [1, 3]


def test_class_is_cut_from_the_noisy_target():
    params = {"noise": 0.4, "n_tasks": 3}
    _, raw, _ = generate(**params)
    _, Y, truth = generate(task_types=["regression", "binary", "multiclass"], **params)
    assert_array_equal(Y[:, 0], raw[:, 0])
    for task in (1, 2):
        limits = truth.thresholds[task]
        assert_array_equal(Y[:, task], (raw[:, [task]] >= limits).sum(axis=1))
    assert truth.thresholds[0].size == 0


@pytest.mark.parametrize(("degree", "noise"), [(1, 0.5), (2, 1.0), (3, 3.0)])
def test_noise_floor_of_classes_is_the_error_of_the_best_classifier(degree, noise):
    X, Y, truth = generate(
        60_000, 2, 3, degrees=degree, noise=noise, task_types=["binary", "multiclass"]
    )
    clean = truth.noise_free_targets(X)
    shifted = np.random.default_rng(1).normal(scale=noise, size=(2000, 1))
    for task, limits in enumerate(truth.thresholds):
        # Most frequent class at each point of a grid, found by simulation.
        grid = np.linspace(clean[:, task].min(), clean[:, task].max(), 1500)
        votes = np.searchsorted(limits, grid + shifted)
        counts = [(votes == k).sum(axis=0) for k in range(len(limits) + 1)]
        best = np.argmax(counts, axis=0)
        nearest = np.searchsorted(grid, clean[:, task]).clip(0, len(grid) - 1)
        error = np.mean(best[nearest] != Y[:, task])
        assert_allclose(truth.noise_floor[task], error, atol=0.012)


def test_binary_noise_floor_of_a_line_in_closed_form():
    # Wrong where z and z + noise differ in sign: arctan(noise) / pi.
    _, _, truth = generate(3, 1, 1, degrees=1, noise=0.7, task_types="binary")
    assert_allclose(truth.noise_floor, np.arctan(0.7) / np.pi, atol=1e-4)
    assert generate(3, 1, 1, noise=0.0, task_types="binary")[2].noise_floor == 0.0


def test_levels_of_an_ordinal_task_divide_the_middle_evenly():
    # The quantiles of a normal variable at 5 and 95 %, and the shares between five limits.
    _, Y, truth = generate(60_000, 1, 2, degrees=1, noise=0.5, task_types="ordinal", n_classes=5)
    deviation, end = np.sqrt(1.25), norm.ppf(0.95)
    expected = deviation * end * np.array([-0.6, -0.2, 0.2, 0.6])
    assert_allclose(truth.thresholds[0], expected, atol=2e-3)
    shares = np.diff([0, *norm.cdf(expected / deviation), 1])
    assert_allclose(np.bincount(Y[:, 0]) / len(Y), shares, atol=0.01)  # standard error 0.002
    assert shares.max() > 1.4 * shares.min()  # unlike those of a multiclass task


def test_noise_floor_of_levels_is_the_error_of_the_conditional_median():
    X, Y, truth = generate(100_000, 1, 2, degrees=2, noise=1.0, task_types="ordinal", n_classes=6)
    clean = truth.noise_free_targets(X)[:, 0]
    # The limit that splits the noise in halves is the value without noise.
    median = np.searchsorted(truth.thresholds[0], clean)
    error = np.abs(median - Y[:, 0]).mean()
    assert_allclose(truth.noise_floor, error, atol=0.01)  # standard error 0.002
    assert generate(3, 1, 2, noise=0.0, task_types="ordinal")[2].noise_floor == 0.0


@pytest.mark.parametrize(("degree", "noise"), [(1, 0.0), (1, 1.0), (2, 0.5), (3, 3.0)])
def test_counts_have_their_mean_and_are_poisson_given_the_rate(degree, noise):
    _, raw, _ = generate(100_000, 2, 3, degrees=degree, noise=noise)
    _, Y, truth = generate(
        100_000, 2, 3, degrees=degree, noise=noise, task_types="count", mean_count=[0.7, 20.0]
    )
    assert Y.dtype == np.int64
    assert_allclose(Y.mean(axis=0), [0.7, 20.0], rtol=0.02)  # standard error < 0.6 %
    for task in range(2):
        rate = truth.count_rates(raw[:, task], task)
        assert np.all(rate > 0)
        assert np.all(np.diff(truth.count_rates(np.linspace(-5, 5, 50), task)) > 0)
        # Residuals have the variance of the rate: a chi square over its degrees of freedom.
        assert_allclose(np.mean((Y[:, task] - rate) ** 2 / rate), 1.0, atol=0.06)
        if noise == 0:
            assert_allclose(truth.noise_floor[task], np.sqrt(truth.mean_count[task]))


def test_noise_floor_of_counts_is_the_error_of_the_conditional_mean():
    X, Y, truth = generate(40_000, 1, 2, degrees=2, noise=3.0, task_types="count", mean_count=9.0)
    clean = truth.noise_free_targets(X)[:, 0]
    grid = np.linspace(clean.min(), clean.max(), 400)
    noise = np.random.default_rng(1).normal(scale=3.0, size=(2000, 1))
    mean = np.interp(clean, grid, truth.count_rates(grid + noise, 0).mean(axis=0))
    error = np.sqrt(np.mean((Y[:, 0] - mean) ** 2))
    assert error > 3.1  # more than a Poisson distribution alone: the noise counts
    assert_allclose(truth.noise_floor, error, rtol=0.03)  # standard error 0.7 %
    with pytest.raises(ValueError, match="0 is of regression"):
        generate(3, 1, 2)[2].count_rates([0.0], 0)


@pytest.mark.parametrize("noise", [5e-324, 2e-308, 1e-200, 1e-20])
def test_a_noise_next_to_nothing_is_like_none(noise):
    params = {"task_types": ["binary", "multiclass", "ordinal"], "n_tasks": 3}
    _, Y, truth = generate(noise=noise, **params)  # a warning would be an error
    _, clean_Y, clean = generate(noise=0.0, **params)
    assert_allclose(truth.noise_floor, clean.noise_floor, atol=1e-3)
    assert np.mean(clean_Y != Y) < 0.02


def test_the_largest_noise_overflows_nowhere():
    _, Y, truth = generate(noise=1e150, task_types=TYPES, n_tasks=5, missing_labels=0.1)
    assert np.isfinite(truth.target_variance).all()
    assert np.isfinite(truth.noise_floor).all()
    assert_allclose(truth.noise_floor[1:3], [1 / 2, 2 / 3], atol=1e-3)
    assert not np.isinf(Y).any()


# --- rows, missing labels, irrelevant features ---------------------------------------------


def test_missing_labels():
    shares = np.array([0.0, 0.3, 0.9])
    _, complete, _ = generate(5000, 3)
    _, Y, _ = generate(5000, 3, missing_labels=shares)
    is_missing = np.isnan(Y)
    assert_allclose(is_missing.mean(axis=0), shares, atol=0.03)  # standard error < 0.0066
    assert_array_equal(Y[~is_missing], complete[~is_missing])
    assert abs(np.corrcoef(is_missing[:, 1], is_missing[:, 2])[0, 1]) < 0.07
    _, fewer, _ = generate(5000, 3, missing_labels=0.1)
    _, more, _ = generate(5000, 3, missing_labels=0.2)
    assert np.all(np.isnan(more) | ~np.isnan(fewer))


def test_labels_missing_not_at_random_keep_their_share():
    shares, slopes = [0.3, 0.5, 0.1], [2.0, -1.0, 4.0]
    params = {"degrees": (1, 2, 3), "noise": 0.5}
    _, complete, _ = generate(60_000, 3, **params)
    _, Y, truth = generate(60_000, 3, missing_labels=shares, missing_dependence=slopes, **params)
    is_missing = np.isnan(Y)
    assert_array_equal(Y[~is_missing], complete[~is_missing])
    assert_allclose(is_missing.mean(axis=0), shares, atol=0.01)  # standard error 0.002
    for task, slope in enumerate(slopes):
        probability = truth.missing_probability(complete[:, task], task)
        # In tenths of rows by probability, as many are missing as should be.
        order = np.argsort(probability).reshape(10, -1)
        expected, found = probability[order].mean(axis=1), is_missing[order, task].mean(axis=1)
        assert_allclose(found, expected, atol=0.03)  # standard error 0.0065
        sign = np.sign(complete[is_missing[:, task], task].mean() - complete[:, task].mean())
        assert sign == np.sign(slope)
        spread = np.sqrt(truth.target_variance[task])
        steps = truth.target_mean[task] + spread * np.array([-1.0, 0.0, 1.0])
        low, middle, high = truth.missing_probability(steps, task)
        for less, more in ((low, middle), (middle, high)):
            assert_allclose(np.log(more / (1 - more) / (less / (1 - less))), slope, rtol=1e-6)


def test_without_missing_labels_the_dependence_is_not_read():
    _, Y, truth = generate(missing_dependence=5.0)
    assert_array_equal(Y, generate()[1])
    assert_array_equal(truth.missing_probability([0.0, 9.0], 0), 0.0)


def test_irrelevant_features():
    X, Y, truth = generate(4000, 3, 5, n_irrelevant=2)
    without_X, without_Y, _ = generate(4000, 3, 5)
    assert X.shape == (4000, 7)
    assert_array_equal(X[:, :5], without_X)
    assert_array_equal(Y, without_Y)
    assert_array_equal(truth.weights[:, 5:], 0)
    correlation = np.corrcoef(np.column_stack([X, Y]), rowvar=False)
    assert np.abs(correlation[5:7, :5]).max() < 0.08
    assert np.abs(correlation[5:7, 7:]).max() < 0.08
    assert_allclose(X[:, 5:].std(axis=0), 1, rtol=0.06)


def test_unequal_rows():
    counts = [4, 9, 1]
    X, Y, _ = generate(counts, 3)
    full_X, full_Y, _ = generate(9, 3)
    assert_array_equal(X, full_X)
    assert_array_equal((~np.isnan(Y)).sum(axis=0), counts)
    for task, count in enumerate(counts):
        assert_array_equal(Y[:count, task], full_Y[:count, task])
    X_long, y, _ = generate(counts, 3, layout="long")
    assert_array_equal(np.bincount(X_long[:, -1].astype(int)), counts)
    assert len(y) == sum(counts)


def test_one_task_and_one_feature():
    X, Y, truth = generate(30, 1, 1, degrees=3, noise=0.0)
    assert abs(truth.weights[0, 0]) == pytest.approx(1.0)
    z = X[:, 0] * truth.weights[0, 0]
    assert_allclose(Y[:, 0], z + z**2 + z**3, atol=1e-12)


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("missing_labels", [0.0, 0.4])
def test_long_layout_holds_the_wide_one(missing_labels, as_frame):
    params = {"missing_labels": missing_labels, "as_frame": as_frame}
    X, Y, _ = generate(40, 4, **params)
    X_long, y, _ = generate(40, 4, layout="long", **params)
    order = np.nonzero(~np.isnan(np.asarray(Y)))
    assert_array_equal(np.asarray(X_long)[:, -1], order[1])
    assert_array_equal(np.asarray(X_long)[:, :-1], np.asarray(X)[order[0]])
    assert_array_equal(y, np.asarray(Y)[order])
    if as_frame:
        assert list(X_long.columns) == [f"x{j}" for j in range(32)] + ["task"]
        assert X_long["task"].dtype == np.int64
        assert y.name == "target"


def test_wide_frame_has_types():
    X, Y, _ = generate(50, 5, task_types=TYPES, as_frame=True)
    assert list(X.columns) == [f"x{j}" for j in range(32)]
    assert list(Y.columns) == [0, 1, 2, 3, 4]
    assert list(Y.dtypes) == [np.float64, np.int64, np.int64, np.int64, np.int64]
    missing = [0, 0.5, 0, 0, 0.5]
    _, Y, _ = generate(50, 5, task_types=TYPES, as_frame=True, missing_labels=missing)
    assert list(Y.dtypes) == [np.float64, np.float64, np.int64, np.int64, np.float64]
    _, y, _ = generate(50, 3, task_types="binary", missing_labels=0.5, layout="long")
    assert y.dtype == np.int64


def test_float32_is_the_rounded_float64():
    X, Y, _ = generate(3000, noise=0.1, task_types=["regression"] * 6 + ["binary"])
    X32, Y32, _ = generate(
        3000, noise=0.1, task_types=["regression"] * 6 + ["binary"], dtype=np.float32
    )
    assert X32.dtype == Y32.dtype == np.float32
    assert_array_equal(X32, X.astype(np.float32))
    assert_array_equal(Y32, Y.astype(np.float32))


# --- randomness ----------------------------------------------------------------------------


def test_same_seed_same_bits_and_another_seed_other_data():
    params = {"noise": 0.1, "missing_labels": 0.2, "n_irrelevant": 3}
    X, Y, truth = generate(**params)
    again_X, again_Y, again = generate(**params)
    assert_array_equal(X, again_X)
    assert_array_equal(Y, again_Y)
    assert_array_equal(truth.weights, again.weights)
    other_X, _, other = generate(**params, random_state=1)
    assert np.all(other_X != X)
    assert np.all(other.weights[:, :32] != truth.weights[:, :32])


@pytest.mark.parametrize(
    "dial",
    [
        {"correlation": 0.9},
        {"degrees": 2},
        {"noise": 3.0},
        {"task_types": "binary"},
        {"n_outlier_tasks": 2},
        {"missing_labels": 0.5},
        {"missing_labels": 0.5, "missing_dependence": 2.0},
        {"n_tasks": 3},
        {"task_types": "ordinal"},
        {"task_types": "count", "mean_count": 9.0},
    ],
    ids=lambda dial: next(reversed(dial)),
)
def test_dials_leave_the_features_alone(dial):
    assert_array_equal(generate(**dial)[0], generate()[0])


def test_more_rows_keep_the_first_ones():
    params = {"noise": 0.5, "missing_labels": 0.2, "n_irrelevant": 2, "task_types": TYPES}
    X, Y, _ = generate(100, 5, **params)
    # More than a block of rows.
    longer_X, longer_Y, _ = generate(5000, 5, **params)
    assert_array_equal(longer_X[:100], X)
    assert_array_equal(longer_Y[:100], Y)


def test_more_tasks_keep_noise_counts_and_gaps_of_the_first_ones():
    # Weights depend on all tasks, so labels do; with the same weights they must not.
    params = {"degrees": 1, "noise": 0.5, "missing_labels": 0.3}
    noise = {}
    for n_tasks in (2, 5):
        X, complete, truth = generate(2000, n_tasks, degrees=1, noise=0.5)
        gaps = np.isnan(generate(2000, n_tasks, **params)[1])
        noise[n_tasks] = (complete - truth.noise_free_targets(X))[:, :2], gaps[:, :2]
    # A difference of numbers of size one.
    assert_allclose(noise[2][0], noise[5][0], rtol=0, atol=1e-14)
    assert_array_equal(noise[2][1], noise[5][1])
    # Under all but no influence of the score, counts of the same rate come from the same draws.
    few, many = (
        generate(2000, n, noise=1e9, task_types="count", mean_count=5.0)[1] for n in (2, 5)
    )
    assert np.mean(few != many[:, :2]) < 1e-3


def test_publishers_preset():
    X, X_test, Y, Y_test, truth = generate(1000, preset="publishers")
    assert (X.shape, X_test.shape, Y.shape, Y_test.shape) == (
        (700, 32),
        (300, 32),
        (700, 7),
        (300, 7),
    )
    assert {part.dtype for part in (X, X_test, Y, Y_test)} == {np.dtype(np.float32)}
    assert truth.degrees == (2,) * 7
    whole_X, whole_Y, _ = generate(1000, degrees=2, dtype="float32")
    assert_array_equal(np.vstack([X, X_test]), whole_X)
    assert_array_equal(np.vstack([Y, Y_test]), whole_Y)
    # What is given goes before the preset.
    X, Y, truth = generate(10, preset="publishers", degrees=1, dtype="float64", test_size=0)
    assert (len(X), X.dtype, truth.degrees) == (10, np.float64, (1,) * 7)


@pytest.mark.parametrize("as_frame", [False, True])
@pytest.mark.parametrize("layout", ["wide", "long"])
def test_test_set_is_the_last_samples(layout, as_frame):
    params = {"layout": layout, "as_frame": as_frame, "missing_labels": 0.4}
    X, Y, _ = generate(101, 4, **params)
    X_train, X_test, Y_train, Y_test, _ = generate(101, 4, test_size=0.25, **params)
    assert_array_equal(np.concatenate([X_train, X_test]), X)
    assert_array_equal(np.concatenate([Y_train, Y_test]), Y)
    # 26 samples, as scikit-learn rounds; a sample has features of its own.
    assert not set(np.asarray(X_train)[:, 0]) & set(np.asarray(X_test)[:, 0])
    complete = generate(101, 4)[0]
    assert set(np.asarray(X_test)[:, 0]) <= set(complete[75:, 0])
    assert as_frame == isinstance(X_test, pd.DataFrame)


def test_streams_are_unrelated():
    X, Y, truth = generate(20_000, 2, 4, n_irrelevant=2, noise=1.0)
    errors = Y - truth.noise_free_targets(X)
    related = np.corrcoef(np.column_stack([X, errors]), rowvar=False)
    assert np.abs(related - np.eye(8)).max() < 0.04  # standard error 0.007


def test_generator_moves_on_and_the_global_state_stays():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - that it is left alone is the point
    rng = np.random.default_rng(0)
    assert np.any(generate(random_state=rng)[0] != generate(random_state=rng)[0])
    assert np.any(generate(random_state=None)[0] != generate(random_state=None)[0])
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


# --- dials together ------------------------------------------------------------------------


@given(
    n_tasks=st.integers(1, 5),
    n_more_features=st.integers(0, 4),
    degrees=st.lists(st.integers(1, 8), min_size=5, max_size=5),
    noise=st.floats(0, 10),
    types=st.lists(st.sampled_from(TYPES), min_size=5, max_size=5),
    missing_labels=st.floats(0, 0.9),
    n_irrelevant=st.integers(0, 3),
    outliers=st.integers(0, 4),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_any_dials(
    n_tasks, n_more_features, degrees, noise, types, missing_labels, n_irrelevant, outliers, seed
):
    X, Y, truth = make_multitab_bench(
        60,
        n_tasks,
        n_tasks + n_more_features,
        degrees=degrees[:n_tasks],
        noise=noise,
        task_types=types[:n_tasks],
        missing_labels=missing_labels,
        n_irrelevant=n_irrelevant,
        n_outlier_tasks=min(outliers, n_tasks - 1),
        return_truth=True,
        random_state=seed,
    )
    assert isinstance(truth, MultiTabTruth)
    assert X.shape == (60, n_tasks + n_more_features + n_irrelevant)
    assert Y.shape == (60, n_tasks)
    assert np.isfinite(X).all()
    classes = [limits.size + 1 for limits in truth.thresholds]
    for task, kind in enumerate(truth.task_types):
        labels = Y[~np.isnan(Y[:, task]), task]
        if kind == "count":
            assert np.all((labels >= 0) & (labels == np.floor(labels)))
        elif kind != "regression":
            assert set(labels) <= set(range(classes[task]))
    floor = truth.noise_floor
    assert np.all(floor >= 0)
    correlation = truth.target_correlation
    assert_allclose(correlation.diagonal(), 1)
    assert np.linalg.eigvalsh(correlation)[0] > -1e-9


# --- bad parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_tasks": 33}, ValueError, "at most n_features=32, got 33"),
        ({"n_tasks": 0}, ValueError, "n_tasks must be >= 1"),
        ({"n_features": 0}, ValueError, "n_features must be >= 1"),
        ({"n_samples": 0}, ValueError, "n_samples must be >= 1"),
        ({"n_samples": [1, 2]}, ValueError, r"n_samples must be a single.*7 tasks.*shape \(2,\)"),
        ({"n_samples": [1, 2, 3, 4, 5, 6, 0]}, ValueError, r"n_samples\[6\] must be >= 1"),
        ({"correlation": -0.17}, ValueError, r"between -0\.166667 and 1, got -0\.17"),
        ({"correlation": 1.01}, ValueError, r"and 1, got 1\.01"),
        ({"correlation": np.nan}, ValueError, "correlation must be a finite number"),
        ({"correlation": "high"}, TypeError, "correlation must be a real number"),
        ({"correlation": np.eye(3)}, ValueError, r"shape \(7, 7\).*got shape \(3, 3\)"),
        ({"correlation": 2 * np.eye(7)}, ValueError, "ones on its diagonal"),
        ({"correlation": np.full((7, 7), np.nan)}, ValueError, "finite"),
        ({"correlation": np.tri(7)}, ValueError, "symmetric"),
        ({"correlation": np.eye(7) * 1j}, TypeError, "correlation must hold real numbers"),
        ({"correlation": np.eye(7).astype(str)}, TypeError, "correlation must hold real numbers"),
        (
            {"correlation": [[1, -0.9, -0.9], [-0.9, 1, -0.9], [-0.9, -0.9, 1]], "n_tasks": 3},
            ValueError,
            r"semidefinite; its smallest eigenvalue is -0\.8",
        ),
        (
            {"correlation": np.eye(7), "n_outlier_tasks": 1},
            ValueError,
            "n_outlier_tasks must be 0",
        ),
        ({"n_outlier_tasks": 7}, ValueError, "less than n_tasks=7, got 7"),
        ({"n_outlier_tasks": -1}, ValueError, "n_outlier_tasks must be >= 0"),
        ({"degrees": 0}, ValueError, "degrees must be >= 1, got 0"),
        ({"degrees": [1, 2]}, ValueError, "degrees must be a single value or"),
        ({"degrees": 21}, ValueError, "degrees must be at most 20, got 21"),
        ({"degrees": 1.5}, TypeError, "degrees must be an integer"),
        ({"noise": -0.1}, ValueError, "noise must be a finite number >= 0"),
        ({"noise": np.inf}, ValueError, "noise must be a finite number"),
        ({"noise": [0.1] * 6 + [-1]}, ValueError, r"noise\[6\] must be"),
        ({"task_types": "text"}, ValueError, r"one of \['regression', 'binary'.*got 'text'"),
        ({"task_types": ["binary"] * 6 + [3]}, ValueError, r"task_types\[6\] must be one of"),
        ({"n_classes": 1}, ValueError, "n_classes must be >= 2"),
        ({"n_classes": 10**9}, ValueError, "n_classes must be at most 1000"),
        ({"dtype": "abc"}, TypeError, "dtype must be float64 or float32, got 'abc'"),
        (
            {"dtype": "float32", "noise": 1e40},
            ValueError,
            r"at most 1e\+35 in float32, got 1e\+40",
        ),
        ({"missing_labels": 1.0}, ValueError, r"missing_labels must be in \[0, 1\)"),
        ({"missing_labels": -0.1}, ValueError, "missing_labels must be in"),
        ({"n_irrelevant": -1}, ValueError, "n_irrelevant must be >= 0"),
        ({"noise": 1e151}, ValueError, r"noise must be at most 1e\+150, got 1e\+151"),
        ({"mean_count": 0}, ValueError, r"mean_count must be in \(0, 1e\+06\], got 0"),
        ({"mean_count": [3.0] * 6 + [np.nan]}, ValueError, r"mean_count\[6\] must be in"),
        ({"missing_dependence": 11}, ValueError, r"missing_dependence must be in \[-10, 10\]"),
        ({"missing_dependence": "y"}, TypeError, "missing_dependence must be a real number"),
        ({"preset": "authors"}, ValueError, r"preset must be one of \['paper', 'publishers'\]"),
        ({"preset": None}, ValueError, "preset must be one of"),
        ({"test_size": 1.0}, ValueError, r"test_size must be in \[0, 1\), got 1"),
        ({"test_size": 0.5, "n_samples": 1}, ValueError, "n_samples must leave rows to learn"),
        (
            {"test_size": 0.5, "n_samples": [9, 9, 9, 9, 9, 9, 8]},
            ValueError,
            "test_size must be 0 if tasks have different n_samples",
        ),
        ({"layout": "tall"}, ValueError, r"layout must be one of \['wide', 'long'\]"),
        ({"dtype": np.int64}, ValueError, "dtype must be float64 or float32, got int64"),
        ({"random_state": "one"}, TypeError, "random_state"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        generate(**params)


def test_truth_refuses_rows_of_another_shape():
    X, _, truth = generate(10, layout="long")
    with pytest.raises(ValueError, match=r"shape \(n, 32\), got \(10, 33\); leave out the task"):
        truth.latent_scores(X[:10])


def test_long_and_back():
    X, Y, _ = generate(30, 4, missing_labels=0.3)
    X_long, y, truth = generate(30, 4, missing_labels=0.3, layout="long")
    # All rows of a sample have its first feature in common, and no other sample has it.
    X_back, Y_back, tasks = to_wide(X_long, y, X_long[:, 0])
    some_label = ~np.isnan(Y).all(axis=1)
    assert_array_equal(X_back, X[some_label])
    assert_array_equal(Y_back, Y[some_label])
    assert_array_equal(tasks, range(4))
    assert_array_equal(truth.degrees, (1, 3, 2, 3))
    assert isinstance(X_back, np.ndarray)
    assert not isinstance(Y_back, pd.DataFrame)
