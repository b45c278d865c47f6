"""Which blocks are energised, by which switches, and which generators form the grid: radial islands, as constraints.

An island is a tree of blocks with at least one and at most k grid-forming generators. `compact` says it by counting and
by flows. Every island has one leading block, which has a grid-forming generator:

    Σ closed = Σ live − Σ lead,      lead_l ≤ Σ_{g in l} forming_g,      closed_ij ≤ live_i, live_j
    one commodity from the leading blocks, of which every live block takes one unit along closed switches

The commodity makes every component hold a leading block, so there are no more components than leading blocks, and the
count says that there are as many and that none has a loop. For k = 1 the leading block is the one that has the
generator, and a component has no second one; for k > 1 a second commodity carries one unit from every grid-forming
generator to the leading block, which takes at most k.

A switch that lacks phases feeds no block that has them: the first commodity runs along it the other way only.
"""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Ints
from openpoint.network.blocks import Blocks


@dataclass(frozen=True)
class Topology:
    """Variables and constraints of the first stage's binaries.

    Attributes:
        closed: (S) state of the switchable branches; in dead blocks all are open.
        live: (B) whether a block is energised.
        forming: (F) whether a generator that may form the grid does.
        integers: the integer variables. constraints: linear.
    """

    closed: cp.Variable
    live: cp.Variable
    forming: cp.Variable
    integers: tuple[cp.Variable, ...]
    constraints: list[cp.Constraint]


def compact(blocks: Blocks, home: Ints, most: int) -> Topology:
    """The islands by counting and flows.

    Args:
        blocks: the block graph.
        home: (F) block of every generator that may form the grid.
        most: k, the most grid-forming generators in an island.
    """
    b, s, f = blocks.count, len(blocks.switches), len(home)
    closed, live, forming = (cp.Variable(k, name=name) for k, name in ((s, "closed"), (b, "live"), (f, "forming")))
    has = sp.csr_array((np.ones(f), (home, np.arange(f))), shape=(b, f)) @ forming
    constraints = [*binaries(blocks, closed, live, forming), closed <= live[blocks.fr], closed <= live[blocks.to]]
    integers: tuple[cp.Variable, ...] = (closed, live, forming)
    lead: cp.Expression = has
    if most > 1:
        leading = cp.Variable(b, name="lead")
        constraints += [leading >= 0, leading <= 1, leading <= has]
        gathered, taken = cp.Variable(s, name="gathered"), cp.Variable(b, name="taken")
        into = _into(blocks)
        constraints += [has + into @ gathered == taken, taken >= 0, taken <= most * leading]
        constraints += [gathered <= f * closed, gathered >= -f * closed]
        integers, lead = (*integers, leading), leading
    flow, supply = cp.Variable(s, name="flow"), cp.Variable(b, name="supply")
    constraints += [
        lead <= live,
        has <= most * live,
        cp.sum(closed) == cp.sum(live) - cp.sum(lead),
        _into(blocks) @ flow + supply == live,
        supply >= 0,
        supply <= b * lead,
        flow <= (b - 1) * cp.multiply(blocks.ahead, closed),
        flow >= -(b - 1) * cp.multiply(blocks.back, closed),
    ]
    return Topology(closed, live, forming, integers, constraints)


def binaries(blocks: Blocks, closed: cp.Variable, live: cp.Variable, forming: cp.Variable) -> list[cp.Constraint]:
    """Between 0 and 1; the blocks of lost substations stay dead, and no switch closes a loop within a block."""
    constraints = [bound for x in (closed, live, forming) for bound in (x >= 0, x <= 1)]
    if len(lost := np.flatnonzero(blocks.lost)):
        constraints.append(live[lost] == 0)
    if len(within := np.flatnonzero(blocks.fr == blocks.to)):
        constraints.append(closed[within] == 0)
    return constraints


def _into(blocks: Blocks) -> sp.csr_array:
    """(B, S) what arrives at each block of flows from `fr` to `to`."""
    s = len(blocks.switches)
    ones, at = np.ones(s), np.arange(s)
    shape = (blocks.count, s)
    return sp.csr_array(sp.csr_array((ones, (blocks.to, at)), shape) - sp.csr_array((ones, (blocks.fr, at)), shape))
