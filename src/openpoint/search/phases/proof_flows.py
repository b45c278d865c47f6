"""Compiled: what radial states of a grid of any phases lose, for the checker of certificates, in code of its own.

What pieces draw is computed at some voltages, with secants from there in six directions, and how far it is from these
within some distances. A state is swept in the core of the grid alone; by Brouwer's theorem there is a flow of the whole
grid as near as all of that may move it, and it loses at least what follows (docs/methods.md M44). Distances are those
of symmetrical components at buses of three phases, and of phases within pieces.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.model import Blocks
from openpoint.search.phases.proof_sweeps import (
    CELL,
    CELLS,
    RADII,
    V_LOW,
    Pieces,
    Room,
    above,
    cell_of,
    follow_branch,
    follow_loop,
    forest,
    gather,
    is_shunted,
    loss_of,
    share_of,
    size_of,
    sweep,
)

STEP = 1e-12
"""Largest change of a voltage, pu, after which sweeps end."""
FINE = 1e-8
"""The same of secants, whose distance counts so much."""
STOPS = 3e-2, 1e-4, 1e-5
"""The same of sweeps around which flows are bounded, each where the one before does not prove enough."""
LOSES = 1e-8
"""Share of the loss of a flow by which its sweeps may be off."""
STRIDE = 2e-3
"""Length of a secant, pu."""
SAME = 1e-9
"""Relative distance from an end of a band of voltages, where the share of a load jumps: both sides count."""
ROUNDS, WIDER, LEAST = 12, 1.2, 1e-12
"""How often distances of voltages are supposed anew, how much more than what followed, and how much more in pu."""
FORTESCUE: Complexes = np.exp(2j * np.pi / 3.0 * np.outer(np.arange(3), np.arange(3))) / math.sqrt(3.0)


class Sizes(NamedTuple):
    """Matrices in components, U v with U unitary, entry by entry without their angles.

    Attributes:
        u, part: (n, 3, 3) U and its sizes. plain: (m) whether T is 1. The others: as in `Blocks`.
    """

    u: Complexes
    part: Floats
    plain: Bools
    z: Floats
    ratio: Floats
    y: Floats
    y_fr: Floats
    y_to: Floats
    loop: Floats


def sizes_for(blocks: Blocks, *, sequences: bool) -> Sizes:
    """Those of a grid: symmetrical components where a bus has three phases, or phases."""
    three: Bools = np.asarray(blocks.has.all(axis=1) & sequences)
    u = np.where(three[:, None, None], FORTESCUE, np.eye(3))
    back, fr, to = u.conj().transpose(0, 2, 1), blocks.fr, blocks.to
    parts = (
        np.stack([u[to] @ blocks.z[0] @ back[to], u[fr] @ blocks.z[1] @ back[fr]]),
        np.stack([u[to] @ blocks.ratio[0] @ back[fr], u[fr] @ blocks.ratio[1] @ back[to]]),
        u @ blocks.y @ back,
        u[fr] @ blocks.y_fr @ back[fr],
        u[to] @ blocks.y_to @ back[to],
        u[to] @ blocks.loop @ back[to],
    )
    return Sizes(u, np.abs(u), blocks.plain & (three[fr] == three[to]), *(np.abs(part) for part in parts))


@compiled
def tabulate(
    blocks: Blocks, status: States, pieces: Pieces, none: Pieces, room: Room, other: Room, sizes: Sizes, count: int
) -> None:
    """Set what pieces draw and lose, and within which bounds: `count` buses of `room.order` are theirs, roots first.

    Args:
        sizes: of phases. other: with the tree of `room`.
    """
    flows, kept = False, np.zeros((2, len(RADII), len(room.far), 3))  # distances of the voltages before
    for k in range(CELLS - 1, -1, -1):
        for c in range(len(pieces.root)):
            for j in range(3):
                room.v[pieces.root[c], j] = (pieces.base[c] + CELL * k) * pieces.shape[c, j]
        flows = sweep(blocks, status, none, room, count, STEP, flows)
        loss_of(blocks, status, none, room, count)
        for q in range(count):
            b = room.order[q]
            if room.edge[b] >= 0:
                pieces.flow[pieces.of[b], k, 3] += room.lost[b]
            else:
                for j in range(3):
                    pieces.flow[pieces.at[b], k, j] = room.drawn[b, j]
        _secants(blocks, status, pieces, none, room, other, k, count, flows)
        for i in range(len(RADII)):
            for q in range(count):
                b = room.order[q]
                for j in range(3):
                    room.far[b, j], room.near[b, j] = kept[0, i, b, j], kept[1, i, b, j]
                    if room.edge[b] < 0:
                        room.far[b, j], room.near[b, j] = RADII[i] if blocks.has[b, j] else 0.0, 0.0
            _settle(blocks, status, none, room, sizes, count, room.far, 0.0)
            for q in range(count):
                b = room.order[q]
                for j in range(3):
                    if room.edge[b] >= 0 and not (flows and room.wide[b, j] <= room.far[b, j]):
                        pieces.off[pieces.of[b], k, i, 3] = math.inf
            _settle(blocks, status, none, room, sizes, count, room.near, RADII[i])
            for q in range(count):
                b = room.order[q]
                if room.edge[b] < 0:
                    for j in range(3):
                        pieces.off[pieces.at[b], k, i, j] = room.moved[b, j]
                    continue
                c = pieces.of[b]
                pieces.off[c, k, i, 3] += room.less[b]
                for j in range(3):
                    kept[0, i, b, j] = room.far[b, j] if room.far[b, j] < 1.0 else 0.0
                    kept[1, i, b, j] = room.near[b, j] if room.near[b, j] < 1.0 else 0.0
                    if not room.wide[b, j] <= room.near[b, j]:
                        pieces.off[c, k, i, 3] = math.inf


@inlined
def _secants(
    blocks: Blocks,
    status: States,
    pieces: Pieces,
    none: Pieces,
    room: Room,
    other: Room,
    k: int,
    count: int,
    flows: bool,
) -> None:
    """Set the slopes of pieces around the flow in `room`, and what is not of first order in what they are made of."""
    root3 = math.sqrt(3.0)
    room.kinks[:] = 0.0
    room.bends[:] = 0.0
    for way in range(6):
        m = way // 2
        for q in range(count):
            b = room.order[q]
            for j in range(3):
                other.v[b, j] = room.v[b, j]
            if blocks.has[b, m]:  # of others this is where sweeps begin
                other.v[b, m] += STRIDE * (1j if way % 2 else 1.0)
        good = flows and sweep(blocks, status, none, other, count, FINE, True)
        gather(blocks, status, none, other, count)
        for q in range(count):
            b, e = room.order[q], room.edge[room.order[q]]
            if e < 0:
                for j in range(3):
                    step = other.drawn[b, j] - room.drawn[b, j] if good else complex(math.nan, 0.0)
                    pieces.slope[pieces.at[b], k, way, j] = step / STRIDE
                continue
            found = _ahead(blocks.z[room.way[b], e], room.i[e], other.i[e])
            for p in range(blocks.start[b], blocks.start[b + 1]):
                f = blocks.around[p]
                if is_shunted(blocks, status, f):
                    found += _ahead(blocks.y_fr[f] if blocks.fr[f] == b else blocks.y_to[f], room.v[b], other.v[b])
            pieces.slope[pieces.of[b], k, way, 3] += found / STRIDE
            for j in range(3):
                if blocks.s[b, j] != 0.0:
                    x, r = size_of(room.v[b, j]), size_of(other.v[b, j] - room.v[b, j])
                    room.kinks[b, j] += r * r / (x * x * (x - r)) / STRIDE if r < x else math.inf
            for p in range(room.first[b], room.first[b + 1]):
                d = room.load[p]
                j, l = blocks.phase[d], blocks.back[d]
                x, y = room.v[b, j], other.v[b, j]
                if l >= 0:
                    x, y = (x - room.v[b, l]) / root3, (y - other.v[b, l]) / root3
                room.bends[d] += _bend(blocks, d, size_of(x), size_of(y - x)) / STRIDE


@inlined
def _ahead(matrix: Complexes, x: Complexes, y: Complexes) -> float:
    """2 Re(xᴴ herm(A) (y − x)), by which Re(yᴴ A y) is more than Re(xᴴ A x) to first order."""
    found = 0.0
    for j in range(3):
        for k in range(3):
            found += (x[j].conjugate() * (matrix[j, k] + matrix[k, j].conjugate()) * (y[k] - x[k])).real
    return found


@compiled
def judge(
    blocks: Blocks,
    status: States,
    free: Ints,
    states: States,
    enough: Floats,
    pieces: Pieces,
    room: Room,
    sizes: Sizes,
    found: Floats,
) -> None:
    """Set `found` (K) to what radial states lose at least, per unit, in a core with pieces; else what sweeps find.

    inf where not all phases are fed. Where no flow is found −inf with pieces, and nan without.

    Args:
        status: (m), with `states` (K, F) in the place of `free` (F). enough: (K) more need not be known.
    """
    warm, here = False, status.copy()
    for s in range(len(states)):
        for f in range(len(free)):
            here[free[f]] = states[s, f]
        count, found[s] = forest(blocks, here, pieces, room), -math.inf
        if len(pieces.root) == 0:
            if count != len(blocks.has):
                found[s] = math.inf
            elif sweep(blocks, here, pieces, room, count, STEP, False):
                loss = loss_of(blocks, here, pieces, room, count)
                found[s] = loss - LOSES * abs(loss)
            else:
                found[s] = math.nan
            continue
        warm = warm and count > 0
        for trial in range(len(STOPS) if count > 0 else 0):
            last = trial == len(STOPS) - 1  # distances are supposed anew, else they are those that held before
            warm = sweep(blocks, here, pieces, room, count, STOPS[trial], warm)
            if not warm:
                break
            loss = loss_of(blocks, here, pieces, room, count)
            if loss < enough[s] and not last:
                continue
            for q in range(count):
                for j in range(3):
                    room.far[room.order[q], j] *= 0.0 if last else 1.0
            if not _settle(blocks, here, pieces, room, sizes, count, room.far, 0.0):
                for q in range(count):
                    for j in range(3):
                        room.far[room.order[q], j] = 0.0
                continue
            for q in range(count):
                loss -= room.less[room.order[q]]
            found[s] = loss - LOSES * abs(loss)
            if found[s] >= enough[s]:
                break


@inlined
def _settle(
    blocks: Blocks,
    status: States,
    pieces: Pieces,
    room: Room,
    sizes: Sizes,
    count: int,
    near: Floats,
    r: float,
) -> bool:
    """Suppose `near`, given at tops, until what follows is not more, and set `less`; whether it is so.

    Args:
        near: how far voltages are from v; or, with r > 0, from what the secants of a piece make of distances of at
            most r at its root, while they are at most `far` from v.
    """
    wide, holds = room.wide, False
    for q in range(count):
        b = room.order[q]
        if room.edge[b] >= 0:
            follow_branch(blocks, room, b)
            for j in range(3):
                room.one[j] -= room.v[b, j]
        for j in range(3):
            room.off[b, j] = _component(sizes, b, j, room.one) if room.edge[b] >= 0 else 0.0
            if r > 0.0 and room.edge[b] >= 0:  # of seven flows, weighed
                room.off[b, j] = (1.0 + 12.0 * r / STRIDE) * 2.0 * FINE
    for q in range(len(room.loops)):
        for j in range(3):
            room.slip[room.loops[q], j] = 0.0
    for turn in range(ROUNDS):
        for q in range(count):
            _move(blocks, status, pieces, room, sizes, room.order[q], near, r)
        for q in range(count - 1, -1, -1):
            b = room.order[q]
            if room.edge[b] >= 0:
                a, e, way = above(blocks, room, b), room.edge[b], room.way[b]
                for j in range(3):
                    if sizes.plain[e]:
                        room.moved[a, j] += room.moved[b, j]
                    else:
                        for k in range(3):
                            room.moved[a, j] += sizes.ratio[way, e, k, j] * room.moved[b, k]
        holds = _meshes(blocks, room, sizes)
        for q in range(count):
            b = room.order[q]
            e, way = room.edge[b], room.way[b]
            for j in range(3):
                if e < 0:
                    wide[b, j] = near[b, j]
                    continue
                a = above(blocks, room, b)
                wide[b, j] = room.off[b, j] + (wide[a, j] if sizes.plain[e] else 0.0)
                for k in range(3):
                    wide[b, j] += sizes.z[way, e, j, k] * room.moved[b, k]
                    if not sizes.plain[e]:
                        wide[b, j] += sizes.ratio[way, e, j, k] * wide[a, k]
                holds = holds and wide[b, j] <= near[b, j]
        if holds or turn == ROUNDS - 1:
            break
        for q in range(count):
            b = room.order[q]
            for j in range(3):
                if room.edge[b] >= 0:
                    near[b, j] = WIDER * wide[b, j] + (LEAST if blocks.has[b, j] else 0.0)
        for q in range(len(room.loops)):
            for j in range(3):
                room.slip[room.loops[q], j] = WIDER * room.slip[room.loops[q], j] + LEAST
    for q in range(count):
        b = room.order[q]
        if room.edge[b] >= 0:
            for j in range(3 if holds else 0):  # what follows is as near as that
                near[b, j] = min(near[b, j], WIDER * wide[b, j] + LEAST)
            room.less[b] += _steep(
                sizes, b, blocks.z[room.way[b], room.edge[b]], room.i[room.edge[b]], room.moved[b], room
            )
    for q in range(len(room.loops)):
        e = room.loops[q]
        room.less[room.order[0]] += _steep(sizes, blocks.to[e], blocks.z[0, e], room.i[e], room.slip[e], room)
    return holds


@inlined
def _component(sizes: Sizes, b: int, k: int, x: Complexes) -> float:
    """Size of a component of x (3)."""
    return size_of(sizes.u[b, k, 0] * x[0] + sizes.u[b, k, 1] * x[1] + sizes.u[b, k, 2] * x[2])


@inlined
def _of_phase(sizes: Sizes, b: int, j: int, far: Floats) -> float:
    """Most that a phase of a bus has, if components have at most `far` (n, 3)."""
    part = sizes.part[b]
    return float(part[0, j] * far[b, 0] + part[1, j] * far[b, 1] + part[2, j] * far[b, 2])


@inlined
def _add(sizes: Sizes, b: int, j: int, found: float, moved: Floats) -> None:
    """Add to the components of a bus what a phase has."""
    for k in range(3):
        if sizes.part[b, k, j] > 0.0:
            moved[b, k] += sizes.part[b, k, j] * found


@inlined
def _steep(sizes: Sizes, b: int, matrix: Complexes, x: Complexes, far: Floats, room: Room) -> float:
    """At least 2 |Re(xᴴ herm(A) y)| for components |y| ≤ far."""
    found = 0.0
    for j in range(3):
        room.one[j] = 0j
        for k in range(3):
            room.one[j] += (matrix[j, k] + matrix[k, j].conjugate()) * x[k]
    for j in range(3):
        if far[j] > 0.0:
            found += _component(sizes, b, j, room.one) * far[j]
    return found


@inlined
def _move(
    blocks: Blocks, status: States, pieces: Pieces, room: Room, sizes: Sizes, b: int, near: Floats, r: float
) -> None:
    """Set moved and less to what loads, shunts and a piece make at a bus, if r > 0 beyond first order."""
    far, moved, v, root3 = room.far, room.moved, room.v, math.sqrt(3.0)
    room.less[b] = 0.0
    for j in range(3):
        moved[b, j] = 0.0
    if room.edge[b] < 0 and not blocks.is_source[b]:
        return
    for j in range(3):
        if room.charged[b]:
            for k in range(3):
                moved[b, j] += sizes.y[b, j, k] * near[b, k]
        if blocks.s[b, j] != 0.0:
            x, y = size_of(v[b, j]), _of_phase(sizes, b, j, far)
            change = y / (x * (x - y)) if y < x else math.inf
            if r > 0.0:
                change = _of_phase(sizes, b, j, near) / (x * x) + change * y / x + r * room.kinks[b, j]
            _add(sizes, b, j, size_of(blocks.s[b, j]) * change, moved)
    for q in range(room.first[b], room.first[b + 1]):
        d = room.load[q]
        j, k = blocks.phase[d], blocks.back[d]
        u, y, z, power = v[b, j], _of_phase(sizes, b, j, far), _of_phase(sizes, b, j, near), size_of(blocks.power[d])
        if k >= 0:
            u, y, z = (
                (u - v[b, k]) / root3,
                (y + _of_phase(sizes, b, k, far)) / root3,
                (z + _of_phase(sizes, b, k, near)) / root3,
            )
            power /= root3
        x = size_of(u)
        if r > 0.0:
            one, two, three = share_of(blocks, d, x)
            change = (one / (x * x) + abs(two) / x + three) * z + _bend(blocks, d, x, y) + r * room.bends[d]
        else:
            change = _change(blocks, d, x, y)
        _add(sizes, b, j, power * change, moved)
        if k >= 0:
            _add(sizes, b, k, power * change, moved)
    for q in range(blocks.start[b], blocks.start[b + 1]):
        e = blocks.around[q]
        if is_shunted(blocks, status, e):
            y_here = blocks.y_fr[e] if blocks.fr[e] == b else blocks.y_to[e]
            part = sizes.y_fr[e] if blocks.fr[e] == b else sizes.y_to[e]
            room.less[b] += _steep(sizes, b, y_here, v[b], near[b], room)
            for j in range(3):
                for k in range(3):
                    moved[b, j] += part[j, k] * near[b, k]
                    room.less[b] += part[j, k] * far[b, j] * far[b, k]
    if pieces.at[b] >= 0:
        _piece(blocks, pieces, room, sizes, b, pieces.at[b])


@inlined
def _change(blocks: Blocks, d: int, x: float, r: float) -> float:
    """By how much the current of a load of power 1 changes, at most, at voltages within r of one of size x.

    Its size a / u + b + c u is monotone between the ends of bands, and it turns by at most asin(r / x).
    """
    if not r < 0.5 * x:
        return math.inf if r > 0.0 else 0.0
    one, two, three = share_of(blocks, d, x)
    size = one / x + two + three * x
    return _beyond(blocks, d, x, r, 0.0, size, 0.0) + 1.04 * size * r / x


@inlined
def _bend(blocks: Blocks, d: int, x: float, r: float) -> float:
    """By how much, at most, that current differs from what it is to first order at a voltage of size x.

    With the shares at x those of a / u and b differ by at most a r² / x² u and 0.6 b r² / u², that of c u by nothing;
    other shares make another size, in the same direction.
    """
    if not r < 0.5 * x:
        return math.inf if r > 0.0 else 0.0
    one, two, three = share_of(blocks, d, x)
    bend = one / (x * x * (x - r)) + 0.6 * abs(two) / (x - r) ** 2
    return bend * r * r + _beyond(blocks, d, x, r, one, two, three)


@inlined
def _beyond(blocks: Blocks, d: int, x: float, r: float, a: float, b: float, c: float) -> float:
    """By how much, at most, the size of that current differs from a / u + b + c u within r of x.

    The difference is monotone between the ends of bands.
    """
    low, high, most = x - r, x + r, 0.0
    for point in range(8):
        u = low if point == 0 else high
        if point > 1:
            end = blocks.low[d] if point < 4 else blocks.high[d] if point < 6 else V_LOW * blocks.rated[d]
            if not (low <= end * (1.0 + SAME) and end * (1.0 - SAME) <= high):
                continue
            u = end * (1.0 + SAME if point % 2 else 1.0 - SAME)
        one, two, three = share_of(blocks, d, u)
        most = max(most, abs((one - a) / u + two - b + (three - c) * u))
    return most


@inlined
def _piece(blocks: Blocks, pieces: Pieces, room: Room, sizes: Sizes, b: int, c: int) -> None:
    """Add what a piece makes, around the nearest of the voltages at which it is known."""
    k, turn = cell_of(pieces, c, room.v[b])
    r, i = 0.0, 0
    for j in range(3):
        if blocks.has[b, j]:
            at = (pieces.base[c] + CELL * k) * turn * pieces.shape[c, j]
            r = max(r, size_of(room.v[b, j] - at) + _of_phase(sizes, b, j, room.far))
    while i < len(RADII) and RADII[i] < r:
        i += 1
    if not 0 <= k < CELLS or i == len(RADII):
        room.less[b] = math.inf
        return
    for j in range(3):
        _add(sizes, b, j, pieces.off[c, k, i, j], room.moved)
    room.less[b] += pieces.off[c, k, i, 3]
    for m in range(3):
        for j in range(3):
            room.moved[b, j] += room.far[b, m] * pieces.steep[c, k, m, j]
        room.less[b] += room.far[b, m] * pieces.steep[c, k, m, 3]


@inlined
def _meshes(blocks: Blocks, room: Room, sizes: Sizes) -> bool:
    """Add slip, as supposed, to moved around each loop, and set it to what follows; whether that is not more."""
    holds = True
    for q in range(len(room.loops)):
        holds = _around(blocks, room, sizes, room.loops[q], True) and holds
    for q in range(len(room.loops)):
        e = room.loops[q]
        follow_loop(blocks, room, e)
        for j in range(3):
            room.apart[j] = _component(sizes, blocks.to[e], j, room.one)
        _around(blocks, room, sizes, e, False)
        for j in range(3):
            supposed, room.slip[e, j] = room.slip[e, j], 0.0
            for k in range(3):
                room.slip[e, j] += sizes.loop[e, j, k] * room.apart[k]
            holds = holds and room.slip[e, j] <= supposed
    return holds


@inlined
def _around(blocks: Blocks, room: Room, sizes: Sizes, e: int, adds: bool) -> bool:
    """Add slip to moved of the branches around a loop, or to `apart` their voltages without it; whether T is 1."""
    a, b, plain = blocks.fr[e], blocks.to[e], sizes.plain[e]
    while a != b:
        x = a if room.rank[a] > room.rank[b] else b
        f = room.edge[x]
        if f < 0:
            return False
        plain = plain and sizes.plain[f]
        for j in range(3):
            if adds:
                room.moved[x, j] += room.slip[e, j]
            else:
                room.apart[j] += room.off[x, j]
                for k in range(3):
                    room.apart[j] += sizes.z[room.way[x], f, j, k] * (room.moved[x, k] - room.slip[e, k])
        a, b = (above(blocks, room, x), b) if x == a else (a, above(blocks, room, x))
    return bool(plain)
