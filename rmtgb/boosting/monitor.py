"""Who is told of the rounds of boosting, and may end a stage."""

from collections.abc import Iterator
from contextlib import contextmanager


class Monitor:
    """Takes note of nothing and stops nothing; the base of those that do.

    Attributes
    ----------
    every_round : bool
        Whether each round must be told of before the next one begins. Otherwise many are
        made at a time.
    """

    every_round: bool = False

    @contextmanager
    def stage(self, name: str, n_rounds: int) -> Iterator[None]:
        """Accompany a stage.

        Parameters
        ----------
        name : {"shared", "partition", "task"}
            The stage.
        n_rounds : int
            Rounds it may take.
        """
        yield

    def after_rounds(self, n_rounds: int) -> bool:
        """Take note of some more rounds; return True to end the stage."""
        return False

    def tell(self, text: str) -> None:
        """Take note of what has just been done outside the stages."""
