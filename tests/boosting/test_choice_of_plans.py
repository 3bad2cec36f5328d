"""When a plan is preferred to a simpler one: paired validation losses, tasks as what varies."""

import numpy as np
import pytest

from rmtgb import RMTGBRegressor
from rmtgb.boosting.choose import search
from rmtgb.boosting.choose.search import SLACK, LengthSearch, least_loss_to_come
from rmtgb.boosting.choose.stage_lengths import MIN_ERRORS, StageLengths
from rmtgb.datasets import make_task_scenario


def lengths(task_losses):
    """A choice of which nothing but the losses matters."""
    none = np.zeros(len(task_losses), np.int64)
    losses = np.asarray(task_losses, dtype=float)
    return StageLengths(0, 0, none, False, task_losses=losses)


def test_a_gain_is_compared_with_its_standard_error():
    rng = np.random.default_rng(0)
    simpler = lengths(rng.uniform(1, 2, 50))
    noise = rng.standard_normal(50)
    noise -= noise.mean()
    error = np.sqrt(50) * noise.std(ddof=1)  # of the sum of 50 gains
    for factor, expected in ((0.99, False), (1.01, True), (-1.01, False)):
        gains = noise + factor * MIN_ERRORS * error / 50
        assert lengths(simpler.task_losses - gains).beat(simpler) is expected


@pytest.mark.parametrize("n_tasks", [1, 2, 9])
def test_the_same_gain_in_every_task_is_certain_and_none_is_no_gain(n_tasks):
    simpler = lengths(np.arange(n_tasks) + 1.0)
    assert lengths(simpler.task_losses - 2.0**-20).beat(simpler)
    assert not simpler.beat(simpler)
    assert not lengths(simpler.task_losses + 2.0**-20).beat(simpler)


def test_one_task_alone_is_no_evidence_for_the_others():
    simpler = lengths(np.ones(4))
    assert not lengths([0.0, 1.0, 1.0, 1.6]).beat(simpler)
    assert lengths([0.0, 1.0, 1.0, 1.0]).beat(simpler)


@pytest.mark.parametrize("exponent", [-900, 900])
def test_the_unit_does_not_matter(exponent):
    simpler, other = [3.0, 2.0, 5.0], [2.5, 2.2, 4.9]
    scaled = [lengths(np.ldexp(values, exponent // 2)) for values in (other, simpler)]
    assert scaled[0].beat(scaled[1]) == lengths(other).beat(lengths(simpler))


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0, None])
@pytest.mark.parametrize("start", [0.0, 5.0])
def test_no_way_is_left_that_would_still_win(power, start):
    """Losses that fall by powers or, without one, at a constant rate, after a start forgotten."""
    looks = np.arange(41.0)
    losses = np.exp(-0.3 * looks) if power is None else (looks + 1) ** -power
    # fifty rounds of rate 0.05 leave 0.95^100 of a square
    losses = 1.0 + losses + start * 0.006**looks
    for made in range(1, 40):
        bound = least_loss_to_come(losses[: made + 1], 40 - made)
        assert bound <= losses[-1] + 1e-12
        assert bound >= losses[made] - (40 - made) * (losses[made - 1] - losses[made]) - 1e-12


def test_a_way_is_left_when_its_losses_hardly_fall_any_more():
    losses = [1.0, 0.6, 0.5, 0.48, 0.476]
    assert least_loss_to_come(losses, 100) == pytest.approx(0.476 - SLACK * 0.004 / 0.016 * 0.004)
    assert least_loss_to_come(losses[:3], 100) == pytest.approx(0.5 - 100 * 0.1)


def test_what_cannot_win_is_not_searched_to_its_end(monkeypatch):
    """Unrelated tasks: neither the linear part nor descriptors win, and the model is the same."""
    X, y = make_task_scenario("independent", n_tasks=4, n_samples_per_task=150, random_state=0)
    limits = {"n_iter_shared": 100, "n_iter_partition": 100, "n_iter_task": 300}
    watch, choose, rounds = search.watch_tasks, LengthSearch.choose, []

    def note(*arguments):
        losses = watch(*arguments)
        rounds.append(losses.shape[1])
        return losses

    monkeypatch.setattr(search, "watch_tasks", note)

    def fitted():
        rounds.clear()
        model = RMTGBRegressor(task_feature=-1, random_state=0, **limits).fit(X, y)
        return model.predict(X), sum(rounds)

    prediction, n_rounds = fitted()
    monkeypatch.setattr(LengthSearch, "choose", lambda self, *_, **__: choose(self))
    expected, all_rounds = fitted()
    np.testing.assert_array_equal(prediction, expected)
    assert n_rounds < 0.95 * all_rounds
