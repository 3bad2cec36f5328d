"""Gradient boosting by several libraries, with the same settings.

Each ``fit_...(X, y, settings)`` bins and trains, and returns a function from X to predictions:
of y, or of the probability of class 1. Libraries are imported when they are used.
"""

from importlib.util import find_spec
from typing import NamedTuple

import numpy as np

#: Limits of rmtgb's trees for single tasks: its defaults.
TASK_LEAVES, TASK_MIN_LEAF = 8, 5

#: Ridge penalty of linear leaves, the only regularisation.
RIDGE = 0.1


class Settings(NamedTuple):
    """What all libraries are told. Regularisation and sampling are switched off."""

    loss: str = "squared_error"  # or "log_loss"
    rounds: int = 100
    leaves: int = 31
    bins: int = 255
    rate: float = 0.1
    min_leaf: int = 20
    threads: int = 2
    linear: bool = False  # random thresholds and linear leaves, of rmtgb and LightGBM only

    @property
    def is_regression(self):
        """Whether y is a number and not a class."""
        return self.loss == "squared_error"

    def mean_loss(self, y, prediction):
        """Return the mean squared error or the mean log loss."""
        if self.is_regression:
            return float(np.mean((prediction - y) ** 2))
        probability = np.where(y == 1, prediction, 1.0 - prediction)
        return float(-np.mean(np.log(np.maximum(probability, 1e-15))))


def make_rmtgb(settings, shared=0, partition=0, task=0):
    """Return an estimator with these numbers of rounds of the three stages."""
    from rmtgb import RMTGBClassifier, RMTGBRegressor

    estimator = RMTGBRegressor if settings.is_regression else RMTGBClassifier
    return estimator(
        n_iter_shared=shared,
        n_iter_partition=partition,
        n_iter_task=task,
        learning_rate=settings.rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.min_leaf,
        max_leaf_nodes_task=TASK_LEAVES,
        min_samples_leaf_task=TASK_MIN_LEAF,
        l2_regularization=RIDGE if settings.linear else 0.0,
        max_bins=settings.bins,
        splitter="random" if settings.linear else "best",
        linear_leaves=settings.linear,
        early_stopping=False,
        n_jobs=settings.threads,
        random_state=0,
    )


def fit_rmtgb(X, y, settings):
    """Fit stage 1 alone."""
    return _predictor(make_rmtgb(settings, shared=settings.rounds).fit(X, y), settings)


def fit_lightgbm(X, y, settings):
    """Fit by ``lightgbm.train``."""
    return train_lightgbm(X, y, settings).predict


def train_lightgbm(X, y, settings):
    """Return the Booster."""
    import lightgbm

    parameters = {
        "objective": "regression" if settings.is_regression else "binary",
        "num_leaves": settings.leaves,
        "learning_rate": settings.rate,
        "min_data_in_leaf": settings.min_leaf,
        "max_bin": settings.bins,
        "num_threads": settings.threads,
        "verbose": -1,
    }
    if settings.linear:
        parameters |= {"extra_trees": True, "linear_tree": True, "linear_lambda": RIDGE}
    data = lightgbm.Dataset(X, y, params=parameters)
    return lightgbm.train(parameters, data, settings.rounds, keep_training_booster=True)


def fit_xgboost(X, y, settings):
    """Fit by ``xgboost.train``, leaf by leaf."""
    import xgboost

    parameters = {
        "objective": "reg:squarederror" if settings.is_regression else "binary:logistic",
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "max_leaves": settings.leaves,
        "max_depth": 0,
        "max_bin": settings.bins,
        "learning_rate": settings.rate,
        # it counts hessian, which is 1 a row for squared error; for log loss its default
        "min_child_weight": settings.min_leaf if settings.is_regression else 1,
        "reg_lambda": 0.0,
        "nthread": settings.threads,
        "verbosity": 0,
    }
    data = xgboost.QuantileDMatrix(X, y, max_bin=settings.bins, nthread=settings.threads)
    return xgboost.train(parameters, data, settings.rounds).inplace_predict


def fit_catboost(X, y, settings):
    """Fit ordinary trees leaf by leaf, neither oblivious nor ordered."""
    import catboost

    estimator = (
        catboost.CatBoostRegressor if settings.is_regression else catboost.CatBoostClassifier
    )
    model = estimator(
        iterations=settings.rounds,
        learning_rate=settings.rate,
        grow_policy="Lossguide",
        max_leaves=settings.leaves,
        depth=16,
        border_count=settings.bins - 1,
        min_data_in_leaf=settings.min_leaf,
        boosting_type="Plain",
        bootstrap_type="No",
        score_function="L2",
        random_strength=0.0,
        l2_leaf_reg=0.0,
        leaf_estimation_iterations=1,
        boost_from_average=True,
        thread_count=settings.threads,
        allow_writing_files=False,
        verbose=False,
    ).fit(X, y)
    return _predictor(model, settings)


def fit_scikit_learn(X, y, settings):
    """Fit the histogram gradient boosting of scikit-learn."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    regressor, classifier = HistGradientBoostingRegressor, HistGradientBoostingClassifier
    model = (regressor if settings.is_regression else classifier)(
        max_iter=settings.rounds,
        learning_rate=settings.rate,
        max_leaf_nodes=settings.leaves,
        min_samples_leaf=settings.min_leaf,
        max_bins=settings.bins,
        early_stopping=False,
    )
    with threadpool_limits(settings.threads, user_api="openmp"):
        model.fit(X, y)
    return _predictor(model, settings)


def fit_chimeraboost(X, y, settings):
    """Fit oblivious trees, its only ones: the depth whose leaves come closest.

    Its least weight of a leaf and its L2 regularisation stay at their defaults: in an oblivious
    tree they act on a whole level.
    """
    import chimeraboost

    regressor, classifier = chimeraboost.ChimeraBoostRegressor, chimeraboost.ChimeraBoostClassifier
    model = (regressor if settings.is_regression else classifier)(
        n_estimators=settings.rounds,
        learning_rate=settings.rate,
        depth=round(np.log2(settings.leaves)),
        max_bins=settings.bins,
        early_stopping=False,
        linear_leaves=False,
        cross_features=False,
        leaf_estimation_iterations=1,
        thread_count=settings.threads,
    ).fit(X, y)
    return _predictor(model, settings)


def _predictor(model, settings):
    if settings.is_regression:
        return model.predict
    return lambda X: model.predict_proba(X)[:, 1]


FITS = {
    "rmtgb": fit_rmtgb,
    "lightgbm": fit_lightgbm,
    "xgboost": fit_xgboost,
    "catboost": fit_catboost,
    "sklearn": fit_scikit_learn,
    "chimeraboost": fit_chimeraboost,
}


def installed(libraries):
    """Return those of the libraries that are installed, and say which are not."""
    missing = [library for library in libraries if find_spec(library) is None]
    for library in missing:
        print(f"{library} is not installed: skipped")
    return [library for library in libraries if library not in missing]
