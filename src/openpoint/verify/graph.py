"""Loops, bridges and directed trees, on lists. All sources count as one node where radial states are meant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openpoint.arrays import States
from openpoint.verify.wires import CLOSED, OPEN, Wires, bridged, consequences, wires


@dataclass(frozen=True)
class Graph:
    """A graph of `n` buses; edge e joins fr[e] and to[e]; `sources` hold their voltage.

    No state closes more than `most` of the edges in `fresh`, those that are open today.
    """

    n: int
    fr: list[int]
    to: list[int]
    sources: set[int]
    fresh: set[int]
    most: float

    @cached_property
    def wires(self) -> Wires:
        """The graph for compiled functions."""
        return wires(self.fr, self.to, self.sources, self.n, self.fresh, self.most)

    def parts(self, edges: list[int]) -> tuple[list[int], list[int]]:
        """The connected component of each bus, and the edges that join two components, in the given order."""
        first = min(self.sources)
        leader = [first if bus in self.sources else bus for bus in range(self.n)]

        def find(bus: int) -> int:
            while leader[bus] != bus:
                leader[bus] = bus = leader[leader[bus]]
            return bus

        kept = []
        for e in edges:
            a, b = find(self.fr[e]), find(self.to[e])
            if a != b:
                leader[a] = b
                kept.append(e)
        return [find(bus) for bus in range(self.n)], kept

    def around(self, edges: list[int]) -> list[list[tuple[int, int]]]:
        """For every bus its adjacent (edge, other bus)."""
        ends: list[list[tuple[int, int]]] = [[] for _ in range(self.n)]
        for e in edges:
            ends[self.fr[e]].append((e, self.to[e]))
            ends[self.to[e]].append((e, self.fr[e]))
        return ends

    def bridges(self, edges: list[int]) -> tuple[set[int], int]:
        """Edges without which fewer buses are joined to the sources, and how many buses without source are joined."""
        status = np.full(len(self.fr), OPEN, dtype=np.int8)
        status[edges] = CLOSED
        count = bridged(self.wires, status)
        return set(np.flatnonzero(self.wires.cut).tolist()), count

    def consequences(self, status: States) -> bool:
        """Open and close what follows from the graph, see `openpoint.verify.wires.consequences`.

        Returns:
            False where no radial state is left.
        """
        return consequences(self.wires, status)

    def directed(self, status: Sequence[int], tops: set[int], y: list[int]) -> list[tuple[int, int, int]]:
        """(bus, parent bus, edge to it) of the closed edges, parents first; -1, -1 at roots.

        The root of a part without a source is its bus in `tops`, or else that of least y.
        """
        ends = self.around([e for e, state in enumerate(status) if state == CLOSED])
        order: list[tuple[int, int, int]] = []
        seen = [False] * self.n
        firsts = sorted(self.sources), sorted(tops - self.sources), sorted(range(self.n), key=y.__getitem__)
        for root in (bus for some in firsts for bus in some):
            if seen[root]:
                continue
            seen[root] = True
            at = len(order)
            order.append((root, -1, -1))
            while at < len(order):
                bus, _, came = order[at]
                at += 1
                for e, other in ends[bus]:
                    if e != came and not seen[other]:
                        seen[other] = True
                        order.append((other, bus, e))
        return order
