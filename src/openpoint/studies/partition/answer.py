"""From the outcome of a method to the result of partitioning: names, units, tables, and a last look at the worst."""

from __future__ import annotations

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.results.iterations import iterations_table
from openpoint.studies.partition.model.loads import terminal_base_kw
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.result import PartitionResult, Plan
from openpoint.studies.partition.schema import PARTITION
from openpoint.studies.partition.tables import step_tables
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.goal import Goal
from openpoint.twostage.log import Outcome
from openpoint.twostage.recourse.subproblem import VIOLATION_MIN
from openpoint.twostage.recourse.template import template_of
from openpoint.twostage.uncertainty import Box, Budget
from openpoint.twostage.worst_case.climbing import LinearRecourse, climb, starting_points

STARTS = 8
"""Climbs of the last look at the worst realisation, beside all loads up and all down."""
VERIFIED_S = 0.5
"""Seconds for it in any case, also where the method has used up the time."""


def answer(
    grid: Grid,
    program: PartitionProgram,
    outcome: Outcome,
    method: str,
    uncertainty: float,
    notes: tuple[str, ...],
    deadline: Deadline,
) -> PartitionResult:
    """The result in the grid's own names and units."""
    x = outcome.decision
    here = step_tables(grid, program, x, 0)
    names, shut = here.switches["name"], here.switches["closed"]
    lost, generation = (None, None) if x is None else program.costs(x, 0)
    return PartitionResult(
        grid=grid,
        method=method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        uncertainty=uncertainty,
        uncertain_loads=program.loads.names,
        cost_usd=None if x is None else outcome.upper_bound,
        lost_usd=lost,
        generation_usd=generation,
        worst_recourse_usd=None if x is None else outcome.upper_bound - program.first_stage_cost(x),
        lower_bound_usd=outcome.lower_bound,
        gap=outcome.gap,
        served_kw=here.served_kw,
        total_kw=here.load_kw,
        worst_slack_kw=0.0 if x is None else worst_slack(program, x, deadline) * terminal_base_kw(program.network),
        energised_blocks=tuple(here.blocks.filter(energised=True)["name"]),
        closed_switches=tuple(names.filter(shut)),
        open_switches=tuple(names.filter(~shut)),
        grid_forming=tuple(here.generators.filter(forms_grid=True)["name"]),
        blocks=here.blocks,
        islands=here.islands,
        generators=here.generators,
        switches=here.switches,
        iterations=iterations_table(outcome.log, PARTITION.tables["iterations"]),
        notes=(*grid.figure_notes, *notes),
        plan=None if x is None else Plan(program, x),
    )


def worst_slack(program: PartitionProgram, decision: Floats, deadline: Deadline) -> float:
    """The largest of the least violations that climbs meet, per unit of a phase; rounding counts as none.

    Where the time is up, some climbs are made all the same.
    """
    recourse = LinearRecourse(template_of(program, len(decision), Goal.VIOLATION), Goal.VIOLATION)
    if isinstance(program.uncertainty, Box | Budget):
        polyhedral = program.uncertainty.polyhedral()
        stop = deadline.after(VERIFIED_S).over
        worst = climb(lambda u: recourse.at(decision, u), polyhedral, starting_points(polyhedral, STARTS), stop)
    else:
        worst = recourse.at(decision, program.uncertainty.values[0])
    return 0.0 if worst is None or worst.value <= 2.0 * VIOLATION_MIN else worst.value
