"""Degrees of freedom of a grid: switches, taps, capacitor steps, outputs of generators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from openpoint.arguments import Names
from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError, Problem
from openpoint.network.arrays import Network
from openpoint.network.devices import DeviceKind, Devices, off_today, with_outputs_held
from openpoint.network.operating_cost import OperatingCost

FREE = ("topology", "taps", "capacitors", "generators", "commitment")
"""What may be free: switches; tap changers and voltages of sources; capacitor steps; output of generators; whether they
run at all."""
FREED_BY = {
    DeviceKind.BANK: "capacitors",
    DeviceKind.VOLTAGE: "taps",
    DeviceKind.TAP: "taps",
    DeviceKind.UNIT: "commitment",
}
"""What must be free for a device of a kind to move."""
_NEEDED = {
    "topology": "a branch that is switchable, or that `switchable` names",
    "taps": "a controllable transformer with tap_min below tap_max, or a source with v_min_pu, v_max_pu and v_step_pu",
    "capacitors": "a controllable capacitor bank",
    "generators": "a generator with p_min_kw, p_max_kw, q_min_kvar or q_max_kvar",
    "commitment": "a generator with limits and may_stop",
}
_ONE_WAY = "Lock it one way only; what is not switchable keeps its state, unless --switchable names it"


def free_kinds(network: Network, every: Devices, named: Iterable[str] | None) -> tuple[str, ...]:
    """What is free, in the order of `FREE`: what was named, or all of which the grid has any.

    Args:
        every: the devices of the grid. named: None = not named.

    Raises:
        OptionError: something named of which it has none, or nothing at all.
    """
    there = {FREED_BY[DeviceKind(kind)] for kind in every.kind}
    there |= {"topology"} if network.switchable.any() else set()
    ranges = (network.p_min < network.p_max) | (network.q_min < network.q_max)
    there |= {"generators"} if ranges.any() else set()
    if named is None:
        if not there:
            needed = "; ".join(f"{kind}: {what}" for kind, what in _NEEDED.items())
            raise OptionError(f"nothing may move in this grid. What would: {needed}")
        return tuple(kind for kind in FREE if kind in there)
    wanted = set(named)
    if missing := [kind for kind in FREE if kind in wanted - there]:
        text = "; ".join(f"{kind} needs {_NEEDED[kind]}" for kind in missing)
        raise OptionError(f"free names what this grid has none of: {text}")
    return tuple(kind for kind in FREE if kind in wanted)


def freed(network: Network, every: Devices, free: Iterable[str]) -> tuple[Network, Devices]:
    """The network in which the outputs that are not free are held as today, and the devices that are free."""
    kinds = set(free)
    held = with_outputs_held(network, every, ranged="generators" not in kinds, off="commitment" not in kinds)
    return held, every.only(np.flatnonzero([FREED_BY[DeviceKind(kind)] in kinds for kind in every.kind]))


def without_idle(prices: OperatingCost, network: Network, every: Devices, free: Iterable[str]) -> OperatingCost:
    """The prices without those of being on, of generators that are off and stay so."""
    if "commitment" in set(free):
        return prices
    return replace(prices, idle=np.where(off_today(network, every), 0.0, prices.idle))


@dataclass(frozen=True, eq=False)
class SwitchingRules:
    """Which states of the branches may be chosen, and what a change of today's costs.

    Attributes:
        must_close, must_open: (E) branches whose state is given.
        max_changes: most branches whose state may differ from today's; None = any number. change_cost: of each, per
            unit.
    """

    must_close: Bools
    must_open: Bools
    max_changes: int | None = None
    change_cost: float = 0.0

    @classmethod
    def of(cls, network: Network, max_changes: int | None = None, change_cost: float = 0.0) -> Self:
        """Where only what is not switchable keeps its state."""
        fixed = ~network.switchable
        return cls(network.closed & fixed, ~network.closed & fixed, max_changes, change_cost)

    @classmethod
    def locked(
        cls,
        network: Network,
        closed: Bools,
        switchable: Bools,
        locked_open: Names,
        locked_closed: Names,
        max_changes: int | None = None,
        change_cost: float = 0.0,
    ) -> Self:
        """Where what is not switchable keeps its state, and what is locked has the state that is named.

        Args:
            closed, switchable: (B) today's state of the branches, and which may be switched.
            locked_open, locked_closed: names of branches that are locked.

        Raises:
            InputError: a name that is no branch, or a branch that must be both.
        """
        must_close, must_open = closed & ~switchable, ~closed & ~switchable
        wanted = ((locked_open, must_open, must_close, "closed"), (locked_closed, must_close, must_open, "open"))
        for names, mine, other, word in wanted:
            for name, e in zip(names, network.branch_numbers(list(names))):
                if other[e]:
                    raise InputError([Problem("branches", name, "", f"it must be {word} already", _ONE_WAY)])
                mine[e] = True
        return cls(must_close, must_open, max_changes, change_cost)

    def without(self, dropped: Bools) -> Self:
        """Where these branches (E) are open, whatever else is said of them."""
        return replace(self, must_close=self.must_close & ~dropped, must_open=self.must_open | dropped)

    def keeps(self, closed: Bools) -> bool:
        """Whether a state (E) has the branches as they are given."""
        return not (self.must_close & ~closed).any() and not (self.must_open & closed).any()

    def contradict(self, network: Network) -> bool:
        """Whether a branch must be both, or must close a loop by itself."""
        loops = network.terminal_fr == network.terminal_to
        return bool(np.any(self.must_close & (self.must_open | loops)))
