"""Does what helps a linear model also help R-MTGB? ``python benchmarks/transfer_and_rmtgb.py``.

Six linear tasks with 5 features and noise of variance 1, of which the truth is known exactly; task
0 is the main one. Errors are squared, against the noise-free target of 2000 new rows.

*Distance of all tasks*, 60 rows each: the auxiliary tasks have coefficients at a distance from the
main ones, in independent directions. The calculator's figure is the exact error of pooled least
squares, and of the best weights, over that of least squares on the main task alone. R-MTGB's is
its error over that of its single-task setting. Below 1, sharing helps.

*One distant task*, 300 rows each: all tasks are alike but the last. The calculator's figure is the
best weight of its rows, R-MTGB's is its outlier weight: 0 is one of all, 1 an outlier.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances
from _methods import SINGLE

from rmtgb import RMTGBRegressor
from rmtgb.transfer import LinearTransferProblem, optimal_weights, pooled_error

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "transfer_rmtgb.png"
N_TASKS, N_FEATURES, N_NEW = 6, 5, 2000
N_ROWS = {"all": 60, "one": 300}  # of each task, in both parts
DISTANCES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)


def draw_coefficients(rng, distances):
    """Return main coefficients of length 2, and others at given distances."""
    directions = rng.standard_normal((N_TASKS, N_FEATURES))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    W = np.asarray(distances)[:, None] * directions
    return W + 2 * directions[0] - W[0]


def make_data(rng, W, n_rows):
    X = rng.standard_normal((N_TASKS * n_rows, N_FEATURES))
    task = np.repeat(np.arange(N_TASKS), n_rows)
    y = np.einsum("ij,ij->i", X, W[task]) + rng.standard_normal(len(X))
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(N_FEATURES)])
    return frame.assign(task=task), y


def error_of_main(model, rng, w):
    X = rng.standard_normal((N_NEW, N_FEATURES))
    frame = pd.DataFrame(X, columns=[f"x{j}" for j in range(N_FEATURES)]).assign(task=0)
    return np.mean((model.predict(frame) - X @ w) ** 2)


def one_run(distances, n_rows, seed):
    rng = np.random.default_rng([seed, int(100 * max(distances))])
    W = draw_coefficients(rng, distances)
    problem = LinearTransferProblem([n_rows] * N_TASKS, [1.0] * N_TASKS, coefficients=W)
    pooled, best = pooled_error(problem), optimal_weights(problem)
    X, y = make_data(rng, W, n_rows)
    model = RMTGBRegressor(task_feature="task", random_state=seed).fit(X, y)
    single = RMTGBRegressor(task_feature="task", random_state=seed, **SINGLE).fit(X, y)
    new = rng.integers(2**32)
    errors = [error_of_main(m, np.random.default_rng(new), W[0]) for m in (model, single)]
    return {
        "pooled": pooled.error / pooled.main_only_error,
        "best weights": best.error / best.main_only_error,
        "R-MTGB": errors[0] / errors[1],
        "weight": best.weights[-1],
        "outlier weight": model.outlier_weights_[-1],
    }


def sweep(kind, n_seeds):
    """Return a table with a line per distance and seed."""
    lines = []
    for distance in DISTANCES:
        distances = np.zeros(N_TASKS)
        distances[1 if kind == "all" else -1 :] = distance
        runs = (one_run(distances, N_ROWS[kind], seed) for seed in range(n_seeds))
        lines.extend({"distance": distance} | run for run in runs)
    return pd.DataFrame(lines)


def geometric(table):
    return np.exp(np.log(table.clip(lower=1e-12)).groupby(table["distance"]).mean())


def draw(everywhere, one):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
    mean = geometric(everywhere)
    styles = {"pooled": "#8a8a8a", "best weights": "#3b7dd8", "R-MTGB": "#d1495b"}
    for name, color in styles.items():
        label = name if name == "R-MTGB" else f"calculator: {name}"
        left.plot(DISTANCES, mean[name], "o-", color=color, label=label, markersize=4)
    left.axhline(1, color="black", linewidth=0.8, linestyle=":")
    left.set(
        yscale="log", xlabel="distance of all tasks", ylabel="error / error of main task alone"
    )
    left.legend(frameon=False)
    means = one.groupby("distance")[["weight", "outlier weight"]].mean()
    right.plot(DISTANCES, means["weight"], "o-", color="#3b7dd8", label="calculator: best weight")
    right.plot(
        DISTANCES, means["outlier weight"], "o-", color="#d1495b", label="R-MTGB: outlier weight"
    )
    right.set(xlabel="distance of one task", ylabel="weight of that task", ylim=(-0.03, 1.1))
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def main():
    """Run both parts, print their means and draw them."""
    parser = argparse.ArgumentParser(description="Calculator and R-MTGB on linear tasks.")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--output", type=Path, default=TARGET)
    options = parser.parse_args()
    print_circumstances()
    everywhere, one = sweep("all", options.seeds), sweep("one", options.seeds)
    names = ["pooled", "best weights", "R-MTGB"]
    print("All tasks at a distance: error over that of the main task alone, geometric mean")
    print(geometric(everywhere)[names].round(3).to_string())
    print("One task at a distance: mean weight of its rows, mean outlier weight")
    print(one.groupby("distance")[["weight", "outlier weight"]].mean().round(3).to_string())
    agree = (everywhere["best weights"] < 0.9) == (everywhere["R-MTGB"] < 0.9)
    print(f"Both or neither of best weights and R-MTGB gain 10 %: {agree.mean():.0%} of runs")
    draw(everywhere, one).savefig(options.output, dpi=150, facecolor="white")


if __name__ == "__main__":
    main()
