import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from rmtgb.transfer import LinearTransferProblem, network_bound, simulate
from tests.oracles.linear_network import (
    Spectrum,
    loss,
    make_designs,
    network_coefficients,
    scaled_columns,
    symmetric_root,
)

BOUNDS = ("simple", "refined", "gap_free", "bound")


def problem(W, n=20, noise=1.0, **params):
    n, noise = np.broadcast_to(n, len(W)), np.broadcast_to(noise, len(W))
    return LinearTransferProblem(n, noise, coefficients=W, **params)


def low_rank(rng, n_tasks, d, rank):
    return rng.standard_normal((n_tasks, rank)) @ rng.standard_normal((rank, d))


def random_covariance(rng, d):
    root = rng.standard_normal((d, d + 2))
    return root @ root.T / d


def random_problem(rng):
    """All levels of noise, from where nothing can be told to where the rank is obvious."""
    d, K = int(rng.integers(2, 7)), int(rng.integers(1, 8))
    rank = int(rng.integers(1, min(d, K + 1)))
    W = low_rank(rng, K + 1, d, rank) + rng.choice([0.0, 0.1, 1.0]) * rng.standard_normal(
        (K + 1, d)
    )
    noise = 10 ** rng.uniform(-4, 2) * rng.uniform(0.5, 2.0, size=K + 1)
    weights = rng.choice([0.3, 1.0, 3.0], size=K + 1)
    return problem(W, rng.integers(1, 50, size=K + 1), noise), rank, weights


def adversarial_problem(rng):
    """Equal or nearly equal singular values, very uneven noise, and exact rank."""
    d, K = int(rng.integers(2, 6)), int(rng.integers(1, 6))
    most = min(d, K + 1)
    rank = int(rng.integers(1, most))
    U = np.linalg.qr(rng.standard_normal((d, d)))[0][:, :most]
    V = np.linalg.qr(rng.standard_normal((K + 1, K + 1)))[0][:, :most]
    sigma = np.sort(rng.uniform(0.2, 3.0, size=most))[::-1]
    kind = rng.integers(3)
    if kind == 0:
        sigma[rank] = sigma[rank - 1] * (1 - rng.choice([0.0, 1e-9, 1e-3, 0.05, 0.2]))
        sigma[rank + 1 :] = np.minimum(sigma[rank + 1 :], sigma[rank])
    elif kind == 1:
        sigma[rank:] = 0.0
    noise = 10 ** rng.uniform(-6, 1) * 10 ** rng.uniform(-3, 3, size=K + 1)
    weights = 10 ** rng.uniform(-1, 1, size=K + 1) if rng.random() < 0.5 else np.ones(K + 1)
    n = 7
    W = (U * sigma) @ V.T / np.sqrt(weights * n)
    return problem(W.T, n, noise), rank, weights


def spectrum(p, rank, weights):
    S = p.common_covariance
    Y = scaled_columns(p.n_samples, p.coefficients, S, weights)
    return Spectrum(Y, np.sqrt(weights * p.noise_variance), rank)


# --- bounds are bounds ---------------------------------------------------------------------


def check_bounds(instances):
    """Return the bounds over simulated errors, one row for each instance."""
    ratios = []
    for seed, (p, rank, weights) in enumerate(instances):
        result = network_bound(p, rank, weights)
        error = simulate(p, weights, rank, n_repeats=200, random_state=seed)
        limit = error.error - 4 * error.standard_error
        for name in BOUNDS:
            assert getattr(result, name) >= limit * (1 - 1e-9), (name, p, rank, weights)
        if result.certified:
            assert limit < result.main_only_error
        ratios.append([getattr(result, name) / error.error for name in BOUNDS])
        assert result.status == "bound"
    return np.array(ratios)


def test_each_bound_holds_for_random_problems():
    rng = np.random.default_rng(0)
    ratios = check_bounds(random_problem(rng) for _ in range(500))
    # Each of them is of use somewhere: it is not far from the error.
    assert np.all(ratios.min(axis=0) < [1.5, 1.2, 1.2, 1.2])
    assert np.all(np.isfinite(ratios[:, 2:]))


