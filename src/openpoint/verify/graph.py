"""Loops, bridges and directed trees, on lists. All sources count as one node where radial states are meant.

Compiled: loops and bridges of a graph. All sources count as one node, the number of the first one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from openpoint.arrays import Indices, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table


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
        """Open and close what follows from the graph, see `openpoint.verify.graph.consequences`.

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


OPEN, CLOSED, FREE = 0, 1, 2
ONE: Any = np.int64(1)
"""1, of the width of all numbers here."""


@dataclass(frozen=True, eq=False)
class Wires(Table):
    """A graph of n nodes and m edges, and room to work.

    Attributes:
        fr, to: (m). begin: (n + 1) where the edges of a node begin in `edge` and `other`, the nodes at their far ends.
        fresh: (m) whether an edge is open today. most: of these no state closes more. joined: number of other nodes
            that every state joins to the sources. source: number of the node that the sources are.
        leader, rank, low, came, at, stack: (n). cut: (m) whether an edge is a bridge, as `bridges` found.
    """

    fr: Indices
    to: Indices
    begin: Indices
    edge: Indices
    other: Indices
    fresh: States
    most: int
    joined: int
    source: int
    leader: Indices
    rank: Indices
    low: Indices
    came: Indices
    at: Indices
    stack: Indices
    cut: States


def wires(fr: list[int], to: list[int], sources: set[int], n: int, fresh: set[int], most: float) -> Wires:
    """A graph, with the sources as one node."""
    first, m = min(sources), len(fr)
    ends = [[first if bus in sources else bus for bus in side] for side in (fr, to)]
    around: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for e, (a, b) in enumerate(zip(*ends, strict=True)):
        if a != b:
            around[a].append((e, b))
            around[b].append((e, a))
    flat = np.array([pair for pairs in around for pair in pairs], dtype=np.int32).reshape(-1, 2)
    names = ("leader", "rank", "low", "came", "at", "stack")
    rooms: dict[str, Any] = {name: np.zeros(n, dtype=np.int32) for name in names}
    return Wires(
        fr=np.array(ends[0], dtype=np.int32),
        to=np.array(ends[1], dtype=np.int32),
        begin=np.concatenate([[0], np.cumsum([len(pairs) for pairs in around])]).astype(np.int32),
        edge=np.ascontiguousarray(flat[:, 0]),
        other=np.ascontiguousarray(flat[:, 1]),
        fresh=np.array([e in fresh for e in range(m)], dtype=np.int8),
        most=m if most >= m else math.floor(most),
        joined=n - len(sources),
        source=first,
        **rooms,
        cut=np.zeros(m, dtype=np.int8),
    )


@inlined
def find(wires: Wires, node: int) -> int:
    """The leader of the closed part that a node is in."""
    leader = wires.leader
    while leader[node] != node:
        leader[node] = leader[leader[node]]
        node = leader[node]
    return node


@inlined
def join(wires: Wires, status: States) -> bool:
    """Find the parts that closed edges join; False where these make a loop, or too many of them are open today."""
    closings = 0
    for node in range(len(wires.leader)):
        wires.leader[node] = node
    for e in range(len(status)):
        if status[e] == CLOSED:
            closings += wires.fresh[e]
            a, b = find(wires, wires.fr[e]), find(wires, wires.to[e])
            if a == b:
                return False
            wires.leader[a] = b
    for e in range(len(status)):
        if status[e] == FREE and (
            find(wires, wires.fr[e]) == find(wires, wires.to[e]) or (wires.fresh[e] and closings + 1 > wires.most)
        ):
            status[e] = OPEN
    return closings <= wires.most


@inlined
def bridges(wires: Wires, status: States) -> int:
    """Mark in `cut` the edges, open ones aside, without which fewer nodes are joined to the sources.

    A search in depth: an edge is a bridge if nothing beyond it has an edge back to before it (Tarjan 1974).

    Returns:
        how many nodes are joined to the sources.
    """
    rank, low, at, stack = wires.rank, wires.low, wires.at, wires.stack
    for node in range(len(rank)):
        rank[node] = -1
        at[node] = wires.begin[node]
    for e in range(len(wires.cut)):
        wires.cut[e] = 0
    count, depth = ONE, ONE - 1
    stack[0] = wires.source
    rank[wires.source] = low[wires.source] = 0
    wires.came[wires.source] = -1
    while depth >= 0:
        node = stack[depth]
        if at[node] < wires.begin[node + 1]:
            k = at[node]
            at[node] = k + 1
            e, other = wires.edge[k], wires.other[k]
            if status[e] == OPEN or e == wires.came[node]:
                continue
            if rank[other] < 0:
                rank[other] = low[other] = count
                count += 1
                wires.came[other] = e
                depth += 1
                stack[depth] = other
            else:
                low[node] = min(low[node], rank[other])
            continue
        depth -= 1
        if depth >= 0:
            above = stack[depth]
            low[above] = min(low[above], low[node])
            if low[node] > rank[above]:
                wires.cut[wires.came[node]] = 1
    found: int = count - 1
    return found


@lean
def bridged(wires: Wires, status: States) -> int:
    """Mark the bridges among the edges that are not open; returns how many nodes are joined to the sources."""
    return bridges(wires, status)


@lean
def consequences(wires: Wires, status: States) -> bool:
    """Open edges that would close a loop or exceed `most`, close bridges, until nothing changes.

    A radial state closes `joined` edges; at most `most` of these are open today, so the others are closed today. Where
    no more edges than these are left of those closed today, they must close.

    Returns:
        False where no radial state is left.
    """
    while True:
        if not join(wires, status):
            return False
        spare = wires.most - wires.joined
        for e in range(len(status)):
            if status[e] != OPEN and not wires.fresh[e]:
                spare += 1
        if spare < 0:
            return False
        forced = False
        for e in range(len(status)):
            if spare < 1 and status[e] == FREE and not wires.fresh[e]:
                status[e] = CLOSED
                forced = True
        if bridges(wires, status) < wires.joined:
            return False
        for e in range(len(status)):
            if wires.cut[e] and status[e] == FREE:
                status[e] = CLOSED
                forced = True
        if not forced:
            return True
