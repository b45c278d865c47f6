"""What each realisation would cost if it were known: the yardstick of regret, and of the value of information."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    return [_settled(k, solve(single)) for k, single in enumerate(_singles(program))]


def alone_of(
    program: TwoStageProgram[Any, Any], solve: Solve, gap: float | None = None
) -> tuple[Floats, Floats] | None:
    """Lower and upper bounds of what each realisation costs alone, where the risk is regret; else None.

    With a gap, the study may answer itself (`TwoStageProgram.alone`); where it cannot, `solve` has the word.

    Raises:
        OpenpointError: a realisation has no solution even alone.
    """
    if not isinstance(program.risk, Regret):
        return None
    bounds = []
    for k, single in enumerate(_singles(program)):
        if gap is None or (known := single.alone(gap)) is None:
            outcome = _settled(k, solve(single))
            known = outcome.lower_bound, outcome.upper_bound
        bounds.append(known)
    lower, upper = np.array(bounds).T
    return lower, upper


def _singles(program: TwoStageProgram[Any, Any]) -> Iterator[TwoStageProgram[Any, Any]]:
    """The program before each of its realisations alone."""
    uncertainty = program.uncertainty
    assert not isinstance(uncertainty, Box | Budget)
    return (program.facing(Certain(u), Expectation()) for u in uncertainty.values)


def _settled(k: int, outcome: Outcome) -> Outcome:
    if outcome.decision is None:
        raise OpenpointError(
            f"realisation {k + 1} has no solution even where it is known in advance ({outcome.termination}): "
            "leave it out, relax the limits, or let them be missed in a share of the realisations"
        )
    return outcome


def as_finite(program: TwoStageProgram[Any, Any]) -> TwoStageProgram[Any, Any]:
    """The program with the vertices of a polyhedral set in place of the set.

    Raises:
        OptionError: there are too many.
    """
    if not isinstance(program.uncertainty, Box | Budget):
        return program
    return program.facing(Scenarios(listed(program.uncertainty)), program.risk)
