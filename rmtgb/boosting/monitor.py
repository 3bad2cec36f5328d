"""Who is told of the rounds of boosting, and may end a stage."""

from contextlib import contextmanager


class Monitor:
    """Takes note of nothing and stops nothing; the base of those that do.

    Attributes
    ----------
    every_round : bool
        Whether each round must be told of before the next one begins. Otherwise many are
        made at a time.
    """

    every_round = False

    @contextmanager
    def stage(self, name, n_rounds):
        """Accompany a stage.

        Parameters
        ----------
        name : {"shared", "partition", "task"}
            The stage.
        n_rounds : int
            Rounds it may take.
        """
        yield

    def after_rounds(self, n_rounds):
        """Take note of some more rounds; return True to end the stage."""
        return False
