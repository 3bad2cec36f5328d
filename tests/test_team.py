"""Barriers, tickets and threads of a team."""

import itertools
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from rmtgb._jit import kernel
from rmtgb._team import Team, barrier, share, take_ticket

pytestmark = pytest.mark.skipif(config.DISABLE_JIT, reason="without compilation a team is one")

TEAMS = pytest.mark.parametrize("n_members", [1, 2, 3, 4])  # more members than cores here


@kernel
def march(member, n_members, arrivals, progress, faults, n_steps):
    """Take steps between barriers, count the members that are not at the same step."""
    for step in range(1, n_steps + 1):
        progress[member] = step
        barrier(member, n_members, arrivals)
        for other in range(n_members):
            faults[member] += progress[other] != step
        barrier(member, n_members, arrivals)


@kernel
def draw_tickets(member, n_members, queue, holders, n_each):
    """Take tickets as fast as possible, note how often each was given out."""
    for _ in range(n_each):
        holders[take_ticket(queue)] += 1


@kernel
def share_of(start, stop, member, n_members):
    """Call the kernel of the same name."""
    return share(start, stop, member, n_members)


class TestBarrier:
    @TEAMS
    def test_no_member_passes_early_and_none_waits_for_ever(self, n_members):
        faults, progress = np.zeros(n_members, np.int64), np.zeros(n_members, np.int64)
        with Team(n_members) as team:
            team.run(march, team.arrivals, progress, faults, 500)
        np.testing.assert_array_equal(progress, 500)
        np.testing.assert_array_equal(faults, 0)

    def test_one_run_after_another(self):
        faults, progress = np.zeros(3, np.int64), np.zeros(3, np.int64)
        with Team(3) as team:
            for n_steps in (1, 2, 7, 1):
                team.run(march, team.arrivals, progress, faults, n_steps)
            assert team.arrivals[0] == 2 * 3 * (1 + 2 + 7 + 1)
        np.testing.assert_array_equal(faults, 0)


class TestTickets:
    @TEAMS
    def test_each_number_once(self, n_members):
        queue, holders = np.zeros(1, np.int64), np.zeros(5000 * n_members, np.int64)
        with Team(n_members) as team:
            team.run(draw_tickets, queue, holders, 5000)
        assert queue[0] == holders.size
        np.testing.assert_array_equal(holders, 1)


class TestShare:
    @given(start=st.integers(0, 2**40), size=st.integers(0, 1000), n_members=st.integers(1, 9))
    def test_shares_are_even_and_leave_nothing_out(self, start, size, n_members):
        shares = [share_of(start, start + size, m, n_members) for m in range(n_members)]
        assert shares[0][0] == start
        assert shares[-1][1] == start + size
        for (_, end), (begin, _) in itertools.pairwise(shares):
            assert end == begin
        sizes = [end - begin for begin, end in shares]
        assert max(sizes) - min(sizes) <= 1


class TestTeam:
    @TEAMS
    def test_run_calls_every_member_once(self, n_members):
        calls = []
        with Team(n_members) as team:
            team.run(lambda *arguments: calls.append(arguments), "a", 3)
        assert sorted(calls) == [(m, n_members, "a", 3) for m in range(n_members)]

    def test_the_calling_thread_is_member_0(self):
        threads = {}
        with Team(2) as team:
            team.run(lambda member, _: threads.update({member: threading.current_thread()}))
        assert threads[0] is threading.current_thread()
        assert threads[1] is not threads[0]

    @TEAMS
    def test_map_keeps_the_order(self, n_members):
        with Team(n_members) as team:
            assert team.map(lambda i: i * i, range(50)) == [i * i for i in range(50)]
            assert team.map(str, iter([])) == []

    @pytest.mark.parametrize("n_members", [1, 2])
    def test_map_passes_errors_on(self, n_members):
        with Team(n_members) as team, pytest.raises(ZeroDivisionError):
            team.map(lambda i: 1 // i, [1, 0, 2])

    def test_threads_live_as_long_as_the_context(self):
        before = set(threading.enumerate())
        with Team(3) as team:
            team.run(march, team.arrivals, np.zeros(3, np.int64), np.zeros(3, np.int64), 5)
            started = set(threading.enumerate()) - before
            assert 1 <= len(started) <= 3
            assert all(thread.name.startswith("rmtgb") for thread in started)
        assert not started & set(threading.enumerate())

    def test_threads_end_after_an_error_too(self):
        before = set(threading.enumerate())
        with pytest.raises(KeyError), Team(2) as team:
            team.map({}.__getitem__, [1])
        assert set(threading.enumerate()) == before

    def test_a_team_of_one_starts_no_thread(self):
        before = threading.active_count()
        with Team(1) as team:
            team.run(march, team.arrivals, np.zeros(1, np.int64), np.zeros(1, np.int64), 5)
            assert team.map(str, [1]) == ["1"]
            assert threading.active_count() == before
            assert team.arrivals[0] == 0
