"""A team: a few Python threads that run one kernel together.

Every member calls the same kernel with its own number. Inside, members take their
share of the rows or features and meet at barriers, so that a whole tree is grown
in one call. A barrier costs about 0.1 microseconds when every member has a core,
whereas handing one task to another Python thread costs 50; growing a tree takes
about 120 such steps. Members that find no core to run on give up their time slice,
so a team larger than the machine is slow but never stuck.
"""

import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing.dummy import DummyProcess
from queue import Empty, SimpleQueue
from typing import Any, Self, TypeAlias, TypeVar

import numpy as np
from numba import config, types
from numba.extending import intrinsic

from rmtgb._common import IntArray
from rmtgb.engine.jit import inner

Item = TypeVar("Item")
Result = TypeVar("Result")
_Tasks: TypeAlias = SimpleQueue[Callable[[], object] | None]  # None: there are no more
_Outcomes: TypeAlias = SimpleQueue[BaseException | None]

#: Polls of a barrier before a waiting member offers its core to other threads.
SPINS_BEFORE_YIELD = 2000

_yield_core = types.ExternalFunction(
    "SwitchToThread" if os.name == "nt" else "sched_yield", types.intc()
)


@intrinsic
def _fetch_add(typingctx: Any, array: Any, index: Any, increment: Any) -> Any:
    """Add to one element atomically and return its old value."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.gep(data, [arguments[1]])
        return builder.atomic_rmw("add", pointer, arguments[2], "seq_cst")

    return types.int64(array, types.int64, types.int64), codegen


@intrinsic
def _load(typingctx: Any, array: Any, index: Any) -> Any:
    """Read one element atomically: the compiler may not keep it in a register."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load_atomic(builder.gep(data, [arguments[1]]), "seq_cst", 8)

    return types.int64(array, types.int64), codegen


if config.DISABLE_JIT:  # plain Python: teams of one, so nothing has to be atomic

    def _fetch_add(array: IntArray, index: int, increment: int) -> int:
        old = int(array[index])
        array[index] += increment
        return old


@inner
def barrier(member: int, n_members: int, arrivals: IntArray) -> None:
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
def take_ticket(queue: IntArray) -> int:
    """Return the next number of a queue shared by the team, each number once.

    Parameters
    ----------
    queue : ndarray of int64 of shape (1,)
        INOUT, next number to be given out.
    """
    return _fetch_add(queue, 0, 1)


@inner
def share(start: int, stop: int, member: int, n_members: int) -> tuple[int, int]:
    """Return the contiguous part of ``range(start, stop)`` that a member works on."""
    size = stop - start
    return start + size * member // n_members, start + size * (member + 1) // n_members


