"""Columns of the design: numbers on one scale, indicators, and what is beyond what was seen."""

import numpy as np
import pytest

from rmtgb.engine.team import Team
from rmtgb.linear import design as module
from rmtgb.linear.design import Design
from rmtgb.linear.kernels.rows import LEVEL, MISSING, NUMBER
from tests.linear.cases import columns_of

NAN = np.nan


def design_of(X, categorical=(), task=None, weight=None):
    X = np.array(X, dtype=float)
    is_categorical = np.isin(np.arange(X.shape[1]), categorical)
    task = np.arange(len(X)) % 2 if task is None else task
    weight = np.ones(len(X)) if weight is None else weight
    return Design.of(X, is_categorical, task, int(task.max()) + 1, weight, Team(1))


def test_numbers_have_mean_0_and_variance_1():
    rng = np.random.default_rng(0)
    X = rng.normal(1e3, 1e-2, (500, 2))
    weight = rng.uniform(0.5, 2.0, 500)
    F = columns_of(design_of(X, weight=weight), X)
    np.testing.assert_array_equal(F[:, 0], 1.0)
    np.testing.assert_allclose(np.average(F[:, 1:], weights=weight, axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose(np.average(F[:, 1:] ** 2, weights=weight, axis=0), 1.0, rtol=1e-9)


@pytest.mark.parametrize("size", [1e-300, 1e-3, 1e300])
def test_the_unit_of_a_number_does_not_matter(size):
    X = np.random.default_rng(0).normal(size=(300, 1))
    F = columns_of(design_of(X * size), X * size)
    np.testing.assert_allclose(F, columns_of(design_of(X), X), rtol=1e-9, atol=1e-12)


def test_values_are_followed_as_far_again_as_they_were_seen_and_no_further():
    X = np.linspace(0.0, 1.0, 101)[:, None]
    design = design_of(X)
    inside, at_end, beyond, below = columns_of(design, np.array([[1.0], [2.0], [9.0], [-9.0]]))
    assert at_end[1] > inside[1]
    # the tails start at 0 and 1
    assert at_end[1] == beyond[1]
    assert below[1] == columns_of(design, np.array([[-1.0]]))[0, 1]


def test_a_wild_value_does_not_squeeze_the_others():
    X = np.random.default_rng(0).normal(size=(1000, 1))
    X[7] = 1e12
    F = columns_of(design_of(X), X)[:, 1]
    assert np.abs(F).max() < 10
    assert np.delete(F, 7).std() > 0.9


def test_rare_values_of_a_number_are_kept():
    X = np.zeros((1000, 1))
    X[:3] = 1.0
    assert design_of(X).columns.size == 1


def test_constant_and_empty_features_have_no_column():
    X = np.column_stack([np.full(50, 0.1), np.full(50, NAN), np.zeros(50), np.full(50, 3.0)])
    assert design_of(X, categorical=[2, 3]).columns.size == 0


def test_missing_numbers_are_means_with_an_indicator():
    X = np.array([[1.0], [2.0], [3.0], [NAN]])
    design = design_of(X)
    assert design.columns["kind"].tolist() == [NUMBER, MISSING]
    F = columns_of(design, X)
    assert F[3].tolist() == [1.0, 0.0, 1.0]
    assert F[1].tolist() == [1.0, 0.0, 0.0]


def test_levels_are_indicators_the_most_frequent_first():
    X = np.array([[2.0], [5.0], [5.0], [NAN]])
    design = design_of(X, categorical=[0])
    assert design.columns["kind"].tolist() == [LEVEL, LEVEL]
    F = columns_of(design, np.array([[5.0], [2.0], [NAN], [7.0]]))
    assert F[:, 1:].tolist() == [[1, 0], [0, 1], [0, 0], [0, 0]]


def test_levels_are_capped_by_frequency(monkeypatch):
    monkeypatch.setattr(module, "MAX_COLUMNS", 3)
    X = np.column_stack([np.arange(10.0), [0, 0, 0, 0, 1, 1, 1, 2, 2, 3]])
    design = design_of(X, categorical=[1])
    assert design.columns["kind"].tolist() == [NUMBER, LEVEL, LEVEL]
    assert design.columns["low"][1:].tolist() == [0.0, 1.0]


def test_numbers_that_vary_within_tasks_get_slopes_first(monkeypatch):
    monkeypatch.setattr(module, "MAX_SLOPES", 1)
    rng = np.random.default_rng(0)
    task = np.repeat([0, 1, 2], 20)
    X = np.column_stack([task + 0.01 * rng.normal(size=60), rng.normal(size=60)])
    design = design_of(X, task=task)
    assert design.columns["source"].tolist() == [1, 0]
    assert (design.n_slopes, design.n_numbers) == (1, 1)


def test_a_single_task_gets_no_slopes():
    X = np.random.default_rng(0).normal(size=(20, 2))
    assert design_of(X, task=np.zeros(20, dtype=np.int64)).n_slopes == 0


def test_integer_weights_are_repetitions():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.standard_cauchy(300), rng.integers(0, 3, 300)])
    weight = rng.integers(1, 4, 300)
    repeated = np.repeat(X, weight, axis=0)
    one = design_of(X, [1], weight=weight.astype(float)).columns
    other = design_of(repeated, [1]).columns
    for name in one.dtype.names:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12)
