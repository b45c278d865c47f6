"""Tables of a day by period, under the grid's own names and units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.network.day import tangent
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import loadings, power_slack
from openpoint.results import ac_tables as states
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.studies.dispatch.day import schema
from openpoint.studies.dispatch.day.flow import (
    PARTS,
    DayFlow,
    available_all,
    contents,
    day_flows,
)
from openpoint.studies.dispatch.day.model.evaluation import operations, running, starts
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion
from openpoint.studies.dispatch.day.schema import FUTURES, VIOLATIONS
from openpoint.studies.dispatch.tables import KINDS, shown_positions


@dataclass(frozen=True)
class Shown:
    """The figures of a day that are shown.

    Attributes:
        grid: as given. question: of the day.
        flows: by case; None where a plan has no operation in it. The plan of `today` is its own.
    """

    grid: Grid
    question: DayQuestion
    flows: Mapping[str, DayFlow | None]

    @property
    def known(self) -> list[tuple[str, DayFlow]]:
        """The cases that there are, in order."""
        return [(case, flow) for case in schema.CASES if (flow := self.flows.get(case)) is not None]

    @property
    def answer(self) -> DayFlow | None:
        """The operation of the answer as forecast; its plan is that of the answer."""
        return self.flows.get("forecast")

    @property
    def base_kw(self) -> float:
        return self.question.network.s_base_kva

    def rows(self, table: c.Table, rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
        """A table of rows, nan read as missing."""
        found = c.frame(table, rows)
        return found.with_columns(pl.selectors.float().fill_nan(None))


def periods(shown: Shown) -> pl.DataFrame:
    """A row for every period in every case."""
    rows = [period_row(shown, case, t) for t in range(shown.question.day.periods) for case, _ in shown.known]
    return shown.rows(schema.PERIODS, rows)


def period_row(shown: Shown, case: str, t: int) -> tuple[object, ...]:
    """A row of the table of periods; the case is one that there is."""
    flow = shown.flows[case]
    assert flow is not None
    question, s = shown.question, shown.base_kw
    day, net, plan = question.day, question.network, flow.plan
    kind, net_out = np.array(day.renewables.kind, dtype=str), (plan.discharge - plan.charge)[t]
    fed = flow.recourse.renewable[t].real
    units = np.where(running(question, plan)[t], plan.generation[t].real, 0.0).sum() + flow.fixed[t].real.sum()
    bought, size = flow.source_s[t].sum(), np.abs(flow.v[t])
    ends = (
        [math.nan, None, math.nan, None]
        if flow.checks[t] is None
        else [each for n in (int(np.argmin(size)), int(np.argmax(size))) for each in (float(size[n]), bus_of(shown, n))]
    )
    loading = loadings(net, flow.i[t])
    return (
        day.names[t],
        case,
        day.passed + float(day.hours[:t].sum()),
        day.starts_at[t] if day.starts_at else None,
        float(day.hours[t]),
        float(day.source_price[t].mean()),
        flow.load[t].real.sum() * s,
        bought.real * s,
        bought.imag * s,
        units * s,
        fed[kind == "solar"].sum() * s,
        fed[kind == "wind"].sum() * s,
        (available_all(day, flow.realisation)[t] - fed).sum() * s,
        net_out[~day.stores.vehicle].sum() * s,
        net_out[day.stores.vehicle].sum() * s,
        flow.shed[t].real.sum() * s,
        plan.shift[t].sum() * s,
        np.maximum(-flow.recourse.shift[t].real, 0.0).sum() * s,
        flow.losses[t].sum() * s,
        flow.balance(question)[t] * s,
        *ends,
        float(size.mean()),
        float(np.nanmax(loading)) if np.isfinite(loading).any() else math.nan,
        join_names(states.open_names(net, plan.closed[t])),
        flow.costs[t],
    )


def bus_of(shown: Shown, n: int) -> str:
    """The name of a terminal's bus."""
    net = shown.question.network
    name: str = net.bus_names[net.terminal_bus[n]]
    return name


def costs(shown: Shown) -> pl.DataFrame:
    """A row for every part of the cost that is not nothing in all cases, and the total."""
    totals = {case: {part: float(flow.parts[part].sum()) for part in PARTS} for case, flow in shown.known}
    used = [
        part for part in PARTS if any(abs(total[part]) > 0.0 or math.isnan(total[part]) for total in totals.values())
    ]
    blank = dict.fromkeys(PARTS, math.nan)
    of = [totals.get(case, blank) for case in schema.CASES]
    rows = [(part, *(total[part] for total in of), PARTS[part]) for part in used]
    total = ("total", *(sum(total.values()) for total in of), "the cost of the day")
    return shown.rows(schema.COSTS, [*rows, total])


