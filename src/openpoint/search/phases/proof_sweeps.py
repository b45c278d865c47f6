"""Compiled: sweeps of radial states of a grid of any phases, for the checker of certificates, in code of its own.

Currents from the leaves to the sources, voltages back, with loads at the voltages before. The currents of branches that
close loops that nobody can open change by what the voltages left around each loop make in its impedance. Pieces, which
hang on one bus, may be left out: then what they draw is affine around the nearest of the voltages at which it is known.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import inlined
from openpoint.search.phases.model import Blocks

CLOSED, LOOP = 1, 3
V_LOW = 0.5
"""Voltage over the rated one below which a load is the impedance of its rated power, as in OpenDSS."""
SWEEPS = 300
"""After how many there is no flow."""
CELL, CELLS, BELOW = 4e-3, 35, 22
"""Voltages at which what pieces draw is computed: their distance, pu, how many, and how many below the best state's."""
RADII = 2.5e-3, 4.5e-3
"""Distances of a phase from these voltages, pu, within which it is bounded."""


class Room(NamedTuple):
    """Arrays that flows are computed in.

    Attributes:
        order, edge, way, rank: (n) buses, parents first; by bus the branch above, −1 at the top, its direction, and the
            place in that order. v, drawn: (n, 3). i: (m, 3). one: (3). lost: (n) at a bus and in the branch above.
        far, wide: (n, 3) how far voltages are supposed to be from v, at most, and then are. off: (n, 3) by how much v
            is no flow. moved: (n, 3) how far currents below are from those that v makes. slip: (m, 3) those of loops.
            less: (n) by how much less than `lost`. apart: (3).
        took: (4) what a piece takes. given: (n) what one at a bus loses. near: (n, 3) as far, of what is not of first
            order. kinks, bends: (n, 3) and (L) that of the secants of constant powers and of loads, of size 1.
        charged: (n) whether a bus has admittances. first, load: loads at bus b are load[first[b]:first[b + 1]].
        loops: branches that close loops.
    """

    order: Ints
    edge: Ints
    way: Ints
    rank: Ints
    v: Complexes
    drawn: Complexes
    i: Complexes
    one: Complexes
    lost: Floats
    far: Floats
    wide: Floats
    off: Floats
    moved: Floats
    slip: Floats
    less: Floats
    apart: Floats
    took: Complexes
    given: Floats
    near: Floats
    kinks: Floats
    bends: Floats
    charged: Bools
    first: Ints
    load: Ints
    loops: Ints


class Pieces(NamedTuple):
    """What hangs on one bus, in a state or in any one of some.

    Attributes:
        of: (n) number of the piece that a bus is of, −1 in the core. at: (n) number of the piece that hangs on a bus.
        root: (C) the bus that it hangs on. shape, base: (C, 3) and (C) voltages there, 1 pu on average, and their least
            multiple at which more is known. flow: (C, CELLS, 4) currents and loss at multiples. slope: (C, CELLS, 6, 4)
            how they change by the real and the imaginary part of each phase, and steep: (C, CELLS, 3, 4) size of that
            by components. off: (C, CELLS, RADII, 4) how far others are from all this, and how much less is lost,
            within some distances of the voltages.
    """

    of: Ints
    at: Ints
    root: Ints
    shape: Complexes
    base: Floats
    flow: Complexes
    slope: Complexes
    steep: Floats
    off: Floats


def room_for(blocks: Blocks) -> Room:
    """Empty arrays for a grid."""
    n, m = len(blocks.has), len(blocks.fr)
    return Room(
        order=np.zeros(n, dtype=np.int64),
        edge=np.zeros(n, dtype=np.int64),
        way=np.zeros(n, dtype=np.int64),
        rank=np.zeros(n, dtype=np.int64),
        v=np.zeros((n, 3), dtype=np.complex128),
        drawn=np.zeros((n, 3), dtype=np.complex128),
        i=np.zeros((m, 3), dtype=np.complex128),
        one=np.zeros(3, dtype=np.complex128),
        lost=np.zeros(n),
        far=np.zeros((n, 3)),
        wide=np.zeros((n, 3)),
        off=np.zeros((n, 3)),
        moved=np.zeros((n, 3)),
        slip=np.zeros((m, 3)),
        less=np.zeros(n),
        apart=np.zeros(3),
        took=np.zeros(4, dtype=np.complex128),
        given=np.zeros(n),
        near=np.zeros((n, 3)),
        kinks=np.zeros((n, 3)),
        bends=np.zeros(len(blocks.bus)),
        charged=np.abs(blocks.y).sum(axis=(1, 2)) > 0.0,
        first=np.concatenate([[0], np.cumsum(np.bincount(blocks.bus, minlength=n))]).astype(np.int64),
        load=np.argsort(blocks.bus, kind="stable").astype(np.int64),
        loops=np.flatnonzero(blocks.closes).astype(np.int64),
    )


