"""Questions about the topology of a grid, on plain arrays: nodes are 0 … n - 1, an edge joins `fr[e]` and `to[e]`.

Pure functions without units and names; nodes may be buses or terminals. Parallel edges and edges from a node to
itself are allowed, and count as loops.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from openpoint.arrays import Bools, Ints


def components(n: int, fr: Ints, to: Ints) -> Ints:
    """(n) number of the connected component of each node; components are numbered by their first node.

    In each round every tree of pointers to lower nodes hooks onto a neighbour, or is hooked onto, so that their number
    halves (Shiloach and Vishkin 1982).
    """
    first = np.arange(n)
    while ((a := first[fr]) != (b := first[to])).any():
        low = np.minimum(a, b)
        np.minimum.at(first, a, low)
        np.minimum.at(first, b, low)
        while ((lower := first[first]) != first).any():
            first = lower
    return np.asarray(np.unique(first, return_inverse=True)[1], dtype=np.int64)


def islands(n: int, fr: Ints, to: Ints, closed: Bools) -> Ints:
    """(n) number of the island of each node when only the closed edges conduct."""
    return components(n, fr[closed], to[closed])


def energised(n: int, fr: Ints, to: Ints, closed: Bools, sources: Ints) -> Bools:
    """(n) whether closed edges join the node to a source."""
    island = islands(n, fr, to, closed)
    return np.isin(island, island[sources])


def is_radial(n: int, fr: Ints, to: Ints, closed: Bools, sources: Ints) -> bool:
    """Whether every energised island is a tree with exactly one source. Dead islands do not matter."""
    if len(np.unique(sources)) < len(sources):
        return False
    island = islands(n, fr, to, closed)
    count = int(island.max(initial=-1)) + 1
    nodes = np.bincount(island, minlength=count)
    edges = np.bincount(island[fr[closed]], minlength=count)
    fed = np.bincount(island[sources], minlength=count)
    live = fed > 0
    return bool((fed[live] == 1).all() and (edges[live] == nodes[live] - 1).all())


def forest(n: int, fr: Ints, to: Ints) -> Bools:
    """(edges) a spanning forest, greedy in the order given: True where the edge joins two parts not yet joined."""
    parent = list(range(n))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    chosen = np.zeros(len(fr), dtype=np.bool_)
    for e, (a, b) in enumerate(zip(fr.tolist(), to.tolist())):
        root_a, root_b = root(a), root(b)
        if root_a != root_b:
            parent[root_a] = root_b
            chosen[e] = True
    return chosen


def bridges(n: int, fr: Ints, to: Ints) -> Bools:
    """(edges) whether opening the edge splits its component (Tarjan 1974, without recursion)."""
    around = _edges_around(n, fr, to)
    ends = list(zip(fr.tolist(), to.tolist()))
    order = [-1] * n
    low = [0] * n
    result = np.zeros(len(fr), dtype=np.bool_)
    clock = 0
    for start in range(n):
        if order[start] >= 0:
            continue
        order[start] = low[start] = clock
        clock += 1
        stack = [(start, -1, iter(around[start]))]
        while stack:
            node, above, rest = stack[-1]
            edge = next(rest, -1)
            if edge == -1:
                stack.pop()
                if stack:
                    parent = stack[-1][0]
                    low[parent] = min(low[parent], low[node])
                    result[above] = low[node] > order[parent]
            elif edge != above:
                a, b = ends[edge]
                other = b if a == node else a
                if order[other] >= 0:
                    low[node] = min(low[node], order[other])
                else:
                    order[other] = low[other] = clock
                    clock += 1
                    stack.append((other, edge, iter(around[other])))
    return result


def path(n: int, fr: Ints, to: Ints, start: int, goal: int) -> list[int] | None:
    """Numbers of the edges on a shortest path from start to goal (empty if they are one node); None = no path."""
    around = _edges_around(n, fr, to)
    came: dict[int, int] = {start: -1}
    queue = deque([start])
    while queue and goal not in came:
        node = queue.popleft()
        for edge in around[node]:
            other = int(to[edge]) if int(fr[edge]) == node else int(fr[edge])
            if other not in came:
                came[other] = edge
                queue.append(other)
    if goal not in came:
        return None
    edges: list[int] = []
    node = goal
    while (edge := came[node]) >= 0:
        edges.append(edge)
        node = int(to[edge]) if int(fr[edge]) == node else int(fr[edge])
    return edges[::-1]


def exchange_order(n: int, fr: Ints, to: Ints, before: Bools, after: Bools, sources: Ints) -> list[int]:
    """The edges whose state differs, in an order in which radial states follow each other, each closing by an opening.

    An edge that closes joins two nodes of a tree and makes one cycle, of which some edge is not in the tree that is
    sought, since that has none. Opening it gives a tree again with one edge more in common with the one that is sought,
    so that as many pairs as there are edges to close lead to it (the exchange property of the bases of a matroid).
    Sources count as one node. Where one of the two states is no spanning tree, what has no partner stands alone:
    openings come last.

    Args:
        n: nodes. fr, to: (E) ends. before, after: (E) whether each edge is closed. sources: nodes with supply.
    """
    node = np.arange(n)
    node[sources] = sources[0]
    a, b, closed, order = node[fr], node[to], before.copy(), list[int]()
    for e in np.flatnonzero(after & ~before):
        now = np.flatnonzero(closed)
        round_it = path(n, a[now], b[now], int(a[e]), int(b[e]))
        closed[e] = True
        order.append(int(e))
        opened = next((int(now[k]) for k in round_it or () if not after[now[k]]), None)
        if opened is not None:
            closed[opened] = False
            order.append(opened)
    return [*order, *np.flatnonzero(closed & ~after).tolist()]


def _edges_around(n: int, fr: Ints, to: Ints) -> list[list[int]]:
    around: list[list[int]] = [[] for _ in range(n)]
    for e, (a, b) in enumerate(zip(fr.tolist(), to.tolist())):
        around[a].append(e)
        if a != b:
            around[b].append(e)
    return around
