"""Do other tasks help mine? Cell by cell: run it whole, or in an editor that knows ``# %%``.

Needs matplotlib: ``pip install "rmtgb[plot]"``.
"""

# %% Before any data: 10 rows of my task, 12 of another, 3 features
# Errors are squared, in the unit of the target; a shift of length 1 is as large as the noise.
import os

import numpy as np

from rmtgb.transfer import (
    LinearTransferProblem,
    TransferDisplay,
    break_even,
    estimate_problem,
    network_bound,
    optimal_weights,
    pooled_error,
    safe_combination,
    simulate,
    weighted_error,
)

problem = LinearTransferProblem([10, 12], [1.0, 1.0], shift_gram=[[1.0]], n_features=3)
print(pooled_error(problem))  # pooling is a little worse than my rows alone
print(optimal_weights(problem))  # a weight of a fifth is a third better
print(break_even(problem))  # the shift that pooling can bear, and how many rows

# %% The same by simulation: rows, noise, least squares, many times
print(simulate(problem, [1.0, 0.2], n_repeats=20_000, random_state=0))
print(weighted_error(problem, [1.0, 0.2]))

# %% A picture (needs matplotlib)
display = TransferDisplay.from_problem(problem).plot()
if "RMTGB_SAVE_FIGURES" in os.environ:
    display.figure_.savefig(os.environ["RMTGB_SAVE_FIGURES"], dpi=150, facecolor="white")

# %% From data: my 20 rows, and two other tasks of which one is alike
rng = np.random.default_rng(1)
w = np.array([1.0, -2.0, 0.5, 0.0, 1.5])
X = [rng.standard_normal((n, 5)) for n in (20, 200, 200)]
y = [
    rows @ (w + shift) + rng.standard_normal(len(rows))
    for rows, shift in zip(X, (0, 0.05, 1), strict=True)
]
estimate = estimate_problem(X, y)
print(estimate)
print(optimal_weights(estimate.problem))
print(safe_combination(X[0], y[0], estimate.coefficients[1]))

# %% A linear network: twelve tasks that share two directions of thirty
W = rng.standard_normal((12, 2)) @ rng.standard_normal((2, 30))
print(network_bound(LinearTransferProblem([500] * 12, [1.0] * 12, coefficients=W), rank=2))
