"""Words that several commands use."""

import sys
from collections.abc import Sequence
from typing import Any

#: How many items of a list are written out.
MAX_LISTED = 10


def announce_fit() -> None:
    """Say on stderr that this takes a moment."""
    print("rmtgb: fitting", file=sys.stderr, flush=True)


def note(text: str) -> None:
    """Say something on stderr that the user should know."""
    print(f"rmtgb: note: {text}.", file=sys.stderr)


def listed(items: Sequence[Any]) -> str:
    """Return some items as words, and how many more there are."""
    words = [str(item) for item in items[:MAX_LISTED]]
    if len(items) > MAX_LISTED:
        words.append(f"{len(items) - MAX_LISTED} more")
    return ", ".join(words)


def read_numbers(text: str) -> list[int | float]:
    """Return numbers between commas, as integers where they are written as such.

    Raises
    ------
    ValueError
        If any is no number.
    """
    return [
        int(part) if part.strip().lstrip("-").isdecimal() else float(part)
        for part in text.split(",")
    ]


def print_aligned(lines: list[list[str]]) -> None:
    """Print a table, the first column flush left, the others flush right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = [text.rjust(width) for text, width in zip(others, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]).rstrip())
