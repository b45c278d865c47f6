"""The rest of a day that has begun: a question of the remaining periods, from what was measured or done so far."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network.day import DayArrays, DayPlan, Stores, Uncertain
from openpoint.network.devices import DeviceKind, with_positions
from openpoint.results import columns as c
from openpoint.studies.dispatch.day.flow import forecast_of
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.schema import STATES
from openpoint.studies.dispatch.tables import KINDS, shown_positions

ROUNDING = 1e-6
"""Deviation in periods, and content relative to its limit, that are taken for rounding."""


@dataclass(frozen=True)
class DayState:
    """The state of a day at the start of a period.

    Attributes:
        period: number of the period. closed: (E). positions: (D), units among them.
        generation: (G) complex output; nan = not known, so that no ramp binds.
        contents: (B) of stores, per unit times hours; of no meaning before a vehicle comes and after it has left.
        moved: (N) energy by which loads were above their forecast so far, moved in time.
        deviated: (U) Σ |ζ| so far, see `Uncertain`. operations: (E) how often each switch was operated so far.
    """

    period: int
    closed: Bools
    positions: Ints
    generation: Complexes
    contents: Floats
    moved: Floats
    deviated: Floats
    operations: Ints


def start_of(question: DayQuestion) -> DayState:
    """The state before the first period, as the question has it."""
    day, devices, net = question.day, question.devices, question.network
    positions, units = devices.today.copy(), devices.of(DeviceKind.UNIT)
    for unit in units:
        on = np.asarray(devices.values[unit] != 0.0) == day.units.on_before[devices.place[unit]]
        positions[unit] = int(np.argmax(on))
    generation = day.units.p_before + 1j * net.generator_s.imag
    moved = np.zeros(net.n_terminals) if day.demand.moved_before is None else day.demand.moved_before
    never, none = np.zeros(net.n_conductors, dtype=np.int64), np.zeros(day.uncertain.count)
    return DayState(0, net.closed, positions, generation, day.stores.energy_start, moved, none, never)


def state_after(question: DayQuestion, state: DayState, plan: DayPlan, realisation: Floats) -> DayState:
    """The state one period later.

    Args:
        question: of the whole day. state: at the start of the period. plan: of the whole day or of its rest, of which
            the first period is the state's. realisation: (U) in this period.
    """
    day, t = question.day, state.period
    row = t - (day.periods - len(plan.closed))
    stores, hours, uncertain = day.stores, day.hours[t], day.uncertain
    gained = stores.charge_efficiency * plan.charge[row] - plan.discharge[row] / stores.discharge_efficiency
    away = realisation - 1.0
    most = np.where(away < 0.0, uncertain.down[t], uncertain.up[t])
    return DayState(
        period=t + 1,
        closed=plan.closed[row],
        positions=plan.positions[row],
        generation=plan.generation[row],
        contents=state.contents + hours * np.where(stores.present(day.periods)[t], gained, 0.0),
        moved=state.moved + hours * plan.shift[row],
        deviated=state.deviated + np.abs(away) / np.where(most > 0.0, most, np.inf),
        operations=state.operations + (plan.closed[row] != state.closed),
    )


def rest_of_question(question: DayQuestion, state: DayState) -> DayQuestion:
    """The question of the remaining periods.

    - Stores and vehicles that are there start with their content. What can no longer be reached of the content asked
      for at the end is not asked for. A vehicle that has left stays in the arrays and does nothing.
    - Generators ramp from their output, and start from on or off. Energy moved in time is made up for in the rest.
    - A topology, or positions, decided once for the day are decided once more for the rest; switch operations so far
      are counted.
    - Deviations so far use up the budgets: of a quantity with a budget of `hours`, hours − Σ|ζ| are left, rounded up.

    Args:
        question: of the whole day. state: measured, at the start of one of its periods.
    """
    net, devices, day = question.network, question.devices, question.day
    others = np.flatnonzero(devices.kind != DeviceKind.UNIT)
    net = with_positions(net, devices.only(others), state.positions[others])
    known = np.isfinite(state.generation)
    output = np.where(known, state.generation, net.generator_s)
    net, stations = replace(net, closed=state.closed, generator_s=output), question.stations
    if stations is not None:
        closed = state.closed | stations.dropped
        whole = with_positions(stations.whole, devices.only(others), state.positions[others])
        stations = replace(stations, whole=replace(whole, closed=closed, generator_s=output), opened=net)
    most = question.rules.max_changes
    left = None if most is None else max(most - int(state.operations.sum()), 0)
    return replace(
        question,
        network=net,
        stations=stations,
        devices=replace(devices, today=state.positions),
        rules=replace(question.rules, max_changes=left),
        day=_rest_of_day(day, state, running_now(question, state.positions)),
    )


def store_problem(question: DayQuestion, b: int, content: float) -> tuple[str, str] | None:
    """Message and remedy where store b cannot hold this much."""
    least, most = question.day.stores.energy_min[b], question.day.stores.energy_max[b]
    slack, base = ROUNDING * max(most, 1.0), question.network.s_base_kva
    if least - slack <= content <= most + slack:
        return None
    advice = f"It holds {base * least:.4g} to {base * most:.4g} kWh; measure again or correct the store"
    return f"a content of {base * content:.4g} kWh", advice


def running_now(question: DayQuestion, positions: Ints) -> Bools:
    """(G) whether each generator is on at (D) positions."""
    devices = question.devices
    on = np.ones(len(question.network.generator_names), dtype=np.bool_)
    for unit in devices.of(DeviceKind.UNIT):
        on[devices.place[unit]] = devices.values[unit][positions[unit]] != 0.0
    return on


def _rest_of_day(day: DayArrays, state: DayState, on: Bools) -> DayArrays:
    rest = slice(state.period, None)
    return DayArrays(
        names=day.names[rest],
        hours=day.hours[rest],
        load_power=day.load_power[rest],
        load_current=day.load_current[rest],
        load_impedance=day.load_impedance[rest],
        source_price=day.source_price[rest],
        export_price=day.export_price[rest],
        unit_available=day.unit_available[rest],
        stores=_stores_left(day, state),
        renewables=replace(day.renewables, available=day.renewables.available[rest]),
        units=replace(
            day.units,
            on_before=on,
            p_before=np.where(on, state.generation.real, 0.0),
            hours_before=float(day.hours[state.period - 1]) if state.period else day.units.hours_before,
        ),
        demand=replace(day.demand, moved_before=state.moved),
        uncertain=_uncertain_left(day.uncertain, state),
        starts_at=day.starts_at[rest],
        flow_max=day.flow_max,
        reactive_price=None if day.reactive_price is None else day.reactive_price[rest],
        passed=day.passed + float(day.hours[: state.period].sum()),
    )


def _stores_left(day: DayArrays, state: DayState) -> Stores:
    """The stores in the remaining periods, the contents asked for at the end within reach."""
    stores, t = day.stores, state.period
    gone = stores.last <= t
    start = _contents(day, state)
    return replace(
        stores,
        first=np.where(gone, 0, np.maximum(stores.first - t, 0)),
        last=np.where(gone, 0, stores.last - t),
        energy_start=start,
        energy_end=np.where(gone, start, np.minimum(stores.energy_end, reachable(day, state))),
    )


def _contents(day: DayArrays, state: DayState) -> Floats:
    """(B) content of the stores that are there, and that of the others when they come."""
    stores, t = day.stores, state.period
    there = (stores.first <= t) & (t < stores.last)
    return np.where(there, np.clip(state.contents, stores.energy_min, stores.energy_max), stores.energy_start)


def reachable(day: DayArrays, state: DayState) -> Floats:
    """(B) most content at the end of the day or of a vehicle's stay, if it charges with full power from now on."""
    stores, left = day.stores, np.arange(day.periods)[:, None] >= state.period
    hours = day.hours @ (stores.present(day.periods) & left)
    gained = stores.charge_efficiency * stores.charge_max * hours
    return np.asarray(np.minimum(_contents(day, state) + gained, stores.energy_max))