def pieces_of(of: Ints, root: Ints, v: Complexes) -> Pieces:
    """Pieces on buses `root` (C) at voltages (n, 3), of which nothing is known yet."""
    at, count = np.full(len(of), -1, dtype=np.int64), len(root)
    at[root] = np.arange(count)
    size = np.abs(v[root]).sum(axis=1) / np.maximum((v[root] != 0.0).sum(axis=1), 1)
    flow, slope = (np.zeros((count, CELLS, *more, 4), dtype=np.complex128) for more in ((), (6,)))
    steep, off = (np.zeros((count, CELLS, each, 4)) for each in (3, len(RADII)))
    return Pieces(of, at, root, v[root] / size[:, None], size - BELOW * CELL, flow, slope, steep, off)


def no_pieces(blocks: Blocks) -> Pieces:
    """None: the core is the whole grid."""
    n = len(blocks.has)
    return pieces_of(np.full(n, -1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros((n, 3), dtype=np.complex128))


@inlined
def forest(blocks: Blocks, status: States, pieces: Pieces, room: Room) -> int:
    """Fill order, edge, way and rank, from the sources, without pieces; how many buses, −1 where a phase is not fed."""
    n, count, head = len(blocks.has), 0, 0
    for b in range(n):
        room.edge[b] = -2
        if blocks.is_source[b]:
            room.edge[b], room.order[count] = -1, b
            count += 1
    while head < count:
        a = room.order[head]
        room.rank[a] = head
        head += 1
        for k in range(blocks.start[a], blocks.start[a + 1]):
            e = blocks.around[k]
            if status[e] != CLOSED or e == room.edge[a]:
                continue
            way = 0 if blocks.fr[e] == a else 1
            b = blocks.to[e] if way == 0 else blocks.fr[e]
            if pieces.of[b] >= 0:
                continue
            if room.edge[b] != -2:
                return -1
            for j in range(3):
                if blocks.has[b, j] and not blocks.carries[e, j]:
                    return -1
            room.edge[b], room.way[b], room.order[count] = e, way, b
            count += 1
    return count


@inlined
def above(blocks: Blocks, room: Room, b: int) -> int:
    e = room.edge[b]
    return int(blocks.fr[e] if room.way[b] == 0 else blocks.to[e])


@inlined
def share_of(blocks: Blocks, d: int, u: float) -> tuple[float, float, float]:
    """a, b, c: at voltages like u a load has a + b u + c u² of its power, as OpenDSS has it."""
    low, high, rated, degree = blocks.low[d], blocks.high[d], blocks.rated[d], blocks.degree[d]
    if low <= u <= high:
        return (1.0, 0.0, 0.0) if degree == 0 else (0.0, 1.0, 0.0) if degree == 1 else (0.0, 0.0, 1.0)
    scale = 1.0 if degree == 0 else rated if degree == 1 else rated * rated
    least, most = low / rated, high / rated
    if u > high:
        return 0.0, 0.0, scale / (rated * rated * (most if blocks.outer[d] == 1 else most * most))
    if least <= V_LOW or u <= V_LOW * rated:
        return 0.0, 0.0, scale / (rated * rated)
    bend = ((1.0 if blocks.outer[d] == 1 else 1.0 / least) - V_LOW) / (least - V_LOW)
    return 0.0, scale * V_LOW * (1.0 - bend) / rated, scale * bend / (rated * rated)


@inlined
def square_of(x: complex) -> float:
    return x.real * x.real + x.imag * x.imag


@inlined
def is_shunted(blocks: Blocks, status: States, e: int) -> bool:
    """Whether a branch is closed and has admittances."""
    return bool(blocks.shunted[e] and (status[e] == CLOSED or status[e] == LOOP))


@inlined
def draw(blocks: Blocks, status: States, room: Room, b: int) -> None:
    """Set what a bus draws: loads, and shunts of closed branches."""
    v, drawn = room.v, room.drawn
    for j in range(3):
        drawn[b, j] = 0j
        if room.charged[b]:
            for k in range(3):
                drawn[b, j] += blocks.y[b, j, k] * v[b, k]
        if blocks.s[b, j] != 0.0:
            one = 1.0 / square_of(v[b, j])
            drawn[b, j] += blocks.s[b, j].conjugate() * complex(one * v[b, j].real, one * v[b, j].imag)
    for q in range(room.first[b], room.first[b + 1]):
        d = room.load[q]
        j, k = blocks.phase[d], blocks.back[d]
        x = v[b, j] - (v[b, k] if k >= 0 else 0j)
        square = square_of(x)
        u = math.sqrt(square if k < 0 else square / 3.0)
        one, two, three = share_of(blocks, d, u)
        one = (one + (two + three * u) * u) / square
        c = blocks.power[d].conjugate() * complex(one * x.real, one * x.imag)
        drawn[b, j] += c
        if k >= 0:
            drawn[b, k] -= c
    for q in range(blocks.start[b], blocks.start[b + 1]):
        e = blocks.around[q]
        if is_shunted(blocks, status, e):
            y = blocks.y_fr[e] if blocks.fr[e] == b else blocks.y_to[e]
            for j in range(3):
                for k in range(3):
                    drawn[b, j] += y[j, k] * v[b, k]
    for j in range(3):
        if not blocks.has[b, j]:
            drawn[b, j] = 0j


@inlined
def size_of(x: complex) -> float:
    return math.sqrt(square_of(x))


@inlined
def cell_of(pieces: Pieces, c: int, v: Complexes) -> tuple[int, complex]:
    """The number of the nearest of the voltages at which a piece is known, if there is one, and how far these turn."""
    turn, length = 0j, 0.0
    for j in range(3):
        turn += pieces.shape[c, j].conjugate() * v[j]
        length += square_of(pieces.shape[c, j])
    size = size_of(turn)
    at = (size / length - pieces.base[c]) / CELL + 0.5
    return (int(at) if at >= 0.0 else -1), complex(turn.real / size, turn.imag / size)


@inlined
def take(pieces: Pieces, c: int, v: Complexes, found: Complexes) -> None:
    """Set `found` (4) to currents and loss of a piece around the nearest of the voltages at which it is known."""
    k, turn = cell_of(pieces, c, v)
    k = min(max(k, 0), CELLS - 1)
    size, shape, flow, slope = pieces.base[c] + CELL * k, pieces.shape[c], pieces.flow[c, k], pieces.slope[c, k]
    back = turn.conjugate()
    x, y, z = v[0] * back - size * shape[0], v[1] * back - size * shape[1], v[2] * back - size * shape[2]
    for j in range(4):  # by parts: a real number times a complex one is two products
        real = flow[j].real + x.real * slope[0, j].real + x.imag * slope[1, j].real
        real += y.real * slope[2, j].real + y.imag * slope[3, j].real
        real += z.real * slope[4, j].real + z.imag * slope[5, j].real
        imaginary = flow[j].imag + x.real * slope[0, j].imag + x.imag * slope[1, j].imag
        imaginary += y.real * slope[2, j].imag + y.imag * slope[3, j].imag
        imaginary += z.real * slope[4, j].imag + z.imag * slope[5, j].imag
        found[j] = complex(real, imaginary) * (turn if j < 3 else complex(1.0, 0.0))


@inlined
def gather(blocks: Blocks, status: States, pieces: Pieces, room: Room, count: int) -> None:
    """Currents of the branches, from the leaves on."""
    drawn = room.drawn
    for q in range(count):
        b = room.order[q]
        for j in range(3):
            drawn[b, j] = 0j
        if room.edge[b] >= 0:
            draw(blocks, status, room, b)
            if pieces.at[b] >= 0:
                take(pieces, pieces.at[b], room.v[b], room.took)
                room.given[b] = room.took[3].real
                for j in range(3):
                    drawn[b, j] += room.took[j]
    for q in range(len(room.loops)):
        e = room.loops[q]
        for j in range(3):
            drawn[blocks.to[e], j] -= room.i[e, j]
            for k in range(3):
                drawn[blocks.fr[e], j] += blocks.ratio[0, e, k, j].conjugate() * room.i[e, k]
    for q in range(count - 1, -1, -1):
        b = room.order[q]
        e = room.edge[b]
        if e < 0:
            continue
        a, way = above(blocks, room, b), room.way[b]
        for j in range(3):
            room.i[e, j] = drawn[b, j]
            if blocks.plain[e]:
                drawn[a, j] += drawn[b, j]
            else:
                for k in range(3):
                    drawn[a, j] += blocks.ratio[way, e, k, j].conjugate() * drawn[b, k]


@inlined
def follow_branch(blocks: Blocks, room: Room, b: int) -> None:
    """Set `one` to the voltages of a bus that follow from those above and the currents."""
    e, way, a = room.edge[b], room.way[b], above(blocks, room, b)
    for j in range(3):
        u = room.v[a, j] if blocks.plain[e] and blocks.has[b, j] else 0j
        for k in range(3):
            u -= blocks.z[way, e, j, k] * room.i[e, k]
            if not blocks.plain[e]:
                u += blocks.ratio[way, e, j, k] * room.v[a, k]
        room.one[j] = u if blocks.has[b, j] else 0j


@inlined
def follow_loop(blocks: Blocks, room: Room, e: int) -> None:
    """Set `one` to the voltages that are left around a loop."""
    for j in range(3):
        room.one[j] = 0j
        if blocks.carries[e, j]:
            room.one[j] = -room.v[blocks.to[e], j]
            for k in range(3):
                room.one[j] += blocks.ratio[0, e, j, k] * room.v[blocks.fr[e], k] - blocks.z[0, e, j, k] * room.i[e, k]


@inlined
def sweep(blocks: Blocks, status: States, pieces: Pieces, room: Room, count: int, least: float, warm: bool) -> bool:
    """Currents and voltages by turns until no voltage changes by more than `least`; whether that comes to be."""
    if not warm:
        room.i[:] = 0j
    for turn in range(SWEEPS):
        if warm or turn:
            gather(blocks, status, pieces, room, count)
        change = 0.0
        for q in range(count):
            b = room.order[q]
            if room.edge[b] >= 0:
                follow_branch(blocks, room, b)
                for j in range(3):
                    change = max(change, square_of(room.one[j] - room.v[b, j]))
                    room.v[b, j] = room.one[j]
            elif blocks.is_source[b]:
                for j in range(3):
                    room.v[b, j] = blocks.held[b, j]
        for q in range(len(room.loops)):
            e = room.loops[q]
            follow_loop(blocks, room, e)
            for j in range(3):
                change = max(change, square_of(room.one[j]))
                for k in range(3):
                    room.i[e, j] += blocks.loop[e, j, k] * room.one[k]
        if not change < 1e6:
            return False
        if change <= least * least and (warm or turn):
            return True
    return False


@inlined
def power_of(matrix: Complexes, x: Complexes) -> float:
    """Re(xᴴ A x)."""
    found = 0.0
    for j in range(3):
        for k in range(3):
            found += (x[j].conjugate() * matrix[j, k] * x[k]).real
    return found


@inlined
def loss_of(blocks: Blocks, status: States, pieces: Pieces, room: Room, count: int) -> float:
    """Set `lost`, at the voltages at hand and the currents that these make, and return the sum."""
    gather(blocks, status, pieces, room, count)
    total = 0.0
    for q in range(count):
        b = room.order[q]
        e = room.edge[b]
        room.lost[b] = 0.0
        if e >= 0:
            room.lost[b] += power_of(blocks.z[room.way[b], e], room.i[e])
        if e >= 0 or blocks.is_source[b]:
            for p in range(blocks.start[b], blocks.start[b + 1]):
                f = blocks.around[p]
                if is_shunted(blocks, status, f):
                    room.lost[b] += power_of(blocks.y_fr[f] if blocks.fr[f] == b else blocks.y_to[f], room.v[b])
            if e >= 0 and pieces.at[b] >= 0:
                room.lost[b] += room.given[b]
        total += room.lost[b]
    for q in range(len(room.loops)):
        total += power_of(blocks.z[0, room.loops[q]], room.i[room.loops[q]])
    return total
