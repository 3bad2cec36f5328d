from dataclasses import FrozenInstanceError
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.transfer import LinearTransferProblem, pooled_error

S = np.array([[2.0, 0.5], [0.5, 1.0]])
W = np.array([[1.0, 2.0], [2.0, 2.0], [1.0, 5.0]])


def problem(**params):
    params = {"n_samples": [8, 6, 4], "noise_variance": [1, 2, 3], "coefficients": W} | params
    return LinearTransferProblem(**params)


def gram_problem(**params):
    params = {"coefficients": None, "shift_gram": [[2, 1], [1, 3]], "n_features": 4} | params
    return problem(**params)


# --- what a problem holds ------------------------------------------------------------------


def test_gram_matrix_by_hand():
    # Shifts (1, 0) and (0, 3).
    assert_array_equal(problem().gram, [[0, 0, 0], [0, 1, 0], [0, 0, 9]])
    assert_array_equal(problem(covariance=S).gram, [[0, 0, 0], [0, 2, 1.5], [0, 1.5, 9]])
    # The main task's covariance is the metric if each task has its own.
    own = problem(covariance=[S, np.eye(2), 3 * np.eye(2)])
    assert_array_equal(own.gram, problem(covariance=S).gram)


def test_test_gram_and_trace_ratio_by_hand():
    test = np.diag([3.0, 0.0])
    other = problem(covariance=S, test_covariance=test)
    assert_array_equal(other.test_gram, [[0, 0, 0], [0, 3, 0], [0, 0, 0]])
    assert_array_equal(other.gram, problem(covariance=S).gram)
    assert_array_equal(other.metric, test)
    # The inverse of S is [[1, -0.5], [-0.5, 2]] / 1.75.
    assert other.trace_ratio == pytest.approx(3 / 1.75)
    without = problem(covariance=S)
    assert without.trace_ratio == 2.0
    assert_array_equal(without.test_gram, without.gram)
    assert_array_equal(without.metric, S)


def test_covariances_of_tasks():
    assert_array_equal(problem().task_covariances, np.stack([np.eye(2)] * 3))
    assert_array_equal(problem(covariance=S).task_covariances, np.stack([S] * 3))
    own = np.stack([S, np.eye(2), 3 * np.eye(2)])
    assert_array_equal(problem(covariance=own).task_covariances, own)
    assert problem(covariance=own).has_task_covariances
    assert not problem(covariance=S).has_task_covariances
    assert_array_equal(problem(covariance=own).common_covariance, S)
    assert_array_equal(gram_problem().common_covariance, np.eye(4))


def test_numbers_of_tasks_and_features():
    assert problem().n_tasks == 3
    assert problem().n_features == 2
    assert gram_problem().n_features == 4
    assert problem(n_features=2).n_features == 2


