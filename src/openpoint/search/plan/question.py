"""Switch plans: the states between two topologies, as sets of the branches that are operated.

A switch plan leads from one state of the branches to another by *exchanges*: close one branch and open another, so that
every bus keeps its supply. Between two spanning trees there is always such an order, and every branch in which they
differ is operated once: that is the least number of operations (the exchange property of the bases of a matroid).

Only the branches that may be operated matter for the supply: buses that all other closed branches join are one *part*.
A state is the set of the closed ones among these branches, as the bits of a whole number.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.graph import components
from openpoint.network import Network
from openpoint.search.plan.flows import AcStates


class Move(NamedTuple):
    """A move between two states in which all have supply: an exchange, or one operation alone.

    Attributes:
        close, open: bits of the branches, 0 where there is none.
        opens_first: whether the opening comes first, which cuts off what lies behind it until the closing.
        state: after it.
    """

    close: int
    open: int
    opens_first: bool
    state: int

    @property
    def loops(self) -> bool:
        """Whether a loop is closed for a moment."""
        return bool(self.close and self.open and not self.opens_first)


@dataclass(frozen=True)
class PlanQuestion:
    """The way from one state of the branches to another.

    Attributes:
        network: the grid. states: its power flows.
        before, after: (B) states of the branches.
        may_operate: (B) branches that additional operations may use beside those that differ.
        remote: (B) whether a branch is operated by remote control. hours: (B) how long an operation of it takes.
        load_kw: (N) load of the buses, which counts while they are off.
        parallel: whether different sources may be joined for a moment.
    """

    network: Network
    states: AcStates
    before: Bools
    after: Bools
    may_operate: Bools
    remote: Bools
    hours: Floats
    load_kw: Floats
    parallel: bool = False

    @cached_property
    def differing(self) -> Ints:
        """Numbers of the branches that differ."""
        return np.flatnonzero(self.before != self.after)

    def moves(self, branches: Ints | None = None) -> Moves:
        """The states of these branches; default: of those that differ."""
        return Moves(self, self.differing if branches is None else branches)

    @property
    def more_branches(self) -> Ints:
        """Numbers of the branches that differ and of those that additional operations may use."""
        return np.flatnonzero((self.before != self.after) | self.may_operate)


class Moves:
    """The states of some branches, and the moves between them in which no bus loses supply but by opening first."""

    def __init__(self, question: PlanQuestion, branches: Ints) -> None:
        net = question.network
        self.question, self.branches = question, branches
        operated = np.zeros(len(net.branch_names), dtype=np.bool_)
        operated[branches] = True
        kept = question.before & ~operated
        conductors = kept[net.conductor_branch]
        part = components(net.n_terminals, net.terminal_fr[conductors], net.terminal_to[conductors])
        self._count = int(part.max(initial=-1)) + 1
        pairs: dict[int, set[tuple[int, int]]] = {e: set() for e in branches.tolist()}
        for k in np.flatnonzero(operated[net.conductor_branch]).tolist():
            pairs[int(net.conductor_branch[k])].add((int(part[net.terminal_fr[k]]), int(part[net.terminal_to[k]])))
        self._pairs = [sorted(pairs[e]) for e in branches.tolist()]
        self._part_of = part
        self._kept = kept
        self._load_kw = np.bincount(part, question.load_kw, self._count).tolist()
        self._sources = sorted(set(part[net.source_terminal].tolist()))
        self._known: dict[int, tuple[list[int], int]] = {}
        self.start, self.goal = self._bits(question.before), self._bits(question.after)
        self.manual = self._bits(~question.remote)
        self.needed = self.supplied(self.start) & self.supplied(self.goal)
        self._group = self._source_groups()

    def _bits(self, which: Bools) -> int:
        return sum(1 << j for j, e in enumerate(self.branches.tolist()) if which[e])

    def closed(self, state: int) -> Bools:
        """(B) the state of all branches."""
        closed = self._kept.copy()
        closed[[e for j, e in enumerate(self.branches.tolist()) if state >> j & 1]] = True
        return closed

    def branch(self, bit: int) -> int:
        """The number of the branch with this bit."""
        return int(self.branches[bit.bit_length() - 1])

    def supplied(self, state: int) -> int:
        """The parts that a source reaches, as bits."""
        return self._parts(state)[1]

    def dark(self, state: int) -> Bools:
        """(N) buses that need supply and have none."""
        missing = self.needed & ~self.supplied(state)
        return np.array([bool(missing >> p & 1) for p in range(self._count)], dtype=np.bool_)[self._part_of]

    def dark_kw(self, state: int) -> float:
        """Load of these buses."""
        missing = self.needed & ~self.supplied(state)
        return float(sum(kw for p, kw in enumerate(self._load_kw) if missing >> p & 1))

    def joins_sources(self, state: int, close: int) -> bool:
        """Whether closing this branch joins two sources that may not be joined."""
        if self.question.parallel:
            return False
        root = self._parts(state)[0]
        j = close.bit_length() - 1
        fed = [(self._fed_by(root, fr), self._fed_by(root, to)) for fr, to in self._pairs[j]]
        return any(one and other and one != other for one, other in fed)

    def moves(self, state: int, *, additional: bool) -> list[Move]:
        """The moves out of a state, each closing its loop first where `opens_first` is not needed.

        Args:
            additional: any branch may be operated; else only those in which the state differs from the goal.
        """
        every = (1 << len(self.branches)) - 1
        closings = _bits(every & ~state if additional else self.goal & ~state)
        openings = state if additional else state & ~self.goal
        to_close, to_open = (self.goal & ~state).bit_count(), (state & ~self.goal).bit_count()
        found: list[Move] = []
        for c in closings:
            first = self.joins_sources(state, c)
            for o in _bits(openings & self._loop(state, c)):
                after = (state | c) & ~o
                if not self.needed & ~self.supplied(after):
                    found.append(Move(c, o, first, after))
            if to_close > to_open and not first:
                found.append(Move(c, 0, False, state | c))
        if to_open > to_close:
            alone = (state & ~o for o in _bits(state & ~self.goal))
            found += [Move(0, state & ~s, False, s) for s in alone if not self.needed & ~self.supplied(s)]
        return found

    def _parts(self, state: int) -> tuple[list[int], int]:
        """The root of each part among those that are joined, and the parts that a source reaches."""
        found = self._known.get(state)
        if found is None:
            root = list(range(self._count))
            for j in range(len(self.branches)):
                if state >> j & 1:
                    for fr, to in self._pairs[j]:
                        a, b = _root(root, fr), _root(root, to)
                        root[max(a, b)] = min(a, b)
            root = [_root(root, p) for p in range(self._count)]
            fed = {root[s] for s in self._sources}
            found = self._known[state] = root, sum(1 << p for p in range(self._count) if root[p] in fed)
        return found

    def _loop(self, state: int, close: int) -> int:
        """The closed branches on the paths between the ends of one that closes; sources count as one part.

        Of a state with loops these are all closed branches, which are then tried one by one.
        """
        merged = [self._sources[0] if p in self._sources else p for p in range(self._count)]
        around: dict[int, list[tuple[int, int]]] = {}
        edges = [(bit, *pair) for bit in _bits(state) for pair in self._pairs[bit.bit_length() - 1]]
        if len(edges) >= len(set(merged)):
            return state
        for bit, fr, to in edges:
            around.setdefault(merged[fr], []).append((merged[to], bit))
            around.setdefault(merged[to], []).append((merged[fr], bit))
        found = 0
        for fr, to in self._pairs[close.bit_length() - 1]:
            came, stack = {merged[fr]: 0}, [merged[fr]]
            while stack:
                at = stack.pop()
                for other, bit in around.get(at, ()):
                    if other not in came:
                        came[other] = came[at] | bit
                        stack.append(other)
            found |= came.get(merged[to], 0)
        return found

    def _source_groups(self) -> dict[int, int]:
        """The sources that are joined before or after, which may stay so, by a number."""
        group = {s: s for s in self._sources}
        for state in (self.start, self.goal):
            root = self._parts(state)[0]
            for s in self._sources:
                for t in self._sources:
                    if root[s] == root[t]:
                        old, new = group[t], group[s]
                        group = {key: new if value == old else value for key, value in group.items()}
        return group

    def _fed_by(self, root: list[int], part: int) -> set[int]:
        return {self._group[s] for s in self._sources if root[s] == root[part]}


def _bits(mask: int) -> list[int]:
    """The single bits of a number."""
    found = []
    while mask:
        found.append(mask & -mask)
        mask &= mask - 1
    return found


def _root(parent: list[int], node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node
