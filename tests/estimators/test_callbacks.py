"""scikit-learn's callbacks, and what takes their place where it has none."""

import builtins
import importlib
import re
import sys

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from rmtgb import RMTGBRegressor, _compat
from rmtgb.boosting.choose import search
from rmtgb.estimators._progress import FitProgress
from tests.estimators.data import few_rounds, school

pytest.importorskip("sklearn.callback", reason="scikit-learn < 1.9 has no callbacks")


class Recorder:
    """Notes what it is told, by the names of the tasks from the fit down."""

    def __init__(self, stop=lambda path, number: False):
        self.begun, self.ended, self.seen = [], [], []
        self.stop = stop

    def setup(self, estimator, context):
        self.seen.append("setup")

    def teardown(self, estimator, context):
        self.seen.append("teardown")

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        self.begun.append(path_of(context))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.ended.append(path_of(context))
        if fitted_estimator is not None:
            self.predicted = fitted_estimator.predict(X)
        return self.stop(path_of(context), context.task_id)


class InheritedRecorder(Recorder):
    """One that scikit-learn hands on to inner estimators."""

    max_propagation_depth = None


def path_of(context):
    """Names of the tasks from the outermost to this one."""
    return (() if context.parent is None else path_of(context.parent)) + (context.task_name,)


def fit(callback, data, **settings):
    """Fit a small model that tells a callback."""
    model = RMTGBRegressor(task_feature="school", random_state=0, **few_rounds(4) | settings)
    return model.set_callbacks(callback).fit(data.X, data.y)


@pytest.fixture(scope="module")
def data():
    return school()


class TestContexts:
    def test_they_are_nested(self, data):
        recorder = Recorder()
        fit(recorder, data)
        assert recorder.begun == [
            ("fit",),
            ("fit", "shared"),
            *[("fit", "shared", "round")] * 4,
            ("fit", "partition"),
            *[("fit", "partition", "round")] * 4,
            ("fit", "task"),
            ("fit", "task", "round"),
        ]
        assert sorted(recorder.ended) == sorted(recorder.begun)
        assert recorder.ended[-1] == ("fit",)
        assert recorder.seen == ["setup", "teardown"]

    def test_a_stage_without_rounds(self, data):
        recorder = Recorder()
        fit(recorder, data, n_iter_partition=0)
        assert ("fit", "partition") in recorder.ended
        assert ("fit", "partition", "round") not in recorder.ended

    def test_the_estimator_is_fitted_at_the_end(self, data):
        recorder = Recorder()
        model = fit(recorder, data)
        np.testing.assert_array_equal(recorder.predicted, model.predict(data.X))

    def test_early_stopping_shows_the_final_fit_only(self, data):
        recorder = Recorder()
        model = fit(recorder, data, early_stopping=True)
        assert recorder.ended.count(("fit", "shared", "round")) == model.n_iter_shared_

    def test_warm_start_shows_the_rounds_to_come(self, data):
        recorder = Recorder()
        model = fit(recorder, data)
        recorder.ended.clear()
        model.set_params(warm_start=True, n_iter_shared=6).fit(data.X, data.y)
        assert recorder.ended.count(("fit", "shared", "round")) == 2
        assert recorder.ended.count(("fit", "partition", "round")) == 0

    @pytest.mark.parametrize("early_stopping", [False, True])
    def test_listening_to_every_round_changes_no_bit(self, data, early_stopping):
        settings = few_rounds(9) | {"early_stopping": early_stopping, "subsample": 0.7}
        recorder = Recorder()
        heard = fit(recorder, data, **settings).predict_parts(data.X)
        alone = RMTGBRegressor(task_feature="school", random_state=0, **settings)
        alone = alone.fit(data.X, data.y).predict_parts(data.X)
        assert ("fit", "shared", "round") in recorder.ended
        for name, part in alone.items():
            np.testing.assert_array_equal(heard[name], part)


class TestStopping:
    @pytest.mark.parametrize("stage", ["shared", "partition"])
    def test_a_stage(self, data, stage):
        recorder = Recorder(lambda path, number: path == ("fit", stage, "round") and number == 1)
        model = fit(recorder, data)
        lengths = {"shared": model.n_iter_shared_, "partition": model.n_iter_partition_}
        assert lengths == {"shared": 4, "partition": 4} | {stage: 2}
        assert model.n_iter_task_.tolist() == [4] * 5

    def test_the_result_is_that_of_a_shorter_stage(self, data):
        recorder = Recorder(lambda path, number: "shared" in path and number == 1)
        stopped, shorter = fit(recorder, data), fit(Recorder(), data, n_iter_shared=2)
        np.testing.assert_array_equal(stopped.predict(data.X), shorter.predict(data.X))

    def test_a_failing_callback_leaves_the_estimator_as_it_was(self, data):
        def fail(path, number):
            if path == ("fit", "partition", "round"):
                raise KeyboardInterrupt

        model = fit(Recorder(), data)
        before = dict(vars(model))
        recorder = Recorder(fail)
        model.set_params(n_iter_shared=2).set_callbacks(recorder)
        with pytest.raises(KeyboardInterrupt):
            model.fit(data.X, data.y)
        assert recorder.seen == ["setup", "teardown"]
        after = dict(vars(model))
        changed = {name for name in before if after.get(name) is not before[name]}
        assert changed == {"n_iter_shared", "_skl_callbacks"}
        assert set(after) == set(before)


