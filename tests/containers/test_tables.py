"""Tables and columns of every library: what they are, and parts of them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse

from rmtgb.containers import (
    as_array,
    as_frame,
    as_table,
    column_names,
    refuse_ambiguous_position,
    take_column,
    take_columns,
    take_rows,
)

COLUMNS = {"a": [1.0, 2.0, 3.0], "b": ["u", "v", "u"], "c": [4, 5, 6]}
KEEP = np.array([True, False, True])


def arrow(columns):
    return pytest.importorskip("pyarrow").table(columns)


FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": arrow}


@pytest.mark.parametrize("library", FRAMES)
class TestFrames:
    def test_kind_and_names(self, library):
        X = FRAMES[library](COLUMNS)
        assert as_table(X) is X
        assert as_frame(X) is not None
        assert column_names(X) == ["a", "b", "c"]

    def test_columns(self, library):
        X = FRAMES[library](COLUMNS)
        assert as_array(take_column(X, 1)).tolist() == ["u", "v", "u"]
        part = take_columns(X, [0, 2])
        assert type(part) is type(X)
        assert column_names(part) == ["a", "c"]

    def test_rows(self, library):
        part = take_rows(FRAMES[library](COLUMNS), KEEP)
        assert type(part) is type(FRAMES[library](COLUMNS))
        assert as_array(take_column(part, 2)).tolist() == [4, 6]


def test_arrays():
    X = np.arange(6).reshape(3, 2)
    assert as_table(X) is X
    assert as_frame(X) is None
    assert column_names(X) is None
    assert take_column(X, 1).tolist() == [1, 3, 5]
    assert take_columns(X, [1]).tolist() == [[1], [3], [5]]
    masked = np.ma.MaskedArray(X, X == 3)
    assert as_table(masked) is masked


def test_lists_keep_the_types_of_their_values():
    assert as_table([[1, "a"], [2, "b"]]).tolist() == [[1, "a"], [2, "b"]]
    assert as_table([[1, 2], [3, 4]]).dtype == np.int64


@pytest.mark.parametrize(
    "values",
    [
        [1, 2, 3],
        (1, 2, 3),
        np.array([1, 2, 3]),
        np.ma.MaskedArray([1, 2, 3]),
        pd.Series([1, 2, 3], index=[2, 0, 1]),
        pd.Index([1, 2, 3]),
        pd.Categorical([1, 2, 3]),
        pl.Series([1, 2, 3]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_rows_of_columns(values):
    part = take_rows(values, KEEP)
    assert list(part) == [1, 3]
    assert type(part) is (list if isinstance(values, tuple) else type(values))


def test_rows_of_nothing():
    assert take_rows(None, KEEP) is None


@pytest.mark.parametrize("X", [None, {"a": [1]}, {1}, "abc", b"abc", sparse.eye(3)])
def test_what_is_no_table(X):
    with pytest.raises(TypeError, match=r"X must be a data frame|X is a sparse"):
        as_table(X)


def test_a_lazy_frame_has_no_rows():
    with pytest.raises(TypeError, match=r"give X\.collect\(\)"):
        as_frame(pl.DataFrame(COLUMNS).lazy())


def test_numbers_that_are_names():
    for names in ([0, 1, 2], ["a", "b"], [5, 6, 7], ["0", "1"], [True, False]):
        refuse_ambiguous_position(0, names, "p")
        refuse_ambiguous_position(-1, names, "p")
    for position, names in ((0, [1, 0]), (2, [2, 1, 0]), (5, [5, 6]), (-1, [-1, 0])):
        with pytest.raises(ValueError, match=rf"p={position} is ambiguous"):
            refuse_ambiguous_position(position, names, "p")
