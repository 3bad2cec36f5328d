"""Checks of the options of losses."""

from numbers import Real


def real_between(option: str, given: object, loss: str, low: float, high: float) -> float:
    """Return an option as a float in an open interval.

    Raises
    ------
    ValueError
        If it is something else; the message names the option and the loss.
    """
    if isinstance(given, Real) and not isinstance(given, bool) and low < float(given) < high:
        return float(given)
    raise ValueError(
        f"{option} must be a number in ({low:g}, {high:g}) for loss '{loss}'; got {given!r}."
    )
