"""Seconds of the first fit ever, with an empty cache, and of the first fit of a later process.

python benchmarks/cold_start.py
"""

import os
import subprocess
import sys
import tempfile

from _common import print_circumstances

PROGRAM = """
import time
import numpy as np
from rmtgb import RMTGBRegressor
rng = np.random.default_rng(0)
X = np.column_stack([rng.standard_normal((1000, 5)), rng.integers(0, 5, 1000)])
y = X[:, 0] + 0.1 * rng.standard_normal(1000)
start = time.perf_counter()
RMTGBRegressor(task_feature=-1).fit(X, y)
print(time.perf_counter() - start)
"""


def main():
    """Run the program twice with one cache."""
    print_circumstances()
    with tempfile.TemporaryDirectory() as cache:
        for which in ("first fit ever", "first fit of a later process"):
            run = subprocess.run(
                [sys.executable, "-c", PROGRAM],
                env=os.environ | {"NUMBA_CACHE_DIR": cache},
                capture_output=True,
                text=True,
                check=True,
            )
            print(f"{which}: {float(run.stdout):.2f} s")


if __name__ == "__main__":
    main()
