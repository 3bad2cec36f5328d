"""Whole trees against a naive best-first grower, and what every tree must satisfy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracles import tree as oracle
from tests.tree.cases import Problem, draw, grow

seeds = st.integers(0, 2**32 - 1)

#: A gradient keeps 40 bits of the largest one, and sums of it cancel to some extent.
GRADIENT_ROUNDING = 1e-9
#: A hessian keeps 30 bits of the largest one.
HESSIAN_ROUNDING = 1e-6
#: Weights are stored in single precision, and scores are rounded to it.
FLOAT32 = 2e-7


def assert_same_tree(grown, problem, rounding=GRADIENT_ROUNDING, **limits):
    """The tree is the oracle's: node by node, and row by row."""
    expected = problem.oracle_nodes(oracle.Limits(**limits))
    nodes = grown.nodes
    assert nodes.size == len(expected)
    np.testing.assert_array_equal(nodes["left"], [node.left for node in expected])
    scale = abs(problem.g).max()
    np.testing.assert_allclose(
        nodes["value"], [n.value for n in expected], rtol=rounding, atol=rounding * scale
    )
    np.testing.assert_allclose(nodes["weight"], [n.weight for n in expected], rtol=FLOAT32)
    for node, twin, position in zip(nodes, expected, range(nodes.size), strict=True):
        if twin.left < 0:
            assert node["feature"] == -1
            np.testing.assert_array_equal(np.flatnonzero(grown.leaf_of_row == position), twin.rows)
            np.testing.assert_array_equal(grown.prediction[twin.rows], node["value"])
            continue
        assert node["feature"] == twin.split.feature
        scale = abs(problem.g[twin.rows]).sum() ** 2 / problem.h[twin.rows].sum()
        assert node["gain"] == pytest.approx(twin.split.gain, rel=rounding, abs=FLOAT32 * scale)
        assert bool(node["missing_left"]) == twin.split.missing_left
        if twin.split.codes_left is not None:
            members = oracle.members(grown.ensemble.category_sets[node["category_set"]])
            assert members == twin.split.codes_left
    assert (grown.leaf_of_row >= 0).all()


def grow_and_compare(
    problem, rounding=GRADIENT_ROUNDING, n_members=1, constant_hessian=False, **limits
):
    """Grow with the package and with the oracle."""
    names = {
        "min_weight": "min_samples_leaf",
        "l2": "l2_regularization",
        "max_leaf_nodes": "max_leaf_nodes",
        "max_depth": "max_depth",
        "learning_rate": "learning_rate",
    }
    changes = {names[name]: value for name, value in limits.items()}
    grown = grow(problem, n_members, constant_hessian, **changes)
    assert_same_tree(grown, problem, rounding, **limits)
    return grown


class TestAgainstTheNaiveGrower:
    @pytest.mark.slow
    @pytest.mark.parametrize("constant_hessian", [True, False])
    @given(
        seed=seeds,
        max_leaf_nodes=st.integers(2, 12),
        max_depth=st.sampled_from([1, 2, 3, 99]),
        min_weight=st.sampled_from([1, 3, 10]),
        l2=st.sampled_from([0.0, 2.5]),
    )
    def test_numerical(self, constant_hessian, seed, **limits):
        problem = draw(seed, digits=1, missing=0.1)
        rounding = GRADIENT_ROUNDING if constant_hessian else HESSIAN_ROUNDING
        grow_and_compare(problem, rounding, constant_hessian=constant_hessian, **limits)

    @given(seed=seeds, min_weight=st.sampled_from([1, 5]), l2=st.sampled_from([0.0, 1.0]))
    def test_categorical_and_missing(self, seed, **limits):
        problem = draw(seed, n=80, n_numerical=1, n_categories=(3, 9), missing=0.15, digits=1)
        grow_and_compare(problem, constant_hessian=True, max_leaf_nodes=8, **limits)

    @given(seed=seeds, learning_rate=st.sampled_from([0.1, 1.0]))
    def test_weights_and_hessians(self, seed, learning_rate):
        problem, rng = draw(seed, digits=1), np.random.default_rng(seed)
        problem.w = rng.integers(1, 5, 60).astype(float)
        problem.g *= problem.w
        problem.h = problem.w * (0.2 + rng.random(60))
        grow_and_compare(
            problem,
            HESSIAN_ROUNDING,
            max_leaf_nodes=8,
            min_weight=6,
            l2=0.5,
            learning_rate=learning_rate,
        )

    @pytest.mark.parametrize("n_members", [1, 2])
    def test_many_leaves(self, n_members):
        problem = draw(7, n=400, n_categories=(30,), missing=0.05, digits=1)
        grown = grow_and_compare(
            problem, constant_hessian=True, max_leaf_nodes=60, n_members=n_members
        )
        assert grown.nodes.size == 2 * 60 - 1

    def test_until_every_row_is_alone(self):
        problem = draw(3, n=50)
        grown = grow_and_compare(problem, constant_hessian=True, max_leaf_nodes=50)
        assert grown.nodes.size == 99
        np.testing.assert_allclose(grown.prediction, -problem.g, rtol=1e-9)


