"""Compiled: the forest of closed branches, the exact power flow of a tree by sweeps, and the shares of loads.

The sweep of Shirmohammadi, Hong, Semlyen and Luo (IEEE Trans. Power Systems 3(2), 1988) with 3 × 3 matrices: from the
leaves to the sources currents, from the sources to the leaves voltages. Where much is drawn these swing further each
time, so that a part of the change is made, by the rule of Irons and Tuck (Int. J. Numerical Methods in Engineering
1(3), 1969).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.model import SIZES, STEP_U, Blocks

OPEN, CLOSED, UNDECIDED, LOOP = 2, 1, 0, 3
"""States of branches; LOOP: closed, and aside of the tree, since it closes a loop that nobody can open."""
LOOPED, UNFED = -1, -2
CHANGE, SWEEPS = 1e-10, 200
"""Largest change of a voltage, pu, at which the sweeps of an exact flow end, and after how many there is none."""
LEAST_PART = 0.05
"""Least part of a change of voltages that is made."""
RESPONSE = 1e-8
"""The same of the changes that others make to first order."""
V_LOW = 0.5
"""Voltage over the rated one below which a load is the impedance of its rated power, as in OpenDSS."""


class Trees(NamedTuple):
    """The forest of closed branches.

    Attributes:
        order: (n) buses, parents first. edge: (n) branch above, −1 at tops and sources. way: (n) its direction.
        floats: (n) whether no source is at the top. v, drawn: (n, 3) voltages and currents. step: (n, 3) by what a
            round changes the voltages. i: (m, 3). room: (4).
        taken: (C, 4) what the pieces draw and lose. point: (C) around which of the voltages at which it is known that
            is taken, −1 for the two multiples of the start that are nearest.
        late, far, near, wide, moved, slip, rank, less, apart: see `openpoint.search.phases.deviation`.
    """

    order: Ints
    edge: Ints
    way: Ints
    floats: Bools
    v: Complexes
    drawn: Complexes
    step: Complexes
    i: Complexes
    room: Complexes
    taken: Complexes
    point: Ints
    late: Floats
    far: Floats
    near: Floats
    wide: Floats
    moved: Floats
    slip: Floats
    rank: Ints
    less: Floats
    apart: Floats


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
        step=np.zeros((n, 3), dtype=np.complex128),
        i=np.zeros((m, 3), dtype=np.complex128),
        room=np.zeros(4, dtype=np.complex128),
        taken=np.zeros((len(blocks.hung.bus), 4), dtype=np.complex128),
        point=np.full(len(blocks.hung.bus), -1, dtype=np.int64),
        late=np.zeros((n, 3)),
        far=np.zeros((n, 3)),
        near=np.zeros((n, 3)),
        wide=np.zeros((n, 3)),
        moved=np.zeros((n, 3)),
        slip=np.zeros((m, 3)),
        rank=np.zeros(n, dtype=np.int64),
        less=np.zeros(n),
        apart=np.zeros(3),
    )


@inlined
def regime(blocks: Blocks, d: int, u: float) -> tuple[float, float, float]:
    """(a, b, c) of the share of a load: a + b u + c u² near a voltage u, over the nominal one, as OpenDSS has it.

    The share is the power over that at the nominal voltage.
    """
    degree, low, high, rated = blocks.degree[d], blocks.low[d], blocks.high[d], blocks.rated[d]
    if low <= u <= high:
        return (1.0, 0.0, 0.0) if degree == 0 else (0.0, 1.0, 0.0) if degree == 1 else (0.0, 0.0, 1.0)
    w, least, most = u / rated, low / rated, high / rated
    at_rated = 1.0 if degree == 0 else rated if degree == 1 else rated * rated
    square = at_rated / (rated * rated)
    if u > high:
        return 0.0, 0.0, square / (most if blocks.outer[d] == 1 else most * most)
    if least <= V_LOW or w <= V_LOW:
        return 0.0, 0.0, square
    bend = ((1.0 if blocks.outer[d] == 1 else 1.0 / least) - V_LOW) / (least - V_LOW)
    return 0.0, at_rated * V_LOW * (1.0 - bend) / rated, square * bend


@inlined
def size_of(x: complex) -> float:
    """|x|, without the care for numbers near the ends of floats."""
    return math.sqrt(x.real * x.real + x.imag * x.imag)


@inlined
def share_of(blocks: Blocks, d: int, u: float) -> float:
    """That of a load at a voltage."""
    a, b, c = regime(blocks, d, u)
    return a + (b + c * u) * u


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
def sweep(blocks: Blocks, status: States, priority: Ints, trees: Trees, least: float, warm: bool) -> float:
    """As `swept`, for Python."""
    return swept(blocks, status, priority, trees, least, warm)


@inlined
def swept(blocks: Blocks, status: States, priority: Ints, trees: Trees, least: float, warm: bool) -> float:
    """The loss of a tree, per unit: series resistances and shunts of branches; voltages and currents in `trees`.

    inf where a bus is not fed, or the sweep does not converge. It ends where no voltage changes by `least` any more.
    `warm`: begin with the voltages and the currents of loops that are in `trees`, not with those of no load.
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
                a, r = above(blocks, trees, b)
                v[b, j] = (
                    blocks.ratio[r, e, j, 0] * v[a, 0]
                    + blocks.ratio[r, e, j, 1] * v[a, 1]
                    + blocks.ratio[r, e, j, 2] * v[a, 2]
                )
    part = 0.0
    for _ in range(SWEEPS):
        draw(blocks, status, trees)
        _gather(blocks, count, trees)
        change, part = _spread(blocks, count, trees, part)
        change = max(change, _left_open(blocks, status, trees))
        if not change < 10.0:
            return math.inf
        if change < least:
            return _loss(blocks, status, trees, count)
        _compensate(blocks, status, trees)
        _hold_back(count, trees, part)
    return math.inf


