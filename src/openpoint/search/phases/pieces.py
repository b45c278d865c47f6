"""Pieces of a grid that hang on one bus and hold no choice, as what they add to the bound at that bus.

At multipliers h of the bus a piece adds a constant c and a matrix A. What is valid is a convex set of (h, c, A), since
K and M are affine in h and N, and A ⪰ Tᴴ N T + ¼ Kᴴ M⁻¹ K is a linear matrix inequality. So what samples around
multipliers h₀ give is valid, weighed, at the weighed multipliers (docs/methods.md M43).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.search.phases.bound import Squares, squares_for
from openpoint.search.phases.flow import CLOSED, LOOP, UNDECIDED, Trees, sweep, trees_for
from openpoint.search.phases.model import LEAST_U, MODES, SIZES, STEP_U, WIDE, Blocks, Hung
from openpoint.search.phases.multipliers import improve, pattern_for

REACH = 0.5, 0.3, 0.2, 0.2, 0.2, 0.2
"""How far the samples are from h₀: real and imaginary part of what phases share, and of two differences (`MODES`)."""
_ROUNDING, _LOST = 1e-9, 1e-12
"""Relative asymmetry of an impedance, and power, pu, of what charges a branch, that are neglected."""
WIDTH = 0.01
"""Change of a voltage, pu, of which the slopes of what pieces draw are taken."""
ROUNDS = 10
"""Of the fixed point for h₀ and for each sample."""


@dataclass(frozen=True)
class Core:
    """A grid without its pieces.

    Attributes:
        blocks: of the core, with what its pieces add. h: (n, 3) multipliers around which that is known.
        branch: (m) numbers of its branches in the whole grid.
    """

    blocks: Blocks
    h: Complexes
    branch: Ints

    def whole(self, status: States, closed: States) -> States:
        """The state of all branches from that of the core's, the others as in `closed`."""
        found = closed.copy()
        found[self.branch] = status
        return found


def balanced(blocks: Blocks) -> Complexes:
    """(n, 3) balanced voltages of 1 pu."""
    return np.where(blocks.has, np.exp(-2j * np.pi / 3.0 * np.arange(3)), 0.0)


def undecided(blocks: Blocks) -> States:
    """(m) states of branches of which nothing is decided."""
    return np.where(blocks.movable, UNDECIDED, np.where(blocks.closes, LOOP, CLOSED)).astype(np.int8)


def core_of(blocks: Blocks, status: States) -> Core:
    """The core at the multipliers of the bound of a state (m), which may leave branches undecided."""
    at = _attachments(blocks)
    trees, squares = trees_for(blocks), squares_for(blocks)
    trees.v[:] = balanced(blocks)
    h = np.zeros((len(blocks.has), 3), dtype=np.complex128)
    priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
    improve(blocks, status, priority, h, ROUNDS, math.inf, trees, squares, pattern_for(blocks))
    core, hung = at < 0, at >= 0
    if not hung.any():
        return Core(blocks, h, np.arange(len(blocks.fr)))
    inner = core[blocks.fr] & core[blocks.to]
    sweep(blocks, status, priority, trees, math.inf, False)
    made = _Pieces.of(blocks, at, trees.v)
    buses, branches = np.flatnonzero(core), np.flatnonzero(inner)
    kept = part_of(blocks, buses, branches, core[blocks.bus])
    pieces = made.sampled(h, np.unique(at[hung]))
    kept = kept._replace(hung=pieces._replace(bus=np.searchsorted(buses, pieces.bus)))
    kept, at_buses, at_branches = in_series(kept)
    return Core(kept, h[buses[at_buses]], branches[at_branches])