class TestLimits:
    def test_no_split_that_saves_nothing(self):
        # the gradient is the same in every row: a tree of one node
        problem = draw(0)
        problem.g = np.full(60, 0.3)
        nodes = grow(problem, constant_hessian=True).nodes
        assert nodes.size == 1
        assert nodes["value"][0] == pytest.approx(-0.3, rel=1e-11)

    def test_no_gradient_at_all(self):
        for constant_hessian in (True, False):
            problem = draw(0, n=61)
            problem.g = np.zeros(61)
            grown = grow(problem, constant_hessian=constant_hessian)
            np.testing.assert_array_equal(grown.nodes["value"], [0.0])

    def test_features_without_information(self):
        problem = Problem(
            np.column_stack([np.full(30, 2.0), np.full(30, np.nan)]), np.arange(30.0)
        )
        assert grow(problem).nodes.size == 1

    def test_too_few_rows(self):
        assert grow(draw(0, n=19), min_samples_leaf=10).nodes.size == 1
        assert grow(draw(0, n=20), min_samples_leaf=10).nodes.size <= 3

    @pytest.mark.parametrize("random_thresholds", [False, True])
    @pytest.mark.parametrize("l2", [0.0, 3.0])
    def test_a_node_is_its_rows(self, l2, random_thresholds):
        nodes = grow(
            draw(5, n=200, missing=0.1, n_categories=(6,)),
            max_leaf_nodes=15,
            min_samples_leaf=7,
            l2_regularization=l2,
            random_thresholds=random_thresholds,
        ).nodes
        inner, left = nodes["feature"] >= 0, nodes["left"]
        np.testing.assert_array_equal(
            nodes["weight"][inner], nodes["weight"][left[inner]] + nodes["weight"][left[inner] + 1]
        )
        # values are -G / (W + l2), so that sums of gradients are conserved as well
        gradient = nodes["value"] * (nodes["weight"] + l2)
        children = gradient[left[inner]] + gradient[left[inner] + 1]
        np.testing.assert_allclose(children, gradient[inner], rtol=1e-7, atol=1e-7)
        assert nodes["weight"][~inner].min() >= 7
        assert nodes["weight"][0] == 200

    @pytest.mark.parametrize(("max_depth", "n_nodes"), [(1, 3), (2, 7), (5, 63)])
    def test_depth(self, max_depth, n_nodes):
        nodes = grow(draw(1, n=500), max_leaf_nodes=None, max_depth=max_depth).nodes
        assert nodes.size == n_nodes

    def test_gains_on_the_way_add_up_to_what_the_tree_saves(self):
        problem = draw(2, n=300)
        nodes = grow(problem, constant_hessian=True, max_leaf_nodes=10).nodes
        leaves = nodes["feature"] < 0
        saved = (nodes["value"] ** 2 * nodes["weight"])[leaves].sum()
        saved -= nodes["value"][0] ** 2 * nodes["weight"][0]
        assert nodes["gain"].sum() == pytest.approx(saved, rel=FLOAT32)


