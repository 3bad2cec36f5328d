import copy
import datetime as dt
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from rmtgb.containers import as_array
from rmtgb.tasks import TaskEncoder, describe_unseen

DAY = dt.datetime(2024, 2, 29)
NEXT_DAY = dt.datetime(2024, 3, 1)
DAYS = [DAY, dt.datetime(1990, 1, 1), NEXT_DAY, DAY]
DATES = [day.date() for day in DAYS]
UTC_DAYS = [day.replace(tzinfo=dt.UTC) for day in DAYS]
LETTERS = ["b", "a", "c", "b"]

LABELS_OF_EACH_KIND = {
    "list of str": LETTERS,
    "numpy str": np.array(LETTERS),
    "numpy str object": np.array(LETTERS, dtype=object),
    "numpy variable-width str": np.array(LETTERS, dtype=np.dtypes.StringDType()),
    "numpy bytes": np.array(LETTERS, dtype="S1"),
    "pandas str": pd.Series(LETTERS),
    "pandas string": pd.Series(LETTERS, dtype="string"),
    "pandas categorical": pd.Series(pd.Categorical(LETTERS, categories=list("zcbay"))),
    "pandas Categorical": pd.Categorical(LETTERS, categories=list("cba"), ordered=True),
    "pandas Index": pd.Index(LETTERS),
    "polars str": pl.Series(LETTERS),
    "polars Categorical": pl.Series(LETTERS, dtype=pl.Categorical),
    "polars Enum": pl.Series(LETTERS, dtype=pl.Enum(list("zcbay"))),
    "int": np.array([5, -2, 7, 5]),
    "int8": np.array([5, -2, 7, 5], dtype=np.int8),
    "uint64": np.array([5, 2, 2**64 - 1, 5], dtype=np.uint64),
    "big int": [2**53 + 1, 2**53, 2**70, 2**53 + 1],
    "pandas Int64": pd.Series([5, -2, 7, 5], dtype="Int64"),
    "polars int": pl.Series([5, -2, 7, 5]),
    "float": np.array([0.5, -np.inf, 7.0, 0.5]),
    "float16": np.array([0.5, 0.25, 7.0, 0.5], dtype=np.float16),
    "integers and a float": [1, 0.5, 2**53 + 1, 1],
    "bool and int": [True, 0, 7, True],
    "categorical of int": pd.Categorical([5, -2, 7, 5]),
    "datetime64": np.array(DAYS, dtype="M8[D]"),
    "pandas datetime": pd.Series(DAYS),
    "pandas datetime with zone": pd.Series(UTC_DAYS),
    "polars datetime": pl.Series(DAYS),
    "polars datetime with zone": pl.Series(UTC_DAYS),
    "polars date": pl.Series(DATES),
    "dates": DATES,
    "timedelta": pd.Series(pd.to_timedelta([5, 2, 7, 5], unit="D")),
    "tuples": [("b", 1), ("a", 2), ("c", 1), ("b", 1)],
    "periods": pd.period_range("2020", periods=3, freq="M")[[1, 0, 2, 1]],
    "intervals": pd.IntervalIndex.from_breaks([0, 1, 2, 3])[[1, 0, 2, 1]],
}


@pytest.mark.parametrize("labels", LABELS_OF_EACH_KIND.values(), ids=LABELS_OF_EACH_KIND)
def test_every_kind_of_label(labels):
    # NumPy 2.0.0 crashes at a deep copy of variable-width strings
    before = labels.copy() if isinstance(labels, np.ndarray) else copy.deepcopy(labels)
    encoder = TaskEncoder().fit(labels)
    assert encoder.tasks_.shape == (3,)
    codes = encoder.encode(labels)
    assert codes.dtype == np.int64
    assert_array_equal(codes, [1, 0, 2, 1])
    assert_array_equal(encoder.encode(labels[2:]), [2, 1])
    assert_array_equal(encoder.encode(list(labels)[::-1]), [1, 2, 0, 1])
    assert_array_equal(encoder.encode(encoder.tasks_), [0, 1, 2])
    assert_array_equal(TaskEncoder().fit(encoder.tasks_).tasks_, encoder.tasks_)
    assert_array_equal(pickle.loads(pickle.dumps(encoder)).encode(labels), codes)
    assert_array_equal(as_array(labels), as_array(before))
    assert type(labels) is type(before)


