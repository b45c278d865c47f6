"""What each realisation would cost if it were known: the yardstick of regret, and of the value of information."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from openpoint.errors import OpenpointError
from openpoint.twostage.log import Outcome
from openpoint.twostage.program import Floats, TwoStageProgram
from openpoint.twostage.risk import Expectation, Regret
from openpoint.twostage.uncertainty import Box, Budget, Certain, Scenarios, listed

ALONE_GAP = 0.1
"""Gap of the realisations alone, relative to the gap asked for: regret is a small difference of large numbers."""

Solve = Callable[[TwoStageProgram[Any, Any]], Outcome]


def wait_and_see(program: TwoStageProgram[Any, Any], solve: Solve) -> list[Outcome]:
    """The program solved for every realisation alone (Madansky 1960).

    Raises:
        OpenpointError: a realisation has no solution even alone.
    """
    uncertainty = program.uncertainty
    assert not isinstance(uncertainty, Box | Budget)
    outcomes = []
    for k, u in enumerate(uncertainty.values):
        outcomes.append(solve(program.facing(Certain(u), Expectation())))
        if outcomes[-1].decision is None:
            raise OpenpointError(
                f"realisation {k + 1} has no solution even where it is known in advance ({outcomes[-1].termination}): "
                "leave it out, relax the limits, or let them be missed in a share of the realisations"
            )
    return outcomes


def alone_of(program: TwoStageProgram[Any, Any], solve: Solve) -> tuple[Floats, Floats] | None:
    """Lower and upper bounds of what each realisation costs alone, where the risk is regret; else None."""
    if not isinstance(program.risk, Regret):
        return None
    outcomes = wait_and_see(program, solve)
    return np.array([o.lower_bound for o in outcomes]), np.array([o.upper_bound for o in outcomes])


def as_finite(program: TwoStageProgram[Any, Any]) -> TwoStageProgram[Any, Any]:
    """The program with the vertices of a polyhedral set in place of the set.

    Raises:
        OptionError: there are too many.
    """
    if not isinstance(program.uncertainty, Box | Budget):
        return program
    return program.facing(Scenarios(listed(program.uncertainty)), program.risk)
