"""Compiled: how far the power flow of a grid is, at most, from one that was computed with what is known less well.

A flow v, i of a tree was computed; what loads and pieces (`openpoint.search.phases.model.Hung`) draw at other voltages
is known within bounds. Suppose that every voltage differs by at most `far`: then currents of branches differ by at most
`moved`, and by these voltages by at most `wide`. Where wide ≤ far there is, by Brouwer's theorem, a flow as near as
that, and each such flow loses at most `less` less, as iᴴ R i ≥ îᴴ R î + 2 Re(îᴴ R (i − î)) (docs/methods.md M44).

By how much a flow differs from what the changes of voltages at sources make to first order is bounded alike: `near` is
supposed of the voltages that this makes, while all voltages differ by at most `far`.

All these are sizes of components U v, with U unitary: at buses of three phases symmetrical components, where impedances
are much smaller for balanced currents than for those that return by the neutral, or phases.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.search.phases.bound import SAME
from openpoint.search.phases.flow import (
    CLOSED,
    LOOP,
    V_LOW,
    Trees,
    above,
    around,
    double,
    located,
    open_loop,
    regime,
    size_of,
)
from openpoint.search.phases.model import RADII, SIZES, Blocks

ROUNDS, WIDER = 12, 1.2
"""How often `far` is supposed anew, and by how much it then is more than what follows from the one before."""
LEAST = 1e-12
"""Voltage, pu, by which `far` is more than that, too: rounding."""


class Sizes(NamedTuple):
    """The matrices of `Blocks` in components, entry by entry without their angles.

    Attributes:
        u: (n, 3, 3) U of every bus. part: (n, 3, 3) its sizes. plain: (m) whether T is 1, in components, too. The
            others: as in `Blocks`.
    """

    u: Complexes
    plain: Bools
    part: Floats
    z: Floats
    ratio: Floats
    y: Floats
    y_fr: Floats
    y_to: Floats
    loop: Floats


FORTESCUE: Complexes = np.exp(2j * np.pi / 3.0 * np.outer(np.arange(3), np.arange(3))) / math.sqrt(3.0)
"""Symmetrical components of three phases: zero, positive and negative sequence."""


def sizes_for(blocks: Blocks, *, sequences: bool) -> Sizes:
    """Those of a grid, in symmetrical components where a bus has three phases, or in phases."""
    u = np.tile(np.eye(3, dtype=np.complex128), (len(blocks.has), 1, 1))
    three: Bools = np.asarray(blocks.has.all(axis=1) & sequences)
    u[three] = FORTESCUE
    back, ends = u.conj().transpose(0, 2, 1), (blocks.fr, blocks.to)
    z = [u[b] @ blocks.z[r] @ back[b] for r, b in enumerate(ends[::-1])]
    ratio = [u[b] @ blocks.ratio[r] @ back[a] for r, (a, b) in enumerate((ends, ends[::-1]))]
    y_fr, y_to = u[blocks.fr] @ blocks.y_fr @ back[blocks.fr], u[blocks.to] @ blocks.y_to @ back[blocks.to]
    loop = u[blocks.to] @ blocks.loop @ back[blocks.to]
    parts = (u, np.array(z), np.array(ratio), u @ blocks.y @ back, y_fr, y_to, loop)
    same = (three[blocks.fr] == three[blocks.to]) & (blocks.carries.all(axis=1) | ~three[blocks.to])
    return Sizes(u, blocks.plain & same, *(np.abs(part) for part in parts))


class Ranges(NamedTuple):
    """Squared limits, and by how much what hangs on buses exceeds some for certain.

    Attributes:
        w_min, w_max: (n, 3). l_max: (m, 3). rated: (2, m, 3) rated current over the current at either bus, 0 where a
            branch is not limited here. y: (2, m, 3, 3) admittances there. over: (C, SIZES, RADII) of pieces.
    """

    w_min: Floats
    w_max: Floats
    l_max: Floats
    rated: Floats
    y: Complexes
    over: Floats


def no_ranges(blocks: Blocks) -> Ranges:
    """No limits."""
    n, m = len(blocks.has), len(blocks.fr)
    w_min, w_max, l_max, rated = np.zeros((n, 3)), np.full((n, 3), np.inf), np.full((m, 3), np.inf), np.zeros((2, m, 3))
    y = np.zeros((2, m, 3, 3), dtype=np.complex128)
    return Ranges(w_min, w_max, l_max, rated, y, np.zeros((0, SIZES, len(RADII))))


@compiled
def exceed(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, ranges: Ranges, found: Floats) -> float:
    """The largest relative excess of a squared limit in each flow near one that was computed, after `deviate`.

    Args:
        found: (n) set to that at each bus, in the branch above, and in what hangs on it (docs/methods.md M46).
    """
    most = 0.0
    for b in range(len(blocks.has)):
        found[b], e = 0.0, trees.edge[b]
        for j in range(3):
            if blocks.has[b, j] and e >= 0:
                x, r = abs(trees.v[b, j]), of_phase(sizes, b, j, trees.far)
                low, high = max(x - r, 0.0), x + r
                if ranges.w_min[b, j] > 0.0:
                    found[b] = max(found[b], 1.0 - high * high / ranges.w_min[b, j])
                found[b] = max(found[b], low * low / ranges.w_max[b, j] - 1.0)
        if e < 0 or status[e] != CLOSED:
            continue
        for side in range(2):  # at its first bus, and at its second one
            a = blocks.fr[e] if side == 0 else blocks.to[e]
            for j in range(3):
                if ranges.rated[side, e, j] == 0.0:
                    continue
                x, r = -trees.i[e, j], of_phase(sizes, b, j, trees.moved)
                if a != b:  # ratios are of phases each by itself
                    x *= -blocks.ratio[trees.way[b], e, j, j].conjugate()
                    r *= abs(blocks.ratio[trees.way[b], e, j, j])
                for k in range(3):
                    x += ranges.y[side, e, j, k] * trees.v[a, k]
                    if ranges.y[side, e, j, k] != 0.0:
                        r += abs(ranges.y[side, e, j, k]) * of_phase(sizes, a, k, trees.far)
                size = ranges.rated[side, e, j] * max(abs(x) - r, 0.0)
                found[b] = max(found[b], size * size / ranges.l_max[e, j] - 1.0)
    for c in range(len(ranges.over)):
        k, i, _ = known(blocks, sizes, c, trees)
        if i >= 0 and k < SIZES:
            found[blocks.hung.bus[c]] = max(found[blocks.hung.bus[c]], ranges.over[c, k, i])
    for b in range(len(found)):
        most = max(most, found[b])
    return most


@compiled
def deviate(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, warm: bool) -> float:
    """By how much less, at most, is lost in the exact flow, per unit; inf where it is not known to be near.

    Args:
        trees: left by a sweep that may end anywhere, and `far` of sources. warm: begin with the distances that are in
            `trees`, not with none.
    """
    begin(blocks, sizes, trees)
    if not warm:
        for b in range(len(blocks.has)):
            for j in range(3):
                if trees.edge[b] >= 0:
                    trees.far[b, j] = 0.0
        trees.slip[:] = 0.0
    holds = _settle(blocks, sizes, status, trees, trees.far, False)
    less = _less(blocks, sizes, status, trees, trees.far)
    return less if holds and less < math.inf else math.inf  # and not where it is no number


@compiled
def remain(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, unknown: Bools) -> None:
    """Set far as `deviate`, then moved, near and less to what is not of first order.

    Args:
        trees: `far` and `near` to begin with. unknown: (n) set to whether either is more at a bus than is known.
    """
    begin(blocks, sizes, trees)
    trees.slip[:] = 0.0
    _settle(blocks, sizes, status, trees, trees.far, False)
    for b in range(len(unknown)):
        unknown[b] = False
        for j in range(3):
            unknown[b] = unknown[b] or not trees.wide[b, j] <= trees.far[b, j]
    trees.slip[:] = 0.0
    _settle(blocks, sizes, status, trees, trees.near, True)
    for b in range(len(unknown)):
        for j in range(3):
            unknown[b] = unknown[b] or not trees.wide[b, j] <= trees.near[b, j]
    _less(blocks, sizes, status, trees, trees.near)


@inlined
def begin(blocks: Blocks, sizes: Sizes, trees: Trees) -> None:
    """Set rank, and by how much the last round of a sweep changed the components of voltages."""
    for q in range(len(trees.order)):
        trees.rank[trees.order[q]] = q
    for b in range(len(blocks.has)):
        for j in range(3):
            trees.late[b, j] = _component(sizes, b, j, trees.step[b])


@inlined
def _settle(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, near: Floats, bends: bool) -> bool:
    """Suppose `near` (n, 3), given at sources, until what follows is not more; whether it is so.

    Then it comes down to `WIDER` times what follows, of which as much less follows.
    """
    looped = False
    for e in range(len(status)):
        looped = looped or status[e] == LOOP
    for k in range(ROUNDS):
        demand(blocks, sizes, status, trees, near, bends, 0.0 if bends else 1.0)
        _gather(blocks, sizes, trees)
        holds = not looped or _loops(blocks, sizes, status, trees)
        holds = _spread(blocks, sizes, trees, near) and holds
        if not holds and k == ROUNDS - 1:
            break
        for b in range(len(blocks.has)):
            for j in range(3):
                if trees.edge[b] >= 0:
                    wider = WIDER * trees.wide[b, j] + LEAST
                    near[b, j] = min(near[b, j], wider) if holds else wider
        if holds:
            return True
        for e in range(len(status)):
            for j in range(3):
                trees.slip[e, j] = WIDER * trees.slip[e, j] + (LEAST if status[e] == LOOP else 0.0)
    return False


@inlined
def demand(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, near: Floats, bends: bool, whole: float) -> None:
    """Set moved and less to what loads, shunts and pieces of each bus make, as far as it is not of first order.

    Currents are those at the voltages before the last round of a sweep, which are `late`, or, if `whole` is 0, exact.
    """
    far, moved, v, root = trees.far, trees.moved, trees.v, math.sqrt(3.0)
    for b in range(len(blocks.has)):
        trees.less[b] = 0.0
        late = trees.late[b]
        one, two, three = near[b, 0] + whole * late[0], near[b, 1] + whole * late[1], near[b, 2] + whole * late[2]
        for j in range(3):
            moved[b, j] = sizes.y[b, j, 0] * one + sizes.y[b, j, 1] * two + sizes.y[b, j, 2] * three
        for j in range(3):
            if blocks.s[b, j] != 0.0:
                s, x, change = size_of(blocks.s[b, j]), size_of(v[b, j]), whole * size_of(trees.step[b, j])
                r = of_phase(sizes, b, j, far) + change
                found = s / (x * (x - r)) * (of_phase(sizes, b, j, near) + change) if r < x else math.inf
                _add(sizes, b, j, found + (s * r * r / (x * x * (x - r)) if bends else 0.0), moved)
    for d in range(len(blocks.bus)):
        b, j, k = blocks.bus[d], blocks.phase[d], blocks.back[d]
        change = whole * size_of(trees.step[b, j] - (trees.step[b, k] if k >= 0 else 0j))
        x, r, least, scale = size_of(v[b, j]), of_phase(sizes, b, j, far), of_phase(sizes, b, j, near), 1.0
        if k >= 0:
            x, r = size_of(v[b, j] - v[b, k]) / root, (r + of_phase(sizes, b, k, far)) / root
            least, scale = (least + of_phase(sizes, b, k, near)) / root, 1.0 / root
        r, least = r + scale * change, least + scale * change
        found = scale * size_of(blocks.power[d]) * _shift(blocks, d, x, r, least, bends)
        _add(sizes, b, j, found, moved)
        if k >= 0:
            _add(sizes, b, k, found, moved)
    for e in range(len(blocks.fr)):
        if status[e] == LOOP or (status[e] == CLOSED and blocks.shunted[e]):
            a, b = blocks.fr[e], blocks.to[e]
            for j in range(3):
                for k in range(3):
                    moved[a, j] += sizes.y_fr[e, j, k] * (near[a, k] + whole * trees.late[a, k])
                    moved[b, j] += sizes.y_to[e, j, k] * (near[b, k] + whole * trees.late[b, k])
    for c in range(len(blocks.hung.bus)):
        _piece(blocks, sizes, c, trees, near)


@inlined
def of_phase(sizes: Sizes, b: int, j: int, far: Floats) -> float:
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
def _component(sizes: Sizes, b: int, k: int, x: Complexes) -> float:
    """Size of a component of x (3)."""
    return float(size_of(sizes.u[b, k, 0] * x[0] + sizes.u[b, k, 1] * x[1] + sizes.u[b, k, 2] * x[2]))


@inlined
def known(blocks: Blocks, sizes: Sizes, c: int, trees: Trees) -> tuple[int, int, complex]:
    """At which voltages and within which distance a piece is known, −1 where it is not, and their turn."""
    hung, b = blocks.hung, blocks.hung.bus[c]
    k, turn = located(blocks, c, trees)
    r, i = 0.0, 0
    if k < 0 or (trees.point[c] < 0 and k == SIZES):
        return k, -1, turn
    for j in range(3):
        if blocks.has[b, j]:
            r = max(r, size_of(trees.v[b, j] - turn * hung.at[c, k, j]) + of_phase(sizes, b, j, trees.far))
    while i < len(RADII) and RADII[i] < r:
        i += 1
    if i == len(RADII) or hung.off[c, k, i, 3] == math.inf:
        i = -1
    return k, i, turn


@inlined
def _piece(blocks: Blocks, sizes: Sizes, c: int, trees: Trees, near: Floats) -> None:
    """Add what a piece makes, around the nearest of the voltages at which its flow is known."""
    hung, b = blocks.hung, blocks.hung.bus[c]
    k, i, turn = known(blocks, sizes, c, trees)
    if i < 0:
        trees.less[b] = math.inf
        return
    around(blocks, c, k, trees.v[b], turn, 1.0, trees.room)
    for j in range(4):
        trees.room[j] -= trees.taken[c, j]
    for j in range(4):
        change = 0.0
        for m in range(3):
            change += near[b, m] * hung.steep[c, k, m, j]
        if j < 3:
            trees.moved[b, j] += change + _component(sizes, b, j, trees.room)
            _add(sizes, b, j, hung.off[c, k, i, j], trees.moved)
        else:
            trees.less[b] += change + hung.off[c, k, i, 3] - trees.room[3].real


@inlined
def _shift(blocks: Blocks, d: int, x: float, r: float, near: float, bends: bool) -> float:
    """By how much the current of a load of power 1 changes, at most, at voltages within r of one of size x.

    It is share(u) / u, turned: along u it changes by the slope of that, across by itself over u, and it jumps where
    bands end. Of the change of a voltage all but `near` is counted to first order elsewhere where it bends.
    """
    low, high = x - r, x + r
    if low <= 0.0:
        return math.inf
    steep = jump = bend = before = 0.0
    a0 = b0 = c0 = 0.0
    for point in range(8):
        u = low if point == 0 else high
        if point > 1:
            end = blocks.low[d] if point < 4 else blocks.high[d] if point < 6 else V_LOW * blocks.rated[d]
            if not low <= end * (1.0 + SAME) or not end * (1.0 - SAME) <= high:
                continue
            u = end * (1.0 + SAME if point % 2 else 1.0 - SAME)
        a, b, c = regime(blocks, d, u)
        across = a / low**2 + b / (low if b > 0.0 else high) + c
        steep = max(steep, across, abs(c - a / low**2), abs(c - a / high**2))
        bend = max(bend, a / low**3 + 0.6 * abs(b) / low**2)
        here = a / u + b + c * u
        if point > 1 and point % 2 == 1:
            jump += abs(here - before) * (1.0 + 2.0 * r / low)
            if bends:
                jump += r * (abs(a - a0) / low**2 + abs(b - b0) / low + abs(c - c0))
        before, a0, b0, c0 = here, a, b, c
    return steep * near + jump + (bend * r * r if bends else 0.0)


@inlined
def _gather(blocks: Blocks, sizes: Sizes, trees: Trees) -> None:
    """Add what is below each branch, from the leaves on."""
    for q in range(len(trees.order) - 1, -1, -1):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            continue
        a, r = above(blocks, trees, b)
        for j in range(3):
            if sizes.plain[e]:
                trees.moved[a, j] += trees.moved[b, j]
            else:
                for k in range(3):
                    trees.moved[a, j] += sizes.ratio[r, e, k, j] * trees.moved[b, k]


@inlined
def _loops(blocks: Blocks, sizes: Sizes, status: States, trees: Trees) -> bool:
    """Add slip, as supposed, to moved around each loop, and set it to what follows; whether that is not more.

    The current of a loop is what its impedance makes of all the voltages around it.
    """
    for e in range(len(status)):
        if status[e] == LOOP and not (sizes.plain[e] and _around(blocks, sizes, e, trees, True)):
            return False
    holds = True
    for e in range(len(status)):
        if status[e] == LOOP:
            open_loop(blocks, e, trees)
            for j in range(3):
                trees.apart[j] = _component(sizes, blocks.to[e], j, trees.room)
            _around(blocks, sizes, e, trees, False)
            for j in range(3):
                supposed, trees.slip[e, j] = trees.slip[e, j], 0.0
                for k in range(3):
                    trees.slip[e, j] += sizes.loop[e, j, k] * trees.apart[k]
                holds = holds and trees.slip[e, j] <= supposed
    return holds


@inlined
def _around(blocks: Blocks, sizes: Sizes, e: int, trees: Trees, adds: bool) -> bool:
    """Add the slip of a branch to moved of the branches around its loop, or their voltages without it to `apart`.

    False where these are not all of ratio 1.
    """
    a, b, slip = blocks.fr[e], blocks.to[e], trees.slip[e]
    while a != b:
        x = a if trees.rank[a] > trees.rank[b] else b
        f = trees.edge[x]
        if f < 0:
            break
        if not sizes.plain[f]:
            return False
        parent, r = above(blocks, trees, x)
        for j in range(3):
            if adds:
                trees.moved[x, j] += slip[j]
            else:
                for k in range(3):
                    trees.apart[j] += sizes.z[r, f, j, k] * (trees.moved[x, k] - slip[k])
        if x == a:
            a = parent
        else:
            b = parent
    return True


@inlined
def _spread(blocks: Blocks, sizes: Sizes, trees: Trees, near: Floats) -> bool:
    """Set wide, from the sources on; whether it is within what is supposed."""
    holds = True
    for q in range(len(trees.order)):
        b = trees.order[q]
        e = trees.edge[b]
        if e < 0:
            for j in range(3):
                trees.wide[b, j] = near[b, j]
            continue
        a, r = above(blocks, trees, b)
        for j in range(3):
            x = trees.wide[a, j] if sizes.plain[e] else 0.0
            for k in range(3):
                x += sizes.z[r, e, j, k] * trees.moved[b, k]
                if not sizes.plain[e]:
                    x += sizes.ratio[r, e, j, k] * trees.wide[a, k]
            trees.wide[b, j] = x
            holds = holds and trees.wide[b, j] <= near[b, j]
    return holds


@inlined
def _less(blocks: Blocks, sizes: Sizes, status: States, trees: Trees, near: Floats) -> float:
    """Set less, with that of branches, and return the sum."""
    total, less = 0.0, trees.less
    for b in range(len(blocks.has)):
        e = trees.edge[b]
        if e >= 0:
            less[b] += _steep(sizes, b, blocks.z[trees.way[b], e], trees.i[e], trees.moved[b], trees)
    for e in range(len(blocks.fr)):
        if status[e] == LOOP or (status[e] == CLOSED and blocks.shunted[e]):
            for side in range(2):
                b, y = (blocks.fr[e], blocks.y_fr[e]) if side == 0 else (blocks.to[e], blocks.y_to[e])
                less[b] += _steep(sizes, b, y, trees.v[b], near[b], trees)
                for j in range(3):
                    for k in range(3):
                        x = 0.5 * abs(y[j, k] + y[k, j].conjugate())
                        less[b] += x * of_phase(sizes, b, j, trees.far) * of_phase(sizes, b, k, trees.far)
            if status[e] == LOOP:
                b = blocks.to[e]
                less[b] += _steep(sizes, b, blocks.z[0, e], trees.i[e], trees.slip[e], trees)
    for b in range(len(blocks.has)):
        total += less[b]
    return total


@inlined
def _steep(sizes: Sizes, b: int, matrix: Complexes, x: Complexes, far: Floats, trees: Trees) -> float:
    """At least 2 |Re(xᴴ herm(matrix) y)| for components |y| ≤ far."""
    found = 0.0
    double(matrix, x, trees.room)
    for j in range(3):
        if far[j] > 0.0:
            found += _component(sizes, b, j, trees.room) * far[j]
    return found
