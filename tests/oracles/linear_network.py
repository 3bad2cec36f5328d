"""Naive twins of the linear network: truncated singular values, and what bounds its error.

Everything is a loop over singular triples, in the notation of the derivation: ``Y`` has a column
``alpha_k S^(1/2) w_k`` for each task, ``tau[k]`` is the deviation of the noise of that column.
"""

import numpy as np


def symmetric_root(S):
    values, vectors = np.linalg.eigh(S)
    return vectors @ np.diag(np.sqrt(values)) @ vectors.T


def make_designs(rng, counts, S):
    """Rows with ``X' X = n S`` exactly, otherwise random."""
    root = symmetric_root(S)
    designs = []
    for n in counts:
        directions, _ = np.linalg.qr(rng.standard_normal((n, len(S))))
        designs.append(np.sqrt(n) * directions @ root)
    return designs


def network_coefficients(designs, targets, weights, rank):
    """Coefficients of all tasks, (K + 1, d), of the network with the least weighted loss."""
    S = designs[0].T @ designs[0] / len(designs[0])
    root = symmetric_root(S)
    columns, alphas = [], []
    for X, y, a in zip(designs, targets, weights, strict=True):
        fit = np.linalg.solve(X.T @ X, X.T @ y)
        alphas.append(np.sqrt(a * len(X)))
        columns.append(alphas[-1] * root @ fit)
    U, sigma, Vt = np.linalg.svd(np.column_stack(columns))
    truncated = np.zeros((len(S), len(columns)))
    for i in range(min(rank, len(sigma))):
        truncated += sigma[i] * np.outer(U[:, i], Vt[i])
    return np.array(
        [
            np.linalg.solve(root, truncated[:, k] / alpha) if alpha > 0 else np.zeros(len(S))
            for k, alpha in enumerate(alphas)
        ]
    )


def loss(designs, targets, weights, coefficients):
    total = 0.0
    for X, y, a, w in zip(designs, targets, weights, coefficients, strict=True):
        for row, target in zip(X, y, strict=True):
            total += a * (target - row @ w) ** 2
    return total


def scaled_columns(counts, coefficients, S, weights):
    root = symmetric_root(S)
    return np.column_stack(
        [np.sqrt(a * n) * root @ w for n, w, a in zip(counts, coefficients, weights, strict=True)]
    )


