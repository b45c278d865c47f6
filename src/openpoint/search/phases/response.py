"""Compiled: what changes of voltages of sources make of a flow to first order, by elimination from the leaves on.

What is drawn below a bus is linear in real and imaginary parts of its voltages: the matrix Y, 6 × 6, and so is what is
lost there: the row g. With i = Y v_b and v_b = T v_a − Z i it is v_b = W T v_a, W = (1 + Z Y)⁻¹. At a Tᴴ Y W T is drawn
and (g + d Y) W T lost, where the branch loses d i more. None of the branches closes a loop.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Complexes, Floats, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.flow import CLOSED, Trees, above, around, double, nearest, slope_of
from openpoint.search.phases.model import SIZES, Blocks


@compiled
def eliminate(blocks: Blocks, status: States, trees: Trees, drawn: Floats, lost: Floats) -> None:
    """Set drawn (n, 6, 6) and lost (n, 6): what is drawn and lost below more, by changes of the voltages of a bus.

    Args:
        trees: the flow, of a tree without loops.
    """
    z, t, room, row = np.zeros((6, 6)), np.zeros((6, 6)), np.zeros((6, 12)), np.zeros(6)
    one = np.zeros(3, dtype=np.complex128)
    drawn[:], lost[:] = 0.0, 0.0
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
                room[i, j], room[i, 6 + j] = found, t[i, j]
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
        k, turn = nearest(blocks, c, trees.v[b])
        for m in range(6):
            one[m % 3] = 1.0 if m < 3 else 1j
            around(blocks, c, min(max(k, 0), SIZES - 1), one, turn, 0.0, trees.room)
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
    """Solve A X = B in place, of (A B), (6, 12), by elimination with pivots."""
    for i in range(6):
        pivot = i
        for k in range(i + 1, 6):
            if abs(room[k, i]) > abs(room[pivot, i]):
                pivot = k
        for j in range(i, 12):
            room[i, j], room[pivot, j] = room[pivot, j], room[i, j]
        for k in range(6):
            if k != i and room[k, i] != 0.0:
                x = room[k, i] / room[i, i]
                for j in range(i, 12):
                    room[k, j] -= x * room[i, j]
    for i in range(6):
        for j in range(6, 12):
            room[i, j] /= room[i, i]
