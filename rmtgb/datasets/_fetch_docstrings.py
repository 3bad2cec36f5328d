"""What the docstrings of all fetchers have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from rmtgb.datasets._files import OFFLINE_FOLDER

Function = TypeVar("Function", bound=Callable[..., Any])

_COMMON_SECTIONS = f"""
    data_home : str or path-like, optional
        Folder of the cache; by default that of scikit-learn. Not read where the environment
        variable {OFFLINE_FOLDER} names a folder that holds the files: then nothing is
        downloaded.
    download_if_missing : bool, default=True
        Whether to download what is not in the cache.
    return_X_y : bool, default=False
        Whether to return ``(X, y)`` in place of a Bunch.
    as_frame : bool, default=True
        Whether X and y are pandas objects. If not, X is an array of float64 with the codes of
        the tasks as last column and codes of categories, and y an array.

    Returns
    -------
    data : Bunch
        With ``data`` (X, the task labels in the column ``task_feature``), ``target`` (y),
        ``task_feature``, ``tasks`` (the labels, in the order of their codes) and
        ``feature_names`` (columns of X). Or the tuple ``(X, y)``.

    Raises
    ------
    OSError
        If a file is absent and cannot be downloaded, or is not the one expected.
    """


def with_common_sections(function: Function) -> Function:
    """Put the parameters and sections that all have into the docstring."""
    if function.__doc__:  # None under `python -OO`
        function.__doc__ = function.__doc__.replace("%(common)s", _COMMON_SECTIONS.strip())
    return function
