"""Tasks as people hold them, in frames, and as the calculator takes them, in arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from rmtgb._common import BoolArray, FloatArray, as_floats, counted, hint, real_numbers
from rmtgb.transfer.numeric_frame import is_numeric, numeric_frame


@dataclass(frozen=True)
class Tasks:
    """Arrays of each task, the main one first, and what they are called."""

    X: list[FloatArray]
    y: list[FloatArray]
    labels: tuple[Any, ...]  # numbers where the data have none
    features: tuple[Any, ...]  # numbers where the data have no names


def are_names(features: tuple[Any, ...]) -> bool:
    """Tell whether features are called otherwise than by their numbers."""
    return features != tuple(range(len(features)))


def read_tasks(X: Any, y: Any, *, task: Any, main: Any, one_hot: bool) -> Tasks:
    """Read tasks from sequences, from dicts of frames, or from a frame with a task column.

    The parameters are those of `estimate_problem`.
    """
    if not isinstance(one_hot, bool | np.bool_):
        raise TypeError(f"one_hot must be True or False, got {one_hot!r}.")
    frame = as_pandas(X)
    if frame is not None:
        return _from_frame(frame, y, task, main, one_hot)
    if task is not None:
        raise TypeError("task names a column, which only a frame has: give one, or leave it out.")
    if isinstance(X, Mapping):
        return _from_dict(X, y, main, one_hot)
    if main is not None:
        raise TypeError("main is a label: without a frame or a dict the first task is the main.")
    return _from_sequences(X, y, one_hot)


def read_main(X: Any, y: Any, *, task: Any, main: Any, one_hot: bool, features: Any) -> Tasks:
    """Read the main task alone, with the columns named, if any are."""
    frame = as_pandas(X)
    if frame is None:
        if task is not None or main is not None:
            raise TypeError("task and main are for frames with a task column.")
        rows = as_floats("X", X, (None, None))
        return Tasks([rows], [as_floats("y", y, (len(rows),))], ("main",), ())
    if task is not None:
        _, parts = _find_tasks(frame, task, main)
        frame, target = _split_target(frame, y, "of all tasks", task)
        frame, target = frame.loc[parts[0]], target[parts[0]]
    elif main is not None:
        raise TypeError("main is a label in the column of labels: give its name, task, as well.")
    else:
        frame, target = _split_target(frame, y, "of the main task")
    # numbers of columns are names only where the frame has them
    by_name = features is not None and (
        are_names(tuple(features)) or set(features) <= set(frame.columns)
    )
    numbers = numeric_frame(frame, one_hot, drop_usual=not by_name)
    if by_name:
        numbers = _with_absent(numbers, frame, features)
        numbers = _in_order(numbers, list(features), "the main task")
        _refuse_unknown(frame, features)
    return Tasks(
        [_as_rows(numbers, "the main task")],
        [_as_target(target, "the main task")],
        ("main",),
        tuple(numbers.columns),
    )


def _refuse_unknown(frame: pd.DataFrame, features: list[Any]) -> None:
    """Refuse a column that is none of the features: it may hold labels of tasks.

    Of texts, no indicator is among them.
    """
    unknown = [
        name
        for name in frame.columns
        if name not in features and (is_numeric(frame[name]) or not _indicators(name, features))
    ]
    if unknown:
        raise ValueError(
            f"The main task has a column {unknown[0]!r} that the coefficients do not belong to: "
            "leave it out or, if it holds the labels of tasks, give task and main."
        )


def _indicators(name: Any, columns: Iterable[Any]) -> list[str]:
    """Return those columns that are called as an indicator of a column of texts is."""
    return [c for c in columns if isinstance(c, str) and c.startswith(f"{name}_")]


def _with_absent(numbers: pd.DataFrame, frame: pd.DataFrame, features: list[Any]) -> pd.DataFrame:
    """Add indicators, all zeros, of values that no row here has.

    Refuse a column of texts of which two values have no indicator: the coefficients treat one as
    the value that needs none, and know nothing of the other.
    """
    texts = [name for name in frame.columns if not is_numeric(frame[name])]
    for name in texts:
        known, own = _indicators(name, features), _indicators(name, numbers.columns)
        without = [column.removeprefix(f"{name}_") for column in own if column not in known]
        if known and len(without) > 1:
            raise ValueError(
                f"Column {name!r} holds {without[0]!r} and {without[1]!r}, but only one value may "
                "be without a coefficient of its own."
            )
        absent = [feature for feature in known if feature not in numbers.columns]
        numbers = numbers.assign(**dict.fromkeys(absent, 0.0))
    return numbers


def as_pandas(X: Any) -> pd.DataFrame | None:
    """Return a frame of any library as one of pandas; anything else as None."""
    if isinstance(X, pd.DataFrame):
        return X
    if isinstance(X, Mapping | Sequence | np.ndarray) or X is None:
        return None
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        raise TypeError(f"X is a lazy frame ({type(X).__name__}): give X.collect().")
    if not isinstance(frame, nw.DataFrame):
        return None
    return pd.DataFrame({name: frame[name].to_numpy() for name in frame.columns})


def _from_frame(frame: pd.DataFrame, y: Any, task: Any, main: Any, one_hot: bool) -> Tasks:
    if task is None:
        raise TypeError("A frame of all tasks needs task, the name of the column of their labels.")
    labels, parts = _find_tasks(frame, task, main)
    if len(labels) < 2:
        raise ValueError(f"There is no task but {labels[0]!r}: one or more others are needed.")
    frame, target = _split_target(frame, y, "of all tasks", task)
    numbers = numeric_frame(frame, one_hot)
    names = [f"task {label}" for label in labels]
    return Tasks(
        [_as_rows(numbers.loc[part], name) for part, name in zip(parts, names, strict=True)],
        [_as_target(target[part], name) for part, name in zip(parts, names, strict=True)],
        tuple(labels),
        tuple(numbers.columns),
    )


def _find_tasks(frame: pd.DataFrame, task: Any, main: Any) -> tuple[list[Any], list[BoolArray]]:
    """Return the labels of the tasks, the main one first, and which rows are of each."""
    _refuse_twice(frame, "of all tasks")
    if not isinstance(task, Hashable) or task not in frame.columns:
        raise ValueError(f"There is no column {task!r}; {hint(task, list(frame.columns))}")
    if main is None:
        raise TypeError("A frame of all tasks needs main, the label of the main task.")
    if len(frame) == 0:
        raise ValueError("The frame of all tasks has no rows.")
    try:
        codes, labels = pd.factorize(frame[task])
    except TypeError as error:  # lists, for instance
        raise TypeError(
            f"The task column {task!r} holds values that are no labels ({error})."
        ) from error
    if (codes < 0).any():
        count = counted(int((codes < 0).sum()), "missing label")
        raise ValueError(f"The task column {task!r} has {count}.")
    known = labels.tolist()
    first = known.index(main) if isinstance(main, Hashable) and main in known else None
    if first is None:
        raise ValueError(f"No row is of task {main!r}; {hint(main, known)}")
    order = [first, *(code for code in range(len(known)) if code != first)]
    return [known[code] for code in order], [codes == code for code in order]


def _from_dict(X: Mapping[Any, Any], y: Any, main: Any, one_hot: bool) -> Tasks:
    if len(X) == 0:
        raise ValueError("X must have two or more tasks, got an empty dict.")
    first = next(iter(X)) if main is None else main
    if not isinstance(first, Hashable) or first not in X:
        raise ValueError(f"There is no task {first!r}; {hint(first, list(X))}")
    labels = [first, *(label for label in X if label != first)]
    if isinstance(y, Mapping):
        if set(y) != set(X):
            raise ValueError(f"X and y must have the same tasks, got {list(X)} and {list(y)}.")
        targets = [y[label] for label in labels]
    elif np.isscalar(y):
        targets = [y] * len(labels)
    else:
        raise TypeError(
            "y must be a dict with the tasks of X, or the name of the column of the target, got "
            f"{type(y).__name__}."
        )
    return _from_parts([X[label] for label in labels], targets, labels, one_hot)


def _from_sequences(X_list: Any, y_list: Any, one_hot: bool) -> Tasks:
    if np.isscalar(y_list) and isinstance(X_list, Sequence) and not isinstance(X_list, str):
        y_list = [y_list] * len(X_list)
    for name, value in (("X_list", X_list), ("y_list", y_list)):
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
            raise TypeError(
                f"{name} must be a sequence with an item per task, got {type(value).__name__}."
            )
    if len(X_list) != len(y_list):
        raise _wrong_number(len(X_list), len(y_list))
    return _from_parts(list(X_list), list(y_list), list(range(len(X_list))), one_hot)


def _wrong_number(tasks: int, targets: int) -> ValueError:
    return ValueError(
        f"X_list and y_list must have one item per task, two or more, got {tasks} and {targets}."
    )


def _from_parts(X: list[Any], y: list[Any], labels: list[Any], one_hot: bool) -> Tasks:
    """Read tasks that are arrays, or frames whose columns are matched by name."""
    frames = [as_pandas(part) for part in X]
    if len(X) < 2:
        raise _wrong_number(len(X), len(y))
    if all(frame is None for frame in frames):
        if any(np.isscalar(target) for target in y):
            raise TypeError("y names a column, which only frames have: give an array per task.")
        return _from_arrays(X, y, labels)
    names = [f"task {label}" for label in labels]
    if any(frame is None for frame in frames):
        raise TypeError("Either all tasks must be frames, or none.")
    split = [
        _split_target(frame, target, f"of {name}")
        for frame, target, name in zip(frames, y, names, strict=True)
    ]
    columns = list(split[0][0].columns)
    ordered = [
        _in_order(frame, columns, name) for (frame, _), name in zip(split, names, strict=True)
    ]
    for (frame, _), name in zip(split, names, strict=True):
        extra = [column for column in frame.columns if column not in columns]
        if extra:
            raise ValueError(f"{name} has a column {extra[0]!r} that the main task has not.")
    ends = np.cumsum([0, *map(len, ordered)])
    # All at once, so that a category that one task has not still has its column there.
    numbers = numeric_frame(pd.concat(ordered, ignore_index=True), one_hot)
    return Tasks(
        [_as_rows(numbers.iloc[ends[k] : ends[k + 1]], name) for k, name in enumerate(names)],
        [_as_target(target, name) for (_, target), name in zip(split, names, strict=True)],
        tuple(labels),
        tuple(numbers.columns),
    )


def _from_arrays(X: list[Any], y: list[Any], labels: list[Any]) -> Tasks:
    rows: list[FloatArray] = []
    targets = []
    for k, label in enumerate(labels):
        width = rows[0].shape[1] if rows else None
        rows.append(as_floats(f"X_list[{label!r}]", X[k], (None, width)))
        targets.append(as_floats(f"y_list[{label!r}]", y[k], (len(rows[k]),)))
    return Tasks(rows, targets, tuple(labels), tuple(range(rows[0].shape[1])))


def _split_target(
    frame: pd.DataFrame, y: Any, whose: str, task: Any = None
) -> tuple[pd.DataFrame, npt.NDArray[Any]]:
    """Return the features and the target, which is a column of the frame or beside it."""
    _refuse_twice(frame, whose)
    if task is not None:
        frame = frame.drop(columns=task)
    if np.isscalar(y):
        if y == task:
            raise ValueError(f"The target and the labels are both said to be column {y!r}.")
        if y not in frame.columns:
            raise ValueError(
                f"The frame {whose} has no target column {y!r}; {hint(y, list(frame.columns))}"
            )
        return frame.drop(columns=y), frame[y].to_numpy()
    target = np.asanyarray(y)  # so that masked values stay so
    if target.shape != (len(frame),):
        raise ValueError(
            f"The target {whose} must be the name of a column, or have shape ({len(frame)},), "
            f"got shape {target.shape}."
        )
    return frame, target


def _refuse_twice(frame: pd.DataFrame, whose: str) -> None:
    """Refuse a frame with two columns of one name."""
    if frame.columns.has_duplicates:
        twice = frame.columns[frame.columns.duplicated()].tolist()
        raise ValueError(f"The frame {whose} has more than one column {twice[0]!r}.")


def _in_order(frame: pd.DataFrame, columns: list[Any], name: str) -> pd.DataFrame:
    """Return the columns asked for."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(
            f"{name} has no column {missing[0]!r}; {hint(missing[0], list(frame.columns))}"
        )
    return frame[columns]


def _as_rows(numbers: pd.DataFrame, name: str) -> FloatArray:
    """Return an array, and refuse missing and infinite values by the name of the column."""
    if numbers.shape[1] == 0:
        raise ValueError(f"{name} has no column of features.")
    rows = numbers.to_numpy(dtype=np.float64)
    for kind, bad in (("missing", np.isnan(rows)), ("infinite", np.isinf(rows))):
        if bad.any():
            first = int(bad.any(axis=0).argmax())
            count = counted(int(bad[:, first].sum()), f"{kind} value")
            raise ValueError(f"Column {numbers.columns[first]!r} of {name} has {count}.")
    return rows


def _as_target(target: Any, name: str) -> FloatArray:
    values = real_numbers(f"The target of {name}", target)
    for kind, bad in (("missing", np.isnan(values)), ("infinite", np.isinf(values))):
        if bad.any():
            raise ValueError(
                f"The target of {name} has {counted(int(bad.sum()), f'{kind} value')}."
            )
    return values
