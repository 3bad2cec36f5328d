"""Stored trees on raw values: the way down equals the way that the rows went at training."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb import RMTGBRegressor
from rmtgb.boosting.monitor import Monitor
from rmtgb.boosting.rows import BoostState, TrainingSet
from rmtgb.boosting.stage_3_task_specific import boost_tasks
from rmtgb.engine.team import Team
from rmtgb.losses.squared_error import SquaredError
from rmtgb.tree import ensemble as ensembles
from rmtgb.tree.ensemble import Ensemble, RowsToPredict
from rmtgb.tree.records import SET_WORDS, SLOPE, TREE_NODE
from tests.boosting.helpers import no_baseline
from tests.oracles import tree as oracle
from tests.tree import cases
from tests.tree.cases import draw, grow, settings

seeds = st.integers(0, 2**32 - 1)


def predict(ensemble, X, mapper=None, **rounds):
    return cases.predict(ensemble, X, mapper, **rounds)[0]


def hand_made():
    """Category 1, 64 or 255 of feature 1, then feature 0 <= 0.5 with missing values left."""
    nodes = np.zeros(5, TREE_NODE)
    nodes["feature"], nodes["category_set"] = [1, 0, -1, -1, -1], [0, -1, -1, -1, -1]
    nodes["left"], nodes["threshold"] = [1, 3, -1, -1, -1], [0, 0.5, 0, 0, 0]
    nodes["missing_left"], nodes["value"] = [0, 1, 0, 0, 0], [0, 0, 10, 20, 30]
    sets = np.zeros((1, SET_WORDS), np.uint64)
    for code in (1, 64, 255):
        sets[0, code // 64] |= np.uint64(1) << np.uint64(code % 64)
    return Ensemble(nodes, sets, np.empty(0, SLOPE), np.array([[0, 5], [0, 1], [0, 0]]), 1)


class TestOneTree:
    @pytest.mark.parametrize(
        ("row", "value"),
        [
            ([0.5, 1], 20),  # a value equal to the threshold goes left
            ([np.nextafter(0.5, 1), 64], 30),
            ([np.nan, 255], 20),
            ([0.0, 0], 10),
            ([0.0, 63], 10),
            ([0.0, np.nan], 10),
            ([-np.inf, 1], 20),
        ],
    )
    def test_by_hand(self, row, value):
        tree = hand_made()
        assert predict(tree, np.array([row])) == value
        assert tree.nodes["value"][oracle.find_leaf(row, tree.nodes, tree.category_sets)] == value

    @given(
        seed=seeds,
        missing=st.sampled_from([0.0, 0.2]),
        n_categories=st.sampled_from([(), (4, 70)]),
        n_new=st.integers(1, 50),  # not only multiples of the rows that go abreast
    )
    def test_new_rows_against_the_naive_way_down(self, seed, missing, n_categories, n_new):
        problem = draw(seed, missing=missing, n_categories=n_categories)
        ensemble = grow(problem, max_leaf_nodes=12).ensemble
        new = draw(seed + 1, n=n_new, missing=0.3, n_categories=n_categories).X
        new[0, 0] = np.inf
        expected = [
            ensemble.nodes["value"][oracle.find_leaf(row, ensemble.nodes, ensemble.category_sets)]
            for row in new
        ]
        np.testing.assert_array_equal(predict(ensemble, new), expected)


class TestTrainingRows:
    @given(seed=seeds, missing=st.sampled_from([0.0, 0.2]), max_bins=st.sampled_from([5, 255]))
    def test_the_shared_trees(self, seed, missing, max_bins):
        problem = draw(seed, missing=missing, n_categories=(5,))
        problem.max_bins = max_bins
        problem.w = (np.arange(60) % 4 > 0).astype(float)  # others are only carried along
        grown = grow(problem, n_trees=3, learning_rate=0.3, subsample=0.8)
        np.testing.assert_array_equal(predict(grown.ensemble, problem.X), grown.prediction)

    @pytest.mark.parametrize("n_members", [1, 2])
    @pytest.mark.parametrize("linear_leaves", [False, True])
    @given(seed=seeds, max_bins=st.sampled_from([7, 255]))
    def test_the_trees_of_tasks_whose_bins_are_their_own(
        self, linear_leaves, n_members, seed, max_bins
    ):
        problem = draw(seed, n=300, missing=0.1, n_categories=(12,))
        problem.max_bins = max_bins
        # rows that do not train have values and categories that their task does not know
        problem.w = (np.random.default_rng(seed).random(300) < 0.6).astype(float)
        offsets = np.array([0, 40, 45, 200, 300])
        task_codes = np.arange(4, dtype=np.int32).repeat(np.diff(offsets))
        training = TrainingSet(
            problem.binned(),
            -problem.g,
            problem.w,
            1.0 - problem.w,
            task_codes,
            offsets,
            np.arange(300),
            SquaredError(),
        )
        trees = settings(
            max_leaf_nodes=6, min_samples_leaf=2, learning_rate=0.5, linear_leaves=linear_leaves
        )
        with Team(n_members) as team:
            state = BoostState(training, no_baseline(4), team)
            ensembles = boost_tasks(state, trees, 0, np.array([3, 2, 0, 3]), Monitor())
        Z = problem.mapper().standardizer.transform(problem.X)
        rows = RowsToPredict(problem.X, Z, 1, task_codes.astype(np.int64))
        ensembles.add_to(rows)
        np.testing.assert_array_equal(rows.prediction, state.raw)
        np.testing.assert_array_equal(ensembles.n_rounds, [3, 2, 0, 3])
        assert not state.raw[0, 45:200].any()
        assert np.unique(state.raw).size > 9


class TestEnsembles:
    def test_rounds_add_up(self):
        problem = draw(0)
        ensemble = grow(problem, n_trees=5, subsample=0.7).ensemble
        assert (ensemble.n_trees, ensemble.n_rounds) == (5, 5)
        whole = predict(ensemble, problem.X)
        parts = predict(ensemble, problem.X, stop_round=2)
        parts += predict(ensemble, problem.X, first_round=2)
        np.testing.assert_allclose(parts, whole, rtol=1e-14)
        np.testing.assert_array_equal(
            predict(ensemble.take(np.arange(2)), problem.X),
            predict(ensemble, problem.X, stop_round=2),
        )
        np.testing.assert_array_equal(predict(ensemble, problem.X, stop_round=99), whole)
        assert not predict(ensemble.take(np.arange(0)), problem.X).any()

    def test_several_outputs_take_turns(self):
        tree = hand_made()
        double = tree.nodes.copy()
        double["value"] *= 2
        both = Ensemble(
            np.concatenate([tree.nodes, double]),
            tree.category_sets.repeat(2, axis=0),
            tree.slopes,
            np.array([[0, 5, 10], [0, 1, 2], [0, 0, 0]]),
            2,
        )
        out = cases.predict(both, np.array([[0.0, 1.0]]))
        assert both.n_rounds == 1
        np.testing.assert_array_equal(out, [[20], [40]])

    def test_gains(self):
        problem = draw(0)
        ensemble = grow(problem, n_trees=2).ensemble
        gains = ensemble.gains(5)
        inner = ensemble.nodes[ensemble.nodes["feature"] >= 0]
        for feature in range(5):
            expected = inner["gain"][inner["feature"] == feature].sum(dtype=float)
            assert gains[feature] == pytest.approx(expected)
        assert not gains[3:].any()


class TestThroughTheEstimator:
    def test_categories_unknown_ones_and_missing_values(self):
        rng = np.random.default_rng(0)
        names = np.array(["a", "b", "c", "d", None], dtype=object)
        X = np.column_stack([names[rng.integers(0, 5, 200)], rng.normal(size=200)])
        effect = {"a": 1.0, "b": -2.0, "c": 3.0, "d": -4.0, None: 10.0}
        y = np.array([effect[name] for name in X[:, 0]])
        model = RMTGBRegressor(
            n_iter_shared=20,
            n_iter_partition=0,
            n_iter_task=0,
            learning_rate=1.0,
            min_samples_leaf=1,
            l2_regularization=0.0,
            splitter="best",
            linear_leaves=False,
            early_stopping=False,
            categorical_features=[0],
        ).fit(X, y)
        new = np.array([[name, 0.0] for name in ["a", "b", "c", "d", None, "unknown"]], object)
        # the trees can tell all categories apart, missing values included; unknown ones are
        # missing values
        np.testing.assert_allclose(model.predict(new), [1, -2, 3, -4, 10, 10], atol=1e-6)

    def test_missing_values_at_prediction_only_follow_the_heavier_child(self):
        X = np.arange(10.0)[:, None]
        model = RMTGBRegressor(
            n_iter_shared=1,
            n_iter_partition=0,
            n_iter_task=0,
            learning_rate=1.0,
            min_samples_leaf=1,
            max_leaf_nodes=2,
            l2_regularization=0.0,
            splitter="best",
            linear_leaves=False,
            early_stopping=False,
        )
        for first_right, heavier in [(7, 0.0), (3, 5.0)]:
            model.fit(X, np.where(X[:, 0] < first_right, 0.0, 5.0))
            assert model.predict([[np.nan]]) == pytest.approx(heavier, abs=1e-9)


def test_a_record_that_another_thread_replaces_stays_as_long_as_it_is_used(monkeypatch):
    """`cached_property` has no lock: two first calls may make a record each."""
    problem = draw(0, n=200)
    trees = grow(problem).ensemble
    expected = cases.predict(trees, problem.X)
    add_trees, replaced = ensembles.add_trees, []

    def replace_and_add(*arguments):
        replaced.append(weakref.ref(trees.__dict__.pop("record")))  # as a second thread would
        gc.collect()
        assert replaced[-1]() is not None
        add_trees(*arguments)

    monkeypatch.setattr(ensembles, "add_trees", replace_and_add)
    np.testing.assert_array_equal(cases.predict(trees, problem.X), expected)
    assert replaced