def _attachments(blocks: Blocks) -> Ints:
    """(n) the bus that a bus hangs on, −1 for those of the core: sources, ends of choices and what is between."""
    n = len(blocks.has)
    core: Bools = blocks.is_source.copy()
    for end in (blocks.fr, blocks.to):
        core[end[blocks.movable | blocks.closes]] = True
    degree = np.diff(blocks.start)
    above, order = np.full(n, -1, dtype=np.int64), list[int]()
    leaves = np.flatnonzero(~core & (degree == 1)).tolist()
    while leaves:
        b = leaves.pop()
        for e in blocks.around[blocks.start[b] : blocks.start[b + 1]]:
            a = int(blocks.to[e] if blocks.fr[e] == b else blocks.fr[e])
            if above[a] < 0:  # not a leaf of b, which came before
                above[b] = a
                order.append(b)
                degree[a] -= 1
                if degree[a] == 1 and not core[a]:
                    leaves.append(a)
    at = np.full(n, -1, dtype=np.int64)
    for b in reversed(order):
        at[b] = above[b] if at[above[b]] < 0 else at[above[b]]
    return at


def part_of(blocks: Blocks, buses: Ints, branches: Ints, loads: Bools) -> Blocks:
    """The grid of some buses, branches and loads, numbered anew."""
    number = np.full(len(blocks.has), -1, dtype=np.int64)
    number[buses] = np.arange(len(buses))
    fr, to = number[blocks.fr[branches]], number[blocks.to[branches]]
    ends = np.concatenate([fr, to])
    return blocks._replace(
        fr=fr,
        to=to,
        start=np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=len(buses)))]).astype(np.int64),
        around=(np.argsort(ends, kind="stable") % max(len(fr), 1)).astype(np.int64),
        z=blocks.z[:, branches].copy(),
        ratio=blocks.ratio[:, branches].copy(),
        ways=blocks.ways[:, branches].copy(),
        bus=number[blocks.bus[loads]],
        **{name: getattr(blocks, name)[branches] for name in _BRANCHES},
        **{name: getattr(blocks, name)[buses] for name in ("has", "is_source", "held", "s", "y", "box")},
        **{name: getattr(blocks, name)[loads] for name in _LOADS},
    )


def in_series(blocks: Blocks) -> tuple[Blocks, Ints, Ints]:
    """The grid with one branch for two that stay closed and meet at a bus where nothing else is.

    Returns:
        The grid, and the numbers of its buses and branches before.
    """
    gone = blocks.is_source | (np.abs(blocks.s).sum(axis=1) + np.abs(blocks.y).sum(axis=(1, 2)) > 0.0)
    gone[blocks.bus] = gone[blocks.hung.bus] = True
    gone = ~gone
    alike = blocks.plain & (blocks.z[0] == blocks.z[1]).all(axis=(1, 2))
    plain = alike & ~blocks.movable & ~blocks.closes
    fr, to, z, y_fr, y_to = (getattr(blocks, each).copy() for each in ("fr", "to", "z", "y_fr", "y_to"))
    beside = [blocks.around[blocks.start[b] : blocks.start[b + 1]].tolist() for b in range(len(gone))]
    left = np.ones(len(fr), dtype=np.bool_)
    for b in np.flatnonzero(gone).tolist():
        gone[b] = False
        if len(beside[b]) != 2:
            continue
        e, f = beside[b]
        a, c = (int(fr[k] + to[k]) - b for k in (e, f))
        if not (plain[e] and plain[f]) or a == c or (blocks.carries[e] != blocks.carries[f]).any():
            continue
        at = np.ix_(blocks.carries[e], blocks.carries[e])
        ends = [(y_to, y_fr) if fr[k] == b else (y_fr, y_to) for k in (e, f)]  # far from b, and at it
        middle = ends[0][1][e][at] + ends[1][1][f][at]
        one, two = z[0, e][at], z[0, f][at]
        more = two @ middle @ one
        if np.abs(more - more.T).max() > _ROUNDING * np.abs(one + two).max():
            continue
        # What is at the bus goes to both ends, of which the flow outside and the loss are the same (Kron 1939).
        far_a = ends[0][0][e][at] + np.linalg.solve(one + two + more, two @ middle)
        far_c = ends[1][0][f][at] + np.linalg.solve(one + two + more.T, one @ middle)
        z[0, e][at] = z[1, e][at] = one + two + (more + more.T) / 2.0
        fr[e], to[e], y_fr[e][at], y_to[e][at] = a, c, far_a, far_c
        beside[c][beside[c].index(f)] = e
        left[f], gone[b] = False, True
    buses, branches = np.flatnonzero(~gone), np.flatnonzero(left)
    # What charges a branch that stays closed takes no active power, and may as well be of its buses.
    y, shunted = blocks.y.copy(), blocks.shunted.copy()
    for e in np.flatnonzero(left & ~blocks.movable & ~blocks.closes & blocks.shunted):
        if np.abs(y_fr[e] + y_to[e] + (y_fr[e] + y_to[e]).conj().T).max() <= _LOST:
            y[fr[e]] += y_fr[e]
            y[to[e]] += y_to[e]
            y_fr[e], y_to[e], shunted[e] = 0.0, 0.0, False
    found = blocks._replace(fr=fr, to=to, z=z, y_fr=y_fr, y_to=y_to, y=y, shunted=shunted)
    found = part_of(found, buses, branches, np.ones(len(blocks.bus), dtype=np.bool_))
    return found._replace(hung=blocks.hung._replace(bus=np.searchsorted(buses, blocks.hung.bus))), buses, branches


