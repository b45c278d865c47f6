"""The cost of a plan of a day: its schedule, and its periods by exact AC power flow, many realisations at once.

The cost of a period is that of the schedule (generators, starts, wear, demand moved in time, switch operations) and
that of the recourse (energy of the sources, losses, curtailment, shedding, demand moved between buses), which depends
on the realisation. The recourse of `formulations.hour` is a lower bound of the latter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.hour import FLOW_LIMITS
from openpoint.network import Network
from openpoint.network.day import (
    DayPlan,
    HourRecourse,
    available_power,
    load_factors,
    nominal_load,
    scaled,
    shed_price,
    tangent,
)
from openpoint.network.devices import DeviceKind, Devices, with_positions
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.powerflow.balanced import Flows, solve
from openpoint.powerflow.operating_point import over_limit, relative_excess
from openpoint.powerflow.state import excesses
from openpoint.studies.dispatch.day.model.question import DayQuestion

LIMITS = (
    "voltage low",
    "voltage high",
    "current",
    "source active power",
    "source reactive power",
    "source power",
    *FLOW_LIMITS,
)
"""Kinds of limits, by the names that `formulations` gives them."""


@dataclass(frozen=True)
class HourEvaluation:
    """K operations of a period by exact AC power flow.

    Attributes:
        costs, violations: (K) see `DayEvaluator.evaluate`. excess: (K, 8) see `DayEvaluator.limit_excess`.
    """

    costs: Floats
    violations: Floats
    excess: Floats


@dataclass(frozen=True)
class DayEvaluator:
    """Exact cost and violation of the plans of a question."""

    question: DayQuestion

    def schedule_costs(self, plan: DayPlan) -> Floats:
        """(T) cost in $ of what is scheduled, whatever is realised; starts and switch operations in their period."""
        return np.asarray(sum(schedule_parts(self.question, plan).values()))

    def on(self, plan: DayPlan) -> Bools:
        """(T, G) whether a generator is on; one that is no device always is."""
        return running(self.question, plan)

    def flows(self, plan: DayPlan, t: int, realisations: Floats, recourse: HourRecourse) -> Flows:
        """(K) exact power flows of period t in realisations (K, U) of that period, with what is done in each."""
        net, demands = self.demands(plan, t, realisations, recourse)
        return solve(net, plan.closed[t], **demands, generation=plan.generation[t])

    def demands(
        self, plan: DayPlan, t: int, realisations: Floats, recourse: HourRecourse
    ) -> tuple[Network, dict[str, Any]]:
        """The network of period t, and by kind (K, N) what is drawn with all that is decided but the outputs of
        dispatchable generators; a kind that the day does not change is left out."""
        day, net, factor = self.question.day, self._at(plan.positions[t]), load_factors(self.question.day, realisations)
        power = net.s_power + scaled(day.load_power[t], factor) + self.drawn(plan, t, recourse)
        others = {"s_current": day.load_current[t], "s_impedance": day.load_impedance[t]}
        more = {kind: getattr(net, kind) + scaled(load, factor) for kind, load in others.items() if load.any()}
        return net, {"s_power": power, **more}

    def drawn(self, plan: DayPlan, t: int, recourse: HourRecourse) -> Complexes:
        """(K, N) constant power that schedule and recourse draw beside the loads, generators apart."""
        day = self.question.day
        stores = plan.charge[t] - plan.discharge[t] - 1j * plan.store_q[t]
        angle = 1.0 + 1j * tangent(day, t)
        scheduled = angle * plan.shift[t]
        np.add.at(scheduled, day.stores.terminal, stores)
        drawn = scheduled - recourse.shed + recourse.shift
        np.subtract.at(drawn.T, day.renewables.terminal, recourse.renewable.T)
        return np.asarray(drawn)

    def evaluate(self, plan: DayPlan, t: int, realisations: Floats, recourse: HourRecourse) -> tuple[Floats, Floats]:
        """(K) costs in $ of the recourse and (K) violations, in K realisations (K, U) of period t.

        The violation is the sum of the excesses relative to the limits of voltages, currents and sources, and of what
        the recourse does beyond its own limits, per unit. Both are inf where no flow exists or a bus has no source.
        """
        found = self.evaluation(plan, t, realisations, recourse)
        return found.costs, found.violations + recourse_excess(self.question, plan, t, realisations, recourse)

    def evaluation(self, plan: DayPlan, t: int, realisations: Floats, recourse: HourRecourse) -> HourEvaluation:
        """The same of recourses that keep their own limits, with the excesses by kind."""
        flows = self.flows(plan, t, realisations, recourse)
        lost = ~(flows.converged & flows.energised.all(axis=1))
        violation = excesses(self.question.network, flows) + self._source_excess(flows.source_s)
        violation = violation + sum(over_limit(*each).sum(axis=(1, 2)) for each in self._flow_powers(flows))
        cost = self._cost(t, flows, realisations, recourse)
        excess = np.where(lost[:, None], np.inf, self.limit_excess(flows))
        return HourEvaluation(np.where(lost, np.inf, cost), np.where(lost, np.inf, violation), excess)

    def limit_excess(self, flows: Flows) -> Floats:
        """(K, 8) largest excess of each kind of limit (`LIMITS`), relative; negative where all of a kind are kept."""
        net, supply, p, q = self.question.network, self.question.supply, flows.source_s.real, flows.source_s.imag
        inner = net.inner
        w, l = np.abs(flows.v[:, inner]) ** 2, flows.i_rated**2
        some = net.w_min[inner] > 0.0
        by_kind = (
            1.0 - w[:, some] / net.w_min[inner][some],
            w / net.w_max[inner] - 1.0,
            l / net.l_max - 1.0,
            np.maximum(relative_excess(p, supply.p_max), relative_excess(-p, -supply.p_min)),
            np.maximum(relative_excess(q, supply.q_max), relative_excess(-q, -supply.q_min)),
            relative_excess(np.abs(flows.source_s), supply.s_max),
            *(relative_excess(*each).reshape(len(p), -1) for each in self._flow_powers(flows)),
        )
        return np.column_stack([kind.max(axis=1, initial=-1.0) for kind in by_kind])

    def _flow_powers(self, flows: Flows) -> list[tuple[Floats, Floats]]:
        """Active and reactive power of the branches with limits, (K, ends, branches), and what they may be."""
        most, ends = self.question.day.flow_max, np.stack([flows.s_fr, flows.s_to], axis=1)
        if most is None:
            return [(np.empty((len(ends), 2, 0)), np.empty(0))] * 2
        powers = (np.abs(ends.real), most[0]), (np.abs(ends.imag), most[1])
        return [(power[:, :, np.isfinite(limit)], limit[np.isfinite(limit)]) for power, limit in powers]

    def _cost(self, t: int, flows: Flows, realisations: Floats, recourse: HourRecourse) -> Floats:
        """(K) cost of the recourse in $."""
        q = self.question
        lost = q.cost.loss * flows.loss
        if q.cost.current.any():
            lost = lost + np.abs(flows.i_series) ** 2 @ q.cost.current
        available = available_power(q.day, t, realisations)
        return np.asarray(sum(recourse_parts(q, t, flows.source_s, lost, available, recourse).values()))

    def _source_excess(self, source_s: Complexes) -> Floats:
        """(K) sum of the relative excesses of the limits of sources."""
        supply, p, q = self.question.supply, source_s.real, source_s.imag
        over = over_limit(p, supply.p_max) + over_limit(-p, -supply.p_min) + over_limit(np.abs(source_s), supply.s_max)
        return np.asarray((over + over_limit(q, supply.q_max) + over_limit(-q, -supply.q_min)).sum(axis=1))

    def _at(self, positions: Ints) -> Network:
        """The network at (D) positions; kept, since the power flow keeps its arrays by network."""
        key = positions.tobytes()
        if key not in self._networks:
            self._networks[key] = with_positions(self.question.network, self.question.devices, positions)
        return self._networks[key]

    @cached_property
    def _networks(self) -> dict[bytes, Network]:
        return {}


def moves(devices: Devices, positions: Ints) -> Bools:
    """(T, D) whether a device, units apart, is in another position than in the period before, the first than today."""
    before = np.vstack([devices.today, positions[:-1]])
    return np.asarray((positions != before) & (devices.kind != DeviceKind.UNIT))


def running(question: DayQuestion, plan: DayPlan) -> Bools:
    """(T, G) whether a generator is on; one that is no device always is."""
    devices = question.devices
    on = np.ones(plan.generation.shape, dtype=np.bool_)
    for unit in devices.of(DeviceKind.UNIT):
        on[:, devices.place[unit]] = devices.values[unit][plan.positions[:, unit]] != 0.0
    return on


def starts(question: DayQuestion, plan: DayPlan) -> Bools:
    """(T, G) whether a generator is started."""
    on = running(question, plan)
    return np.asarray(on & ~np.vstack([question.day.units.on_before, on[:-1]]))


def operations(question: DayQuestion, closed: Bools) -> Bools:
    """(T, E) whether a switch is in another state than in the period before, the first against today's."""
    return np.asarray(closed != np.vstack([question.network.closed, closed[:-1]]))


