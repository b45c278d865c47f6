"""The schedule and the recourse of a day without its flows, as arrays: a program that is linear but for squares.

    min Σ_i (c_i x_i + s_i x_i²)    s.t.   A x = b or A x ≤ b,   lower ≤ x ≤ upper

over the columns x of the first stage and, for every *copy*, a pair (period, realisation), of its recourse. What the
columns of a copy draw at the buses is B x + fixed. Squared costs of outputs, polygons in place of the circles of
inverters, and whole numbers that are left out only relax the day, so a lower bound of this program with a bound of the
flow is one of the day.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.schedule import largest_powers
from openpoint.network.day import (
    DayArrays,
    available_power,
    load_factors,
    movable,
    nominal_load,
    scaled,
    sheddable,
    sheddable_reactive,
    tangent,
)
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.limits import at_kept_supply
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion

# Columns and rows of a day's program while they are put together.


ANGLES = np.deg2rad([-67.5, -45.0, 45.0, 67.5])
"""Sides of the polygon around the circle of an inverter, beside the limits of p and q."""


Terms = list[tuple[Ints, Floats | float]]
"""Columns, and the coefficient of each or of all."""


@dataclass
class Builder:
    """Columns and rows while they are put together."""

    n_bus: int
    parts: dict[str, list[Floats]] = field(
        default_factory=lambda: {k: [] for k in ("cost", "square", "lower", "upper", "owner")}
    )
    size: int = 0
    zero: list[tuple[Ints, Ints, Floats, Floats]] = field(default_factory=list)
    less: list[tuple[Ints, Ints, Floats, Floats]] = field(default_factory=list)
    drawn: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    moves: tuple[list[tuple[int, Ints, Floats]], ...] = field(default_factory=lambda: ([], []))

    def add(
        self, lower: Floats, upper: Floats, cost: Floats | float = 0.0, square: Floats | float = 0.0, owner: int = -1
    ) -> Ints:
        """Numbers of new columns, in the shape of `lower`."""
        shape = np.broadcast_shapes(np.shape(lower), np.shape(upper))
        values = (cost, square, lower, upper, float(owner))
        for part, value in zip(self.parts.values(), values, strict=True):
            part.append(np.broadcast_to(np.asarray(value, dtype=np.float64), shape).ravel())
        count = int(np.prod(shape))
        self.size += count
        return np.arange(self.size - count, self.size).reshape(shape)

    def rows(self, terms: Terms, side: Floats | float, *, equal: bool = False) -> None:
        """Rows Σ coefficient · column = or ≤ side, one for every entry of the columns of all terms."""
        count = terms[0][0].size
        number = np.tile(np.arange(count), len(terms))
        column = np.concatenate([c.ravel() for c, _ in terms])
        value = np.concatenate([np.broadcast_to(np.asarray(v, dtype=np.float64), c.shape).ravel() for c, v in terms])
        b = np.broadcast_to(np.asarray(side, dtype=np.float64), terms[0][0].shape).ravel()
        (self.zero if equal else self.less).append((number, column, value, b))

    def sums(self, columns: Ints, values: Floats, side: float | Floats, *, equal: bool = False) -> None:
        """One row for every column of the (R, C) arrays: Σ over R."""
        number = np.tile(np.arange(columns.shape[1]), columns.shape[0])
        b = np.broadcast_to(np.asarray(side, dtype=np.float64), columns.shape[1:]).ravel()
        value = np.broadcast_to(values, columns.shape).ravel()
        (self.zero if equal else self.less).append((number, columns.ravel(), np.asarray(value), b))

    def even(self, columns: Ints, sign: Floats, *, reactive: bool) -> None:
        """A row Σ sign x = 0 of columns that are in no other row."""
        row = sum(len(b) for *_, b in self.zero)
        self.moves[reactive].append((row, columns, sign))
        self.sums(columns[:, None], sign[:, None], 0.0, equal=True)

    def draw(self, copy: int, buses: Ints, columns: Ints, factor: Floats | float, *, reactive: bool = False) -> None:
        """Power that columns draw at buses in a copy."""
        rows = (2 * copy + reactive) * self.n_bus + buses
        self.drawn.append((rows, columns, np.broadcast_to(np.asarray(factor, dtype=np.float64), columns.shape)))

    def matrix(self) -> tuple[sp.csr_array, Floats, int]:
        """Rows and sides, equations first, and their number."""
        found, sides, count = list[sp.csr_array](), [np.empty(0)], 0
        for kind in (self.zero, self.less):
            for number, column, value, b in kind:
                found.append(sp.csr_array((value, (number, column)), shape=(len(b), self.size)))
                sides.append(b)
            if kind is self.zero:
                count = sum(len(b) for *_, b in kind)
        a = sp.csr_array(sp.vstack(found)) if found else sp.csr_array((0, self.size))
        return a, np.concatenate(sides), count


# The recourse of a copy, a realisation of a period, as columns.


@dataclass(frozen=True)
class Copy:
    """A realisation (U) of a period."""

    period: int
    realisation: Floats


def renewable_columns(builder: Builder, day: DayArrays, k: int, copy: Copy, scale: float) -> float:
    """What renewable sources feed in; returns the price of all that is available."""
    sources, most = day.renewables, available_power(day, copy.period, copy.realisation)
    p = builder.add(np.zeros(sources.count), most, -scale * sources.curtailment, owner=k)
    q = builder.add(-sources.s_max, sources.s_max + 0.0, owner=k)
    rated = np.flatnonzero(sources.s_max > 0.0)
    for angle in ANGLES.tolist():
        builder.rows([(p[rated], np.cos(angle)), (q[rated], np.sin(angle))], sources.s_max[rated])
    builder.draw(k, sources.terminal, p, -1.0)
    builder.draw(k, sources.terminal, q, -1.0, reactive=True)
    return float(scale * sources.curtailment @ most)


def demand_columns(builder: Builder, day: DayArrays, k: int, copy: Copy, scale: float) -> None:
    """What is shed, and what moves between buses."""
    t, demand = copy.period, day.demand
    load = scaled(nominal_load(day, t), load_factors(day, copy.realisation))
    active, reactive = np.maximum(load.real, 0.0), np.abs(load.imag)
    if len(some := sheddable(day)):
        shed = builder.add(
            np.zeros(len(some)), demand.shed_share[some] * active[some], scale * demand.shed_price[some], owner=k
        )
        builder.draw(k, some, shed, -1.0)
        with_it = np.where(demand.sheds_apart, 0.0, tangent(day, t))[some]
        builder.draw(k, some, shed, -with_it, reactive=True)
    if len(some := sheddable_reactive(day)):
        assert demand.shed_reactive_price is not None
        price = scale * demand.shed_reactive_price[some]
        shed = builder.add(np.zeros(len(some)), demand.shed_share[some] * reactive[some], price, owner=k)
        builder.draw(k, some, shed, -np.sign(load.imag)[some], reactive=True)
    _moved_between_buses(builder, day, k, t, scale, (active, reactive))


def _moved_between_buses(
    builder: Builder, day: DayArrays, k: int, t: int, scale: float, load: tuple[Floats, Floats]
) -> None:
    """What moves between buses: where that has no price, one column is what comes less what leaves."""
    demand, some = day.demand, movable(day)
    most, reactive = (demand.shift_buses[some] * part[some] for part in load)
    priced = demand.shift_price[some] > 0.0
    net = builder.add(np.where(priced, 0.0, -most), most, owner=k)
    leave = builder.add(0.0 * most[priced], most[priced], scale * demand.shift_price[some[priced]], owner=k)
    other = builder.add(-reactive, reactive, owner=k)
    builder.draw(k, some, net, 1.0)
    builder.draw(k, some[priced], leave, -1.0)
    builder.draw(k, some, other, 1.0, reactive=True)
    if len(some):
        sign = np.concatenate([np.ones(len(net)), -np.ones(len(leave))])
        builder.even(np.concatenate([net, leave]), sign, reactive=False)
        builder.even(other, np.ones(len(other)), reactive=True)


def bank_columns(builder: Builder, devices: Devices, k: int) -> Ints:
    """What banks feed in at nominal voltage."""
    banks = devices.of(DeviceKind.BANK)
    values = [devices.values[d] for d in banks]
    columns = builder.add(np.array([v.min() for v in values]), np.array([v.max() for v in values]), owner=k)
    builder.draw(k, devices.place[banks], columns, -1.0, reactive=True)
    return columns


def source_columns(builder: Builder, question: DayQuestion, k: int, t: int, scale: float) -> Ints:
    """(S, 3) columns of what sources deliver: bought, sold, reactive; where reactive power that they deliver has a
    price, it has columns of its own."""
    day, supply = question.day, at_kept_supply(question.supply)
    most = 4.0 * float(largest_powers(question.network, day).real.sum())
    p_low, p_high, q_low, q_high, s_high = (
        np.clip(part, -most, most) for part in (supply.p_min, supply.p_max, supply.q_min, supply.q_max, supply.s_max)
    )
    p_low, p_high = np.maximum(p_low, -s_high), np.minimum(p_high, s_high)
    q_low, q_high = np.maximum(q_low, -s_high), np.minimum(q_high, s_high)
    bought = builder.add(np.maximum(p_low, 0.0), np.maximum(p_high, 0.0), scale * day.source_price[t], owner=k)
    sold = builder.add(np.maximum(-p_high, 0.0), np.maximum(-p_low, 0.0), -scale * day.export_price[t], owner=k)
    at = question.network.source_terminal
    if day.price_reactive[t] > 0.0:
        price = scale * day.price_reactive[t]
        builder.draw(
            k,
            at,
            builder.add(np.maximum(q_low, 0.0), np.maximum(q_high, 0.0), price, owner=k),
            -1.0,
            reactive=True,
        )
        q_low, q_high = np.minimum(q_low, 0.0), np.minimum(q_high, 0.0)
    q = builder.add(q_low, q_high, owner=k)
    builder.draw(k, at, bought, -1.0)
    builder.draw(k, at, sold, 1.0)
    builder.draw(k, at, q, -1.0, reactive=True)
    return np.stack([bought, sold, q], axis=1)


@dataclass(frozen=True)
class Moves:
    """Rows Σ sign x = 0 of columns that are in no other row: load that moves between the buses of a copy.

    Attributes:
        rows: (K) of the copies. columns: (K, C). sign: (C) 1 or -1.
    """

    rows: Ints
    columns: Ints
    sign: Floats


@dataclass(frozen=True)
class Columns:
    """The program of K copies.

    Attributes:
        cost, square, lower, upper: (n). owner: (n) copy whose weight multiplies the cost, -1 = the first stage.
        a: (m, n) rows, the first `n_zero` of which are equations. b: (m).
        balance: (2 N K, n) what the columns draw: copy by copy active, then reactive power at the N buses.
        fixed: (K, 2N) constant power that is drawn. scale: (K) $ per unit of power for the hours of the copy.
        constant: cost of the first stage that is always there. constants: (K) of the copies.
        source: columns (K, S, 3) of what sources deliver: bought, sold, reactive.
        moves: of active and of reactive power between buses; () where none moves.
        banks: (n) whether a column is what a bank that may be set feeds in at nominal voltage. The bound of the flow
            has these itself, at any voltage: the columns are there for its multipliers alone.
    """

    copies: tuple[Copy, ...]
    cost: Floats
    square: Floats
    lower: Floats
    upper: Floats
    owner: Ints
    a: sp.csr_array
    b: Floats
    n_zero: int
    balance: sp.csr_array
    fixed: Floats
    scale: Floats
    constant: float
    constants: Floats
    source: Ints
    moves: tuple[Moves, ...]
    banks: Bools

    def costs(self, weights: Floats) -> tuple[Floats, Floats]:
        """(n) linear and (n) squared costs where copy k counts weights[k]."""
        share = np.append(weights, 1.0)[self.owner]
        return self.cost * share, self.square * share


@dataclass(frozen=True)
class _Plan:
    """Columns of the first stage: (T, G) outputs, (T, B) stores, (T, M) demand moved in time at `moved` buses."""

    p: Ints
    q: Ints
    charge: Ints
    discharge: Ints
    store_q: Ints
    later: Ints
    earlier: Ints
    moved: Ints


def columns(question: DayQuestion, copies: tuple[Copy, ...]) -> Columns:
    """The program of these copies."""
    day, network = question.day, question.network
    n, builder = network.n_terminals, Builder(network.n_terminals)
    always, plan = _first_stage(builder, question)
    banks, set_banks = list[Ints](), movable_devices(question)
    scale = np.array([day.hours[c.period] for c in copies]) * network.s_base_kva
    fixed, constants, sources = np.zeros((len(copies), 2 * n)), np.zeros(len(copies)), []
    for k, copy in enumerate(copies):
        t = copy.period
        builder.draw(k, day.stores.terminal, plan.charge[t], 1.0)
        builder.draw(k, day.stores.terminal, plan.discharge[t], -1.0)
        builder.draw(k, day.stores.terminal, plan.store_q[t], -1.0, reactive=True)
        for some, sign in ((plan.later, 1.0), (plan.earlier, -1.0)):
            builder.draw(k, plan.moved, some[t], sign)
            builder.draw(k, plan.moved, some[t], sign * tangent(day, t)[plan.moved], reactive=True)
        builder.draw(k, network.generator_terminal, plan.p[t], -1.0)
        builder.draw(k, network.generator_terminal, plan.q[t], -1.0, reactive=True)
        load = network.s_power + scaled(day.load_power[t], load_factors(day, copy.realisation))
        fixed[k] = np.concatenate([load.real, load.imag])
        constants[k] = renewable_columns(builder, day, k, copy, float(scale[k]))
        demand_columns(builder, day, k, copy, float(scale[k]))
        banks.append(bank_columns(builder, set_banks, k))
        sources.append(source_columns(builder, question, k, t, float(scale[k])))
    a, b, n_zero = builder.matrix()
    rows, cols, values = (np.concatenate(part) for part in zip(*builder.drawn, strict=True))
    joined = {name: np.concatenate(part) for name, part in builder.parts.items()}
    return Columns(
        copies,
        joined["cost"],
        joined["square"],
        joined["lower"],
        joined["upper"],
        joined["owner"].astype(np.int64),
        a,
        b,
        n_zero,
        sp.csr_array((values, (rows, cols)), shape=(2 * n * len(copies), builder.size)),
        fixed,
        scale,
        always,
        constants,
        np.array(sources),
        tuple(
            Moves(np.array([row for row, *_ in some]), np.array([each for _, each, _ in some]), some[0][2])
            for some in builder.moves
            if some
        ),
        np.isin(np.arange(builder.size), np.concatenate(banks)),
    )


def _first_stage(builder: Builder, question: DayQuestion) -> tuple[float, _Plan]:
    """Outputs, stores and demand moved in time; and what generators that are always on cost."""
    day, base = question.day, question.network.s_base_kva
    always, p, q = _outputs(builder, question)
    charge, discharge, store_q = _stores(builder, day, base)
    moved = np.flatnonzero(day.demand.shift_time > 0.0)
    load = np.array([np.abs(nominal_load(day, t).real) for t in range(day.periods)])
    most = (load * day.demand.shift_time)[:, moved]
    later = builder.add(np.zeros_like(most), most)
    earlier = builder.add(np.zeros_like(most), most, np.outer(day.hours * base, day.demand.shift_price[moved]))
    if len(moved):
        sign = np.concatenate([day.hours, -day.hours])[:, None]
        builder.sums(np.concatenate([later, earlier]), sign, day.demand.moved_over_day[moved], equal=True)
    return always, _Plan(p, q, charge, discharge, store_q, later, earlier, moved)


def _stores(builder: Builder, day: DayArrays, base: float) -> tuple[Ints, Ints, Ints]:
    """(T, B) charge, discharge and reactive power of the stores; contents stay as they are while a store is away."""
    stores, hours, periods = day.stores, day.hours, day.periods
    there = stores.present(periods).astype(np.float64)
    zero = np.zeros((periods, stores.count))
    charge = builder.add(zero, there * stores.charge_max)
    discharge = builder.add(zero, there * stores.discharge_max, np.outer(hours * base, stores.wear))
    reactive = builder.add(zero - stores.s_max, zero + stores.s_max)
    low = np.where(there > 0.0, stores.energy_min, np.minimum(stores.energy_min, stores.energy_start))
    low[-1] = np.maximum(low[-1], stores.energy_end)
    high = np.where(there > 0.0, stores.energy_max, np.maximum(stores.energy_max, stores.energy_start))
    content = builder.add(low, high)
    gain, loss = np.outer(hours, stores.charge_efficiency), np.outer(hours, 1.0 / stores.discharge_efficiency)
    first: Terms = [(content[:1], 1.0), (charge[:1], -gain[:1]), (discharge[:1], loss[:1])]
    builder.rows(first, stores.energy_start[None, :], equal=True)
    if periods > 1:
        later: Terms = [(content[1:], 1.0), (content[:-1], -1.0), (charge[1:], -gain[1:]), (discharge[1:], loss[1:])]
        builder.rows(later, 0.0, equal=True)
    both = np.flatnonzero((stores.charge_max > 0.0) & (stores.discharge_max > 0.0))
    shares = ((part[:, both], 1.0 / most[both] + 0.0 * zero[:, both]) for part, most in
              ((charge, stores.charge_max), (discharge, stores.discharge_max)))  # fmt: skip
    builder.rows(list(shares), 1.0)
    rated = np.flatnonzero(stores.s_max > 0.0)
    for angle in ANGLES.tolist():
        for along in (np.cos(angle), -np.cos(angle)):
            parts: Terms = [(discharge[:, rated], along), (charge[:, rated], -along)]
            parts.append((reactive[:, rated], np.sin(angle)))
            builder.rows(parts, np.tile(stores.s_max[rated], (periods, 1)))
    return charge, discharge, reactive


def _outputs(builder: Builder, question: DayQuestion) -> tuple[float, Ints, Ints]:
    """(T, G) active and reactive outputs of the generators, and what those that are always on cost."""
    net, day, cost = question.network, question.day, question.cost
    scale = day.hours * net.s_base_kva
    p_max = np.maximum(net.p_min, net.p_max * day.unit_available)
    stops = np.zeros(len(net.generator_names), dtype=np.bool_)
    stops[question.devices.place[question.devices.of(DeviceKind.UNIT)]] = True
    off = np.where(stops, 0.0, np.nan)  # a generator that may stop has 0 within its range
    p_low, q_low = (np.fmin(part, off) + 0.0 * p_max for part in (net.p_min, net.q_min))
    p_high, q_high = np.fmax(p_max, off), np.fmax(net.q_max, off) + 0.0 * p_max
    p = builder.add(p_low, p_high, np.outer(scale, cost.generator), np.outer(scale, cost.square))
    q = builder.add(q_low, q_high)
    rated = np.flatnonzero(np.isfinite(question.supply.generator_s_max))
    most = np.tile(question.supply.generator_s_max[rated], (len(scale), 1))
    for angle in ANGLES.tolist():
        for sign in (1.0, -1.0):
            builder.rows([(p[:, rated], sign * np.cos(angle)), (q[:, rated], np.sin(angle))], most)
    some = np.flatnonzero(stops)
    if len(some):
        _commitment(builder, question, some, (p, q), p_max)
    _ramps(builder, question, p, stops)
    return float(np.outer(scale, cost.idle)[:, ~stops].sum()), p, q


def _commitment(builder: Builder, question: DayQuestion, some: Ints, outputs: tuple[Ints, Ints], p_max: Floats) -> None:
    """Shares between 0 and 1 of being on, and of starts, in place of whole numbers."""
    net, units, (p, q) = question.network, question.day.units, (part[:, some] for part in outputs)
    zero = np.zeros(p.shape)
    on = builder.add(zero, zero + 1.0, np.outer(question.day.hours * net.s_base_kva, question.cost.idle[some]))
    for out, low, high in (
        (p, net.p_min[some] + zero, p_max[:, some]),
        (q, net.q_min[some] + zero, net.q_max[some] + zero),
    ):
        builder.rows([(out, 1.0), (on, -high)], 0.0)
        builder.rows([(out, -1.0), (on, low)], 0.0)
    start = builder.add(zero, zero + 1.0, net.s_base_kva * units.start[some] + zero)
    builder.rows([(on[:1], 1.0), (start[:1], -1.0)], units.on_before[some].astype(np.float64)[None, :])
    if len(on) > 1:
        builder.rows([(on[1:], 1.0), (on[:-1], -1.0), (start[1:], -1.0)], 0.0)


def _ramps(builder: Builder, question: DayQuestion, p: Ints, stops: np.ndarray) -> None:
    """Ramps of generators that are always on; of others a start may release them, which relaxes them."""
    units = question.day.units
    between = units.between(question.day.hours)
    for sign, limit in ((1.0, units.ramp_up), (-1.0, units.ramp_down)):
        some = np.flatnonzero(np.isfinite(limit) & ~stops)
        if len(p) > 1 and len(some):
            step = np.outer(between[1:], limit[some])
            builder.rows([(p[1:, some], sign), (p[:-1, some], -sign)], step)
        known = some[np.isfinite(units.p_before[some])]
        if len(known):
            builder.rows([(p[:1, known], sign)], (between[0] * limit[known] + sign * units.p_before[known])[None, :])


def movable_devices(question: DayQuestion) -> Devices:
    """Tap changers, banks and voltages of sources that may be set."""
    decided = question.positions is not Cadence.FIXED
    return question.devices.only(np.flatnonzero(decided & (question.devices.kind != DeviceKind.UNIT)))
