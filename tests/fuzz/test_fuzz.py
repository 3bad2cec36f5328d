"""Two thousand random configurations with guards around all arrays of kernels."""

import pytest

from rmtgb.estimators import _base
from tests.fuzz.configurations import run

CHUNK = 50


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 2000, CHUNK))
def test_random_configurations(first, monkeypatch):
    monkeypatch.setattr(_base, "SMALL_CODES", 0)  # teams whatever the size
    for seed in range(first, first + CHUNK):
        try:
            run(seed)
        except Exception as error:
            error.add_note(f"configuration {seed}")
            raise


@pytest.mark.parametrize(
    "seed",
    [
        28514,  # a stage 2 that has fitted heavy rows exactly, continued
        *(6757, 38338),  # a linear part whose weights span 18 digits: coefficients of 1e186
        18997,  # a linear part that says a mean of e^-984 where something was counted
    ],
)
def test_configurations_that_once_failed(seed, monkeypatch):
    monkeypatch.setattr(_base, "SMALL_CODES", 0)
    run(seed)
