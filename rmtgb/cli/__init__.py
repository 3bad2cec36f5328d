"""The ``rmtgb`` command: what the models are worth, without writing Python.

Each command is declared here and run by the module of its name, which is imported only
then: ``rmtgb --help`` waits for nothing. What cannot be done raises
:class:`~rmtgb.cli.errors.CommandError`, which becomes one line on stderr and exit status
1; exit status 2 is argparse's, for a command line that cannot be understood.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from rmtgb import __version__
from rmtgb.cli.errors import CommandError
from rmtgb.cli.wording import read_numbers

AddParser = Callable[..., argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Words after ``rmtgb``, by default those of the command line.

    Returns
    -------
    int
        Exit status: 0, or 1 if something could not be done.

    Raises
    ------
    SystemExit
        From argparse: status 2 for a wrong command line, 0 after ``--help``.
    """
    options = _make_parser().parse_args(arguments)
    try:
        import_module(f"rmtgb.cli.{options.command}").run(options)
        sys.stdout.flush()
    except CommandError as error:
        print(f"rmtgb: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("rmtgb: interrupted", file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader of a pipe, such as head, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rmtgb", description="Robust multi-task gradient boosting."
    )
    parser.add_argument("--version", action="version", version=f"rmtgb {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )
    for declare in (
        _declare_demo,
        _declare_compare,
        _declare_transfer,
        _declare_generate,
        _declare_warmup,
    ):
        declare(commands.add_parser)
    return parser


def _declare_demo(add_parser: AddParser) -> None:
    text = "Fit generated tasks, some of them outliers, and compare with the alternatives."
    parser = add_parser("demo", help="show the result on generated data", description=text)
    parser.add_argument(
        "--random-state", type=_seed, default=0, metavar="N", help="other data (default: 0)"
    )


def _declare_compare(add_parser: AddParser) -> None:
    text = (
        "Set some rows of a file aside, fit R-MTGB, one pooled model and one model per task to "
        "the others, and compare their errors on the rows set aside."
    )
    parser = add_parser("compare", help="compare models on your own file", description=text)
    _add_data(parser)
    parser.add_argument(
        "--classification", action="store_true", help="the target is a class, not a number"
    )
    parser.add_argument(
        "--test-size",
        type=_share,
        default=0.2,
        metavar="SHARE",
        help="share of the rows to set aside (default: 0.2)",
    )
    parser.add_argument(
        "--random-state",
        type=_seed,
        default=42,
        metavar="N",
        help="seed of the split and of the models (default: 42)",
    )
    parser.add_argument(
        "--save-model",
        type=Path,
        metavar="FILE",
        help="write the fitted R-MTGB model, to be read by joblib.load",
    )
    parser.add_argument("--json", action="store_true", help="print all tasks as JSON")


def _declare_transfer(add_parser: AddParser) -> None:
    text = (
        "Fit a linear model to each task of a file, and say whether, by how much and with which "
        "weights the rows of the others help that of one task."
    )
    parser = add_parser(
        "transfer", help="are other tasks worth pooling with one?", description=text
    )
    _add_data(parser)
    parser.add_argument("--main", required=True, metavar="LABEL", help="the task to be helped")
    parser.add_argument(
        "--covariance",
        choices=["main", "all"],
        default="main",
        help="where errors count: where that task's rows are, or those of all (default: main)",
    )
    parser.add_argument("--json", action="store_true", help="print all tasks as JSON")


def _declare_generate(add_parser: AddParser) -> None:
    text = (
        "Write synthetic multi-task data, and beside them a file FILE.truth.json with what is "
        "true of them. The dials are those of make_task_scenario and make_multitab_bench, "
        "with the same defaults."
    )
    parser = add_parser("generate", help="write synthetic data to a file", description=text)
    parser.add_argument("data", type=Path, metavar="FILE", help=".csv, .csv.gz or .parquet")
    parser.add_argument(
        "--kind",
        choices=[
            *("outliers", "pooled", "independent", "related", "clusters", "hierarchy"),
            "multitab",
        ],
        default="outliers",
        help="a scenario of tasks, or MultiTab-Bench (default: outliers)",
    )
    _add_numbers_of_data(parser)
    parser.add_argument(
        "--dial",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a dial of TaskDials, such as feature_shift=0.5, or for multitab a parameter of "
        "make_multitab_bench, such as preset=publishers; may be given several times",
    )
    parser.add_argument(
        "--layout", choices=["long", "wide"], help="multitab: a row per label, or per sample"
    )
    parser.add_argument(
        "--classification",
        action="store_true",
        default=None,
        help="scenarios: classes 0 and 1 in place of numbers",
    )
    parser.add_argument(
        "--random-state", type=_seed, default=0, metavar="N", help="other data (default: 0)"
    )
    parser.add_argument("--force", action="store_true", help="write over existing files")


def _add_numbers_of_data(parser: argparse.ArgumentParser) -> None:
    """Add the parameters of the generators that are numbers."""
    numbers = {
        "--n-tasks": (int, "number of tasks"),
        "--n-features": (int, "features that matter"),
        "--n-samples": (int, "rows of each task"),
        "--n-outlier-tasks": (int, "the last tasks are outliers"),
        "--noise": (float, "standard deviation of the noise"),
        "--correlation": (float, "multitab: cosine of each pair of tasks"),
        "--missing-labels": (float, "multitab: share of labels that are missing"),
    }
    for option, (kind, meaning) in numbers.items():
        parser.add_argument(option, type=kind, metavar="N", help=meaning)
    sequences = {
        "--cluster-sizes": "clusters: tasks of each, such as 3,4,5",
        "--branching": "hierarchy: branches at each level below the root, such as 2,2,3",
        "--level-shares": "hierarchy: shares of the variance of each level, the root first",
    }
    for option, meaning in sequences.items():
        parser.add_argument(option, type=_numbers, metavar="N,N,...", help=meaning)


def _declare_warmup(add_parser: AddParser) -> None:
    text = (
        "Compile every kernel into Numba's cache, for instance while building an image. The "
        "environment variable NUMBA_CACHE_DIR sets the folder of the cache."
    )
    add_parser("warmup", help="compile now, not at the first fit", description=text)


def _add_data(parser: argparse.ArgumentParser) -> None:
    """Add the file and the roles of its columns."""
    parser.add_argument("data", type=Path, metavar="DATA", help=".csv, .csv.gz or .parquet file")
    parser.add_argument("--task", required=True, metavar="COLUMN", help="column of task labels")
    parser.add_argument("--target", required=True, metavar="COLUMN", help="column to predict")
    parser.add_argument(
        "--drop",
        action="append",
        default=[],
        metavar="COLUMN",
        help="column to leave out; may be given several times",
    )
    parser.add_argument(
        "--missing",
        action="append",
        default=[],
        metavar="TEXT",
        help="text that stands for a missing value, such as NA for a label; may be given "
        "several times",
    )


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no integer from 0 to {2**32 - 1}")
    return int(text)


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 0 and 1")
    return number


def _numbers(text: str) -> list[int | float]:
    try:
        return read_numbers(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of numbers like 2,2,3") from None
