"""Compiled: the spanning arborescence of least cost (Chu and Liu 1965, Edmonds 1967, heaps as by Tarjan 1977).

Every junction but the root, which stands for the sources, is entered by exactly one arc, and no cycle is left. Arc 2k
is path k from u to v, arc 2k + 1 from v to u. Each node takes its cheapest entering arc; a cycle of such arcs becomes a
node of its own, and its entering arcs cost less by what their heads have paid. What nodes and cycles pay (`dual`) is a
solution of the dual linear program, so that an arc's reduced cost is a lower bound of what it costs more to use it.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Indices
from openpoint.compiled.jit import inlined
from openpoint.search.paths.arrays import Paths, PathWork


@inlined
def _settle(work: PathWork, a: int) -> None:
    """Pass a delayed change of cost on to the arcs below in the heap."""
    more = work.late[a]
    if more != 0.0:
        work.key[a] += more
        if work.left[a] >= 0:
            work.late[work.left[a]] += more
        if work.right[a] >= 0:
            work.late[work.right[a]] += more
        work.late[a] = 0.0


@inlined
def _merge(work: PathWork, a: int, b: int) -> int:
    """Merge two skew heaps of arcs; −1 is the empty one."""
    if a < 0:
        return b
    if b < 0:
        return a
    left, right, key = work.left, work.right, work.key
    _settle(work, a)
    _settle(work, b)
    if key[a] > key[b]:
        a, b = b, a
    top, p = a, a
    while True:
        c = right[p]
        right[p] = left[p]
        if c < 0:
            left[p] = b
            return top
        _settle(work, c)
        if key[c] > key[b]:
            c, b = b, c
        left[p] = c
        p = c


@inlined
def _find(leader: Indices, node: int) -> int:
    while leader[node] != node:
        leader[node] = leader[leader[node]]
        node = leader[node]
    return node


@inlined
def tail(paths: Paths, a: int) -> int:
    """The junction that arc a leaves."""
    junction: int = paths.u[a // 2] if a % 2 == 0 else paths.v[a // 2]
    return junction


@inlined
def head(paths: Paths, a: int) -> int:
    """The junction that arc a enters."""
    junction: int = paths.v[a // 2] if a % 2 == 0 else paths.u[a // 2]
    return junction


@inlined
def _cheapest(paths: Paths, work: PathWork, node: int) -> int:
    """The cheapest arc that enters a node from outside, on top of its heap; −1 where there is none."""
    heap = work.heap
    while heap[node] >= 0:
        a: int = heap[node]
        _settle(work, a)
        if _find(work.leader, tail(paths, a)) != node:
            return a
        heap[node] = _merge(work, work.left[a], work.right[a])
    return -1


@inlined
def arborescence(paths: Paths, work: PathWork) -> float:
    """The least total of `work.cost` (inf: no such arc); inf where some junction cannot be reached.

    Writes the arc that enters each junction to `work.arc`, and the duals and the tree of cycles that `reduced` uses.
    """
    root = paths.junctions
    arc, leader, tree, seen, trail, heap = work.arc, work.leader, work.tree, work.seen, work.trail, work.heap
    for node in range(len(heap)):
        heap[node] = -1
        leader[node] = node
        tree[node] = -1
        seen[node] = -1
        arc[node] = -1
        work.dual[node] = 0.0
    for a in range(len(work.cost)):
        if work.cost[a] < np.inf and head(paths, a) != root:
            work.key[a] = work.cost[a]
            work.late[a] = 0.0
            work.left[a] = -1
            work.right[a] = -1
            heap[head(paths, a)] = _merge(work, heap[head(paths, a)], a)
    seen[root] = root
    count, total = root + 1, 0.0
    for s in range(root):
        node, length = _find(leader, s), 0
        while seen[node] < 0:
            a = _cheapest(paths, work, node)
            if a < 0:
                return np.inf
            paid = work.key[a]
            total += paid
            work.dual[node] = paid
            arc[node] = a
            heap[node] = _merge(work, work.left[a], work.right[a])
            if heap[node] >= 0:
                work.late[heap[node]] -= paid
            trail[length] = node
            length += 1
            seen[node] = s
            node = _find(leader, tail(paths, a))
            if seen[node] == s:
                merged, other = -1, -1
                while other != node:
                    length -= 1
                    other = trail[length]
                    merged = _merge(work, merged, heap[other])
                    leader[other] = count
                    tree[other] = count
                heap[count] = merged
                node = count
                count += 1
    for node in range(count - 1, root, -1):
        a = arc[node]
        entered = head(paths, a)
        while tree[entered] != node:
            entered = tree[entered]
        arc[entered] = a
    return total


@inlined
def reduced(paths: Paths, work: PathWork, a: int) -> float:
    """Lower bound of what the least total grows by where arc a must be used; of the last call of `arborescence`."""
    seen = work.seen
    for node in range(len(seen)):
        seen[node] = 0
    node = tail(paths, a)
    while node >= 0:
        seen[node] = 1
        node = work.tree[node]
    rest = work.cost[a]
    node = head(paths, a)
    while node >= 0 and seen[node] == 0:
        rest -= work.dual[node]
        node = work.tree[node]
    least: float = max(rest, 0.0)
    return least