@given(
    n_shifts=st.integers(0, 5),
    n_features=st.integers(1, 6),
    rank=st.integers(0, 5),
    scale=st.sampled_from([1e-8, 1.0, 1e8]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_vectors_have_the_gram_matrix(n_shifts, n_features, rank, scale, seed):
    rng = np.random.default_rng(seed)
    rank = min(rank, n_features)
    root = scale * rng.standard_normal((n_shifts, rank))
    made = LinearTransferProblem(
        [5] * (n_shifts + 1),
        [1] * (n_shifts + 1),
        shift_gram=root @ root.T,
        n_features=n_features,
    )
    vectors = made.vectors
    assert vectors.shape == (n_shifts + 1, n_features)
    assert_array_equal(vectors[0], 0)
    assert_allclose(vectors[1:] @ vectors[1:].T, root @ root.T, rtol=0, atol=1e-7 * scale**2)
    assert_array_equal(made.gram[1:, 1:], root @ root.T)
    assert_array_equal(made.gram[0], 0)
    assert_array_equal(made.gram[:, 0], 0)


def test_vectors_are_the_coefficients_if_given():
    assert_array_equal(problem(covariance=S).vectors, W)


@pytest.mark.parametrize("scale", [1e-11, 1e-6, 1.0, 1e11])
def test_gram_of_higher_rank_than_features_is_refused(scale):
    # In whatever unit the target is.
    message = r"shift_gram has rank above n_features=1.*the next is \d"
    with pytest.raises(ValueError, match=message):
        gram_problem(shift_gram=scale * np.eye(2), n_features=1)
    gram_problem(shift_gram=scale * np.ones((2, 2)), n_features=1)


def test_errors_depend_on_coefficients_through_the_gram_matrix_only():
    by_gram = gram_problem(shift_gram=problem(covariance=S).gram[1:, 1:], n_features=2)
    by_vectors = problem(covariance=S)
    assert_allclose(pooled_error(by_gram).error, pooled_error(by_vectors).error, rtol=1e-14)


def test_repr():
    assert repr(problem()) == (
        "LinearTransferProblem(n_samples=[8, 6, 4], noise_variance=[1.0, 2.0, 3.0], "
        "n_features=2, shifts=[1.0, 3.0])"
    )
    alone = LinearTransferProblem([8], [1], coefficients=[[1]])
    assert repr(alone).endswith("n_features=1, shifts=[])")


# --- inputs --------------------------------------------------------------------------------


def test_inputs_are_left_unchanged_and_later_changes_do_not_reach_the_problem():
    arrays = {
        "n_samples": np.array([8, 6, 4]),
        "noise_variance": np.array([1.0, 2.0, 3.0]),
        "coefficients": W.copy(),
        "covariance": S.copy(),
        "test_covariance": np.eye(2),
    }
    before = {name: array.copy() for name, array in arrays.items()}
    made = LinearTransferProblem(**arrays)
    error = pooled_error(made).error
    for name, array in arrays.items():
        assert_array_equal(array, before[name])
        array *= 2
        assert_array_equal(getattr(made, name), before[name])
    assert error == pooled_error(LinearTransferProblem(**before)).error


def test_shift_gram_is_copied():
    gram = np.eye(2)
    made = gram_problem(shift_gram=gram)
    gram *= 4
    assert_array_equal(made.gram[1:, 1:], np.eye(2))


def test_problem_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        problem().n_samples = [1, 2, 3]


def test_whole_floats_are_counts():
    counts = problem(n_samples=[8.0, 1e6, 0.0]).n_samples
    assert counts.dtype == np.int64
    assert_array_equal(counts, [8, 1_000_000, 0])


def test_covariances_in_small_units_are_not_singular():
    tiny = problem(covariance=1e-20 * S)
    assert_allclose(tiny.gram, 1e-20 * problem(covariance=S).gram)


def test_zero_noise_and_singular_test_covariance_are_possible():
    assert_array_equal(problem(noise_variance=[0, 0, 0]).noise_variance, 0)
    assert problem(test_covariance=np.zeros((2, 2))).trace_ratio == 0


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_samples": 8}, ValueError, r"n_samples must have one number per task, got shape \(\)"),
        ({"n_samples": []}, ValueError, r"n_samples must .* got shape \(0,\)"),
        ({"n_samples": [[8, 6, 4]]}, ValueError, r"n_samples must .* got shape \(1, 3\)"),
        ({"n_samples": [8, 6.5, 4]}, TypeError, r"n_samples must be whole numbers, got .*6\.5"),
        ({"n_samples": [8, np.nan, 4]}, TypeError, "n_samples must be whole numbers, got .*nan"),
        ({"n_samples": [8, np.inf, 4]}, TypeError, "n_samples must be whole numbers, got .*inf"),
        ({"n_samples": ["8", "6", "4"]}, TypeError, "n_samples must be whole numbers"),
        ({"n_samples": [True, True, True]}, TypeError, "n_samples must be whole numbers"),
        ({"n_samples": [8, -6, 4]}, ValueError, "n_samples must be >= 0, got -6"),
        ({"noise_variance": 1}, ValueError, r"noise_variance must have shape \(3,\), got \(\)"),
        ({"noise_variance": [1, 1]}, ValueError, r"noise_variance .* \(3,\), got \(2,\)"),
        ({"noise_variance": [1, -0.5, 1]}, ValueError, r"noise_variance must be >= 0, got -0\.5"),
        (
            {"noise_variance": [1, np.nan, 1]},
            ValueError,
            r"finite, got nan in noise_variance\[1\]",
        ),
        ({"noise_variance": [1, np.inf, 1]}, ValueError, "noise_variance must be finite"),
        ({"coefficients": None}, ValueError, "Either coefficients or shift_gram must be given"),
        ({"shift_gram": np.eye(2)}, ValueError, "and not both"),
        ({"coefficients": W[:2]}, ValueError, r"coefficients .*\(3, 'any'\), got \(2, 2\)"),
        ({"coefficients": W[0]}, ValueError, r"coefficients must have shape .* got \(2,\)"),
        ({"coefficients": W * np.nan}, ValueError, "coefficients must be finite"),
        ({"coefficients": np.empty((3, 0))}, ValueError, "at least one column"),
        ({"n_features": 2.0}, TypeError, r"n_features must be an integer, got 2\.0"),
        ({"n_features": 3}, ValueError, "n_features must be 2, as coefficients are, got 3"),
        ({"covariance": np.eye(3)}, ValueError, r"covariance .*\(2, 2\), got \(3, 3\)"),
        ({"covariance": [S, S]}, ValueError, r"covariance .*\(3, 2, 2\), got \(2, 2, 2\)"),
        ({"covariance": [S, S, S * np.nan]}, ValueError, "covariance must be finite"),
        (
            {"covariance": [[1, 0.5], [0.4, 1]]},
            ValueError,
            r"symmetric, got 0\.5 at \(0, 1\) and 0\.4",
        ),
        ({"covariance": S * 1j}, TypeError, "covariance must hold real numbers, .* complex128"),
        ({"coefficients": W + 0j}, TypeError, "coefficients must hold real numbers, .* complex"),
        ({"noise_variance": [1j, 1, 1]}, TypeError, "noise_variance must hold real numbers"),
        ({"coefficients": W * 1e60}, ValueError, r"coefficients must be at most 1e\+60 in size"),
        ({"noise_variance": [1, 1e121, 1]}, ValueError, r"noise_variance must be at most 1e\+120"),
        ({"covariance": S * 1e60}, ValueError, r"covariance must be at most 1e\+60 .* 2e\+60"),
        ({"test_covariance": S * 1e60}, ValueError, r"test_covariance must be at most 1e\+60"),
        ({"n_samples": [8j, 6, 4]}, TypeError, "n_samples must be whole numbers, got .*8j"),
        ({"n_samples": [8, 6, 1e19]}, ValueError, r"at most 2\*\*53 together, got .*1e\+19"),
        (
            {"covariance": [[1, 2], [2, 1]]},
            ValueError,
            "covariance must be positive semidefinite; its smallest eigenvalue is -1, at least 0",
        ),
        ({"covariance": np.ones((2, 2))}, ValueError, "covariance must not be singular"),
        ({"covariance": np.zeros((2, 2))}, ValueError, "covariance must not be singular"),
        ({"covariance": [S, S, np.ones((2, 2))]}, ValueError, "covariance must not be singular"),
        ({"test_covariance": [S, S, S]}, ValueError, r"test_covariance .*got \(3, 2, 2\)"),
        ({"test_covariance": np.tri(2)}, ValueError, "test_covariance must be symmetric"),
        ({"test_covariance": -S}, ValueError, "test_covariance must be positive semidefinite"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        problem(**params)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"shift_gram": np.eye(3)}, ValueError, r"shift_gram .*\(2, 2\), got \(3, 3\)"),
        ({"shift_gram": 1.0}, ValueError, r"shift_gram .*\(2, 2\), got \(\)"),
        ({"shift_gram": [[1, np.nan], [np.nan, 1]]}, ValueError, "shift_gram must be finite"),
        ({"shift_gram": np.eye(2) * 1e121}, ValueError, r"shift_gram must be at most 1e\+120"),
        ({"shift_gram": [[1, 1], [0, 1]]}, ValueError, "shift_gram must be symmetric"),
        ({"shift_gram": [[1, 2], [2, 1]]}, ValueError, "shift_gram must be positive semidef.*-1"),
        ({"covariance": np.eye(4)}, ValueError, "covariance and test_covariance need coeff"),
        ({"test_covariance": np.eye(4)}, ValueError, "covariance and test_covariance need coeff"),
        ({"n_features": None}, TypeError, "n_features must be an integer .* got None"),
        ({"n_features": 4.0}, TypeError, r"n_features must be an integer, got 4\.0"),
        ({"n_features": True}, TypeError, "n_features must be an integer, got True"),
        ({"n_samples": [8], "noise_variance": [1]}, ValueError, r"shift_gram .*\(0, 0\), got \(2"),
        ({"n_features": 0}, ValueError, "n_features must be >= 1, got 0"),
    ],
)
def test_bad_parameters_with_a_gram_matrix(params, error, message):
    with pytest.raises(error, match=message):
        gram_problem(**params)


