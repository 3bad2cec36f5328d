import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.datasets import MultiTabTruth, make_multitab_bench, to_wide
from tests.oracles.datasets import power_sum_covariance, power_sum_mean

TYPES = ["regression", "binary", "multiclass"]


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
    X, Y, _ = generate(50, 3, task_types=TYPES, as_frame=True)
    assert list(X.columns) == [f"x{j}" for j in range(32)]
    assert list(Y.columns) == [0, 1, 2]
    assert list(Y.dtypes) == [np.float64, np.int64, np.int64]
    _, Y, _ = generate(50, 3, task_types=TYPES, as_frame=True, missing_labels=[0, 0.5, 0])
    assert list(Y.dtypes) == [np.float64, np.float64, np.int64]
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
        {"n_tasks": 3},
    ],
    ids=lambda dial: next(iter(dial)),
)
def test_dials_leave_the_features_alone(dial):
    assert_array_equal(generate(**dial)[0], generate()[0])


def test_more_rows_keep_the_first_ones():
    params = {"noise": 0.5, "missing_labels": 0.2, "n_irrelevant": 2, "task_types": TYPES}
    X, Y, _ = generate(100, 3, **params)
    # More than a block of rows.
    longer_X, longer_Y, _ = generate(5000, 3, **params)
    assert_array_equal(longer_X[:100], X)
    assert_array_equal(longer_Y[:100], Y)


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
        if kind != "regression":
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
        ({"task_types": "count"}, ValueError, r"one of \['regression', 'binary'.*got 'count'"),
        ({"task_types": ["binary"] * 6 + [3]}, ValueError, r"task_types\[6\] must be one of"),
        ({"n_classes": 1}, ValueError, "n_classes must be >= 2"),
        ({"missing_labels": 1.0}, ValueError, r"missing_labels must be in \[0, 1\)"),
        ({"missing_labels": -0.1}, ValueError, "missing_labels must be in"),
        ({"n_irrelevant": -1}, ValueError, "n_irrelevant must be >= 0"),
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
