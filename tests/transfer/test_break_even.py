import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.transfer import LinearTransferProblem, break_even, pooled_error


def problem(n_samples=(8, 12), noise=None, gram=((1.0,),), d=3):
    noise = np.ones(len(n_samples)) if noise is None else noise
    return LinearTransferProblem(n_samples, noise, shift_gram=gram, n_features=d)


def random_problem(rng, n_auxiliary=None, n_main=None):
    """Tasks whose shifts are of the order of their break-even, so that all cases occur."""
    d = int(rng.integers(1, 9))
    K = int(rng.integers(1, 5)) if n_auxiliary is None else n_auxiliary
    n_main = int(rng.integers(d + 2, 6 * d + 12)) if n_main is None else n_main(d)
    counts = [n_main, *rng.integers(1, 5, size=K)]
    root = rng.standard_normal((K, min(d, max(K, 2))))
    gram = root @ root.T / K * rng.choice([0.0, 0.05, 0.3, 1.0, 3.0])
    noise = rng.choice([0.1, 1.0, 2.0, 4.0], size=K + 1)
    return problem(counts, noise, gram, d)


def mean_and_dispersion(p):
    """Squared norm of the mean shift over auxiliary rows, and the mean squared shift."""
    share = p.n_samples[1:] / p.n_samples[1:].sum()
    return share @ p.shift_gram @ share, share @ np.diag(p.shift_gram)


# --- shifts --------------------------------------------------------------------------------


def test_largest_shift_of_the_derivation():
    limits = break_even(problem())
    assert limits.largest_shift == pytest.approx(1.168511069, abs=1e-9)
    assert limits.shift_factor == pytest.approx(1.168511069, abs=1e-9)
    # A main-only error of 0.75 and a variance of 0.1875.
    assert limits.gain == pytest.approx(0.75 - 0.1875)
    assert limits.status == "exact"


@pytest.mark.parametrize("seed", range(20))
def test_shifts_times_their_factor_break_even(seed):
    rng = np.random.default_rng(seed)
    p = random_problem(rng)
    gram = p.shift_gram + 0.3  # some shift, of which there may be as many as features only
    gram = gram if np.linalg.matrix_rank(gram) <= p.n_features else np.ones_like(gram)
    p = problem(p.n_samples, p.noise_variance, gram, p.n_features)
    limits = break_even(p)
    without = pooled_error(problem(p.n_samples, p.noise_variance, 0 * gram, p.n_features))
    assert limits.gain == pytest.approx(without.benefit, rel=1e-12)
    if limits.shift_factor == 0:
        assert not without.helps
        assert limits.largest_shift == 0
        return
    scaled = problem(p.n_samples, p.noise_variance, gram * limits.shift_factor**2, p.n_features)
    there = pooled_error(scaled)
    assert there.error == pytest.approx(there.main_only_error, rel=1e-10)
    mean2, _ = mean_and_dispersion(scaled)
    assert limits.largest_shift == pytest.approx(np.sqrt(mean2), rel=1e-10)


def test_both_sides_of_the_largest_shift():
    rho = break_even(problem()).largest_shift
    for factor, helps in ((0.999, True), (1.001, False)):
        assert pooled_error(problem(gram=[[(factor * rho) ** 2]])).helps is helps


def test_shift_factor_does_not_depend_on_the_unit_of_shifts_but_on_their_size():
    one, four = break_even(problem()), break_even(problem(gram=[[16.0]]))
    assert four.shift_factor == pytest.approx(one.shift_factor / 4)
    assert four.largest_shift == pytest.approx(one.largest_shift)


def test_without_any_shift_the_largest_one_is_that_of_one_task():
    limits = break_even(problem(gram=[[0.0]]))
    assert limits.shift_factor == np.inf
    assert limits.largest_shift == pytest.approx(1.168511069, abs=1e-9)
    # Noise that is too large prevents it with any shift.
    assert break_even(problem(gram=[[0.0]], noise=[1, 50])).largest_shift == 0


def test_shifts_that_cancel_have_a_factor_but_no_mean():
    p = problem([20, 10, 10], gram=[[1.0, -1.0], [-1.0, 1.0]])
    limits = break_even(p)
    assert limits.largest_shift == 0
    there = pooled_error(problem([20, 10, 10], gram=p.shift_gram * limits.shift_factor**2))
    assert there.benefit == pytest.approx(0, abs=1e-12)


