"""The tree of a radial state as intervals: buses in an order in which everything below a bus follows it at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.network import Network


@dataclass(frozen=True)
class Tree:
    """A radial state of N buses and E branches.

    Attributes:
        order: the buses under voltage, each before all that is fed through it, which follow it without a gap.
        place: (N) place of each bus in `order`, -1 without supply. end: (N) place after the last bus fed through it.
        above: (N) branch through which the bus is fed, -1 at sources and without supply.
        lower: (E) bus that the branch feeds, -1 where it feeds none.
    """

    order: Ints
    place: Ints
    end: Ints
    above: Ints
    lower: Ints

    def feeds(self, bus: int, other: Ints) -> Bools:
        """Whether other buses are fed through a bus, itself included."""
        return np.asarray((self.place[other] >= self.place[bus]) & (self.place[other] < self.end[bus]))

    def below(self, bus: int) -> Ints:
        """The buses fed through a bus, itself first."""
        return np.asarray(self.order[self.place[bus] : self.end[bus]])


def tree_of(network: Network, closed: Bools) -> Tree | None:
    """The tree of a state; None where it is not radial."""
    n, e = network.n_terminals, network.n_conductors
    around: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for k in np.flatnonzero(closed).tolist():
        a, b = int(network.terminal_fr[k]), int(network.terminal_to[k])
        around[a].append((k, b))
        around[b].append((k, a))
    order: list[int] = []
    place, end = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    above, lower = np.full(n, -1, dtype=np.int64), np.full(e, -1, dtype=np.int64)
    for source in network.source_terminal.tolist():
        stack = [(source, -1, False)]
        while stack:
            bus, came, done = stack.pop()
            if done:
                end[bus] = len(order)
                continue
            if place[bus] >= 0:  # reached twice: a loop, or two sources
                return None
            place[bus], above[bus] = len(order), came
            order.append(bus)
            if came >= 0:
                lower[came] = bus
            stack.append((bus, came, True))
            stack += [(other, k, False) for k, other in around[bus] if k != came]
    return Tree(np.array(order, dtype=np.int64), place, end, above, lower)