class TestEquivalences:
    @pytest.mark.parametrize("random_thresholds", [False, True])
    @given(seed=seeds)
    def test_the_order_of_the_rows_changes_no_bit(self, random_thresholds, seed):
        problem = draw(seed, missing=0.1, n_categories=(5,))
        order = np.random.default_rng(seed).permutation(60)
        moved = Problem(problem.X[order], problem.g[order], n_categories=problem.n_categories)
        options = {"random_thresholds": random_thresholds}
        assert grow(moved, **options).bits[:2] == grow(problem, **options).bits[:2]

    @pytest.mark.parametrize("random_thresholds", [False, True])
    @given(seed=seeds)
    def test_an_integer_weight_is_repetition(self, random_thresholds, seed):
        problem = draw(seed, digits=1, missing=0.1, n_categories=(5,))
        w = np.random.default_rng(seed).integers(1, 4, 60)
        repeated = Problem(
            problem.X.repeat(w, axis=0), problem.g.repeat(w), n_categories=problem.n_categories
        )
        weighted = Problem(problem.X, problem.g * w, w=w, n_categories=problem.n_categories)
        options = {"min_samples_leaf": 5, "random_thresholds": random_thresholds}
        a, b = grow(weighted, **options), grow(repeated, **options)
        np.testing.assert_array_equal(a.nodes["feature"], b.nodes["feature"])
        np.testing.assert_array_equal(a.nodes["threshold"], b.nodes["threshold"])
        np.testing.assert_array_equal(a.ensemble.category_sets, b.ensemble.category_sets)
        np.testing.assert_allclose(a.nodes["value"], b.nodes["value"], rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("scale", [7, 10**6, 10**12])
    def test_the_scale_of_integer_weights_changes_no_tree(self, scale):
        # without categories: they are smoothed by ten rows of weight 1, whatever the others are
        problem, trees = draw(6, n=200), []
        w = np.random.default_rng(6).integers(1, 6, 200)
        for factor in (1, scale):
            weighted = Problem(problem.X, problem.g * w * factor, w=w * factor)
            trees.append(grow(weighted, min_samples_leaf=5 * factor))
        one, other = trees
        np.testing.assert_array_equal(other.leaf_of_row, one.leaf_of_row)
        np.testing.assert_allclose(other.prediction, one.prediction, rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("random_thresholds", [False, True])
    @given(seed=seeds)
    def test_rows_of_weight_zero_have_no_part_but_a_prediction(self, random_thresholds, seed):
        problem = draw(seed, n=90, missing=0.1)
        problem.w = (np.arange(90) % 3 > 0).astype(float)
        used = problem.w > 0
        options = {"constant_hessian": True, "max_leaf_nodes": 9}
        options["random_thresholds"] = random_thresholds
        whole = grow(problem, **options)
        alone = grow(Problem(problem.X[used], problem.g[used]), **options)
        np.testing.assert_array_equal(whole.nodes["feature"], alone.nodes["feature"])
        np.testing.assert_array_equal(whole.nodes["threshold"], alone.nodes["threshold"])
        np.testing.assert_allclose(whole.nodes["value"], alone.nodes["value"], 1e-9, 1e-11)
        np.testing.assert_array_equal(whole.prediction, whole.nodes["value"][whole.leaf_of_row])

    @pytest.mark.parametrize("power", [-900, -450, -31, 1, 450, 900])
    @pytest.mark.parametrize("constant_hessian", [False, True])
    @pytest.mark.parametrize("random_thresholds", [False, True])
    def test_gradients_of_any_unit_give_the_same_tree(
        self, random_thresholds, constant_hessian, power
    ):
        problem = draw(5, n=300, missing=0.1, n_categories=(7,))
        scaled = Problem(problem.X, problem.g * 2.0**power, n_categories=problem.n_categories)
        options = {"constant_hessian": constant_hessian, "random_thresholds": random_thresholds}
        one, other = grow(problem, **options), grow(scaled, **options)
        assert one.nodes.size > 9
        for name in one.nodes.dtype.names:
            # values have the unit of gradients, and gains its square, which may be beyond float64
            with np.errstate(over="ignore", under="ignore"):
                unit = {"value": 2.0**power, "gain": 4.0**power if abs(power) < 500 else np.nan}
            if not np.isnan(unit.get(name, 1.0)):
                expected = one.nodes[name] * unit.get(name, 1)
                np.testing.assert_array_equal(other.nodes[name], expected, name)
        np.testing.assert_array_equal(other.prediction, one.prediction * 2.0**power)
        if abs(power) < 500:
            gains = one.ensemble.gains(4) * 2.0**power * 2.0**power
            np.testing.assert_array_equal(other.ensemble.gains(4), gains)

    @pytest.mark.parametrize("power", [-200, -1, 1, 200])
    def test_gradients_and_hessians_of_any_unit_too(self, power):
        problem, rng = draw(5, n=300, missing=0.1, n_categories=(7,)), np.random.default_rng(0)
        problem.h = rng.uniform(0.1, 1.0, 300)
        scaled = Problem(
            problem.X,
            problem.g * 2.0**power,
            problem.h * 2.0**power,
            n_categories=problem.n_categories,
        )
        one = grow(problem, l2_regularization=0.5)
        other = grow(scaled, l2_regularization=0.5 * 2.0**power)
        np.testing.assert_array_equal(other.nodes["value"], one.nodes["value"])
        np.testing.assert_array_equal(other.nodes["gain"], one.nodes["gain"] * 2.0**power)
        np.testing.assert_array_equal(other.leaf_of_row, one.leaf_of_row)

    def test_trees_of_one_grower_do_not_disturb_each_other(self):
        problem = draw(4, n=150, missing=0.1, n_categories=(4,))
        one, three = grow(problem), grow(problem, n_trees=3)
        assert three.nodes.tolist() == 3 * one.nodes.tolist()
        np.testing.assert_allclose(three.prediction, 3 * one.prediction, rtol=1e-15)


class TestRandomness:
    def test_feature_selection(self):
        problem = draw(8, n=100, n_numerical=20)
        half = [grow(problem, max_features=0.5, max_leaf_nodes=2, seed=s).nodes for s in range(40)]
        roots = np.bincount([nodes["feature"][0] for nodes in half], minlength=20)
        best = grow(problem, max_leaf_nodes=2).nodes["feature"][0]
        # the best feature is a candidate in half of the trees: five standard deviations
        assert abs(roots[best] - 20) <= 5 * np.sqrt(40 / 4)
        one = [
            grow(problem, max_features=0.05, max_leaf_nodes=2, seed=s).nodes for s in range(200)
        ]
        roots = np.bincount([nodes["feature"][0] for nodes in one], minlength=20)
        assert roots.min() >= 1
        assert roots.max() <= 10 + 5 * np.sqrt(10)

    @pytest.mark.parametrize(
        "random",
        [
            {"max_features": 0.4},
            {"subsample": 0.6},
            {"random_thresholds": True},
            {"max_features": 0.4, "subsample": 0.6, "random_thresholds": True},
        ],
    )
    def test_a_seed_decides(self, random):
        problem = draw(8, n=300)
        a, b, c = (grow(problem, seed=s, **random).bits for s in (1, 1, 2))
        assert a == b
        assert a != c

    def test_rows_left_out_of_the_subsample_get_a_prediction(self):
        grown = grow(draw(8, n=300), subsample=0.5)
        assert grown.nodes["weight"][0] < 200
        np.testing.assert_array_equal(grown.prediction, grown.nodes["value"][grown.leaf_of_row])


class TestRandomThresholds:
    def test_every_row_can_be_told_apart(self):
        # whatever is drawn leaves rows on both sides, so a node is divided if any feature can
        problem = draw(3, n=50, missing=0.1, n_categories=(4,))
        for seed in range(20):
            grown = grow(
                problem,
                seed=seed,
                constant_hessian=True,
                max_leaf_nodes=50,
                random_thresholds=True,
            )
            assert grown.nodes.size == 99
            np.testing.assert_allclose(grown.prediction, -problem.g, rtol=1e-9)

    def test_every_threshold_equally_often(self):
        problem = Problem(np.arange(8.0)[:, None], np.random.default_rng(0).normal(size=8))
        thresholds = [
            grow(problem, seed=seed, max_leaf_nodes=2, random_thresholds=True).nodes["threshold"][
                0
            ]
            for seed in range(280)
        ]
        drawn, counts = np.unique(thresholds, return_counts=True)
        np.testing.assert_array_equal(drawn, np.arange(7) + 0.5)
        assert abs(counts - 40).max() < 4 * np.sqrt(40 * 6 / 7)

    def test_each_feature_has_a_draw_of_its_own(self):
        # three equal columns: were their draws the same, the first would always be taken
        problem = draw(3, n=200, n_numerical=1)
        problem.X = np.tile(problem.X, 3)
        problem.n_categories = np.zeros(3, dtype=int)
        roots = [
            grow(problem, seed=seed, max_leaf_nodes=2, random_thresholds=True).nodes["feature"][0]
            for seed in range(90)
        ]
        # 30 of 90 each: five standard deviations
        assert np.bincount(roots, minlength=3).min() >= 30 - 5 * np.sqrt(20)

    def test_each_node_has_a_draw_of_its_own(self):
        # 256 values, each alone in its bin: with the same draw in every node, the left child
        # of a root divided after k of 256 would be divided after k / 256 of its own bins
        problem = Problem(np.arange(255.0)[:, None], np.random.default_rng(0).normal(size=255))
        shares = []
        for seed in range(60):
            nodes = grow(
                problem, seed=seed, max_depth=2, max_leaf_nodes=None, random_thresholds=True
            ).nodes
            if nodes["left"][1] >= 0 and nodes["weight"][1] >= 20:
                child = nodes["left"][1]
                shares.append(
                    (nodes["weight"][1] / 255, nodes["weight"][child] / nodes["weight"][1])
                )
        assert len(shares) >= 40
        assert abs(np.corrcoef(np.transpose(shares))[0, 1]) < 5 / np.sqrt(len(shares))

    def test_the_best_of_what_is_drawn_is_taken(self):
        # one feature tells nearly all, the other two nothing: it is taken wherever it is cut
        rng = np.random.default_rng(1)
        X = rng.normal(size=(400, 3))
        problem = Problem(X, np.where(X[:, 1] > 0, 5.0, -5.0) + rng.normal(size=400))
        roots = [
            grow(problem, seed=seed, max_leaf_nodes=2, random_thresholds=True).nodes[0]
            for seed in range(60)
        ]
        assert np.mean([root["feature"] == 1 for root in roots]) > 0.9
        exact = grow(problem, max_leaf_nodes=2).nodes[0]
        assert max(root["gain"] for root in roots) <= exact["gain"]
        assert len({root["threshold"].item() for root in roots}) > 20