@pytest.mark.parametrize(
    ("labels", "dtype", "tasks"),
    [
        (np.array([2, 1], dtype=np.int16), np.int64, [1, 2]),
        (np.array([2, 1], dtype=object), np.int64, [1, 2]),
        (np.array([2.5, 1], dtype=np.float32), np.float64, [1, 2.5]),
        ([True, False], np.bool_, [False, True]),
        (np.array(["b", "a"]), object, ["a", "b"]),
        ([2**53 + 1, 0.5], object, [0.5, 2**53 + 1]),
        ([2**64 - 1, -1], object, [-1, 2**64 - 1]),
        (pd.Categorical(["b", "a"], categories=list("cba")), object, ["a", "b"]),
        ([], object, []),
    ],
)
def test_tasks_are_sorted_and_of_native_dtype(labels, dtype, tasks):
    fitted = TaskEncoder().fit(labels).tasks_
    assert fitted.dtype == dtype
    assert fitted.tolist() == tasks


@pytest.mark.parametrize(
    ("fitted", "same"),
    [
        ([1, 2], [1.0, 2.0]),
        ([1, 2], np.array([1, 2], dtype=object)),
        (np.array([1.0, 2.0]), pl.Series([1, 2])),
        (np.array([1.0, 2.0]), pd.Series([1, 2], dtype="Int8")),
        ([False, True], [0.0, 1.0]),
        (["a", "b"], [np.str_("a"), np.str_("b")]),
        (np.array(["a", "b"]), pl.Series(["a", "b"], dtype=pl.Categorical)),
        (pd.Categorical(["a", "b"]), pl.Series(["a", "b"], dtype=pl.Enum(["b", "a"]))),
        (pd.DatetimeIndex([DAY, NEXT_DAY]), pl.Series(DATES[::2])),
        (np.array([DAY, NEXT_DAY], dtype="M8[ns]"), [DAY, NEXT_DAY.date()]),
        (pd.Series(UTC_DAYS[::2]), pl.Series(UTC_DAYS[::2])),
        (np.array([1, 2], dtype="m8[D]"), [dt.timedelta(1), pd.Timedelta(2, "D")]),
        ([1, "a"], np.array([1.0, "a"], dtype=object)),
    ],
)
def test_equal_labels_of_another_container(fitted, same):
    assert_array_equal(TaskEncoder().fit(fitted).encode(same), [0, 1])
    assert_array_equal(TaskEncoder().fit(same).encode(fitted), [0, 1])


def test_large_integers_stay_apart():
    labels = [2**53, 2**53 + 1, None]
    encoder = TaskEncoder().fit(labels[:2])
    for gaps in (pl.Series(labels), pd.Series(labels, dtype="Int64"), pd.Categorical(labels)):
        assert_array_equal(encoder.encode(gaps), [0, 1, -1])


def test_date_and_datetime_of_one_instant_are_one_task():
    encoder = TaskEncoder().fit([DAY, DAY.date(), np.datetime64(DAY), pd.Timestamp(DAY)])
    assert encoder.tasks_.shape == (1,)


def test_unseen_labels_are_never_learnt():
    encoder = TaskEncoder().fit(["a", "c"])
    assert_array_equal(encoder.encode(["b", "c", "d", "b"]), [-1, 1, -1, -1])
    assert_array_equal(encoder.encode(["b", "a"]), [-1, 0])
    assert encoder.tasks_.tolist() == ["a", "c"]
    assert_array_equal(encoder.encode([]), np.zeros(0))


MISSING = {
    "object": np.array(["a", None, np.nan, pd.NA, pd.NaT, "b"], dtype=object),
    "list": ["a", None, float("nan"), pd.NA, pd.NaT, "b"],
    "masked": np.ma.MaskedArray(["a"] * 5 + ["b"], mask=[0, 1, 1, 1, 1, 0]),
    "pandas str": pd.Series(["a", None, None, None, None, "b"]),
    "pandas string": pd.Series(["a", None, None, None, None, "b"], dtype="string"),
    "pandas category": pd.Series(["a", None, None, None, None, "b"], dtype="category"),
    "polars": pl.Series(["a", None, None, None, None, "b"]),
    "polars Categorical": pl.Series(["a", None, None, None, None, "b"], dtype=pl.Categorical),
}


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_missing_labels(labels):
    with pytest.raises(ValueError, match=r"^4 of 6 rows have a missing task label \(first: row 1"):
        TaskEncoder().fit(labels)
    encoder = TaskEncoder().fit(["a", "b"])
    codes = encoder.encode(labels)
    assert_array_equal(codes, [0, -1, -1, -1, -1, 1])
    assert describe_unseen(labels, codes) == "4 rows without a task label"


