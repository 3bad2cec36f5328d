"""Verdicts on pooling: the distribution behind them, the metric, level and power."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import f, ncf, ncx2

from rmtgb.transfer import estimate_problem, optimal_weights, pooled_error
from rmtgb.transfer.verdicts import adjusted, chance_positive

CANNOT_TELL = "cannot tell at this sample size"


def draw(rng, d, n, n_other, shift=0.0, spread=1.0):
    X = [rng.standard_normal((n, d)), rng.standard_normal((n_other, d)) * spread]
    y = [rng.standard_normal(n), X[1] @ np.broadcast_to(shift, d) + rng.standard_normal(n_other)]
    return X, y


# --- the distribution ----------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    d=st.integers(1, 60),
    freedom=st.floats(0.8, 1e4),
    ratio=st.floats(0.01, 50),
    noncentrality=st.floats(0, 1e4),
)
def test_chance_is_that_of_a_noncentral_f(d, freedom, ratio, noncentrality):
    scales = np.append(np.ones(d) / d, -ratio / freedom)
    chance = chance_positive(
        scales, np.append(np.ones(d), freedom), np.append(noncentrality, np.zeros(d))
    )
    small = noncentrality < 1e-3  # where that of scipy is not accurate
    expected = f.sf(ratio, d, freedom) if small else ncf.sf(ratio, d, freedom, noncentrality)
    # scipy's own accuracy is the limit of this comparison
    assert chance == pytest.approx(expected, abs=1e-3 if small else 1e-6)


def test_chance_of_unequal_scales():
    rng = np.random.default_rng(0)
    scales, freedom = np.array([3.0, 1.0, 0.2, -0.7]), np.array([1.0, 1.0, 1.0, 4.5])
    noncentrality = np.array([0.0, 2.0, 0.0, 0.0])
    drawn = rng.noncentral_chisquare(freedom, noncentrality, (200_000, 4)) @ scales
    chance = chance_positive(scales, freedom, noncentrality)
    assert chance == pytest.approx(np.mean(drawn > 0), abs=4 * 0.5 / np.sqrt(200_000))


def test_adjustment_by_hand():
    assert_allclose(adjusted(np.array([0.03, 0.01, 0.5])), [0.06, 0.03, 0.5])
    assert_allclose(adjusted(np.array([0.04, 0.03, 0.9])), [0.09, 0.09, 0.9])  # monotone
    assert_allclose(adjusted(np.array([0.6, 0.7])), [1.0, 1.0])


def test_one_feature_by_hand():
    # A balanced design, noise known nearly exactly: a noncentral chi-squared variable.
    rng = np.random.default_rng(0)
    n, n_other = 20_000, 2_000_000
    x, x_other = np.tile([1.0, -1.0], n // 2), np.tile([1.0, -1.0], n_other // 2)
    X = [x[:, None], x_other[:, None]]
    y = [rng.standard_normal(n), x_other * 0.001 + rng.standard_normal(n_other)]
    line = estimate_problem(X, y, fit_intercept=False).together
    distance2 = (x @ y[0] / n - x_other @ y[1] / n_other) ** 2
    expected = ncx2.cdf(n * distance2, 1, 1)
    assert line.p_helps == pytest.approx(expected, rel=0.05)
    assert line.p_hurts == pytest.approx(1 - expected, rel=0.05)


# --- the metric ----------------------------------------------------------------------------


def test_covariate_shift_does_not_mislead():
    # The others' features are wide where tasks agree and narrow where they differ.
    spread, shift = np.repeat([10.0, 0.3], [15, 5]), np.repeat([0.0, 1.0], [15, 5])
    rng = np.random.default_rng(0)
    found = {"main": [], "all": []}
    for _ in range(20):
        data = draw(rng, 20, 60, 2000, shift, spread)
        for covariance, verdicts in found.items():
            with pytest.warns(UserWarning, match="Features vary otherwise in the main task"):
                estimate = estimate_problem(*data, covariance=covariance)
            verdicts.append(estimate.together.verdict)
        assert "Features vary otherwise" in estimate.note
        assert "Features vary otherwise" in repr(estimate)
    assert found["main"].count("hurts") >= 15
    assert "helps" not in found["main"]
    assert "hurts" not in found["all"]


def test_covariances_that_cancel_give_a_warning():
    rng = np.random.default_rng(0)
    spread = np.array([1.7, 0.1, 1.7, 0.1])
    X = [rng.standard_normal((200, 4)) for _ in range(3)]
    X[1], X[2] = X[1] * spread, X[2] * spread[[1, 0, 3, 2]]
    with pytest.warns(UserWarning, match=r"in the main task than in task 1 \(and 1 more\)"):
        estimate_problem(X, [rng.standard_normal(200) for _ in X])


def test_equal_covariances_give_no_warning():
    rng = np.random.default_rng(1)
    with warnings.catch_warnings(action="error"):
        for d, n in ((1, 3), (3, 5), (10, 14), (10, 200)):
            for _ in range(10):
                assert estimate_problem(*draw(rng, d, n, 60)).note == ""
        for _ in range(20):  # and several tasks, of few rows some
            X = [rng.standard_normal((int(rng.integers(7, 60)), 4)) for _ in range(12)]
            assert estimate_problem(X, [rng.standard_normal(len(rows)) for rows in X]).note == ""


def test_all_results_say_the_same_of_the_main_task_alone():
    rng = np.random.default_rng(2)
    estimate = estimate_problem(*draw(rng, 4, 20, 60, 0.3))
    own = estimate.main_only_error
    assert own == pytest.approx(estimate.problem.noise_variance[0] * 4 / (19 - 4 - 1))
    assert own == pytest.approx(pooled_error(estimate.problem).main_only_error)
    assert own == pytest.approx(optimal_weights(estimate.problem).main_only_error)
    one_residual_row = estimate_problem(*draw(rng, 4, 6, 60))
    assert np.isfinite(one_residual_row.main_only_error)
    given = estimate_problem(*draw(rng, 4, 20, 60), covariance=np.eye(4))
    inflated = given.problem.noise_variance[0] * 4 / (19 - 4 - 1)
    assert given.main_only_error != pytest.approx(inflated, rel=1e-3)


def test_benefit_is_that_on_new_rows():
    # On average over designs too, not only for the rows that were fitted.
    rng = np.random.default_rng(4)
    differences = []
    for _ in range(1500):
        X, y = draw(rng, 4, 16, 60, 0.3)
        estimate = estimate_problem(X, y, fit_intercept=False)
        own = np.linalg.lstsq(X[0], y[0], rcond=None)[0]
        pooled = np.linalg.lstsq(np.vstack(X), np.concatenate(y), rcond=None)[0]
        differences.append(own @ own - pooled @ pooled - estimate.together.benefit)
    error = np.std(differences) / np.sqrt(len(differences))
    assert abs(np.mean(differences)) < 4 * error


def test_verdicts_do_not_depend_on_the_basis_of_the_features():
    rng = np.random.default_rng(5)
    X, y = draw(rng, 4, 20, 60, 0.3)
    T = rng.standard_normal((4, 4))
    one = estimate_problem(X, y).together
    other = estimate_problem([rows @ T + 7.0 for rows in X], y).together
    for name in ("benefit", "standard_error", "p_helps", "p_hurts"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-6)


def test_benefit_needs_no_equal_noise_of_the_main_rows():
    # The noise grows with the feature: least squares alone is three times as uncertain as its
    # residual variance says.
    rng = np.random.default_rng(6)
    X = [rng.standard_normal((80, 1)), rng.standard_normal((4000, 1))]
    benefits, true = [], []
    for _ in range(600):
        y = [X[0][:, 0] * rng.standard_normal(80), rng.standard_normal(4000)]
        estimate = estimate_problem(X, y, fit_intercept=False, covariance=[[1.0]])
        benefits.append(estimate.together.benefit)
        own = (X[0].T @ y[0])[0] / np.sum(X[0] ** 2)
        both = np.vstack(X)[:, 0] @ np.concatenate(y) / np.sum(np.vstack(X) ** 2)
        true.append(own**2 - both**2)
    # Squared residuals are pulled down by rows with a large influence, here by a fifth; equal
    # noise of all rows would make it a third.
    assert 0.65 * np.mean(true) < np.mean(benefits) < 1.15 * np.mean(true)


# --- level and power -----------------------------------------------------------------------


@pytest.mark.parametrize(("d", "n"), [(1, 60), (3, 60), (10, 30)])
def test_equal_tasks_are_found_as_often_as_can_be(d, n):
    # The most that any test of 4 % finds, for balanced designs and infinitely many other rows.
    most = ncx2.cdf(ncx2.ppf(0.04, d, d), d, 1e-9)
    rng = np.random.default_rng(d)
    told = [estimate_problem(*draw(rng, d, n, 10 * n)).together.verdict for _ in range(500)]
    error = np.sqrt(most * (1 - most) / 500)
    assert told.count("helps") / 500 > 0.85 * most - 3 * error
    assert told.count("hurts") == 0


def test_distant_tasks_are_found():
    rng = np.random.default_rng(7)
    told = [estimate_problem(*draw(rng, 3, 60, 600, 0.5)).together.verdict for _ in range(50)]
    assert told.count("hurts") > 40
    assert "helps" not in told


def noise_scale(kind, rows):
    size = np.abs(rows[:, 0])
    return {"growing": size, "falling": 1 / (0.3 + size)}.get(kind, np.ones(len(rows)))


def draw_noise(rng, kind, rows):
    n = len(rows)
    if kind == "t":
        return rng.standard_t(3, n) / np.sqrt(3)
    far = np.where(rng.random(n) < 0.05, 10, 1) / np.sqrt(5.95) if kind == "outliers" else 1.0
    return noise_scale(kind, rows) * far * rng.standard_normal(n)


def break_even_shift(X, noise, direction):
    """Return the shift in a direction that makes pooling neither better nor worse, 0 if worse."""
    centred = [rows - rows.mean(axis=0) for rows in X]
    moments = [rows.T @ rows for rows in centred]
    of_noise = [
        (a.T * noise_scale(noise, rows) ** 2) @ a for a, rows in zip(centred, X, strict=True)
    ]
    own, both = np.linalg.inv(moments[0]), np.linalg.inv(sum(moments))
    gain = np.trace(own @ of_noise[0] @ own) - np.trace(both @ sum(of_noise) @ both)
    return direction * np.sqrt(max(gain, 0.0)) / np.linalg.norm(both @ moments[1] @ direction)


@pytest.mark.parametrize("noise", ["t", "outliers", "growing", "falling"])
@pytest.mark.parametrize(
    ("d", "n", "n_other", "n_draws"), [(1, 4, 40, 2000), (3, 5, 40, 400), (10, 22, 100, 400)]
)
def test_noise_of_other_kinds_keeps_the_level(d, n, n_other, n_draws, noise):
    rng = np.random.default_rng(8)
    wrong = 0
    for _ in range(n_draws):
        X = [rng.standard_normal((rows, d)) for rows in (n, n_other)]
        shift = break_even_shift(X, noise, rng.standard_normal(d))
        y = [draw_noise(rng, noise, X[0]), X[1] @ shift + draw_noise(rng, noise, X[1])]
        wrong += estimate_problem(X, y).together.verdict != CANNOT_TELL
    assert wrong / n_draws < 0.05 + 3 * np.sqrt(0.05 * 0.95 / n_draws)


@pytest.mark.parametrize(
    ("d", "n", "n_other"), [(1, 40, 10), (3, 60, 600), (3, 40, 10), (3, 60, 6), (10, 40, 13)]
)
def test_noise_in_the_direction_of_the_shift_keeps_the_level(d, n, n_other):
    """Noise grows with the feature in which the tasks differ: there D is noisiest.

    Few rows of the other task say little of how noisy; they had 7 to 14 % of wrong verdicts.
    """
    rng, wrong, n_draws = np.random.default_rng(10), 0, 1000
    for _ in range(n_draws):
        X = [rng.standard_normal((rows, d)) for rows in (n, n_other)]
        y = [draw_noise(rng, "growing", rows) for rows in X]
        shift = break_even_shift(X, "growing", np.eye(d)[0])
        y[1] += X[1] @ shift
        verdict = estimate_problem(X, y).together.verdict
        wrong += verdict == "helps" or (verdict == "hurts" and shift.any())
    assert wrong / n_draws < 0.05 + 2 * np.sqrt(0.05 * 0.95 / n_draws)


def test_a_constant_target_allows_no_verdict():
    """Few rows of a rare event: that none is there says little of its noise."""
    rng = np.random.default_rng(11)
    X = [rng.standard_normal((6, 2)), rng.standard_normal((300, 2))]
    y = [np.zeros(6), (rng.random(300) < 0.1) * 1.0]
    estimate = estimate_problem(X, y)
    assert estimate.together.verdict == CANNOT_TELL
    assert "target is constant" in estimate.note


def test_many_tasks_do_not_make_a_wrong_verdict_likely():
    # Forty tasks at the point of break-even: unadjusted, most data had a verdict on one of them.
    rng = np.random.default_rng(9)
    told = 0
    for _ in range(30):
        X = [rng.standard_normal((60, 10))]
        y = [rng.standard_normal(60)]
        for _ in range(40):
            rows, shift = rng.standard_normal((100, 10)), rng.standard_normal(10)
            shift *= np.sqrt(0.33) / np.linalg.norm(shift)
            X.append(rows)
            y.append(rows @ shift + rng.standard_normal(100))
        told += any(line.verdict != CANNOT_TELL for line in estimate_problem(X, y).each)
    assert told <= 5  # 5 % of 30 are 1.5


# --- the edges -----------------------------------------------------------------------------


def test_a_row_that_alone_tells_a_feature_has_no_residual():
    rng = np.random.default_rng(10)
    X, y = draw(rng, 2, 20, 60)
    X[0] = np.column_stack([X[0], np.arange(20) == 3])
    X[1] = np.column_stack([X[1], np.arange(60) % 2])
    with warnings.catch_warnings(action="error", category=RuntimeWarning):
        warnings.filterwarnings("ignore", category=UserWarning)
        line = estimate_problem(X, y).together
    assert np.isfinite([line.benefit, line.standard_error, line.p_helps, line.p_hurts]).all()


def test_no_noise_and_another_truth_is_a_clear_case():
    rng = np.random.default_rng(11)
    X, y = draw(rng, 3, 20, 60, 1.0)
    y[0] = X[0] @ [1.0, 2.0, 3.0]
    line = estimate_problem(X, y).together
    assert (line.p_helps, line.p_hurts, line.verdict) == (1.0, 0.0, "hurts")


def test_no_variation_of_a_target_at_all():
    rng = np.random.default_rng(12)
    X, y = draw(rng, 3, 20, 60, 1.0)
    y = [0 * y[0], 0 * y[1]]
    assert estimate_problem(X, y).together.verdict == CANNOT_TELL


def test_sizes_that_overflow_nothing():
    rng = np.random.default_rng(13)
    X, y = draw(rng, 3, 20, 60, 1.0)
    with warnings.catch_warnings(action="error", category=RuntimeWarning):
        for scale in (1e-59, 1e59):  # targets are allowed to be between 1e-60 and 1e60
            line = estimate_problem(X, [scale * target for target in y]).together
            assert line.verdict == estimate_problem(X, y).together.verdict


@pytest.mark.parametrize("scale", [1e-61, 1e61])
def test_sizes_that_overflow_are_refused(scale):
    X, y = draw(np.random.default_rng(13), 3, 20, 60, 1.0)
    with pytest.raises(ValueError, match=r"target of task 0 .* choose another unit"):
        estimate_problem(X, [scale * target for target in y])


@pytest.mark.parametrize("n_others", [1, 3])
def test_outliers_among_few_rows_of_the_others_do_not_hurt(n_others):
    """One of their rows is far off now and then, which looks like a shift of the whole task."""
    rng, wrong, n_draws = np.random.default_rng(12), 0, 600
    for _ in range(n_draws):
        X, y = [rng.standard_normal((30, 3))], []
        y.append(draw_noise(rng, "outliers", X[0]))
        for _ in range(n_others):
            rows = rng.standard_normal((5, 3))
            shift = break_even_shift([X[0], rows], "outliers", rng.standard_normal(3))
            y.append(rows @ shift + draw_noise(rng, "outliers", rows))
            X.append(rows)
        estimate = estimate_problem(X, y)
        wrong += any(line.verdict != CANNOT_TELL for line in estimate.each)
    assert wrong / n_draws < 0.05
