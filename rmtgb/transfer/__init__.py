"""When rows of related tasks help a linear model of the main task, and weighted how."""

from rmtgb.transfer.fixed_design import fixed_design_error
from rmtgb.transfer.pooling import averaging_error, best_subset, dispersion_factor, pooled_error
from rmtgb.transfer.problem import LinearTransferProblem
from rmtgb.transfer.results import TransferError
from rmtgb.transfer.simulation import Simulation, simulate
from rmtgb.transfer.weighting import weighted_error

__all__ = [
    "LinearTransferProblem",
    "Simulation",
    "TransferError",
    "averaging_error",
    "best_subset",
    "dispersion_factor",
    "fixed_design_error",
    "pooled_error",
    "simulate",
    "weighted_error",
]