@inlined
def above(blocks: Blocks, trees: Trees, b: int) -> tuple[int, int]:
    """The bus above, and the direction of the branch to it."""
    e, r = trees.edge[b], trees.way[b]
    return (blocks.fr[e] if r == 0 else blocks.to[e]), r


@inlined
def draw(blocks: Blocks, status: States, trees: Trees) -> None:
    """Currents that loads, shunts and closed branches draw at the present voltages."""
    v, drawn = trees.v, trees.drawn
    for b in range(len(blocks.has)):
        for j in range(3):
            c = 0j
            if blocks.has[b, j]:
                for k in range(3):
                    c += blocks.y[b, j, k] * v[b, k]
                if blocks.s[b, j] != 0.0:
                    square = v[b, j].real * v[b, j].real + v[b, j].imag * v[b, j].imag
                    c += blocks.s[b, j].conjugate() * complex(v[b, j].real / square, v[b, j].imag / square)
            drawn[b, j] = c
    for d in range(len(blocks.bus)):
        b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
        u = v[b, j] - (v[b, k] if k >= 0 else 0j)
        square = u.real * u.real + u.imag * u.imag
        size = math.sqrt(square if k < 0 else square / 3.0)
        share = share_of(blocks, d, size) / square
        c = blocks.power[d].conjugate() * complex(share * u.real, share * u.imag)
        drawn[b, j] += c
        if k >= 0:
            drawn[b, k] -= c
    for e in range(len(blocks.fr)):
        if status[e] == LOOP or (status[e] == CLOSED and blocks.shunted[e]):
            a, b = blocks.fr[e], blocks.to[e]
            if status[e] == LOOP:
                _draw_loop(blocks, e, trees)
            for j in range(3):
                for k in range(3):
                    drawn[a, j] += blocks.y_fr[e, j, k] * v[a, k]
                    drawn[b, j] += blocks.y_to[e, j, k] * v[b, k]
    for c in range(len(blocks.hung.bus)):
        b = blocks.hung.bus[c]
        _take(blocks, c, trees)
        for j in range(3):
            drawn[b, j] += trees.taken[c, j]


@inlined
def _draw_loop(blocks: Blocks, e: int, trees: Trees) -> None:
    """Add what a branch that closes a loop draws at both ends."""
    a, b = blocks.fr[e], blocks.to[e]
    for j in range(3):
        trees.drawn[b, j] -= trees.i[e, j]
        for k in range(3):
            trees.drawn[a, j] += blocks.ratio[0, e, k, j].conjugate() * trees.i[e, k]


@inlined
def turn_of(blocks: Blocks, c: int, v: Complexes) -> complex:
    """By what the voltages of a piece's flow are multiplied to come near others."""
    turn, length = 0j, 0.0
    for j in range(3):
        shape = blocks.hung.shape[c, j]
        turn += shape.conjugate() * v[j]
        length += shape.real * shape.real + shape.imag * shape.imag
    return complex(turn.real / length, turn.imag / length)


