"""One clock and one wish to stop for a whole study."""

from __future__ import annotations

import math
import signal
import time

import numba
import pytest

from openpoint.compiled.timer import TIMER, CompileTimer
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.interrupt import Interrupt
from openpoint.twostage.log import Termination
from tests.builders.clock import Clock, held


def test_the_time_that_is_left_runs_out() -> None:
    clock = Clock(1.0)
    deadline = Deadline(4.0, clock=clock)
    assert [deadline.left() for _ in range(5)] == [3.0, 2.0, 1.0, 0.0, 0.0]
    assert deadline.over()
    assert deadline.why is Termination.TIME
    assert not deadline.interrupted()


def test_seconds_of_the_processor_are_known_as_such() -> None:
    assert Deadline(1.0, clock=time.process_time).within(0.5).of_processor
    assert not Deadline(1.0).of_processor
    assert not Deadline(1.0, clock=Clock(1.0)).of_processor


def test_without_a_limit_only_a_wish_ends_it() -> None:
    wish = Interrupt()
    deadline = Deadline(interrupt=wish, clock=Clock(1e9))
    assert deadline.left() == math.inf
    assert not deadline.over()
    wish.requested = True
    assert deadline.over()
    assert deadline.left() == math.inf
    assert deadline.why is Termination.INTERRUPTED


def test_an_early_part_ends_with_the_whole_where_it_may() -> None:
    clock, may = Clock(0.0), [False]
    whole = Deadline(10.0, clock=clock)
    part = whole.early(4.0, unless=lambda: may[0])
    clock.now += 3.0
    assert part.left() == 1.0
    clock.now += 3.0
    assert part.over()
    may[0] = True
    assert part.left() == 4.0
    assert part.within(1.0).left() == 1.0
    clock.now += 5.0
    assert part.over()
    assert whole.over()


def test_a_part_ends_with_the_whole_and_hears_the_same_wish() -> None:
    wish, clock = Interrupt(), Clock(0.0)
    whole = Deadline(10.0, interrupt=wish, clock=clock)
    short, long = whole.within(2.0), whole.within(99.0)
    assert (short.left(), long.left()) == (2.0, 10.0)
    clock.now = 5.0
    assert short.over()
    assert long.left() == 5.0
    assert long.passed() == 5.0
    wish.requested = True
    assert long.over()


def test_what_comes_after_has_its_own_time_and_hears_no_wish() -> None:
    wish, clock = Interrupt(), Clock(0.0)
    whole = Deadline(10.0, interrupt=wish, clock=clock)
    assert whole.after(1.0).left() == 11.0
    wish.requested = True
    late = whole.after(1.0)
    assert late.left() == 1.0
    assert not late.over()
    clock.now = 12.0
    assert late.over()
    assert Deadline().after(1.0).left() == math.inf


def test_what_is_spent_on_compiling_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(0.0)
    timer = CompileTimer((clock,))
    monkeypatch.setattr("openpoint.twostage.deadline.TIMER", timer)
    whole = Deadline(10.0, clock=clock)
    part = whole.within(5.0)
    timer.begin()
    clock.now = 50.0
    timer.begin()
    clock.now = 60.0
    timer.end()
    assert whole.passed() == 0.0
    clock.now = 100.0
    timer.end()
    clock.now = 101.0
    assert (whole.passed(), part.passed()) == (1.0, 1.0)
    assert (whole.left(), part.left()) == (9.0, 4.0)


def test_numba_tells_when_it_compiles() -> None:
    before = TIMER.spent(time.process_time)
    numba.njit(lambda x: x + 1)(1)
    assert TIMER.spent(time.process_time) > before


def test_a_study_hears_ctrl_c_and_uses_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, 1.0)
    before = signal.getsignal(signal.SIGINT)  # a job in the background may have been told to ignore it
    with deadline_of(3.0) as deadline, deadline_of(1.0, deadline) as same:
        assert same is deadline
        assert not same.interrupted()
        signal.raise_signal(signal.SIGINT)
        assert deadline.interrupted()
    assert signal.getsignal(signal.SIGINT) is before
