import tracemalloc
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.transfer import (
    LinearTransferProblem,
    estimate_problem,
    fixed_design_error,
    safe_combination,
)

NOISE = np.array([1.0, 2.0, 0.5])
W = np.array([[1.0, -1.0, 2.0], [1.4, -0.6, 1.9], [0.8, -1.5, 2.4]])
CANNOT_TELL = "cannot tell at this sample size"


def make_designs(rng, counts=(14, 20, 25), d=3):
    root = np.tril(rng.standard_normal((d, d)), -1) / 2 + np.eye(d)
    return [rng.standard_normal((n, d)) @ root + rng.standard_normal(d) for n in counts]


def make_data(seed=0, counts=(14, 20, 25), coefficients=W, noise=NOISE):
    rng = np.random.default_rng(seed)
    X = make_designs(rng, counts, coefficients.shape[1])
    y = [
        rows @ w + 3.0 + np.sqrt(s) * rng.standard_normal(len(rows))
        for rows, w, s in zip(X, coefficients, noise, strict=False)
    ]
    return X, y


def centre(rows):
    return rows - rows.mean(axis=0)


def pooled_moments(X, fit_intercept=True):
    """Covariance of all rows about the means of their tasks, by hand."""
    parts = [centre(rows) if fit_intercept else rows for rows in X]
    return sum(rows.T @ rows for rows in parts) / sum(len(rows) - fit_intercept for rows in X)


def true_benefit(X, tasks, coefficients=W, noise=NOISE, fit_intercept=True):
    """Benefit of pooling given the designs, in the metric of the rows of all tasks."""
    designs = [centre(X[k]) if fit_intercept else X[k] for k in (0, *tasks)]
    used = [0, *tasks]
    S = pooled_moments(X, fit_intercept)
    return fixed_design_error(
        designs, coefficients[used], np.asarray(noise)[used], test_covariance=S
    ).benefit


# --- the fits ------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_fits_of_each_task(fit_intercept):
    X, y = make_data()
    estimate = estimate_problem(X, y, fit_intercept=fit_intercept)
    for k, (rows, target) in enumerate(zip(X, y, strict=True)):
        design = np.column_stack([rows, np.ones(len(rows))]) if fit_intercept else rows
        w = np.linalg.lstsq(design, target, rcond=None)[0]
        assert_allclose(estimate.coefficients[k], w[:3], rtol=1e-9)
        residuals = target - design @ w
        noise = residuals @ residuals / (len(rows) - design.shape[1])
        assert estimate.problem.noise_variance[k] == pytest.approx(noise)
    expected = [len(rows) - fit_intercept for rows in X]
    assert_array_equal(estimate.problem.n_samples, expected)
    assert estimate.problem.n_features == 3


def test_auxiliary_coefficients_have_an_intercept_for_each_task():
    X, y = make_data()
    y[2] = y[2] + 100.0
    intercepts = np.zeros((45, 2))
    intercepts[:20, 0] = intercepts[20:, 1] = 1.0
    design = np.column_stack([np.vstack(X[1:]), intercepts])
    expected = np.linalg.lstsq(design, np.concatenate(y[1:]), rcond=None)[0][:3]
    assert_allclose(estimate_problem(X, y).auxiliary_coefficients, expected, rtol=1e-9)


def test_intercepts_do_not_matter_if_they_are_fitted():
    X, y = make_data()
    moved = [target + 10.0 * k for k, target in enumerate(y)]
    far = [rows + 5.0 * k for k, rows in enumerate(X)]
    one = estimate_problem(X, y).to_frame().drop(columns="verdict")
    for other in (estimate_problem(X, moved), estimate_problem(far, y)):
        assert_allclose(other.to_frame().drop(columns="verdict"), one, rtol=1e-8)
    without = estimate_problem(X, moved, fit_intercept=False)
    assert abs(without.together.benefit / one["benefit"]["all"] - 1) > 0.1


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("whose", ["main", "all"])
def test_covariance_by_name(fit_intercept, whose):
    X, y = make_data()
    S = pooled_moments(X[:1] if whose == "main" else X, fit_intercept)
    one = estimate_problem(X, y, fit_intercept=fit_intercept, covariance=whose)
    other = estimate_problem(X, y, covariance=S, fit_intercept=fit_intercept)
    assert (one.covariance_of, other.covariance_of) == (whose, "given")
    assert_allclose(one.covariance, S, rtol=1e-9)
    assert_allclose(one.shift_gram, other.shift_gram, rtol=1e-9)
    third = estimate_problem(X, y, covariance=2 * S, fit_intercept=fit_intercept)
    assert_allclose(third.shift_gram, 2 * one.shift_gram, rtol=1e-9)


