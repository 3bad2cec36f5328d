"""Compiled functions of boosting; they import no library but NumPy and Numba."""
