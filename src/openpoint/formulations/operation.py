"""Operating costs, and limits of sources and generators, as parts of a DistFlow program.

With P, Q the power of a source, p, q that of a generator and y = 1 where it is on, all of it linear but for

    P² + Q² ≤ m²,       m ≤ S            limit of the apparent power of a source, which some decisions may miss
    p² + q² ≤ (s y)²                     inverter: s is the limit of the apparent power of a generator
    p² ≤ c y                             quadratic price times c; the perspective of p² (Günlük and Linderoth 2010)
    d ≥ (w − 1) / 2, d ≥ (1 − w) / 2     deviation of a voltage
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.formulations.distflow import DistFlow
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE, at_kept_supply, power_scale
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import Cone, Limit


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


def with_ceiling(
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
        inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
        away = cp.Variable(len(inner), name="away")
        constraints += [away >= (flow.w[inner] - 1.0) / 2.0, away >= (1.0 - flow.w[inner]) / 2.0]
        total += cost.deviation * cp.sum(away)
    return total, replace(flow, constraints=constraints, cones=tuple(cones))
