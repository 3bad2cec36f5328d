"""``rmtgb generate``: synthetic multi-task data in a file, with the truth beside it."""

import argparse
import dataclasses
import json
from typing import Any

import numpy as np
import pandas as pd

from rmtgb import __version__
from rmtgb._common import counted, hint
from rmtgb.cli.data_file import check_folder, data_suffix, write_frame
from rmtgb.cli.errors import CommandError, first_line
from rmtgb.cli.wording import read_numbers
from rmtgb.datasets import ScenarioTruth, TaskDials, make_multitab_bench, make_task_scenario

#: Options that each kind reads.
ALL = {"n_features", "n_samples", "noise"}
SCENARIO = ALL | {"classification", "dial"}
READ = {
    "outliers": SCENARIO | {"n_tasks", "n_outlier_tasks"},
    "pooled": SCENARIO | {"n_tasks"},
    "independent": SCENARIO | {"n_tasks"},
    "related": SCENARIO | {"n_tasks"},
    "clusters": SCENARIO | {"cluster_sizes"},
    "hierarchy": SCENARIO | {"branching", "level_shares"},
    "multitab": ALL
    | {"n_tasks", "n_outlier_tasks", "correlation", "missing_labels", "layout", "dial"},
}
#: Dials of scenarios.
TASK_DIALS = [field.name for field in dataclasses.fields(TaskDials)]
#: Parameters of make_multitab_bench that are given as dials: they have no option of their own.
MULTITAB_DIALS = [
    *("degrees", "task_types", "n_classes", "mean_count", "missing_dependence", "n_irrelevant"),
    *("preset", "noise", "missing_labels", "n_samples"),  # of each task, where there is an option
]


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
    except (
        TypeError,
        ValueError,
        RuntimeError,
    ) as error:  # the generator's word on the parameters
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
    """Return the parameters that were given, and refuse those that this kind does not read."""
    names = sorted(set().union(*READ.values()))
    given = {name: getattr(options, name) for name in names}
    given = {name: value for name, value in given.items() if value is not None and value != []}
    for name in sorted(given.keys() - READ[options.kind]):
        option = name.replace("_", "-")
        raise CommandError(f"--{option} is no option of --kind {options.kind}")
    if "dial" in given:
        dials = given.pop("dial")
        if options.kind != "multitab":
            return given | {"dials": _read_dials(dials, TASK_DIALS)}
        more = _read_dials(dials, MULTITAB_DIALS)
        twice = sorted(given.keys() & more.keys())
        if twice:
            raise CommandError(f"{twice[0]} is given as an option and as a dial")
        given |= more
    return given


def _read_dials(texts: list[str], known: list[str]) -> dict[str, Any]:
    """Return the dials by name, with values as numbers where they are."""
    dials: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if name not in known:
            raise CommandError(f"there is no dial {name!r}; {hint(name, known, len(known))}")
        if not equals:
            raise CommandError(f"--dial {name} has no value: give {name}=VALUE")
        if name in dials:
            raise CommandError(f"--dial {name} is given twice")
        dials[name] = _read_value(value)
    return dials


def _read_value(text: str) -> Any:
    """Return a number or a text, or a list of them between commas."""
    try:
        numbers = read_numbers(text)
    except ValueError:  # the dial's own error says what it wants
        return [part.strip() for part in text.split(",")] if "," in text else text
    return numbers if "," in text else numbers[0]


def _generate(
    kind: str, dials: dict[str, Any], random_state: int
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the data as one frame, and what the truth file is to hold."""
    common: dict[str, Any] = {"as_frame": True, "return_truth": True, "random_state": random_state}
    if kind == "multitab":
        name = "make_multitab_bench"
        arguments: dict[str, Any] = {"layout": "long", "test_size": 0.0, **dials}
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
        name, arguments = "make_task_scenario", {"scenario": kind, **dials}
        checked = {"dials": TaskDials(**dials["dials"])} if "dials" in dials else {}
        X, Y, truth = make_task_scenario(**arguments | checked, **common)
        facts = _scenario_facts(truth)
        n_tasks = len(truth.clusters)
    targets = Y.add_prefix("y") if isinstance(Y, pd.DataFrame) else pd.Series(Y, name="target")
    source = {"generator": f"rmtgb.datasets.{name}", "version": __version__}
    parameters = {"parameters": _as_json(arguments | {"random_state": random_state})}
    return pd.concat([X, targets], axis=1), source | parameters | {"n_tasks": n_tasks} | facts


def _scenario_facts(truth: ScenarioTruth) -> dict[str, Any]:
    """Return the truth of a scenario, with the functions' values in place of the functions."""
    facts = {name: value for name, value in _fields(truth).items() if name != "functions"}
    return _as_json(facts | {"function_correlation": truth.function_correlation})


def _fields(truth: Any) -> dict[str, Any]:
    return {field.name: getattr(truth, field.name) for field in dataclasses.fields(truth)}


def _as_json(value: Any) -> Any:
    """Return the same with lists in place of arrays and tuples, and null for infinities."""
    if dataclasses.is_dataclass(value):
        value = _fields(value)
    if isinstance(value, dict):
        return {name: _as_json(item) for name, item in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple | list):
        return [_as_json(item) for item in value]
    is_infinite = isinstance(value, float) and not np.isfinite(value)
    return None if is_infinite else value
