"""The schedule and the recourse of a day without its flows, as arrays: a program that is linear but for squares.

    min Σ_i (c_i x_i + s_i x_i²)    s.t.   A x = b or A x ≤ b,   lower ≤ x ≤ upper

over the columns x of the first stage and, for every *copy*, a pair (period, realisation), of its recourse. What the
columns of a copy draw at the buses is B x + fixed. Squared costs of outputs, polygons in place of the circles of
inverters, and whole numbers that are left out only relax the day, so a lower bound of this program with a bound of the
flow is one of the day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network.day import DayArrays, load_factors, nominal_load, tangent
from openpoint.network.devices import DeviceKind, Devices
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.topology import recourse
from openpoint.studies.dispatch.day.topology.builder import ANGLES, Builder, Terms
from openpoint.studies.dispatch.day.topology.recourse import Copy


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
        load = network.s_power + day.load_power[t] * load_factors(day, copy.realisation)
        fixed[k] = np.concatenate([load.real, load.imag])
        constants[k] = recourse.renewables(builder, day, k, copy, float(scale[k]))
        recourse.demand(builder, day, k, copy, float(scale[k]))
        banks.append(recourse.banks(builder, set_banks, k))
        sources.append(recourse.sources(builder, question, k, t, float(scale[k])))
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
