"""`rmtgb transfer`: what it prints is what the calculator finds in the file."""

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from rmtgb.cli import main
from rmtgb.transfer import estimate_problem, optimal_weights, safe_combination

W = np.array([1.0, -2.0, 0.5, 1.0])
ROWS = {"mine": 25, "alike": 150, "other": 150}


def make_frame(seed=0, rows=None):
    rng = np.random.default_rng(seed)
    parts = []
    for label, n in (rows or ROWS).items():
        X = rng.standard_normal((n, 4))
        shift = 3.0 if label == "other" else 0.0
        frame = pd.DataFrame(X, columns=list("abcd"))
        parts.append(frame.assign(site=label, y=X @ (W + shift) + 5 + rng.standard_normal(n)))
    return pd.concat(parts, ignore_index=True)


def run(path, frame, *more, label="mine"):
    write = frame.to_parquet if path.suffix == ".parquet" else frame.to_csv
    write(path, index=False)
    words = ["transfer", str(path), "--task", "site", "--target", "y", "--main", label]
    return main([*words, *more])


def find(tmp_path, capsys, frame, *more, label="mine"):
    assert run(tmp_path / "d.csv", frame, "--json", *more, label=label) == 0
    return json.loads(capsys.readouterr().out)


def test_figures_are_those_of_the_calculator(tmp_path, capsys):
    frame = make_frame()
    found = find(tmp_path, capsys, frame)
    spread = frame[list("abcd")].std()
    groups = [frame[frame["site"] == label] for label in ROWS]
    X = [(rows[list("abcd")] / spread).to_numpy() for rows in groups]
    y = [rows["y"].to_numpy() for rows in groups]
    estimate = estimate_problem(X, y)
    assert [line["task"] for line in found["tasks"]] == ["alike", "other"]
    assert_allclose(
        [line["benefit"] for line in found["tasks"]],
        [line.benefit for line in estimate.each],
        rtol=1e-9,
    )
    assert_allclose(found["all"]["benefit"], estimate.together.benefit, rtol=1e-9)
    best = optimal_weights(estimate.problem)
    assert_allclose([line["weight"] for line in found["tasks"]], best.weights[1:], atol=1e-4)
    safe = safe_combination(X[0], y[0], estimate.auxiliary_coefficients)
    assert_allclose(found["safe_weight"], safe.weight, rtol=1e-9)
    assert found["rows"] == 25
    assert found["features"] == list("abcd")


def test_verdicts_are_right_where_they_are_clear(tmp_path, capsys):
    rows = {"mine": 20, "alike": 2000, "other": 2000}
    found = find(tmp_path, capsys, make_frame(seed=3, rows=rows))
    verdicts = {line["task"]: line["verdict"] for line in found["tasks"]}
    assert verdicts["other"] == "hurts"
    assert verdicts["alike"] != "hurts"
    assert found["all"]["verdict"] == "hurts"
    weights = {line["task"]: line["weight"] for line in found["tasks"]}
    assert weights["alike"] > 5 * weights["other"]


def test_text_for_a_reader(tmp_path, capsys):
    assert run(tmp_path / "d.csv", make_frame()) == 0
    text = capsys.readouterr().out
    assert text.startswith("Linear model of task mine: 25 rows, 4 features; 2 other tasks.")
    assert "task   rows  benefit  s.e." in text
    assert "All 2 pooled: hurts" in text
    assert "Safe whatever is true: " in text


def test_many_tasks_are_counted_not_listed(tmp_path, capsys):
    rows = {"mine": 30} | {f"s{k:02d}": 20 for k in range(15)}
    assert run(tmp_path / "d.csv", make_frame(rows=rows)) == 0
    text = capsys.readouterr().out
    assert sum(line.startswith("s") for line in text.splitlines()) == 12
    assert "(3 more tasks: " in text


def test_tasks_that_help_for_sure_come_first(tmp_path, capsys):
    # Of these, it is the one of the least benefit.
    frame = make_frame(seed=40, rows={"mine": 20, "s0": 400, "s1": 30, "s2": 400})
    lines = find(tmp_path, capsys, frame)["tasks"]
    assert [line["task"] for line in lines if line["verdict"] == "helps"] == ["s1"]
    assert min(lines, key=lambda line: line["benefit"])["task"] == "s1"
    assert run(tmp_path / "d.csv", frame) == 0
    text = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in text if line.startswith("s")] == ["s1", "s0", "s2"]


def test_many_tasks_left_out_are_all_in_the_json(tmp_path, capsys):
    frame = make_frame(rows=ROWS | {f"t{k:02d}": 3 for k in range(12)})
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["tasks_left_out"]) == 12
    assert "--json names all tasks that are left out" in captured.err


