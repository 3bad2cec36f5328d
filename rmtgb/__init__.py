"""Robust multi-task gradient boosting, with scikit-learn's interface."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmtgb import datasets, transfer
    from rmtgb.estimators.classifier import RMTGBClassifier
    from rmtgb.estimators.regressor import RMTGBRegressor

__version__ = "0.1.0.dev0"
__all__ = ["RMTGBClassifier", "RMTGBRegressor", "datasets", "transfer"]

_HOME = {
    "RMTGBClassifier": "rmtgb.estimators.classifier",
    "RMTGBRegressor": "rmtgb.estimators.regressor",
}

if not TYPE_CHECKING:  # a type checker should not take any name for one of ours

    def __getattr__(name: str) -> Any:
        """Import what is asked for when it is first asked for."""
        if name in ("datasets", "transfer"):
            return import_module(f"rmtgb.{name}")
        if name in _HOME:
            return getattr(import_module(_HOME[name]), name)
        raise AttributeError(f"module 'rmtgb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
