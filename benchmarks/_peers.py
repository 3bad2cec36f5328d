"""Boosting that users of task data would otherwise pick, tuned in the ordinary, fair way.

A method's ``fit(data)`` returns a function from features to predictions, of y or of the
probability of class 1; or None if it cannot learn such data. Peers learn at rate 0.05, stop early
on 15 % of the rows, and are fitted again on all rows at the best length. Each has one thread:
what runs in parallel are sets and splits.
"""

import warnings
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split

RATE, PATIENCE, HELD_OUT, MAX_ROUNDS = 0.05, 100, 0.15, 5000

#: A task with fewer rows has none to stop on: its model has so many rounds at this rate. With the
#: 20 rows per leaf of LightGBM's default, tasks of up to 39 rows would have no split at all.
SMALL_TASK, SMALL_ROUNDS, SMALL_RATE, SMALL_LEAF = 200, 100, 0.1, 5

#: What GPBoost's documentation tries, and the rate of the others.
GPBOOST_RATES = (1.0, 0.1, RATE, 0.01)

#: Random thresholds and linear leaves: the strongest single model of LightGBM, nobody's habit.
STRONG = {"extra_trees": True, "linear_tree": True, "linear_lambda": 0.1}

THREADS = 1


class Data(NamedTuple):
    """Training rows. Columns of X are numbers or categories, the task is one of the latter."""

    X: pd.DataFrame
    y: np.ndarray
    kind: str  # of the target: "numbers", "classes" (0 and 1), "many classes" or "counts"
    seed: int

    @property
    def is_class(self):
        return self.kind in ("classes", "many classes")

    def rows(self, chosen):
        return self._replace(X=self.X[chosen], y=self.y[chosen])

    def estimator(self, module, name):
        return getattr(module, name + ("Classifier" if self.is_class else "Regressor"))

    def loss_of_counts(self, **setting):
        """Return how a library is told the Poisson loss, if the target is a count."""
        return setting if self.kind == "counts" else {}

    def categories(self):
        return list(self.X.select_dtypes("category"))

    def predictor(self, model):
        if self.kind == "many classes":
            return model.predict_proba
        return (lambda X: model.predict_proba(X)[:, 1]) if self.is_class else model.predict


def hold_out(data):
    """Return the rows to learn from and those to stop on."""
    kept, _ = train_test_split(
        np.arange(data.y.size),
        test_size=HELD_OUT,
        random_state=data.seed,
        stratify=data.y if data.is_class else None,
    )
    is_kept = np.isin(np.arange(data.y.size), kept)
    return data.rows(is_kept), data.rows(~is_kept)


def at_best_length(train, data):
    """Return the predictor of all rows at the length that was best on held-out rows.

    ``train(data, n_rounds, held_out)`` returns a predictor and the best number of rounds.
    """
    kept, held_out = hold_out(data)
    return train(data, train(kept, MAX_ROUNDS, held_out)[1])[0]


def train_lightgbm(data, n_rounds, held_out=None, rate=RATE, **parameters):
    import lightgbm

    settings = {"n_jobs": THREADS, "verbose": -1, "random_state": data.seed}
    settings |= data.loss_of_counts(objective="poisson")
    model = data.estimator(lightgbm, "LGBM")(
        n_estimators=n_rounds, learning_rate=rate, **settings | parameters
    )
    stop = {} if held_out is None else {
        "eval_X": held_out.X, "eval_y": held_out.y,
        "callbacks": [lightgbm.early_stopping(PATIENCE, verbose=False)],
    }  # fmt: skip
    model.fit(data.X, data.y, **stop)
    return data.predictor(model), model.best_iteration_


def fit_lightgbm(data, **parameters):
    return at_best_length(partial(train_lightgbm, **parameters), data)


def fit_lightgbm_pooled(data):
    predict = fit_lightgbm(data._replace(X=data.X.drop(columns="task")))
    return lambda X: predict(X.drop(columns="task"))


def fit_lightgbm_each(data):
    """Fit a LightGBM for each task.

    One with fewer than two rows of a class, or without a positive count, predicts the mean of all.
    """
    models = {}
    for task in data.X["task"].unique():
        own = data.rows((data.X["task"] == task).to_numpy())
        if own.is_class and min(own.y.sum(), (1 - own.y).sum()) < 2:
            continue
        if own.kind == "counts" and own.y.sum() == 0:
            continue
        if own.y.size < SMALL_TASK:
            settings = {"rate": SMALL_RATE, "min_child_samples": SMALL_LEAF}
            models[task] = train_lightgbm(own, SMALL_ROUNDS, **settings)[0]
        else:
            models[task] = fit_lightgbm(own)

    def predict(X):
        prediction = np.full(len(X), data.y.mean())
        for task, rows in X.groupby("task", observed=True).indices.items():
            if task in models:
                prediction[rows] = models[task](X.iloc[rows])
        return prediction

    return predict


