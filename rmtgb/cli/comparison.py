"""A fitted estimator beside pooling and single-task models, and how that is printed."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import pandas as pd
from sklearn.metrics import log_loss, root_mean_squared_error

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb._common import counted
from rmtgb.cli.wording import listed, note, print_aligned
from rmtgb.estimators.task_scores import held_out_table

Estimator = TypeVar("Estimator", RMTGBClassifier, RMTGBRegressor)

#: With more tasks than the first number, a table shows as many as the second.
MANY_TASKS, SHOWN_TASKS = 20, 10

#: The models in the words of a sentence.
MODEL_WORDS = {
    "rmtgb": "R-MTGB",
    "pooled": "one pooled model",
    "single_task": "one model per task",
}


@dataclass(frozen=True)
class Comparison:
    """Errors of R-MTGB, of pooling and of single-task models on the same held-out rows.

    Attributes
    ----------
    metric : str
        The error; smaller is better.
    table : DataFrame
        As ``task_scores`` of the estimator returns it.
    totals : dict of str to float
        Error of each model over all rows together, those of unseen tasks included.
    n_rows : int
        How many these are.
    outlier_tasks : list
        Labels of the tasks that were found to be outliers.
    """

    metric: str
    table: pd.DataFrame
    totals: dict[str, float]
    n_rows: int
    outlier_tasks: list[Any]

    @property
    def best(self) -> str:
        """Name of the model with the smallest total."""
        return min(self.totals, key=lambda name: self.totals[name])


def compare_models(
    model: Estimator, references: Mapping[str, Estimator], X: pd.DataFrame, y: Any
) -> Comparison:
    """Score an estimator and those it is to be compared with.

    Parameters
    ----------
    model : RMTGBRegressor or RMTGBClassifier
        Fitted, with a task column.
    references : mapping of str to estimator
        The others, as `fit_references` returns them.
    X : DataFrame
        Held-out rows.
    y : array-like
        Their targets.

    Returns
    -------
    Comparison
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X holds .* predicted by what the known tasks share")
        table = held_out_table(model, references, X, y)
        models = {"rmtgb": model, **references}
        totals = {name: _total_error(fitted, X, y) for name, fitted in models.items()}
    n_unseen = len(y) - int(table["rows"].sum())
    if n_unseen:
        text = f"{counted(n_unseen, 'held-out row')} of tasks without a row to fit"
        note(f"{text}; counted in the total only")
    outliers = model.outlier_tasks_.tolist()
    return Comparison(table.attrs["metric"], table, totals, len(y), outliers)


def _total_error(model: RMTGBClassifier | RMTGBRegressor, X: pd.DataFrame, y: Any) -> float:
    """Return the error over all rows, which is not the mean over tasks."""
    if isinstance(model, RMTGBClassifier):
        return float(log_loss(y, model.predict_proba(X), labels=model.classes_))
    return float(root_mean_squared_error(y, model.predict(X)))


def print_comparison(comparison: Comparison) -> None:
    """Print the table of a comparison, its totals, and what follows from them."""
    table, totals = comparison.table, comparison.totals
    many = len(table) > MANY_TASKS
    if many:
        table = table.sort_values("rows", ascending=False, kind="stable").head(SHOWN_TASKS)
    digits = _decimals(totals[comparison.best])
    lines = [["task", "rows", *totals, "outlier weight"]]
    for task, scores in table.iterrows():
        errors = [f"{scores[name]:.{digits}f}" for name in totals]
        weight = f"{scores['outlier_weight']:.2f}"
        lines.append([str(task), f"{scores['rows']:.0f}", *errors, weight])
    errors = [f"{error:.{digits}f}" for error in totals.values()]
    lines.append(["total", str(comparison.n_rows), *errors, ""])
    print(f"Error on held-out rows: {comparison.metric}, smaller is better.")
    print_aligned(lines)
    if many:
        text = f"{SHOWN_TASKS} of {len(comparison.table)} tasks, those with most rows"
        print(f"({text}; --json prints all)")
    found = comparison.outlier_tasks
    print(f"\nOutlier tasks found: {listed(found)}." if found else "\nNo outlier task found.")
    print(f"Best overall: {MODEL_WORDS[comparison.best]}.")


def _decimals(error: float) -> int:
    """Return with how many decimals a number shows four digits."""
    return max(0, 3 - math.floor(math.log10(error))) if error > 0 else 4
