"""`rmtgb generate`: the files hold what the generators give."""

import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.cli import main
from rmtgb.datasets import make_multitab_bench, make_task_scenario


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
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, capsys, name, words, message):
    assert main(["generate", str(tmp_path / name), *words]) == 1
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
