"""A team: a few Python threads that run one kernel together.

Every member calls the same kernel with its own number. Inside, members take their
share of the rows or features and meet at barriers, so that a whole tree is grown
in one call. A barrier costs about 0.1 microseconds when every member has a core,
whereas handing one task to another Python thread costs 50; growing a tree takes
about 120 such steps. Members that find no core to run on give up their time slice,
so a team larger than the machine is slow but never stuck.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numba import config, types
from numba.extending import intrinsic

from rmtgb._jit import inner

#: Polls of a barrier before a waiting member offers its core to other threads.
SPINS_BEFORE_YIELD = 2000

_yield_core = types.ExternalFunction(
    "SwitchToThread" if os.name == "nt" else "sched_yield", types.intc()
)


@intrinsic
def _fetch_add(typingctx, array, index, increment):
    """Add to one element atomically and return its old value."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.gep(data, [arguments[1]])
        return builder.atomic_rmw("add", pointer, arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def _load(typingctx, array, index):
    """Read one element atomically: the compiler may not keep it in a register."""

    def codegen(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8)

    return types.int64(array, types.int64), codegen


if config.DISABLE_JIT:  # plain Python: teams of one, so nothing has to be atomic

    def _fetch_add(array, index, increment):
        old = array[index]
        array[index] += increment
        return old


@inner
def barrier(member, n_members, arrivals):
    """Wait until every member of the team has arrived.

    Parameters
    ----------
    member, n_members : int
        Number of the calling member, and size of the team.
    arrivals : ndarray of int64
        INOUT, shared by the team. Element 0 counts all arrivals so far; it is never
        reset, so that consecutive barriers cannot be confused.
    """
    if n_members == 1:
        return
    goal = (_fetch_add(arrivals, 0, 1) // n_members + 1) * n_members
    spins = 0
    while _load(arrivals, 0) < goal:
        spins += 1
        if spins == SPINS_BEFORE_YIELD:
            _yield_core()
            spins = 0


@inner
def take_ticket(queue):
    """Return the next number of a queue shared by the team, each number once.

    Parameters
    ----------
    queue : ndarray of int64 of shape (1,)
        INOUT, next number to be given out.
    """
    return _fetch_add(queue, 0, 1)


@inner
def share(start, stop, member, n_members):
    """Return the contiguous part of ``range(start, stop)`` that a member works on."""
    size = stop - start
    return start + size * member // n_members, start + size * (member + 1) // n_members


class Team:
    """Threads that run kernels together, as a context manager.

    Parameters
    ----------
    n_members : int
        Size of the team, the calling thread included.

    Attributes
    ----------
    arrivals : ndarray of int64
        The state of the team's barrier, to be handed to its kernels.
    """

    def __init__(self, n_members):
        self.n_members = 1 if config.DISABLE_JIT else n_members
        self.arrivals = np.zeros(1, dtype=np.int64)
        self._pool = None

    def __enter__(self):
        if self.n_members > 1:
            self._pool = ThreadPoolExecutor(self.n_members, thread_name_prefix="rmtgb")
        return self

    def __exit__(self, *exception):
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, function, *arguments):
        """Call ``function(member, n_members, *arguments)`` once in every member.

        Parameters
        ----------
        function : callable
            A compiled kernel. It must not raise: the others would wait for ever.
        *arguments
            What every member is given.
        """
        others = [
            self._pool.submit(function, member, self.n_members, *arguments)
            for member in range(1, self.n_members)
        ]
        function(0, self.n_members, *arguments)
        for other in others:
            other.result()

    def map(self, function, items):
        """Return ``[function(item) for item in items]``, the items divided among the members.

        Parameters
        ----------
        function : callable
            Releases the GIL where it spends its time; may raise.
        items : iterable
        """
        if self._pool is None:
            return [function(item) for item in items]
        return list(self._pool.map(function, items))
