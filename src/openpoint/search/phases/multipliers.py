"""Compiled: good multipliers of the bound by a fixed point, and with one branch more open.

One round: voltages down the forest at the least of the completed squares, i = −½ M⁻¹ K v_a; residuals r of the power
balances at them, which are the gradient of the bound; h += L⁻¹ r with the 3 × 3 block Laplacian
L = ½ Σ Cᴴ M⁻¹ C, C = [T diag(v_a), −diag(T v_a)], its curvature at fixed M and v (docs/methods.md M43).

One branch more open takes its part Cᴴ i out of the residuals, and ½ Cᴴ M⁻¹ C out of L. With h after a step already,
S = C L⁻¹ Cᴴ and G = ½ M⁻¹ the further step is −L⁻¹ Cᴴ t, t = (1 − G S)⁻¹ i (Woodbury 1950): one right-hand side with
the factors of L at hand. To second order the bound rises by iᴴ Q⁻¹ i, Q = M⁻¹ − ½ M⁻¹ S M⁻¹. S takes the blocks of L⁻¹
at the buses of the branch, which follow from the factors for all branches at once (Takahashi, Fagan and Chin 1973).
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
        v, i, inverse, way: of the flow and the squares there. h: (n, 3) multipliers after a step. inverted: the blocks
            of L⁻¹ in the places of those of L.
        low: (rows, 3, 3), w, s, x, q: (3, 3) and u, c, t: (3) are room.
    """

    v: Complexes
    i: Complexes
    inverse: Complexes
    way: Ints
    h: Complexes
    inverted: Complexes
    low: Complexes
    w: Complexes
    s: Complexes
    x: Complexes
    q: Complexes
    u: Complexes
    c: Complexes
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


def _opening_for(blocks: Blocks, size: int, most: int) -> Opening:
    """Empty arrays for a grid, with so many blocks of factors, and at most so many below one of the diagonal."""
    n, m = len(blocks.has), len(blocks.fr)
    v, i, inverse, h, inverted, low, w, s, x, q, u, c, t = (
        np.zeros(shape, dtype=np.complex128)
        for shape in ((n, 3), (m, 3), (m, 3, 3), (n, 3), (size, 3, 3), (most, 3, 3), *[(3, 3)] * 4, *[(3,)] * 3)
    )
    return Opening(v, i, inverse, np.zeros(m, dtype=np.int64), h, inverted, low, w, s, x, q, u, c, t)


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
        node=_opening_for(blocks, count + int(start[-1]), max(map(len, rows), default=0)),
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
def _substitute(pattern: Pattern) -> None:
    """The second half of a solution: from the last row back."""
    block, right, inverse = pattern.block, pattern.right, pattern.inverse
    count = len(right)
    for p in range(count - 1, -1, -1):
        for q in range(pattern.start[p], pattern.start[p + 1]):
            below = pattern.row[q]
            for i in range(3):
                for k in range(3):
                    right[p, i] -= block[count + q, k, i].conjugate() * right[below, k]
        x, y, z = right[p, 0], right[p, 1], right[p, 2]
        for i in range(3):
            right[p, i] = inverse[p, i, 0] * x + inverse[p, i, 1] * y + inverse[p, i, 2] * z


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
    _substitute(pattern)
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
    """The bound of a node at its multipliers h, with what `rise` needs; −inf where it is not defined there."""
    node, value = pattern.node, lower(blocks, status, priority, h, trees, found)
    if not math.isfinite(value):
        return -math.inf
    _descend(blocks, status, trees, found)
    _residuals(blocks, status, trees, found, pattern)
    _assemble(blocks, status, trees, found, pattern)
    for j in range(3):
        for b in range(len(h)):
            node.v[b, j], node.h[b, j] = trees.v[b, j], h[b, j]
        for e in range(len(status)):
            node.i[e, j], node.way[e] = trees.i[e, j], found.way[e]
            for k in range(3):
                node.inverse[e, j, k] = found.inverse[e, j, k]
    if not _solve(blocks, node.h, pattern, found.room[0]):
        return -math.inf
    _invert(pattern)
    return value


