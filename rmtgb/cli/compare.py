"""``rmtgb compare``: R-MTGB, pooling and single-task models on the user's own file."""

import argparse
import json
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
from sklearn.model_selection import train_test_split

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.cli.comparison import Comparison, compare_models, print_comparison
from rmtgb.cli.data_file import check_folder, read_data
from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import announce_fit, note
from rmtgb.estimators.task_scores import fit_references


def run(options: argparse.Namespace) -> None:
    """Split a file's rows, fit, and print the errors on the rows held out."""
    if options.save_model is not None:
        check_folder(options.save_model)
    X, y = read_data(
        options.data,
        options.task,
        options.target,
        drop=options.drop,
        missing=options.missing,
        numeric_target=not options.classification,
        for_labels="; for classes give --classification",
    )
    try:
        comparison, n_fitted = _fit_and_compare(X, y, options)
    except (TypeError, ValueError) as error:  # the estimator's and scikit-learn's word on the data
        raise CommandError(first_line(error)) from error
    if options.json:
        print(json.dumps(_as_json(comparison, n_fitted), indent=2, allow_nan=False, default=str))
    else:
        print(f"{options.data.name}: {n_fitted} rows to fit, {comparison.n_rows} held out.\n")
        print_comparison(comparison)


def _fit_and_compare(
    X: pd.DataFrame, y: pd.Series, options: argparse.Namespace
) -> tuple[Comparison, int]:
    """Return the comparison, and on how many rows the models were fitted."""
    estimator = RMTGBClassifier if options.classification else RMTGBRegressor
    model = estimator(task_feature=options.task, random_state=options.random_state)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=options.test_size, random_state=options.random_state
    )
    if options.classification:
        _check_classes(y, y_test)
    announce_fit()
    model.fit(X, y)
    if options.save_model is not None:
        _save(model, options.save_model, y.size)
    return compare_models(model, fit_references(model, X, y), X_test, y_test), y.size


def _check_classes(y: pd.Series, y_test: pd.Series) -> None:
    lost = sorted(set(y_test) - set(y), key=str)
    if lost:
        raise CommandError(
            f"all rows of class {lost[0]!r} were set aside and none is left to fit: give "
            "another --random-state or a smaller --test-size"
        )


def _save(model: RMTGBClassifier | RMTGBRegressor, path: Path, n_rows: int) -> None:
    try:
        joblib.dump(model, path)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {first_line(error)}") from error
    note(f"model fitted on {n_rows} rows saved in {path}")


def _as_json(comparison: Comparison, n_fitted: int) -> dict[str, Any]:
    """Return a comparison as what JSON can hold; labels of other types become strings."""
    return {
        "metric": comparison.metric,
        "rows_fitted": n_fitted,
        "tasks": comparison.table.reset_index().to_dict("records"),
        "total": {"rows": comparison.n_rows, **comparison.totals},
        "best": comparison.best,
        "outlier_tasks": comparison.outlier_tasks,
    }
