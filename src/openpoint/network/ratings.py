"""The rated current of a branch, which ratings limit: the current at that of its ends which is nearer to its limit.

With i_fr and i_to the currents at the two ends, shunts included, each per unit of its own base, it is
max(`rated_fr` |i_fr|, `rated_to` |i_to|), per unit at the to side. Of a line these are both 1. Of a transformer
`rated_fr` is the limit at the to end over that at the from end, so that each winding has its own: with one rating in
kVA it is the ratio of the rated voltages, and a tap that lowers the ratio loads the from winding more. An open line
that is under voltage from one end has its charging current.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.network.arrays import Network
from openpoint.network.devices import DeviceKind, Devices, no_devices

MARGIN = 1e-12
"""Relative margin of greatest series currents, for rounding."""


def rated_currents(network: Network, v: Complexes, s_fr: Complexes, s_to: Complexes) -> Floats:
    """(…, E) rated currents, per unit.

    Args:
        network: balanced. v: (…, N) voltages. s_fr, s_to: (…, E) power into the branches at their ends.
    """
    size = np.abs(v)
    ends = (network.rated_fr, s_fr, network.terminal_fr), (network.rated_to, s_to, network.terminal_to)
    parts = [
        rated * np.divide(np.abs(s), size[..., at], out=np.zeros(s.shape), where=size[..., at] > 0.0)
        for rated, s, at in ends
    ]
    return np.maximum(*parts)


def rated_amperes(network: Network, i_fr_a: Complexes, i_to_a: Complexes) -> Floats:
    """(…, E) rated currents in A at the to side; i_fr_a, i_to_a: (…, E) currents at the two ends in A."""
    scale = network.v_base_kv[network.terminal_fr] / network.v_base_kv[network.terminal_to]
    return np.maximum(network.rated_fr * scale * np.abs(i_fr_a), network.rated_to * np.abs(i_to_a))


def series_limits(network: Network) -> Floats:
    """(E) squared series currents at which rated currents reach their limits where shunts are neglected."""
    return np.asarray(network.l_max / np.maximum(network.rated_fr / network.tap, network.rated_to) ** 2)


def greatest_series_currents(network: Network, devices: Devices | None = None) -> Floats:
    """(E) least upper bounds of the squared series currents of states whose rated currents keep their limits.

    With I = √l_max, the current j = i + y/2 u in at the from end, on the to side of the ratio t, is at most
    A = t I / rated_fr, and that out at the to end, k = i − y/2 v, at most B = I / rated_to. Without a shunt y both
    are i. Otherwise |i| is at most A + |y/2| max |u|, B + |y/2| max |v|, and (A + B) / |2 + y z / 2|, since
    j + k = i (2 + y z / 2); the least of the three is taken.

    Args:
        network: balanced, with the limits that hold; the voltage of a source is what it holds.
        devices: those that may be set: the greatest ratio counts in A, the least in max |u|, and the greatest
            voltage of a source.
    """
    devices = no_devices() if devices is None else devices
    least, most, w = network.tap.copy(), network.tap.copy(), network.w_max.copy()
    w[network.source_terminal] = np.abs(network.source_v) ** 2
    for d in devices.of(DeviceKind.TAP).tolist():
        values, e = devices.values[d], devices.place[d]
        least[e], most[e] = min(values.min(), least[e]), max(values.max(), most[e])
    for d in devices.of(DeviceKind.VOLTAGE).tolist():
        w[network.source_terminal[devices.place[d]]] = devices.values[d].max() ** 2
    half, z = 0.5 * np.asarray(network.y_shunt.diagonal()), np.asarray(network.z.diagonal())
    with np.errstate(divide="ignore", invalid="ignore"):
        j = most * np.sqrt(network.l_max) / network.rated_fr
        k = np.sqrt(network.l_max) / network.rated_to
        drawn_fr = np.abs(half) * np.sqrt(w[network.terminal_fr]) / least
        drawn_to = np.abs(half) * np.sqrt(w[network.terminal_to])
        ways = np.array([j + drawn_fr, k + drawn_to, (j + k) / np.abs(2.0 + half * z)])
    plain = half == 0.0
    ways[:, plain] = np.minimum(j, k)[plain]
    ways = np.where(np.isnan(ways), np.inf, ways)
    return np.asarray(ways.min(axis=0) ** 2 * (1.0 + MARGIN))
