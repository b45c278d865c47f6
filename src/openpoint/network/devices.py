"""Devices: what may be set in a balanced network beside its switches, each to one of its positions.

A position is a whole number from 0; what it means is a value, which rises or falls with the position:

| kind | place | value |
|---|---|---|
| `BANK` | terminal of a capacitor bank | reactive power that it feeds in at nominal voltage (constant susceptance) |
| `VOLTAGE` | number of a source, in `source_terminal` | magnitude of the voltage that the source holds |
| `TAP` | conductor of a transformer with a tap changer | its ratio, as `Network.tap` |
| `UNIT` | number of a dispatchable generator | 0: off, it feeds nothing; 1: on, within its limits |

The values hold for one moment or for one period of several; a device of several periods has a position in each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network.arrays import Network


class DeviceKind(IntEnum):
    """What a device is."""

    BANK = 0
    VOLTAGE = 1
    TAP = 2
    UNIT = 3


@dataclass(frozen=True)
class Devices:
    """D devices, ordered by kind, in per unit.

    Attributes:
        names: (D) of the row of the grid. kind: (D) `DeviceKind`. place: (D) see the module.
        values: (D) arrays, the value at every position: rising or falling, at least one. Positions that the limits of
            a source's own bus forbid are not there.
        first: (D) number of position 0 as the grid counts it: the tap position, the steps that are on.
        today: (D) position today.
    """

    names: tuple[str, ...]
    kind: Ints
    place: Ints
    values: tuple[Floats, ...]
    first: Ints
    today: Ints

    @property
    def count(self) -> int:
        """D."""
        return len(self.names)

    @property
    def sizes(self) -> Ints:
        """(D) number of positions."""
        return np.array([len(values) for values in self.values], dtype=np.int64)

    def of(self, kind: DeviceKind) -> Ints:
        """Numbers of the devices of a kind."""
        return np.flatnonzero(self.kind == kind)

    def at(self, positions: Ints) -> Floats:
        """(D) values at (D) positions."""
        pairs = zip(self.values, positions, strict=True)
        return np.array([values[k] for values, k in pairs], dtype=np.float64)

    def only(self, free: Ints) -> Devices:
        """The devices of these numbers; the others stay where the network has them, at today's position."""
        return Devices(
            tuple(self.names[d] for d in free),
            self.kind[free],
            self.place[free],
            tuple(self.values[d] for d in free),
            self.first[free],
            self.today[free],
        )

    def one_hot(self, positions: Ints) -> Floats:
        """1 where a position is taken, the positions of all devices one after another."""
        whole = np.zeros(int(self.sizes.sum()))
        whole[np.cumsum(self.sizes) - self.sizes + positions] = 1.0
        return whole

    def with_some(self, some: Ints, positions: Ints) -> Ints:
        """(D) positions: these of some devices, today's of the others."""
        whole = self.today.copy()
        whole[some] = positions
        return whole


def no_devices() -> Devices:
    """No devices at all."""
    nothing = np.empty(0, dtype=np.int64)
    return Devices((), nothing, nothing, (), nothing, nothing)


def with_positions(network: Network, devices: Devices, positions: Ints) -> Network:
    """The network with its devices at (D) positions; `network` has them at today's."""
    now, was = devices.at(positions), devices.at(devices.today)
    s_impedance, source_v, tap = network.s_impedance.copy(), network.source_v.copy(), network.tap.copy()
    banks, voltages, taps = (devices.of(kind) for kind in (DeviceKind.BANK, DeviceKind.VOLTAGE, DeviceKind.TAP))
    np.subtract.at(s_impedance, devices.place[banks], 1j * (now - was)[banks])
    held = devices.place[voltages]
    source_v[held] *= now[voltages] / np.abs(source_v[held])
    tap[devices.place[taps]] = now[taps]
    units = devices.of(DeviceKind.UNIT)
    off = devices.place[units[now[units] == 0.0]]
    limits = {name: getattr(network, name).copy() for name in ("p_min", "p_max", "q_min", "q_max", "generator_s")}
    for values in limits.values():
        values[off] = 0.0
    return replace(network, s_impedance=s_impedance, source_v=source_v, tap=tap, **limits)


def off_today(network: Network, devices: Devices) -> Bools:
    """(G) whether a generator that may stop is off today."""
    off = np.zeros(len(network.generator_names), dtype=np.bool_)
    units = devices.of(DeviceKind.UNIT)
    off[devices.place[units]] = devices.today[units] == 0
    return off


def with_outputs_held(network: Network, devices: Devices, *, ranged: bool, off: bool) -> Network:
    """The network in which generators with a range (`ranged`), or those that are off (`off`), keep today's output."""
    held = off_today(network, devices) & off
    if ranged:
        held |= (network.p_min < network.p_max) | (network.q_min < network.q_max)
    p, q = network.generator_s.real, network.generator_s.imag
    return replace(
        network,
        p_min=np.where(held, p, network.p_min),
        p_max=np.where(held, p, network.p_max),
        q_min=np.where(held, q, network.q_min),
        q_max=np.where(held, q, network.q_max),
    )