def cores_for_worker(n_cores: int) -> int:
    """Return how many of some cores a team may keep busy if the caller is a worker of a pool.

    Workers that are threads divide the cores; joblib's threads are such. Processes of a
    pool and tasks of dask keep to one: how many they are cannot be seen from inside.
    (Workers of loky, joblib's default, are told by ``OMP_NUM_THREADS``.)
    """
    if multiprocessing.current_process().daemon or _is_dask_worker():
        return 1
    n_workers = 1
    if isinstance(threading.current_thread(), DummyProcess):
        n_workers = sum(isinstance(thread, DummyProcess) for thread in threading.enumerate())
    return max(1, n_cores // n_workers)


def _is_dask_worker() -> bool:
    """Say whether this thread runs a task of dask.distributed, without importing it."""
    get_worker = getattr(sys.modules.get("distributed.worker"), "get_worker", None)
    try:
        return get_worker is not None and get_worker() is not None
    except ValueError:
        return False


class Team:
    """Threads that run kernels together, as a context manager.

    The calling thread only gives orders, each with one atomic ``put``, and waits: Ctrl-C
    is raised there, and must never leave some members waiting for others that were not
    called. For the same reason it shares no lock with them but those inside of queues.

    Parameters
    ----------
    n_members : int
        Size of the team. A team of one is the calling thread itself.

    Attributes
    ----------
    arrivals : ndarray of int64
        The state of the team's barrier, to be handed to its kernels.
    """

    def __init__(self, n_members: int) -> None:
        self.n_members = 1 if config.DISABLE_JIT else n_members
        self.arrivals = np.zeros(1, dtype=np.int64)

    def __enter__(self) -> Self:
        self._orders: _Tasks = SimpleQueue()
        self._shares: _Tasks = SimpleQueue()
        self._ends: SimpleQueue[int] = SimpleQueue()
        self._present: set[int] = set()
        self._threads: list[threading.Thread] = []
        if self.n_members > 1:
            self._start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._orders.put(None)
        interrupt: BaseException | None = None
        while self._present:
            try:
                self._ends.get(timeout=1)  # Thread.join may give up once it is interrupted
            except Empty:
                pass
            except BaseException as error:  # members write to memory that would be freed
                interrupt = error
        for thread in self._threads:
            thread.join()
        if interrupt is not None:
            raise interrupt

    def _start(self) -> None:
        """Start every thread before any kernel runs: it may be one too many for the system."""
        try:
            for member in range(self.n_members):
                thread = threading.Thread(
                    target=self._serve, args=(member,), name=f"rmtgb_{member}"
                )
                thread.start()
                self._threads.append(thread)
                self._present.add(member)
        except BaseException:
            self._shares.put(None)
            self.__exit__()
            raise

    def _serve(self, member: int) -> None:
        """Do what a queue holds, until it holds None: member 0 follows orders, others help it."""
        queue = self._shares if member else self._orders
        for task in iter(queue.get, None):
            task()
            del task  # with the arrays it refers to
        self._shares.put(None)
        self._present.discard(member)
        self._ends.put(member)

    def run(self, function: Callable[..., object], *arguments: Any) -> None:
        """Call ``function(member, n_members, *arguments)`` once in every member.

        Parameters
        ----------
        function : callable
            A compiled kernel. It must not raise: the others would wait for ever.
        *arguments
            What every member is given.
        """
        if self.n_members == 1:
            function(0, 1, *arguments)
            return
        errors: _Outcomes = SimpleQueue()
        self._orders.put(partial(self._call_all, function, arguments, errors))
        error = errors.get()
        if error is not None:
            raise error

    def _call_all(
        self, function: Callable[..., object], arguments: tuple[Any, ...], errors: _Outcomes
    ) -> None:
        """Call a function in every member, and report an error or None when all are done."""
        outcomes: _Outcomes = SimpleQueue()

        def call(member: int) -> None:
            try:
                function(member, self.n_members, *arguments)
            except BaseException as error:
                outcomes.put(error)
            else:
                outcomes.put(None)

        for member in range(1, self.n_members):
            self._shares.put(partial(call, member))
        call(0)
        raised = [outcomes.get() for _ in range(self.n_members)]
        errors.put(next((error for error in raised if error is not None), None))

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return ``[function(item) for item in items]``, the items divided among the members.

        Parameters
        ----------
        function : callable
            Releases the GIL where it spends its time; may raise.
        items : iterable

        Returns
        -------
        results : list
            In the order of the items. After an error in any member, or Ctrl-C, nobody begins
            another item.
        """
        waiting = iter(list(enumerate(items)))
        results: dict[int, Result] = {}

        def work(member: int, n_members: int) -> None:
            try:
                for position, item in waiting:
                    results[position] = function(item)
            finally:  # nothing is left but after an error
                _drop(waiting)

        try:
            self.run(work)
        finally:  # Ctrl-C is raised here, while members work on
            _drop(waiting)
        return [results[position] for position in range(len(results))]


def _drop(iterator: Iterator[Any]) -> None:
    """Leave nothing in an iterator, in one step that another Ctrl-C cannot interrupt."""
    deque(iterator, maxlen=0)
