"""The exchanges that lead from today's state to an answer, those that save most per switch operation first.

An exchange closes a branch and opens one of the loop that this makes, so that every state on the way is radial
(`openpoint.graph.exchange_order`). Of what is left to close, the next is what saves most from where one stands, with
the opening that loses least. What an exchange saves depends on those before it, so that savings are not always in
order, and limits may be broken half-way: exchanges that follow each other become one group until

- no state between groups breaks limits by more than today's state and the answer do, and
- no group saves more per operation than one before it.

The first groups are then those to do where operations are few. They are good, not proven best: that is
`reconfigure` with `max_changes`.

The answer of a reconfiguration as a result: tables under the grid's own names, and notes on it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Ints
from openpoint.graph import components, is_radial, path
from openpoint.grid.grid import Grid
from openpoint.grid.today import locked_note, loops_today, why_no_loss
from openpoint.network import Network
from openpoint.network.stations import Stations
from openpoint.powerflow.state import AcState, ac_state
from openpoint.results import ac_tables as states
from openpoint.results.ac_tables import OperatingPoint
from openpoint.results.columns import finite
from openpoint.results.common import iterations_table
from openpoint.results.violation import Violation
from openpoint.studies.reconfigure.ac_evaluation import AcEvaluator, states_of
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.result import ITERATIONS, ReconfigureResult, SoftLimits, SwitchGroup
from openpoint.studies.reconfigure.soft import not_kept, ways_on
from openpoint.twostage.log import Outcome, Termination


def switch_groups(network: Network, ac: AcEvaluator, after: Bools) -> tuple[SwitchGroup, ...]:
    """The groups from the network's state to another one, (E); none where a state is not radial or has no flow.

    Args:
        network: without permanently closed loops. ac: the evaluator of its states at the demand of today.
    """
    before, ends = network.closed, (network.n_terminals, network.terminal_fr, network.terminal_to)
    if not all(is_radial(*ends, closed, network.source_terminal) for closed in (before, after)):
        return ()
    at_first, at_last = _flow(ac, before), _flow(ac, after)
    if not np.isfinite(at_first[0]) or not np.isfinite(at_last[0]):
        return ()
    most, groups, waiting = max(at_first[1], at_last[1]), list[SwitchGroup](), None
    for step, violation in _exchanges(network, ac, after, at_first[0]):
        waiting = step if waiting is None else waiting + step
        if violation > most:
            continue
        while groups and groups[-1].saving_per_operation_kw < waiting.saving_per_operation_kw:
            waiting = groups.pop() + waiting
        groups.append(waiting)
        waiting = None
    return tuple(groups)


def _exchanges(network: Network, ac: AcEvaluator, after: Bools, loss: float) -> Iterator[tuple[SwitchGroup, float]]:
    """Each exchange from the network's state, of `loss`, to another one, and the violation after it.

    What an exchange saves seldom rises with those before it, so that only the one that seemed best is looked at anew.
    """
    closed, done = network.closed.copy(), 0
    node = _joined(network, closed & after)

    def best(close: int) -> tuple[float, int, int, float, float, int]:
        tried = []
        for opened in _openings(network, node, closed, after, close):
            state = closed.copy()
            state[[close, opened]] = True, False
            lost, violation = _flow(ac, state)
            tried.append((lost, opened, violation))
        lost, opened, violation = min(tried)
        return (lost - loss if np.isfinite(lost) else np.inf), close, opened, lost, violation, done

    queue = [best(int(e)) for e in np.flatnonzero(after & ~closed)]
    heapq.heapify(queue)
    while queue:
        _, close, opened, lost, violation, when = heapq.heappop(queue)
        if when < done:
            heapq.heappush(queue, best(close))
            continue
        closed[[close, opened]] = True, False
        names = network.branch_names
        yield SwitchGroup((names[close],), (names[opened],), loss, lost), violation
        loss, done = lost, done + 1


def _joined(network: Network, closed: Bools) -> Ints:
    """(N) number of what each bus is joined to by some closed branches; sources that count as one are one."""
    fr, to = network.merged_ends
    joined: Ints = np.unique(components(network.n_terminals, fr[closed], to[closed]), return_inverse=True)[1]
    return joined


def _openings(network: Network, node: Ints, closed: Bools, after: Bools, close: int) -> list[int]:
    """Branches of the loop that closing one makes that are not closed in the end; there is at least one.

    `node`: (N) of `_joined`, by branches that are closed before and after.
    """
    fr, to = (node[end] for end in network.merged_ends)
    now = np.flatnonzero(closed & (fr != to))
    loop = path(int(node.max()) + 1, fr[now], to[now], int(fr[close]), int(to[close])) or ()
    return [int(now[k]) for k in loop if not after[now[k]]]


def _flow(ac: AcEvaluator, closed: Bools) -> tuple[float, float]:
    loss, violation = ac.flows(closed[None, :])
    return float(loss[0, 0]), float(violation[0, 0])


@dataclass(frozen=True)
class Findings:
    """The outcome of a method, of one phase or of several.

    Attributes:
        outcome: of the method.
        before: the state of today; None where it has none. shown: that of the answer, or of the least violation.
        closed: (E) conductors that are closed in it. kept: whether it is an answer.
        open_before, open_after: names of the branches open today and in what is shown.
        broken, least_violation: limits that the answer breaks; limits that break at the least violation.
        generators: their output. fixed: whether they are not chosen about, though there are any.
        choices: number of branches that may be chosen about.
        notes: for the user. objective_kw: of the answer. soft: how limits were relaxed.
    """

    outcome: Outcome
    before: OperatingPoint | None
    shown: OperatingPoint | None
    closed: Bools
    kept: bool
    open_before: tuple[str, ...]
    open_after: tuple[str, ...]
    broken: tuple[Violation, ...]
    least_violation: tuple[Violation, ...]
    generators: pl.DataFrame
    fixed: bool
    choices: int
    notes: tuple[str, ...]
    objective_kw: float | None
    soft: SoftLimits | None


def reconfigure_result(grid: Grid, network: Network, method: str, found: Findings) -> ReconfigureResult:
    """The result, under the grid's own names."""
    outcome, after = found.outcome, found.shown if found.kept else None
    points = {"_before": found.before, "_after": found.shown}
    closed = {"closed_before": network.closed, "closed_after": found.closed}
    low, low_bus, low_phase = states.lowest(network, after)
    low_before, low_before_bus, low_before_phase = states.lowest(network, found.before)
    return ReconfigureResult(
        grid=grid,
        method=method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        open_before=found.open_before,
        open_branches=found.open_after if after is not None else (),
        loss_before_kw=None if found.before is None else found.before.loss_kw,
        loss_kw=None if after is None else after.loss_kw,
        objective_kw=None if after is None else found.objective_kw,
        lower_bound_kw=outcome.lower_bound,
        gap=outcome.gap,
        v_min_pu=low,
        v_min_bus=low_bus,
        v_min_phase=low_phase,
        v_min_before_pu=low_before,
        v_min_before_bus=low_before_bus,
        v_min_before_phase=low_before_phase,
        ac_max_mismatch_pu=None if after is None else after.max_mismatch,
        violations=found.broken,
        least_violation=found.least_violation,
        least_violation_open=found.open_after if after is None and found.shown is not None else (),
        buses=states.bus_table(network, points),
        branches=states.branch_table(grid, network, closed, points),
        generators=found.generators,
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(
            *grid.figure_notes,
            *locked_note(grid),
            *_of_states(grid, found),
            *found.notes,
            *outcome.notes,
            *_of_limits(found),
            *states.limits_left_out(grid, network, after),
        ),
        soft_limits=found.soft,
    )


