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
    for name in ("_common", "_peers"):
        sys.modules.pop(name, None)


@pytest.fixture
def accuracy(load_with_neighbours):
    return load_with_neighbours("accuracy")


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


#: Errors by set, method and seed. The best usual peer: a 2.0, 1.0; b 4.0, 4.0.
ERRORS = {
    "a": {"rmtgb": (1.0, 2.0), "catboost": (2.0, 2.0), "chimera": (4.0, 1.0)},
    "b": {"rmtgb": (8.0, 8.0), "catboost": (4.0, 8.0), "chimera": (8.0, 4.0)},
}
#: With this one the best peers are 0.5, 1.0; 4.0, 4.0.
STRONG = {"a": (0.5, 2.0), "b": (8.0, 8.0)}


def results_of(errors):
    return [
        {"set": name, "seed": seed, "method": method, "error": error, "seconds": 1.0}
        for seed in (0, 1)
        for name, methods in errors.items()
        for method, values in methods.items()
        for error in values[seed : seed + 1]
    ]


class TestAccuracy:
    def test_a_log_ratio_is_to_the_best_peer_on_that_set_and_seed(self, accuracy):
        errors = accuracy.pivot(results_of(ERRORS), "error")
        ratios = accuracy.log_ratios(errors, accuracy.USUAL)["rmtgb"] / math.log(2)
        assert ratios.to_dict() == pytest.approx(
            {("a", 0): -1, ("b", 0): 1, ("a", 1): 1, ("b", 1): 1}
        )

    def test_sets_have_a_mean_and_a_standard_error_over_seeds(self, accuracy):
        errors = accuracy.pivot(results_of(ERRORS), "error")
        sets = accuracy.per_set(accuracy.log_ratios(errors, accuracy.USUAL)["rmtgb"])
        # of -1 and 1 the standard deviation is sqrt(2), over sqrt(2) seeds
        assert (sets.loc["a"] / math.log(2)).tolist() == pytest.approx([0, 1])
        assert (sets.loc["b"] / math.log(2)).tolist() == pytest.approx([1, 0])

    def test_the_summary_is_a_geometric_mean_over_sets_and_seeds(self, accuracy):
        summary = accuracy.summarise(accuracy.pivot(results_of(ERRORS), "error"), accuracy.USUAL)
        assert summary["ratio"] == pytest.approx(2 ** (2 / 4))
        # catboost: 1, 2, 1, 2; chimera: 2, 1, 2, 1
        assert summary["best_ratio"] == pytest.approx(2 ** (2 / 4))
        assert summary["pairs"] == 4
        assert list(summary["lost"]) == ["b"]
        assert summary["lost"]["b"] == pytest.approx((2.0, 0.0))

    def test_one_more_peer_changes_only_the_summary_that_counts_it(self, accuracy):
        more = {name: ERRORS[name] | {"lgb-strong": STRONG[name]} for name in ERRORS}
        errors = accuracy.pivot(results_of(more), "error")
        assert accuracy.summarise(errors, accuracy.USUAL)["ratio"] == pytest.approx(2 ** (2 / 4))
        strong = accuracy.summarise(errors, accuracy.WITH_STRONG)
        assert strong["ratio"] == pytest.approx(2 ** (4 / 4))

    def test_the_best_single_peer_is_compared_pair_by_pair(self, accuracy):
        errors = accuracy.pivot(results_of(ERRORS), "error").drop(columns="chimera")
        summary = accuracy.summarise(errors, accuracy.USUAL)
        assert (summary["best"], summary["won"]) == ("catboost", 1)
        assert summary["ratio_to_best"] == pytest.approx(1.0)
        assert summary["p"] == 1.0

    def test_a_method_that_cannot_learn_a_set_is_left_out_there(self, accuracy):
        results = results_of(ERRORS)
        for result in results:
            if (result["set"], result["method"]) == ("a", "chimera"):
                result["error"] = None
        errors = accuracy.pivot(results, "error")
        # against catboost alone on a: 1/2, 1; as before on b: 2, 2
        assert accuracy.summarise(errors, accuracy.USUAL)["ratio"] == pytest.approx(2 ** (1 / 4))
        assert accuracy.error_table(errors).loc["a", "chimera"] == ""

    def test_fresh_sets_are_summed_up_apart(self, accuracy):
        errors = {"school": ERRORS["a"], "diabetes": ERRORS["b"]}
        parts = dict(accuracy.report(results_of(errors)))
        assert [title for title in parts if "usual peers" in title] == [
            "Sets: usual peers",
            "Fresh sets: usual peers",
        ]
        assert "error 1.000 times that of the best peer" in parts["Sets: usual peers"]
        assert "error 2.000 times that of the best peer" in parts["Fresh sets: usual peers"]
        tables = [part.index[:-1].tolist() for part in parts.values() if "ratio" in part]
        assert tables == [["school"], ["diabetes"]]

    def test_without_rmtgb_there_are_tables_alone(self, accuracy):
        errors = {"a": {"catboost": (2.0, 2.0), "chimera": (4.0, 1.0)}}
        assert not any(isinstance(part, str) for _, part in accuracy.report(results_of(errors)))


