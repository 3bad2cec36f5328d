"""Tasks that are eliminated one by one, against matrices that are written down in full."""

from dataclasses import replace

import numpy as np
import pytest

from rmtgb.engine.team import Team
from rmtgb.linear.design import Design
from rmtgb.linear.fit import fit_mixed
from rmtgb.linear.kernels.triangular import solve_positive
from rmtgb.linear.system import PIECE_ROWS
from rmtgb.linear.variances import Noise, _point, usual_variances
from tests.linear.cases import columns_of, mixed_data, rows_of
from tests.oracles import linear as oracle

#: Orders of sums differ; the condition of the matrices is below 1e4.
CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def design_of(data):
    return Design.of(data.X, data.categorical, data.task, data.n_tasks, data.weight, Team(1))


def case(seed=0, **options):
    """Return data with weights, their system, and the matrix of the design."""
    data = mixed_data(seed=seed, **options)
    weight = np.random.default_rng(seed).uniform(0.5, 2.0, data.y.size)
    data = replace(data, weight=weight)
    design = design_of(data)
    system = rows_of(data, design).assemble(data.y, weight)
    return data, weight, system, columns_of(design, data.X)


@pytest.mark.parametrize("n_rows", [8, 30, 200])
@pytest.mark.parametrize("n_levels", [0, 4])
def test_solution_and_effects_are_those_of_the_normal_equations(n_rows, n_levels):
    data, weight, system, F = case(n_rows=n_rows, n_levels=n_levels)
    ratios = np.random.default_rng(1).uniform(0.05, 1.0, system.rows.n_effects)
    solution = system.solve(ratios, 0.7)
    fixed, effects = oracle.normal_equations(
        F, data.y, weight, data.task, data.n_tasks, ratios, 0.7
    )
    np.testing.assert_allclose(solution.fixed, fixed, **CLOSE)
    np.testing.assert_allclose(system.effects(ratios, solution.fixed), effects, **CLOSE)


def test_both_forms_of_elimination_are_in_use():
    _, _, system, _ = case(n_rows=40)
    counts, r = system.rows.index.counts, system.rows.n_effects
    assert ((counts > 0) & (counts < r)).any()
    assert (counts >= r).any()
    assert (system.rows.slots == -1).tolist() == (counts < r).tolist()


def test_effects_of_variance_zero_are_zero():
    data, _, system, _ = case()
    ratios = np.zeros(system.rows.n_effects)
    ratios[1] = 0.5
    solution = system.solve(ratios, 1.0)
    effects = system.effects(ratios, solution.fixed)
    assert np.all(effects[:, [0, 2, 3]] == 0.0)
    assert np.any(effects[:, 1] != 0.0)
    assert data.n_tasks == len(effects)


def test_a_task_of_many_pieces_is_the_sum_of_them():
    data = mixed_data(n_rows=2 * PIECE_ROWS + 77, n_numbers=1, n_tasks=2)
    design = design_of(data)
    rows = rows_of(data, design)
    assert len(rows.pieces) > len(rows.index.counts)
    system = rows.assemble(data.y, data.weight)
    F = np.column_stack([columns_of(design, data.X), data.y])
    for task in range(2):
        part = F[data.task == task]
        np.testing.assert_allclose(system.grams[task], (part.T @ part)[:2], rtol=1e-9)


@pytest.mark.parametrize("noise", [None, 1.0])
@pytest.mark.parametrize("n_levels", [0, 4])
def test_the_criterion_is_the_restricted_likelihood(n_levels, noise):
    data, weight, system, F = case(n_levels=n_levels)
    bounds = Noise(1e-300, np.inf) if noise is None else Noise(noise, noise)
    variances = usual_variances(system.rows.design, system.rows.n_effects)
    values, expected = [], []
    for shift in (0.0, 1.5):  # the prior is 0 at the usual variances
        moved = variances.moved(variances.logarithms + shift)
        prior = variances.usual.size * (shift / 8.0) ** 2
        values.append(_point(system, moved, bounds).value - prior)
        arguments = (weight, data.task, data.n_tasks, moved.ratios, moved.ridge)
        expected.append(oracle.restricted_likelihood(F, data.y, *arguments, noise))
    np.testing.assert_allclose(values, expected, rtol=1e-9)


@pytest.mark.parametrize("n_rows", [30, 200])
def test_the_gradient_is_that_of_the_criterion(n_rows):
    _, _, system, _ = case(n_rows=n_rows, n_levels=3)
    noise = Noise(1e-300, np.inf)
    usual = usual_variances(system.rows.design, system.rows.n_effects)
    here = usual.logarithms + np.random.default_rng(2).normal(size=usual.logarithms.size)
    step = 1e-4
    numerical = [
        (
            _point(system, usual.moved(here + step * e), noise).value
            - _point(system, usual.moved(here - step * e), noise).value
        )
        / (2 * step)
        for e in np.eye(here.size)
    ]
    # differences of values near 1e2 with 1e-14 of them lost
    np.testing.assert_allclose(
        _point(system, usual.moved(here), noise).gradient, numerical, rtol=1e-5, atol=1e-6
    )


def test_a_fit_solves_the_normal_equations_at_its_variances():
    data = mixed_data(n_rows=150, n_levels=3)
    model = fit_mixed(data)
    variances = model.variances[0]
    F = columns_of(model.design, data.X)
    fixed, effects = oracle.normal_equations(
        F, data.y, data.weight, data.task, data.n_tasks, variances.ratios, variances.ridge
    )
    np.testing.assert_allclose(model.fixed[0], fixed, **CLOSE)
    np.testing.assert_allclose(model.effects[0], effects, **CLOSE)
    expected = F @ fixed + (F[:, : effects.shape[1]] * effects[data.task]).sum(axis=1)
    np.testing.assert_allclose(model.predict(data.X, data.task)[0], expected, **CLOSE)


def test_what_rounding_leaves_of_a_diagonal_is_not_divided_by():
    """Two equal columns of weight 1e12 and a ridge of 1e-8, which no digit holds."""
    A, b = np.full((2, 2), 1e12), np.array([[1.0], [-1.0]])
    A[1, 1] += 1e-4  # the last digit
    solve_positive(A, b, 1e-8)
    assert np.abs(b).max() < 1e4
