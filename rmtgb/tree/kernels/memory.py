"""The arrays of a job, one function for each: see ``JOB_ARRAYS`` for what they hold."""

import numpy as np
from numba import carray, config, types
from numba.extending import intrinsic

from rmtgb._jit import inner
from rmtgb._team import barrier
from rmtgb.tree.dtypes import CODE, LEAF, ROW, SET_WORDS, SPLIT


@intrinsic
def _pointer(typingctx, address):
    """Turn an address into a pointer."""

    def codegen(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.voidptr(types.uint64), codegen


if config.DISABLE_JIT:
    from ctypes import c_void_p

    def _pointer(address):
        return c_void_p(int(address))


@inner
def row_codes_of(job):
    return carray(_pointer(job["row_codes"]), (job["n_rows"], job["n_features"]), CODE)


@inner
def column_codes_of(job):
    return carray(_pointer(job["column_codes"]), (job["n_features"], job["n_rows"]), CODE)


@inner
def y_of(job):
    return carray(_pointer(job["y"]), (job["n_rows"],), np.float64)


@inner
def weight_of(job):
    return carray(_pointer(job["weight"]), (job["n_rows"],), np.float64)


@inner
def task_codes_of(job):
    return carray(_pointer(job["task_codes"]), (job["n_rows"],), np.int32)


@inner
def raw_of(job):
    return carray(_pointer(job["raw"]), (job["n_outputs"], job["n_rows"]), np.float64)


@inner
def gradient_of(job):
    return carray(_pointer(job["gradient"]), (job["n_outputs"], job["n_rows"]), np.float64)


@inner
def hessian_of(job):
    return carray(_pointer(job["hessian"]), (job["n_outputs"], job["n_rows"]), np.float64)


@inner
def scratch_of(job):
    return carray(_pointer(job["scratch"]), (4, job["n_rows"]), np.float64)


@inner
def n_bins_of(job):
    return carray(_pointer(job["n_bins"]), (job["n_features"],), np.int32)


@inner
def categorical_of(job):
    return carray(_pointer(job["categorical"]), (job["n_features"],), np.uint8)


@inner
def thresholds_of(job):
    shape = (job["n_features"], job["threshold_width"])
    return carray(_pointer(job["thresholds"]), shape, np.float64)


@inner
def order_of(job):
    return carray(_pointer(job["order"]), (job["n_rows"],), ROW)


@inner
def buffer_of(job):
    return carray(_pointer(job["buffer"]), (job["n_rows"],), ROW)


@inner
def payload_of(job):
    return carray(_pointer(job["payload"]), (job["n_payload"],), np.int64)


@inner
def node_payload_of(job):
    return carray(_pointer(job["node_payload"]), (job["n_payload"],), np.int64)


@inner
def histograms_of(job):
    shape = (job["n_histograms"], job["n_features"], job["row_words"])
    return carray(_pointer(job["histograms"]), shape, np.int64)


@inner
def leaves_of(job):
    return carray(_pointer(job["leaves"]), (job["n_leaves"],), LEAF)


@inner
def splits_of(job):
    return carray(_pointer(job["splits"]), (job["n_leaves"],), SPLIT)


@inner
def split_sets_of(job):
    return carray(_pointer(job["split_sets"]), (job["n_leaves"], SET_WORDS), np.uint64)


@inner
def counts_of(job):
    return carray(_pointer(job["counts"]), (3,), np.int64)


@inner
def candidates_of(job):
    return carray(_pointer(job["candidates"]), (job["n_members"], 2), SPLIT)


@inner
def candidate_sets_of(job):
    return carray(_pointer(job["candidate_sets"]), (job["n_members"], 2, SET_WORDS), np.uint64)


@inner
def sort_keys_of(job):
    return carray(_pointer(job["sort_keys"]), (job["n_members"], 256), np.float64)


@inner
def sorted_codes_of(job):
    return carray(_pointer(job["sorted_codes"]), (job["n_members"], 256), np.int64)


@inner
def selected_of(job):
    return carray(_pointer(job["selected"]), (job["n_members"], 2, job["n_features"]), np.uint8)


@inner
def goes_left_of(job):
    return carray(_pointer(job["goes_left"]), (job["n_members"], 256), np.uint8)


@inner
def left_counts_of(job):
    return carray(_pointer(job["left_counts"]), (job["n_members"],), np.int64)


@inner
def extents_of(job):
    return carray(_pointer(job["extents"]), (job["n_members"], 2), np.float64)


@inner
def arrivals_of(job):
    return carray(_pointer(job["arrivals"]), (1,), np.int64)


@inner
def wait(job):
    """Wait until every member of the team has arrived."""
    if job["n_members"] > 1:
        barrier(job["member"], job["n_members"], arrivals_of(job))
