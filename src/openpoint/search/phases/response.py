"""Compiled: what changes of voltages of sources make of a flow to first order, by elimination from the leaves on.

What is drawn below a bus is linear in real and imaginary parts of its voltages: the matrix Y, 6 × 6, and so is what is
lost there: the row g. With i = Y v_b and v_b = T v_a − Z i it is v_b = W T v_a, W = (1 + Z Y)⁻¹. At a Tᴴ Y W T is drawn
and (g + d Y) W T lost, where the branch loses d i more. None of the branches closes a loop.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.deviation import LEAST, ROUNDS, WIDER, Sizes, begin, demand, known, of_phase
from openpoint.search.phases.flow import CLOSED, Trees, above, around, double, located, size_of, slope_of
from openpoint.search.phases.model import SIZES, Blocks


class Linear(NamedTuple):
    """A tree with what loads and pieces draw to first order.

    Attributes:
        drawn, lost: (n, 6, 6) and (n, 6) what is drawn and lost below more, by changes of the voltages of a bus.
        across: (n, 6, 6) W Z, by what voltages fall where a current is drawn there, those of the bus above held.
        out, down, fall: (n, 3, 3) sizes of what such a current draws above, of W T, and of W Z.
        worth: (n, 6) what is lost more by currents that are drawn at a bus. below: (n, 3), room: (6, 18),
            z, t: (6, 6), one, two: (6), unit: (3), pair: (4, 3, 3) room.
    """

    drawn: Floats
    lost: Floats
    across: Floats
    out: Floats
    down: Floats
    fall: Floats
    worth: Floats
    below: Floats
    room: Floats
    z: Floats
    t: Floats
    one: Floats
    two: Floats
    unit: Complexes
    pair: Complexes


def linear_for(blocks: Blocks) -> Linear:
    """Empty arrays for a grid."""
    n = len(blocks.has)
    return Linear(
        drawn=np.zeros((n, 6, 6)),
        lost=np.zeros((n, 6)),
        across=np.zeros((n, 6, 6)),
        out=np.zeros((n, 3, 3)),
        down=np.zeros((n, 3, 3)),
        fall=np.zeros((n, 3, 3)),
        worth=np.zeros((n, 6)),
        below=np.zeros((n, 3)),
        room=np.zeros((6, 18)),
        z=np.zeros((6, 6)),
        t=np.zeros((6, 6)),
        one=np.zeros(6),
        two=np.zeros(6),
        unit=np.zeros(3, dtype=np.complex128),
        pair=np.zeros((4, 3, 3), dtype=np.complex128),
    )


@inlined
def eliminated(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, linear: Linear) -> None:
    """Set all but worth.

    Args:
        trees: the flow, of a tree without loops.
    """
    drawn, lost = linear.drawn, linear.lost
    z, t, room, row, one = linear.z, linear.t, linear.room, linear.one, linear.unit
    drawn[:], lost[:], one[:] = 0.0, 0.0, 0.0
    _draw(blocks, status, trees, drawn)
    _lose(blocks, status, trees, lost)
    _hang(blocks, trees, one, drawn, lost)
    for q in range(len(trees.order) - 1, -1, -1):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            continue
        a, way = above(blocks, trees, b)
        z[:], t[:] = 0.0, 0.0
        for j in range(3):
            for k in range(3):
                _add(z, j, k, blocks.z[way, e, j, k], 0j)
                _add(t, j, k, blocks.ratio[way, e, j, k], 0j)
        for i in range(6):
            for j in range(6):
                found = 1.0 if i == j else 0.0
                for k in range(6):
                    found += z[i, k] * drawn[b, k, j]
                room[i, j], room[i, 6 + j], room[i, 12 + j] = found, t[i, j], z[i, j]
        _solve(room)
        double(blocks.z[way, e], trees.i[e], trees.room)
        for i in range(6):
            row[i] = lost[b, i]
            for j in range(3):
                row[i] += trees.room[j].real * drawn[b, j, i] + trees.room[j].imag * drawn[b, 3 + j, i]
        for i in range(6):
            for j in range(6):
                lost[a, i] += row[j] * room[j, 6 + i]
                z[i, j] = 0.0
                for k in range(6):
                    z[i, j] += drawn[b, i, k] * room[k, 6 + j]
        for i in range(6):
            for j in range(6):
                for k in range(6):
                    drawn[a, i, j] += t[k, i] * z[k, j]
        for i in range(6):
            for j in range(6):
                linear.across[b, i, j] = room[i, 12 + j]
                z[i, j] = 1.0 if i == j else 0.0  # 1 − Y W Z
                for k in range(6):
                    z[i, j] -= drawn[b, i, k] * room[k, 12 + j]
        _measure(room[:, 6:12], sizes, b, a, linear.pair, linear.down[b])
        _measure(room[:, 12:], sizes, b, b, linear.pair, linear.fall[b])
        if not blocks.plain[e]:
            for i in range(6):
                for j in range(6):
                    room[i, j] = 0.0
                    for k in range(6):
                        room[i, j] += t[k, i] * z[k, j]
            _measure(room, sizes, a, b, linear.pair, linear.out[b])
        else:
            _measure(z, sizes, a, b, linear.pair, linear.out[b])


@compiled
def beyond(
    blocks: Blocks,
    sizes: Sizes,
    linear: Linear,
    status: States,
    trees: Trees,
    most: Floats,
    unknown: Bools,
) -> None:
    """As `remainder`, for Python, with `below` and `less` for each source; after `eliminated`."""
    remainder(blocks, sizes, linear, status, trees, most, unknown)


@compiled
def eliminate(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, linear: Linear) -> None:
    """As `eliminated`, for Python."""
    eliminated(blocks, sizes, status, trees, linear)


@inlined
def remainder(
    blocks: Blocks,
    sizes: Sizes,
    linear: Linear,
    status: States,
    trees: Trees,
    most: Floats,
    unknown: Bools,
) -> float:
    """By how much less, at most, is lost in the exact flow than to first order, per unit; inf where it is not known.

    What is not of first order alone makes other voltages; all it makes of the loss is what its worth says, since
    iᴴ R i ≥ îᴴ R î + 2 Re(îᴴ R (i − î)). `below` of sources is what it makes of currents there, `less` that of a bus.

    Args:
        trees: a tree without loops left by a sweep that may end anywhere, after `eliminated`; far of sources is given,
            of others to begin with. most: (K, RADII, 3) what the last piece may draw more, in components, at each of
            its K further voltages; K may be 0. unknown: (n) set to whether voltages of a bus may differ by more than
            `far`.
    """
    n, far, below, wide, holds = len(blocks.has), trees.far, linear.below, trees.wide, False
    begin(blocks, sizes, trees)
    trees.near[:] = 0.0
    for _ in range(ROUNDS):
        demand(blocks, sizes, status, trees, trees.near, True, 1.0)
        if len(most) > 0:
            c = len(blocks.hung.bus) - 1
            k, i, _turn = known(blocks, sizes, c, trees)
            for j in range(3):
                trees.moved[blocks.hung.bus[c], j] += most[k - SIZES, i, j] if i >= 0 else 0.0
        for b in range(n):
            for j in range(3):
                below[b, j] = trees.moved[b, j]
        for q in range(n - 1, -1, -1):
            b = trees.order[q]
            if trees.edge[b] >= 0:
                a, _way = above(blocks, trees, b)
                for j in range(3):
                    for k in range(3):
                        below[a, j] += linear.out[b, j, k] * below[b, k]
        holds = True
        for q in range(n):
            b = trees.order[q]
            unknown[b] = trees.less[b] == math.inf
            if trees.edge[b] < 0:
                for j in range(3):
                    wide[b, j] = far[b, j]
            else:
                a, _way = above(blocks, trees, b)
                for j in range(3):
                    x = 0.0
                    for k in range(3):
                        x += linear.down[b, j, k] * wide[a, k] + linear.fall[b, j, k] * below[b, k]
                    wide[b, j] = x
                    unknown[b] = unknown[b] or not x <= far[b, j]
            holds = holds and not unknown[b]
        if holds:
            break
        for b in range(n):
            for j in range(3):
                if trees.edge[b] >= 0 and not wide[b, j] <= far[b, j]:
                    far[b, j] = WIDER * wide[b, j] + LEAST
    total = 0.0
    for q in range(n):
        b = trees.order[q]
        _set_worth(blocks, linear, trees, b)
        for j in range(3):
            trees.less[b] += worth_of(sizes, linear, b, j) * trees.moved[b, j]
    for e in range(len(status)):
        if status[e] == CLOSED and blocks.shunted[e]:
            for side in range(2):
                b, y = (blocks.fr[e], blocks.y_fr[e]) if side == 0 else (blocks.to[e], blocks.y_to[e])
                for j in range(3):
                    for k in range(3):
                        x = 0.5 * size_of(y[j, k] + y[k, j].conjugate())
                        trees.less[b] += x * of_phase(sizes, b, j, far) * of_phase(sizes, b, k, far)
    for b in range(n):
        total += trees.less[b]
    return total if holds and total < math.inf else math.inf  # and not where it is no number


@inlined
def worth_of(sizes: Sizes, linear: Linear, b: int, j: int) -> float:
    """Size of a component of what currents that are drawn at a bus cost."""
    x, u = linear.worth[b], sizes.u[b, j]
    return size_of(u[0] * complex(x[0], x[3]) + u[1] * complex(x[1], x[4]) + u[2] * complex(x[2], x[5]))


@inlined
def _set_worth(blocks: Blocks, linear: Linear, trees: Trees, b: int) -> None:
    """Set what a current that is drawn at a bus costs, from that of the bus above: 0 at sources."""
    worth, e = linear.worth, trees.edge[b]
    if e < 0:
        worth[b] = 0.0
        return
    a, way = above(blocks, trees, b)
    double(blocks.z[way, e], trees.i[e], trees.room)
    one, two = linear.one, linear.two
    for j in range(3):
        x = trees.room[j]
        for k in range(3):  # (T w)_j, w as a complex number of which conj(w) e has the real part that is lost
            x += blocks.ratio[way, e, j, k] * complex(worth[a, k], worth[a, 3 + k])
        one[j], one[3 + j] = x.real, x.imag
    for i in range(6):
        two[i] = linear.lost[b, i]
        for k in range(6):
            two[i] += one[k] * linear.drawn[b, k, i]
    for i in range(6):
        worth[b, i] = one[i]
        for k in range(6):
            worth[b, i] -= two[k] * linear.across[b, k, i]


@inlined
def _measure(matrix: Floats, sizes: Sizes, b: int, a: int, pair: Complexes, found: Floats) -> None:
    """Set (3, 3) to sizes of the entries, in components, of a map x → same x + turned x̄ of phases from bus a to bus b.

    Args:
        matrix: for real and imaginary parts. pair: (4, 3, 3) room.
    """
    same, turned, u, w = pair[0], pair[1], sizes.u[b], sizes.u[a]
    for j in range(3):
        for k in range(3):
            p, q, r, s = matrix[j, k], matrix[j, 3 + k], matrix[3 + j, k], matrix[3 + j, 3 + k]
            same[j, k], turned[j, k] = 0.5 * complex(p + s, r - q), 0.5 * complex(p - s, r + q)
    if sizes.part[b, 0, 1] != 0.0 or sizes.part[a, 0, 1] != 0.0:
        for j in range(3):
            for k in range(3):
                pair[2, j, k] = same[j, 0] * w[k, 0].conjugate()
                pair[2, j, k] += same[j, 1] * w[k, 1].conjugate() + same[j, 2] * w[k, 2].conjugate()
                pair[3, j, k] = turned[j, 0] * w[k, 0] + turned[j, 1] * w[k, 1] + turned[j, 2] * w[k, 2]
        for j in range(3):
            for k in range(3):
                same[j, k] = u[j, 0] * pair[2, 0, k] + u[j, 1] * pair[2, 1, k] + u[j, 2] * pair[2, 2, k]
                turned[j, k] = u[j, 0] * pair[3, 0, k] + u[j, 1] * pair[3, 1, k] + u[j, 2] * pair[3, 2, k]
    for j in range(3):
        for k in range(3):
            found[j, k] = size_of(same[j, k]) + size_of(turned[j, k])


@inlined
def _lose(blocks: Blocks, status: States, trees: Trees, lost: Floats) -> None:
    """Add what admittances of branches lose."""
    for e in range(len(status)):
        if status[e] == CLOSED and blocks.shunted[e]:
            for side in range(2):
                b, y = (blocks.fr[e], blocks.y_fr[e]) if side == 0 else (blocks.to[e], blocks.y_to[e])
                double(y, trees.v[b], trees.room)
                for j in range(3):
                    lost[b, j] += trees.room[j].real
                    lost[b, 3 + j] += trees.room[j].imag


@inlined
def _hang(blocks: Blocks, trees: Trees, one: Complexes, drawn: Floats, lost: Floats) -> None:
    """Add what pieces draw and lose, around the flows that are known nearest; `one`: room, 0."""
    for c in range(len(blocks.hung.bus)):
        b = blocks.hung.bus[c]
        k, turn = located(blocks, c, trees)
        k = k if trees.point[c] >= 0 else min(max(k, 0), SIZES - 1)
        for m in range(6):
            one[m % 3] = 1.0 if m < 3 else 1j
            around(blocks, c, k, one, turn, 0.0, trees.room)
            one[m % 3] = 0.0
            for j in range(3):
                drawn[b, j, m] += trees.room[j].real
                drawn[b, 3 + j, m] += trees.room[j].imag
            lost[b, m] += trees.room[3].real


@inlined
def _draw(blocks: Blocks, status: States, trees: Trees, drawn: Floats) -> None:
    """Set (n, 6, 6) to what each bus itself draws."""
    for b in range(len(blocks.has)):
        for j in range(3):
            for k in range(3):
                _add(drawn[b], j, k, blocks.y[b, j, k], 0j)
            if blocks.s[b, j] != 0.0:
                _add(drawn[b], j, j, 0j, -(blocks.s[b, j] / trees.v[b, j] ** 2).conjugate())
    for d in range(len(blocks.bus)):
        b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
        same, turned = slope_of(blocks, d, trees.v)
        _add(drawn[b], j, j, same, turned)
        if k >= 0:
            _add(drawn[b], k, k, same, turned)
            _add(drawn[b], j, k, -same, -turned)
            _add(drawn[b], k, j, -same, -turned)
    for e in range(len(status)):
        if status[e] == CLOSED and blocks.shunted[e]:
            for j in range(3):
                for k in range(3):
                    _add(drawn[blocks.fr[e]], j, k, blocks.y_fr[e, j, k], 0j)
                    _add(drawn[blocks.to[e]], j, k, blocks.y_to[e, j, k], 0j)


@inlined
def _add(found: Floats, j: int, k: int, same: complex, turned: complex) -> None:
    """Add to a matrix (6, 6) that of x → same x + turned x̄, from phase k to phase j."""
    found[j, k] += same.real + turned.real
    found[j, 3 + k] += turned.imag - same.imag
    found[3 + j, k] += same.imag + turned.imag
    found[3 + j, 3 + k] += same.real - turned.real


@inlined
def _solve(room: Floats) -> None:
    """Solve A X = B in place, of (A B), (6, 18), by elimination with pivots."""
    for i in range(6):
        pivot = i
        for k in range(i + 1, 6):
            if abs(room[k, i]) > abs(room[pivot, i]):
                pivot = k
        for j in range(i, 18):
            room[i, j], room[pivot, j] = room[pivot, j], room[i, j]
        for k in range(6):
            if k != i and room[k, i] != 0.0:
                x = room[k, i] / room[i, i]
                for j in range(i, 18):
                    room[k, j] -= x * room[i, j]
    for i in range(6):
        for j in range(6, 18):
            room[i, j] /= room[i, i]