def test_features_that_do_not_vary_or_repeat_are_left_out_by_name(tmp_path, capsys):
    frame = make_frame().assign(
        constant=lambda f: (f["site"] == "other").astype(float), twice=lambda f: 2 * f["a"] + 1
    )
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["features"] == list("abcd")
    assert found["features_left_out"] == ["constant", "twice"]
    assert "left out, as constant or collinear in the main task: constant, twice" in captured.err


def test_text_columns_count_as_indicators(tmp_path, capsys):
    frame = make_frame().assign(kind=lambda f: np.where(np.arange(len(f)) % 3 == 0, "u", "v"))
    # the most usual text needs no indicator: each task is likely to have it
    assert find(tmp_path, capsys, frame)["features"] == [*"abcd", "kind_u"]


def test_a_rare_text_takes_no_task_away(tmp_path, capsys):
    """Its name has no say: as the first in the alphabet it was what others were compared with."""
    found = []
    for rare in ("a", "z"):
        kind = np.where(np.arange(len(make_frame())) % 3 == 0, "u", "v").astype(object)
        kind[30] = rare
        frame = make_frame().assign(kind=kind)
        result = find(tmp_path, capsys, frame)
        found.append([result[name] for name in ("tasks", "main_only_error", "safe_weight")])
    assert found[0] == found[1]


def test_advice_to_drop_names_a_column_of_the_file(tmp_path, capsys):
    frame = make_frame()
    kind = np.where(np.arange(len(frame)) % 3 == 0, "u", "v")
    frame["kind"] = np.where(frame["site"] == "other", "v", kind)
    assert run(tmp_path / "d.csv", frame) == 0
    captured = capsys.readouterr()
    assert "other (kind_u)" in captured.err
    assert "left out: --drop kind." in captured.err
    assert run(tmp_path / "d.csv", frame, "--drop", "kind") == 0


def test_decimal_numbers_are_numbers(tmp_path, capsys):
    frame = make_frame().round(3)
    decimals = frame.assign(
        a=[Decimal(str(value)) for value in frame["a"]],
        y=[Decimal(str(value)) for value in frame["y"]],
    )
    results = []
    for table in (frame, decimals):
        assert run(tmp_path / "d.parquet", table, "--json") == 0
        results.append(json.loads(capsys.readouterr().out))
    assert results[0] == results[1]


def test_nested_values_are_refused_by_name(tmp_path, capsys):
    frame = make_frame()
    frame["tags"] = [[1, 2]] * len(frame)
    assert run(tmp_path / "d.parquet", frame) == 1
    assert "column 'tags' holds lists or records" in capsys.readouterr().err
    assert run(tmp_path / "d.parquet", frame, "--drop", "tags") == 0


def test_too_many_features_are_traced_to_their_column(tmp_path, capsys):
    frame = make_frame().assign(day=lambda f: [f"day {k % 90}" for k in range(len(f))])
    assert run(tmp_path / "d.csv", frame) == 1
    assert "(89 of the texts in column 'day')" in capsys.readouterr().err


def test_small_tasks_and_missing_values_are_left_out_with_a_note(tmp_path, capsys):
    frame = make_frame(rows=ROWS | {"tiny": 3})
    frame.loc[[0, 40], "a"] = np.nan
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["rows"] == 24
    assert [line["rows"] for line in found["tasks"]] == [149, 150]
    assert "2 rows with a missing or infinite value left out" in captured.err
    assert "1 task with fewer than 7 rows left out: tiny" in captured.err
    assert found["tasks_left_out"] == {"tiny": "3 rows, 7 are needed"}


def test_a_column_that_is_empty_in_the_main_task_is_named(tmp_path, capsys):
    frame = make_frame().assign(none=np.nan, other=1.0)
    frame.loc[frame["site"] == "mine", "other"] = np.nan
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    captured = capsys.readouterr()
    assert "left out, as task mine has no value of them: none, other" in captured.err
    assert json.loads(captured.out)["features"] == list("abcd")


def test_a_main_task_with_few_rows_is_no_proof(tmp_path, capsys):
    found = find(tmp_path, capsys, make_frame(rows=ROWS | {"mine": 6}))
    assert np.isfinite(found["main_only_error"])
    assert "helps" not in [line["verdict"] for line in found["tasks"]]


def test_a_target_without_noise_is_said_to_be(tmp_path, capsys):
    frame = make_frame()
    frame.loc[frame["site"] == "mine", "y"] = 5.0
    assert run(tmp_path / "d.csv", frame) == 0
    assert "Expected excess error of a fit to its rows alone: 0 " in capsys.readouterr().out


