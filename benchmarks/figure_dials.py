"""Draw what each dial of the generators does: ``python benchmarks/figure_dials.py``.

A panel per dial, with its letter in the table of docs/datasets.md. Needs the ``plot`` extra.
"""

import argparse
import string
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from rmtgb.datasets import TaskDials, make_multitab_bench, make_task_scenario

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "dials.png"
COLORS = ("#3b7dd8", "#d1495b", "#edae49", "#66a182", "#8d6a9f", "#8a8a8a")
GREY = "#8a8a8a"


def generate(dials=None, scenario="related", n_rows=150, **parameters):
    """Return X, y and the truth of a few tasks."""
    sizes = {"n_tasks": 3, "n_fourier": 100, "noise": 0.0, "n_samples_per_task": n_rows}
    given = {"dials": dials, "as_frame": True, "return_truth": True, "random_state": 3}
    return make_task_scenario(scenario, **sizes | given | parameters)


def scatter_by_task(axis, X, x, y):
    """Draw a cloud of points per task."""
    for task, color in zip(X["task"].unique(), COLORS, strict=False):
        rows = X["task"] == task
        axis.plot(x[rows], y[rows], ".", color=color, markersize=2.5)


def features(**dial):
    def draw(axis):
        X, _, _ = generate(TaskDials(**dial))
        scatter_by_task(axis, X, X["x0"], X["x1"])
        axis.set(xlabel="x0", ylabel="x1")

    return draw


def feature_map(dial, share):
    def draw(axis):
        _, _, truth = generate(TaskDials(**{dial: share}), n_tasks=6, n_features=8, n_rows=1)
        mask = vars(truth.traits)[dial.removesuffix("_share")]
        axis.imshow(mask, cmap="Blues", vmin=-0.3, vmax=1.6, aspect="auto")
        axis.set(xlabel="feature", ylabel="task")

    return draw


def categories(axis):
    _, _, truth = generate(TaskDials(n_categorical=1), "outliers", n_tasks=4, n_rows=1)
    for effects, color in zip(truth.traits.category_effects[:, 0], COLORS, strict=False):
        axis.plot(effects, "o-", color=color, markersize=3, linewidth=0.8)
    axis.set(xlabel="c0", ylabel="effect, by group")


def group_features(axis):
    dials = TaskDials(
        n_group_features=1, intraclass_correlation=0.8, between_effect=2, within_effect=-2
    )
    X, y, _ = generate(dials, n_tasks=6, n_rows=60)
    scatter_by_task(axis, X, X["g0"], y)
    axis.set(xlabel="g0", ylabel="y")


def targets(**dial):
    def draw(axis):
        X, y, _ = generate(TaskDials(**dial), n_tasks=6)
        place = X["task"] + np.random.default_rng(0).uniform(-0.3, 0.3, len(X))
        scatter_by_task(axis, X, place, y)
        axis.set(xlabel="task", ylabel="y")

    return draw


def drift(axis):
    _, _, truth = generate(TaskDials(drift=0.6), n_features=1, length_scale=0.4, n_rows=1)
    grid = np.linspace(-1, 1, 100)
    for time, color in zip((0.0, 0.5, 1.0), COLORS, strict=False):
        rows = np.column_stack([grid, np.full_like(grid, time)])
        axis.plot(grid, truth.functions[0](rows), color=color)
        axis.text(1.02, truth.functions[0](rows)[-1], f"{time:g}", color=color, va="center")
    axis.set(xlabel="x0", ylabel="target at time")


def noise_by_task(axis):
    X, y, truth = generate(noise=[0.1, 0.3, 1.0])
    place = X["task"] + np.random.default_rng(0).uniform(-0.3, 0.3, len(X))
    scatter_by_task(axis, X, place, y - truth.noise_free_targets)
    axis.set(xlabel="task", ylabel="noise")


