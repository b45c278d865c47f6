"""The spanning arborescence of least cost (Chu and Liu 1965, Edmonds 1967), in whole numbers.

Every node takes its cheapest entering arc. Where these make a cycle, one arc of it is given up for one that enters the
cycle: its nodes become one node, and an arc that enters it costs less by what its head has paid.
"""

from __future__ import annotations

Arc = tuple[int, int, int]
"""Cost, tail and head; -1 is the root."""


def arborescence(arcs: list[Arc], nodes: list[int]) -> int | None:
    """The least total of arcs that enter every node once and make no cycle, from -1; None where there are none."""
    total = 0
    while nodes:
        cheapest: dict[int, Arc] = {}
        for arc in arcs:
            if arc[2] not in cheapest or arc[0] < cheapest[arc[2]][0]:
                cheapest[arc[2]] = arc
        if len(cheapest) < len(nodes):
            return None
        total += sum(arc[0] for arc in cheapest.values())
        # Nodes that are on a cycle of cheapest arcs become one node, all others stay.
        of, seen, cycles = {-1: -1}, {-1: -1}, 0
        for node in nodes:
            way, here = [], node
            while here not in seen:
                seen[here] = node
                way.append(here)
                here = cheapest[here][1]
            if here >= 0 and seen[here] == node:
                for other in way[way.index(here) :]:
                    of[other] = here
                cycles += 1
            for other in way:
                of.setdefault(other, other)
        if not cycles:
            return total
        arcs = [(c - cheapest[j][0], of[i], of[j]) for c, i, j in arcs if of[i] != of[j]]
        nodes = sorted(set(of.values()) - {-1})
    return total
