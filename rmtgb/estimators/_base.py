"""What regressor and classifier have in common: parameters, fit, raw predictions."""

import copy
import os
import warnings
from numbers import Integral, Real
from typing import ClassVar

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from rmtgb._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_sample_weight,
    openmp_n_threads,
    with_callbacks,
)
from rmtgb.boosting.fit import fit_rows
from rmtgb.boosting.model import PARTS
from rmtgb.boosting.rows import Rows
from rmtgb.boosting.settings import FitSettings, StageSettings, Stopping
from rmtgb.engine.team import Team, cores_for_worker
from rmtgb.estimators._importances import Importances
from rmtgb.estimators._input import InputReader, read_weight
from rmtgb.estimators._progress import FitProgress
from rmtgb.tasks import describe_unseen
from rmtgb.tree.grower import TreeSettings

#: Rows times features below which a team costs more than it brings.
SMALL_CODES = 200_000

#: Rows from which ``early_stopping="auto"`` sets some aside.
AUTO_STOPPING_ROWS = 200

#: ``min_samples_leaf="auto"``: one for so many rows, between two limits.
ROWS_PER_LEAF_ROW = 15
AUTO_LEAF_ROWS = 5, 40

#: Whether the trees of stage 3 may try random thresholds; the first is taken where nothing is
#: chosen on validation rows. Those of the other stages do, but for "best".
SPLITTERS = {"auto": (False, True), "best": (False,), "random": (True,)}


