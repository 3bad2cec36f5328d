"""What counts as a slowdown between two runs of the benchmarks, and what as more accurate."""

import importlib.util
import math
import re
import string
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from rmtgb.datasets import make_task_scenario

FOLDER = Path(__file__).parent.parent / "benchmarks"


def load(name):
    """Import a script; the benchmarks are no package."""
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


common, comparison = load("_common"), load("compare")


@pytest.fixture
def load_with_neighbours(monkeypatch):
    """Import a script that imports its neighbours as scripts do."""
    monkeypatch.syspath_prepend(FOLDER)
    yield load
    for path in FOLDER.glob("_*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture
def accuracy(load_with_neighbours):
    return load_with_neighbours("accuracy")


@pytest.fixture
def report(load_with_neighbours):
    return load_with_neighbours("_report")


@pytest.fixture
def sets(load_with_neighbours):
    return load_with_neighbours("_sets")


@pytest.fixture
def methods(load_with_neighbours):
    return load_with_neighbours("_methods")


@pytest.fixture
def measurement(load_with_neighbours):
    return load_with_neighbours("_measure")


@pytest.fixture
def outlier_tasks(load_with_neighbours):
    return load_with_neighbours("outlier_tasks")


def run_of(results, **groups):
    """What a file holds; results as a dict of name to seconds, or to seconds and the peer's."""
    lines = []
    for name, times in results.items():
        values = (name, *times) if isinstance(times, tuple) else (name, times)
        lines.append(dict(zip(("name", "seconds", "peer_seconds"), values, strict=False)))
    return {"versions": {}, "machine": {}, "settings": {}, "results": lines} | groups


class TestSlowdown:
    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            (1.0, 1.2, True),
            (1.0, 1.0, False),
            (1.0, 0.5, False),
            (1.0, 1.09, False),  # long enough to notice, within the noise
            (0.010, 0.014, False),  # by 40 %, of which nobody notices anything
            (0.010, 0.016, True),
            (0.0, 0.004, False),
            (0.0, 0.006, True),
        ],
    )
    def test_takes_both_a_share_and_an_amount(self, old, new, expected):
        assert comparison.is_slowdown(old, new) is expected

    def test_a_limit_itself_is_no_slowdown(self):
        assert not comparison.is_slowdown(1.0, 1.25, relative=0.25, absolute=0.0)
        assert not comparison.is_slowdown(1.0, 1.25, relative=0.0, absolute=0.25)
        assert comparison.is_slowdown(1.0, 1.25, relative=0.24, absolute=0.24)


class TestCompare:
    def test_names_what_is_slower(self):
        old = run_of({"fit": 1.0, "predict": 0.001, "warm": 2.0})
        new = run_of({"fit": 1.3, "predict": 0.003, "warm": 1.0})
        lines, slower = comparison.compare(old, new)
        assert slower == ["fit"]
        assert [line.endswith("SLOWER") for line in lines] == [True, False, False]
        assert lines[0] == "fit: 1 s -> 1.3 s (+30.0%)  SLOWER"

    def test_limits_can_be_given(self):
        old, new = run_of({"fit": 1.0}), run_of({"fit": 1.3})
        assert comparison.compare(old, new, relative=0.5)[1] == []
        assert comparison.compare(old, new, absolute=0.5)[1] == []
        assert comparison.compare(old, new, relative=0.0, absolute=0.0)[1] == ["fit"]

    def test_what_only_one_run_measured_is_listed_and_not_slower(self):
        lines, slower = comparison.compare(run_of({"a": 1.0}), run_of({"b": 9.0}))
        assert slower == []
        assert lines == ["a: only in the old file", "b: only in the new file"]

    def test_the_peer_is_shown_and_never_slower(self):
        old, new = run_of({"fit": (1.0, 2.0)}), run_of({"fit": (1.0, 3.0)})
        lines, slower = comparison.compare(old, new)
        assert slower == []
        assert lines == ["fit: 1 s -> 1 s (+0.0%); peer 2 s -> 3 s (+50.0%)"]

    def test_a_peer_of_one_run_alone_is_left_out(self):
        lines, _ = comparison.compare(run_of({"fit": (1.0, 2.0)}), run_of({"fit": 1.0}))
        assert lines == ["fit: 1 s -> 1 s (+0.0%)"]


