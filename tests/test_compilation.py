"""What a user notices of compilation: one line, once, and a garbage collector left as it was."""

import os
import subprocess
import sys

import pytest

#: Compiles one small kernel, and says whether the collector still works.
SCRIPT = """
import gc
import numpy as np
from rmtgb.losses.pointwise import fill_gradients

{before}
one = np.ones(1)
fill_gradients(0, 1, 0, 0.0, one, one, np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
print(gc.isenabled())
"""


def run(cache, before="", **environment):
    """Run the script in a process of its own."""
    variables = {k: v for k, v in os.environ.items() if k != "RMTGB_COMPILE_NOTICE"}
    variables |= {"NUMBA_CACHE_DIR": str(cache), **environment}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(before=before)],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_cold_start_says_so_once_and_a_warm_one_is_silent(tmp_path):
    cold = run(tmp_path)
    assert cold.stderr.count("\n") == 1
    assert "compiling" in cold.stderr
    assert "RMTGB_COMPILE_NOTICE" in cold.stderr
    assert run(tmp_path).stderr == ""


def test_the_line_can_be_switched_off(tmp_path):
    assert run(tmp_path, RMTGB_COMPILE_NOTICE="0").stderr == ""


#: Functions that come from no file, as generated code does, through every decorator.
WITHOUT_A_MODULE = """
from numba import njit
from rmtgb.engine.jit import inner, kernel, part

namespace = {}
exec("def made(x): return x + 1", namespace)
made = namespace["made"]
assert made.__module__ is None
assert njit(made)(1) == kernel(made)(1) == part(made)(1) == 2
called = inner(made)
assert njit(lambda x: called(x))(1) == 2
"""


def test_functions_without_a_module_are_compiled_as_ever(tmp_path):
    result = run(tmp_path, before=WITHOUT_A_MODULE)
    assert result.stdout.strip() == "True"
    assert result.stderr.count("\n") == 1  # our own kernel, later


@pytest.mark.parametrize("state", ["enable", "disable"])
def test_the_collector_is_left_as_it_was(tmp_path, state):
    result = run(tmp_path, before=f"gc.{state}()")
    assert result.stdout.strip() == str(state == "enable")