def test_each_bound_holds_for_adversarial_problems():
    rng = np.random.default_rng(1)
    ratios = check_bounds(adversarial_problem(rng) for _ in range(250))
    assert np.isinf(ratios[:, 1]).any()
    assert np.all(ratios.min(axis=0) < 2)


def test_bounds_hold_where_the_leading_tasks_have_no_noise():
    # The noise of the third task alone decides which direction comes first.
    p = problem([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]], 10, [0.0, 0.0, 100.0])
    result = network_bound(p, 1)
    error = simulate(p, rank=1, n_repeats=400, random_state=0)
    assert error.error > 0.2
    for name in BOUNDS:
        assert getattr(result, name) >= error.error - 4 * error.standard_error, name


def test_certificates_are_never_false():
    rng = np.random.default_rng(2)
    certified, better = 0, 0
    for seed in range(150):
        d, n_tasks = int(rng.integers(6, 10)), int(rng.integers(8, 16))
        rank = int(rng.integers(1, 3))
        W = low_rank(rng, n_tasks, d, rank) + 0.01 * rng.standard_normal((n_tasks, d))
        p = problem(W, 10, 10 ** rng.uniform(-3, 1))
        result = network_bound(p, rank)
        error = simulate(p, rank=rank, n_repeats=200, random_state=seed)
        if result.certified:
            certified += 1
            assert error.error < result.main_only_error
            assert result.bound < result.main_only_error
        else:
            assert result.bound >= result.main_only_error
            better += error.error + 4 * error.standard_error < result.main_only_error
    # It certifies many but, as only bounds can, not all.
    assert 30 < certified < 130
    assert better > 10


# --- the bounds are those derived ----------------------------------------------------------


def test_first_order_and_bounds_agree_with_naive_twins():
    rng = np.random.default_rng(3)
    exponents = np.geomspace(1.5, 300, 25)
    finite = 0
    for _ in range(60):
        p, rank, weights = random_problem(rng)
        result, twin = network_bound(p, rank, weights), spectrum(p, rank, weights)
        scale = weights[0] * p.n_samples[0]
        assert result.first_order * scale == pytest.approx(twin.first_order(), rel=1e-8)
        assert result.simple * scale == pytest.approx(twin.simple(), rel=1e-8)
        assert result.gap_free * scale == pytest.approx(twin.gap_free(), rel=1e-8)
        assert result.spectral_gap == pytest.approx(twin.gap / twin.mu)
        expected = p.n_features * p.noise_variance[0] / p.n_samples[0]
        assert result.main_only_error == pytest.approx(expected)
        # Minimised over another grid, up to what grids differ.
        refined = twin.refined(np.linspace(0.005, 0.995, 100), exponents)
        assert np.isinf(result.refined) == np.isinf(refined)
        if np.isfinite(refined):
            assert result.refined * scale == pytest.approx(refined, rel=0.01)
            finite += 1
        least = min(("simple", "refined", "gap_free"), key=lambda name: getattr(result, name))
        assert result.binding == least
        assert result.bound == getattr(result, least)
    assert 20 < finite < 60


def test_common_covariance_is_the_metric():
    rng = np.random.default_rng(4)
    d = 4
    S, W = random_covariance(rng, d), low_rank(rng, 6, d, 2) + 0.1 * rng.standard_normal((6, d))
    given = network_bound(problem(W, covariance=S), 2)
    white = network_bound(problem(W @ symmetric_root(S)), 2)
    for name in (*BOUNDS, "first_order", "main_only_error", "spectral_gap"):
        assert getattr(given, name) == pytest.approx(getattr(white, name), rel=1e-8)
    assert_allclose(given.weight_direction, white.weight_direction, atol=1e-8)
    other = network_bound(problem(W), 2)
    assert abs(other.first_order / given.first_order - 1) > 1e-3


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_bounds_become_first_order_with_little_noise_under_exact_rank(rank):
    rng = np.random.default_rng(rank)
    W = low_rank(rng, 7, 5, rank)
    excess = {}
    for noise in (1e-6, 1e-10):
        result = network_bound(problem(W, noise=noise), rank)
        excess[noise] = [
            getattr(result, name) / result.first_order - 1 for name in ("simple", "refined")
        ]
        assert result.certified
    assert np.all(np.array(excess[1e-10]) < 1e-2)
    # The remainder is of second order: it falls as the noise's deviation does.
    assert_allclose(np.divide(excess[1e-6], excess[1e-10]), 100, rtol=0.2)


