"""Real data sets whose rows belong to tasks: downloaded once, checked, and kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rmtgb.datasets._fetch_docstrings import with_common_sections
from rmtgb.datasets._files import FILES, RemoteFile, obtain
from rmtgb.datasets.layouts import to_long

if TYPE_CHECKING:  # the readers import pandas and scipy.io, which generators do not wait for
    from rmtgb.datasets._readers import TaskTable

__all__ = [
    "fetch_abalone",
    "fetch_adult",
    "fetch_avila",
    "fetch_bank",
    "fetch_computer",
    "fetch_landmine",
    "fetch_parkinson",
    "fetch_sarcos",
    "fetch_school",
    "fetch_tasks",
]

Folder: TypeAlias = str | os.PathLike[str] | None


@with_common_sections
def fetch_tasks(
    url: str,
    *,
    task_feature: str,
    target: str,
    sha256: str | None = None,
    data_home: Folder = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Load any csv file of the web, or of the offline folder, whose rows belong to tasks.

    Raises ValueError if a column is absent.

    Parameters
    ----------
    url : str
        Address of a .csv or .csv.gz file with a header.
    task_feature, target : str
        Columns of the task labels and of what is to be predicted. Columns of text become
        categories.
    sha256 : str, optional
        Hash of the file. By default that of the first download is kept, and checked later.
    %(common)s
    """
    import pandas as pd

    from rmtgb.datasets._readers import TaskTable, text_to_categories

    # A folder for each address: many files of the web are called data.csv.
    folder = hashlib.sha256(url.encode()).hexdigest()[:16]
    file = RemoteFile(url.rsplit("/", 1)[-1], url, sha256, folder)
    frame = pd.read_csv(obtain(file, data_home, download_if_missing))
    for column in (task_feature, target):
        if column not in frame:
            raise ValueError(f"{file.name} has no column {column!r}, only {list(frame)}.")
    y = frame.pop(target)
    labels = frame.pop(task_feature)
    table = TaskTable(text_to_categories(frame).assign(**{task_feature: labels}), y)
    return _present(table, task_feature, return_X_y, as_frame)


def _make_fetcher(name: str, files: Sequence[str], task: str, text: str) -> Callable[..., Any]:
    """Return the fetcher of a data set that needs nothing but its files.

    Parameters
    ----------
    name : str
        Name of the data set; ``read_<name>`` reads its files.
    files : sequence of str
        Names of its files.
    task : str
        Column of the tasks.
    text : str
        Docstring: what it holds, then its licence and source.
    """

    def fetch(
        *,
        data_home: Folder = None,
        download_if_missing: bool = True,
        return_X_y: bool = False,
        as_frame: bool = True,
    ) -> Any:
        from rmtgb.datasets import _readers

        paths = _obtain_all(files, data_home, download_if_missing)
        table = getattr(_readers, f"read_{name}")(*paths)
        return _present(table, task, return_X_y, as_frame)

    fetch.__name__ = fetch.__qualname__ = f"fetch_{name}"
    fetch.__doc__ = text.replace(
        "Licence:",
        "Parameters\n    ----------\n    %(common)s\n\n    Notes\n    -----\n    Licence:",
    )
    return with_common_sections(fetch)


fetch_school = _make_fetcher(
    "school",
    ["school"],
    "school",
    """Load exam scores of pupils of 139 London schools: regression, 15,362 rows.

    27 features of pupils and schools, two of them percentages, the others 0 or 1. The task is
    the school, the target the score.

    Licence: none is stated.
    Inner London Education Authority, exams of 1985 to 1987;
    H. Goldstein, "Multilevel modelling of survey data", The Statistician 40, 1991; in the form
    of A. Argyriou, T. Evgeniou and M. Pontil, "Convex multi-task feature learning", Machine
    Learning 73, 2008.
    """,
)

fetch_computer = _make_fetcher(
    "computer",
    ["computer_data", "computer_target"],
    "person",
    """Load ratings of 20 computers by 190 persons: regression, 3800 rows.

    13 features of the computer, each -1 or 1. The task is the person, the target how likely a
    purchase is, from 0 to 10.

    Licence: none is stated.
    P. Lenk, W. DeSarbo, P. Green and M. Young, "Hierarchical
    Bayes Conjoint Analysis", Marketing Science 15, 1996.
    """,
)

fetch_parkinson = _make_fetcher(
    "parkinson",
    ["parkinson"],
    "subject",
    """Load voice measurements of 42 patients over half a year: regression, 5875 rows.

    19 features: age, sex, time and 16 measures of the voice. The task is the patient, the target
    the total UPDRS, a score of the symptoms.

    Licence: CC BY 4.0.
    A. Tsanas, M. Little, P. McSharry and L. Ramig, "Accurate telemonitoring of
    Parkinson's disease progression by noninvasive speech tests", IEEE Transactions on Biomedical
    Engineering 57, 2010; doi 10.24432/C5ZS3N.
    """,
)

fetch_landmine = _make_fetcher(
    "landmine",
    ["landmine"],
    "field",
    """Load radar features of objects in 29 fields: binary classification, 14,820 rows.

    9 features. The task is the field, the target whether the object is a mine (6 % are).

    Licence: none is stated.
    Y. Xue, X. Liao, L. Carin and B. Krishnapuram, "Multi-task
    learning for classification with Dirichlet process priors", JMLR 8, 2007.
    """,
)

