"""How every kernel of the package is compiled, in one place.

Kernels run without the GIL, and several Python threads may run one kernel together as
a team (see :mod:`rmtgb._team`), so no kernel uses Numba's own ``parallel=True``. That
keeps compilation short, needs no threading layer (none of which is safe for every
caller) and changes no global thread count.
"""

from numba import config, njit

#: Kernels own no memory, so they count no references: a quarter less to compile.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}


def kernel(function):
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
    try:
        return njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # numba finds no folder it may write its cache to
        return njit(**_OPTIONS)(function)


def inner(function):
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
