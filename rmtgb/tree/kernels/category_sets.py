"""Sets of categories, which splits are kept as."""

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner
from rmtgb.engine.record import Array


@inner
def in_set(words: Array, code: Int) -> bool:
    """Return whether a bin code is in a set of 256 bits (4 uint64)."""
    return (words[code >> 6] >> np.uint64(code & 63)) & np.uint64(1) == 1
