"""What regressor and classifier have in common: parameters, fit, raw predictions."""

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Self

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from rmtgb._common import FloatArray, IntArray
from rmtgb._compat import (
    CallbackSupportMixin,
    openmp_n_threads,
    with_callbacks,
)
from rmtgb.boosting.fit import FitResult, fit_rows
from rmtgb.boosting.model import ThreeStageModel
from rmtgb.boosting.rows import Rows
from rmtgb.boosting.settings import FitSettings, StageSettings, Stopping
from rmtgb.engine.team import Team, cores_for_worker
from rmtgb.estimators._callbacks import CallbackContexts
from rmtgb.estimators._constraints import COMMON_CONSTRAINTS, SPLITTERS
from rmtgb.estimators._continuation import check_continuation
from rmtgb.estimators._features import FeatureArray
from rmtgb.estimators._input import InputReader, drop_rows_without_weight, encode_groups
from rmtgb.estimators._progress import FitProgress
from rmtgb.estimators._target import check_target_of_loss
from rmtgb.estimators._warn import warn_caller
from rmtgb.estimators._weights import warn_of_large_weights
from rmtgb.losses import Loss
from rmtgb.tasks import describe_unseen
from rmtgb.tree.grower import TreeSettings

#: What decides chance, as a parameter.
RandomState = int | np.random.Generator | np.random.RandomState | None

#: Rows times features below which a team costs more than it brings.
SMALL_CODES = 200_000

#: Total weight from which ``early_stopping="auto"`` sets rows aside.
AUTO_STOPPING_ROWS = 20

#: ``min_samples_leaf="auto"``: one for so many rows, between two limits.
ROWS_PER_LEAF_ROW = 15
AUTO_LEAF_ROWS = 5, 40


