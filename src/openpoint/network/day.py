"""A day: periods in a row, what is in the grid beside its branches, and what of it is uncertain, as arrays.

Powers are per unit of `s_base_kva`, energies per unit times hours, prices in $/kWh, so that a price times a power per
unit times hours, times `s_base_kva`, is in $. T periods, N terminals, S sources, G dispatchable generators of the
network; B stores, R renewable sources, U uncertain quantities.

A *realisation* is (T, U): what each uncertain quantity is in each period, a share of its forecast, 1 = as forecast.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network.arrays import Network


@dataclass(frozen=True)
class Stores:
    """B stores: batteries, and vehicles while they are there.

    The content e at the end of a period of h hours is e + h (charge_efficiency · c − d / discharge_efficiency), with c
    and d the powers on the side of the grid, of which one is 0 at a time.

    Attributes:
        names: (B). vehicle: (B) whether it is a vehicle, or several that come and leave together.
        terminal: (B) where it is.
        first, last: (B) the periods in which it can be used are first … last − 1; 0 … T − 1 of a battery.
        energy_min, energy_max: (B) least and most content. energy_start: (B) content at the start of `first`.
        energy_end: (B) least content at the end of `last` − 1.
        charge_max, discharge_max: (B) most power. charge_efficiency, discharge_efficiency: (B) in (0, 1].
        s_max: (B) apparent power of the inverter, (c − d)² + q² ≤ s_max²; 0: no reactive power.
        wear: (B) price of the energy that is discharged.
    """

    names: tuple[str, ...]
    vehicle: Bools
    terminal: Ints
    first: Ints
    last: Ints
    energy_min: Floats
    energy_max: Floats
    energy_start: Floats
    energy_end: Floats
    charge_max: Floats
    discharge_max: Floats
    charge_efficiency: Floats
    discharge_efficiency: Floats
    s_max: Floats
    wear: Floats

    @property
    def count(self) -> int:
        """B."""
        return len(self.names)

    def present(self, periods: int) -> Bools:
        """(T, B) whether a store can be used in a period."""
        t = np.arange(periods)[:, None]
        return np.asarray((t >= self.first) & (t < self.last))


@dataclass(frozen=True)
class Renewables:
    """R sources whose active power is at most what is available, the rest is curtailed.

    Attributes:
        names, kind: (R) name; `solar` or `wind`. terminal: (R) where it is.
        available: (T, R) forecast of the active power.
        s_max: (R) apparent power of the inverter, p² + q² ≤ s_max²; 0: no reactive power.
        curtailment: (R) price of the energy that is curtailed.
    """

    names: tuple[str, ...]
    kind: tuple[str, ...]
    terminal: Ints
    available: Floats
    s_max: Floats
    curtailment: Floats

    @property
    def count(self) -> int:
        """R."""
        return len(self.names)


@dataclass(frozen=True)
class UnitLinks:
    """The links between periods of the G dispatchable generators of the network.

    Attributes:
        ramp_up, ramp_down: (G) most rise and fall of the active power, per hour between the middles of periods; inf =
            none. They do not bind where the generator starts or stops.
        start: (G) cost of a start, in $ / s_base_kva.
        on_before: (G) whether it is on before the day. p_before: (G) its active power then; nan = not known, so that
            no ramp binds at the start.
        hours_before: length of the period in which it had this power; None = as long as the first.
    """

    ramp_up: Floats
    ramp_down: Floats
    start: Floats
    on_before: Bools
    p_before: Floats
    hours_before: float | None = None

    def between(self, hours: Floats) -> Floats:
        """(T) hours between the middle of each period and of the one before."""
        first = hours[:1] if self.hours_before is None else np.array([self.hours_before])
        return np.asarray(0.5 * (hours + np.concatenate([first, hours[:-1]])))


@dataclass(frozen=True)
class Demand:
    """Shares of the load that may be moved or shed.

    Attributes:
        shift_buses: (N) share of the load of a bus that may move to other buses in the same period, and by which that
            of others may come: active and reactive power each, each with the sum 0 over the buses.
        shift_time: (N) share of the load of a bus by which it may differ in a period at constant power factor, with the
            energy over the day as forecast. moved_before: (N) energy by which the load was above its forecast before
            the first period, which the day makes up for; None = none.
        shift_price: (N) price of the energy that is moved, counted where it leaves.
        shed_share: (N) share that may be shed. shed_price: (N) price of the active energy shed.
        shed_reactive_price: (N) price of the reactive energy shed, where that is shed by itself; nan: it is shed with
            the active power, at the power factor of the forecast. None = nan everywhere.
    """

    shift_buses: Floats
    shift_time: Floats
    shift_price: Floats
    shed_share: Floats
    shed_price: Floats
    moved_before: Floats | None = None
    shed_reactive_price: Floats | None = None

    @property
    def sheds_apart(self) -> Bools:
        """(N) whether active and reactive power are shed each by itself."""
        if self.shed_reactive_price is None:
            return np.zeros(len(self.shed_share), dtype=np.bool_)
        return ~np.isnan(self.shed_reactive_price)

    @property
    def moved_over_day(self) -> Floats:
        """(N) energy by which the loads of all periods together are above their forecast: what makes up for before."""
        return np.zeros(len(self.shift_time)) if self.moved_before is None else -self.moved_before


@dataclass(frozen=True)
class Uncertain:
    """The budgeted uncertainty set over U quantities.

    In a period a quantity is 1 − down … 1 + up of its forecast. Its relative deviations ζ, in [−1, 1] of down or up,
    obey Σ_t |ζ| ≤ hours for each quantity, and Σ_{quantities of a group} |ζ| ≤ at_once in each period. Its vertices are
    points with ζ of −1, 0 and 1: split into two signs, a deviation stands in one row of either family, and such a
    matrix is totally unimodular. A recourse whose cost is convex in the realisation is worst at a vertex.

    Of a group with a share of `sums` the sum over its quantities differs from its forecast by no more than that share,
    in every period; a vertex then has one more value of ζ, where the sum is at its limit.

    Attributes:
        names, group: (U) name and group (`load`, `reactive`, `solar`, `wind`) of each quantity.
        load: (N) quantity that scales the load of a terminal, −1 = certain. renewable: (R) that of a renewable source.
        down, up: (T, U) deviations, shares of the forecast, 0 or more.
        hours: (U) most periods in which a quantity deviates; all periods of a quantity whose group is in `sums`.
        groups: names of the groups that have a budget `at_once`, and that budget: most quantities of the group that
            deviate in the same period.
        reactive: (N) quantity that scales the reactive load of a terminal; None = that of its active load.
        sums: names of the groups that have a budget of the sum, and the share.
    """

    names: tuple[str, ...]
    group: tuple[str, ...]
    load: Ints
    renewable: Ints
    down: Floats
    up: Floats
    hours: Ints
    groups: tuple[tuple[str, int], ...] = ()
    reactive: Ints | None = None
    sums: tuple[tuple[str, float], ...] = ()

    @property
    def count(self) -> int:
        """U."""
        return len(self.names)

    @property
    def of_reactive(self) -> Ints:
        """(N) quantity that scales the reactive load of a terminal."""
        return self.load if self.reactive is None else self.reactive


@dataclass(frozen=True)
class DayArrays:
    """The day of a network.

    Attributes:
        names: (T) of the periods. hours: (T) length.
        load_power, load_current, load_impedance: (T, N) complex load of constant power, current and impedance at
            nominal voltage. The network of the day has no loads: what it draws is fixed generation and capacitors.
        source_price: (T, S) price of the energy that a source delivers. export_price: (T, S) what energy earns that
            flows back, at most the price.
        unit_available: (T, G) share of the upper limit of active power that a generator has.
        stores, renewables, units, demand: see there.
        uncertain: what is uncertain; U = 0 where all is certain.
        reactive_price: (T) price of the reactive energy that a source delivers; what it takes back costs nothing.
            None = 0.
        flow_max: (2, E) most active and reactive power at either end of a branch, inf = no limit; None = none has one.
        starts_at: (T) what the clock says when each period starts; None = not given.
        passed: hours of the day before the first period: more than 0 of the rest of a day.
    """

    names: tuple[str, ...]
    hours: Floats
    load_power: Complexes
    load_current: Complexes
    load_impedance: Complexes
    source_price: Floats
    export_price: Floats
    unit_available: Floats
    stores: Stores
    renewables: Renewables
    units: UnitLinks
    demand: Demand
    uncertain: Uncertain
    starts_at: tuple[str | None, ...] = ()
    passed: float = 0.0
    reactive_price: Floats | None = None
    flow_max: Floats | None = None

    @property
    def periods(self) -> int:
        """T."""
        return len(self.names)

    @property
    def price_reactive(self) -> Floats:
        """(T) price of the reactive energy that a source delivers."""
        return np.zeros(self.periods) if self.reactive_price is None else self.reactive_price


@dataclass(frozen=True)
class DayPlan:
    """The first stage: what is decided before the realisation is known. Recourse that is time-coupled is not in it.

    Attributes:
        closed: (T, E). positions: (T, D) of devices, units that are on or off among them.
        generation: (T, G) complex output of the dispatchable generators.
        charge, discharge: (T, B) active power of stores, on the side of the grid. store_q: (T, B) what they feed in.
        shift: (T, N) active power by which the load is higher, moved in time; its reactive power follows.
    """

    closed: Bools
    positions: Ints
    generation: Complexes
    charge: Floats
    discharge: Floats
    store_q: Floats
    shift: Floats


@dataclass(frozen=True)
class HourRecourse:
    """The recourse decisions of a period once the realisation is known, K times.

    Attributes:
        renewable: (K, R) complex power that is fed in. shed: (K, N) complex power that is shed.
        shift: (K, N) complex power by which the load is higher, moved between buses.
    """

    renewable: Complexes
    shed: Complexes
    shift: Complexes

    def at(self, rows: Ints | Sequence[int]) -> HourRecourse:
        """Those of some rows."""
        return HourRecourse(self.renewable[rows], self.shed[rows], self.shift[rows])

    @staticmethod
    def of(each: Iterable[HourRecourse]) -> HourRecourse:
        """All of them, one after another."""
        some = list(each)
        return HourRecourse(*(np.concatenate([getattr(one, part) for one in some]) for part in _PARTS))

    def put(self, rows: Ints, other: HourRecourse) -> None:
        """Put others into some rows."""
        for part in _PARTS:
            getattr(self, part)[rows] = getattr(other, part)


_PARTS = ("renewable", "shed", "shift")


def load_factors(day: DayArrays, realisation: Floats) -> Complexes:
    """(…, N) factors of the loads of the terminals in realisations (…, U) of a period: of the active load in the real
    part, of the reactive load in the imaginary part; see `scaled`."""
    uncertain = day.uncertain
    return _of_quantity(realisation, uncertain.load) + 1j * _of_quantity(realisation, uncertain.of_reactive)


def scaled(load: Complexes, factor: Complexes) -> Complexes:
    """Loads times factors, active and reactive part each by itself."""
    return np.asarray(load.real * factor.real + 1j * (load.imag * factor.imag))


def available_power(day: DayArrays, t: int, realisation: Floats) -> Floats:
    """(…, R) active power available to the renewable sources in period t, in a realisation (…, U) of that period."""
    return np.asarray(day.renewables.available[t] * _of_quantity(realisation, day.uncertain.renewable))


def _of_quantity(realisation: Floats, number: Ints) -> Floats:
    """(…, M) entries of realisations (…, U), 1 where the number is −1."""
    whole = np.concatenate([realisation, np.ones((*realisation.shape[:-1], 1))], axis=-1)
    return np.asarray(whole[..., number])


def network_of_period(network: Network, day: DayArrays, t: int, realisation: Floats | None = None) -> Network:
    """The network with the loads of period t, and the upper limits of its generators there.

    Args:
        network: of the day, without loads. day: its arrays. t: period. realisation: (U) in that period; None = as
            forecast.
    """
    share = np.array(1.0 + 1.0j) if realisation is None else load_factors(day, realisation)
    return replace(
        network,
        s_power=network.s_power + scaled(day.load_power[t], share),
        s_current=network.s_current + scaled(day.load_current[t], share),
        s_impedance=network.s_impedance + scaled(day.load_impedance[t], share),
        p_max=np.maximum(network.p_min, network.p_max * day.unit_available[t]),
    )


FULL = 1.0 - 1e-12
"""A share of the load from which less than nothing could be left."""


def nominal_load(day: DayArrays, t: int) -> Complexes:
    """(N) forecast load of period t at nominal voltage."""
    return np.asarray(day.load_power[t] + day.load_current[t] + day.load_impedance[t])


def tangent(day: DayArrays, t: int) -> Floats:
    """(N) reactive per active load of period t, 0 where no active power is drawn."""
    load = nominal_load(day, t)
    draws = load.real > 0.0
    return np.where(draws, load.imag, 0.0) / np.where(draws, load.real, 1.0)


def sheddable(day: DayArrays) -> Ints:
    """Terminals whose load may be shed in some period."""
    return np.flatnonzero((day.demand.shed_share > 0.0) & _draws(day))


def sheddable_reactive(day: DayArrays) -> Ints:
    """Terminals whose reactive load may be shed by itself in some period."""
    reactive = (day.load_power + day.load_current + day.load_impedance).imag.any(axis=0)
    return np.flatnonzero(day.demand.sheds_apart & (day.demand.shed_share > 0.0) & reactive)


def shed_power(day: DayArrays, t: int, active: Floats, reactive: Floats) -> Complexes:
    """(…, N) what is shed in period t: active power, with it reactive power at the power factor of the forecast, but
    where that is shed by itself: as much of it as `reactive`, in the direction of the load."""
    sign = np.sign(nominal_load(day, t).imag)
    return np.asarray(active + 1j * np.where(day.demand.sheds_apart, sign * reactive, tangent(day, t) * active))


def shed_price(day: DayArrays, shed: Complexes) -> Floats:
    """(…, N) price per hour of power (…, N) that is shed."""
    apart, price = day.demand.sheds_apart, day.demand.shed_price * shed.real
    if not apart.any():
        return np.asarray(price)
    assert day.demand.shed_reactive_price is not None
    return np.asarray(
        price + np.where(apart, day.demand.shed_reactive_price, 0.0) * np.where(apart, np.abs(shed.imag), 0.0)
    )


def movable(day: DayArrays) -> Ints:
    """Terminals whose load may move to other buses in some period."""
    return np.flatnonzero((day.demand.shift_buses > 0.0) & _draws(day))


def may_be_empty(day: DayArrays) -> Bools:
    """(N) whether shedding and moves together could take more than the active load."""
    return _may_be_empty(day, day.uncertain.load)


def reactive_may_be_empty(day: DayArrays) -> Bools:
    """(N) whether shedding and moves together could take more than the reactive load, where it deviates or is shed by
    itself."""
    uncertain = day.uncertain
    alone = (uncertain.load != uncertain.of_reactive) & (day.demand.shed_share > 0.0)
    return np.asarray(np.where(day.demand.sheds_apart, _may_be_empty(day, uncertain.of_reactive), alone))


def _may_be_empty(day: DayArrays, number: Ints) -> Bools:
    down = np.append(1.0 - day.uncertain.down.max(axis=0, initial=0.0), 1.0)[number]
    demand = day.demand
    return np.asarray(demand.shed_share + demand.shift_buses + demand.shift_time / np.maximum(down, 1e-3) > FULL)


def splits(day: DayArrays, t: int) -> Ints:
    """Sources at which energy that flows back earns less than energy that is bought costs."""
    return np.flatnonzero(day.export_price[t] < day.source_price[t])


def _draws(day: DayArrays) -> Bools:
    """(N) whether a terminal draws active power in some period."""
    return np.asarray((day.load_power + day.load_current + day.load_impedance).real.max(axis=0) > 0.0)
