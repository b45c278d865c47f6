"""The data of a grid that a certificate relies on, as exact fractions; the objective, and limits of supply."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, no_devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, least_loss, no_supply_limits

BY_SOURCE = ("p_min", "p_max", "q_min", "q_max", "s_max")
"""Limits of sources, in the order of `SupplyLimits`."""
LEAST_POWER = 1e-2
"""A limit of power is relative to itself, or to this power per unit if it is less."""


@dataclass(frozen=True)
class Objective:
    """Prices, those of changes and deviations aside, and limits of sources and generators."""

    cost: OperatingCost
    supply: SupplyLimits

    def limited(self) -> list[int]:
        """Numbers of the sources with a limit."""
        rows = np.array([vars(self.supply)[name] for name in BY_SOURCE])
        return [int(s) for s in np.flatnonzero(np.isfinite(rows).any(axis=0))]

    def alone(self, net: Network, devices: Devices) -> list[int]:
        """Numbers of the generators that may stop, whose output costs something, or with a greatest apparent power."""
        cost = self.cost
        found = np.isfinite(self.supply.generator_s_max)
        found |= (cost.generator != 0.0) | (cost.square != 0.0) | (cost.idle != 0.0)
        found[devices.place[devices.of(DeviceKind.UNIT)]] = True
        return [int(g) for g in np.flatnonzero(found)]

    def of_state(
        self, loss: float, source: Complexes, generation: Complexes, on: Bools, l: Mapping[int, float], moved: int
    ) -> float:
        """The cost of a state, without that of changes.

        Args:
            source: (S) power delivered. generation: (G). on: (G). l: squared currents by closed branch. moved: devices.
        """
        cost, p = self.cost, generation.real
        value = cost.loss * loss + float(cost.source @ source.real) + cost.move * moved
        value += float(cost.generator @ p + cost.square @ p**2 + cost.idle @ on)
        return value + sum((float(cost.current[e]) * square for e, square in l.items()), 0.0)

    def keeps(self, source: Complexes, generation: Complexes, beyond: float, slack: float) -> bool:
        """Whether powers keep the limits of sources, and those of generators.

        Args:
            beyond: share of a source's limit by which it may be exceeded; < 0: by which it must not be reached.
            slack: the same of a generator's, whose output is given and not computed.
        """
        supply, p, q = self.supply, source.real, source.imag
        pairs = (p, supply.p_max), (-p, -supply.p_min), (q, supply.q_max), (-q, -supply.q_min)
        by_source = all(
            power <= limit + beyond * max(abs(limit), LEAST_POWER)
            for powers, limits in (*pairs, (np.abs(source), supply.s_max))
            for power, limit in zip(powers.tolist(), limits.tolist(), strict=True)
            if math.isfinite(limit)
        )
        return by_source and bool(np.all(np.abs(generation) <= supply.generator_s_max * (1.0 + slack)))

    @property
    def sources_count(self) -> bool:
        """Whether the power of any source has a price or a limit."""
        return bool(self.limited()) or bool(self.cost.source.any())

    @property
    def supply_given(self) -> bool:
        """Whether any source or generator has a limit beside those of the network."""
        return bool(self.limited()) or bool(np.isfinite(self.supply.generator_s_max).any())

    @property
    def by_loss(self) -> bool:
        """Whether the loss is all that is minimised."""
        cost = self.cost
        parts = (cost.source, cost.generator, cost.square, cost.idle, cost.current, np.array([cost.move]))
        return cost.loss == 1.0 and not any(part.any() for part in parts)


def least_losses(net: Network) -> Objective:
    """The loss, and no limits beside those of the network."""
    g, s = len(net.generator_names), len(net.source_terminal)
    return Objective(least_loss(g, s, net.n_conductors), no_supply_limits(g, s))


@dataclass(frozen=True)
class Data:
    """A grid whose losses are sought, without devices, in fractions.

    Attributes:
        r, x, tap: by branch, the ratio at its from bus. g, b: half of its shunt. g_open_fr, b_open_fr, g_open_to,
            b_open_to: its admittance at its from and to bus while it is open. l_max: greatest squared series
            current that the limits allow, 0 if any. price: cost of closing it.
        p, q: by bus the least demand; p_span, q_span: width of its range; p_v, q_v: demand per voltage. p_w, q_w: per
            squared voltage. w_min, w_max: bounds of the squared voltages. worth: cost per squared voltage, of a part of
            a grid (`openpoint.verify.regions`).
    """

    r: list[Fraction]
    x: list[Fraction]
    tap: list[Fraction]
    g: list[Fraction]
    b: list[Fraction]
    g_open_fr: list[Fraction]
    b_open_fr: list[Fraction]
    g_open_to: list[Fraction]
    b_open_to: list[Fraction]
    l_max: list[Fraction]
    price: list[Fraction]
    p: list[Fraction]
    q: list[Fraction]
    p_span: list[Fraction]
    q_span: list[Fraction]
    p_v: list[Fraction]
    q_v: list[Fraction]
    p_w: list[Fraction]
    q_w: list[Fraction]
    w_min: list[Fraction]
    w_max: list[Fraction]
    worth: list[Fraction]


NOTHING = no_devices()


def read(net: Network, l_max: list[float], change_cost: Fraction) -> Data:
    """The data of a grid, without voltage limits. A closing costs two changes, as an opening comes with it."""

    def exact(part: Any) -> list[Fraction]:
        return [Fraction(value) for value in part.tolist()]

    def taken(drawn: Any, *fed: Any) -> list[Fraction]:
        """By bus, less the generation."""
        found = exact(drawn)
        for output in fed:
            for bus, value in zip(net.generator_terminal.tolist(), exact(output), strict=True):
                found[bus] -= value
        return found

    half, nothing = 0.5 * net.y_shunt.diagonal(), np.zeros(net.n_terminals)
    return Data(
        r=exact(net.r),
        x=exact(net.x),
        tap=exact(net.tap),
        g=exact(half.real),
        b=exact(half.imag),
        g_open_fr=exact(net.y_open_fr.real),
        b_open_fr=exact(net.y_open_fr.imag),
        g_open_to=exact(net.y_open_to.real),
        b_open_to=exact(net.y_open_to.imag),
        l_max=[Fraction(0 if l == math.inf else l) for l in l_max],
        price=[Fraction(0) if closed else 2 * change_cost for closed in net.closed.tolist()],
        p=taken(net.s_power.real, net.p_max),
        q=taken(net.s_power.imag, net.q_max),
        p_span=taken(nothing, net.p_min, -net.p_max),
        q_span=taken(nothing, net.q_min, -net.q_max),
        p_v=taken(net.s_current.real),
        q_v=taken(net.s_current.imag),
        p_w=taken(net.s_impedance.real),
        q_w=taken(net.s_impedance.imag),
        w_min=[],
        w_max=[],
        worth=exact(nothing),
    )


def digest(net: Network, devices: Devices = NOTHING) -> str:
    """SHA-256 of the data read here without the limits; docs/formats.md lists them."""
    names = json.dumps([net.bus_names, net.branch_names, net.generator_names]).encode()
    wholes = net.terminal_fr, net.terminal_to, net.source_terminal, net.generator_terminal
    loads = net.s_power, net.s_current, net.s_impedance
    complexes = net.z.diagonal(), net.y_shunt.diagonal(), *loads, net.source_v
    floats = net.tap, net.p_min, net.p_max, net.q_min, net.q_max
    parts = [*((a, "<i8") for a in wholes), *((a, "<c16") for a in complexes), *((a, "<f8") for a in floats)]
    parts += [(net.switchable, "<u1"), (net.closed, "<u1")]
    if net.y_open_fr.any() or net.y_open_to.any():
        parts += [(net.y_open_fr, "<c16"), (net.y_open_to, "<c16")]
    whole = [names, *(np.asarray(a, kind).tobytes() for a, kind in parts)]
    if devices.count:
        whole += [json.dumps(devices.names).encode()]
        wholes = devices.kind, devices.place, devices.sizes, devices.today
        whole += [np.asarray(a, "<i8").tobytes() for a in wholes]
        whole += [np.asarray(values, "<f8").tobytes() for values in devices.values]
    return hashlib.sha256(b"".join(whole)).hexdigest()
