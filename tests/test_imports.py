"""Every module can be imported beside whatever versions are installed, and warns of nothing."""

import importlib
import pkgutil

import pytest

import rmtgb

MODULES = [module.name for module in pkgutil.walk_packages(rmtgb.__path__, "rmtgb.")]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_import(name):
    importlib.import_module(name)
