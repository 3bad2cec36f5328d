"""A combination of main and auxiliary coefficients that is never worse than the former."""

from __future__ import annotations

import numpy.typing as npt

from rmtgb.transfer.least_squares import fit_one
from rmtgb.transfer.problem import as_floats
from rmtgb.transfer.results import SafeCombination


def safe_combination(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    auxiliary_coefficients: npt.ArrayLike,
    *,
    fit_intercept: bool = True,
) -> SafeCombination:
    r"""Move the coefficients of the main task towards auxiliary ones, but never too far.

    Parameters
    ----------
    X : array-like of shape (n_0, d), float
        Features of the main task.
    y : array-like of shape (n_0,), float
        Its target.
    auxiliary_coefficients : array-like of shape (d,), float
        Any coefficients that do not depend on these rows, such as the
        ``auxiliary_coefficients`` of `estimate_problem`.
    fit_intercept : bool, default=True
        Whether there is an intercept, which is not combined.

    Returns
    -------
    combination : SafeCombination
        With less than three features the main task's own coefficients: nothing else is safe.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit, values are not finite, there are too few rows, or features are
        collinear.

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
    rows = as_floats("X", X, (None, None))
    target = as_floats("y", y, (len(rows),))
    d = rows.shape[1]
    auxiliary = as_floats("auxiliary_coefficients", auxiliary_coefficients, (d,))
    n, main, noise, S, _ = fit_one(rows, target, fit_intercept, "the main task")
    if d < 3:
        note = "No weight is safe with less than three features."
        return SafeCombination(main, 0.0, main, note=note)
    difference = auxiliary - main
    distance2 = float(difference @ S @ difference)
    most = (d - 2) * noise * (n - d) / (n - d + 2)
    weight = 1.0 if distance2 <= most else most / distance2
    return SafeCombination(main + weight * difference, weight, main)
