"""Files of real data sets: where they come from, and how it is checked that they are right."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

#: Environment variable: a folder that holds the files, from which nothing is downloaded.
OFFLINE_FOLDER = "RMTGB_DATASETS"


@dataclass(frozen=True)
class RemoteFile:
    """A file and its source.

    Parameters
    ----------
    name : str
        Name in the cache and in the offline folder.
    url : str
        Where it is downloaded from.
    sha256 : str or None
        Its hash, in hexadecimal digits. None where its publisher and those who use it state
        none: then that of the first download is kept beside the file, and every later use
        is checked against it.
    folder : str, default=""
        Folder below that of the cache, where names alone would not do.
    """

    name: str
    url: str
    sha256: str | None = None
    folder: str = ""


_UCI = "https://archive.ics.uci.edu/static/public"
_GITHUB = "https://raw.githubusercontent.com"
_COMPUTER = f"{_GITHUB}/GAA-UAM/MT_GB/91b6e00fec44de487ca40a0d039bcf5a4cf889da/Datasets/computer"
_SCHOOL = f"{_GITHUB}/tjanez/PyMTL/970607e070b2a0d616d6c6248e6485b99cbb0d8c/data/school"
_LANDMINE = (
    f"{_GITHUB}/daizhongxiang/Federated_Bayesian_Optimization/"
    "9f46a1dfbbcfd5823e026ad9418a4cb881676ae9"
)

# Where no hash is given, nobody was found who states one; the commit in the address is one.
#: All files, by the names that fetchers use.
FILES = {
    "abalone": RemoteFile(
        "abalone.zip",
        f"{_UCI}/1/abalone.zip",
        "755a6a67c5b266961a3f149ea13be2cfb6e6c727e48cee3c83bc0b4526210ee4",
    ),
    "adult": RemoteFile(
        "adult.zip",
        f"{_UCI}/2/adult.zip",
        "7537312dd56c2b98035880805ce99e68183a30ee468aa5329d6df0fbb3cc21bb",
    ),
    "avila": RemoteFile("avila.zip", f"{_UCI}/459/avila.zip"),
    "bank": RemoteFile(
        "bank_marketing.zip",
        f"{_UCI}/222/bank+marketing.zip",
        "e0bf5f5de5b846e2f18e9d90606637267d46dfa260e0f17bb12e605db5efbeb4",
    ),
    "computer_data": RemoteFile("computer_data.csv", f"{_COMPUTER}/computer_data.csv"),
    "computer_target": RemoteFile("computer_target.csv", f"{_COMPUTER}/computer_target.csv"),
    "landmine": RemoteFile("LandmineData.mat", f"{_LANDMINE}/LandmineData.mat"),
    "parkinson": RemoteFile(
        "parkinsons_telemonitoring.zip",
        f"{_UCI}/189/parkinsons+telemonitoring.zip",
        "2f82bb0ef96fa7d8d7edf4d97b89173e07c2cca7723440a64bc38918a83345df",
    ),
    "sarcos_train": RemoteFile(
        "sarcos_inv.mat",
        "https://gaussianprocess.org/gpml/data/sarcos_inv.mat",
        "b8a249733253ba6097372fedee7696833fcf30de42037d5b4a7227f21a6d1d97",
    ),
    "sarcos_test": RemoteFile(
        "sarcos_inv_test.mat",
        "https://gaussianprocess.org/gpml/data/sarcos_inv_test.mat",
        "161a59b5c3b4f4b404584323f181607b2acbe620eb134dc720760dc3f38f5cec",
    ),
    "school": RemoteFile("school_b.mat", f"{_SCHOOL}/school_b.mat"),
}


def obtain(
    file: RemoteFile, data_home: str | os.PathLike[str] | None, download_if_missing: bool
) -> Path:
    """Return the path of a file whose hash was checked, downloading it where that is allowed.

    Parameters
    ----------
    file : RemoteFile
        The file.
    data_home : str or path-like, optional
        Folder of the cache; by default that of scikit-learn. Files are in its subfolder "rmtgb".
    download_if_missing : bool
        Whether it may be downloaded.

    Returns
    -------
    path : Path

    Raises
    ------
    OSError
        If the file is not there and must not, or cannot, be downloaded, or if its hash is
        wrong.
    """
    from sklearn.datasets import fetch_file, get_data_home  # slow to import

    offline = os.environ.get(OFFLINE_FOLDER)
    if offline:
        return _from_folder(file, Path(offline), f"the folder of {OFFLINE_FOLDER}")
    folder = Path(get_data_home(data_home)) / "rmtgb" / file.folder
    if not download_if_missing or (folder / file.name).exists():
        return _from_folder(file, folder, "the cache, and download_if_missing is False")
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(fetch_file(file.url, folder, file.name, sha256=file.sha256))
    if file.sha256 is None:
        _record_of(path).write_text(_sha256(path) + "\n", encoding="ascii")
    return path


def _from_folder(file: RemoteFile, folder: Path, what: str) -> Path:
    path = folder / file.name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not in {what}; it comes from {file.url}")
    expected = file.sha256
    if expected is None and _record_of(path).exists():
        expected = _record_of(path).read_text(encoding="ascii").strip()
    actual = _sha256(path) if expected else None
    if actual != expected:
        raise OSError(
            f"{path} has the SHA-256 {actual}, expected is {expected}: it is damaged or "
            f"another version; delete it to download it again from {file.url}"
        )
    return path


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
