"""The spanning trees of the part of a grid with its sources, after one disaster, as a mixed-integer linear program.

Buses where three branches or more meet, leaves pruned, are forks, and so is the source; a chain is what lies between
two of them, with all that hangs at it. A tree feeds each fork over one chain, z = 1, all of whose load is fed from the
fork before; a chain that feeds no fork is open somewhere, and fed from both ends. With s the share of a load that is
served, of a chain that feeds a fork, or from one of the two ends, P and Q what passes on to the fork, U and u the
headrooms z (w − w̲) of squared voltage before and behind a chain that feeds, D the drops by Σ 2 (r p + x q) s and by P
and Q where it feeds, D' those where it is open,

    min  Σ price p (1 − Σ s)      Σ z = 1 over the chains into each fork;  s ≤ z;  s + s' ≤ 1 − z − z' where it is open
    s.t. P and Q balanced at each fork;   0 ≤ P, Q ≤ most z;   ratings kept by z, by 1 − z
         u ≤ U − D;   0 ≤ U − D at each leaf;   U + D' ≤ Σ u over the other chains into the fork
         U ≤ (w_source − w̲) z − 2 ρ (P + Σ p s − F)

the third also without D': voltage that leaves over a chain has come over another one. U is (w_source − w̲) z at the
source; ρ is as in `FlowBound`. Infeed is a load below zero, of price 0, and F what a chain takes along of it from the
fork before. A part with a fork to which the source gives nothing may give to the rest: it is left out, and what its
infeed may serve anywhere counts as served. So no fork is above the voltage of the source. Where a chain is open is said
by integers of its own, one a bus: without them what is least on each side is served from there, the nearest first, and
one bus of it from both. So they are few that matter, and are branched on last.

Theory: docs/methods.md M28.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import CORNERS
from openpoint.graph import bridges, forest
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.trees import Feeder, spanned, walk
from openpoint.twostage.workers.pool import never

WHOLE = 1e-6
"""Largest distance of an integer from a whole number."""
ROWS = 3_000
"""Rows of a linear program that counts as one; a larger one counts as more."""
LOOKED_AT = 8
"""Integers that are tried at a node, those apart that were tried before: what they gained is believed."""
Row = dict[int, float]


class Reached(NamedTuple):
    """A bus that is reached from another one over a branch; −1 for the fork at the end of a chain."""

    bus: int
    before: int
    branch: int


class Chain(NamedTuple):
    """Buses between two forks, from the first to the second; `forced`: it feeds the second in every tree."""

    ends: tuple[int, int]
    branches: list[int]
    buses: list[int]
    forced: bool


@final
class Skeleton:
    """The live branches of the part with the sources: forks, chains, and all that hangs at buses, in every tree."""

    def __init__(self, feeder: Feeder, live: Bools, root: int) -> None:
        order, _, edge = walk(feeder, spanned(feeder, live), root)
        fr, to = feeder.fr, feeder.to
        inside = np.zeros(len(feeder.p), dtype=np.bool_)
        inside[order] = True
        on = np.flatnonzero(live & (fr != to) & inside[fr]).tolist()
        self.buses, self.fr, self.to, self._edge, self.root = [int(bus) for bus in order], fr, to, edge, root
        self._around: dict[int, list[int]] = {bus: [] for bus in self.buses}
        for e in on:
            self._around[int(fr[e])].append(e)
            self._around[int(to[e])].append(e)
        self.hanging: dict[int, list[Reached]] = {bus: [] for bus in self.buses}
        self.always = self._prune()
        rest = [e for e in on if e not in self.always]
        self._bridge = {e for e, needed in zip(rest, bridges(len(feeder.p), fr[rest], to[rest])) if needed}
        self.forks = [bus for bus in self.buses if self._around[bus] and (bus == root or len(self._around[bus]) > 2)]
        self.chains = list(self._chains())

    def _prune(self) -> set[int]:
        """Take off leaves, again and again; the branches that led to them."""
        off = set[int]()
        leaves = [bus for bus in self.buses if bus != self.root and len(self._around[bus]) == 1]
        while leaves:
            bus = leaves.pop()
            e = self._around[bus].pop()
            before = self._other(e, bus)
            off.add(e)
            self._around[before].remove(e)
            self.hanging[before].append(Reached(bus, before, e))
            if before != self.root and len(self._around[before]) == 1:
                leaves.append(before)
        return off

    def _other(self, e: int, bus: int) -> int:
        return int(self.to[e]) if int(self.fr[e]) == bus else int(self.fr[e])

    def _chains(self) -> Iterator[Chain]:
        seen = set[int]()
        for first, e in [(fork, e) for fork in self.forks for e in self._around[fork]]:
            if e in seen:
                continue
            branches, buses, bus = [e], list[int](), self._other(e, first)
            while bus != self.root and len(self._around[bus]) == 2:
                buses.append(bus)
                branches.append(next(f for f in self._around[bus] if f != branches[-1]))
                bus = self._other(branches[-1], bus)
            seen.update(branches)
            forced = e in self._bridge
            ahead = self._edge[(buses or [bus])[0]] == e if forced else bus != self.root
            if not ahead:
                first, bus, branches, buses = bus, first, branches[::-1], buses[::-1]
            yield Chain((first, bus), branches, buses, forced)

    def below(self, bus: int) -> list[Reached]:
        """All that hangs at a bus, the nearer first."""
        found = list(self.hanging[bus])
        for each in found:
            found += self.hanging[each.bus]
        return found

    def along(self, chain: Chain, side: int) -> list[Reached]:
        """The buses of a chain, seen from one of its ends, with all that hangs at them, and the other end."""
        step = 1 - 2 * side
        found, before = list[Reached](), chain.ends[side]
        for bus, branch in zip(chain.buses[::step], chain.branches[::step]):
            found += [Reached(bus, before, branch), *self.below(bus)]
            before = bus
        return [*found, Reached(-1, before, chain.branches[::step][-1])]


@final
@dataclass
class _Served:
    """Loads that are fed together from a bus: columns of their shares, and the drops that they cause.

    Attributes:
        reached: buses. columns: of each, −1 for none. p, q: (B) coefficients. path: (B, B) branches to each bus.
        drop: (B, B) drop at a bus by what another one takes; r, x: of the last one, by active and reactive power.
    """

    reached: list[Reached]
    columns: list[int]
    p: Floats
    q: Floats
    path: Floats
    drop: Floats
    r: Floats
    x: Floats

    def row(self, factor: Floats) -> Row:
        """Σ factor · share."""
        return {c: float(f) for c, f in zip(self.columns, factor) if c >= 0 and f}

    @property
    def leaves(self) -> list[int]:
        """Places of the buses from which no other one is reached: where voltages are lowest."""
        passed = {each.before for each in self.reached}
        return [k for k, each in enumerate(self.reached) if each.bus not in passed]


@final
@dataclass
class TreeProgram:
    """The program over the live branches of a grid; its integers are those of chains, then of buses.

    Attributes:
        distance: (N) ρ. p, q: (N) net demand; of a bus that feeds in, the most that it takes off flows, below zero.
    """

    feeder: Feeder
    live: Bools
    root: int
    distance: Floats
    p: Floats
    q: Floats
    form: StandardForm = field(init=False)
    first: int = field(init=False)
    _costs: list[float] = field(default_factory=list, init=False)
    _bounds: list[tuple[float, float]] = field(default_factory=list, init=False)
    _rows: tuple[list[tuple[Row, float]], list[tuple[Row, float]]] = field(default=([], []), init=False)
    _chosen: list[tuple[Chain, list[int], list[dict[int, int]]]] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._rows = [], []
        skeleton = self._skeleton = Skeleton(self.feeder, self.live, self.root)
        inner = np.array(skeleton.buses[1:], dtype=np.int64)
        feeder = self.feeder
        self._value, self._price = feeder.price * np.maximum(self.p, 0.0), float(feeder.price[inner].max())
        self._p_all, self._q_all, self._given = (
            float(np.maximum(each[inner], 0.0).sum()) for each in (self.p, self.q, -self.p)
        )
        self._size = float(np.hypot(max(self._p_all, self._given), max(self._q_all, -self.q[inner].sum())))
        self._low = float(feeder.low[inner[0]])
        firsts = np.flatnonzero(self.live & ((feeder.fr == self.root) != (feeder.to == self.root)))
        self._top = max(self._held(int(e)) for e in firsts)
        forks = [fork for fork in skeleton.forks if fork != self.root]
        self._into: dict[int, tuple[Row, Row, Row]] = {fork: ({}, {}, {}) for fork in forks}
        self._room: dict[int, dict[int, int]] = {fork: {} for fork in forks}  # columns u into it, and their chains
        self._passed: dict[int, dict[int, float]] = {fork: {} for fork in forks}  # columns of P into it, and the most
        self._fed: dict[int, list[Row]] = {fork: [] for fork in forks}  # loads that are fed from it
        self._dark: dict[int, int] = {}  # columns of forks to which the source gives nothing
        self._fed_in: dict[int, Row] = {fork: {} for fork in forks}  # infeed that leaves it, less what comes there
        self._within = list[tuple[Row, int, int]]()  # what the headroom of a fork caps, but for that by one chain
        integers, places = list[int](), list[int]()
        for bus in {self.root, *forks}:
            self._add_hanging(bus)
        for by, chain in enumerate(skeleton.chains):
            self._add_chain(chain, by, integers, places)
        for fork in forks:
            number, p, q = self._into[fork]
            self._rows[0].extend([(number, 1.0), (p, 0.0), (q, 0.0)])
            if self._given:
                self._less(self._fed_in[fork])
        for fork, dark in self._dark.items():
            most = max(self._passed[fork].values())
            self._less({dark: most, **dict.fromkeys(self._passed[fork], 1.0)}, most)
            for row in self._fed[fork]:
                self._less({dark: sum(row.values()), **row}, sum(row.values()))
        for row, fork, by in self._within:
            self._less(row, room={column: -1.0 for column, chain in self._room[fork].items() if chain != by})
        self.first = len(integers)
        self.form = self._made(np.array(integers + places, dtype=np.int64))

    def tree(self, x: Floats) -> Bools:
        """(E) branches of a tree near a point: chains that feed most are closed first, others open where most stays."""
        tree = np.zeros(len(self.live), dtype=np.bool_)
        tree[list(self._skeleton.always)] = True
        used = [chain.forced + sum(x[z] for z in feeds if z >= 0) for chain, feeds, _ in self._chosen]
        order = np.argsort(-np.array(used), kind="stable")
        ends = np.array([chain.ends for chain, _, _ in self._chosen], dtype=np.int64).reshape(-1, 2)[order]
        closed = forest(len(self.feeder.p), ends[:, 0], ends[:, 1])
        for k, whole in zip(order, closed):
            chain, _, shares = self._chosen[k]
            tree[chain.branches] = True
            if not whole:
                near, far = (
                    np.array([sum(self._value[b] * x[side[b]] for b in at if b in side) for at in self._loads(chain)])
                    for side in shares
                )
                kept = [near[:k].sum() + far[k:].sum() for k in range(len(chain.branches))]
                tree[chain.branches[int(np.argmax(kept))]] = False
        return tree

    def _loads(self, chain: Chain) -> list[list[int]]:
        """Each bus of a chain with all that hang at it."""
        return [[bus, *(each.bus for each in self._skeleton.below(bus))] for bus in chain.buses]

    def _column(self, cost: float = 0.0, most: float = np.inf, least: float = 0.0) -> int:
        self._costs.append(cost)
        self._bounds.append((least, most))
        return len(self._costs) - 1

    def _share(self, bus: int) -> int:
        """A column of the share served of a bus; −1 for a bus without load or infeed."""
        return self._column(-float(self._value[bus]), 1.0) if bus >= 0 and self.p[bus] else -1

    def _less(self, row: Row, right: float = 0.0, **more: Row) -> None:
        """Keep row + Σ more ≤ right."""
        for each in more.values():
            for column, factor in each.items():
                row[column] = row.get(column, 0.0) + factor
        self._rows[1].append((row, right))

    def _held(self, e: int) -> float:
        """Squared voltage behind the transformer of a branch at the source."""
        feeder, ahead = self.feeder, int(self.feeder.fr[e]) == self.root
        held = float(feeder.held[feeder.fr_at[e] if ahead else feeder.to_at[e]])
        return held / float(feeder.ratio[e]) if ahead else held * float(feeder.ratio[e])

    def _served(self, start: int, reached: list[Reached]) -> _Served:
        feeder, count = self.feeder, len(reached)
        place, path, r, x = {start: -1}, np.eye(count), np.zeros(count), np.zeros(count)
        for k, (bus, before, e) in enumerate(reached):
            place[bus] = k
            if place[before] >= 0:
                path[k] += path[place[before]]
            back = 2.0 if int(feeder.fr[e]) == before else 2.0 * float(feeder.ratio[e])
            r[k], x[k] = back * feeder.r[e], back * feeder.x[e]
        at = np.array([each.bus for each in reached], dtype=np.int64)
        p, q = (np.where(at >= 0, each[at], 0.0) for each in (self.p, self.q))
        by_p, by_q = (path * r) @ path.T, (path * x) @ path.T
        columns = [self._share(each.bus) for each in reached]
        return _Served(reached, columns, p, q, path, by_p * p + by_q * q, by_p[:, -1:].ravel(), by_q[:, -1:].ravel())

    def _add_hanging(self, bus: int) -> None:
        """All that hangs at a fork, or at the source, where each branch has a voltage of its own."""
        skeleton, own, taken = self._skeleton, list[_Served](), Row()
        if bus != self.root:
            column = self._share(bus)
            if column >= 0:
                taken = {column: float(self.p[bus])}
                self._take(bus, taken, {column: float(self.q[bus])})
            own.append(self._served(bus, skeleton.below(bus)))
        else:
            own += [self._served(bus, [each, *skeleton.below(each.bus)]) for each in skeleton.hanging[bus]]
        for served in own:
            self._feed(bus, served, -1)
            self._feed_back(bus, served.row(served.p) | taken, {})

    def _take(self, bus: int, p: Row, q: Row) -> None:
        """Take power from a fork."""
        if bus != self.root:
            for row, taken in zip(self._into[bus][1:], (p, q)):
                for column, factor in taken.items():
                    row[column] = row.get(column, 0.0) - factor

    def _feed(self, bus: int, served: _Served, by: int, z: int = -1, room: Row | None = None) -> None:
        """Feed what hangs at a fork, or a chain from one end where it is open: where z, of headroom `room`, is 0."""
        self._take(bus, served.row(served.p), served.row(served.q))
        for k in served.leaves:
            if bus == self.root:
                held = self._held(served.reached[0].branch) - self._low
                self._less(served.row(served.drop[k]), held, z={z: held} if z >= 0 else {})
            else:
                self._within.append(({**served.row(served.drop[k]), **(room or {})}, bus, by))
        self._keep_ratings(served, {z: 1.0} if z >= 0 else {}, 1.0)

    def _keep_ratings(
        self, served: _Served, share: Row, right: float, passed: tuple[int, int] | None = None, most: float = 0.0
    ) -> None:
        """Keep the ratings of branches that feed loads, and of those that pass on active power, `most` at most."""
        through = float(np.hypot(most, self._q_all)) if passed else 0.0
        taken = served.path.T @ np.hypot(served.p, served.q) + through * served.path[-1:].ravel()
        for k, each in enumerate(served.reached):
            reach, behind = float(self.feeder.reach[each.branch]), served.path[:, k]
            if reach >= min(taken[k], self._size):
                continue
            for side in (2.0 * np.arange(CORNERS // 4) + 1.0) * np.pi / CORNERS:
                a, b = float(np.cos(side)), float(np.sin(side))
                beyond = behind * (a * served.p + b * served.q)
                more = {passed[0]: a, passed[1]: b} if passed and served.path[-1, k] else {}
                given = {z: factor * reach for z, factor in share.items()}
                self._less(served.row(beyond), right * reach, more=more, given=given)

    def _add_chain(self, chain: Chain, by: int, integers: list[int], places: list[int]) -> None:
        """A chain in all its states."""
        feeds = [-1, -1]
        for side in range(2):
            end = chain.ends[1 - side]
            if not (chain.forced and side) and end != self.root and (chain.forced or end != chain.ends[side]):
                feeds[side] = self._column(most=1.0)
                if not chain.forced:
                    integers.append(feeds[side])
        used = [z for z in feeds if z >= 0]
        if chain.forced:
            self._rows[0].append(({feeds[0]: 1.0}, 1.0))
        elif used:
            self._less(dict.fromkeys(used, 1.0), 1.0)
        opened: list[dict[int, int]] = [{}, {}]
        for side in range(2):
            reached, z, start = self._skeleton.along(chain, side), feeds[side], chain.ends[side]
            room: Row | None = None
            if z >= 0:
                room = self._add_feeding(chain, by, side, z)
            if not chain.forced and chain.buses:
                served = self._served(start, reached[:-1])
                opened[side] = {each.bus: c for each, c in zip(served.reached, served.columns) if c >= 0}
                self._feed(start, served, by, z, room)
                self._feed_back(start, served.row(served.p), dict.fromkeys(used, -1.0))
        self._split(chain, used, opened, places)
        self._chosen.append((chain, feeds, opened))

    def _add_feeding(self, chain: Chain, number: int, side: int, z: int) -> Row:
        """A chain that feeds the fork at its other end where z = 1; its headroom there."""
        start, end = chain.ends[side], chain.ends[1 - side]
        served = self._served(start, self._skeleton.along(chain, side))
        passed = self._column(), self._column()
        for column in served.columns:
            if column >= 0:
                self._less({column: 1.0, z: -1.0})
        most = self._most(end, chain)
        self._less({passed[0]: 1.0, z: -most})
        self._less({passed[1]: 1.0, z: -self._q_all})
        at_source, left = start == self.root, self._column()
        self._room[end][left] = number
        room = {z: self._held(served.reached[0].branch) - self._low} if at_source else {self._column(): 1.0}
        less = {column: -factor for column, factor in room.items()}
        for k in served.leaves:
            by = {passed[0]: float(served.r[k]), passed[1]: float(served.x[k])}
            behind = {left: 1.0} if served.reached[k].bus < 0 else {}
            self._less(served.row(served.drop[k]), by=by, less=less, behind=behind)
        self._keep_ratings(served, {z: -1.0}, 0.0, passed, most)
        fed, p, q = self._into[end]
        fed[z], p[passed[0]], q[passed[1]] = 1.0, 1.0, 1.0
        self._passed[end][passed[0]] = most
        along = {passed[0]: 1.0, **served.row(served.p)}
        taken = self._fed_along(start, end, served, along, passed[0], z) if self._given else -1
        self._take(start, along, {passed[1]: 1.0, **served.row(served.q)})
        if not at_source:
            self._within.append((dict(room), start, number))
            far = 2.0 * float(self.distance[start])
            length = {column: far * factor for column, factor in along.items()}
            if self._given:
                length[taken] = -far
            self._less({**room, z: self._low - self._top}, length=length)
        return room

    def _feed_back(self, bus: int, each: Row, share: Row) -> None:
        """Infeed among what a fork feeds, or of itself, where 1 + share is 1: it may serve what is behind the fork."""
        if self._given and bus != self.root:
            self._fed[bus].append({column: p for column, p in each.items() if p > 0.0})
            for column in [column for column, p in each.items() if p < 0.0]:
                self._fed_in[bus][column] = each[column]
                self._cut_off(column, each[column], bus, share, 1.0)

    def _fed_along(self, start: int, end: int, served: _Served, along: Row, passed: int, z: int) -> int:
        """A column of the infeed, of what comes from a fork, that a chain which feeds another one takes along."""
        first, last = self._column(most=self._given if start != self.root else 0.0), self._column(most=self._given)
        self._less({first: 1.0}, less={column: -factor for column, factor in along.items()})
        self._less({last: 1.0, passed: -1.0})
        self._less({last: 1.0, z: -self._given})
        self._less({last: 1.0, first: -1.0, **served.row(np.minimum(served.p, 0.0))})
        self._fed_in[end][last] = -1.0
        if start != self.root:
            self._fed_in[start][first] = 1.0
            self._fed[start].append(served.row(np.maximum(served.p, 0.0)))
        for k in np.flatnonzero(served.p < 0.0):
            self._cut_off(served.columns[k], float(served.p[k]), end, {z: 1.0}, 0.0)
        return first

    def _most(self, fork: int, chain: Chain) -> float:
        """Most active power to a fork over a chain: by voltage and ratings from the source, and infeed."""
        by_drop = (self._top - self._low) / max(2.0 * float(self.distance[fork]), 1e-9)
        by_rating = float(self.feeder.reach[chain.branches].min()) / float(np.cos(np.pi / CORNERS))
        return min(self._p_all, self._given + min(by_drop, by_rating))

    def _cut_off(self, column: int, p: float, fork: int, share: Row, right: float) -> None:
        """Infeed of a part with a fork to which the source gives nothing: it is left out where right + share is 1, and
        what it serves anywhere counts as served."""
        dark = self._dark.setdefault(fork, -1)
        if dark < 0:
            dark = self._dark[fork] = self._column(most=1.0)
        used = self._column(self._price * p, 1.0)
        self._less({used: 1.0, dark: -1.0})
        self._less({used: 1.0, column: 1.0}, right, share={z: -factor for z, factor in share.items()})

    def _split(self, chain: Chain, used: list[int], opened: list[dict[int, int]], places: list[int]) -> None:
        """Integers that say which buses of an open chain are fed from its first end; 0 where it is not open."""
        before = -1
        for at in self._loads(chain):
            loads = [b for b in at if b in opened[0]]
            if not loads:
                continue
            here = self._column(most=1.0)
            places.append(here)
            if before >= 0:
                self._less({here: 1.0, before: -1.0})
            before = here
            for load in loads:
                self._less({opened[0][load]: 1.0, here: -1.0})
                self._less({opened[1][load]: 1.0, here: 1.0, **dict.fromkeys(used, 1.0)}, 1.0)

    def _made(self, integers: Ints) -> StandardForm:
        count = len(self._costs)
        rows = [*self._rows[0], *self._rows[1]]
        starts = np.cumsum([0, *(len(row) for row, _ in rows)])
        columns = np.fromiter(itertools.chain.from_iterable(row for row, _ in rows), dtype=np.int64)
        values = np.fromiter(itertools.chain.from_iterable(row.values() for row, _ in rows), dtype=np.float64)
        body = sp.csr_array((values, columns, starts), shape=(len(rows), count))
        least, most = np.array(self._bounds).reshape(-1, 2).T
        bounded, free = np.isfinite(most), sp.eye_array(count, format="csr")
        a = sp.csc_array(sp.vstack([body, free[bounded], -free]))
        b = np.concatenate([[right for _, right in rows], most[bounded], -least])
        zero, value = len(self._rows[0]), float(self._value[self._skeleton.buses[1:]].sum())
        return StandardForm(np.array(self._costs), value, a, b, zero, len(b) - zero, (), integers, {})


@final
class TreeSearch:
    """Branch and bound over the program, by linear programs, that can go on where it ended."""

    def __init__(self, program: TreeProgram) -> None:
        self._program, self._integers = program, program.form.integers
        self._model = HighsModel(program.form, perturbed=False)
        count = len(self._integers)
        self._at = np.zeros(count), np.ones(count)
        self._gained, self._tried = np.zeros((2, count)), np.zeros((2, count))
        self._number, self._settled = itertools.count(), np.inf
        self._open: list[tuple[float, int, Floats, Floats, Floats]] = []
        self._solved = 0
        self._push(*self._solve(*self._at), *self._at, np.inf, 0.0)

    def bound(
        self, best: float, most: float, gap: float, found: Callable[[Bools], float], stop: Callable[[], bool] = never
    ) -> float:
        """A lower bound of the cost, where the best that is known costs `best`.

        Args:
            best: known cost. gap: relative, of the bound.
            most: linear programs after which to end, large ones counted as several.
            found: the cost of a tree that feeds as these branches do, as far as that is known.
        """
        self._solved, most = 0, most * min(1.0, ROWS / len(self._program.form.b))
        while self._open and self._open[0][0] < best * (1.0 - gap) and self._solved < most and not stop():
            value, _, low, high, x = heapq.heappop(self._open)
            split = np.minimum(x[self._integers], 1.0 - x[self._integers])
            best = min(best, found(self._program.tree(x)))
            if not (split > WHOLE).any():
                self._settled = min(self._settled, value)
                continue
            for child in self._children(value, low, high, x[self._integers], best):
                self._push(*child, best, gap)
        return min([best, self._settled, *(each[0] for each in self._open[:1])])

    def _push(self, value: float, x: Floats | None, low: Floats, high: Floats, best: float, gap: float) -> None:
        """Keep a node; one that is settled bounds the answer by its value."""
        if x is None or value >= best * (1.0 - gap):
            self._settled = min(self._settled, value)
        else:
            heapq.heappush(self._open, (value, next(self._number), low, high, x))

    def _children(
        self, value: float, low: Floats, high: Floats, x: Floats, best: float
    ) -> list[tuple[float, Floats | None, Floats, Floats]]:
        """Two nodes by the integer that raises the bounds of both most; chains before buses."""
        split = np.minimum(x, 1.0 - x)
        cand = np.flatnonzero(split > WHOLE)
        cand = cand[cand < self._program.first] if cand[0] < self._program.first else cand
        each = self._gained / np.maximum(self._tried, 1.0)
        mean = self._gained.sum(axis=1) / np.maximum(self._tried.sum(axis=1), 1.0)
        each = np.where(self._tried > 0.0, each, mean[:, None])
        score = np.maximum(each[0] * x, WHOLE) * np.maximum(each[1] * (1.0 - x), WHOLE)
        score = score if self._tried.any() else split
        chosen, most = list[tuple[float, Floats | None, Floats, Floats]](), -1.0
        for k in cand[np.argsort(-score[cand], kind="stable")][:LOOKED_AT]:
            if chosen and self._tried[:, k].min() > 0.0:
                continue
            pair, gains = list[tuple[float, Floats | None, Floats, Floats]](), list[float]()
            for side, distance in enumerate((x[k], 1.0 - x[k])):
                bounds = low.copy(), high.copy()
                bounds[1 - side][k] = float(side)
                reached, point = self._solve(*bounds)
                reached = max(reached, value)
                gains.append(max(min(reached, best) - value, WHOLE))
                self._gained[side, k] += gains[-1] / max(distance, 1e-3)
                self._tried[side, k] += 1.0
                pair.append((reached, point, *bounds))
            if gains[0] * gains[1] > most:
                chosen, most = pair, gains[0] * gains[1]
        return chosen

    def _solve(self, low: Floats, high: Floats) -> tuple[float, Floats | None]:
        """Value and point of the linear program with bounds of the integers; of what fails, no bound."""
        moved = np.flatnonzero((low != self._at[0]) | (high != self._at[1]))
        self._model.set_bounds(self._integers[moved], low[moved], high[moved])
        self._at = low, high
        answer = self._model.solve(integral=False, presolve=not self._solved)
        self._solved += 1
        if answer.status is Status.INFEASIBLE:
            return np.inf, None
        return (answer.value, answer.x) if answer.status is Status.OPTIMAL else (-np.inf, None)
