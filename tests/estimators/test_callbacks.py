"""scikit-learn's callbacks, and what takes their place where it has none."""

import builtins
import importlib
import re
import sys
import time
import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from rmtgb import RMTGBClassifier, RMTGBRegressor, _compat
from rmtgb.boosting import booster, stage_3_task_specific
from rmtgb.estimators import _progress
from rmtgb.estimators._callbacks import CallbackContexts
from rmtgb.estimators._progress import STEPS, FitProgress
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
            *[("fit", "task", "round")] * 4,
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

    def test_early_stopping_shows_what_is_tried_and_then_the_fit(self, data):
        recorder = Recorder()
        model = fit(recorder, data, early_stopping=True)
        for stage, n_rounds in zip(
            ("shared", "partition", "task"),
            (model.n_iter_shared_, model.n_iter_partition_, model.n_iter_task_.max()),
            strict=True,
        ):
            assert recorder.ended.count(("fit", stage, "round")) == n_rounds
        tried = [path[2] for path in recorder.ended if path[:2] == ("fit", "choice") and path[2:]]
        assert list(dict.fromkeys(tried))[:2] == ["offsets", "linear"]
        assert ("fit", "choice", "offsets", "task") in recorder.ended
        assert recorder.begun.index(("fit", "choice")) < recorder.begun.index(("fit", "shared"))
        assert sorted(recorder.ended) == sorted(recorder.begun)

    def test_no_more_parts_than_were_announced(self, data):
        """What scikit-learn would refuse; as many as there can be, with cross-validation."""
        few = np.arange(len(data.y)) % 7 == 0
        recorder = Recorder()
        model = RMTGBRegressor(task_feature="school", random_state=0, task_descriptors=True)
        model.set_callbacks(recorder).fit(data.X[few], data.y[few])
        stages = [path for path in recorder.ended if path[:3] == ("fit", "choice", "offsets")]
        assert stages.count(("fit", "choice", "offsets", "shared")) > STEPS, "folds"

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
    def test_a_stage_that_is_tried(self, data, monkeypatch):
        monkeypatch.setattr(booster, "CODES_PER_CALL", 1)  # a round at a time
        stop = Recorder(lambda path, number: path[2:] == ("offsets", "shared"))
        settings = few_rounds(40) | {"early_stopping": True, "task_baseline": "shrunken"}
        settings |= {"n_iter_partition": 0, "n_iter_task": 0, "splitter": "best"}
        stopped, whole = (fit(recorder, data, **settings) for recorder in (stop, Recorder()))
        assert stopped.n_iter_shared_ <= whole.n_iter_shared_
        assert len(stopped.train_score_["shared"]) < len(whole.train_score_["shared"])

    def test_stage_3_leaves_tasks_without_trees(self, data, monkeypatch):
        monkeypatch.setattr(stage_3_task_specific, "NODES_PER_CALL", 1)  # a task at a time
        recorder = Recorder(lambda path, number: path == ("fit", "task", "round"))
        model = fit(recorder, data)
        assert 0 < model.n_iter_task_.sum() < 5 * 4

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
    assert texts(capsys.readouterr().out)[-3:] == [
        "shared: 3 of 3 rounds",
        "partition: 3 of 3 rounds",
        "task: 3 of 3 rounds",
    ]


def texts(printed):
    """The lines of a fit, without its name and the seconds."""
    found = [
        re.fullmatch(r"\[RMTGBRegressor\] +([\d.]+) s  (.*)", line)
        for line in printed.splitlines()
    ]
    seconds = [float(line[1]) for line in found]
    assert seconds == sorted(seconds)
    return [line[2] for line in found]


def test_verbose_tells_what_was_decided(data, capsys):
    settings = few_rounds(3) | {"early_stopping": True, "verbose": 1}
    model = RMTGBRegressor(task_feature="school", random_state=0, **settings)
    model.fit(data.X, data.y * 1024)
    lines = texts(capsys.readouterr().out)
    number = r"([\d.e+-]+)"
    decided = rf"(kept|dropped), validation loss {number}, without {number}"
    linear = [
        re.fullmatch(rf"choice: a linear mixed model as one more feature: {decided}", line)
        for line in lines
    ]
    (found,) = [line for line in linear if line]
    # of targets as given, not in the unit of the fit
    assert float(found[3]) > 0.01 * np.square(1024 * np.std(data.y))
    assert (found[1] == "kept") >= (float(found[2]) < float(found[3]))
    assert any(re.fullmatch(rf"choice: descriptors of tasks: {decided}", line) for line in lines)
    assert any(re.fullmatch(rf"choice: all thresholds .*: {decided}", line) for line in lines)


