"""Progress of a fit: scikit-learn's callbacks where it has them, and ``verbose``."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rmtgb._compat import has_callbacks
from rmtgb.boosting.monitor import Monitor


class FitProgress(Monitor):
    """Tells scikit-learn's callbacks and the user of every round.

    The contexts are nested: the fit, its stages "shared", "partition" and "task", and the
    rounds of a stage (stage 3 runs as one, because tasks take turns there). A callback
    ends a stage by returning True from ``on_fit_task_end`` of a round.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    context : sklearn.callback.CallbackContext or None
        Its root context, None where scikit-learn has no callbacks.
    X, y : array-like
        What the callbacks are given.
    sample_weight : array-like or None
        Likewise.
    """

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self._inputs: dict[str, Any] = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": metadata,
        }
        self._estimator, self._context = estimator, context
        self._stage_context: Any = None
        self._rounds = 0
        self.every_round = context is not None and has_callbacks(estimator)

    @contextmanager
    def whole_fit(self) -> Iterator[None]:
        """Accompany the fit; at its end the estimator is fitted."""
        if self._context is not None:
            self._context.call_on_fit_task_begin(**self._inputs)
        yield
        if self._context is not None:
            self._context.call_on_fit_task_end(**self._inputs, reconstruction_attributes={})

    @contextmanager
    def stage(self, name: str, n_rounds: int) -> Iterator[None]:
        """Accompany a stage with a context of its own, one level below the fit."""
        self._rounds = 0
        if self._context is not None:
            self._stage_context = self._context.subcontext(task_name=name, max_subtasks=n_rounds)
            self._stage_context.call_on_fit_task_begin(**self._inputs)
        yield
        if self._context is not None:
            self._stage_context.call_on_fit_task_end(**self._inputs)
        self.tell(f"{name}: {self._rounds} of {n_rounds} rounds")

    def after_rounds(self, n_rounds: int) -> bool:
        """Pass rounds on; a callback may ask to stop the stage."""
        self._rounds += n_rounds
        if self._context is None:
            return False
        context = self._stage_context.subcontext(task_name="round")
        context.call_on_fit_task_begin(**self._inputs)
        return bool(context.call_on_fit_task_end(**self._inputs))

    def tell(self, text: str) -> None:
        """Print a line, with ``verbose``."""
        if self._estimator.verbose:
            print(f"[{type(self._estimator).__name__}] {text}", flush=True)
