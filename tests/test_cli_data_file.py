"""What the commands read from a file: labels as they are written, numbers as numbers."""

import numpy as np
import pandas as pd
import pytest

from rmtgb.cli.data_file import read_data
from rmtgb.cli.errors import CommandError


def read(tmp_path, text, **options):
    """Read a csv file with the columns t (task), x and y (target)."""
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    return read_data(path, "t", "y", **options)


def rows(labels, target=None):
    """Lines of a file with these task labels."""
    targets = range(len(labels)) if target is None else target
    lines = [
        f"{label},{i / 2},{y}" for i, (label, y) in enumerate(zip(labels, targets, strict=True))
    ]
    return "\n".join(["t,x,y", *lines]) + "\n"


class TestLabels:
    @pytest.mark.parametrize(
        "labels",
        [
            ["01", "1", "007"],
            ["NA", "null", "None", "nan"],
            ["1", "2.0", "3"],
            ["1.0", "1.50", "2"],
            ["1e5", "2"],
            ["+1", "2"],
            ["-0", "1"],
            ["True", "False"],
            ["99999999999999999999", "1"],
            ["1_000", "2"],
            ["inf", "1.5"],
            ["1", "a"],
        ],
    )
    def test_texts_stay_as_they_are_written(self, tmp_path, labels):
        X, _ = read(tmp_path, rows(labels))
        assert X["t"].tolist() == labels
        _, y = read(tmp_path, rows(labels, target=labels), numeric_target=False)
        assert y.tolist() == labels

    @pytest.mark.parametrize(
        ("labels", "numbers"),
        [
            (["10", "2", "-3", "0"], [10, 2, -3, 0]),
            (["0.5", "2.0", "-1.25"], [0.5, 2.0, -1.25]),
            (["999999999999999999", "1"], [999999999999999999, 1]),
        ],
    )
    def test_numbers_that_are_written_as_numbers_are(self, tmp_path, labels, numbers):
        X, _ = read(tmp_path, rows(labels))
        assert X["t"].tolist() == numbers
        assert X["t"].dtype.kind in "if"

    def test_a_missing_one_changes_no_other(self, tmp_path, capsys):
        X, _ = read(tmp_path, rows(["1", "", "2"]))
        assert X["t"].tolist() == [1, 2]
        assert "note: 1 row without a task label left out." in capsys.readouterr().err

    def test_what_else_is_missing_can_be_told(self, tmp_path, capsys):
        X, y = read(
            tmp_path, rows(["1", "NA", "?", "2", "3"], [0, 1, 2, "?", 4]), missing=["NA", "?"]
        )
        assert X["t"].tolist() == [1, 3]
        assert y.tolist() == [0, 4]
        assert "2 rows without a task label" in capsys.readouterr().err

    def test_parquet(self, tmp_path):
        pytest.importorskip("pyarrow")
        path = tmp_path / "data.parquet"
        frame = pd.DataFrame({"x": np.arange(4.0), "y": np.arange(4.0)})
        for labels, expected in (
            (["01", "1", None, "NA"], ["01", "1", "NA"]),
            (["1", "2", None, "3"], ["1", "2", "3"]),
            (pd.array([2**53 + 1, 2**53, None, 3], dtype="int64[pyarrow]"), [2**53 + 1, 2**53, 3]),
        ):
            frame.assign(t=labels).to_parquet(path)
            X, _ = read_data(path, "t", "y")
            assert X["t"].tolist() == expected
            assert all(type(label) is type(expected[0]) for label in X["t"].tolist())
        frame.assign(t=["NA", "1", "2", "2"]).to_parquet(path)
        assert read_data(path, "t", "y", missing=["NA"])[0]["t"].tolist() == ["1", "2", "2"]


class TestNumbers:
    def test_of_the_same_file_are_read_as_ever(self, tmp_path):
        text = "t,x,y\n01,007,1\n1,NA,2\n2,,3.5\n3,1e3,-4\n"
        X, y = read(tmp_path, text)
        np.testing.assert_array_equal(X["x"], [7.0, np.nan, np.nan, 1000.0])
        assert y.tolist() == [1.0, 2.0, 3.5, -4.0]

    def test_texts_that_keep_a_column_from_being_numbers_are_noted(self, tmp_path, capsys):
        X, _ = read(tmp_path, "t,x,y\na,1,1\nb,2,2\na,?,3\nb,3,4\n")
        assert isinstance(X["x"].dtype, pd.CategoricalDtype)
        message = (
            "column 'x' is taken as categories, because it holds '?' beside numbers; --missing"
        )
        assert message in capsys.readouterr().err
        read(tmp_path, "t,x,y\na,u,1\nb,2,2\na,v,3\nb,w,4\n")
        assert capsys.readouterr().err == ""


class TestRowNames:
    def test_an_index_that_was_written_too_is_left_out(self, tmp_path, capsys):
        frame = pd.DataFrame({"t": list("abab"), "x": [1.5, 2, 3, 4], "y": [1, 2, 3, 4]})
        for index in (range(4), ["p", "q", "r", "s"]):
            X, _ = read(tmp_path, frame.set_axis(index).to_csv())
            assert list(X.columns) == ["t", "x"]
            assert "column 'Unnamed: 0', which has no name" in capsys.readouterr().err

    def test_names_of_rows_without_a_field_in_the_header(self, tmp_path, capsys):
        X, y = read(tmp_path, "t,x,y\np,a,1.5,1\nq,b,2,2\n")
        assert X["t"].tolist() == ["a", "b"]
        assert y.tolist() == [1, 2]
        assert "the first column, which has no name in the header" in capsys.readouterr().err

    def test_a_comma_at_the_end_of_each_row_is_no_field(self, tmp_path, capsys):
        X, y = read(tmp_path, "x,t,y\n1.5,a,1,\n2,b,2,\n")
        assert X["t"].tolist() == ["a", "b"]
        assert X["x"].tolist() == [1.5, 2.0]
        assert y.tolist() == [1, 2]
        assert capsys.readouterr().err == ""

    def test_other_columns_without_a_name_are_kept(self, tmp_path, capsys):
        X, _ = read(tmp_path, ",t,x,y\n0.5,a,1,1\n0.5,b,2,2\n0.7,a,2,2\n")
        assert list(X.columns) == ["Unnamed: 0", "t", "x"]
        path = tmp_path / "data.csv"
        assert list(read_data(path, "Unnamed: 0", "y")[0].columns) == ["Unnamed: 0", "t", "x"]
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("header", "twice"), [("t,x,y,x", "x"), ("t,t,x,y", "t"), ("y,t,y,x", "y")]
)
def test_two_columns_of_one_name_are_refused(tmp_path, header, twice):
    with pytest.raises(CommandError, match=f"has more than one column '{twice}'"):
        read(tmp_path, f"{header}\n1,2,3,4\n2,3,4,5\n")


def test_a_numeric_target_of_texts_is_refused(tmp_path):
    with pytest.raises(CommandError, match="holds 'low', which is no number"):
        read(tmp_path, rows(["a", "b"], ["low", "high"]))