# --- noise ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_noise_at_its_largest_ratio_breaks_even(seed):
    rng = np.random.default_rng(100 + seed)
    p = random_problem(rng)
    limits = break_even(p)
    main = p.noise_variance[0]
    for ratio, gram in (
        (limits.largest_noise_ratio, p.shift_gram),
        (limits.largest_noise_ratio_without_shift, 0 * p.shift_gram),
    ):
        noise = np.full(len(p.noise_variance), ratio * main)
        noise[0] = main
        there = pooled_error(problem(p.n_samples, noise, gram, p.n_features))
        if ratio == 0:  # not even without auxiliary noise
            assert not there.helps
        else:
            assert there.error == pytest.approx(there.main_only_error, rel=1e-10)


@pytest.mark.parametrize(("n_main", "n_auxiliary", "d"), [(8, 12, 3), (40, 1, 9), (12, 300, 1)])
def test_largest_noise_ratio_without_shift_in_closed_form(n_main, n_auxiliary, d):
    limits = break_even(problem([n_main, n_auxiliary], d=d))
    c = d + 1
    expected = (2 * n_main + n_auxiliary - c) / (n_main - c)
    assert limits.largest_noise_ratio_without_shift == pytest.approx(expected, rel=1e-12)
    assert limits.largest_noise_ratio < expected


def test_a_main_task_without_noise_cannot_gain():
    limits = break_even(problem(noise=[0, 1]))
    assert limits.gain < 0
    assert limits.shift_factor == limits.largest_shift == 0
    assert limits.largest_noise_ratio == limits.largest_noise_ratio_without_shift == 0
    assert limits.helpful_sample_sizes == ()
    assert not limits.first_row_helps
    assert not limits.many_rows_help


# --- sample sizes --------------------------------------------------------------------------


def helps_at(p, multiple):
    counts = p.n_samples * multiple
    counts[0] = p.n_samples[0]
    error = pooled_error(problem(counts, p.noise_variance, p.shift_gram, p.n_features))
    # None where rounding decides.
    if np.isfinite(error.benefit) and abs(error.benefit) <= 1e-9 * error.error:
        return None
    return error.helps


def pattern(limits):
    """The shape of the set of helpful sizes, such as "+-" for all up to a largest one."""
    intervals = limits.helpful_sample_sizes
    if not intervals:
        return "-"
    text = "" if intervals[0][0] == 0 else "-"
    text += "+-" * len(intervals)
    return text[:-1] if np.isinf(intervals[-1][1]) else text


def test_intervals_agree_with_a_scan_of_sample_sizes():
    rng = np.random.default_rng(0)
    multiples = np.unique(
        np.concatenate([np.arange(1, 25), np.geomspace(25, 1e7, 40).astype(int)])
    )
    seen = []
    for _ in range(300):
        p = random_problem(rng)
        limits = break_even(p)
        seen.append(pattern(limits))
        step = p.n_samples[1:].sum()
        for multiple in multiples:
            expected = any(
                low < multiple * step < high for low, high in limits.helpful_sample_sizes
            )
            assert helps_at(p, multiple) in (None, expected), (p, multiple)
    # A scan that meets one kind of set only would say little.
    for shape, least in (("+", 20), ("-", 20), ("+-", 20), ("-+", 20)):
        assert seen.count(shape) >= least, (shape, {s: seen.count(s) for s in seen})


def test_a_window_of_helpful_sizes():
    # The first row helps, some hundred do not, as the mean shift is beyond the main task's error.
    p = problem([30, 1], noise=[1.0, 0.5], gram=[[0.3]], d=4)
    limits = break_even(p)
    ((low, high),) = limits.helpful_sample_sizes
    assert low == 0
    last = int(np.floor(high))
    assert helps_at(p, last) is True
    assert helps_at(p, last + 1) is False


def test_a_window_away_from_zero():
    # The first row costs more noise than it brings, and many cost too much shift.
    p = problem([6, 1], noise=[1, 2.3], gram=[[0.275]], d=1)
    ((low, high),) = break_even(p).helpful_sample_sizes
    assert 1 < low < 2
    assert 20 < high < 21
    assert [helps_at(p, n) for n in (1, 2, 20, 21)] == [False, True, True, False]
    assert not break_even(p).first_row_helps
    assert not break_even(p).many_rows_help


@pytest.mark.parametrize("n_main", [0, 1, 3, 4])
def test_few_main_rows_gain_from_any_rows_that_make_the_error_finite(n_main):
    limits = break_even(problem([n_main, 12], noise=[1, 100], gram=[[1e4]]))
    assert limits.gain == limits.shift_factor == limits.largest_shift == np.inf
    assert limits.largest_noise_ratio == limits.largest_noise_ratio_without_shift == np.inf
    assert limits.helpful_sample_sizes == ((4 - n_main, np.inf),)
    assert limits.first_row_helps is (n_main == 4)  # before that one row does not make it finite
    assert limits.many_rows_help


