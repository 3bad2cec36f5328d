"""``rmtgb demo``: the result on generated data."""

import argparse

import numpy as np

from rmtgb import RMTGBRegressor
from rmtgb.cli.comparison import compare_models, print_comparison
from rmtgb.cli.wording import announce_fit, listed
from rmtgb.datasets import make_task_scenario
from rmtgb.estimators.task_scores import fit_references

#: The generated tasks: how many, how many of them outliers, rows of each to fit and to score.
N_TASKS, N_OUTLIERS, FIT_ROWS, TEST_ROWS = 10, 2, 300, 1000


def run(options: argparse.Namespace) -> None:
    """Fit tasks of which some are outliers, and print what that gave."""
    announce_fit()
    n_rows = FIT_ROWS + TEST_ROWS
    X, y, truth = make_task_scenario(
        "outliers",
        n_tasks=N_TASKS,
        n_outlier_tasks=N_OUTLIERS,
        n_samples_per_task=n_rows,
        as_frame=True,
        return_truth=True,
        random_state=options.random_state,
    )
    is_fit = np.arange(y.size) % n_rows < FIT_ROWS
    model = RMTGBRegressor(task_feature="task", random_state=options.random_state)
    model.fit(X[is_fit], y[is_fit])
    print(
        f"{N_TASKS} tasks with {FIT_ROWS} training rows each. Tasks "
        f"{listed(truth.outlier_tasks)} follow another function than the others.\n"
    )
    references = fit_references(model, X[is_fit], y[is_fit])
    print_comparison(compare_models(model, references, X[~is_fit], y[~is_fit]))
