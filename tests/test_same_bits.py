"""A fitted model has the same bits whichever kernels BLAS chooses for the processor."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from rmtgb import RMTGBClassifier, RMTGBRegressor

ROOT = Path(__file__).parent.parent

#: What OpenBLAS can be told to take the processor for, and what the processor must be able to
#: do for it: OpenBLAS believes what it is told, and instructions that are missing are fatal.
CORE_TYPES = {
    "Haswell": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}


def processor_flags():
    """Return what the processor can do; nothing where Linux does not tell it."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return set(flags.group(1).split()) if flags else set()


def digests():
    """Fit a few models, and return a digest of each of their attributes."""
    rng = np.random.default_rng(0)
    n_rows = 1500
    task = rng.integers(0, 6, n_rows)
    X = np.column_stack([rng.normal(size=(n_rows, 4)), rng.integers(0, 5, n_rows)])
    kinds = np.array([X[:, 0], X[:, 1] - 2 * X[:, 0], X[:, 2] * X[:, 3]])
    y = kinds[task // 2, np.arange(n_rows)] + 0.1 * rng.normal(size=n_rows)
    X[rng.random(X.shape) < 0.05] = np.nan
    weight = rng.uniform(0.5, 2.0, n_rows)
    common = {"learning_rate": 0.2, "random_state": 0}
    huber = RMTGBRegressor(loss="huber", categorical_features=[4], **common)
    models = [
        RMTGBRegressor(**common).fit(X, y, task=task, sample_weight=weight),
        huber.fit(X, y, task=task),
        RMTGBClassifier(**common).fit(X, np.digitize(y, [-1.0, 1.0]), task=task),
    ]
    assert models[0].task_descriptors_.size, "no descriptors are compared"
    return {
        f"{position}: {name}": joblib.hash(value)
        for position, model in enumerate(models)
        for name, value in vars(model).items()
    }


def core_types():
    """Return what OpenBLAS takes the processor for; one for each copy of it in this process."""
    libraries = threadpool_info()
    return [library["architecture"] for library in libraries if "architecture" in library]


def run_as(core_type):
    """Return core types and digests of a process whose OpenBLAS is told what the cores are."""
    code = (
        "import json; from tests import test_same_bits as here\n"
        "print(json.dumps([here.core_types(), here.digests()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"OPENBLAS_CORETYPE": core_type, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(
    "OPENBLAS_CORETYPE" in os.environ,
    reason="OPENBLAS_CORETYPE is set, perhaps because another one does not work here",
)
def test_the_processor_changes_no_bit():
    missing = set().union(*CORE_TYPES.values()) - processor_flags()
    if missing:
        pytest.skip(f"the processor cannot, or does not say that it can: {sorted(missing)}")
    (types, found), (other_types, others) = map(run_as, CORE_TYPES)
    if types == other_types:
        pytest.skip(f"this BLAS has one set of kernels: {types}")
    assert [name for name in found if found[name] != others[name]] == []
