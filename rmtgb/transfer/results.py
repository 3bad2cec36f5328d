"""What the functions of this package return."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rmtgb._common import FloatArray

#: What a result is: a proven equality, a proven bound, a derived approximation, or a simulation.
STATUSES = ("exact", "bound", "approximation", "monte_carlo")


class Result:
    """A dataclass that prints one field per line and turns into a table."""

    def __repr__(self) -> str:
        shown = [(field.name, getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]
        width = max(len(name) for name, _ in shown)
        lines = [
            f"  {name:<{width}}  {_as_text(value)}"
            for name, value in shown
            if not _is_blank(value)
        ]
        return "\n".join([type(self).__name__, *lines])

    def to_frame(self) -> Any:
        """Return the fields as a DataFrame with one row; arrays are objects in their cells.

        Returns
        -------
        frame : DataFrame
        """
        import pandas as pd

        values = {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]
        return pd.DataFrame([values])


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value


def _as_text(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=6, separator=", ", threshold=20)
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


@dataclass(frozen=True, repr=False, eq=False)
class TransferError(Result):
    """Expected excess error on the main task, and what the auxiliary tasks change.

    Errors are expected squared differences of predictions on new rows of the main task, in the
    squared unit of the target, without the noise of these rows.

    Parameters
    ----------
    bias2 : float
        Part that is due to the shifts between tasks.
    variance : float
        Part that is due to noise.
    error : float
        Their sum.
    main_only_error : float
        Error of least squares on the main task alone, infinite if it has too few rows.
    benefit : float
        ``main_only_error - error``; infinite if only the former is.
    helps : bool
        Whether the error is below that of the main task alone.
    status : {"exact", "approximation", "monte_carlo", "bound"}
        What kind of a statement `error` is.
    standard_error : float
        Standard error of `error`; 0 unless it is a simulation.
    note : str
        What else there is to say; may be empty.
    """

    bias2: float
    variance: float
    error: float
    main_only_error: float
    benefit: float
    helps: bool
    status: str
    standard_error: float = 0.0
    note: str = ""


def make_error(
    bias2: float,
    variance: float,
    main_only_error: float,
    status: str,
    standard_error: float = 0.0,
    note: str = "",
) -> TransferError:
    """Derive the error and the benefit from their parts."""
    error = bias2 + variance
    benefit = 0.0 if error == main_only_error else main_only_error - error
    return TransferError(
        float(bias2),
        float(variance),
        float(error),
        float(main_only_error),
        float(benefit),
        bool(benefit > 0),
        status,
        float(standard_error),
        note,
    )


@dataclass(frozen=True, repr=False, eq=False)
class BreakEven(Result):
    """Limits within which pooling the auxiliary tasks with the main task helps.

    Parameters
    ----------
    gain : float
        How much the variance falls by pooling; what the shifts may cost. Squared unit of the
        target.
    shift_factor : float
        Factor by which all shifts could be multiplied until pooling no longer helps; 0 if it
        does not help without any shift, infinite if no shift prevents it.
    largest_shift : float
        Largest norm of the pooled mean shift of the auxiliary tasks with the same relative
        shifts, in the unit of the target.
    largest_noise_ratio : float
        Largest ratio of the auxiliary noise variance to the main one that leaves pooling
        helpful, at the shifts given; 0 if none does.
    largest_noise_ratio_without_shift : float
        The same if all tasks had the same coefficients.
    helpful_sample_sizes : tuple of (float, float)
        Open intervals of the total number of auxiliary rows, in their present proportions, in
        which pooling helps.
    first_row_helps, many_rows_help : bool
        Whether the first, and whether ever more auxiliary rows help: the ends of the intervals.
    status : {"exact"}
        These are exact for normal features with a common covariance.
    """

    gain: float
    shift_factor: float
    largest_shift: float
    largest_noise_ratio: float
    largest_noise_ratio_without_shift: float
    helpful_sample_sizes: tuple[tuple[float, float], ...]
    first_row_helps: bool
    many_rows_help: bool
    status: str = "exact"


@dataclass(frozen=True, repr=False, eq=False)
class OptimalWeights(Result):
    """Weights of the tasks with the least expected error.

    Parameters
    ----------
    weights : ndarray of shape (K + 1,), float64
        Weight of each row of each task, that of the main task 1 unless it is 0.
    error : float
        Error at these weights, of the kind that `status` names.
    main_only_error : float
        Error of the main task alone.
    pooled_error : float
        Error at equal weights.
    lower_bound : float
        No weights have a smaller error, as far as `status` goes: proven if it is "exact",
        otherwise a bound of the approximation.
    gap : float
        ``error - lower_bound``.
    status : {"exact", "approximation"}
        "exact": the error is exact and the minimum is global up to `gap`. "approximation", of
        several auxiliary tasks: `lower_bound` is approximate, and so is the error if `note` is
        empty.
    note : str
        Says if no better weights were found and confirmed by simulation than those with an exact
        error, which are returned then; otherwise empty.
    """

    weights: FloatArray
    error: float
    main_only_error: float
    pooled_error: float
    lower_bound: float
    gap: float
    status: str
    note: str = ""


@dataclass(frozen=True, repr=False, eq=False)
class SubsetChoice(Result):
    """The set of auxiliary tasks whose pooling has the least error.

    Parameters
    ----------
    tasks : tuple of int
        Numbers of the tasks, the main task 0 first.
    error : float
        Exact error of pooling them.
    main_only_error : float
        Error of the main task alone.
    status : {"exact"}
        The error is exact, and no subset has a smaller one: those that were not tried are behind
        proven bounds.
    """

    tasks: tuple[int, ...]
    error: float
    main_only_error: float
    status: str = "exact"


@dataclass(frozen=True, repr=False, eq=False)
class SafeCombination(Result):
    """Coefficients between those of the main task and those of the auxiliary ones.

    Parameters
    ----------
    coefficients : ndarray of shape (d,), float64
        ``main + weight * (auxiliary - main)``.
    weight : float
        Share of the auxiliary coefficients, in [0, 1].
    main_coefficients : ndarray of shape (d,), float64
        Least squares on the main task alone.
    features : tuple
        Names of the columns in the order of the coefficients, which is that of an estimate or a
        Series that has names; numbers if the data have none.
    status : {"bound"}
        The expected squared error on the rows of the main task is at most that of least
        squares, whatever the auxiliary coefficients, if the noise is normal.
    note : str
        What else there is to say; may be empty.
    """

    coefficients: FloatArray
    weight: float
    main_coefficients: FloatArray
    features: tuple[Any, ...]
    status: str = "bound"
    note: str = ""


@dataclass(frozen=True, repr=False, eq=False)
class NetworkBound(Result):
    """Error of a linear network with a shared representation, on the main task.

    Parameters
    ----------
    bound : float
        Proven upper bound of the expected squared error, the least of all below.
    first_order : float
        Error to first order in the noise (an approximation).
    main_only_error : float
        Error of least squares on the main task alone.
    certified : bool
        Whether the bound proves that the network is better.
    binding : str
        Which bound is the least: "simple", "refined", "gap_free" or "least_squares".
    simple, refined, gap_free : float
        The three bounds; infinite where one does not apply.
    spectral_gap : float
        Difference of the q-th and (q+1)-th singular value, in units of the noise level.
    weight_direction : ndarray of shape (K + 1,), float64
        Derivative of the logarithm of `first_order` by the logarithm of each weight: raise
        those that are negative. A heuristic, as `first_order` is no bound.
    status : {"bound"}
        What `bound` is.
    """

    bound: float
    first_order: float
    main_only_error: float
    certified: bool
    binding: str
    simple: float
    refined: float
    gap_free: float
    spectral_gap: float
    weight_direction: FloatArray
    status: str = "bound"
