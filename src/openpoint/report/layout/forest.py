"""A spanning forest of a grid: which branch feeds which bus in a drawing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from openpoint.grid.grid import Grid


@dataclass(frozen=True)
class Forest:
    """Rooted trees over all N buses.

    Attributes:
        roots: buses without a parent: the sources in their order, then one bus of every part without a source.
        parent, parent_branch: (N) bus and branch towards the root, -1 at a root.
        hops: (N) number of branches to the root.
        children: (N) buses fed by a bus.
        order: all buses, parents before children.
    """

    roots: tuple[int, ...]
    parent: tuple[int, ...]
    parent_branch: tuple[int, ...]
    hops: tuple[int, ...]
    children: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]


def ends(grid: Grid) -> tuple[tuple[int, int], ...]:
    """Bus numbers (from, to) of every branch, in the order of `Grid.branches`."""
    number = {name: i for i, name in enumerate(grid.buses["name"])}
    return tuple((number[a], number[b]) for a, b in grid.branches().select("from_bus", "to_bus").iter_rows())


def source_buses(grid: Grid) -> tuple[int, ...]:
    """Bus numbers of the sources, each once."""
    number = {name: i for i, name in enumerate(grid.buses["name"])}
    return tuple(dict.fromkeys(number[name] for name in grid.sources["bus"]))


def spanning_forest(
    n: int, branches: Sequence[tuple[int, int]], roots: Sequence[int], closed: Sequence[bool], *, use_open: bool = True
) -> Forest:
    """A breadth-first forest from the roots over closed branches.

    Buses that no closed path reaches hang on an open branch if `use_open`; what is still left starts a tree of its own,
    so that every bus has a place.
    """
    neighbours: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for e, (a, b) in enumerate(branches):
        if a != b:
            neighbours[a].append((b, e))
            neighbours[b].append((a, e))
    parent, by = [-1] * n, [-1] * n
    seen = [False] * n
    order: list[int] = []
    found: list[int] = []
    waiting: deque[tuple[int, int, int]] = deque()

    def grow(queue: deque[int]) -> None:
        while queue:
            bus = queue.popleft()
            order.append(bus)
            for other, e in neighbours[bus]:
                if seen[other]:
                    continue
                if closed[e]:
                    seen[other], parent[other], by[other] = True, bus, e
                    queue.append(other)
                elif use_open:
                    waiting.append((bus, other, e))

    def start(buses: Sequence[int]) -> None:
        for bus in buses:
            seen[bus] = True
        found.extend(buses)
        grow(deque(buses))
        while waiting:
            bus, other, e = waiting.popleft()
            if not seen[other]:
                seen[other], parent[other], by[other] = True, bus, e
                grow(deque([other]))

    start(list(dict.fromkeys(roots)))
    for bus in sorted(range(n), key=lambda i: (len(neighbours[i]) != 1, i)):
        # A feeder that nothing feeds reads best when it starts at one of its ends.
        if not seen[bus]:
            start([bus])
    hops = [0] * n
    children: list[list[int]] = [[] for _ in range(n)]
    # A part hung on an open branch may come after its parent's children, so parents first holds, hops by order too.
    for bus in order:
        if parent[bus] >= 0:
            hops[bus] = hops[parent[bus]] + 1
            children[parent[bus]].append(bus)
    return Forest(
        roots=tuple(found),
        parent=tuple(parent),
        parent_branch=tuple(by),
        hops=tuple(hops),
        children=tuple(tuple(c) for c in children),
        order=tuple(order),
    )
