"""What choosing the stage lengths costs, next to fits of fixed lengths.

    python benchmarks/stage_lengths.py FILE.csv ...

``chosen``: a fit at default settings. ``at limits``: one without the choice, all stages as long as
their limits, which is what a user without validation rows would get. ``as chosen``: one of the
lengths that were chosen. Each is the shortest of three, after a warm-up. Files have feature
columns, ``task`` and ``target``; classes if that has two values.
"""

import argparse
from pathlib import Path

import numpy as np
from _common import duration, print_circumstances, print_row, read_tasks, seconds

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.datasets import make_task_scenario

SCENARIOS = ("pooled", "independent", "related", "outliers")
WIDTHS = (14, 10, 10, 6, 10, 6)


def load(name):
    """Return X and y of a scenario or a file."""
    if name in SCENARIOS:
        return make_task_scenario(name, as_frame=True, random_state=42)
    return read_tasks(name)


def measure(X, y):
    """Return seconds of a fit that chooses, of one at the limits, and of the chosen lengths."""
    estimator = RMTGBClassifier if np.unique(y).size == 2 else RMTGBRegressor
    model = estimator(task_feature="task", random_state=0).fit(X, y)
    lengths = {
        "n_iter_shared": model.n_iter_shared_,
        "n_iter_partition": model.n_iter_partition_,
        "n_iter_task": int(model.n_iter_task_.max()),
    }
    for settings in ({}, {"early_stopping": False}, {"early_stopping": False, **lengths}):
        model = estimator(task_feature="task", random_state=0, **settings)
        yield min(seconds(lambda: model.fit(X, y)) for _ in range(3))  # noqa: B023 - called now


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="*", metavar="FILE.csv")
    files = parser.parse_args().files
    print_circumstances()
    print_row(("set", "chosen", "at limits", "ratio", "as chosen", "ratio"), WIDTHS)
    ratios = []
    for name in (*SCENARIOS, *files):
        chosen, at_limits, as_chosen = measure(*load(name))
        ratios.append((chosen / at_limits, chosen / as_chosen))
        texts = duration(chosen), duration(at_limits), f"{ratios[-1][0]:.2f}"
        texts += duration(as_chosen), f"{ratios[-1][1]:.1f}"
        print_row((Path(name).name.split(".")[0], *texts), WIDTHS)
    print(
        "geometric mean of the ratios: {:.2f}, {:.1f}".format(*np.exp(np.log(ratios).mean(axis=0)))
    )


if __name__ == "__main__":
    main()