def test_ends_of_the_intervals_in_closed_form():
    rng = np.random.default_rng(1)
    first, many = [], []
    for _ in range(300):
        p = random_problem(rng)
        limits = break_even(p)
        n, d = float(p.n_samples[0]), p.n_features
        c, s = d + 1.0, p.noise_variance[0]
        share = p.n_samples[1:] / p.n_samples[1:].sum()
        noise = share @ p.noise_variance[1:]
        mean2, shift2 = mean_and_dispersion(p)
        kappa = (c * n * n - (c + 4) * n + 2 * c) / ((n - 1) * (n + 2) * (n - c))
        cost, limit = noise + shift2 * kappa * (n - c) / d, s * (2 * n - c) / (n - c)
        if abs(cost / limit - 1) > 1e-9:
            assert limits.first_row_helps is bool(cost < limit)
            first.append(limits.first_row_helps)
        limit = s * d / (n - c)
        if abs(mean2 / limit - 1) > 1e-9:
            assert limits.many_rows_help is bool(mean2 < limit)
            many.append(limits.many_rows_help)
    assert 50 < sum(first) < 250
    assert 50 < sum(many) < 250


def test_several_tasks_that_are_the_same_act_as_one():
    one = break_even(problem([20, 30], noise=[1, 2], gram=[[0.4]]))
    parts = break_even(problem([20, 10, 0, 20], noise=[1, 2, 9, 2], gram=np.full((3, 3), 0.4)))
    for name in ("gain", "shift_factor", "largest_shift", "largest_noise_ratio"):
        assert getattr(parts, name) == pytest.approx(getattr(one, name), rel=1e-10)
    assert_allclose(parts.helpful_sample_sizes, one.helpful_sample_sizes, rtol=1e-8)


def test_sample_sizes_of_the_problem_do_not_change_the_intervals():
    small, large = (break_even(problem([20, n, 3 * n], gram=np.eye(2) / 4)) for n in (1, 1000))
    assert_allclose(small.helpful_sample_sizes, large.helpful_sample_sizes, rtol=1e-8)


def test_units_of_the_target_change_nothing_but_shifts():
    one = break_even(problem([20, 12], noise=[1, 2], gram=[[0.3]]))
    other = break_even(problem([20, 12], noise=[1e-8, 2e-8], gram=[[0.3e-8]]))
    assert other.largest_shift == pytest.approx(1e-4 * one.largest_shift)
    assert other.largest_noise_ratio == pytest.approx(one.largest_noise_ratio)
    assert_allclose(other.helpful_sample_sizes, one.helpful_sample_sizes, rtol=1e-8)


def test_coefficients_and_covariance_act_through_the_gram_matrix():
    S = np.array([[2.0, 0.5], [0.5, 1.0]])
    W = np.array([[1.0, 2.0], [1.5, 2.0], [1.0, 2.5]])
    given = LinearTransferProblem([9, 6, 4], [1, 2, 3], coefficients=W, covariance=S)
    gram = problem([9, 6, 4], [1, 2, 3], given.gram[1:, 1:], 2)
    assert_array_equal(break_even(given).to_frame(), break_even(gram).to_frame())


# --- errors --------------------------------------------------------------------------------


def test_refuses_problems_without_auxiliary_rows():
    for p in (problem([8, 0]), LinearTransferProblem([8], [1], coefficients=np.ones((1, 3)))):
        with pytest.raises(ValueError, match="at least one auxiliary row"):
            break_even(p)


def test_refuses_too_few_rows():
    with pytest.raises(ValueError, match="more than 4 rows, they have 4"):
        break_even(problem([2, 2]))
    assert break_even(problem([2, 3])).gain == np.inf


def test_refuses_other_covariances():
    W = np.eye(2)
    for params in (
        {"covariance": [np.eye(2), 2 * np.eye(2)]},
        {"test_covariance": 2 * np.eye(2)},
    ):
        p = LinearTransferProblem([8, 8], [1, 1], coefficients=W, **params)
        with pytest.raises(ValueError, match="one covariance of all rows"):
            break_even(p)


@pytest.mark.parametrize(("n_main", "helps"), [(2, False), (5, False), (6, True)])
def test_the_first_row_helps_only_if_it_makes_the_error_finite(n_main, helps):
    # Of d + 2 = 7 rows for a finite error 6 must be there already.
    p = LinearTransferProblem([n_main, 12], [1, 1], shift_gram=[[1]], n_features=5)
    limits = break_even(p)
    assert limits.first_row_helps is helps
    assert limits.helpful_sample_sizes == ((6 - n_main, np.inf),)