def test_verbose_tells_of_rounds_while_they_are_made(data, capsys, monkeypatch):
    """A line for each call of a kernel, if a second were over."""
    monkeypatch.setattr(_progress, "SECONDS_PER_LINE", 0.0)
    settings = few_rounds(3) | {"early_stopping": True, "verbose": 1}
    RMTGBRegressor(task_feature="school", random_state=0, **settings).fit(data.X, data.y)
    lines = texts(capsys.readouterr().out)
    of_trials = [line for line in lines if re.match("choice/.*/(shared|partition|task): ", line)]
    what = r"choice/[a-z 2]+/\w+: \d of \d rounds, training loss [\d.]+, validation loss [\d.]+"
    assert all(re.fullmatch(what, line) for line in of_trials)
    stages = {line.split(":")[0] for line in of_trials}
    assert stages >= {f"choice/offsets/{name}" for name in ("shared", "partition", "task")}


def test_no_more_than_a_line_per_second_on_rounds(data, capsys):
    settings = few_rounds(3) | {"early_stopping": True, "verbose": 1}
    model = RMTGBRegressor(task_feature="school", random_state=0, **settings)
    start = time.perf_counter()
    model.fit(data.X, data.y)
    seconds = time.perf_counter() - start
    lines = texts(capsys.readouterr().out)
    assert len([line for line in lines if line.startswith("choice/")]) <= 1.0 + seconds


def test_losses_are_those_of_the_rows(data, capsys, monkeypatch):
    """Before the first tree offsets are means: the loss is half the variance around these."""
    monkeypatch.setattr(_progress, "SECONDS_PER_LINE", 0.0)
    model = RMTGBRegressor(
        task_feature="school",
        n_iter_shared=0,
        n_iter_partition=0,
        n_iter_task=1,
        task_baseline="global",
        learning_rate=1e-12,
        verbose=1,
        early_stopping=True,
    )
    held_out = np.arange(len(data.y)) % 3 == 0
    known, y_val = data.X[~held_out], 1000.0 * data.y[held_out]
    model.fit(known, 1000.0 * data.y[~held_out], X_val=data.X[held_out], y_val=y_val)
    line = next(line for line in texts(capsys.readouterr().out) if "validation loss" in line)
    training, validation = (float(number) for number in re.findall(r"loss ([\d.e+]+)", line))
    y = 1000.0 * data.y[~held_out]
    halves = 0.5 * np.square(y - y.mean()).mean(), 0.5 * np.square(y_val - y.mean()).mean()
    assert (training, validation) == pytest.approx(halves, rel=1e-4)


def test_losses_too_large_for_a_number_are_infinite_without_a_warning(data, capsys):
    settings = few_rounds(3) | {"early_stopping": True, "verbose": 1}
    RMTGBRegressor(task_feature="school", **settings).fit(data.X, 1e200 * data.y)
    assert "validation loss inf, without inf" in capsys.readouterr().out