def schedule_parts(question: DayQuestion, plan: DayPlan) -> dict[str, Floats]:
    """(T) costs in $ of what is scheduled, by part."""
    day, cost, base = question.day, question.cost, question.network.s_base_kva
    on, hours = running(question, plan), day.hours * base
    p = np.where(on, plan.generation.real, 0.0)
    return {
        "generators": hours * (p @ cost.generator + p**2 @ cost.square + on @ cost.idle),
        "starts": base * (starts(question, plan) @ day.units.start),
        "stores": hours * (plan.discharge @ day.stores.wear),
        "load moved in time": hours * (np.maximum(-plan.shift, 0.0) @ day.demand.shift_price),
        "switching": base * cost.change * operations(question, plan.closed).sum(axis=1),
        "moves": base * cost.move * moves(question.devices, plan.positions).sum(axis=1),
    }


def recourse_parts(
    question: DayQuestion,
    t: int | slice,
    source_s: Complexes,
    lost: Floats,
    available: Floats,
    recourse: HourRecourse,
) -> dict[str, Floats]:
    """(K) costs in $ of recourses of a period, or of T periods one of each, by part.

    Args:
        t: period, or all of them. source_s: (K, S) that the sources deliver. lost: (K) price of losses per hour.
        available: (K, R) to the renewable sources.
    """
    day, p = question.day, source_s.real
    hours = day.hours[t] * question.network.s_base_kva
    return {
        "purchase": hours * (day.source_price[t] * np.maximum(p, 0.0)).sum(axis=1),
        "reactive purchase": hours * day.price_reactive[t] * np.maximum(source_s.imag, 0.0).sum(axis=1),
        "export": hours * (day.export_price[t] * np.minimum(p, 0.0)).sum(axis=1),
        "losses": hours * lost,
        "curtailment": hours * ((available - recourse.renewable.real) @ day.renewables.curtailment),
        "load moved": hours * (np.maximum(-recourse.shift.real, 0.0) @ day.demand.shift_price),
        "shedding": hours * shed_price(day, recourse.shed).sum(axis=1),
    }


