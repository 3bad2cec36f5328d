"""What the functions of the transfer calculator take: ``python benchmarks/transfer.py``.

Medians of calls on problems that were not seen before, so that nothing comes from memory.
"""

import argparse
import itertools
import statistics

import numpy as np
from _common import duration, print_circumstances, print_row, seconds

from rmtgb.transfer import (
    LinearTransferProblem,
    break_even,
    estimate_problem,
    network_bound,
    optimal_weights,
    pooled_error,
    weighted_error,
)

COLUMNS, WIDTHS = ("call", "seconds"), (58, 10)


def problems(n_tasks, d, rows):
    """Yield problems with different numbers of rows."""
    rng = np.random.default_rng(0)
    for step in itertools.count():
        W = rng.standard_normal((n_tasks, d)) / np.sqrt(d)
        yield LinearTransferProblem([rows + step] * n_tasks, [1.0] * n_tasks, coefficients=W)


def data(n_tasks, d, rows):
    rng = np.random.default_rng(0)
    X = [rng.standard_normal((rows, d)) for _ in range(n_tasks)]
    return X, [features.sum(axis=1) + rng.standard_normal(rows) for features in X]


def calls():
    """Yield names, functions and the problems they are called with."""
    yield "pooled_error, 2 tasks", pooled_error, problems(2, 5, 50)
    yield "pooled_error, 20 tasks", pooled_error, problems(20, 5, 50)
    for d, rows in ((5, 50), (100, 120), (100, 500_000)):

        def one_weight(problem):
            return weighted_error(problem, [1.0, 0.3])

        yield f"weighted_error, 1 auxiliary, d={d}, {rows} rows", one_weight, problems(2, d, rows)

    def monte_carlo(problem):
        return weighted_error(problem, [1.0, 0.3, 0.6, 0.1])

    yield "weighted_error, 3 auxiliaries, d=10, 10,000 draws", monte_carlo, problems(4, 10, 50)
    yield "break_even", break_even, problems(2, 5, 50)
    yield "optimal_weights, 1 auxiliary, d=5", optimal_weights, problems(2, 5, 50)
    yield "optimal_weights, 1 auxiliary, d=50", optimal_weights, problems(2, 50, 100)
    yield "optimal_weights, 10 auxiliaries", optimal_weights, problems(11, 5, 50)
    for n_tasks, d in ((10, 10), (101, 100)):

        def bound(problem):
            return network_bound(problem, 3)

        yield f"network_bound, {n_tasks} tasks, d={d}", bound, problems(n_tasks, d, 200)
    X, y = data(40, 10, 150)
    yield "estimate_problem, 40 tasks", lambda _: estimate_problem(X, y), itertools.repeat(None)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="What the transfer calculator takes.")
    parser.add_argument("--turns", type=int, default=11)
    options = parser.parse_args()
    print_circumstances()
    print_row(COLUMNS, WIDTHS)
    for name, function, stream in calls():
        function(next(stream))
        times = []
        for _ in range(options.turns):
            problem = next(stream)
            times.append(seconds(lambda: function(problem)))  # noqa: B023
        print_row((name, duration(statistics.median(times))), WIDTHS)


if __name__ == "__main__":
    main()