def test_errors_count_in_the_main_covariance_by_default():
    X, y = make_data()
    one, other = estimate_problem(X, y), estimate_problem(X, y, covariance="main")
    assert one.covariance_of == "main"
    pd.testing.assert_frame_equal(one.to_frame(), other.to_frame())


def test_gram_matrix_by_hand():
    # Orthogonal designs: unit moments of 8 and 4 rows, and the covariance 1.
    X = [np.array([[1.0], [-1.0]] * 4), np.array([[1.0], [-1.0]] * 2)]
    y = [np.array([3.0, -1.0] * 4), np.array([1.0, 1.0, 3.0, -1.0])]
    estimate = estimate_problem(X, y, fit_intercept=False, covariance=[[1.0]])
    # Fits 2 and 1, residuals of square 1 each on 7 and (0, 2, 2, 0) on 3 degrees of freedom.
    assert_allclose(estimate.coefficients, [[2.0], [1.0]])
    noise = np.array([8 / 7, 8 / 3])
    assert_allclose(estimate.problem.noise_variance, noise)
    expected = 1 - noise[0] / 8 - noise[1] / 4
    assert_allclose(estimate.shift_gram, [[expected]])
    assert_allclose(estimate.squared_shift, [expected])
    # 4 delta^2 C + 2 C^2 with delta^2 estimated by 1 - C, and 2 s^2 / (degrees n^2) each.
    C = noise[0] / 8 + noise[1] / 4
    variance = 4 * (1 - C) * C + 2 * C * C
    variance += 2 * (noise[0] / 8) ** 2 / 7 + 2 * (noise[1] / 4) ** 2 / 3
    assert_allclose(estimate.squared_shift_standard_error, [np.sqrt(variance)])


def test_plug_in_problem_has_no_negative_eigenvalues():
    # The same coefficients: the unbiased squares are negative about as often as positive.
    seen = 0
    for seed in range(20):
        estimate = estimate_problem(*make_data(seed, coefficients=np.ones((3, 3))))
        values, vectors = np.linalg.eigh(estimate.shift_gram)
        expected = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
        assert_allclose(estimate.problem.shift_gram, expected, atol=1e-12)
        assert_array_equal(estimate.squared_shift, np.diag(estimate.shift_gram))
        seen += values[0] < 0
    assert seen > 5


def test_benefit_is_named_after_its_tasks():
    estimate = estimate_problem(*make_data())
    assert [line.tasks for line in estimate.each] == [(1,), (2,)]
    assert estimate.together.tasks == (1, 2)
    assert estimate.together.status == estimate.status == "approximation"
    # One task alone is all of them.
    X, y = make_data()
    single = estimate_problem(X[:2], y[:2])
    assert single.each == (single.together,)
    first = estimate_problem(X, y).each[0]
    assert single.together.benefit == pytest.approx(first.benefit)


# --- right on average ----------------------------------------------------------------------


@cache
def simulated(fit_intercept, n_repeats=2000):
    """Estimates for the same designs and new noise, and what they should be on average."""
    rng = np.random.default_rng(5)
    X = make_designs(rng, (40, 50, 60))
    S = pooled_moments(X, fit_intercept)
    estimates = []
    for _ in range(n_repeats):
        y = []
        for k, rows in enumerate(X):
            e = rng.standard_normal(len(rows))
            y.append(rows @ W[k] + 4.0 * k * fit_intercept + np.sqrt(NOISE[k]) * e)
        estimates.append(estimate_problem(X, y, fit_intercept=fit_intercept, covariance="all"))
    counts = [len(rows) - fit_intercept for rows in X]
    truth = LinearTransferProblem(counts, NOISE, coefficients=W, covariance=S)
    return estimates, truth


