import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.datasets import (
    LinearCombination,
    RandomFourierFunction,
    ScenarioTruth,
    make_task_scenario,
)

SCENARIOS = ["outliers", "pooled", "independent", "related", "clusters"]
MIXED = ["outliers", "related", "clusters"]
SMALL = {"cluster_sizes": (2, 3, 1), "n_fourier": 60, "n_samples_per_task": 40}


def generate(scenario="outliers", **params):
    return make_task_scenario(
        scenario, **({"return_truth": True, "random_state": 0} | SMALL | params)
    )


def correlations_of_functions(truth, n_features, n_rows=2000):
    """Correlation matrix of the functions of the tasks on common rows."""
    rows = np.random.default_rng(99).uniform(-1, 1, (n_rows, n_features))
    return np.corrcoef([function(rows) for function in truth.functions])


# --- random Fourier functions --------------------------------------------------------------


@pytest.mark.parametrize("n_fourier", [1, 7, 500, 40_000])
@pytest.mark.parametrize("n_features", [1, 5])
def test_function_follows_its_formula(n_fourier, n_features):
    rng = np.random.default_rng(3)
    function = RandomFourierFunction.draw(rng, n_features, n_fourier, length_scale=0.3)
    X = rng.uniform(-1, 1, (150, n_features))
    angles = X @ function.frequencies.T / 0.3 + function.phases
    expected = np.sqrt(2 / n_fourier) * np.cos(angles) @ function.amplitudes
    # The cosine is right to 1e-12; 150 rows are several blocks where n_fourier is large.
    assert_allclose(function(X), expected, rtol=0, atol=1e-10)


def test_function_values_hardly_depend_on_the_batch():
    rng = np.random.default_rng(4)
    function = RandomFourierFunction.draw(rng, 3, 500, 0.75)
    X = rng.uniform(-1, 1, (400, 3))
    values = function(X)
    assert_array_equal(function(X.copy(order="F")), values)
    assert_array_equal(function(pd.DataFrame(X)), values)
    assert_allclose(function(X[33:200]), values[33:200], rtol=0, atol=1e-13)
    assert function(X[:0]).shape == (0,)


def test_function_has_unit_variance_and_the_covariance_of_its_kernel():
    rows = np.array([[0.0], [0.5], [1.0]])
    draws = np.array(
        [
            RandomFourierFunction.draw(np.random.default_rng(seed), 1, 50, 0.5)(rows)
            for seed in range(3000)
        ]
    )
    distances = rows - rows.T
    expected = np.exp(-(distances**2) / (2 * 0.5**2))
    # Standard error of a covariance of 3000 draws is below 0.03: five of them.
    assert_allclose(draws.T @ draws / len(draws), expected, atol=0.15)


def test_function_refuses_bad_shapes():
    function = RandomFourierFunction.draw(np.random.default_rng(0), 3, 4, 1.0)
    with pytest.raises(ValueError, match=r"shape \(n, 3\), got \(5, 4\).*task column"):
        function(np.zeros((5, 4)))
    with pytest.raises(ValueError, match=r"frequencies must have shape \(M, d\)"):
        RandomFourierFunction(np.zeros(4), np.zeros(4), np.zeros(4), 1.0)
    with pytest.raises(ValueError, match="phases and amplitudes must have shape"):
        RandomFourierFunction(np.zeros((4, 3)), np.zeros(4), np.zeros(5), 1.0)
    with pytest.raises(ValueError, match="length_scale must be > 0"):
        RandomFourierFunction(np.zeros((4, 3)), np.zeros(4), np.zeros(4), 0.0)


def test_linear_combination():
    def double(X):
        return 2 * X[:, 0]

    def square(X):
        return X[:, 0] ** 2

    X = np.array([[1.0], [3.0]])
    combination = LinearCombination((0.5, -1.0), (double, square))
    assert_array_equal(combination(X), [0.0, -6.0])
    assert_array_equal(combination.combine(double(X), square(X)), combination(X))
    with pytest.raises(ValueError, match="same length >= 1"):
        LinearCombination((1.0,), (double, square))
    with pytest.raises(ValueError, match="same length >= 1"):
        LinearCombination((), ())


# --- layout --------------------------------------------------------------------------------


def test_defaults_are_the_paper_s_size():
    X, y = make_task_scenario(random_state=0)
    assert X.shape == (3000, 6)
    assert X.dtype == np.float64
    assert y.shape == (3000,)
    assert y.dtype == np.float64
    assert_array_equal(X[:, -1], np.repeat(np.arange(10), 300))
    assert np.abs(X[:, :-1]).max() <= 1
    assert_allclose(X[:, :-1].mean(axis=0), 0, atol=0.06)  # standard error 0.0105
    assert_allclose(X[:, :-1].var(axis=0), 1 / 3, atol=0.04)


