"""The exponential that does not overflow, for log links."""

import math

from rmtgb.engine.jit import inner

#: Largest argument of an exponential. The gain of a split squares sums of gradients:
#: exp(300) = 2e130 leaves the square finite for 1e20 rows, where exp(700) would make
#: it infinite for a single one. No count comes near it.
MAX_EXPONENT = 300.0


@inner
def safe_exp(raw: float) -> float:
    """Exponential of a raw prediction, constant above ``MAX_EXPONENT``.

    Parameters
    ----------
    raw : float
        Raw prediction on the log scale.

    Returns
    -------
    float
        ``exp(min(raw, MAX_EXPONENT))``, always finite.
    """
    return math.exp(min(raw, MAX_EXPONENT))
