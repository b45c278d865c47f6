"""Limits of time of the wait-and-see values, on a clock that the test holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Termination
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.methods.wait_and_see import StoppedError, wait_and_see_bounds
from openpoint.twostage.program import AnyProgram
from openpoint.twostage.risk import Regret
from openpoint.twostage.uncertainty import Scenarios
from tests.builders.clock import Clock
from tests.twostage.depots import depots


@pytest.mark.parametrize(("limit", "is_enough"), [(100.0, True), (4.0, False)])
def test_a_realisation_may_take_more_than_its_part_while_time_is_left(limit: float, is_enough: bool) -> None:
    """Each takes 2 s, its part of half the limit is shorter; only the limit itself may stop the run."""
    clock, needed = Clock(0.0), 2.0
    program = depots(1)
    values = Scenarios(np.repeat(program.uncertainty.values[:1], 30, axis=0))
    program = replace(program, uncertainty=values, risk=Regret())
    method, asked = ExtensiveForm(), 0

    def solve(single: AnyProgram, part: Deadline) -> Outcome:
        nonlocal asked
        asked += 1
        if part.left() < needed:
            clock.now += part.left()
            return Outcome(Termination.TIME, None, None, -np.inf, np.inf, (), 0.0)
        clock.now += needed
        return method.solve(single)

    deadline = Deadline(limit, clock=clock)
    if is_enough:
        bounds = wait_and_see_bounds(program, solve, deadline)
        assert bounds is not None
        np.testing.assert_allclose(bounds[0], bounds[1], rtol=1e-4)
        assert asked > 30
        assert not deadline.over()
    else:
        with pytest.raises(StoppedError):
            wait_and_see_bounds(program, solve, deadline)
