"""The `rmtgb` command, run in this process unless a fresh one is the point."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from numba import config
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import train_test_split

from rmtgb.cli import compare, demo, main

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(
    config.DISABLE_JIT, reason="whole fits take minutes as plain Python"
)


def make_frame(n_rows=240, n_tasks=3):
    """Pupils of some schools; the first school follows another rule than the others."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"hours": rng.uniform(0, 10, n_rows), "age": rng.integers(11, 16, n_rows)}
    )
    frame["school"] = [f"s{task}" for task in rng.integers(n_tasks, size=n_rows)]
    slope = np.where(frame["school"] == "s0", -1.0, 1.0)
    frame["score"] = slope * frame["hours"] + rng.normal(0, 0.1, n_rows)
    return frame


def add_help(frame):
    """Add a column of text that matters."""
    frame["help"] = np.where(np.arange(len(frame)) % 3 == 0, "tutor", "none")
    frame["score"] += 5.0 * (frame["help"] == "tutor")
    return frame


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "pupils.csv"
    make_frame().to_csv(path, index=False)
    return path


def compare_file(path, *more):
    return main(["compare", str(path), "--task", "school", "--target", "score", *more])


def table_lines(text):
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("task "))
    stop = next(i for i, line in enumerate(lines) if line.startswith("total "))
    return lines[start : stop + 1]


def test_demo_prints_every_task_a_total_and_the_outliers(capsys, monkeypatch):
    monkeypatch.setattr(demo, "FIT_ROWS", 100)
    monkeypatch.setattr(demo, "TEST_ROWS", 50)
    assert main(["demo"]) == 0
    output = capsys.readouterr()
    header, *tasks, total = table_lines(output.out)
    assert header.split() == [
        "task",
        "rows",
        "rmtgb",
        "pooled",
        "single_task",
        "outlier",
        "weight",
    ]
    assert [line.split()[0] for line in tasks] == [str(task) for task in range(10)]
    assert total.split()[:2] == ["total", "500"]
    assert "Outlier tasks found" in output.out or "No outlier task" in output.out
    assert "Best overall: " in output.out
    assert "rmtgb: fitting" in output.err


