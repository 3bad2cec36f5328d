"""Naive twins of what the data sets compute."""

from math import comb, factorial

import numpy as np


def joint_moment(a, b, correlation):
    """E[s^a t^b] of standard normal s, t: by t = r s + sqrt(1 - r^2) u with independent u."""

    def moment(k):  # E[s^k] = (k - 1)!!
        return 0 if k % 2 else factorial(k) // (2 ** (k // 2) * factorial(k // 2))

    rest = 1 - correlation**2
    return sum(
        comb(b, k) * correlation**k * rest ** ((b - k) // 2) * moment(a + k) * moment(b - k)
        for k in range(b + 1)
        if (b - k) % 2 == 0
    )


def power_sum_covariance(degree, other, correlation):
    """Covariance of s + ... + s^degree and t + ... + t^other."""
    joint = sum(
        joint_moment(a, b, correlation) for a in range(1, degree + 1) for b in range(1, other + 1)
    )
    return joint - power_sum_mean(degree) * power_sum_mean(other)


def power_sum_mean(degree):
    return sum(joint_moment(a, 0, 0.0) for a in range(1, degree + 1))


def to_long(X, Y):
    """Labels in the order sample, task."""
    features, targets, rows = [], [], []
    for i in range(len(X)):
        for t in range(Y.shape[1]):
            if not np.isnan(Y[i, t]):
                features.append([*X[i], t])
                targets.append(Y[i, t])
                rows.append(i)
    return np.array(features).reshape(-1, X.shape[1] + 1), np.array(targets), np.array(rows)