def _uncertain_left(uncertain: Uncertain, state: DayState) -> Uncertain:
    rest = slice(state.period, None)
    hours = np.maximum(np.ceil(uncertain.hours - state.deviated - ROUNDING), 0.0).astype(np.int64)
    periods = len(uncertain.down) - state.period
    return replace(
        uncertain, down=uncertain.down[rest], up=uncertain.up[rest], hours=np.minimum(hours, periods).astype(np.int64)
    )


# The state that a plan reaches at the start of every period, if all comes as forecast, as a table to plan on from.


DUST_KWH = 1e-6
"""Energy moved in time below which none was."""


def reached(question: DayQuestion, plan: DayPlan, start: DayState) -> list[DayState]:
    """The states at the start of every period of a plan, if all comes as forecast."""
    came, states = forecast_of(question.day), [start]
    for t in range(question.day.periods - 1):
        states.append(state_after(question, states[-1], plan, came[t]))
    return states


def state_frame(question: DayQuestion, states: Sequence[DayState], measured: pl.DataFrame | None) -> pl.DataFrame:
    """A row for every store that is there, generator, device, and branch, bus or quantity that is not as by default.

    What has a row in one state has one in every state, stores apart.

    Args:
        question: of the day or its rest. states: at starts of its periods; the name of the period after the last is
            null. measured: what was measured before the first period.
    """
    given = [] if measured is None else [
        row for row in measured.iter_rows(named=True) if row["kind"] in (*_SET, "branch")]  # fmt: skip
    in_any_case = {row["name"] for row in given if row["kind"] == "branch"}
    names, rows = (*question.day.names, None), list[dict[str, Any]]()
    for state in states:
        known = {(row["kind"], row["name"]): row for row in given}
        known |= {(row["kind"], row["name"]): row for row in _rows(question, states, state, in_any_case)}
        rows += [{**row, "period": names[state.period]} for row in known.values()]
    return c.frame(STATES, rows)