class TestMetaEstimators:
    def test_grid_search(self, data):
        recorder = InheritedRecorder()
        model = RMTGBRegressor(task_feature="school", **few_rounds(3))
        search = GridSearchCV(model, {"n_iter_task": [0, 3]}, cv=2).set_callbacks(recorder)
        search.fit(data.X, data.y)
        rounds = [path for path in recorder.ended if path[-2:] == ("partition", "round")]
        assert len(rounds) == 3 * (2 * 2 + 1)
        assert all(len(path) > 3 for path in rounds), "inside the contexts of the search"

    def test_callbacks_of_the_inner_estimator(self, data):
        recorder = Recorder(lambda path, number: "shared" in path and number == 1)
        model = RMTGBRegressor(task_feature="school", **few_rounds(3)).set_callbacks(recorder)
        search = GridSearchCV(model, {"n_iter_task": [0, 3]}, cv=2).fit(data.X, data.y)
        assert search.best_estimator_.n_iter_shared_ == 2, "stopped by the callback"
        assert recorder.seen == ["setup", "teardown"] * 5

    def test_task_scores_tells_no_callback(self, data):
        recorder = Recorder()
        model = fit(recorder, data)
        recorder.ended.clear()
        model.task_scores(data.X, data.y)
        model.task_scores(data.X, data.y, X_train=data.X, y_train=data.y)
        assert recorder.ended == []


def test_progress_bar(data, capsys):
    pytest.importorskip("rich")
    from sklearn.callback import ProgressBar

    model = RMTGBRegressor(task_feature="school", **few_rounds(4) | {"n_iter_partition": 0})
    model.set_callbacks(ProgressBar()).fit(data.X, data.y)
    shown = capsys.readouterr().out
    assert "RMTGBRegressor" in shown
    assert "shared" in shown


def test_scoring_monitor(data):
    from sklearn.callback import ScoringMonitor

    monitor = ScoringMonitor(scoring="r2")
    model = fit(monitor, data)
    assert model.n_iter_shared_ == 4


def test_verbose(data, capsys):
    RMTGBRegressor(task_feature="school", **few_rounds(3), verbose=1).fit(data.X, data.y)
    assert capsys.readouterr().out.splitlines() == [
        "[RMTGBRegressor] shared: 3 of 3 rounds",
        "[RMTGBRegressor] partition: 3 of 3 rounds",
        "[RMTGBRegressor] task: 1 of 1 rounds",
    ]


def test_verbose_tells_of_the_linear_mixed_model(data, capsys):
    settings = few_rounds(3) | {"early_stopping": True, "verbose": 1}
    RMTGBRegressor(task_feature="school", random_state=0, **settings).fit(data.X, data.y)
    printed = capsys.readouterr().out.splitlines()
    assert "[RMTGBRegressor] fitting a linear mixed model, which is one more feature" in printed


def test_verbose_tells_of_the_search_for_lengths_while_it_goes_on(data, capsys, monkeypatch):
    """A line for each thing that was tried, before the next is; then the stages of the fit."""
    printed, watch = [], search.watch_tasks

    def note(*arguments):
        printed.append(capsys.readouterr().out.splitlines())
        return watch(*arguments)

    monkeypatch.setattr(search, "watch_tasks", note)
    settings = few_rounds(3) | {"early_stopping": True, "splitter": "best"}
    settings |= {"task_baseline": "shrunken", "task_descriptors": False, "verbose": 1}
    RMTGBRegressor(task_feature="school", random_state=0, **settings).fit(data.X, data.y)
    searches, *between, last = [*printed, capsys.readouterr().out.splitlines()]
    assert len(searches) >= 3  # stage 1, and stage 2 with and without it, before any stage 3
    what = (
        r"(shared|partition)(, after \d+ of stage shared)?: \d+ rounds at rate 0.3, "
        r"validation loss [\d.e+-]+"
    )
    for line in searches:
        assert re.fullmatch(rf"\[RMTGBRegressor\] choosing lengths: {what}", line)
    for lines in between:
        assert [line.startswith("[RMTGBRegressor] choosing lengths: task") for line in lines] == [
            True
        ]
    assert last[-3].startswith("[RMTGBRegressor] shared: ")


class TestWithoutCallbacks:
    def test_progress_without_a_context(self, data, capsys):
        progress = FitProgress(RMTGBRegressor(verbose=1), None, data.X, data.y, None)
        assert not progress.every_round
        with progress.whole_fit(), progress.stage("shared", 3):
            assert [progress.after_rounds(1), progress.after_rounds(1)] == [False, False]
        assert capsys.readouterr().out == "[RMTGBRegressor] shared: 2 of 3 rounds\n"

    def test_what_stands_in_below_scikit_learn_1_9(self, monkeypatch):
        ordinary = builtins.__import__

        def no_callbacks(name, *args, **kwargs):
            if name == "sklearn.callback":
                raise ImportError(name)
            return ordinary(name, *args, **kwargs)

        monkeypatch.setattr(builtins, "__import__", no_callbacks)
        specification = importlib.util.spec_from_file_location("old_compat", _compat.__file__)
        compat = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(compat)

        class Old(compat.CallbackSupportMixin):
            @compat.with_callbacks
            def fit(self):
                return self._init_callback_context(max_subtasks=3)

        assert Old().fit() is None
        assert "old_compat" not in sys.modules
