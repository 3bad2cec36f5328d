"""Slopes of leaves: naive ridge regressions, bits, limits, and losses of all kinds."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmtgb import RMTGBRegressor
from rmtgb.tree.records import MAX_SLOPES, MISSING_Z, TILE_ROWS, Z_UNIT
from tests.oracles.tree import weighted_quantile
from tests.tree.cases import draw, grow, predict

seeds = st.integers(0, 2**32 - 1)
LIMITS = {"linear_leaves": True, "max_leaf_nodes": 6, "min_samples_leaf": 5}
ALONE = {
    "n_iter_partition": 0,
    "n_iter_task": 0,
    "task_baseline": "global",
    "early_stopping": False,
}


def paths(nodes):
    """The features on the way to each leaf, those nearest to it first."""
    above, at_leaves = {0: []}, {}
    for at, node in enumerate(nodes):
        if node["feature"] < 0:
            at_leaves[at] = above[at]
        else:
            for child in (node["left"], node["left"] + 1):
                above[child] = [node["feature"], *above[at]]
    return {at: list(dict.fromkeys(features)) for at, features in at_leaves.items()}


def naive_slopes(Z, g, h, ridge):
    """Coefficients and centers of a ridge regression with an intercept, on complete rows."""
    complete = ~np.isnan(Z).any(axis=1) & (h > 0)
    Z, g, h = Z[complete].astype(float), g[complete], h[complete]
    if h.sum() == 0:
        return np.zeros(Z.shape[1]), np.zeros(Z.shape[1])
    center = h @ Z / h.sum()
    D = Z - center
    return -np.linalg.solve((D * h[:, None]).T @ D + ridge * np.eye(D.shape[1]), D.T @ g), center


def assert_naive(problem, grown, l2_regularization=0.0, learning_rate=1.0):
    """Compare every leaf with the naive regression on the rows that it holds."""
    nodes, slopes = grown.nodes, grown.ensemble.slopes
    integers = problem.mapper().standardizer.transform(problem.X)
    Z = np.where(integers == MISSING_Z, np.nan, ((integers + 4) >> 3) * 8.0 * Z_UNIT)
    for leaf, features in paths(nodes).items():
        numerical = [f for f in features if not problem.n_categories[f]][:MAX_SLOPES]
        first, n = nodes[leaf]["first_slope"], nodes[leaf]["n_slopes"]
        own = slopes[first : first + n]
        np.testing.assert_array_equal(own["feature"], numerical)
        rows = grown.leaf_of_row == leaf
        g, h = problem.g[rows], problem.h[rows]
        ridge = l2_regularization + 1e-6 * h[~np.isnan(Z[rows][:, numerical]).any(axis=1)].sum()
        coefficient, center = naive_slopes(Z[rows][:, numerical], g, h, ridge)
        np.testing.assert_allclose(own["center"], center, rtol=1e-5, atol=1e-5)
        scale = np.abs(coefficient).max(initial=1.0)
        np.testing.assert_allclose(
            own["coefficient"], learning_rate * coefficient, rtol=1e-4, atol=1e-5 * scale
        )


class TestAgainstNaiveRegressions:
    @given(seed=seeds, l2=st.sampled_from([0.1, 3.0]), missing=st.sampled_from([0.0, 0.1]))
    def test_one_word(self, seed, l2, missing):
        problem = draw(seed, n=200, missing=missing, n_categories=(4,))
        grown = grow(problem, constant_hessian=True, l2_regularization=l2, **LIMITS)
        assert grown.ensemble.slopes.size
        assert_naive(problem, grown, l2)

    @given(seed=seeds)
    def test_two_words_and_weights(self, seed):
        problem = draw(seed, n=200)
        rng = np.random.default_rng(seed)
        problem.w = rng.integers(0, 4, 200).astype(float)
        problem.g, problem.h = problem.g * problem.w, problem.w * rng.uniform(0.2, 1.0, 200)
        grown = grow(problem, l2_regularization=1.0, learning_rate=0.3, **LIMITS)
        assert_naive(problem, grown, 1.0, 0.3)

    @pytest.mark.parametrize("n", [TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1])
    def test_edges_of_tiles(self, n):
        problem = draw(0, n=2 * n)
        assert_naive(problem, grow(problem, l2_regularization=1.0, **LIMITS), 1.0)

    @pytest.mark.parametrize("n", [2000, 100_000])
    def test_many_rows(self, n):
        problem = draw(0, n=n)
        limits = LIMITS | {"max_leaf_nodes": 2}
        assert_naive(problem, grow(problem, l2_regularization=1.0, **limits), 1.0)

    def test_no_more_slopes_than_allowed_the_nearest_first(self):
        problem = draw(0, n=2000, n_numerical=MAX_SLOPES + 5)
        problem.g = problem.X.sum(axis=1)
        limits = LIMITS | {"max_leaf_nodes": 300, "random_thresholds": True}
        grown = grow(problem, l2_regularization=1.0, **limits)
        assert grown.nodes["n_slopes"].max() == MAX_SLOPES
        assert max(map(len, paths(grown.nodes).values())) > MAX_SLOPES
        assert_naive(problem, grown, 1.0)

    def test_without_splits_or_numerical_ones_there_are_none(self):
        assert not grow(draw(0), linear_leaves=True, max_leaf_nodes=1).ensemble.slopes.size
        problem = draw(0, n_numerical=0, n_categories=(5, 3))
        assert not grow(problem, linear_leaves=True).ensemble.slopes.size

    def test_equal_features_and_constant_ones_without_regularisation(self):
        problem = draw(0, n=300)
        x = problem.X[:, :1]
        problem.X = np.hstack([x, x + 1e-15, np.ones_like(x)])
        problem.g = -x[:, 0]
        grown = grow(problem, **LIMITS)
        assert np.isfinite(grown.prediction).all()
        inside = np.abs(x[:, 0]) < 1.0  # slopes end where the tails start
        np.testing.assert_allclose(grown.prediction[inside], x[inside, 0], atol=2e-3)


class TestBits:
    @pytest.mark.parametrize("constant_hessian", [False, True])
    def test_teams(self, constant_hessian):
        problem = draw(1, n=9001, missing=0.05, n_categories=(5,))
        limits = LIMITS | {"max_leaf_nodes": 31, "subsample": 0.7}
        bits = {grow(problem, n, constant_hessian, n_trees=3, **limits).bits for n in (1, 2, 3, 8)}
        assert len(bits) == 1

    @given(seed=seeds)
    def test_the_way_down_a_stored_tree_is_that_of_training(self, seed):
        problem = draw(seed, n=150, missing=0.2, n_categories=(4, 70))
        grown = grow(problem, n_trees=3, learning_rate=0.5, **LIMITS)
        stored = predict(grown.ensemble, problem.X, problem.mapper())[0]
        np.testing.assert_array_equal(stored, grown.prediction)

    def test_rows_of_weight_zero_have_no_part(self):
        problem, other = draw(0, n=300), draw(0, n=300)
        absent = np.arange(300) % 3 == 0
        for p in (problem, other):
            p.w = p.h = 1.0 - absent
            p.g = p.g * p.w
        other.X[absent] = 10 * other.X[absent][::-1]
        slopes = [grow(p, **LIMITS).ensemble.slopes for p in (problem, other)]
        assert slopes[0].size
        assert slopes[0].tobytes() == slopes[1].tobytes()

    def test_the_order_of_the_rows_changes_no_bit(self):
        problem, other = draw(0, n=3000, missing=0.1), draw(0, n=3000, missing=0.1)
        order = np.random.default_rng(0).permutation(3000)
        other.X, other.g, other.w = (a[order] for a in (other.X, other.g, other.w))
        slopes = [grow(p, **LIMITS).ensemble.slopes for p in (problem, other)]
        assert slopes[0].tobytes() == slopes[1].tobytes()

    def test_an_integer_weight_is_repetition(self):
        problem, other = draw(0, n=500), draw(0, n=500)
        weight = np.random.default_rng(0).integers(1, 4, 500)
        problem.w, problem.g = weight.astype(float), problem.g * weight
        problem.h = problem.w
        for name in ("X", "g", "h", "w"):
            setattr(other, name, getattr(other, name).repeat(weight, axis=0))
        problem.mapper = other.mapper  # a problem's own one does not look at weights
        slopes = [grow(p, **LIMITS).ensemble.slopes for p in (problem, other)]
        assert slopes[0].tobytes() == slopes[1].tobytes()


class TestLimits:
    def model(self, **parameters):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (400, 2))
        settings = ALONE | {"n_iter_shared": 60, "learning_rate": 0.3} | parameters
        return RMTGBRegressor(random_state=0, **settings).fit(X, 3 * X[:, 0] - X[:, 1])

    def test_a_linear_function_is_learned_as_one(self):
        new = np.random.default_rng(1).uniform(-0.9, 0.9, (100, 2))
        target = 3 * new[:, 0] - new[:, 1]
        errors = {
            linear: np.abs(self.model(linear_leaves=linear).predict(new) - target).mean()
            for linear in (False, True)
        }
        assert errors[True] < 0.05 < 2 * errors[True] < errors[False]

    def test_bounded_outside_the_range_of_training(self):
        model = self.model()
        far = np.array([[1e300, 0.0], [np.finfo(float).max, 0.0], [1.0, 0.0]])
        prediction = model.predict(far)
        np.testing.assert_array_equal(prediction, prediction[2])
        assert np.abs(model.predict([[1e9, -1e9]])) < 5

    def test_a_missing_value_adds_nothing(self):
        problem = draw(0, n=300)
        grown = grow(problem, **LIMITS)
        leaf_values = grown.nodes["value"][grown.nodes["feature"] < 0]
        got = predict(grown.ensemble, np.full((1, 3), np.nan), problem.mapper())
        assert got[0, 0] in leaf_values

    @pytest.mark.parametrize("wild", [1e300, -1e30, 1e6])
    def test_a_wild_value_spoils_no_slope(self, wild):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (400, 2))
        y = 3 * X[:, 0] - X[:, 1]
        X[7, 0] = wild
        model = RMTGBRegressor(random_state=0, n_iter_shared=60, learning_rate=0.3, **ALONE)
        error = model.fit(X, y).predict(X) - y
        assert np.abs(np.delete(error, 7)).mean() < 0.1

    def test_features_of_any_scale(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (400, 2))
        y = np.sin(3 * X[:, 0]) + X[:, 1]
        settings = ALONE | {"n_iter_shared": 30, "random_state": 0}
        expected = RMTGBRegressor(**settings).fit(X, y).predict(X)
        for scale, shift in ((1e-9, 0.0), (1e9, 0.0), (1.0, 1e6)):
            moved = X * scale + shift
            got = RMTGBRegressor(**settings).fit(moved, y).predict(moved)
            np.testing.assert_allclose(got, expected, atol=1e-4)


class TestQuantileLeaves:
    @pytest.mark.parametrize(("loss", "level"), [("absolute_error", "1/2"), ("quantile", "4/5")])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_residuals_of_a_leaf_have_quantile_zero(self, loss, level, weighted):
        problem = draw(0, n=200)
        y = -problem.g
        weight = np.random.default_rng(0).integers(1, 4, 200) if weighted else np.ones(200, int)
        model = RMTGBRegressor(
            loss=loss, quantile=float(Fraction(level)), n_iter_shared=1, max_leaf_nodes=5,
            learning_rate=1.0, random_state=0, **ALONE,
        ).fit(problem.X, y, sample_weight=weight)  # fmt: skip
        residual = y - model.predict(problem.X)
        nodes = model._model.shared.nodes
        assert nodes["n_slopes"].any()
        at = np.zeros(200, int)
        while (nodes["feature"][at] >= 0).any():
            node = nodes[at]
            value = problem.X[np.arange(200), np.maximum(node["feature"], 0)]
            left = node["left"] + (value > node["threshold"])
            at = np.where(node["feature"] >= 0, left, at)
        for leaf in np.unique(at):
            rows = at == leaf
            own = weighted_quantile(residual[rows], weight[rows], Fraction(level))
            assert own == pytest.approx(0.0, abs=1e-9)

    def test_slopes_have_the_unit_of_the_target(self):
        rng = np.random.default_rng(0)
        X = rng.uniform(-1, 1, (400, 2))
        y = 3 * X[:, 0] - X[:, 1]
        errors = {}
        for linear in (False, True):
            for scale in (1.0, 1024.0):
                model = RMTGBRegressor(
                    loss="absolute_error", linear_leaves=linear, n_iter_shared=40,
                    learning_rate=0.3, random_state=0, **ALONE,
                )  # fmt: skip
                error = model.fit(X, scale * y).predict(X) / scale - y
                errors[linear, scale] = np.abs(error).mean()
        assert errors[True, 1.0] < 0.7 * errors[False, 1.0]
        assert errors[True, 1024.0] == pytest.approx(errors[True, 1.0], rel=1e-6)