fetch_avila = _make_fetcher(
    "avila",
    ["avila"],
    "row_number",
    """Load pages of the Avila Bible: classification into 12 copyists, 20,867 rows.

    9 features of the layout. The task is the (standardised) number of rows of the page, as in
    [1]_, the target the letter of the copyist.

    Licence: CC BY 4.0.
    C. De Stefano, M. Maniaci, F. Fontanella and A. Scotto di Freca, "Reliable
    writer identification in medieval manuscripts through page layout features", Engineering
    Applications of Artificial Intelligence 72, 2018.

    .. [1] "Robust Multi-Task Gradient Boosting", arXiv:2507.11411.
    """,
)

fetch_bank = _make_fetcher(
    "bank",
    ["bank"],
    "job",
    """Load calls of a bank to its customers: binary classification, 45,211 rows.

    15 features, 8 of them categories. The task is the kind of job, as in [1]_, the target whether
    a deposit was subscribed.

    Licence: CC BY 4.0.
    S. Moro, P. Cortez and P. Rita, "A data-driven approach to predict the success
    of bank telemarketing", Decision Support Systems 62, 2014; doi 10.24432/C5K306.

    .. [1] "Robust Multi-Task Gradient Boosting", arXiv:2507.11411.
    """,
)

fetch_abalone = _make_fetcher(
    "abalone",
    ["abalone"],
    "sex",
    """Load measurements of abalones: regression, 4177 rows.

    7 features. The task is the sex (F, M, or I for infants), the target the number of rings,
    which tells the age.

    Licence: CC BY 4.0.
    W. Nash, T. Sellers, S. Talbot, A. Cawthorn and W. Ford, "Abalone", 1994; doi
    10.24432/C55C7W.
    """,
)


@with_common_sections
def fetch_adult(
    *,
    task: str = "sex",
    data_home: Folder = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Load census records of adults: binary classification, 48,842 rows.

    14 columns, 8 of them categories, some values missing. The target is whether the income is
    above 50,000 dollars a year. In [1]_ both sex and race are left out of the features; here the
    one that is no task is one of them.

    Parameters
    ----------
    task : {"sex", "race"}, default="sex"
        Column that tells the task.
    %(common)s

    Notes
    -----
    Licence: CC BY 4.0.
    B. Becker and R. Kohavi, "Adult", 1996; doi 10.24432/C5XW20.

    .. [1] "Robust Multi-Task Gradient Boosting", arXiv:2507.11411.
    """
    from rmtgb.datasets._readers import read_adult

    if task not in ("sex", "race"):
        raise ValueError(f"task must be 'sex' or 'race', got {task!r}.")
    paths = _obtain_all(["adult"], data_home, download_if_missing)
    return _present(read_adult(*paths), task, return_X_y, as_frame)


@with_common_sections
def fetch_sarcos(
    *,
    subset: str = "train",
    layout: str = "long",
    data_home: Folder = None,
    download_if_missing: bool = True,
    return_X_y: bool = False,
    as_frame: bool = True,
) -> Any:
    """Load the inverse dynamics of a robot arm: regression of 7 torques, 44,484 rows.

    21 features: position, velocity and acceleration of 7 joints. The task is the torque.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        Which of both files. Of the 4449 rows of the second nearly all are rows of the first as
        well, so that an error on it says little.
    layout : {"long", "wide"}, default="long"
        A row per torque with a task column, or a column of y per torque.
    %(common)s

    Notes
    -----
    Licence: none is stated.
    S. Vijayakumar and S. Schaal, "LWPR: An O(n) algorithm
    for incremental real time learning in high dimensional space", ICML 2000; the files are those
    of C. Rasmussen and C. Williams, "Gaussian Processes for Machine Learning", 2006.
    """
    from rmtgb.datasets._readers import TaskTable, read_sarcos

    if subset not in ("train", "test"):
        raise ValueError(f"subset must be 'train' or 'test', got {subset!r}.")
    if layout not in ("long", "wide"):
        raise ValueError(f"layout must be 'long' or 'wide', got {layout!r}.")
    X, Y = read_sarcos(*_obtain_all([f"sarcos_{subset}"], data_home, download_if_missing))
    if layout == "wide":
        return _present(TaskTable(X, Y), None, return_X_y, as_frame)
    X, y, _ = to_long(X, Y, task_feature="torque")
    return _present(TaskTable(X, y), "torque", return_X_y, as_frame)


def _obtain_all(names: Sequence[str], data_home: Folder, download_if_missing: bool) -> list[Path]:
    return [obtain(FILES[name], data_home, download_if_missing) for name in names]


def _present(table: TaskTable, task_feature: str | None, return_X_y: bool, as_frame: bool) -> Any:
    """Return a table in the form that was asked for, the task column last."""
    from sklearn.utils import Bunch

    from rmtgb.datasets._readers import as_array

    X, y = table
    tasks = list(y) if task_feature is None else None
    if task_feature is not None:
        X = X.assign(**{task_feature: X[task_feature]})[
            [*X.columns.drop(task_feature), task_feature]
        ]
        tasks = sorted(X[task_feature].dropna().unique())
    names = list(X.columns)
    if not as_frame:
        X, y = as_array(X, task_feature), y.to_numpy()
    if return_X_y:
        return X, y
    return Bunch(data=X, target=y, task_feature=task_feature, tasks=tasks, feature_names=names)
