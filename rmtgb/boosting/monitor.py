"""Who is told of what a fit is doing, and may end a stage."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rmtgb.losses.base import losses_as_given


class MeanLosses(NamedTuple):
    """Mean losses over training and over validation rows, in the unit of the fit."""

    training: float
    validation: float


class Monitor:
    """Takes note of nothing and stops nothing; the base of those that do.

    Attributes
    ----------
    unit, degree : float, int
        What a loss of the fit has to be multiplied with, and how often, to be one of targets as
        they were given.
    """

    unit: float = 1.0
    degree: int = 0

    @property
    def every_round(self) -> bool:
        """Whether each round must be told of before the next one begins.

        Otherwise many are made at a time.
        """
        return False

    @contextmanager
    def trial(self, name: str, n_parts: int) -> Iterator[None]:
        """Accompany something that is tried, or the choice among all that is.

        Parameters
        ----------
        name : str
        n_parts : int
            Trials or stages that it may have.
        """
        yield

    @contextmanager
    def stage(self, name: str, n_rounds: int) -> Iterator[None]:
        """Accompany a stage, of a trial if one has begun and is not over.

        Parameters
        ----------
        name : {"shared", "partition", "task"}
        n_rounds : int
            Rounds it may take.
        """
        yield

    def after_rounds(self, n_rounds: int, losses: MeanLosses | None = None) -> bool:
        """Take note of some more rounds of a stage; return True to end it.

        Parameters
        ----------
        n_rounds : int
        losses : MeanLosses, optional
            After them, where rows validate.
        """
        return False

    def seconds_left(self) -> float:
        """Return how much time there is for all that is to come."""
        return math.inf

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Give what is done inside no more than some seconds: stages end then."""
        yield

    def has_time_for(self, what: str) -> bool:
        """Tell whether there is time for something; if not, take note that it was not tried."""
        return True

    def tell(self, text: str) -> None:
        """Take note of what has just been done, or decided."""

    def loss_as_given(self, loss: float) -> float:
        """Return a loss of the fit as one of targets as given; infinite if it is too large."""
        return losses_as_given(loss, self.unit, self.degree)