class BaseRMTGB(CallbackSupportMixin, BaseEstimator, ABC):
    """Everything but the loss and the form of predictions."""

    task_feature: str | int | None
    n_iter_shared: int
    n_iter_partition: int
    n_iter_task: int
    unknown_task: str
    validation_split: str
    n_jobs: int | None
    random_state: RandomState

    tasks_: NDArray[Any]
    n_tasks_: int
    outlier_weights_: FloatArray
    outlier_tasks_: NDArray[Any]

    _input: InputReader
    _params_of_fit: dict[str, Any]
    _loss: Loss
    _model: ThreeStageModel

    # A task label given as metadata is always meant for us: no set_*_request call needed.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"task": True}
    __metadata_request__predict: ClassVar[dict[str, Any]] = {"task": True}
    __metadata_request__score: ClassVar[dict[str, Any]] = {"task": True}

    _parameter_constraints: ClassVar[dict[str, Any]] = COMMON_CONSTRAINTS

    @with_callbacks
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        task: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        task_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self:
        """Fit the three stages.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Features, and the task column if ``task_feature`` names one. NaN is a value of its own.
        y : array-like of shape (n_samples,)
            Targets.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.
        sample_weight : array-like of shape (n_samples,), optional
            Weights >= 0. Integers count as repeated rows. Any other weights are relative
            and scaled to a mean of one. A row of weight zero is as if it were not given.
        groups : array-like of shape (n_samples,), optional
            Labels of rows that validate together, where whatever is chosen shall hold for new
            groups: for tasks that come later, the task labels themselves.
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

        Warns
        -----
        UserWarning
            If weights have a mean above 10, with what that means, or task labels look like
            the values of a feature; a ConvergenceWarning if ``max_seconds`` were not enough.
        """
        self._validate_params()
        context = self._init_callback_context(max_subtasks=4)  # a choice, and three stages
        callbacks = CallbackContexts(self, context, X, y, sample_weight)
        progress = FitProgress(self, callbacks)
        with callbacks.whole_fit():
            fitted = copy.copy(self)
            validation = (X_val, y_val, task_val, sample_weight_val)
            fitted._fit(X, y, task, sample_weight, groups, validation, progress)
            fitted._params_of_fit = copy.deepcopy(self.get_params(deep=False))
            progress.warn_of_time()
            self.__dict__ = fitted.__dict__  # at once: an interrupt comes before or after
        return self

    def _fit(
        self,
        X: Any,
        y: Any,
        task: Any,
        sample_weight: Any,
        groups: Any,
        validation: tuple[Any, Any, Any, Any],
        progress: FitProgress,
    ) -> None:
        """Fit this object, without a way back."""
        former = self._model if self.warm_start and hasattr(self, "_model") else None
        rows = self._read_training_rows(X, y, task, sample_weight, groups, former)
        if former is not None:
            check_continuation(self._params_of_fit, self.get_params(deep=False), former)
        loss = self._make_loss(rows)  # which looks at the targets
        if former is None:
            self._loss = loss
        val_rows = self._read_validation(*validation)
        settings = self._fit_settings(rows, val_rows is not None)
        rng = make_generator(self.random_state)
        with self._team(rows.X.shape) as team:
            result = fit_rows(rows, val_rows, self.n_tasks_, settings, rng, team, progress, former)
        self._keep(result)

    def _read_training_rows(
        self,
        X: Any,
        y: Any,
        task: Any,
        sample_weight: Any,
        groups: Any,
        former: ThreeStageModel | None,
    ) -> Rows:
        """Return the rows of positive weight, and learn columns, tasks and classes."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target "
                "y is None."
            )
        if groups is not None and self.validation_split == "last":
            raise ValueError("groups is for validation_split='random', got 'last'.")
        X, y, task, weight, groups = drop_rows_without_weight(X, y, task, sample_weight, groups)
        if former is None:
            self._input = InputReader(self.task_feature, self.categorical_features, self.max_bins)
            values, labels = self._input.fit(X, task, self)
        else:
            values, labels = self._input.read(X, task, self)
        y = self._read_target(y)
        check_consistent_length(values, y)
        if y.size < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 rows of positive weight, got n_samples=1."
                " A weight that vanishes beside the largest counts as zero."
            )
        warn_of_large_weights(sample_weight, weight)
        if former is None:
            self.tasks_ = self._input.fit_tasks(labels)
            self.n_tasks_ = self.tasks_.size
        else:
            self._input.check_same_tasks(labels)
        y, weight = self._fit_target(y, weight, former is not None)
        task_codes = self._input.encode_tasks(labels, y.size)
        return Rows(values, y, weight, task_codes, encode_groups(groups))

    @abstractmethod
    def _read_target(self, y: Any, name: str = "y") -> NDArray[Any]:
        """Return targets as an array without gaps."""

    @abstractmethod
    def _fit_target(
        self, y: NDArray[Any], weight: FloatArray, continues: bool
    ) -> tuple[FloatArray, FloatArray]:
        """Learn what the targets are; return them as numbers, and the weights of the rows."""

    @abstractmethod
    def _encode_target(self, y: NDArray[Any], name: str = "y") -> FloatArray:
        """Return targets as numbers, as they were learned."""

    @abstractmethod
    def _make_loss(self, rows: Rows) -> Loss:
        """Return the loss that the parameters name, for some training rows."""

    def _read_validation(self, X: Any, y: Any, task: Any, sample_weight: Any) -> Rows | None:
        """Return the validation rows given by the user, or None."""
        if X is None and y is None and task is None and sample_weight is None:
            return None
        if X is None or y is None:
            raise ValueError("X_val and y_val must be given together, whatever else is given.")
        X, y, task, weight, _ = drop_rows_without_weight(
            X, y, task, sample_weight, name="sample_weight_val"
        )
        values, task_codes, labels = self._encode_rows(X, task)
        y = self._encode_target(self._read_target(y, name="y_val"), name="y_val")
        check_consistent_length(values, y)
        if (task_codes < 0).any():
            raise ValueError(f"X_val holds {describe_unseen(labels, task_codes)}.")
        check_target_of_loss(y, "y_val", self._loss)
        return Rows(values, y, weight, task_codes)

    def _stage_settings(self, total_weight: float) -> StageSettings:
        common_kinds, task_kinds = SPLITTERS[self.splitter]
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
                (self.max_leaf_nodes, min_samples_leaf, common_kinds[0]),
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
            common_kinds,
            task_kinds,
            self.task_baseline not in ("global", "zero") and self.n_tasks_ > 1,
        )

    def _fit_settings(self, rows: Rows, has_validation: bool) -> FitSettings:
        stopping = None
        total_weight = rows.weight.sum()
        # rounded: weights of mean one add up to the number of rows but for the last digits
        enough = round(total_weight) >= AUTO_STOPPING_ROWS or has_validation
        if self.early_stopping is True or (self.early_stopping == "auto" and enough):
            stopping = Stopping(self.n_iter_no_change, self.tol)
        stages = self._stage_settings(total_weight)
        return FitSettings(
            stages,
            self._loss,
            self.task_baseline,
            self.max_bins,
            self._input.features.n_categories,
            stopping,
            self.validation_fraction,
            self.validation_split == "last",
            self.task_descriptors
            if self.task_descriptors == "auto"
            else bool(self.task_descriptors),
        )

    def _keep(self, result: FitResult) -> None:
        """Set the fitted attributes."""
        model, lengths = result.model, result.lengths
        self._model = model
        self.theta_ = model.outlier_theta
        assert model.evidence is not None
        self.outlier_weights_ = model.evidence.weights
        self.outlier_tasks_ = self.tasks_[model.evidence.called]
        baseline = model.tasks.baseline
        self.baseline_ = baseline[:, 0] if baseline.shape[1] == 1 else baseline
        self.task_descriptors_ = model.task_descriptors
        self.n_iter_shared_ = model.shared.n_rounds
        self.n_iter_partition_ = model.partition.n_rounds
        self.n_iter_task_ = model.task_specific.n_rounds
        self.train_score_ = lengths.train_score
        self.validation_score_ = lengths.validation_score

    def _unfitted(self, **changes: Any) -> Self:
        """Return an estimator with the parameters of the fit, but for some changes."""
        quiet = {"warm_start": False, "verbose": 0}
        return type(self)(**copy.deepcopy(self._params_of_fit) | quiet | changes)

    def _as_fitted(self) -> Self:
        """Return this fitted estimator with the parameters of the fit."""
        fitted = copy.copy(self)
        fitted.__dict__.update(self._params_of_fit)
        return fitted

    def _encode_rows(
        self, X: Any, task: Any
    ) -> tuple[FeatureArray, IntArray, NDArray[Any] | None]:
        """Return features, task codes (-1 for unknown tasks) and task labels."""
        values, labels = self._input.read(X, task, self)
        return values, self._input.encode_tasks(labels, values.shape[0]), labels

    def _read_rows(self, X: Any, task: Any) -> tuple[FeatureArray, IntArray]:
        """Return features and task codes, and do with unknown tasks as ``unknown_task`` says."""
        check_is_fitted(self)
        values, codes, labels = self._encode_rows(X, task)
        if (codes < 0).any():
            text = describe_unseen(labels, codes)
            if self.unknown_task == "error":
                raise ValueError(f"X holds {text}, and unknown_task='error'.")
            warn_caller(f"X holds {text}; they are predicted by what the known tasks share.")
        return values, codes

    def _raw(self, X: Any, task: Any) -> FloatArray:
        """Return raw predictions, shape (n_outputs, n_samples)."""
        return self._raw_of(*self._read_rows(X, task))

    def _raw_of(self, values: FeatureArray, codes: IntArray) -> FloatArray:
        with self._team(values.shape) as team:
            raw: FloatArray = self._model.raw(values, codes, team)
        return raw

    def _staged_raw(self, X: Any, task: Any) -> Iterator[FloatArray]:
        values, codes = self._read_rows(X, task)
        yield from self._model.staged_raw(values, codes)

    def _team(self, shape: tuple[int, ...]) -> Team:
        """Return the team to work on some data with."""
        return Team(_n_threads(self.n_jobs) if shape[0] * shape[1] >= SMALL_CODES else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def by_row(raw: FloatArray) -> FloatArray:
    """Return a raw prediction with one row per sample."""
    return raw[0].copy() if raw.shape[0] == 1 else np.ascontiguousarray(raw.T)


def make_generator(random_state: RandomState) -> np.random.Generator:
    """Return the one Generator of a fit."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(2**31 - 1, size=4))
    return np.random.default_rng(random_state)


def _n_threads(n_jobs: int | None) -> int:
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
