"""``rmtgb generate``: synthetic multi-task data in a file, with the truth beside it."""

import argparse
import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd

from rmtgb import __version__
from rmtgb.cli.data_file import check_folder, data_suffix, write_frame
from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import counted
from rmtgb.datasets import MultiTabTruth, ScenarioTruth, make_multitab_bench, make_task_scenario

#: Options of both generators, and those that only one of them has.
COMMON = {"n_tasks", "n_features", "n_samples", "n_outlier_tasks", "noise"}
ONLY_MULTITAB = {"correlation", "missing_labels", "layout"}
ONLY_SCENARIO = {"classification"}


def run(options: argparse.Namespace) -> None:
    """Generate the data and write both files."""
    check_folder(options.data)
    truth_path = options.data.with_name(
        options.data.name.removesuffix(data_suffix(options.data)) + ".truth.json"
    )
    for path in (options.data, truth_path):
        if path.exists() and not options.force:
            raise CommandError(f"{path} exists; give --force to write over it")
    try:
        frame, truth = _generate(options.kind, _given(options), options.random_state)
    except MemoryError as error:
        raise CommandError("there is not enough memory for so many rows") from error
    except (ValueError, RuntimeError) as error:  # the generator's word on the parameters
        raise CommandError(first_line(error)) from error
    write_frame(frame, options.data)
    try:
        truth_path.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"cannot write {truth_path}: {first_line(error)}") from error
    n_tasks = truth["n_tasks"]
    print(
        f"{options.data}: {counted(len(frame), 'row')}, {counted(n_tasks, 'task')}, columns "
        f"{frame.columns[0]} to {frame.columns[-1]}; truth in {truth_path}"
    )


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the dials that were given, and refuse those that this kind does not have."""
    is_multitab = options.kind == "multitab"
    names = sorted(COMMON | ONLY_MULTITAB | ONLY_SCENARIO)
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None}
    for name in given.keys() & (ONLY_SCENARIO if is_multitab else ONLY_MULTITAB):
        option = name.replace("_", "-")
        raise CommandError(f"--{option} is no option of --kind {options.kind}")
    return given


def _generate(
    kind: str, dials: dict[str, Any], random_state: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the data as one frame, and what the truth file is to hold."""
    common: dict[str, Any] = {"as_frame": True, "return_truth": True, "random_state": random_state}
    if kind == "multitab":
        name, arguments = "make_multitab_bench", {"layout": "long"} | dials
        X, Y, truth = make_multitab_bench(**arguments, **common)
        facts = _as_json(_fields(truth)) | {
            "target_mean": truth.target_mean.tolist(),
            "target_correlation": truth.target_correlation.tolist(),
            "noise_floor": truth.noise_floor.tolist(),
        }
        n_tasks = len(truth.degrees)
    else:
        if "n_samples" in dials:
            dials = dials | {"n_samples_per_task": dials["n_samples"]}
            del dials["n_samples"]
        name, arguments = "make_task_scenario", {"scenario": kind} | dials
        X, Y, truth = make_task_scenario(**arguments, **common)
        facts = _scenario_facts(truth)
        n_tasks = len(truth.clusters)
    targets = Y.add_prefix("y") if isinstance(Y, pd.DataFrame) else pd.Series(Y, name="target")
    source = {"generator": f"rmtgb.datasets.{name}", "version": __version__}
    parameters = {"parameters": arguments | {"random_state": random_state}}
    return pd.concat([X, targets], axis=1), source | parameters | {"n_tasks": n_tasks} | facts


def _scenario_facts(truth: ScenarioTruth) -> dict[str, Any]:
    """Return the truth of a scenario, with the functions' values in place of the functions."""
    names = ("outlier_tasks", "clusters", "length_scales", "noise", "noise_free_targets")
    return {name: _as_json(getattr(truth, name)) for name in names}


def _fields(truth: MultiTabTruth) -> dict[str, Any]:
    return {field.name: getattr(truth, field.name) for field in dataclasses.fields(truth)}


def _as_json(value: Any) -> Any:
    """Return the same with lists in place of arrays and tuples, and null for infinities."""
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    is_infinite = isinstance(value, float) and not np.isfinite(value)
    return None if is_infinite else value
