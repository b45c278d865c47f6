"""Compiled: what radial states of a grid of any phases lose, for the checker of certificates, in code of its own.

What pieces draw is computed at some voltages, and how far that is from it within distances of these. A state that
loses much more than the best is swept in the core of the grid alone; by Brouwer's theorem there is a flow of the whole
grid as near as all of that may move it, and it loses at least what follows (docs/methods.md M44). Distances are those
of symmetrical components at buses of three phases.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, States
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
    follow_branch,
    follow_loop,
    forest,
    is_shunted,
    loss_of,
    pieces_of,
    share_of,
    sweep,
    taken,
    turn_of,
)

STEP = 1e-12
"""Largest change of a voltage, pu, after which sweeps end."""
NEAR = 1e-5
"""The same of sweeps around which flows are bounded."""
LOSES = 1e-8
"""Share of the loss of a flow by which its sweeps may be off."""
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


def sizes_for(blocks: Blocks) -> Sizes:
    """Those of a grid: symmetrical components where a bus has three phases, or phases."""
    three: Bools = np.asarray(blocks.has.all(axis=1))
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


def hanging(blocks: Blocks, status: States, room: Room, sizes: Sizes) -> Pieces:
    """The pieces of a grid, around the flow of a state (m) that is in `room`."""
    kept: Bools = blocks.is_source.copy()
    for end in (blocks.fr, blocks.to):
        kept[end[blocks.movable | blocks.closes]] = True
    above = np.where(room.way == 0, blocks.fr[room.edge], blocks.to[room.edge])
    kept |= blocks.is_source[above]
    for b in room.order[::-1].tolist():
        if kept[b] and room.edge[b] >= 0:
            kept[above[b]] = True
    of, roots = np.full(len(kept), -1, dtype=np.int64), dict[int, int]()
    for b in room.order.tolist():
        if not kept[b]:
            of[b] = roots.setdefault(int(above[b]), len(roots)) if kept[above[b]] else of[above[b]]
    made = pieces_of(of, np.array(list(roots), dtype=np.int64), room.v)
    own = np.concatenate([made.root, room.order[~kept[room.order]]])
    room.order[: len(own)] = own
    room.edge[made.root] = -1
    tabulate(blocks, status, made, room._replace(loops=room.loops[:0]), sizes, len(own))
    return made


@compiled
def tabulate(blocks: Blocks, status: States, pieces: Pieces, room: Room, sizes: Sizes, count: int) -> None:
    """Set what pieces draw and lose, and within which bounds: `count` buses of `room.order` are theirs."""
    flows = False
    for k in range(CELLS - 1, -1, -1):
        for c in range(len(pieces.root)):
            for j in range(3):
                room.v[pieces.root[c], j] = (pieces.base[c] + CELL * k) * pieces.shape[c, j]
        flows = sweep(blocks, status, pieces, room, count, STEP, flows)
        loss_of(blocks, status, pieces, room, count)
        for q in range(count):
            b = room.order[q]
            c = pieces.of[b] if room.edge[b] >= 0 else pieces.at[b]
            if room.edge[b] >= 0:
                pieces.flow[c, k, 3] += room.lost[b]
            else:
                for j in range(3):
                    pieces.flow[c, k, j] = room.drawn[b, j]
        for i in range(len(RADII)):
            for q in range(count):
                b = room.order[q]
                for j in range(3):
                    room.far[b, j] = 0.0 if room.edge[b] >= 0 else RADII[i] / sizes.part[b, 0, 0]
            _settle(blocks, status, pieces, room, sizes, count)
            for q in range(count):
                b = room.order[q]
                c = pieces.of[b] if room.edge[b] >= 0 else pieces.at[b]
                if room.edge[b] >= 0:
                    pieces.off[c, k, i, 3] += room.less[b]
                else:
                    for j in range(3):
                        pieces.off[c, k, i, j] += room.moved[b, j]
                for j in range(3):
                    if not (flows and room.wide[b, j] <= room.far[b, j]):
                        pieces.off[c, k, i, 3] = math.inf


@compiled
def judge(
    blocks: Blocks,
    status: States,
    enough: Floats,
    pieces: Pieces,
    none: Pieces,
    room: Room,
    sizes: Sizes,
    found: Floats,
) -> int:
    """Set `found` (K) to what radial states (K, m) lose at least, per unit: `enough` (K) or more, or what sweeps find.

    inf where not all phases are fed, nan where no flow is found. How many were swept from no load in the whole grid.
    """
    warm, swept = False, 0
    for s in range(len(status)):
        here, found[s] = status[s], -math.inf
        if len(pieces.root) > 0:
            count = forest(blocks, here, pieces, room)
            warm = count > 0 and sweep(blocks, here, pieces, room, count, NEAR, warm)
            for trial in range(2 if warm else 0):  # within distances that held before, or supposed anew
                loss = loss_of(blocks, here, pieces, room, count)
                for q in range(count):
                    for j in range(3):
                        room.far[room.order[q], j] *= 1.0 - trial
                if not _settle(blocks, here, pieces, room, sizes, count):
                    for q in range(count):
                        for j in range(3):
                            room.far[room.order[q], j] = 0.0
                    continue
                for q in range(count):
                    loss -= room.less[room.order[q]]
                found[s] = loss - LOSES * abs(loss)
                if found[s] >= enough[s]:
                    break
            if found[s] >= enough[s]:
                continue
        swept += 1
        count, warm = forest(blocks, here, none, room), False
        if count != len(blocks.has):
            found[s] = math.inf
        elif sweep(blocks, here, none, room, count, STEP, False):
            loss = loss_of(blocks, here, none, room, count)
            found[s], warm = loss - LOSES * abs(loss), True
        else:
            found[s] = math.nan
    return swept


@inlined
def _settle(blocks: Blocks, status: States, pieces: Pieces, room: Room, sizes: Sizes, count: int) -> bool:
    """Suppose `far`, given at tops, until what follows is not more, and set `less`; whether it is so."""
    far, wide, holds = room.far, room.wide, False
    for q in range(count):
        b = room.order[q]
        if room.edge[b] >= 0:
            follow_branch(blocks, room, b)
            for j in range(3):
                room.one[j] -= room.v[b, j]
        for j in range(3):
            room.off[b, j] = _component(sizes, b, j, room.one) if room.edge[b] >= 0 else 0.0
    for q in range(len(room.loops)):
        for j in range(3):
            room.slip[room.loops[q], j] = 0.0
    for turn in range(ROUNDS):
        for q in range(count):
            _move(blocks, status, pieces, room, sizes, room.order[q])
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
                    wide[b, j] = far[b, j]
                    continue
                a = above(blocks, room, b)
                wide[b, j] = room.off[b, j] + (wide[a, j] if sizes.plain[e] else 0.0)
                for k in range(3):
                    wide[b, j] += sizes.z[way, e, j, k] * room.moved[b, k]
                    if not sizes.plain[e]:
                        wide[b, j] += sizes.ratio[way, e, j, k] * wide[a, k]
                holds = holds and wide[b, j] <= far[b, j]
        if holds or turn == ROUNDS - 1:
            break
        for q in range(count):
            b = room.order[q]
            for j in range(3):
                if room.edge[b] >= 0:
                    far[b, j] = WIDER * wide[b, j] + (LEAST if blocks.has[b, j] else 0.0)
        for q in range(len(room.loops)):
            for j in range(3):
                room.slip[room.loops[q], j] = WIDER * room.slip[room.loops[q], j] + LEAST
    for q in range(count):
        b = room.order[q]
        if room.edge[b] >= 0:
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
    return float(abs(sizes.u[b, k, 0] * x[0] + sizes.u[b, k, 1] * x[1] + sizes.u[b, k, 2] * x[2]))


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
def _move(blocks: Blocks, status: States, pieces: Pieces, room: Room, sizes: Sizes, b: int) -> None:
    """Set moved and less to what loads, shunts and a piece make at a bus."""
    far, moved, v, root3 = room.far, room.moved, room.v, math.sqrt(3.0)
    room.less[b] = 0.0
    for j in range(3):
        moved[b, j] = 0.0
    if room.edge[b] < 0 and not blocks.is_source[b]:
        return
    for j in range(3):
        if room.charged[b]:
            for k in range(3):
                moved[b, j] += sizes.y[b, j, k] * far[b, k]
        if blocks.s[b, j] != 0.0:
            x, r = abs(v[b, j]), _of_phase(sizes, b, j, far)
            _add(sizes, b, j, abs(blocks.s[b, j]) * r / (x * (x - r)) if r < x else math.inf, moved)
    for q in range(room.first[b], room.first[b + 1]):
        d = room.load[q]
        j, k = blocks.phase[d], blocks.back[d]
        x, r, power = v[b, j], _of_phase(sizes, b, j, far), abs(blocks.power[d])
        if k >= 0:
            x, r, power = (x - v[b, k]) / root3, (r + _of_phase(sizes, b, k, far)) / root3, power / root3
        change = power * _change(blocks, d, abs(x), r)
        _add(sizes, b, j, change, moved)
        if k >= 0:
            _add(sizes, b, k, change, moved)
    for q in range(blocks.start[b], blocks.start[b + 1]):
        e = blocks.around[q]
        if is_shunted(blocks, status, e):
            y = blocks.y_fr[e] if blocks.fr[e] == b else blocks.y_to[e]
            size = sizes.y_fr[e] if blocks.fr[e] == b else sizes.y_to[e]
            room.less[b] += _steep(sizes, b, y, v[b], far[b], room)
            for j in range(3):
                for k in range(3):
                    moved[b, j] += size[j, k] * far[b, k]
                    room.less[b] += size[j, k] * far[b, j] * far[b, k]
    if pieces.at[b] >= 0:
        _piece(blocks, pieces, room, sizes, b, pieces.at[b])


@inlined
def _change(blocks: Blocks, d: int, x: float, r: float) -> float:
    """By how much the current of a load of power 1 changes, at most, at voltages within r of one of size x.

    Its size a / u + b + c u is monotone between the ends of bands, and it turns by at most asin(r / x).
    """
    low, high = x - r, x + r
    if not r < 0.5 * x:
        return math.inf if r > 0.0 else 0.0
    one, two, three = share_of(blocks, d, x)
    size = one / x + two + three * x
    most = 0.0
    for point in range(8):
        u = low if point == 0 else high
        if point > 1:
            end = blocks.low[d] if point < 4 else blocks.high[d] if point < 6 else V_LOW * blocks.rated[d]
            if not (low <= end * (1.0 + SAME) and end * (1.0 - SAME) <= high):
                continue
            u = end * (1.0 + SAME if point % 2 else 1.0 - SAME)
        one, two, three = share_of(blocks, d, u)
        most = max(most, abs(one / u + two + three * u - size))
    return most + 1.04 * size * r / x


@inlined
def _piece(blocks: Blocks, pieces: Pieces, room: Room, sizes: Sizes, b: int, c: int) -> None:
    """Add what a piece makes, around the nearest of the voltages at which it is known."""
    turn = turn_of(pieces, c, room.v[b])
    k = int((abs(turn) - pieces.base[c]) / CELL + 0.5)
    turn /= abs(turn)
    r, i = 0.0, 0
    for j in range(3):
        room.one[j] = room.v[b, j] - (pieces.base[c] + CELL * k) * turn * pieces.shape[c, j]
    for j in range(3):
        r = max(r, (_component(sizes, b, j, room.one) + room.far[b, j]) * sizes.part[b, 0, 0])
    while i < len(RADII) and RADII[i] < r:
        i += 1
    if i == len(RADII) or not 0 <= k < CELLS:
        room.less[b] = math.inf
        return
    for j in range(3):
        room.one[j] = taken(pieces, c, room.v[b], j) - turn * pieces.flow[c, k, j]
    for j in range(3):
        room.moved[b, j] += pieces.off[c, k, i, j] + _component(sizes, b, j, room.one)
    room.less[b] += pieces.off[c, k, i, 3] + (taken(pieces, c, room.v[b], 3) - pieces.flow[c, k, 3]).real


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
