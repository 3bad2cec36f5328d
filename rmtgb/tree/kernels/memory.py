"""The arrays of a job, found through the addresses in its record."""

import numpy as np
from llvmlite import ir
from numba import carray, config, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype

from rmtgb.engine.jit import inner
from rmtgb.engine.team import barrier
from rmtgb.tree.dtypes import JOB_ARRAYS


@intrinsic(prefer_literal=True)
def array_of(typingctx, job, name):
    """Return an array of a job (JOB record) by its name in ``JOB_ARRAYS``; nothing is copied."""
    dtype, shape = JOB_ARRAYS[name.literal_value]
    array_type = types.Array(from_dtype(np.dtype(dtype)), len(shape), "C")

    def codegen(context, builder, signature, arguments):
        word = context.get_value_type(types.intp)

        def field(field_name):
            position = job.offset(field_name)
            return builder.load(cgutils.get_record_member(builder, arguments[0], position, word))

        sizes = [field(n) if isinstance(n, str) else ir.Constant(word, n) for n in shape]
        itemsize = ir.Constant(word, np.dtype(dtype).itemsize)
        strides = [itemsize]
        for size in sizes[:0:-1]:
            strides.insert(0, builder.mul(size, strides[0]))
        array = make_array(array_type)(context, builder)
        data = builder.inttoptr(field(name.literal_value), array.data.type)
        populate_array(array, data, sizes, strides, itemsize, meminfo=None)
        return array._getvalue()

    return array_type(job, name), codegen


if config.DISABLE_JIT:
    from ctypes import c_void_p

    def array_of(job, name):
        dtype, shape = JOB_ARRAYS[name]
        sizes = tuple(int(job[n]) if isinstance(n, str) else n for n in shape)
        return carray(c_void_p(int(job[name])), sizes, dtype)


@inner
def wait(job):
    """Wait until every member of the team has arrived."""
    if job["n_members"] > 1:
        barrier(job["member"], job["n_members"], array_of(job, "arrivals"))
