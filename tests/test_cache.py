"""Compiled kernels on disk: where they are kept, and that only the right ones are used.

Every run is a process of its own, with a copy of the package, a home and a temporary folder
that belong to the test. One kernel is compiled, of three files: ``pointwise`` calls
``squared_error``, through ``engine.jit``.
"""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rmtgb

PACKAGE = Path(rmtgb.__file__).parent

SCRIPT = """
import os, pathlib, time
import numpy as np
{first}
from rmtgb.losses.pointwise import fill_gradients
{then}
y, raw, gradient = np.full(1, 3.0, {dtype!r}), np.ones((1, 1)), np.zeros((1, 1))
fill_gradients(0, 1, 0, 0.0, y, np.ones(1), raw, gradient, np.zeros((1, 1)))
print(gradient[0, 0])
"""

#: Runs the rest of the command line with permission bits that bind root as well.
BOUND_BY_PERMISSIONS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # no CAP_DAC_OVERRIDE for what is executed from here
os.execv(sys.argv[1], sys.argv[1:])
"""


class Installation:
    """A copy of the package, and all the folders its kernels may be kept in."""

    def __init__(self, folder, package=PACKAGE, ignore=("__pycache__",)):
        self.folder = folder
        self.package = folder / "site" / "rmtgb"
        shutil.copytree(package, self.package, ignore=shutil.ignore_patterns(*ignore))
        self.in_tree = self.package / "__pycache__"
        self.home, self.temporary = folder / "home", folder / "temporary"
        self.home.mkdir()
        self.temporary.mkdir()
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("NUMBA_", "RMTGB_", "XDG_"))
        } | {
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "PYTHONPATH": str(self.package.parent),
            "PYTHONDONTWRITEBYTECODE": "1",  # it would be as stale as the kernels
        }

    def start(self, first="", then="", dtype="float64", prefix=(), **environment):
        """Start a process that runs the kernel."""
        script = SCRIPT.format(first=first, then=then, dtype=dtype)
        return subprocess.Popen(
            [*prefix, sys.executable, "-c", script],
            env=self.environment | environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **options):
        """Run the kernel; return the gradient, which is -2, and what is said on stderr."""
        return finish(self.start(**options))

    def kernels(self):
        """All files of machine code."""
        return sorted(self.folder.rglob("*.nbc"))

    def edit(self, name, old, new):
        """Replace text in a file, and keep its size and times."""
        path = self.package / name
        text, times = path.read_text(), path.stat()
        assert old in text
        assert len(old) == len(new)
        path.write_text(text.replace(old, new))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return float(out), err


@pytest.fixture
def installed(tmp_path):
    return Installation(tmp_path)


@pytest.fixture(scope="module")
def filled_package(tmp_path_factory):
    installed = Installation(tmp_path_factory.mktemp("filled"))
    installed.run()
    return installed.package


@pytest.fixture
def filled(tmp_path, filled_package):
    """An installation whose kernel is compiled."""
    return Installation(tmp_path, filled_package, ignore=())


def block(folder):
    """Put a file in the place of a folder, which not even root can write into."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.write_text("")


def test_kernels_are_kept_with_the_package_and_the_folder_is_named(installed):
    gradient, said = installed.run()
    assert gradient == -2
    assert said.count("\n") == 1
    assert f"find them in {installed.in_tree} (" in said
    assert [kernel.parent for kernel in installed.kernels()] == [installed.in_tree]
    assert installed.run() == (-2, "")


def test_without_the_package_folder_they_are_kept_at_home(installed):
    block(installed.in_tree)
    _, said = installed.run()
    (kernel,) = installed.kernels()
    assert kernel.is_relative_to(installed.home)
    assert f"find them in {kernel.parent} (" in said
    assert installed.run() == (-2, "")


# "nowhere" is what "~" is for a user without an entry in the list of users: not absolute
@pytest.mark.parametrize("home", ["a file", "nowhere"])
def test_without_a_home_they_are_kept_in_a_private_temporary_folder(installed, home):
    block(installed.in_tree)
    block(installed.home)
    home = str(installed.home) if home == "a file" else home
    _, said = installed.run(HOME=home)
    (kernel,) = installed.kernels()
    assert kernel.parent.parent == installed.temporary
    assert f"find them in {kernel.parent} (" in said
    assert installed.run(HOME=home) == (-2, "")
    if os.name == "posix":
        assert kernel.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.name != "posix", reason="elsewhere the temporary folder is private")