def unequal_noise(axis):
    X, y, truth = generate(TaskDials(heteroscedasticity=1), noise=0.3, n_rows=300)
    axis.plot(X["x0"], y - truth.noise_free_targets, ".", color=COLORS[0], markersize=2)
    axis.set(xlabel="x0", ylabel="noise")


def heavy_tails(axis):
    for dials, color in ((TaskDials(), GREY), (TaskDials(noise_df=2.5), COLORS[1])):
        _, y, truth = generate(dials, noise=1.0, n_rows=5000, n_fourier=1)
        size = np.sort(np.abs(y - truth.noise_free_targets))
        axis.loglog(size, 1 - np.arange(size.size) / size.size, color=color)
    axis.set(xlabel="size of noise", ylabel="share beyond", xlim=(0.1, 40), ylim=(3e-4, 1.2))


def class_prior(axis):
    dials = TaskDials(class_prior=(0.1, 0.3, 0.5, 0.7, 0.9))
    X, y, _ = generate(dials, n_tasks=5, n_rows=1000, classification=True)
    axis.bar(range(5), [y[X["task"] == task].mean() for task in range(5)], color=COLORS[0])
    axis.set(xlabel="task", ylabel="share of class 1", ylim=(0, 1))


def hierarchy(axis):
    _, _, truth = generate(scenario="hierarchy", n_rows=1)
    axis.imshow(truth.function_correlation, cmap="Blues", vmin=0, vmax=1.2)
    axis.set(xlabel="task", ylabel="task")


def multitab(**dials):
    """Return labels of one task of MultiTab-Bench, and their truth."""
    _, Y, truth = make_multitab_bench(
        5000, 1, 2, degrees=1, noise=0.3, return_truth=True, random_state=0, **dials
    )
    return Y[:, 0], truth


def missing(axis):
    complete, _ = multitab()
    labels, _ = multitab(missing_labels=0.4, missing_dependence=2.0)
    groups = [complete[~np.isnan(labels)], complete[np.isnan(labels)]]
    axis.hist(groups, 30, stacked=True, color=[COLORS[0], "#cccccc"])
    axis.set(xlabel="y (grey: missing)", ylabel="labels")


def bars(**dials):
    def draw(axis):
        labels, _ = multitab(**dials)
        axis.bar(*np.unique(labels, return_counts=True), color=COLORS[0])
        axis.set(xlabel="y", ylabel="labels")

    return draw


#: Title and drawing of each panel, in the order of the letters.
PANELS = {
    "feature_shift=1": features(feature_shift=1.0),
    "feature_scale=0.7": features(feature_scale=0.7),
    "feature_correlation=0.9": features(feature_correlation=0.9),
    "relevant_share=0.5": feature_map("relevant_share", 0.5),
    "measured_share=0.5": feature_map("measured_share", 0.5),
    "n_categorical=1": categories,
    "n_group_features=1": group_features,
    "target_shift=3": targets(target_shift=3.0),
    "target_scale=0.7": targets(target_scale=0.7),
    "drift=0.6": drift,
    "noise=(0.1, 0.3, 1)": noise_by_task,
    "heteroscedasticity=1": unequal_noise,
    "noise_df=2.5": heavy_tails,
    "class_prior": class_prior,
    'scenario="hierarchy"': hierarchy,
    "missing_dependence=2": missing,
    'task_types="ordinal"': bars(task_types="ordinal", n_classes=5),
    'task_types="count"': bars(task_types="count"),
}


def main():
    """Draw the picture."""
    parser = argparse.ArgumentParser(description="Draw what each dial does.")
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    plt.rcParams.update({"font.size": 7, "axes.titlesize": 7.5, "axes.spines.top": False})
    plt.rcParams["axes.spines.right"] = False
    figure, axes = plt.subplots(3, 6, figsize=(11, 5.4), layout="constrained")
    pairs = zip(axes.ravel(), PANELS.items(), string.ascii_lowercase, strict=False)
    for axis, (title, draw), letter in pairs:
        draw(axis)
        axis.set_title(f"{letter}  {title}", loc="left")
    figure.savefig(options.output, dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
