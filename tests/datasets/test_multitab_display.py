import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.datasets import MultiTabDisplay, make_multitab_bench


def make_display(**params):
    X, Y, truth = make_multitab_bench(
        300, return_truth=True, random_state=0, **{"n_tasks": 5} | params
    )
    return MultiTabDisplay.from_data(X, Y, truth), X, Y, truth


def test_realised_correlation_uses_the_rows_with_both_labels():
    display, _, Y, _ = make_display(missing_labels=0.3)
    both = ~np.isnan(Y[:, 1]) & ~np.isnan(Y[:, 3])
    expected = np.corrcoef(Y[both, 1], Y[both, 3])[0, 1]
    assert_allclose(display.realised_correlation[1, 3], expected)
    assert_allclose(display.realised_correlation.diagonal(), 1)


@pytest.mark.parametrize("n_tasks", [1, 4, 5, 12])
def test_plot_shows_maps_and_tasks(n_tasks):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    types = (["regression", "binary"] * n_tasks)[:n_tasks]
    display, X, Y, truth = make_display(
        n_tasks=n_tasks, task_types=types, n_outlier_tasks=min(1, n_tasks - 1)
    )
    assert display.plot() is display
    assert len(display.axes_) == 2 + n_tasks
    asked, realised, *panels = display.axes_
    assert_allclose(asked.images[0].get_array(), truth.target_correlation)
    assert_allclose(realised.images[0].get_array(), display.realised_correlation)
    scores = truth.latent_scores(X)
    for task, panel in enumerate(panels):
        assert_array_equal(panel.lines[0].get_xdata(), scores[:, task])
        assert_array_equal(panel.lines[0].get_ydata(), Y[:, task])
        assert len(panel.lines) == (2 if types[task] == "regression" else 1)
        assert ("outlier" in panel.get_title()) == (task in truth.outlier_tasks)
    display.figure_.canvas.draw()
    pyplot.close(display.figure_)


def test_frames_are_taken_and_wrong_shapes_refused():
    display, X, Y, truth = make_display()
    from_frames = MultiTabDisplay.from_data(pd.DataFrame(X), pd.DataFrame(Y), truth)
    assert_array_equal(from_frames.targets, display.targets)
    with pytest.raises(ValueError, match=r"Y must have shape \(300, 5\), got \(300, 4\)"):
        MultiTabDisplay.from_data(X, Y[:, :4], truth)


def test_without_matplotlib_the_error_says_what_to_install(monkeypatch):
    display = make_display()[0]
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"rmtgb\[plot\]"):
        display.plot()
