"""The limits that a day breaks, by period: of voltages and currents, sources, generators, stores and ramps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.network.limits import power_slack
from openpoint.results import ac_tables as states
from openpoint.studies.dispatch.day.flow import DayFlow, contents, running, starts
from openpoint.studies.dispatch.day.schema import VIOLATIONS
from openpoint.studies.dispatch.day.tables import Shown

BALANCE_KW = 1e-9
"""Largest error of an energy balance, as a share of the base of power."""


@dataclass(frozen=True, slots=True)
class DayViolation:
    """A limit that is broken in a period; see `schema.VIOLATIONS`."""

    case: str
    period: str
    kind: str
    name: str
    value: float | None
    limit: float | None
    unit: str

    @property
    def row(self) -> dict[str, Any]:
        """The violation as a row of the table."""
        return {key: getattr(self, key) for key in VIOLATIONS}

    def __str__(self) -> str:
        where = f" at {self.name}" if self.name else ""
        figures = "" if self.value is None else f": {self.value:.5g} {self.unit}"
        allowed = "" if self.limit is None else f", limit {self.limit:.5g} {self.unit}"
        return f"{self.period}, {self.case}: {self.kind}{where}{figures}{allowed}"


def violations(shown: Shown, case: str) -> list[DayViolation]:
    """All limits that a case breaks, in the order of the periods."""
    flow = shown.flows.get(case)
    return [] if flow is None else broken_limits(shown, case, flow)


def broken_limits(shown: Shown, case: str, flow: DayFlow) -> list[DayViolation]:
    """All limits that a flow breaks, which is called by a case."""
    question = shown.question
    held, there = contents(question.day, flow.plan), question.day.stores.present(question.day.periods)
    balance = flow.balance(question)
    names, found = question.day.names, list[DayViolation]()
    for t, name in enumerate(names):
        if flow.checks[t] is None:
            found.append(DayViolation(case, name, "no power flow", "", None, None, ""))
            continue
        for kind, place, value, limit, unit in _of_period(shown, flow, t, (there[t], held[t + 1]), float(balance[t])):
            found.append(DayViolation(case, name, kind, place, float(value), float(limit), unit))
    return found


Broken = Iterator[tuple[str, str, float, float, str]]
"""Kind, name, value, limit and unit."""


def _of_period(shown: Shown, flow: DayFlow, t: int, stores: tuple[Bools, Floats], error: float) -> Broken:
    """`stores`: (B) which are there, and what they hold after the period. error: of the energy balance."""
    net, check = shown.question.network, flow.checks[t]
    assert check is not None
    amps = flow.i[t] * net.i_base_a
    for each in states.broken_limits(net, np.abs(flow.v[t]), amps, check.v_low, check.v_high, check.overloaded):
        yield each.kind, each.name, each.value, each.limit, each.unit
    yield from _of_sources(shown, flow, t)
    yield from _of_generators(shown, flow, t)
    yield from _of_stores(shown, flow, t, *stores)
    if abs(error) > BALANCE_KW:
        yield "energy balance", "", error * shown.base_kw, 0.0, "kW"


def _of_sources(shown: Shown, flow: DayFlow, t: int) -> Broken:
    supply, names, power = shown.question.supply, shown.grid.sources["name"].to_list(), flow.source_s[t]
    yield from _beyond("active power", "kW", names, power.real, supply.p_min, supply.p_max, shown.base_kw)
    yield from _beyond("reactive power", "kvar", names, power.imag, supply.q_min, supply.q_max, shown.base_kw)
    yield from _beyond("apparent power", "kVA", names, np.abs(power), -supply.s_max, supply.s_max, shown.base_kw)


def _of_generators(shown: Shown, flow: DayFlow, t: int) -> Broken:
    question, s = shown.question, shown.base_kw
    net, day, plan = question.network, question.day, flow.plan
    on = running(question, plan)
    output = np.where(on, plan.generation, 0.0)
    names, here = list(net.generator_names), output[t]
    most = np.maximum(net.p_min, net.p_max * day.unit_available[t])
    low, high = np.where(on[t], net.p_min, 0.0), np.where(on[t], most, 0.0)
    yield from _beyond("active power", "kW", names, here.real, low, high, s)
    low, high = np.where(on[t], net.q_min, 0.0), np.where(on[t], net.q_max, 0.0)
    yield from _beyond("reactive power", "kvar", names, here.imag, low, high, s)
    size = question.supply.generator_s_max
    yield from _beyond("apparent power", "kVA", names, np.abs(here), -size, size, s)
    before = output[t - 1].real if t else np.where(day.units.on_before, day.units.p_before, np.nan)
    rate = (here.real - before) / day.units.between(day.hours)[t]
    free = starts(question, plan)[t] | ~on[t] | np.isnan(before)
    up, down = np.where(free, np.inf, day.units.ramp_up), np.where(free, np.inf, day.units.ramp_down)
    yield from _beyond("ramp", "kW/h", names, np.where(free, 0.0, rate), -down, up, s)


def _of_stores(shown: Shown, flow: DayFlow, t: int, there: Bools, held: Floats) -> Broken:
    day, plan, s = shown.question.day, flow.plan, shown.base_kw
    some, names = day.stores, list(day.stores.names)
    low = np.where(some.last == t + 1, np.maximum(some.energy_min, some.energy_end), some.energy_min)
    yield from _beyond("energy in store", "kWh", names, np.where(there, held, low), low, some.energy_max, s)
    most = np.where(there, some.charge_max, 0.0), np.where(there, some.discharge_max, 0.0)
    for power, highest in zip((plan.charge[t], plan.discharge[t]), most, strict=True):
        yield from _beyond("active power", "kW", names, power, np.zeros(some.count), highest, s)
    both = np.minimum(plan.charge[t], plan.discharge[t])
    yield from _beyond("active power", "kW", names, both, np.zeros(some.count), np.zeros(some.count), s)
    size = np.hypot(plan.discharge[t] - plan.charge[t], plan.store_q[t])
    size = np.where(some.s_max > 0.0, size, np.abs(plan.store_q[t]))
    yield from _beyond("apparent power", "kVA", names, size, -some.s_max, some.s_max, s)


def _beyond(kind: str, unit: str, names: list[str], value: Floats, low: Floats, high: Floats, base: float) -> Broken:
    """What lies outside its limits; a limit is relative to itself, or to a small share of the base."""
    for limit, sign in ((high, 1.0), (low, -1.0)):
        slack = power_slack(limit)
        for k in np.flatnonzero(sign * (value - limit) > slack):
            yield kind, names[k], value[k] * base, limit[k] * base, unit