@pytest.mark.parametrize(
    ("missing", "seen"),
    [
        (np.array([1.0, np.nan]), [1.0]),
        (pd.Series([True, None], dtype="boolean"), [True]),
        (np.array(["2024-02-29", "NaT"], dtype="M8[s]"), [DAY]),
        (np.array([1, "NaT"], dtype="m8[D]"), [dt.timedelta(1)]),
    ],
)
def test_missing_labels_that_are_no_strings(missing, seen):
    with pytest.raises(ValueError, match="1 of 2 rows have a missing task label"):
        TaskEncoder().fit(missing)
    assert_array_equal(TaskEncoder().fit(seen).encode(missing), [0, -1])


@pytest.mark.parametrize("labels", [[None, None], np.full(2, np.nan), pl.Series([None, None])])
def test_all_labels_missing_is_no_other_kind(labels):
    assert_array_equal(TaskEncoder().fit(["a"]).encode(labels), [-1, -1])


@pytest.mark.parametrize(
    ("fitted", "given", "message"),
    [
        (["a"], np.array([0.5]), r"numbers \(dtype float64.*0\.5.*strings \(dtype object.*'a'"),
        ([1], np.array(["1"]), r"strings \(dtype <U1.*'1'.*numbers \(dtype int64.*example 1\)"),
        ([1, 2], ["1", None], r"strings \(dtype object.*numbers \(dtype int64"),
        ([DAY], ["2024-02-29"], r"strings .*datetimes \(dtype datetime64"),
        (["a"], [b"a"], r"holds bytes .*strings"),
        ([("a", 1)], ["a"], r"strings .*tuples \(dtype object, for example \('a', 1\)"),
    ],
)
def test_labels_of_another_kind(fitted, given, message):
    with pytest.raises(ValueError, match=message):
        TaskEncoder().fit(fitted).encode(given)


def test_a_shared_kind_is_enough():
    encoder = TaskEncoder().fit(["a", 1])
    assert_array_equal(encoder.encode([1.0]), [0])
    assert_array_equal(TaskEncoder().fit(["a"]).encode(["a", 1]), [0, -1])


def test_labels_that_cannot_be_compared():
    labels = [2, "b", ("x",), 0.5, "a", 1]
    for order in (labels, labels[::-1]):
        assert TaskEncoder().fit(order).tasks_.tolist() == [0.5, 1, 2, "a", "b", ("x",)]
    # no order at all: by first appearance, although sorted() would accept sets
    labels = [frozenset("b"), frozenset("a"), frozenset("b")]
    assert TaskEncoder().fit(labels).tasks_.tolist() == labels[:2]
    assert TaskEncoder().fit([1j, 2, "a"]).tasks_.tolist() == [1j, 2, "a"]
    zones = [UTC_DAYS[0], DAY]
    encoder = TaskEncoder().fit(zones)
    assert_array_equal(encoder.encode(zones), [0, 1])


@pytest.mark.parametrize("labels", [[[1], [2]], [{}], pl.Series([[1], [2]])])
def test_unhashable_labels(labels):
    with pytest.raises(TypeError, match="The task column must hold labels that are hashable"):
        TaskEncoder().fit(labels)


@pytest.mark.parametrize(
    "labels", ["abc", 3, {1, 2}, np.ones((3, 1)), pd.DataFrame({"a": [1]}), np.array(1)]
)
def test_labels_of_another_dimension(labels):
    with pytest.raises(ValueError, match="The task column must be one-dimensional, got"):
        TaskEncoder().fit(labels)


def test_failed_fit_keeps_the_fitted_state():
    encoder = TaskEncoder().fit(["a"])
    with pytest.raises(ValueError, match="missing"):
        encoder.fit(["b", None])
    assert encoder.tasks_.tolist() == ["a"]
    assert_array_equal(encoder.encode(["a"]), [0])