def test_other_circumstances_are_named():
    old = run_of({}, versions={"numba": "1", "numpy": "2"}, machine={"cpu": "x", "cores": 2})
    new = run_of({}, versions={"numba": "3", "xgboost": "4"}, machine={"cpu": "x", "cores": 8})
    assert comparison.circumstances(old, old) == []
    assert comparison.circumstances(old, new) == [
        "versions: numba 1 -> 3",
        "versions: numpy 2 -> None",
        "versions: xgboost None -> 4",
        "machine: cores 2 -> 8",
    ]


def test_the_command_reads_saved_results_and_fails_at_a_slowdown(tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    common.save(old, {"rows": 10}, [{"name": "fit", "seconds": 1.0}])
    common.save(new, {"rows": 20}, [{"name": "fit", "seconds": 1.2}])
    assert comparison.main([str(old), str(new)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "settings: rows 10 -> 20",
        "fit: 1 s -> 1.2 s (+20.0%)  SLOWER",
        "1 of 1 are slower",
    ]
    assert comparison.main([str(old), str(new), "--relative", "0.3"]) == 0
    assert comparison.main([str(old), str(new), "--absolute", "0.3"]) == 0
    assert comparison.main([str(new), str(old)]) == 0


def test_without_a_file_nothing_is_saved():
    common.save(None, {}, [])


def test_functions_are_timed_in_turn():
    calls = []
    times = common.timed_in_turn([lambda: calls.append("A"), lambda: calls.append("B")], 3)
    assert "".join(calls) == "ABABAB"
    assert [len(t) for t in times] == [3, 3]


@pytest.mark.parametrize(
    ("value", "text"),
    [(12.34, "12.3 s"), (0.01234, "12.3 ms"), (-0.5, "-500 ms"), (4e-6, "4 µs"), (0.0, "0 µs")],
)
def test_durations_have_a_unit_that_suits_them(value, text):
    assert common.duration(value) == text


#: Errors by set, method and seed. The best peer: a 2.0, 1.0; b 4.0, 4.0.
ERRORS = {
    "a": {"rmtgb": (1.0, 2.0), "catboost": (2.0, 2.0), "ridge": (4.0, 1.0)},
    "b": {"rmtgb": (8.0, 8.0), "catboost": (4.0, 8.0), "ridge": (8.0, 4.0)},
}


def results_of(errors, split="random"):
    return [
        {
            "set": name,
            "split": split,
            "seed": seed,
            "method": method,
            "error": error,
            "seconds": 1.0,
        }
        for seed in (0, 1)
        for name, methods in errors.items()
        for method, values in methods.items()
        for error in values[seed : seed + 1]
    ]


class TestAccuracyReport:
    def test_a_log_ratio_is_to_the_best_peer_on_that_set_and_seed(self, report):
        errors = report.pivot(results_of(ERRORS), "error").droplevel("split")
        ratios = report.log_ratios(errors, ["catboost", "ridge", "gpboost"]) / math.log(2)
        assert ratios.to_dict() == pytest.approx(
            {("a", 0): -1, ("b", 0): 1, ("a", 1): 1, ("b", 1): 1}
        )

    def test_sets_count_alike_in_a_comparison(self, report):
        more = ERRORS | {
            "d": {"gpboost": (1.0, 1.0)},
            "c": {"rmtgb": (1.0,), "catboost": (4.0,), "ridge": (2.0,)},
        }
        table = report.comparisons(report.pivot(results_of(more), "error"))
        # over the best peer: a 1, b 2, c 1/2; over CatBoost: a 2^-1/2, b 2^1/2, c 1/4
        assert table.loc["the best of all peers", "geometric mean"] == "1.000"
        assert table.loc["the best of all peers", "better on"] == "1 of 3 sets"
        assert table.loc["the best of all peers", "worst"] == "b 2.000"
        assert table.loc["CatBoost", "geometric mean"] == f"{2 ** (-2 / 3):.3f}"
        assert table.loc["the best boosted peer"].equals(table.loc["CatBoost"])
        assert "GPBoost" not in table.index

    def test_a_method_that_cannot_learn_a_set_is_left_out_there(self, report):
        results = results_of(ERRORS)
        for result in results:
            if (result["set"], result["method"]) == ("a", "ridge"):
                result["error"] = None
        errors = report.pivot(results, "error")
        table = report.comparisons(errors)
        assert table.loc["ridge, task dummies", "better on"] == "0 of 1 sets"
        # against CatBoost alone on a: 2^-1/2; as before on b: 2
        assert table.loc["the best of all peers", "geometric mean"] == f"{2 ** (1 / 4):.3f}"
        assert report.error_table(errors).loc["ridge, task dummies", "a"] == ""

    def test_an_interval_is_that_of_the_mean_of_sets(self, report):
        values = np.random.default_rng(0).standard_normal(400)
        low, high = report.interval(values)
        error = values.std() / 20
        np.testing.assert_allclose([low, high], values.mean() + error * np.array([-1.96, 1.96]),
                                   atol=0.2 * error)  # fmt: skip
        assert report.interval(np.array([0.5, 0.5])) == (0.5, 0.5)
        assert np.isnan(report.interval(np.array([0.5]))).all()

    def test_a_table_of_errors_ends_with_the_range_over_seeds(self, report):
        table = report.error_table(report.pivot(results_of(ERRORS), "error"))
        assert table.loc["rmtgb"].tolist() == ["1.5", "8"]
        assert table.loc["rmtgb over the best of all peers"].tolist() == ["1.000", "2.000"]
        assert table.loc["rmtgb over the best boosted peer"].tolist() == ["0.707", "1.414"]
        assert table.loc["its range over seeds"].tolist() == ["0.500 to 2.000", "2.000 to 2.000"]

    def test_groups_and_splits_have_tables_of_their_own_and_real_sets_come_first(self, report):
        results = results_of({"school": ERRORS["a"], "diabetes": ERRORS["b"], "x": ERRORS["b"]})
        results += results_of({"x": ERRORS["a"]}, "time")
        parts = dict(report.report(results))
        assert [title for title in parts if "errors" not in title] == [
            "Real sets: 20 % of the rows, at random",
            "Real sets: the last 20 % of each task",
            "The eight sets that the first defaults were chosen on: 20 % of the rows, at random",
            "Sets that no default was chosen on: 20 % of the rows, at random",
            "Seconds of a fit with its tuning, on one thread",
        ]
        ratios = [part.iloc[0, 0] for part in parts.values() if "geometric mean" in part]
        assert ratios == ["2.000", "1.000", "1.000", "2.000"]

    def test_without_rmtgb_there_are_errors_alone(self, report):
        errors = {"a": {"catboost": (2.0, 2.0), "ridge": (4.0, 1.0)}}
        assert not any("geometric mean" in part for _, part in report.report(results_of(errors)))

    def test_a_document_keeps_what_is_around_the_report(self, report, tmp_path):
        path = tmp_path / "page.md"
        path.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
        report.write_markdown(path, results_of(ERRORS))
        lines = path.read_text().splitlines()
        assert (lines[0], lines[-1]) == ("before", "after")
        assert "old" not in lines
        assert "| CatBoost | 1.000 | 0.707 to 1.414 | 1 of 2 sets | b 1.414 |" in lines
        once = path.read_text()
        report.write_markdown(path, results_of(ERRORS))
        assert path.read_text() == once

    def test_a_document_without_a_place_is_refused_and_a_new_one_is_made(self, report, tmp_path):
        path = tmp_path / "page.md"
        report.write_markdown(path, results_of(ERRORS))
        assert "### Real sets" in path.read_text()
        path.write_text("nothing")
        with pytest.raises(ValueError, match="no lines"):
            report.read_document(path)

    def test_the_picture_has_a_row_for_each_set_below_its_group(self, report):
        errors = report.pivot(results_of(ERRORS | {"school": ERRORS["b"]}), "error")
        axes = report.draw(errors).axes[0]
        assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "school"]
        assert axes.get_yticks().tolist() == [1, 2, 4]
        assert [text.get_text() for text in axes.texts] == [report.REAL, report.EIGHT]
        lines, ours, catboost = axes.collections
        spans = np.array([segment[:, 0] for segment in lines.get_segments()])
        np.testing.assert_allclose(spans, [[0.5, 2.0], [2.0, 2.0], [2.0, 2.0]])
        np.testing.assert_allclose(ours.get_offsets()[:, 0], [1.0, 2.0, 2.0])
        np.testing.assert_allclose(catboost.get_offsets()[:, 0], np.sqrt(2.0) * np.ones(3))


def make_frame(**columns):
    """Return rows of a file: three tasks of 20, one of two."""
    task = [*np.repeat(["b", "a", "c"], 20), "d", "d"]
    return pd.DataFrame({"x": np.arange(62.0), "task": task, "y": np.arange(62.0) % 5} | columns)


def make_table(sets, **columns):
    return sets.make_table("some", lambda: make_frame(**columns), is_count=False)


class TestAccuracySets:
    def test_all_sets_of_groups_exist_or_are_files(self, sets, tmp_path):
        there = {*sets.SCENARIOS, *sets.find_tables([tmp_path])}
        assert set(sets.GROUPS[sets.FRESH]) <= there
        assert set(sets.GROUPS[sets.EIGHT]) - there == {
            "computer", "landmine", "parkinson", "school"
        }  # fmt: skip
        assert sets.group_of("sleepstudy") == sets.REAL

    @pytest.mark.parametrize("name", ["related", "clusters", "related-noisy", "outliers-classes"])
    def test_a_scenario_gives_so_many_rows_per_task(self, sets, name):
        data, X_test, y_test = sets.load(sets.Case(name, "random", 1), {})
        n_fit = sets.SCENARIOS[name][1]
        assert (data.X["task"].value_counts() == n_fit).all()
        assert (X_test["task"].value_counts() == 1000).all()
        assert (len(data.X), len(X_test)) == (data.y.size, y_test.size)
        assert data.is_class is (name == "outliers-classes")

    def test_the_first_rows_of_a_scenario_are_learned_from(self, sets):
        data, _, _ = sets.load(sets.Case("outliers", "random", 42), {})
        X, y = make_task_scenario("outliers", random_state=42)
        np.testing.assert_array_equal(data.X.astype(float), X)
        # a matrix product, which BLAS rounds differently for another number of rows
        np.testing.assert_allclose(data.y, y, rtol=0, atol=1e-12)

    def test_the_sex_is_the_task_of_the_diabetes_set(self, sets, tmp_path):
        case = sets.Case("diabetes", "random", 1)
        data, X_test, _ = sets.load(case, sets.find_tables([tmp_path]))
        assert data.kind == "numbers"
        assert (len(data.X), len(X_test)) == (353, 89)
        assert data.X["task"].nunique() == 2

    @pytest.mark.parametrize("target", ["target", "y"])
    def test_a_file_has_its_task_and_its_categories(self, sets, tmp_path, target):
        lines = [f"{i},{'ab'[i % 2]},{'xyz'[i % 3]},{i % 2},{i}" for i in range(20)]
        text = "\n".join([f"number,kind,task,{target},when", *lines]) + "\n"
        (tmp_path / "some.csv").write_text(text)
        data, X_test, y_test = sets.load(
            sets.Case("some", "random", 1), sets.find_tables([tmp_path])
        )
        assert data.categories() == ["x1", "task"]
        assert list(data.X) == ["x0", "x1", "task"]
        assert (len(data.X), len(X_test)) == (16, 4)
        assert data.is_class
        assert y_test.mean() == 0.5

    def test_counts_are_what_is_declared_as_such(self, sets, tmp_path):
        make_frame().to_csv(tmp_path / "some.csv", index=False)
        for counts, kind in ((["some"], "counts"), ([], "numbers")):
            assert sets.find_tables([tmp_path], counts)["some"]().kind == kind

    def test_a_target_of_three_words_is_refused(self, sets):
        with pytest.raises(ValueError, match="neither a number nor one of two classes"):
            make_table(sets, y=[*"abc" * 20, "a", "b"])

    def test_by_time_the_last_fifth_of_each_task_is_predicted(self, sets):
        table = make_table(sets, when=np.arange(62.0)[::-1])
        is_test = sets.at_last(table, 0)
        expected = np.arange(62) % 20 < 4
        expected[60:] = [True, False]
        np.testing.assert_array_equal(is_test, expected)
        assert sets.at_last(make_table(sets), 0) is None

    def test_rows_of_one_time_stay_together_and_every_task_has_one_to_learn_from(self, sets):
        when = np.arange(62) % 20 // 5  # of each task five rows at each of four times
        is_test = sets.at_last(make_table(sets, when=when), 0)
        assert not is_test.any()  # the last quarter would begin before the last fifth
        when = np.r_[np.arange(60) % 20 // 2, 1, 1]
        is_test = sets.at_last(make_table(sets, when=when), 0)
        np.testing.assert_array_equal(is_test, np.r_[np.arange(60) % 20 >= 16, False, False])

    def test_unseen_tasks_have_no_row_to_learn_from(self, sets):
        table = make_table(sets)
        is_test = sets.of_tasks(table, 1)
        task = table.X["task"].to_numpy()
        assert set(task[is_test]).isdisjoint(task[~is_test])
        assert len(set(task[is_test])) == 1

    def test_some_tasks_keep_five_rows_and_only_they_are_predicted(self, sets):
        table = make_table(sets)
        chosen = set()
        for seed in range(20):
            is_test = sets.of_few(table, seed)
            task = table.X["task"].to_numpy()
            (few,) = np.unique(task[is_test])
            assert (is_test.sum(), (task[~is_test] == few).sum()) == (15, 5)
            chosen.add(few)
        assert len(chosen) == 3  # the task of two rows never
        small = make_table(sets, task=np.arange(62) // 9)
        assert sets.of_few(small, 0) is None


class TestAccuracyMethods:
    @pytest.fixture
    def quick_ridge(self, methods, monkeypatch):
        """Choose among fewer penalties, on one thread: many small fits wait for each other."""
        monkeypatch.setattr(methods._ridge, "PENALTIES", np.array([0.01, 1.0]))
        monkeypatch.setattr(methods._ridge, "SLOPE_SCALES", (0.5,))
        monkeypatch.setattr(methods._ridge, "N_FOLDS", 2)
        with threadpool_limits(1):
            yield

    def test_peers_are_no_settings_of_rmtgb(self, methods):
        assert "rmtgb" not in methods.PEERS
        assert set(methods.FIRST_FIVE) < set(methods.BOOSTED) < set(methods.PEERS)

    @pytest.mark.usefixtures("quick_ridge")
    def test_slopes_of_tasks_are_what_the_ridge_without_them_cannot_have(self, methods, sets):
        rng = np.random.default_rng(0)
        task, x = np.repeat(np.arange(4), 50), rng.standard_normal(200)
        X = pd.DataFrame({"x0": x, "task": sets.as_category(pd.Series(task))})
        data = sets.Data(X, x * np.array([-2.0, 0.0, 2.0, 4.0])[task], "numbers", 0)
        error = {
            name: np.std(methods.METHODS[name].fit(data)(X) - data.y)
            for name in ("ridge", "ridge-slopes")
        }
        assert error["ridge"] > 1.5
        assert error["ridge-slopes"] < 0.1

    @pytest.mark.usefixtures("quick_ridge")
    @pytest.mark.parametrize("kind", ["numbers", "classes", "counts"])
    def test_the_ridge_answers_with_gaps_categories_and_unseen_tasks(self, methods, sets, kind):
        rng = np.random.default_rng(1)
        x, task = rng.standard_normal(120), np.arange(120) % 3
        raw = 1.0 + x + task
        counts = rng.poisson(np.exp(raw / 2))
        y = {"numbers": raw, "classes": (raw > 2).astype(int), "counts": counts}[kind]
        X = pd.DataFrame({"x0": x, "x1": sets.as_category(pd.Series(list("ab") * 60))})
        X["task"] = sets.as_category(pd.Series(task))
        X.loc[::7, "x0"] = np.nan
        is_fit = task < 2
        data = sets.Data(X[is_fit], y[is_fit], kind, 0)
        prediction = methods.METHODS["ridge-slopes"].fit(data)(X[~is_fit])
        assert prediction.shape == (40,)
        assert np.isfinite(prediction).all()
        assert np.corrcoef(prediction, raw[~is_fit])[0, 1] > 0.5
        assert kind == "numbers" or prediction.min() > 0


class TestAccuracyMeasure:
    def test_errors_of_numbers_classes_and_counts(self, measurement):
        y, guess = np.array([0, 1]), np.array([0.5, 0.5])
        assert measurement.error_of("numbers", y, guess) == 0.5
        assert measurement.error_of("classes", y, guess) == pytest.approx(math.log(2))
        deviance = (2 * 0.5 + 2 * (math.log(2) - 0.5)) / 2
        assert measurement.error_of("counts", y, guess) == pytest.approx(math.sqrt(deviance))
        assert math.isfinite(measurement.error_of("counts", y, np.zeros(2)))


class TestAccuracyCache:
    @pytest.fixture
    def run(self, accuracy, tmp_path, monkeypatch):
        """Measure a method that predicts the mean; return its errors and the number of fits."""
        fitted = []

        def fit(data):
            fitted.append(len(data.X))
            return lambda X: np.full(len(X), data.y.mean())

        def measure_all(**changes):
            fitted.clear()
            results = accuracy.measure_all(SimpleNamespace(**vars(options) | changes))
            return [result["error"] for result in results], len(fitted)

        method = accuracy.METHODS["ridge"]._replace(library="numpy", fit=fit, knows_all_tasks=True)
        monkeypatch.setitem(accuracy.METHODS, "mean", method)
        make_frame().to_csv(tmp_path / "some.csv", index=False)
        options = SimpleNamespace(
            cache=tmp_path / "cache.jsonl", methods=["mean"], sets=["diabetes"], seeds=[1],
            splits=["random"], jobs=1, measure=["mean"], tables=accuracy.find_tables([tmp_path]),
        )  # fmt: skip
        return measure_all

    def test_what_is_known_is_not_measured_again(self, run):
        errors, n_fitted = run()
        assert n_fitted == 1
        assert run() == (errors, 0)

    def test_what_is_not_to_be_measured_is_left_out_where_it_is_not_known(self, run):
        assert run(measure=[]) == ([], 0)
        errors, _ = run()
        assert run(measure=[]) == (errors, 0)

    @pytest.mark.parametrize("what", ["state_of", "tuning_of", "load"])
    def test_another_library_tuning_or_other_test_rows_are_measured(
        self, run, accuracy, monkeypatch, what
    ):
        def load(*args, **kwargs):
            data, X_test, y_test = known(*args, **kwargs)
            return data, X_test, y_test + 1

        run()
        known = getattr(accuracy, what)
        other = {"state_of": lambda _: "another", "tuning_of": lambda _: "another", "load": load}
        monkeypatch.setattr(accuracy, what, other[what])
        assert run()[1] == 1
        assert run()[1] == 0
        monkeypatch.setattr(accuracy, what, known)
        assert run()[1] == 0

    def test_only_real_sets_have_other_splits_and_only_where_they_can(self, run):
        splits = ["random", "time", "unseen", "five"]
        assert run(sets=["diabetes"], splits=splits)[1] == 1
        # no time, and the method has nothing to say on unseen tasks
        assert run(sets=["some"], splits=splits)[1] == 2

    def test_rmtgb_is_known_by_its_sources_and_a_peer_by_its_version(self, accuracy):
        assert accuracy.state_of("numpy") == np.__version__
        assert len(accuracy.state_of("rmtgb")) == 12
        assert accuracy.state_of("no-such-library") is None

    def test_a_tuning_is_known_by_its_file_and_its_settings(self, accuracy):
        tuning = {name: accuracy.tuning_of(m.fit) for name, m in accuracy.METHODS.items()}
        assert tuning["lgb-task"] == tuning["catboost"]
        assert len({tuning[name] for name in ("lgb-task", "lgb-strong", "ridge", "rmtgb")}) == 4


class TestOutlierTasks:
    def test_agreement_counts_the_more_frequent_opinion_of_each_task(self, outlier_tasks):
        assert outlier_tasks.agreement(np.array([0.0, 1.0])) == 1.0
        assert outlier_tasks.agreement(np.array([0.0, 0.5, 0.75, 0.25])) == 0.75

    def test_the_way_to_the_oracle_begins_at_single_task_models(self, outlier_tasks):
        errors = pd.Series({"single-task": 4.0, "rmtgb": 3.5, "pooled": 6.0, "oracle": 2.0})
        table = outlier_tasks.distance_to_oracle(errors)
        assert table["ratio"].tolist() == [2.0, 1.75, 3.0, 1.0]
        assert table["closed"].tolist() == [0.0, 0.25, -1.0, 1.0]

    def test_replicates_draw_rows_within_each_task(self, outlier_tasks):
        task = pd.Series(list("abcbcc"))
        rows = outlier_tasks.resampled(task, np.random.default_rng(0))
        assert task[rows].tolist() == list("abbccc")
        draws = {tuple(outlier_tasks.resampled(task, np.random.default_rng(i))) for i in range(9)}
        assert len(draws) > 1


class TestDialSweeps:
    @pytest.fixture
    def sweeps(self, load_with_neighbours, monkeypatch):
        module = load_with_neighbours("dial_sweeps")
        monkeypatch.setattr(module, "MODELS", {"mean": "mean"})
        monkeypatch.setattr(module, "N_FIT", 20)
        monkeypatch.setattr(module, "N_TEST", 30)
        monkeypatch.setitem(module.METHODS, "mean", SimpleNamespace(fit=self.fit_means))
        return module

    @staticmethod
    def fit_means(data):
        means = pd.Series(data.y).groupby(data.X["task"].to_numpy()).mean()
        return lambda X: means[X["task"]].to_numpy()

    def test_every_line_makes_data(self, sweeps, capsys):
        for lines, make in ((sweeps.SCENARIOS, sweeps.make_scenario),
                            (sweeps.MULTITAB, sweeps.make_multitab)):  # fmt: skip
            table = sweeps.sweep(lines, make, 1)
            assert list(table.index) == list(lines)
            # about 1 by construction: the means of 20 rows are those of the task, or nearly
            assert table["mean"].between(0.9, 3).all()
        assert capsys.readouterr().out.count("mean") >= len(table)

    def test_with_drift_the_last_rows_are_tested(self, sweeps):
        parameters = sweeps.SCENARIOS["drift 1"]
        data, X_test, _ = sweeps.make_scenario(parameters, 0)
        assert (data.X["task"].value_counts() == 20).all()
        for task, rows in X_test.groupby("task", observed=True):
            assert data.X.loc[data.X["task"] == task, "time"].max() < rows["time"].min()

    def test_errors_are_relative_to_the_mean_of_each_task(self, sweeps):
        target, tasks = np.array([0.0, 2.0, 10.0, 30.0]), [0, 0, 1, 1]
        assert sweeps.relative_error(target, np.array([1, 1, 20, 20]), tasks, False) == 1
        assert sweeps.relative_error(target, target, tasks, False) == 0
        labels = np.array([0, 1, 1, 0])
        assert sweeps.relative_error(labels, np.full(4, 0.5), tasks, True) == pytest.approx(1)

    def test_the_best_of_a_line_is_bold(self, sweeps):
        table = pd.DataFrame({"a": [0.5], "b": [0.25]}, index=["drift 1"])
        assert sweeps.as_markdown(table).splitlines()[2] == "| drift 1 | 0.50 | **0.25** |"


def test_the_picture_of_the_dials_is_drawn(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figure = load("figure_dials")
    monkeypatch.setattr(sys, "argv", ["figure_dials.py", "--output", str(tmp_path / "d.png")])
    with figure.plt.rc_context():
        figure.main()
    figure.plt.close("all")
    assert (tmp_path / "d.png").stat().st_size > 50_000
    page = (FOLDER.parent / "docs" / "datasets.md").read_text(encoding="utf-8")
    letters = re.findall(r"^\| ([a-z]) \| ", page, flags=re.MULTILINE)
    assert letters == list(string.ascii_lowercase[: len(figure.PANELS)])


def test_the_picture_of_tasks_is_drawn(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    figure = load("figure_tasks")
    monkeypatch.setattr(sys, "argv", ["figure_tasks.py", "--output", str(tmp_path / "t.png")])
    figure.main()
    figure.plt.close("all")
    assert (tmp_path / "t.png").stat().st_size > 30_000
    slope, x, task, y = figure.generate()
    described = figure.fit(x, task, y, task_baseline="shrunken", task_descriptors=True)
    found = described.task_descriptors_[:, 0]
    assert abs(np.corrcoef(slope, found)[0, 1]) > 0.9, "the page says that it is the slope"


class TestTransferVerdicts:
    @pytest.fixture
    def script(self, load_with_neighbours):
        return load_with_neighbours("transfer_verdicts")

    def test_pooling_makes_no_difference_at_the_shift_of_break_even(self, script):
        rng = np.random.default_rng(0)
        X, other = rng.standard_normal((20, 3)), rng.standard_normal((60, 3))
        shift = script.break_even_shift(X, other, "growing", rng.standard_normal(3))
        # The errors of both fits, given the designs, with the noise of each row as it is drawn.
        errors = []
        for parts in ([X], [X, other]):
            centred = [rows - rows.mean(axis=0) for rows in parts]
            M = np.linalg.inv(sum(rows.T @ rows for rows in centred))
            bias = M @ centred[1].T @ centred[1] @ shift if len(parts) == 2 else np.zeros(3)
            scales = [np.abs(rows[:, :1]) for rows in parts]
            noise = sum((c * s).T @ (c * s) for c, s in zip(centred, scales, strict=True))
            errors.append(bias @ bias + np.trace(M @ noise @ M))
        assert errors[0] == pytest.approx(errors[1])

    @pytest.mark.parametrize("kind", ["normal", "t3", "outliers", "growing", "falling"])
    def test_noise_has_the_scale_that_the_shift_counts_with(self, script, kind):
        rng = np.random.default_rng(0)
        X = rng.standard_normal((200_000, 2))
        ratio = script.draw_noise(kind, X, rng) / script.noise_scale(kind, X)
        # t3 has no fourth moment: its sample variance is far from 1 even here
        assert np.mean(ratio**2) == pytest.approx(1, abs=0.1 if kind == "t3" else 0.02)

    def test_a_folder_of_real_tasks(self, script, tmp_path, capsys):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.standard_normal((120, 2)), columns=["a", "b"])
        frame["task"] = np.repeat(["u", "v", "w"], 40)
        frame["target"] = frame["a"] + rng.standard_normal(120)
        frame.assign(kind=np.resize(["p", "q"], 120)).to_csv(tmp_path / "one.csv.gz", index=False)
        frame.assign(target=frame["target"] > 0).to_csv(tmp_path / "classes.csv.gz", index=False)
        assert [name for name, *_ in script.read_folder(tmp_path)] == ["one"]
        script.print_real(tmp_path)
        # Three main tasks, four numbers of known rows, all others or one of them.
        assert "Real tasks: 18 cases from 1 sets" in capsys.readouterr().out


class TestLinearPart:
    @pytest.fixture
    def script(self, load_with_neighbours):
        return load_with_neighbours("linear_part")

    def test_columns_once_for_each_task(self, script):
        expanded = script.by_task(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0]), 2)
        assert expanded.toarray().tolist() == [[0, 0, 1, 2], [3, 4, 0, 0]]

    def test_both_ridges_find_a_line(self, script):
        rng = np.random.default_rng(0)
        F, task = rng.standard_normal((60, 1)), np.arange(60) % 2
        y = 2 * F[:, 0] + task
        for method in (script.grid, script.dummies):
            found = method(F, y, task, 2)(F, task)
            np.testing.assert_allclose(found, y, atol=0.2)

    def test_what_is_read_of_a_file(self, script, tmp_path):
        frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "k": ["u", None, "u"], "when": 1.0})
        frame = frame.assign(task=["s", "t", "s"], target=[1.0, 2.0, 4.0])
        frame.to_csv(tmp_path / "d.csv.gz", index=False)
        X, categorical, y, task = script.read(tmp_path / "d.csv.gz")
        np.testing.assert_array_equal(X, [[1, 0], [2, np.nan], [3, 0]])
        assert categorical.tolist() == [False, True]
        assert (y.tolist(), task.tolist()) == ([1.0, 2.0, 4.0], [0, 1, 0])
        frame.assign(target=[0, 1, 0]).to_csv(tmp_path / "d.csv.gz", index=False)
        assert script.read(tmp_path / "d.csv.gz") is None
