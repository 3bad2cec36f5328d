"""Exact errors of pooling tasks, all or some, and of averaging separate fits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rmtgb._common import check_integer, check_real
from rmtgb.transfer.basic_errors import fit_variances, kappa, main_only_error, pooled_rows_error
from rmtgb.transfer.problem import LinearTransferProblem, check_problem, check_weights
from rmtgb.transfer.results import TransferError, make_error
from rmtgb.transfer.weighting import weighted_error


def pooled_error(problem: LinearTransferProblem) -> TransferError:
    """Compute the error of least squares on the rows of all tasks, each with weight one.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks of which at least one has rows.

    Returns
    -------
    error : TransferError
        Exact for normal features with a common covariance; also for another covariance of
        the test rows, and for one auxiliary task of its own covariance without main rows.
        With other task covariances it is simulated (Monte Carlo).

    Raises
    ------
    ValueError
        If all tasks together have fewer rows than features.

    Notes
    -----
    Differences between tasks act twice: their mean is a bias that stays, their dispersion
    about it is noise that more rows average out.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem, pooled_error
    >>> pooled_error(LinearTransferProblem([8, 12], [1, 1], shift_gram=[[1]], n_features=3))
    TransferError
      bias2            0.411962
      variance         0.1875
      error            0.599462
      main_only_error  0.75
      benefit          0.150538
      helps            True
      status           exact
      standard_error   0
    """
    check_problem(problem)
    if problem.has_task_covariances:  # weighted_error knows what is exact there
        return weighted_error(problem, np.ones(problem.n_tasks))
    return pooled_rows_error(problem, problem.n_samples > 0)


def dispersion_factor(n_rows: float, n_features: int) -> float:
    r"""Return the factor with which dispersion between tasks acts as noise.

    .. math:: \kappa(N, d) = \frac{(d + 1) N^2 - (d + 5) N + 2 (d + 1)}
              {(N - 1) (N + 2) (N - d - 1)}

    Parameters
    ----------
    n_rows : float
        Rows N of all tasks together, more than ``d + 1``.
    n_features : int
        Number of features d.

    Returns
    -------
    kappa : float
        About ``(d + 1) / N``.

    Raises
    ------
    TypeError, ValueError
        If these are no numbers, or there are too few rows or infinitely many.
    """
    d = check_integer("n_features", n_features, minimum=1)
    n = check_real("n_rows", n_rows)
    if not d + 1 < n < np.inf:
        raise ValueError(f"n_rows must be finite and above n_features + 1 = {d + 1}, got {n}.")
    return kappa(n, d)


def averaging_error(problem: LinearTransferProblem, shares: npt.ArrayLike) -> TransferError:
    """Compute the error of an average of separate least-squares fits.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks, each of which may have a covariance of its own.
    shares : array-like of shape (K + 1,), float
        Share of each task's coefficients, 0 or more; scaled to sum to one. A task with a share
        needs more than ``d + 1`` rows, otherwise the error is infinite.

    Returns
    -------
    error : TransferError
        Exact.

    Raises
    ------
    TypeError, ValueError
        If shares are no numbers, negative or all 0.
    """
    check_problem(problem)
    p = check_weights(shares, problem.n_tasks, name="shares")
    p = p / p.sum()  # of which none is above 1, so that the sum is finite
    bias2 = float(p @ problem.test_gram @ p)
    variance = float(np.sum(p[p > 0] ** 2 * fit_variances(problem)[p > 0]))
    return make_error(max(bias2, 0.0), variance, main_only_error(problem), "exact")
