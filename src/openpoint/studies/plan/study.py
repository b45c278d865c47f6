"""Switch plan: the order of switching from one state of a grid to another, with the exact state after every step."""

from __future__ import annotations

from dataclasses import replace

from openpoint.errors import InputError, Problem
from openpoint.formulations.radiality import by_branch
from openpoint.grid.grid import Grid
from openpoint.grid.today import as_asked
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.scenarios.reliability import read_reliability
from openpoint.search.plan.flows import AcStates, ac_states
from openpoint.studies.plan.model import plan_of
from openpoint.studies.plan.options import SwitchPlanOptions
from openpoint.studies.plan.result import SwitchPlanResult
from openpoint.studies.plan.states import check_state, fed, in_state
from openpoint.studies.shared import split
from openpoint.studies.study import Prepared, Ready, function

DEMAND = "every state is evaluated at the demand of the grid's tables"
"""What belongs to every plan: the states may have been found for another demand."""


def prepare(grid: Grid, options: SwitchPlanOptions) -> Prepared[SwitchPlanResult]:
    """An order of switching from one radial state of a grid to another, with the exact state after every step.

    Branches are exchanged, close one, then open one, so that no bus loses supply and every state keeps the limits, that
    with the closed loop included. Where different sources may not be joined the opening comes first. Every state is
    evaluated at the demand of the grid's tables, by OpenDSS where the grid has phases a, b, c; what stays dark in
    `reconfigure` does so here. What is best is in `openpoint.search.plan.order`.

    Raises:
        InputError: the grid has faults; a state that is not radial or has no power flow; a branch that differs and may
            not be operated; names that are unknown.
        OptionError: options that make no sense.
    """
    grid = fed(as_asked(grid, split(grid, options.switchable, "switchable"), (), ()))
    begin = grid if options.before is None else in_state(grid, options.before, "before")
    end = in_state(grid, options.after, "after")
    for state, which in ((begin, "before"), (end, "after")):
        check_state(state, which)
    _refuse_fixed(begin, end)
    network, last = (Limits.given(options.limits).applied(build_network(state)) for state in (begin, end))
    states = ac_states(begin, network)
    _refuse_without_flow(states, network, last)
    known = None if options.reliability is None else read_reliability(options.reliability, grid)
    asked = replace(options, keep=split(grid, options.keep, "keep"), reliability=known)
    return Ready(lambda: _result(begin, end, network, states, asked))


def _result(begin: Grid, end: Grid, network: Network, states: AcStates, options: SwitchPlanOptions) -> SwitchPlanResult:
    """The order from one state of a grid to another; `network`: of the first, with the limits; `states`: its flows."""
    plan = plan_of(begin, network, end.branches().remove("closed")["name"].to_list(), options, states)
    return SwitchPlanResult(
        grid=begin,
        grid_after=end,
        open_before=tuple(begin.branches().remove("closed")["name"]),
        open_after=tuple(end.branches().remove("closed")["name"]),
        plan=replace(plan, notes=(*begin.figure_notes, DEMAND, *plan.notes)),
    )


switch_plan = function("switch_plan", SwitchPlanOptions, prepare)


def _refuse_fixed(before: Grid, after: Grid) -> None:
    """Refuse branches that differ and may not be operated.

    Raises:
        InputError: naming each.
    """
    rows = zip(before.branches().iter_rows(named=True), after.branches()["closed"], strict=True)
    problems = []
    for row, closed in rows:
        if row["closed"] == closed or row["switchable"]:
            continue
        why = f"locked ({row['locked_reason']})" if row["locked_reason"] else "not switchable"
        message = f"{why}, and {'open' if closed else 'closed'} before and {'closed' if closed else 'open'} after"
        remedy = "Leave it as it is" if row["locked_reason"] else "Leave it as it is, or name it by `switchable`"
        problems.append(Problem(row["kind"], row["name"], "closed", message, remedy))
    if problems:
        raise InputError(problems)


def _refuse_without_flow(states: AcStates, before: Network, after: Network) -> None:
    """Refuse states without a power flow.

    Raises:
        InputError: naming each.
    """
    remedy = "The grid cannot carry its load in this state (voltage collapse): choose another one"
    problems = [
        Problem("buses", "", "", f"{which}: the power flow has no solution", remedy)
        for network, which in ((before, "before"), (after, "after"))
        if states.flow(by_branch(network, network.closed)) is None
    ]
    if problems:
        raise InputError(problems)
