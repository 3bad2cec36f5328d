"""Data with a known truth, cell by cell: run it whole, or in an editor that knows ``# %%``.

Needs matplotlib: ``pip install "rmtgb[plot]"``.
"""

# %% MultiTab-Bench: one feature matrix, seven targets
# Everything that can be turned is a parameter; everything that is true comes back.
import numpy as np

from rmtgb import RMTGBRegressor
from rmtgb.datasets import (
    MultiTabDisplay,
    TaskDials,
    make_multitab_bench,
    make_task_scenario,
    to_long,
    to_wide,
)

X, Y, truth = make_multitab_bench(
    3000,
    n_tasks=5,
    n_features=8,
    correlation=0.8,
    degrees=[1, 2, 3, 2, 1],
    noise=[0.2, 0.5, 1.0, 0.5, 0.2],
    n_outlier_tasks=1,
    missing_labels=0.7,
    as_frame=True,
    return_truth=True,
    random_state=0,
)
print(Y.shape, "targets, of which are missing:", Y.isna().mean().round(2).to_dict())

# %% What is known about the tasks
# The cosines of the weights are exactly as asked for; how far the *targets* correlate follows
# from the degrees, in closed form; the noise floor is the error that no model can go below.
print("cosines\n", (truth.weights @ truth.weights.T).round(12))
print("correlation of the targets\n", truth.target_correlation.round(3))
print("outlier tasks", truth.outlier_tasks, "noise floor", truth.noise_floor)

# %% A picture of it (needs matplotlib)
MultiTabDisplay.from_data(X, Y, truth).plot()

# %% From one row per sample to one row per label, which is what the estimators take
X_long, y, rows = to_long(X, Y)
print(X_long.tail(3), y.tail(3), sep="\n")

X_back, Y_back, tasks = to_wide(X_long, y, rows)
print("back:", X_back.shape, Y_back.shape, "tasks", tasks)

# %% How close to the truth does a model come?
model = RMTGBRegressor(task_feature="task", random_state=0).fit(X_long, y)
X_new, _, _ = make_multitab_bench(500, 5, 8, as_frame=True, return_truth=True, random_state=1)
clean = truth.noise_free_targets(X_new)
for task in range(5):
    error = np.sqrt(np.mean((model.predict(X_new.assign(task=task)) - clean[:, task]) ** 2))
    print(f"task {task}: {error:.2f}, spread of the target {clean[:, task].std():.2f}")

# %% The scenarios of R-MTGB: the last two tasks follow another function
X, y, scenario = make_task_scenario("outliers", as_frame=True, return_truth=True, random_state=0)
model = RMTGBRegressor(task_feature="task", random_state=0).fit(X, y)
print("true outlier tasks", scenario.outlier_tasks, "found", model.outlier_tasks_)

# %% What real tasks have on top: dials
# Features of each task about a mean of its own, offsets of the targets, a category, heavy tails.
dials = TaskDials(feature_shift=0.5, target_shift=2.0, n_categorical=1, noise_df=3.0)
X, y, dialled = make_task_scenario(
    "outliers", noise=0.3, dials=dials, as_frame=True, return_truth=True, random_state=0
)
print(X.head(3))
print("means of x0 by task", dialled.traits.feature_means[:, 0].round(2))
print("offsets", dialled.traits.offsets.round(2), "of the targets' means", end=" ")
print(y.reshape(10, -1).mean(axis=1).round(2))
model = RMTGBRegressor(task_feature="task", random_state=0).fit(X, y)
error = np.sqrt(np.mean((model.predict(X) - dialled.noise_free_targets) ** 2))
print(f"error {error:.2f}, noise 0.3, outlier tasks found {model.outlier_tasks_}")

# %% Tasks as leaves of a tree: how far they correlate follows from the levels that they share
_, _, tree = make_task_scenario("hierarchy", branching=(2, 2), return_truth=True, random_state=0)
print("nodes above each task", tree.nodes, "correlation of functions", sep="\n")
print(tree.function_correlation.round(2))
