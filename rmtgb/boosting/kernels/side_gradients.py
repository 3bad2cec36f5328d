"""Kernels between rows and trees: derivatives by one side, as its tree is fitted to them.

The raw prediction contains a side c times, c being the coefficient of the row's task. By the
chain rule the derivatives by the side are c g and c^2 h: here and nowhere else.
"""

from typing import Any

import numpy as np

from rmtgb._common import Int
from rmtgb.engine.jit import inner
from rmtgb.engine.record import array_of, wait
from rmtgb.engine.team import share
from rmtgb.tree.kernels.packing import is_in_bag

#: Coefficients below which a row says nothing about an ensemble's leaf quantiles.
MIN_COEFFICIENT = 1e-3

_ITEM_BYTES = np.uint64(8)


@inner
def lend_gradients(boost: Any, grow: Any, side: Int, output: Int) -> None:
    """Let the grower read the derivatives by an output of a side."""
    n_rows, n_hessians = boost["n_rows"], boost["n_hessians"]
    grow["n_gradients"], grow["n_hessians"] = n_rows, n_hessians
    grow["gradient"] = boost["gradient"] + np.uint64(output * n_rows) * _ITEM_BYTES
    grow["hessian"] = boost["hessian"] + np.uint64(output * n_hessians) * _ITEM_BYTES
    if boost["n_side_rows"] == 0:  # all coefficients are one
        return
    gradient, hessian = array_of(boost, "gradient")[output], array_of(boost, "hessian")[output]
    by_side, second_by_side = array_of(boost, "side_gradient"), array_of(boost, "side_hessian")
    coefficient, task_codes = array_of(boost, "coefficient")[side], array_of(boost, "task_codes")
    start, stop = share(0, n_rows, boost["member"], boost["n_members"])
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        by_side[i] = c * gradient[i]
        second_by_side[i] = c * c * hessian[i]
    grow["gradient"], grow["hessian"] = boost["side_gradient"], boost["side_hessian"]


@inner
def fill_residuals(boost: Any, grow: Any, side: Int) -> None:
    """Compute residual / c, and as its weight c times the row's, 0 for rows out of the bag.

    Their quantile minimises the sum of ``weight * |residual - c * value|`` over a leaf.
    """
    y, raw, row_weight = array_of(boost, "y"), array_of(boost, "raw")[0], array_of(boost, "weight")
    residual, weight = array_of(grow, "residual"), array_of(grow, "residual_weight")
    coefficient, task_codes = array_of(boost, "coefficient")[side], array_of(boost, "task_codes")
    start, stop = share(0, boost["n_rows"], boost["member"], boost["n_members"])
    for i in range(start, stop):
        c = coefficient[task_codes[i]]
        counts = c > MIN_COEFFICIENT and is_in_bag(i, grow["subsample"], grow["seed"])
        weight[i] = c * row_weight[i] if counts else 0.0
        residual[i] = (y[i] - raw[i]) / max(c, MIN_COEFFICIENT)
    wait(boost)