def test_default_clusters():
    X, _, truth = make_task_scenario(
        "clusters", n_samples_per_task=3, n_fourier=5, return_truth=True, random_state=0
    )
    assert_array_equal(truth.clusters, np.repeat(np.arange(5), [3, 4, 5, 8, 10]))
    assert X.shape == (90, 6)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_frame_holds_the_same_values(scenario):
    X, y, _ = generate(scenario)
    frame, y_frame, _ = generate(scenario, as_frame=True)
    assert list(frame.columns) == ["x0", "x1", "x2", "x3", "x4", "task"]
    assert frame["task"].dtype == np.int64
    assert all(frame.dtypes[:-1] == np.float64)
    assert_array_equal(frame.to_numpy(), X)
    assert_array_equal(y_frame, y)


@pytest.mark.parametrize("container", [list, tuple, np.array, pd.Series])
def test_unequal_rows(container):
    counts = [5, 1, 80, 7]
    X, y, truth = generate(n_tasks=4, n_samples_per_task=container(counts), n_outlier_tasks=1)
    assert_array_equal(X[:, -1], np.repeat(np.arange(4), counts))
    assert len(y) == sum(counts)
    assert_array_equal(truth.outlier_tasks, [3])


def test_truth_fields():
    _, _, truth = generate(n_tasks=7, n_outlier_tasks=3, noise=0.5)
    assert isinstance(truth, ScenarioTruth)
    assert_array_equal(truth.outlier_tasks, [4, 5, 6])
    assert_array_equal(truth.clusters, [0, 0, 0, 0, 1, 1, 1])
    assert len(truth.functions) == 7
    assert_array_equal(truth.length_scales, np.full(7, 1.25))
    assert truth.noise == 0.5
    assert_array_equal(generate("pooled", n_tasks=3)[2].clusters, [0, 0, 0])
    assert_array_equal(generate("related", n_tasks=3)[2].clusters, [0, 0, 0])
    assert_array_equal(generate("independent", n_tasks=3)[2].clusters, [0, 1, 2])
    for scenario in ("pooled", "related", "independent", "clusters"):
        assert len(generate(scenario)[2].outlier_tasks) == 0


# --- randomness ----------------------------------------------------------------------------


