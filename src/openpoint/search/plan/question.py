"""Switch plans: the states between two topologies, as sets of the branches that are operated.

A switch plan leads from one state of the branches to another by *exchanges*: close one branch and open another, so that
every bus keeps its supply. Between two spanning trees there is always such an order, and every branch in which they
differ is operated once: that is the least number of operations (the exchange property of the bases of a matroid).

Only the branches that may be operated matter for the supply: buses that all other closed branches join are one *part*.
A state is the set of the closed ones among these branches, as the bits of a whole number.

Limits, loading and voltages of a state of a switch plan, by exact AC power flow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.graph import components
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.network.stations import Stations
from openpoint.powerflow.balanced import FlowStatus, close_loops, solve
from openpoint.powerflow.check import check_flow
from openpoint.powerflow.meshed import solve_meshed


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
        stations: the network with its limits, and the one with its permanently closed loops opened.
        before, after: (E) states of the branches.
        may_operate: (E) branches that additional operations may use beside those that differ.
        remote: (E) whether a branch is operated by remote control. hours: (E) how long an operation of it takes.
        load_kw: (N) load of the buses, which counts while they are off.
        parallel: whether different sources may be joined for a moment.
    """

    stations: Stations
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
        net = question.stations.whole
        self.question, self.branches = question, branches
        operated = np.zeros(net.n_conductors, dtype=np.bool_)
        operated[branches] = True
        kept = question.before & ~operated
        part = components(net.n_terminals, net.terminal_fr[kept], net.terminal_to[kept])
        self._count = int(part.max(initial=-1)) + 1
        self._fr, self._to = (part[ends[branches]].tolist() for ends in (net.terminal_fr, net.terminal_to))
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
        """(E) the state of all branches."""
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
        fed, other = self._fed_by(root, self._fr[j]), self._fed_by(root, self._to[j])
        return bool(fed) and bool(other) and fed != other

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
                    a, b = _root(root, self._fr[j]), _root(root, self._to[j])
                    root[max(a, b)] = min(a, b)
            root = [_root(root, p) for p in range(self._count)]
            fed = {root[s] for s in self._sources}
            found = self._known[state] = root, sum(1 << p for p in range(self._count) if root[p] in fed)
        return found

    def _loop(self, state: int, close: int) -> int:
        """The closed branches on the path between the ends of one that closes; sources count as one part.

        Of a state with loops these are all closed branches, which are then tried one by one.
        """
        merged = [self._sources[0] if p in self._sources else p for p in range(self._count)]
        around: dict[int, list[tuple[int, int]]] = {}
        edges = _bits(state)
        if len(edges) >= len(set(merged)):
            return state
        for bit in edges:
            j = bit.bit_length() - 1
            a, b = merged[self._fr[j]], merged[self._to[j]]
            around.setdefault(a, []).append((b, bit))
            around.setdefault(b, []).append((a, bit))
        j = close.bit_length() - 1
        begin, end = merged[self._fr[j]], merged[self._to[j]]
        came, stack = {begin: 0}, [begin]
        while stack:
            at = stack.pop()
            for other, bit in around.get(at, ()):
                if other not in came:
                    came[other] = came[at] | bit
                    stack.append(other)
        return came.get(end, 0)

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


CELLS = 2_000_000
"""Buses and branches of the states that are solved in one call, so that memory stays small."""


@dataclass(frozen=True)
class Figures:
    """Figures of a state.

    Attributes:
        excess: the largest share by which a limit is exceeded, 0 where all are kept; inf without a power flow.
        worst: what exceeds its limit most, `voltage low`, `voltage high` or `current`, and its number; "" where none.
        loading: largest share of a rating, and the number of its branch; 0 and -1 where there are no ratings.
        v_min: lowest voltage of a bus with supply, pu, and the number of the bus.
        strain: what a plan keeps low: the loading, or without ratings the drop of the lowest voltage from 1 pu.
    """

    excess: float
    worst: tuple[str, int]
    loading: tuple[float, int]
    v_min: tuple[float, int]
    strain: float


NO_FLOW = Figures(math.inf, ("no power flow", -1), (math.inf, -1), (math.nan, -1), math.inf)


@dataclass(frozen=True)
class Flow:
    """The exact power flow of a state: (N) voltages, 0 where there is no supply, (E) currents, loss, mismatch, pu."""

    v: Complexes
    i: Floats
    loss: float
    mismatch: float


