"""Settings of the whole test suite."""

import hashlib
import os
import tempfile
from pathlib import Path

_SOURCES = sorted((Path(__file__).parent.parent / "rmtgb").rglob("*.py"))
_ABOVE_KERNELS = {"cli", "datasets", "estimators", "transfer"}
_KERNELS = [path for path in _SOURCES if not _ABOVE_KERNELS.intersection(path.parts)]
_DIGEST = hashlib.sha256("".join(path.read_text() for path in _KERNELS).encode()).hexdigest()[:16]

# Numba does not notice that a function called by a cached kernel has changed, or a layout: a
# cache of its own for each state of what kernels are made of, set before Numba is imported.
os.environ["NUMBA_CACHE_DIR"] = os.path.join(tempfile.gettempdir(), f"rmtgb-tests-{_DIGEST}")

# Guards stand behind every array that kernels get by address, and are looked at after each
# call: a write past the end fails the test that makes it, not some later one.
os.environ.setdefault("RMTGB_GUARDS", "1")

from hypothesis import settings  # noqa: E402

# The first call of a kernel compiles it, which no deadline survives.
settings.register_profile("rmtgb", deadline=None, max_examples=25, derandomize=True)
# For another run of the same tests, with other versions or as on another processor.
settings.register_profile("quick", deadline=None, max_examples=5, derandomize=True)
settings.load_profile("rmtgb")
