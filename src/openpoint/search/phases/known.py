"""States of a core with one block of it in any of its states, near voltages at which what hangs on it was worked out.

A block of a core that hangs on one bus is a piece that draws and loses what its first state does. What loads and pieces
draw, to first order, makes of a tree a linear network, which is eliminated from the leaves on. So an exact flow differs
from one that was computed by what is not of first order alone, and loses as much less as the worth of that says; each
state of the block is charged with what it draws and loses more than the first one (docs/methods.md M50).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled, inlined
from openpoint.graph import components
from openpoint.search.phases.deviation import FORTESCUE, LEAST, Sizes, known, sizes_for
from openpoint.search.phases.flow import (
    CLOSED,
    OPEN,
    UNDECIDED,
    Trees,
    forest,
    pick,
    size_of,
    sweep,
    swept,
    trees_for,
)
from openpoint.search.phases.model import BELOW, RADII, SIZES, Blocks, Hung
from openpoint.search.phases.pieces import Core, Pieces, part_of, steepness, undecided
from openpoint.search.phases.response import Linear, eliminated, linear_for, remainder, worth_of
from openpoint.search.phases.states import (
    AllStates,
    Graph,
    OneState,
    Swept,
    graph_for,
    propagate,
    states_left,
    swept_for,
)

MOST = 2000
"""Radial states of a block that is a piece here, at most."""
LOOSE = 3e-3
"""Share of all that is drawn that a loose part draws at most."""
ROWS, FOR_LOOSE = 80, 16
"""Voltages at most at which what hangs on a core is worked out, and those for states without the loose part."""
ENOUGH = 1e-4, 1e-6
"""Changes of a voltage, pu, at which the flow of a state may end, if that proves enough, and at which it ends."""
CLUSTERS = 2
"""Clusters of states of a block, each with a piece of its own."""
GROUPS = 0.25, 1.0
"""Groups of states of a cluster: parts of the most that any of them draws more."""


class Block(NamedTuple):
    """A piece, the last one, that stands for a block in any of P states, in groups by how much more they draw.

    Attributes:
        start: (GROUPS + 1) states of group g are those from start[g] to start[g + 1]. apart: (K, P, 4) by what currents
            and loss of a state differ from those of the piece, at K voltages. off: (K, RADII, P, 4) by how much, at
            most, the rest differs from what the piece makes of it to first order. most: (GROUPS, K, RADII, 3) what
            states of a group draw more, in components.
    """

    start: Ints
    apart: Complexes
    off: Floats
    most: Floats


@inlined
def _worst(blocks: Blocks, sizes: Sizes, linear: Linear, block: Block, trees: Trees, g: int) -> float:
    """By how much less the state of a group loses that is worst than the remainder says, which has `most` of it."""
    c = len(blocks.hung.bus) - 1
    b = blocks.hung.bus[c]
    k, i, turn = known(blocks, sizes, c, trees)
    charged, worst = 0.0, -math.inf
    size, cost = linear.one, linear.unit
    for j in range(3):
        w = complex(linear.worth[b, j], linear.worth[b, 3 + j])
        size[j], cost[j] = size_of(w), w.conjugate() * turn
        charged += worth_of(sizes, linear, b, j) * block.most[g, k - SIZES, i, j]
    apart, off = block.apart[k - SIZES], block.off[k - SIZES, i]
    for p in range(block.start[g], block.start[g + 1]):
        less = off[p, 3] - apart[p, 3].real
        for j in range(3):
            less += size[j] * off[p, j] - (cost[j] * apart[p, j]).real
        worst = max(worst, less)
    return worst - charged


@compiled
def complete_near(
    blocks: Blocks,
    sizes: Sizes,
    linear: Linear,
    block: Block,
    status: States,
    priority: Ints,
    enough: float,
    trees: Trees,
    graph: Graph,
    found: Swept,
) -> int:
    """As `openpoint.search.phases.states.complete`, without limits, with the block in any of its states."""
    waiting, depth, count, unknown = found.waiting, 1, 0, np.zeros(len(blocks.has), dtype=np.bool_)
    waiting[0] = status
    while depth > 0:
        depth -= 1
        here = waiting[depth]
        if not propagate(blocks, here, graph):
            continue
        chosen = -1
        for e in range(len(here)):
            if here[e] == UNDECIDED:
                chosen = e
                break
        if chosen >= 0:
            waiting[depth + 1] = here
            here[chosen], waiting[depth + 1, chosen] = OPEN, CLOSED
            depth += 2
            continue
        if forest(blocks, here, priority, trees) < 0:
            continue
        found.counts[0] += 1
        warm, loss, least = found.counts[1] == 1, math.inf, -math.inf
        for change in ENOUGH:
            if warm:
                pick(blocks, trees)
            loss = swept(blocks, here, priority, trees, change, warm)
            if warm and loss == math.inf:
                loss = swept(blocks, here, priority, trees, change, False)
            warm = loss < math.inf
            if not warm:
                break
            trees.far[:] = 0.0
            eliminated(blocks, sizes, here, trees, linear)
            less = -math.inf
            for g in range(len(block.most)):
                if block.start[g] < block.start[g + 1] and less < math.inf:
                    more = remainder(blocks, sizes, linear, here, trees, block.most[g], unknown)
                    more += _worst(blocks, sizes, linear, block, trees, g) if more < math.inf else 0.0
                    less = max(less, more)
            least = loss - less if less < math.inf else -math.inf
            if least >= enough:
                break
        found.counts[1] = 1 if warm else 0
        if not least >= enough:
            found.status[count], found.loss[count], found.least[count] = here, loss, least
            count += 1
    return count


@compiled
def choose(blocks: Blocks, trees: Trees) -> None:
    """As `pick`, for Python."""
    pick(blocks, trees)


def largest_block(core: Core, fewest: int) -> tuple[int, Bools] | None:
    """The bus that a block hangs on, and (n) whether a bus is in it: the block of most states, `fewest` to `MOST`."""
    blocks = core.blocks
    n, status, best, found = len(blocks.has), undecided(blocks), float(fewest), None
    whole = states_left(blocks, status)
    for b in range(n):
        left = (blocks.fr != b) & (blocks.to != b)
        part = components(n, blocks.fr[left], blocks.to[left])
        for each in np.setdiff1d(part, part[np.append(np.flatnonzero(blocks.is_source), b)]).tolist():
            inside: Bools = np.asarray(part == each)
            beside = inside[blocks.fr] | inside[blocks.to]
            rest = states_left(blocks, np.where(beside, CLOSED, status))
            if best + 0.5 < (count := whole / rest) < min(MOST, rest):
                best, found = count, (b, inside)
    return found


def loose_part(core: Core, outside: Bools) -> tuple[Ints, Bools] | None:
    """The buses (T) that a part may hang on, and (n) whether a bus is in it, of some buses outside of a block.

    It has fewer phases than those, so that it feeds none of them, and draws little.
    """
    blocks = core.blocks
    few: Bools = np.asarray(~blocks.has.all(axis=1))
    drawn = np.abs(blocks.s).sum(axis=1) + np.abs(blocks.y).sum(axis=(1, 2))
    np.add.at(drawn, blocks.bus, np.abs(blocks.power))
    np.add.at(drawn, blocks.hung.bus, np.abs(blocks.hung.flow[:, BELOW, :3]).sum(axis=1))
    both = few[blocks.fr] & few[blocks.to]
    part, most, found = components(len(few), blocks.fr[both], blocks.to[both]), 0, None
    for each in np.unique(part[few]).tolist():
        inside: Bools = np.asarray(part == each)
        beside = inside[blocks.fr] | inside[blocks.to]
        ends = np.concatenate([blocks.fr[beside], blocks.to[beside]])
        at = np.setdiff1d(ends, np.flatnonzero(inside))
        count = int(blocks.movable[beside].sum())
        little = drawn[inside].sum() + np.abs(blocks.y_fr[beside]).sum() + np.abs(blocks.y_to[beside]).sum()
        alone = len(at) > 1 and outside[at].all() and not blocks.is_source[inside].any()
        if alone and little <= LOOSE * drawn.sum() and count > most:
            most, found = count, (at, inside)
    return found


Known = tuple[Complexes, Complexes, Floats]
"""flow, slope and off of `Hung` at one voltage of each of some pieces."""


def _some(row: Known, chosen: Bools) -> Known:
    """Of some pieces (C)."""
    return row[0][chosen], row[1][chosen], row[2][chosen]


@dataclass(frozen=True)
class _Part:
    """A part of a core in any of its states, as pieces of their own.

    Attributes:
        at: (T) buses of the core that it may hang on. within: (C) pieces of the core that hang on it.
    """

    pieces: Pieces
    states: list[States]
    at: Ints
    within: Bools

    @staticmethod
    def of(core: Core, at: Ints, inside: Bools) -> _Part | None:
        """None where one of its states has no flow at the voltages of the core."""
        pieces = Pieces.of(core.blocks, np.where(inside, at[0], -1), core.v, at)
        found = AllStates(pieces.blocks, MOST + 1, sequences=False).of(undecided(pieces.blocks), math.inf)
        states = [each.status for each in sorted(found, key=lambda each: each.loss) if math.isfinite(each.loss)]
        within: Bools = np.asarray(inside[core.blocks.hung.bus])
        return _Part(pieces, states, pieces.bus[pieces.root], within) if 0 < len(states) == len(found) else None

    def known(self, v: Complexes, at: Complexes, row: Known) -> tuple[_Part, Known] | None:
        """With what pieces of it draw at voltages (C, 3), and of each state what it draws at those of buses (n, 3)."""
        hung = _with_row(self.pieces.blocks.hung, at[self.within], *_some(row, self.within))
        pieces = replace(self.pieces, blocks=self.pieces.blocks._replace(hung=hung))
        pieces.trees.point[:] = hung.at.shape[1] - 1
        found, held = list[Known](), v[self.at]
        for status in self.states:
            if pieces.drawn(held, status) is None:
                return None
            choose(pieces.blocks, pieces.trees)
            if (each := pieces.known_at(held, len(RADII), status)) is None:
                return None
            found.append(each)
        flow, slope, off = (np.array(part) for part in zip(*found, strict=True))
        return replace(self, pieces=pieces), (flow, slope, off)


def near_block(core: Core, at: int, inside: Bools, most: int) -> list[StatesNear]:
    """For each cluster of states of a block, by what they draw at the voltages of the core, those of the core."""
    if (part := _Part.of(core, np.array([at]), inside)) is None:
        return []
    u = FORTESCUE if core.blocks.has[at].all() else np.eye(3)
    drawn = [part.pieces.drawn(core.v[at][None], each) for each in part.states]
    currents = np.array([np.full(3, np.inf) if each is None else u @ each[0, :3] for each in drawn])
    if not np.isfinite(currents).all():
        return []
    apart, first = np.zeros((CLUSTERS, len(currents))), 0
    for k in range(CLUSTERS):
        apart[k] = np.abs(currents - currents[first]).sum(axis=1)
        first = int(apart[: k + 1].min(axis=0).argmax())
    nearest, found = apart.argmin(axis=0), list[StatesNear]()
    for k in range(CLUSTERS):
        order = np.flatnonzero(nearest == k)[np.argsort(apart[k][nearest == k], kind="stable")]
        if len(order):
            states = replace(part, states=[part.states[p] for p in order])
            found.append(StatesNear(core, states, inside, most))
    return found


class StatesNear:
    """The flows of all radial states of a core outside of a block, for each state of that.

    Where a loose part is outside, all is without it first, as if it drew at once at all buses that it may hang on.

    Attributes:
        blocks: of the core outside, without the loose part. branch: (m) numbers of branches of the core outside.
    """

    def __init__(self, core: Core, block: _Part, inside: Bools, most: int) -> None:
        assert core.pieces is not None
        self._core, self._part, blocks = core, block, core.blocks
        self._loose: _Part | None = None
        loose = inside
        found = loose_part(core, ~inside)
        if found is not None and (part := _Part.of(core, *found)) is not None and len(part.states) < most:
            self._loose, loose = part, inside | found[1]
        self._full = _Swept(blocks, inside, block.at, most)
        ends = block.at if self._loose is None else np.append(self._loose.at, block.at)
        self._short = self._full if self._loose is None else _Swept(blocks, loose, ends, most)
        self.branch = self._full.branch
        self._kept = np.isin(self.branch, self._short.branch)
        self._first = np.zeros(len(blocks.fr), dtype=np.int8)
        self._first[inside[blocks.fr] | inside[blocks.to]] = block.states[0]
        self._whole, self._all = blocks, trees_for(blocks)
        count, groups = len(block.states), len(GROUPS)
        self._block = Block(
            np.zeros(groups + 1, dtype=np.int64),
            np.zeros((0, count, 4), dtype=np.complex128),
            np.zeros((0, len(RADII), count, 4)),
            np.zeros((groups, 0, len(RADII), 3)),
        )
        self._learn(core.v)

    @property
    def blocks(self) -> Blocks:
        return self._short.blocks

    @property
    def count(self) -> int:
        return self._full.count + (0 if self._loose is None else self._short.count)

    @property
    def rows(self) -> int:
        """Voltages at which what hangs on the core was worked out."""
        return len(self._block.apart)

    def left(self, status: States) -> float:
        """How many states are left in one (m), without the loose part."""
        return states_left(self._short.blocks, status[self._kept])

    def of(self, status: States, enough: float) -> list[OneState]:
        """As `openpoint.search.phases.states.AllStates.of`; voltages are added as long as these prove more."""
        if self._loose is None:
            return self._proved(status, enough)
        waiting, left = self._without(status, enough), list[OneState]()
        while waiting:
            here = waiting.pop(len(waiting) // 2)
            if math.isfinite(here.loss) and here.least == -math.inf and self.rows < FOR_LOOSE:
                loose = here.status.copy()
                loose[~self._kept] = self._loose.states[0]
                if self._learn_at(loose):
                    again = self._without(here.status, enough)
                    waiting = [each for other in waiting for each in self._without(other.status, enough)]
                    left += [each for other in again for each in self._proved(other.status, enough)]
                    continue
            left += self._proved(here.status, enough)
        return left

    def _proved(self, status: States, enough: float) -> list[OneState]:
        """As `of`, with the loose part in its place."""
        found, left = self._full.complete(status, self._block, enough), list[OneState]()
        while found:
            one = found.pop(len(found) // 2)
            if not enough <= one.loss < math.inf or self.rows >= ROWS or not self._learn_at(one.status):
                left.append(one)
                continue
            left += self._full.complete(one.status, self._block, enough)
            found = [each for other in found for each in self._full.complete(other.status, self._block, enough)]
        return left

    def _without(self, status: States, enough: float) -> list[OneState]:
        """States (m), of which the loose part is not decided, that are not proved without it."""
        found = []
        for each in self._short.complete(status[self._kept], self._block, enough):
            here = status.copy()
            here[self._kept] = each.status
            found.append(replace(each, status=here))
        return found

    def _learn_at(self, status: States) -> bool:
        """Work out what hangs on the core at the voltages of a state; whether there are flows."""
        whole = self._first.copy()
        whole[self.branch] = status
        priority: Ints = np.argsort(-self._whole.has.sum(axis=1), kind="stable")
        self._all.point[:] = SIZES
        for warm in (False, True):
            if not math.isfinite(sweep(self._whole, whole, priority, self._all, ENOUGH[-1], warm)):
                return False
            choose(self._whole, self._all)
        return self._learn(self._all.v)

    def _learn(self, v: Complexes) -> bool:
        """Work out what hangs on the core at voltages (n, 3) of it; whether there are flows."""
        pieces, hung, block = self._core.pieces, self._whole.hung, self._part
        assert pieces is not None
        at = v[hung.bus]
        if (row := pieces.known_at(at)) is None or (of_block := block.known(v, at, row)) is None:
            return False
        more: Known | None = None
        if self._loose is not None:
            if (of_loose := self._loose.known(v, at, row)) is None:
                return False
            self._loose, (flow, slope, off) = of_loose
            steep = steepness(slope.reshape(-1, 1, 6, 4), np.eye(3, dtype=np.complex128)[None])
            steep = steep.reshape(*flow.shape[:2], 3, 4)
            off = off + np.abs(flow)[:, :, None] + np.array(RADII)[:, None] * steep.sum(axis=2)[:, :, None]
            off = np.where(np.isfinite(off).all(axis=(0, 1, 3))[:, None], off.max(axis=0), np.inf)
            off[..., 3] = np.where(np.isfinite(off[..., 3]), 0.0, np.inf)
            more = np.zeros_like(flow[0]), np.zeros_like(slope[0]), off
        self._part, (flow, slope, off) = of_block
        self._block, one = _with_states(self._block, flow[:, 0], slope[:, 0], off[:, 0], self._whole.has[block.at[0]])
        self._whole = self._whole._replace(hung=_with_row(hung, at, *row))
        outside = ~block.within
        self._full.learn((at[outside], *_some(row, outside)), (v[block.at], *one))
        if self._loose is not None and more is not None:
            outside &= ~self._loose.within
            self._short.learn((at[outside], *_some(row, outside)), (v[self._loose.at], *more), (v[block.at], *one))
        return True


def _with_states(
    block: Block, flow: Complexes, slope: Complexes, off: Floats, has: Bools
) -> tuple[Block, tuple[Complexes, Complexes, Floats]]:
    """With what states (P, …) draw at one more voltage of three phases, or fewer, and what the piece draws there."""
    steep = steepness((slope - slope[0])[:, None], np.tile(np.eye(3, dtype=np.complex128), (len(slope), 1, 1)))
    off = off + np.array(RADII)[:, None] * steep.sum(axis=2)
    apart = flow - flow[0]
    u = FORTESCUE if has.all() else np.eye(3)
    size, start = np.abs(apart[:, :3] @ u.T), block.start
    if not len(block.apart):
        part = size.max(axis=1) / max(float(size.max()), LEAST)
        start = np.array([0, *(int((part <= each).sum()) for each in GROUPS)], dtype=np.int64)
    more = size[:, None] + np.einsum("pij,kj->pik", np.where(np.isfinite(off[..., :3]), off[..., :3], 0.0), np.abs(u))
    most = [more[a:b].max(axis=0, initial=0.0) for a, b in itertools.pairwise(start.tolist())]
    found = Block(
        start,
        np.concatenate([block.apart, apart[None]]),
        np.concatenate([block.off, off.transpose(1, 0, 2)[None]]),
        np.concatenate([block.most, np.array(most)[:, None]], axis=1),
    )
    known_there = np.where(np.isfinite(off).all(axis=(0, 2)), 0.0, np.inf)[:, None] * np.ones(4)
    return found, (flow[:1], slope[:1], known_there[None])


class _Swept:
    """Flows of the states of a core outside of parts, with pieces at some buses (T) for these.

    Attributes:
        blocks: of the core outside. branch: (m) numbers of its branches in the core. count: of flows so far.
    """

    def __init__(self, blocks: Blocks, inside: Bools, at: Ints, most: int) -> None:
        buses, self.branch = np.flatnonzero(~inside), np.flatnonzero(~(inside[blocks.fr] | inside[blocks.to]))
        rest = part_of(blocks, buses, self.branch, ~inside)
        for each in at:
            rest = rest._replace(hung=_with_piece(rest.hung, int(np.searchsorted(buses, each))))
        self.blocks, self._priority = rest, np.argsort(-rest.has.sum(axis=1), kind="stable")
        self._sizes, self._linear = sizes_for(rest, sequences=True), linear_for(rest)
        self._trees, self._graph, self._found = trees_for(rest), graph_for(rest), swept_for(rest, most)
        self._trees.point[:] = SIZES

    @property
    def count(self) -> int:
        return int(self._found.counts[0])

    def learn(self, *rows: tuple[Complexes, Complexes, Complexes, Floats]) -> None:
        """Add what pieces draw at one more voltage."""
        at, flow, slope, off = (np.concatenate(part) for part in zip(*rows, strict=True))
        self.blocks = self.blocks._replace(hung=_with_row(self.blocks.hung, at, flow, slope, off))

    def complete(self, status: States, block: Block, enough: float) -> list[OneState]:
        """Those that are left in a state (m) and may lose less than `enough`, and those without a flow."""
        tools = self._priority, enough, self._trees, self._graph, self._found
        count = complete_near(self.blocks, self._sizes, self._linear, block, status, *tools)
        found = self._found
        parts = found.status[:count].copy(), found.loss[:count].tolist(), found.least[:count].tolist()
        return [OneState(*each) for each in zip(*parts, strict=True)]


def _with_piece(hung: Hung, bus: int) -> Hung:
    """With one more piece, of which nothing is known at multiples of a start."""
    more = Hung(*(np.zeros((1, *each.shape[1:]), dtype=each.dtype) for each in hung))
    shape = np.exp(-2j * np.pi / 3.0 * np.arange(3))
    more = more._replace(bus=np.array([bus]), shape=shape[None], off=np.full_like(more.off, np.inf))
    return Hung._make(map(np.concatenate, zip(hung, more, strict=True)))


def _with_row(hung: Hung, at: Complexes, flow: Complexes, slope: Complexes, off: Floats) -> Hung:
    """With what is known at one more voltage (C, 3) of each piece; `steep` of phases."""
    steep = steepness(slope[:, None], np.tile(np.eye(3, dtype=np.complex128), (len(at), 1, 1)))
    rows = {"at": at[:, None], "flow": flow[:, None], "slope": slope[:, None], "steep": steep, "off": off[:, None]}
    made = {name: np.concatenate([getattr(hung, name), row], axis=1) for name, row in rows.items()}
    return hung._replace(**made)
