"""Stopping rules and gaps: pure functions of the log, tested without any solver."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpoint.twostage.log import SAME, Iteration, Termination, relative_gap
from openpoint.twostage.stopping import PROVEN_GAP, first_of, gap_reached, iterations_reached, seconds_reached

numbers = st.floats(allow_nan=False)


def line(number: int = 1, seconds: float = 0.0, lower: float = -math.inf, upper: float = math.inf) -> Iteration:
    return Iteration(number, seconds, lower, upper, upper, "")


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
    assert gap_reached(0.01)([]) is None
    assert gap_reached(0.01)([line(lower=98.0, upper=100.0)]) is None
    assert gap_reached(0.01)([line(lower=99.5, upper=100.0)]) is Termination.GAP
    assert gap_reached(0.01)([line(lower=100.0 * (1 - PROVEN_GAP / 2), upper=100.0)]) is Termination.OPTIMAL
    assert gap_reached(0.01)([line()]) is None


def test_iterations_and_seconds_count_from_the_last_line() -> None:
    assert iterations_reached(3)([]) is None
    assert iterations_reached(3)([line(1), line(2)]) is None
    assert iterations_reached(3)([line(1), line(2), line(3)]) is Termination.ITERATIONS
    assert seconds_reached(None)([line(seconds=1e9)]) is None
    assert seconds_reached(2.0)([line(seconds=1.9)]) is None
    assert seconds_reached(2.0)([line(seconds=2.0)]) is Termination.TIME


def test_the_first_rule_that_stops_has_the_word() -> None:
    both = first_of(gap_reached(0.01), iterations_reached(1), seconds_reached(1.0))
    assert both([line(seconds=0.5, lower=1.0, upper=1.0)]) is Termination.OPTIMAL
    assert both([line(seconds=5.0)]) is Termination.ITERATIONS
    assert first_of(seconds_reached(1.0))([line(seconds=0.5)]) is None
    assert first_of()([line()]) is None