def check_mean(values, expected):
    values = np.asarray(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    assert np.all(np.abs(values.mean(axis=0) - expected) <= 4 * error)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_gram_matrix_and_benefit_are_unbiased(fit_intercept):
    estimates, truth = simulated(fit_intercept)
    check_mean([e.shift_gram for e in estimates], truth.gram[1:, 1:])
    check_mean([e.problem.noise_variance for e in estimates], NOISE)
    X = make_designs(np.random.default_rng(5), (40, 50, 60))
    expected = true_benefit(X, [1, 2], fit_intercept=fit_intercept)
    check_mean([e.together.benefit for e in estimates], expected)
    for k in (1, 2):
        expected = true_benefit(X, [k], fit_intercept=fit_intercept)
        check_mean([e.each[k - 1].benefit for e in estimates], expected)
    own = [centre(X[0]) if fit_intercept else X[0]]
    S = pooled_moments(X, fit_intercept)
    alone = fixed_design_error(own, W[:1], NOISE[:1], test_covariance=S).error
    check_mean([e.main_only_error for e in estimates], alone)


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_standard_errors_are_right(fit_intercept):
    estimates, _ = simulated(fit_intercept)

    def check(values, errors):
        spread = np.std(values, axis=0, ddof=1)
        assert_allclose(np.sqrt(np.mean(np.square(errors), axis=0)), spread, rtol=0.2)

    check(
        [e.squared_shift for e in estimates], [e.squared_shift_standard_error for e in estimates]
    )
    check([e.together.benefit for e in estimates], [e.together.standard_error for e in estimates])
    for k in (0, 1):
        check(
            [e.each[k].benefit for e in estimates], [e.each[k].standard_error for e in estimates]
        )


def test_shifts_share_the_noise_of_the_main_task():
    # Here there is hardly any other, so that errors of both shifts do not average out.
    rng = np.random.default_rng(8)
    noise = [1.0, 1e-4, 1e-4]
    X = make_designs(rng, (40, 80, 80))
    lines = []
    for _ in range(800):
        y = [
            rows @ w + np.sqrt(s) * rng.standard_normal(len(rows))
            for rows, w, s in zip(X, W[[0, 1, 1]], noise, strict=True)
        ]
        lines.append(estimate_problem(X, y).together)
    errors = np.array([line.standard_error for line in lines])
    spread = np.std([line.benefit for line in lines])
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(spread, rel=0.2)


def test_noise_need_not_be_normal_to_be_unbiased():
    rng = np.random.default_rng(6)
    X = make_designs(rng)
    benefits = []
    for _ in range(1500):
        y = [
            rows @ w + np.sqrt(s) * (rng.standard_exponential(len(rows)) - 1)
            for rows, w, s in zip(X, W, NOISE, strict=True)
        ]
        benefits.append(estimate_problem(X, y, covariance="all").together.benefit)
    check_mean(benefits, true_benefit(X, [1, 2]))


# --- verdicts ------------------------------------------------------------------------------


def rates_of_wrong_verdicts(d, counts, levels, n_repeats=1000):
    """How often there is a verdict at the break-even point, where each is wrong."""
    rng = np.random.default_rng(7)
    X = make_designs(rng, counts, d)
    noise = NOISE[:2]
    w = np.stack([np.zeros(d), rng.standard_normal(d)])
    # The benefit is a + b times the squared length of the shift.
    without = true_benefit(X, [1], 0 * w, noise)
    w[1] *= np.sqrt(without / (without - true_benefit(X, [1], w, noise)))
    assert abs(true_benefit(X, [1], w, noise)) < 1e-12
    verdicts = []
    for _ in range(n_repeats):
        y = [X[k] @ w[k] + np.sqrt(noise[k]) * rng.standard_normal(counts[k]) for k in (0, 1)]
        verdicts.append(
            [
                estimate_problem(X, y, level=level, covariance="all").together.verdict
                for level in levels
            ]
        )
    return (np.array(verdicts) != CANNOT_TELL).mean(axis=0)


def test_verdicts_are_wrong_as_rarely_as_the_level_says():
    # Least squares on 47 residual rows: the test is nearly exact, a little to the cautious side.
    wrong = rates_of_wrong_verdicts(12, (60, 100), (0.95, 0.6))
    assert 0.01 < wrong[0] < 0.065
    assert 0.2 < wrong[1] < 0.42


@pytest.mark.parametrize(("d", "counts"), [(3, (40, 60)), (10, (15, 200)), (3, (5, 30))])
def test_few_features_or_rows_do_not_make_verdicts_wrong(d, counts):
    (wrong,) = rates_of_wrong_verdicts(d, counts, (0.95,))
    assert wrong < 0.065  # of 5 %, with three standard errors of 1000 draws


def test_verdicts_where_the_answer_is_clear():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 30))
    w[1] = w[0]
    estimate = estimate_problem(*make_data(counts=(200, 800, 800), coefficients=w))
    assert [line.verdict for line in estimate.each] == ["helps", "hurts"]
    assert estimate.together.verdict == "hurts"


