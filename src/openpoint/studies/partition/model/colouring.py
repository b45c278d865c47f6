"""The islands as published: colours of switches, a commodity for every block, and a spanning tree.

Equations (2) to (15) of Moring et al. (2024), after Fobes et al., IEEE Trans. Smart Grid 14 (2022) 1682, with radiality
by Lei et al., IEEE Trans. Smart Grid 11 (2020) 3944. y_sl says that switch s has the colour of block l, whose generator
forms the grid of its island. Mended here:

- (6), right side: a closed switch has the colour of a block with a grid-forming generator if it is a switch *of that
  block*, not anywhere;
- (10), (13): the commodity of a block runs along the switches of all blocks; (14) runs over those of the other block;
- (5): k bounds the colours of a switch, but a block may have several grid-forming generators, so that their numbers
  are added up instead;
- (10): a switch may carry a unit for every other block, which may be more than there are switches;
- a coloured switch that lacks phases carries no commodity to a block that has them.

It says the same as `topology.compact`, with more binaries: to be checked against, not for speed.
"""

from __future__ import annotations

import itertools

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Ints
from openpoint.graph import components
from openpoint.network.blocks import Blocks
from openpoint.studies.partition.model.step import Topology, binaries


def colouring(blocks: Blocks, home: Ints, most: int) -> Topology:
    """The islands by colours; see `topology.compact` for the arguments."""
    b, s, f = blocks.count, len(blocks.switches), len(home)
    closed, live, forming = (cp.Variable(k, name=name) for k, name in ((s, "closed"), (b, "live"), (f, "forming")))
    colour = cp.Variable((s, b), name="colour")
    has = sp.csr_array((np.ones(f), (home, np.arange(f))), shape=(b, f)) @ forming
    at = [np.flatnonzero((blocks.fr == l) | (blocks.to == l)) for l in range(b)]
    constraints = [*binaries(blocks, closed, live, forming), colour >= 0, colour <= 1]
    a, z = live[blocks.fr], live[blocks.to]
    constraints += [a - z <= 1 - closed, z - a <= 1 - closed]  # (2)
    constraints.append(has <= most * live)  # (4)
    constraints += [live[l] - cp.sum(closed[at[l]]) <= has[l] for l in range(b)]
    counted = cp.Variable((s, b), name="counted")
    row = has[None, :]
    ones = np.ones((s, 1))
    constraints += [counted >= 0, counted >= ones @ row - most * (1 - colour)]
    constraints += [cp.sum(counted, axis=1) <= most * closed, cp.sum(colour, axis=1) <= most * closed]  # (5)
    for l in range(b):
        if len(at[l]):
            constraints.append(has[l] <= most * (colour[at[l], l] + 1 - closed[at[l]]))  # (6)
        for i, j in itertools.combinations(at[l], 2):  # (7)
            apart = 2 - closed[i] - closed[j]
            constraints += [colour[i] - colour[j] <= apart, colour[j] - colour[i] <= apart]
        constraints.append(live[l] <= has[l] + cp.sum(colour[at[l]]))  # (9)
    constraints.append(colour <= ones @ row)  # (8)
    for l in range(b):
        constraints += _reached(blocks, l, closed, colour, at)
    tree, radial = _spanning_forest(blocks)
    return Topology(closed, live, forming, (closed, live, forming, colour), [*constraints, *radial, closed <= tree])


def _reached(blocks: Blocks, l: int, closed: cp.Variable, colour: cp.Variable, at: list[Ints]) -> list[cp.Constraint]:
    """(10) to (14): block l sends a unit to every other, over closed switches or by a virtual edge; what is reached by
    a virtual edge only has not its colour."""
    b, s = blocks.count, len(blocks.switches)
    flow, virtual = cp.Variable(s), cp.Variable(b)
    most = max(b - 1, s)
    wanted = np.where(np.arange(b) == l, 1.0 - b, 1.0)
    to_others = cp.hstack([-cp.sum(virtual) if k == l else virtual[k] for k in range(b)])
    into = np.zeros((b, s))
    np.add.at(into, (blocks.to, np.arange(s)), 1.0)
    np.add.at(into, (blocks.fr, np.arange(s)), -1.0)
    constraints: list[cp.Constraint] = [
        flow <= most * closed,
        flow >= -most * closed,
        virtual >= 0,
        virtual <= 1,
        virtual[l] == 0,
        into @ flow + to_others == wanted,
    ]
    constraints += [colour[at[k], l] <= 1 - virtual[k] for k in range(b) if k != l and len(at[k])]
    poor = np.flatnonzero(~blocks.ahead), np.flatnonzero(~blocks.back)
    constraints += [sign * flow[s] <= most * (1 - colour[s, l]) for sign, s in zip((1, -1), poor) if len(s)]
    return constraints


def _spanning_forest(blocks: Blocks) -> tuple[cp.Expression, list[cp.Constraint]]:
    """(S) a spanning forest of the block graph, a commodity for every block but the first of a component."""
    b, s = blocks.count, len(blocks.switches)
    part = components(b, blocks.fr, blocks.to)
    root = np.array([int(np.argmax(part == c)) for c in part])
    others = np.flatnonzero(root != np.arange(b))
    ahead, back = cp.Variable(s, name="ahead"), cp.Variable(s, name="back")
    constraints = [ahead >= 0, back >= 0, ahead + back <= 1, cp.sum(ahead + back) == len(others)]
    if len(others):
        along, against = cp.Variable((s, len(others))), cp.Variable((s, len(others)))
        into = np.zeros((b, s))
        np.add.at(into, (blocks.to, np.arange(s)), 1.0)
        np.add.at(into, (blocks.fr, np.arange(s)), -1.0)
        wanted = np.zeros((b, len(others)))
        wanted[others, np.arange(len(others))] = 1.0
        wanted[root[others], np.arange(len(others))] -= 1.0
        wide = np.ones((1, len(others)))
        constraints += [along >= 0, against >= 0, along <= ahead[:, None] @ wide, against <= back[:, None] @ wide]
        constraints.append(into @ (along - against) == wanted)
    return ahead + back, constraints