@pytest.mark.parametrize("whose", ["a file", "a link", "open to others", "of another user"])
def test_what_others_may_have_put_into_the_temporary_folder_is_not_used(installed, whose):
    block(installed.in_tree)
    block(installed.home)
    installed.run()
    (kernel,) = installed.kernels()
    folder = kernel.parent
    if whose == "a file":
        block(folder)
    elif whose == "a link":
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to(folder.with_name("elsewhere"))
    elif whose == "open to others":
        folder.chmod(0o777)
    elif os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    else:
        pytest.skip("only root can give a folder away")
    for _ in range(2):  # nothing is kept, and everything works
        gradient, said = installed.run()
        assert gradient == -2
        assert said.count("\n") == 1
        assert "no folder can be written" in said
        for name in (installed.in_tree, installed.home, folder):
            assert f"{name}" in said


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_kernels_that_came_with_a_read_only_package_are_found(installed):
    prefix = [sys.executable, "-c", BOUND_BY_PERMISSIONS] if os.geteuid() == 0 else []
    installed.run()
    installed.in_tree.chmod(0o555)
    assert installed.run(prefix=prefix) == (-2, "")
    # what is not among them is kept at home
    assert f"{installed.home}" in installed.run(prefix=prefix, dtype="float32")[1]
    assert [
        len(list(folder.rglob("*.nbc"))) for folder in (installed.in_tree, installed.home)
    ] == [
        1,
        1,
    ]
    assert installed.run(prefix=prefix, dtype="float32") == (-2, "")


def test_a_folder_set_by_the_user_wins(installed):
    chosen = installed.folder / "chosen"
    _, said = installed.run(NUMBA_CACHE_DIR=str(chosen))
    (kernel,) = installed.kernels()
    assert kernel.is_relative_to(chosen)
    assert f"find them in {kernel.parent} (" in said
    assert installed.run(NUMBA_CACHE_DIR=str(chosen)) == (-2, "")
    block(chosen)
    assert f"find them in {installed.in_tree} (" in installed.run(NUMBA_CACHE_DIR=str(chosen))[1]


def test_without_compilation_nothing_is_kept(installed):
    then = "from rmtgb.engine.jit import kernel; kernel(lambda: 0)"  # also not one of our own
    assert installed.run(then=then, NUMBA_DISABLE_JIT="1") == (-2, "")
    assert installed.kernels() == []


def test_a_folder_that_vanishes_is_no_error(installed):
    then = f"""
from rmtgb.engine.cache import places
places().write.rmdir()
places().write.write_text("")
assert str(places().write) == {str(installed.in_tree)!r}
"""
    assert installed.run(then=then)[0] == -2
    assert installed.kernels() == []
    assert installed.in_tree.is_file()


@pytest.mark.parametrize(
    ("name", "old", "new", "gradient"),
    [
        ("losses/squared_error.py", "return raw - y, 1.0", "return raw + y, 1.0", 4),
        ("losses/squared_error.py", "code = 0", "code = 9", None),
        ("__init__.py", f'"{rmtgb.__version__}"', f'"{rmtgb.__version__[:-1]}x"', -2),
    ],
    ids=["a function in another file", "a constant in another file", "the version"],
)
def test_another_state_of_the_package_is_compiled_anew(filled, name, old, new, gradient):
    before = filled.kernels()
    filled.edit(name, old, new)
    found, said = filled.run()
    assert "compiling" in said
    assert gradient in (None, found)
    assert filled.kernels() == before  # written over: upgrades do not pile up
    assert filled.run() == (found, "")


def test_what_kernels_cannot_contain_costs_no_compilation(filled):
    (filled.package / "cli" / "wording.py").write_text("")
    (filled.package / "losses" / ".#open.py").symlink_to("nowhere")  # as Emacs does
    assert filled.run() == (-2, "")


