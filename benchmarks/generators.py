"""What the generators cost: ``python benchmarks/generators.py``.

Seconds (median of some runs) and peak memory of a fresh process beyond what the imports take,
as a multiple of the output. The sizes are those of the papers: a million rows, 32 features and
7 tasks; 10 tasks with 1300 rows each.
"""

import argparse
import statistics
import subprocess
import sys

from _common import duration, print_circumstances, print_row, seconds

from rmtgb.datasets import make_multitab_bench, make_task_scenario

CASES = {
    "multitab wide float64": (make_multitab_bench, {"n_samples": 1_000_000}),
    "multitab wide float32": (
        make_multitab_bench,
        {"n_samples": 1_000_000, "dtype": "float32"},
    ),
    "multitab long float64": (
        make_multitab_bench,
        {"n_samples": 1_000_000, "layout": "long"},
    ),
    "multitab long float32": (
        make_multitab_bench,
        {"n_samples": 1_000_000, "layout": "long", "dtype": "float32"},
    ),
    "outlier scenario": (make_task_scenario, {"n_samples_per_task": 1300}),
}
COLUMNS, WIDTHS = ("case", "seconds", "output", "memory / output"), (24, 9, 9, 16)


def peak_memory():
    """Return the peak memory of this process in bytes."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(name):
    """Print size of the output and growth of the peak; for a process of its own."""
    make, arguments = CASES[name]
    make(10, random_state=0) if make is make_multitab_bench else make(random_state=0)
    before = peak_memory()
    X, y = make(**arguments, random_state=0)
    print(X.nbytes + y.nbytes, peak_memory() - before)


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description="What the generators cost.")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--measure", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    print_circumstances()
    # Before this process itself grows: on Linux a child inherits the peak of its parent.
    sizes = {name: measure_apart(name) for name in CASES}
    print_row(COLUMNS, WIDTHS)
    for name, (make, arguments) in CASES.items():
        output, growth = sizes[name]
        times = [seconds(lambda: make(**arguments)) for _ in range(options.turns)]  # noqa: B023
        size = f"{output / 2**20:.0f} MB"
        ratio = f"{growth / output:.2f}" if output > 2**24 else "-"
        print_row((name, duration(statistics.median(times)), size, ratio), WIDTHS)


def measure_apart(name):
    """Return what a process of its own measures."""
    command = [sys.executable, __file__, "--measure", name]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return tuple(map(int, answer.split()))


if __name__ == "__main__":
    main()
