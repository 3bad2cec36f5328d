"""Ensembles over all rows that grow together: what stages 1 and 2 have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from rmtgb._common import FloatArray
from rmtgb.boosting.kernels.rounds import boost
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.records import BOOST
from rmtgb.boosting.rows import BoostState
from rmtgb.boosting.settings import Stopping
from rmtgb.engine.record import Array, Record, copy, empty, run
from rmtgb.tree.ensemble import Ensemble
from rmtgb.tree.grower import TreeGrower, TreeSettings, TreeStore
from rmtgb.tree.weights import WeightUnits, Words

#: Codes (rows times features) and bins (of the histograms of all leaves) of one call of the
#: kernel, over all of its trees: some tenths of a second, for until it returns nobody can
#: interrupt it.
CODES_PER_CALL = 2**27

#: Nodes that are grown before they are copied to where they stay.
NODES_PER_CALL = 2**18


@dataclass(frozen=True)
class Curve:
    """What became of a stage on the validation rows.

    Attributes
    ----------
    best_round : int
        The round with the smallest validation loss; 0 is the start of the stage.
    best_raw : ndarray of float64 of shape (n_outputs, n_rows)
        The raw prediction after that round.
    losses : ndarray of float64 of shape (n_rounds + 1, 2)
        Sums of the loss over training and over validation rows.
    """

    best_round: int
    best_raw: FloatArray
    losses: FloatArray


class Pauses(Protocol):
    """Something that is done between rounds."""

    def next_after(self, done: int) -> int:
        """Return the number of rounds of this run at which it is to be done next."""

    def act(self) -> None:
        """Do it."""


class Booster:
    """Some ensembles over all rows, and the kernel that grows them.

    Parameters
    ----------
    state : BoostState
        Its raw prediction is added to.
    trees : TreeSettings
    formers : sequence of Ensemble
        What each ensemble continues, an empty one at the first fit.
    sides : ndarray of float64 of shape (n_ensembles, n_outputs, n_rows)
        What each ensemble predicts so far; added to.
    seed : int
        Decides all random choices.
    gate : dict of str to ndarray
        ``offset`` (n_outputs, n_rows), the raw prediction without the sides, and for two sides
        the arrays of the outlier gate.
    partition_regularization : float
        Of the gate.
    """

    def __init__(
        self,
        state: BoostState,
        trees: TreeSettings,
        formers: Sequence[Ensemble],
        sides: FloatArray,
        seed: int,
        gate: Mapping[str, Array],
        partition_regularization: float = 0.0,
    ) -> None:
        training = state.training
        self._state, self._trees = state, trees
        self._grown = [[former] for former in formers]
        self._units = WeightUnits.of(training.weight, np.array([0, training.n_rows]))
        # the coefficients of a gate make hessians differ
        self._words = Words.choose(self._units, len(formers) == 1 and training.constant_hessian)
        self._leaf_limit = int(trees.leaf_limits(self._units)[0])
        self._numbers = state.numbers(seed)
        self._numbers["partition_regularization"] = partition_regularization
        n_sides, n_rows = len(formers), training.n_rows
        n_hessians = n_rows if self._words.per_row > 1 else 0
        self._arrays = {
            **state.arrays,
            "gradient": state.gradient,
            "hessian": state.hessian if n_hessians else state.hessian[:, :0],
            "sides": sides,
            "coefficient": copy(np.ones((n_sides, training.n_tasks))),
            "former_rounds": np.array([formers[0].n_rounds]),
            **gate,
        }
        self._sizes = {"n_side_rows": 0 if n_sides == 1 else n_rows}

    def run(
        self,
        n_rounds: int,
        monitor: Monitor,
        stopping: Stopping | None = None,
        pauses: Pauses | None = None,
    ) -> Curve | None:
        """Make rounds until there are enough, or nothing improves, or the monitor says stop.

        Parameters
        ----------
        n_rounds : int
            The largest number of them, one or more.
        monitor : Monitor
            Told of every round.
        stopping : Stopping, optional
            When the validation rows end the stage.
        pauses : Pauses, optional
            What is to be done after some of the rounds.

        Returns
        -------
        Curve or None
            None without ``stopping``.
        """
        per_call = self._rounds_per_call(n_rounds, monitor)
        n_grown = len(self._grown)
        record = self._make_record(n_rounds, stopping)
        store = TreeStore(
            np.full(n_grown, self._leaf_limit),
            np.full(n_grown, per_call * self._state.training.loss.n_outputs),
            self._trees.linear_leaves,
        )
        records = [record, self._make_grower().record, store.record, record]
        done, stopped = 0, False
        while done < n_rounds and not stopped:
            record.arrays["first_rounds"][:] = done
            until = n_rounds if pauses is None else min(n_rounds, pauses.next_after(done))
            record.arrays["n_rounds"][:] = min(per_call, until - done)
            run(self._state.team, boost, [*records, records[1]])
            made = int(record.members["rounds_done"][0]) - done
            done += made
            self._collect(store, made)
            if pauses is not None and done == until < n_rounds:
                pauses.act()
            sums = record.arrays["losses"][0, done : done + 1]
            means = self._state.training.mean_losses(sums[0]) if sums.size else None
            stopped = monitor.after_rounds(made, means) or bool(record.members["stopped"][0])
        if stopping is None:
            return None
        losses = record.arrays["losses"][0, : done + 1]
        return Curve(int(record.members["best_round"][0]), record.arrays["best_raw"], losses)

    def _make_record(self, n_rounds: int, stopping: Stopping | None) -> Record:
        """Return the record of boosting, with room for the losses of all rounds."""
        training = self._state.training
        sizes, numbers = dict(self._sizes), dict(self._numbers)
        sizes["n_losses"] = n_rounds + 1 if training.validation_weight.size else 0
        if stopping is not None:
            sizes["n_watched"] = training.n_rows
            numbers |= {"patience": stopping.patience, "tolerance": stopping.tolerance}
        rounds = {name: empty(len(self._grown), np.int64) for name in ("n_rounds", "first_rounds")}
        return Record(BOOST, self._state.team, self._arrays | rounds, sizes, numbers)

    def _make_grower(self) -> TreeGrower:
        training = self._state.training
        return TreeGrower(
            training.binned,
            {"weight": training.weight},
            self._units,
            self._words,
            self._trees,
            self._leaf_limit,
            training.loss.leaf_quantile,
            training.loss.has_log_link,
            self._state.team,
        )

    def ensembles(self) -> list[Ensemble]:
        """Return what there was before and what has been grown, an Ensemble for each side."""
        return [Ensemble.joined(grown) for grown in self._grown]

    def _rounds_per_call(self, n_rounds: int, monitor: Monitor) -> int:
        if monitor.every_round:
            return 1
        training = self._state.training
        bins = self._leaf_limit * (training.binned.missing_code + 1)
        codes = (training.n_rows + bins) * training.n_features * training.loss.n_outputs
        nodes = 2 * self._leaf_limit * training.loss.n_outputs
        limit = min(CODES_PER_CALL // max(1, codes), NODES_PER_CALL // nodes)
        return min(n_rounds, max(1, limit // len(self._grown)))

    def _collect(self, store: TreeStore, n_rounds: int) -> None:
        """Copy the trees of the last rounds to where they stay."""
        n_outputs = self._state.training.loss.n_outputs
        trees = np.arange(n_rounds * n_outputs)
        for side, grown in enumerate(self._grown):
            grown.append(store.gather(np.full_like(trees, side), trees, n_outputs))