_BRANCHES = ("plain", "shunted", "y_fr", "y_to", "carries", "movable", "closes", "loop")
_LOADS = ("phase", "back", "power", "degree", "low", "high", "rated", "outer")


@dataclass(frozen=True)
class _Pieces:
    """The pieces, as a grid whose sources are the buses that they hang on, at the voltages of a flow.

    Attributes:
        bus: (n) numbers in the whole grid. at: (n) number here of the bus that one hangs on, its own for that.
    """

    blocks: Blocks
    bus: Ints
    at: Ints
    trees: Trees
    squares: Squares

    @staticmethod
    def of(blocks: Blocks, at: Ints, v: Complexes) -> _Pieces:
        """Those of a grid with attachments (n) and voltages (n, 3)."""
        hung = at >= 0
        buses = np.unique(np.concatenate([np.flatnonzero(hung), at[hung]]))
        found = part_of(blocks, buses, np.flatnonzero(hung[blocks.fr] | hung[blocks.to]), hung[blocks.bus])
        roots = ~hung[buses]
        here = np.where(roots[:, None], v[buses], 0.0)
        s, y = np.where(roots[:, None], 0.0, found.s), np.where(roots[:, None, None], 0.0, found.y)
        found = found._replace(is_source=roots, held=here, s=s, y=y)
        trees = trees_for(found)
        trees.v[:] = v[buses]
        own = np.where(roots, np.arange(len(buses)), np.searchsorted(buses, at[buses]))
        return _Pieces(found, buses, own, trees, squares_for(found))

    def sampled(self, h: Complexes, on: Ints) -> Hung:
        """What the pieces on some buses add, around multipliers (n, 3) of the whole grid."""
        blocks, root = self.blocks, np.searchsorted(self.bus, on)
        status = np.full(len(blocks.fr), CLOSED, dtype=np.int8)
        priority, pattern = np.arange(len(self.bus)), pattern_for(blocks)
        modes = _modes(blocks.has[root])
        reach = np.tile(REACH, (len(on), 1))
        constant, a = np.zeros((len(on), 13)), np.zeros((len(on), 13, 3, 3), dtype=np.complex128)
        group = np.searchsorted(root, self.at)
        trial = h[self.bus].copy()

        def sample(k: int, shift: Complexes) -> bool:
            """Take those with multipliers on and behind `on` moved (count, 3); whether the bound is defined there."""
            trial[:] = np.where(blocks.has, h[self.bus] + shift[group], 0.0)
            tools = self.trees, self.squares, pattern
            if not math.isfinite(improve(blocks, status, priority, trial, ROUNDS, math.inf, *tools)):
                return False
            improve(blocks, status, priority, trial, 0, math.inf, *tools)
            constant[:, k] = np.bincount(group, weights=self.squares.constant, minlength=len(on))
            a[:, k] = self.squares.a[root]
            return True

        if not sample(0, np.zeros((len(on), 3), dtype=np.complex128)):
            raise ArithmeticError("the bound is not defined at its best multipliers")
        for i in range(6):
            for sign in (0, 1):
                while not sample(1 + 2 * i + sign, (1.0 - 2.0 * sign) * reach[:, i, None] * modes[:, i]):
                    reach[:, i] *= 0.5
        return Hung(on, h[on], modes, reach, constant, a, *self._flows(root))

    def _flows(self, root: Ints) -> tuple[Complexes, Complexes, Complexes]:
        """What pieces on some buses draw: shape, flow and slope of `Hung`."""
        blocks = self.blocks
        status, priority = np.full(len(blocks.fr), CLOSED, dtype=np.int8), np.arange(len(self.bus))
        shape = _shapes(self.blocks.held[root])
        flow = np.zeros((len(root), SIZES, 4), dtype=np.complex128)
        slope = np.zeros((len(root), (SIZES - 1) // WIDE + 1, 4, 4), dtype=np.complex128)

        def at(v: Complexes) -> Complexes | None:
            """(count, 4) currents and losses at voltages (count, 3)."""
            blocks.held[root] = v
            for warm in (True, False):
                if math.isfinite(sweep(blocks, status, priority, self.trees, math.inf, warm)):
                    lost = np.bincount(self.at[blocks.fr], _lost(blocks, self.trees), len(self.bus))
                    return np.column_stack([self.trees.drawn[root], lost[root]])
            return None

        for k in reversed(range(SIZES)):
            size = LEAST_U + STEP_U * k
            found = at(size * shape[:, 0])
            flow[:, k] = 2.0 * flow[:, k + 1] - flow[:, k + 2] if found is None else found
            if k % WIDE == 0:
                for way in range(4):
                    step = WIDTH * (1j if way % 2 else 1.0) * shape[:, 1 + way // 2]
                    ahead, back = at(size * shape[:, 0] + step), at(size * shape[:, 0] - step)
                    if ahead is None or back is None:
                        slope[:, k // WIDE, way] = slope[:, k // WIDE + 1, way]
                    else:
                        slope[:, k // WIDE, way] = (ahead - back) / (2.0 * WIDTH)
        return shape, flow, slope


def _lost(blocks: Blocks, trees: Trees) -> Floats:
    """(m) loss of each closed branch."""
    back = np.zeros(len(blocks.fr), dtype=np.int64)
    below = np.flatnonzero(trees.edge >= 0)
    back[trees.edge[below]] = trees.way[below]
    z = blocks.z[back, np.arange(len(back))]
    pairs = (trees.i, z), (trees.v[blocks.fr], blocks.y_fr), (trees.v[blocks.to], blocks.y_to)
    return np.asarray(sum(np.einsum("ej,ejk,ek->e", x.conj(), matrix, x).real for x, matrix in pairs))


def _shapes(v: Complexes) -> Complexes:
    """(count, 3, 3) directions of voltages of buses with voltages (count, 3); see `Hung`."""
    found = np.zeros((len(v), 3, 3), dtype=np.complex128)
    for each, here in zip(found, v, strict=True):
        at = np.flatnonzero(here)
        q, _ = np.linalg.qr(np.column_stack([here[at], np.eye(len(at))[:, 1:]]))
        each[np.ix_(np.arange(len(at)), at)] = q.T
        each[0, at] = here[at] / np.abs(here[at]).mean()
    return found


def _modes(has: Bools) -> Complexes:
    """(count, 6, 3) directions of the multipliers of buses with phases (count, 3), of length 1 or none."""
    found = np.zeros((len(has), 6, 3), dtype=np.complex128)
    for each, present in zip(found, has, strict=True):
        at = np.flatnonzero(present)
        for k, way in enumerate(MODES[len(at)]):
            each[2 * k, at] = np.array(way) / np.linalg.norm(way)
            each[2 * k + 1, at] = 1j * each[2 * k, at]
    return found
