"""Synthetic multi-task data with a known truth, and real data sets."""

from rmtgb.datasets.dials import TaskDials
from rmtgb.datasets.fetchers import (
    fetch_abalone,
    fetch_adult,
    fetch_avila,
    fetch_bank,
    fetch_computer,
    fetch_landmine,
    fetch_parkinson,
    fetch_sarcos,
    fetch_school,
    fetch_tasks,
)
from rmtgb.datasets.layouts import to_long, to_wide
from rmtgb.datasets.multitab_bench import make_multitab_bench
from rmtgb.datasets.multitab_display import MultiTabDisplay
from rmtgb.datasets.multitab_truth import MultiTabTruth
from rmtgb.datasets.random_fourier import LinearCombination, RandomFourierFunction
from rmtgb.datasets.scenario_truth import ScenarioTruth
from rmtgb.datasets.scenarios import make_task_scenario
from rmtgb.datasets.task_traits import DialledFunction, TaskTraits

__all__ = [
    "DialledFunction",
    "LinearCombination",
    "MultiTabDisplay",
    "MultiTabTruth",
    "RandomFourierFunction",
    "ScenarioTruth",
    "TaskDials",
    "TaskTraits",
    "fetch_abalone",
    "fetch_adult",
    "fetch_avila",
    "fetch_bank",
    "fetch_computer",
    "fetch_landmine",
    "fetch_parkinson",
    "fetch_sarcos",
    "fetch_school",
    "fetch_tasks",
    "make_multitab_bench",
    "make_task_scenario",
    "to_long",
    "to_wide",
]
