"""A day as it comes, period by period: the exact AC power flow of a plan in a realisation, and what it costs.

What is decided stands on the side of the demand of a bus: a store that charges draws, a renewable source feeds in, load
that is shed or moved is taken away where it was. Reactive power of load that is shed or moved in time follows the power
factor of the bus.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.network.day import (
    DayArrays,
    DayPlan,
    HourRecourse,
    available_power,
    load_factors,
    scaled,
    tangent,
)
from openpoint.network.devices import with_positions
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.check import AcCheck, check_flows
from openpoint.powerflow.meshed import solve_meshed
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator, recourse_parts, running, schedule_parts
from openpoint.studies.dispatch.day.model.question import DayQuestion

PARTS = {
    "purchase": "energy that the sources deliver, at their prices",
    "reactive purchase": "reactive energy that the sources deliver, at its price",
    "export": "energy that flows back into the sources, at the export price (negative: it earns)",
    "losses": "price of losses beside the energy that they take",
    "generators": "energy and running of the dispatchable generators",
    "starts": "starts of generators",
    "stores": "wear of stores and vehicles, by the energy discharged",
    "curtailment": "energy of renewable sources that is not taken",
    "moved load": "load moved to other buses or periods",
    "shedding": "load that is shed",
    "switching": "switch operations",
    "moves": "taps, capacitor steps and voltages of sources that are set anew",
}
"""What the cost of a day is made of."""


@dataclass(frozen=True)
class DayFlow:
    """A day of T periods in one realisation, per unit; nan where a period has no power flow.

    Attributes:
        plan, realisation, recourse: what was decided, and what came.
        v: (T, N). i: (T, E) rated current. s_fr, s_to: (T, E) power into every branch at its ends. losses: (T, E).
        source_s: (T, S).
        load: (T, N) demand, with what is moved, before anything is shed. shed: (T, N).
        fixed: (T, N) what generators of fixed output and other shunts feed in.
        checks: (T) the independent checks; None where there is no flow.
        parts: (T) costs of each part of `PARTS`, in $.
    """

    plan: DayPlan
    realisation: Floats
    recourse: HourRecourse
    v: Complexes
    i: Floats
    s_fr: Complexes
    s_to: Complexes
    losses: Floats
    source_s: Complexes
    load: Complexes
    shed: Complexes
    fixed: Complexes
    checks: tuple[AcCheck | None, ...]
    parts: dict[str, Floats]

    @property
    def is_complete(self) -> bool:
        """Whether every period has a power flow."""
        return all(check is not None for check in self.checks)

    @property
    def costs(self) -> Floats:
        """(T) in $."""
        return np.asarray(sum(self.parts.values()))

    def balance(self, question: DayQuestion) -> Floats:
        """(T) what comes in less what goes out, active power: 0 but for rounding."""
        plan = self.plan
        fed = self.source_s.real.sum(axis=1) + self.fixed.real.sum(axis=1) + self.recourse.renewable.real.sum(axis=1)
        fed += (running(question, plan) * plan.generation.real).sum(axis=1) + (plan.discharge - plan.charge).sum(axis=1)
        return np.asarray(fed - (self.load - self.shed).real.sum(axis=1) - self.losses.sum(axis=1))


def day_flow(question: DayQuestion, plan: DayPlan, realisation: Floats, recourse: HourRecourse) -> DayFlow:
    """The exact power flow of every period.

    Args:
        question: of the day. plan: what was decided before; loops that it leaves closed are solved as they are.
        realisation: (T, U). recourse: of the T periods, K = T.
    """
    return day_flows(question, plan, [(realisation, recourse)])[0]


def day_flows(question: DayQuestion, plan: DayPlan, days: Sequence[tuple[Floats, HourRecourse]]) -> list[DayFlow]:
    """`day_flow` of one plan on K days, each a realisation and its recourse."""
    day, net, K = question.day, question.network, len(days)
    T, N, S, E = day.periods, net.n_terminals, len(net.source_terminal), net.n_conductors
    v, i = np.full((K, T, N), np.nan + 0j), np.full((K, T, E), np.nan)
    losses, source_s = np.full((K, T, E), np.nan), np.full((K, T, S), np.nan + 0j)
    ends = np.full((2, K, T, E), np.nan + 0j)
    load, fixed = np.full((K, T, N), np.nan + 0j), np.full((K, T, N), np.nan + 0j)
    checks: list[list[AcCheck | None]] = [[None] * T for _ in range(K)]
    on, evaluator = running(question, plan), DayEvaluator(question)
    for t in range(T):
        realised, here = np.array([each[t] for each, _ in days]), HourRecourse.of(each.at([t]) for _, each in days)
        base, drawn = evaluator.demands(plan, t, realised, here)
        output = np.where(on[t], plan.generation[t], 0.0)
        held, i_held, (v_held, s_fr, s_to, s_source) = _solved(base, plan.closed[t], drawn, output)
        own: dict[str, Any] = {kind: values[held] for kind, values in drawn.items()}
        own["generation"] = np.broadcast_to(output, (len(held), len(output)))
        checked = check_flows(base, plan.closed[t], v_held, **own, tolerance=LIMIT_TOLERANCE)
        size = np.abs(v_held)
        v[held, t], i[held, t], source_s[held, t] = v_held, i_held, s_source
        ends[:, held, t], losses[held, t] = (s_fr, s_to), (s_fr + s_to).real
        fixed[held, t] = -(base.s_power + base.s_current * size + base.s_impedance * size**2)
        asked = day.load_power[t] + day.load_current[t] * size + day.load_impedance[t] * size**2
        in_time = plan.shift[t] * (1.0 + 1j * tangent(day, t))
        load[held, t] = scaled(asked, load_factors(day, realised[held])) + in_time + here.shift[held]
        for k, check in zip(held.tolist(), checked, strict=True):
            checks[k][t] = check
    flows = list[DayFlow]()
    for k, (realisation, recourse) in enumerate(days):
        states = v[k], i[k], ends[0, k], ends[1, k], losses[k], source_s[k], load[k], recourse.shed, fixed[k]
        flow = DayFlow(plan, realisation, recourse, *states, tuple(checks[k]), parts={})
        flows.append(replace(flow, parts=_parts(question, flow)))
    return flows


def _solved(
    base: Network, closed: Bools, drawn: dict[str, Any], output: Complexes
) -> tuple[Ints, Floats, tuple[Complexes, ...]]:
    """Which of K days have a flow in a period, and of these rated currents, voltages, powers into the branches at
    their ends and of the sources. Loops that are closed are solved by Newton's method, day by day.

    Args:
        base: network of the period. closed: (E). drawn: by kind (K, N) demands. output: (G) of the generators.
    """
    found = solve(base, closed, **drawn, generation=output)
    if found.status[0] != FlowStatus.NOT_RADIAL:
        held = np.flatnonzero(found.converged & found.energised.all(axis=1))
        parts = found.v, found.s_fr, found.s_to, found.source_s
        return held, found.i_rated[held], tuple(part[held] for part in parts)
    days = [dict(zip(drawn, each, strict=True)) for each in zip(*drawn.values(), strict=True)]
    states = [solve_meshed(replace(base, **own), closed, output) for own in days]
    some = [(k, state) for k, state in enumerate(states) if state is not None]
    rows = [(state.v[0], state.s_fr[0], state.s_to[0], state.source_s[0]) for _, state in some]
    sizes = base.n_terminals, *(2 * [base.n_conductors]), len(base.source_terminal)
    empty = tuple(np.empty((0, size), dtype=np.complex128) for size in sizes)
    rated = np.array([state.i_rated[0] for _, state in some]).reshape(-1, base.n_conductors)
    return np.array([k for k, _ in some], dtype=np.int64), rated, tuple(map(np.array, zip(*rows))) if rows else empty


def contents(day: DayArrays, plan: DayPlan) -> Floats:
    """(T + 1, B) what stores hold, before the first and after every period; nan while a vehicle is not there."""
    stores, T = day.stores, day.periods
    held = np.full((T + 1, stores.count), np.nan)
    gain = stores.charge_efficiency * plan.charge - plan.discharge / stores.discharge_efficiency
    for b in range(stores.count):
        first, last = int(stores.first[b]), int(stores.last[b])
        change = np.cumsum(day.hours[first:last] * gain[first:last, b])
        held[first : last + 1, b] = stores.energy_start[b] + np.concatenate([[0.0], change])
    return held


def _parts(question: DayQuestion, flow: DayFlow) -> dict[str, Floats]:
    """(T) costs by the names of `PARTS`."""
    lost = (question.cost.loss * flow.losses + _priced_by_branch(question, flow)).sum(axis=1)
    available = available_all(question.day, flow.realisation)
    found = schedule_parts(question, flow.plan)
    found |= recourse_parts(question, slice(None), flow.source_s, lost, available, flow.recourse)
    found["moved load"] = found["load moved in time"] + found["load moved"]
    return {part: np.asarray(found[part] + 0.0) for part in PARTS}


def _priced_by_branch(question: DayQuestion, flow: DayFlow) -> Floats:
    """(T, E) price per hour of what each branch loses in its series resistance, where branches have prices."""
    net, price, plan = question.network, question.cost.current, flow.plan
    found = np.zeros(flow.losses.shape)
    for t in range(len(found)) if price.any() else ():
        tap, some = with_positions(net, question.devices, plan.positions[t]).tap, plan.closed[t] & (price > 0.0)
        drop = flow.v[t, net.terminal_fr] / tap - flow.v[t, net.terminal_to]
        found[t, some] = price[some] * (np.abs(drop[some]) / np.abs(net.z.diagonal()[some])) ** 2
    return found


def available_all(day: DayArrays, realisation: Floats) -> Floats:
    """(T, R) active power available to the renewable sources."""
    return np.array([available_power(day, t, realisation[t]) for t in range(day.periods)]).reshape(day.periods, -1)


def forecast_of(day: DayArrays) -> Floats:
    """(T, U) the realisation that is as forecast."""
    return np.ones((day.periods, day.uncertain.count))


def untouched(day: DayArrays, realisation: Floats) -> HourRecourse:
    """The recourse that takes all renewable power, sheds and moves nothing."""
    N = day.load_power.shape[1]
    none = np.zeros((day.periods, N), dtype=np.complex128)
    return HourRecourse(available_all(day, realisation).astype(np.complex128), none, none.copy())


def as_today(question: DayQuestion) -> DayPlan:
    """The plan that schedules nothing: today's topology, positions and outputs of generators; batteries rest.

    A store that must hold more at its end than at its start, a vehicle above all, charges with full power from its
    start until it does.
    """
    day, net = question.day, question.network
    T = day.periods
    none = np.zeros((T, day.stores.count))
    positions: Ints = np.tile(question.devices.today, (T, 1))
    plan = DayPlan(
        closed=np.tile(net.closed, (T, 1)),
        positions=positions,
        generation=np.tile(net.generator_s, (T, 1)),
        charge=_at_once(day),
        discharge=none,
        store_q=none,
        shift=np.zeros((T, net.n_terminals)),
    )
    return replace(plan, generation=np.where(running(question, plan), plan.generation, 0.0))


def _at_once(day: DayArrays) -> Floats:
    """(T, B) charging with full power until a store holds what it must at its end."""
    stores = day.stores
    charge = np.zeros((day.periods, stores.count))
    for b in range(stores.count):
        missing = max(0.0, float(stores.energy_end[b] - stores.energy_start[b])) / float(stores.charge_efficiency[b])
        for t in range(int(stores.first[b]), int(stores.last[b])):
            charge[t, b] = min(float(stores.charge_max[b]), missing / float(day.hours[t]))
            missing -= charge[t, b] * float(day.hours[t])
            if missing <= math.ulp(1.0):
                break
    return charge
