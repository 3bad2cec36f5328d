"""How many threads a fit takes, where it runs beside others, and what it leaves behind."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numba
import numpy as np
import pytest

from rmtgb import RMTGBClassifier, RMTGBRegressor
from rmtgb.estimators import _base
from tests.boosting.helpers import QUICK, classifier, regressor, task_data

ROOT = Path(__file__).parent.parent.parent
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, and forks")
COMPILED = pytest.mark.skipif(numba.config.DISABLE_JIT, reason="a team is one member")


def n_threads(n_jobs=None):
    """Return how many threads an estimator would take where this is called."""
    return _base._n_threads(n_jobs)


def n_threads_in_workers(backend, n_workers):
    """Return the same of two workers of joblib, and of the caller."""
    calls = [joblib.delayed(n_threads)() for _ in range(2)]
    return [*joblib.Parallel(n_jobs=n_workers, backend=backend)(calls), n_threads()]


def in_new_process(function, *arguments, **environment):
    """Return what a function of this module returns in a process of its own."""
    code = (
        "import json, sys; from tests.estimators import test_threads\n"
        "if __name__ == '__main__':\n"
        f"    print(json.dumps(test_threads.{function.__name__}(*json.loads(sys.argv[1]))))"
    )
    inherited = {name: v for name, v in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(arguments)],
        env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


@pytest.fixture
def eight_cores(monkeypatch):
    """Eight cores for each of those who count them."""
    real = _base.openmp_n_threads
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(_base, "openmp_n_threads", lambda n: 8 if n is None else real(n))
    monkeypatch.setattr(joblib, "cpu_count", lambda: 8)


@pytest.fixture
def teams(monkeypatch):
    """The sizes of the teams that estimators ask for; they get one member."""
    sizes, real = [], _base.Team
    monkeypatch.setattr(_base, "Team", lambda size: sizes.append(size) or real(1))
    return sizes


@pytest.mark.usefixtures("eight_cores")
class TestNumberOfThreads:
    @pytest.mark.parametrize(
        ("n_jobs", "expected"),
        [(None, 8), (1, 1), (3, 3), (8, 8), (64, 64), (-1, 8), (-2, 7), (-8, 1), (-20, 1)],
    )
    def test_n_jobs(self, n_jobs, expected):
        assert n_threads(n_jobs) == expected

    def test_zero_is_refused(self, teams):
        X, y = task_data()
        with pytest.raises(ValueError, match="'n_jobs' parameter"):
            regressor(n_jobs=0).fit(X, y)
        with pytest.raises(ValueError, match="n_threads = 0"):
            n_threads(0)
        assert not teams

    @pytest.mark.parametrize(("around", "expected"), [(1, 1), (3, 3), (-2, 7), (64, 8)])
    def test_none_follows_parallel_config(self, around, expected):
        with joblib.parallel_config(n_jobs=around):
            assert n_threads(None) == expected
            assert [n_threads(n) for n in (-1, 5)] == [8, 5]
        assert n_threads(None) == 8

    def test_fewer_cores_than_at_the_start(self, monkeypatch):
        """The affinity of a process may be set when scikit-learn has counted already."""
        monkeypatch.setattr(joblib, "cpu_count", lambda: 3)
        assert [n_threads(n) for n in (None, -1, -2, 5)] == [3, 3, 2, 5]
        monkeypatch.setenv("OMP_NUM_THREADS", "8")  # who sets it means it
        assert n_threads(None) == 8

    def test_small_data_have_one_thread(self, teams):
        n_features = 100
        n_rows = _base.SMALL_CODES // n_features
        X = np.random.default_rng(0).integers(0, 3, (n_rows, n_features)).astype(float)
        task, y = np.arange(n_rows) % 2, X[:, 0]
        parameters = {"n_jobs": 3, "early_stopping": False}
        parameters |= {f"n_iter_{stage}": 0 for stage in ("shared", "partition", "task")}
        for size, rows in ((3, slice(None)), (1, slice(1, None))):
            model = RMTGBRegressor(**parameters).fit(X[rows], y[rows], task=task[rows])
            model.predict(X[rows], task=task[rows])
            assert teams == [size, size]
            teams.clear()


class TestWorkers:
    @pytest.mark.usefixtures("eight_cores")
    @pytest.mark.parametrize(("n_workers", "expected"), [(2, 4), (3, 2), (8, 1), (20, 1)])
    def test_threads_of_joblib_divide_the_cores(self, n_workers, expected):
        found = n_threads_in_workers("threading", n_workers)
        assert found == [expected, expected, 8]

    def test_processes_of_loky_divide_the_cores(self, monkeypatch):
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        n_cores = joblib.cpu_count()
        assert n_threads_in_workers("loky", 2)[:2] == [max(1, n_cores // 2)] * 2

    def test_processes_of_multiprocessing_have_one_thread_each(self):
        """Where ``OMP_NUM_THREADS`` allows the process around them five."""
        found = in_new_process(n_threads_in_workers, "multiprocessing", 2, OMP_NUM_THREADS="5")
        assert found == [1, 1, 5]

    @pytest.mark.usefixtures("eight_cores")
    def test_a_task_of_dask_has_one_thread(self, monkeypatch):
        here = threading.local()

        def get_worker():
            """Do as the function of that name: threads that run no task have no worker."""
            if not hasattr(here, "worker"):
                raise ValueError("No worker found")
            return here.worker

        module = types.SimpleNamespace(get_worker=get_worker)
        monkeypatch.setitem(sys.modules, "distributed.worker", module)
        assert n_threads() == 8
        here.worker = object()
        assert [n_threads(n) for n in (None, -1, 3)] == [1, 1, 3]

    @pytest.mark.usefixtures("eight_cores")
    @pytest.mark.filterwarnings("ignore")
    def test_a_task_of_the_real_dask_has_one_thread(self):
        distributed = pytest.importorskip("distributed")
        cluster = distributed.LocalCluster(1, processes=False, dashboard_address=None)
        with cluster, distributed.Client(cluster) as client:
            assert client.submit(n_threads).result() == 1
            assert n_threads() == 8


def check_side_by_side():
    """Fit in four threads at once, then in a forked child; return what was noticed."""
    _base.SMALL_CODES = 0
    X, y = task_data(n_rows=600)
    fits = [
        lambda: regressor(n_jobs=2).fit(X, y).predict(X),
        lambda: regressor(n_jobs=3, loss="absolute_error", subsample=0.5).fit(X, y).predict(X),
        lambda: classifier(n_jobs=2).fit(X, y > 1).predict_proba(X),
        lambda: regressor(n_jobs=2, early_stopping=True).fit(X, y).predict(X),
    ]
    n_numba = numba.get_num_threads()  # starts the threading layer
    numba.set_num_threads(1)
    alone = [fit() for fit in fits]
    found = {"layer": numba.threading_layer(), "numba_threads": numba.get_num_threads()}
    numba.set_num_threads(n_numba)

    together = threading.Barrier(len(fits))
    with ThreadPoolExecutor(len(fits)) as pool:
        runs = [pool.submit(lambda fit: [together.wait(), fit()][1], fit) for fit in fits]
        found["threads"] = [
            np.array_equal(run.result(), expected)
            for run, expected in zip(runs, alone, strict=True)
        ]
    results = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: results.put(np.array_equal(fits[0](), alone[0]))
    )
    child.start()
    child.join(60)
    found["child"] = child.exitcode == 0 and results.get()
    if child.exitcode is None:
        child.kill()
    return found


@ON_LINUX
@COMPILED
@pytest.mark.parametrize("layer", ["workqueue", "omp"])
def test_fits_in_threads_and_after_a_fork(layer):
    """Neither is safe with loops of numba's own on both of these threading layers."""
    found = in_new_process(check_side_by_side, NUMBA_THREADING_LAYER=layer, NUMBA_NUM_THREADS="2")
    assert found == {"layer": layer, "numba_threads": 1, "threads": [True] * 4, "child": True}


@ON_LINUX
@COMPILED
@pytest.mark.parametrize("model", [RMTGBRegressor, RMTGBClassifier])
def test_no_thread_is_left(monkeypatch, model):
    """The system has as many threads of this process afterwards as before, by its own count."""
    monkeypatch.setattr(_base, "SMALL_CODES", 0)
    X, y = task_data()
    y, during = (y > 1).astype(int), []
    fit_rows = _base.fit_rows
    monkeypatch.setattr(_base, "fit_rows", lambda *a: during.append(tasks()) or fit_rows(*a))

    def tasks():
        return set(os.listdir("/proc/self/task"))

    before = tasks()
    fitted = model(task_feature=-1, n_jobs=4, **QUICK).fit(X, y)
    fitted.predict(X)
    fitted.predict_parts(X)
    assert len(during[0] - before) == 4
    deadline = time.monotonic() + 5  # a joined thread may take a moment to vanish
    while tasks() - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not tasks() - before
