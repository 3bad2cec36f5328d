"""How every kernel of the package is compiled, in one place.

Kernels run without the GIL, and several Python threads may run one kernel together as
a team (see :mod:`rmtgb.engine.team`), so no kernel uses Numba's own ``parallel=True``. That
keeps compilation short, needs no threading layer (none of which is safe for every
caller) and changes no global thread count.
"""

import contextlib
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from numba import config, njit
from numba.core import event

try:
    from rmtgb.engine import cache as _cache
except (ImportError, AttributeError):  # a version of Numba that is built otherwise
    _cache = None  # type: ignore[assignment]

#: A decorated function keeps its type: what is compiled is called like what was written.
F = TypeVar("F", bound=Callable[..., Any])

#: Set to 0 to compile without a word on stderr.
NOTICE_VARIABLE = "RMTGB_COMPILE_NOTICE"

#: ``_nrt=False``: kernels allocate nothing, so arrays need no reference counts, which every
#: call of a function with an array would otherwise look at.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}


def kernel(function: F) -> F:
    """Compile a function that Python calls.

    Parameters
    ----------
    function : callable
        A function that allocates nothing, never raises and writes only to the
        arguments its docstring marks as OUT or INOUT.

    Returns
    -------
    callable
        The compiled function, cached on disk where the disk can be written.
    """
    if config.DISABLE_JIT:
        return function
    compiled: Any = njit(**_OPTIONS)(function)
    if _cache and _is_ours(function):
        compiled._cache = _cache.KernelCache(function)
    else:
        with contextlib.suppress(RuntimeError):  # numba finds no folder it may write to
            compiled.enable_caching()
    return compiled


def inner(function: F) -> F:
    """Compile a function that only kernels call.

    It gets no wrapper for calls from Python, which for arguments of many arrays takes
    longer to compile than the function itself, and no cache file of its own: the
    kernel's holds it.

    Parameters
    ----------
    function : callable
        As for :func:`kernel`.

    Returns
    -------
    callable
        The compiled function; the plain one if compilation is disabled.
    """
    if config.DISABLE_JIT:
        return function
    return njit(no_cpython_wrapper=True, no_cfunc_wrapper=True, **_OPTIONS)(function)


def part(function: F) -> F:
    """Compile a function into its caller, before types are known.

    For accessors of one line, and for the large functions that a kernel is made of and
    that are called from one place: compiled apart, each would generate the machine code
    of everything below it once more.

    Parameters
    ----------
    function : callable
        As for :func:`kernel`.

    Returns
    -------
    callable
        The compiled function.
    """
    return njit(inline="always", **_OPTIONS)(function)


def _is_ours(function: Callable[..., Any]) -> bool:
    """Tell whether a function belongs to the package; one made by `exec` has no module."""
    return str(function.__module__).startswith("rmtgb.")


class _WhileCompiling(event.Listener):
    """Says once that kernels are being compiled, and keeps the garbage collector out.

    Compilation makes millions of objects that live until its end: looking through them
    again and again takes the collector a tenth of the whole time. Numba's compiler lock
    lets one thread in at a time. It hears of the functions of everybody in the process, about
    which nothing may be assumed.
    """

    def __init__(self) -> None:
        self._outermost: Any = None
        self._collects = False
        self._silent = os.environ.get(NOTICE_VARIABLE) == "0"

    def on_start(self, event: Any) -> None:
        """Note the outermost of our functions."""
        dispatcher = event.data["dispatcher"]
        if self._outermost is None and _is_ours(dispatcher.py_func):
            self._outermost, self._collects = dispatcher, gc.isenabled()
            gc.disable()
            self._tell()

    def on_end(self, event: Any) -> None:
        """Let the collector work again."""
        if event.data["dispatcher"] is self._outermost:
            self._outermost = None
            if self._collects:
                gc.enable()

    def _tell(self) -> None:
        if not self._silent:
            self._silent = True
            line = f"rmtgb: compiling kernels for this machine; {_where_they_are_kept()}"
            print(f"{line} ({NOTICE_VARIABLE}=0 hides this line)", file=sys.stderr)


def _where_they_are_kept() -> str:
    if not _cache:
        return "later processes find them in Numba's cache"
    _, folder, problems = _cache.places()
    if folder:
        return f"later processes find them in {folder}"
    return (
        "later processes compile again, for no folder can be written: "
        f"{', '.join(problems)}; set NUMBA_CACHE_DIR"
    )


event.register("numba:compile", _WhileCompiling())
