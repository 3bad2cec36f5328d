"""What is known, or assumed, about a main task and its auxiliary tasks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import (
    BoolArray,
    FloatArray,
    IntArray,
    as_floats,
    check_integer,
    check_integers,
    check_semidefinite,
    real_numbers,
)

_TOLERANCE = 1e-10
# Of all tasks together: up to here a float tells every number of rows from the next.
_MAX_ROWS = 2**53
# Largest coefficients, and covariances; squared ones and variances may be this squared. Products
# of all three, and with numbers of rows, stay numbers.
_MOST = 1e60


@dataclass(frozen=True, eq=False)
class LinearTransferProblem:
    """A main task, task 0, and K auxiliary tasks with linear models and random designs.

    Rows of all tasks are normal with mean 0 and a common covariance, targets are
    ``y_k = X_k @ w_k + e_k`` with independent noise of mean 0.

    Parameters
    ----------
    n_samples : array-like of shape (K + 1,), int
        Rows of each task.
    noise_variance : array-like of shape (K + 1,), float
        Variance s_k of the noise of each task, in the squared unit of the target.
    coefficients : array-like of shape (K + 1, d), float, optional
        Coefficients w_k of each task. Either these or `shift_gram` are needed.
    shift_gram : array-like of shape (K, K), float, optional
        Inner products of the shifts ``w_k - w_0`` in the metric of the covariance, in the
        squared unit of the target; together with `n_features`. All errors depend on the
        coefficients through these only.
    n_features : int, optional
        Number of features d; that of the coefficients if these are given.
    covariance : array-like of shape (d, d) or (K + 1, d, d), float, optional
        Covariance of the features, of all tasks or of each; by default the identity.
    test_covariance : array-like of shape (d, d), float, optional
        Covariance of the features of the main task where errors count; by default that of
        its training rows.

    Raises
    ------
    TypeError, ValueError
        If shapes do not fit together, or a value is not possible; the message says which.

    Examples
    --------
    >>> from rmtgb.transfer import LinearTransferProblem
    >>> LinearTransferProblem([8, 12], [1, 1], shift_gram=[[1]], n_features=3)
    LinearTransferProblem(n_samples=[8, 12], noise_variance=[1.0, 1.0], n_features=3, shifts=[1.0])
    """

    n_samples: Any
    noise_variance: Any
    coefficients: Any = None
    shift_gram: Any = None
    n_features: Any = None
    covariance: Any = None
    test_covariance: Any = None

    def __post_init__(self) -> None:
        n_samples = _check_counts(self.n_samples)
        noise = check_noise_variance(self.noise_variance, len(n_samples))
        _check_size("noise_variance", noise, _MOST**2)
        self._set(n_samples=n_samples, noise_variance=noise)
        if (self.coefficients is None) == (self.shift_gram is None):
            raise ValueError("Either coefficients or shift_gram must be given, and not both.")
        if self.coefficients is not None:
            self._check_coefficients()
        else:
            self._check_gram()

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            if isinstance(value, np.ndarray):  # a copy: results are kept, so it must not change
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    def _check_coefficients(self) -> None:
        W = check_coefficients(self.coefficients, self.n_tasks)
        d = W.shape[1]
        _check_size("coefficients", W, _MOST)
        if self.n_features is not None and check_integer("n_features", self.n_features, 1) != d:
            raise ValueError(
                f"n_features must be {d}, as coefficients are, got {self.n_features}."
            )
        covariance, test = self.covariance, self.test_covariance
        if covariance is not None:
            covariance = real_numbers("covariance", covariance)
            per_task = covariance.ndim == 3
            shape = (self.n_tasks, d, d) if per_task else (d, d)
            covariance = as_floats("covariance", covariance, shape)
            _check_size("covariance", covariance, _MOST)
            for matrix in covariance if per_task else [covariance]:
                check_covariance("covariance", matrix, singular=False)
            if per_task and np.all(covariance == covariance[0]):
                covariance = covariance[0]  # more is exact for a common one
        if test is not None:
            test = as_floats("test_covariance", test, (d, d))
            _check_size("test_covariance", test, _MOST)
            check_covariance("test_covariance", test, singular=True)
            if covariance is None or covariance.ndim == 2:
                common = np.eye(d) if covariance is None else covariance
                test = None if np.array_equal(test, common) else test
        self._set(coefficients=W, n_features=d, covariance=covariance, test_covariance=test)

    def _check_gram(self) -> None:
        K = self.n_tasks - 1
        is_empty = K == 0 and np.size(self.shift_gram) == 0  # [] has another shape than (0, 0)
        G = np.empty((0, 0)) if is_empty else as_floats("shift_gram", self.shift_gram, (K, K))
        _check_size("shift_gram", G, _MOST**2)
        if self.covariance is not None or self.test_covariance is not None:
            raise ValueError(
                "covariance and test_covariance need coefficients: shift_gram holds inner "
                "products in the metric of the covariance already."
            )
        if self.n_features is None:
            raise TypeError("n_features must be an integer if shift_gram is given, got None.")
        d = check_integer("n_features", self.n_features, minimum=1)
        if K:
            check_covariance("shift_gram", G, singular=True)
            _check_rank(G, d)
        self._set(shift_gram=G, n_features=d)

    def __repr__(self) -> str:
        shifts = [float(f"{shift:.6g}") for shift in self.shift_norms[1:]]
        return (
            f"LinearTransferProblem(n_samples={self.n_samples.tolist()}, "
            f"noise_variance={self.noise_variance.tolist()}, n_features={self.n_features}, "
            f"shifts={shifts})"
        )

    def to_frame(self) -> Any:
        """Return a table with a line per task.

        Returns
        -------
        frame : DataFrame
            Columns rows, noise_variance and shift, the norm of ``w_k - w_0`` in the metric of the
            covariance; indexed by the numbers of the tasks.
        """
        import pandas as pd

        columns = {
            "rows": self.n_samples,
            "noise_variance": self.noise_variance,
            "shift": self.shift_norms,
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(self.n_tasks, name="task"))

    @property
    def n_tasks(self) -> int:
        """Number of tasks K + 1, the main one included."""
        return len(self.n_samples)

    @property
    def has_task_covariances(self) -> bool:
        """Whether each task has a covariance of its own."""
        return self.covariance is not None and self.covariance.ndim == 3

    @property
    def has_test_metric(self) -> bool:
        """Whether errors count in another metric than that of the training rows."""
        return self.test_covariance is not None

    @cached_property
    def common_covariance(self) -> FloatArray:
        """Covariance of the main task's training rows, (d, d)."""
        if self.covariance is None:
            return np.eye(self.n_features)
        matrix: FloatArray = self.covariance[0] if self.has_task_covariances else self.covariance
        return matrix

    @cached_property
    def task_covariances(self) -> FloatArray:
        """Covariance of each task's rows, (K + 1, d, d)."""
        shape = (self.n_tasks, self.n_features, self.n_features)
        if self.has_task_covariances:
            matrices: FloatArray = self.covariance
            return matrices
        return np.broadcast_to(self.common_covariance, shape)

    @cached_property
    def metric(self) -> FloatArray:
        """Covariance in which errors count, (d, d)."""
        return self.test_covariance if self.has_test_metric else self.common_covariance

    @cached_property
    def gram(self) -> FloatArray:
        """Inner products of the shifts in the training metric, (K + 1, K + 1), first row 0."""
        if self.shift_gram is None:
            return self._gram_in(self.common_covariance)
        gram = np.zeros((self.n_tasks, self.n_tasks))
        gram[1:, 1:] = self.shift_gram
        return gram

    @property
    def shift_norms(self) -> FloatArray:
        """Norms of the shifts in the training metric, (K + 1,)."""
        return np.sqrt(np.maximum(np.diag(self.gram), 0.0))

    @cached_property
    def test_gram(self) -> FloatArray:
        """Inner products of the shifts in the metric of errors, (K + 1, K + 1)."""
        return self._gram_in(self.metric) if self.has_test_metric else self.gram

    @cached_property
    def trace_ratio(self) -> float:
        """Trace of the inverse training covariance times that of errors; d by default."""
        if not self.has_test_metric:
            return float(self.n_features)
        return float(np.trace(np.linalg.solve(self.common_covariance, self.metric)))

    @cached_property
    def vectors(self) -> FloatArray:
        """Coefficients (K + 1, d), or some that have the Gram matrix and w_0 = 0."""
        if self.coefficients is not None:
            W: FloatArray = self.coefficients
            return W
        values, directions = np.linalg.eigh(self.gram)
        order = np.argsort(values)[::-1]
        rank = min(self.n_tasks, self.n_features)
        root = directions[:, order[:rank]] * np.sqrt(np.maximum(values[order[:rank]], 0.0))
        W = np.zeros((self.n_tasks, self.n_features))
        W[:, :rank] = root - root[0]
        return W

    def active(self, weights: FloatArray) -> BoolArray:
        """Tell which tasks take part: those that have rows and a weight above 0.

        Parameters
        ----------
        weights : ndarray of shape (K + 1,), float64
            Weights, 0 or more.

        Returns
        -------
        mask : ndarray of shape (K + 1,), bool
        """
        mask: BoolArray = (weights > 0) & (self.n_samples > 0)
        return mask

    def _gram_in(self, metric: FloatArray) -> FloatArray:
        shifts = self.coefficients - self.coefficients[0]
        gram: FloatArray = shifts @ metric @ shifts.T
        return (gram + gram.T) / 2

    def subset(self, tasks: npt.ArrayLike) -> LinearTransferProblem:
        """Return the problem of some tasks.

        Parameters
        ----------
        tasks : array-like of int
            Numbers of the tasks to keep, each once, of which the first must be 0.

        Returns
        -------
        problem : LinearTransferProblem

        Raises
        ------
        TypeError, ValueError
            If the first task is not 0, or another is no number of a task or there twice.
        """
        kept = check_integers("tasks", tasks, minimum=0)
        if kept[0] != 0:
            raise ValueError(f"tasks must begin with the main task 0, got {kept.tolist()}.")
        if kept.max() >= self.n_tasks:
            raise ValueError(f"tasks must be below {self.n_tasks}, got {kept.tolist()}.")
        if len(set(kept.tolist())) < len(kept):
            raise ValueError(f"tasks must not hold a task twice, got {kept.tolist()}.")
        parts: dict[str, Any] = {
            "n_samples": self.n_samples[kept],
            "noise_variance": self.noise_variance[kept],
        }
        if self.coefficients is not None:
            parts["coefficients"] = self.coefficients[kept]
        else:
            parts["shift_gram"] = self.gram[np.ix_(kept[1:], kept[1:])]
        if self.has_task_covariances:
            parts["covariance"] = self.covariance[kept]
        return replace(self, **parts)


