"""Barriers, tickets and threads of a team."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import config

from rmtgb.engine.jit import kernel
from rmtgb.engine.team import Team, barrier, share, take_ticket

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

    def test_members_are_threads_of_the_team(self):
        """The calling thread is none: Ctrl-C would be raised in it between two members."""
        threads = {}
        with Team(2) as team:
            team.run(lambda member, _: threads.update({member: threading.current_thread()}))
        assert len(set(threads.values()) - {threading.current_thread()}) == 2

    def test_run_passes_errors_on_when_all_are_done(self):
        done = []

        def fail_in_one(member, n_members):
            if member == 1:
                raise KeyError(member)
            done.append(member)

        with Team(3) as team:
            for _ in range(2):
                with pytest.raises(KeyError):
                    team.run(fail_in_one)
        assert sorted(done) == [0, 0, 2, 2]

    @TEAMS
    def test_map_keeps_the_order(self, n_members):
        with Team(n_members) as team:
            assert team.map(lambda i: i * i, range(50)) == [i * i for i in range(50)]
            assert team.map(str, iter([])) == []

    @pytest.mark.parametrize("n_members", [1, 2])
    def test_map_passes_errors_on(self, n_members):
        with Team(n_members) as team, pytest.raises(ZeroDivisionError):
            team.map(lambda i: 1 // i, [1, 0, 2])

    @pytest.mark.parametrize("n_members", [1, 2, 3])
    @pytest.mark.parametrize("bad", [0, 1, 2])
    def test_after_an_error_nobody_begins_another_item(self, n_members, bad):
        """Whichever member it happens in: each of the first items is another one's."""
        begun, all_there = [], threading.Barrier(n_members, timeout=30)

        def work(item):
            begun.append(item)
            if item < n_members > 1:
                all_there.wait()
            if item == bad:
                raise KeyError(item)
            time.sleep(0.05)  # longer than an error takes to be noticed

        with Team(n_members) as team:
            with pytest.raises(KeyError):
                team.map(work, range(100))
            assert len(begun) <= bad + n_members
            assert team.map(str, [1, 2]) == ["1", "2"]

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
    def test_after_ctrl_c_nobody_begins_another_item(self):
        begun = []

        def press(*_):
            raise KeyboardInterrupt

        def work(item):
            begun.append(item)
            time.sleep(0.1)

        former = signal.signal(signal.SIGALRM, press)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.25)
            with pytest.raises(KeyboardInterrupt), Team(2) as team:
                team.map(work, range(100))
        finally:
            signal.signal(signal.SIGALRM, former)
        assert 0 < len(begun) < 20

    def test_threads_live_as_long_as_the_context(self):
        before = set(threading.enumerate())
        with Team(3) as team:
            team.run(march, team.arrivals, np.zeros(3, np.int64), np.zeros(3, np.int64), 5)
            started = set(threading.enumerate()) - before
            assert len(started) == 3
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

    def test_a_thread_that_cannot_be_started_is_an_error_and_leaves_none(self, monkeypatch):
        """Started at the first run only, those before it would wait for it for ever."""
        before, start = set(threading.enumerate()), threading.Thread.start

        def start_three(thread):
            if len(threading.enumerate()) - len(before) == 3:
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", start_three)
        with pytest.raises(RuntimeError, match="start new thread"), Team(4):
            pass
        assert set(threading.enumerate()) == before

    @pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs a timer")
    def test_ctrl_c_again_does_not_leave_while_members_work(self):
        """They write to memory that the caller would free."""
        presses, done = [], []

        def press(*_):
            presses.append(len(presses))
            if len(presses) == 3:
                signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

        def work(member, n_members):
            time.sleep(0.5)
            done.append(member)

        former = signal.signal(signal.SIGALRM, press)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2, 0.05)
            with pytest.raises(KeyboardInterrupt), Team(2) as team:
                team.run(work)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)
        assert len(presses) == 3
        assert sorted(done) == [0, 1]


def is_interrupted(n_members, n_lines):
    """Press Ctrl-C after so many lines that the calling thread executes in a run."""
    faults, progress = np.zeros(n_members, np.int64), np.zeros(n_members, np.int64)
    lines = iter(range(n_lines))

    def at_each_line(frame, event, _):
        if event == "line" and next(lines, None) is None:
            sys.settrace(None)
            raise KeyboardInterrupt
        return at_each_line

    try:
        with Team(n_members) as team:
            sys.settrace(at_each_line)
            team.run(march, team.arrivals, progress, faults, 5)
            sys.settrace(None)
    except KeyboardInterrupt:
        assert threading.active_count() == 1
        assert set(progress) in ({0}, {5})  # all members took all steps, or none one
        assert not faults.any()
        return True
    return False


def test_ctrl_c_never_leaves_members_waiting():
    """In a process of its own, which can be killed if it hangs."""
    code = (
        "from tests.test_team import *\n"
        "print(next(n for n in itertools.count() if not is_interrupted(3, n)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert int(done.stdout) >= 4
