"""Draw the picture of the README: ``python benchmarks/figure_demo.py``.

The data and models are those of ``rmtgb demo``. Needs the ``plot`` extra. What the picture
is said to show is checked, so that neither can go stale unnoticed.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from rmtgb import RMTGBRegressor
from rmtgb.datasets import make_task_scenario

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "demo.png"
FIT_ROWS, TEST_ROWS = 300, 1000

INK, GRID, BAND = "#222222", "#dddddd", "#fbeee6"
#: Label, marker, colour, and offset from the middle of the row so that none hides another.
MODELS = {
    "pooled": ("one pooled model", "s", "#8a8a8a", -0.22),
    "single_task": ("one model per task", "D", "#3b7dd8", 0.22),
    "rmtgb": ("R-MTGB", "o", "#d1495b", 0.0),
}


def fit_and_score(random_state):
    """Return the table of task scores and the labels of the true outlier tasks."""
    n_rows = FIT_ROWS + TEST_ROWS
    X, y, truth = make_task_scenario(
        "outliers",
        n_samples_per_task=n_rows,
        as_frame=True,
        return_truth=True,
        random_state=random_state,
    )
    is_fit = np.arange(y.size) % n_rows < FIT_ROWS
    model = RMTGBRegressor(task_feature="task", random_state=random_state)
    model.fit(X[is_fit], y[is_fit])
    train = {"X_train": X[is_fit], "y_train": y[is_fit]}
    return model.task_scores(X[~is_fit], y[~is_fit], **train), truth.outlier_tasks


def draw(table, outliers):
    """Return the figure."""
    plt.rcParams.update({"font.size": 10, "text.color": INK, "axes.labelcolor": INK})
    figure, (errors, weights) = plt.subplots(
        1, 2, figsize=(8.4, 4.4), sharey=True, width_ratios=[3.2, 1], layout="constrained"
    )
    position = np.arange(len(table))
    for axes in (errors, weights):
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", color=GRID)
        axes.spines["bottom"].set_color(GRID)
        for row in position[table.index.isin(outliers)]:
            axes.axhspan(row - 0.5, row + 0.5, color=BAND, zorder=0)
    draw_errors(errors, table, position)
    draw_weights(weights, table, position, outliers)
    is_outlier = table.index.isin(outliers)
    words = np.where(is_outlier, "outlier task", "task")
    names = [f"{word} {task}" for word, task in zip(words, table.index, strict=True)]
    errors.set_yticks(position, names)
    errors.set_ylim(len(table) - 0.5, -0.5)
    figure.legend(
        *errors.get_legend_handles_labels(), loc="outside upper center", ncols=3, frameon=False
    )
    return figure


def draw_errors(axes, table, position):
    """Draw the error of every model in every task."""
    axes.hlines(
        position, 0, 1.05 * table[list(MODELS)].max(axis=None), GRID, linewidth=0.8, zorder=1
    )
    for name, (label, marker, color, offset) in MODELS.items():
        axes.scatter(
            table[name],
            position + offset,
            s=70 if name == "rmtgb" else 38,
            color=color,
            marker=marker,
            label=label,
            zorder=2,
            edgecolor="white",
            linewidth=0.8,
        )
    axes.set_xlim(0, 1.05 * table[list(MODELS)].max(axis=None))
    axes.set_xlabel(f"{table.attrs['metric']} on {TEST_ROWS} new rows per task")


def draw_weights(axes, table, position, outliers):
    """Draw the outlier weight of every task."""
    colors = [MODELS["rmtgb"][2] if w > 0.5 else "#c9c9c9" for w in table["outlier_weight"]]
    axes.barh(position, table["outlier_weight"], 0.55, color=colors, zorder=2)
    axes.axvline(0.5, color=INK, linewidth=0.8, linestyle=(0, (3, 3)), zorder=3)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    axes.set_xlabel("outlier weight")


def claims(table, outliers):
    """Return what the README says of the picture, and whether it is so."""
    found = table.index[table["outlier_weight"] > 0.5]
    return {
        "the outlier tasks are found, and no other": list(found) == list(outliers),
        "every task is predicted better than by pooling": (table["rmtgb"] < table["pooled"]).all(),
        "every task is predicted better than by a model of its own": (
            table["rmtgb"] < table["single_task"]
        ).all(),
    }


def main():
    """Draw the picture and check what is said of it."""
    parser = argparse.ArgumentParser(description="Draw the picture of the README.")
    parser.add_argument("--random-state", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    table, outliers = fit_and_score(options.random_state)
    print(table.round(4).to_string())
    options.output.parent.mkdir(parents=True, exist_ok=True)
    draw(table, outliers).savefig(options.output, dpi=160, facecolor="white")
    wrong = [claim for claim, holds in claims(table, outliers).items() if not holds]
    raise SystemExit(f"not so: {'; '.join(wrong)}" if wrong else 0)


if __name__ == "__main__":
    main()
