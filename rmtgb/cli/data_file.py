"""Files of data: what is in the user's own, and the way to write one."""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import counted, listed

#: Formats of files.
SUFFIXES = (".csv", ".csv.gz", ".parquet")
#: Distinct texts a column may have: the estimators' default number of bins.
MAX_CATEGORIES = 255


def read_data(
    path: Path, task: str, target: str, drop: Sequence[str], numeric_target: bool
) -> tuple[pd.DataFrame, pd.Series]:
    """Read a file and sort its columns by their roles.

    Parameters
    ----------
    path : Path
        A .csv, .csv.gz or .parquet file.
    task, target : str
        Names of the columns of task labels and of what is to be predicted.
    drop : sequence of str
        Names of columns to leave out.
    numeric_target : bool
        Whether the target must be a number.

    Returns
    -------
    X : DataFrame
        The task column as it is; all others as numbers or, where they hold text, as
        categoricals.
    y : Series
        The target. Rows without a target or a task label are left out, with a note.

    Raises
    ------
    CommandError
        If the file cannot be read, or a column is absent or of no use.
    """
    frame = _read_frame(path)
    for column in (task, target, *drop):
        if column not in frame:
            raise CommandError(_absent(column, path, list(frame.columns)))
    if task == target or {task, target} & set(drop):
        raise CommandError("--task, --target and --drop must name different columns")
    frame = _without_missing(frame.drop(columns=drop), {target: "target", task: "task label"})
    if len(frame) < 2:
        raise CommandError(f"{path} has {counted(len(frame), 'row')} to work with")
    y, X = frame[target], frame.drop(columns=target)
    if numeric_target and not pd.api.types.is_numeric_dtype(y):
        raise CommandError(
            f"target column {target!r} holds {y.iloc[0]!r}, which is no number; for classes "
            "give --classification"
        )
    if X.shape[1] < 2:
        raise CommandError(f"{path} has no column besides task and target")
    return X.assign(**{name: _as_feature(X[name]) for name in X if name != task}), y


def data_suffix(path: Path) -> str:
    """Return the suffix that tells the format of a file, as it is written in its name."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return path.name[-len(suffix) :]
    raise CommandError(f"{path} is no .csv, .csv.gz or .parquet file")


def check_folder(path: Path) -> None:
    """Refuse a file to be written in a folder that does not exist."""
    if not path.absolute().parent.is_dir():
        raise CommandError(f"there is no folder {path.parent} for {path.name}")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame without its index; the suffix tells the format."""
    is_parquet = data_suffix(path).lower() == ".parquet"
    try:
        if is_parquet:
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
    except ImportError as error:
        raise CommandError("writing parquet needs pyarrow: pip install 'rmtgb[data]'") from error
    except OSError as error:
        raise CommandError(f"cannot write {path}: {first_line(error)}") from error


def _read_frame(path: Path) -> pd.DataFrame:
    is_parquet = data_suffix(path).lower() == ".parquet"
    try:
        frame = pd.read_parquet(path) if is_parquet else pd.read_csv(path)
    except ImportError as error:
        raise CommandError("reading parquet needs pyarrow: pip install 'rmtgb[data]'") from error
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {path}") from error
    except (OSError, EOFError, ValueError) as error:  # those of pandas and pyarrow included
        raise CommandError(f"cannot read {path}: {first_line(error)}") from error
    return frame.set_axis(frame.columns.map(str), axis="columns")


def _absent(column: str, path: Path, columns: list[str]) -> str:
    """Say that a column is absent, and which one may have been meant."""
    close = difflib.get_close_matches(column, columns, n=1)
    hint = f"did you mean {close[0]!r}?" if close else f"its columns are {listed(columns)}"
    return f"{path} has no column {column!r}; {hint}"


def _without_missing(frame: pd.DataFrame, roles: dict[str, str]) -> pd.DataFrame:
    for column, role in roles.items():
        missing = frame[column].isna()
        if missing.any():
            text = f"{counted(int(missing.sum()), 'row')} without a {role} left out"
            print(f"rmtgb: note: {text}.", file=sys.stderr)
            frame = frame[~missing]
    return frame


def _as_feature(column: pd.Series) -> pd.Series:
    """Return a column as numbers or as a categorical."""
    types = pd.api.types
    if types.is_numeric_dtype(column):
        return column
    if column.isna().all():  # of any type: there is nothing in it
        return column.isna().astype(float)
    is_text = types.is_string_dtype(column) or types.is_object_dtype(column)
    if not is_text and not isinstance(column.dtype, pd.CategoricalDtype):
        raise CommandError(
            f"column {column.name!r} is of type {column.dtype}, which is neither number nor "
            f"text: leave it out with --drop {column.name}, or turn it into numbers"
        )
    if column.nunique() > MAX_CATEGORIES:
        raise CommandError(
            f"column {column.name!r} has {column.nunique()} distinct texts, at most "
            f"{MAX_CATEGORIES} are allowed: leave it out with --drop {column.name}, or encode "
            "it as numbers"
        )
    return column.astype("category")
