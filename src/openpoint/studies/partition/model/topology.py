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
from typing import final

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Ints
from openpoint.network.blocks import Blocks


@final
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
    leading = cp.Variable(b, name="lead") if most > 1 else None
    lead = has if leading is None else leading
    constraints = [
        *binaries(blocks, closed, live, forming),
        *energised_ends(blocks, closed, live),
        *([] if leading is None else leaders(blocks, closed, leading, has, f, most)),
        *formed_if_live(live, lead, has, most),
        *tree_count(closed, live, lead),
        *connectivity(blocks, closed, live, lead),
    ]
    integers = (closed, live, forming) if leading is None else (closed, live, forming, leading)
    return Topology(closed, live, forming, integers, constraints)


def binaries(blocks: Blocks, closed: cp.Variable, live: cp.Variable, forming: cp.Variable) -> list[cp.Constraint]:
    """Between 0 and 1; the blocks of lost substations stay dead, and no switch closes a loop within a block."""
    constraints = [bound for x in (closed, live, forming) for bound in (x >= 0, x <= 1)]
    if len(lost := np.flatnonzero(blocks.lost)):
        constraints.append(live[lost] == 0)
    if len(within := np.flatnonzero(blocks.fr == blocks.to)):
        constraints.append(closed[within] == 0)
    return constraints


def energised_ends(blocks: Blocks, closed: cp.Variable, live: cp.Variable) -> list[cp.Constraint]:
    """closed_ij ≤ live_i, live_j."""
    return [closed <= live[blocks.fr], closed <= live[blocks.to]]


def leaders(
    blocks: Blocks, closed: cp.Variable, lead: cp.Variable, has: cp.Expression, forming: int, most: int
) -> list[cp.Constraint]:
    """One commodity carries a unit from every grid-forming generator to the leading block, which takes at most k:

        lead ≤ has,      has + Σ into − Σ out of = taken ≤ k lead,      |gathered| ≤ F closed

    Args:
        has: (B) grid-forming generators of a block. forming: F. most: k.
    """
    gathered, taken = cp.Variable(len(blocks.switches), name="gathered"), cp.Variable(blocks.count, name="taken")
    return [
        lead >= 0,
        lead <= 1,
        lead <= has,
        has + _into(blocks) @ gathered == taken,
        taken >= 0,
        taken <= most * lead,
        gathered <= forming * closed,
        gathered >= -forming * closed,
    ]


def formed_if_live(live: cp.Variable, lead: cp.Expression, has: cp.Expression, most: int) -> list[cp.Constraint]:
    """lead ≤ live, has ≤ k live: generators form grids in energised blocks alone."""
    return [lead <= live, has <= most * live]


def tree_count(closed: cp.Variable, live: cp.Variable, lead: cp.Expression) -> list[cp.Constraint]:
    """Σ closed = Σ live − Σ lead: as many branches as trees have, one tree a leading block."""
    return [cp.sum(closed) == cp.sum(live) - cp.sum(lead)]


def connectivity(blocks: Blocks, closed: cp.Variable, live: cp.Variable, lead: cp.Expression) -> list[cp.Constraint]:
    """Single-commodity flow (Gavish and Graves 1978): every live block takes a unit that comes from a leading one,

        Σ flow into − Σ flow out of + supply = live,      0 ≤ supply ≤ B lead,      |flow| ≤ (B − 1) closed

    along switches that have the phases of the block they lead to.
    """
    b = blocks.count
    flow, supply = cp.Variable(len(blocks.switches), name="flow"), cp.Variable(b, name="supply")
    return [
        _into(blocks) @ flow + supply == live,
        supply >= 0,
        supply <= b * lead,
        flow <= (b - 1) * cp.multiply(blocks.ahead, closed),
        flow >= -(b - 1) * cp.multiply(blocks.back, closed),
    ]


def _into(blocks: Blocks) -> sp.csr_array:
    """(B, S) what arrives at each block of flows from `fr` to `to`."""
    s = len(blocks.switches)
    ones, at = np.ones(s), np.arange(s)
    shape = (blocks.count, s)
    return sp.csr_array(sp.csr_array((ones, (blocks.to, at)), shape) - sp.csr_array((ones, (blocks.fr, at)), shape))
