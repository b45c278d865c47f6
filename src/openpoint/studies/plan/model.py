"""A switch plan of a grid: the order that `openpoint.search.plan` finds, and the exact state after each step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.formulations.radiality import by_branch
from openpoint.grid.grid import Grid
from openpoint.io.memory import switches_of
from openpoint.names import join_names
from openpoint.network import Network
from openpoint.network.load_shares import terminals
from openpoint.network.stations import open_held_meshes
from openpoint.results import columns as c
from openpoint.results.switch_plan import STEPS, SwitchPlan
from openpoint.scenarios.reliability import read_reliability
from openpoint.search.plan.flows import AcStates, Flow, ac_states
from openpoint.search.plan.order import Order, best_order
from openpoint.search.plan.question import PlanQuestion
from openpoint.studies.plan.options import SwitchPlanOptions
from openpoint.studies.shared import split
from openpoint.twostage.deadline import Deadline


def plan_of(
    grid: Grid, network: Network, open_after: Iterable[str], options: SwitchPlanOptions, states: AcStates | None = None
) -> SwitchPlan:
    """The switch plan from the state of a network to the one in which these branches are open.

    Args:
        grid: the grid. network: of it, with the limits to keep.
        open_after: names of the branches that are open at the end. options: all but the states and what follows from
            them counts. states: its power flows, where they are there.

    Raises:
        InputError: a name that is no branch or bus.
    """
    after = np.ones(len(network.branch_names), dtype=np.bool_)
    after[network.branch_numbers(list(open_after))] = False
    remote = grid.branches()["remote"].to_numpy().astype(np.bool_)
    may = by_branch(network, network.switchable)
    may[network.branch_numbers(list(split(grid, options.keep, "keep")))] = False
    question = PlanQuestion(
        network=network,
        states=ac_states(grid, network) if states is None else states,
        before=by_branch(network, network.closed),
        after=after,
        may_operate=may,
        remote=remote,
        hours=np.where(remote, options.remote_minutes, options.manual_minutes) / 60.0,
        load_kw=_at_terminals(grid, grid.loads, "p_kw"),
        parallel=options.parallel,
    )
    order = best_order(question, Deadline(options.time_limit_s))
    if order is None:
        return SwitchPlan(
            steps=c.empty(STEPS),
            found=False,
            fewest_operations=len(question.differing),
            keeps_limits=False,
            excess_percent=math.inf,
            not_supplied_kwh=0.0,
            proven=False,
            ac_max_mismatch_pu=None,
            notes=(),
        )
    customers = None
    if options.reliability is not None:
        places = grid.buses.select(pl.col("name").alias("bus"), "phases")
        known = read_reliability(options.reliability, grid).customers.join(places, "bus", maintain_order="left")
        customers = _at_terminals(grid, known, "customers")
    return _result_of(grid, question, order, customers, options)


def _at_terminals(grid: Grid, table: pl.DataFrame, column: str) -> Floats:
    """(N) sums of a column by terminal, its phases alike."""
    number = terminals(grid)
    total = np.zeros(len(number))
    for bus, phases, value in table.select("bus", "phases", column).iter_rows():
        total[[number[bus, phase] for phase in phases]] += value / len(phases)
    return total


def _result_of(
    grid: Grid, question: PlanQuestion, order: Order, customers: Floats | None, options: SwitchPlanOptions
) -> SwitchPlan:
    states, network = question.states, question.network
    rows, energy, mismatch, switches = list[dict[str, Any]](), 0.0, 0.0, switches_of(grid)
    state = order.where.start
    flow = states.flow(order.where.closed(state))
    for bit, next_bit in _operations(order):
        e, state = order.where.branch(bit), state ^ bit
        now = states.flow(order.where.closed(state))
        if now is None or flow is None:  # each state was solved by the search
            raise AssertionError("a state of the plan has no power flow")
        dark = order.where.dark(state)
        minutes = 60.0 * float(question.hours[order.where.branch(next_bit)]) if dark.any() else 0.0
        off_kw = float(question.load_kw[dark].sum())
        energy, mismatch = energy + off_kw * minutes / 60.0, max(mismatch, now.mismatch)
        off = dark & (question.load_kw > 0.0)
        rows.append(
            _place(grid, e, switches, closes=bool(state & bit))
            | _state(network, e, flow, now)
            | {
                "step": len(rows) + 1,
                "loop": _loops(question, order.where.closed(state)) > _loops(question, question.before),
                "off_buses": join_names(network.bus_names[b] for b in np.unique(network.terminal_bus[off])),
                "off_kw": off_kw,
                "off_customers": None if customers is None else float(customers[dark].sum()),
                "off_min": minutes,
            }
        )
        flow = now
    steps = c.frame(STEPS, rows)
    return SwitchPlan(
        steps=steps,
        found=True,
        fewest_operations=order.fewest,
        keeps_limits=order.keeps_limits,
        excess_percent=100.0 * order.excess,
        not_supplied_kwh=energy,
        proven=order.proven,
        ac_max_mismatch_pu=mismatch,
        notes=_notes(question, order, options),
    )


def _operations(order: Order) -> Iterator[tuple[int, int]]:
    """The bit of each operation, and that of the next one."""
    bits = [
        bit
        for move in order.moves
        for bit in ((move.open, move.close) if move.opens_first else (move.close, move.open))
        if bit
    ]
    yield from zip(bits, [*bits[1:], 0])


def _place(grid: Grid, e: int, switches: Mapping[str, str], *, closes: bool) -> dict[str, Any]:
    """Which branch is operated, and where."""
    branch = grid.branches().row(e, named=True)
    line = grid.lines.row(e, named=True) if branch["kind"] == "lines" else {"open_end": "both"}
    ends = ("from", "to") if line["open_end"] == "both" else (line["open_end"],)
    buses = [branch[f"{end}_bus"] for end in ends]
    first = grid.buses.filter(pl.col("name") == buses[0]).row(0, named=True)
    return {
        "action": "close" if closes else "open",
        "name": branch["name"],
        "switch": switches.get(branch["name"], ""),
        "kind": branch["kind"],
        "open_end": line["open_end"],
        "bus": join_names(buses),
        "x": first["x"],
        "y": first["y"],
        "remote": branch["remote"],
    }


def _state(network: Network, e: int, before: Flow, after: Flow) -> dict[str, Any]:
    """Currents of a branch before and after its operation, and the figures of the state after it."""
    figures, own = after.figures, network.conductor_branch == e
    kind, number = figures.worst
    name = _branch(network, number) if kind == "current" else _bus(network, number)
    loading, at = figures.loading
    lowest, bus = figures.v_min
    return {
        "i_before_a": float((before.i * network.i_base_a)[own].max()),
        "i_after_a": float((after.i * network.i_base_a)[own].max()),
        "v_min_pu": lowest,
        "v_min_bus": _bus(network, bus),
        "loading_percent": 100.0 * loading if at >= 0 else None,
        "loading_branch": _branch(network, at) if at >= 0 else "",
        "limit": f"{kind} at {name}, {100.0 * figures.excess:.2f} %" if kind else "",
    }


def _bus(network: Network, terminal: int) -> str:
    return network.bus_names[int(network.terminal_bus[terminal])]


def _branch(network: Network, conductor: int) -> str:
    return network.branch_names[int(network.conductor_branch[conductor])]


def _loops(question: PlanQuestion, closed: Bools) -> int:
    """Number of independent loops, sources counted as one."""
    network = question.network
    return int((~network.in_forest(np.flatnonzero(closed[network.conductor_branch]))).sum())


def _notes(question: PlanQuestion, order: Order, options: SwitchPlanOptions) -> tuple[str, ...]:
    notes: tuple[str, ...] = ()
    if any(move.opens_first for move in order.moves):
        times = f"{options.remote_minutes:g} min by remote control, {options.manual_minutes:g} min on site"
        notes += (f"who is off is so until the next switch is operated, assumed to take {times}",)
    if not order.proven:
        notes += ("the order is a good one, not proven to be the best: too many exchanges, or the time was up",)
    if order.allowed > 0.0:
        breach = f"today's state or the last one breaks a limit by {100.0 * order.allowed:.2f} %"
        notes += (f"{breach}; states on the way may break limits by as much",)
    if open_held_meshes(question.network).unlimited.any():
        notes += ("limits of current of couplers in permanently closed loops are not checked on the way",)
    return notes
