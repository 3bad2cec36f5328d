"""A combination of main and auxiliary coefficients that is never worse than the former."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from rmtgb._common import FloatArray, as_floats
from rmtgb.transfer.estimates import EstimatedProblem
from rmtgb.transfer.frames import Tasks, read_main
from rmtgb.transfer.least_squares import fit_one
from rmtgb.transfer.results import SafeCombination


def safe_combination(
    X: Any,
    y: Any,
    auxiliary_coefficients: Any,
    *,
    task: Any = None,
    main: Any = None,
    one_hot: bool = False,
    fit_intercept: bool = True,
) -> SafeCombination:
    r"""Move the coefficients of the main task towards auxiliary ones, but never too far.

    Parameters
    ----------
    X : array-like or data frame of shape (n_0, d), float
        Features of the main task; or a frame of all tasks with a column of labels.
    y : array-like of shape (n_0,), float, or str
        Its target, or the name of the column of the frame that holds it.
    auxiliary_coefficients : EstimatedProblem, Series, or array-like of shape (d,), float
        Any coefficients that do not depend on these rows, such as those of an estimate. The
        columns of a frame are matched by name with those of an estimate or with the index of a
        Series.
    task : label of a column, optional
        The column of labels, if rows of all tasks are in the frame.
    main : label, optional
        The main task in that column.
    one_hot : bool, default=False
        Whether columns of text or categories become indicators of their values.
    fit_intercept : bool, default=True
        Whether there is an intercept, which is not combined.

    Returns
    -------
    combination : SafeCombination
        With less than three features the main task's own coefficients: nothing else is safe.

    Raises
    ------
    TypeError, ValueError
        If shapes or columns do not fit, values are missing, infinite or text, there are too few
        rows, or features are constant or collinear; the message names the column. Also if an
        estimate is for another main task.

    Notes
    -----
    With ``p = min(1, (d - 2) RSS / ((n_0 - d + 2) |w_0 - w|^2))`` in the metric X' X, the expected
    error on the rows of X is never above that of least squares, whatever the auxiliary
    coefficients are, if the noise is normal: this is the positive-part estimator of James and
    Stein, shrunken to a point that is not 0 [1]_.

    References
    ----------
    .. [1] A. Baranchik, "A Family of Minimax Estimators of the Mean of a Multivariate Normal
       Distribution", Annals of Mathematical Statistics 41, 1970.
    """
    _refuse_other_main(auxiliary_coefficients, main)
    names = _names(auxiliary_coefficients)
    tasks = read_main(X, y, task=task, main=main, one_hot=one_hot, features=names)
    rows = tasks.X[0]
    d = rows.shape[1]
    auxiliary = _coefficients(auxiliary_coefficients, tasks)
    n, main_only, noise, S, _ = fit_one(
        rows, tasks.y[0], fit_intercept, "the main task", tasks.features
    )
    features = tuple(tasks.features) or tuple(range(d))
    if d < 3:
        note = "No weight is safe with less than three features."
        return SafeCombination(main_only, 0.0, main_only, features, note=note)
    difference = auxiliary - main_only
    most = (d - 2) * noise * (n - d) / (n - d + 2)
    with np.errstate(over="ignore"):  # infinitely far away, the weight is 0
        distance2 = float(difference @ S @ difference)
    weight = 1.0 if distance2 <= most else most / distance2
    return SafeCombination(main_only + weight * difference, weight, main_only, features)


def _refuse_other_main(coefficients: Any, main: Any) -> None:
    """Refuse an estimate for another main task: its auxiliary coefficients hold these rows."""
    if main is None or not isinstance(coefficients, EstimatedProblem):
        return
    if main != coefficients.labels[0]:
        raise ValueError(
            f"The estimate is for the main task {coefficients.labels[0]!r}, got main={main!r}: "
            "its auxiliary coefficients are of rows of that task too."
        )


def _names(coefficients: Any) -> list[Any] | None:
    """Return the names of the columns that coefficients belong to, if they have any."""
    if isinstance(coefficients, EstimatedProblem):
        return list(coefficients.features)
    if isinstance(coefficients, pd.Series):
        if coefficients.index.has_duplicates:
            twice = coefficients.index[coefficients.index.duplicated()].tolist()
            raise ValueError(f"auxiliary_coefficients has more than one entry {twice[0]!r}.")
        return list(coefficients.index)
    return None


def _coefficients(coefficients: Any, tasks: Tasks) -> FloatArray:
    """Return coefficients in the order of the columns."""
    if isinstance(coefficients, EstimatedProblem):
        coefficients = coefficients.auxiliary_coefficients
    return as_floats("auxiliary_coefficients", coefficients, (tasks.X[0].shape[1],))