def test_labels_are_found_as_they_are_written(tmp_path, capsys):
    frame = make_frame().replace({"site": {"mine": 7, "alike": 8, "other": 10}})
    assert find(tmp_path, capsys, frame, label="7")["main"] == 7
    frame.loc[0, "site"] = np.nan  # turns whole numbers into floats
    assert find(tmp_path, capsys, frame, label="8")["main"] == 8


@pytest.mark.parametrize(
    ("change", "label", "message"),
    [
        (lambda f: f, "mime", "no row is of task 'mime'; did you mean 'mine'?"),
        (lambda f: f, "zzz", "no row is of task 'zzz'; there are 'mine', 'alike', 'other'"),
        (lambda f: f[f["site"] == "mine"], "mine", "no other task allows a linear model"),
        (
            lambda f: f[(f["site"] == "mine") | (f.groupby("site").cumcount() < 5)],
            "mine",
            "no other task allows a linear model",
        ),
        (lambda f: f.assign(a=1.0, b=1.0, c=1.0, d=1.0), "mine", "no feature varies in task mine"),
        (lambda f: f[24:], "mine", "task mine has 1 row, too few for a model of its 4 features"),
        (
            lambda f: f[20:],
            "mine",
            "task mine has 5 rows, too few for a model of its 4 features: 6 are enough",
        ),
        (lambda f: f[(f["site"] != "mine") | (f.index < 4)], "mine", "task mine has 4 rows"),
    ],
)
def test_what_cannot_work_is_one_line(tmp_path, capsys, change, label, message):
    assert run(tmp_path / "d.csv", change(make_frame()), label=label) == 1
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[-1]
    assert lines[-1].startswith("rmtgb: error: ")


def test_features_that_cost_tasks_are_named(tmp_path, capsys):
    frame = make_frame().assign(e=lambda f: np.where(f["site"] == "other", 0.0, f["a"] ** 2))
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    captured = capsys.readouterr()
    assert [line["task"] for line in json.loads(captured.out)["tasks"]] == ["alike"]
    assert "1 task with constant or collinear features left out: other (e)" in captured.err
    assert "left out: --drop e." in captured.err
    left_out = json.loads(captured.out)["tasks_left_out"]
    assert left_out == {"other": "constant or collinear: e"}


def test_errors_count_where_the_main_rows_are_unless_told(tmp_path, capsys):
    frame = make_frame()
    frame.loc[frame["site"] != "mine", list("ab")] *= 20
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert found["covariance"] == "main"
    assert "Features vary otherwise in the main task" in captured.err
    assert "Features vary otherwise in the main task" in found["note"]
    other = find(tmp_path, capsys, frame, "--covariance", "all")
    assert other["covariance"] == "all"
    assert other["main_only_error"] > 2 * found["main_only_error"]
    assert run(tmp_path / "d.csv", frame, "--covariance", "all") == 0
    assert "Errors count where the rows of all tasks are" in capsys.readouterr().out


def test_one_figure_for_the_main_task_alone(tmp_path, capsys):
    found = find(tmp_path, capsys, make_frame())
    best = found["best_weights"]
    assert best["error"] / best["share_of_alone"] == pytest.approx(found["main_only_error"])


def test_no_option_is_advised_that_there_is_not(tmp_path, capsys):
    assert run(tmp_path / "d.csv", make_frame().assign(y="high")) == 1
    message = capsys.readouterr().err
    assert "holds 'high', which is no number" in message
    assert "--classification" not in message


def test_a_missing_category_is_missing_and_no_category(tmp_path, capsys):
    frame = make_frame().assign(kind=np.resize(["u", "v"], 325))
    frame.loc[::10, "kind"] = None
    assert run(tmp_path / "d.csv", frame, "--json") == 0
    found, notes = capsys.readouterr()
    assert "33 rows with a missing or infinite value left out" in notes
    complete = find(tmp_path, capsys, frame.dropna())
    assert json.loads(found)["all"] == complete["all"]


def test_errors_of_the_calculator_name_the_task_of_the_file(tmp_path, capsys):
    frame = make_frame()
    frame.loc[frame["site"] == "alike", "y"] *= 1e200
    assert run(tmp_path / "d.csv", frame) == 1
    assert "The target of task alike has values up to" in capsys.readouterr().err
    clash = make_frame().assign(kind=np.resize(["u", "v"], 325), kind_v=1.0)
    assert run(tmp_path / "d.csv", clash) == 1
    assert "would be called 'kind_v', as another column is" in capsys.readouterr().err
