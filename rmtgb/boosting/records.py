"""The record of boosting: what is known of rows, tasks and losses beside the grower of trees."""

import numpy as np

from rmtgb.engine.record import Layout
from rmtgb.tree.records import N_CODES

#: Positions in sums of losses: over training and over validation rows.
TRAIN, VALIDATION = 0, 1

#: Sides of stage 2: that of most tasks, and that of outliers.
FIRST, SECOND = 0, 1

BOOST = Layout(
    "boosting",
    {
        # the rows, those of a task next to each other
        "y": (np.float64, ("n_rows",)),
        "weight": (np.float64, ("n_rows",)),
        "validation_weight": (np.float64, ("n_validation",)),
        "task_codes": (np.int32, ("n_rows",)),
        "offsets": (np.int64, ("n_offsets",)),  # where the rows of each task start
        "raw": (np.float64, ("n_outputs", "n_rows")),
        "gradient": (np.float64, ("n_outputs", "n_rows")),
        "hessian": (np.float64, ("n_outputs", "n_hessians")),  # none where it is the weight
        # the ensembles that grow together, called sides, and their derivatives by task
        "sides": (np.float64, ("n_sides", "n_outputs", "n_rows")),
        "coefficient": (np.float64, ("n_sides", "n_tasks")),
        "side_gradient": (np.float64, ("n_side_rows",)),  # where coefficients are not one
        "side_hessian": (np.float64, ("n_side_rows",)),
        # the rounds of this call: of the ensembles, or of each queued task; how many there were
        # before in this fit, and in earlier ones
        "n_rounds": (np.int64, ("n_grown",)),
        "first_rounds": (np.int64, ("n_grown",)),
        "former_rounds": (np.int64, ("n_ensembles",)),
        # what is watched: sums of losses
        "losses": (np.float64, ("n_ensembles", "n_losses", 2)),
        "task_losses": (np.float64, ("n_tasks", 2)),
        "best_raw": (np.float64, ("n_outputs", "n_watched")),
        # the outlier gate
        "theta": (np.float64, ("n_gate_tasks",)),
        "theta_start": (np.float64, ("n_gate_tasks",)),
        "theta_sums": (np.float64, ("n_gate_tasks", 4)),
        "second_weight": (np.float64, ("n_gate_tasks",)),
        "offset": (np.float64, ("n_outputs", "n_offset_rows")),  # raw prediction without the sides
        # tasks that are worked on one after another
        "queue": (np.int64, (1,)),  # position of the next one
        "queued_tasks": (np.int64, ("n_queued",)),
        "task_units": (np.int64, ("n_ensembles",)),  # totals of their weights, see WeightUnits
        "bin_limits": (np.int64, ("n_ensembles",)),  # of bins that a task makes for itself
        "task_bins": (np.uint8, ("n_rebinned", N_CODES)),  # the task's own bin of each code
    },
    {
        "loss": np.int64,
        "loss_parameter": np.float64,
        "stage_seed": np.uint64,
        "rounds_done": np.int64,  # rounds before this call, and those made
        "takes_rows": np.int64,  # whether a queued task's rows are copied before its rounds
        "gives_back": np.int64,  # and its raw prediction after them
        "partition_regularization": np.float64,
        # stopping; patience 0: no stopping
        "patience": np.int64,
        "tolerance": np.float64,
        "best_round": np.int64,
        "best_loss": np.float64,
        "stopped": np.int64,
    },
)
