"""When does sharing help? The three sweeps of the generator's paper, with three models.

    python benchmarks/sharing_sweeps.py                 # draws docs/images/sharing_sweeps.png
    python benchmarks/sharing_sweeps.py --seeds 1

MultiTab-Bench (arXiv 2511.09970) with one dial turned at a time: the number of tasks, the
cosine of their weights, the degree of their polynomials. The others stay at 8 tasks, cosine
0.8 and degree 2. Each task has about 200 labels to learn from, mostly of samples that no other
task has a label of, and noise of 0.3 standard deviations. R-MTGB has its default settings, the
pooled and the single-task model are settings of the same estimator.

The figure is the root mean squared error against the noise-free targets of 2000 new samples, in
standard deviations of the noise-free target, mean over tasks; the band is its standard error
over seeds. So 0 is perfect, 1 is as good as the mean, and what noise forbids is left out.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances
from _methods import POOLED, SINGLE

from rmtgb import RMTGBRegressor
from rmtgb.datasets import make_multitab_bench, to_long

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "sharing_sweeps.png"
MODELS = {"R-MTGB": {}, "pooled": POOLED, "single-task": SINGLE}
COLORS = {"R-MTGB": "#d1495b", "pooled": "#8a8a8a", "single-task": "#3b7dd8"}

N_FEATURES, LABELS_PER_TASK, TEST_SAMPLES, NOISE = 16, 200, 2000, 0.3
FIXED = {"n_tasks": 8, "correlation": 0.8, "degrees": 2}
SWEEPS = {
    "n_tasks": (2, 4, 8, 16),
    "correlation": (0.0, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0),
    "degrees": (1, 2, 3, 4),
}
LABELS = {
    "n_tasks": "number of tasks",
    "correlation": "cosine of weights",
    "degrees": "degree of the polynomials",
}


def make_data(dials, seed):
    """Return long training data, new samples and their noise-free targets, all standardised."""
    n_tasks = dials["n_tasks"]
    clean = make_multitab_bench(1, n_features=N_FEATURES, noise=0.0, return_truth=True, **dials)[2]
    scale = np.sqrt(clean.target_variance)
    # Most samples have a label of one task only: that many samples give each its labels.
    n_samples = n_tasks * LABELS_PER_TASK
    X, Y, truth = make_multitab_bench(
        n_samples + TEST_SAMPLES,
        n_features=N_FEATURES,
        noise=NOISE * scale,
        missing_labels=1 - 1 / n_tasks,
        as_frame=True,
        return_truth=True,
        random_state=seed,
        **dials,
    )
    X_long, y, _ = to_long(X[:n_samples], Y[:n_samples] / scale)
    X_new = X[n_samples:]
    return X_long, y, X_new, truth.noise_free_targets(X_new) / scale


def errors(dials, seed):
    """Return the error of each model, mean over tasks."""
    X, y, X_new, Y_new = make_data(dials, seed)
    result = {}
    for name, settings in MODELS.items():
        model = RMTGBRegressor(task_feature="task", random_state=seed, **settings).fit(X, y)
        per_task = [
            np.sqrt(np.mean((model.predict(X_new.assign(task=task)) - Y_new[:, task]) ** 2))
            for task in range(dials["n_tasks"])
        ]
        result[name] = np.mean(per_task)
    return result


def sweep(n_seeds):
    """Return a table with a line per dial, value and seed."""
    lines = []
    for dial, values in SWEEPS.items():
        for value in values:
            for seed in range(n_seeds):
                found = errors(FIXED | {dial: value}, seed)
                lines.append({"dial": dial, "value": value, "seed": seed} | found)
            means = pd.DataFrame(lines[-n_seeds:])[list(MODELS)].mean()
            print(f"{dial:12s} {value:6g}  {means.round(3).to_dict()}", flush=True)
    return pd.DataFrame(lines)


def draw(table):
    """Return the figure: a panel per dial."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(10.5, 3.4), sharey=True, layout="constrained")
    for axis, (dial, group) in zip(panels, table.groupby("dial", sort=False), strict=True):
        by_value = group.groupby("value")[list(MODELS)]
        mean, error = by_value.mean(), by_value.sem()
        for name, color in COLORS.items():
            axis.plot(mean.index, mean[name], "o-", color=color, label=name, markersize=4)
            band = mean[name] - error[name], mean[name] + error[name]
            axis.fill_between(mean.index, *band, color=color, alpha=0.2, linewidth=0)
        axis.set_xlabel(LABELS[dial])
        axis.spines[["top", "right"]].set_visible(False)
    panels[0].set_xscale("log", base=2)
    for axis, dial in ((panels[0], "n_tasks"), (panels[2], "degrees")):
        axis.set_xticks(SWEEPS[dial], [str(value) for value in SWEEPS[dial]])
    panels[0].set_ylabel("error / sd of target")
    panels[0].set_ylim(0, 1.05)  # 1 is the error of the mean; the axis is shared
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3, frameon=False)
    return figure


def main():
    """Run the sweeps, print their means and draw them."""
    parser = argparse.ArgumentParser(description="When does sharing help?")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    print_circumstances()
    table = sweep(options.seeds)
    print(table.groupby(["dial", "value"], sort=False)[list(MODELS)].mean().round(3).to_string())
    draw(table).savefig(options.output, dpi=150, facecolor="white")


if __name__ == "__main__":
    main()
