"""Print the lowest versions that pyproject.toml declares, as a constraints file for pip.

Run from anywhere as ``python .ci/lowest_versions.py [EXTRA ...]``: the versions of the
dependencies and of the given extras. pyproject.toml remains the one owner of the numbers.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# A name and a lower bound, nothing else: what else a requirement can say has no lowest version.
REQUIREMENT = re.compile(r"([\w.-]+)>=([\w.]+)")


def main(extras: list[str]) -> None:
    """Print a line for each requirement."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    for requirement in sum((optional[extra] for extra in extras), project["dependencies"]):
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            sys.exit(f"lowest_versions: not of the form name>=version: {requirement}")
        print("==".join(match.groups()))


if __name__ == "__main__":
    main(sys.argv[1:])
