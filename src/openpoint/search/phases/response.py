"""Compiled: what changes of voltages of sources make of a flow to first order, by elimination from the leaves on.

What is drawn below a bus is linear in real and imaginary parts of its voltages: the matrix Y, 6 × 6. With i = Y v_b and
v_b = T v_a − Z i it is v_b = W T v_a, W = (1 + Z Y)⁻¹, and Tᴴ Y W T is drawn at a. Branches that close loops are left
out.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Complexes, Floats, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.flow import CLOSED, Trees, above, slope_of
from openpoint.search.phases.model import Blocks


@compiled
def eliminate(blocks: Blocks, status: States, trees: Trees, changes: Complexes) -> None:
    """Set changes of voltages (6, n, 3) to what those of sources make, around the flow in `trees`, without loops."""
    n = len(blocks.has)
    drawn, down = np.zeros((n, 6, 6)), np.zeros((n, 6, 6))
    z, t, room = np.zeros((6, 6)), np.zeros((6, 6)), np.zeros((6, 12))
    _draw(blocks, status, trees, drawn)
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
        down[b] = room[:, 6:]
        for i in range(6):
            for j in range(6):
                found = 0.0
                for k in range(6):
                    found += drawn[b, i, k] * down[b, k, j]
                room[i, j] = found
        for i in range(6):
            for j in range(6):
                found = 0.0
                for k in range(6):
                    found += t[k, i] * room[k, j]
                drawn[a, i, j] += found
    for q in range(len(trees.order)):
        b = trees.order[q]
        if trees.edge[b] < 0:
            continue
        a, _way = above(blocks, trees, b)
        for way in range(6):
            for j in range(3):
                real = imaginary = 0.0
                for k in range(3):
                    x = changes[way, a, k]
                    real += down[b, j, k] * x.real + down[b, j, 3 + k] * x.imag
                    imaginary += down[b, 3 + j, k] * x.real + down[b, 3 + j, 3 + k] * x.imag
                changes[way, b, j] = complex(real, imaginary)


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
