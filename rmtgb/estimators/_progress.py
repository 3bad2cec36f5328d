"""Progress of a fit: scikit-learn's callbacks where it has them, ``verbose``, ``max_seconds``."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from rmtgb.boosting.monitor import MeanLosses, Monitor
from rmtgb.estimators._callbacks import CallbackContexts
from rmtgb.estimators._warn import warn_caller

#: Seconds between two lines on rounds.
SECONDS_PER_LINE = 1.0

#: Steps of a stage that is tried, for callbacks: how many rounds it will have is not known, and a
#: bar for each such stage would fill a screen.
STEPS = 20


@dataclass
class _Stage:
    """A stage that has begun, and how far it is."""

    name: str
    n_rounds: int
    rounds: int = 0
    losses: MeanLosses | None = None
    steps_told: int = 0

    @property
    def steps(self) -> int:
        """How many steps of a stage that is tried have been made."""
        return STEPS * self.rounds // max(self.n_rounds, 1)


class FitProgress(Monitor):
    """Tells scikit-learn's callbacks and the user what a fit is doing, and ends it in time.

    The contexts of callbacks are nested: the fit; "choice", where something is chosen on
    validation rows, with a context for whatever is tried, in which steps have the names of stages;
    then the stages "shared", "partition" and "task" of the fit, and their rounds. A callback ends
    a stage by returning True from ``on_fit_task_end`` of a round or step. In stage 3 of the fit,
    where tasks take turns, it leaves some without trees of their own.

    Parameters
    ----------
    estimator : estimator
        The estimator being fitted.
    callbacks : CallbackContexts

    Attributes
    ----------
    missed : list of str
        What ended early, or was not tried, because time was up.
    """

    def __init__(self, estimator: Any, callbacks: CallbackContexts) -> None:
        self._estimator, self._callbacks = estimator, callbacks
        self._trials: list[str] = []
        self._stage: _Stage | None = None
        self._start = time.perf_counter()
        self._next_line = self._start  # when rounds may be told of
        self._last_text = ""
        seconds = estimator.max_seconds
        self._end = math.inf if seconds is None else self._start + seconds
        self._limit = math.inf  # of stages, now
        self.missed: list[str] = []

    @property
    def every_round(self) -> bool:
        """Whether callbacks may want to end a stage of the fit at a round."""
        return self._callbacks.are_heard and not self._trials

    @contextmanager
    def trial(self, name: str, n_parts: int) -> Iterator[None]:
        """Accompany a trial with a context of its own, with steps of stages or with trials."""
        self._trials.append(name)
        with self._callbacks.part(name, n_parts if len(self._trials) == 1 else STEPS * n_parts):
            yield
        self._trials.pop()

    @contextmanager
    def stage(self, name: str, n_rounds: int) -> Iterator[None]:
        """Accompany a stage; one of the fit has a context of its own, and a line at its end."""
        self._stage = _Stage(name, n_rounds)
        if self._trials:
            yield
            self._callbacks.done(name, STEPS - self._stage.steps_told)
        else:
            with self._callbacks.part(name, n_rounds):
                yield
            self._print(self._rounds_so_far(self._stage))
        self._stage = None

    def after_rounds(self, n_rounds: int, losses: MeanLosses | None = None) -> bool:
        """Pass rounds on; a callback may ask to stop the stage, and so may the time."""
        stage = self._stage
        assert stage is not None
        stage.rounds += n_rounds
        stage.losses = losses
        if time.perf_counter() >= self._next_line:
            self._print(self._rounds_so_far(stage))
        if self._trials:
            steps = stage.steps - stage.steps_told
            stage.steps_told = stage.steps
            stops = self._callbacks.done(stage.name, steps)
        else:
            stops = self._callbacks.done("round", n_rounds)
        is_late = self._is_late()
        if is_late and stage.rounds < stage.n_rounds:
            self.missed.append(f"more rounds of {'/'.join([*self._trials, stage.name])}")
        return stops or is_late

    def seconds_left(self) -> float:
        """Return how much of the fit's time is left."""
        return max(self._end - time.perf_counter(), 0.0)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """End stages when some seconds have passed."""
        former = self._limit
        self._limit = min(former, time.perf_counter() + seconds)
        yield
        self._limit = former

    def has_time_for(self, what: str) -> bool:
        """Tell whether time is not up, or take note that something was not tried."""
        is_late = self._is_late()
        if is_late:
            self.missed.append(what)
        return not is_late

    def warn_of_time(self) -> None:
        """Warn of what the fit did without because time was up."""
        if self.missed:
            warn_caller(
                f"max_seconds={self._estimator.max_seconds:g} was not enough for the whole fit. "
                f"Left out: {'; '.join(dict.fromkeys(self.missed))}.",
                ConvergenceWarning,
            )

    def tell(self, text: str) -> None:
        """Print a line, with ``verbose``."""
        self._print(": ".join(["/".join(self._trials), text] if self._trials else [text]))

    def _is_late(self) -> bool:
        return time.perf_counter() >= self._limit

    def _rounds_so_far(self, stage: _Stage) -> str:
        path = "/".join([*self._trials, stage.name])
        line = f"{path}: {stage.rounds} of {stage.n_rounds} rounds"
        if stage.losses is None:
            return line
        training, validation = (self.loss_as_given(loss) for loss in stage.losses)
        return f"{line}, training loss {training:.6g}, validation loss {validation:.6g}"

    def _print(self, text: str) -> None:
        now = time.perf_counter()
        self._next_line = now + SECONDS_PER_LINE
        if self._estimator.verbose and text != self._last_text:
            self._last_text = text
            seconds = f"{now - self._start:6.1f} s"
            print(f"[{type(self._estimator).__name__}] {seconds}  {text}", flush=True)
