"""Where compiled kernels are kept, and when what is found there may be used.

Numba's own cache looks at the file a kernel stands in (before 0.68 at its time and size), but
not at the files of the functions it calls: an upgrade of the package may run old machine code.
And it lists signatures in an index, which processes that compile at the same time overwrite.
Here a file holds one signature of one kernel, behind a seal over itself and all sources: what
another version wrote, or what is cut off or damaged, is not even unpickled.
"""

import contextlib
import functools
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numba
import numpy as np
from numba import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps, loads
from numba.misc.appdirs import AppDirs

import rmtgb

# Named here, so that a version of Numba without them fails when this module is imported.
_reduce, _rebuild = CompileResult._reduce, CompileResult._rebuild
_PACKAGE = Path(rmtgb.__file__).absolute().parent
#: No kernel stands in them or imports them: an edit there costs no compilation.
_ABOVE_KERNELS = {"__main__.py", "cli", "datasets", "estimators", "transfer"}
_SEAL_BYTES = 32


class Places(NamedTuple):
    """The folders of this process: where to look, where to write, what is wrong with others."""

    read: list[Path]
    write: Path | None
    problems: list[str]


@functools.cache
def places() -> Places:
    """Try folders, best first, until one can be written."""
    read, problems = [], []
    for folder, is_private in _candidates():
        try:
            folder.mkdir(mode=0o700 if is_private else 0o777, parents=True, exist_ok=True)
            if is_private and os.name == "posix" and not _is_ours_alone(folder):
                raise PermissionError(None, "others may write there")
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            problems.append(f"{folder}: {error.strerror}")
            if not is_private:  # filled, perhaps, by who installed the package
                read.append(folder)
        else:
            return Places([*read, folder], folder, problems)
    return Places(read, None, problems)


def _candidates() -> Iterator[tuple[Path, bool]]:
    """Yield each folder, and whether it must be of this user alone."""
    name = f"rmtgb_{blake2b(os.fsencode(_PACKAGE), digest_size=16).hexdigest()}"
    if config.CACHE_DIR:
        yield Path(config.CACHE_DIR).absolute() / name, False
    yield _PACKAGE / "__pycache__", False
    user_wide = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    if user_wide.is_absolute():  # else a user without a home, and "~" would be made here
        yield user_wide / name, True
    with contextlib.suppress(FileNotFoundError):  # there is no temporary folder either
        owner = os.geteuid() if os.name == "posix" else "user"
        yield Path(tempfile.gettempdir()) / f"{name}_{owner}", True


def _is_ours_alone(folder: Path) -> bool:
    """Tell whether nobody else can have put a file there, which would run as our code."""
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    return is_ours and not found.st_mode & 0o077


@functools.cache
def _fingerprint() -> bytes:
    """Digest the version of the package and all sources that can be part of a kernel."""
    sources = sorted(_PACKAGE.rglob("*.py")) or [
        Path(getattr(rmtgb.__loader__, "archive", sys.executable))  # zipped, or frozen
    ]
    digest = blake2b(rmtgb.__version__.encode())
    for source in sources:
        if not _ABOVE_KERNELS.intersection(source.parts[len(_PACKAGE.parts) :]):
            with contextlib.suppress(OSError):  # such as the dangling links of an editor
                digest.update(os.fsencode(source.name) + blake2b(source.read_bytes()).digest())
    return digest.digest()


class KernelCache(NullCache):
    """What Numba asks for the machine code of one kernel."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = f"{function.__module__}.{function.__name__}"
        self._key = _fingerprint()  # now, while the files are those that are being imported

    # Both do without whatever goes wrong. Files vanish, disks are full, and what is asked of
    # Numba is private there: the next version may want other arguments or return something
    # else. The price must be that a kernel is compiled again, never that it does not run.

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Find the machine code of a signature; None if there is none that may be used."""
        with contextlib.suppress(Exception):
            target_context.refresh()
            name = self._file_name(sig, target_context.codegen())
            for folder in places().read:
                with contextlib.suppress(Exception):
                    found = self._read(folder / name, target_context)
                    if isinstance(found, CompileResult):
                        return found
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the machine code of a signature, if there is a place for it."""
        with contextlib.suppress(Exception):
            folder = places().write
            if folder and not data.library.has_dynamic_globals:  # addresses of this process
                self._write(folder / self._file_name(sig, data.codegen), dumps(_reduce(data)))

    def _read(self, path: Path, target_context: Any) -> Any:
        content = path.read_bytes()
        payload = content[_SEAL_BYTES:]
        if content != self._seal(payload) + payload:
            return None
        return _rebuild(target_context, *loads(payload))

    def _write(self, path: Path, payload: bytes) -> None:
        unfinished = path.with_name(f"{uuid4().hex}.nbc")
        try:
            unfinished.write_bytes(self._seal(payload) + payload)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _seal(self, payload: bytes) -> bytes:
        return blake2b(payload, key=self._key, digest_size=_SEAL_BYTES).digest()

    def _file_name(self, sig: Any, codegen: Any) -> str:
        """Name a file after all that decides the machine code but the sources.

        They are in the seal, so that an upgrade writes over the files of the former version.
        """
        versions = sys.version, numba.__version__, np.__version__
        options = config.OPT, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT
        decisive = str((sig, codegen.magic_tuple(), versions, options))
        return f"{self._name}-{blake2b(decisive.encode(), digest_size=16).hexdigest()}.nbc"
