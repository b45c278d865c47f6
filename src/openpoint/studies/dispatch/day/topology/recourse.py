"""The recourse of a copy, a realisation of a period, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.formulations.schedule import largest_powers
from openpoint.network.day import DayArrays, available_power, load_factors, movable, nominal_load, sheddable, tangent
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.limits import at_kept_supply
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.topology.builder import ANGLES, Builder


@dataclass(frozen=True)
class Copy:
    """A realisation (U) of a period."""

    period: int
    realisation: Floats


def renewables(builder: Builder, day: DayArrays, k: int, copy: Copy, scale: float) -> float:
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


def demand(builder: Builder, day: DayArrays, k: int, copy: Copy, scale: float) -> None:
    """What is shed, and what moves between buses."""
    t, demand = copy.period, day.demand
    load = nominal_load(day, t) * load_factors(day, copy.realisation)
    active, reactive = np.maximum(load.real, 0.0), np.abs(load.imag)
    if len(some := sheddable(day)):
        shed = builder.add(
            np.zeros(len(some)), demand.shed_share[some] * active[some], scale * demand.shed_price[some], owner=k
        )
        builder.draw(k, some, shed, -1.0)
        builder.draw(k, some, shed, -tangent(day, t)[some], reactive=True)
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


def banks(builder: Builder, devices: Devices, k: int) -> Ints:
    """What banks feed in at nominal voltage."""
    banks = devices.of(DeviceKind.BANK)
    values = [devices.values[d] for d in banks]
    columns = builder.add(np.array([v.min() for v in values]), np.array([v.max() for v in values]), owner=k)
    builder.draw(k, devices.place[banks], columns, -1.0, reactive=True)
    return columns


def sources(builder: Builder, question: DayQuestion, k: int, t: int, scale: float) -> Ints:
    """(S, 3) columns of what sources deliver: bought, sold, reactive."""
    day, supply = question.day, at_kept_supply(question.supply)
    most = 4.0 * float(largest_powers(question.network, day).real.sum())
    p_low, p_high, q_low, q_high, s_high = (
        np.clip(part, -most, most) for part in (supply.p_min, supply.p_max, supply.q_min, supply.q_max, supply.s_max)
    )
    p_low, p_high = np.maximum(p_low, -s_high), np.minimum(p_high, s_high)
    q_low, q_high = np.maximum(q_low, -s_high), np.minimum(q_high, s_high)
    bought = builder.add(np.maximum(p_low, 0.0), np.maximum(p_high, 0.0), scale * day.source_price[t], owner=k)
    sold = builder.add(np.maximum(-p_high, 0.0), np.maximum(-p_low, 0.0), -scale * day.export_price[t], owner=k)
    q = builder.add(q_low, q_high, owner=k)
    at = question.network.source_terminal
    builder.draw(k, at, bought, -1.0)
    builder.draw(k, at, sold, 1.0)
    builder.draw(k, at, q, -1.0, reactive=True)
    return np.stack([bought, sold, q], axis=1)