class TestTimeLimit:
    """What is left out when time is up, with a clock that shows what the test says."""

    @pytest.fixture
    def clock(self, monkeypatch):
        """A clock that goes on by a second whenever it is asked."""

        class Clock:
            now = 0.0
            step = 1.0

            def perf_counter(self):
                self.now += self.step
                return self.now

        clock = Clock()
        monkeypatch.setattr(_progress, "time", clock)
        return clock

    def fit(self, data, max_seconds, **settings):
        settings = few_rounds(4) | {"early_stopping": True} | settings
        model = RMTGBRegressor(
            task_feature="school", random_state=0, max_seconds=max_seconds, **settings
        )
        return model.fit(data.X, data.y)

    @pytest.mark.parametrize("max_seconds", [1, 20, 40, 60, 100])
    def test_a_model_whatever_the_time(self, data, clock, max_seconds):
        with pytest.warns(ConvergenceWarning, match=f"max_seconds={max_seconds} was not enough"):
            model = self.fit(data, max_seconds)
        assert model.score(data.X, data.y) > 0.0

    def test_enough_time_changes_no_bit(self, data, clock):
        clock.step = 1e-9
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            limited = self.fit(data, 1000.0)
        free = self.fit(data, None)
        np.testing.assert_array_equal(limited.predict(data.X), free.predict(data.X))

    def test_no_time_at_all_leaves_out_what_is_tried(self, data, clock):
        settings = few_rounds(400) | {"learning_rate": 0.05, "early_stopping": True}
        with pytest.warns(ConvergenceWarning) as caught:
            self.fit(data, 1.0, **settings)
        text = str(caught[0].message)
        for what in (
            "more rounds of choice/offsets/shared",
            "a linear mixed model",
            "descriptors of tasks",
            "rounds at the learning rate of the fit",
        ):
            assert what in text
        assert caught[0].filename == __file__

    def test_stages_of_fixed_lengths_end(self, data, clock, monkeypatch):
        monkeypatch.setattr(booster, "CODES_PER_CALL", 1)  # a round at a time
        with pytest.warns(ConvergenceWarning, match="Left out: more rounds of shared; "):
            model = self.fit(data, 3.0, early_stopping=False)
        assert 0 < model.n_iter_shared_ < 4
        assert model.score(data.X, data.y) > 0.0
        # and it can be continued
        model.set_params(max_seconds=None, warm_start=True).fit(data.X, data.y)
        assert model.n_iter_shared_ == model.n_iter_partition_ == 4

    def test_stages_that_are_made_are_not_said_to_be_left_out(self, data, clock):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            settings = {"n_iter_partition": 0, "n_iter_task": 0, "task_baseline": "global"}
            self.fit(data, 1e-9, early_stopping=False, **settings)

    @pytest.mark.parametrize("max_seconds", [1, 15, 40])
    @pytest.mark.parametrize(
        "settings",
        [
            {"task_baseline": "linear"},
            {"task_descriptors": True},
            {"n_iter_partition": 0},
            {"learning_rate": 0.05},
            {"validation_split": "last", "loss": "absolute_error"},
        ],
        ids=str,
    )
    def test_a_model_with_other_settings(self, data, clock, max_seconds, settings):
        few = np.arange(len(data.y)) % 3 == 0  # so that there are folds
        for rows in (slice(None), few):
            settings = few_rounds(4) | {"early_stopping": True} | settings
            model = RMTGBRegressor(task_feature="school", max_seconds=max_seconds, **settings)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(data.X[rows], data.y[rows])
            assert model.score(data.X, data.y) > 0.0

    def test_classes_and_validation_rows_of_ones_own(self, data, clock):
        is_high = data.y > np.median(data.y)
        model = RMTGBClassifier(task_feature="school", max_seconds=5, **few_rounds(4))
        with pytest.warns(ConvergenceWarning):
            model.fit(data.X, is_high, X_val=data.X, y_val=is_high)
        assert model.score(data.X, is_high) > 0.5

    def test_an_error_leaves_the_estimator_as_it_was(self, data, clock):
        model = self.fit(data, None)
        before = model.predict(data.X)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(ConvergenceWarning):
                model.set_params(max_seconds=1.0).fit(data.X, data.y)
        np.testing.assert_array_equal(model.predict(data.X), before)


class TestWithoutCallbacks:
    def test_progress_without_a_context(self, data, capsys):
        model = RMTGBRegressor(verbose=1)
        callbacks = CallbackContexts(model, None, data.X, data.y, None)
        progress = FitProgress(model, callbacks)
        assert not progress.every_round
        with callbacks.whole_fit(), progress.stage("shared", 3):
            assert [progress.after_rounds(1), progress.after_rounds(1)] == [False, False]
        assert texts(capsys.readouterr().out) == [
            "shared: 1 of 3 rounds",  # the first at once, the others a second later
            "shared: 2 of 3 rounds",
        ]

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