def recourse_excess(
    question: DayQuestion, plan: DayPlan, t: int, realisations: Floats, recourse: HourRecourse
) -> Floats:
    """(K) by how much recourses leave their own limits (`formulations.hour`), per unit; 0 within the tolerance."""
    day, demand = question.day, question.day.demand
    factor, available = load_factors(day, realisations), available_power(day, t, realisations)
    load, angle, sign = nominal_load(day, t), tangent(day, t), np.sign(nominal_load(day, t).imag)
    active, reactive = np.maximum(load.real, 0.0) * factor.real, np.abs(load.imag) * factor.imag
    p, q, s_max = recourse.renewable.real, recourse.renewable.imag, day.renewables.s_max
    moved, shed, shed_q = recourse.shift, recourse.shed.real, sign * recourse.shed.imag
    apart = demand.sheds_apart
    inverter = np.where(s_max > 0.0, np.abs(recourse.renewable) - s_max, np.abs(q))
    may_be_empty, reactive_too = ((part > 0.0) & (demand.shed_share > 0.0) for part in (active, reactive))
    reactive_too &= apart | (day.uncertain.load != day.uncertain.of_reactive)
    left = reactive + np.abs(angle) * plan.shift[t] + sign * moved.imag
    excess = [
        -p,
        p - available,
        inverter,
        -shed,
        shed - demand.shed_share * active,
        np.where(may_be_empty, shed - (active + plan.shift[t] + moved.real), 0.0),
        np.where(apart, -shed_q, np.abs(recourse.shed.imag - angle * shed)),
        np.where(apart, shed_q - demand.shed_share * reactive, 0.0),
        np.where(reactive_too, shed_q - left, 0.0),
        np.abs(moved.real) - demand.shift_buses * active,
        np.abs(moved.imag) - demand.shift_buses * reactive,
        np.abs(moved.real.sum(axis=1, keepdims=True)),
        np.abs(moved.imag.sum(axis=1, keepdims=True)),
    ]
    beyond = np.concatenate(excess, axis=1)
    return np.asarray(np.where(beyond > LIMIT_TOLERANCE, beyond, 0.0).sum(axis=1))
