"""Naive numpy twins of the losses: formulas as the literature writes them.

Nothing here guards against overflow or lost digits, so the twins serve for moderate
raw predictions only. Arrays are taken whole; there are no weights, no ranges, no codes.
"""

import numpy as np


def value(name, y, raw, parameter=0.0):
    """Loss of each row; raw has the shape (K, n), the result (n,)."""
    f = raw[0]
    if name == "squared_error":
        return (y - f) ** 2 / 2
    if name == "absolute_error":
        return np.abs(y - f)
    if name == "quantile":
        return np.maximum(parameter * (y - f), (parameter - 1) * (y - f))
    if name == "huber":
        r = np.abs(y - f)
        return np.where(r <= parameter, r**2 / 2, parameter * r - parameter**2 / 2)
    if name == "poisson":
        return np.exp(f) - y * f
    return _log_loss(y, raw)


def _log_loss(y, raw):
    if raw.shape[0] == 1:
        return np.log(1 + np.exp(raw[0])) - y * raw[0]
    picked = raw[y.astype(int), np.arange(y.size)]
    return np.log(np.exp(raw).sum(axis=0)) - picked


def gradient(name, y, raw, parameter=0.0):
    """Gradient of each row by each raw prediction, shape (K, n)."""
    difference = raw - y
    if name == "squared_error":
        return difference
    if name == "absolute_error":
        return np.sign(difference)
    if name == "quantile":
        return np.where(difference == 0, 0.0, (difference > 0) - parameter)
    if name == "huber":
        return np.clip(difference, -parameter, parameter)
    if name == "poisson":
        return np.exp(raw) - y
    return probabilities(raw) - one_hot(y, raw.shape[0])


def hessian(name, y, raw, parameter=0.0):
    """Hessian, or what stands for it, of each row by each raw prediction, (K, n)."""
    if name == "poisson":
        return np.exp(raw)
    if name == "huber":
        return np.minimum(1, parameter / np.maximum(np.abs(raw - y), 1e-300))
    if name == "log_loss":
        p = probabilities(raw)
        return p * (1 - p)
    return np.ones_like(raw)


def probabilities(raw):
    """Sigmoid of one row of scores, softmax over several."""
    if raw.shape[0] == 1:
        return 1 / (1 + np.exp(-raw))
    return np.exp(raw) / np.exp(raw).sum(axis=0)


def one_hot(y, n_outputs):
    """Indicator of the class; of class 1 alone if there is one output."""
    if n_outputs == 1:
        return y[np.newaxis]
    return (y == np.arange(n_outputs)[:, np.newaxis]).astype(float)


def repeated(weights, *arrays):
    """Repeat the last axis of each array as often as the integer weights say."""
    return tuple(np.repeat(array, weights, axis=-1) for array in arrays)
