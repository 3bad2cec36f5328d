"""Checks of the source that ruff, mypy and import-linter cannot express.

Run from anywhere as ``python .ci/check_source.py``; offenders are printed and the exit
status is 1 if there are any.

- Functions of the package have at most 40 lines of code, those of a ``kernels`` folder 60.
  Lines of code are those that are left without docstrings, comments and blank lines. The
  signature counts, except that of ``__init__``: scikit-learn wants every parameter there and
  once more as an attribute.
- Files of the package have at most 400 lines.
- Only ``rmtgb/_compat.py`` imports private names of scikit-learn.
- The package imports nothing that pyproject.toml does not declare, and its tests only what
  the extra ``test`` adds: what another package happens to bring is not always there.
- ``tests/oracles`` does not import the package.
- No text file names an absolute path of somebody's machine.
"""

import ast
import functools
import io
import re
import sys
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("rmtgb")
COMPAT = PACKAGE / "_compat.py"
ORACLES = Path("tests", "oracles")

# Who may import which extras: the package those that its users can ask for.
EXTRAS = {"rmtgb": ("data", "plot"), "tests": ("test",)}
# Where the name to import and the name to install differ.
DISTRIBUTIONS = {"sklearn": "scikit-learn"}

MAX_FUNCTION_LINES = 40
MAX_KERNEL_LINES = 60
MAX_FILE_LINES = 400

# Hidden folders hold caches and environments, except those of the repository itself.
HIDDEN_BUT_OURS = {".ci", ".github"}
NOT_SOURCE = {"__pycache__", "build", "dist", "htmlcov", "venv"}
# A path into a home or scratch folder; the character before the slash excludes URLs and
# relative paths that contain such a folder.
MACHINE_PATH = re.compile(
    r"(?<![\w.~*})/-])/(?:home|Users|root|tmp|mnt|media|opt|srv|scratch|work|workspace)/[\w.{$]"
    r"|\b[A-Z]:\\+Users\\"
)

LAYOUT_TOKENS = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def main() -> int:
    """Print every offence in the repository and return the exit status."""
    offences = [
        f"{path.as_posix()}:{line}: {message}"
        for path in source_files(ROOT)
        for line, message in offences_in(path)
    ]
    print("\n".join(offences) if offences else "check_source: no offences")
    return 1 if offences else 0


def source_files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, relative to the root, without caches and environments."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != ".git":  # a file in a worktree of git
            yield path.relative_to(ROOT)
        elif path.is_dir() and is_source(path):
            yield from source_files(path)


def is_source(folder: Path) -> bool:
    """Tell whether a folder holds files of the repository."""
    if folder.name.startswith(".") and folder.name not in HIDDEN_BUT_OURS:
        return False
    return folder.name not in NOT_SOURCE and not (folder / "pyvenv.cfg").exists()


def offences_in(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and message of each offence in one file."""
    try:
        text = (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:  # not a text
        return
    yield from machine_paths(text)
    if path.suffix != ".py":
        return
    tree = ast.parse(text, filename=str(path))
    yield from forbidden_imports(path, tree)
    yield from undeclared_imports(path, tree)
    if path.is_relative_to(PACKAGE):
        yield from excess_lines(path, text, tree)


def machine_paths(text: str) -> Iterator[tuple[int, str]]:
    """Find absolute paths that exist on one machine only."""
    for number, line in enumerate(text.splitlines(), start=1):
        for match in MACHINE_PATH.finditer(line):
            yield number, f"absolute path of a machine: {match.group()}..."


def forbidden_imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find private names of scikit-learn, and the package in an oracle."""
    for line, name in imported_names(tree):
        package, *rest = name.split(".")
        if package == "sklearn" and any(map(is_private, rest)) and path != COMPAT:
            yield line, f"private name of scikit-learn outside {COMPAT.as_posix()}: {name}"
        if package == "rmtgb" and path.is_relative_to(ORACLES):
            yield line, f"an oracle must not import the package: {name}"


def undeclared_imports(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find imports in the package and its tests that its requirements do not name."""
    if path.parts[0] not in EXTRAS:
        return
    allowed = sys.stdlib_module_names | {"rmtgb", "tests"} | declared(EXTRAS[path.parts[0]])
    for line, name in imported_names(tree):
        package = name.split(".")[0]
        if DISTRIBUTIONS.get(package, package) not in allowed:
            yield line, f"pyproject.toml does not declare what is imported: {package}"


@functools.cache
def declared(extras: tuple[str, ...]) -> frozenset[str]:
    """Return the names of the dependencies and of some extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    requirements = sum((optional[extra] for extra in extras), project["dependencies"])
    return frozenset(re.match(r"[\w.-]+", requirement)[0] for requirement in requirements)


def imported_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and full dotted name of everything that a module imports absolutely."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def is_private(name: str) -> bool:
    """Tell whether a name starts with an underscore but is no dunder name."""
    return name.startswith("_") and not name.startswith("__")


def excess_lines(path: Path, text: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Find a file and functions that are too long."""
    length = len(text.splitlines())
    if length > MAX_FILE_LINES:
        yield 1, f"file has {length} lines, at most {MAX_FILE_LINES} are allowed"
    limit = MAX_KERNEL_LINES if "kernels" in path.parts else MAX_FUNCTION_LINES
    code = lines_of_code(text, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0].lineno if node.name == "__init__" else node.lineno
            count = sum(first <= line <= (node.end_lineno or first) for line in code)
            if count > limit:
                message = f"function {node.name} has {count} lines of code, at most {limit}"
                yield node.lineno, f"{message} are allowed"


def lines_of_code(text: str, tree: ast.Module) -> set[int]:
    """Return the numbers of the lines that are not blank, comment or docstring."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in LAYOUT_TOKENS:
            lines.update(range(token.start[0], token.end[0] + 1))
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, docstring.end_lineno + 1))
    return lines


if __name__ == "__main__":
    sys.exit(main())
