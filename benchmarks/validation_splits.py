"""What validation rows of the right kind bring: ``python benchmarks/validation_splits.py FOLDER``.

The sets of folders (see `_sets.py`), split as new rows will differ from known ones. Whole tasks
(*unseen*): default settings, and ``groups=`` the task labels. The last rows of each task (*time*,
sets with a time): default settings, and ``validation_split="last"`` on rows in order of time.
Ratios are those of the second error to the first.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from _common import print_circumstances, print_row
from _measure import error_of
from _methods import make_rmtgb
from _sets import Case, find_tables, load, rows_to_predict

WIDTHS = (24, 12, 12, 10)


def in_time(case, tables):
    """Return the case with its training rows in their order in time."""
    table = tables[case.set]()
    is_test = rows_to_predict(table, case)
    if is_test is None:
        return None
    data, X, y = load(case, tables)
    order = np.argsort(np.asarray(table.when)[~is_test], kind="stable")
    return data._replace(X=data.X.iloc[order].reset_index(drop=True), y=data.y[order]), X, y


def error(data, X, y, groups=None, **parameters):
    model = make_rmtgb(data, **parameters).fit(data.X, data.y, groups=groups)
    return error_of(data.kind, y, data.predictor(model)(X))


def compare(case, tables):
    """Return the errors of the usual choice and of the right one, or None."""
    got = load(case, tables) if case.split == "unseen" else in_time(case, tables)
    if got is None or got[0].X["task"].nunique() < 2:
        return None
    data = got[0]
    if case.split == "time":
        return error(*got), error(*got, validation_split="last")
    return error(*got), error(*got, groups=data.X["task"].astype(str).to_numpy())


def main():
    """Print a line for each case, and the geometric means."""
    parser = argparse.ArgumentParser(description="Are validation rows of the right kind better?")
    parser.add_argument("folder", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42])
    options = parser.parse_args()
    warnings.filterwarnings("ignore", ".*unseen task", UserWarning)
    print_circumstances()
    tables = find_tables(options.folder)
    for split in ("unseen", "time"):
        print_row((split, "as usual", "of its kind", "ratio"), WIDTHS)
        ratios = []
        for name in tables:
            for seed in options.seeds:
                errors = compare(Case(name, split, seed), tables)
                if errors is None:
                    continue
                ratios.append(errors[1] / errors[0])
                cells = *(f"{value:.4g}" for value in errors), f"{ratios[-1]:.3f}"
                print_row((f"{name}, seed {seed}", *cells), WIDTHS)
        mean = np.exp(np.mean(np.log(ratios)))
        print(f"{len(ratios)} cases: geometric mean {mean:.3f}, worst {max(ratios):.3f}\n")


if __name__ == "__main__":
    main()
