"""Files of real data sets, each format read into features, task labels and target."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.io import loadmat

from rmtgb._common import FloatArray


class TaskTable(NamedTuple):
    """What a file holds.

    Parameters
    ----------
    X : DataFrame
        Features, and the task labels in a column.
    y : Series or DataFrame
        Target, or several of them.
    """

    X: pd.DataFrame
    y: Any


SCHOOL_FEATURES = (
    [f"year-{i}" for i in range(3)]
    + ["per_fsm", "per_vr1band"]
    + [f"gender-{i}" for i in range(2)]
    + [f"vrband-{i}" for i in range(3)]
    + [f"ethnic_group-{i}" for i in range(11)]
    + [f"school_gender-{i}" for i in range(3)]
    + [f"school_denomination-{i}" for i in range(3)]
)
ABALONE_COLUMNS = [
    "sex",
    "length",
    "diameter",
    "height",
    "whole_weight",
    "shucked_weight",
    "viscera_weight",
    "shell_weight",
    "rings",
]
ADULT_COLUMNS = [
    "age",
    "workclass",
    "fnlwgt",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "income",
]
AVILA_COLUMNS = [
    "intercolumnar_distance",
    "upper_margin",
    "lower_margin",
    "exploitation",
    "row_number",
    "modular_ratio",
    "interlinear_spacing",
    "weight",
    "peak_number",
    "modular_ratio_by_interlinear_spacing",
    "copyist",
]


def read_school(path: Path) -> TaskTable:
    """Read ``school_b.mat``: features x pupils with a bias as last row, and starts of schools."""
    content = loadmat(path)
    features = np.asarray(content["x"], dtype=np.float64)[: len(SCHOOL_FEATURES)].T
    X = pd.DataFrame(features, columns=SCHOOL_FEATURES)
    starts = np.ravel(content["task_indexes"]).astype(np.int64) - 1
    X["school"] = np.repeat(np.arange(len(starts)), np.diff([*starts, len(X)]))
    return TaskTable(X, pd.Series(np.ravel(content["y"]).astype(np.float64), name="score"))


def read_computer(features: Path, target: Path) -> TaskTable:
    """Read the two csv files, whose first columns number the rows."""
    X = pd.read_csv(features, index_col=0).reset_index(drop=True)
    X["task"] = X["task"].astype(np.int64)
    y = pd.read_csv(target, index_col=0).iloc[:, 0].reset_index(drop=True)
    return TaskTable(X.rename(columns={"task": "person"}), y.rename("rating"))


def read_parkinson(path: Path) -> TaskTable:
    """Read ``parkinsons_updrs.data`` of the archive."""
    frame = _read_member(path, "parkinsons_updrs.data")
    y = frame["total_UPDRS"]
    X = frame.drop(columns=["motor_UPDRS", "total_UPDRS"])
    return TaskTable(X.rename(columns={"subject#": "subject"}), y)


def read_landmine(path: Path) -> TaskTable:
    """Read ``LandmineData.mat``: a cell of features and one of labels for each field."""
    content = loadmat(path)
    features = [np.asarray(cell, dtype=np.float64) for cell in np.ravel(content["feature"])]
    labels = [np.ravel(cell).astype(np.int64) for cell in np.ravel(content["label"])]
    X = pd.DataFrame(np.vstack(features)).rename(columns=lambda j: f"x{j}")
    X["field"] = np.repeat(np.arange(len(features)), [len(rows) for rows in features])
    return TaskTable(X, pd.Series(np.concatenate(labels), name="mine"))


def read_sarcos(path: Path) -> TaskTable:
    """Read a matrix of 21 features and 7 torques; wide, without a task column."""
    content = loadmat(path)
    names = [name for name in content if name.startswith("sarcos_inv")]
    rows = np.asarray(content[names[0]], dtype=np.float64)
    kinds = ("position", "velocity", "acceleration")
    columns = [f"{kind}-{joint}" for kind in kinds for joint in range(1, 8)]
    torques = [f"torque-{joint}" for joint in range(1, 8)]
    return TaskTable(
        pd.DataFrame(rows[:, :21], columns=columns), pd.DataFrame(rows[:, 21:], columns=torques)
    )


def read_adult(path: Path) -> TaskTable:
    """Read both files of the archive; the second has a line before its rows."""
    layout: dict[str, Any] = {
        "header": None,
        "names": ADULT_COLUMNS,
        "skipinitialspace": True,
        "na_values": "?",
    }
    parts = [
        _read_member(path, "adult.data", **layout),
        _read_member(path, "adult.test", skiprows=1, **layout),
    ]
    frame = pd.concat(parts, ignore_index=True)
    y = frame.pop("income").str.startswith(">50K").astype(np.int64)
    return TaskTable(text_to_categories(frame), y.rename("above_50k"))


def read_avila(path: Path) -> TaskTable:
    """Read both parts of the archive."""
    members = ("avila/avila-tr.txt", "avila/avila-ts.txt")
    parts = [_read_member(path, name, header=None, names=AVILA_COLUMNS) for name in members]
    frame = pd.concat(parts, ignore_index=True)
    return TaskTable(frame.drop(columns="copyist"), frame["copyist"])


def read_bank(path: Path) -> TaskTable:
    """Read ``bank-full.csv`` of the archive within the archive."""
    with zipfile.ZipFile(path) as outer:
        inner = io.BytesIO(outer.read("bank.zip"))
    frame = _read_member(inner, "bank-full.csv", sep=";")
    y = (frame.pop("y") == "yes").astype(np.int64)
    return TaskTable(text_to_categories(frame), y.rename("subscribed"))


def read_abalone(path: Path) -> TaskTable:
    """Read ``abalone.data`` of the archive."""
    frame = _read_member(path, "abalone.data", header=None, names=ABALONE_COLUMNS)
    return TaskTable(text_to_categories(frame.drop(columns="rings")), frame["rings"])


def _read_member(archive: Path | io.BytesIO, member: str, **layout: Any) -> pd.DataFrame:
    with zipfile.ZipFile(archive) as content, content.open(member) as stream:
        return pd.read_csv(stream, **layout)


def text_to_categories(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with categories in place of text."""
    text = frame.select_dtypes(exclude="number").columns
    return frame.astype(dict.fromkeys(text, "category"))


def as_array(X: pd.DataFrame, task_feature: str | None) -> FloatArray:
    """Return all columns as numbers: codes of tasks in sorted order and of categories."""
    if task_feature is not None:
        X = X.assign(**{task_feature: pd.factorize(X[task_feature], sort=True)[0]})
    categories = X.select_dtypes("category").columns
    coded = {name: X[name].cat.codes.where(X[name].notna()) for name in categories}
    return X.assign(**coded).to_numpy(dtype=np.float64)
