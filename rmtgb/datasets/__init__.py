"""Synthetic multi-task data with a known truth."""

from rmtgb.datasets.random_fourier import LinearCombination, RandomFourierFunction
from rmtgb.datasets.scenarios import ScenarioTruth, make_task_scenario

__all__ = [
    "LinearCombination",
    "RandomFourierFunction",
    "ScenarioTruth",
    "make_task_scenario",
]