def _check_rank(gram: FloatArray, d: int) -> None:
    """Refuse inner products that no vectors of d numbers have."""
    values = np.linalg.eigvalsh(gram)[::-1]
    if len(values) > d and values[d] > _TOLERANCE * values[0]:
        raise ValueError(
            f"shift_gram has rank above n_features={d}, so there are no shifts with these inner "
            f"products: of its eigenvalues {d} may be above rounding, and the next is "
            f"{values[d]:.6g}."
        )


def _check_counts(n_samples: Any) -> IntArray:
    try:
        counts = np.asarray(n_samples)
    except ValueError as error:
        raise ValueError(f"n_samples must have one number per task ({error}).") from error
    if counts.ndim != 1 or counts.size == 0:
        raise ValueError(f"n_samples must have one number per task, got shape {counts.shape}.")
    if not all(_is_whole(count) for count in counts.tolist()):
        raise TypeError(f"n_samples must be whole numbers, got {counts.tolist()}.")
    if (counts < 0).any():
        raise ValueError(f"n_samples must be >= 0, got {counts.min()}.")
    if sum(counts.tolist()) > _MAX_ROWS:
        raise ValueError(f"n_samples must be at most 2**53 together, got {counts.tolist()}.")
    return np.array(counts, dtype=np.int64)


