"""The recourse of one period of a day: what is done once load and available power are known, as a convex program.

The schedule (generators, stores, demand moved in time) is given. With f the factor of a load, S its nominal power, g
what is available to a renewable source, all powers per unit, the recourse chooses

    0 ≤ p_r ≤ g_r,  p_r² + q_r² ≤ s_r²                          renewable sources, g_r − p_r is curtailed
    0 ≤ shed ≤ share · f Re S,  shed ≤ what the bus consumes    at the power factor of the forecast, or reactive load
    0 ≤ shed_q ≤ share · f |Im S|                               by itself
    moved⁺, moved⁻ ≤ share · f Re S,  Σ moved⁺ = Σ moved⁻       active demand that moves between buses
    |moved_q| ≤ share · f |Im S|,  Σ moved_q = 0                reactive demand, likewise

and the flow by DistFlow, so that its value is a lower bound of every AC operation. It costs, in $,

    hours · s_base · [ Σ_s price P⁺ − export P⁻ + reactive price Q⁺ + loss · losses + what the network's own prices say
                       of the flow + Σ_r curtailment (g − p)
                       + Σ_n shed_price · shed + shed_reactive_price · shed_q + shift_price · moved⁻ ].

Everything is affine in states of branches, positions of devices, schedule and realisation together, so the value is
convex in them, wherever no load of constant current or impedance is uncertain. What the schedule itself costs (wear,
generators, starts) is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.errors import OptionError
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.distflow import DistFlow, distflow
from openpoint.formulations.schedule import at_terminals, largest_powers, with_operating_cost, with_supply_limits
from openpoint.network import Network
from openpoint.network.day import (
    DayArrays,
    may_be_empty,
    movable,
    nominal_load,
    reactive_may_be_empty,
    sheddable,
    sheddable_reactive,
    splits,
    tangent,
)
from openpoint.network.limits import power_scale, power_slack
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import Cone, Limit, SecondStage

FLOW_LIMITS = ("branch active power", "branch reactive power")
"""Names of the limits of the power of branches."""


@dataclass(frozen=True)
class HourDemand:
    """What the recourse of a period meets: numbers or affine expressions, per unit.

    Attributes:
        power: (2N) active, then reactive constant power drawn before the recourse, the schedule included.
        load: (2N) load of which shares may be moved or shed: the active one, 0 where it feeds in, and the size of the
            reactive one. consumed: (N) active load with what was moved in time.
        available: (R) active power available to the renewable sources.
        current, impedance: (N) complex load of constant current and impedance.
    """

    power: cp.Expression | Floats
    load: cp.Expression | Floats
    consumed: cp.Expression | Floats
    available: cp.Expression | Floats
    current: Complexes
    impedance: Complexes


@dataclass(frozen=True)
class HourFlow(SecondStage):
    """The recourse of a period, and its variables; None where there are none.

    Attributes:
        flow: power flow. source: (S) active power that sources deliver. sold: of the sources at which the price of
            energy that flows back differs, see `splits`. source_q: (S) reactive power that they deliver, not what they
            take, where it has a price.
        renewable: (R) active and (R) reactive power that is fed in.
        shed: active power of the terminals `sheddable`. shed_q: of `sheddable_reactive`.
        moved: what comes, what leaves, and the reactive power that comes, of the terminals `movable`.
    """

    flow: DistFlow
    source: cp.Variable
    sold: cp.Variable | None
    source_q: cp.Variable | None
    renewable: tuple[cp.Variable, cp.Variable] | None
    shed: cp.Variable | None
    shed_q: cp.Variable | None
    moved: tuple[cp.Variable, cp.Variable, cp.Variable] | None


def check_uncertain_loads(network: Network, day: DayArrays) -> None:
    """Refuse uncertain loads of constant current or impedance: a factor times a voltage is not affine.

    Raises:
        OptionError: there are such loads.
    """
    other = (np.abs(day.load_current) + np.abs(day.load_impedance)).max(axis=0)
    uncertain = (day.uncertain.load >= 0) | (day.uncertain.of_reactive >= 0)
    if len(some := np.flatnonzero((other > 0) & uncertain)):
        where = ", ".join(sorted({network.bus_names[network.terminal_bus[n]] for n in some}))
        raise OptionError(
            f"The load of {where} is of constant current or impedance and uncertain; the worst case is proven for "
            "loads of constant power. Make it constant power, or certain."
        )


def recourse_flow(
    network: Network,
    day: DayArrays,
    t: int,
    demand: HourDemand,
    closed: cp.Expression,
    w_upper: Floats,
    supply: SupplyLimits,
    cost: OperatingCost,
    choice: DeviceChoice | None = None,
) -> HourFlow:
    """The recourse of period t.

    Args:
        network: of the day, without loads. day: its arrays. t: period.
        demand: what it meets; the output of generators is in it. closed: (E) states of the branches.
        w_upper: (N) upper bounds of the squared voltages, see `day_voltage_bounds`.
        supply: limits of sources. cost: prices; those of sources are of the day.
        choice: positions of devices; they stand where the network has them by default.
    """
    net = replace(
        without_generators(network),
        s_power=largest_powers(network, day),
        s_current=demand.current,
        s_impedance=demand.impedance,
    )
    power, available = _expression(demand.power), _expression(demand.available)
    drawn, constraints, cones, price = _choices(net, day, t, demand, available)
    flow = distflow(net, closed, w_upper, power + drawn.taken, choice)
    none = np.empty(0)
    flow = replace(flow, limits=(*flow.limits, *_flow_limits(net, day, flow)))
    flow = with_supply_limits(flow, supply, none)
    flow = with_operating_cost(net, flow, replace(cost, source=np.zeros_like(cost.source)), none)
    source = cp.Variable(len(net.source_terminal), name="source")
    constraints = [*flow.constraints, *constraints, source == flow.source_p]
    paid: cp.Expression = day.source_price[t] @ source
    sold = None
    if len(split := splits(day, t)):
        sold = cp.Variable(len(split), name="sold")
        constraints += [sold >= 0, sold >= -source[split]]
        paid += (day.source_price[t] - day.export_price[t])[split] @ sold
    source_q = None
    if day.price_reactive[t] > 0.0:
        source_q = cp.Variable(len(net.source_terminal), name="source_q")
        constraints += [source_q >= 0, source_q >= flow.source_q]
        paid += day.price_reactive[t] * cp.sum(source_q)
    return HourFlow(
        constraints,
        (*flow.cones, *cones),
        flow.limits,
        day.hours[t] * (flow.cost + net.s_base_kva * (paid + price)),
        flow=flow,
        source=source,
        sold=sold,
        source_q=source_q,
        renewable=drawn.renewable,
        shed=drawn.shed,
        shed_q=drawn.shed_q,
        moved=drawn.moved,
    )


def _flow_limits(network: Network, day: DayArrays, flow: DistFlow) -> Iterator[Limit]:
    """Active and reactive power of branches at both ends, either way, relative to what they may be."""
    if day.flow_max is None:
        return
    g, b = 0.5 * network.g, 0.5 * network.b
    ends = (
        (flow.p + cp.multiply(g, flow.w_fr), flow.p - cp.multiply(network.r, flow.l) - cp.multiply(g, flow.w_to)),
        (flow.q - cp.multiply(b, flow.w_fr), flow.q - cp.multiply(network.x, flow.l) + cp.multiply(b, flow.w_to)),
    )
    for name, powers, most in zip(FLOW_LIMITS, ends, day.flow_max, strict=True):
        some = np.flatnonzero(np.isfinite(most))
        scale, kept = power_scale(most[some]), most[some] + power_slack(most[some])
        if len(some):
            over = [cp.multiply(sign / scale, power[some]) - kept / scale for power in powers for sign in (1.0, -1.0)]
            yield Limit(name, cp.hstack(over))


@dataclass(frozen=True)
class _Drawn:
    """What the recourse draws: (2N) constant power, and its variables as in `HourFlow`."""

    taken: cp.Expression
    renewable: tuple[cp.Variable, cp.Variable] | None
    shed: cp.Variable | None
    shed_q: cp.Variable | None
    moved: tuple[cp.Variable, cp.Variable, cp.Variable] | None


def _choices(
    network: Network, day: DayArrays, t: int, demand: HourDemand, available: cp.Expression
) -> tuple[_Drawn, list[cp.Constraint], list[Cone], cp.Expression]:
    """Renewable sources, shedding and moves between buses, with their constraints and their price per hour."""
    n, angle, sign = network.n_terminals, tangent(day, t), np.sign(nominal_load(day, t).imag)
    taken_p: cp.Expression = cp.Constant(np.zeros(n))
    taken_q: cp.Expression = cp.Constant(np.zeros(n))
    load, consumed = _expression(demand.load), _expression(demand.consumed)
    consumed_q = load[n:] + cp.multiply(np.abs(angle), consumed - load[:n])
    constraints, cones, price = list[cp.Constraint](), list[Cone](), cp.Constant(0.0)
    renewable = shed = shed_q = moved = None
    if day.renewables.count:
        renewable, kept, cones = _renewables(day, available)
        at = at_terminals(day.renewables.terminal, n)
        taken_p, taken_q = taken_p - at @ renewable[0], taken_q - at @ renewable[1]
        constraints += kept
        price = price + day.renewables.curtailment @ (available - renewable[0])
    if len(some := movable(day)):
        come, leave, reactive = (cp.Variable(len(some), name=name) for name in ("come", "leave", "moved_q"))
        moved, share = (come, leave, reactive), day.demand.shift_buses[some]
        most_p, most_q = cp.multiply(share, load[some]), cp.multiply(share, load[n + some])
        constraints += [come >= 0, come <= most_p, leave >= 0, leave <= most_p, reactive <= most_q, reactive >= -most_q]
        constraints += [cp.sum(come) == cp.sum(leave), cp.sum(reactive) == 0]
        at = at_terminals(some, n)
        taken_p, taken_q = taken_p + at @ (come - leave), taken_q + at @ reactive
        consumed, consumed_q = consumed + at @ (come - leave), consumed_q + cp.multiply(sign, at @ reactive)
        price = price + day.demand.shift_price[some] @ leave
    if len(some := sheddable(day)):
        shed = cp.Variable(len(some), name="shed")
        constraints += [shed >= 0, shed <= cp.multiply(day.demand.shed_share[some], load[some])]
        if (full := may_be_empty(day)[some]).any():
            constraints.append(shed[full] <= consumed[some[full]])
        with_it = np.where(day.demand.sheds_apart, 0.0, angle)[some]
        if (full := reactive_may_be_empty(day)[some] & (with_it != 0.0)).any():
            constraints.append(cp.multiply(np.abs(with_it[full]), shed[full]) <= consumed_q[some[full]])
        taken_p, taken_q = (
            taken_p - at_terminals(some, n) @ shed,
            taken_q - at_terminals(some, n) @ cp.multiply(with_it, shed),
        )
        price = price + day.demand.shed_price[some] @ shed
    if len(some := sheddable_reactive(day)):
        assert day.demand.shed_reactive_price is not None
        shed_q = cp.Variable(len(some), name="shed_q")
        constraints += [shed_q >= 0, shed_q <= cp.multiply(day.demand.shed_share[some], load[n + some])]
        if (full := reactive_may_be_empty(day)[some]).any():
            constraints.append(shed_q[full] <= consumed_q[some[full]])
        taken_q = taken_q - at_terminals(some, n) @ cp.multiply(sign[some], shed_q)
        price = price + day.demand.shed_reactive_price[some] @ shed_q
    return _Drawn(cp.hstack([taken_p, taken_q]), renewable, shed, shed_q, moved), constraints, cones, price


def _renewables(
    day: DayArrays, available: cp.Expression
) -> tuple[tuple[cp.Variable, cp.Variable], list[cp.Constraint], list[Cone]]:
    """Active and reactive power of the renewable sources, within what is available and within their inverters."""
    p, q = cp.Variable(day.renewables.count, name="p_feed"), cp.Variable(day.renewables.count, name="q_feed")
    constraints, cones = [p >= 0, p <= available], list[Cone]()
    rated = np.flatnonzero(day.renewables.s_max > 0)
    if len(fixed := np.flatnonzero(day.renewables.s_max <= 0)):
        constraints.append(q[fixed] == 0)
    if len(rated):
        u, v, size = (cp.Variable(len(rated), name=name) for name in ("p_circle", "q_circle", "s_circle"))
        constraints += [u == p[rated], v == q[rated], size == day.renewables.s_max[rated]]
        cones.append(Cone(u=(u, v), s=size, t=size))
    return (p, q), constraints, cones


def without_generators(network: Network) -> Network:
    """The network without dispatchable generators."""
    nothing, zero = np.empty(0, dtype=np.int64), np.empty(0)
    return replace(
        network,
        generator_names=(),
        generator_terminal=nothing,
        generator_return=nothing,
        generator_s=np.empty(0, dtype=np.complex128),
        p_min=zero,
        p_max=zero,
        q_min=zero,
        q_max=zero,
    )


def _expression(value: cp.Expression | Floats) -> cp.Expression:
    return cp.Constant(value) if isinstance(value, np.ndarray) else value
