r"""Which auxiliary tasks to pool with the main one: the best subset, by branch and bound.

A branch holds tasks that are in, tasks that are open, and limits of the number N of rows. Both
factors of the error, :math:`\kappa(N)` of the dispersion and ``1 / (N - d - 1)`` of the noise,
fall with N, so with those of the largest N

.. math:: (1 - \kappa) q' G q + \kappa \sum_k q_k G_{kk} + \frac{t}{N - d - 1} \sum_k q_k s_k

is a lower bound at the shares q of rows. It is convex for :math:`\kappa \le 1` (and falls with a
smaller :math:`\kappa`, so that the smaller of both serves), and no less than its tangent plane at
any q. The least value of the plane over all shares that the branch can have is a proven bound,
however well q was chosen.
"""

from __future__ import annotations

import heapq
from itertools import count
from typing import NamedTuple

import numpy as np

from rmtgb._common import BoolArray, FloatArray
from rmtgb.transfer.basic_errors import kappa, main_only_error, pooled_rows_error
from rmtgb.transfer.problem import LinearTransferProblem, check_problem
from rmtgb.transfer.quadratic import least_linear
from rmtgb.transfer.results import SubsetChoice

# Relative difference of errors that is rounding.
_TOLERANCE = 1e-12
# Branches to look at: about half a minute with 30 tasks.
_MAX_BRANCHES = 10_000
# Limits of the rows are drawn together to this ratio before a task is decided.
_ROWS_RATIO = 1.1
# Steps of the minimisation in a branch, and after how many the bound is looked at.
_STEPS, _BOUND_EVERY = 60, 10


def best_subset(problem: LinearTransferProblem) -> SubsetChoice:
    """Find the auxiliary tasks whose pooling with the main task has the least error.

    Parameters
    ----------
    problem : LinearTransferProblem
        Tasks with a common covariance, any number of them.

    Returns
    -------
    choice : SubsetChoice
        The best of all ``2**K`` subsets, up to rounding (1e-12 of the error), and without tasks
        that could be left out at no cost. Branches are left aside only where a proven lower bound
        says that nothing better is in them.

    Raises
    ------
    ValueError
        If tasks have covariances of their own, or if so many subsets are nearly as good that the
        best is not proven after 10000 branches; the message says how far the search came. That
        takes seconds with 80 tasks, and more than a minute with 300.

    Examples
    --------
    >>> import numpy as np
    >>> from rmtgb.transfer import LinearTransferProblem, best_subset
    >>> problem = LinearTransferProblem(
    ...     [10, 12, 9], [1, 1, 1], shift_gram=np.diag([0.1, 9]), n_features=3
    ... )
    >>> best_subset(problem).tasks
    (0, 1)
    """
    check_problem(problem)
    if problem.has_task_covariances:
        raise ValueError("Subsets are compared only for tasks with a common covariance.")
    search = _Search(problem)
    search.run()
    tasks = (0, *(int(k) for k in np.flatnonzero(search.best[1:]) + 1))
    return SubsetChoice(tasks, float(search.best_error), main_only_error(problem))


class _Branch(NamedTuple):
    """Masks of the tasks that are in and that are open, and limits of their rows together."""

    inside: BoolArray
    undecided: BoolArray
    low: float
    high: float


