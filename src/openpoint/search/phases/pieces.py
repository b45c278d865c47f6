"""Pieces of a grid that hang on one bus and hold no choice, as what they add to the bound at that bus.

At multipliers h of the bus a piece adds a constant c and a matrix A. What is valid is a convex set of (h, c, A), since
K and M are affine in h and N, and A ⪰ Tᴴ N T + ¼ Kᴴ M⁻¹ K is a linear matrix inequality. So what samples around
multipliers h₀ give is valid, weighed, at the weighed multipliers (docs/methods.md M43).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Ints, States
from openpoint.search.phases.bound import Squares, squares_for
from openpoint.search.phases.flow import CLOSED, LOOP, UNDECIDED, Trees, trees_for
from openpoint.search.phases.model import MODES, Blocks, Hung
from openpoint.search.phases.multipliers import improve, pattern_for

REACH = 0.5, 0.3, 0.2, 0.2, 0.2, 0.2
"""How far the samples are from h₀: real and imaginary part of what phases share, and of two differences (`MODES`)."""
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
    made = _Pieces.of(blocks, at, trees.v)
    buses, branches = np.flatnonzero(core), np.flatnonzero(inner)
    kept = part_of(blocks, buses, branches, core[blocks.bus])
    pieces = made.sampled(h, np.unique(at[hung]))
    kept = kept._replace(hung=pieces._replace(bus=np.searchsorted(buses, pieces.bus)))
    return Core(kept, h[buses], branches)


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
        **{name: getattr(blocks, name)[branches] for name in ("y_fr", "y_to", "carries", "movable", "closes", "loop")},
        **{name: getattr(blocks, name)[buses] for name in ("has", "is_source", "held", "s", "y", "box")},
        **{name: getattr(blocks, name)[loads] for name in _LOADS},
    )


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
        return Hung(on, h[on], modes, reach, constant, a)


def _modes(has: Bools) -> Complexes:
    """(count, 6, 3) directions of the multipliers of buses with phases (count, 3), of length 1 or none."""
    found = np.zeros((len(has), 6, 3), dtype=np.complex128)
    for each, present in zip(found, has, strict=True):
        at = np.flatnonzero(present)
        for k, way in enumerate(MODES[len(at)]):
            each[2 * k, at] = np.array(way) / np.linalg.norm(way)
            each[2 * k + 1, at] = 1j * each[2 * k, at]
    return found
