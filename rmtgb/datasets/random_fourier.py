"""Random smooth functions as finite sums of random cosines.

A sum of many cosines with Gaussian frequencies is close to a draw from a Gaussian
process with a squared-exponential kernel [1]_. That makes a family of regression
functions whose smoothness is one number, the length scale.

References
----------
.. [1] A. Rahimi and B. Recht, "Random Features for Large-Scale Kernel Machines",
   NeurIPS 2007.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rmtgb._common import FloatArray

__all__ = ["LinearCombination", "RandomFourierFunction"]

# cos(2 pi t) as a polynomial in t**2, lowest degree first, for |t| <= 1/2: interpolated at the
# Chebyshev nodes of [0, 1/4] in t**2; its absolute error is below 1e-12 on that range.
# Reason: numpy's float64 cosine is the scalar one of libm (13 ns per value where this was
# measured), while these few vectorised passes over a block that stays in cache take 3 ns.
# Rejected: numpy's vectorised float32 cosine, which is faster still but wrong by 1e-7.
_COSINE_COEFFICIENTS = (
    0.999999999999057,
    -19.73920880156809,
    64.93939395749398,
    -85.45681452618882,
    60.244586090463194,
    -26.425615415608217,
    7.89915473617536,
    -1.6968620513109494,
    0.2437498023858064,
)

# Cosines evaluated at once: two float64 buffers of this size stay in the level-2 cache.
_BLOCK_VALUES = 32_768


@dataclass(frozen=True, eq=False)
class RandomFourierFunction:
    """The function ``f(x) = sum_j a_j sqrt(2 / M) cos(w_j . x / l + b_j)``.

    Parameters
    ----------
    frequencies : ndarray of shape (M, d), float64
        Frequencies ``w_j`` before division by the length scale.
    phases : ndarray of shape (M,), float64
        Phases ``b_j`` in radians.
    amplitudes : ndarray of shape (M,), float64
        Amplitudes ``a_j`` before multiplication by ``sqrt(2 / M)``.
    length_scale : float
        Length scale ``l > 0``, in the unit of the features.

    Raises
    ------
    ValueError
        If the shapes do not fit together or `length_scale` is not positive.

    References
    ----------
    .. [1] "Robust Multi-Task Gradient Boosting", arXiv:2507.11411, synthetic data.
    """

    frequencies: FloatArray = field(repr=False)
    phases: FloatArray = field(repr=False)
    amplitudes: FloatArray = field(repr=False)
    length_scale: float

    def __post_init__(self) -> None:
        n_fourier = len(self.frequencies)
        if np.ndim(self.frequencies) != 2 or n_fourier == 0:
            raise ValueError(
                f"frequencies must have shape (M, d) with M >= 1, "
                f"got {np.shape(self.frequencies)}."
            )
        expected = (n_fourier,)
        if np.shape(self.phases) != expected or np.shape(self.amplitudes) != expected:
            raise ValueError(
                f"phases and amplitudes must have shape {expected} as frequencies has "
                f"{n_fourier} rows, got {np.shape(self.phases)} and {np.shape(self.amplitudes)}."
            )
        if not self.length_scale > 0:
            raise ValueError(f"length_scale must be > 0, got {self.length_scale!r}.")

    @classmethod
    def draw(
        cls, rng: np.random.Generator, n_features: int, n_fourier: int, length_scale: float
    ) -> RandomFourierFunction:
        """Draw a function: ``w ~ N(0, I)``, ``b ~ U(0, 2 pi)``, ``a ~ N(0, 1)``.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of randomness; it is advanced.
        n_features : int
            Number of features d.
        n_fourier : int
            Number of cosines M.
        length_scale : float
            Length scale of the function.

        Returns
        -------
        function : RandomFourierFunction
        """
        return cls(
            frequencies=rng.standard_normal((n_fourier, n_features)),
            phases=rng.uniform(0.0, 2.0 * np.pi, n_fourier),
            amplitudes=rng.standard_normal(n_fourier),
            length_scale=length_scale,
        )

    @property
    def n_features(self) -> int:
        """Number of features d that the function takes."""
        return int(self.frequencies.shape[1])

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Evaluate the function on rows without a task column.

        The same rows give the same bits; in another batch the value of a row may differ by
        a rounding error. Memory beyond the result is two blocks of cosines, about half a
        megabyte, whatever the number of rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows; converted to float64.

        Returns
        -------
        values : ndarray of shape (n,), float64

        Raises
        ------
        ValueError
            If `X` does not have shape (n, d).
        """
        rows = np.asarray(X, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.n_features:
            raise ValueError(
                f"X must have shape (n, {self.n_features}), got {rows.shape}; "
                f"leave out the task column."
            )
        n_fourier = len(self.amplitudes)
        # The constant 1 that each block carries as last column multiplies the phases.
        cycles_per_unit = np.vstack([self.frequencies.T / self.length_scale, self.phases])
        cycles_per_unit /= 2.0 * np.pi
        amplitudes = self.amplitudes * np.sqrt(2.0 / n_fourier)
        constant = _COSINE_COEFFICIENTS[0] * amplitudes.sum()

        block_rows = max(_BLOCK_VALUES // n_fourier, 1)
        block = np.ones((min(block_rows, len(rows)), self.n_features + 1))
        cycles = np.empty((len(block), n_fourier))
        cosines = np.empty_like(cycles)
        values = np.empty(len(rows))
        for start in range(0, len(rows), block_rows):
            part = slice(start, min(start + block_rows, len(rows)))
            used = slice(part.stop - start)
            block[used, :-1] = rows[part]
            np.matmul(block[used], cycles_per_unit, out=cycles[used])
            _cosine_without_constant(cycles[used], out=cosines[used])
            # Not matmul: one sum per row is one that no number of threads can split.
            np.vecdot(cosines[used], amplitudes, out=values[part])
        values += constant
        return values


@dataclass(frozen=True, eq=False)
class LinearCombination:
    """The function ``f(x) = sum_k weights[k] * functions[k](x)``.

    Parameters
    ----------
    weights : tuple of float
        One weight per function.
    functions : tuple of callable
        Functions of an array of shape (n, d) that return an array of shape (n,).

    Raises
    ------
    ValueError
        If there is no function or the lengths differ.
    """

    weights: tuple[float, ...]
    functions: tuple[Callable[[Any], FloatArray], ...]

    def __post_init__(self) -> None:
        if len(self.functions) == 0 or len(self.weights) != len(self.functions):
            raise ValueError(
                f"weights and functions must have the same length >= 1, "
                f"got {len(self.weights)} and {len(self.functions)}."
            )

    def combine(self, *values: FloatArray) -> FloatArray:
        """Combine values of the functions that were computed before.

        Parameters
        ----------
        *values : ndarray of shape (n,), float64
            ``functions[k](X)`` for each k.

        Returns
        -------
        combined : ndarray of shape (n,), float64
        """
        total = self.weights[0] * values[0]
        for weight, value in zip(self.weights[1:], values[1:], strict=True):
            total += weight * value
        return total

    def __call__(self, X: npt.ArrayLike) -> FloatArray:
        """Evaluate the combination.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows without a task column.

        Returns
        -------
        values : ndarray of shape (n,), float64
        """
        return self.combine(*(function(X) for function in self.functions))


def _cosine_without_constant(cycles: FloatArray, *, out: FloatArray) -> None:
    """Write ``cos(2 pi cycles) - _COSINE_COEFFICIENTS[0]`` to `out`; overwrite `cycles`.

    The constant can wait for the sum over the cosines, which saves a pass over the block.
    """
    np.rint(cycles, out=out)
    np.subtract(cycles, out, out=cycles)
    np.multiply(cycles, cycles, out=cycles)
    np.multiply(cycles, _COSINE_COEFFICIENTS[-1], out=out)
    for coefficient in _COSINE_COEFFICIENTS[-2:0:-1]:
        np.add(out, coefficient, out=out)
        np.multiply(out, cycles, out=out)