def radial_result(
    grid: Grid,
    program: RadialProgram,
    stations: Stations,
    method: str,
    before: AcState | None,
    outcome: Outcome,
    soft: SoftLimits | None,
) -> ReconfigureResult:
    """The result of a method on a balanced grid, with its permanently closed loops closed again."""
    network, state = stations.whole, states_of(outcome)
    best = None if state is None else ac_state(network, state.closed | stations.dropped, state.generation[0])
    after = best if outcome.decision is not None else None
    least = best if outcome.least_violation is not None else None
    shown = after or least
    closed = network.closed if shown is None else shown.closed
    found = Findings(
        outcome=outcome,
        before=None if before is None else states.of_balanced(network, before),
        shown=None if shown is None else states.of_balanced(network, shown),
        closed=closed,
        kept=after is not None,
        open_before=states.open_names(network, network.closed),
        open_after=states.open_names(network, closed),
        broken=states.violations(network, after),
        least_violation=states.violations(network, least),
        generators=states.generators(grid, network, after),
        fixed=False,
        choices=len(program.choices.free),
        notes=states.of_couplers(stations),
        objective_kw=finite(outcome.upper_bound),
        soft=soft,
    )
    result = reconfigure_result(grid, network, method, found)
    if before is None or after is None or len(network.generator_names):
        return result
    groups = switch_groups(program.network, program.ac, after.closed & ~stations.dropped)
    return replace(result, switch_groups=groups)


def _of_states(grid: Grid, found: Findings) -> tuple[str, ...]:
    """A note where a state is missing."""
    notes: tuple[str, ...] = () if found.before is not None else (why_no_loss(grid),)
    if found.before is not None and (loops := loops_today(grid)):
        notes = (f"today's state is not radial, and its loss is that with its loops closed ({loops})",)
    if found.fixed:
        notes += ("generators keep the output that they have today; their limits are not used",)
    if found.outcome.termination is Termination.INFEASIBLE and found.shown is None:
        notes += ("no radial state has a power flow solution: the grid cannot carry its load; check loads and units",)
    return notes


def _of_limits(found: Findings) -> tuple[str, ...]:
    """A note on limits that are not kept."""
    if found.soft is not None:
        return (not_kept(found.broken, found.soft),)
    proven = found.outcome.termination is Termination.INFEASIBLE
    return ways_on(found.least_violation, found.choices, proven=proven)
