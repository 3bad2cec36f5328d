"""Derivatives by a side: the chain rule, and residuals whose quantiles minimise a loss."""

import numpy as np
import pytest

from rmtgb.boosting.kernels import side_gradients
from rmtgb.boosting.records import BOOST
from rmtgb.engine.jit import kernel
from rmtgb.engine.record import Record, array_of, empty, wait, zeros
from rmtgb.engine.team import Team
from rmtgb.tree.records import GROW

N, N_OUTPUTS = 50, 2
COEFFICIENT = np.array([[1.0, 0.3, 0.0], [0.0, 0.7, 1.0]])  # of sides and tasks


@kernel
def lend(member, n_members, boosts, grows, side, output, gradient, hessian):
    """What a grower reads after the kernel of the same name."""
    side_gradients.lend_gradients(boosts[member], grows[member], side, output)
    wait(boosts[member])
    if member == 0:
        for i in range(N):
            gradient[i] = array_of(grows[member], "gradient")[i]
        for i in range(hessian.size):
            hessian[i] = array_of(grows[member], "hessian")[i]


@kernel
def fill_residuals(member, n_members, boosts, grows, side):
    """Call the kernel of the same name in one member of a team."""
    side_gradients.fill_residuals(boosts[member], grows[member], side)


class Case:
    """Rows of three tasks with derivatives, and records on them."""

    def __init__(self, team, by_task=True, with_hessian=True, subsample=1.0):
        rng = np.random.default_rng(0)
        self.task = np.sort(rng.integers(0, 3, N)).astype(np.int32)
        self.arrays = {
            "gradient": rng.normal(size=(N_OUTPUTS, N)),
            "hessian": rng.random((N_OUTPUTS, N if with_hessian else 0)),
            "y": rng.normal(size=N),
            "raw": rng.normal(size=(N_OUTPUTS, N)),
            "weight": rng.random(N),
            "task_codes": self.task,
            "coefficient": COEFFICIENT,
        }
        sizes = {"n_side_rows": N if by_task else 0}
        self.boost = Record(BOOST, team, self.arrays, sizes)
        sizes = {"n_rows": N, "n_residuals": N}
        self.grow = Record(GROW, team, {}, sizes, {"subsample": subsample, "seed": 3})
        self.records = [self.boost, self.grow]


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("output", range(N_OUTPUTS))
class TestLendGradients:
    def lend(self, team, case, side, output):
        gradient, hessian = empty(N, float), zeros(case.arrays["hessian"].shape[1], float)
        members = (record.members for record in case.records)
        team.run(lend, *members, side, output, gradient, hessian)
        for record in case.records:
            record.check_guards()
        return gradient, hessian

    @pytest.mark.parametrize("side", [0, 1])
    def test_the_chain_rule_of_the_coefficients(self, n_members, side, output):
        with Team(n_members) as team:
            case = Case(team)
            gradient, hessian = self.lend(team, case, side, output)
        c = COEFFICIENT[side][case.task]
        np.testing.assert_array_equal(gradient, c * case.arrays["gradient"][output])
        np.testing.assert_array_equal(hessian, c * c * case.arrays["hessian"][output])

    @pytest.mark.parametrize("with_hessian", [False, True])
    def test_without_coefficients_they_are_lent(self, n_members, with_hessian, output):
        with Team(n_members) as team:
            case = Case(team, by_task=False, with_hessian=with_hessian)
            gradient, hessian = self.lend(team, case, 0, output)
        np.testing.assert_array_equal(gradient, case.arrays["gradient"][output])
        np.testing.assert_array_equal(hessian, case.arrays["hessian"][output])


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize("side", [0, 1])
class TestResiduals:
    def test_per_coefficient_and_with_weights_times_it(self, n_members, side):
        with Team(n_members) as team:
            case = Case(team)
            run_with(team, case, side)
        c, arrays = COEFFICIENT[side][case.task], case.arrays
        residual, weight = (case.grow.arrays[n] for n in ("residual", "residual_weight"))
        np.testing.assert_array_equal(weight, c * arrays["weight"])
        counts = c > 0
        expected = (arrays["y"] - arrays["raw"][0])[counts] / c[counts]
        np.testing.assert_array_equal(residual[counts], expected)
        assert np.isfinite(residual).all()

    def test_rows_out_of_the_bag_weigh_nothing(self, n_members, side):
        with Team(n_members) as team:
            whole, case = Case(team), Case(team, subsample=0.5)
            run_with(team, whole, side)
            run_with(team, case, side)
        weight, all_weight = (c.grow.arrays["residual_weight"] for c in (case, whole))
        assert set(weight[weight != all_weight]) == {0.0}
        taken = np.count_nonzero(weight) / np.count_nonzero(all_weight)
        assert 0.2 < taken < 0.8


def run_with(team, case, side):
    """Fill the residuals of a case."""
    team.run(fill_residuals, case.boost.members, case.grow.members, side)
    for record in case.records:
        record.check_guards()
