"""Numbers by which kernels tell losses apart.

Kernels compile these as constants. Compiled code on disk does not notice a change in
another file, so a number that was once given to a loss is never given to another.
"""

SQUARED_ERROR = 0
ABSOLUTE_ERROR = 1
HUBER = 2
QUANTILE = 3
POISSON = 4
LOG_LOSS_BINARY = 5
LOG_LOSS_MULTICLASS = 6
