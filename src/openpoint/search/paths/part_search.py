"""Compiled: the least cost of a part of the paths, by branch and bound on the states of its paths.

Nodes are bounded as those of the whole grid are (`openpoint.search.paths.ascent`), and the node of least bound is taken
first: its bound is one of the part, however few nodes there were. The multipliers at the border of the part are never
changed, as its metric is 0 there; they are kept with all their digits, since the bound of the whole grid counts on
exactly these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.vectors import load_row, store_row
from openpoint.search.paths.arrays import Paths, PathWork
from openpoint.search.paths.ascent import ascend
from openpoint.search.paths.node import one_feeder, sums
from openpoint.search.paths.search import least_sure

FIRST, NEXT = 100, 16
"""Evaluations of the first node and of others, at most."""


@dataclass(frozen=True, eq=False)
class PartNodes(Table):
    """The nodes of a part.

    Attributes:
        mask: (C, K) states that paths may have. y, mu: (C, J + 1). bound: (C), inf where the node is branched.
        split: (C) path on which it is branched, −1 = none.
    """

    mask: States
    y: Floats
    mu: Floats
    bound: Floats
    split: Ints


def part_nodes(work: PathWork, capacity: int) -> PartNodes:
    """Memory for so many nodes."""
    shape = capacity, len(work.y)
    mask = np.zeros((capacity, len(work.mask)), dtype=np.int8)
    return PartNodes(mask, np.zeros(shape), np.zeros(shape), np.zeros(capacity), np.zeros(capacity, dtype=np.int64))


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
    target: float,
    most: int,
) -> None:
    """Bound the current node, which lies in one of bound `least`, and keep it in a row; inf: it has no state.

    `own`: the number of paths that may be divided, the first ones.
    """
    nodes.bound[row] = np.inf
    nodes.split[row] = -1
    if one_feeder(paths, work):
        sums(model, paths, work, status)
        nodes.bound[row] = max(least, ascend(model, paths, work, status, huge, target, most))
        nodes.split[row] = least_sure(work, own)
    store_row(work.mask, nodes.mask, row)
    store_row(work.y, nodes.y, row)
    store_row(work.mu, nodes.mu, row)


@lean
def search_part(
    model: Model, paths: Paths, work: PathWork, status: Any, nodes: PartNodes, huge: float, target: float
) -> float:
    """Lower bound of the least cost of a part, inf where it has no state.

    It ends where the bound reaches the target, where the memory of nodes is full, or at a node that is not divided.
    """
    own = 0
    while own < len(work.mask) and paths.start[own] < paths.start[own + 1]:
        own += 1
    add_node(model, paths, work, status, nodes, own, 0, -np.inf, huge, target, FIRST)
    rows = 1
    while True:
        best = 0
        for row in range(rows):
            if nodes.bound[row] < nodes.bound[best]:
                best = row
        k = nodes.split[best]
        least: float = nodes.bound[best]
        if k < 0 or least >= target or rows + 3 > len(nodes.bound):
            return least
        nodes.bound[best] = np.inf
        for s in range(3):
            if nodes.mask[best, k] & (1 << s) != 0:
                load_row(nodes.mask, best, work.mask)
                load_row(nodes.y, best, work.y)
                load_row(nodes.mu, best, work.mu)
                work.mask[k] = 1 << s
                add_node(model, paths, work, status, nodes, own, rows, least, huge, target, NEXT)
                rows += 1
