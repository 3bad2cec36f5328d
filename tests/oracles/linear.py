"""Dense twins of the linear mixed model: every matrix in full, as in the textbooks."""

import numpy as np


def effects_of_tasks(F, task, n_tasks, n_effects):
    """Return Z (n, T r): the first columns of F, in a block for each task."""
    Z = np.zeros((len(F), n_tasks, n_effects))
    Z[np.arange(len(F)), task] = F[:, :n_effects]
    return Z.reshape(len(F), -1)


def normal_equations(F, y, weight, task, n_tasks, ratios, ridge):
    """Solve Henderson's mixed model equations; return fixed part and effects (T, r)."""
    Z = effects_of_tasks(F, task, n_tasks, len(ratios))
    C = np.hstack([F, Z])
    penalty = np.concatenate(
        [[0.0], np.full(F.shape[1] - 1, ridge), np.tile(1 / ratios, n_tasks)]
    )
    A = C.T @ (weight[:, None] * C) + np.diag(penalty)
    solution = np.linalg.solve(A, C.T @ (weight * y))
    return solution[: F.shape[1]], solution[F.shape[1] :].reshape(n_tasks, -1)


def restricted_likelihood(F, y, weight, task, n_tasks, ratios, ridge, noise=None):
    """Return -2 log of the restricted likelihood, without what depends on weights alone.

    The covariance of y is written down in full; only the intercept is free.
    """
    Z = effects_of_tasks(F, task, n_tasks, len(ratios))
    X = F[:, 1:]
    D = np.tile(ratios, n_tasks)
    root = np.sqrt(weight)
    V = np.eye(len(y)) + root[:, None] * (Z @ (D[:, None] * Z.T) + X @ X.T / ridge) * root
    inverse = np.linalg.inv(V)
    one, wy = root, root * y
    precision = one @ inverse @ one
    rest = wy @ inverse @ wy - (one @ inverse @ wy) ** 2 / precision
    freedom = weight.sum() - 1
    noise = rest / freedom if noise is None else noise
    return (
        freedom * np.log(noise) + rest / noise + np.linalg.slogdet(V)[1] + np.log(precision)
    )
