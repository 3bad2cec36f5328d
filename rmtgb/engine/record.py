"""Records of addresses: how kernels find the many arrays that they work on.

Boosting needs some seventy arrays. Passed one by one they take Numba several times as long to
compile and to unpack at every call, a tuple of them has no names, and Numba's array types tell
read-only memory from other memory, so that a model on a memory map would be compiled for anew.
So a :class:`Layout` declares the arrays of a kernel once, with dtypes and shapes; a
:class:`Record` allocates what does not exist yet and writes addresses, sizes and numbers into
one structure for each member of a team; and kernels find an array by its name with
:func:`array_of`. A size is written down once for all arrays that have it.
"""

import math
import os
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from llvmlite import ir
from numba import carray, config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype
from numpy.typing import DTypeLike, NDArray

from rmtgb.engine.jit import inner
from rmtgb.engine.team import Team, barrier

Array: TypeAlias = NDArray[Any]
Size: TypeAlias = "str | int"

#: Set to 1 to put guards around all arrays that kernels get by address, and to look at them
#: after each call. The test suite does.
GUARDS_VARIABLE = "RMTGB_GUARDS"

#: Bytes of a guard on each side of an array: a write past an end mostly begins at the end.
GUARD_BYTES = 4096
GUARD_VALUE = 0xA5
UNTOUCHED = bytes([GUARD_VALUE]) * GUARD_BYTES

_layouts: dict[frozenset[str], "Layout"] = {}
_guards: dict[int, "weakref.ref[Array]"] = {}