def test_ten_thousand_labels():
    labels = np.array([f"task {i}" for i in range(10_000)])
    rows = np.random.default_rng(0).permutation(np.repeat(np.arange(10_000), 3))
    encoder = TaskEncoder().fit(labels[rows])
    assert_array_equal(encoder.tasks_, np.sort(labels))
    assert_array_equal(encoder.tasks_[encoder.encode(labels[rows])], labels[rows])
    assert len(pickle.dumps(encoder)) < 25 * 10_000


def test_pickle_before_fit():
    encoder = pickle.loads(pickle.dumps(TaskEncoder()))
    assert encoder.fit(["b", "a"]).tasks_.tolist() == ["a", "b"]


def test_describe_unseen():
    encoder = TaskEncoder().fit(["a"])
    labels = ["a", "x", None, "y", "x", "z"]
    codes = encoder.encode(labels)
    both = "4 rows of 3 unseen tasks ('x', 'y', 'z') and 1 row without a task label"
    assert describe_unseen(labels, codes) == both
    assert describe_unseen(labels[1:2], codes[1:2]) == "1 row of 1 unseen task ('x')"
    assert "('x', 2 more)" in describe_unseen(labels, codes, limit=1)
    assert describe_unseen(["a"], np.array([0])) == ""
    many = np.arange(100)
    assert describe_unseen(many, np.full(100, -1)).endswith("(0, 1, 2, 3, 4, 95 more)")


# To pandas before 3.0 a string ends at its first NUL.
CHARACTERS = st.characters(exclude_characters="\0" if pd.__version__ < "3" else "")
LABEL_LISTS = st.one_of(
    st.lists(st.integers(-(2**70), 2**70), min_size=1, max_size=30),
    st.lists(st.floats(allow_nan=False), min_size=1, max_size=30),
    st.lists(st.text(CHARACTERS, max_size=3), min_size=1, max_size=30),
    st.lists(st.tuples(st.integers(0, 2), st.text("ab", max_size=1)), min_size=1, max_size=30),
    st.lists(st.datetimes() | st.dates(), min_size=1, max_size=30),
    st.lists(st.integers(0, 3) | st.sampled_from("abc"), min_size=1, max_size=30),
)


@settings(deadline=None, max_examples=150)
@given(labels=LABEL_LISTS, data=st.data())
def test_code_of_a_row_depends_on_its_label_alone(labels, data):
    encoder = TaskEncoder().fit(labels)
    codes = encoder.encode(labels)
    assert codes.min() == 0
    assert codes.max() == encoder.tasks_.size - 1 == np.unique(codes).size - 1
    rows = data.draw(st.lists(st.integers(0, len(labels) - 1), max_size=10))
    assert_array_equal(encoder.encode([labels[i] for i in rows]), codes[rows])
    shuffled = data.draw(st.permutations(labels))
    assert_array_equal(TaskEncoder().fit(shuffled).encode(labels), codes)


@settings(deadline=None, max_examples=50)
@given(
    tasks=st.lists(st.integers(0, 9), min_size=1, max_size=30), names=st.permutations(range(10))
)
def test_relabelling_permutes_the_codes(tasks, names):
    relabelled = [f"t{names[task]}" for task in tasks]
    codes = TaskEncoder().fit(tasks).encode(tasks)
    new_codes = TaskEncoder().fit(relabelled).encode(relabelled)
    pairs = set(zip(codes.tolist(), new_codes.tolist(), strict=True))
    assert len(pairs) == len(set(codes.tolist())) == len(set(new_codes.tolist()))


@settings(deadline=None, max_examples=50)
@given(labels=st.lists(st.integers(0, 5) | st.none(), min_size=1, max_size=30))
def test_containers_agree(labels):
    encoder = TaskEncoder().fit([0, 2, 4])
    expected = [{0: 0, 2: 1, 4: 2}.get(label, -1) for label in labels]
    floats = np.array([np.nan if label is None else label for label in labels])
    for container in (
        labels,
        floats,
        pd.Series(labels, dtype="Int64"),
        pd.Categorical(labels),
        pl.Series(labels, dtype=pl.Int32),
    ):
        assert_array_equal(encoder.encode(container), expected)
