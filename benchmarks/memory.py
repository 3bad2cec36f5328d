"""Growth of peak resident memory during a fit of 1,000,000 rows, after a warm-up fit.

python benchmarks/memory.py [rmtgb | lightgbm | ...]
"""

import argparse
import resource

from _common import print_circumstances, smooth_data
from _libraries import FITS, Settings


def peak_megabytes():
    """Return the peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Measure one library; each needs a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", nargs="?", choices=FITS, default="rmtgb")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    fit, settings = FITS[options.library], Settings()
    X, y = smooth_data(options.rows, 28)
    fit(X[:20_000].copy(), y[:20_000].copy(), settings)
    before = peak_megabytes()
    fit(X, y, settings)
    print_circumstances()
    print(f"{options.library}: peak memory grew by {peak_megabytes() - before:.0f} MB")


if __name__ == "__main__":
    main()
