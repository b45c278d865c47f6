"""The log of every run: bounds move towards each other only; every end has its remedy and exit code."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.grid import Grid
from openpoint.twostage.log import Iteration, Outcome, Termination
from openpoint.twostage.methods.benders import Benders
from tests.builders.grids import LIMITED_FEED, grids
from tests.builders.programs import program_of


@given(grids(LIMITED_FEED), st.sampled_from((1e-2, 1e-4)), st.booleans())
@settings(max_examples=25, deadline=None)
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
