"""Whether other patients help to predict one, and what comes of the answer.

    python benchmarks/transfer_parkinson.py parkinson.csv.gz

The Parkinson telemonitoring data: each patient in turn is the main task, of which some rows drawn
at random are known and the others are to be predicted; all rows of the 41 other patients are
known. Linear models in time and four measures of the voice, with an intercept for each patient.

The first table is the calculator's answer for one patient. The second is what came of it: the
mean squared error on the other rows of the main patient, over patients and draws, of least squares
on the known rows alone, with all patients pooled, with the best plug-in weights, and of the safe
combination; "when told" is the error of pooling those single patients of which the verdict is that
they help, or of none. Errors are medians over patients of the mean over draws, relative to that of
least squares alone.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _common import print_circumstances, read_tasks

from rmtgb.transfer import estimate_problem, optimal_weights, safe_combination

FEATURES = ["test_time", "HNR", "RPDE", "DFA", "PPE"]
PATIENT, DRAWS = 1, 5


def split(X, y, patient, n_known, rng):
    """Return rows per patient, the main one first, and the rows to be predicted."""
    values, task = X[FEATURES].to_numpy(), X["task"].to_numpy()
    values = values / values.std(axis=0)
    others = [k for k in np.unique(task) if k != patient]
    own = rng.permutation(np.flatnonzero(task == patient))
    groups = [own[:n_known], *(np.flatnonzero(task == k) for k in others)]
    new = own[n_known:]
    return [values[rows] for rows in groups], [y[rows] for rows in groups], values[new], y[new]


def weighted_fit(X_list, y_list, weights):
    """Return coefficients of weighted least squares with an intercept for each task."""
    centred = [(X - X.mean(axis=0), y - y.mean()) for X, y in zip(X_list, y_list, strict=True)]
    moments = sum(a * X.T @ X for a, (X, _) in zip(weights, centred, strict=True))
    pulls = sum(a * X.T @ y for a, (X, y) in zip(weights, centred, strict=True))
    return np.linalg.solve(moments, pulls)


def errors(X, y, patient, n_known, seed):
    """Return the mean squared error of each way, and the counts of verdicts."""
    rng = np.random.default_rng([seed, patient, n_known])
    X_list, y_list, X_new, y_new = split(X, y, patient, n_known, rng)
    estimate = estimate_problem(X_list, y_list)
    told = [line.tasks[0] for line in estimate.each if line.verdict == "helps"]
    indicator = np.isin(np.arange(len(X_list)), [0, *told]).astype(float)
    plug_in = estimate_problem(X_list, y_list, covariance="all").problem
    best = optimal_weights(plug_in).weights
    coefficients = {
        "alone": weighted_fit(X_list[:1], y_list[:1], [1.0]),
        "pooled": weighted_fit(X_list, y_list, np.ones(len(X_list))),
        "when told": weighted_fit(X_list, y_list, indicator),
        "best weights": weighted_fit(X_list, y_list, best),
        "safe": safe_combination(
            X_list[0], y_list[0], estimate.auxiliary_coefficients
        ).coefficients,
    }
    centre, level = X_list[0].mean(axis=0), y_list[0].mean()
    result = {
        name: np.mean((level + (X_new - centre) @ w - y_new) ** 2)
        for name, w in coefficients.items()
    }
    verdicts = [line.verdict for line in estimate.each]
    return result | {verdict: verdicts.count(verdict) for verdict in ("helps", "hurts")}


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description="Do other patients help to predict one?")
    parser.add_argument("data", type=Path)
    parser.add_argument("--known", type=int, nargs="+", default=[10, 20, 40, 80])
    options = parser.parse_args()
    warnings.filterwarnings("ignore", "Features vary otherwise", UserWarning)
    print_circumstances()
    X, y = read_tasks(options.data)
    X_list, y_list, _, _ = split(X, y, PATIENT, 20, np.random.default_rng(0))
    print(f"\nPatient {PATIENT}, 20 known rows:")
    table = estimate_problem(X_list, y_list).to_frame()
    print(table.sort_values("benefit", ascending=False).head(4).round(3).to_string())
    print(table.tail(1).round(3).to_string(header=False))
    print(table["verdict"].iloc[:-1].value_counts().to_string())
    print("\nrows    alone   relative to it:")
    for n_known in options.known:
        lines = [
            {"patient": patient} | errors(X, y, patient, n_known, seed)
            for patient in np.unique(X["task"])
            for seed in range(DRAWS)
        ]
        means = pd.DataFrame(lines).groupby("patient").mean()
        names = ["pooled", "when told", "best weights", "safe"]
        ratios = means[names].div(means["alone"], axis=0).median().round(3).to_dict()
        counts = means[["helps", "hurts"]].mean().round(1).to_dict()
        print(f"{n_known:4d} {means['alone'].median():8.3f}   {ratios}  {counts}", flush=True)


if __name__ == "__main__":
    main()
