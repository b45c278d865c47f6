"""From a grid to the two-stage program of reconfiguration, as the study builds it."""

from openpoint.arrays import Floats
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import Limits
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.program import ExactEvaluation, Goal
from openpoint.twostage.recourse.evaluation import Response, Subproblem


def program_of(grid: Grid, *, max_changes: int | None = None, change_cost_kw: float = 0.0) -> RadialProgram:
    """The program with the grid's own limits and nothing locked but what cannot be switched."""
    network = Limits().applied(build_network(grid))
    return RadialProgram(network, SwitchingRules.of(network, max_changes, change_cost_kw / network.s_base_kva))


class Today:
    """The recourse of a program at today's demand."""

    def __init__(self, program: RadialProgram, goal: Goal = Goal.COST) -> None:
        self._sub = Subproblem(program, program.network.n_conductors, goal)
        self._now = program.uncertainty.values[0]

    def respond(self, decision: Floats) -> Response:
        return self._sub.respond(decision, self._now)


def verdict_of(program: RadialProgram, decision: Floats) -> ExactEvaluation:
    """The exact verdict at today's demand and dispatch."""
    return program.evaluate(decision, program.uncertainty.values, None)


def value_of(program: RadialProgram, decision: Floats) -> float:
    """The exact loss in kW, inf where limits are missed."""
    verdict = verdict_of(program, decision)
    return float(verdict.values[0]) if verdict.violations[0] == 0.0 else float("inf")
