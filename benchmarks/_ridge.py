"""Linear models with the tasks in them: what a statistician would try first.

Ridge for numbers, logistic regression for classes, Poisson regression for counts. Numbers are
standardised, gaps filled by medians with a column that says so, categories and the task have a
column for each value. With slopes, each task also has a slope of its own for each number. The
penalty, and how cheap slopes are, are chosen by cross-validation.
"""

import warnings

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

#: Penalties on squared coefficients in sums over rows, and the scales of columns of slopes: half
#: a scale makes a slope four times as dear. Iterative fits that are not done after so many rounds
#: have hardly a penalty: they are not chosen, or it does not matter.
PENALTIES, SLOPE_SCALES, N_FOLDS, MAX_ITER = np.logspace(-2, 4, 7), (0.1, 0.5), 5, 200


class TaskSlopes(TransformerMixin, BaseEstimator):
    """Standardised numbers times indicators of the task; a task never seen has zeros."""

    def __init__(self, scale):
        self.scale = scale

    def fit(self, X, y=None):
        self.numbers_ = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
        self.numbers_.fit(X.drop(columns="task"))
        self.tasks_ = np.unique(X["task"].cat.codes)
        return self

    def transform(self, X):
        Z, task = self.numbers_.transform(X.drop(columns="task")), X["task"].cat.codes.to_numpy()
        place = np.searchsorted(self.tasks_, task).clip(max=self.tasks_.size - 1)
        Z = self.scale * Z * (self.tasks_[place] == task)[:, None]
        n, p = Z.shape
        columns = place[:, None] * p + np.arange(p)
        index = np.arange(0, n * p + 1, p)
        return sparse.csr_matrix((Z.ravel(), columns.ravel(), index), (n, self.tasks_.size * p))


def columns_of(X, with_slopes):
    """Return the transformer from features to columns of the linear model."""
    numbers, categories = list(X.select_dtypes("number")), list(X.select_dtypes("category"))
    fill = SimpleImputer(strategy="median", add_indicator=True)
    parts = [
        ("numbers", make_pipeline(fill, StandardScaler()), numbers),
        ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
    ]
    if with_slopes and numbers:
        parts.append(("slopes", TaskSlopes(1.0), [*numbers, "task"]))
    return ColumnTransformer(parts, sparse_threshold=1.0)


def linear_model(data):
    """Return a linear model, its grid of penalties, the folds and the score."""
    n = data.y.size * (1 - 1 / N_FOLDS)
    folds = {"n_splits": N_FOLDS, "shuffle": True, "random_state": data.seed}
    if data.is_class:
        model, grid = LogisticRegression(max_iter=MAX_ITER), {"C": 1 / PENALTIES}
        return model, grid, StratifiedKFold(**folds), "neg_log_loss"
    if data.kind == "counts":  # its penalty is on the mean over rows
        model, grid = PoissonRegressor(max_iter=MAX_ITER), {"alpha": PENALTIES / n}
        return model, grid, KFold(**folds), "neg_mean_poisson_deviance"
    return Ridge(), {"alpha": PENALTIES}, KFold(**folds), "neg_mean_squared_error"


def fit_ridge(data, with_slopes=False):
    """Fit on all rows with the penalty that cross-validation prefers."""
    model, grid, folds, score = linear_model(data)
    pipeline = Pipeline([("columns", columns_of(data.X, with_slopes)), ("model", model)])
    grid = {f"model__{name}": values for name, values in grid.items()}
    if "columns__slopes__scale" in pipeline.get_params():
        grid["columns__slopes__scale"] = SLOPE_SCALES
    search = GridSearchCV(pipeline, grid, cv=folds, scoring=score)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        search.fit(data.X, data.y)
    return data.predictor(search)


def fit_ridge_slopes(data):
    return fit_ridge(data, with_slopes=True)
