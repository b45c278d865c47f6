"""The log of a run, its stopping rules, and the one clock of a study."""

import importlib
import math
import signal
import time

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.compiled.timer import TIMER, CompileTimer
from openpoint.grid import Grid
from openpoint.twostage import interrupt
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.interrupt import Interrupt
from openpoint.twostage.log import (
    PROVEN_GAP,
    SAME,
    Iteration,
    Outcome,
    Termination,
    ended_by,
    relative_gap,
)
from openpoint.twostage.methods.decomposition import Benders
from tests.builders.clock import Clock, held
from tests.builders.grids import LIMITED_FEED, grids
from tests.builders.programs import program_of


@given(grids(LIMITED_FEED), st.sampled_from((1e-2, 1e-4)), st.booleans())
@settings(max_examples=8, deadline=None)
def test_bounds_are_monotone_and_enclose_the_answer(grid: Grid, gap: float, relaxation: bool) -> None:
    seen: list[Iteration] = []
    method = Benders(gap=gap, relaxation=relaxation, max_iterations=12)
    outcome = method.solve(program_of(grid), seen.append)
    assert tuple(seen[: len(outcome.log)]) == outcome.log  # what follows only names the least violation
    lower = np.array([i.lower_bound for i in outcome.log])
    upper = np.array([i.upper_bound for i in outcome.log])
    assert (lower[1:] >= lower[:-1]).all()
    assert (upper[1:] <= upper[:-1]).all()
    assert [i.number for i in outcome.log] == list(range(1, len(outcome.log) + 1))
    seconds = [i.seconds for i in outcome.log]
    assert seconds == sorted(seconds)
    assert outcome.lower_bound <= outcome.upper_bound
    tried = sum(not i.interim for i in outcome.log)
    assert tried == 12 if outcome.termination is Termination.ITERATIONS else tried <= 12
    if outcome.decision is not None:
        assert outcome.state is not None
        assert math.isfinite(outcome.upper_bound)
    if outcome.log:
        last = outcome.log[-1]
        assert outcome.lower_bound >= last.lower_bound
        assert outcome.upper_bound <= last.upper_bound


@pytest.mark.parametrize("termination", Termination)
def test_every_end_says_what_to_do(termination: Termination) -> None:
    assert termination.remedy.endswith(".")
    assert termination.exit_code in (0, 3, 4, 130)


def test_exit_codes_are_those_documented() -> None:
    codes = {t.value: t.exit_code for t in Termination}
    assert codes["optimal"] == codes["gap"] == 0
    assert codes["infeasible"] == 3
    assert codes["time"] == codes["iterations"] == codes["relaxation"] == 4
    assert codes["interrupted"] == 130


def test_an_outcome_has_the_gap_of_its_bounds() -> None:
    outcome = Outcome(Termination.TIME, None, None, 90.0, 100.0, (), 1.0)
    assert outcome.gap == pytest.approx(0.1)
    assert Iteration(1, 0.0, -math.inf, math.inf, math.inf, "").gap == math.inf


numbers = st.floats(allow_nan=False)


@given(numbers, numbers)
def test_the_gap_is_never_negative_and_infinite_without_bounds(lower: float, upper: float) -> None:
    gap = relative_gap(lower, upper)
    assert gap >= 0.0
    if not (math.isfinite(lower) and math.isfinite(upper)):
        assert gap == math.inf
    elif upper - lower <= SAME:
        assert gap == 0.0


@given(st.floats(1.0, 1e9), st.floats(1e-6, 0.999))
def test_the_gap_is_relative_to_the_upper_bound(upper: float, gap: float) -> None:
    found = relative_gap(upper * (1.0 - gap), upper)
    assert found == pytest.approx(gap, rel=1e-6) or gap * upper <= 2 * SAME


@given(st.floats(1.0, 1e6), st.floats(1.0, 1e6), st.floats(0.0, 1e3))
def test_a_better_bound_never_widens_the_gap(upper: float, below: float, better: float) -> None:
    assert relative_gap(upper - below + better, upper) <= relative_gap(upper - below, upper)


def test_a_gap_that_is_proven_is_called_optimal() -> None:
    assert ended_by(PROVEN_GAP) is Termination.OPTIMAL
    assert ended_by(1.01 * PROVEN_GAP) is Termination.GAP


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
    importlib.import_module("openpoint.compiled.compiler")
    before = TIMER.spent(time.process_time)
    numba.njit(lambda x: x + 1)(1)
    assert TIMER.spent(time.process_time) > before


def test_a_study_hears_ctrl_c_and_uses_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    held(monkeypatch, 1.0)
    monkeypatch.setattr(interrupt, "_early", None)  # commands that other tests ran in this process have left theirs
    monkeypatch.setattr(interrupt, "_of_command", False)
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with deadline_of(3.0) as deadline, deadline_of(1.0, deadline) as same:
            assert same is deadline
            assert not same.interrupted()
            signal.raise_signal(signal.SIGINT)
            assert deadline.interrupted()
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, earlier)