def test_a_higher_level_never_turns_a_verdict_round():
    seen = set()
    for seed in range(30):
        X, y = make_data(seed, counts=(20, 30, 40))
        verdicts = [
            estimate_problem(X, y, level=level).together.verdict
            for level in (0.2, 0.6, 0.9, 0.999)
        ]
        told = [verdict for verdict in verdicts if verdict != CANNOT_TELL]
        assert verdicts[: len(told)] == told  # once it is not clear, it stays so
        assert len(set(told)) <= 1
        seen.add(len(told))
    assert len(seen) > 2


def test_noiseless_equal_tasks_give_no_verdict():
    # What is left is rounding.
    X, _ = make_data()
    y = [rows @ W[0] for rows in X]
    assert estimate_problem(X, y).together.verdict == CANNOT_TELL


def test_a_main_task_with_one_residual_row_is_no_proof():
    # The random-design error of the main task is infinite here, that of its own design is not.
    far = W + np.array([[0.0], [1000.0], [1000.0]])
    estimate = estimate_problem(*make_data(counts=(5, 20, 25), coefficients=far))
    assert np.isfinite(estimate.together.benefit)
    assert estimate.together.verdict != "helps"


def test_many_tasks_take_little_memory():
    # All shifts together have a thousand entries; no matrix of their size for each task.
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((15, 10)) for _ in range(101)]
    y = [rng.standard_normal(15) for _ in X]
    tracemalloc.start()
    estimate_problem(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


# --- input and output ----------------------------------------------------------------------


def test_frames_are_taken_as_arrays():
    X, y = make_data()
    frames = [pd.DataFrame(rows, columns=list("abc"), index=range(7, 7 + len(rows))) for rows in X]
    series = [pd.Series(target, index=range(3, 3 + len(target))) for target in y]
    one, other = estimate_problem(X, y), estimate_problem(frames, series)
    pd.testing.assert_frame_equal(other.to_frame(), one.to_frame())
    safe = safe_combination(X[0], y[0], W[1])
    assert safe.features == (0, 1, 2)
    of_frame = safe_combination(frames[0], series[0], W[1])
    assert_array_equal(of_frame.coefficients, safe.coefficients)
    assert of_frame.features == ("a", "b", "c")


def test_a_combination_says_which_columns_its_coefficients_are_of():
    X, y = make_data()
    frame = pd.DataFrame(X[0], columns=list("abc"))
    named = pd.Series(W[1], index=list("abc"))
    expected = safe_combination(frame, y[0], named)
    turned = safe_combination(frame, y[0], named[["c", "a", "b"]])
    assert turned.features == ("c", "a", "b")
    assert_allclose(turned.coefficients, expected.coefficients[[2, 0, 1]], rtol=1e-12)


def test_inputs_are_left_alone():
    X, y = make_data()
    before = [array.copy() for array in [*X, *y]]
    target = W[1].copy()
    estimate_problem(X, y)
    safe_combination(X[0], y[0], target)
    for array, copy in zip([*X, *y, target], [*before, W[1]], strict=True):
        assert_array_equal(array, copy)


def test_units_of_features_do_not_matter():
    X, y = make_data()
    one = estimate_problem(X, y).to_frame()
    other = estimate_problem([rows * [1e-5, 3.0, 1e6] for rows in X], y).to_frame()
    assert_allclose(other.drop(columns="verdict"), one.drop(columns="verdict"), rtol=1e-6)


def test_units_of_targets_scale_squares():
    X, y = make_data()
    one = estimate_problem(X, y).to_frame().drop(columns=["verdict", "rows", "p_helps", "p_hurts"])
    other = estimate_problem(X, [1e-3 * target for target in y]).to_frame()
    assert_allclose(
        other.drop(columns=["verdict", "rows", "p_helps", "p_hurts"]), 1e-6 * one, rtol=1e-8
    )


def test_table_of_an_estimate():
    estimate = estimate_problem(*make_data())
    frame = estimate.to_frame()
    assert list(frame.columns) == [
        "rows",
        "noise_variance",
        "squared_shift",
        "squared_shift_se",
        "benefit",
        "benefit_se",
        "p_helps",
        "p_hurts",
        "verdict",
    ]
    assert list(frame.index) == [1, 2, "all"]
    assert list(frame["rows"]) == [19, 24, 43]
    assert_array_equal(frame["noise_variance"][:2], estimate.problem.noise_variance[1:])
    assert_array_equal(frame["squared_shift"][:2], estimate.squared_shift)
    assert_array_equal(frame["squared_shift_se"][:2], estimate.squared_shift_standard_error)
    lines = [*estimate.each, estimate.together]
    assert_array_equal(frame["benefit"], [line.benefit for line in lines])
    assert_array_equal(frame["benefit_se"], [line.standard_error for line in lines])
    assert_array_equal(frame["p_helps"], [line.p_helps for line in lines])
    assert_array_equal(frame["p_hurts"], [line.p_hurts for line in lines])
    assert list(frame["verdict"]) == [line.verdict for line in lines]
    assert frame.loc["all", ["noise_variance", "squared_shift", "squared_shift_se"]].isna().all()
    assert repr(estimate).startswith("EstimatedProblem, main task 0\n")
    assert "Errors count in the covariance of the main task." in repr(estimate)
    assert "verdict" in repr(estimate)


# --- errors --------------------------------------------------------------------------------


def test_refuses_one_task_and_lists_of_different_length():
    X, y = make_data()
    for tasks, targets in ((1, 1), (0, 0), (3, 2), (2, 3)):
        with pytest.raises(ValueError, match=rf"two or more, got {tasks} and {targets}\."):
            estimate_problem(X[:tasks], y[:targets])


def test_refuses_too_few_rows():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"task 1 has 4 rows; .* 3 features .* at least 5"):
        estimate_problem([X[0], X[1][:4], X[2]], [y[0], y[1][:4], y[2]])
    few = [X[0], X[1][:4], X[2]], [y[0], y[1][:4], y[2]]
    assert estimate_problem(*few, fit_intercept=False).problem.n_samples[1] == 4
    with pytest.raises(ValueError, match=r"task 0 has 3 rows; .* at least 4"):
        estimate_problem([X[0][:3], *X[1:]], [y[0][:3], *y[1:]], fit_intercept=False)
    with pytest.raises(ValueError, match="task 2 has 0 rows"):
        estimate_problem([*X[:2], X[2][:0]], [*y[:2], y[2][:0]])
    with pytest.raises(ValueError, match="the main task has 1 row; a fit of 3 features"):
        safe_combination(X[0][:1], y[0][:1], W[1])
    with pytest.raises(ValueError, match="the main task has 4 rows"):
        safe_combination(X[0][:4], y[0][:4], W[1])


