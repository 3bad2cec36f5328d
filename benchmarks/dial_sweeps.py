"""Where does each model break? The dials of the generators, turned one at a time.

    python benchmarks/dial_sweeps.py                # one seed, a few minutes
    python benchmarks/dial_sweeps.py --seeds 5      # the tables of docs/datasets.md
    python benchmarks/dial_sweeps.py --only drift noise_df

Scenarios: 8 tasks of which 2 are outliers, 5 features, 150 rows per task to learn from and 500 to
test, noise of 0.3. The error is the root mean squared error against the noise-free target, in its
standard deviations within the task, mean over tasks: 0 is perfect, 1 is as good as the mean of
each task. With drift the rows to test are the last 30 % of the time. For classes it is the log
loss over that of each task's share of class 1.

MultiTab-Bench: 8 tasks, 16 features, cosine 0.8, degree 2, about 200 labels per task, noise of 0.3
standard deviations. Here the error is against complete labels of new rows, in their standard
deviations, so that noise is in it.

R-MTGB has its default settings, the pooled and the single-task model are settings of the same
estimator, LightGBM has the task as a category and stops early (see `_methods.py`).
"""

import argparse

import numpy as np
import pandas as pd
from _common import print_circumstances
from _methods import METHODS
from _peers import Data

from rmtgb.datasets import TaskDials, make_multitab_bench, make_task_scenario, to_long

MODELS = {"R-MTGB": "rmtgb", "pooled": "pooled", "single-task": "single-task"}
MODELS |= {"LightGBM": "lgb-task"}

N_TASKS, N_FIT, N_TEST, NOISE = 8, 150, 500, 0.3
UNEQUAL_NOISE = np.geomspace(0.05, 2.0, N_TASKS).tolist()
UNEQUAL_PRIORS = np.linspace(0.05, 0.95, N_TASKS).tolist()

#: Name of each line to parameters of the scenario; a name starts with its dial.
SCENARIOS = {
    "none": {},
    "feature_shift 1": {"dials": TaskDials(feature_shift=1)},
    "feature_shift 3": {"dials": TaskDials(feature_shift=3)},
    "feature_scale 0.5": {"dials": TaskDials(feature_scale=0.5)},
    "feature_scale 1": {"dials": TaskDials(feature_scale=1)},
    "feature_correlation 0.5": {"dials": TaskDials(feature_correlation=0.5)},
    "feature_correlation 0.9": {"dials": TaskDials(feature_correlation=0.9)},
    "relevant_share 0.6": {"dials": TaskDials(relevant_share=0.6)},
    "relevant_share 0.2": {"dials": TaskDials(relevant_share=0.2)},
    "measured_share 0.8": {"dials": TaskDials(measured_share=0.8)},
    "measured_share 0.4": {"dials": TaskDials(measured_share=0.4)},
    "n_categorical 1, of 10": {"dials": TaskDials(n_categorical=1)},
    "n_categorical 1, of 100": {"dials": TaskDials(n_categorical=1, n_categories=100)},
    "n_group_features 2, between 2": {"dials": TaskDials(n_group_features=2, between_effect=2)},
    "n_group_features 2, within -2": {
        "dials": TaskDials(
            n_group_features=2, intraclass_correlation=0.5, between_effect=2, within_effect=-2
        )
    },
    "target_shift 1": {"dials": TaskDials(target_shift=1)},
    "target_shift 10": {"dials": TaskDials(target_shift=10)},
    "target_scale 0.5": {"dials": TaskDials(target_scale=0.5)},
    "target_scale 1": {"dials": TaskDials(target_scale=1)},
    "drift 0.25": {"dials": TaskDials(drift=0.25)},
    "drift 0.5": {"dials": TaskDials(drift=0.5)},
    "drift 1": {"dials": TaskDials(drift=1)},
    "noise by task, 0.05 to 2": {"noise": UNEQUAL_NOISE},
    "heteroscedasticity 1": {"dials": TaskDials(heteroscedasticity=1)},
    "noise_df 2.5": {"dials": TaskDials(noise_df=2.5)},
    "hierarchy of 2 x 2 x 2": {"scenario": "hierarchy", "branching": (2, 2, 2)},
    "classes": {"classification": True},
    "class_prior 0.05 to 0.95": {
        "classification": True,
        "dials": TaskDials(class_prior=UNEQUAL_PRIORS),
    },
}
#: The same for MultiTab-Bench.
MULTITAB = {
    "regression": {},
    "ordinal, 5 levels": {"task_types": "ordinal", "n_classes": 5},
    "count, mean 3": {"task_types": "count"},
    "missing_dependence 2": {"missing_dependence": 2.0},
    "missing_dependence 5": {"missing_dependence": 5.0},
}


