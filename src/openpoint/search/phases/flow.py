"""Compiled: the forest of closed branches, the exact power flow of a tree by sweeps, and the shares of loads.

The sweep of Shirmohammadi, Hong, Semlyen and Luo (IEEE Trans. Power Systems 3(2), 1988) with 3 × 3 matrices: from the
leaves to the sources currents, from the sources to the leaves voltages.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.model import LEAST_U, SIZES, STEP_U, WIDE, Blocks

OPEN, CLOSED, UNDECIDED, LOOP = 2, 1, 0, 3
"""States of branches; LOOP: closed, and aside of the tree, since it closes a loop that nobody can open."""
LOOPED, UNFED = -1, -2
CHANGE, SWEEPS = 1e-10, 200
"""Largest change of a voltage, pu, at which the sweeps of an exact flow end, and after how many there is none."""
ROUGH, SAFETY = 3e-3, 30.0
"""Change of a voltage from which on a loss may do, and how many times as much, relatively, it may still change: where
each change is at most half of the one before, they add up to as much again, and a loss changes some four times so."""
V_LOW = 0.5
"""Voltage over the rated one below which a load is the impedance of its rated power, as in OpenDSS."""


class Trees(NamedTuple):
    """The forest of closed branches.

    Attributes:
        order: (n) buses, parents first. edge: (n) branch above, −1 at tops and sources. way: (n) its direction.
        floats: (n) whether no source is at the top. v, drawn: (n, 3) voltages and currents. i: (m, 3). off: (4) room.
        lost: (1) what the pieces lose.
    """

    order: Ints
    edge: Ints
    way: Ints
    floats: Bools
    v: Complexes
    drawn: Complexes
    i: Complexes
    off: Complexes
    lost: Floats


def trees_for(blocks: Blocks) -> Trees:
    """Empty arrays for a grid."""
    n, m = len(blocks.has), len(blocks.fr)
    return Trees(
        order=np.zeros(n, dtype=np.int64),
        edge=np.zeros(n, dtype=np.int64),
        way=np.zeros(n, dtype=np.int64),
        floats=np.zeros(n, dtype=np.bool_),
        v=np.zeros((n, 3), dtype=np.complex128),
        drawn=np.zeros((n, 3), dtype=np.complex128),
        i=np.zeros((m, 3), dtype=np.complex128),
        off=np.zeros(4, dtype=np.complex128),
        lost=np.zeros(1),
    )


@inlined
def share(u: float, degree: int, low: float, high: float, rated: float, outer: int) -> float:
    """Power at a voltage u over that at the nominal one, both over the nominal voltage, as OpenDSS has it."""
    if low <= u <= high:
        return 1.0 if degree == 0 else u if degree == 1 else u * u
    w, least, most = u / rated, low / rated, high / rated
    at_rated = 1.0 if degree == 0 else rated if degree == 1 else rated * rated
    if u > high:
        return at_rated * w * w / (most if outer == 1 else most * most)
    if least <= V_LOW or w <= V_LOW:
        return at_rated * w * w
    at_low = 1.0 if outer == 1 else 1.0 / least
    return at_rated * w * (V_LOW + (at_low - V_LOW) * (w - V_LOW) / (least - V_LOW))


@inlined
def share_of(blocks: Blocks, d: int, u: float) -> float:
    """That of a load at a voltage."""
    return share(u, blocks.degree[d], blocks.low[d], blocks.high[d], blocks.rated[d], blocks.outer[d])


@inlined
def forest(blocks: Blocks, status: States, priority: Ints, trees: Trees) -> int:
    """Fill order, edge, way and floats; how many buses there are, LOOPED, or UNFED: a phase that nothing can feed.

    Args:
        priority: (n) buses in the order in which they become tops of parts without a source.
    """
    n = len(blocks.has)
    order, edge, way, floats = trees.order, trees.edge, trees.way, trees.floats
    for b in range(n):
        edge[b] = -2
    count = 0
    for b in range(n):
        if blocks.is_source[b]:
            edge[b], floats[b], order[count] = -1, False, b
            count += 1
    head = following = 0
    while True:
        while head < count:
            a = order[head]
            head += 1
            for k in range(blocks.start[a], blocks.start[a + 1]):
                e = blocks.around[k]
                if status[e] != CLOSED or e == edge[a]:
                    continue
                r = 0 if blocks.fr[e] == a else 1
                b = blocks.to[e] if r == 0 else blocks.fr[e]
                if edge[b] != -2:
                    return LOOPED
                for j in range(3):
                    if blocks.has[b, j] and not blocks.carries[e, j]:
                        return UNFED
                edge[b], way[b], floats[b], order[count] = e, r, floats[a], b
                count += 1
        while following < n and edge[priority[following]] != -2:
            following += 1
        if following == n:
            return count
        b = priority[following]
        edge[b], floats[b], order[count] = -1, True, b
        count += 1


@compiled
def sweep(blocks: Blocks, status: States, priority: Ints, trees: Trees, enough: float, warm: bool) -> float:
    """As `swept`, for Python."""
    return swept(blocks, status, priority, trees, enough, warm)


@inlined
def swept(blocks: Blocks, status: States, priority: Ints, trees: Trees, enough: float, warm: bool) -> float:
    """The loss of a tree, per unit: series resistances and shunts of branches; voltages and currents in `trees`.

    inf where a bus is not fed, or the sweep does not converge. A loss that
    is above `enough` by more than what the rounds still change is given as it is then. `warm`: begin with the voltages
    and the currents of loops that are in `trees`, not with those of no load.
    """
    count = forest(blocks, status, priority, trees)
    if count < 0:
        return math.inf
    v = trees.v
    for e in range(len(status)):
        if status[e] == LOOP and not warm:
            trees.i[e, 0] = trees.i[e, 1] = trees.i[e, 2] = 0j
    for q in range(count):
        b = trees.order[q]
        if trees.floats[b]:
            return math.inf
        e = trees.edge[b]
        for j in range(3):
            if e < 0:
                v[b, j] = blocks.held[b, j]
            elif not warm:
                a, r = _above(blocks, trees, b)
                v[b, j] = (
                    blocks.ratio[r, e, j, 0] * v[a, 0]
                    + blocks.ratio[r, e, j, 1] * v[a, 1]
                    + blocks.ratio[r, e, j, 2] * v[a, 2]
                )
    before = math.inf
    for _ in range(SWEEPS):
        _draw(blocks, status, trees)
        _gather(blocks, count, trees)
        change = _spread(blocks, count, trees)
        off, power = _compensate(blocks, status, trees)
        change = max(change, off)
        if not change < 10.0:
            return math.inf
        if change < CHANGE:
            return _loss(blocks, status, trees, count)
        if change < ROUGH and change < 0.5 * before:
            loss = _loss(blocks, status, trees, count)
            if loss * (1.0 - SAFETY * change) - SAFETY * power > enough:
                return loss
        before = change
    return math.inf


@inlined
def _above(blocks: Blocks, trees: Trees, b: int) -> tuple[int, int]:
    """The bus above, and the direction of the branch to it."""
    e, r = trees.edge[b], trees.way[b]
    return (blocks.fr[e] if r == 0 else blocks.to[e]), r


@inlined
def _draw(blocks: Blocks, status: States, trees: Trees) -> None:
    """Currents that loads, shunts and closed branches draw at the present voltages."""
    v, drawn = trees.v, trees.drawn
    for b in range(len(blocks.has)):
        for j in range(3):
            c = 0j
            if blocks.has[b, j]:
                for k in range(3):
                    c += blocks.y[b, j, k] * v[b, k]
                if blocks.s[b, j] != 0.0:
                    c += (blocks.s[b, j] / v[b, j]).conjugate()
            drawn[b, j] = c
    for d in range(len(blocks.bus)):
        b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
        u = v[b, j] - (v[b, k] if k >= 0 else 0j)
        size = abs(u) / (math.sqrt(3.0) if k >= 0 else 1.0)
        s = blocks.power[d] * share_of(blocks, d, size)
        c = (s / u).conjugate()
        drawn[b, j] += c
        if k >= 0:
            drawn[b, k] -= c
    for e in range(len(blocks.fr)):
        if status[e] == LOOP or (status[e] == CLOSED and blocks.shunted[e]):
            a, b = blocks.fr[e], blocks.to[e]
            for j in range(3):
                if status[e] == LOOP:
                    drawn[b, j] -= trees.i[e, j]
                    for k in range(3):
                        drawn[a, j] += blocks.ratio[0, e, k, j].conjugate() * trees.i[e, k]
                for k in range(3):
                    drawn[a, j] += blocks.y_fr[e, j, k] * v[a, k]
                    drawn[b, j] += blocks.y_to[e, j, k] * v[b, k]
    trees.lost[0] = 0.0
    for c in range(len(blocks.hung.bus)):
        b = blocks.hung.bus[c]
        _take(blocks, c, v[b], trees.off)
        trees.lost[0] += trees.off[3].real
        for j in range(3):
            drawn[b, j] += trees.off[j]


@inlined
def _take(blocks: Blocks, c: int, v: Complexes, found: Complexes) -> None:
    """Set found (4) to the currents that pieces draw at voltages, and their loss.

    What they draw turns with the voltages. Between the sizes at which it is known it is interpolated by second
    differences (Bessel); how voltages differ in shape from those of the flow counts to first order.
    """
    shape, flow, slope = blocks.hung.shape[c], blocks.hung.flow[c], blocks.hung.slope[c]
    turn = length = 0j
    for j in range(3):
        turn += shape[0, j].conjugate() * v[j]
        length += shape[0, j].conjugate() * shape[0, j]
    turn /= length
    size = abs(turn)
    turn /= size
    at = (size - LEAST_U) / STEP_U
    k = min(max(int(at), 1), SIZES - 3)
    q = min(k // WIDE, (SIZES - 1) // WIDE - 1)
    near, wide = at - k, at / WIDE - q
    for j in range(4):
        bend = flow[k + 2, j] - flow[k + 1, j] - flow[k, j] + flow[k - 1, j]
        found[j] = flow[k, j] + near * (flow[k + 1, j] - flow[k, j]) + 0.25 * near * (near - 1.0) * bend
    for way in range(2):
        x = 0j
        for j in range(3):
            x += shape[1 + way, j].conjugate() * v[j]
        x *= turn.conjugate()
        for j in range(4):
            low, high = slope[q, 2 * way, j], slope[q + 1, 2 * way, j]
            found[j] += x.real * (low + wide * (high - low))
            low, high = slope[q, 2 * way + 1, j], slope[q + 1, 2 * way + 1, j]
            found[j] += x.imag * (low + wide * (high - low))
    for j in range(3):
        found[j] *= turn


@inlined
def _gather(blocks: Blocks, count: int, trees: Trees) -> None:
    """Currents of the branches, from the leaves on."""
    for q in range(count - 1, -1, -1):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            continue
        a, r = _above(blocks, trees, b)
        for j in range(3):
            trees.i[e, j] = trees.drawn[b, j] if blocks.has[b, j] else 0j
            if blocks.plain[e]:
                trees.drawn[a, j] += trees.i[e, j]
        if blocks.plain[e]:
            continue
        for j in range(3):
            for k in range(3):
                trees.drawn[a, j] += blocks.ratio[r, e, k, j].conjugate() * trees.i[e, k]


@inlined
def _spread(blocks: Blocks, count: int, trees: Trees) -> float:
    """Voltages from the sources on; the largest change."""
    change = 0.0
    for q in range(count):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            continue
        a, r = _above(blocks, trees, b)
        for j in range(3):
            if blocks.has[b, j]:
                u = trees.v[a, j] if blocks.plain[e] else 0j
                for k in range(3):
                    u -= blocks.z[r, e, j, k] * trees.i[e, k]
                    if not blocks.plain[e]:
                        u += blocks.ratio[r, e, j, k] * trees.v[a, k]
                change = max(change, abs(u - trees.v[b, j]))
                trees.v[b, j] = u
    return change


@inlined
def _compensate(blocks: Blocks, status: States, trees: Trees) -> tuple[float, float]:
    """Currents of the branches that close loops, by the impedance of each loop.

    Returns:
        The largest change of a voltage, and the power that the changes make of the currents.
    """
    change = power = 0.0
    for e in range(len(status)):
        if status[e] != LOOP:
            continue
        a, b = blocks.fr[e], blocks.to[e]
        total = blocks.loop[e]
        for j in range(3):
            trees.off[j] = 0j
            if blocks.carries[e, j]:
                off = -trees.v[b, j]
                for k in range(3):
                    off += blocks.ratio[0, e, j, k] * trees.v[a, k] - blocks.z[0, e, j, k] * trees.i[e, k]
                trees.off[j] = off
                change = max(change, abs(off))
        for j in range(3):
            for k in range(3):
                trees.i[e, j] += total[j, k] * trees.off[k]
                power += abs(trees.off[j]) * abs(total[j, k] * trees.off[k])
            power += abs(trees.off[j]) * abs(trees.i[e, j])
    return change, power


@inlined
def _loss(blocks: Blocks, status: States, trees: Trees, count: int) -> float:
    """Active power that the closed branches take, and those of pieces."""
    loss = float(trees.lost[0])
    for q in range(count):
        b = trees.order[q]
        e = trees.edge[b]
        if e >= 0:
            r = trees.way[b]
            for j in range(3):
                for k in range(3):
                    loss += (trees.i[e, j].conjugate() * blocks.z[r, e, j, k] * trees.i[e, k]).real
    for e in range(len(blocks.fr)):
        if status[e] == LOOP or (status[e] == CLOSED and blocks.shunted[e]):
            a, b = blocks.fr[e], blocks.to[e]
            for j in range(3):
                for k in range(3):
                    if status[e] == LOOP:
                        loss += (trees.i[e, j].conjugate() * blocks.z[0, e, j, k] * trees.i[e, k]).real
                    loss += (trees.v[a, j].conjugate() * blocks.y_fr[e, j, k] * trees.v[a, k]).real
                    loss += (trees.v[b, j].conjugate() * blocks.y_to[e, j, k] * trees.v[b, k]).real
    return loss