def test_refuses_collinear_features():
    X, y = make_data()
    X[2][:, 2] = X[2][:, 0] - 2 * X[2][:, 1]
    with pytest.raises(ValueError, match=r"features of task 2 are collinear .* column 2 \(a comb"):
        estimate_problem(X, y)
    with pytest.raises(ValueError, match=r"features of the main task are collinear .* column 2"):
        safe_combination(X[2], y[2], W[1])


@pytest.mark.parametrize("constant", [0.0, 1.0, 0.1, 1e6 / 3])
@pytest.mark.parametrize("n", [14, 23, 30])
def test_refuses_constant_features_next_to_an_intercept(constant, n):
    # Also where rounding leaves something of the constant less its mean.
    X, y = make_data(counts=(n, 20, 25))
    X[0][:, 1] = constant
    match = r"features of task 0 are collinear or constant: leave out column 1 \(constant\)"
    with pytest.raises(ValueError, match=match):
        estimate_problem(X, y)


def test_refuses_values_that_are_not_finite():
    for bad in (np.nan, np.inf):
        X, y = make_data()
        X[1][3, 2] = bad
        with pytest.raises(ValueError, match=r"X_list\[1\] must be finite"):
            estimate_problem(X, y)
        with pytest.raises(ValueError, match="X must be finite"):
            safe_combination(X[1], y[1], W[0])
        X, y = make_data()
        y[2][0] = bad
        with pytest.raises(ValueError, match=r"y_list\[2\] must be finite"):
            estimate_problem(X, y)
        with pytest.raises(ValueError, match="auxiliary_coefficients must be finite"):
            safe_combination(X[0], y[0], [0, bad, 0])


