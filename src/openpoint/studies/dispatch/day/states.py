"""The state that a plan reaches at the start of every period, if all comes as forecast, as a table to plan on from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.grid.grid import Grid
from openpoint.network.day import DayPlan
from openpoint.network.devices import DeviceKind
from openpoint.results import columns as c
from openpoint.studies.dispatch.day.flow import forecast_of
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.rolling import DayState, running_now, state_after
from openpoint.studies.dispatch.day.schema import STATES
from openpoint.studies.dispatch.tables import KINDS, shown_positions

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
