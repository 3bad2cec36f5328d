"""What regressor and classifier have in common: input, fit, prediction, inspection."""

import copy
import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted, validate_data

from rmtgb._compat import (
    CallbackSupportMixin,
    Interval,
    StrOptions,
    check_sample_weight,
    openmp_n_threads,
    with_callbacks,
)
from rmtgb._team import Team
from rmtgb.boosting.fit import FitSettings, Rows, fit_rows
from rmtgb.boosting.model import PARTS
from rmtgb.boosting.stage_lengths import Stopping
from rmtgb.boosting.state import StageSettings, TreeSettings
from rmtgb.estimators._features import FeatureEncoder, find_categorical
from rmtgb.estimators._importances import Importances
from rmtgb.estimators._progress import FitProgress
from rmtgb.tasks.column import split_task_column
from rmtgb.tasks.encoder import TaskEncoder, as_label_array, describe_unseen

#: Rows times features below which a team costs more than it brings.
SMALL_CODES = 200_000

#: Rows from which ``early_stopping="auto"`` sets some aside.
AUTO_STOPPING_ROWS = 500


class BaseRMTGB(Importances, CallbackSupportMixin, BaseEstimator):
    """Everything but the loss and the form of predictions."""

    # A task label given as metadata is always meant for us: no set_*_request call needed.
    __metadata_request__fit = {"task": True}
    __metadata_request__predict = {"task": True}
    __metadata_request__score = {"task": True}

    _parameter_constraints: dict = {
        "task_feature": [str, Integral, None],
        "n_iter_shared": [Interval(Integral, 0, None, closed="left")],
        "n_iter_partition": [Interval(Integral, 0, None, closed="left")],
        "n_iter_task": [Interval(Integral, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_leaf_nodes": [Interval(Integral, 2, None, closed="left"), None],
        "max_depth": [Interval(Integral, 1, None, closed="left"), None],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
        "max_leaf_nodes_task": [Interval(Integral, 2, None, closed="left"), None],
        "min_samples_leaf_task": [Interval(Integral, 1, None, closed="left")],
        "l2_regularization": [Interval(Real, 0, None, closed="left")],
        "partition_regularization": [Interval(Real, 0, None, closed="left")],
        "task_baseline": [StrOptions({"shrunken", "global", "zero"})],
        "max_bins": [Interval(Integral, 2, 255, closed="both")],
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "max_features": [Interval(Real, 0, 1, closed="right")],
        "early_stopping": [StrOptions({"auto"}), "boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "unknown_task": [StrOptions({"shared", "error"})],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
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
            Weights >= 0. A row of weight 2 is the same as two rows; weights with a mean
            below one are first scaled to a mean of one.
        X_val, y_val, task_val, sample_weight_val : optional
            Rows to choose the stage lengths on, instead of setting some aside.

        Returns
        -------
        self : estimator
            The fitted estimator. If the fit is interrupted or fails, it stays as it was.

        Raises
        ------
        ValueError
            If X, y, the task column or a parameter is not as described; the message
            names it and says what is allowed.
        """
        self._validate_params()
        context = self._init_callback_context(max_subtasks=3)
        progress = FitProgress(self, context, X, y)
        if context is not None:
            context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        fitted = copy.copy(self)
        validation = (X_val, y_val, task_val, sample_weight_val)
        fitted._fit(X, y, task, sample_weight, validation, progress)
        vars(self).clear()
        vars(self).update(vars(fitted))
        if context is not None:
            context.call_on_fit_task_end(estimator=self, X=X, y=y)
        return self

    def _fit(self, X, y, task, sample_weight, validation, progress):
        """Fit this object, without a way back."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target "
                "y is None."
            )
        target = y
        values, labels = self._read_training_features(X, task)
        y = self._read_target(y, reset=True)
        check_consistent_length(values, y)
        weight = self._read_weight(sample_weight, values, y)
        task_codes = self._fit_tasks(labels, values.shape[0], weight)
        used = weight > 0
        rows = Rows(values, y, weight, task_codes)
        if not used.all():
            rows = Rows(values[used], y[used], weight[used], task_codes[used])
        if rows.y.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 rows of positive weight, got n_samples=1."
            )
        rows = self._finish_target(rows)
        val_rows = self._read_validation(*validation)
        settings = self._fit_settings(rows, val_rows is not None)
        rng = _generator(self.random_state)
        with self._team(rows.X.shape) as team:
            result = fit_rows(rows, val_rows, self.n_tasks_, settings, rng, team, progress)
        self._keep(result)
        self._task_rows = np.bincount(rows.task_codes, rows.weight, minlength=self.n_tasks_)
        self._training_rows = (X, target, task, sample_weight)

    def _read_training_features(self, X, task):
        """Learn column names and categories, return the features and the task labels."""
        if self.task_feature is not None:
            validate_data(self, X, skip_check_array=True)
        names = getattr(self, "feature_names_in_", None)
        rest, labels = split_task_column(X, self.task_feature)
        if task is not None:
            if labels is not None:
                raise ValueError(
                    f"task= was passed, but task_feature={self.task_feature!r} already names the "
                    "task column; give one of the two."
                )
            labels = task
            check_consistent_length(X, task)
        self._features = FeatureEncoder()
        if np.ndim(rest) == 2 or hasattr(rest, "columns"):
            names = _column_names(X)
            categorical = find_categorical(X, self.categorical_features, names)
            kept = np.ones(categorical.size, dtype=bool)
            if self.task_feature is not None:
                kept[_task_position(self.task_feature, names)] = False
            called = np.arange(kept.size) if names is None else np.asarray(names, dtype=object)
            self._features.fit(rest, categorical[kept], self.max_bins, called[kept])
            self._kept_columns = kept
        else:
            self._features.categories_ = [None]
        values = self._features.transform(rest, self)
        if self.task_feature is None:
            validate_data(self, X, skip_check_array=True)
        return values, labels

    def _fit_tasks(self, labels, n_rows, weight):
        """Learn the task labels of rows of positive weight, return the codes."""
        self._tasks = None
        if labels is None:
            self.tasks_, self.n_tasks_ = np.zeros(1, dtype=np.int64), 1
            return np.zeros(n_rows, dtype=np.int64)
        used = weight > 0
        labels = as_label_array(labels)
        self._tasks = TaskEncoder().fit(labels[used] if not used.all() else labels)
        self.tasks_, self.n_tasks_ = self._tasks.tasks_, self._tasks.tasks_.size
        return self._tasks.encode(labels)

    def _read_weight(self, sample_weight, values, y):
        weight = check_sample_weight(
            sample_weight, values, dtype=np.float64, copy=True, ensure_non_negative=True
        )
        weight *= self._class_weights(y)
        total, n_used = weight.sum(), np.count_nonzero(weight)
        if n_used == 0:
            raise ValueError("sample_weight is zero for every row; at least 2 must be positive.")
        return weight * max(1.0, n_used / total)

    def _class_weights(self, y):
        return 1.0

    def _read_validation(self, X, y, task, sample_weight):
        """Return the validation rows given by the user, or None."""
        if X is None and y is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together.")
        values, task_codes = self._read_features(X, task)
        y = self._read_target(y, reset=False)
        check_consistent_length(values, y)
        weight = check_sample_weight(
            sample_weight, values, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError("sample_weight_val is zero for every row.")
        known = task_codes >= 0
        if not known.all():
            raise ValueError(
                f"X_val holds {np.count_nonzero(~known)} rows of tasks that are not in X."
            )
        return Rows(values, y, weight, task_codes)

    def _fit_settings(self, rows, has_validation):
        stopping = None
        enough = rows.y.size >= AUTO_STOPPING_ROWS or has_validation
        if self.early_stopping is True or (self.early_stopping == "auto" and enough):
            stopping = Stopping(self.n_iter_no_change, self.tol)
        common = TreeSettings(
            self.max_leaf_nodes,
            self.max_depth,
            self.min_samples_leaf,
            self.l2_regularization,
            self.learning_rate,
            self.max_features,
            self.subsample,
        )
        task_trees = TreeSettings(
            self.max_leaf_nodes_task,
            self.max_depth,
            self.min_samples_leaf_task,
            self.l2_regularization,
            self.learning_rate,
            self.max_features,
            self.subsample,
        )
        stages = StageSettings(
            self.n_iter_shared,
            self.n_iter_partition,
            self.n_iter_task,
            common,
            task_trees,
            self.partition_regularization,
        )
        return FitSettings(
            stages,
            self._make_loss(rows),
            self.task_baseline,
            self.max_bins,
            self._features.n_categories,
            stopping,
            self.validation_fraction,
        )

    def _keep(self, result):
        """Set the fitted attributes."""
        model, lengths = result.model, result.lengths
        self._model = model
        self.theta_ = model.partition.theta
        self.outlier_weights_ = model.outlier_weights
        self.outlier_tasks_ = self.tasks_[model.outlier_weights > 0.5]
        baseline = model.baseline.tasks
        self.baseline_ = baseline[:, 0] if baseline.shape[1] == 1 else baseline
        self.n_iter_shared_ = model.shared.n_rounds
        self.n_iter_partition_ = model.partition.inlier.n_rounds
        self.n_iter_task_ = model.task_specific.n_rounds
        self.train_score_ = lengths.train_score
        self.validation_score_ = lengths.validation_score

    def _read_features(self, X, task):
        """Return features and task codes of rows to be predicted."""
        if self.task_feature is not None:
            validate_data(self, X, skip_check_array=True, reset=False)
        rest, labels = split_task_column(
            X, self.task_feature, fitted_names=getattr(self, "feature_names_in_", None)
        )
        values = self._features.transform(rest, self)
        if self.task_feature is None:
            validate_data(self, X, skip_check_array=True, reset=False)
        if task is not None:
            if self.task_feature is not None or self._tasks is None:
                raise ValueError(
                    "task= was passed, but the estimator was fitted "
                    + ("without tasks." if self._tasks is None else "with a task column in X.")
                )
            labels = task
        if self._tasks is None:
            return values, np.zeros(values.shape[0], dtype=np.int64)
        if labels is None:
            raise ValueError(
                "The estimator was fitted with task=; task= is needed here too. A column of X, "
                "named by task_feature, works everywhere in scikit-learn."
            )
        check_consistent_length(values, labels)
        codes = self._tasks.encode(labels)
        return values, codes

    def _known_features(self, X, task):
        """As ``_read_features``, and do with unknown tasks as ``unknown_task`` says."""
        check_is_fitted(self)
        values, codes = self._read_features(X, task)
        if (codes < 0).any():
            labels = task
            if task is None:
                labels = split_task_column(
                    X, self.task_feature, fitted_names=getattr(self, "feature_names_in_", None)
                )[1]
            text = describe_unseen(labels, codes)
            if self.unknown_task == "error":
                raise ValueError(f"X holds {text}, and unknown_task='error'.")
            warnings.warn(
                f"X holds {text}; they are predicted by what the known tasks share.",
                UserWarning,
                stacklevel=3,
            )
        return values, codes

    def _raw(self, X, task):
        """Return raw predictions, shape (n_outputs, n_samples)."""
        values, codes = self._known_features(X, task)
        with self._team(values.shape) as team:
            return self._model.raw(values, codes, team)

    def _staged_raw(self, X, task):
        values, codes = self._known_features(X, task)
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
        values, codes = self._known_features(X, task)
        with self._team(values.shape) as team:
            parts = self._model.parts(values, codes, team)
        return {name: _by_row(part) for name, part in zip(PARTS, parts, strict=True)}

    def _team(self, shape):
        """Return the team to work on some data with."""
        n_threads = openmp_n_threads(self.n_jobs)
        return Team(n_threads if shape[0] * shape[1] >= SMALL_CODES else 1)

    def __getstate__(self):
        state = dict(super().__getstate__())
        state.pop("_training_rows", None)  # a model in a file holds no data
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


def _column_names(X):
    names = getattr(X, "columns", None)
    return None if names is None else list(names)


def _task_position(task_feature, names):
    return names.index(task_feature) if isinstance(task_feature, str) else task_feature