_SET = tuple(KINDS[kind][0] for kind in (DeviceKind.BANK, DeviceKind.VOLTAGE, DeviceKind.TAP))


def _rows(
    question: DayQuestion, states: Sequence[DayState], state: DayState, in_any_case: set[str]
) -> Iterator[dict[str, Any]]:
    """The rows of a state; `states`: of all periods; `in_any_case`: branches that always have a row."""
    net, day, base, t = question.network, question.day, question.network.s_base_kva, state.period
    there = (day.stores.first <= t) & (t < day.stores.last + (t == day.periods))
    for b in np.flatnonzero(there):
        content = np.clip(state.contents[b], day.stores.energy_min[b], day.stores.energy_max[b])  # but for rounding
        yield {"kind": "store", "name": day.stores.names[b], "energy_kwh": float(content * base)}
    on = running_now(question, state.positions)
    for g, name in enumerate(net.generator_names):
        power = {"p_kw": 0.0}
        if on[g]:
            p, q = state.generation[g].real * base, state.generation[g].imag * base
            power = {"p_kw": float(p), "q_kvar": float(q)} if np.isfinite(p) else {}
        yield {"kind": "generator", "name": name, "on": bool(on[g]), **power}
    for e, name in enumerate(net.branch_names):
        if name in in_any_case or any(each.operations[e] for each in states):
            did = int(state.operations[e])
            yield {"kind": "branch", "name": name, "closed": bool(state.closed[e]), "operations": did}
    for d, name in enumerate(question.devices.names):
        kind = DeviceKind(question.devices.kind[d])
        if kind is not DeviceKind.UNIT:
            position = float(shown_positions(question.devices, d)[state.positions[d]])
            yield {"kind": KINDS[kind][0], "name": name, "position": position}
    for n, bus in enumerate(net.terminal_bus):
        if any(abs(each.moved[n]) * base > DUST_KWH for each in states):
            yield {"kind": "bus", "name": net.bus_names[bus], "moved_kwh": float(state.moved[n] * base)}
    for u, name in enumerate(day.uncertain.names):
        if state.deviated[u] > 0.0:
            yield {"kind": "quantity", "name": name, "deviated_hours": float(state.deviated[u])}


@dataclass(frozen=True, eq=False)
class Planned:
    """A plan as numbers, to be carried out.

    Attributes:
        grid: with what the day adds to it. question: of the day or its rest. plan: of it.
        start: the state before its first period. measured: what was measured then.
    """

    grid: Grid
    question: DayQuestion
    plan: DayPlan
    start: DayState
    measured: pl.DataFrame | None

    def states(self) -> pl.DataFrame:
        """The state at the start of every period, if all comes as forecast."""
        return state_frame(self.question, reached(self.question, self.plan, self.start), self.measured)
