"""Loops, bridges and directed trees, on lists. All sources count as one node where radial states are meant."""

from __future__ import annotations

from dataclasses import dataclass

OPEN, CLOSED, FREE = 0, 1, 2


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
        first = min(self.sources)
        ends = self.around(edges)
        ends[first] = [pair for bus in sorted(self.sources) for pair in ends[bus]]
        rank, low = {first: 0}, {first: 0}
        found: set[int] = set()
        stack = [(first, -1, iter(ends[first]))]
        while stack:
            bus, came, rest = stack[-1]
            for e, far in rest:
                other = first if far in self.sources else far
                if e == came or other == bus:
                    continue
                if other not in rank:
                    rank[other] = low[other] = len(rank)
                    stack.append((other, e, iter(ends[other])))
                    break
                low[bus] = min(low[bus], rank[other])
            else:
                stack.pop()
                if stack:
                    above = stack[-1][0]
                    low[above] = min(low[above], low[bus])
                    if low[bus] > rank[above]:
                        found.add(came)
        return found, len(rank) - 1

    def consequences(self, status: list[int]) -> bool:
        """Open edges that would close a loop or exceed `most`, close bridges, until nothing changes.

        A radial state closes as many edges as there are buses without source; at most `most` of these are open today,
        so the others are closed today. Where no more edges than these are left of those closed today, they must close.

        Returns False where no radial state is left.
        """
        while True:
            closed = [e for e, state in enumerate(status) if state == CLOSED]
            part, kept = self.parts(closed)
            closings = len(self.fresh.intersection(closed))
            if len(kept) < len(closed) or closings > self.most:
                return False
            full = self.fresh if closings + 1 > self.most else ()
            for e, state in enumerate(status):
                if state == FREE and (part[self.fr[e]] == part[self.to[e]] or e in full):
                    status[e] = OPEN
            left = [e for e, state in enumerate(status) if state != OPEN and e not in self.fresh]
            spare = len(left) + self.most - (self.n - len(self.sources))
            if spare < 0:
                return False
            forced = [e for e in left if status[e] == FREE] if spare < 1 else []
            for e in forced:
                status[e] = CLOSED
            cut, joined = self.bridges([e for e, state in enumerate(status) if state != OPEN])
            if joined < self.n - len(self.sources):
                return False
            forced += [e for e in cut if status[e] == FREE]
            if not forced:
                return True
            for e in forced:
                status[e] = CLOSED

    def directed(self, status: list[int], tops: set[int], y: list[int]) -> list[tuple[int, int, int]]:
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
