"""Contexts that scikit-learn's callbacks are told of during a fit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rmtgb._compat import has_callbacks


class CallbackContexts:
    """The context of a fit, and those that have begun inside it.

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

    Attributes
    ----------
    are_heard : bool
        Whether callbacks were set; otherwise only the fit itself has a context.
    """

    def __init__(self, estimator: Any, context: Any, X: Any, y: Any, sample_weight: Any) -> None:
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        self._inputs: dict[str, Any] = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": metadata,
        }
        self._contexts = [] if context is None else [context]
        self.are_heard = context is not None and has_callbacks(estimator)

    @contextmanager
    def whole_fit(self) -> Iterator[None]:
        """Accompany the fit; at its end the estimator is fitted."""
        for context in self._contexts:
            context.call_on_fit_task_begin(**self._inputs)
        yield
        for context in self._contexts:
            context.call_on_fit_task_end(**self._inputs, reconstruction_attributes={})

    @contextmanager
    def part(self, name: str, n_parts: int) -> Iterator[None]:
        """Accompany something inside what has begun last, which may have so many parts."""
        if not self.are_heard:
            yield
            return
        context = self._contexts[-1].subcontext(task_name=name, max_subtasks=n_parts)
        context.call_on_fit_task_begin(**self._inputs)
        self._contexts.append(context)
        yield
        self._contexts.pop()
        context.call_on_fit_task_end(**self._inputs)

    def done(self, name: str, times: int) -> bool:
        """Tell of something without parts that was done some times; return whether to stop."""
        stops = False
        for _ in range(times if self.are_heard else 0):
            context = self._contexts[-1].subcontext(task_name=name)
            context.call_on_fit_task_begin(**self._inputs)
            stops |= bool(context.call_on_fit_task_end(**self._inputs))
        return stops
