"""The only module that may import private or version-dependent scikit-learn names."""

from collections.abc import Callable
from typing import Any, TypeVar

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as openmp_n_threads
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _num_samples as count_rows

try:
    from sklearn.callback import CallbackSupportMixin
    from sklearn.callback import with_callbacks as _with_callbacks
except ImportError:  # scikit-learn < 1.9
    _with_callbacks = None

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks: none can be set."""

        def _init_callback_context(self, **kwargs: Any) -> None:
            return None


Method = TypeVar("Method", bound=Callable[..., Any])


def with_callbacks(method: Method) -> Method:
    """Decorate a method that may call callbacks; without them, return it as it is."""
    decorated: Method = method if _with_callbacks is None else _with_callbacks(method)
    return decorated


def has_callbacks(estimator: Any) -> bool:
    """Tell whether callbacks were set; scikit-learn has no public way to ask."""
    return bool(getattr(estimator, "_skl_callbacks", None))


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "count_rows",
    "has_callbacks",
    "openmp_n_threads",
    "with_callbacks",
]