def test_first_order_is_the_error_with_little_noise_under_exact_rank():
    W = low_rank(np.random.default_rng(5), 7, 5, 2)
    noise = 1e-6 * np.array([1.0, 5.0, 0.2, 1.0, 2.0, 1.0, 0.5])
    weights = np.array([1.0, 0.3, 2.0, 1.0, 5.0, 1.0, 0.2])
    p = problem(W, [3, 9, 4, 20, 5, 6, 7], noise)
    error = simulate(p, weights, 2, n_repeats=4000, random_state=0)
    result = network_bound(p, 2, weights)
    assert abs(error.error - result.first_order) <= 4 * error.standard_error


def test_without_noise_and_with_exact_rank_there_is_no_error():
    result = network_bound(problem(low_rank(np.random.default_rng(6), 5, 4, 2), noise=0.0), 2)
    assert result.bound == pytest.approx(0, abs=1e-20)
    assert result.main_only_error == 0
    assert result.spectral_gap == np.inf
    assert not result.certified


def test_equal_singular_values_leave_the_bound_without_gap():
    rng = np.random.default_rng(7)
    for _ in range(10):
        W = np.linalg.qr(rng.standard_normal((4, 4)))[0]  # all are 1, up to rounding
        result = network_bound(problem(W, 20, 0.01), 2)
        assert result.simple == result.refined == np.inf
        assert np.isfinite(result.bound)
        assert result.binding == "gap_free"
        assert result.bound == result.gap_free
        assert result.spectral_gap == 0
        assert_array_equal(result.weight_direction, np.zeros(4))
    # Of other ranks no values are equal.
    assert np.isfinite(network_bound(problem(W * [[3], [1], [1], [1]], 20, 1e-6), 1).simple)


@pytest.mark.parametrize(("n_tasks", "d", "rank"), [(3, 5, 3), (3, 5, 4), (6, 2, 2), (1, 3, 1)])
def test_full_rank_is_least_squares(n_tasks, d, rank):
    p = problem(np.random.default_rng(8).standard_normal((n_tasks, d)), 10, 2.0)
    result = network_bound(p, rank)
    assert result.binding == "least_squares"
    assert result.bound == result.first_order == result.main_only_error
    assert result.bound == pytest.approx(d * 2.0 / 10)
    assert not result.certified
    assert result.simple == result.refined == result.gap_free == np.inf
    assert_array_equal(result.weight_direction, np.zeros(n_tasks))
    error = simulate(p, rank=rank, n_repeats=2000, random_state=0)
    assert abs(error.error - result.bound) <= 4 * error.standard_error


def test_ranks_below_the_full_one_are_no_least_squares():
    for n_tasks, d in ((3, 5), (6, 2), (4, 4)):
        p = problem(np.random.default_rng(8).standard_normal((n_tasks, d)), 10, 2.0)
        assert network_bound(p, min(n_tasks, d) - 1).binding != "least_squares"


# --- the network ---------------------------------------------------------------------------


