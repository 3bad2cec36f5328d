"""Fit time of stage 1 alone against LightGBM: same rows, rounds, leaves, bins and threads.

python benchmarks/speed.py [--rows 1000000] [--features 28] [--pairs 5] [--threads 2]
"""

import argparse

import lightgbm
import numpy as np
from _common import paired, print_versions, report, smooth_data

from rmtgb import RMTGBRegressor

ROUNDS, LEAVES, MIN_LEAF, RATE = 100, 31, 20, 0.1


def main():
    """Measure, and check that both fit equally well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=28)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    X, y = smooth_data(options.rows, options.features)
    model = RMTGBRegressor(
        n_iter_shared=ROUNDS, n_iter_partition=0, n_iter_task=0, learning_rate=RATE,
        max_leaf_nodes=LEAVES, min_samples_leaf=MIN_LEAF, l2_regularization=0.0,
        early_stopping=False, n_jobs=options.threads, random_state=0,
    )  # fmt: skip
    settings = {
        "objective": "regression",
        "num_leaves": LEAVES,
        "learning_rate": RATE,
        "min_data_in_leaf": MIN_LEAF,
        "max_bin": 255,
        "num_threads": options.threads,
        "verbose": -1,
    }
    boosters = []

    def fit_lightgbm():
        data = lightgbm.Dataset(X, y, params=settings)
        boosters[:] = [lightgbm.train(settings, data, ROUNDS)]

    print_versions()
    pairs = paired(lambda: model.fit(X, y), fit_lightgbm, options.pairs)
    report(f"fit {options.rows} x {options.features}", pairs, "<= 1.0")
    losses = [np.mean((p - y) ** 2) for p in (model.predict(X), boosters[0].predict(X))]
    print(f"training loss: rmtgb {losses[0]:.4f}, LightGBM {losses[1]:.4f}")


if __name__ == "__main__":
    main()
