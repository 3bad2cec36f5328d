"""The table of tasks: a row for each code, and codes that never change."""

from dataclasses import fields

import numpy as np

from rmtgb.tasks.table import TaskTable


def table(n_tasks, seed):
    rng = np.random.default_rng(seed)
    start = TaskTable.starting(
        rng.normal(size=(n_tasks, 2)), rng.normal(size=2), rng.uniform(1, 9, n_tasks)
    )
    return start.starting_at(rng.normal(size=n_tasks))


def test_before_stage_2_no_task_stands_out():
    start = TaskTable.starting(np.ones((3, 1)), np.zeros(1), np.ones(3))
    np.testing.assert_array_equal(start.second_weight, 0.5)
    np.testing.assert_array_equal(start.theta, 0.0)


def test_weights_are_the_logistic_function_of_theta():
    tasks = table(5, 0)
    np.testing.assert_allclose(tasks.second_weight, 1 / (1 + np.exp(-tasks.theta)), rtol=1e-14)
    np.testing.assert_array_equal(tasks.theta_start, tasks.theta)


def test_tasks_that_come_later_move_no_row():
    known, later = table(4, 1), table(2, 2)
    joined = known.appended(later)
    assert joined.n_tasks == 6
    for column in {field.name for field in fields(TaskTable)} - {"population"}:
        values = [getattr(part, column) for part in (joined, known, later)]
        np.testing.assert_array_equal(values[0][:4], values[1], err_msg=column)
        np.testing.assert_array_equal(values[0][4:], values[2], err_msg=column)
    np.testing.assert_array_equal(joined.population, known.population)


def test_a_task_that_was_not_seen_gets_the_population():
    tasks = table(3, 3)
    np.testing.assert_array_equal(
        tasks.baseline_of(np.array([2, -1])), [tasks.baseline[2], tasks.population]
    )