# --- subsets -------------------------------------------------------------------------------


def test_subset_keeps_what_belongs_to_its_tasks():
    own = np.stack([S, 2 * S, 3 * S])
    part = problem(covariance=own, test_covariance=np.eye(2)).subset([0, 2])
    assert_array_equal(part.n_samples, [8, 4])
    assert_array_equal(part.noise_variance, [1, 3])
    assert_array_equal(part.coefficients, W[[0, 2]])
    assert_array_equal(part.covariance, own[[0, 2]])
    assert_array_equal(part.test_covariance, np.eye(2))
    assert_array_equal(problem(covariance=S).subset([0, 2]).covariance, S)


def test_subset_of_a_gram_matrix():
    part = gram_problem().subset([0, 2])
    assert_array_equal(part.gram, [[0, 0], [0, 3]])
    assert part.n_features == 4
    swapped = gram_problem().subset([0, 2, 1])
    assert_array_equal(swapped.gram, [[0, 0, 0], [0, 3, 1], [0, 1, 2]])
    assert gram_problem().subset([0]).gram.tolist() == [[0]]


@pytest.mark.parametrize(
    ("tasks", "error", "message"),
    [
        ([0, 10**30], ValueError, r"tasks must be below 2\*\*63"),
        ([], ValueError, "tasks must be a sequence of one or more integers"),
        (0, ValueError, "tasks must be a sequence of one or more integers"),
        ([[0, 1]], ValueError, "tasks must be a sequence of one or more integers"),
        ([1, 2], ValueError, r"tasks must begin with the main task 0, got \[1, 2\]"),
        ([0, -1], ValueError, r"tasks\[1\] must be >= 0, got -1"),
        ([0, 3], ValueError, r"tasks must be below 3, got \[0, 3\]"),
        ([0, 1, 1], ValueError, r"tasks must not hold a task twice, got \[0, 1, 1\]"),
        ([0, 0], ValueError, "tasks must not hold a task twice"),
        ([0, 0.7], TypeError, r"tasks\[1\] must be an integer, got 0\.7"),
        ([[0], [1, 2]], ValueError, "tasks must be a sequence of one or more integers"),
        ("01", ValueError, "tasks must be a sequence of one or more integers, got '01'"),
        ([0, 1j], TypeError, r"tasks\[1\] must be an integer, got 1j"),
        ([False, True], TypeError, r"tasks\[0\] must be an integer, got False"),
    ],
)
def test_subset_of_what_are_no_tasks(tasks, error, message):
    with pytest.raises(error, match=message):
        problem().subset(tasks)


