"""Variances of effects as a fitted model keeps them: in units of that of noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from rmtgb._common import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Variances:
    """Logarithms of the variances over that of noise, and what they belong to.

    ``logarithms`` and ``usual`` (n_components,) are what they are, and are thought to be before
    data are seen; ``of_effect`` (r,) is the component of each effect of a task. The last component
    is that of the fixed part.
    """

    logarithms: FloatArray
    usual: FloatArray
    of_effect: IntArray

    @property
    def ratios(self) -> FloatArray:
        """Variances of the effects of a task over that of noise, shape (r,)."""
        return self._values()[self.of_effect]

    @property
    def ridge(self) -> float:
        """Variance of noise over that of the coefficients of the fixed part."""
        return 1.0 / float(self._values()[-1])

    def moved(self, logarithms: FloatArray) -> Variances:
        """Return other variances of the same effects."""
        return replace(self, logarithms=logarithms)

    def _values(self) -> FloatArray:
        # not by np.exp, whose last bit depends on the processor
        return np.array([math.exp(logarithm) for logarithm in self.logarithms])