def make_scenario(parameters, seed):
    """Return training data, and rows to test with what is to be predicted of them."""
    X, y, truth = make_task_scenario(
        **{"scenario": "outliers", "n_tasks": N_TASKS, "noise": NOISE} | parameters,
        n_samples_per_task=N_FIT + N_TEST,
        as_frame=True,
        return_truth=True,
        random_state=seed,
    )
    if "time" in X:  # sorted by task and time
        order = np.lexsort([X["time"], X["task"]])
        place = np.arange(len(X)) % (N_FIT + N_TEST)
        is_late = place >= 0.7 * (N_FIT + N_TEST)
        # As many to learn from as elsewhere, spread over all earlier times.
        early = np.flatnonzero(~is_late).reshape(N_TASKS, -1)
        chosen = np.random.default_rng(seed).permuted(early, axis=1)[:, :N_FIT].ravel()
        fit, test = order[np.sort(chosen)], order[is_late]
    else:
        is_fit = np.arange(len(X)) % (N_FIT + N_TEST) < N_FIT
        fit, test = np.flatnonzero(is_fit), np.flatnonzero(~is_fit)
    X["task"] = X["task"].astype("category")
    kind = "classes" if parameters.get("classification", False) else "numbers"
    target = truth.noise_free_targets if kind == "numbers" else y
    data = Data(X.iloc[fit], y[fit], kind, seed)
    return data, X.iloc[test], target[test]


def make_multitab(parameters, seed):
    """Return training data, and new rows with complete labels."""
    dials = {"n_tasks": N_TASKS, "n_features": 16, "correlation": 0.8, "degrees": 2}
    # The variance of a target of degree 2 is 3.
    dials |= {"noise": NOISE * np.sqrt(3), "as_frame": True, "random_state": seed}
    n_fit = 200 * N_TASKS
    gaps = {"missing_labels": 1 - 1 / N_TASKS}
    X, Y = make_multitab_bench(n_fit + N_TEST, **dials | gaps | parameters)
    complete = make_multitab_bench(n_fit + N_TEST, **dials | parameters)[1]
    X_fit, y, _ = to_long(X[:n_fit], Y[:n_fit])
    X_test, y_test, _ = to_long(X[n_fit:], complete[n_fit:])
    kind = pd.CategoricalDtype(range(N_TASKS))
    X_fit["task"], X_test["task"] = X_fit["task"].astype(kind), X_test["task"].astype(kind)
    return (
        Data(X_fit, y.to_numpy(dtype=float), "numbers", seed),
        X_test,
        y_test.to_numpy(dtype=float),
    )


def relative_error(target, prediction, tasks, is_class):
    """Return the error over that of a constant of each task, mean over tasks."""
    ratios = []
    for rows in pd.Series(range(len(target))).groupby(np.asarray(tasks)).indices.values():
        y, guess = target[rows], prediction[rows]
        if is_class:
            ratios.append(log_loss(y, guess) / log_loss(y, np.full(y.size, y.mean())))
        else:
            ratios.append(np.sqrt(np.mean((guess - y) ** 2)) / y.std())
    return float(np.mean(ratios))


def log_loss(y, probability):
    probability = np.clip(probability, 1e-6, 1 - 1e-6)
    return -np.mean(np.where(y == 1, np.log(probability), np.log1p(-probability)))


def sweep(lines, make, n_seeds):
    """Return the mean error of each model, and its standard error, a row per line."""
    means = []
    for name, parameters in lines.items():
        found = []
        for seed in range(n_seeds):
            data, X_test, target = make(parameters, seed)
            errors = {}
            for model, method in MODELS.items():
                predict = METHODS[method].fit(data)
                prediction = predict(X_test)
                errors[model] = relative_error(target, prediction, X_test["task"], data.is_class)
            found.append(errors)
        table = pd.DataFrame(found)
        means.append(table.mean().rename(name))
        spread = f", standard errors up to {table.sem().max():.3f}" if n_seeds > 1 else ""
        print(f"{name:32s} {table.mean().round(3).to_dict()}{spread}", flush=True)
    return pd.DataFrame(means)


def as_markdown(table):
    """Return the table as the documents show it, the best of each line in bold."""
    lines = ["| dial | " + " | ".join(table) + " |", "|---" * (1 + len(table.columns)) + "|"]
    for name, row in table.iterrows():
        cells = [f"**{v:.2f}**" if v <= row.min() + 0.005 else f"{v:.2f}" for v in row]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    """Run the sweeps and print their tables."""
    parser = argparse.ArgumentParser(description="Where does each model break?")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=[""], metavar="DIAL")
    options = parser.parse_args()
    print_circumstances()
    for lines, make in ((SCENARIOS, make_scenario), (MULTITAB, make_multitab)):
        chosen = {n: p for n, p in lines.items() if n.startswith(tuple(options.only))}
        if chosen:
            print(as_markdown(sweep(chosen, make, options.seeds)))


if __name__ == "__main__":
    main()
