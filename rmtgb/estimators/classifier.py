"""The classifier."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score

from rmtgb._common import FloatArray
from rmtgb._compat import StrOptions
from rmtgb.boosting.rows import Rows
from rmtgb.estimators._base import RandomState, by_row
from rmtgb.estimators._constraints import COMMON_CONSTRAINTS
from rmtgb.estimators._inspection import InspectedRMTGB
from rmtgb.estimators._target import check_labels, encode_classes, learn_classes, read_target
from rmtgb.estimators._weights import weigh_classes
from rmtgb.losses import Loss, make_loss


class RMTGBClassifier(ClassifierMixin, InspectedRMTGB):
    """Robust multi-task gradient boosting for classification.

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
    loss : {"log_loss"}, default="log_loss"
        The only one. Two classes have one raw prediction per row, the log-odds of the second;
        more have one per class, with a tree each in every round.
    class_weight : dict, "balanced" or None, default=None
        Factors > 0 of the weights of the rows of each class, one for classes that are not
        named; or what makes the weights of all classes equal.
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
        it has as many rounds as its parameter says. Columns, tasks and classes have to be
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
        A row for each label, with the columns that the regressor has.
    baseline_ : ndarray of float64 of shape (n_tasks,) or (n_tasks, n_classes)
        b of each task.
    classes_ : ndarray of shape (n_classes,)
        The classes in sorted order.
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
    >>> from rmtgb import RMTGBClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = pd.DataFrame({"x": rng.uniform(-1, 1, 400), "clinic": list("abcd") * 100})
    >>> y = np.where((X["x"] > 0) == (X["clinic"] != "d"), "ill", "well")
    >>> model = RMTGBClassifier(task_feature="clinic", n_iter_shared=0, n_iter_partition=50)
    >>> model.fit(X, y).outlier_tasks_.tolist()
    ['d']
    >>> new = pd.DataFrame({"x": [0.9, 0.9], "clinic": ["a", "d"]})
    >>> model.predict(new).tolist()
    ['ill', 'well']
    >>> model.predict_proba(new).shape
    (2, 2)
    """

    classes_: NDArray[Any]

    __metadata_request__predict_proba: ClassVar[dict[str, Any]] = {"task": True}
    __metadata_request__decision_function: ClassVar[dict[str, Any]] = {"task": True}

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **COMMON_CONSTRAINTS,
        "loss": [StrOptions({"log_loss"})],
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(  # noqa: PLR0913
        self,
        *,
        task_feature: str | int | None = None,
        loss: str = "log_loss",
        class_weight: Mapping[Any, float] | str | None = None,
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
        self.class_weight = class_weight
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
        column = read_target(y, name)
        check_labels(column, name)
        return column

    def _fit_target(
        self, y: NDArray[Any], weight: FloatArray, continues: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Learn the classes, return their codes and the weights of the rows."""
        former = self.classes_ if continues else None
        self.classes_, codes = learn_classes(y, former, type(self).__name__)
        weight = weigh_classes(self.class_weight, self.classes_, codes, weight)
        return codes.astype(np.float64), weight

    def _encode_target(self, y: NDArray[Any], name: str = "y") -> FloatArray:
        return encode_classes(y, self.classes_, name)

    def _make_loss(self, rows: Rows) -> Loss:
        return make_loss("log_loss", n_classes=self.classes_.size)

    def decision_function(self, X: Any, *, task: Any = None) -> FloatArray:
        """Return raw predictions.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            As at fit.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.

        Returns
        -------
        ndarray of float64 of shape (n_samples,) or (n_samples, n_classes)
            The log-odds of ``classes_[1]`` for two classes, else one score per class.
        """
        return by_row(self._raw(X, task))

    def predict_proba(self, X: Any, *, task: Any = None) -> FloatArray:
        """Return the probabilities of the classes; parameters as for decision_function.

        Returns
        -------
        ndarray of float64 of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        return self._probabilities(self._raw(X, task))

    def predict(self, X: Any, *, task: Any = None) -> NDArray[Any]:
        """Return the most probable class; parameters as for decision_function.

        Returns
        -------
        ndarray of shape (n_samples,)
            Of the dtype of ``classes_``.
        """
        return self._labels(self._raw(X, task))

    def staged_predict(self, X: Any, *, task: Any = None) -> Iterator[NDArray[Any]]:
        """Yield the prediction after each round of each stage; parameters as for predict.

        Yields
        ------
        ndarray of shape (n_samples,)
        """
        for raw in self._staged_raw(X, task):
            yield self._labels(raw)

    def staged_predict_proba(self, X: Any, *, task: Any = None) -> Iterator[FloatArray]:
        """Yield the probabilities after each round of each stage; as for predict_proba.

        Yields
        ------
        ndarray of float64 of shape (n_samples, n_classes)
        """
        for raw in self._staged_raw(X, task):
            yield self._probabilities(raw)

    def _labels(self, raw: FloatArray) -> NDArray[Any]:
        codes = raw[0] > 0 if raw.shape[0] == 1 else raw.argmax(axis=0)
        return self.classes_[codes.astype(np.int64)]

    def _probabilities(self, raw: FloatArray) -> FloatArray:
        probability = self._loss.inverse_link(raw)
        if raw.shape[0] == 1:
            return np.column_stack([1.0 - probability[0], probability[0]])
        return np.ascontiguousarray(probability.T)

    def score(
        self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, task: Any = None
    ) -> float:
        """Return the share of correct predictions.

        Parameters
        ----------
        X, task
            As for predict.
        y : array-like of shape (n_samples,)
            True classes.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        return float(accuracy_score(y, self.predict(X, task=task), sample_weight=sample_weight))

    @property
    def _metric_name(self) -> str:
        return "log loss"

    def _metric_input(self, other: Self, raw: FloatArray) -> FloatArray:
        probability = np.zeros((raw.shape[1], self.classes_.size))  # other may know fewer classes
        probability[:, np.searchsorted(self.classes_, other.classes_)] = other._probabilities(raw)
        return probability

    def _metric(self, y: FloatArray, prediction: FloatArray, weight: FloatArray) -> float:
        chosen = prediction[np.arange(y.size), y.astype(np.int64)]
        return float(np.average(-np.log(np.maximum(chosen, 1e-15)), weights=weight))
