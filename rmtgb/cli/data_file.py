"""Files of data: what is in the user's own, and the way to write one."""

import re
import warnings
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from rmtgb._common import counted, hint
from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import listed, note

#: Formats of files.
SUFFIXES = (".csv", ".csv.gz", ".parquet")
#: Texts that stand for a missing number or category, those that pandas knows; "NA" may be a label.
MISSING_NUMBERS = [
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN"),
    *("<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
]
#: Share of a column's texts that are numbers from which its other texts are worth a note.
MOSTLY_NUMBERS = 0.5
#: Distinct texts a column may have: the estimators' default number of bins.
MAX_CATEGORIES = 255


def read_data(
    path: Path,
    task: str,
    target: str,
    *,
    drop: Sequence[str] = (),
    missing: Sequence[str] = (),
    numeric_target: bool = True,
    for_labels: str = "",
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
    missing : sequence of str
        Texts that stand for a missing value, besides the usual ones, which are labels in a
        column of labels (but for the empty one).
    numeric_target : bool
        Whether the target must be a number; else it is a label, as the task is.
    for_labels : str
        What the command can do about a target of labels, if it can.

    Returns
    -------
    X : DataFrame
        The task column as it is written; all others as numbers or, where they hold text, as
        categoricals.
    y : Series
        The target. Rows without a target or a task label are left out, with a note.

    Raises
    ------
    CommandError
        If the file cannot be read, or a column is absent or of no use.
    """
    labels = [task] if numeric_target else [task, target]
    frame = _read_frame(path, labels, missing)
    for column in (task, target, *drop):
        if column not in frame:
            known = hint(column, list(frame.columns))
            raise CommandError(f"{path} has no column {column!r}; {known}")
    if task == target or {task, target} & set(drop):
        raise CommandError("--task, --target and --drop must name different columns")
    frame = _with_floats(frame.drop(columns=list(drop)))
    frame = _without_row_names(frame, {task, target})
    frame = _without_missing(frame, {target: "target", task: "task label"})
    if len(frame) < 2:
        raise CommandError(f"{path} has {counted(len(frame), 'row')} to work with")
    if not _is_parquet(path):  # which says itself what is a text
        frame = frame.assign(**{name: _as_written(frame[name]) for name in labels})
    y, X = frame[target], frame.drop(columns=target)
    if numeric_target and not pd.api.types.is_numeric_dtype(y):
        foreign = y[pd.to_numeric(y, errors="coerce").isna()]
        raise CommandError(
            f"target column {target!r} holds {(foreign if len(foreign) else y).iloc[0]!r}, which "
            f"is no number{for_labels}"
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


def _is_parquet(path: Path) -> bool:
    return data_suffix(path).lower() == ".parquet"


def check_folder(path: Path) -> None:
    """Refuse a file to be written in a folder that does not exist."""
    if not path.absolute().parent.is_dir():
        raise CommandError(f"there is no folder {path.parent} for {path.name}")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame without its index; the suffix tells the format."""
    is_parquet = _is_parquet(path)
    try:
        if is_parquet:
            frame.to_parquet(path, index=False)
        else:
            frame.to_csv(path, index=False)
    except ImportError as error:
        raise CommandError("writing parquet needs pyarrow: pip install 'rmtgb[data]'") from error
    except OSError as error:
        raise CommandError(f"cannot write {path}: {first_line(error)}") from error


def _read_frame(path: Path, labels: Sequence[str], missing: Sequence[str]) -> pd.DataFrame:
    read = _read_parquet if _is_parquet(path) else _read_csv
    try:
        frame = read(path, labels, missing)
    except ImportError as error:
        raise CommandError("reading parquet needs pyarrow: pip install 'rmtgb[data]'") from error
    except FileNotFoundError as error:
        raise CommandError(f"there is no file {path}") from error
    except (OSError, EOFError, ValueError) as error:  # those of pandas and pyarrow included
        raise CommandError(f"cannot read {path}: {first_line(error)}") from error
    return frame.set_axis(frame.columns.map(str), axis="columns")


def _read_csv(path: Path, labels: Sequence[str], missing: Sequence[str]) -> pd.DataFrame:
    """Read labels as the texts that they are, whatever they look like, and infer the rest."""
    _refuse_twice(pd.read_csv(path, nrows=1, header=None, dtype=str).iloc[0].dropna(), path)
    names = pd.read_csv(path, nrows=0).columns
    read = partial(
        pd.read_csv,
        path,
        dtype={name: str for name in names if name in labels},
        keep_default_na=False,
        na_values={
            name: ["", *missing] if name in labels else [*MISSING_NUMBERS, *missing]
            for name in names
        },
        low_memory=False,  # in parts, a column may be of a type in one and of another in the next
    )
    frame = read()
    has_row_names = not isinstance(frame.index, pd.RangeIndex)  # a field more than the header has
    if has_row_names and frame.iloc[:, -1].isna().all():  # it is the last: rows end in a comma
        with warnings.catch_warnings(action="ignore", category=pd.errors.ParserWarning):
            return read(index_col=False)  # it warns that the empty field is lost
    return frame


def _refuse_twice(names: pd.Series, path: Path) -> None:
    """Refuse a header with two columns of one name, the second of which would be renamed."""
    twice = names[names.duplicated()].tolist()
    if twice:
        raise CommandError(f"{path} has more than one column {twice[0]!r}")


def _read_parquet(path: Path, labels: Sequence[str], missing: Sequence[str]) -> pd.DataFrame:
    """Read a frame, and integer labels beside missing ones as integers."""
    frame = pd.read_parquet(path)
    own = [name for name in labels if name in frame and frame[name].dtype.kind == "f"]
    if own:
        nullable = pd.read_parquet(path, columns=own, dtype_backend="numpy_nullable")
        frame[own] = nullable[own]
    return frame.mask(frame.isin(list(missing))) if missing else frame


def _with_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """Return decimal numbers, as databases write them, as floats; refuse nested values."""
    for name in [n for n in frame if frame[n].dtype.kind == "O" and frame[n].dtype == "object"]:
        values = frame[name].dropna()
        if any(isinstance(value, list | dict | np.ndarray) for value in values):
            raise CommandError(
                f"column {name!r} holds lists or records: leave it out with --drop {name}, or "
                "turn it into numbers or texts"
            )
        if len(values) and all(isinstance(value, Decimal) for value in values):
            frame = frame.assign(**{name: frame[name].astype("float64")})
    return frame


def _without_row_names(frame: pd.DataFrame, named: set[str]) -> pd.DataFrame:
    """Leave out columns without a name that tell every row apart: row numbers, or names."""
    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(drop=True)
        note("the first column, which has no name in the header, left out as names of rows")
    for name in frame.columns:
        is_unnamed = re.fullmatch(r"Unnamed: \d+|__index_level_\d+__", name) and name not in named
        if is_unnamed and frame[name].is_unique and frame[name].dtype.kind != "f":
            frame = frame.drop(columns=name)
            note(f"column {name!r}, which has no name in the file, left out as names of rows")
    return frame


def _as_written(labels: pd.Series) -> pd.Series:
    """Return texts as numbers if each of them is how its number is written, else as they are.

    So 2 comes before 10, and a model that is saved knows the labels as other readers of the
    file see them; but "01" and "1", or "7" and "7.0", stay two labels.
    """
    texts = labels.unique().tolist()
    if all(re.fullmatch(r"0|-?[1-9]\d{0,17}", text) for text in texts):
        return labels.astype("int64")
    if all(re.fullmatch(r"-?\d+\.\d+", text) and repr(float(text)) == text for text in texts):
        return labels.astype("float64")
    return labels


def _without_missing(frame: pd.DataFrame, roles: dict[str, str]) -> pd.DataFrame:
    for column, role in roles.items():
        missing = frame[column].isna()
        if missing.any():
            note(f"{counted(int(missing.sum()), 'row')} without a {role} left out")
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
    if is_text:
        _note_stray_texts(column.dropna())
    if column.nunique() > MAX_CATEGORIES:
        raise CommandError(
            f"column {column.name!r} has {column.nunique()} distinct texts, at most "
            f"{MAX_CATEGORIES} are allowed: leave it out with --drop {column.name}, or encode "
            "it as numbers"
        )
    return column.astype("category")


def _note_stray_texts(column: pd.Series) -> None:
    """Say which texts keep a column of numbers from being read as one."""
    strays = column[pd.to_numeric(column, errors="coerce").isna()].unique().tolist()
    if len(strays) > 0 and column.isin(strays).mean() < 1 - MOSTLY_NUMBERS:
        note(
            f"column {column.name!r} is taken as categories, because it holds "
            f"{listed([repr(text) for text in strays])} beside numbers; --missing tells what "
            "stands for a missing value"
        )
