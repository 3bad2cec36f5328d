import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rmtgb.transfer import (
    LinearTransferProblem,
    TransferDisplay,
    estimate_problem,
    pooled_error,
    weighted_error,
)


def make_problem(n_samples=(10, 12), noise=(1, 1), gram=((1.0,),), d=3):
    return LinearTransferProblem(n_samples, noise, shift_gram=gram, n_features=d)


PROBLEMS = {
    "one": make_problem(),
    "two": make_problem((12, 9, 20), (1, 2, 0.5), ((0.5, 0.1), (0.1, 0.3))),
    "with coefficients": LinearTransferProblem(
        [20, 30], [1, 1], coefficients=[[1, 0], [1.5, 0.5]], covariance=[[2, 0.5], [0.5, 1]]
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_curve_and_marks_are_the_errors(name):
    problem = PROBLEMS[name]
    display = TransferDisplay.from_problem(problem, n_points=21)
    for weight, error in zip(display.weights[::5], display.errors[::5], strict=True):
        weights = [1.0, *[weight] * (problem.n_tasks - 1)]
        assert_allclose(weighted_error(problem, weights).error, error)
    pooled = pooled_error(problem)
    assert_allclose(display.pooled_error, pooled.error)
    assert_allclose(display.main_only_error, pooled.main_only_error)
    assert display.best_error <= display.errors.min() * (1 + 1e-9)
    if np.isfinite(display.break_even_weight):
        weights = [1.0, *[display.break_even_weight] * (problem.n_tasks - 1)]
        assert_allclose(weighted_error(problem, weights).error, display.main_only_error)


def test_break_even_weight_at_its_ends():
    # Without shift and noise no weight hurts; a small one always helps.
    assert (
        TransferDisplay.from_problem(make_problem(gram=[[0]], noise=(1, 0))).break_even_weight
        == np.inf
    )
    # However far the other task is, a small weight helps: the curve reaches down to it.
    far = TransferDisplay.from_problem(make_problem(gram=[[1e6]]))
    assert far.best_error < far.main_only_error
    assert 0 < far.best_weight < far.break_even_weight < 1e-4
    # And up to where much noise in the main task makes large weights good.
    loud = TransferDisplay.from_problem(make_problem(noise=(1e6, 1), gram=[[10.0]]))
    assert loud.break_even_weight > 100


def test_map_is_the_benefit_of_pooling():
    problem = PROBLEMS["two"]
    display = TransferDisplay.from_problem(problem, n_points=9)
    for line, column in ((0, 0), (4, 3), (8, 8)):
        total = display.n_auxiliary[line]
        counts = np.rint(np.array([9, 20]) * total / 29)
        shift = display.shift_factors[column]
        there = LinearTransferProblem(
            [12, *np.maximum(counts, 1)],
            problem.noise_variance,
            shift_gram=problem.gram[1:, 1:] * shift**2,
            n_features=3,
        )
        expected = pooled_error(there).benefit / display.main_only_error
        assert_allclose(display.benefits[line, column], expected)


def test_plot_draws_what_was_computed():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    display = TransferDisplay.from_problem(PROBLEMS["one"], n_points=15)
    assert display.plot() is display
    curve, region = display.axes_
    assert_allclose(curve.lines[0].get_ydata(), display.errors)
    labels = [text.get_text() for text in curve.get_legend().get_texts()]
    assert labels == ["main task only", "pooled", "best weight", "break-even"]
    assert_allclose(curve.lines[3].get_xdata(), display.best_weight)
    drawn = np.asarray(region.collections[0].get_array()).ravel()
    assert_allclose(drawn, np.clip(display.benefits, -1, 1).ravel())
    display.figure_.canvas.draw()
    pyplot.close(display.figure_)


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (make_problem((4, 12)), r"at least 5 main rows and an auxiliary row, got \[4, 12\]"),
        (make_problem((20, 0)), "an auxiliary row"),
        (make_problem(noise=(0, 1)), "noise in the main task"),
        (
            LinearTransferProblem(
                [9, 9], [1, 1], coefficients=np.zeros((2, 2)), test_covariance=2 * np.eye(2)
            ),
            "one covariance",
        ),
    ],
)
def test_other_problems_are_refused(problem, message):
    with pytest.raises(ValueError, match=message):
        TransferDisplay.from_problem(problem)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    display = TransferDisplay.from_problem(PROBLEMS["one"], n_points=5)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"rmtgb\[plot\]"):
        display.plot()


def test_few_points_are_refused_and_the_repr_is_short():
    with pytest.raises(ValueError, match="n_points must be >= 5, got 1"):
        TransferDisplay.from_problem(PROBLEMS["one"], n_points=1)
    display = TransferDisplay.from_problem(PROBLEMS["one"], n_points=5)
    assert repr(display).startswith("TransferDisplay(best_weight=0.19")
    assert len(repr(display)) < 200
    assert hash(display) != hash(TransferDisplay.from_problem(PROBLEMS["one"], n_points=5))


def test_an_estimate_is_not_a_problem():
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((20, 3)) for _ in range(2)]
    estimate = estimate_problem(X, [rng.standard_normal(20) for _ in range(2)])
    for function in (TransferDisplay.from_problem, pooled_error):
        with pytest.raises(TypeError, match=r"got EstimatedProblem; give its \.problem"):
            function(estimate)
