"""A table of scores per task, beside what pooling and single-task models would have given."""

import copy

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import check_is_fitted

from rmtgb._compat import check_sample_weight


class TaskScores:
    """Adds ``task_scores`` to the estimators."""

    def task_scores(self, X, y, *, task=None, sample_weight=None):
        """Score every task, and compare with one pooled model and one model per task.

        Both are fitted on the training rows when this is first called, with the same
        parameters and as many rounds as all stages have together: pooling is stage 1
        alone, without knowledge of tasks; a task's own model is stage 3 alone. Until
        then the estimator refers to the training rows that it was given (it does not copy
        them, and pickles hold neither).

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            Rows that were not used to fit.
        y : array-like of shape (n_samples,)
            Their targets.
        task : array-like of shape (n_samples,), optional
            Task labels, where they are not a column of X.
        sample_weight : array-like of shape (n_samples,), optional
            Weights >= 0.

        Returns
        -------
        pandas.DataFrame
            One row per task that occurs in X, indexed by its label: "rows", then the
            metric of "rmtgb", "pooled" and "single_task" (smaller is better; the name of
            the metric is in ``attrs["metric"]``), then "outlier_weight".

        Raises
        ------
        ValueError
            If the estimator has no tasks, or comes from a pickle and so has no training
            rows to fit the other models on.
        """
        check_is_fitted(self)
        if self._input.tasks is None:
            raise ValueError("task_scores needs an estimator that was fitted with tasks.")
        values, codes = self._read_rows(X, task)
        y = self._encode_target(self._read_target(y))
        check_consistent_length(values, y)
        weight = check_sample_weight(
            sample_weight, values, dtype=np.float64, ensure_non_negative=True
        )
        codes = np.where(weight > 0, codes, -1)
        table = pd.DataFrame({"rows": np.bincount(codes[codes >= 0], minlength=self.n_tasks_)})
        for name, model in {"rmtgb": self, **self._references()}.items():
            raw = model._raw_of(values, codes)
            table[name] = np.nan
            for code in np.flatnonzero(table["rows"]):
                rows = codes == code
                table.loc[code, name] = self._metric(y[rows], raw[:, rows], weight[rows])
        table["outlier_weight"] = self.outlier_weights_
        table.index = pd.Index(self.tasks_, name="task")
        table.attrs["metric"] = self._metric_name
        return table[table["rows"] > 0]

    def _references(self):
        """Return the pooled and the single-task models, fitted at the first call."""
        if not hasattr(self, "_training_rows"):
            raise ValueError(
                "task_scores fits the other models on the training rows, and this estimator no "
                "longer has them; fit it again."
            )
        if not hasattr(self, "_reference_models"):
            X, y, task, sample_weight = self._training_rows
            rounds = self.n_iter_shared + self.n_iter_partition + self.n_iter_task
            lengths = {
                "pooled": {"n_iter_shared": rounds, "n_iter_partition": 0, "n_iter_task": 0},
                "single_task": {"n_iter_shared": 0, "n_iter_partition": 0, "n_iter_task": rounds},
            }
            params = copy.deepcopy(self.get_params(deep=False))
            params |= {"task_baseline": "global", "warm_start": False, "verbose": 0}
            self._reference_models = {
                name: type(self)(**params | stages).fit(
                    X, y, task=task, sample_weight=sample_weight
                )
                for name, stages in lengths.items()
            }
        return self._reference_models