class BaseRMTGB(Importances, CallbackSupportMixin, BaseEstimator):
    """Everything but the loss and the form of predictions."""

    # A task label given as metadata is always meant for us: no set_*_request call needed.
    __metadata_request__fit: ClassVar[dict] = {"task": True}
    __metadata_request__predict: ClassVar[dict] = {"task": True}
    __metadata_request__score: ClassVar[dict] = {"task": True}

    _parameter_constraints: ClassVar[dict] = {
        "task_feature": [str, Integral, None],
        "n_iter_shared": [Interval(Integral, 0, None, closed="left")],
        "n_iter_partition": [Interval(Integral, 0, None, closed="left")],
        "n_iter_task": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
        "max_depth": [Interval(Integral, 1, None, closed="left"), None],
        "min_samples_leaf": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "max_leaf_nodes_task": [Interval(Integral, 2, None, closed="left"), None],
        "min_samples_leaf_task": [Interval(Integral, 1, None, closed="left")],
        "l2_regularization": [Interval(Real, 0, None, closed="left")],
        "partition_regularization": [Interval(Real, 0, None, closed="left")],
        "task_baseline": [StrOptions({"shrunken", "global", "zero"})],
        "max_bins": [Interval(Integral, 2, 255, closed="both")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "splitter": [StrOptions(set(SPLITTERS))],
        "linear_leaves": ["boolean"],
        "cluster_tasks": ["boolean"],
        "max_features": [Interval(Real, 0, 1, closed="right")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
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

    @with_callbacks
    def fit(
        self,
        X,
        y,
        *,
        task=None,
        sample_weight=None,
        X_val=None,
        y_val=None,
        task_val=None,
        sample_weight_val=None,
    ):
        """Fit the three stages.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Features, and the task column if ``task_feature`` names one. NaN is a value
            of its own. Never written to.
        y : array-like of shape (n_samples,)
            Targets.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.
        sample_weight : array-like of shape (n_samples,), optional
            Weights >= 0. A row of weight 2 is the same as two rows, one of weight 0 is
            left out; weights with a mean below one are first scaled to a mean of one.
        X_val, y_val, task_val, sample_weight_val : optional
            Rows to choose the stage lengths on, instead of setting some aside.

        Returns
        -------
        self : estimator
            The fitted estimator. If the fit is interrupted or fails, it stays as it was.

        Raises
        ------
        ValueError, TypeError
            If X, y, the task column or a parameter is not as described; the message
            names it and says what is allowed.
        """
        self._validate_params()
        context = self._init_callback_context(max_subtasks=3)
        progress = FitProgress(self, context, X, y, sample_weight)
        with progress.whole_fit():
            fitted = copy.copy(self)
            validation = (X_val, y_val, task_val, sample_weight_val)
            fitted._fit(X, y, task, sample_weight, validation, progress)
            fitted._training_rows = (X, y, task, sample_weight)
            self.__dict__ = vars(fitted)  # at once: an interrupt comes before or after
        return self

    def _fit(self, X, y, task, sample_weight, validation, progress):
        """Fit this object, without a way back."""
        former = self._model if self.warm_start and hasattr(self, "_model") else None
        rows = self._read_training_rows(X, y, task, sample_weight, former)
        loss = self._make_loss(rows)
        if former is None:
            self._loss = loss
        else:
            self._check_continuation(former, loss)
        val_rows = self._read_validation(*validation)
        settings = self._fit_settings(rows, val_rows is not None)
        rng = _generator(self.random_state)
        with self._team(rows.X.shape) as team:
            result = fit_rows(rows, val_rows, self.n_tasks_, settings, rng, team, progress, former)
        self._keep(result)
        self._task_rows = np.bincount(rows.task_codes, rows.weight, minlength=self.n_tasks_)

    def _read_training_rows(self, X, y, task, sample_weight, former):
        """Return the rows of positive weight, and learn columns, tasks and classes."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target "
                "y is None."
            )
        if former is None:
            self._input = InputReader(self.task_feature, self.categorical_features, self.max_bins)
            values, labels = self._input.fit(X, task, self)
        else:
            values, labels = self._input.read(X, task, self)
        y = self._read_target(y)
        check_consistent_length(values, y)
        weight = read_weight(sample_weight, values)
        used = weight > 0
        if not used.all():
            values, y, weight = values[used], y[used], weight[used]
            labels = None if labels is None else labels[used]
        if y.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 rows of positive weight, got n_samples=1."
            )
        if former is None:
            self.tasks_ = self._input.fit_tasks(labels)
            self.n_tasks_ = self.tasks_.size
        else:
            self._input.check_same_tasks(labels)
        y, weight = self._fit_target(y, weight, former)
        return Rows(values, y, weight, self._input.encode_tasks(labels, y.size))

    def _check_continuation(self, former, loss):
        """Refuse to continue a model of another loss, or one that is long enough already."""
        if loss.name != self._loss.name:
            raise ValueError(
                f"warm_start=True continues a fit with loss={self._loss.name!r}, got "
                f"loss={loss.name!r}. Fit with warm_start=False."
            )
        rounds = {
            "n_iter_shared": former.shared.n_rounds,
            "n_iter_partition": former.partition.n_rounds,
            "n_iter_task": int(former.task_specific.n_rounds.max()),
        }
        for name, done in rounds.items():
            limit = getattr(self, name)
            if limit < done:
                raise ValueError(
                    f"{name}={limit} must be larger than or equal to {name}_={done} when "
                    "warm_start==True"
                )

    def _read_validation(self, X, y, task, sample_weight):
        """Return the validation rows given by the user, or None."""
        if X is None and y is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together.")
        values, labels = self._input.read(X, task, self)
        task_codes = self._input.encode_tasks(labels, values.shape[0])
        y = self._encode_target(self._read_target(y, name="y_val"), name="y_val")
        check_consistent_length(values, y)
        weight = check_sample_weight(
            sample_weight, values, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("sample_weight_val is zero for every row.")
        if (task_codes < 0).any():
            raise ValueError(f"X_val holds {describe_unseen(labels, task_codes)}.")
        return Rows(values, y, weight, task_codes)

    def _stage_settings(self, total_weight):
        task_kinds = SPLITTERS[self.splitter]
        min_samples_leaf = self.min_samples_leaf
        if min_samples_leaf == "auto":
            min_samples_leaf = np.clip(total_weight / ROWS_PER_LEAF_ROW, *AUTO_LEAF_ROWS)
        common_trees, task_trees = (
            TreeSettings(
                max_leaf_nodes,
                self.max_depth,
                min_samples,
                self.l2_regularization,
                self.learning_rate,
                self.max_features,
                self.subsample,
                random_thresholds,
                self.linear_leaves,
            )
            for max_leaf_nodes, min_samples, random_thresholds in (
                (self.max_leaf_nodes, min_samples_leaf, self.splitter != "best"),
                (self.max_leaf_nodes_task, self.min_samples_leaf_task, task_kinds[0]),
            )
        )
        return StageSettings(
            self.n_iter_shared,
            self.n_iter_partition,
            self.n_iter_task,
            common_trees,
            task_trees,
            self.partition_regularization,
            task_kinds,
        )

    def _fit_settings(self, rows, has_validation):
        stopping = None
        enough = rows.y.size >= AUTO_STOPPING_ROWS or has_validation
        if self.early_stopping is True or (self.early_stopping == "auto" and enough):
            stopping = Stopping(self.n_iter_no_change, self.tol)
        stages = self._stage_settings(rows.weight.sum())
        return FitSettings(
            stages,
            self._loss,
            self.task_baseline,
            self.max_bins,
            self._input.features.n_categories,
            stopping,
            self.validation_fraction,
            self.cluster_tasks,
        )

    def _keep(self, result):
        """Set the fitted attributes."""
        model, lengths = result.model, result.lengths
        self._model = model
        self.theta_ = model.partition.outlier_theta
        self.outlier_weights_ = model.partition.outlier_weights
        self.outlier_tasks_ = self.tasks_[self.outlier_weights_ > 0.5]
        baseline = model.baseline.tasks
        self.baseline_ = baseline[:, 0] if baseline.shape[1] == 1 else baseline
        self.task_clusters_ = model.clusters
        if model.clusters is None:
            self.task_clusters_ = np.zeros(self.n_tasks_, dtype=np.int64)
        self.n_iter_shared_ = model.shared.n_rounds
        self.n_iter_partition_ = model.partition.n_rounds
        self.n_iter_task_ = model.task_specific.n_rounds
        self.train_score_ = lengths.train_score
        self.validation_score_ = lengths.validation_score

    def _read_rows(self, X, task):
        """Return features and task codes, and do with unknown tasks as ``unknown_task`` says."""
        check_is_fitted(self)
        values, labels = self._input.read(X, task, self)
        codes = self._input.encode_tasks(labels, values.shape[0])
        if (codes < 0).any():
            text = describe_unseen(labels, codes)
            if self.unknown_task == "error":
                raise ValueError(f"X holds {text}, and unknown_task='error'.")
            warnings.warn(
                f"X holds {text}; they are predicted by what the known tasks share.",
                UserWarning,
                stacklevel=4,
            )
        return values, codes

    def _raw(self, X, task):
        """Return raw predictions, shape (n_outputs, n_samples)."""
        return self._raw_of(*self._read_rows(X, task))

    def _raw_of(self, values, codes):
        with self._team(values.shape) as team:
            return self._model.raw(values, codes, team)

    def _staged_raw(self, X, task):
        values, codes = self._read_rows(X, task)
        return self._model.staged_raw(values, codes)

    def predict_parts(self, X, *, task=None):
        """Take the raw prediction apart.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            As at fit.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.

        Returns
        -------
        dict of str to ndarray of float64 of shape (n_samples,) or (n_samples, n_classes)
            "baseline", "shared", "inlier", "outlier" and "task_specific", already
            multiplied by the weights of the row's task; their sum is the raw prediction
            (the log-odds, or the logarithm of the expected count, where the loss has a
            link).
        """
        values, codes = self._read_rows(X, task)
        with self._team(values.shape) as team:
            parts = self._model.predict_parts(values, codes, team)
        return {name: _by_row(part) for name, part in zip(PARTS, parts, strict=True)}

    def _team(self, shape):
        """Return the team to work on some data with."""
        return Team(_n_threads(self.n_jobs) if shape[0] * shape[1] >= SMALL_CODES else 1)

    def __getstate__(self):
        state = dict(super().__getstate__())
        for name in ("_training_rows", "_reference_models"):  # a model in a file holds no data
            state.pop(name, None)
        return state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _by_row(raw):
    """Return a raw prediction with one row per sample."""
    return raw[0].copy() if raw.shape[0] == 1 else np.ascontiguousarray(raw.T)


def _generator(random_state):
    """Return the one Generator of a fit."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1, size=4))
    return np.random.default_rng(random_state)


def _n_threads(n_jobs):
    """Return the number of threads that ``n_jobs`` stands for, here and now.

    None stands for all cores this worker may use, or as many of them as a surrounding
    ``joblib.parallel_config`` says.
    """
    if n_jobs is not None and n_jobs >= 0:
        return openmp_n_threads(n_jobs)
    n_cores = openmp_n_threads(None)
    if not os.environ.get("OMP_NUM_THREADS"):
        n_cores = min(n_cores, joblib.cpu_count())  # the affinity of now, not of the start
    n_cores = cores_for_worker(n_cores)
    if n_jobs is None:
        around = get_active_backend()[1]
        n_jobs = -1 if around is None else min(around, n_cores)
    return n_jobs if n_jobs > 0 else max(1, n_cores + 1 + n_jobs)