class Layout:
    """The arrays and numbers that a kind of record holds.

    Every layout has the numbers ``member`` and ``n_members`` and the array ``arrivals``, the
    barrier of the team.

    Parameters
    ----------
    name : str
        How messages call it.
    arrays : dict of str to (dtype, shape)
        The shape as names of sizes, or numbers. Arrays that a user of the record has no use for
        get a size of zero.
    numbers : dict of str to dtype
        All numbers but the sizes.

    Attributes
    ----------
    dtype : numpy.dtype
        Addresses (uint64), sizes (int64) and numbers.
    sizes : tuple of str
        The sizes that occur in shapes.
    """

    def __init__(
        self,
        name: str,
        arrays: Mapping[str, tuple[DTypeLike, tuple[Size, ...]]],
        numbers: Mapping[str, DTypeLike],
    ) -> None:
        self.name = name
        self.arrays = {
            key: (np.dtype(dtype), shape)
            for key, (dtype, shape) in {**arrays, "arrivals": (np.int64, (1,))}.items()
        }
        every_size = [size for _, shape in self.arrays.values() for size in shape]
        self.sizes = tuple(dict.fromkeys(size for size in every_size if isinstance(size, str)))
        fields: dict[str, DTypeLike] = {
            **dict.fromkeys(self.arrays, np.uint64),
            **dict.fromkeys([*self.sizes, "n_members", "member"], np.int64),
            **numbers,
        }
        self.dtype = np.dtype(list(fields.items()), align=True)
        if frozenset(fields) in _layouts:  # by which kernels know a layout
            raise ValueError(f"the layout {name!r} has the names of another one.")
        _layouts[frozenset(fields)] = self

    def sizes_of(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        """Return the sizes that the shapes of some arrays tell.

        Raises
        ------
        ValueError
            If two arrays, or an array and its declaration, disagree.
        """
        found: dict[str, int] = {}
        for name, array in arrays.items():
            for size, length in zip(self.arrays[name][1], array.shape, strict=True):
                known = found.setdefault(size, length) if isinstance(size, str) else size
                if known != length:
                    raise ValueError(
                        f"{name} of {self.name} has shape {array.shape}, but {size} is {known}."
                    )
        return found


class Record:
    """Arrays and numbers for kernels, and a structure for each member that leads to them.

    Parameters
    ----------
    layout : Layout
    team : Team or None
        Who will work with it; gives the barrier. None stands for the calling thread.
    arrays : dict of str to ndarray
        Arrays that exist already. Those that kernels write to come from :func:`empty`.
    sizes : dict of str to int, optional
        Sizes of all arrays that do not exist yet; those that are not named are zero, but for
        ``n_members``, which is that of the team.
    numbers : dict of str to int or float, optional
        Other fields, zero where they are not named.

    Attributes
    ----------
    members : ndarray of ``layout.dtype`` of shape (n_members,)
        To be handed to kernels. It holds addresses: keep the record as long as it is used.
    arrays : dict of str to ndarray
        All arrays.

    Raises
    ------
    TypeError
        If an array has another dtype or order than declared.
    ValueError
        If sizes contradict each other.
    """

    def __init__(
        self,
        layout: Layout,
        team: Team | None,
        arrays: Mapping[str, Array],
        sizes: Mapping[str, int] | None = None,
        numbers: Mapping[str, float] | None = None,
    ) -> None:
        self._layout = layout
        team = Team(1) if team is None else team
        self.arrays = {"arrivals": team.arrivals, **arrays}
        sizes = {**(sizes or {}), "n_members": team.n_members}
        known = dict.fromkeys(layout.sizes, 0) | sizes | layout.sizes_of(self.arrays)
        if any(known[name] != size for name, size in sizes.items()):
            raise ValueError(f"sizes {sizes} of {layout.name} contradict those of arrays {known}.")
        are_guarded = guards_are_on()
        new = _empty_with_guards if are_guarded else np.empty
        for name, (dtype, shape) in layout.arrays.items():
            if name not in self.arrays:
                lengths = [known[size] if isinstance(size, str) else size for size in shape]
                self.arrays[name] = new(lengths, dtype)
        self._lent: dict[str, tuple[Array, Array]] = {}
        self._guards: list[tuple[str, str, Array]] = []
        if are_guarded:
            self._guard_what_was_lent()
            self._note_guards()
        record = np.zeros((), layout.dtype)
        for name, array in self.arrays.items():
            dtype = layout.arrays[name][0]
            if array.dtype != dtype or not array.flags.c_contiguous:
                raise TypeError(f"{name} must be a C-ordered array of {dtype}.")
            record[name] = array.ctypes.data
        for name, value in (known | dict(numbers or {})).items():
            record[name] = value
        self.members = np.repeat(record, team.n_members)
        self.members["member"] = np.arange(team.n_members)

    def _guard_what_was_lent(self) -> None:
        """Replace arrays without guards, which kernels may only read, by copies with guards."""
        for name, array in self.arrays.items():
            if name != "arrivals" and _buffer_of(array) is None:
                self.arrays[name] = copy(array)
                self._lent[name] = self.arrays[name], array

    def _note_guards(self) -> None:
        """Take note of the guards of all arrays, by name and side."""
        for name, array in self.arrays.items():
            buffer = _buffer_of(array)
            if buffer is not None:
                self._guards.append((name, "before", buffer[:GUARD_BYTES]))
                self._guards.append((name, "behind", buffer[-GUARD_BYTES:]))

    def check_guards(self) -> None:
        """Tell whether kernels have kept to the arrays; free of cost without guards.

        Raises
        ------
        RuntimeError
            If something was written before or behind an array, or to one that was lent.
        """
        for name, where, guard in self._guards:
            if guard.tobytes() != UNTOUCHED:
                array = self.arrays[name]
                raise RuntimeError(
                    f"a kernel wrote {where} the array {name} of {self._layout.name}, "
                    f"{array.dtype} of shape {array.shape}."
                )
        for name, (ours, theirs) in self._lent.items():
            if ours.tobytes() != theirs.tobytes():
                raise RuntimeError(
                    f"a kernel wrote to the array {name} of {self._layout.name}, which it may "
                    "only read."
                )


def run(team: Team, kernel: Any, records: Sequence[Record]) -> None:
    """Call a kernel in every member of a team, with the members of some records.

    Raises
    ------
    RuntimeError
        With guards, if the kernel wrote past an end of an array; the message names it.
    """
    team.run(kernel, *(record.members for record in records))
    for record in records:
        record.check_guards()


def guards_are_on() -> bool:
    """Tell whether arrays get guards."""
    return os.environ.get(GUARDS_VARIABLE) == "1"


def empty(shape: int | Sequence[int], dtype: DTypeLike) -> Array:
    """Return a new C-ordered array for kernels to write to, as ``numpy.empty``."""
    return _empty_with_guards(shape, dtype) if guards_are_on() else np.empty(shape, dtype)


def _empty_with_guards(shape: int | Sequence[int], dtype: DTypeLike) -> Array:
    dtype = np.dtype(dtype)
    lengths = [shape] if isinstance(shape, int | np.integer) else shape
    size = math.prod(int(length) for length in lengths) * dtype.itemsize
    buffer = np.full(size + 2 * GUARD_BYTES, GUARD_VALUE, np.uint8)
    array = buffer[GUARD_BYTES : GUARD_BYTES + size].view(dtype).reshape(lengths)
    address = array.ctypes.data
    _guards[address] = weakref.ref(buffer, lambda _: _guards.pop(address, None))
    return array


def zeros(shape: int | Sequence[int], dtype: DTypeLike) -> Array:
    """Return an array of zeros for kernels to write to, as ``numpy.zeros``."""
    if not guards_are_on():
        return np.zeros(shape, dtype)
    array = empty(shape, dtype)
    array[...] = np.zeros((), dtype)
    return array


def copy(array: Array) -> Array:
    """Return a C-ordered copy for kernels to write to."""
    result = empty(array.shape, array.dtype)
    result[...] = array
    return result


def _buffer_of(array: Array) -> Array | None:
    """Return the buffer with guards of which an array is the whole content, or None."""
    reference = _guards.get(array.ctypes.data)
    buffer = None if reference is None else reference()
    whole = buffer is not None and array.nbytes + 2 * GUARD_BYTES == buffer.nbytes
    return buffer if whole else None


def _layout_of(names: Any) -> Layout:
    return _layouts[frozenset(names)]


@intrinsic(prefer_literal=True)
def array_of(typingctx: Any, record: Any, name: Any) -> Any:
    """Return an array of a record by its name; nothing is copied."""
    dtype, shape = _layout_of(record.fields).arrays[name.literal_value]
    array_type = types.Array(from_dtype(dtype), len(shape), "C")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = context.get_value_type(types.intp)

        def field(field_name: str) -> Any:
            position = record.offset(field_name)
            return builder.load(cgutils.get_record_member(builder, arguments[0], position, word))

        sizes = [field(n) if isinstance(n, str) else ir.Constant(word, n) for n in shape]
        itemsize = ir.Constant(word, dtype.itemsize)
        strides = [itemsize]
        for size in sizes[:0:-1]:
            strides.insert(0, builder.mul(size, strides[0]))
        array = make_array(array_type)(context, builder)
        data = builder.inttoptr(field(name.literal_value), array.data.type)
        populate_array(array, data, sizes, strides, itemsize, meminfo=None)
        return array._getvalue()

    return array_type(record, name), codegen


if config.DISABLE_JIT:
    from ctypes import c_void_p

    def array_of(record: Any, name: Any) -> Any:  # noqa: D103
        dtype, shape = _layout_of(record.dtype.names).arrays[name]
        sizes = tuple(int(record[n]) if isinstance(n, str) else n for n in shape)
        return carray(c_void_p(int(record[name])), sizes, dtype)


@inner
def wait(record: Any) -> None:
    """Wait until every member of the team has arrived."""
    if record["n_members"] > 1:
        barrier(record["member"], record["n_members"], array_of(record, "arrivals"))
