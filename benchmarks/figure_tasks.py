"""Draw what the linear part and descriptors of tasks do: ``python benchmarks/figure_tasks.py``.

Sixty tasks of eight rows each, whose target has a slope of their own and a bend that all share.
Left: what is predicted for three of them, with the linear part and without. Right: the first
descriptor of every task beside its true slope. Needs the ``plot`` extra.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from rmtgb import RMTGBRegressor

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "tasks.png"
COLORS = ("#3b7dd8", "#d1495b", "#66a182")
GREY = "#8a8a8a"
N_TASKS, N_ROWS, NOISE = 60, 8, 0.3


def bend(x):
    """Return what all tasks have in common."""
    return np.sin(2.0 * x)


def generate():
    """Return slopes of tasks, and x, task and target of their rows."""
    rng = np.random.default_rng(0)
    slope, task = rng.normal(size=N_TASKS), np.repeat(np.arange(N_TASKS), N_ROWS)
    x = rng.uniform(-2.0, 2.0, task.size)
    return slope, x, task, slope[task] * x + bend(x) + NOISE * rng.normal(size=task.size)


def fit(x, task, y, **parameters):
    return RMTGBRegressor(random_state=0, **parameters).fit(x[:, None], y, task=task)


def draw_predictions(axis, slope, x, task, y):
    """Draw three tasks: rows, truth, and predictions of two models."""
    grid = np.linspace(-2.0, 2.0, 200)
    with_it = fit(x, task, y, task_baseline="linear")
    without = fit(x, task, y, task_baseline="shrunken", task_descriptors=False)
    for one, color in zip(np.argsort(slope)[[3, 30, 56]], COLORS, strict=True):
        rows, label = task == one, np.full(grid.size, one)
        axis.plot(x[rows], y[rows], "o", color=color, markersize=4)
        axis.plot(grid, slope[one] * grid + bend(grid), "--", color=color, linewidth=0.9)
        for model, width, alpha in ((with_it, 1.8, 1.0), (without, 1.0, 0.55)):
            prediction = model.predict(grid[:, None], task=label)
            axis.plot(grid, prediction, color=color, linewidth=width, alpha=alpha)
    for name, style in (
        ("truth", {"linestyle": "--", "linewidth": 0.9}),
        ("with the linear part", {"linewidth": 1.8}),
        ("without", {"linewidth": 1.0, "alpha": 0.55}),
    ):
        axis.plot([], [], color=GREY, label=name, **style)
    axis.legend(frameon=False, fontsize=8)
    axis.set(xlabel="x", ylabel="target", title="Three tasks of eight rows each")


def draw_descriptors(axis, slope, x, task, y):
    """Draw what describes each task beside what is true of it."""
    model = fit(x, task, y, task_baseline="shrunken", task_descriptors=True)
    axis.plot(slope, model.task_descriptors_[:, 0], "o", color=COLORS[0], markersize=4)
    axis.axhline(0.0, color=GREY, linewidth=0.6)
    axis.set(xlabel="true slope of the task", ylabel="first descriptor", title="All sixty tasks")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=TARGET, metavar="FILE.png")
    options = parser.parse_args()
    data = generate()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    draw_predictions(left, *data)
    draw_descriptors(right, *data)
    figure.savefig(options.output, dpi=150)


if __name__ == "__main__":
    main()
