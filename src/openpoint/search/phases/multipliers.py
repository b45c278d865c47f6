"""Compiled: good multipliers of the bound by a fixed point, and with one branch more open.

One round: voltages down the forest at the least of the completed squares, i = −½ M⁻¹ K v_a; residuals r of the power
balances at them, which are the gradient of the bound; h += L⁻¹ r with the 3 × 3 block Laplacian
L = ½ Σ Cᴴ M⁻¹ C, C = [T diag(v_a), −diag(T v_a)], its curvature at fixed M and v (docs/methods.md M43).

One branch more open takes its part r_e out of r, and ½ Cᴴ M⁻¹ C out of L. With x = L⁻¹ (r − r_e), X = L⁻¹ Cᴴ and
G = ½ M⁻¹ the step is x + X (1 − G C X)⁻¹ G C x (Woodbury 1950): four right-hand sides with the factors of L at hand.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Complexes, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.bound import Squares, lower
from openpoint.search.phases.flow import LOOP, OPEN, UNDECIDED, Trees
from openpoint.search.phases.matrices import invert_positive, multiply
from openpoint.search.phases.model import Blocks

RETRIES = 4
MOST = 1e4
"""Size of the largest multiplier: where no voltages in the box carry the load, they grow without end, of which any
share proves that as well, since the bound is concave in them."""


class Opening(NamedTuple):
    """A node at its multipliers, where one branch more is opened at a time.

    Attributes:
        v, i, inverse, way: of the flow and the squares there. rest: (rows, 3) residuals.
        h: (n, 3), right: (rows, 4, 3), c: (3, 4), w: (3, 3) and t: (3) are room.
    """

    v: Complexes
    i: Complexes
    inverse: Complexes
    way: Ints
    rest: Complexes
    h: Complexes
    right: Complexes
    c: Complexes
    w: Complexes
    t: Complexes


class Pattern(NamedTuple):
    """Fill of the block factors in minimum-degree order, and the factors themselves.

    Attributes:
        place: (n) row of a bus, −1 at sources. start, row: rows below the diagonal, by column. update_start, update:
            blocks that the product of two blocks of a column changes. off: (m) block of a branch.
        block: (rows + fill, 3, 3). right: (rows, 3). inverse: (rows, 3, 3) of the diagonal. node: what `settle` leaves.
    """

    place: Ints
    start: Ints
    row: Ints
    update_start: Ints
    update: Ints
    off: Ints
    block: Complexes
    right: Complexes
    inverse: Complexes
    node: Opening


def _opening_for(blocks: Blocks, rows: int) -> Opening:
    """Empty arrays for a grid."""
    n, m = len(blocks.has), len(blocks.fr)
    v, i, inverse, rest, h, right, c, w, t = (
        np.zeros(shape, dtype=np.complex128)
        for shape in ((n, 3), (m, 3), (m, 3, 3), (rows, 3), (n, 3), (rows, 4, 3), (3, 4), (3, 3), 3)
    )
    return Opening(v, i, inverse, np.zeros(m, dtype=np.int64), rest, h, right, c, w, t)


def pattern_for(blocks: Blocks) -> Pattern:
    """The pattern of a grid (minimum degree, George and Liu 1989)."""
    beside: list[set[int]] = [set() for _ in blocks.has]
    fr, to = blocks.fr.tolist(), blocks.to.tolist()
    for a, b in zip(fr, to, strict=True):
        if not (blocks.is_source[a] or blocks.is_source[b] or a == b):
            beside[a].add(b)
            beside[b].add(a)
    place = np.full(len(beside), -1, dtype=np.int64)
    waiting = [(len(beside[b]), b) for b in np.flatnonzero(~blocks.is_source).tolist()]
    heapq.heapify(waiting)
    columns: list[list[int]] = []
    while waiting:
        degree, b = heapq.heappop(waiting)
        if place[b] >= 0 or degree != len(beside[b]):
            continue
        place[b] = len(columns)
        columns.append(sorted(beside[b]))
        for x in columns[-1]:
            beside[x].update(columns[-1])
            beside[x] -= {x, b}
            heapq.heappush(waiting, (len(beside[x]), x))
    count = len(columns)
    rows = [sorted(int(place[x]) for x in column) for column in columns]
    start = np.concatenate([[0], np.cumsum([len(each) for each in rows])]).astype(np.int64)
    number = {(r, c): count + int(start[c]) + k for c, each in enumerate(rows) for k, r in enumerate(each)}
    updates = [
        [ri if ri == rj else number[ri, rj] for i, ri in enumerate(each) for rj in each[: i + 1]] for each in rows
    ]
    off = np.full(len(fr), -1, dtype=np.int64)
    for e, (a, b) in enumerate(zip(place[blocks.fr].tolist(), place[blocks.to].tolist(), strict=True)):
        if a >= 0 and b >= 0 and a != b:
            off[e] = number[max(a, b), min(a, b)]
    return Pattern(
        place=place,
        start=start,
        row=np.array([r for each in rows for r in each], dtype=np.int64),
        update_start=np.concatenate([[0], np.cumsum([len(each) for each in updates])]).astype(np.int64),
        update=np.array([u for each in updates for u in each], dtype=np.int64),
        off=off,
        block=np.zeros((count + int(start[-1]), 3, 3), dtype=np.complex128),
        right=np.zeros((count, 3), dtype=np.complex128),
        inverse=np.zeros((count, 3, 3), dtype=np.complex128),
        node=_opening_for(blocks, count),
    )


@inlined
def _descend(blocks: Blocks, status: States, trees: Trees, found: Squares) -> None:
    """Voltages down the forest and currents of the least squares."""
    v = trees.v
    half = math.sqrt(0.75)
    for q in range(len(blocks.has)):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            for j in range(3):
                turn = 1.0 + 0j if j == 0 else complex(-0.5, -half) if j == 1 else complex(-0.5, half)
                size = 0.5 * (abs(v[b, j]) + found.top[b, j])  # averaged: else it may swing
                v[b, j] = blocks.held[b, j] if blocks.is_source[b] else turn * size if blocks.has[b, j] else 0j
            continue
        r = trees.way[b]
        a = blocks.fr[e] if r == 0 else blocks.to[e]
        _current(found, e, v[a], trees.i[e])
        for j in range(3):
            u = 0j
            if blocks.has[b, j]:
                for k in range(3):
                    u += blocks.ratio[r, e, j, k] * v[a, k] - blocks.z[r, e, j, k] * trees.i[e, k]
            v[b, j] = u
    for e in range(len(blocks.fr)):
        if status[e] == UNDECIDED or status[e] == LOOP:
            _current(found, e, v[blocks.fr[e] if found.way[e] == 0 else blocks.to[e]], trees.i[e])


@inlined
def _current(found: Squares, e: int, v: Complexes, i: Complexes) -> None:
    """i = −½ M⁻¹ K v."""
    k, inverse = found.k[e], found.inverse[e]
    x = k[0, 0] * v[0] + k[0, 1] * v[1] + k[0, 2] * v[2]
    y = k[1, 0] * v[0] + k[1, 1] * v[1] + k[1, 2] * v[2]
    z = k[2, 0] * v[0] + k[2, 1] * v[1] + k[2, 2] * v[2]
    for j in range(3):
        i[j] = -0.5 * (inverse[j, 0] * x + inverse[j, 1] * y + inverse[j, 2] * z)


@inlined
def _residuals(blocks: Blocks, status: States, trees: Trees, found: Squares, pattern: Pattern) -> None:
    """Power that is missing at each bus, conjugate: loads, shunts, what branches draw and deliver."""
    v, place, right = trees.v, pattern.place, pattern.right
    for b in range(len(blocks.has)):
        p = place[b]
        if p < 0:
            continue
        for j in range(3):
            y = 0j
            for k in range(3):
                y += blocks.y[b, j, k] * v[b, k]
            right[p, j] = blocks.s[b, j].conjugate() + v[b, j].conjugate() * y if blocks.has[b, j] else 0j
    for d in range(len(blocks.bus)):
        b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
        p = place[b]
        if p < 0:
            continue
        u = v[b, j] - (v[b, k] if k >= 0 else 0j)
        size = (u.real**2 + u.imag**2) / (3.0 if k >= 0 else 1.0)
        s = blocks.power[d] * (found.line[d, 0] + found.line[d, 1] * size)
        if k < 0:
            right[p, j] += s.conjugate()
        else:
            right[p, j] += (0.5 * s * (1.0 + found.centre[d])).conjugate()
            right[p, k] += (0.5 * s * (1.0 - found.centre[d])).conjugate()
    hung, value = blocks.hung, found.weight
    for c in range(len(hung.bus)):
        b = hung.bus[c]
        p = place[b]
        if p < 0:
            continue
        for k in range(13):
            value[k] = hung.constant[c, k]
            for i in range(3):
                for j in range(3):
                    value[k] -= (v[b, i].conjugate() * hung.a[c, k, i, j] * v[b, j]).real
        for i in range(6):
            slope = (value[1 + 2 * i] - value[2 + 2 * i]) / (2.0 * hung.reach[c, i])
            for j in range(3):
                right[p, j] += slope * hung.mode[c, i, j]
    for e in range(len(blocks.fr)):
        if status[e] == OPEN:
            continue
        a, b = blocks.fr[e], blocks.to[e]
        if status[e] != UNDECIDED:
            for j in range(3):
                ya = yb = 0j
                for k in range(3):
                    ya += blocks.y_fr[e, j, k] * v[a, k]
                    yb += blocks.y_to[e, j, k] * v[b, k]
                if place[a] >= 0:
                    right[place[a], j] += v[a, j].conjugate() * ya
                if place[b] >= 0:
                    right[place[b], j] += v[b, j].conjugate() * yb
        r = found.way[e]
        if r == 1:
            a, b = b, a
        for j in range(3):
            u = t = 0j
            for k in range(3):
                u += blocks.ratio[r, e, j, k] * v[a, k] - blocks.z[r, e, j, k] * trees.i[e, k]
                t += blocks.ratio[r, e, k, j].conjugate() * trees.i[e, k]
            if place[b] >= 0 and blocks.carries[e, j]:
                right[place[b], j] -= u.conjugate() * trees.i[e, j]
            if place[a] >= 0:
                right[place[a], j] += v[a, j].conjugate() * t


@inlined
def _assemble(blocks: Blocks, status: States, trees: Trees, found: Squares, pattern: Pattern) -> None:
    """The block Laplacian."""
    block, place = pattern.block, pattern.place
    for q in range(len(block)):
        for i in range(3):
            for j in range(3):
                block[q, i, j] = 0j
    for b in range(len(blocks.has)):
        for j in range(3):
            if place[b] >= 0 and not blocks.has[b, j]:
                block[place[b], j, j] = 1.0 + 0j
    w, x = found.room[0], found.room[1]
    for e in range(len(blocks.fr)):
        if status[e] == OPEN:
            continue
        r = found.way[e]
        a, b = (blocks.fr[e], blocks.to[e]) if r == 0 else (blocks.to[e], blocks.fr[e])
        pa, pb = place[a], place[b]
        for i in range(3):
            for j in range(3):
                w[i, j] = blocks.ratio[r, e, i, j] * trees.v[a, j] if blocks.carries[e, i] else 0j
        multiply(found.inverse[e], w, x)
        for i in range(3):
            u = (w[i, 0] + w[i, 1] + w[i, 2]).conjugate()
            for j in range(3):
                if pb >= 0:
                    block[pb, i, j] += 0.5 * u * found.inverse[e, i, j] * (w[j, 0] + w[j, 1] + w[j, 2])
                if pa >= 0:
                    for k in range(3):
                        block[pa, i, j] += 0.5 * w[k, i].conjugate() * x[k, j]
                if pa >= 0 and pb >= 0:
                    c = -0.5 * u * x[i, j]
                    if pb > pa:
                        block[pattern.off[e], i, j] += c
                    else:
                        block[pattern.off[e], j, i] += c.conjugate()


@inlined
def _solve(blocks: Blocks, h: Complexes, pattern: Pattern, w: Complexes) -> bool:
    """h += L⁻¹ r by a block LDLᴴ factorisation; False where L is not positive definite."""
    block, right, inverse = pattern.block, pattern.right, pattern.inverse
    count = len(right)
    for p in range(count):
        for i in range(3):
            block[p, i, i] = block[p, i, i].real + 1e-14
        if not invert_positive(block[p], inverse[p]):
            return False
        u = pattern.update_start[p]
        first = pattern.start[p]
        for q in range(first, pattern.start[p + 1]):
            below = pattern.row[q]
            multiply(block[count + q], inverse[p], w)
            for i in range(3):
                right[below, i] -= w[i, 0] * right[p, 0] + w[i, 1] * right[p, 1] + w[i, 2] * right[p, 2]
            for other in range(first, q + 1):
                t = pattern.update[u]
                u += 1
                for i in range(3):
                    for j in range(3):
                        for k in range(3):
                            block[t, i, j] -= w[i, k] * block[count + other, j, k].conjugate()
    for p in range(count - 1, -1, -1):
        for q in range(pattern.start[p], pattern.start[p + 1]):
            below = pattern.row[q]
            for i in range(3):
                for k in range(3):
                    right[p, i] -= block[count + q, k, i].conjugate() * right[below, k]
        x, y, z = right[p, 0], right[p, 1], right[p, 2]
        for i in range(3):
            right[p, i] = inverse[p, i, 0] * x + inverse[p, i, 1] * y + inverse[p, i, 2] * z
    most = 0.0
    for b in range(len(blocks.has)):
        if pattern.place[b] >= 0:
            for j in range(3):
                if blocks.has[b, j]:
                    h[b, j] += right[pattern.place[b], j]
                    most = max(most, abs(h[b, j]))
    if most > MOST:
        for b in range(len(blocks.has)):
            for j in range(3):
                if pattern.place[b] >= 0:
                    h[b, j] *= MOST / most
    return True


@inlined
def settle(
    blocks: Blocks, status: States, priority: Ints, h: Complexes, trees: Trees, found: Squares, pattern: Pattern
) -> float:
    """The bound of a node at its multipliers h, with what `opened` needs; −inf where it is not defined there."""
    node, value = pattern.node, lower(blocks, status, priority, h, trees, found)
    if not math.isfinite(value):
        return -math.inf
    _descend(blocks, status, trees, found)
    _residuals(blocks, status, trees, found, pattern)
    _assemble(blocks, status, trees, found, pattern)
    for j in range(3):
        for b in range(len(h)):
            node.v[b, j], node.h[b, j] = trees.v[b, j], h[b, j]
        for p in range(len(node.rest)):
            node.rest[p, j] = pattern.right[p, j]
        for e in range(len(status)):
            node.i[e, j], node.way[e] = trees.i[e, j], found.way[e]
            for k in range(3):
                node.inverse[e, j, k] = found.inverse[e, j, k]
    return value if _solve(blocks, node.h, pattern, found.room[0]) else -math.inf


@inlined
def _solve_all(pattern: Pattern, right: Complexes) -> None:
    """L⁻¹ of four right-hand sides (rows, 4, 3), with the factors that `_solve` leaves."""
    block, inverse, count = pattern.block, pattern.inverse, len(right)
    for p in range(count):
        here, first, last = right[p], pattern.start[p], pattern.start[p + 1]
        for k in range(4):
            a, b, c = here[k, 0], here[k, 1], here[k, 2]
            if a == 0j and b == 0j and c == 0j:
                continue
            x = inverse[p, 0, 0] * a + inverse[p, 0, 1] * b + inverse[p, 0, 2] * c
            y = inverse[p, 1, 0] * a + inverse[p, 1, 1] * b + inverse[p, 1, 2] * c
            z = inverse[p, 2, 0] * a + inverse[p, 2, 1] * b + inverse[p, 2, 2] * c
            for q in range(first, last):
                below, f = right[pattern.row[q]], block[count + q]
                for i in range(3):
                    below[k, i] -= f[i, 0] * x + f[i, 1] * y + f[i, 2] * z
    for p in range(count - 1, -1, -1):
        here = right[p]
        for q in range(pattern.start[p], pattern.start[p + 1]):
            below, f = right[pattern.row[q]], block[count + q]
            for k in range(4):
                for i in range(3):
                    for j in range(3):
                        here[k, i] -= f[j, i].conjugate() * below[k, j]
        for k in range(4):
            a, b, c = here[k, 0], here[k, 1], here[k, 2]
            for i in range(3):
                here[k, i] = inverse[p, i, 0] * a + inverse[p, i, 1] * b + inverse[p, i, 2] * c


@inlined
def opened(blocks: Blocks, e: int, h: Complexes, pattern: Pattern) -> bool:
    """Take the step of multipliers h where branch e of the node is opened; False where there is none, as at bridges."""
    node, r = pattern.node, pattern.node.way[e]
    a, b = (blocks.fr[e], blocks.to[e]) if r == 0 else (blocks.to[e], blocks.fr[e])
    pa, pb, right, c, w = pattern.place[a], pattern.place[b], node.right, node.c, node.w
    for p in range(len(right)):
        for i in range(3):
            right[p, 0, i] = right[p, 1, i] = right[p, 2, i] = 0j
            right[p, 3, i] = node.rest[p, i]
    for i in range(3):
        far, near, carried = 0j, 0j, blocks.carries[e, i]
        for j in range(3):
            w[i, j] = blocks.ratio[r, e, i, j] * node.v[a, j] if carried else 0j
            far += w[i, j] - (blocks.z[r, e, i, j] * node.i[e, j] if carried else 0j)
            near += blocks.ratio[r, e, j, i].conjugate() * node.i[e, j]
        if pa >= 0:
            right[pa, 3, i] -= node.v[a, i].conjugate() * near
            for j in range(3):
                right[pa, i, j] = w[i, j].conjugate()
        if pb >= 0:
            right[pb, 3, i] += far.conjugate() * node.i[e, i]
            right[pb, i, i] = -(w[i, 0] + w[i, 1] + w[i, 2]).conjugate()
    _solve_all(pattern, right)
    for k in range(4):
        for i in range(3):
            c[i, k] = 0j
            for j in range(3):
                c[i, k] += w[i, j] * right[pa, k, j] if pa >= 0 else 0j
            c[i, k] -= (w[i, 0] + w[i, 1] + w[i, 2]) * right[pb, k, i] if pb >= 0 else 0j
    for i in range(3):
        x, y, z = 0.5 * node.inverse[e, i, 0], 0.5 * node.inverse[e, i, 1], 0.5 * node.inverse[e, i, 2]
        for j in range(3):
            w[i, j] = (1.0 if i == j else 0.0) - (x * c[0, j] + y * c[1, j] + z * c[2, j])
        node.t[i] = x * c[0, 3] + y * c[1, 3] + z * c[2, 3]
    if not _eliminate(w, node.t):
        return False
    for bus in range(len(blocks.has)):
        p = pattern.place[bus]
        if p < 0:
            continue
        for i in range(3):
            if blocks.has[bus, i]:
                step = right[p, 3, i]
                for k in range(3):
                    step += right[p, k, i] * node.t[k]
                h[bus, i] += step
    return True


@inlined
def _eliminate(w: Complexes, t: Complexes) -> bool:
    """t = w⁻¹ t, w 3 × 3 and spoiled; False where w is next to singular."""
    for k in range(3):
        most = k
        for i in range(k + 1, 3):
            if abs(w[i, k]) > abs(w[most, k]):
                most = i
        if abs(w[most, k]) < 1e-6:
            return False
        for j in range(3):
            w[k, j], w[most, j] = w[most, j], w[k, j]
        t[k], t[most] = t[most], t[k]
        for i in range(k + 1, 3):
            f = w[i, k] / w[k, k]
            t[i] -= f * t[k]
            for j in range(k, 3):
                w[i, j] -= f * w[k, j]
    for k in range(2, -1, -1):
        for j in range(k + 1, 3):
            t[k] -= w[k, j] * t[j]
        t[k] /= w[k, k]
    return True


@compiled
def improve(
    blocks: Blocks,
    status: States,
    priority: Ints,
    h: Complexes,
    rounds: int,
    stop: float,
    trees: Trees,
    found: Squares,
    pattern: Pattern,
) -> float:
    """The best bound of some rounds from multipliers h, which become those of the best; it ends at `stop`."""
    best, kept = -math.inf, h.copy()
    trial = 0
    while True:
        value = lower(blocks, status, priority, h, trees, found)
        if value == math.inf:
            return value
        if value > best:
            best = value
            kept[:] = h
            if best >= stop:
                break
        if value == -math.inf:
            trial += 1
            if trial >= rounds + RETRIES:
                break
            for b in range(len(h)):
                for j in range(3):
                    if not blocks.is_source[b]:  # given, where pieces hang
                        h[b, j] = 0.5 * (h[b, j] + (kept[b, j] if best > -math.inf else 0j))
            continue
        if trial >= rounds:
            break
        trial += 1
        _descend(blocks, status, trees, found)
        _residuals(blocks, status, trees, found, pattern)
        _assemble(blocks, status, trees, found, pattern)
        if not _solve(blocks, h, pattern, found.room[0]):
            break
    h[:] = kept
    return best