def test_demo_data_depend_on_the_seed(capsys, monkeypatch):
    monkeypatch.setattr(demo, "FIT_ROWS", 30)
    monkeypatch.setattr(demo, "TEST_ROWS", 10)
    outputs = []
    for seed in ("1", "1", "2"):
        assert main(["demo", "--random-state", seed]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


def test_compare_names_the_best_of_three_models(capsys, csv):
    assert compare_file(csv) == 0
    output = capsys.readouterr().out
    header, *tasks, total = table_lines(output)
    assert [line.split()[0] for line in tasks] == ["s0", "s1", "s2"]
    errors = dict(zip(header.split()[2:5], map(float, total.split()[2:]), strict=True))
    assert errors["rmtgb"] < errors["pooled"]
    words = {"rmtgb": "R-MTGB", "single_task": "one model per task"}
    assert f"Best overall: {words[min(errors, key=errors.get)]}.\n" in output
    assert "192 rows to fit, 48 held out" in output


def test_total_is_the_error_over_all_rows_of_the_saved_model(capsys, csv, tmp_path):
    file = tmp_path / "model.pkl"
    assert compare_file(csv, "--json", "--save-model", str(file), "--random-state", "7") == 0
    result = json.loads(capsys.readouterr().out)
    frame = pd.read_csv(csv)
    test = train_test_split(frame, test_size=0.2, random_state=7)[1]
    prediction = joblib.load(file).predict(test.drop(columns="score"))
    assert result["total"]["rmtgb"] == pytest.approx(
        root_mean_squared_error(test["score"], prediction), rel=1e-12
    )
    squares = [task["rows"] * task["rmtgb"] ** 2 for task in result["tasks"]]
    assert result["total"]["rmtgb"] ** 2 * result["total"]["rows"] == pytest.approx(sum(squares))


def test_json_holds_every_task_and_nothing_else_is_on_stdout(capsys, csv):
    assert compare_file(csv, "--json", "--test-size", "0.25") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "root mean squared error"
    assert (result["rows_fitted"], result["total"]["rows"]) == (180, 60)
    assert [task["task"] for task in result["tasks"]] == ["s0", "s1", "s2"]
    assert set(result["tasks"][0]) == {
        "task",
        "rows",
        "rmtgb",
        "pooled",
        "single_task",
        "outlier_weight",
    }
    assert sum(task["rows"] for task in result["tasks"]) == 60
    assert result["total"][result["best"]] == min(
        result["total"][name] for name in ("rmtgb", "pooled", "single_task")
    )
    assert isinstance(result["outlier_tasks"], list)


@pytest.mark.parametrize("suffix", [".csv.gz", ".parquet"])
def test_all_formats_give_the_same_result(capsys, tmp_path, csv, suffix):
    other = tmp_path / f"pupils{suffix}"
    frame = pd.read_csv(csv)
    frame.to_parquet(other) if suffix == ".parquet" else frame.to_csv(other, index=False)
    outputs = []
    for path in (csv, other):
        assert compare_file(path, "--json") == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_classification_reports_log_loss(capsys, tmp_path):
    frame = make_frame()
    frame["score"] = np.where(frame["score"] > 0, "pass", "fail")
    path, file = tmp_path / "pupils.csv", tmp_path / "model.pkl"
    frame.to_csv(path, index=False)
    assert compare_file(path, "--classification", "--json", "--save-model", str(file)) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["metric"] == "log loss"
    test = train_test_split(frame, test_size=0.2, random_state=42)[1]
    probability = joblib.load(file).predict_proba(test.drop(columns="score"))
    assert result["total"]["rmtgb"] == pytest.approx(log_loss(test["score"], probability))


def test_text_columns_are_categoricals(capsys, tmp_path):
    path, file = tmp_path / "pupils.csv", tmp_path / "model.pkl"
    add_help(make_frame()).to_csv(path, index=False)
    assert compare_file(path, "--json", "--save-model", str(file)) == 0
    known = json.loads(capsys.readouterr().out)["total"]["rmtgb"]
    importances = joblib.load(file).feature_importances_  # hours, age, school, help
    assert importances[-1] > 0.01
    assert compare_file(path, "--json", "--drop", "help") == 0
    assert known < json.loads(capsys.readouterr().out)["total"]["rmtgb"]


def test_of_many_tasks_the_largest_are_shown(capsys, tmp_path):
    frame = make_frame(600, n_tasks=24)
    path = tmp_path / "pupils.csv"
    frame.to_csv(path, index=False)
    assert compare_file(path) == 0
    text = capsys.readouterr().out
    assert "10 of 24 tasks" in text
    rows = [int(line.split()[1]) for line in table_lines(text)[1:]]
    assert len(rows) == 11
    assert rows[:-1] == sorted(rows[:-1], reverse=True)
    assert rows[-1] == 120
    assert compare_file(path, "--json") == 0
    tasks = json.loads(capsys.readouterr().out)["tasks"]
    assert len(tasks) == 24
    assert sorted((task["rows"] for task in tasks), reverse=True)[:10] == rows[:-1]


def test_rows_without_target_or_task_are_left_out_with_a_note(capsys, tmp_path):
    frame = make_frame()
    frame.loc[:4, "score"] = np.nan
    frame.loc[10, "school"] = None
    path = tmp_path / "pupils.csv"
    frame.to_csv(path, index=False)
    assert compare_file(path, "--json") == 0
    output = capsys.readouterr()
    assert "note: 5 rows without a target left out." in output.err
    assert "note: 1 row without a task label left out." in output.err
    result = json.loads(output.out)
    assert result["rows_fitted"] + result["total"]["rows"] == 234


def test_held_out_rows_of_unseen_tasks_count_in_the_total(capsys, tmp_path):
    frame = make_frame()
    frame.loc[:19, "school"] = [f"alone {i}" for i in range(20)]  # 4 of them held out, or so
    path = tmp_path / "pupils.csv"
    frame.to_csv(path, index=False)
    assert compare_file(path, "--json") == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    n_unseen = 48 - sum(task["rows"] for task in result["tasks"])
    assert n_unseen > 0
    assert f"{n_unseen} held-out row" in output.err
    assert result["total"]["rows"] == 48


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        (lambda f: f.rename(columns={"school": "schools"}), [], "did you mean 'schools'?"),
        (lambda f: f.drop(columns="score"), [], "no column 'score'; there are 'hours', 'age'"),
        (lambda f: f, ["--drop", "shoe size"], "no column 'shoe size'"),
        (lambda f: f, ["--drop", "school"], "--task, --target and --drop must name different"),
        (lambda f: f, ["--target", "school"], "--task, --target and --drop must name different"),
        (lambda f: f.assign(score="low"), [], "holds 'low', which is no number"),
        (lambda f: f.assign(score=np.nan), [], "has 0 rows to work with"),
        (lambda f: f[:1], [], "has 1 row to work with"),
        (lambda f: f[["school", "score"]], [], "no column besides task and target"),
        (
            lambda f: pd.concat([f, f]).assign(name=[f"n{i}" for i in range(2 * len(f))]),
            [],
            "column 'name' has 480 distinct texts, at most 255",
        ),
        (lambda f: f.assign(hours=np.inf), [], "infinity"),
        (lambda f: f.assign(score=range(len(f))), ["--classification"], "rows of class"),
        (lambda f: f.assign(score=1), ["--classification"], "2 classes"),
        (lambda f: f, ["--save-model", "nowhere/model.pkl"], "there is no folder nowhere"),
        (lambda f: f, ["--save-model", "."], "cannot write ."),
    ],
)
def test_what_cannot_work_is_one_line(capsys, tmp_path, monkeypatch, change, more, message):
    monkeypatch.chdir(tmp_path)
    change(make_frame()).to_csv("pupils.csv", index=False)
    assert compare_file("pupils.csv", *more) == 1
    output = capsys.readouterr()
    assert output.out == ""
    lines = [line for line in output.err.splitlines() if line.startswith("rmtgb: error: ")]
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in output.err
    assert output.err.splitlines()[-1] == lines[0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("absent.csv", None, "there is no file"),
        ("absent.parquet", None, "there is no file"),
        ("data.xlsx", b"", "is no .csv, .csv.gz or .parquet file"),
        ("empty.csv", b"", "cannot read"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3\n", "cannot read"),
        ("binary.csv", b"\xff\xfe\x00", "cannot read"),
        ("plain.csv.gz", b"a,b\n1,2\n", "cannot read"),
        ("plain.parquet", b"a,b\n1,2\n", "cannot read"),
    ],
)
def test_a_bad_file_is_one_line(capsys, tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert compare_file(path) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("rmtgb: error: ")
    assert output.err.count("\n") == 1
    assert message in output.err


def test_parquet_without_pyarrow_names_the_extra(capsys, tmp_path, monkeypatch):
    def read_parquet(path):
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", read_parquet)
    assert compare_file(tmp_path / "pupils.parquet") == 1
    assert capsys.readouterr().err == (
        "rmtgb: error: reading parquet needs pyarrow: pip install 'rmtgb[data]'\n"
    )


def test_dates_are_refused_by_name(capsys, tmp_path):
    path = tmp_path / "pupils.parquet"
    make_frame().assign(when=pd.Timestamp("2024-01-01")).to_parquet(path)
    assert compare_file(path) == 1
    assert "column 'when' is of type datetime64" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fit"],
        ["compare", "pupils.csv", "--task", "school"],
        ["compare", "pupils.csv", "--task", "a", "--target", "b", "--test-size", "1"],
        ["compare", "pupils.csv", "--task", "a", "--target", "b", "--test-size", "many"],
        ["demo", "--random-state", "-1"],
        ["demo", "--random-state", "x"],
    ],
)
def test_a_wrong_command_line_is_status_2(capsys, words):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    assert exit_.value.code == 2
    assert "usage: rmtgb" in capsys.readouterr().err