@pytest.mark.parametrize("classification", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_same_seed_same_bits_and_another_seed_other_data(scenario, classification):
    params = {"classification": classification, "noise": 0.1}
    X, y, _ = generate(scenario, **params)
    again_X, again_y, _ = generate(scenario, **params)
    assert_array_equal(again_X, X)
    assert_array_equal(again_y, y)
    other_X, other_y, _ = generate(scenario, random_state=1, **params)
    assert np.all(other_X[:, :-1] != X[:, :-1])
    assert np.any(other_y != y)


@pytest.mark.parametrize(
    "make", [np.random.default_rng, np.random.RandomState, np.random.SeedSequence]
)
def test_kinds_of_random_state(make):
    X, y, _ = generate(random_state=make(7))
    again_X, again_y, _ = generate(random_state=make(7))
    assert_array_equal(again_X, X)
    assert_array_equal(again_y, y)
    state = make(7)
    first, second = (generate(random_state=state)[0] for _ in range(2))
    # A SeedSequence is a seed and stays as it is, the others move on.
    assert np.array_equal(first, second) == isinstance(state, np.random.SeedSequence)


def test_no_random_state_and_no_global_state():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - that it is left alone is the point
    first, second = (generate(random_state=None)[0] for _ in range(2))
    assert np.any(first != second)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@pytest.mark.parametrize("classification", [False, True])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_noise_changes_the_target_only(scenario, classification):
    X, y, truth = generate(scenario, classification=classification)
    noisy_X, noisy_y, noisy_truth = generate(scenario, classification=classification, noise=0.3)
    assert_array_equal(noisy_X, X)
    assert np.any(noisy_y != y)
    rows = X[:20, :-1]
    for function, noisy_function in zip(truth.functions, noisy_truth.functions, strict=True):
        assert_array_equal(noisy_function(rows), function(rows))


def test_noise_has_its_standard_deviation_and_no_relation_to_the_rest():
    size = {"n_samples_per_task": 2000, "n_tasks": 4}
    X, clean, _ = generate(**size)
    _, noisy, _ = generate(noise=0.3, **size)
    errors = noisy - clean
    assert_allclose(errors.std(), 0.3, rtol=0.05)  # standard error 0.8 %
    related = np.corrcoef(np.column_stack([errors, clean, X[:, :-1]]), rowvar=False)[0, 1:]
    assert np.abs(related).max() < 0.06  # standard error 0.011


def test_more_rows_keep_the_first_ones():
    X, y, _ = generate(n_samples_per_task=30, noise=0.2)
    longer_X, longer_y, _ = generate(n_samples_per_task=75, noise=0.2)
    first = np.tile(np.arange(75) < 30, 10)
    assert_array_equal(longer_X[first], X)
    assert_allclose(longer_y[first], y, rtol=0, atol=1e-12)


def test_rows_differ_between_tasks():
    X, _, _ = generate("pooled")
    assert len(np.unique(X[:, 0])) == len(X)


# --- functions -----------------------------------------------------------------------------


@given(
    scenario=st.sampled_from(SCENARIOS),
    counts=st.lists(st.integers(1, 70), min_size=3, max_size=5),
    n_features=st.integers(1, 6),
    n_fourier=st.integers(1, 600),
    classification=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_functions_reproduce_the_target(
    scenario, counts, n_features, n_fourier, classification, seed
):
    if classification:
        counts = [count + 30 for count in counts]
    X, y, truth = make_task_scenario(
        scenario,
        n_tasks=len(counts),
        n_features=n_features,
        n_samples_per_task=counts,
        cluster_sizes=(2, len(counts) - 2),
        n_fourier=n_fourier,
        length_scale=0.2 * n_features if classification else None,
        classification=classification,
        return_truth=True,
        random_state=seed,
    )
    assert X.shape == (sum(counts), n_features + 1)
    for task, function in enumerate(truth.functions):
        rows = X[:, -1] == task
        assert rows.sum() == counts[task]
        raw = function(X[rows, :-1])
        assert_array_equal(y[rows], raw > 0 if classification else raw)


def test_pooled_tasks_share_one_function():
    _, _, truth = generate("pooled", n_tasks=6)
    assert all(function is truth.functions[0] for function in truth.functions)


@pytest.mark.parametrize("scenario", MIXED)
def test_mixed_tasks_share_the_common_function_of_their_group_only(scenario):
    _, _, truth = generate(scenario)
    assert all(function.weights == (0.9, 0.1) for function in truth.functions)
    common = [function.functions[0] for function in truth.functions]
    own = [function.functions[1] for function in truth.functions]
    shared = np.array([[a is b for b in common] for a in common])
    assert_array_equal(shared, truth.clusters[:, None] == truth.clusters[None, :])
    assert len({id(function) for function in own + common}) == len(own) + len(set(truth.clusters))


def test_outlier_tasks_are_like_each_other_and_unlike_the_others():
    # 5 features and length scale 1.25: a function varies a few times over the cube, so that
    # two unrelated ones may correlate by chance; the mean over seeds does not.
    between = []
    for seed in range(12):
        _, _, truth = generate(n_fourier=200, random_state=seed)
        related = correlations_of_functions(truth, n_features=5)
        assert related[8:, 8:].min() > 0.9
        assert related[:8, :8].min() > 0.9
        between.append(related[:8, 8:].mean())
    assert abs(np.mean(between)) < 0.3
    assert np.abs(between).max() < 0.9


def test_independent_tasks_are_unrelated():
    _, _, truth = generate("independent", n_tasks=25, n_fourier=200)
    related = correlations_of_functions(truth, n_features=5)
    off_diagonal = related[np.triu_indices(25, k=1)]
    assert abs(off_diagonal.mean()) < 0.1
    assert np.abs(off_diagonal).max() < 0.95


def test_clusters_have_length_scales_of_their_own():
    _, _, truth = generate("clusters", cluster_sizes=[2] * 200, n_samples_per_task=1, n_fourier=1)
    scales = truth.length_scales
    assert_array_equal(scales[::2], scales[1::2])
    assert len(np.unique(scales)) == 200
    assert scales.min() >= 0.1 * 5
    assert scales.max() <= 0.5 * 5
    assert_allclose(scales.mean(), 1.5, atol=0.2)  # standard error 0.04
    for function, scale in zip(truth.functions, scales, strict=True):
        assert [part.length_scale for part in function.functions] == [scale, scale]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_length_scale_given(scenario):
    _, _, truth = generate(scenario, length_scale=0.8)
    assert set(truth.length_scales) == {0.8}


def test_no_outlier_task_gives_the_related_scenario():
    X, y, truth = generate(n_outlier_tasks=0)
    related_X, related_y, _ = generate("related")
    assert len(truth.outlier_tasks) == 0
    assert_array_equal(X, related_X)
    assert_array_equal(y, related_y)


# --- classification ------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_classes_are_balanced_in_each_task(scenario, seed):
    counts = 6 * [40] if scenario == "clusters" else [20, 55, 31, 200]
    X, y, truth = generate(
        scenario,
        n_tasks=len(counts),
        n_samples_per_task=counts,
        classification=True,
        random_state=seed,
    )
    assert y.dtype == np.int64
    assert set(y) == {0, 1}
    for task, count in enumerate(counts):
        share = y[X[:, -1] == task].mean()
        assert 0.1 <= share <= 0.9, (task, count)
    if scenario == "pooled":  # the redraw must not have separated what is shared
        assert all(function is truth.functions[0] for function in truth.functions)
    if scenario in MIXED:
        common = {id(function.functions[0]) for function in truth.functions}
        assert len(common) == len(set(truth.clusters))


def test_functions_are_drawn_again_where_a_class_is_rare():
    # Long length scale: most functions have one sign on nearly all of the cube.
    for seed in range(5):
        _, y, _ = generate(
            "independent", n_tasks=3, length_scale=4.0, classification=True, random_state=seed
        )
        shares = y.reshape(3, -1).mean(axis=1)
        assert np.all((shares >= 0.1) & (shares <= 0.9))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_impossible_balance_is_an_error(scenario):
    with pytest.raises(RuntimeError, match=r"10 % of each class.*100 redraws.*length_scale"):
        generate(scenario, length_scale=1e6, classification=True, n_fourier=3)


# --- bad parameters ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"scenario": "outlier"}, ValueError, r"one of \['outliers', 'pooled'.*got 'outlier'"),
        ({"scenario": None}, ValueError, "scenario must be one of"),
        ({"n_tasks": 0}, ValueError, "n_tasks must be >= 1, got 0"),
        ({"n_tasks": 2.0}, TypeError, r"n_tasks must be an integer, got 2\.0"),
        ({"n_tasks": True}, TypeError, "n_tasks must be an integer, got True"),
        ({"n_features": 0}, ValueError, "n_features must be >= 1"),
        ({"n_fourier": 0}, ValueError, "n_fourier must be >= 1"),
        ({"n_outlier_tasks": 10}, ValueError, "less than n_tasks=10, got 10"),
        ({"n_outlier_tasks": -1}, ValueError, "n_outlier_tasks must be >= 0, got -1"),
        ({"n_samples_per_task": 0}, ValueError, "n_samples_per_task must be >= 1"),
        ({"n_samples_per_task": "many"}, TypeError, "n_samples_per_task must be an integer"),
        ({"n_samples_per_task": [5, 5]}, ValueError, "each of the 10 tasks, got 2 values"),
        ({"n_samples_per_task": [5] * 9 + [0]}, ValueError, r"n_samples_per_task\[9\] must be >="),
        ({"n_samples_per_task": [5.5] * 10}, TypeError, r"n_samples_per_task\[0\] must be an int"),
        ({"n_samples_per_task": []}, ValueError, "one or more integers"),
        ({"n_samples_per_task": 1, "classification": True}, ValueError, "must be >= 2, got 1"),
        ({"scenario": "clusters", "cluster_sizes": ()}, ValueError, "cluster_sizes must be a seq"),
        ({"scenario": "clusters", "cluster_sizes": 3}, ValueError, "cluster_sizes must be a seq"),
        (
            {"scenario": "clusters", "cluster_sizes": (3, 0)},
            ValueError,
            r"cluster_sizes\[1\] must",
        ),
        ({"noise": -0.1}, ValueError, r"noise must be a finite number >= 0, got -0\.1"),
        ({"noise": np.nan}, ValueError, "noise must be a finite number >= 0, got nan"),
        ({"noise": "low"}, TypeError, "noise must be a real number, got 'low'"),
        ({"length_scale": 0}, ValueError, "length_scale must be a finite number > 0"),
        ({"length_scale": np.inf}, ValueError, "length_scale must be a finite number > 0"),
        ({"random_state": "x"}, TypeError, "random_state.* must be an integer, got 'x'"),
        ({"random_state": -1}, ValueError, "random_state.* must be >= 0, got -1"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        make_task_scenario(**params)


def test_parameters_of_other_scenarios_are_not_read():
    generate("pooled", n_tasks=1, n_outlier_tasks=5, cluster_sizes=())
    assert len(generate("clusters", n_tasks=2, n_outlier_tasks=5)[2].functions) == 6
