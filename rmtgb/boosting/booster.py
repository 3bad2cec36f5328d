"""Ensembles over all rows that grow together: what stages 1 and 2 have in common."""

from dataclasses import dataclass, field

import numpy as np

from rmtgb.boosting.rounds import boost
from rmtgb.boosting.state import TrainingSet
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.job import Job, n_words_for
from rmtgb.tree.slots import TreeSlots

#: Codes (rows times features) of one call of the kernel, over all of its rounds: some tenths
#: of a second, for until it returns nobody can interrupt it.
CODES_PER_CALL = 2**27

#: Nodes that are grown before they are copied to where they stay.
NODES_PER_CALL = 2**18


@dataclass
class Watch:
    """Follows a stage on the validation rows; filled in while the stage is boosted.

    Attributes
    ----------
    patience, tolerance
        The stage ends after ``patience`` rounds none of which has lowered the validation
        loss by more than ``tolerance`` times itself.
    best_round : int
        The round with the smallest validation loss; 0 is the start of the stage.
    best_loss : float
        That loss, summed over validation rows.
    best_raw : ndarray of float64 of shape (n_outputs, n_rows)
        The raw prediction after that round.
    losses : ndarray of float64 of shape (n_rounds + 1, 2)
        Sums of the loss over training and over validation rows.
    """

    patience: int
    tolerance: float
    best_round: int = 0
    best_loss: float = np.inf
    best_raw: np.ndarray | None = field(default=None, repr=False)
    losses: np.ndarray | None = field(default=None, repr=False)


def ensemble_fields(training: TrainingSet, trees, n_rows, n_leaves, constant_hessian):
    """Return what every job that boosts some rows must know, as sizes and fields of a job.

    Parameters
    ----------
    training : TrainingSet
    trees : TreeSettings
    n_rows, n_leaves : int
        Rows, and leaves of a tree, for which there must be room.
    constant_hessian : bool
        Whether the trees see constant hessians.
    """
    n_words = n_words_for(constant_hessian, n_rows)
    linear = trees.linear_leaves
    sizes = {
        "n_rows": n_rows,
        "n_features": training.n_features,
        "n_parents": 2 * n_leaves - 1 if linear else 0,
        "n_linear_leaves": n_leaves if linear else 0,
        "n_outputs": training.loss.n_outputs,
        "n_words": n_words,
        "n_hessians": n_rows if n_words > 1 else 0,
        "n_leaves": n_leaves,
        "n_scratch": 0 if training.loss.leaf_quantile is None else n_rows,
    }
    return sizes, training.row_fields | trees.growth_params(training.n_features, n_leaves)


class Booster:
    """Some ensembles over all rows, and the kernel that grows them.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    trees : TreeSettings
    formers : list of Ensemble
        What each ensemble continues, an empty one at the first fit.
    sides : ndarray of float64 of shape (n_ensembles, n_outputs, n_rows)
        What each ensemble predicts so far; added to.
    constant_hessian : bool
        Whether the trees see constant hessians.
    seed : int
        Decides all random choices.
    gate : dict of str to ndarray, optional
        Arrays of the outlier gate; without one the ensemble is the raw prediction.
    partition_regularization : float
        Of the gate.
    """

    def __init__(
        self,
        state,
        trees,
        formers,
        sides,
        constant_hessian,
        seed,
        gate=None,
        partition_regularization=0.0,
    ):
        training = state.training
        self._state, self._formers, self._grown = state, formers, [[f] for f in formers]
        n_rows, n_sides = training.y.size, len(formers)
        self._linear_leaves = trees.linear_leaves
        self._slot_leaves = trees.n_leaves(training.weight.sum())
        sizes, self._fields = ensemble_fields(
            training, trees, n_rows, self._slot_leaves, constant_hessian
        )
        self._sizes = sizes | {
            "n_tasks": training.n_tasks,
            "missing_code": training.binned.missing_code,
        }
        self._fields |= {
            "stage_seed": np.uint64(seed),
            "partition_regularization": partition_regularization,
        }
        self._arrays = {
            **state.arrays,
            "sides": sides,
            "coefficient": np.ones((n_sides, training.n_tasks)),
            "former_rounds": np.full(n_sides, formers[0].n_rounds),
            **(gate or {}),
        }

    def run(self, n_rounds, monitor, watch=None):
        """Make rounds until there are enough, or nothing improves, or the monitor says stop.

        Parameters
        ----------
        n_rounds : int
            The largest number of them.
        monitor : Monitor
            Told of every round.
        watch : Watch, optional
            Filled in, with validation rows.
        """
        if n_rounds <= 0:
            return
        per_call = self._rounds_per_call(n_rounds, monitor)
        job = self.make_job(per_call, n_rounds, watch)
        done, stopped = 0, False
        while done < n_rounds and not stopped:
            job.records["first_round"] = done
            job.records["n_rounds"] = min(per_call, n_rounds - done)
            self._state.team.run(boost, job.records, job.records)
            made = int(job.records["rounds_done"][0]) - done
            done += made
            self.collect(made)
            stopped = monitor.after_rounds(made) or bool(job.records["stopped"][0])
        if watch is not None:
            watch.best_round = int(job.records["best_round"][0])
            watch.best_loss = float(job.records["best_loss"][0])
            watch.best_raw = job.arrays["best_raw"]
            watch.losses = job.arrays["losses"][0, : done + 1]

    def make_job(self, per_call, n_rounds=0, watch=None):
        """Return a job with room for the trees of one call and the losses of all rounds."""
        sizes, fields = dict(self._sizes), dict(self._fields)
        if self._state.training.validation_weight.size > 0:
            sizes["n_losses"] = n_rounds + 1
        if watch is not None:
            sizes["n_watched"] = sizes["n_rows"]
            fields |= {"patience": watch.patience, "tolerance": watch.tolerance}
        self._slots = TreeSlots(
            np.full(len(self._formers), self._slot_leaves),
            per_call * self._sizes["n_outputs"],
            self._linear_leaves,
        )
        return Job(sizes, fields, self._arrays | self._slots.arrays, self._state.team)

    def ensembles(self):
        """Return what there was before and what has been grown, an Ensemble for each side."""
        return [Ensemble.joined(grown) for grown in self._grown]

    def _rounds_per_call(self, n_rounds, monitor):
        if monitor.every_round:
            return 1
        codes = self._sizes["n_rows"] * self._sizes["n_features"]
        nodes = 2 * self._slot_leaves * self._sizes["n_outputs"]
        limit = min(CODES_PER_CALL // max(1, codes), NODES_PER_CALL // nodes)
        return min(n_rounds, max(1, limit // len(self._formers)))

    def collect(self, n_rounds):
        """Copy the trees of the last rounds to where they stay."""
        n_outputs = self._sizes["n_outputs"]
        trees = np.arange(n_rounds * n_outputs)
        for side, grown in enumerate(self._grown):
            grown.append(self._slots.gather(np.full_like(trees, side), trees, n_outputs))
