"""Checks and words that several parts of the package share."""

import numpy as np
import pytest

from rmtgb._common import check_integer, check_integers, check_real, counted


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


@pytest.mark.parametrize("values", [3, [], [[1]], {1}])
def test_only_a_sequence_is_one_of_integers(values):
    with pytest.raises(ValueError, match="n must be a sequence of one or more integers, got"):
        check_integers("n", values, minimum=0)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j])
def test_what_is_no_real_number(value):
    with pytest.raises(TypeError, match="x must be a real number, got"):
        check_real("x", value)


def test_plural():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