def test_table_has_a_line_per_task():
    problem = LinearTransferProblem([8, 12], [1.0, 2.0], coefficients=[[0, 0], [3, 4]])
    frame = problem.to_frame()
    assert frame.index.tolist() == [0, 1]
    assert frame["rows"].tolist() == [8, 12]
    assert frame["noise_variance"].tolist() == [1.0, 2.0]
    assert frame["shift"].tolist() == [0.0, 5.0]


def test_arrays_of_a_problem_cannot_be_changed():
    # Results are kept: they would no longer fit.
    counts = np.array([8, 12])
    problem = LinearTransferProblem(counts, [1.0, 1.0], coefficients=np.eye(2))
    for array in (problem.n_samples, problem.noise_variance, problem.coefficients):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 3
    counts[0] = 9  # the caller's own stays as it was
    assert problem.n_samples[0] == 8


def test_a_main_task_alone_may_come_with_an_empty_gram_matrix():
    assert LinearTransferProblem([8], [1.0], shift_gram=[], n_features=2).gram.shape == (1, 1)


def test_what_is_no_number_is_named():
    with pytest.raises(TypeError, match=r"noise_variance must hold real numbers, got .*<U"):
        LinearTransferProblem([8, 12], [1.0, "a"], shift_gram=[[1]], n_features=2)


@pytest.mark.parametrize(
    "values",
    [
        np.array([1, 2j, 3]),  # of which numpy keeps the real part
        [1, 2j, 3],
        ["1", "2", "3"],
        np.array([1, "2", 3], dtype=object),
        np.array([1, 2, 3], dtype="m8[s]"),
        [1, 10**400, 3],
        [1, [2], 3],
        [1, {}, 3],
    ],
)
def test_only_real_numbers_are_numbers(values):
    with pytest.raises(TypeError, match=r"noise_variance must hold (real )?numbers"):
        problem(noise_variance=values)
    with pytest.raises(TypeError, match=r"covariance must hold (real )?numbers"):
        problem(covariance=[values, values, values])


def test_numbers_of_other_types_are_numbers():
    for values in ([True, Fraction(2), 3.0], pd.Series([1, 2, 3], dtype="Float64")):
        assert_array_equal(problem(noise_variance=values).noise_variance, [1, 2, 3])


@pytest.mark.parametrize(
    "counts",
    [
        [1e19, 1, 1],  # was -9223372036854775808
        np.array([2**63, 1, 1], dtype=np.uint64),
        [10**30, 1, 1],
        [2**62, 2**62, 2**62],  # whose sum would overflow
        [2**53, 1, 0],
    ],
)
def test_more_rows_than_can_be_counted(counts):
    with pytest.raises(ValueError, match=r"n_samples must be at most 2\*\*53 together, got"):
        problem(n_samples=counts)


def test_as_many_rows_as_can_be_counted():
    assert problem(n_samples=[2**53 - 2, 1, 1]).n_samples[0] == 2**53 - 2


def test_ragged_numbers_of_rows():
    with pytest.raises(ValueError, match="n_samples must have one number per task"):
        problem(n_samples=[8, [6], 4])
