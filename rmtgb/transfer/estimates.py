"""What estimates from data look like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.transfer.problem import LinearTransferProblem
from rmtgb.transfer.results import Result


@dataclass(frozen=True, repr=False, eq=False)
class EstimatedBenefit(Result):
    """Estimated benefit of pooling auxiliary tasks with the main task.

    Parameters
    ----------
    tasks : tuple of int
        Numbers of the auxiliary tasks that are pooled with task 0.
    benefit : float
        Estimate of how much the expected squared error falls. Squared unit of the target. It may
        be negative; it may also exceed the error of the main task alone, which takes its rows
        for equally noisy.
    standard_error : float
        Its standard error, for normal noise.
    p_helps, p_hurts : float
        Probability of data that speak as much for "helps", or for "hurts", if pooling makes no
        difference. Adjusted for the number of tasks in the lines of single tasks.
    verdict : {"helps", "hurts", "cannot tell at this sample size"}
        What these allow to be said at the level asked for.
    status : {"approximation"}
        An estimate.
    """

    tasks: tuple[int, ...]
    benefit: float
    standard_error: float
    p_helps: float
    p_hurts: float
    verdict: str
    status: str = "approximation"


@dataclass(frozen=True, repr=False, eq=False)
class EstimatedProblem(Result):
    """A transfer problem estimated from data, with the benefit of each auxiliary task.

    Parameters
    ----------
    problem : LinearTransferProblem
        Plug-in problem: the estimates below, negative eigenvalues of the Gram matrix set to 0.
        Its numbers of rows are less by one each if intercepts were fitted.
    labels : tuple
        Labels of the tasks, the main one first; numbers if the data have none.
    features : tuple
        Names of the columns; numbers if the data have none.
    covariance : ndarray of shape (d, d), float64
        Covariance of the features in which errors count.
    covariance_of : {"main", "all", "given"}
        Whose that is: that of the main task's rows, of the rows of all tasks, or one that was
        given.
    coefficients : ndarray of shape (K + 1, d), float64
        Least squares on each task alone.
    auxiliary_coefficients : ndarray of shape (d,), float64
        Least squares on the rows of all auxiliary tasks, each with its own intercept.
    shift_gram : ndarray of shape (K, K), float64
        Unbiased estimate of the inner products of the shifts, given the designs; need not be
        positive semidefinite.
    squared_shift : ndarray of shape (K,), float64
        Its diagonal: an estimate of the squared shift of each task, which may be negative.
    squared_shift_standard_error : ndarray of shape (K,), float64
        Standard error of each, for normal noise.
    main_only_error : float
        Estimate of the error of the main task alone. If errors count in the main task's
        covariance it is that of `problem`, so that all results for it say the same; with one
        residual row, where that is infinite, it is what two would have.
    each : tuple of EstimatedBenefit, length K
        Benefit of pooling each auxiliary task alone with the main task.
    together : EstimatedBenefit
        Benefit of pooling all of them with the main task.
    status : {"approximation"}
        Estimates.
    note : str
        What else there is to say; may be empty.
    """

    problem: LinearTransferProblem
    labels: tuple[Any, ...]
    features: tuple[Any, ...]
    covariance: FloatArray
    covariance_of: str
    coefficients: FloatArray
    auxiliary_coefficients: FloatArray
    shift_gram: FloatArray
    squared_shift: FloatArray
    squared_shift_standard_error: FloatArray
    main_only_error: float
    each: tuple[EstimatedBenefit, ...]
    together: EstimatedBenefit
    status: str = "approximation"
    note: str = ""

    def __repr__(self) -> str:
        whose = {"main": "of the main task", "all": "of all rows", "given": "that was given"}
        lines = [
            f"EstimatedProblem, main task {self.labels[0]!r}",
            self.to_frame().to_string(),
            f"Error of the main task alone: {self.main_only_error:.6g}. Errors count in the "
            f"covariance {whose[self.covariance_of]}.",
        ]
        return "\n".join([*lines, self.note] if self.note else lines)

    def to_frame(self) -> Any:
        """Return a table with a line for each auxiliary task, and one for all together.

        Returns
        -------
        frame : DataFrame
            Columns rows, noise_variance, squared_shift, squared_shift_se, benefit, benefit_se,
            p_helps, p_hurts and verdict; indexed by the labels of the tasks and "all".
        """
        import pandas as pd

        lines = [*self.each, self.together]
        counts = self.problem.n_samples[1:]
        missing = [np.nan]
        return pd.DataFrame(
            {
                "rows": [*counts.tolist(), int(counts.sum())],
                "noise_variance": [*self.problem.noise_variance[1:], *missing],
                "squared_shift": [*self.squared_shift, *missing],
                "squared_shift_se": [*self.squared_shift_standard_error, *missing],
                "benefit": [line.benefit for line in lines],
                "benefit_se": [line.standard_error for line in lines],
                "p_helps": [line.p_helps for line in lines],
                "p_hurts": [line.p_hurts for line in lines],
                "verdict": [line.verdict for line in lines],
            },
            index=pd.Index([*self.labels[1:], "all"], name="task"),
        )
