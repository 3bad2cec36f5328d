"""Random numbers as a function of a seed and of counters.

A draw depends on nothing but its arguments, so threads need no generator of their
own and the number of threads changes no draw. The mixing function is SplitMix64
(Steele, Lea, Flood, OOPSLA 2014).
"""

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_TO_DOUBLE = np.uint64(11)


@inner
def mix(seed: Int, counter: Int) -> Int:
    """Return 64 random bits (uint64) for a seed (uint64) and a counter (int)."""
    z = seed + _STEP * np.uint64(counter + 1)
    z = (z ^ (z >> _SHIFTS[0])) * _MIX_1
    z = (z ^ (z >> _SHIFTS[1])) * _MIX_2
    return z ^ (z >> _SHIFTS[2])


@inner
def uniform(seed: Int, counter: Int) -> np.float64:
    """Return a float64 in [0, 1) for a seed (uint64) and a counter (int)."""
    return np.float64(mix(seed, counter) >> _TO_DOUBLE) * 2.0**-53