def _is_whole(count: Any) -> bool:
    if isinstance(count, float):
        return count.is_integer()
    return isinstance(count, Integral) and not isinstance(count, bool)


def _check_size(name: str, values: FloatArray, most: float) -> None:
    largest = np.abs(values).max(initial=0.0)
    if largest > most:
        raise ValueError(f"{name} must be at most {most:g} in size, got {largest:g}.")


def check_noise_variance(noise_variance: Any, n_tasks: int) -> FloatArray:
    """Return variances of the noise, one for each task."""
    noise = as_floats("noise_variance", noise_variance, (n_tasks,))
    if (noise < 0).any():
        raise ValueError(f"noise_variance must be >= 0, got {noise.min()}.")
    return noise


def check_coefficients(coefficients: Any, n_tasks: int) -> FloatArray:
    """Return coefficients of each task, (n_tasks, d)."""
    W = as_floats("coefficients", coefficients, (n_tasks, None))
    if W.shape[1] < 1:
        raise ValueError("coefficients must have at least one column.")
    _check_size("coefficients", W, _MOST)
    return W


def check_covariance(name: str, matrix: FloatArray, singular: bool) -> None:
    """Refuse a matrix that is no covariance, or one that is singular unless that is allowed."""
    scale = max(np.abs(matrix).max(), np.finfo(float).tiny)
    smallest = check_semidefinite(name, matrix, _TOLERANCE * scale)
    if not singular and smallest <= _TOLERANCE * scale:
        raise ValueError(
            f"{name} must not be singular, its smallest eigenvalue is {smallest:.6g}."
        )


def check_problem(problem: Any) -> None:
    """Refuse anything but a problem, above all an estimate of one."""
    if not isinstance(problem, LinearTransferProblem):
        hint = "; give its .problem" if hasattr(problem, "problem") else ""
        raise TypeError(
            f"problem must be a LinearTransferProblem, got {type(problem).__name__}{hint}."
        )


def check_weights(weights: Any, n_tasks: int, name: str = "weights") -> FloatArray:
    """Return weights of the tasks, scaled to a largest one of 1: only ratios matter."""
    array = as_floats(name, weights, (n_tasks,))
    if (array < 0).any():
        raise ValueError(f"{name} must be >= 0, got {array.min()}.")
    if not (array > 0).any():
        raise ValueError(f"{name} must not all be 0.")
    return array / array.max()
