import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from rmtgb.tasks import TaskIndex


def check_against_definition(codes, n_tasks):
    index = TaskIndex.from_codes(codes, n_tasks)
    assert index.codes.dtype == index.offsets.dtype == np.int64
    assert index.order.dtype == np.intp
    assert index.n_tasks == n_tasks
    assert_array_equal(index.codes, codes)
    assert_array_equal(index.order, np.argsort(codes, kind="stable"))
    assert_array_equal(index.counts, np.bincount(codes, minlength=n_tasks))
    assert index.offsets[0] == 0
    assert index.offsets[-1] == len(codes)
    return index


@settings(deadline=None, max_examples=50)
@given(codes=st.lists(st.integers(0, 6), max_size=40), n_empty=st.integers(0, 3))
def test_rows_of_each_task(codes, n_empty):
    n_tasks = max(codes, default=0) + 1 + n_empty
    index = check_against_definition(np.array(codes, dtype=np.int64), n_tasks)
    for task in range(n_tasks):
        assert_array_equal(index.rows(task), np.flatnonzero(np.array(codes) == task))


@pytest.mark.parametrize("n_tasks", [1, 2, 65_535, 65_536, 65_537, 200_000])
def test_any_number_of_tasks(n_tasks):
    codes = np.random.default_rng(0).integers(n_tasks, size=2_000)
    codes[:2] = 0, n_tasks - 1
    check_against_definition(codes, n_tasks)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64])
def test_codes_are_only_copied_to_convert(dtype):
    codes = np.array([1, 0, 1], dtype=dtype)
    index = check_against_definition(codes, 2)
    assert np.shares_memory(index.codes, codes) == (dtype is np.int64)
    assert_array_equal(codes, [1, 0, 1])


def test_no_rows():
    index = TaskIndex.from_codes([], 3)
    assert_array_equal(index.counts, [0, 0, 0])
    assert index.rows(2).size == 0
    assert TaskIndex.from_codes([], 0).n_tasks == 0


def test_frozen():
    index = TaskIndex.from_codes([0], 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        index.codes = np.zeros(1)


@pytest.mark.parametrize("bad", [-1, 2])
def test_code_out_of_range(bad):
    with pytest.raises(ValueError, match=rf"0\.\.1 for n_tasks=2: 1 do not, .* {bad} in row 1"):
        TaskIndex.from_codes([0, bad, 1], 2)


def test_shape_and_dtype_of_codes():
    with pytest.raises(ValueError, match="one-dimensional"):
        TaskIndex.from_codes([[0]], 1)
    with pytest.raises(TypeError, match="integers, got dtype float64"):
        TaskIndex.from_codes([0.0], 1)


@pytest.mark.parametrize("task", [-1, 2])
def test_rows_of_no_task(task):
    with pytest.raises(IndexError, match=rf"0\.\.1, got {task}"):
        TaskIndex.from_codes([0, 1], 2).rows(task)
