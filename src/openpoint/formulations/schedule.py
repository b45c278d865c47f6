"""The schedule of a day: constraints that link what stores, generators and loads do in the periods of a day.

Every block stands alone: it takes expressions, mostly variables, of T periods in rows and gives linear constraints.
With h_t the hours of a period; on ∈ {0, 1} where a generator runs; c, d, e the charge, discharge and content of a
store; δ the active power by which a load is higher, moved in time:

    e_t = e_{t−1} + h_t (η c_t − d_t / η'),    e̲ ≤ e_t ≤ ē,    e at the end ≥ what is asked         store_contents
    0 ≤ c ≤ c̄,    0 ≤ d ≤ d̄,    c / c̄ + d / d̄ ≤ 1,    all 0 while it is absent                   store_powers
    p̲ on ≤ p ≤ p̄ a on,    q̲ on ≤ q ≤ q̄ on,    a what is available                                  unit_ranges
    u_t − v_t = on_t − on_{t−1},    0 ≤ u_t ≤ on_t,    u_t ≤ 1 − on_{t−1}                          starts
    p_t − p_{t−1} ≤ R Δ_t + p̄ u_t,    p_{t−1} − p_t ≤ R' Δ_t + p̄ v_t                               ramps
    |δ_t| ≤ s load_t,    Σ_t h_t δ_t = 0                                                           shifts_in_time
    m ≥ −δ,    m ≥ 0                                                                               moved_away
    y_t ≥ |x_t − x_{t−1}|                                                                          operations
    p² + q² ≤ (s on)²                                                                              disc
    p² ≤ k on,    k has the price of the square                                                    squares

Operating costs, and limits of sources and generators, as parts of a DistFlow program.

With P, Q the power of a source, p, q that of a generator and y = 1 where it is on, all of it linear but for

    P² + Q² ≤ m²,       m ≤ S            limit of the apparent power of a source, which some decisions may miss
    p² + q² ≤ (s y)²                     inverter: s is the limit of the apparent power of a generator
    p² ≤ c y                             quadratic price times c; the perspective of p² (Günlük and Linderoth 2010)
    d ≥ (w − 1) / 2, d ≥ (1 − w) / 2     deviation of a voltage
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.devices import highest_voltages, lowest_sources
from openpoint.formulations.distflow import DistFlow, voltage_bounds
from openpoint.network import Network
from openpoint.network.day import DayArrays, Stores, UnitLinks
from openpoint.network.devices import Devices
from openpoint.network.limits import LIMIT_TOLERANCE, at_kept_supply, power_scale
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import Cone, Limit


def one_before(x: cp.Expression, start: Floats) -> cp.Expression:
    """(T, K) the rows of x (T, K) one period earlier; `start` (K) comes before the first."""
    periods, count = x.shape
    first = np.zeros((periods, count))
    first[0] = start
    return sp.csr_array(sp.eye_array(periods, k=-1)) @ x + first


# Stores


def store_powers(stores: Stores, charge: cp.Expression, discharge: cp.Expression) -> list[cp.Constraint]:
    """Limits of charge and discharge (T, B), 0 while a store is absent, and c / c̄ + d / d̄ ≤ 1.

    The last one is what is left of "one direction at a time" where both may share a period: the convex hull of charging
    alone and discharging alone.
    """
    present = stores.present(charge.shape[0])
    both = np.flatnonzero((stores.charge_max > 0.0) & (stores.discharge_max > 0.0))
    of_charge, of_discharge = (sp.diags_array(1.0 / m[both]) for m in (stores.charge_max, stores.discharge_max))
    return [
        charge >= 0,
        discharge >= 0,
        charge <= present * stores.charge_max,
        discharge <= present * stores.discharge_max,
        charge[:, both] @ of_charge + discharge[:, both] @ of_discharge <= 1,
    ]


def store_contents(
    stores: Stores, hours: Floats, charge: cp.Expression, discharge: cp.Expression
) -> tuple[cp.Variable, list[cp.Constraint]]:
    """(T, B) contents at the ends of the periods, and e_t = e_{t−1} + h_t (η c_t − d_t / η') with its limits.

    Before a store comes this is its content at arrival, and once it has left that at departure, since it neither
    charges nor discharges then. The limits hold while it is there.
    """
    periods = len(hours)
    content = cp.Variable((periods, stores.count), name="content")
    gained = charge @ sp.diags_array(stores.charge_efficiency)
    lost = discharge @ sp.diags_array(1.0 / stores.discharge_efficiency)
    there = np.flatnonzero(stores.present(periods))
    inside = _flat(content)[there]
    least, most = (np.tile(end, periods)[there] for end in (stores.energy_min, stores.energy_max))
    return content, [
        content == one_before(content, stores.energy_start) + sp.diags_array(hours) @ (gained - lost),
        inside >= least,
        inside <= most,
        content[periods - 1] >= stores.energy_end,
    ]


# Inverters, and prices of squares


def disc(p: cp.Expression, q: cp.Expression, rating: Floats, on: cp.Expression | Floats) -> list[cp.Constraint]:
    """p² + q² ≤ (s on)² where the rating s is finite and above 0; `on` is 0 where there is no circle.

    Args:
        p, q, on: (T, K). rating: (K).
    """
    some = _rated(p, rating, on)
    size = cp.multiply(np.tile(rating, p.shape[0])[some], _flat(on)[some])
    return [cp.SOC(size, cp.vstack([_flat(p)[some], _flat(q)[some]]), axis=0)] if len(some) else []


def _rated(p: cp.Expression, rating: Floats, on: cp.Expression | Floats) -> Ints:
    """Entries of p, row by row, that have a circle."""
    some = np.tile(np.isfinite(rating) & (rating > 0.0), p.shape[0])
    return np.flatnonzero(some if isinstance(on, cp.Expression) else some & (on.ravel() != 0.0))


def squares(p: cp.Expression, price: Floats, on: cp.Expression) -> tuple[Cone, list[cp.Constraint], cp.Expression]:
    """p² ≤ k on where there is a price of the square (K): the cone, its constraints, (T) price · k.

    The perspective of p² (Günlük and Linderoth 2010): as tight as can be where `on` is between 0 and 1.

    Args:
        p, on: (T, K). price: (K) of p², 0 or more.
    """
    periods, some = p.shape[0], np.flatnonzero(price)
    u, k, scale = (cp.Variable(periods * len(some), name=name) for name in ("p_priced", "p_square", "p_on"))
    constraints = [u == _flat(p[:, some]), scale == _flat(on[:, some])]
    return Cone(u=(u,), s=k, t=scale), constraints, cp.reshape(k, (periods, len(some)), order="C") @ price[some]


# Generators


def unit_ranges(
    network: Network, available: Floats, on: cp.Expression, p: cp.Expression, q: cp.Expression
) -> list[cp.Constraint]:
    """p̲ on ≤ p ≤ max(p̲, p̄ a) on, q̲ on ≤ q ≤ q̄ on, with a (T, G) the share that is available."""
    p_max = np.maximum(network.p_min, network.p_max * available)
    return [
        p >= on @ sp.diags_array(network.p_min),
        p <= cp.multiply(p_max, on),
        q >= on @ sp.diags_array(network.q_min),
        q <= on @ sp.diags_array(network.q_max),
    ]


def starts(units: UnitLinks, on: cp.Expression) -> tuple[cp.Variable, cp.Expression, list[cp.Constraint]]:
    """(T, G) starts, (T, G) stops, and their constraints: at whole `on` a start is 1 where one is, else 0."""
    before = one_before(on, units.on_before.astype(np.float64))
    start = cp.Variable(on.shape, name="start")
    stop = start - on + before
    return start, stop, [start >= 0, start <= on, start <= 1 - before, stop >= 0]


def ramps(
    network: Network, units: UnitLinks, hours: Floats, p: cp.Expression, start: cp.Expression, stop: cp.Expression
) -> list[cp.Constraint]:
    """p_t − p_{t−1} ≤ R Δ_t + p̄ u_t and p_{t−1} − p_t ≤ R' Δ_t + p̄ v_t: ramps, but at starts and stops.

    Δ_t are the hours between the middles of a period and the one before (`UnitLinks.between`).
    """
    before_known = np.isfinite(units.p_before)
    rise = _flat(p - one_before(p, np.where(before_known, units.p_before, 0.0)))
    between = units.between(hours)
    most = np.tile(np.maximum(np.abs(network.p_max), np.abs(network.p_min)), len(hours))
    constraints: list[cp.Constraint] = []
    for sign, limit, free in ((1.0, units.ramp_up, start), (-1.0, units.ramp_down, stop)):
        bounded = np.tile(np.isfinite(limit), (len(hours), 1))
        bounded[0] &= before_known
        some = np.flatnonzero(bounded)
        if len(some):
            step = np.outer(between, np.where(np.isfinite(limit), limit, 0.0)).ravel()[some]
            released = cp.multiply(most[some], _flat(free)[some])
            constraints.append(sign * rise[some] <= step + released)
    return constraints


# Loads


def shifts_in_time(
    share: Floats, load: Floats, hours: Floats, shift: cp.Expression, energy: Floats | float = 0.0
) -> list[cp.Constraint]:
    """|δ_t| ≤ s load_t, Σ_t h_t δ_t = E at each of M terminals: energy that moves in time.

    Args:
        share: (M). load: (T, M) active power as forecast, at nominal voltage; what feeds in does not move.
        hours: (T). shift: (T, M).
        energy: (M) E, other than 0 where the day makes up for what was moved before (`Demand.moved_over_day`).
    """
    most = np.maximum(load, 0.0) * share
    return [shift <= most, shift >= -most, hours @ shift == energy]


def moved_away(shift: cp.Expression) -> tuple[cp.Variable, list[cp.Constraint]]:
    """(T, N) at least the power that is missing, max(−δ, 0), and its constraints."""
    moved = cp.Variable(shift.shape, name="moved")
    return moved, [moved >= -shift, moved >= 0]


# Switches


def operations(today: Bools, closed: cp.Expression) -> tuple[cp.Variable, list[cp.Constraint]]:
    """(T, E) at least 1 where a branch changes its state from the period before, today's first, and its constraints."""
    before = one_before(closed, today.astype(np.float64))
    operated = cp.Variable(closed.shape, name="operated")
    return operated, [operated >= closed - before, operated >= before - closed]


def moves(today: Floats, chosen: cp.Expression, price: float) -> tuple[cp.Expression, list[cp.Constraint]]:
    """The price of devices that change their position from the period before, today's first, and its constraints.

    Args:
        today: (K) one-hot. chosen: (T, K) one-hot, the positions of all devices one after another. price: of a move.
    """
    if price == 0.0:
        return cp.Constant(0.0), []
    moved, constraints = operations(today > 0.5, chosen)
    return price * cp.sum(moved) / 2.0, constraints  # a move leaves one position and takes another


def _flat(x: cp.Expression | Floats) -> cp.Expression:
    return cp.vec(x, order="C")


def day_voltage_bounds(network: Network, day: DayArrays, devices: Devices, *, limits: bool) -> tuple[Floats, Floats]:
    """(N) lower and (N) upper bounds of the squared voltages in every period, realisation, schedule and recourse.

    Args:
        network: of the day, without loads. day: its arrays. devices: what may be set.
        limits: whether the voltage limits are kept by every point of interest.

    Raises:
        OptionError: no finite upper bound follows from the data.
    """
    uncertain, up = day.uncertain, 1.0 + day.uncertain.up.max(axis=0, initial=0.0)
    numbers = uncertain.load, uncertain.of_reactive, uncertain.renewable
    load_up, reactive_up, sun_up = (np.append(up, 1.0)[each] for each in numbers)
    stores, renewables, n = day.stores, day.renewables, network.n_terminals
    p = renewables.available.max(axis=0, initial=0.0) * sun_up
    fed = at_terminals(renewables.terminal, n) @ (p + 1j * renewables.s_max)
    fed = fed + at_terminals(stores.terminal, n) @ (stores.discharge_max + 1j * stores.s_max)
    moved = day.demand.shift_buses + day.demand.shift_time
    power, current, impedance = (
        (load_up + moved) * np.minimum(load.real, 0.0).min(axis=0)
        + 1j * (reactive_up + moved) * np.minimum(load.imag, 0.0).min(axis=0)
        for load in (day.load_power, day.load_current, day.load_impedance)
    )
    strongest = replace(
        network,
        s_power=network.s_power + power - fed,
        s_current=network.s_current + current,
        s_impedance=network.s_impedance + impedance,
        p_max=np.maximum(network.p_min, network.p_max * day.unit_available.max(axis=0, initial=0.0)),
    )
    lower, upper = voltage_bounds(highest_voltages(strongest, devices), limits=limits)
    lower[network.source_terminal] = lowest_sources(network, devices) ** 2
    return lower, upper


def largest_powers(network: Network, day: DayArrays) -> Complexes:
    """(N) sizes of all power that may be drawn or fed in at a terminal, whatever is scheduled."""
    up = np.append(1.0 + day.uncertain.up.max(axis=0, initial=0.0), 1.0)
    most = np.maximum(up[day.uncertain.load], up[day.uncertain.of_reactive])
    more = day.demand.shift_buses + day.demand.shift_time + most
    load = np.abs(day.load_power).max(axis=0) * more
    n, stores, renewables = network.n_terminals, day.stores, day.renewables
    unit = np.hypot(np.maximum(np.abs(network.p_min), np.abs(network.p_max)), np.maximum(-network.q_min, network.q_max))
    size = load + at_terminals(stores.terminal, n) @ (stores.charge_max + stores.discharge_max + stores.s_max)
    size = size + at_terminals(network.generator_terminal, n) @ unit
    available = renewables.available.max(axis=0, initial=0.0) * up[day.uncertain.renewable]
    size = size + at_terminals(renewables.terminal, n) @ (available + renewables.s_max)
    return np.asarray(np.abs(network.s_power) + size, dtype=np.complex128)


def at_terminals(terminals: Ints, n: int) -> sp.csr_array:
    """(n, K) a column has a 1 at its terminal."""
    return sp.csr_array((np.ones(len(terminals)), (terminals, np.arange(len(terminals)))), shape=(n, len(terminals)))


def with_supply_limits(flow: DistFlow, supply: SupplyLimits, on: Floats | cp.Expression) -> DistFlow:
    """The power flow with the limits of its sources, which may be missed, and of its generators, which may not.

    Args:
        flow: the power flow. supply: limits. on: (G) 1 where a generator is on.
    """
    limits, cones, constraints = [*flow.limits], [*flow.cones], [*flow.constraints]
    supply = at_kept_supply(supply)
    for name, power, least, most in (
        ("source active power", flow.source_p, supply.p_min, supply.p_max),
        ("source reactive power", flow.source_q, supply.q_min, supply.q_max),
    ):
        for sign, limit in ((1.0, most), (-1.0, -least)):
            if len(some := np.flatnonzero(np.isfinite(limit))):
                scale = power_scale(limit[some])
                over = cp.multiply(sign / scale, power[some]) - limit[some] / scale
                limits.append(Limit(name, over))
    if len(rated := np.flatnonzero(np.isfinite(supply.s_max))):
        p, q, size = (cp.Variable(len(rated), name=name) for name in ("p_source", "q_source", "s_source"))
        constraints += [p == flow.source_p[rated], q == flow.source_q[rated]]
        cones.append(Cone(u=(p, q), s=size, t=size))
        scale = power_scale(supply.s_max[rated])
        limits.append(Limit("source power", cp.multiply(1.0 / scale, size) - supply.s_max[rated] / scale))
    if flow.s_gen is not None and len(rated := np.flatnonzero(np.isfinite(supply.generator_s_max))):
        p, q, size = (cp.Variable(len(rated), name=name) for name in ("p_inverter", "q_inverter", "s_inverter"))
        constraints += [p == flow.s_gen[0][rated], q == flow.s_gen[1][rated]]
        constraints.append(size == cp.multiply(supply.generator_s_max[rated], on[rated]))
        cones.append(Cone(u=(p, q), s=size, t=size))
    return replace(flow, constraints=constraints, cones=tuple(cones), limits=tuple(limits))


def with_operating_cost(network: Network, flow: DistFlow, cost: OperatingCost, on: Floats | cp.Expression) -> DistFlow:
    """The power flow priced by all parts of the cost that depend on the flow, times `s_base_kva`.

    What changes, moves and idle generators cost is known from the decision alone.

    Args:
        network: the grid. flow: its power flow. cost: prices. on: (G) 1 where a generator is on.
    """
    total, priced = _priced(network, flow, cost, on)
    return replace(priced, cost=network.s_base_kva * total)


def with_criterion_bound(
    network: Network,
    flow: DistFlow,
    cost: OperatingCost,
    on: Floats | cp.Expression,
    limit: tuple[str, cp.Expression | float, float],
) -> DistFlow:
    """The power flow with a limit of another cost, which some decisions may miss.

    Args:
        network, flow, cost, on: as in `with_operating_cost`.
        limit: its name, the most that the parts that depend on the flow may cost, per unit, affine in the decision;
            what an excess is relative to.
    """
    name, most, scale = limit
    total, priced = _priced(network, flow, cost, on)
    excess = cp.reshape((total - most) / scale - LIMIT_TOLERANCE, (1,), order="F")
    return replace(priced, limits=(*priced.limits, Limit(name, excess)))


def _priced(
    network: Network, flow: DistFlow, cost: OperatingCost, on: Floats | cp.Expression
) -> tuple[cp.Expression, DistFlow]:
    """The cost of a flow per unit, an expression that is at least that, and the flow with what defines it."""
    total: cp.Expression = cost.loss * flow.loss
    cones, constraints = [*flow.cones], [*flow.constraints]
    if cost.source.any():
        total += cost.source @ flow.source_p
    if cost.current.any():
        total += cost.current @ flow.l
    if flow.s_gen is not None and cost.generator.any():
        total += cost.generator @ flow.s_gen[0]
    if flow.s_gen is not None and len(some := np.flatnonzero(cost.square)):
        p, square, scale = (cp.Variable(len(some), name=name) for name in ("p_priced", "p_square", "p_on"))
        constraints += [p == flow.s_gen[0][some], scale == on[some]]
        cones.append(Cone(u=(p,), s=square, t=scale))
        total += cost.square[some] @ square
    if cost.deviation:
        inner = network.inner
        away = cp.Variable(len(inner), name="away")
        constraints += [away >= (flow.w[inner] - 1.0) / 2.0, away >= (1.0 - flow.w[inner]) / 2.0]
        total += cost.deviation * cp.sum(away)
    return total, replace(flow, constraints=constraints, cones=tuple(cones))