class Bomb:
    """What must not be unpickled."""

    def __reduce__(self):
        return os._exit, (3,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[: len(content) // 2],
        lambda content: content[:4000] + bytes(1000) + content[5000:],
        lambda content: content[:32] + pickle.dumps(Bomb()),
    ],
    ids=["empty", "no seal", "cut off", "a hole", "of others"],
)
def test_damaged_files_are_not_used_but_replaced(filled, damage):
    (kernel,) = filled.kernels()
    content = kernel.read_bytes()
    kernel.write_bytes(damage(content))
    gradient, said = filled.run()
    assert gradient == -2
    assert "compiling" in said
    assert filled.run() == (-2, "")


@pytest.mark.parametrize("dtypes", [("float64", "float64"), ("float64", "float32")])
def test_two_processes_may_start_cold_at_the_same_time(installed, dtypes):
    meet = """
pathlib.Path(f"ready-{os.getpid()}").touch()
while len(list(pathlib.Path().glob("ready-*"))) < 2:
    time.sleep(0.001)
"""
    for process in [installed.start(then=meet, dtype=dtype) for dtype in dtypes]:
        gradient, said = finish(process)
        assert gradient == -2
        assert said.count("\n") == 1
        assert "compiling" in said
    for dtype in dtypes:
        assert installed.run(dtype=dtype) == (-2, "")


def test_code_for_debugging_is_not_used_by_others(installed):
    installed.run(NUMBA_BOUNDSCHECK="1")
    assert "compiling" in installed.run()[1]
    assert installed.run(NUMBA_BOUNDSCHECK="1") == (-2, "")


def test_a_zipped_package_is_told_from_its_next_version(installed):
    archive = installed.folder / "rmtgb.zip"

    def pack():
        shutil.make_archive(archive.with_suffix(""), "zip", installed.package.parent)

    pack()
    assert installed.run(PYTHONPATH=str(archive))[0] == -2
    assert installed.run(PYTHONPATH=str(archive)) == (-2, "")
    installed.edit("losses/squared_error.py", "return raw - y, 1.0", "return raw + y, 1.0")
    pack()
    assert installed.run(PYTHONPATH=str(archive))[0] == 4


@pytest.mark.parametrize(
    "first",
    [
        "import numba.core.caching, numba.misc.appdirs; del numba.misc.appdirs.AppDirs",
        "from numba.core.compiler import CompileResult; del CompileResult._rebuild",
    ],
)
def test_with_another_numba_its_own_cache_is_used(installed, first):
    """One that has no such name, so that the import of `_cache` fails."""
    gradient, said = installed.run(first=first)
    assert gradient == -2
    assert "Numba's cache" in said
    assert list(installed.package.rglob("*.nbi"))


#: What a later Numba may do with names that are still there: another signature, another result.
OTHERWISE = """
from rmtgb.engine import cache
def otherwise(*arguments):
    {does}
cache.{name} = otherwise
"""


@pytest.mark.parametrize("does", ["raise TypeError('one argument more')", "return arguments"])
@pytest.mark.parametrize("name", ["loads", "_rebuild"])
def test_what_cannot_be_loaded_is_compiled_again(filled, name, does):
    gradient, said = filled.run(then=OTHERWISE.format(name=name, does=does))
    assert gradient == -2
    assert "compiling" in said


@pytest.mark.parametrize("name", ["dumps", "_reduce"])
def test_what_cannot_be_saved_is_compiled_by_every_process(installed, name):
    change = OTHERWISE.format(name=name, does="raise TypeError('one argument more')")
    for _ in range(2):
        gradient, said = installed.run(then=change)
        assert gradient == -2
        assert "compiling" in said
    assert installed.kernels() == []


def test_without_a_name_for_its_file_a_kernel_runs(filled):
    does = "raise AttributeError('no magic tuple')"
    change = OTHERWISE.format(name="KernelCache._file_name", does=does)
    assert filled.run(then=change)[0] == -2


def test_functions_of_others_are_left_to_numba(installed):
    module = installed.folder / "mine.py"
    module.write_text("from numba import njit\n@njit(cache=True)\ndef mine(x):\n    return -x\n")
    installed.run(then="import sys; sys.path.insert(0, ''); from mine import mine; mine(1)")
    assert list((installed.folder / "__pycache__").glob("mine.mine-*.nbi"))
