"""The objective by prices, and limits of supply."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
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
