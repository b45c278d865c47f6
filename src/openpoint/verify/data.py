"""The data of a grid that a certificate relies on, as exact fractions, and their digest."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Generic, TypeVar

import numpy as np

from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, no_devices

Number = TypeVar("Number", int, Fraction)


@dataclass(frozen=True)
class Data(Generic[Number]):
    """A grid in fractions, or in integers that are these times a power of two.

    Attributes:
        r, x, tap: by branch, the ratio at its from bus. g, b: half of its shunt. g_open_fr, b_open_fr, g_open_to,
            b_open_to: its admittance at its from and to bus while it is open. l_max: greatest squared current, 0 if
            there is no limit. price: cost of closing it.
        p, q: by bus the least demand; p_span, q_span: width of its range; p_v, q_v: demand per voltage. p_w, q_w: per
            squared voltage. w_min, w_max: bounds of the squared voltages.
        value: by position, one device after another: of a bank how much more it feeds in per squared voltage than
            today, of a source its squared voltage, of a tap changer its ratio, of a unit whether it is on. box: of
            every unit the least and greatest active, the least and greatest reactive output, which p to q_span lack.
    """

    r: list[Number]
    x: list[Number]
    tap: list[Number]
    g: list[Number]
    b: list[Number]
    g_open_fr: list[Number]
    b_open_fr: list[Number]
    g_open_to: list[Number]
    b_open_to: list[Number]
    l_max: list[Number]
    price: list[Number]
    p: list[Number]
    q: list[Number]
    p_span: list[Number]
    q_span: list[Number]
    p_v: list[Number]
    q_v: list[Number]
    p_w: list[Number]
    q_w: list[Number]
    w_min: list[Number]
    w_max: list[Number]
    value: list[Number]
    box: list[Number]

    def whole(self) -> tuple[Data[int], int]:
        """The data times 2^k, all integers, and k, at least 32; the denominator of a float is a power of two."""
        columns: list[list[Fraction]] = [getattr(self, field.name) for field in fields(self)]
        k = max(32, *(value.denominator.bit_length() - 1 for column in columns for value in column))
        return Data[int](*([int(value * 2**k) for value in column] for column in columns)), k


NOTHING = no_devices()


def read(net: Network, l_max: list[float], change_cost: Fraction, devices: Devices = NOTHING) -> Data[Fraction]:
    """The data of a grid, without voltage limits. A closing costs two changes, as an opening comes with it."""
    held = set(net.source_terminal.tolist())
    units = devices.place[devices.of(DeviceKind.UNIT)]

    def exact(part: Any) -> list[Fraction]:
        return [Fraction(value) for value in part.tolist()]

    def taken(drawn: Any, *fed: Any) -> list[Fraction]:
        """By bus, less the generation; 0 at sources, where demand causes no loss."""
        found = exact(drawn)
        for output in fed:
            for g, (bus, value) in enumerate(zip(net.generator_terminal.tolist(), exact(output), strict=True)):
                found[bus] -= 0 if g in units else value
        return [Fraction(0) if bus in held else value for bus, value in enumerate(found)]

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
        value=[value for d in range(devices.count) for value in _worth(devices, d)],
        box=[Fraction(part[g]) for g in units for part in (net.p_min, net.p_max, net.q_min, net.q_max)],
    )


def _worth(devices: Devices, d: int) -> list[Fraction]:
    """What `Data.value` holds of a device."""
    values = [Fraction(value) for value in devices.values[d].tolist()]
    if devices.kind[d] == DeviceKind.BANK:
        return [value - values[devices.today[d]] for value in values]
    return [value**2 for value in values] if devices.kind[d] == DeviceKind.VOLTAGE else values


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