@inlined
def nearest(blocks: Blocks, c: int, v: Complexes) -> tuple[int, complex]:
    """The number of the multiple of the start that is nearest to the voltages (3) of a piece, and their turn."""
    turn = turn_of(blocks, c, v)
    size = size_of(turn)
    return int((size - blocks.hung.base[c]) / STEP_U + 0.5), complex(turn.real / size, turn.imag / size)


@inlined
def turn_to(blocks: Blocks, c: int, k: int, v: Complexes) -> complex:
    """By what the voltages (3) at which a piece is known are turned to come near others."""
    turn = 0j
    for j in range(3):
        turn += blocks.hung.at[c, k, j].conjugate() * v[j]
    size = size_of(turn)
    return complex(turn.real / size, turn.imag / size)


@inlined
def located(blocks: Blocks, c: int, trees: Trees) -> tuple[int, complex]:
    """The number of the voltages around which a piece is known best, and their turn; −1 or SIZES beyond multiples."""
    v, k = trees.v[blocks.hung.bus[c]], trees.point[c]
    if k >= 0:
        return k, turn_to(blocks, c, k, v)
    k, turn = nearest(blocks, c, v)
    return min(max(k, -1), SIZES), turn


@inlined
def pick(blocks: Blocks, trees: Trees) -> None:
    """Set point to the nearest of the voltages at which each piece is known, but for multiples of the start."""
    hung = blocks.hung
    for c in range(len(hung.bus)):
        v, least = trees.v[hung.bus[c]], math.inf
        for k in range(SIZES, hung.at.shape[1]):
            if hung.off[c, k, 0, 3] < math.inf:
                turn, far = turn_to(blocks, c, k, v), 0.0
                for j in range(3):
                    x = v[j] - turn * hung.at[c, k, j]
                    far = max(far, x.real * x.real + x.imag * x.imag)
                if far < least:
                    least, trees.point[c] = far, k


@inlined
def around(blocks: Blocks, c: int, k: int, v: Complexes, turn: complex, whole: float, found: Complexes) -> None:
    """Set found (4) to the currents and the loss of a piece at voltages (3), to first order around one of its flows.

    What it draws turns with the voltages; `turn`: by how much these are. `whole`: 0 where they are changes of voltages.
    """
    hung, back = blocks.hung, turn.conjugate()
    at, flow, slope = hung.at[c, k], hung.flow[c, k], hung.slope[c, k]
    x, y, z = v[0] * back, v[1] * back, v[2] * back
    x, y, z = x - whole * at[0], y - whole * at[1], z - whole * at[2]
    for j in range(4):  # by real and imaginary parts, as a real number times a complex one is two products, not four
        real = whole * flow[j].real + x.real * slope[0, j].real + x.imag * slope[1, j].real
        real += y.real * slope[2, j].real + y.imag * slope[3, j].real
        real += z.real * slope[4, j].real + z.imag * slope[5, j].real
        imaginary = whole * flow[j].imag + x.real * slope[0, j].imag + x.imag * slope[1, j].imag
        imaginary += y.real * slope[2, j].imag + y.imag * slope[3, j].imag
        imaginary += z.real * slope[4, j].imag + z.imag * slope[5, j].imag
        found[j] = complex(real, imaginary) * (turn if j < 3 else complex(1.0, 0.0))


@inlined
def _take(blocks: Blocks, c: int, trees: Trees) -> None:
    """Set what a piece takes: between two of its flows that around both, weighed, or around the one that is picked."""
    v = trees.v[blocks.hung.bus[c]]
    if trees.point[c] >= 0:
        around(blocks, c, trees.point[c], v, turn_to(blocks, c, trees.point[c], v), 1.0, trees.taken[c])
        return
    turn = turn_of(blocks, c, v)
    size = size_of(turn)
    at = (size - blocks.hung.base[c]) / STEP_U
    k = min(max(int(at), 0), SIZES - 2)
    turn = complex(turn.real / size, turn.imag / size)
    around(blocks, c, k, v, turn, 1.0, trees.taken[c])
    around(blocks, c, k + 1, v, turn, 1.0, trees.room)
    for j in range(4):
        trees.taken[c, j] += (at - k) * (trees.room[j] - trees.taken[c, j])


