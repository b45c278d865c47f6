"""Compiled: what radial states of a grid of any phases lose, for the checker of certificates, in code of its own.

Sweeps: currents from the leaves to the sources, voltages back, with loads at the voltages before. The currents of
branches that close loops that nobody can open change by what the voltages left around each loop make in its impedance.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.model import Blocks

CLOSED, LOOP = 1, 3
V_LOW = 0.5
"""Voltage over the rated one below which a load is the impedance of its rated power, as in OpenDSS."""
STEP, SWEEPS = 1e-12, 300
"""Largest change of a voltage, pu, after which sweeps end, and after how many there is no flow."""
LOSES = 1e-8
"""Share of the loss of a flow by which its sweeps may be off."""


class Room(NamedTuple):
    """Arrays that flows are computed in.

    Attributes:
        order, edge, way: (n) buses, parents first; by bus the branch above, −1 at sources, and its direction.
        v, drawn: (n, 3). i: (m, 3). one: (3). charged: (n) whether a bus has admittances.
        first, load: loads at bus b are load[first[b]:first[b + 1]]. loops: branches that close loops.
    """

    order: Ints
    edge: Ints
    way: Ints
    v: Complexes
    drawn: Complexes
    i: Complexes
    one: Complexes
    charged: Bools
    first: Ints
    load: Ints
    loops: Ints


def room_for(blocks: Blocks) -> Room:
    """Empty arrays for a grid."""
    n, m = len(blocks.has), len(blocks.fr)
    return Room(
        order=np.zeros(n, dtype=np.int64),
        edge=np.zeros(n, dtype=np.int64),
        way=np.zeros(n, dtype=np.int64),
        v=np.zeros((n, 3), dtype=np.complex128),
        drawn=np.zeros((n, 3), dtype=np.complex128),
        i=np.zeros((m, 3), dtype=np.complex128),
        one=np.zeros(3, dtype=np.complex128),
        charged=np.abs(blocks.y).sum(axis=(1, 2)) > 0.0,
        first=np.concatenate([[0], np.cumsum(np.bincount(blocks.bus, minlength=n))]).astype(np.int64),
        load=np.argsort(blocks.bus, kind="stable").astype(np.int64),
        loops=np.flatnonzero(blocks.closes).astype(np.int64),
    )


@compiled
def judge(blocks: Blocks, status: States, room: Room, found: Floats) -> None:
    """Set `found` (K) to what radial states (K, m) lose at least, per unit, in the flow that sweeps from no load find.

    inf where not all phases are fed, nan where no flow is found.
    """
    for s in range(len(status)):
        if _forest(blocks, status[s], room) != len(blocks.has):
            found[s] = math.inf
        elif _sweep(blocks, status[s], room):
            loss = _loss(blocks, status[s], room)
            found[s] = loss - LOSES * abs(loss)
        else:
            found[s] = math.nan


@inlined
def _forest(blocks: Blocks, status: States, room: Room) -> int:
    """Fill order, edge and way, from the sources; of how many buses, −1 where a phase is not fed."""
    n, count, head = len(blocks.has), 0, 0
    for b in range(n):
        room.edge[b] = -2
        if blocks.is_source[b]:
            room.edge[b], room.order[count] = -1, b
            count += 1
    while head < count:
        a = room.order[head]
        head += 1
        for k in range(blocks.start[a], blocks.start[a + 1]):
            e = blocks.around[k]
            if status[e] != CLOSED or e == room.edge[a]:
                continue
            way = 0 if blocks.fr[e] == a else 1
            b = blocks.to[e] if way == 0 else blocks.fr[e]
            if room.edge[b] != -2:
                return -1
            for j in range(3):
                if blocks.has[b, j] and not blocks.carries[e, j]:
                    return -1
            room.edge[b], room.way[b], room.order[count] = e, way, b
            count += 1
    return count


@inlined
def _above(blocks: Blocks, room: Room, b: int) -> int:
    e = room.edge[b]
    return int(blocks.fr[e] if room.way[b] == 0 else blocks.to[e])


@inlined
def _share(blocks: Blocks, d: int, u: float) -> float:
    """Power of a load at a voltage over that at the nominal one, as OpenDSS has it."""
    low, high, rated, degree = blocks.low[d], blocks.high[d], blocks.rated[d], blocks.degree[d]
    if low <= u <= high:
        return float(1.0 if degree == 0 else u if degree == 1 else u * u)
    scale = 1.0 if degree == 0 else rated if degree == 1 else rated * rated
    w, least, most = u / rated, low / rated, high / rated
    if u > high:
        return float(scale * w * w / (most if blocks.outer[d] == 1 else most * most))
    if least <= V_LOW or w <= V_LOW:
        return float(scale * w * w)
    at_low = 1.0 if blocks.outer[d] == 1 else 1.0 / least
    return float(scale * w * (V_LOW + (at_low - V_LOW) * (w - V_LOW) / (least - V_LOW)))


@inlined
def _square(x: complex) -> float:
    return x.real * x.real + x.imag * x.imag


@inlined
def _shunted(blocks: Blocks, status: States, e: int) -> bool:
    """Whether a branch is closed and has admittances."""
    return bool(blocks.shunted[e] and (status[e] == CLOSED or status[e] == LOOP))


@inlined
def _draw(blocks: Blocks, status: States, room: Room, b: int) -> None:
    """Set what a bus draws: loads, and shunts of closed branches."""
    v, drawn = room.v, room.drawn
    for j in range(3):
        drawn[b, j] = 0j
        if room.charged[b]:
            for k in range(3):
                drawn[b, j] += blocks.y[b, j, k] * v[b, k]
        if blocks.s[b, j] != 0.0:
            drawn[b, j] += blocks.s[b, j].conjugate() / _square(v[b, j]) * v[b, j]
    for q in range(room.first[b], room.first[b + 1]):
        d = room.load[q]
        j, k = blocks.phase[d], blocks.back[d]
        x = v[b, j] - (v[b, k] if k >= 0 else 0j)
        square = _square(x)
        share = _share(blocks, d, math.sqrt(square if k < 0 else square / 3.0))
        c = blocks.power[d].conjugate() * (share / square) * x
        drawn[b, j] += c
        if k >= 0:
            drawn[b, k] -= c
    for q in range(blocks.start[b], blocks.start[b + 1]):
        e = blocks.around[q]
        if _shunted(blocks, status, e):
            y = blocks.y_fr[e] if blocks.fr[e] == b else blocks.y_to[e]
            for j in range(3):
                for k in range(3):
                    drawn[b, j] += y[j, k] * v[b, k]
    for j in range(3):
        if not blocks.has[b, j]:
            drawn[b, j] = 0j


@inlined
def _currents(blocks: Blocks, status: States, room: Room) -> None:
    """Currents of the branches, from the leaves on."""
    drawn = room.drawn
    for b in range(len(room.order)):
        _draw(blocks, status, room, b)
    for q in range(len(room.loops)):
        e = room.loops[q]
        for j in range(3):
            drawn[blocks.to[e], j] -= room.i[e, j]
            for k in range(3):
                drawn[blocks.fr[e], j] += blocks.ratio[0, e, k, j].conjugate() * room.i[e, k]
    for q in range(len(room.order) - 1, -1, -1):
        b = room.order[q]
        e = room.edge[b]
        if e < 0:
            continue
        a, way = _above(blocks, room, b), room.way[b]
        for j in range(3):
            room.i[e, j] = drawn[b, j]
            if blocks.plain[e]:
                drawn[a, j] += drawn[b, j]
            else:
                for k in range(3):
                    drawn[a, j] += blocks.ratio[way, e, k, j].conjugate() * drawn[b, k]


@inlined
def _voltages(blocks: Blocks, room: Room) -> float:
    """Voltages from the sources on; the square of the largest change."""
    v, change = room.v, 0.0
    for q in range(len(room.order)):
        b = room.order[q]
        e, way = room.edge[b], room.way[b]
        if e < 0:
            for j in range(3):
                v[b, j] = blocks.held[b, j]
            continue
        a = _above(blocks, room, b)
        for j in range(3):
            if blocks.has[b, j]:
                u = v[a, j] if blocks.plain[e] else 0j
                for k in range(3):
                    u -= blocks.z[way, e, j, k] * room.i[e, k]
                    if not blocks.plain[e]:
                        u += blocks.ratio[way, e, j, k] * v[a, k]
                change = max(change, _square(u - v[b, j]))
                v[b, j] = u
    return change


@inlined
def _sweep(blocks: Blocks, status: States, room: Room) -> bool:
    """Currents and voltages by turns, from no load; whether voltages cease to change."""
    room.v[:] = 0j
    room.i[:] = 0j
    for turn in range(SWEEPS):
        if turn:
            _currents(blocks, status, room)
        change = _voltages(blocks, room)
        for q in range(len(room.loops)):
            e = room.loops[q]
            a, b, one = blocks.fr[e], blocks.to[e], room.one
            for j in range(3):
                one[j] = 0j
                if blocks.carries[e, j]:
                    one[j] = -room.v[b, j]
                    for k in range(3):
                        one[j] += blocks.ratio[0, e, j, k] * room.v[a, k] - blocks.z[0, e, j, k] * room.i[e, k]
                change = max(change, _square(one[j]))
            for j in range(3):
                for k in range(3):
                    room.i[e, j] += blocks.loop[e, j, k] * one[k]
        if not change < 1e12:
            return False
        if turn and change <= STEP * STEP:
            return True
    return False


@inlined
def _power(matrix: Complexes, x: Complexes) -> float:
    """Re(xᴴ A x)."""
    found = 0.0
    for j in range(3):
        for k in range(3):
            found += (x[j].conjugate() * matrix[j, k] * x[k]).real
    return found


@inlined
def _loss(blocks: Blocks, status: States, room: Room) -> float:
    loss = 0.0
    for b in range(len(room.edge)):
        if room.edge[b] >= 0:
            loss += _power(blocks.z[room.way[b], room.edge[b]], room.i[room.edge[b]])
    for e in range(len(status)):
        if status[e] == LOOP:
            loss += _power(blocks.z[0, e], room.i[e])
        if _shunted(blocks, status, e):
            loss += _power(blocks.y_fr[e], room.v[blocks.fr[e]]) + _power(blocks.y_to[e], room.v[blocks.to[e]])
    return loss
