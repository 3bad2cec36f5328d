"""Progress of a fit: scikit-learn's callbacks where it has them, and ``verbose``."""

from contextlib import contextmanager

from rmtgb.boosting.monitor import Monitor


class FitProgress(Monitor):
    """Tells scikit-learn's callbacks and the user of every round.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    context : sklearn.callback.CallbackContext or None
        Its root context, None where scikit-learn has no callbacks.
    X, y : array-like
        What the callbacks are given.
    """

    def __init__(self, estimator, context, X, y):
        self._estimator, self._context = estimator, context
        self._inputs = {"estimator": estimator, "X": X, "y": y}
        self._stage = None

    @contextmanager
    def stage(self, name, n_rounds):
        """Accompany a stage with a context of its own, one level below the fit."""
        rounds = 0
        if self._context is not None:
            self._stage = self._context.subcontext(task_name=name, max_subtasks=n_rounds)
            self._stage.call_on_fit_task_begin(**self._inputs)

        def after_round():
            nonlocal rounds
            rounds += 1
            return self.after_round()

        yield after_round
        if self._context is not None:
            self._stage.call_on_fit_task_end(**self._inputs)
        if self._estimator.verbose:
            print(f"[{type(self._estimator).__name__}] {name}: {rounds} of {n_rounds} rounds")

    def after_round(self):
        """Pass a round on; a callback may ask to stop the stage."""
        if self._context is None:
            return False
        context = self._stage.subcontext(task_name="round", max_subtasks=0)
        context.call_on_fit_task_begin(**self._inputs)
        return context.call_on_fit_task_end(**self._inputs)