@dataclass(frozen=True)
class AcStates:
    """Exact power flows of states of a network: radial, with loops, and with buses that are off.

    Attributes:
        stations: the network, and the one with its permanently closed loops opened.
    """

    stations: Stations

    @cached_property
    def limited(self) -> Network:
        """The network without limits of couplers in permanently closed loops: how these share their current is not
        known."""
        whole = self.stations.whole
        return replace(whole, l_max=np.where(self.stations.unlimited, np.inf, whole.l_max))

    def flow(self, closed: Bools) -> Flow | None:
        """The power flow of a state (E), None where there is none; one with loops needs supply at every bus."""
        opened, whole = self.stations.opened, self.stations.whole
        flows = solve(opened, closed & ~self.stations.dropped)
        if flows.status[0] == FlowStatus.NOT_RADIAL:
            found = solve_meshed(whole, closed)
            if found is None:
                return None
            v, i, loss = found.v, found.i_rated, found.loss
        elif not flows.converged[0]:
            return None
        else:
            v, i, loss = flows.v[0], flows.i_rated[0], float(flows.loss[0])
        return Flow(v, i, loss, check_flow(whole, closed, v).max_mismatch)

    def figures(self, closed: Bools) -> list[Figures]:
        """The figures of states (K, E)."""
        opened, found = self.stations.opened, list[Figures]()
        for some in _parts(len(closed), opened):
            flows = solve(opened, closed[some] & ~self.stations.dropped)
            for row, status in enumerate(flows.status):
                if status == FlowStatus.NOT_RADIAL:
                    meshed = solve_meshed(self.stations.whole, closed[some][row])
                    found.append(NO_FLOW if meshed is None else figures_of(self.limited, meshed.v, meshed.i_rated))
                elif status == FlowStatus.CONVERGED:
                    found.append(figures_of(opened, flows.v[row], flows.i_rated[row]))
                else:
                    found.append(NO_FLOW)
        return found

    def with_closed(self, closed: Bools, branches: Ints) -> list[Figures]:
        """The figures of the states in which one of K more branches is closed beside those of a state (E)."""
        opened, state = self.stations.opened, closed & ~self.stations.dropped
        flows = solve(opened, state)
        plain = (opened.tap[branches] == 1.0) & (opened.shift[branches] == 0.0)
        result: list[Figures | None] = [None] * len(branches)
        if flows.converged[0] and flows.energised[0].all():
            for some in _parts(int(plain.sum()), opened):
                chosen = np.flatnonzero(plain)[some]
                loops = close_loops(opened, state, branches[chosen])
                for row, j in enumerate(chosen.tolist()):
                    result[j] = figures_of(opened, loops.v[row], loops.i[row]) if loops.found[row] else None
        for j, e in enumerate(branches.tolist()):
            if result[j] is None:
                more = closed.copy()
                more[e] = True
                result[j] = self.figures(more[None])[0]
        return [each for each in result if each is not None]


def _parts(count: int, network: Network) -> list[slice]:
    """Numbers of states in groups that fit into memory."""
    size = max(1, CELLS // (network.n_terminals + network.n_conductors))
    return [slice(begin, min(begin + size, count)) for begin in range(0, count, size)]


def figures_of(network: Network, v: Complexes, i: Floats) -> Figures:
    """The figures of voltages (N), 0 where there is no supply, and rated currents (E)."""
    size, live = np.abs(v), np.abs(v) > 0.0
    checked = live.copy()
    checked[network.source_terminal] = False
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(checked & (network.w_min > 0.0), 1.0 - size / np.sqrt(network.w_min), -np.inf)
        high = np.where(checked, size / np.sqrt(network.w_max) - 1.0, -np.inf)
        over = np.where(np.isfinite(network.l_max), i / np.sqrt(network.l_max) - 1.0, -np.inf)
        loading = np.where(np.isfinite(network.rating), i / network.rating, -np.inf)
    kinds = (("voltage low", low), ("voltage high", high), ("current", over))
    most, kind, excess = max(((_most(each), kind, each) for kind, each in kinds), key=lambda found: found[0])
    broken = most > LIMIT_TOLERANCE
    lowest = int(np.where(live, size, np.inf).argmin())
    peak = _most(loading)
    rated = math.isfinite(peak)
    return Figures(
        most if broken else 0.0,
        (kind, int(excess.argmax())) if broken else ("", -1),
        (peak, int(loading.argmax())) if rated else (0.0, -1),
        (float(size[lowest]), lowest),
        peak if rated else 1.0 - float(size[lowest]),
    )


def _most(values: Floats) -> float:
    return float(values.max(initial=-np.inf))
