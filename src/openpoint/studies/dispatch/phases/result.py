"""What dispatch finds in a grid of any phases."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openpoint.grid.grid import Grid
from openpoint.io.opendss.write import circuit_text
from openpoint.network import Network
from openpoint.powerflow.opendss import PhaseState
from openpoint.results.violation import Violation
from openpoint.studies.dispatch.phases.evaluation import Sought
from openpoint.twostage.log import Iteration, Termination, relative_gap


@dataclass(frozen=True)
class Move:
    """What is set anew.

    Attributes:
        kind: `switch`, `tap changer` or `capacitor bank`. name: of its row.
        before, after: tap position or steps on; of a switch 1 closed, 0 open.
    """

    kind: str
    name: str
    before: int
    after: int


@dataclass(frozen=True)
class LinearFigures:
    """What is known of the linear model; none of it bounds the exact power flow.

    Attributes:
        bound_kw: lower bound of its optimum; -inf where there is none, inf where nothing keeps the limits in it.
        answer_kw: value of the answer in it, inf where it breaks a limit there.
    """

    bound_kw: float
    answer_kw: float

    @property
    def gap(self) -> float:
        """Of the answer within the linear model, relative; inf where one is not known."""
        return relative_gap(self.bound_kw, self.answer_kw)


@dataclass(frozen=True, kw_only=True)
class PhasesDispatch:
    """The answer of `dispatch_phases`. Its states are exact power flows by OpenDSS of circuits compiled anew.

    Attributes:
        grid: as it was. grid_after: with the switches, taps and steps of the answer; None where no state has a
            solution. network: arrays of the grid, with the limits kept.
        sought: what was minimised. before, after: exact states; None where there is no solution.
        value_before_kw, value_kw: what was minimised; nan where there is no solution.
        moves: what is set anew. violations: limits that the answer breaks, by as little as was found.
        linear: figures of the linear model. termination: why it ended. notes: for the user. log: the lines of the run.
        evaluated: states evaluated by exact power flow. seconds: of the run.
    """

    grid: Grid
    grid_after: Grid | None
    network: Network
    sought: Sought
    before: PhaseState | None
    after: PhaseState | None
    value_before_kw: float
    value_kw: float
    moves: tuple[Move, ...]
    violations: tuple[Violation, ...]
    linear: LinearFigures
    termination: Termination
    notes: tuple[str, ...]
    log: tuple[Iteration, ...]
    evaluated: int
    seconds: float

    @property
    def keeps_limits(self) -> bool:
        """Whether the answer is a solution that breaks no limit."""
        return math.isfinite(self.value_kw) and not self.violations

    def dss(self) -> str:
        """The answer as an OpenDSS circuit, with its taps, steps and switches.

        Raises:
            ValueError: there is no answer.
        """
        if self.grid_after is None:
            raise ValueError("no state of this grid has a power flow solution, so there is nothing to write")
        return circuit_text(self.grid_after)
