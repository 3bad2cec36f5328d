"""Global minimum of a function of one variable, certified by lower bounds on intervals."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

# Parts of its upper end, and lengths, below which halving an interval gains only rounding errors.
_SMALLEST_PART, _SMALLEST_LENGTH = 1e-12, 1e-30


class CertifiedMinimum(NamedTuple):
    """Where a function is least, and how much less it could be elsewhere.

    Parameters
    ----------
    position : float
        Best position that was found.
    value : float
        The function there.
    lower_bound : float
        The function is nowhere less.
    """

    position: float
    value: float
    lower_bound: float


def minimise(
    function: Callable[[float], float],
    lower_bound: Callable[[float, float], float],
    starts: list[float],
    tolerance: float,
    max_nodes: int,
) -> CertifiedMinimum:
    """Minimise on the interval [0, 1] by branch and bound.

    Parameters
    ----------
    function : callable
        Of a position; may be infinite.
    lower_bound : callable
        Of the ends of an interval: a number that the function does not go below in it, and that
        converges to it for ever shorter intervals.
    starts : list of float
        Positions to begin with, among them good guesses.
    tolerance : float
        Relative gap between value and bound that is good enough.
    max_nodes : int
        Intervals to look at, at most.

    Returns
    -------
    minimum : CertifiedMinimum
    """
    points = sorted({0.0, 1.0, *starts})
    values = [function(point) for point in points]
    best = int(np.argmin(values))
    position, value = points[best], values[best]
    edges = list(pairwise(points))
    heap = [(lower_bound(low, high), low, high) for low, high in edges]
    heapq.heapify(heap)
    aside = value  # least bound of intervals too narrow to be halved
    for _ in range(max_nodes):
        if not heap or heap[0][0] >= value * (1 - tolerance):
            break
        bound, low, high = heapq.heappop(heap)
        if high - low < max(_SMALLEST_PART * high, _SMALLEST_LENGTH):
            aside = min(aside, bound)
            continue
        middle = (low + high) / 2
        at_middle = function(middle)
        if at_middle < value:
            position, value = middle, at_middle
        heapq.heappush(heap, (max(bound, lower_bound(low, middle)), low, middle))
        heapq.heappush(heap, (max(bound, lower_bound(middle, high)), middle, high))
    least = heap[0][0] if heap else value
    return CertifiedMinimum(position, value, min(least, aside, value))