def train_catboost(data, n_rounds, held_out=None):
    import catboost

    model = data.estimator(catboost, "CatBoost")(
        iterations=n_rounds, learning_rate=RATE, cat_features=data.categories(),
        random_seed=data.seed, allow_writing_files=False, verbose=False, thread_count=THREADS,
        **data.loss_of_counts(loss_function="Poisson"),
    )  # fmt: skip
    stop = (
        {} if held_out is None else {"eval_set": held_out[:2], "early_stopping_rounds": PATIENCE}
    )
    model.fit(data.X, data.y, **stop)
    return data.predictor(model), (model.get_best_iteration() or 0) + 1


def fit_catboost(data):
    return at_best_length(train_catboost, data)


def train_gpboost(data, n_rounds, held_out=None, rate=RATE):
    """Train trees on the features, and a random intercept for each task."""
    import gpboost

    def split(X):
        return X.drop(columns="task"), X["task"].cat.codes.to_numpy()

    X, group = split(data.X)
    effects = gpboost.GPModel(
        group_data=group, likelihood="gaussian", num_parallel_threads=THREADS
    )
    mean, scale = data.y.mean(), data.y.std()
    rows, stop = gpboost.Dataset(X, (data.y - mean) / scale), {}
    if held_out is not None:
        X, group = split(held_out.X)
        effects.set_prediction_data(group_data_pred=group)
        stop = {"valid_sets": rows.create_valid(X, (held_out.y - mean) / scale)}
        stop |= {"early_stopping_rounds": PATIENCE, "verbose_eval": False}
    settings = {"learning_rate": rate, "metric": "mse", "verbose": -1, "seed": data.seed}
    settings |= {"num_threads": THREADS}
    model = gpboost.train(settings, rows, n_rounds, gp_model=effects, **stop)

    def predict(X):
        X, group = split(X)
        parts = model.predict(X, group_data_pred=group, pred_latent=False)
        return mean + scale * parts["response_mean"]

    return predict, model.best_iteration


def fit_gpboost(data):
    """Choose the learning rate too: the size of a step depends on the error's variance."""
    if data.kind != "numbers":
        return None
    kept, held_out = hold_out(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of parameters that it passes on to itself
        runs = [(*train_gpboost(kept, MAX_ROUNDS, held_out, rate), rate) for rate in GPBOOST_RATES]
        best = min(runs, key=lambda run: np.mean((run[0](held_out.X) - held_out.y) ** 2))
        return train_gpboost(data, best[1], rate=best[2])[0]


def train_scikit_learn(data, n_rounds, held_out=None):
    from sklearn import ensemble

    stop = {} if held_out is None else {"X_val": held_out.X, "y_val": held_out.y}
    model = data.estimator(ensemble, "HistGradientBoosting")(
        max_iter=n_rounds, learning_rate=RATE, random_state=data.seed,
        early_stopping=bool(stop), n_iter_no_change=PATIENCE,
        **data.loss_of_counts(loss="poisson"),
    )  # fmt: skip
    model.fit(data.X, data.y, **stop)
    return data.predictor(model), max(1, int(np.argmax(model.validation_score_))) if stop else 0


def fit_scikit_learn(data):
    if data.X["task"].nunique() > 255:  # more categories than it has bins
        return None
    return at_best_length(train_scikit_learn, data)


def fit_chimeraboost(data):
    import chimeraboost

    model = data.estimator(chimeraboost, "ChimeraBoost")(
        random_state=data.seed, thread_count=THREADS, **data.loss_of_counts(loss="Poisson")
    )
    return data.predictor(model.fit(data.X, data.y, cat_features=data.categories()))


def fit_chimeraboost_effects(data):
    """Fit chimeraboost with a random intercept for each task, which it has for numbers alone."""
    import chimeraboost

    if data.kind != "numbers":
        return None
    model = chimeraboost.ChimeraBoostRegressor(
        random_state=data.seed, thread_count=THREADS, random_effects=True
    )
    categories = [name for name in data.categories() if name != "task"]
    X, groups = data.X.drop(columns="task"), data.X["task"].cat.codes.to_numpy()
    model.fit(X, data.y, cat_features=categories, groups=groups)
    return lambda X: model.predict(X.drop(columns="task"), groups=X["task"].cat.codes.to_numpy())