def sources(shown: Shown) -> pl.DataFrame:
    """A row for every source in every period and case."""
    day, table, s = shown.question.day, shown.grid.sources, shown.base_kw
    rows = [
        (day.names[t], case, name, bus, flow.source_s[t, k].real * s, flow.source_s[t, k].imag * s,
         day.source_price[t, k], day.export_price[t, k])
        for t in range(day.periods)
        for case, flow in shown.known
        for k, (name, bus) in enumerate(table.select("name", "bus").iter_rows())
    ]  # fmt: skip
    return shown.rows(schema.SOURCES, rows)


def generators(shown: Shown) -> pl.DataFrame:
    """A row for every dispatchable generator in every period of the answer."""
    question, flow, s = shown.question, shown.answer, shown.base_kw
    if flow is None:
        return c.empty(schema.GENERATORS)
    net, day, cost = question.network, question.day, question.cost
    on, begun = running(question, flow.plan), starts(question, flow.plan)
    output = np.where(on, flow.plan.generation, 0.0)
    most = np.maximum(net.p_min, net.p_max * day.unit_available)
    price = cost.generator * output.real + cost.square * output.real**2 + cost.idle * on
    paid = (day.hours[:, None] * price + day.units.start * begun) * s
    rows = [
        (day.names[t], name, bus_of(shown, net.generator_terminal[g]), bool(on[t, g]), bool(begun[t, g]),
         output[t, g].real * s, output[t, g].imag * s, finite(most[t, g] * s), paid[t, g])
        for t in range(day.periods)
        for g, name in enumerate(net.generator_names)
    ]  # fmt: skip
    return shown.rows(schema.GENERATORS, rows)


def stores(shown: Shown) -> pl.DataFrame:
    """A row for every store in every period of the answer."""
    question, flow, s = shown.question, shown.answer, shown.base_kw
    if flow is None:
        return c.empty(schema.STORES)
    day, plan, held = question.day, flow.plan, contents(question.day, flow.plan)
    some, there = day.stores, day.stores.present(day.periods)
    rows = [
        (day.names[t], name, "vehicle" if some.vehicle[b] else "battery", bus_of(shown, some.terminal[b]),
         bool(there[t, b]), plan.charge[t, b] * s, plan.discharge[t, b] * s, plan.store_q[t, b] * s,
         *((held[t, b] * s, held[t + 1, b] * s) if there[t, b] else (None, None)),
         some.energy_min[b] * s, some.energy_max[b] * s)
        for t in range(day.periods)
        for b, name in enumerate(some.names)
    ]  # fmt: skip
    return shown.rows(schema.STORES, rows)


def renewables(shown: Shown) -> pl.DataFrame:
    """A row for every renewable source in every period and case."""
    day, s = shown.question.day, shown.base_kw
    some, rows = day.renewables, list[tuple[object, ...]]()
    for t in range(day.periods):
        for case, flow in shown.known:
            there, fed = available_all(day, flow.realisation)[t], flow.recourse.renewable[t]
            rows += [
                (day.names[t], case, name, some.kind[r], bus_of(shown, some.terminal[r]), there[r] * s,
                 fed[r].real * s, (there[r] - fed[r].real) * s, fed[r].imag * s)
                for r, name in enumerate(some.names)
            ]  # fmt: skip
    return shown.rows(schema.RENEWABLES, rows)


def demand(shown: Shown) -> pl.DataFrame:
    """A row for every bus with load in every period and case: what comes, is moved, is shed, and is served."""
    day, s = shown.question.day, shown.base_kw
    forecast = day.load_power + day.load_current + day.load_impedance
    some = np.flatnonzero((forecast != 0.0).any(axis=0))
    angle = 1.0 + 1j * np.array([tangent(day, t) for t in range(day.periods)])

    def parts(flow: DayFlow) -> tuple[Complexes, ...]:
        shifted, moved = flow.plan.shift * angle, flow.recourse.shift
        return forecast, flow.load - shifted - moved, shifted, moved, flow.shed, flow.load - flow.shed

    def columns(flow: DayFlow) -> dict[str, Floats]:
        found = [(name, values[:, some] * s) for name, values in zip(_OF_LOAD, parts(flow), strict=True)]
        return {f"{name}_kw": values.real for name, values in found} | {
            f"{name}_kvar": values.imag for name, values in found
        }

    return _by_period(shown, schema.DEMAND, "bus", [bus_of(shown, int(n)) for n in some], columns)


