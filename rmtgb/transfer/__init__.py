"""When rows of related tasks help a linear model of the main task, and weighted how."""

from rmtgb.transfer.break_even import break_even
from rmtgb.transfer.display import TransferDisplay
from rmtgb.transfer.estimates import EstimatedBenefit, EstimatedProblem
from rmtgb.transfer.estimation import estimate_problem
from rmtgb.transfer.fixed_design import fixed_design_error
from rmtgb.transfer.network import network_bound
from rmtgb.transfer.one_auxiliary import fixed_design_optimal_weight
from rmtgb.transfer.optimal import optimal_weights
from rmtgb.transfer.pooling import averaging_error, dispersion_factor, pooled_error
from rmtgb.transfer.problem import LinearTransferProblem
from rmtgb.transfer.results import (
    BreakEven,
    NetworkBound,
    OptimalWeights,
    SafeCombination,
    SubsetChoice,
    TransferError,
)
from rmtgb.transfer.safe_combination import safe_combination
from rmtgb.transfer.simulation import Simulation, simulate
from rmtgb.transfer.subsets import best_subset
from rmtgb.transfer.weighting import weighted_error

__all__ = [
    "BreakEven",
    "EstimatedBenefit",
    "EstimatedProblem",
    "LinearTransferProblem",
    "NetworkBound",
    "OptimalWeights",
    "SafeCombination",
    "Simulation",
    "SubsetChoice",
    "TransferDisplay",
    "TransferError",
    "averaging_error",
    "best_subset",
    "break_even",
    "dispersion_factor",
    "estimate_problem",
    "fixed_design_error",
    "fixed_design_optimal_weight",
    "network_bound",
    "optimal_weights",
    "pooled_error",
    "safe_combination",
    "simulate",
    "weighted_error",
]
