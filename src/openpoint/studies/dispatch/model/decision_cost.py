"""What a decision costs whatever flows: changes of switches, moves of devices, generators that are on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.operating_cost import OperatingCost
from openpoint.solvers.modelling import cp


@dataclass(frozen=True)
class DecisionCost:
    """The part of an operating cost that is known from the decision alone, times `s_base_kva`.

    Attributes:
        network: the grid today. devices: what may be set. cost: all prices.
    """

    network: Network
    devices: Devices
    cost: OperatingCost

    @property
    def change(self) -> float:
        """Cost of one change."""
        return self.cost.change * self.network.s_base_kva

    @cached_property
    def by_position(self) -> Floats:
        """(K) cost of each position of each device, one after another: a move, a unit that is on."""
        devices, cost = self.devices, self.cost
        parts = [np.full(size, cost.move) for size in devices.sizes]
        for part, kind, place, values, today in zip(
            parts, devices.kind, devices.place, devices.values, devices.today, strict=True
        ):
            part[today] = 0.0
            if kind == DeviceKind.UNIT:
                part += cost.idle[place] * values
        return np.asarray(self.network.s_base_kva * np.concatenate([np.empty(0), *parts]))

    @cached_property
    def always(self) -> float:
        """Cost of the generators that are no devices and so are always on."""
        units = self.devices.place[self.devices.of(DeviceKind.UNIT)]
        return float(self.network.s_base_kva * (self.cost.idle.sum() - self.cost.idle[units].sum()))

    def of(self, closed: Bools, positions: Ints) -> Floats:
        """(C) cost of C decisions, closed (C, E) and positions (C, D)."""
        sizes = self.devices.sizes
        changes = np.sum(closed != self.network.closed, axis=1)
        moved = self.by_position[np.cumsum(sizes) - sizes + positions].sum(axis=1)
        return np.asarray(self.change * changes + self.always + moved)

    def expression(self, closed: cp.Expression, chosen: cp.Expression) -> cp.Expression:
        """The same for a decision that is yet to be made: (E) states and (K) one-hot positions."""
        today = self.network.closed
        total = self.always + self.change * (cp.sum(closed[~today]) + cp.sum(1 - closed[today]))
        return total + self.by_position @ chosen if self.devices.count else total

    @property
    def of_flow(self) -> OperatingCost:
        """The prices that are left: those of the flow."""
        return replace(self.cost, change=0.0, move=0.0, idle=np.zeros(len(self.cost.idle)))
