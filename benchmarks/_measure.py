"""The error of one method on one case, measured in a process that may be another one."""

import functools
import warnings

import numpy as np
from _common import seconds
from _methods import METHODS
from _peers import Data
from _sets import as_category
from sklearn.metrics import log_loss, mean_poisson_deviance, root_mean_squared_error
from threadpoolctl import threadpool_limits

from rmtgb.datasets import make_task_scenario


@functools.cache
def warm_up(method, kind):
    """Let a method compile what it compiles, so that it is not timed."""
    X, y = make_task_scenario(n_samples_per_task=50, as_frame=True, random_state=0)
    X["task"] = as_category(X["task"])
    METHODS[method].fit(Data(X, y if kind == "numbers" else (y > 0) * 1, kind, 0))


def error_of(kind, y, prediction):
    if kind == "classes":
        return log_loss(y, prediction, labels=[0, 1])
    if kind == "many classes":
        return log_loss(y, prediction)
    if kind == "counts":  # a linear model may say exp(-800)
        return np.sqrt(mean_poisson_deviance(y, np.maximum(prediction, 1e-9)))
    return root_mean_squared_error(y, prediction)


def measure(key, method, data, X_test, y_test):
    """Return the key, and error and seconds of a fit: None if the method cannot learn such data.

    It has one thread: what runs in parallel are measurements.
    """
    with threadpool_limits(1), warnings.catch_warnings():
        # rmtgb says so where tasks are unseen, which they are on purpose
        warnings.filterwarnings("ignore", message="X holds .* unseen tasks")
        if METHODS[method].library in ("rmtgb", "chimeraboost"):
            warm_up(method, data.kind)
        fitted = []
        taken = seconds(lambda: fitted.append(METHODS[method].fit(data)))
        if fitted[0] is None:
            return key, {"error": None, "seconds": None}
        prediction = np.asarray(fitted[0](X_test), dtype=np.float64)
    return key, {"error": float(error_of(data.kind, y_test, prediction)), "seconds": taken}