class _Search:
    """Branch and bound over masks of tasks."""

    def __init__(self, problem: LinearTransferProblem) -> None:
        self.problem = problem
        self.there = problem.n_samples > 0
        self.counts = problem.n_samples.astype(np.float64)
        self.least_rows = problem.n_features + 2
        self.best = np.arange(problem.n_tasks) == 0
        self.best_error = main_only_error(problem)

    def run(self) -> None:
        """Find the best mask."""
        fixed = (np.arange(self.problem.n_tasks) == 0) & self.there
        for start in (fixed, self.there):
            self.improve(start)
        number = count()  # so that branches of equal bounds are taken in order
        whole = _Branch(fixed, self.there & ~fixed, self.least_rows, self.counts.sum())
        heap = [(0.0, next(number), whole)]
        n_branches = 0
        while heap and self.is_open(heap[0][0]):
            if n_branches == _MAX_BRANCHES:
                self.refuse(heap[0][0])
            n_branches += 1
            bound, _, branch = heapq.heappop(heap)
            for part in self.divide(branch):
                below = max(bound, self.lower_bound(part))
                if self.is_open(below):
                    heapq.heappush(heap, (below, next(number), part))

    def is_open(self, bound: float) -> bool:
        """Tell whether a branch with this lower bound may hold something better."""
        return bound < self.best_error * (1 - _TOLERANCE)

    def refuse(self, bound: float) -> None:
        """Say how far the search came."""
        found = np.flatnonzero(self.best).tolist()
        raise ValueError(
            f"The best of the subsets of {self.problem.n_tasks - 1} auxiliary tasks was not "
            f"proven with {_MAX_BRANCHES} branches: the least error found is "
            f"{self.best_error:.6g}, of tasks {found}, and none is "
            f"below {bound:.6g}. Leave out tasks, above all such that are alike."
        )

    def divide(self, branch: _Branch) -> list[_Branch]:
        """Return two branches that have all masks of one; none if all is decided."""
        inside, undecided, low, high = branch
        if not undecided.any():
            return []
        if high > _ROWS_RATIO * low:
            middle = np.floor(np.sqrt(low * high))
            return [branch._replace(high=middle), branch._replace(low=middle + 1)]
        one = np.arange(len(undecided)) == self.branch_on(undecided)
        rest = undecided & ~one
        return [_Branch(mask, rest, low, high) for mask in (inside | one, inside)]

    def error(self, mask: BoolArray) -> float:
        """Return the error of pooling, infinite with too few rows."""
        if self.counts[mask].sum() < self.least_rows:
            return np.inf
        return pooled_rows_error(self.problem, mask).error

    def improve(self, mask: BoolArray) -> None:
        """Add and remove single tasks while that helps, and keep the result if it is the best."""
        ones = np.eye(len(mask), dtype=bool)[1:][self.there[1:]]
        while len(ones):
            errors = [self.error(mask ^ one) for one in ones]
            if min(errors) >= self.error(mask):
                break
            mask = mask ^ ones[int(np.argmin(errors))]
        self.keep(mask)

    def keep(self, mask: BoolArray) -> None:
        """Remember a mask if it is the best, without tasks that could be left out at no cost."""
        error = self.error(mask)
        if error >= self.best_error:
            return
        for task in np.flatnonzero(mask[1:]) + 1:
            without = mask & (np.arange(len(mask)) != task)
            if self.error(without) <= error * (1 + _TOLERANCE / 10):
                mask = without
        self.best, self.best_error = mask, self.error(mask)

    def branch_on(self, undecided: BoolArray) -> int:
        """Return the open task that changes most."""
        size = self.counts * (np.diag(self.problem.test_gram) + self.problem.noise_variance)
        return int(np.argmax(np.where(undecided, size, -1.0)))

    def lower_bound(self, branch: _Branch) -> float:
        """Bound the errors of all masks of a branch from below."""
        problem, d = self.problem, self.problem.n_features
        inside, undecided = branch.inside, branch.undecided
        possible = inside | undecided
        most, least = self.counts[possible].sum(), self.counts[inside].sum()
        if most < branch.low or least > branch.high:
            return np.inf
        if not undecided.any():
            self.keep(inside)
            return self.error(inside)
        rows, least = min(most, branch.high), max(least, branch.low)
        k = np.flatnonzero(possible)
        n, G = self.counts[k], problem.test_gram[np.ix_(k, k)]
        # With a metric of errors the dispersion has other factors, of which none is negative.
        factor = 0.0 if problem.has_test_metric else min(kappa(rows, d), 1.0)
        noise = problem.noise_variance[k] * problem.trace_ratio / (rows - d - 1)
        linear = factor * np.diag(G) + noise
        lower = np.where(inside[k], n / rows, 0.0)
        upper = np.minimum(n / least, 1.0)
        if upper.sum() <= 1:  # so few rows that there is no choice, up to rounding
            upper = upper * ((1 + _TOLERANCE) / upper.sum())
        q = lower + (upper - lower) * (1 - lower.sum()) / (upper - lower).sum()
        return _least_on_shares((1 - factor) * G, linear, lower, upper, q, self.best_error)


def _least_on_shares(
    A: FloatArray,
    linear: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    q: FloatArray,
    enough: float,
) -> float:
    """Return a proven lower bound of ``q' A q + linear @ q`` over shares within limits.

    By steps between the two shares with the steepest slopes, from q, until the bound is enough.
    """
    Aq = A @ q
    bound = -np.inf
    for step in range(_STEPS):
        slope = 2 * Aq + linear
        if step % _BOUND_EVERY == 0:
            tangent = q @ Aq + linear @ q + least_linear(slope, lower, upper) - slope @ q
            bound = max(bound, float(tangent))
            if bound >= enough:
                break
        up = int(np.argmin(np.where(q < upper, slope, np.inf)))
        down = int(np.argmax(np.where(q > lower, slope, -np.inf)))
        fall = slope[down] - slope[up]
        if fall <= 0:
            break
        bend = 2 * (A[up, up] + A[down, down] - 2 * A[up, down])
        most = min(upper[up] - q[up], q[down] - lower[down])
        move = min(fall / bend, most) if bend > 0 else most
        q = q.copy()
        q[up] += move
        q[down] -= move
        Aq = Aq + move * (A[:, up] - A[:, down])
    return bound
