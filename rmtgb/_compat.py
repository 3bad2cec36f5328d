"""The only module that may import private or version-dependent scikit-learn names."""

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads as openmp_n_threads
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in where scikit-learn has no callbacks: none can be set."""

        def _init_callback_context(self, **kwargs):
            return None

    def with_callbacks(method):
        """Return the method as it is."""
        return method


def has_callbacks(estimator):
    """Tell whether callbacks were set; scikit-learn has no public way to ask."""
    return bool(getattr(estimator, "_skl_callbacks", None))


__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "check_sample_weight",
    "has_callbacks",
    "openmp_n_threads",
    "with_callbacks",
]
