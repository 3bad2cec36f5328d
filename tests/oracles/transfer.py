"""Naive twins of the transfer calculator: explicit designs, loops and integrals."""

from fractions import Fraction

import numpy as np
from scipy import integrate, special


def fixed_design_parts(designs, coefficients, noise, weights, metric):
    """Squared bias and variance, from what a unit of each target does to the estimate."""
    d = len(coefficients[0])
    M = np.zeros((d, d))
    for X, a in zip(designs, weights, strict=True):
        for row in X:
            M += a * np.outer(row, row)
    expected, variance = np.zeros(d), 0.0
    for X, w, s, a in zip(designs, coefficients, noise, weights, strict=True):
        for row in X:
            influence = np.linalg.solve(M, a * row)
            expected += influence * (row @ w)
            variance += s * influence @ metric @ influence
    deviation = expected - coefficients[0]
    return deviation @ metric @ deviation, variance


def random_design_parts(rng, counts, coefficients, noise, weights, covariances, metric, n_draws):
    """Squared bias and variance for designs drawn row by row, (n_draws,) each."""
    d, size = coefficients.shape[1], 2000  # small batches stay in the cache
    roots = [np.linalg.cholesky(S).T for S in covariances]
    bias2, variance = [], []
    for _ in range(0, n_draws, size):
        M, noisy = np.zeros((2, size, d, d))
        pull = np.zeros((size, d))
        for task, n in enumerate(counts):
            X = rng.standard_normal((size, n, d)) @ roots[task]
            S = X.transpose(0, 2, 1) @ X
            M += weights[task] * S
            noisy += weights[task] ** 2 * noise[task] * S
            pull += weights[task] * S @ (coefficients[task] - coefficients[0])
        inverse = np.linalg.inv(M)
        mean = (inverse @ pull[..., None])[..., 0]
        bias2.append(((mean @ metric) * mean).sum(axis=1))
        spread = inverse @ noisy @ inverse
        variance.append((spread * metric).sum(axis=(1, 2)))
    return np.concatenate(bias2), np.concatenate(variance)


def average_of_fits_variance(rng, counts, noise, shares, covariances, metric, n_draws):
    """Variance of an average of separate fits, for designs drawn row by row, (n_draws,)."""
    total = np.zeros(n_draws)
    for task, n in enumerate(counts):
        X = rng.standard_normal((n_draws, n, len(metric)))
        X = X @ np.linalg.cholesky(covariances[task]).T
        inverse = np.linalg.inv(X.transpose(0, 2, 1) @ X)
        total += shares[task] ** 2 * noise[task] * np.trace(inverse @ metric, axis1=1, axis2=2)
    return total


def fitted_errors(rng, counts, coefficients, noise, weights, metric, n_repeats):
    """Squared errors of fits to simulated rows by `lstsq`, for standard normal features."""
    errors = []
    for _ in range(n_repeats):
        X = [rng.standard_normal((n, coefficients.shape[1])) for n in counts]
        y = [
            rows @ w + np.sqrt(s) * rng.standard_normal(len(rows))
            for rows, w, s in zip(X, coefficients, noise, strict=True)
        ]
        root = np.sqrt(np.repeat(weights, counts))
        fit = np.linalg.lstsq(root[:, None] * np.vstack(X), root * np.concatenate(y))[0]
        errors.append((fit - coefficients[0]) @ metric @ (fit - coefficients[0]))
    return np.array(errors)


def beta_expectation(n_main, n_auxiliary, function):
    """Mean of a function of the auxiliary share of the squares of one feature."""

    def integrand(angle):  # of the square of its sine, which leaves no poles
        density = np.sin(angle) ** (n_auxiliary - 1) * np.cos(angle) ** (n_main - 1)
        return 2 * density * function(np.sin(angle) ** 2)

    total = integrate.quad(integrand, 0, np.pi / 2, epsabs=0, epsrel=1e-11, limit=500)[0]
    return total / special.beta(n_auxiliary / 2, n_main / 2)


def three_eigenvalues_expectation(n_main, n_auxiliary, function, n_nodes=60):
    """Mean of a function of the eigenvalues of the auxiliary share of three features."""
    x, w = np.polynomial.legendre.leggauss(n_nodes)
    x, w = (x + 1) / 2, w / 2
    a, b, c = np.meshgrid(x, x, x, indexing="ij")
    u = np.stack([a, a * b, a * b * c])  # in falling order
    density = np.prod(u ** ((n_auxiliary - 4) / 2) * (1 - u) ** ((n_main - 4) / 2), axis=0)
    density *= (u[0] - u[1]) * (u[0] - u[2]) * (u[1] - u[2])
    density *= a**2 * b * w[:, None, None] * w[:, None] * w
    return (density * function(u)).sum() / density.sum()


def inverse_mean_of_one_feature(n_main, n_auxiliary, weight):
    """E 1 / (W_0 + a W_1) of chi-squared W, by the hypergeometric function."""
    n = n_main + n_auxiliary
    return special.hyp2f1(1, n_auxiliary / 2, n / 2, 1 - weight) / (n - 2)


def rational_design_parts(designs, W, noise, a, metric):
    """Squared bias and variance for given designs without any rounding, in fractions.

    ``sum_k s_k a_k^2 tr(metric M^-1 S_k M^-1)`` as it is written, so the numbers get long: for
    few features only.
    """
    rational = np.vectorize(Fraction, otypes=[object])
    S = [rational(X).T @ rational(X) for X in designs]
    W, noise, a, metric = rational(W), rational(noise), rational(a), rational(metric)
    inverse = _rational_inverse(
        sum(weight * moments for weight, moments in zip(a, S, strict=True))
    )
    pull = sum(weight * moments @ (w - W[0]) for weight, moments, w in zip(a, S, W, strict=True))
    mean = inverse @ pull
    spread = sum(s * weight**2 * moments for s, weight, moments in zip(noise, a, S, strict=True))
    variance = np.trace(metric @ inverse @ spread @ inverse)
    return np.array([float(mean @ metric @ mean), float(variance)])


def _rational_inverse(M):
    """Gauss and Jordan; M is positive definite, so no pivot is 0."""
    size = len(M)
    rows = np.concatenate([M, np.vectorize(Fraction, otypes=[object])(np.eye(size))], axis=1)
    for i in range(size):
        rows[i] = rows[i] / rows[i, i]
        for j in range(size):
            if j != i:
                rows[j] = rows[j] - rows[j, i] * rows[i]
    return rows[:, size:]
