"""Limits of voltage and current that a study keeps.

A kept limit: one that is not exceeded by more than a share of it. Bounds and judgements take it from here alone.

A bound is that of all states whose limits count as kept, so that no state that is accepted lies below it. What is
chosen and not computed, such as the output of a generator, keeps its range exactly.

The rated current of a branch, which ratings limit: the current at that of its ends which is nearer to its limit.

With i_fr and i_to the currents at the two ends, shunts included, each per unit of its own base, it is
max(`rated_fr` |i_fr|, `rated_to` |i_to|), per unit at the to side. Of a line these are both 1. Of a transformer
`rated_fr` is the limit at the to end over that at the from end, so that each winding has its own: with one rating in
kVA it is the ratio of the rated voltages, and a tap that lowers the ratio loads the from winding more. An open line
that is under voltage from one end has its charging current.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Real

import numpy as np

from openpoint.arguments import of_kind
from openpoint.arrays import Complexes, Floats
from openpoint.errors import OptionError
from openpoint.network.arrays import Network
from openpoint.network.devices import DeviceKind, Devices, no_devices
from openpoint.network.operating_cost import SupplyLimits


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of voltage and current.

    Attributes:
        voltage: keep the voltage limits of the buses. current: keep the ratings of the branches.
        v_min_pu, v_max_pu: limits for every bus that is no source, in place of the grid's own.
    """

    voltage: bool = True
    current: bool = True
    v_min_pu: float | None = None
    v_max_pu: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("v_min_pu", self.v_min_pu), ("v_max_pu", self.v_max_pu)):
            if value is None:
                continue
            of_kind(value, Real, name, "a number in pu, such as 0.95")
            if not 0.0 < value < 2.0:
                raise OptionError(f"{name} is {value:g}; a voltage limit lies between 0 and 2 pu")
        if self.v_min_pu is not None and self.v_max_pu is not None and self.v_min_pu > self.v_max_pu:
            raise OptionError(f"v_min_pu {self.v_min_pu:g} lies above v_max_pu {self.v_max_pu:g}; swap them")

    @classmethod
    def given(cls, limits: Limits | None) -> Limits:
        """The limits in an argument; those of the grid where there are none.

        Raises:
            OptionError: something else.
        """
        if limits is None:
            return cls()
        of_kind(limits, cls, "limits", "Limits(), such as Limits(v_min_pu=0.95)")
        return limits

    def applied(self, network: Network) -> Network:
        """The network with exactly these limits; sources have none, since they hold their voltage."""
        shape = network.w_min.shape
        w_min = network.w_min if self.voltage else np.zeros(shape)
        w_max = network.w_max if self.voltage else np.full(shape, np.inf)
        if self.v_min_pu is not None:
            w_min = np.full(shape, float(self.v_min_pu) ** 2)
        if self.v_max_pu is not None:
            w_max = np.full(shape, float(self.v_max_pu) ** 2)
        w_min, w_max = w_min.copy(), w_max.copy()
        w_min[network.source_terminal], w_max[network.source_terminal] = 0.0, np.inf
        l_max = network.l_max if self.current else np.full(network.l_max.shape, np.inf)
        return network.with_limits(w_min=w_min, w_max=w_max, l_max=l_max)


LIMIT_TOLERANCE = 1e-6
"""Excess, as a share of the limit, up to which it counts as kept: far finer than any meter's."""
LEAST_POWER = 1e-2
"""A limit of power is relative to itself, or to this share of `s_base_kva` if it is less."""
CHOSEN = 1e-9
"""Excess, as a share of its limit, up to which what is chosen counts as within its range: rounding."""


def least_square(square: Floats) -> Floats:
    """Least squares that keep lower limits of a magnitude, whose squares are given."""
    return np.asarray(square * (1.0 - LIMIT_TOLERANCE) ** 2)


def greatest_square(square: Floats) -> Floats:
    """Greatest squares that keep upper limits of a magnitude, whose squares are given."""
    return np.asarray(square * (1.0 + LIMIT_TOLERANCE) ** 2)


def least_magnitude(limit: Floats) -> Floats:
    """Least magnitudes that keep lower limits."""
    return np.asarray(limit * (1.0 - LIMIT_TOLERANCE))


def greatest_magnitude(limit: Floats) -> Floats:
    """Greatest magnitudes that keep upper limits."""
    return np.asarray(limit * (1.0 + LIMIT_TOLERANCE))


def power_slack(limit: Floats) -> Floats:
    """By how much limits of power, per unit, may be exceeded; 0 where there is none."""
    return np.asarray(LIMIT_TOLERANCE * power_scale(limit))


def power_scale(limit: Floats) -> Floats:
    """What an excess of power is relative to; 0 where there is no limit."""
    return np.where(np.isfinite(limit), np.maximum(np.abs(limit), LEAST_POWER), 0.0)


def at_kept_limits(network: Network) -> Network:
    """The network with limits of voltage and current as far out as they count as kept."""
    return network.with_limits(
        w_min=least_square(network.w_min), w_max=greatest_square(network.w_max), l_max=greatest_square(network.l_max)
    )


def at_kept_supply(supply: SupplyLimits) -> SupplyLimits:
    """Limits of sources as far out as they count as kept; those of generators are of what is chosen, and stay."""
    return replace(
        supply,
        p_min=supply.p_min - power_slack(supply.p_min),
        p_max=supply.p_max + power_slack(supply.p_max),
        q_min=supply.q_min - power_slack(supply.q_min),
        q_max=supply.q_max + power_slack(supply.q_max),
        s_max=supply.s_max + power_slack(supply.s_max),
    )


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


def loadings(network: Network, i: Floats) -> Floats:
    """(…, E) loadings of branches with these rated currents, percent of their ratings; nan where there is none."""
    return np.where(np.isfinite(network.rating), 100.0 * i / network.rating, np.nan)


def loading_limits(network: Network) -> Floats:
    """(E) loadings at which rated currents reach their limits, percent of the ratings; nan where there is no limit."""
    limited = np.isfinite(network.l_max)
    return np.where(limited, 100.0 * np.sqrt(np.where(limited, network.l_max, 0.0)) / network.rating, np.nan)


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

    Theory: docs/methods.md M5.
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
