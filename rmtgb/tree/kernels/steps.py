"""Newton steps of leaves, where a full one goes too far."""

from typing import Any

import numpy as np

from rmtgb.engine.jit import inner


@inner
def log_shortening(grow: Any, step: float) -> float:
    """Return what a Newton step of a leaf is multiplied by.

    Where raw predictions are logarithms of means, a leaf whose targets add up to ``1 + v`` times
    their means has the Newton step v, and its loss is least at log(1 + v).
    """
    return np.log1p(step) / step if grow["log_steps"] and step > 0.0 else 1.0
