"""The spanning trees of the part of a grid with its sources, after one disaster, as a mixed-integer linear program.

One branch feeds each bus: fewer integers say that than say what an island is. With x = 1 for an arc from a bus to one
that it feeds, P and Q along it, w the squared voltages and V = x w the one at its tail, at a source a number,

    min  Σ price p shed      Σ x = 1 over the arcs into each bus;  x + x' ≤ 1 of a branch
    s.t. P and Q balanced with the load that is not shed;   0 ≤ P, Q ≤ most x;   ratings kept by x
         w = Σ (V − 2 (r P + x Q)) over the arcs into a bus;   w̲ x ≤ V − 2 (r P + x Q)
         w̲ x ≤ V ≤ w̄ x,   w̲ (1 − x) ≤ w − V ≤ w̄ (1 − x)

A path carries what its end takes and the loads along it, too. With ρ the distances of `FlowBound`, and C the buses from
the last one with a choice of feeding branches up to the tail, and all that hangs at them alone,

    V  ≤  w_source x − 2 ρ P − Σ_C 2 ρ_i p_i (x − shed_i)

Theory: docs/methods.md M28.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import CORNERS
from openpoint.graph import bridges
from openpoint.solvers.base import StandardForm
from openpoint.studies.harden.trees import Feeder, spanned, walk


def tree_program(feeder: Feeder, live: Bools, root: int, distance: Floats) -> tuple[StandardForm, Ints]:
    """The program over the live branches (E) of a grid of loads alone, and the branch of each arc.

    Its first columns are the x of the arcs. `distance`: (N) from the sources, see `FlowBound`.
    """
    branch, tail, head, below = _arcs(feeder, live, root)
    inner, count = np.unique(head), len(head)
    buses, number = len(inner), np.full(len(feeder.p), -1)
    number[inner] = np.arange(buses)
    into, out = _incidence(number[head], buses), _incidence(number[tail], buses)
    ahead = feeder.to[branch] == head
    scale = np.where(ahead, 1.0 / feeder.ratio[branch], feeder.ratio[branch])
    back = 2.0 * np.where(ahead, 1.0, feeder.ratio[branch])
    drop_p, drop_q = _diag(back * feeder.r[branch]), _diag(back * feeder.x[branch])
    held = np.where(ahead, feeder.held[feeder.fr_at[branch]], feeder.held[feeder.to_at[branch]])
    top = float(np.max((held * scale)[tail == root]))
    high, low = np.minimum(feeder.high, top), feeder.low
    p, q = feeder.p[inner], feeder.q[inner]
    each = _diag(np.ones(count))
    first, later = each[tail == root], each[tail != root]
    both = np.flatnonzero(np.bincount(branch, minlength=len(live)) == 2)
    along = _along(feeder, tail, head, branch, below, distance, root)
    own, relieved = along.sum(axis=1), -along[:, inner]
    # Columns: x, P, Q, V of each arc, then w and shed of each bus.
    equal = [
        ([into, None, None, None, None, None], 1.0),
        ([None, into - out, None, None, None, _diag(p)], p),
        ([None, None, into - out, None, None, _diag(q)], q),
        ([None, -into @ drop_p, -into @ drop_q, into @ _diag(scale), -_diag(np.ones(buses)), None], 0.0),
        ([-first @ _diag(held), None, None, first, None, None], 0.0),
    ]
    most = [
        ([_incidence(branch, len(live))[both], None, None, None, None, None], 1.0),
        ([-p.sum() * each, each, None, None, None, None], 0.0),
        ([-q.sum() * each, None, each, None, None, None], 0.0),
        ([_diag(low[head]), drop_p, drop_q, -_diag(scale), None, None], 0.0),
        ([later @ _diag(low[tail]), None, None, -later, None, None], 0.0),
        ([-later @ _diag(high[tail]), None, None, later, None, None], 0.0),
        ([-later @ _diag(low[tail]), None, None, later, -later @ out.T, None], -low[tail[tail != root]]),
        ([later @ _diag(high[tail]), None, None, -later, later @ out.T, None], high[tail[tail != root]]),
        ([later @ _diag(own - top), later @ _diag(2.0 * distance[tail]), None, later, None, later @ relieved], 0.0),
    ]
    reach = feeder.reach[branch]
    tight = each[reach < np.hypot(p.sum(), q.sum())]
    for side in (2.0 * np.arange(CORNERS // 4) + 1.0) * np.pi / CORNERS:
        most.append(([-tight @ _diag(reach), np.cos(side) * tight, np.sin(side) * tight, None, None, None], 0.0))
    rows, columns = [*equal, *most], 4 * count + 2 * buses
    free = _diag(np.ones(columns))
    shares = sp.vstack([free[:count], free[-buses:]])
    a = sp.csc_array(sp.vstack([sp.block_array([row for row, _ in rows]), shares, -free]))
    heights = [next(block.shape[0] for block in row if block is not None) for row, _ in rows]
    sides = [np.broadcast_to(side, (height,)) for (_, side), height in zip(rows, heights)]
    b = np.concatenate([*sides, np.ones(count + buses), np.zeros(columns)])
    c = np.zeros(columns)
    c[-buses:] = feeder.price[inner] * p
    zero = sum(heights[: len(equal)])
    return StandardForm(c, 0.0, a, b, zero, len(b) - zero, (), np.arange(count), {}), branch


def _diag(values: NDArray[np.floating]) -> sp.csr_array:
    return sp.csr_array(sp.diags_array(values))


def _incidence(at: Ints, count: int) -> sp.csr_array:
    """(count, arcs) one where the arc is; −1 is nowhere."""
    arcs = np.flatnonzero(at >= 0)
    return sp.csr_array((np.ones(len(arcs)), (at[arcs], arcs)), shape=(count, len(at)))


def _arcs(feeder: Feeder, live: Bools, root: int) -> tuple[Ints, Ints, Ints, dict[int, list[int]]]:
    """Branch, tail and head of each arc, of a bridge the one away from the root, which alone feeds its head; and for
    each of these heads all buses beyond."""
    on = np.flatnonzero(live)
    order, parent, edge = walk(feeder, spanned(feeder, live), root)
    beyond = {int(bus): [int(bus)] for bus in order}
    for bus in order[:0:-1]:
        beyond[int(parent[bus])] += beyond[int(bus)]
    needed = np.zeros(len(live) + 1, dtype=np.bool_)
    needed[on] = bridges(len(feeder.p), feeder.fr[on], feeder.to[on])
    by_bridge = needed[edge]  # of the root the last one, which is none
    branch = np.tile(on, 2)
    tail, head = np.concatenate([feeder.fr[on], feeder.to[on]]), np.concatenate([feeder.to[on], feeder.fr[on]])
    kept = (head != root) & (tail != head) & np.where(by_bridge[head], edge[head] == branch, ~needed[branch])
    return branch[kept], tail[kept], head[kept], {int(u): beyond[int(u)] for u in order[1:] if by_bridge[u]}


def _along(
    feeder: Feeder, tail: Ints, head: Ints, branch: Ints, below: dict[int, list[int]], distance: Floats, root: int
) -> sp.csr_array:
    """(arcs, N) the terms 2 ρ p of Σ_C."""
    entering: dict[int, list[int]] = {}
    hanging: dict[int, list[int]] = {}
    for arc, (a, b) in enumerate(zip(tail.tolist(), head.tolist())):
        entering.setdefault(b, []).append(arc)
        if b in below:
            hanging.setdefault(a, []).append(b)
    rows, columns, values = list[int](), list[int](), list[float]()
    for arc in range(len(tail)):
        bus, after, through = int(tail[arc]), int(head[arc]), int(branch[arc])
        passed = {after}
        while bus != root and bus not in passed:
            passed.add(bus)
            for each in [bus, *(v for u in hanging.get(bus, []) if u != after for v in below[u])]:
                rows.append(arc)
                columns.append(each)
                values.append(2.0 * float(distance[bus] * feeder.p[each]))
            feeding = [k for k in entering[bus] if branch[k] != through]
            if len(feeding) != 1:
                break
            bus, after, through = int(tail[feeding[0]]), bus, int(branch[feeding[0]])
    return sp.csr_array((values, (rows, columns)), shape=(len(tail), len(feeder.p)))
