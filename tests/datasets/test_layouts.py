import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from rmtgb.datasets import to_long, to_wide
from tests.oracles import datasets as oracle


def make_wide(n=12, d=3, n_tasks=4, missing=0.3, seed=0):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((n, d)), rng.standard_normal((n, n_tasks))
    Y[rng.random(Y.shape) < missing] = np.nan
    return X, Y


@given(
    n=st.integers(0, 12),
    d=st.integers(0, 3),
    n_tasks=st.integers(0, 4),
    missing=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_long_arrays_against_oracle(n, d, n_tasks, missing, seed):
    X, Y = make_wide(n, d, n_tasks, missing, seed)
    for actual, expected in zip(to_long(X, Y), oracle.to_long(X, Y), strict=True):
        assert_array_equal(actual, expected)


@given(
    n=st.integers(1, 12),
    n_tasks=st.integers(1, 4),
    missing=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_arrays_come_back_with_all_rows(n, n_tasks, missing, seed):
    X, Y = make_wide(n, 3, n_tasks, missing, seed)
    X[seed % n, 0] = np.nan  # a missing feature is equal to itself
    X_back, Y_back, tasks = to_wide(*to_long(X, Y, drop_missing=False))
    assert_array_equal(X_back, X)
    assert_array_equal(Y_back, Y)
    assert_array_equal(tasks, np.arange(n_tasks))


@pytest.mark.parametrize("drop_missing", [True, False])
def test_pandas_comes_back_with_index_and_names(drop_missing):
    X, Y = make_wide()
    Y[:, 0] = np.arange(12)  # so that every row has a label
    index = [f"row {i}" for i in np.random.default_rng(1).permutation(12)]
    X = pd.DataFrame(X, columns=["a", "b", "c"], index=index)
    X["kind"] = pd.Categorical(["u", "v", None] * 4)
    Y = pd.DataFrame(Y, columns=["y", "b", "x", "w"], index=index)
    X_long, y, rows = to_long(X, Y, task_feature="target", drop_missing=drop_missing)
    assert list(X_long.columns) == ["a", "b", "c", "kind", "target"]
    assert list(X_long.index) == list(range(len(X_long)))
    assert len(y) == (Y.notna().to_numpy().sum() if drop_missing else 48)
    assert y.name == "target"
    assert X_long["kind"].dtype == X["kind"].dtype
    X_back, Y_back, tasks = to_wide(
        X_long, y, rows, task_feature="target", tasks=["y", "b", "x", "w"]
    )
    pd.testing.assert_frame_equal(X_back, X)
    pd.testing.assert_frame_equal(Y_back, Y)
    assert_array_equal(tasks, ["y", "b", "x", "w"])


def test_polars_comes_back():
    X, Y = make_wide()
    X = pl.DataFrame(X, schema=["a", "b", "c"])
    Y = pl.DataFrame(Y, schema=["p", "q", "r", "s"]).fill_nan(None)
    X_long, y, rows = to_long(X, Y, drop_missing=False)
    assert isinstance(X_long, pl.DataFrame)
    assert isinstance(y, pl.Series)
    assert X_long["task"].to_list()[:4] == ["p", "q", "r", "s"]
    X_back, Y_back, _ = to_wide(X_long, y, rows)
    assert X_back.equals(X)
    assert Y_back.fill_nan(None).equals(Y)


def test_null_of_polars_is_dropped():
    Y = pl.DataFrame({"p": [1, None], "q": [2, 3]})
    X_long, y, rows = to_long(pl.DataFrame({"a": [0.1, 0.2]}), Y)
    assert y.to_list() == [1.0, 2.0, 3.0]
    assert rows.tolist() == [0, 0, 1]
    assert X_long["task"].to_list() == ["p", "q", "q"]


def test_frame_of_features_with_array_of_targets_and_the_reverse():
    X, Y = make_wide(missing=0)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    X_long, y, _ = to_long(frame, Y)
    assert X_long["task"].dtype.kind == "i"
    assert isinstance(y, np.ndarray)
    X_long, y, _ = to_long(X, pd.DataFrame(Y))
    assert isinstance(X_long, np.ndarray)
    assert_array_equal(y, Y.ravel())


def test_order_of_the_long_rows_does_not_matter_for_targets():
    X, Y = make_wide(missing=0)
    X_long, y, rows = to_long(X, Y)
    order = np.random.default_rng(0).permutation(len(y))
    X_back, Y_back, _ = to_wide(X_long[order], y[order], rows[order])
    in_order = np.argsort(pd.unique(rows[order]))
    assert_array_equal(X_back[in_order], X)
    assert_array_equal(Y_back[in_order], Y)


def test_types_of_targets_are_kept_where_nothing_is_missing():
    X, Y = make_wide(missing=0)
    X_long, y, rows = to_long(X.astype(np.float32), (Y > 0).astype(np.int64))
    assert X_long.dtype == np.float32
    assert y.dtype == np.int64
    assert to_wide(X_long, y, rows)[1].dtype == np.int64
    assert to_wide(X_long[1:], y[1:], rows[1:])[1].dtype == np.float64
    assert to_wide(X_long[1:], y[1:].astype(np.float32), rows[1:])[1].dtype == np.float32


@pytest.mark.parametrize("X", [np.zeros((1, 2), bool), np.zeros((1, 2), np.int8)])
def test_labels_survive_in_arrays_of_small_types(X):
    long, _, _ = to_long(X, np.arange(300.0)[None])
    assert_array_equal(long[:, -1], np.arange(300))
    long, _, _ = to_long(np.ones((1, 1), int), pd.DataFrame([[1.0, 2.0]], columns=[0.25, 0.5]))
    assert_array_equal(long[:, -1], [0.25, 0.5])


def test_samples_may_have_any_names():
    names = [("a", 1), ("a", 1), ("b", 2)]
    X_back, Y, _ = to_wide([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]], [1, 2, 3], names)
    assert_array_equal(X_back, [[1.0], [2.0]])
    assert_array_equal(Y, [[1, 2], [3, np.nan]])


def test_task_column_anywhere_and_tasks_without_label():
    X = np.array([[7.0, 1.0], [5.0, 1.0], [7.0, 2.0]])
    X_back, Y, tasks = to_wide(
        X, [0.1, 0.2, 0.3], ["r", "r", "s"], task_feature=0, tasks=[9, 5, 7]
    )
    assert_array_equal(X_back, [[1.0], [2.0]])
    assert_array_equal(Y, [[np.nan, 0.2, 0.1], [np.nan, np.nan, 0.3]])
    assert_array_equal(tasks, [9, 5, 7])


def test_input_is_left_alone():
    X, Y = make_wide()
    frames = pd.DataFrame(X), pd.DataFrame(Y)
    copies = frames[0].copy(), frames[1].copy()
    X_long, y, rows = to_long(*frames)
    long_copy = X_long.copy()
    to_wide(X_long, y, rows)
    for frame, copy in zip((*frames, X_long), (*copies, long_copy), strict=True):
        pd.testing.assert_frame_equal(frame, copy)


@pytest.mark.parametrize(
    ("X", "Y", "params", "error", "message"),
    [
        (np.ones((3, 2)), np.ones((4, 2)), {}, ValueError, "same number of rows, got 3 and 4"),
        (np.ones(3), np.ones((3, 2)), {}, ValueError, r"X must have two dimensions.*\(3,\)"),
        (np.ones((3, 2)), np.ones(3), {}, ValueError, "Y must have two dimensions"),
        (np.ones((1, 2)), [["a"]], {}, TypeError, "Y must hold numbers"),
        (np.ones((1, 2)), pd.DataFrame({"t": ["a"]}), {}, TypeError, "its column 't' is of type"),
        (np.ones((1, 2)), pd.DataFrame({"t": [1.0]}), {}, ValueError, "Give X as a frame"),
        (pd.DataFrame({"task": [1.0]}), np.ones((1, 1)), {}, ValueError, "already a column"),
        (
            pd.DataFrame({"a": [1.0]}, index=[3]),
            pd.DataFrame({"t": [1.0]}, index=[4]),
            {},
            ValueError,
            "same index",
        ),
    ],
)
def test_to_long_refuses(X, Y, params, error, message):
    with pytest.raises(error, match=message):
        to_long(X, Y, **params)


LONG = np.array([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])


@pytest.mark.parametrize(
    ("X", "y", "rows", "params", "error", "message"),
    [
        (LONG, [1.0, 2.0], [0, 0, 1], {}, ValueError, "same length, got 3, 2 and 3"),
        (LONG, [1.0, 2.0, 3.0], [0, 0, 0], {}, ValueError, "feature 0 is not the same.* 0"),
        (LONG[[0, 0, 1]], [1.0, 2.0, 3.0], [0, 0, 0], {}, ValueError, "two labels of task 0"),
        (LONG, ["a", "b", "c"], [0, 0, 1], {}, TypeError, "vector of numbers"),
        (LONG, np.ones(3), [0, np.nan, 1], {}, ValueError, "rows must not be missing"),
        (
            LONG * [1, np.nan],
            np.ones(3),
            [0, 0, 1],
            {},
            ValueError,
            "The task must not be missing",
        ),
        (LONG, np.ones((3, 1)), [0, 0, 1], {}, ValueError, r"shape \(3, 1\)"),
        (LONG, np.ones(3), [0, 0, 1], {"task_feature": 2}, ValueError, "in the 2 columns.*got 2"),
        (LONG, np.ones(3), [0, 0, 1], {"task_feature": "t"}, ValueError, "a position in the 2"),
        (
            LONG,
            np.ones(3),
            [0, 0, 1],
            {"tasks": [0, 7]},
            ValueError,
            r"task .*1.* is not in tasks",
        ),
        (pd.DataFrame(LONG), np.ones(3), [0, 0, 1], {}, ValueError, "'task' is no column of X"),
    ],
)
def test_to_wide_refuses(X, y, rows, params, error, message):
    with pytest.raises(error, match=message):
        to_wide(X, y, rows, **params)