@inlined
def slope_of(blocks: Blocks, d: int, v: Complexes) -> tuple[complex, complex]:
    """What a load draws more to first order: one times a change of its voltage, plus the other times the conjugate."""
    b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
    u = v[b, j] if k < 0 else (v[b, j] - v[b, k]) / math.sqrt(3.0)
    size = abs(u)
    one, two, three = regime(blocks, d, size)
    across, along = one / size**2 + two / size + three, three - one / size**2
    power = blocks.power[d].conjugate() / (1.0 if k < 0 else 3.0)
    return 0.5 * (along + across) * power, 0.5 * (along - across) * power * (u / size) ** 2


@compiled
def respond(blocks: Blocks, status: States, trees: Trees, linear: Trees, changes: Complexes, found: Complexes) -> None:
    """What changes of voltages of sources make of a flow, to first order, where loops stay closed: by sweeps.

    Args:
        linear: room, with the same tree. changes: (6, n, 3) those of sources, and of the others to begin with.
        found: (6, n, 4) set to those of what is drawn below each bus, and of the loss there and in the branch above.
    """
    count, loads, m = len(blocks.has), len(blocks.bus), len(blocks.fr)
    same, conjugate = np.zeros(loads, dtype=np.complex128), np.zeros(loads, dtype=np.complex128)
    for d in range(loads):
        same[d], conjugate[d] = slope_of(blocks, d, trees.v)
    steep = np.zeros((3, m, 3), dtype=np.complex128)
    for b in range(count):
        e = trees.edge[b]
        if e >= 0:
            double(blocks.z[trees.way[b], e], trees.i[e], steep[0, e])
    for e in range(m):
        if status[e] == LOOP:
            double(blocks.z[0, e], trees.i[e], steep[0, e])
        if blocks.shunted[e]:
            double(blocks.y_fr[e], trees.v[blocks.fr[e]], steep[1, e])
            double(blocks.y_to[e], trees.v[blocks.to[e]], steep[2, e])
    for way in range(6):
        linear.v[:], linear.i[:] = changes[way], 0j
        v, part = linear.v, 0.0
        for _ in range(SWEEPS):
            for b in range(count):
                for j in range(3):
                    c = blocks.y[b, j, 0] * v[b, 0] + blocks.y[b, j, 1] * v[b, 1] + blocks.y[b, j, 2] * v[b, 2]
                    if blocks.s[b, j] != 0.0:
                        c -= (blocks.s[b, j] / trees.v[b, j] ** 2 * v[b, j]).conjugate()
                    linear.drawn[b, j] = c
            for d in range(loads):
                b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
                x = v[b, j] - (v[b, k] if k >= 0 else 0j)
                x = same[d] * x + conjugate[d] * x.conjugate()
                linear.drawn[b, j] += x
                if k >= 0:
                    linear.drawn[b, k] -= x
            for e in range(m):
                if blocks.shunted[e]:
                    a, b = blocks.fr[e], blocks.to[e]
                    for j in range(3):
                        for k in range(3):
                            linear.drawn[a, j] += blocks.y_fr[e, j, k] * v[a, k]
                            linear.drawn[b, j] += blocks.y_to[e, j, k] * v[b, k]
            for e in range(m):
                if status[e] == LOOP:
                    _draw_loop(blocks, e, linear)
            for c in range(len(blocks.hung.bus)):
                _respond(blocks, c, trees, linear)
            _gather(blocks, count, linear)
            change, part = _spread(blocks, count, linear, part)
            if max(change, _left_open(blocks, status, linear)) < RESPONSE:
                break
            _compensate(blocks, status, linear)
            _hold_back(count, linear, part)
        changes[way] = v
        for b in range(count):
            found[way, b, 3], e = 0j, trees.edge[b]
            for j in range(3):
                found[way, b, j] = linear.drawn[b, j]
                if e >= 0:
                    found[way, b, 3] += (steep[0, e, j].conjugate() * linear.i[e, j]).real
        for e in range(m):
            if status[e] == LOOP:
                for j in range(3):
                    found[way, blocks.to[e], 3] += (steep[0, e, j].conjugate() * linear.i[e, j]).real
            if blocks.shunted[e]:
                for j in range(3):
                    found[way, blocks.fr[e], 3] += (steep[1, e, j].conjugate() * v[blocks.fr[e], j]).real
                    found[way, blocks.to[e], 3] += (steep[2, e, j].conjugate() * v[blocks.to[e], j]).real
        for c in range(len(blocks.hung.bus)):
            found[way, blocks.hung.bus[c], 3] += linear.taken[c, 3].real


