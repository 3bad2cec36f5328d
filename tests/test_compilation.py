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


@pytest.mark.parametrize("state", ["enable", "disable"])
def test_the_collector_is_left_as_it_was(tmp_path, state):
    result = run(tmp_path, before=f"gc.{state}()")
    assert result.stdout.strip() == str(state == "enable")
