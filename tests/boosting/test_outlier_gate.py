"""Theta: its gradient, its sign, and who is called an outlier."""

from types import SimpleNamespace

import numpy as np
import pytest

from rmtgb import RMTGBRegressor
from rmtgb.boosting import gate_rounds
from rmtgb.datasets import make_task_scenario
from rmtgb.engine.jit import kernel
from rmtgb.engine.team import Team
from rmtgb.losses import make_loss
from rmtgb.tasks.outlier_gate import exchanges_sides
from rmtgb.tree.job import make_records


@kernel
def sum_by_task(jobs, n_tasks):
    """Call the kernel of the same name for each task."""
    for task in range(n_tasks):
        gate_rounds.sum_by_task(jobs[0], task)


@kernel
def combine_sides(member, n_members, jobs):
    """Call the kernel of the same name in one member of a team."""
    gate_rounds.combine_sides(jobs[member])


def quick(seed):
    """Return a regressor with default trees and fewer rounds."""
    return RMTGBRegressor(task_feature=-1, n_iter_partition=60, n_iter_task=20, random_state=seed)


@pytest.mark.parametrize("name", ["squared_error", "huber", "poisson", "log_loss"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_slope_and_curvature_are_derivatives(name, n_classes):
    """sum_by_task gives, with u = w (1 - w), the derivatives of the loss by theta."""
    rng = np.random.default_rng(0)
    offsets = np.array([0, 20, 50])
    loss = make_loss(name, n_classes=n_classes, huber_delta=1.0, y=np.arange(9.0))
    y = rng.integers(0, n_classes, 50).astype(float)
    offset, inlier, outlier = rng.standard_normal((3, loss.n_outputs, 50))
    theta, task = np.array([0.3, -0.7]), np.repeat([0, 1], [20, 30])

    def losses(theta):
        w = 1.0 / (1.0 + np.exp(-theta[task]))
        raw = np.ascontiguousarray(offset + (1.0 - w) * inlier + w * outlier)
        return np.array(
            [
                loss.mean_loss(y[task == t], raw[:, task == t], np.ones((task == t).sum()))
                * (task == t).sum()
                for t in (0, 1)
            ]
        )

    w = 1.0 / (1.0 + np.exp(-theta))
    raw = np.ascontiguousarray(offset + (1 - w[task]) * inlier + w[task] * outlier)
    gradient, hessian = loss.gradients(y, raw, np.ones(50))
    arrays = {
        "offsets": offsets,
        "gradient": gradient,
        "hessian": hessian,
        "sides": np.stack([inlier, outlier]),
        "theta_sums": np.zeros((2, 4)),
    }
    sum_by_task(make_records(1, arrays, {}), 2)
    slope, curvature = arrays["theta_sums"][:, :2].T
    step = 1e-5
    numerical = (losses(theta + step) - losses(theta - step)) / (2 * step)
    np.testing.assert_allclose(w * (1 - w) * slope, numerical, rtol=1e-6)
    assert np.all(curvature > 0)


def test_combine_is_the_formula():
    """Raw = offset + (1 - w) I + w O, divided among members in any way."""
    rng = np.random.default_rng(1)
    offset, inlier, outlier = rng.standard_normal((3, 2, 30))
    task = (np.arange(30) // 10).astype(np.int32)
    w, raw = np.array([0.1, 0.5, 0.9]), np.empty((2, 30))
    with Team(3) as team:
        arrays = {
            "raw": raw,
            "offset": offset,
            "sides": np.stack([inlier, outlier]),
            "outlier_weight": w,
            "task_codes": task,
            "arrivals": team.arrivals,
        }
        team.run(combine_sides, make_records(3, arrays, {"n_members": 3}))
    np.testing.assert_allclose(raw, offset + (1 - w[task]) * inlier + w[task] * outlier)


@pytest.mark.parametrize("seed", range(4))
def test_outlier_tasks_are_found(seed):
    """Two tasks that share another function are found, at the defaults."""
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


def test_sign_is_that_of_the_smaller_side():
    """Sides are exchanged where the outlier side holds more rows; ties go to the first task."""

    def rows(*sizes):
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        return SimpleNamespace(offsets=offsets, weight=np.ones(offsets[-1]))

    assert exchanges_sides(np.array([2.0, -1.0, -1.0]), rows(5, 2, 2))
    assert not exchanges_sides(np.array([-2.0, 1.0, 1.0]), rows(5, 2, 2))
    assert exchanges_sides(np.array([1.0, -1.0]), rows(2, 2))
    assert not exchanges_sides(np.array([-1.0, 1.0]), rows(2, 2))
