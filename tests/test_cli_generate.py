"""`rmtgb generate`: the files hold what the generators give."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.cli import main
from rmtgb.datasets import TaskDials, make_multitab_bench, make_task_scenario


def generate(path, *words):
    assert main(["generate", str(path), *map(str, words)]) == 0
    name = path.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")
    text = path.with_name(f"{name}.truth.json").read_text()
    assert "Infinity" not in text  # which is no JSON
    truth = json.loads(text)
    return (pd.read_parquet if path.suffix == ".parquet" else pd.read_csv)(path), truth


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_scenario_with_its_truth(tmp_path, capsys, suffix):
    path = tmp_path / f"data{suffix}"
    frame, facts = generate(
        path, "--n-tasks", 4, "--n-samples", 30, "--n-outlier-tasks", 1, "--noise", 0.5
    )
    X, y, truth = make_task_scenario(
        n_tasks=4,
        n_samples_per_task=30,
        n_outlier_tasks=1,
        noise=0.5,
        as_frame=True,
        return_truth=True,
        random_state=0,
    )
    # pandas reads numbers of text to the last bit but one.
    pd.testing.assert_frame_equal(frame, X.assign(target=y), rtol=1e-14)
    assert facts["outlier_tasks"] == [3]
    assert facts["parameters"] == {
        "scenario": "outliers",
        "n_outlier_tasks": 1,
        "n_tasks": 4,
        "noise": 0.5,
        "n_samples_per_task": 30,
        "random_state": 0,
    }
    clean = np.array(facts["noise_free_targets"])
    assert_allclose(np.std(clean - y), 0.5, rtol=0.2)
    rows = X["task"] == 2
    assert_allclose(clean[rows], truth.functions[2](X[rows].drop(columns="task").to_numpy()))
    assert "120 rows, 4 tasks, columns x0 to target" in capsys.readouterr().out


def test_classification_scenario(tmp_path):
    frame, facts = generate(tmp_path / "c.csv", "--kind", "clusters", "--classification")
    assert set(frame["target"]) == {0, 1}
    assert facts["clusters"] == np.repeat(range(5), [3, 4, 5, 8, 10]).tolist()


def test_hierarchy(tmp_path):
    words = ["--kind", "hierarchy", "--branching", "2,3", "--level-shares", "1,0.5,2"]
    frame, facts = generate(tmp_path / "h.csv", *words, "--n-samples", 7)
    X, y, truth = make_task_scenario(
        "hierarchy",
        branching=[2, 3],
        level_shares=[1, 0.5, 2],
        n_samples_per_task=7,
        as_frame=True,
        return_truth=True,
        random_state=0,
    )
    pd.testing.assert_frame_equal(frame, X.assign(target=y), rtol=1e-14)
    assert facts["n_tasks"] == 6
    assert facts["nodes"] == truth.nodes.tolist()
    assert_allclose(facts["function_correlation"], truth.function_correlation)


def test_clusters_of_other_sizes(tmp_path):
    words = ["--kind", "clusters", "--cluster-sizes", "1,2", "--n-samples", 3]
    assert generate(tmp_path / "c.csv", *words)[1]["clusters"] == [0, 1, 1]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_dials(tmp_path, suffix):
    values = {"feature_shift": 0.5, "n_categorical": 2, "measured_share": 0.5, "drift": 1}
    values |= {"noise_df": np.inf, "class_prior": [0.25, 0.5]}
    words = [f"{name}={value}" for name, value in values.items() if name != "class_prior"]
    words = [part for word in [*words, "class_prior=0.25,0.5"] for part in ("--dial", word)]
    more = ["--n-tasks", 2, "--n-outlier-tasks", 1, "--n-samples", 40, "--classification"]
    frame, facts = generate(tmp_path / f"d{suffix}", *words, *more)
    X, y, truth = make_task_scenario(
        n_tasks=2,
        n_outlier_tasks=1,
        n_samples_per_task=40,
        classification=True,
        dials=TaskDials(**values),
        as_frame=True,
        return_truth=True,
        random_state=0,
    )
    wanted = X.assign(target=y).astype({"c0": int, "c1": int})
    pd.testing.assert_frame_equal(frame.astype({"c0": int, "c1": int}), wanted, rtol=1e-14)
    assert facts["parameters"]["dials"] == values | {"noise_df": None}  # no JSON has infinities
    assert facts["dials"]["relevant_share"] == 1.0
    assert facts["dials"]["class_prior"] == [0.25, 0.5]
    assert_allclose(facts["traits"]["feature_means"], truth.traits.feature_means)
    assert_allclose(facts["limits"], truth.limits)
    assert_allclose(facts["noise_scale"], truth.noise_scale)


def test_multitab_dials(tmp_path):
    values = {"task_types": ["regression", "count", "ordinal"], "noise": [0.1, 0.2, 0.5]}
    values |= {"degrees": [1, 2, 3], "missing_dependence": 0.5, "n_irrelevant": 2}
    words = ["--dial=task_types=regression, count, ordinal", "--dial=noise=0.1,0.2,0.5"]
    words += ["--dial=degrees=1,2,3", "--dial=missing_dependence=0.5", "--dial=n_irrelevant=2"]
    shape = ["--n-samples", 30, "--n-tasks", 3, "--n-features", 4, "--missing-labels", 0.2]
    more = ["--kind", "multitab", "--layout", "wide", *shape]
    frame, facts = generate(tmp_path / "m.csv", *words, *more)
    X, Y = make_multitab_bench(30, 3, 4, missing_labels=0.2, random_state=0, **values)
    assert_allclose(frame.to_numpy(dtype=float), np.hstack([X, Y]), rtol=1e-14)
    assert facts["parameters"]["task_types"] == values["task_types"]


def test_multitab_of_the_publishers(tmp_path):
    words = ["--kind", "multitab", "--dial", "preset=publishers", "--n-samples", 50]
    assert generate(tmp_path / "p.csv", *words)[1]["degrees"] == [2] * 7


def test_multitab_long_and_wide(tmp_path):
    dials = ["--kind", "multitab", "--n-samples", 20, "--correlation", 0.8, "--random-state", 3]
    long, facts = generate(tmp_path / "l.csv", *dials, "--missing-labels", 0.2)
    wide, _ = generate(tmp_path / "w.csv", *dials, "--layout", "wide")
    X, Y, truth = make_multitab_bench(20, correlation=0.8, return_truth=True, random_state=3)
    assert_allclose(wide.to_numpy(), np.hstack([X, Y]), rtol=1e-14)
    assert list(wide.columns[-7:]) == [f"y{task}" for task in range(7)]
    assert list(long.columns[-2:]) == ["task", "target"]
    assert 70 < len(long) < 140
    assert_allclose(facts["weights"], truth.weights)
    assert_allclose(facts["target_correlation"], truth.target_correlation)
    assert_array_equal(facts["noise_floor"], truth.noise_floor)


def test_nothing_is_written_over_unless_forced(tmp_path, capsys):
    path = tmp_path / "data.csv"
    generate(path, "--n-samples", 3)
    before = path.read_bytes()
    assert main(["generate", str(path), "--n-samples", "4"]) == 1
    assert "exists; give --force" in capsys.readouterr().err
    assert path.read_bytes() == before
    path.unlink()
    assert main(["generate", str(path), "--n-samples", "4"]) == 1
    assert "data.truth.json exists" in capsys.readouterr().err
    assert not path.exists()
    assert len(generate(path, "--n-samples", 4, "--force")[0]) == 40


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("d.txt", [], "is no .csv, .csv.gz or .parquet file"),
        ("nowhere/d.csv", [], "there is no folder"),
        ("d.csv", ["--correlation", "0.2"], "--correlation is no option of --kind outliers"),
        ("d.csv", ["--kind", "multitab", "--classification"], "--classification is no option"),
        ("d.csv", ["--kind", "multitab", "--correlation", "-1"], "between -0.166667 and 1"),
        ("d.csv", ["--n-tasks", "0"], "n_tasks must be >= 1, got 0"),
        ("d.csv", ["--kind", "clusters", "--n-tasks", "3"], "--n-tasks is no option of --kind cl"),
        ("d.csv", ["--kind", "pooled", "--n-outlier-tasks", "1"], "is no option of --kind pooled"),
        ("d.csv", ["--branching", "2,2"], "--branching is no option of --kind outliers"),
        ("d.csv", ["--kind", "hierarchy", "--branching", "2,1.5"], "branching[1] must be an int"),
        ("d.csv", ["--kind", "hierarchy", "--level-shares", "1,2"], "for each of the 4 levels"),
        (
            "d.csv",
            ["--kind", "multitab", "--dial", "drift=1"],
            "there is no dial 'drift'; there are 'degrees', 'task_types', ",
        ),
        (
            "d.csv",
            ["--kind", "multitab", "--noise", "1", "--dial", "noise=1,2"],
            "noise is given as an option and as a dial",
        ),
        ("d.csv", ["--dial", "drft=1"], "there is no dial 'drft'; did you mean 'drift'?"),
        ("d.csv", ["--dial", "q=1"], "there is no dial 'q'; there are 'feature_shift', "),
        ("d.csv", ["--dial", "drift"], "--dial drift has no value: give drift=VALUE"),
        ("d.csv", ["--dial", "drift=1", "--dial", "drift=0"], "--dial drift is given twice"),
        ("d.csv", ["--dial", "drift=2"], "drift must be in [0, 1], got 2"),
        ("d.csv", ["--dial", "drift=nan"], "drift must be in [0, 1], got nan"),
        ("d.csv", ["--dial", "drift=much"], "drift must be a real number, got 'much'"),
        ("d.csv", ["--dial", "drift=0,1"], "drift must be a real number, got [0, 1]"),
        ("d.csv", ["--dial", "n_categorical=1.5"], "n_categorical must be an integer, got 1.5"),
        ("d.csv", ["--dial", "class_prior=0.5"], "must be None unless classification is true"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, capsys, name, words, message):
    assert main(["generate", str(tmp_path / name), *words]) == 1
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_a_list_are_numbers(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["generate", str(tmp_path / "d.csv"), "--kind", "hierarchy", "--branching", "2,x"])
    assert "'2,x' is no list of numbers like 2,2,3" in capsys.readouterr().err
