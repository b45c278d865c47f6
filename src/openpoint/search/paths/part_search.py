"""Compiled: the least cost of a part of the paths, by branch and bound on their states and the places where they open.

Nodes are bounded as those of the whole grid are (`openpoint.search.paths.ascent`), and the node of least bound is taken
first: its bound is one of the part, however few nodes there were. The multipliers at the border of the part are never
changed, as its metric is 0 there; they are kept with all their digits, since the bound of the whole grid counts on
exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import CLOSED, Model
from openpoint.search.kernel.vectors import load_row, store_row
from openpoint.search.paths.arrays import OPEN, Paths, PathWork
from openpoint.search.paths.ascent import ascend
from openpoint.search.paths.bound import path_bound, residuals
from openpoint.search.paths.node import may_open, one_feeder, sums
from openpoint.search.paths.search import least_sure

FIRST, NEXT = 100, 16
"""Evaluations of the first node and of others, at most."""
NO_STATE = -2
"""What a node without any state has for a path on which it is branched."""
AGREED = 0.02
"""Mean distance of the places where a path was open lately, in branches, below which they agree."""


@dataclass(frozen=True, eq=False)
class PartNodes(Table):
    """The nodes of a part.

    Attributes:
        mask: (C, K) states that paths may have. y, mu: (C, J + 1). bound: (C), inf where the node is branched.
        split: (C) path on which it is branched, −1 = none, or `NO_STATE`. below: (C) first of the nodes that it was
            branched into, one for each state of this path, or two; −1 = none. at: (C) −1 where that is by its states,
            else the last place of the first of two nodes, by where it is open. low, high: (C, K) first and last place
            where a path may be open. status: states of the branches at the current node, which is closed beyond these.
    """

    mask: States
    y: Floats
    mu: Floats
    bound: Floats
    split: Ints
    below: Ints
    at: Ints
    low: Indices
    high: Indices
    status: States


def part_nodes(paths: Paths, work: PathWork, capacity: int) -> PartNodes:
    """Memory for so many nodes; the first one may have all places."""
    shape = capacity, len(work.y)
    mask = np.zeros((capacity, len(work.mask)), dtype=np.int8)
    low, high = np.zeros((2, *mask.shape), dtype=np.int32)
    low[0], high[0] = paths.start[:-1], paths.start[1:] - 1
    split, below, at = np.zeros((3, capacity), dtype=np.int64)
    status = np.zeros(len(paths.branch), dtype=np.int8)
    return PartNodes(mask, np.zeros(shape), np.zeros(shape), np.zeros(capacity), split, below, at, low, high, status)


@inlined
def restrict_places(paths: Paths, work: PathWork, status: Any, nodes: PartNodes, own: int, row: int) -> bool:
    """Close the branches where paths may not be open at a node; False where a path has no state left."""
    for k in range(own):
        left = False
        for position in range(paths.start[k], paths.start[k + 1]):
            e = paths.branch[position]
            within = nodes.low[row, k] <= position <= nodes.high[row, k]
            nodes.status[e] = status[e] if within else CLOSED
            left |= may_open(paths, work, nodes.status, k, position)
        if not left:
            work.mask[k] &= ~OPEN
        if work.mask[k] == 0:
            return False
    return True


@inlined
def choose(work: PathWork, nodes: PartNodes, own: int, row: int) -> None:
    """What to divide a node by: the states of a path, and where all are decided, the places where one is open."""
    nodes.at[row] = -1
    nodes.split[row] = least_sure(work, own, np.inf)
    if nodes.split[row] >= 0:
        return
    farthest = AGREED
    for k in range(own):
        if work.mask[k] & OPEN != 0 and work.opened[k] < 0 and work.apart[k] > farthest:
            farthest = work.apart[k]
            nodes.split[row] = k
            nodes.at[row] = int(np.floor(work.middle[k]))


@inlined
def add_node(
    model: Model,
    paths: Paths,
    work: PathWork,
    status: Any,
    nodes: PartNodes,
    own: int,
    row: int,
    least: float,
    huge: float,
    ahead: float,
    most: int,
    firm: bool,
) -> None:
    """Bound the current node, which lies in one of bound `least`, and keep it in a row, which has its places already.

    Its bound is inf where it has no state. `own`: the number of paths that may be divided, the first ones.
    `firm`: with the least powers in `work`.
    """
    nodes.bound[row] = np.inf
    nodes.split[row] = NO_STATE
    nodes.below[row] = -1
    if restrict_places(paths, work, status, nodes, own, row) and one_feeder(paths, work):
        if not firm:
            sums(model, paths, work, nodes.status)
        nodes.bound[row] = max(least, ascend(model, paths, work, nodes.status, huge, np.inf, most, ahead))
        choose(work, nodes, own, row)
    store_row(work.mask, nodes.mask, row)
    store_row(work.y, nodes.y, row)
    store_row(work.mu, nodes.mu, row)


@inlined
def load_node(work: PathWork, nodes: PartNodes, row: int) -> None:
    """Take the states and multipliers of a node."""
    load_row(nodes.mask, row, work.mask)
    load_row(nodes.y, row, work.y)
    load_row(nodes.mu, row, work.mu)


@lean
def search_part(
    model: Model,
    paths: Paths,
    work: PathWork,
    status: Any,
    nodes: PartNodes,
    huge: float,
    ahead: float,
    firm: bool,
) -> float:
    """Lower bound of the least cost of a part, inf where it has no state.

    It ends where nothing is left to divide of the node of least bound, or where the memory of nodes is full. The states
    and residuals of that node are left in `work`. `ahead`: see `ascend`.
    `firm`: with the least powers in `work` at all nodes, in place of those of each node.
    """
    own = 0
    while own < len(work.mask) and paths.start[own] < paths.start[own + 1]:
        own += 1
    add_node(model, paths, work, status, nodes, own, 0, -np.inf, huge, ahead, FIRST, firm)
    rows = 1
    while True:
        best = 0
        for row in range(rows):
            if nodes.bound[row] < nodes.bound[best]:
                best = row
        k = nodes.split[best]
        least: float = nodes.bound[best]
        if k < 0 or rows + 3 > len(nodes.bound):
            break
        nodes.bound[best] = np.inf
        nodes.below[best] = rows
        for s in range(3):
            by_place = nodes.at[best] >= 0
            if s < 2 if by_place else nodes.mask[best, k] & (1 << s) != 0:
                load_node(work, nodes, best)
                for i in range(own):
                    nodes.low[rows, i] = nodes.low[best, i]
                    nodes.high[rows, i] = nodes.high[best, i]
                if not by_place:
                    work.mask[k] = 1 << s
                elif s == 0:
                    nodes.high[rows, k] = nodes.at[best]
                else:
                    nodes.low[rows, k] = nodes.at[best] + 1
                add_node(model, paths, work, status, nodes, own, rows, least, huge, ahead, NEXT, firm)
                rows += 1
    load_node(work, nodes, best)
    if least < np.inf and restrict_places(paths, work, status, nodes, own, best) and one_feeder(paths, work):
        if not firm:
            sums(model, paths, work, nodes.status)
        path_bound(model, paths, work, nodes.status, huge)
        residuals(paths, work)
    return least
