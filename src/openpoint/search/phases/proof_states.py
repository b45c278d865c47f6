"""What all radial states of a node of a proof lose at least, for the checker of certificates, in code of its own.

After some flows of the whole grid others are bounded in its core. Parts of the core that hang on one bus and have few
states are left out as well: what they draw and lose is known of any of their states (docs/methods.md M45), so that one
flow covers as many states as these have together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.compiled.jit import compiled
from openpoint.graph import components
from openpoint.search.phases.model import Blocks
from openpoint.search.phases.proof_flows import judge, sizes_for, tabulate
from openpoint.search.phases.proof_sweeps import (
    CELL,
    CELLS,
    CLOSED,
    LOOP,
    RADII,
    Pieces,
    no_pieces,
    pieces_of,
    room_for,
)
from openpoint.verify.schema import CertificateError

OPEN, UNDECIDED = 2, 0
FEW = 100
"""Flows of the whole grid after which others are bounded in its core."""
STATES = 20
"""Of a part, of each of which it is computed what it draws."""
ROWS = 4096
"""States at once."""
SYMMETRIC = 1e-10
"""Relative difference of an impedance from its transpose that is rounding."""
MOST = 10_000_000
"""States of a node of which flows are computed."""

Price = Callable[[States], float]


@compiled
def _trees(fr: Ints, to: Ints, chosen: States, leaders: Ints, depth: int, rows: States) -> tuple[int, int]:
    """Fill `rows` (R, F) with the next states of F branches whose closed ones are a tree; how many, and the depth.

    Args:
        fr, to: (F) ends. chosen: (F + 1) states so far: closed first, then open. leaders: (F + 1, P) a bus that stands
            for those that are joined, by depth.
    """
    count, last = 0, len(fr)
    while depth >= 0 and count < len(rows):
        if depth == last:
            rows[count] = chosen[:last]
            count += 1
            depth -= 1
            continue
        here, after, tried = leaders[depth], leaders[depth + 1], chosen[depth]
        chosen[depth], more = UNDECIDED, False
        if tried == UNDECIDED:
            a, b = here[fr[depth]], here[to[depth]]
            chosen[depth], more = CLOSED, a != b
            for p in range(len(here)):
                after[p] = a if here[p] == b else here[p]
        if not more and tried != OPEN:
            after[:] = here
            for e in range(depth + 1, last):
                a, b = after[fr[e]], after[to[e]]
                if a != b:
                    for p in range(len(here)):
                        after[p] = a if after[p] == b else after[p]
            more = True
            for p in range(len(here)):
                more = more and after[p] == after[0]
            chosen[depth] = OPEN if more else UNDECIDED
            after[:] = here
        depth += 1 if more else -1
    return count, depth


@dataclass(frozen=True)
class _Part:
    """A part of the core that hangs on bus `at`: buses (n) inside, branches (F) that may be opened, states (K, F)."""

    at: int
    inside: Bools
    free: Ints
    states: States


class RadialFlows:
    """Flows of the radial states of a grid.

    Attributes:
        core: buses of which nothing is left out. swept: flows of the whole grid so far. count: flows so far.
    """

    def __init__(self, blocks: Blocks, undecided: States) -> None:
        """`undecided`: (m) states of which nothing is decided but what follows from the graph."""
        self.blocks, self._given, self._undecided = _at_buses(blocks), blocks, undecided
        self._room, self._none = room_for(self.blocks), no_pieces(blocks)
        self._phases, self._sizes = (sizes_for(self.blocks, sequences=each) for each in (False, True))
        self._plain = self._joined = self._none
        self._core = self.blocks, self._room, self._sizes, np.zeros(0, dtype=np.int64)
        self._parts, self._free = list[_Part](), np.zeros(0, dtype=np.int64)
        self._best, self._known = undecided, False
        self.core, self.swept, self.count = len(blocks.has), 0, 0

    def value(self, status: States) -> float:
        """The loss of the best state (m), around whose flow others are bounded; inf where not all phases are fed."""
        self._best = status.copy()
        found = float(self._flow(status)[0])
        if math.isfinite(found):
            self._of = _hanging(self.blocks, self._room.order, self._room.edge, self._room.way)
            self.core = int((self._of < 0).sum())
            self._parts = self._find()
            self._free = np.concatenate([self._free, *(part.free for part in self._parts)])
        return found

    def rest(self, status: States) -> States:
        """The node (m), with the parts in one of their states if nothing in them is decided."""
        found = status.copy()
        if (status[self._free] == UNDECIDED).all():
            found[self._free] = self._best[self._free]
        return found

    def least(self, status: States, price: Price, enough: float) -> float:
        """What the radial states of a node (m) lose at least, with their price: `enough` or more, or the least.

        nan where no flow of a state is found.

        Raises:
            CertificateError: there are too many.
        """
        if not self._known and (self.swept >= FEW or len(next(self._states(status, FEW + 1), ())) > FEW):
            self._tabulate()
        rest, least, before = self.rest(status), math.inf, self.count
        if not self._known or not len(self._free) or (rest == status).all():
            return self._each(status, price, enough)
        undecided = status == UNDECIDED
        inner = undecided & (rest != UNDECIDED)
        for rows in self._states(rest):
            other = np.repeat(np.where(inner, UNDECIDED, status)[None], len(rows), axis=0)
            other[:, rest == UNDECIDED] = rows
            prices = np.array([price(each) for each in other])
            found = self._bounds(rest, rows, enough - prices, self._joined) + prices
            least = min(least, float(found[found >= enough].min(initial=math.inf)))
            for each in other[~(found >= enough)]:
                least = float(np.minimum(least, self._each(each, price, enough)))
            _refuse_too_many(self.count - before)
        return least

    def _each(self, status: States, price: Price, enough: float) -> float:
        """The same, state by state."""
        least, free, before = math.inf, status == UNDECIDED, self.count
        for rows in self._states(status):
            other = np.repeat(status[None], len(rows), axis=0)
            other[:, free] = rows
            prices = np.array([price(each) for each in other])
            rows, prices = rows[np.isfinite(prices)], prices[np.isfinite(prices)]
            found = np.full(len(rows), -math.inf)
            if len(self._plain.root):
                found = self._bounds(status, rows, enough - prices, self._plain) + prices
            left = ~(found >= enough)
            found[left] = self._flow(status, rows[left]) + prices[left]
            least = float(np.minimum(least, found.min(initial=math.inf)))
            _refuse_too_many(self.count - before)
        return least

    def _flow(self, status: States, rows: States | None = None) -> Floats:
        """What sweeps from no load find in the whole grid of states (R, F) of what is undecided."""
        rows = np.zeros((1, 0), dtype=np.int8) if rows is None else rows
        self.swept += len(rows)
        return self._run((self.blocks, self._room, self._sizes), status, rows, np.zeros(len(rows)), self._none)

    def _bounds(self, status: States, rows: States, enough: Floats, pieces: Pieces) -> Floats:
        """At least what they lose, in the core with pieces; more than `enough` (R) need not be known."""
        *tools, gone = self._core
        here = status.copy()
        here[gone] = OPEN
        return self._run(tuple(tools), here, rows, enough, pieces)

    def _run(self, tools: Any, status: States, rows: States, enough: Floats, pieces: Pieces) -> Floats:
        blocks, room, sizes = tools
        free, found = np.flatnonzero(status == UNDECIDED), np.empty(len(rows))
        judge(blocks, status, free, np.ascontiguousarray(rows), enough, pieces, room, sizes, found)
        self.count += len(rows)
        return found

    def _states(self, status: States, most: int = ROWS) -> Iterator[States]:
        """(R, F) all radial states of what is undecided in a node, some at once."""
        blocks, closed, sources = self.blocks, status == CLOSED, np.flatnonzero(self.blocks.is_source)
        ends = (blocks.fr, sources[:-1]), (blocks.to, sources[1:])
        part = components(len(blocks.has), *(np.append(end[closed], more) for end, more in ends))
        free, count = np.flatnonzero(status == UNDECIDED), int(part.max()) + 1
        leaders = np.zeros((len(free) + 1, count), dtype=np.int64)
        leaders[0] = np.arange(count)
        chosen, depth = np.zeros(len(free) + 1, dtype=np.int8), 0
        if not len(free):
            yield np.zeros((1, 0), dtype=np.int8)
            return
        while depth >= 0:
            rows = np.zeros((most, len(free)), dtype=np.int8)
            found, depth = _trees(part[blocks.fr[free]], part[blocks.to[free]], chosen, leaders, depth, rows)
            if found:
                yield rows[:found]

    def _find(self) -> list[_Part]:
        """Parts of few states, those with most first, of which none is within another."""
        blocks, root, kept = self.blocks, self._undecided, np.flatnonzero(self._of < 0)
        number = np.full(len(self._of), -1, dtype=np.int64)
        number[kept] = np.arange(len(kept))
        inner = np.flatnonzero((number[blocks.fr] >= 0) & (number[blocks.to] >= 0) & (root != OPEN))
        fr, to = number[blocks.fr[inner]], number[blocks.to[inner]]
        movable, sources = root[inner] == UNDECIDED, number[np.flatnonzero(blocks.is_source)]
        found = dict[bytes, _Part]()
        for at in range(len(kept)):
            left = (fr != at) & (to != at)
            label = components(len(kept), fr[left], to[left])
            for each in np.setdiff1d(label, label[np.append(sources, at)]).tolist():
                inside = label == each
                beside = inside[fr] | inside[to]
                free = inner[beside & movable]
                if not len(free) or (root[inner[beside]] == LOOP).any():
                    continue
                if (known := found.get(free.tobytes())) is None or inside.sum() < known.inside.sum():
                    whole = np.zeros(len(self._of), dtype=np.bool_)
                    whole[kept[inside]] = True
                    found[free.tobytes()] = _Part(int(kept[at]), whole, free, np.zeros((0, len(free)), dtype=np.int8))
        parts = list[_Part]()
        for part in found.values():
            status = self._best.copy()
            status[part.free] = UNDECIDED
            states = next(self._states(status, STATES + 1))
            if 1 < len(states) <= STATES:
                first = (states == self._best[part.free]).all(axis=1)
                parts.append(_Part(part.at, part.inside, part.free, states[np.argsort(~first, kind="stable")]))
        parts.sort(key=lambda part: (-len(part.states), part.inside.sum()))
        taken, chosen = np.zeros(len(self._of), dtype=np.bool_), list[_Part]()
        for part in parts:
            if not (part.inside & taken).any() and not taken[part.at]:
                chosen.append(part)
                taken |= part.inside
        return chosen

    def _tabulate(self) -> None:
        """What hangs on the core, and parts of it, as pieces."""
        of, self._known = self._of, True
        self._flow(self._best)
        v = self._room.v.copy()
        self._plain = plain = self._tables(of, v)
        below, parts = of.copy(), list[Pieces]()
        for part in self._parts:
            within = part.inside.copy()
            within[of >= 0] = part.inside[plain.root[of[of >= 0]]]
            below[within] = 0
            parts.append(self._any_state(part, within, v))
        roots = np.unique(np.concatenate([plain.root[below[plain.root] < 0], *(each.root for each in parts)]))
        joined = pieces_of(np.where(below >= 0, 0, -1), roots, v)
        for each in (plain, *parts):
            here = np.flatnonzero(np.isin(each.root, roots))
            at = joined.at[each.root[here]]
            for name in ("flow", "slope", "off"):
                np.add.at(getattr(joined, name), at, getattr(each, name)[here])
        self._joined = joined if parts else plain
        for each in (self._plain, self._joined):
            each.steep[:] = _sizes(each.slope, self._sizes.u[each.root])
        kept = of >= 0
        kept[np.concatenate([plain.root, roots])] = True
        blocks, gone = _in_series(self._given, of < 0, kept)
        blocks = _at_buses(blocks)
        self._core = blocks, room_for(blocks), sizes_for(blocks, sequences=True), gone

    def _tables(self, of: Ints, v: Complexes) -> Pieces:
        """What pieces (n) draw and lose in the state whose flow was computed last, around voltages (n, 3)."""
        blocks, room = self.blocks, self._room
        order = room.order[of[room.order] >= 0]
        above = np.where(room.way == 0, blocks.fr[room.edge], blocks.to[room.edge])
        root = np.zeros(int(of.max(initial=-1)) + 1, dtype=np.int64)
        top = order[of[above[order]] < 0]
        root[of[top]] = above[top]
        made = pieces_of(of, root, v)
        own = np.concatenate([root, order])
        room.order[: len(own)] = own
        room.edge[root] = -1
        alone = room._replace(loops=room.loops[:0])
        other = alone._replace(**{name: getattr(room, name).copy() for name in ("v", "i", "drawn")})
        tabulate(blocks, self._best, made, self._none, alone, other, self._phases, len(own))
        return made

    def _any_state(self, part: _Part, within: Bools, v: Complexes) -> Pieces:
        """A part in any of its states: what the first one draws, within what the others do (docs/methods.md M45)."""
        blocks, best, of = self.blocks, self._best, np.where(within, 0, -1)
        radius, made = np.array(RADII), list[Pieces]()
        for row in part.states:
            self._best = best.copy()
            self._best[part.free] = row
            self._flow(self._best)
            each = self._tables(of, v)
            dy = np.zeros((3, 3), dtype=np.complex128)  # of branches at its bus, which the core has as in the first one
            for e, state in zip(part.free.tolist(), row.tolist(), strict=True):
                y = blocks.y_fr[e] if blocks.fr[e] == part.at else blocks.y_to[e] if blocks.to[e] == part.at else 0 * dy
                dy += y * (int(state == CLOSED) - int(best[e] == CLOSED))
            there = (each.base[0] + CELL * np.arange(CELLS))[:, None] * each.shape[0]
            each.flow[0, :, :3] += there @ dy.T
            each.flow[0, :, 3] += np.einsum("kj,jm,km->k", there.conj(), dy, there).real
            turned = there.conj() @ (dy + dy.conj().T)
            for way in range(6):
                unit = 1j if way % 2 else 1.0
                each.slope[0, :, way, :3] += unit * dy[:, way // 2]
                each.slope[0, :, way, 3] += (unit * turned[:, way // 2]).real
            each.off[..., 3] += np.abs(dy).sum() * radius**2
            made.append(each)
        self._best, first = best, made[0]
        off = first.off
        for each in made[1:]:
            apart = np.abs(each.flow - first.flow)
            apart[..., 3] = (first.flow - each.flow)[..., 3].real
            turn = _sizes(each.slope - first.slope, np.eye(3, dtype=np.complex128)[None]).sum(axis=2)
            off = np.maximum(off, each.off + apart[:, :, None] + radius[:, None] * turn[:, :, None])
        return first._replace(off=off)


def _refuse_too_many(count: int) -> None:
    if count > MOST:
        raise CertificateError(f"a node has more than {MOST:,} radial states that are not excluded: divide it")


def _at_buses(blocks: Blocks) -> Blocks:
    """The grid with the admittances of branches that stay closed at their buses, where they take no active power."""
    y, ends, fixed = blocks.y.copy(), (blocks.y_fr.copy(), blocks.y_to.copy()), ~blocks.movable & ~blocks.closes
    for each in ends:
        fixed &= np.abs(each + each.conj().transpose(0, 2, 1)).max(axis=(1, 2)) == 0.0
    for end, each in zip((blocks.fr, blocks.to), ends, strict=True):
        np.add.at(y, end[fixed], each[fixed])
        each[fixed] = 0.0
    return blocks._replace(y=y, y_fr=ends[0], y_to=ends[1], shunted=blocks.shunted & ~fixed)


def _in_series(blocks: Blocks, core: Bools, kept: Bools) -> tuple[Blocks, Ints]:
    """The core (n) with one branch for two that stay closed and meet at a bus that is not kept, and those left out.

    With z₁, z₂ and Y at the bus between, v_c = (1 + z₂ Y) v_a − Z i, Z = z₁ + z₂ + z₂ Y z₁: a branch of Z with z₂ Y
    over Z more at a, and likewise at c, if Z is symmetric.
    """
    fr, to, z, y_fr, y_to = (getattr(blocks, each).copy() for each in ("fr", "to", "z", "y_fr", "y_to"))
    inner = core[fr] & core[to]
    fixed = blocks.plain & ~blocks.movable & ~blocks.closes & (z[0] == z[1]).all(axis=(1, 2))
    idle = core & ~kept & ~blocks.is_source & (np.abs(blocks.s).sum(axis=1) + np.abs(blocks.y).sum(axis=(1, 2)) == 0.0)
    idle[blocks.bus] = False
    beside: list[list[int]] = [[] for _ in idle]
    for e in np.flatnonzero(inner).tolist():
        for b in (fr[e], to[e]):
            beside[b].append(e)
    for b in np.flatnonzero(idle).tolist():
        if len(beside[b]) != 2:
            continue
        e, f = beside[b]
        a, c = (int(fr[k] + to[k]) - b for k in (e, f))
        if not (fixed[e] and fixed[f]) or a == c or (blocks.carries[e] != blocks.carries[f]).any():
            continue
        at = np.ix_(blocks.carries[e], blocks.carries[e])
        (near, one), (two, far) = (
            (y_fr[e][at], y_to[e][at]) if to[e] == b else (y_to[e][at], y_fr[e][at]),
            (y_fr[f][at], y_to[f][at]) if fr[f] == b else (y_to[f][at], y_fr[f][at]),
        )
        before, after, y = z[0, e][at], z[0, f][at], one + two
        whole = before + after + after @ y @ before
        if np.abs(whole - whole.T).max() > SYMMETRIC * np.abs(whole).max():
            continue
        z[0, e][at] = z[1, e][at] = 0.5 * (whole + whole.T)
        fr[e], to[e] = a, c
        y_fr[e][at], y_to[e][at] = near + np.linalg.solve(whole, after @ y), far + np.linalg.solve(whole, before @ y)
        beside[c][beside[c].index(f)] = e
        inner[f] = False
    left = np.flatnonzero(inner)
    ends = np.concatenate([fr[left], to[left]])
    start = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=len(core)))]).astype(np.int64)
    around = left[np.argsort(ends, kind="stable") % max(len(left), 1)]
    made = blocks._replace(fr=fr, to=to, z=z, y_fr=y_fr, y_to=y_to, start=start, around=around)
    return made, np.flatnonzero(~inner)


def _hanging(blocks: Blocks, order: Ints, edge: Ints, way: Ints) -> Ints:
    """(n) number of the piece that a bus is of, −1 in the core: what is above choices, loops and the first buses."""
    kept: Bools = blocks.is_source.copy()
    for end in (blocks.fr, blocks.to):
        kept[end[blocks.movable | blocks.closes]] = True
    above = np.where(way == 0, blocks.fr[edge], blocks.to[edge])
    kept |= blocks.is_source[above]
    for b in order[::-1].tolist():
        if kept[b] and edge[b] >= 0:
            kept[above[b]] = True
    of, roots = np.full(len(kept), -1, dtype=np.int64), dict[int, int]()
    for b in order.tolist():
        if not kept[b]:
            of[b] = roots.setdefault(int(above[b]), len(roots)) if kept[above[b]] else of[above[b]]
    return of


def _sizes(slope: Complexes, u: Complexes) -> Floats:
    """(C, K, 3, 4) size of what changes by slopes (C, K, 6, 4) by components U (C, 3, 3) of voltages and currents."""
    one, two = slope[:, :, ::2], slope[:, :, 1::2]
    same, turned = 0.5 * (one - 1j * two)[..., :3], 0.5 * (one + 1j * two)[..., :3]
    found = np.abs(np.einsum("cpj,ckmj,cqm->ckqp", u, same, u.conj()))
    found += np.abs(np.einsum("cpj,ckmj,cqm->ckqp", u, turned, u))
    lost = np.abs(np.einsum("ckm,cqm->ckq", (one - 1j * two)[..., 3], u.conj()))
    return np.concatenate([found, lost[..., None]], axis=-1)