class TestAccuracySets:
    def test_all_fresh_sets_exist(self, accuracy, tmp_path):
        assert set(accuracy.FRESH) <= {*accuracy.SCENARIOS, *accuracy.find_tables(tmp_path)}

    @pytest.mark.parametrize("name", ["related", "clusters", "related-noisy", "outliers-classes"])
    def test_a_scenario_gives_so_many_rows_per_task(self, accuracy, name):
        data, X_test, y_test = accuracy.load(name, {}, seed=1)
        n_fit = accuracy.SCENARIOS[name][1]
        assert (data.X["task"].value_counts() == n_fit).all()
        assert (X_test["task"].value_counts() == 1000).all()
        assert (len(data.X), len(X_test)) == (data.y.size, y_test.size)
        assert data.is_regression is (name != "outliers-classes")

    def test_the_first_rows_of_a_scenario_are_learned_from(self, accuracy):
        data, _, _ = accuracy.load("outliers", {}, seed=42)
        X, y = make_task_scenario("outliers", random_state=42)
        np.testing.assert_array_equal(data.X.astype(float), X)
        # a matrix product, which BLAS rounds differently for another number of rows
        np.testing.assert_allclose(data.y, y, rtol=0, atol=1e-12)

    def test_the_sex_is_the_task_of_the_diabetes_set(self, accuracy, tmp_path):
        data, X_test, _ = accuracy.load("diabetes", accuracy.find_tables(tmp_path), seed=1)
        assert data.is_regression
        assert (len(data.X), len(X_test)) == (353, 89)
        assert data.X["task"].nunique() == 2

    def test_a_file_has_its_task_and_its_categories(self, accuracy, tmp_path):
        lines = [f"{i},{'ab'[i % 2]},{'xyz'[i % 3]},{i % 2}" for i in range(20)]
        text = "\n".join(["number,kind,task,target", *lines]) + "\n"
        (tmp_path / "some.csv").write_text(text)
        data, X_test, y_test = accuracy.load("some", accuracy.find_tables(tmp_path), seed=1)
        assert data.categories() == ["x1", "task"]
        assert (len(data.X), len(X_test)) == (16, 4)
        assert not data.is_regression
        assert y_test.mean() == 0.5


class TestAccuracyCache:
    @pytest.fixture
    def run(self, accuracy, tmp_path, monkeypatch):
        """Measure a method that predicts the mean; return its error and the number of fits."""
        fitted = []

        def fit(data):
            fitted.append(len(data.X))
            return lambda X: np.full(len(X), data.y.mean())

        def measure_all():
            fitted.clear()
            (result,) = accuracy.measure_all(options)
            return result["error"], len(fitted)

        monkeypatch.setitem(accuracy.METHODS, "mean", ("numpy", fit))
        options = SimpleNamespace(
            cache=tmp_path / "cache.jsonl", methods=["mean"], sets=["diabetes"], seeds=[1],
            tables=accuracy.find_tables(tmp_path),
        )  # fmt: skip
        return measure_all

    def test_what_is_known_is_not_measured_again(self, run):
        error, n_fitted = run()
        assert n_fitted == 1
        assert run() == (error, 0)

    @pytest.mark.parametrize("what", ["state_of", "load"])
    def test_another_library_or_other_test_rows_are_measured(
        self, run, accuracy, monkeypatch, what
    ):
        def load(*args, **kwargs):
            data, X_test, y_test = known(*args, **kwargs)
            return data, X_test, y_test + 1

        run()
        known = getattr(accuracy, what)
        other = {"state_of": lambda _: "another version", "load": load}
        monkeypatch.setattr(accuracy, what, other[what])
        assert run()[1] == 1
        assert run()[1] == 0
        monkeypatch.setattr(accuracy, what, known)
        assert run()[1] == 0

    def test_rmtgb_is_known_by_its_sources_and_a_peer_by_its_version(self, accuracy):
        numpy_state = accuracy.state_of("numpy")
        assert numpy_state.startswith(f"{np.__version__}, tuning ")
        assert len(accuracy.state_of("rmtgb")) == 12
        assert accuracy.state_of("no-such-library") is None


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
        monkeypatch.setitem(module.METHODS, "mean", ("numpy", self.fit_means))
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
        assert sweeps.relative_error(target, np.array([1, 1, 20, 20]), tasks, True) == 1
        assert sweeps.relative_error(target, target, tasks, True) == 0
        labels = np.array([0, 1, 1, 0])
        assert sweeps.relative_error(labels, np.full(4, 0.5), tasks, False) == pytest.approx(1)

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


class TestTransferVerdicts:
    @pytest.fixture
    def script(self, load_with_neighbours):
        return load_with_neighbours("transfer_verdicts")

    def test_pooling_makes_no_difference_at_the_shift_of_break_even(self, script):
        rng = np.random.default_rng(0)
        X, other = rng.standard_normal((20, 3)), rng.standard_normal((60, 3))
        shift = script.break_even_shift(X, other, "growing", rng)
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
