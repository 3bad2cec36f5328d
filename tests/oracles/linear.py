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
    penalty = np.concatenate([[0.0], np.full(F.shape[1] - 1, ridge), np.tile(1 / ratios, n_tasks)])
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
    return freedom * np.log(noise) + rest / noise + np.linalg.slogdet(V)[1] + np.log(precision)


def penalised_loss(coefficients, F, y, weight, task, n_tasks, ratios, ridge, loss):
    """Return loss plus penalty of a flat vector of coefficients (K, 1 + q + T r)."""
    K = len(ratios)
    by_output = coefficients.reshape(K, -1)
    raw, penalty = np.empty((K, len(y))), 0.0
    for k in range(K):
        fixed = by_output[k, : F.shape[1]]
        effects = by_output[k, F.shape[1] :].reshape(n_tasks, -1)
        raw[k] = F @ fixed + (F[:, : effects.shape[1]] * effects[task]).sum(axis=1)
        penalty += 0.5 * ridge[k] * (fixed[1:] ** 2).sum() + 0.5 * (effects**2 / ratios[k]).sum()
    return weight @ POINTWISE[loss](y, raw) + penalty


def _huber(y, raw, delta=1.0):
    distance = np.abs(y - raw[0])
    return np.where(distance <= delta, distance**2 / 2, delta * (distance - delta / 2))


#: Losses of rows by name, for y (n,) and raw predictions (K, n).
POINTWISE = {
    "log_loss": lambda y, raw: np.logaddexp(0.0, raw[0]) - y * raw[0],
    "multiclass": lambda y, raw: (
        np.logaddexp.reduce(raw, axis=0) - raw[y.astype(int), np.arange(y.size)]
    ),
    "poisson": lambda y, raw: np.exp(raw[0]) - y * raw[0],
    "huber": _huber,
}
