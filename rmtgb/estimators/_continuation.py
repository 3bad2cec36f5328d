"""What a warm start may continue."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from rmtgb.boosting.model import ThreeStageModel

#: Parameters that say what a model is. Those of its trees, and how they are looked for, may change
#: from one part of a fit to the next.
OF_MODEL = (
    "loss",
    "quantile",
    "huber_delta",
    "task_feature",
    "categorical_features",
    "task_baseline",
    "task_descriptors",
)
#: Parameters that only one loss reads.
OF_LOSS = {"quantile": "quantile", "huber_delta": "huber"}


def check_continuation(
    old: Mapping[str, Any], new: Mapping[str, Any], model: ThreeStageModel
) -> None:
    """Refuse to continue a model with parameters of another, or one that is long enough already.

    Parameters
    ----------
    old, new : mapping of str to object
        Parameters of the fits so far, and of the one that is to continue them.
    model : ThreeStageModel

    Raises
    ------
    ValueError
        If they do not fit together; the message names the parameter.
    """
    for name in OF_MODEL:
        is_read = name in new and OF_LOSS.get(name, new.get("loss")) == new.get("loss")
        if is_read and not _is_same(old[name], new[name]):
            raise ValueError(
                f"warm_start=True continues a fit with {name}={old[name]!r}, got "
                f"{name}={new[name]!r}. Fit with warm_start=False."
            )
    rounds = {
        "n_iter_shared": model.shared.n_rounds,
        "n_iter_partition": model.partition.n_rounds,
        "n_iter_task": int(model.task_specific.n_rounds.max()),
    }
    for name, done in rounds.items():
        if new[name] < done:
            raise ValueError(
                f"{name}={new[name]} must be larger than or equal to {name}_={done} when "
                "warm_start==True"
            )


def _is_same(old: Any, new: Any) -> bool:
    """Tell whether two parameters, which may be sequences, say the same."""
    if np.ndim(old) != np.ndim(new):
        return False
    return bool(np.array_equal(np.asarray(old, object), np.asarray(new, object)))