_OF_LOAD = ("forecast", "realised", "shifted", "moved", "shed", "served")


def flows(shown: Shown) -> pl.DataFrame:
    """A row for every branch in every period and case: what flows into it, its current and its loss."""
    net, s = shown.question.network, shown.base_kw

    def columns(flow: DayFlow) -> dict[str, Any]:
        return {
            "closed": flow.plan.closed,
            "p_from_kw": flow.s_fr.real * s,
            "q_from_kvar": flow.s_fr.imag * s,
            "i_a": flow.i * net.i_base_a,
            "loading_percent": loadings(net, flow.i),
            "loss_kw": flow.losses * s,
        }

    names = shown.grid.branches()[net.conductor_branch]["name"].to_list()
    return _by_period(shown, schema.FLOWS, "name", names, columns)


def _by_period(
    shown: Shown, table: c.Table, key: str, names: list[str], columns: Callable[[DayFlow], Mapping[str, Any]]
) -> pl.DataFrame:
    """A table of (T, K) figures of each case: a row for every period, case and name."""
    cases, T = [case for case, _ in shown.known], shown.question.day.periods
    found = [columns(flow) for _, flow in shown.known]
    stacked = {name: np.stack([each[name] for each in found], axis=1).ravel() for name in (found[0] if found else ())}
    labels = {
        "period": np.repeat(np.array(shown.question.day.names, dtype=object), len(cases) * len(names)),
        "case": np.tile(np.repeat(np.array(cases, dtype=object), len(names)), T),
        key: names * (T * len(cases)),
    }
    return c.filled(table, {**labels, **stacked})


def switches(shown: Shown) -> pl.DataFrame:
    """What to close and to open at the start of each period of the answer, first what is closed."""
    flow = shown.answer
    if flow is None:
        return c.empty(schema.SWITCHES)
    closed, moved = flow.plan.closed, operations(shown.question, flow.plan.closed)
    ends = shown.grid.branches().select("kind", "name", "from_bus", "to_bus").rows()
    branch = shown.question.network.conductor_branch
    rows = [
        (shown.question.day.names[t], *ends[branch[e]], action)
        for t in range(len(closed))
        for action, state in (("close", True), ("open", False))
        for e in np.flatnonzero(moved[t] & (closed[t] == state))
    ]
    return shown.rows(schema.SWITCHES, rows)


def devices(shown: Shown) -> pl.DataFrame:
    """A row for every device in every period of the answer."""
    flow, some = shown.answer, shown.question.devices
    if flow is None:
        return c.empty(schema.DEVICES)
    rows = [
        (shown.question.day.names[t], KINDS[DeviceKind(some.kind[d])][0], name, float(shown_positions(some, d)[at[d]]))
        for t, at in enumerate(flow.plan.positions)
        for d, name in enumerate(some.names)
    ]
    return shown.rows(schema.DEVICES, rows)


def uncertainty(shown: Shown) -> pl.DataFrame:
    """A row for every uncertain quantity in every period in which it may deviate."""
    some, flow = shown.question.day.uncertain, shown.flows.get("worst")
    rows = [
        (name, some.names[u], some.group[u], 1.0 - some.down[t, u], 1.0 + some.up[t, u], came, came not in (1.0, None))
        for t, name in enumerate(shown.question.day.names)
        for u in range(some.count)
        if some.down[t, u] > 0.0 or some.up[t, u] > 0.0
        for came in [None if flow is None else float(flow.realisation[t, u])]
    ]
    return shown.rows(schema.UNCERTAINTY, rows)


def voltages(shown: Shown) -> pl.DataFrame:
    """A row for every bus in every period."""
    net, day = shown.question.network, shown.question.day
    limits = states.bus_limits(net)
    names = [net.bus_names[bus] for bus in net.terminal_bus]
    columns: dict[str, object] = {
        "period": np.repeat(np.array(day.names, dtype=object), net.n_terminals),
        "bus": names * day.periods,
        **{key: np.tile(values, day.periods) for key, values in limits.items()},
        **{
            f"v_{case}_pu": _by_case(shown, case, len(names) * day.periods, lambda flow: np.abs(flow.v).ravel())
            for case in schema.CASES
        },
    }
    return c.filled(schema.VOLTAGES, columns)


