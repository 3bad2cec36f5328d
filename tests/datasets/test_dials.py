"""Each dial of a scenario: what it does, against a closed form, and what it leaves alone."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest, norm, t

from rmtgb.datasets import DialledFunction, TaskDials, make_task_scenario

#: Every dial turned, so that one that reads another's stream is noticed.
ALL = TaskDials(
    feature_shift=0.5,
    feature_scale=0.3,
    feature_correlation=0.4,
    relevant_share=0.6,
    measured_share=0.8,
    n_categorical=2,
    n_categories=4,
    categorical_effect=0.7,
    n_group_features=2,
    intraclass_correlation=0.5,
    between_effect=1.5,
    within_effect=-0.5,
    target_shift=2.0,
    target_scale=0.4,
    drift=0.5,
    heteroscedasticity=0.6,
    noise_df=5.0,
)
#: Another value of each, and the traits, columns and noise that it is there to change.
TURNED = {
    "feature_shift": (1.5, {"feature_means", "x"}),
    "feature_scale": (0.1, {"feature_scales", "x"}),
    "feature_correlation": (0.9, {"x"}),
    "relevant_share": (0.2, {"relevant"}),
    "measured_share": (0.4, {"measured", "x"}),
    "n_categorical": (1, {"category_effects", "c"}),
    "n_categories": (7, {"category_effects", "c"}),
    "categorical_effect": (0.1, {"category_effects"}),
    "n_group_features": (1, {"group_means", "g"}),
    "intraclass_correlation": (0.9, {"group_means", "g"}),
    "between_effect": (0.5, set()),
    "within_effect": (0.5, set()),
    "target_shift": (0.5, {"offsets"}),
    "target_scale": (0.1, {"scales"}),
    "drift": (0.9, set()),
    "heteroscedasticity": (0.1, set()),
    "noise_df": (9.0, {"noise"}),
}


def generate(scenario="related", dials=None, **params):
    params = {"n_tasks": 3, "n_samples_per_task": 50, "n_fourier": 20, "noise": 0.3} | params
    params = {"random_state": 0} | params
    return make_task_scenario(scenario, dials=dials, as_frame=True, return_truth=True, **params)


def parts(X, y, truth):
    """Everything that a dial could change, by name."""
    columns = {kind: X.filter(regex=rf"^{kind}\d").to_numpy() for kind in "xcg"}
    columns["time"] = X.filter(["time"]).to_numpy()
    noise = (y - truth.noise_free_targets) / truth.noise_scale
    rows = np.random.default_rng(5).uniform(-1, 1, (7, 5))
    functions = [f.function if isinstance(f, DialledFunction) else f for f in truth.functions]
    values = np.array([function(rows) for function in functions])
    return columns | vars(truth.traits) | {"noise": noise, "functions": values}


# --- all dials ------------------------------------------------------------------------------


def test_every_dial_is_tried():
    assert {*TURNED, "class_prior"} == set(vars(TaskDials()))
    assert all(getattr(ALL, name) != getattr(TaskDials(), name) for name in TURNED)


@pytest.mark.parametrize("scenario", ["outliers", "clusters", "hierarchy"])
def test_dials_where_they_start_change_no_bit(scenario):
    X, y, truth = generate(scenario, n_tasks=4)
    same_X, same_y, _ = generate(scenario, TaskDials(), n_tasks=4)
    pd.testing.assert_frame_equal(X, same_X)
    assert_array_equal(y, same_y)
    assert not any(isinstance(function, DialledFunction) for function in truth.functions)


@pytest.mark.parametrize("name", TURNED)
@pytest.mark.parametrize("base", [ALL, TaskDials()], ids=["all", "none"])
def test_a_dial_leaves_the_bits_of_the_others(base, name):
    value, own = TURNED[name]
    value = getattr(ALL, name) if base == TaskDials() else value
    if base == TaskDials() and name == "drift":
        own = {"time"}
    before = parts(*generate(dials=base))
    after = parts(*generate(dials=replace(base, **{name: value})))
    for part in before.keys() - own:
        # Noise is a difference of targets: equal up to the rounding of that.
        check = assert_allclose if part == "noise" else assert_array_equal
        check(after[part], before[part], **({"atol": 1e-12} if part == "noise" else {}))


@pytest.mark.parametrize("name", TURNED)
def test_a_dial_changes_something(name):
    X, y, _ = generate(dials=ALL)
    other_X, other_y, _ = generate(dials=replace(ALL, **{name: TURNED[name][0]}))
    assert not np.array_equal(y, other_y) or not X.equals(other_X)


@pytest.mark.parametrize("scenario", ["pooled", "independent", "related"])
def test_another_task_changes_nothing_of_the_first_ones(scenario):
    X, y, truth = generate(scenario, ALL, n_tasks=2)
    more_X, more_y, more = generate(scenario, ALL, n_tasks=4)
    pd.testing.assert_frame_equal(more_X[:100], X)
    assert_allclose(more_y[:100], y, rtol=1e-12)  # other batches of matrix products
    assert_array_equal(more.noise_scale[:100], truth.noise_scale)
    for name, trait in vars(truth.traits).items():
        assert_array_equal(getattr(more.traits, name)[: len(trait)], trait)


def test_more_rows_keep_the_first_ones():
    X, y, _ = generate(dials=ALL, n_samples_per_task=30)
    more_X, more_y, _ = generate(dials=ALL, n_samples_per_task=75)
    first = np.tile(np.arange(75) < 30, 3)
    pd.testing.assert_frame_equal(more_X[first].reset_index(drop=True), X)
    assert_allclose(more_y[first], y, rtol=1e-12)


@pytest.mark.parametrize("scenario", ["outliers", "clusters", "hierarchy"])
def test_functions_of_all_columns_give_the_targets(scenario):
    X, y, truth = generate(scenario, replace(ALL, measured_share=1.0), noise=0.0)
    assert_array_equal(truth.noise_free_targets, y)
    for task, function in enumerate(truth.functions):
        rows = X["task"] == task
        assert_array_equal(function(X[rows].drop(columns="task")), y[rows])


def test_columns_and_their_types():
    X, _, truth = generate(dials=ALL)
    names = ["x0", "x1", "x2", "x3", "x4", "c0", "c1", "g0", "g1", "time", "task"]
    assert list(X.columns) == names
    assert X["c0"].cat.categories.tolist() == [0, 1, 2, 3]
    array = make_task_scenario(
        "related", n_tasks=3, n_samples_per_task=50, n_fourier=20, dials=ALL, random_state=0
    )[0]
    assert_array_equal(X.astype(float), array)
    assert truth.dials == ALL


def test_function_refuses_rows_of_another_shape_and_unknown_categories():
    X, _, truth = generate(dials=ALL)
    function = truth.functions[0]
    with pytest.raises(ValueError, match=r"shape \(n, 10\), got \(150, 11\); leave out the task"):
        function(X)
    rows = X.drop(columns="task").astype(float)
    for category in (4.0, -1.0, 0.5, np.nan):
        with pytest.raises(ValueError, match="categories must be integers from 0 to 3"):
            function(rows.assign(c1=category))


def test_reference_has_every_dial_with_its_default():
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    section = text.split("### `TaskDials`")[1].split("###")[0]
    documented = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", section, flags=re.MULTILINE)
    assert dict(documented) == {name: repr(value) for name, value in vars(TaskDials()).items()}


# --- features -------------------------------------------------------------------------------


def test_feature_shift_is_in_standard_deviations_within_a_task():
    X, _, truth = generate(
        "pooled", TaskDials(feature_shift=0.8), n_tasks=1500, n_samples_per_task=30
    )
    means = X.groupby("task")[[f"x{j}" for j in range(5)]].mean().to_numpy()
    # Variance of means over tasks: that of the shift and of the mean of 30 rows.
    assert_allclose(means.var(), (0.8**2 + 1 / 30) / 3, rtol=0.1)  # standard error 1.6 %
    assert_allclose((means - truth.traits.feature_means).std(), 1 / np.sqrt(90), rtol=0.05)


def test_feature_scale_spreads_the_logarithm_of_the_deviation():
    X, _, truth = generate(
        "pooled", TaskDials(feature_scale=0.5), n_tasks=300, n_samples_per_task=200
    )
    deviation = X.groupby("task")["x2"].std().to_numpy() * np.sqrt(3)
    # That of 200 uniform values is right to 3 %.
    assert_allclose(deviation, truth.traits.feature_scales[:, 2], rtol=0.15)
    assert_allclose(np.log(truth.traits.feature_scales).std(), 0.5, rtol=0.1)


@pytest.mark.parametrize("correlation", [0.3, 1.0])
def test_feature_correlation_has_its_size_and_the_signs_of_the_task(correlation):
    X, _, truth = generate(
        dials=TaskDials(feature_correlation=correlation), n_samples_per_task=4000
    )
    for task, signs in enumerate(truth.traits.feature_signs):
        rows = X[X["task"] == task].drop(columns="task")
        expected = np.where(np.eye(5, dtype=bool), 1.0, correlation * np.outer(signs, signs))
        assert_allclose(rows.corr(), expected, atol=0.08)  # standard error 0.016
        assert_allclose(rows.var(), 1 / 3, rtol=0.12)
    assert len(np.unique(truth.traits.feature_signs, axis=0)) == 3


@pytest.mark.parametrize(("share", "count"), [(1e-9, 1), (0.2, 1), (0.4, 2), (0.6, 3), (1.0, 5)])
def test_relevant_share(share, count):
    _, _, truth = generate(dials=TaskDials(relevant_share=share, drift=0.5), n_tasks=20)
    relevant = truth.traits.relevant
    assert_array_equal(relevant.sum(axis=1), count)
    assert count == 5 or len(np.unique(relevant, axis=0)) > 3
    rng = np.random.default_rng(2)
    rows, others = rng.uniform(-1, 1, (2, 40, 6))
    others[:, 5] = rows[:, 5] = rng.random(40)  # the same times
    for mine, function in zip(relevant, truth.functions, strict=True):
        mixed = np.where([*mine, True], rows, others)
        assert_array_equal(function(mixed), function(rows))
        assert not np.array_equal(function(np.where([*mine, True], others, rows)), function(rows))
    fewer = generate(dials=TaskDials(relevant_share=share / 2), n_tasks=20)[2].traits.relevant
    assert np.all(relevant | ~fewer)


def test_measured_share_hides_features_and_nothing_else():
    X, y, truth = generate(dials=TaskDials(measured_share=0.4), n_tasks=20)
    whole_X, whole_y, _ = generate(n_tasks=20)
    hidden = X.isna().to_numpy()[:, :5]
    assert_array_equal(hidden, ~np.repeat(truth.traits.measured, 50, axis=0))
    assert_array_equal(truth.traits.measured.sum(axis=1), 2)
    assert len(np.unique(truth.traits.measured, axis=0)) > 3
    assert_array_equal(y, whole_y)
    assert_array_equal(X.to_numpy()[:, :5][~hidden], whole_X.to_numpy()[:, :5][~hidden])
    assert np.isnan(truth.functions[0](X[:5].drop(columns="task"))).all()


def test_categories_are_equally_likely_and_their_effects_have_their_variance():
    dials = TaskDials(n_categorical=2, n_categories=5, categorical_effect=0.8)
    X, y, truth = generate("outliers", dials, n_tasks=4, n_samples_per_task=2000, noise=0.0)
    _, without, _ = generate("outliers", n_tasks=4, n_samples_per_task=2000, noise=0.0)
    effects = truth.traits.category_effects
    assert effects.shape == (2, 2, 5)  # the outlier tasks have others
    assert_allclose(effects.mean(axis=2), 0, atol=1e-12)
    assert_allclose(effects.var(axis=2), 0.8**2 / 2)
    frequency = np.array([X[name].value_counts(normalize=True) for name in ("c0", "c1")])
    assert_allclose(frequency, 0.2, atol=0.025)  # standard error 0.0045
    group = truth.clusters[X["task"]]
    first, second = X["c0"].astype(int), X["c1"].astype(int)
    expected = effects[group, 0, first] + effects[group, 1, second]
    assert_allclose(y - without, expected, atol=1e-12)
    # Of 8000 rows with a standard error of about 2 %.
    assert_allclose((y - without).var(), 0.8**2, rtol=0.1)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_group_features_have_their_intraclass_correlation(share):
    dials = TaskDials(n_group_features=2, intraclass_correlation=share)
    X, _, truth = generate("pooled", dials, n_tasks=1000, n_samples_per_task=20)
    values = X["g1"].to_numpy().reshape(1000, 20)
    within = values.var(axis=1, ddof=1).mean()
    between = values.mean(axis=1).var(ddof=1) - within / 20  # one-way analysis of variance
    assert_allclose(between, share, atol=0.08)  # standard error < 0.05
    assert_allclose(within, 1 - share, atol=0.05)
    if share == 1:
        assert_array_equal(values, truth.traits.group_means[:, [1]].repeat(20, axis=1))


def test_slopes_between_and_within_tasks():
    dials = TaskDials(
        n_group_features=2, intraclass_correlation=0.5, between_effect=2.0, within_effect=-1.0
    )
    size = {"n_tasks": 40, "n_samples_per_task": 30, "noise": 0.0}
    X, y, truth = generate("pooled", dials, **size)
    added = y - generate("pooled", **size)[1]
    means = truth.traits.group_means[X["task"]]
    design = np.column_stack([means, X[["g0", "g1"]].to_numpy() - means])
    slopes = np.linalg.lstsq(design, added, rcond=None)[0]
    # Over the root of their number: two features have the variance of one.
    assert_allclose(slopes, np.array([2.0, 2.0, -1.0, -1.0]) / np.sqrt(2))


# --- targets --------------------------------------------------------------------------------


def test_target_shift_and_scale():
    _, clean, _ = generate("pooled", n_tasks=1000, n_samples_per_task=2, noise=0.1)
    dials = TaskDials(target_shift=3.0, target_scale=0.5)
    _, y, truth = generate("pooled", dials, n_tasks=1000, n_samples_per_task=2, noise=0.1)
    offsets, scales = truth.traits.offsets.repeat(2), truth.traits.scales.repeat(2)
    _, plain, base = generate("pooled", n_tasks=1000, n_samples_per_task=2, noise=0.1)
    noise = plain - base.noise_free_targets
    assert_array_equal(plain, clean)
    assert_allclose(y, offsets + scales * base.noise_free_targets + noise)
    assert_allclose(truth.traits.offsets.std(), 3.0, rtol=0.12)  # standard error 2.2 %
    assert_allclose(np.log(truth.traits.scales).std(), 0.5, rtol=0.12)
    assert abs(np.corrcoef(truth.traits.offsets, np.log(truth.traits.scales))[0, 1]) < 0.16


def test_drift_turns_functions_by_an_angle():
    rows = np.random.default_rng(3).uniform(-1, 1, (1, 5))
    times = np.array([0.0, 0.3, 1.0])
    at_times = np.column_stack([rows.repeat(3, axis=0), times])
    params = {"n_tasks": 800, "n_samples_per_task": 1}  # each a draw of its own
    functions = generate("independent", TaskDials(drift=0.8), **params)[2].functions
    draws = np.array([function(at_times) for function in functions])
    before = [function(rows)[0] for function in generate("independent", **params)[2].functions]
    assert_allclose(draws[:, 0], before)
    # Standard error of a correlation or variance of 800 draws: 0.035 and 0.05.
    assert_allclose(draws.var(axis=0), 1.0, atol=0.25)
    angles = 0.8 * np.pi / 2 * times
    correlation = np.corrcoef(draws, rowvar=False)
    assert_allclose(correlation, np.cos(angles[:, None] - angles), atol=0.15)


def test_time_is_uniform_and_there_only_with_drift():
    X, _, _ = generate(dials=TaskDials(drift=0.1), n_samples_per_task=1000)
    assert kstest(X["time"], "uniform").pvalue > 1e-3
    assert "time" not in generate()[0]


def test_tasks_of_a_group_drift_together():
    _, _, truth = generate("outliers", TaskDials(drift=1.0), n_tasks=5)
    last = np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 1.0]])
    values = np.array([function(last)[0] for function in truth.functions])
    assert_allclose(values[:3], values[0])
    assert_allclose(values[3:], values[3])
    assert abs(values[0] - values[3]) > 1e-3


# --- noise ----------------------------------------------------------------------------------


def test_noise_of_each_task():
    X, y, truth = generate(noise=[0.0, 0.5, 2.0], n_samples_per_task=3000)
    errors = pd.Series(y - truth.noise_free_targets).groupby(X["task"])
    assert_allclose(errors.std(), [0.0, 0.5, 2.0], rtol=0.06)  # standard error 1.3 %
    assert_array_equal(truth.noise, [0.0, 0.5, 2.0])
    assert_array_equal(truth.noise_scale, np.repeat(truth.noise, 3000))


def test_heteroscedastic_noise_keeps_its_mean_variance():
    dials = TaskDials(heteroscedasticity=0.8, feature_shift=2.0, feature_scale=0.5)
    X, y, truth = generate("pooled", dials, n_samples_per_task=20_000, noise=0.5)
    place = (X["x0"] - truth.traits.feature_means[X["task"], 0]) / truth.traits.feature_scales[
        X["task"], 0
    ]
    assert_allclose(truth.noise_scale, 0.5 * np.sqrt(1 + 0.8 * place))
    square = (y - truth.noise_free_targets) ** 2
    # A uniform place has mean 0, and -1/2 and 1/2 in its halves; standard errors 0.6 and 1 %.
    assert_allclose(square.mean(), 0.25, rtol=0.03)
    assert_allclose(square[place < 0].mean(), 0.25 * 0.6, rtol=0.05)
    assert_allclose(square[place > 0].mean(), 0.25 * 1.4, rtol=0.05)


def test_heteroscedastic_noise_with_correlated_features():
    dials = TaskDials(heteroscedasticity=1.0, feature_correlation=0.5)
    _, _, truth = generate("pooled", dials, n_samples_per_task=20_000, noise=1.0)
    assert truth.noise_scale.min() >= 0
    # The distribution of the place is still symmetric. Standard error 0.2 %.
    assert_allclose(np.square(truth.noise_scale).mean(), 1.0, rtol=0.02)


@pytest.mark.parametrize("df", [2.5, 5.0, 30.0])
def test_heavy_tailed_noise_is_student_s(df):
    size = {"n_tasks": 4, "n_samples_per_task": 5000, "noise": 2.0}
    _, y, truth = generate("pooled", TaskDials(noise_df=df), **size)
    errors = (y - truth.noise_free_targets) / 2.0
    scale = np.sqrt((df - 2) / df)  # so that the standard deviation is one
    assert kstest(errors / scale, t(df).cdf).pvalue > 1e-3
    assert df > 5 or kstest(errors, norm.cdf).pvalue < 1e-6
    # Signs are those of the normal noise without the dial.
    _, plain_y, plain = generate("pooled", **size)
    assert_array_equal(np.sign(errors), np.sign(plain_y - plain.noise_free_targets))


# --- classes --------------------------------------------------------------------------------


def test_class_prior_of_each_task():
    priors = (0.05, 0.5, 0.8)
    dials = replace(ALL, class_prior=list(priors))
    size = {"n_samples_per_task": 10_000, "classification": True}
    X, y, truth = generate(dials=dials, **size)
    assert dials.class_prior == priors
    # Of a limit from 10,000 rows, and of as many labels: 0.7 %.
    assert_allclose(pd.Series(y).groupby(X["task"]).mean(), priors, atol=0.03)
    # The prior sets the limit and nothing else: with a larger share the same rows and more.
    even_X, even_y, even = generate(dials=replace(dials, class_prior=0.5), **size)
    pd.testing.assert_frame_equal(even_X, X)
    assert_array_equal(even.noise_free_targets, truth.noise_free_targets)
    first = X["task"] == 0
    assert np.all(even_y[first] >= y[first])
    assert_array_equal(even_y[X["task"] == 1], y[X["task"] == 1])


def test_without_class_prior_the_limit_is_zero():
    _, y, truth = generate(dials=TaskDials(target_shift=50.0), classification=True)
    assert_array_equal(truth.limits, 0)
    # Offsets move whole tasks across the limit, which is what a class prior prevents.
    assert_array_equal(y, (truth.traits.offsets > 0).repeat(50))


# --- hierarchy ------------------------------------------------------------------------------


def test_hierarchy_is_a_tree():
    _, _, truth = generate("hierarchy", branching=(2, 1, 3))
    assert_array_equal(truth.nodes[:, 0], 0)
    assert_array_equal(truth.nodes[:, 1], [0, 0, 0, 1, 1, 1])
    assert_array_equal(truth.nodes[:, 2], [0, 0, 0, 1, 1, 1])
    assert_array_equal(truth.nodes[:, 3], range(6))
    assert_array_equal(truth.clusters, truth.nodes[:, 1])
    assert_allclose(truth.level_weights, [0.5] * 4)
    for a, b, common in ((0, 1, 3), (0, 3, 1)):
        pairs = zip(truth.functions[a].functions, truth.functions[b].functions, strict=True)
        assert [f is g for f, g in pairs] == [level < common for level in range(4)]


def test_functions_of_a_hierarchy_correlate_as_far_as_they_have_come_together():
    # Nothing in common at the root, so that the 500 groups are independent draws.
    params = {"branching": (500, 2), "level_shares": (0, 6, 4), "n_samples_per_task": 1}
    _, _, truth = generate("hierarchy", **params)
    rows = np.random.default_rng(1).uniform(-1, 1, (1, 5))
    draws = np.reshape([function(rows)[0] for function in truth.functions], (500, 2))
    # Standard error of a covariance of 500 draws: below 0.065.
    assert_allclose(np.cov(draws, rowvar=False), [[1.0, 0.6], [0.6, 1.0]], atol=0.3)
    assert_allclose(truth.function_correlation[:2, :3], [[1.0, 0.6, 0.0], [0.6, 1.0, 0.0]])


def test_hierarchy_of_one_branching_shares_its_root():
    # 300 draws of the root and of two tasks: a standard error of a covariance below 0.09.
    rows = np.random.default_rng(1).uniform(-1, 1, (1, 5))
    draws = []
    for seed in range(300):
        params = {"branching": (2,), "level_shares": (7, 3), "n_samples_per_task": 1}
        _, _, truth = generate("hierarchy", **params, random_state=seed)
        draws.append([function(rows)[0] for function in truth.functions])
        a, b = truth.functions
        assert a.functions[0] is b.functions[0]
    assert_allclose(truth.function_correlation, [[1.0, 0.7], [0.7, 1.0]])
    assert_allclose(np.cov(np.array(draws), rowvar=False), [[1.0, 0.7], [0.7, 1.0]], atol=0.3)


def test_correlation_of_functions_in_other_scenarios():
    mixed = 0.81 / 0.82
    expected = np.full((3, 3), mixed)
    np.fill_diagonal(expected, 1.0)
    assert_allclose(generate("related")[2].function_correlation, expected)
    assert_array_equal(generate("pooled")[2].function_correlation, 1.0)
    assert_array_equal(generate("independent")[2].function_correlation, np.eye(3))
    outliers = generate("outliers", n_tasks=4)[2].function_correlation
    assert_array_equal(outliers[:2, 2:], 0)


def test_hierarchy_leaves_features_and_noise_alone():
    before = parts(*generate(n_tasks=12))
    after = parts(*generate("hierarchy"))
    assert_array_equal(before["x"], after["x"])
    assert_allclose(before["noise"], after["noise"], atol=1e-12)


def test_classes_of_a_hierarchy_are_balanced():
    X, y, _ = generate("hierarchy", classification=True, noise=0.0, level_shares=(1, 1, 1, 3))
    share = pd.Series(y).groupby(X["task"]).mean()
    assert share.between(0.1, 0.9).all()


# --- bad values -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dials", "error", "message"),
    [
        ({"feature_shift": -0.1}, ValueError, r"feature_shift must be in \[0, 1e\+06\], got -0.1"),
        ({"feature_shift": np.nan}, ValueError, "feature_shift must be in"),
        ({"feature_scale": 11}, ValueError, r"feature_scale must be in \[0, 10\], got 11"),
        ({"feature_correlation": 1.1}, ValueError, r"feature_correlation must be in \[0, 1\]"),
        ({"relevant_share": 0}, ValueError, r"relevant_share must be in \(0, 1\], got 0"),
        ({"measured_share": 0}, ValueError, r"measured_share must be in \(0, 1\], got 0"),
        ({"n_categorical": 1.0}, TypeError, "n_categorical must be an integer"),
        ({"n_categories": 1}, ValueError, "n_categories must be >= 2, got 1"),
        ({"categorical_effect": np.inf}, ValueError, "categorical_effect must be in"),
        ({"n_group_features": -1}, ValueError, "n_group_features must be >= 0"),
        ({"intraclass_correlation": -1}, ValueError, r"intraclass_correlation must be in \[0, 1"),
        ({"between_effect": "big"}, TypeError, "between_effect must be a real number"),
        ({"within_effect": True}, TypeError, "within_effect must be a real number"),
        ({"target_shift": -1}, ValueError, "target_shift must be in"),
        ({"target_scale": 1e9}, ValueError, "target_scale must be in"),
        ({"drift": 2}, ValueError, r"drift must be in \[0, 1\], got 2"),
        ({"heteroscedasticity": 1.5}, ValueError, r"heteroscedasticity must be in \[0, 1\]"),
        ({"noise_df": 2}, ValueError, r"noise_df must be in \(2, inf\], got 2"),
        ({"class_prior": 1.0}, ValueError, r"class_prior must be in \(0, 1\), got 1"),
        ({"class_prior": "half"}, TypeError, "class_prior must be a real number"),
        ({"class_prior": [0.5, 0.0]}, ValueError, r"class_prior\[1\] must be in \(0, 1\)"),
        ({"class_prior": [[0.5]]}, ValueError, "class_prior must be a share or a sequence"),
        ({"class_prior": [[0.5], [0.5, 0.5]]}, ValueError, "class_prior must be a share or a se"),
    ],
)
def test_bad_dials(dials, error, message):
    with pytest.raises(error, match=message):
        TaskDials(**dials)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"dials": {"drift": 0.5}}, TypeError, "dials must be a TaskDials object or None"),
        ({"dials": TaskDials(class_prior=0.5)}, ValueError, "unless classification is true"),
        (
            {"dials": TaskDials(class_prior=[0.5, 0.5]), "classification": True},
            ValueError,
            r"class_prior must be a single value .* 3 tasks, got shape \(2,\)",
        ),
        ({"noise": [0.1, 0.2]}, ValueError, r"noise must be a single value .* 3 tasks"),
        ({"noise": [0.1, 0.2, -1]}, ValueError, r"noise\[2\] must be a finite number >= 0"),
        ({"scenario": "hierarchy", "branching": ()}, ValueError, "branching must be a sequence"),
        ({"scenario": "hierarchy", "branching": (2**32, 2**32)}, ValueError, "at most 1000000"),
        (
            {"scenario": "hierarchy", "level_shares": [[1], [2, 3], 1, 1]},
            ValueError,
            "level_shares must have one value for each of the 4 levels",
        ),
        ({"noise": [[1], [2, 3]]}, ValueError, "noise must be a single value or have one for"),
        ({"scenario": "hierarchy", "branching": (2, 0)}, ValueError, r"branching\[1\] must be >="),
        (
            {"scenario": "hierarchy", "level_shares": (1, 1)},
            ValueError,
            r"level_shares must have one value for each of the 4 levels .* got \(1, 1\)",
        ),
        (
            {"scenario": "hierarchy", "level_shares": (1, 1, 1, -1)},
            ValueError,
            r"level_shares\[3\] must be in \[0",
        ),
        (
            {"scenario": "hierarchy", "level_shares": (0, 0, 0, 0)},
            ValueError,
            "level_shares must not all be 0",
        ),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        generate(**params)


def test_the_largest_dials_overflow_nowhere():
    largest = TaskDials(
        feature_shift=1e6, feature_scale=10, categorical_effect=1e6, n_categorical=1,
        n_group_features=1, between_effect=1e6, within_effect=-1e6, target_shift=1e6,
        target_scale=10, noise_df=2.0000001, drift=1, heteroscedasticity=1,
    )  # fmt: skip
    X, y, _ = generate(dials=largest, noise=1e150)  # a warning would be an error
    assert np.isfinite(X.astype(float)).to_numpy().all()
    assert np.isfinite(y).all()
