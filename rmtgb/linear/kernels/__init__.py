"""Compiled functions of the linear mixed model: rows, sums of products, triangular systems."""