def draw_targets(rng, p, designs):
    return [
        X @ w + np.sqrt(s) * rng.standard_normal(len(X))
        for X, w, s in zip(designs, p.coefficients, p.noise_variance, strict=True)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_simulation_agrees_with_the_naive_network(seed):
    rng = np.random.default_rng(seed)
    d, n_tasks, rank = 3, 5, 1 + seed % 2
    S = random_covariance(rng, d)
    W = low_rank(rng, n_tasks, d, rank) + 0.3 * rng.standard_normal((n_tasks, d))
    # Uneven, so that no factor of any task can be left out without notice.
    noise, weights = 10 ** rng.uniform(-0.5, 1, size=n_tasks), rng.choice([0.2, 1, 4], n_tasks)
    p = problem(W, rng.integers(4, 30, size=n_tasks), noise, covariance=S)
    designs = make_designs(rng, p.n_samples, S)
    errors = []
    for _ in range(1500):
        w = network_coefficients(designs, draw_targets(rng, p, designs), weights, rank)[0]
        errors.append((w - W[0]) @ S @ (w - W[0]))
    simulated = simulate(p, weights, rank, n_repeats=20_000, random_state=seed)
    spread = np.hypot(np.std(errors) / np.sqrt(len(errors)), simulated.standard_error)
    assert abs(np.mean(errors) - simulated.error) <= 4 * spread


def test_the_naive_network_has_the_least_loss():
    rng = np.random.default_rng(9)
    S = random_covariance(rng, 3)
    p = problem(rng.standard_normal((4, 3)), [5, 9, 4, 7], 0.5, covariance=S)
    weights = np.array([1.0, 0.3, 2.0, 5.0])
    designs = make_designs(rng, p.n_samples, S)
    for X, n in zip(designs, p.n_samples, strict=True):
        assert_allclose(X.T @ X, n * S, atol=1e-12)
    y = draw_targets(rng, p, designs)
    best = network_coefficients(designs, y, weights, 2)
    assert np.linalg.matrix_rank(best) == 2
    least = loss(designs, y, weights, best)
    U, sigma, Vt = np.linalg.svd(best, full_matrices=False)
    for step in (1e-3, 1e-2, 0.1, 1.0):
        for _ in range(50):  # all near ones of this rank, and some farther away
            left = U[:, :2] * sigma[:2] + step * rng.standard_normal((4, 2))
            other = left @ (Vt[:2] + step * rng.standard_normal((2, 3)))
            assert loss(designs, y, weights, other) > least


# --- weights -------------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [True, False])
def test_slopes_agree_with_finite_differences(exact):
    rng = np.random.default_rng(10)
    for d, n_tasks, rank in ((5, 4, 2), (3, 7, 2), (4, 4, 1), (2, 3, 1), (6, 3, 1)):
        W = low_rank(rng, n_tasks, d, rank)
        if not exact:
            W += 0.3 * rng.standard_normal(W.shape)
        noise, weights = rng.uniform(0.1, 2, n_tasks), 10 ** rng.uniform(-0.5, 0.5, n_tasks)
        p = problem(W, rng.integers(2, 30, n_tasks), noise)
        slopes = network_bound(p, rank, weights).weight_direction
        step = 1e-4
        for k in range(n_tasks):
            factor = np.exp(step * np.eye(n_tasks)[k])
            up = network_bound(p, rank, weights * factor).first_order
            down = network_bound(p, rank, weights / factor).first_order
            assert np.log(up / down) / (2 * step) == pytest.approx(slopes[k], abs=2e-6)
        # Only ratios of weights matter.
        assert slopes.sum() == pytest.approx(0, abs=1e-9)
        assert np.abs(slopes).max() > 1e-3


def test_weights_inverse_to_noise_are_best_under_exact_rank():
    rng = np.random.default_rng(11)
    W = low_rank(rng, 6, 5, 2)
    noise = np.array([1.0, 5.0, 0.2, 1.0, 10.0, 0.5])
    p = problem(W, [3, 9, 4, 20, 5, 6], noise)
    best = network_bound(p, 2, 1 / noise)
    assert_allclose(best.weight_direction, 0, atol=1e-9)
    # q s_0 / n_0 + f w_0' (sum n_k w_k w_k' / s_k)^+ w_0
    information = sum(
        n / s * np.outer(w, w) for n, s, w in zip(p.n_samples, noise, W, strict=True)
    )
    inner = W[0] @ np.linalg.pinv(information, rcond=1e-10) @ W[0]
    assert best.first_order == pytest.approx(2 * noise[0] / 3 + 3 * inner)
    for _ in range(200):
        weights = 10 ** rng.uniform(-1, 1, size=6)
        assert network_bound(p, 2, weights).first_order >= best.first_order * (1 - 1e-9)
    assert network_bound(p, 2).first_order > 1.01 * best.first_order


def test_only_ratios_of_weights_matter():
    rng = np.random.default_rng(12)
    for _ in range(20):
        p, rank, weights = random_problem(rng)
        one, other = network_bound(p, rank, weights), network_bound(p, rank, 1e3 * weights)
        for name in (*BOUNDS, "first_order", "main_only_error", "spectral_gap"):
            assert getattr(other, name) == pytest.approx(getattr(one, name), rel=1e-8)
        assert_allclose(other.weight_direction, one.weight_direction, atol=1e-7)


def test_default_weights_are_one():
    p, rank, _ = random_problem(np.random.default_rng(13))
    one, other = network_bound(p, rank), network_bound(p, rank, np.ones(p.n_tasks))
    assert one.bound == other.bound
    assert one.first_order != network_bound(p, rank, 1.0 + np.arange(p.n_tasks)).first_order


def test_tasks_without_weight_or_rows_take_no_part():
    rng = np.random.default_rng(14)
    W = low_rank(rng, 6, 5, 2) + 0.1 * rng.standard_normal((6, 5))
    noise = rng.uniform(0.5, 2, size=6)
    kept = [0, 1, 3, 5]
    expected = network_bound(problem(W[kept], 20, noise[kept]), 2)
    n, weights = np.full(6, 20), np.ones(6)
    n[2] = weights[4] = 0
    result = network_bound(problem(W, n, noise), 2, weights)
    for name in (*BOUNDS, "first_order", "main_only_error", "spectral_gap", "binding"):
        assert getattr(result, name) == getattr(expected, name)
    assert_array_equal(result.weight_direction[kept], expected.weight_direction)
    assert_array_equal(result.weight_direction[[2, 4]], [0, 0])
    # As the rank is at least the number of tasks that are left, there is nothing to share.
    only_two = network_bound(problem(W, n, noise), 2, [1, 1, 1, 0, 0, 0])
    assert only_two.binding == "least_squares"


# --- errors --------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", [0, -1, 1.0, True, "1", None])
def test_refuses_ranks_that_are_no_width(rank):
    error = ValueError if rank in (0, -1) else TypeError
    with pytest.raises(error, match=r"rank must be (an integer|>= 1), got"):
        network_bound(problem(np.eye(3)), rank)
    if rank is not None:  # which is least squares there
        with pytest.raises(error, match=r"rank must be (an integer|>= 1), got"):
            simulate(problem(np.eye(3)), rank=rank, n_repeats=10)


def test_numpy_integers_are_ranks():
    p = problem(np.diag([3.0, 2.0, 1.0]))
    assert network_bound(p, np.int64(1)).bound == network_bound(p, 1).bound


def test_refuses_problems_without_coefficients():
    p = LinearTransferProblem([9, 9], [1, 1], shift_gram=[[1]], n_features=3)
    for function in (network_bound, lambda p, rank: simulate(p, rank=rank, n_repeats=10)):
        with pytest.raises(ValueError, match="network needs coefficients"):
            function(p, 1)


def test_refuses_other_covariances():
    for params in (
        {"covariance": np.stack([np.eye(3), np.eye(3), 2 * np.eye(3)])},
        {"test_covariance": 2 * np.eye(3)},
    ):
        with pytest.raises(ValueError, match="one covariance of all rows"):
            network_bound(problem(np.eye(3), **params), 1)


def test_refuses_a_main_task_that_takes_no_part():
    for n, weights in (([0, 9, 9], None), ([9, 9, 9], [0, 1, 1])):
        with pytest.raises(ValueError, match="main task needs rows and a weight"):
            network_bound(problem(np.eye(3), n), 1, weights)


def test_refuses_weights_that_are_none():
    for weights, message in (
        ([1, 1], "shape"),
        ([1, -1, 1], "weights must be >= 0"),
        ([0, 0, 0], "weights must not all be 0"),
        ([1, np.nan, 1], "weights must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            network_bound(problem(np.eye(3)), 1, weights)


def test_what_equals_the_error_alone_is_no_certificate():
    problem = LinearTransferProblem([10] * 4, [1] * 4, coefficients=np.zeros((4, 3)))
    result = network_bound(problem, 1)
    assert result.bound == pytest.approx(result.main_only_error, rel=1e-12)
    assert not result.certified
