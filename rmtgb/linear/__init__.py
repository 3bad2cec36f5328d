"""Linear mixed models: an intercept and slopes for every task, shrunken by their variances.

``fit`` tells the story; ``design`` makes columns of features, ``system`` and the kernels
eliminate tasks one by one, ``variances`` estimates how much tasks differ, ``newton`` goes from
squared error to other losses, ``model`` is what is left.
"""
