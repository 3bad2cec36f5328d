"""Growth of peak resident memory during a fit of 1,000,000 rows, after a warm-up fit.

python benchmarks/memory.py [rmtgb | lightgbm]
"""

import resource
import sys

from _common import print_versions, smooth_data


def fit_rmtgb(X, y):
    """Fit 100 rounds of stage 1."""
    from rmtgb import RMTGBRegressor

    RMTGBRegressor(
        n_iter_shared=100, n_iter_partition=0, n_iter_task=0, max_leaf_nodes=31,
        early_stopping=False, n_jobs=2,
    ).fit(X, y)  # fmt: skip


def fit_lightgbm(X, y):
    """Fit 100 rounds."""
    import lightgbm

    lightgbm.LGBMRegressor(n_estimators=100, n_jobs=2, verbose=-1).fit(X, y)


def peak_megabytes():
    """Return the peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Measure one library; each needs a process of its own."""
    library = sys.argv[1] if len(sys.argv) > 1 else "rmtgb"
    fit = {"rmtgb": fit_rmtgb, "lightgbm": fit_lightgbm}[library]
    X, y = smooth_data(1_000_000, 28)
    fit(X[:20_000].copy(), y[:20_000].copy())
    before = peak_megabytes()
    fit(X, y)
    print_versions()
    print(f"{library}: peak memory grew by {peak_megabytes() - before:.0f} MB")


if __name__ == "__main__":
    main()