@inlined
def _invert(pattern: Pattern) -> None:
    """The blocks of L⁻¹ where L or its factors have one, with the factors that `_solve` leaves (Takahashi 1973)."""
    block, inverse, found, low = pattern.block, pattern.inverse, pattern.node.inverted, pattern.node.low
    count = len(inverse)
    for p in range(count - 1, -1, -1):
        first, degree, pair = pattern.start[p], pattern.start[p + 1] - pattern.start[p], pattern.update_start[p]
        for i in range(3):
            for j in range(3):
                found[p, i, j] = inverse[p, i, j]
        for q in range(degree):
            multiply(block[count + first + q], inverse[p], low[q])
        for q in range(degree):
            here = found[count + first + q]
            for i in range(3):
                for j in range(3):
                    here[i, j] = 0j
            for other in range(degree):
                f = low[other]
                if other <= q:
                    x = found[pattern.update[pair + q * (q + 1) // 2 + other]]
                    for i in range(3):
                        for j in range(3):
                            here[i, j] -= x[i, 0] * f[0, j] + x[i, 1] * f[1, j] + x[i, 2] * f[2, j]
                else:
                    x = found[pattern.update[pair + other * (other + 1) // 2 + q]]
                    for i in range(3):
                        c, d, e = x[0, i].conjugate(), x[1, i].conjugate(), x[2, i].conjugate()
                        for j in range(3):
                            here[i, j] -= c * f[0, j] + d * f[1, j] + e * f[2, j]
            f = low[q]
            for i in range(3):
                c, d, e = f[0, i].conjugate(), f[1, i].conjugate(), f[2, i].conjugate()
                for j in range(3):
                    found[p, i, j] -= c * here[0, j] + d * here[1, j] + e * here[2, j]


@inlined
def _columns(blocks: Blocks, e: int, pattern: Pattern) -> tuple[int, int]:
    """Set w to T diag(v_a) and u to its row sums, the columns of C; the rows of the two buses."""
    node, r = pattern.node, pattern.node.way[e]
    a, b = (blocks.fr[e], blocks.to[e]) if r == 0 else (blocks.to[e], blocks.fr[e])
    for i in range(3):
        node.u[i] = 0j
        for j in range(3):
            node.w[i, j] = blocks.ratio[r, e, i, j] * node.v[a, j] if blocks.carries[e, i] else 0j
            node.u[i] += node.w[i, j]
    return pattern.place[a], pattern.place[b]


@inlined
def rise(blocks: Blocks, e: int, h: Complexes, pattern: Pattern) -> float:
    """By how much the bound of the node at h rises to second order where e is opened; inf where it cannot be.

    t is set to (1 − G S)⁻¹ i, which `opened` needs.
    """
    node, inverse, found = pattern.node, pattern.node.inverse[e], pattern.node.inverted
    pa, pb = _columns(blocks, e, pattern)
    a, b = (blocks.fr[e], blocks.to[e]) if node.way[e] == 0 else (blocks.to[e], blocks.fr[e])
    w, u, s, x, q, i = node.w, node.u, node.s, node.x, node.q, node.c
    for k in range(3):
        i[k] = 0j
        for j in range(3):
            s[k, j] = x[k, j] = 0j
            i[k] += w[k, j] * (node.h[a, j] - h[a, j])
        i[k] -= u[k] * (node.h[b, k] - h[b, k])
    if pa >= 0:
        multiply(w, found[pa], x)
        if pb >= 0:
            z = found[pattern.off[e]]
            for k in range(3):
                for j in range(3):
                    y = z[k, j] if pa > pb else z[j, k].conjugate()
                    s[k, j] = y * u[j].conjugate()
            multiply(w, s, q)
            for k in range(3):
                for j in range(3):
                    s[k, j] = -q[k, j] - q[j, k].conjugate()
        for k in range(3):
            for j in range(3):
                for m in range(3):
                    s[k, j] += x[k, m] * w[j, m].conjugate()
    if pb >= 0:
        for k in range(3):
            for j in range(3):
                s[k, j] += u[k] * found[pb, k, j] * u[j].conjugate()
    multiply(inverse, s, x)
    multiply(x, inverse, q)
    for k in range(3):
        node.t[k] = node.i[e, k] - 0.5 * (inverse[k, 0] * i[0] + inverse[k, 1] * i[1] + inverse[k, 2] * i[2])
        for j in range(3):
            q[k, j] = inverse[k, j] - 0.5 * q[k, j]
    if not invert_positive(q, x):
        return math.inf
    gain = 0.0
    for k in range(3):
        i[k] = x[k, 0] * node.t[0] + x[k, 1] * node.t[1] + x[k, 2] * node.t[2]
        gain += (i[k].conjugate() * node.t[k]).real
    for k in range(3):
        node.t[k] = inverse[k, 0] * i[0] + inverse[k, 1] * i[1] + inverse[k, 2] * i[2]
    return gain


@inlined
def opened(blocks: Blocks, e: int, h: Complexes, stepped: Complexes, pattern: Pattern) -> bool:
    """Set multipliers to those of the node, h, with e opened, too; False where there are none, as at bridges."""
    node, block, inverse, right = pattern.node, pattern.block, pattern.inverse, pattern.right
    if rise(blocks, e, h, pattern) == math.inf:
        return False
    count = len(right)
    pa, pb = _columns(blocks, e, pattern)
    for p in range(count):
        for k in range(3):
            right[p, k] = 0j
    for k in range(3):
        if pa >= 0:
            for j in range(3):
                right[pa, k] -= node.w[j, k].conjugate() * node.t[j]
        if pb >= 0:
            right[pb, k] += node.u[k].conjugate() * node.t[k]
    for p in range(pa if pb < 0 else pb if pa < 0 else min(pa, pb), count):
        a, b, c = right[p, 0], right[p, 1], right[p, 2]
        if a == 0j and b == 0j and c == 0j:
            continue
        x = inverse[p, 0, 0] * a + inverse[p, 0, 1] * b + inverse[p, 0, 2] * c
        y = inverse[p, 1, 0] * a + inverse[p, 1, 1] * b + inverse[p, 1, 2] * c
        z = inverse[p, 2, 0] * a + inverse[p, 2, 1] * b + inverse[p, 2, 2] * c
        for q in range(pattern.start[p], pattern.start[p + 1]):
            f, below = block[count + q], pattern.row[q]
            for k in range(3):
                right[below, k] -= f[k, 0] * x + f[k, 1] * y + f[k, 2] * z
    _substitute(pattern)
    for bus in range(len(blocks.has)):
        p = pattern.place[bus]
        for k in range(3):
            stepped[bus, k] = node.h[bus, k]
            if p >= 0 and blocks.has[bus, k]:
                stepped[bus, k] += right[p, k]
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
