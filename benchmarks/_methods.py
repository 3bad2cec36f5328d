"""The methods that accuracy is measured of, and which of them are compared with which."""

from functools import partial
from typing import Any, NamedTuple

import _peers
import _ridge

#: Settings of rmtgb that are a single model for all tasks, and one for each.
POOLED = {"n_iter_partition": 0, "n_iter_task": 0, "task_baseline": "global"}
SINGLE = {"n_iter_shared": 0, "n_iter_partition": 0, "task_baseline": "global"}


def make_rmtgb(data, **parameters):
    import rmtgb

    settings = {"task_feature": "task", "random_state": data.seed, "n_jobs": _peers.THREADS}
    settings |= data.loss_of_counts(loss="poisson")
    return data.estimator(rmtgb, "RMTGB")(**settings | parameters)


def fit_rmtgb(data, **parameters):
    return data.predictor(make_rmtgb(data, **parameters).fit(data.X, data.y))


class Method(NamedTuple):
    """A plain name, the library by its name on the package index, and the function that fits."""

    title: str
    library: str
    fit: Any
    knows_all_tasks: bool = False  # it has nothing to say on tasks that it has not seen


METHODS = {
    "rmtgb": Method("rmtgb", "rmtgb", fit_rmtgb),
    "mt-gb": Method("rmtgb without stage 2", "rmtgb", partial(fit_rmtgb, n_iter_partition=0)),
    "pooled": Method("rmtgb, stage 1 alone", "rmtgb", partial(fit_rmtgb, **POOLED)),
    "single-task": Method("rmtgb, stage 3 alone", "rmtgb", partial(fit_rmtgb, **SINGLE), True),
    "lgb-pooled": Method("LightGBM without the task", "lightgbm", _peers.fit_lightgbm_pooled),
    "lgb-task": Method("LightGBM, task as category", "lightgbm", _peers.fit_lightgbm),
    "lgb-each": Method("LightGBM per task", "lightgbm", _peers.fit_lightgbm_each, True),
    "lgb-strong": Method(
        "LightGBM, linear leaves", "lightgbm", partial(_peers.fit_lightgbm, **_peers.STRONG)
    ),
    "hgb": Method("scikit-learn's boosting", "scikit-learn", _peers.fit_scikit_learn),
    "catboost": Method("CatBoost", "catboost", _peers.fit_catboost),
    "chimera": Method("chimeraboost", "chimeraboost", _peers.fit_chimeraboost),
    "chimera-effects": Method(
        "chimeraboost, random effects", "chimeraboost", _peers.fit_chimeraboost_effects
    ),
    "gpboost": Method("GPBoost", "gpboost", _peers.fit_gpboost),
    "ridge": Method("ridge, task dummies", "scikit-learn", _ridge.fit_ridge),
    "ridge-slopes": Method("ridge, task slopes", "scikit-learn", _ridge.fit_ridge_slopes),
}

PEERS = [name for name in METHODS if METHODS[name].library != "rmtgb"]
BOOSTED = [name for name in PEERS if not name.startswith("ridge")]

#: The peers of the first figures, which later ones are compared with.
FIRST_FIVE = ["lgb-pooled", "lgb-task", "lgb-each", "catboost", "chimera"]

#: Whom the best of which is compared with.
RIVALS = {
    "the best of all peers": PEERS,
    "the best boosted peer": BOOSTED,
    "the best of the first five peers": FIRST_FIVE,
}
