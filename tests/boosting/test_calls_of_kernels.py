"""How work is divided into calls of the kernel: no result depends on it, but Ctrl-C and memory."""

import signal
import sys
import threading

import numpy as np
import pytest

from rmtgb.boosting import booster, stage_3_task_specific, three_stages
from tests.boosting.helpers import classifier, model_arrays, regressor, task_data

STAGES = {
    "n_iter_shared": booster,
    "n_iter_partition": booster,
    "n_iter_task": stage_3_task_specific,
}
N_ROWS, N_FEATURES, N_TASKS = 240, 4, 4


class Calls:
    """What the calls of the kernel did, in all fits since.

    Attributes
    ----------
    codes : list of int
        Rows times features times trees of each call that a member, or all together, made.
    nodes : list of int
        Nodes for which each store has room.
    n_trees : int
        Trees in all stores.
    during : callable
        Called at the beginning of each call with the number of calls so far.
    """

    def __init__(self, monkeypatch):
        self.codes, self.nodes, self._sizes = [], [], {}
        self.during = lambda n: None
        for module in (booster, stage_3_task_specific):
            monkeypatch.setattr(module, "run", self.noting(module.run))

    def noting(self, run):
        def run_and_note(team, kernel, records):
            boosting, _, store = (record.arrays for record in records[:3])
            sizes = np.diff(records[-2].arrays["offsets"])
            rows = (
                sizes[boosting["queued_tasks"]] if boosting["queued_tasks"].size else sizes.sum()
            )
            self.codes.append(int(np.sum(rows * boosting["n_rounds"])) * N_FEATURES)
            self.nodes.append(store["nodes"].size)
            self.during(len(self.codes))
            self._sizes[id(store["tree_sizes"])] = store["tree_sizes"]  # one for all members
            run(team, kernel, records)

        return run_and_note

    @property
    def n_trees(self):
        return sum(np.count_nonzero(sizes[:, 0]) for sizes in self._sizes.values())

    def clear(self):
        """Forget all calls."""
        for calls in (self.codes, self.nodes, self._sizes):
            calls.clear()


@pytest.fixture
def calls(monkeypatch):
    """The calls of the kernel from now on."""
    return Calls(monkeypatch)


def alone(stage, n_rounds):
    """Return lengths with which one stage does all."""
    return dict.fromkeys(STAGES, 0) | {stage: n_rounds}


def sequence(stage, calls, n_rounds=24, **parameters):
    """Fit one stage alone, without pauses to estimate offsets; return the calls it took."""
    calls.clear()
    X, y = task_data(N_ROWS, N_TASKS)
    regressor(task_baseline="global", **alone(stage, n_rounds) | parameters).fit(X, y)
    return calls


@pytest.mark.parametrize("stage", STAGES)
def test_no_call_has_more_codes_than_it_may(monkeypatch, calls, stage):
    """Nobody can interrupt a call: it must be short, whatever the number of rounds."""
    assert len(sequence(stage, calls).codes) == 1
    total, all_codes = sum(calls.codes), N_ROWS * N_FEATURES
    for limit in (all_codes * 8, all_codes * 2, 1):
        monkeypatch.setattr(STAGES[stage], "CODES_PER_CALL", limit)
        sequence(stage, calls)
        assert sum(calls.codes) == total, "no round twice"
        least = {"n_iter_shared": 1, "n_iter_partition": 2, "n_iter_task": 1 / N_TASKS}[stage]
        if stage == "n_iter_task":
            limit *= 2  # a batch of tasks may begin with one that nearly fills it
        assert max(calls.codes) <= max(limit, least * all_codes)


@pytest.mark.parametrize("large_tasks", [False, True])
def test_room_for_nodes_is_bounded_without_a_limit_of_leaves(monkeypatch, calls, large_tasks):
    """A task of n rows may have trees of 2 n nodes: not all of its trees at once."""
    monkeypatch.setattr(stage_3_task_specific, "TEAM_TASK_CODES", 1 if large_tasks else 2**20)
    monkeypatch.setattr(stage_3_task_specific, "NODES_PER_CALL", 1000)
    unlimited = {"max_leaf_nodes_task": None, "min_samples_leaf_task": 1}
    sequence("n_iter_task", calls, **unlimited)
    assert len(calls.nodes) > 1
    assert max(calls.nodes) <= 2 * 1000
    assert calls.n_trees == 24 * N_TASKS


