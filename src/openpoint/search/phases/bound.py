"""Compiled: a lower bound of the loss of all radial states in which some branches are closed and others open.

Completing a square (docs/methods.md M43): with multipliers h of the power balances, H = diag(h), and N a Hermitian
matrix at the far bus of a closed branch,

    M = herm((I + H_b) Z) − Zᴴ N Z,    K = T H_a − H_b T + 2 Zᴴ N T,    A_a += Tᴴ N T + ¼ Kᴴ M⁻¹ K,

children first, with N = A of the child, 0 for an undecided branch, of which only the last term counts. The bound is
Σ Re(h s) + constants − Σ vᴴ A v at sources − Σ sup vᴴ A v over the box at the other tops. It is valid for every h.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import inlined
from openpoint.search.phases.flow import CLOSED, OPEN, UNDECIDED, V_LOW, Trees, forest, share_of
from openpoint.search.phases.matrices import invert_positive, multiply, multiply_adjoint
from openpoint.search.phases.model import Blocks

MOST_TURN = 90.0
"""Degrees by which the angle between two phases may differ from 120: beyond, there is no bound at tops."""
SAME = 1e-9
"""Relative distance from an end of a band of voltages, where the share of a load jumps: both sides count."""


class Squares(NamedTuple):
    """What a bound leaves, and the room it takes.

    Attributes:
        a: (n, 3, 3). k, inverse: (m, 3, 3) K and M⁻¹. way: (m) direction of every branch.
        line: (L, 2) a + b u² in the place of the share of a load. centre, radius: (L) of a disc in which
            (v_j + v_k) / (v_j − v_k) lies.
        constant: (n) what loads at a bus add. weight: (13) of the samples of a piece.
        top: (n, 3) magnitudes at which the sup at a top is taken.
        room: (4, 3, 3).
    """

    a: Complexes
    k: Complexes
    inverse: Complexes
    way: Ints
    line: Floats
    centre: Complexes
    radius: Floats
    constant: Floats
    weight: Floats
    top: Floats
    room: Complexes


def squares_for(blocks: Blocks) -> Squares:
    """Empty arrays for a grid, with the discs of its loads between phases."""
    n, m, loads = len(blocks.has), len(blocks.fr), len(blocks.bus)
    forward = (blocks.back - blocks.phase) % 3 == 1
    turn = np.where(forward, -1.0, 1.0)
    centre = (1.0 + np.exp(turn * 2j * np.pi / 3.0)) / (1.0 - np.exp(turn * 2j * np.pi / 3.0))
    return Squares(
        a=np.zeros((n, 3, 3), dtype=np.complex128),
        k=np.zeros((m, 3, 3), dtype=np.complex128),
        inverse=np.zeros((m, 3, 3), dtype=np.complex128),
        way=np.zeros(m, dtype=np.int64),
        line=np.zeros((loads, 2)),
        centre=centre.astype(np.complex128),
        radius=_radii(blocks),
        constant=np.zeros(n),
        weight=np.zeros(13),
        top=np.ones((n, 3)),
        room=np.zeros((4, 3, 3), dtype=np.complex128),
    )


def _radii(blocks: Blocks) -> Floats:
    """(L) of the discs of loads between phases."""
    found, pair = np.zeros(len(blocks.bus)), blocks.back >= 0
    box = blocks.box[blocks.bus[pair]]
    sides = box[:, :3].min(axis=1), box[:, 3:6].max(axis=1), box[:, 8]
    kinds, which = np.unique(np.column_stack(sides), axis=0, return_inverse=True)
    found[pair] = np.array([_radius(high / low, math.radians(turn)) for low, high, turn in kinds])[which]
    return found


def _radius(ratio: float, span: float, count: int = 4000) -> float:
    """Radius of a disc around its value of balanced voltages that holds (1 + z) / (1 − z), z = v_k / v_j.

    The function is holomorphic, so that it is farthest on the border of the range of z; between the points that are
    tried it moves by at most its slope, 2 / |1 − z|², times half of their distance.
    """
    t = np.linspace(0.0, 1.0, count)
    ends = (np.exp(1j * (2.0 * np.pi / 3.0 + turn)) for turn in (-span, span))
    rays = [end * (1.0 / ratio + t * (ratio - 1.0 / ratio)) for end in ends]
    arcs = [size * np.exp(1j * (2.0 * np.pi / 3.0 + span * (2.0 * t - 1.0))) for size in (1.0 / ratio, ratio)]
    z = np.concatenate([*rays, *arcs])
    middle = np.exp(2j * np.pi / 3.0)
    step = max(ratio - 1.0 / ratio, 2.0 * span * ratio) / (count - 1)
    far = np.abs((1.0 + z) / (1.0 - z) - (1.0 + middle) / (1.0 - middle)).max()
    return float(far + step / np.abs(1.0 - z).min() ** 2)


@inlined
def support(blocks: Blocks, d: int, c: float, low: float, high: float, u: float, line: Floats) -> None:
    """Set line to (a, b) so that c share(x) ≥ c (a + b x²) for low ≤ x ≤ high, close at u."""
    inner, outer = blocks.low[d], blocks.high[d]
    dip = V_LOW * blocks.rated[d]
    best = -math.inf
    middle = min(max(u, low * 1.001), high / 1.001)
    step = 1e-5 * middle
    at_ends = share_of(blocks, d, high) - share_of(blocks, d, low)
    tangent = share_of(blocks, d, middle + step) - share_of(blocks, d, middle - step)
    for trial in range(3):
        b = 0.0
        if trial == 1:
            b = at_ends / (high * high - low * low)
        elif trial == 2:
            b = tangent / (4.0 * middle * step)
        least = math.inf
        for point in range(11):
            x = low
            if point == 1:
                x = high
            elif 2 <= point < 4:
                x = inner * (1.0 - SAME if point == 2 else 1.0 + SAME)
            elif 4 <= point < 6:
                x = outer * (1.0 - SAME if point == 4 else 1.0 + SAME)
            elif 6 <= point < 8:
                x = dip * (1.0 - SAME if point == 6 else 1.0 + SAME)
            elif point == 8 and b > 0.0:  # where the share of constant current touches
                x = 0.5 / b
            elif point > 8 and inner > dip:  # where that below the band does
                rated, least_pu = blocks.rated[d], inner / blocks.rated[d]
                scale = 1.0 if blocks.degree[d] == 0 else rated if blocks.degree[d] == 1 else rated * rated
                at_low = 1.0 if blocks.outer[d] == 1 else 1.0 / least_pu
                bend = (at_low - V_LOW) / (least_pu - V_LOW)
                linear, square = scale * (V_LOW - bend * V_LOW) / rated, scale * bend / (rated * rated) - b
                if square != 0.0:
                    x = -0.5 * linear / square
            if low <= x <= high:
                least = min(least, (share_of(blocks, d, x) - b * x * x) * (1.0 if c >= 0.0 else -1.0))
        a = (least - 1e-9) * (1.0 if c >= 0.0 else -1.0)
        value = c * (a + b * u * u)
        if value > best:
            best, line[0], line[1] = value, a, b


@inlined
def _shunt(y: Complexes, h: Complexes, loss: float, a: Complexes, w: Complexes, decided: bool) -> None:
    """a −= herm(Yᴴ (H + loss)), or for an undecided branch the least that this can be."""
    size = 0.0
    for i in range(3):
        for j in range(3):
            size += abs(y[i, j].real) + abs(y[i, j].imag)
    if size == 0.0:
        return
    for i in range(3):
        for j in range(3):
            w[i, j] = 0.5 * (y[j, i].conjugate() * (h[j] + loss) + (h[i] + loss).conjugate() * y[i, j])
    if decided:
        for i in range(3):
            for j in range(3):
                a[i, j] -= w[i, j]
    else:
        for i in range(3):
            t = -w[i, i].real
            for j in range(3):
                if j != i:
                    t += abs(w[i, j])
            a[i, i] += max(t, 0.0)


@inlined
def _square(
    blocks: Blocks,
    e: int,
    r: int,
    ha: Complexes,
    hb: Complexes,
    n: Complexes,
    closed: bool,
    found: Squares,
    a: Complexes,
) -> bool:
    """K and M⁻¹ of a branch, a += Tᴴ N T + ¼ Kᴴ M⁻¹ K, N = `n` if closed; False where M is not positive definite."""
    z, t, w, x = blocks.z[r, e], blocks.ratio[r, e], found.room[0], found.room[1]
    m, k, inverse, plain = found.room[2], found.k[e], found.inverse[e], blocks.plain[e]
    for i in range(3):
        for j in range(i + 1):
            m[i, j] = 0.5 * ((1.0 + hb[i]) * z[i, j] + ((1.0 + hb[j]) * z[j, i]).conjugate())
        for j in range(3):
            k[i, j] = t[i, j] * ha[j] - hb[i] * t[i, j] if not plain else ha[i] - hb[i] if i == j else 0j
    if closed:
        multiply_adjoint(z, n, w)
        for i in range(3):
            for j in range(i + 1):
                m[i, j] -= w[i, 0] * z[0, j] + w[i, 1] * z[1, j] + w[i, 2] * z[2, j]
        if plain:
            for i in range(3):
                for j in range(3):
                    k[i, j] += 2.0 * w[i, j]
                    a[i, j] += n[i, j]
        else:
            multiply(w, t, x)
            for i in range(3):
                for j in range(3):
                    k[i, j] += 2.0 * x[i, j]
            multiply(n, t, w)
            multiply_adjoint(t, w, x)
            for i in range(3):
                for j in range(3):
                    a[i, j] += 0.5 * (x[i, j] + x[j, i].conjugate())
    for i in range(3):
        if not blocks.carries[e, i]:
            for j in range(3):
                m[i, j] = m[j, i] = k[i, j] = 0j
            m[i, i] = 1.0 + 0j
    if not invert_positive(m, inverse):
        return False
    if plain and not closed:  # K is diagonal
        for i in range(3):
            for j in range(3):
                a[i, j] += 0.25 * k[i, i].conjugate() * inverse[i, j] * k[j, j]
        return True
    multiply(inverse, k, w)
    for i in range(3):
        c, d, f = k[0, i].conjugate(), k[1, i].conjugate(), k[2, i].conjugate()
        for j in range(i):
            y = 0.25 * (c * w[0, j] + d * w[1, j] + f * w[2, j])
            a[i, j] += y
            a[j, i] += y.conjugate()
        a[i, i] += 0.25 * (c * w[0, i] + d * w[1, i] + f * w[2, i]).real
    return True


@inlined
def _loads(blocks: Blocks, h: Complexes, v: Complexes, found: Squares) -> float:
    """Constants of loads, and their parts of A."""
    for b in range(len(blocks.has)):
        for j in range(3):
            for k in range(3):
                found.a[b, j, k] = 0j
        found.constant[b] = 0.0
        for j in range(3):
            found.constant[b] += (h[b, j] * blocks.s[b, j]).real
        _shunt(blocks.y[b], h[b], 0.0, found.a[b], found.room[0], True)
    for d in range(len(blocks.bus)):
        b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
        box = blocks.box[b]
        if k < 0:
            c = (h[b, j] * blocks.power[d]).real
            support(blocks, d, c, box[j], box[3 + j], abs(v[b, j]), found.line[d])
            found.constant[b] += c * found.line[d, 0]
            found.a[b, j, j] -= c * found.line[d, 1]
            continue
        half = 0.5 * (h[b, j] - h[b, k])
        c = ((0.5 * (h[b, j] + h[b, k]) + half * found.centre[d]) * blocks.power[d]).real
        c -= abs(half) * abs(blocks.power[d]) * found.radius[d]
        root = math.sqrt(3.0)
        support(blocks, d, c, box[6] / root, box[7] / root, abs(v[b, j] - v[b, k]) / root, found.line[d])
        found.constant[b] += c * found.line[d, 0]
        part = c * found.line[d, 1] / 3.0
        found.a[b, j, j] -= part
        found.a[b, k, k] -= part
        found.a[b, j, k] += part
        found.a[b, k, j] += part
    total = 0.0
    for b in range(len(blocks.has)):
        total += found.constant[b]
    return total


@inlined
def _pieces(blocks: Blocks, h: Complexes, found: Squares) -> float:
    """Constants of the pieces that hang on buses, and their parts of A; −inf where h is not among the samples."""
    hung, total, weight = blocks.hung, 0.0, found.weight
    for c in range(len(hung.bus)):
        b = hung.bus[c]
        weight[0] = 1.0
        for i in range(6):
            x = 0.0
            for j in range(3):
                x += (hung.mode[c, i, j].conjugate() * (h[b, j] - hung.h[c, j])).real
            x /= hung.reach[c, i]
            weight[1 + 2 * i], weight[2 + 2 * i] = max(x, 0.0), max(-x, 0.0)
            weight[0] -= abs(x)
        if weight[0] < 0.0:
            return -math.inf
        for k in range(13):
            if weight[k] > 0.0:
                total += weight[k] * hung.constant[c, k]
                for i in range(3):
                    for j in range(3):
                        found.a[b, i, j] += weight[k] * hung.a[c, k, i, j]
    return total


@inlined
def lower(blocks: Blocks, status: States, priority: Ints, h: Complexes, trees: Trees, found: Squares) -> float:
    """The bound, per unit; inf where no completion is fed, −inf where it is not defined for these multipliers.

    Args:
        h: (n, 3) multipliers, conjugate, 0 at sources and where there is no phase. trees: v are the voltages near which
            supporting lines of loads touch.
    """
    count = forest(blocks, status, priority, trees)
    if count < 0:
        return math.inf
    total = _loads(blocks, h, trees.v, found) + _pieces(blocks, h, found)
    if total == -math.inf:
        return total
    zero = found.room[3]
    for i in range(3):
        for j in range(3):
            zero[i, j] = 0j
    for e in range(len(blocks.fr)):
        if status[e] == OPEN:
            continue
        a, b, decided = blocks.fr[e], blocks.to[e], status[e] != UNDECIDED
        if blocks.shunted[e]:
            _shunt(blocks.y_fr[e], h[a], 1.0, found.a[a], found.room[0], decided)
            _shunt(blocks.y_to[e], h[b], 1.0, found.a[b], found.room[0], decided)
        if status[e] != CLOSED:  # of one that closes a loop the voltage law is not used, which is valid
            rise = 0.0
            for j in range(3):
                if blocks.carries[e, j]:
                    rise += (h[b, j] - h[a, j]).real
            r = 0 if rise >= 0.0 else 1
            if r == 1:
                a, b = b, a
            found.way[e] = r
            if not _square(blocks, e, r, h[a], h[b], zero, False, found, found.a[a]):
                return -math.inf
    for q in range(count - 1, -1, -1):
        b = trees.order[q]
        e = trees.edge[b]
        if e >= 0:
            r = trees.way[b]
            a = blocks.fr[e] if r == 0 else blocks.to[e]
            found.way[e] = r
            if not _square(blocks, e, r, h[a], h[b], found.a[b], True, found, found.a[a]):
                return -math.inf
        elif blocks.is_source[b]:
            for i in range(3):
                for j in range(3):
                    total -= (blocks.held[b, i].conjugate() * found.a[b, i, j] * blocks.held[b, j]).real
        else:
            total -= _greatest(found.a[b], blocks.has, b, blocks.box[b], found.room, found.top[b])
    return total


@inlined
def _greatest(a: Complexes, has: Bools, b: int, box: Floats, room: Complexes, top: Floats) -> float:
    """At least vᴴ A v over the box at a bus; top: the magnitudes there (docs/methods.md M47).

    With A turned by the nominal angles, t + j s its row sums, and λ the largest eigenvalue of the rest across
    (1, 1, 1): Σ t |v|² + λ / n Σ (|v_j| − |v_k|)² and what angles add, greatest at ends of ranges of magnitudes.
    """
    if box[8] > MOST_TURN:
        return math.inf
    half, n, size = math.sqrt(0.75), 0, 0.0
    w, row = room[0], room[1, 0]
    for j in range(3):
        row[j] = 0j
        n += 1 if has[b, j] else 0
        for k in range(3):
            turn = 1.0 + 0j if j == k else complex(-0.5, -half) if (k - j) % 3 == 1 else complex(-0.5, half)
            w[j, k] = 0.5 * turn * (a[j, k] + a[k, j].conjugate()) if has[b, j] and has[b, k] else 0j
            row[j] += w[j, k]
            size += w[j, k].real ** 2 + w[j, k].imag ** 2
    low, high = math.inf, -math.inf
    trace = norm = 0.0  # of two eigenvalues at most, whose squares sum to that of the norm
    for j in range(3):
        if has[b, j]:
            low, high = min(low, row[j].imag), max(high, row[j].imag)
            w[j, j] -= row[j].real
            trace += w[j, j].real
            for k in range(3):
                if has[b, k]:
                    w[j, k] += complex(0.0, (row[k].imag - row[j].imag) / n)
                    norm += w[j, k].real ** 2 + w[j, k].imag ** 2
    most = max(0.5 * trace + math.sqrt(max(0.5 * norm - 0.25 * trace * trace, 0.0) + 1e-13 * size), 0.0)
    least, sine = -most * (n - 1) / n, math.sin(math.radians(0.5 * box[8]))
    angles = 4.0 * (n - 1) / n * sine * (most * sine + high - low)
    longest, shortest = 0.0, math.inf
    for j in range(3):
        if has[b, j]:
            longest, shortest = max(longest, box[3 + j]), min(shortest, box[j])
    across, first = most * (n - 1) / n * (longest - shortest) ** 2, 7
    for j in range(3):
        if has[b, j] and not max(row[j].real, least) * (box[3 + j] ** 2 - box[j] ** 2) >= across:
            first = 0
    best = -math.inf
    for corner in range(first, 8):  # the last alone where each magnitude that is less takes more than differences add
        value = longest = 0.0
        for j in range(3):
            x = box[j + 3 * ((corner >> j) & 1)]
            if has[b, j]:
                t = row[j].real
                value += max(t, least) * x * x + min(t - least, 0.0) * box[j] * box[j]
                longest = max(longest, x)
                for k in range(j):
                    if has[b, k]:
                        value += most / n * (x - box[k + 3 * ((corner >> k) & 1)]) ** 2
        value += angles * longest * longest
        if value > best:
            best = value
            for j in range(3):
                top[j] = box[j + 3 * ((corner >> j) & 1)]
    return best
