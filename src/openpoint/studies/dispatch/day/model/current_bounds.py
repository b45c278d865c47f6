"""Bounds of the squared currents in periods in which energy lost may be worth something, see `flow_ranges`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.flow_ranges import (
    CurrentBounds,
    DrawnRanges,
    FlowBox,
    FlowRanges,
    current_bounds,
    flow_ranges,
)
from openpoint.formulations.schedule import at_terminals, day_voltage_bounds
from openpoint.network.day import DayPlan, available_power, load_factors, nominal_load, scaled, tangent
from openpoint.network.devices import DeviceKind
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion

_Range = tuple[Complexes, Complexes]
"""(N) least and most power drawn, active and reactive part by itself."""


@dataclass(frozen=True)
class DayCurrentBounds:
    """Bounds of squared currents for the periods of a question whose generators, stores and shifts are in the first
    stage."""

    question: DayQuestion

    def pays(self, t: int) -> bool:
        """Whether energy lost in period t may be worth something."""
        day = self.question.day
        least = min(day.source_price[t].min(), day.export_price[t].min())
        return bool(least + self.question.cost.loss <= 0.0)

    def at(self, t: int, closed: Bools, realisation: Floats, plan: DayPlan | None = None) -> CurrentBounds | None:
        """The bounds of squared currents of period t in a radial state (E) and a realisation (U), for all plans or for
        one.

        None where the state is not radial.
        """
        ranges = self.ranges(t, closed, realisation, plan)
        return None if ranges is None else current_bounds(self.question.network, ranges)

    def ranges(
        self,
        t: int,
        closed: Bools,
        realisation: Floats,
        plan: DayPlan | None = None,
        boxes: tuple[FlowBox, ...] = (),
    ) -> FlowRanges | None:
        """The ranges of the flows from which the bounds come; arguments as in `at`, and `flow_ranges`."""
        drawn = self._drawn(t, realisation, plan)
        return flow_ranges(self.question.network, closed, drawn, self._voltages, self._taps, boxes)

    @cached_property
    def _voltages(self) -> tuple[Floats, Floats]:
        """(N) lowest and highest squared voltages of what keeps the limits."""
        question = self.question
        return day_voltage_bounds(question.network, question.day, question.devices, limits=True)

    @cached_property
    def _taps(self) -> tuple[Floats, Floats]:
        """(E) lowest and highest ratios."""
        low, high = self.question.network.tap.copy(), self.question.network.tap.copy()
        devices = self.question.devices
        for d in devices.of(DeviceKind.TAP):
            low[devices.place[d]], high[devices.place[d]] = devices.values[d].min(), devices.values[d].max()
        return low, high

    def _drawn(self, t: int, realisation: Floats, plan: DayPlan | None) -> DrawnRanges:
        """What the buses draw in period t, in ranges where it is not known."""
        day, net, demand = self.question.day, self.question.network, self.question.day.demand
        factor, nominal = load_factors(day, realisation), nominal_load(day, t)
        active, reactive = np.maximum(nominal.real, 0.0) * factor.real, np.abs(nominal.imag) * factor.imag
        with_it = np.where(demand.sheds_apart, np.sign(nominal.imag) * reactive, tangent(day, t) * active)
        shed = np.asarray(-demand.shed_share * (active + 1j * with_it))
        ranges = [_between(shed, np.zeros_like(shed)), self._renewables(t, realisation)]
        ranges += self._scheduled(t) if plan is None else [self._planned(t, plan)]
        load = net.s_power + scaled(day.load_power[t], factor)
        banks = self._banks(t, plan)
        steady = net.s_impedance + scaled(day.load_impedance[t], factor)
        return DrawnRanges(
            low=load + sum(low for low, _ in ranges),
            high=load + sum(high for _, high in ranges),
            current=net.s_current + scaled(day.load_current[t], factor),
            impedance_low=steady - 1j * banks[1],
            impedance_high=steady - 1j * banks[0],
            moved=np.asarray(demand.shift_buses * (active + 1j * reactive)),
        )

    def _renewables(self, t: int, realisation: Floats) -> _Range:
        plants = self.question.day.renewables
        at = at_terminals(plants.terminal, self.question.network.n_terminals)
        rating = np.where(plants.s_max > 0.0, plants.s_max, np.inf)
        p = np.minimum(available_power(self.question.day, t, realisation), rating)
        return at @ (-p - 1j * plants.s_max), at @ (1j * plants.s_max)

    def _scheduled(self, t: int) -> list[_Range]:
        """Generators, stores and demand moved in time, for all plans."""
        day, stores, n = self.question.day, self.question.day.stores, self.question.network.n_terminals
        there, at = stores.present(day.periods)[t], at_terminals(stores.terminal, n)
        rating = np.where(stores.s_max > 0.0, stores.s_max, np.inf)
        charge, discharge = (there * np.minimum(most, rating) for most in (stores.charge_max, stores.discharge_max))
        reactive = 1j * there * stores.s_max
        moved = day.demand.shift_time * np.maximum(nominal_load(day, t).real, 0.0) * (1.0 + 1j * tangent(day, t))
        return [self._generators(t), (at @ (-discharge - reactive), at @ (charge + reactive)), _between(-moved, moved)]

    def _generators(self, t: int) -> _Range:
        question, net = self.question, self.question.network
        devices, rating = question.devices, question.supply.generator_s_max
        stops = np.zeros(len(net.generator_names), dtype=np.bool_)
        stops[devices.place[devices.of(DeviceKind.UNIT)]] = True
        p_max = np.maximum(net.p_min, net.p_max * question.day.unit_available[t])
        least = np.maximum(net.p_min, -rating) + 1j * np.maximum(net.q_min, -rating)
        most = np.minimum(p_max, rating) + 1j * np.minimum(net.q_max, rating)
        least = np.where(stops, _between(least, 0.0 * least)[0], least)
        most = np.where(stops, _between(most, 0.0 * most)[1], most)
        at = at_terminals(net.generator_terminal, net.n_terminals)
        return np.asarray(at @ -most), np.asarray(at @ -least)

    def _planned(self, t: int, plan: DayPlan) -> _Range:
        """The same of one plan."""
        day, net = self.question.day, self.question.network
        stores, n = plan.charge[t] - plan.discharge[t] - 1j * plan.store_q[t], net.n_terminals
        drawn = (1.0 + 1j * tangent(day, t)) * plan.shift[t] + at_terminals(day.stores.terminal, n) @ stores
        drawn = drawn - at_terminals(net.generator_terminal, n) @ plan.generation[t]
        return drawn, drawn

    def _banks(self, t: int, plan: DayPlan | None) -> Floats:
        """(2, N) by how much what banks feed in may be below and above today's, at nominal voltage."""
        devices = self.question.devices
        change = np.zeros((2, self.question.network.n_terminals))
        for d in devices.of(DeviceKind.BANK):
            values, now = devices.values[d], devices.values[d][devices.today[d]]
            if plan is not None:
                values = values[[plan.positions[t, d]]]
            elif self.question.positions is Cadence.FIXED:
                values = values[[devices.today[d]]]
            change[:, devices.place[d]] += np.array([values.min(), values.max()]) - now
        return change


def _between(a: Complexes, b: Complexes) -> _Range:
    """The lower and the higher of two, active and reactive part by itself."""
    low = np.minimum(a.real, b.real) + 1j * np.minimum(a.imag, b.imag)
    return low, np.maximum(a.real, b.real) + 1j * np.maximum(a.imag, b.imag)
