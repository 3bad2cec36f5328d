"""Checks and words that several parts of the package share."""

import numpy as np
import pytest

from rmtgb._common import (
    as_floats,
    check_integer,
    check_integers,
    check_real,
    check_semidefinite,
    counted,
    dimensions,
    named,
    real_numbers,
)


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_integers_of_python_and_numpy(value):
    assert check_integer("n", value, minimum=3) == 3
    assert type(check_integer("n", value, minimum=3)) is int


@pytest.mark.parametrize("value", [3.0, True, np.True_, "3", None, np.array([3])])
def test_what_is_no_integer_is_a_type_error(value):
    with pytest.raises(TypeError, match="n must be an integer, got"):
        check_integer("n", value, minimum=1)


def test_integers_below_the_minimum_are_a_value_error_that_names_the_place():
    with pytest.raises(ValueError, match="n must be >= 4, got 3"):
        check_integer("n", 3, minimum=4)
    with pytest.raises(ValueError, match=r"n\[1\] must be >= 0, got -1"):
        check_integers("n", [2, -1], minimum=0)


@pytest.mark.parametrize("values", [3, [], [[1]], {1}, [[1], [1, 2]]])
def test_only_a_sequence_is_one_of_integers(values):
    with pytest.raises(ValueError, match="n must be a sequence of one or more integers, got"):
        check_integers("n", values, minimum=0)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j])
def test_what_is_no_real_number(value):
    with pytest.raises(TypeError, match="x must be a real number, got"):
        check_real("x", value)


def test_plural():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]


def test_floats_are_a_copy_of_the_shape_that_is_wanted():
    given = np.ones((2, 3))
    read = as_floats("x", given, (None, 3))
    assert read.dtype == np.float64
    assert not np.shares_memory(read, given)
    with pytest.raises(ValueError, match=r"x must have shape \('any', 2\), got \(2, 3\)"):
        as_floats("x", given, (None, 2))


@pytest.mark.parametrize(
    "values", [[1j], ["1"], [b"1"], [None, "1"], np.ones(1, "M8[s]"), [[1], []]]
)
def test_what_are_no_real_numbers_is_a_type_error(values):
    with pytest.raises(TypeError, match=r"x must hold (real )?numbers"):
        as_floats("x", values, (None,))


def test_what_is_not_finite_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"x must be finite, got inf in x\[1, 0\]"):
        as_floats("x", [[1, 2], [np.inf, np.nan]], (None, None))
    with pytest.raises(ValueError, match=r"x must be finite, got nan in x\.$"):
        as_floats("x", np.nan, ())


def test_semidefinite_matrices():
    assert check_semidefinite("x", np.diag([2.0, 3.0]), 1e-12) == pytest.approx(2)
    assert check_semidefinite("x", np.diag([1.0, -1e-13]), 1e-12) <= 0
    with pytest.raises(ValueError, match=r"symmetric, got 0\.5 at \(0, 1\) and 0\.0 at \(1, 0\)"):
        check_semidefinite("x", np.array([[1, 0.5], [0, 1]]), 1e-12)
    with pytest.raises(ValueError, match=r"x must be positive semidefinite; .* is -1, at least 0"):
        check_semidefinite("x", np.diag([1.0, -1.0]), 1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [(3, 0), ("ab", 0), ([1, 2], 1), (np.ones((2, 3)), 2), ([[1], [2, 3]], -1), ([], 1)],
)
def test_dimensions_of_anything(values, expected):
    assert dimensions(values) == expected


def test_masked_values_are_no_numbers():
    masked = np.ma.masked_greater([1.0, 2.0], 1.5)
    with pytest.raises(TypeError, match="x must not have masked values"):
        real_numbers("x", masked)
    assert real_numbers("x", np.ma.masked_greater([1.0, 2.0], 3.0)).tolist() == [1, 2]


def test_of_many_names_some_are_listed():
    assert named(["a", 1]) == "'a', 1"
    assert named(list("abcdefgh")).endswith("'h'")
    assert named(list("abcdefghij")) == "'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h' and 2 more"