def test_an_interrupt_is_status_1_without_traceback(capsys, monkeypatch, csv):
    def run(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(compare, "run", run)
    assert compare_file(csv) == 1
    assert capsys.readouterr().err == "rmtgb: interrupted\n"


def run_python(*words):
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_python_m_rmtgb_is_the_command():
    finished = run_python("-m", "rmtgb", "--version")
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.startswith("rmtgb ")


def test_help_waits_for_no_library():
    script = """
        import sys
        from rmtgb.cli import main
        try:
            main(["compare", "--help"])
        except SystemExit:
            print(sorted({"numpy", "pandas", "sklearn", "numba"} & set(sys.modules)))
    """
    assert run_python("-c", textwrap.dedent(script)).stdout.splitlines()[-1] == "[]"


def test_warmup_leaves_no_kernel_to_compile():
    script = """
        import importlib, pkgutil
        import numpy as np
        from numba.core.registry import CPUDispatcher
        import rmtgb
        from rmtgb import RMTGBClassifier, RMTGBRegressor
        from rmtgb.cli import main

        assert main(["warmup"]) == 0
        names = [module.name for module in pkgutil.walk_packages(rmtgb.__path__, "rmtgb.")]
        modules = [importlib.import_module(name) for name in names if "__main__" not in name]
        kernels = {
            f"{function.__module__}.{function.__name__}": function
            for module in modules for function in vars(module).values()
            if isinstance(function, CPUDispatcher)
            and not function.targetoptions.get("no_cpython_wrapper")
            and function.targetoptions.get("inline") != "always"
        }
        assert len(kernels) > 5
        before = {name: len(kernel.signatures) for name, kernel in kernels.items()}
        # sum_losses is compiled into other kernels; a fit never calls it from Python
        print("not compiled:", [name for name, count in before.items()
                                if count == 0 and not name.endswith(".sum_losses")])

        rng = np.random.default_rng(0)
        few = {"n_iter_shared": 1, "n_iter_partition": 1, "n_iter_task": 1}
        for n_rows, dtype, order in ((60, np.float32, "F"), (60, np.float64, "C"),
                                     (100_001, np.float32, "C")):
            X = np.asarray(rng.normal(size=(n_rows, 2)).astype(dtype), order=order)
            y, task = np.abs(X[:, 0]), np.arange(n_rows) % 3
            weight = rng.uniform(0.5, 2, n_rows)
            model = RMTGBRegressor(loss="poisson", n_jobs=2, **few)
            model.fit(X, y, task=task, sample_weight=weight)
            model.predict_parts(X, task=task)
            next(model.staged_predict(X, task=task))
            model.feature_importances_
        for loss in ("huber", "quantile"):
            RMTGBRegressor(loss=loss, subsample=0.5, max_features=0.5, **few).fit(
                X[:90], y[:90], X_val=X[90:120], y_val=y[90:120])
        RMTGBClassifier(**few).fit(X[:90], task[:90]).predict_proba(X)
        after = {name: len(kernel.signatures) for name, kernel in kernels.items()}
        print("compiled again:", [name for name in after if after[name] > before[name]])
    """
    run_python("-m", "rmtgb", "warmup")  # says that it compiles, if it is the first to
    finished = run_python("-c", textwrap.dedent(script))
    assert finished.stderr == ""
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("Kernels compiled, or found in the cache, in ")
    assert lines[1:] == ["not compiled: []", "compiled again: []"]
