"""Rows out of the bag have no part in a tree, nor in the quantiles that its leaves are."""

import numpy as np
import pytest

from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.rows import BoostState
from rmtgb.boosting.settings import StageSettings
from rmtgb.boosting.stage_1_shared import boost_shared
from rmtgb.boosting.stage_2_outlier_partition import boost_partition
from rmtgb.boosting.stage_3_task_specific import boost_tasks
from rmtgb.engine.jit import kernel
from rmtgb.engine.random import mix
from rmtgb.engine.team import Team
from rmtgb.losses import make_loss
from rmtgb.losses.weighted_quantile import weighted_quantile
from rmtgb.tree.grower import TreeSettings
from rmtgb.tree.kernels import packing
from tests.boosting.helpers import no_baseline, task_data, training_set

SUBSAMPLE, LEVEL = 0.5, 0.3


@kernel
def fill_bag(stage_seed, subsample, bag):
    """Write which rows are in the bag of the first tree of a stage, of a task in stage 3."""
    seed = mix(mix(stage_seed, 0), 0)
    for i in range(bag.size):
        bag[i] = packing.is_in_bag(i, subsample, seed)


def bag_of(seed, n_rows):
    """Return the rows in the bag of a first tree, bool."""
    bag = np.empty(n_rows, np.bool_)
    fill_bag(np.uint64(seed), SUBSAMPLE, bag)
    assert 0.3 < bag.mean() < 0.7
    return bag


def boosted(stage, seed, subsample=SUBSAMPLE, weight=None):
    """Make one round of trees of a single leaf on targets from zero; return trees and rows."""
    X, y = task_data(n_rows=300, n_tasks=3)
    loss = make_loss("quantile", quantile=LEVEL)
    training = training_set(X, y, weight, loss=loss)
    # no leaf is that large
    trees = TreeSettings(None, None, 1e6, 0.0, 1.0, 1.0, subsample, False, False)
    settings = StageSettings(1, 1, 1, trees, trees, 1.0, (False,), (False,))
    with Team(1) as team:
        state = BoostState(training, no_baseline(3), team)
        if stage == "shared":
            grown, *_ = boost_shared(state, settings, seed, Monitor())
        elif stage == "partition":
            partition, tasks, _ = boost_partition(state, settings, seed, Monitor())
            return (partition.sides, tasks.theta_start), training
        else:
            grown = boost_tasks(state, trees, seed, np.ones(3, np.int64), Monitor()).trees
    return grown, training


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2**62])
class TestALeafIsTheQuantileOfItsBag:
    def weight(self, weighted):
        """Return weights of the rows of ``task_data``, or None."""
        return np.random.default_rng(5).uniform(0.5, 2.0, 300) if weighted else None

    def test_of_all_tasks(self, seed, weighted):
        trees, training = boosted("shared", seed, weight=self.weight(weighted))
        bag = bag_of(seed, 300)
        expected = weighted_quantile(training.y[bag], training.weight[bag], LEVEL)
        np.testing.assert_array_equal(trees.nodes["value"], [expected])

    def test_of_each_task(self, seed, weighted):
        trees, training = boosted("task", seed, weight=self.weight(weighted))
        expected = []
        for task in range(3):
            rows = slice(*training.offsets[task : task + 2])
            y, weight = training.y[rows], training.weight[rows]
            bag = bag_of(seed, y.size)
            expected.append(weighted_quantile(y[bag], weight[bag], LEVEL))
        np.testing.assert_array_equal(trees.nodes["value"], expected)

    def test_of_each_side(self, seed, weighted):
        """A row counts by its weight times its task's share c, with its residual over c."""
        (sides, theta), training = boosted("partition", seed, weight=self.weight(weighted))
        bag = bag_of(seed, 300)
        share = 1.0 / (1.0 + np.exp(-theta[training.task_codes[bag]]))
        for side, c in zip(sides, (1.0 - share, share), strict=True):
            expected = weighted_quantile(training.y[bag] / c, c * training.weight[bag], LEVEL)
            np.testing.assert_allclose(side.nodes["value"], [expected], rtol=1e-14)


@pytest.mark.parametrize("stage", ["shared", "task"])
def test_other_seeds_give_other_leaves_unless_all_rows_are_in(stage):
    leaves = [boosted(stage, seed)[0].nodes["value"].tobytes() for seed in range(4)]
    assert len(set(leaves)) == 4
    leaves = [boosted(stage, seed, 1.0)[0].nodes["value"].tobytes() for seed in range(4)]
    assert len(set(leaves)) == 1
