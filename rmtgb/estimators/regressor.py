"""The regressor."""

from collections.abc import Iterator, Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    mean_poisson_deviance,
    r2_score,
    root_mean_squared_error,
)

from rmtgb._common import FloatArray
from rmtgb._compat import Interval, StrOptions
from rmtgb.boosting.rows import Rows
from rmtgb.estimators._base import RandomState
from rmtgb.estimators._constraints import COMMON_CONSTRAINTS
from rmtgb.estimators._inspection import InspectedRMTGB
from rmtgb.estimators._target import read_target
from rmtgb.losses import Loss, make_loss

#: What ``task_scores`` reports for each loss, huber as the first.
_METRICS = {
    "squared_error": ("root mean squared error", root_mean_squared_error),
    "absolute_error": ("mean absolute error", mean_absolute_error),
    "quantile": ("mean pinball loss", mean_pinball_loss),
    "poisson": ("mean Poisson deviance", mean_poisson_deviance),
}


class RMTGBRegressor(RegressorMixin, InspectedRMTGB):
    """Robust multi-task gradient boosting for regression.

    The prediction for features x of task t, on the scale of the link, is

        F(x, t) = b_t + S(x) + (1 - w_t) I(x) + w_t O(x) + K_t(x)

    with a baseline b, an ensemble S of trees for all tasks (stage 1), one I for inlier and one
    O for outlier tasks between which each task is divided by its weight w (stage 2), and one K
    of its own for every task (stage 3).

    A row of a task that was not in the training rows, or whose label is missing, is predicted by
    what the known tasks share: the population's baseline, S, and both sides of stage 2 at the
    median weight of the inlier tasks, with no trees of its own. One warning lists such tasks;
    ``unknown_task="error"`` refuses them. The prediction for a row never depends on the rows it
    comes with.

    Parameters
    ----------
    task_feature : str, int or None, default=None
        Name or position of the column of X that holds the task labels: strings, integers,
        categories or any other hashable ones. An integer is a position, never a name. With
        None the rows are of one task, unless labels are given to ``fit`` as ``task``.
    loss : str, default="squared_error"
        "squared_error", "absolute_error", "huber", "quantile" or "poisson". The last one has a
        log link and takes y >= 0.
    quantile : float, default=0.5
        Level in (0, 1) of the loss "quantile".
    huber_delta : float, default=1.345
        Residual > 0 at which the loss "huber" becomes linear, in multiples of the robust
        standard deviation of y.
    n_iter_shared, n_iter_partition : int, default=1000
        Rounds of stages 1 and 2, upper limits where stage lengths are chosen. Zero leaves a
        stage out.
    n_iter_task : int, default=500
        Rounds of stage 3 for each task, likewise.
    learning_rate : float, default=0.05
        Factor of all leaf values, > 0 and at most 2.
    max_leaf_nodes : int or None, default=16
        Largest number of leaves of a tree of stages 1 and 2, at least 2; None: no limit.
    max_depth : int or None, default=None
        Largest depth of any tree, at least 1; None: no limit.
    min_samples_leaf : "auto" or int, default="auto"
        Smallest sum of the weights in a leaf of stages 1 and 2, at least 1. "auto" is a
        fifteenth of the sum over all rows, but between 5 and 40.
    max_leaf_nodes_task : int or None, default=8
        As ``max_leaf_nodes``, for stage 3.
    min_samples_leaf_task : int, default=5
        Smallest sum of the weights in a leaf of stage 3, at least 1.
    l2_regularization : float, default=1.0
        Number from 0 to 1e100 that is added to the hessian of a leaf, and the ridge penalty of
        its slopes in units of standardized features.
    partition_regularization : float, default=0.1
        How strongly the weights of the two sides of stage 2 are held at their start, 0 to 1e100.
    task_baseline : {"auto", "linear", "shrunken", "global", "zero"}, default="auto"
        b. "shrunken": an offset for each task, estimated together with S and shrunken as its few
        rows or its noise demand. "linear": besides, the prediction of a linear mixed model, with
        shrunken slopes for each task, is one more feature. "auto": linear where validation rows
        prefer it. "global": the best constant for all. "zero": none.
    task_descriptors : {"auto"} or bool, default="auto"
        Whether trees see up to four numbers that describe a row's task: where it stands in the
        directions in which tasks differ by more than noise. "auto": where validation rows prefer
        it, which takes lengths to choose and rounds of stage 3. An unseen task is a usual one.
    max_bins : int, default=255
        Largest number of bins or categories of a feature, 2 to 255; missing values have one more.
    categorical_features : "from_dtype", array-like or None, default="from_dtype"
        Which features are categorical: those of a categorical dtype in a data frame; names
        and positions among all columns of X, or a mask of them; or none. Categories that were
        not seen are missing values.
    subsample : float, default=1.0
        Share of the rows that are drawn for each tree, in (0, 1].
    splitter : {"auto", "best", "random"}, default="auto"
        How a threshold is found in each feature of a node: "best" tries all, "random" one that
        is drawn (extremely randomised trees, Geurts, Ernst, Wehenkel 2006), which varies less
        with the rows and fits smooth functions better. "auto" is what validation rows
        prefer; where there are none, random in stages 1 and 2 and best in stage 3.
    linear_leaves : bool, default=True
        Whether the prediction of a leaf is linear in the numerical features that lead to it (at
        most seven, those split last), a ridge regression (Shi, Li, Li 2019, piece-wise linear
        trees). Values beyond the central 99 % of the training rows count as where that ends, and
        missing values as the mean of the leaf.
    max_features : float, default=1.0
        Share of the features that are drawn for each split, in (0, 1].
    early_stopping : "auto" or bool, default="auto"
        Whether to choose the lengths of the stages on validation rows, and to fit all rows
        anew with these. "auto" does so from a sum of weights of 20 (20 rows without
        weights) on, or if ``fit`` is given ``X_val``.
    validation_fraction : float, default=0.15
        Share of the rows of every task to choose on, in (0, 1).
    validation_split : {"random", "last"}, default="random"
        Which rows these are: "last" are those of every task that stand last, as in time.
    n_iter_no_change : int, default=100
        Rounds without improvement on the validation rows after which a stage has ended.
    tol : float, default=1e-07
        Relative improvement that counts, >= 0.
    max_seconds : float or None, default=None
        Time that a fit may take, > 0. When it is up, the fit ends with the best model so far, and
        a ConvergenceWarning says what was left out, which depends on the machine. It is looked at
        between calls of kernels; what was chosen in time is fitted to its end.
    unknown_task : {"shared", "error"}, default="shared"
        What to do with rows of tasks that were not in the training rows, see above.
    warm_start : bool, default=False
        Whether a further ``fit`` continues the model of the last one: every stage goes on until
        it has as many rounds as its parameter says. Columns, tasks and loss have to be
        the same. Stage lengths are not chosen again, whatever ``early_stopping`` and ``X_val``
        say.
    n_jobs : int or None, default=None
        Number of threads, None for all cores. It does not change a bit of the result.
    random_state : int, Generator, RandomState or None, default=None
        Decides which rows validate and what is drawn.
    verbose : int, default=0
        Whether to print what is being done: every stage and decision, and within stages one line
        per second, with losses where rows validate.

    Attributes
    ----------
    tasks_ : ndarray of shape (n_tasks,)
        The task labels in sorted order; the number 0 without labels.
    n_tasks_ : int
        Number of tasks.
    theta_ : ndarray of float64 of shape (n_tasks,)
        Logit of w, which says how far a task's predictions use the outlier side of stage 2; zero
        without rounds of stage 2.
    outlier_weights_ : ndarray of float64 of shape (n_tasks,)
        Evidence that a task is an outlier, in [0, 1], whatever the lengths of stages: the mean of
        whether it is called and of its stability; 1/2 for fewer than three tasks.
    outlier_tasks_ : ndarray
        Labels of the tasks that are called outliers, a minority: the weight is above 1/2.
    task_evidence_ : pandas.DataFrame
        A row for each label: "weight"; "score", the squared distance from most tasks, where 1 is
        usual, and its "standard_error"; "p_value", adjusted for the number of tasks; "stability",
        the share of half-samples in which the task stands out; "features", at most three names
        (or positions), along which it departs most.
    baseline_ : ndarray of float64 of shape (n_tasks,)
        b of each task; for "poisson" a logarithm.
    task_descriptors_ : ndarray of float64 of shape (n_tasks, n_directions)
        Descriptors of each task, in units of the raw prediction; no columns if none are used.
    n_iter_shared_, n_iter_partition_ : int
        Rounds of stages 1 and 2.
    n_iter_task_ : ndarray of int64 of shape (n_tasks,)
        Rounds of stage 3 of each task.
    train_score_, validation_score_ : dict of str to ndarray of float64
        Mean loss before the first and after each round of the stages "shared", "partition" and
        "task", of the fit that stage lengths were chosen by; empty if they were given.
    feature_importances_ : ndarray of float64 of shape (n_features_in_,)
        Gain of the splits on each feature as a share of all gain. The task column has that of
        splits on descriptors of tasks, so zero if none are used.
    stage_feature_importances_ : dict of str to ndarray of float64 of shape (n_features_in_,)
        The same for "shared", "inlier", "outlier" and "task_specific".
    task_feature_importances_ : ndarray of float64 of shape (n_tasks, n_features_in_)
        The same for each task.
    n_features_in_ : int
        Number of columns of X, the task column included.
    feature_names_in_ : ndarray of str of shape (n_features_in_,)
        Their names, if X was a data frame.

    References
    ----------
    Emami, Martínez-Muñoz, Hernández-Lobato, "Robust-Multi-Task Gradient Boosting", Expert
    Systems with Applications, 2025, arXiv 2507.11411: the three stages. Steps of theta,
    baselines, stage lengths and trees are ours.

    Friedman, "Greedy function approximation: a gradient boosting machine", Annals of
    Statistics 29, 2001.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from rmtgb import RMTGBRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"x": rng.uniform(-1, 1, 400), "school": list("abcd") * 100})
    >>> y = np.where(X["school"] == "d", -X["x"], X["x"])
    >>> model = RMTGBRegressor(task_feature="school", n_iter_shared=0, n_iter_partition=50)
    >>> model.fit(X, y).outlier_tasks_.tolist()
    ['d']
    >>> new = pd.DataFrame({"x": [0.9, 0.9], "school": ["a", "d"]})
    >>> model.predict(new).round(1)
    array([ 0.9, -0.9])
    >>> list(model.predict_parts(new))
    ['baseline', 'shared', 'inlier', 'outlier', 'task_specific']
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **COMMON_CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "absolute_error", "huber", "quantile", "poisson"})],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "huber_delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(  # noqa: PLR0913
        self,
        *,
        task_feature: str | int | None = None,
        loss: str = "squared_error",
        quantile: float = 0.5,
        huber_delta: float = 1.345,
        n_iter_shared: int = 1000,
        n_iter_partition: int = 1000,
        n_iter_task: int = 500,
        learning_rate: float = 0.05,
        max_leaf_nodes: int | None = 16,
        max_depth: int | None = None,
        min_samples_leaf: int | str = "auto",
        max_leaf_nodes_task: int | None = 8,
        min_samples_leaf_task: int = 5,
        l2_regularization: float = 1.0,
        partition_regularization: float = 0.1,
        task_baseline: str = "auto",
        task_descriptors: str | bool = "auto",
        max_bins: int = 255,
        categorical_features: Sequence[Any] | NDArray[Any] | None = "from_dtype",
        subsample: float = 1.0,
        splitter: str = "auto",
        linear_leaves: bool = True,
        max_features: float = 1.0,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.15,
        validation_split: str = "random",
        n_iter_no_change: int = 100,
        tol: float = 1e-7,
        max_seconds: float | None = None,
        unknown_task: str = "shared",
        warm_start: bool = False,
        n_jobs: int | None = None,
        random_state: RandomState = None,
        verbose: int = 0,
    ) -> None:
        self.task_feature = task_feature
        self.loss = loss
        self.quantile = quantile
        self.huber_delta = huber_delta
        self.n_iter_shared = n_iter_shared
        self.n_iter_partition = n_iter_partition
        self.n_iter_task = n_iter_task
        self.learning_rate = learning_rate
        self.max_leaf_nodes = max_leaf_nodes
        self.max_depth = max_depth
        self.min_samples_leaf = min_samples_leaf
        self.max_leaf_nodes_task = max_leaf_nodes_task
        self.min_samples_leaf_task = min_samples_leaf_task
        self.l2_regularization = l2_regularization
        self.partition_regularization = partition_regularization
        self.task_baseline = task_baseline
        self.task_descriptors = task_descriptors
        self.max_bins = max_bins
        self.categorical_features = categorical_features
        self.subsample = subsample
        self.splitter = splitter
        self.linear_leaves = linear_leaves
        self.max_features = max_features
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.validation_split = validation_split
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.max_seconds = max_seconds
        self.unknown_task = unknown_task
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def _read_target(self, y: Any, name: str = "y") -> NDArray[Any]:
        return read_target(y, name, np.float64)

    def _fit_target(
        self, y: NDArray[Any], weight: FloatArray, continues: bool
    ) -> tuple[FloatArray, FloatArray]:
        return y, weight

    def _encode_target(self, y: NDArray[Any], name: str = "y") -> FloatArray:
        return y

    def _make_loss(self, rows: Rows) -> Loss:
        loss = make_loss(
            self.loss,
            quantile=self.quantile,
            huber_delta=self.huber_delta,
            y=rows.y,
            sample_weight=rows.weight,
        )
        loss.check_target(rows.y)
        return loss

    def predict(self, X: Any, *, task: Any = None) -> FloatArray:
        """Predict targets.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            As at fit. The prediction of a row does not depend on the other rows.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.

        Returns
        -------
        ndarray of float64 of shape (n_samples,)
            Expected values (medians or quantiles for those losses).
        """
        return self._predict_raw(self._raw(X, task))

    def staged_predict(self, X: Any, *, task: Any = None) -> Iterator[FloatArray]:
        """Yield the prediction after each round of each stage; parameters as for predict.

        All have the offsets of tasks that were estimated last.

        Yields
        ------
        ndarray of float64 of shape (n_samples,)
        """
        for raw in self._staged_raw(X, task):
            yield self._predict_raw(raw)

    def _predict_raw(self, raw: FloatArray) -> FloatArray:
        prediction: FloatArray = self._loss.inverse_link(raw)[0]
        return prediction

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, task: Any = None
    ) -> float:
        """Return the coefficient of determination R^2 of the prediction.

        Parameters
        ----------
        X, task
            As for predict.
        y : array-like of shape (n_samples,)
            True targets.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
            At most 1.
        """
        return float(r2_score(y, self.predict(X, task=task), sample_weight=sample_weight))

    @property
    def _metric_name(self) -> str:
        return _METRICS.get(self._loss.name, _METRICS["squared_error"])[0]

    def _metric_input(self, other: Self, raw: FloatArray) -> FloatArray:
        return other._predict_raw(raw)

    def _metric(self, y: FloatArray, prediction: FloatArray, weight: FloatArray) -> float:
        metric = _METRICS.get(self._loss.name, _METRICS["squared_error"])[1]
        level = {"alpha": self._loss.parameter} if self._loss.name == "quantile" else {}
        return float(metric(y, prediction, sample_weight=weight, **level))
