"""Who is told of every round of boosting, and may end a stage."""

from contextlib import contextmanager


class Monitor:
    """Takes note of nothing and stops nothing; the base of those that do."""

    @contextmanager
    def stage(self, name, n_rounds):
        """Accompany a stage.

        Parameters
        ----------
        name : {"shared", "partition", "task"}
            The stage.
        n_rounds : int
            Rounds it may take.

        Yields
        ------
        callable
            To be called after each round without arguments; returns whether to stop.
        """
        yield self.after_round

    def after_round(self):
        """Take note of a round; return True to end the stage."""
        return False
