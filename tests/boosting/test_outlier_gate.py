"""Theta: its gradient, its sign, and who is called an outlier."""

import numpy as np
import pytest

from rmtgb import RMTGBRegressor
from rmtgb.boosting.kernels import outlier_gate as kernels
from rmtgb.boosting.outlier_gate import START, starting_theta
from rmtgb.boosting.records import BOOST
from rmtgb.datasets import make_task_scenario
from rmtgb.engine.jit import kernel
from rmtgb.engine.record import Record, copy, empty, run
from rmtgb.engine.team import Team
from rmtgb.losses import gradients, make_loss, mean_loss


@kernel
def step_theta(member, n_members, boosts, is_quantile):
    """Call the kernel of the same name in one member of a team."""
    kernels.step_theta(boosts[member], is_quantile)


@kernel
def combine_sides(member, n_members, boosts):
    """Call the kernel of the same name in one member of a team."""
    kernels.combine_sides(boosts[member])


def gate_record(team, task, theta, weight, **arrays):
    """Return a record of some rows, sorted by task, with an outlier gate."""
    gate = {"theta": copy(theta), "theta_start": theta, "second_weight": copy(weight)}
    offsets = np.searchsorted(task, np.arange(theta.size + 1))
    arrays |= {"task_codes": task.astype(np.int32), "offsets": offsets}
    return Record(BOOST, team, gate | arrays, {"n_sides": 2, "n_tasks": theta.size})


def quick(seed):
    """Return a regressor with default trees and fewer rounds."""
    return RMTGBRegressor(task_feature=-1, n_iter_partition=60, n_iter_task=20, random_state=seed)


@pytest.mark.parametrize("name", ["squared_error", "huber", "poisson", "log_loss"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_slope_and_curvature_are_derivatives(name, n_classes):
    """With u = w (1 - w), the sums of step_theta give the derivatives of the loss by theta."""
    rng = np.random.default_rng(0)
    loss = make_loss(name, n_classes=n_classes, huber_delta=1.0, y=np.arange(9.0))
    y = rng.integers(0, n_classes, 50).astype(float)
    offset, inlier, outlier = rng.standard_normal((3, loss.n_outputs, 50))
    theta, task = np.array([0.3, -0.7]), np.repeat([0, 1], [20, 30])

    def losses(theta):
        w = 1.0 / (1.0 + np.exp(-theta[task]))
        raw = np.ascontiguousarray(offset + (1.0 - w) * inlier + w * outlier)
        return np.array(
            [
                mean_loss(loss, y[task == t], raw[:, task == t], np.ones((task == t).sum()))
                * (task == t).sum()
                for t in (0, 1)
            ]
        )

    w = 1.0 / (1.0 + np.exp(-theta))
    raw = np.ascontiguousarray(offset + (1 - w[task]) * inlier + w[task] * outlier)
    gradient, hessian = gradients(loss, y, raw, np.ones(50))
    with Team(2) as team:
        record = gate_record(
            team,
            task,
            theta,
            w,
            gradient=gradient,
            hessian=hessian,
            sides=np.stack([inlier, outlier]),
        )
        team.run(step_theta, record.members, False)
        record.check_guards()
    slope, curvature = record.arrays["theta_sums"][:, :2].T
    step = 1e-5
    numerical = (losses(theta + step) - losses(theta - step)) / (2 * step)
    np.testing.assert_allclose(w * (1 - w) * slope, numerical, rtol=1e-6)
    assert np.all(curvature > 0)
    # without a penalty theta makes a Newton step, at most 1/2 long and not above 0
    newton = numerical / (np.square(w * (1 - w)) * curvature)
    expected = theta - np.clip(newton, -0.5, 0.5)
    expected[theta <= 0] = np.minimum(expected[theta <= 0], 0.0)
    np.testing.assert_allclose(record.arrays["theta"], expected, atol=2.0**-19)
    np.testing.assert_allclose(record.arrays["coefficient"], [1.0 - w, w])


def test_combine_is_the_formula():
    """Raw = offset + (1 - w) I + w O, divided among members in any way."""
    rng = np.random.default_rng(1)
    offset, inlier, outlier = rng.standard_normal((3, 2, 30))
    task, w = np.arange(30) // 10, np.array([0.1, 0.5, 0.9])
    sides, raw = np.stack([inlier, outlier]), empty((2, 30), np.float64)
    with Team(3) as team:
        arrays = {"sides": sides, "offset": offset, "raw": raw}
        record = gate_record(team, task, np.zeros(3), w, **arrays)
        run(team, combine_sides, [record])
    np.testing.assert_allclose(raw, offset + (1 - w[task]) * inlier + w[task] * outlier)


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_outlier_tasks_are_found(seed):
    """Two tasks that share another function are found, at the defaults.

    So they are in 95 of 100 sets (benchmarks/outlier_evidence.py); in that of seed 1 they are not.
    """
    X, y = make_task_scenario("outliers", random_state=seed)
    model = quick(seed).fit(X, y)
    assert model.outlier_tasks_.tolist() == [8, 9]


@pytest.mark.parametrize("scenario", ["related", "pooled"])
@pytest.mark.parametrize("seed", range(3))
def test_no_false_alarm(scenario, seed):
    """Tasks that are alike have no outliers among them."""
    X, y = make_task_scenario(scenario, random_state=seed)
    model = quick(seed).fit(X, y)
    assert model.outlier_tasks_.size == 0


@pytest.mark.parametrize("seed", range(4))
def test_tasks_that_differ_in_intercept_only_are_inliers(seed):
    """Offsets belong to the baseline, not to the partition."""
    rng = np.random.default_rng(seed)
    task = np.arange(600) % 3
    X = np.column_stack([rng.uniform(-1, 1, (600, 3)), task])
    y = np.sin(3 * X[:, 0]) + X[:, 1] ** 2 + 10 * task + 0.1 * rng.standard_normal(600)
    model = quick(seed).fit(X, y)
    assert model.outlier_tasks_.size == 0


def test_theta_starts_on_the_side_of_the_call():
    theta = starting_theta(np.array([False, True, False]))
    np.testing.assert_array_equal(theta, [-START, START, -START])