@inlined
def _respond(blocks: Blocks, c: int, trees: Trees, linear: Trees) -> None:
    """Add what a piece draws more, to first order around the flow that is known nearest to that in `trees`."""
    b = blocks.hung.bus[c]
    k, turn = located(blocks, c, trees)
    k = k if trees.point[c] >= 0 else min(max(k, 0), SIZES - 1)
    around(blocks, c, k, linear.v[b], turn, 0.0, linear.taken[c])
    for j in range(3):
        linear.drawn[b, j] += linear.taken[c, j]


@inlined
def double(matrix: Complexes, x: Complexes, found: Complexes) -> None:
    """found = 2 herm(matrix) x: how the power that is lost changes with x."""
    for j in range(3):
        found[j] = 0j
        for k in range(3):
            found[j] += (matrix[j, k] + matrix[k, j].conjugate()) * x[k]


@inlined
def _gather(blocks: Blocks, count: int, trees: Trees) -> None:
    """Currents of the branches, from the leaves on."""
    for q in range(count - 1, -1, -1):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            continue
        a, r = above(blocks, trees, b)
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
def _spread(blocks: Blocks, count: int, trees: Trees, part: float) -> tuple[float, float]:
    """Voltages from the sources on; the largest change, and the part of the changes that is to be made.

    Args:
        part: that of the round before, 0 in the first one.
    """
    change = along = length = 0.0
    for q in range(count):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            continue
        a, r = above(blocks, trees, b)
        for j in range(3):
            if blocks.has[b, j]:
                u = trees.v[a, j] if blocks.plain[e] else 0j
                for k in range(3):
                    u -= blocks.z[r, e, j, k] * trees.i[e, k]
                    if not blocks.plain[e]:
                        u += blocks.ratio[r, e, j, k] * trees.v[a, k]
                step, before = u - trees.v[b, j], trees.step[b, j]
                along += step.real * before.real + step.imag * before.imag
                length += before.real * before.real + before.imag * before.imag
                change = max(change, step.real * step.real + step.imag * step.imag)
                trees.v[b, j], trees.step[b, j] = u, step
    # A part p of a change leaves 1 − p (1 − λ) = along / length of it, p = 1 / (1 − λ) nothing.
    change = math.sqrt(change)
    if part == 0.0 or along >= length:
        return change, 1.0
    return change, min(max(part / (1.0 - along / length), LEAST_PART), 1.0)


@inlined
def _hold_back(count: int, trees: Trees, part: float) -> None:
    """Make only a part of the changes of voltages."""
    if part < 1.0:
        for q in range(count):
            b = trees.order[q]
            if trees.edge[b] >= 0:
                for j in range(3):
                    trees.v[b, j] -= (1.0 - part) * trees.step[b, j]


@inlined
def open_loop(blocks: Blocks, e: int, trees: Trees) -> None:
    """Set `room` to the voltages that are left where a branch closes a loop."""
    a, b = blocks.fr[e], blocks.to[e]
    for j in range(3):
        trees.room[j] = 0j
        if blocks.carries[e, j]:
            trees.room[j] = -trees.v[b, j]
            for k in range(3):
                trees.room[j] += blocks.ratio[0, e, j, k] * trees.v[a, k] - blocks.z[0, e, j, k] * trees.i[e, k]


@inlined
def _left_open(blocks: Blocks, status: States, trees: Trees) -> float:
    """The largest voltage that is left where a branch closes a loop."""
    most = 0.0
    for e in range(len(status)):
        if status[e] == LOOP:
            open_loop(blocks, e, trees)
            most = max(most, size_of(trees.room[0]), size_of(trees.room[1]), size_of(trees.room[2]))
    return most


@inlined
def _compensate(blocks: Blocks, status: States, trees: Trees) -> None:
    """Currents of the branches that close loops, by the impedance of each loop."""
    for e in range(len(status)):
        if status[e] == LOOP:
            open_loop(blocks, e, trees)
            for j in range(3):
                for k in range(3):
                    trees.i[e, j] += blocks.loop[e, j, k] * trees.room[k]


@inlined
def _loss(blocks: Blocks, status: States, trees: Trees, count: int) -> float:
    """Active power that the closed branches take, and those of pieces."""
    loss = 0.0
    for c in range(len(trees.taken)):
        loss += trees.taken[c, 3].real
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