def test_refuses_shapes_that_do_not_fit():
    X, y = make_data()
    with pytest.raises(ValueError, match=r"X_list\[1\] must have shape"):
        estimate_problem([X[0], X[1][:, :2], X[2]], y)
    with pytest.raises(ValueError, match=r"y_list\[0\] must have shape \(14,\)"):
        estimate_problem(X, [y[0][:-1], *y[1:]])
    with pytest.raises(ValueError, match="covariance must have shape"):
        estimate_problem(X, y, covariance=np.eye(2))
    with pytest.raises(ValueError, match="auxiliary_coefficients must have shape"):
        safe_combination(X[0], y[0], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"y must have shape \(14,\)"):
        safe_combination(X[0], y[0][:-1], W[1])


def test_refuses_matrices_that_are_no_covariance():
    X, y = make_data()
    with pytest.raises(ValueError, match="covariance must not be singular"):
        estimate_problem(X, y, covariance=np.diag([1.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match=r'covariance must be "main", "all" or a matrix, got'):
        estimate_problem(X, y, covariance="pooled")
    with pytest.raises(ValueError, match="covariance must be symmetric"):
        estimate_problem(X, y, covariance=np.eye(3) + np.eye(3, k=1) / 2)


@pytest.mark.parametrize("level", [0, 1, -0.5, 95, np.nan, "a", True])
def test_refuses_levels_that_are_no_probability(level):
    with pytest.raises(ValueError, match="level must be a number between 0 and 1"):
        estimate_problem(*make_data(), level=level)


# --- the safe combination ------------------------------------------------------------------


def test_safe_combination_by_hand():
    X = np.vstack([np.eye(3), np.zeros((2, 3))])
    y = np.array([1.0, 2.0, 3.0, 1.0, -1.0])  # a fit (1, 2, 3), residuals of square 2
    safe = safe_combination(X, y, [1, 2, 5], fit_intercept=False)
    # (d - 2) RSS / ((n - d + 2) |difference|^2) = 2 / (4 * 4)
    assert safe.weight == pytest.approx(1 / 8)
    assert_allclose(safe.coefficients, [1, 2, 3.25])
    assert_allclose(safe.main_coefficients, [1, 2, 3])
    assert safe.status == "bound"
    assert safe.note == ""
    near = safe_combination(X, y, [1, 2, 3.5], fit_intercept=False)
    assert near.weight == 1
    assert_allclose(near.coefficients, [1, 2, 3.5])


def test_safe_combination_with_an_intercept_has_one_row_less():
    X, y = make_data()
    safe = safe_combination(X[0], y[0], [9.0, 9.0, 9.0])
    rows, target = centre(X[0]), centre(y[0])
    w = np.linalg.lstsq(rows, target, rcond=None)[0]
    rss = np.sum((target - rows @ w) ** 2)
    weight = rss / ((13 - 3 + 2) * np.sum((rows @ (9.0 - w)) ** 2))
    assert 0 < weight < 1
    assert safe.weight == pytest.approx(weight)
    assert_allclose(safe.coefficients, w + weight * (9.0 - w))


def test_safe_combination_with_the_same_coefficients():
    X, y = make_data()
    main = safe_combination(X[0], y[0], W[1]).main_coefficients
    safe = safe_combination(X[0], y[0], main)
    assert safe.weight == 1
    assert_array_equal(safe.coefficients, main)


def test_without_noise_the_main_task_is_kept():
    X = np.vstack([np.eye(3), np.zeros((2, 3))])
    y = np.array([1.0, 2.0, 3.0, 0.0, 0.0])
    assert safe_combination(X, y, [1, 2, 5], fit_intercept=False).weight == 0


@pytest.mark.parametrize("d", [1, 2])
def test_nothing_is_safe_with_less_than_three_features(d):
    X, y = make_data()
    rows = X[0][:, :d]
    safe = safe_combination(rows, y[0], np.full(d, 0.1))
    assert safe.weight == 0
    assert_array_equal(safe.coefficients, safe.main_coefficients)
    assert "less than three features" in safe.note
    w = np.linalg.lstsq(centre(rows), centre(y[0]), rcond=None)[0]
    assert_allclose(safe.coefficients, w)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("d", [3, 4, 8])
def test_safe_combination_is_never_worse_than_the_main_task(d, fit_intercept):
    rng = np.random.default_rng(d)
    X = rng.standard_normal((d + 6, d)) * 10 ** rng.uniform(-1, 1, size=d)
    rows = centre(X) if fit_intercept else X
    w = rng.standard_normal(d)
    direction = np.linalg.solve(rows.T @ rows + np.eye(d), rng.standard_normal(d))
    direction /= np.linalg.norm(rows @ direction)
    gains = []
    for shift in (0.0, 1.0, 3.0, 10.0):
        auxiliary = w + shift * direction
        differences = np.zeros(700)
        for i in range(len(differences)):
            y = X @ w + rng.standard_normal(len(X))
            safe = safe_combination(X, y, auxiliary, fit_intercept=fit_intercept)
            own = np.sum((rows @ (safe.main_coefficients - w)) ** 2)
            differences[i] = np.sum((rows @ (safe.coefficients - w)) ** 2) - own
        error = differences.std(ddof=1) / np.sqrt(len(differences))
        assert differences.mean() <= 4 * error
        gains.append(-differences.mean())
    # Not by doing nothing: near coefficients gain most.
    assert gains[0] > 0.3
    assert gains[0] > gains[2]


def test_table_of_a_safe_combination():
    X, y = make_data()
    safe = safe_combination(X[0], y[0], W[1])
    frame = safe.to_frame()
    names = ["coefficients", "weight", "main_coefficients", "features", "status", "note"]
    assert list(frame.columns) == names
    assert frame["weight"][0] == safe.weight
    line = estimate_problem(X, y).together.to_frame()
    assert list(line.columns) == [
        *("tasks", "benefit", "standard_error"),
        *("p_helps", "p_hurts", "verdict", "status"),
    ]


@pytest.mark.parametrize("fit_intercept", [2, "no", None])
def test_whether_there_is_an_intercept_is_yes_or_no(fit_intercept):
    X, y = make_data()
    with pytest.raises(TypeError, match="fit_intercept must be True or False, got"):
        estimate_problem(X, y, fit_intercept=fit_intercept)
    with pytest.raises(TypeError, match="fit_intercept must be True or False, got"):
        safe_combination(X[0], y[0], W[1], fit_intercept=fit_intercept)


@pytest.mark.parametrize("covariance", ["main", "all"])
def test_very_different_units_of_features_do_not_matter(covariance):
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((n, 3)) for n in (30, 40)]
    y = [rows @ np.ones(3) + rng.standard_normal(len(rows)) for rows in X]
    units = np.array([1e-12, 1.0, 1e12])
    plain = estimate_problem(X, y, covariance=covariance)
    scaled = estimate_problem([rows * units for rows in X], y, covariance=covariance)
    assert_allclose(scaled.coefficients * units, plain.coefficients, rtol=1e-9)
    for one, other in zip(scaled.each, plain.each, strict=True):
        assert_allclose(one.benefit, other.benefit, rtol=1e-9)
        assert_allclose([one.p_helps, one.p_hurts], [other.p_helps, other.p_hurts], rtol=1e-9)
    assert_allclose(scaled.shift_gram, plain.shift_gram, rtol=1e-9)
