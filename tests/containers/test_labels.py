"""Columns of labels; how tasks use them is tested in tests/tasks/test_encoder.py."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from rmtgb.containers import LabelEncoder, as_array


def test_missing_labels_have_no_code():
    encoder = LabelEncoder("Column 'c'").fit(["b", None, "a", np.nan])
    assert encoder.labels_.tolist() == ["a", "b"]
    np.testing.assert_array_equal(encoder.encode(["a", None, "z"]), [0, -1, -1])
    assert pickle.loads(pickle.dumps(encoder)).encode(["b"]).tolist() == [1]


def test_no_label_at_all():
    encoder = LabelEncoder("Column 'c'").fit([None, None])
    assert encoder.labels_.size == 0
    np.testing.assert_array_equal(encoder.encode(["a", 1]), [-1, -1])


def test_messages_begin_with_the_name():
    encoder = LabelEncoder("Column 'c'").fit(["a"])
    with pytest.raises(ValueError, match=r"^Column 'c' holds numbers .* held strings"):
        encoder.encode([1])
    with pytest.raises(ValueError, match=r"^Column 'c' must be one-dimensional"):
        encoder.encode(np.ones((2, 2)))
    with pytest.raises(TypeError, match=r"^Column 'c' must hold labels that are hashable"):
        encoder.encode([[1]])


TENTHS = np.array([0.1, 0.2, 0.3])


@pytest.mark.parametrize("coarse", ["f2", "f4"])
def test_floats_match_in_the_coarser_precision(coarse):
    for fitted, new in ((TENTHS, TENTHS.astype(coarse)), (TENTHS.astype(coarse), TENTHS)):
        encoder = LabelEncoder("c").fit(fitted)
        np.testing.assert_array_equal(encoder.encode(new), [0, 1, 2])
        np.testing.assert_array_equal(encoder.encode(np.r_[new, 0.4].astype(new.dtype))[3], -1)


def test_floats_that_cannot_be_told_apart():
    encoder = LabelEncoder("c").fit([0.1, 0.1 + 1e-12])
    with pytest.raises(ValueError, match="c holds float32, which cannot tell apart"):
        encoder.encode(np.array([0.1], dtype="f4"))
    assert LabelEncoder("c").fit([1e300, 1.0]).encode(np.ones(1, "f4")).tolist() == [0]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series([0.1, None, 0.3], dtype="Float32"),
        pd.Series(pd.Categorical(np.array([0.1, np.nan, 0.3], "f4"))),
        pl.Series([0.1, None, 0.3], dtype=pl.Float32),
    ],
    ids=["nullable", "categorical", "polars"],
)
def test_floats_beside_a_missing_one_stay_floats(column):
    array = as_array(column)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, np.array([0.1, np.nan, 0.3], "f4"))


def test_masked_labels_are_missing():
    masked = np.ma.MaskedArray([1, 2, 3], mask=[False, True, False])
    assert as_array(masked).tolist() == [1, None, 3]
    assert as_array(np.ma.MaskedArray([1, 2, 3])).dtype == np.int64


def test_any_byte_order():
    for dtype in (">i8", "<i8", ">f4", ">M8[D]"):
        labels = np.array([3, 1, 3, 2]).astype(dtype)
        encoder = LabelEncoder("task").fit(labels)
        assert encoder.encode(labels).tolist() == [2, 0, 2, 1]
        assert encoder.encode(labels.astype(labels.dtype.newbyteorder())).tolist() == [2, 0, 2, 1]


class TestLabelsThatComeLater:
    @pytest.mark.parametrize(
        ("first", "later", "labels"),
        [
            (["m", "c"], ["z", "a", "m", "b"], ["c", "m", "a", "b", "z"]),
            ([5, 3], np.array([4, 1, 5]), [3, 5, 1, 4]),
            ([1, "a"], ["c", 0], [1, "a", 0, "c"]),
            ([2, 1], [2, 1], [1, 2]),
        ],
    )
    def test_known_labels_keep_their_codes(self, first, later, labels):
        encoder = LabelEncoder("The column").fit(first)
        before = encoder.labels_.tolist()
        extended = pickle.loads(pickle.dumps(encoder.extended(later)))
        assert extended.labels_.tolist() == labels
        np.testing.assert_array_equal(extended.encode(labels), np.arange(len(labels)))
        assert encoder.labels_.tolist() == before, "it is another encoder"

    def test_floats_are_compared_in_the_coarser_precision(self):
        encoder = LabelEncoder("The column").fit(np.array([0.1, 0.7], np.float32))
        extended = encoder.extended(np.array([0.1, 0.3]))
        np.testing.assert_array_equal(extended.encode(np.array([0.7, 0.3])), [1, 2])
        np.testing.assert_array_equal(extended.encode(np.array([0.3], np.float32)), [2])

    def test_labels_of_another_kind_are_refused(self):
        with pytest.raises(ValueError, match="The column holds strings"):
            LabelEncoder("The column").fit([1, 2]).extended(["a"])
