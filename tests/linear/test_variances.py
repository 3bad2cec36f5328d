"""Variances: the optimum of the restricted likelihood, and what simulated data were made with."""

import math

import numpy as np
import pytest
import scipy.optimize

from rmtgb.engine.team import Team
from rmtgb.linear import sample as sample_module
from rmtgb.linear import variances as module
from rmtgb.linear.design import Design
from rmtgb.linear.fit import MixedData, fit_mixed
from rmtgb.linear.sample import sample_of_tasks
from rmtgb.linear.variances import Noise, estimate_variances, usual_variances
from rmtgb.losses import make_loss
from rmtgb.tasks.index import TaskIndex
from tests.linear.cases import columns_of, mixed_data, rows_of
from tests.oracles import linear as oracle


@pytest.mark.parametrize("seed", [0, 1])
def test_the_optimum_is_that_of_a_search_by_values_alone(seed):
    data = mixed_data(n_rows=60, n_numbers=2, seed=seed)
    design = Design.of(data.X, data.categorical, data.task, data.n_tasks, data.weight, Team(1))
    rows = rows_of(data, design)
    usual = usual_variances(design, rows.n_effects)
    F = columns_of(design, data.X)

    def criterion(logarithms):
        distance = logarithms - usual.logarithms
        apart = distance[1:3] - distance[1:3].mean()
        prior = (distance**2).sum() / 8.0**2 + (apart**2).sum() / 2.0**2
        likelihood = oracle.restricted_likelihood(
            F, data.y, data.weight, data.task, data.n_tasks,
            np.exp(logarithms[usual.of_effect]), np.exp(-logarithms[-1]),
        )  # fmt: skip
        return prior + likelihood

    found = estimate_variances(rows.assemble(data.y, data.weight), usual, Noise(1e-300, math.inf))
    options = {"xatol": 1e-3, "fatol": 1e-4, "maxiter": 4000}
    best = scipy.optimize.minimize(
        criterion, usual.logarithms, method="Nelder-Mead", options=options
    )
    # steps end where they promise less than the tolerance
    assert criterion(found.logarithms) < best.fun + module.TOLERANCE


def simulated(n_tasks, rows_per_task, deviations, seed):
    """Return rows with intercepts and slopes of tasks of given standard deviations, noise 1."""
    rng = np.random.default_rng(seed)
    n = n_tasks * rows_per_task
    X = rng.normal(size=(n, len(deviations) - 1))
    task = np.repeat(np.arange(n_tasks), rows_per_task)
    effects = rng.normal(size=(n_tasks, len(deviations))) * deviations
    y = 3.0 + X @ np.full(X.shape[1], 0.5) + rng.normal(size=n)
    y += (np.column_stack([np.ones(n), X]) * effects[task]).sum(axis=1)
    no = np.zeros(X.shape[1], dtype=bool)
    return MixedData(X, no, y, task, n_tasks, np.ones(n), make_loss("squared_error"))


def test_variances_are_recovered():
    deviations = np.array([1.5, 0.0, 0.3, 1.0])
    model = fit_mixed(simulated(400, 12, deviations, seed=0))
    found = np.sqrt(model.variances[0].ratios)
    # 400 effects: a standard error of 1/sqrt(800) = 3.5 %, and some for what noise adds
    np.testing.assert_allclose(found[[0, 2, 3]], deviations[[0, 2, 3]], rtol=0.15)
    assert found[1] < 0.1


def test_slopes_that_do_not_differ_are_those_of_all_tasks():
    model = fit_mixed(simulated(50, 20, np.array([1.0, 0.0, 0.0]), seed=1))
    assert np.abs(model.effects[0, :, 1:]).max() < 0.1
    np.testing.assert_allclose(model.fixed[0, 1:], 0.5, atol=0.1)


def test_a_sample_of_tasks_knows_nearly_as_much(monkeypatch):
    data = simulated(400, 5, np.array([1.5, 0.3, 1.0]), seed=2)
    everything = fit_mixed(data)
    monkeypatch.setattr(sample_module, "MAX_SCORES", 200 * 12)
    some = fit_mixed(data)
    assert np.any(some.variances[0].logarithms != everything.variances[0].logarithms)
    np.testing.assert_allclose(
        some.variances[0].logarithms, everything.variances[0].logarithms, atol=0.6
    )
    # effects are those of all rows
    np.testing.assert_allclose(some.fixed, everything.fixed, atol=0.02)
    assert np.all(some.effects[0, :, 0] != 0.0)


def test_the_sample_depends_on_neither_labels_nor_order(monkeypatch):
    monkeypatch.setattr(sample_module, "MAX_SCORES", 10)
    data = mixed_data(n_rows=300, n_tasks=30)
    rng = np.random.default_rng(0)
    order, labels = rng.permutation(300), rng.permutation(30)

    def chosen_targets(task, y):
        index = TaskIndex.from_codes(task, 30)
        return sorted(y[index.order[sample_of_tasks(index, y, 1)]])

    chosen = chosen_targets(data.task, data.y)
    assert 0 < len(chosen) < 300
    assert chosen == chosen_targets(labels[data.task], data.y)
    assert chosen == chosen_targets(data.task[order], data.y[order])


def test_few_tasks_are_all_in_the_sample():
    data = mixed_data()
    index = TaskIndex.from_codes(data.task, data.n_tasks)
    assert sample_of_tasks(index, data.y, 12) is None