def branches(shown: Shown) -> pl.DataFrame:
    """A row for every branch: when it is closed, its highest current of the day and what it loses."""
    net, day, s = shown.question.network, shown.question.day, shown.base_kw
    table, flow = shown.grid.branches()[net.conductor_branch], shown.answer
    E = net.n_conductors
    closed = np.full(E, np.nan) if flow is None else day.hours @ flow.plan.closed
    moved = np.zeros((1, E)) if flow is None else operations(shown.question, flow.plan.closed)
    columns: dict[str, object] = {
        **{name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable")},
        "closed_today": net.closed,
        "closed_hours": closed,
        "operations": moved.sum(axis=0).astype(np.int64),
        **states.limits_of_current(net),
    }
    for case in schema.CASES:
        columns[f"i_{case}_a"] = _by_case(shown, case, E, lambda flow: flow.i.max(axis=0) * net.i_base_a)
    for case in schema.CASES:
        columns[f"loss_{case}_kwh"] = _by_case(shown, case, E, lambda flow: day.hours @ flow.losses * s)
    return c.filled(schema.BRANCHES, columns)


def _by_case(shown: Shown, case: str, size: int, of: Callable[[DayFlow], Floats]) -> Floats:
    """Figures of a case; nan where there is none."""
    flow = shown.flows.get(case)
    return np.full(size, np.nan) if flow is None else of(flow)


def total_kwh(shown: Shown, values: Floats) -> float:
    """Energy of powers (T) per unit, kWh."""
    return float(shown.question.day.hours @ values) * shown.base_kw


# The limits that a day breaks, by period: of voltages and currents, sources, generators, stores and ramps.


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
    if (most := shown.question.day.flow_max) is not None:
        names = [net.branch_names[k] for k in net.conductor_branch]
        for power in (flow.s_fr[t], flow.s_to[t]):
            yield from _beyond("branch active power", "kW", names, power.real, -most[0], most[0], shown.base_kw)
            yield from _beyond("branch reactive power", "kvar", names, power.imag, -most[1], most[1], shown.base_kw)
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


# What the answer costs in each future of a day, by exact AC power flow.


def future_flows(question: DayQuestion, outcome: DayOutcome) -> list[DayFlow]:
    """The flows of the plan in every future, apart from the method that found it."""
    found = dict[int, DayFlow]()
    plans = [id(each.plan) for each in outcome.scenarios]  # with a late recourse every future has its own
    for first in dict.fromkeys(plans):
        some = [k for k, plan in enumerate(plans) if plan == first]
        days = [(outcome.scenarios[k].realisation, outcome.scenarios[k].recourse) for k in some]
        found |= zip(some, day_flows(question, outcome.scenarios[some[0]].plan, days), strict=True)
    return [found[k] for k in range(len(plans))]


def futures(shown: Shown, flows: Sequence[DayFlow]) -> pl.DataFrame:
    """A row for every future."""
    days = shown.question.scenarios
    if days is None or not flows:
        return c.empty(FUTURES)
    costs = np.array([float(flow.costs.sum()) for flow in flows])
    weights = days.weights.worst(costs)[1] if np.isfinite(costs).all() else np.full(len(flows), np.nan)
    known = days.probabilities if days.probabilities is not None else np.full(len(flows), np.nan)
    rows = [
        (name, finite(float(p)), finite(float(w)), finite(float(cost)), *_figures(shown, flow))
        for name, p, w, cost, flow in zip(days.names, known, weights, costs, flows, strict=True)
    ]
    return shown.rows(FUTURES, rows)


def _figures(shown: Shown, flow: DayFlow) -> tuple[object, ...]:
    left = available_all(shown.question.day, flow.realisation) - flow.recourse.renewable.real
    size = np.abs(flow.v)
    return (
        total_kwh(shown, np.maximum(flow.source_s.real, 0.0).sum(axis=1)),
        total_kwh(shown, flow.losses.sum(axis=1)),
        total_kwh(shown, np.maximum(left, 0.0).sum(axis=1)),
        total_kwh(shown, np.maximum(flow.recourse.shed.real, 0.0).sum(axis=1)),
        float(size.min()),
        float(size.max()),
        len(broken_limits(shown, "worst", flow)),
    )
