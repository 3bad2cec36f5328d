"""What values the parameters of both estimators may have."""

from numbers import Integral, Real
from typing import Any

import numpy as np

from rmtgb._compat import Interval, StrOptions

#: Whether trees may try random thresholds, in stages 1 and 2 and in stage 3; the first is taken
#: where nothing is chosen on validation rows.
SPLITTERS = {
    "auto": ((True, False), (False, True)),
    "best": ((False,), (False,)),
    "random": ((True,), (True,)),
}

#: Newton steps of more than twice their length make squared errors larger with every round.
LARGEST_RATE = 2.0

#: Far more than takes all effect from leaves or weights; a product of it with sums stays finite.
LARGEST_PENALTY = 1e100

COMMON_CONSTRAINTS: dict[str, Any] = {
    "task_feature": [str, Integral, None],
    "n_iter_shared": [Interval(Integral, 0, None, closed="left")],
    "n_iter_partition": [Interval(Integral, 0, None, closed="left")],
    "n_iter_task": [Interval(Integral, 0, None, closed="left")],
    "learning_rate": [Interval(Real, 0, LARGEST_RATE, closed="right")],
    "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
    "max_depth": [Interval(Integral, 1, None, closed="left"), None],
    "min_samples_leaf": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "max_leaf_nodes_task": [Interval(Integral, 2, None, closed="left"), None],
    "min_samples_leaf_task": [Interval(Integral, 1, None, closed="left")],
    "l2_regularization": [Interval(Real, 0, LARGEST_PENALTY, closed="both")],
    "partition_regularization": [Interval(Real, 0, LARGEST_PENALTY, closed="both")],
    "task_baseline": [StrOptions({"auto", "linear", "shrunken", "global", "zero"})],
    "max_bins": [Interval(Integral, 2, 255, closed="both")],
    "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
    "subsample": [Interval(Real, 0, 1, closed="right")],
    "splitter": [StrOptions(set(SPLITTERS))],
    "linear_leaves": ["boolean"],
    "task_descriptors": [StrOptions({"auto"}), "boolean"],
    "max_features": [Interval(Real, 0, 1, closed="right")],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "validation_split": [StrOptions({"random", "last"})],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "max_seconds": [Interval(Real, 0, None, closed="neither"), None],
    "unknown_task": [StrOptions({"shared", "error"})],
    "warm_start": ["boolean"],
    "n_jobs": [
        Interval(Integral, None, -1, closed="right"),
        Interval(Integral, 1, None, closed="left"),
        None,
    ],
    "random_state": ["random_state", np.random.Generator],
    "verbose": ["verbose"],
}
