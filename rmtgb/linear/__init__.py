"""Linear mixed models: an intercept and slopes for every task, shrunken by their variances.

``fit`` tells the story; ``design`` makes columns of features, ``system`` and the kernels
eliminate tasks one by one, ``variances`` estimates how much tasks differ, ``newton`` goes from
squared error to other losses, ``model`` is what is left.
"""

from rmtgb.linear.fit import MixedData, fit_mixed, out_of_fold
from rmtgb.linear.model import MixedModel

__all__ = ["MixedData", "MixedModel", "fit_mixed", "out_of_fold"]