@pytest.mark.slow
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_task_grows_the_trees_that_it_keeps(monkeypatch, calls, n_jobs):
    """In the final fit; those of the search are another matter."""
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    monkeypatch.setattr(stage_3_task_specific, "CODES_PER_CALL", N_ROWS * N_FEATURES)
    boost_tasks = three_stages.boost_tasks

    def start_to_note(*arguments):
        calls.clear()
        return boost_tasks(*arguments)

    monkeypatch.setattr(three_stages, "boost_tasks", start_to_note)
    X, y = task_data(N_ROWS, N_TASKS)
    noise = np.random.default_rng(0).standard_normal(N_ROWS)
    y = np.where(X[:, -1] == 0, 10.0 * noise, y)  # a task of which nothing can be learned
    settings = alone("n_iter_task", 60) | {"early_stopping": True, "task_baseline": "shrunken"}
    settings |= {"task_descriptors": False}
    model = regressor(**settings, n_jobs=n_jobs).fit(X, y)
    kept = model.n_iter_task_
    assert kept.min() < kept.max()
    assert calls.n_trees == kept.sum() == model._model.task_specific.trees.n_trees


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to a thread")
@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("large_tasks", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_ctrl_c_comes_back_after_the_call_it_came_in(
    request, monkeypatch, calls, stage, large_tasks, n_jobs
):
    """A few calls of very many later, with the estimator as it was."""
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    monkeypatch.setattr(stage_3_task_specific, "TEAM_TASK_CODES", 1 if large_tasks else 2**20)
    monkeypatch.setattr(STAGES[stage], "CODES_PER_CALL", 1)
    X, y = task_data(N_ROWS, N_TASKS)
    # background processes may be told to ignore it
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, handler))
    model = regressor(**alone(stage, 2), n_jobs=n_jobs).fit(X, y)
    model.set_params(**{stage: 500})
    before, prediction = dict(vars(model)), model.predict(X)
    calls.clear()
    main = threading.main_thread().ident

    def interrupt(n_calls):
        if n_calls == 3:
            signal.pthread_kill(main, signal.SIGINT)

    calls.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert 3 <= len(calls.codes) <= 3 + 2 * n_jobs
    assert vars(model).keys() == before.keys()
    assert all(value is before[name] for name, value in vars(model).items())
    np.testing.assert_array_equal(model.predict(X), prediction)


#: Ways to divide the same work.
DIVISIONS = {
    "codes 1": {"CODES_PER_CALL": 1},
    "codes of a few rounds": {"CODES_PER_CALL": N_ROWS * N_FEATURES * 4},
    "nodes 1": {"NODES_PER_CALL": 1},
    "nodes of a few trees": {"NODES_PER_CALL": 300},
    "large tasks": {"TEAM_TASK_CODES": 1},
    "some large tasks": {"TEAM_TASK_CODES": N_ROWS},
    "large tasks, codes": {"TEAM_TASK_CODES": 1, "CODES_PER_CALL": N_ROWS * N_FEATURES},
    "large tasks, nodes": {"TEAM_TASK_CODES": 1, "NODES_PER_CALL": 300},
    "threads": {},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "early_stopping"),
    [("squared_error", True), ("absolute_error", False), ("three classes", False)],
)
def test_no_bit_of_a_model_depends_on_the_division(monkeypatch, kind, early_stopping):
    """Of trees, slopes, category sets, weights and lengths; in all stages at once."""
    monkeypatch.setattr("rmtgb.estimators._base.SMALL_CODES", 0)
    X, y = task_data(N_ROWS, N_TASKS)
    X[: N_ROWS // 3, -1] = 0  # tasks of several sizes
    X[:, 2] = np.nan_to_num(np.round(2 * X[:, 2]) % 5)
    settings = dict.fromkeys(STAGES, 7) | {"early_stopping": early_stopping}
    settings |= {"n_iter_no_change": 3, "learning_rate": 0.3, "linear_leaves": True}
    settings |= {"subsample": 0.7, "max_features": 0.7, "categorical_features": [2]}
    # other plans call the same kernels
    settings |= {"task_baseline": "shrunken", "task_descriptors": False}
    make = regressor
    if kind == "three classes":
        make, y = classifier, np.digitize(y, [-1.0, 2.0])
    else:
        settings["loss"] = kind

    def bits(n_jobs):
        given = {"X_val": X, "y_val": y} if early_stopping else {}
        model = make(**settings, n_jobs=n_jobs).fit(X, y, **given)
        return {name: array.tobytes() for name, array in model_arrays(model._model).items()}

    expected = bits(1)
    for division in DIVISIONS.values():
        with monkeypatch.context() as patch:
            for name, value in division.items():
                for module in (booster, stage_3_task_specific):
                    if hasattr(module, name):
                        patch.setattr(module, name, value)
            for n_jobs in (1, 2):
                assert bits(n_jobs) == expected, (division, n_jobs)