class Spectrum:
    """What risk and bounds need of Y, times alpha_0^2."""

    def __init__(self, Y, tau, rank):
        d, n_tasks = Y.shape
        U, sigma, Vt = np.linalg.svd(Y)
        self.Y, self.tau, self.q, self.d, self.f = Y, np.asarray(tau), rank, d, d - rank
        self.sigma_q, self.sigma_next = sigma[rank - 1], sigma[rank]
        self.gap = self.sigma_q - self.sigma_next
        P, Q = np.zeros((d, d)), np.zeros((n_tasks, n_tasks))
        for i in range(rank):
            P += np.outer(U[:, i], U[:, i])
            Q += np.outer(Vt[i], Vt[i])
        self.Q, self.V = Q, Vt[:rank].T
        self.outside = Y - P @ Y
        self.a = self.outside[:, 0]
        self.omega = np.sqrt(sum((Vt[i, 0] / sigma[i]) ** 2 for i in range(rank)))
        iota = np.eye(n_tasks)[0]
        self.b = np.diag(self.tau) @ (iota - Q @ iota)
        self.beta = np.linalg.norm(self.b)
        self.T2 = sum(self.tau[k] ** 2 * Q[k, 0] ** 2 for k in range(n_tasks))
        highest = max(self.tau)
        self.mu = highest * np.sqrt(d) + np.linalg.norm(self.tau)
        self.M2 = self.mu**2 + highest**2
        self.M4 = self.M2**2 + 4 * highest**2 * self.M2
        self.M6 = self.M2 * self.M4 + 9 * highest**2 * self.M4
        self.M8 = self.M4**2 + 16 * highest**2 * self.M6

    def first_order(self):
        return self.q * self.tau[0] ** 2 + self.f * self.T2 + self.a @ self.a

    def simple(self):
        s, d, own = self.sigma_next, self.d, np.sqrt(self.Q[0, 0])
        rest = self.M4**0.25 * self.beta * (d * (d + 2)) ** 0.25 + np.sqrt(self.Q[0, 0] * self.M4)
        rest += (s * own + np.linalg.norm(self.a)) * np.sqrt(self.M2)
        return (np.sqrt(self.first_order()) + 2 / self.gap * rest) ** 2

    def gap_free(self):
        d, s, own = self.d, self.sigma_next, np.sqrt(self.Q[0, 0])
        noise = np.sqrt(d) * self.tau[0]
        lost = np.linalg.norm(self.a) + own * (s + np.sqrt(self.M2)) + np.sqrt(d * self.T2)
        return min(
            noise**2 + self.Y[:, 0] @ self.Y[:, 0],
            noise**2 + lost**2,
            (noise + s + np.sqrt(self.M2)) ** 2,
        )

    def refined(self, shares, exponents):
        """The least over thresholds, as shares of the largest one, and over exponents."""
        noisy = np.diag(self.tau) @ self.V
        largest, total = np.linalg.norm(noisy, 2), np.linalg.norm(noisy)
        room = self.gap - largest * np.sqrt(self.q) - total
        if room <= 0:
            return np.inf
        least = np.inf
        for share in shares:
            x = share * room / largest
            y = (largest * np.sqrt(self.q) + total + x * largest) / self.gap
            T1, T2, T3, T4 = self.parts(1 / (1 - y), total)
            R = min(self.outside_event(x, p) for p in exponents)
            inside = np.sqrt((T1 + T4) ** 2 + (T2 + T3) ** 2)
            least = min(least, np.sqrt(self.first_order()) + inside + R)
        return least**2

    def parts(self, c, total):
        f, q, gap, s, beta, tau = self.f, self.q, self.gap, self.sigma_next, self.beta, self.tau
        own, a = np.sqrt(self.Q[0, 0]), np.linalg.norm(self.a)
        r2, r4, r6, r8 = self.M2**0.5, self.M4**0.5, self.M6**0.5, self.M8**0.25
        fourth = self.M4**0.25
        v_f, v_q = beta * (f * (f + 2)) ** 0.25, beta * (q * (q + 2)) ** 0.25
        e4 = (np.sum(tau**2) ** 2 + 2 * np.sum(tau**4)) ** 0.25
        X = np.sqrt(
            f * (f + 1) * np.sum((self.Q @ np.diag(tau) @ self.b) ** 2)
            + f * beta**2 * np.sum((self.Q @ np.diag(tau)) ** 2)
        )
        spread = np.linalg.norm(self.outside)
        along = np.linalg.norm(self.outside.T @ self.a)
        T1 = min(
            c * fourth * v_f / gap,
            beta * np.sqrt(f),
            c
            / self.sigma_q
            * (X + c * r8 * v_f / gap + c * fourth * 3**0.25 * beta * spread / gap),
        )
        T2 = min(c * fourth * v_q / gap, beta * np.sqrt(q))
        second_order = c / gap * (s**2 * r2 + 2 * s * r4 + r6)
        T3 = min(
            c * own * (s * r2 + r4) / gap,
            own * (s + r2),
            self.omega * (s * np.linalg.norm(tau) + fourth * e4 + second_order),
        )
        T4 = min(
            c * r2 * a / gap,
            a,
            c / self.sigma_q * (total * a + c * fourth * e4 * a / gap + c * r2 * along / gap),
        )
        return T1, T2, T3, T4

    def outside_event(self, x, p):
        r = np.sqrt(2 * p - 1)
        size = self.beta * (np.sqrt(self.d) + r) + np.linalg.norm(self.a)
        size += np.sqrt(self.Q[0, 0]) * (self.sigma_next + self.mu + r * max(self.tau))
        return size * np.exp(-(x**2) * (1 - 1 / p) / 4)
