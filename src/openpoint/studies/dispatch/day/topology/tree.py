"""Branch and bound on which branches are open all day, least bound first.

A loop of branches that are not open must be opened somewhere: a node is divided by the branch of one of its loops that
opens, child i opening the i-th and closing those before it. Where the bound with a branch open reaches the cutoff, the
branch is closed at once.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Floats, Ints, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.tree import Queue
from openpoint.studies.dispatch.day.topology.probes import probe
from openpoint.studies.dispatch.day.topology.program import Conductances
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, NodeBound


@dataclass(frozen=True)
class Leaf:
    """A radial state (m) with its bound."""

    value: float
    status: States
    found: NodeBound


@dataclass(frozen=True)
class _Open:
    """A node to process."""

    status: States
    terms: Conductances | None


@dataclass
class TopologyTree:
    """A search that can be stopped and go on.

    Attributes:
        relaxation: of all nodes. cutoff: nodes of at least this bound are done.
        leaves: radial states below the cutoff. nodes: processed so far. queue: those that wait.
        status: (m) states of the branches at the current node.
    """

    relaxation: DayRelaxation
    cutoff: float = math.inf
    leaves: list[Leaf] = field(default_factory=list)
    nodes: int = 0
    queue: Queue[_Open] = field(default_factory=Queue)
    status: States = field(default_factory=lambda: np.zeros(0, dtype=np.int8))

    def start(self, status: States, value: float = -math.inf) -> None:
        """Add a node."""
        self.queue.push(value, _Open(status, None))

    @property
    def lowest(self) -> float:
        """Least bound of nodes that are done or open, leaves aside."""
        return self.queue.lowest

    def explore(self, most: int) -> int:
        """Process the node of least bound, as `openpoint.search.tree.Tree`; a leaf is the last of `leaves`."""
        if not self.queue.has(self.cutoff):
            return EXHAUSTED
        self.nodes += 1
        value, node = self.queue.pop()
        status, terms = node.status, node.terms
        while True:
            found = self.relaxation.bound(status, terms, 1 if terms is not None else 2)
            if found is None:
                return PAUSED
            value, terms = max(value, found.value), found.conductances
            if value >= self.cutoff:
                self.queue.done(value)
                return PAUSED
            if not (status == UNDECIDED).any():
                self.leaves.append(Leaf(value, status, found))
                self.status = status
                return LEAF
            bounds = np.maximum(probe(self.relaxation, status, found, self.cutoff), value)
            sure = np.flatnonzero((status == UNDECIDED) & (bounds >= self.cutoff))
            if not len(sure):
                break
            self.queue.done(float(bounds[sure].min()))
            before = status.copy()
            status[sure] = CLOSED
            if not self.relaxation.propagate(status):
                return PAUSED
            if (status == UNDECIDED).any() and not (status[before == UNDECIDED] == OPEN).any():
                break  # nothing opened, and closed branches hardly raise the bound
        self._divide(status, bounds, found)
        return PAUSED

    def _divide(self, status: States, bounds: Floats, found: NodeBound) -> None:
        """Open each branch of a loop in turn, those before it closed."""
        gain = gains(self.relaxation, status, found)
        loop = min(loops(self.relaxation, status), key=lambda some: self._order(some, found.value + gain))
        order = loop[np.argsort(-gain[loop], kind="stable")]
        for k, e in enumerate(order):
            child = status.copy()
            child[order[:k]], child[e] = CLOSED, OPEN
            self.queue.push(float(bounds[e]), _Open(child, found.conductances))

    def _order(self, loop: Ints, estimate: Floats) -> float:
        """How far the branches of a loop are below the cutoff, all together."""
        return float(np.sum(np.maximum(self.cutoff - estimate[loop], 0.0)))


def gains(relaxation: DayRelaxation, status: States, found: NodeBound) -> Floats:
    """(m) estimates of how much the cost rises where a branch opens and its power takes the other ways."""
    model, n = relaxation.model, relaxation.model.n
    terms = found.conductances
    first = relaxation.scale @ (terms.square * (found.p**2 + found.q**2))
    live = np.flatnonzero(status != OPEN)
    r = np.maximum(np.hypot(model.r, model.x) * 1e-3, model.r)[live]
    fr, to = np.minimum(model.fr[live], n), np.minimum(model.to[live], n)
    laplacian = np.zeros((n + 1, n + 1))
    for a, b, sign in ((fr, fr, 1.0), (to, to, 1.0), (fr, to, -1.0), (to, fr, -1.0)):
        np.add.at(laplacian, (a, b), sign / np.maximum(r, 1e-9))
    inverse = np.zeros_like(laplacian)
    inverse[:n, :n] = np.linalg.inv(laplacian[:n, :n])
    effective = inverse[fr, fr] + inverse[to, to] - 2.0 * inverse[fr, to]
    gain = np.full(len(status), math.inf)
    gain[live] = first[live] / np.maximum(1.0 - effective / np.maximum(r, 1e-9), 1e-6)
    return gain


def loops(relaxation: DayRelaxation, status: States) -> list[Ints]:
    """For every undecided branch the undecided branches of a shortest loop through it, closed ones not counted."""
    model = relaxation.model
    n = model.n
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    around: list[list[tuple[int, int]]] = [[] for _ in range(n + 1)]
    for e in np.flatnonzero(status != OPEN):
        around[fr[e]].append((int(to[e]), int(e)))
        around[to[e]].append((int(fr[e]), int(e)))
    found: dict[tuple[int, ...], Ints] = {}
    undecided = np.flatnonzero(status == UNDECIDED)
    series = in_series(fr, to, np.flatnonzero(status != OPEN))
    _, first = np.unique(series[undecided], return_index=True)
    for e in undecided[np.sort(first)]:
        some = _shortest(around, status, int(fr[e]), int(to[e]), int(e))
        if some is not None:
            found[tuple(sorted(some))] = np.array(sorted(some))
    return list(found.values())


def in_series(fr: Ints, to: Ints, live: Ints) -> Ints:
    """(m) numbers that branches share which lie in series, so that every loop through one is a loop through all."""
    at: list[set[int]] = [set() for _ in range(int(max(fr.max(), to.max())) + 1)]
    for e in live.tolist():
        at[fr[e]].add(e)
        at[to[e]].add(e)
    ends = [bus for bus, some in enumerate(at) if len(some) == 1]
    while ends:  # what hangs off a loop is in none
        some = at[ends.pop()]
        if some:
            e = some.pop()
            for bus in (int(fr[e]), int(to[e])):
                at[bus].discard(e)
                if len(at[bus]) == 1:
                    ends.append(bus)
    number = np.arange(len(fr))
    for some in at:
        if len(some) == 2:
            a, b = some
            number[number == number[b]] = number[a]
    return number


def _shortest(
    around: list[list[tuple[int, int]]], status: States, begin: int, end: int, without: int
) -> list[int] | None:
    """Undecided branches of a way between two buses with the fewest of them, and the branch itself."""
    came: dict[int, tuple[int, int]] = {begin: (-1, -1)}
    distance, queue = {begin: 0}, deque([begin])
    while queue:
        bus = queue.popleft()
        if bus == end:
            break
        for other, e in around[bus]:
            cost = distance[bus] + int(status[e] == UNDECIDED)
            if e == without or cost >= distance.get(other, 1 << 30):
                continue
            distance[other], came[other] = cost, (bus, e)
            if cost > distance[bus]:
                queue.append(other)
            else:
                queue.appendleft(other)
    if end not in came:
        return None
    some, bus = [without], end
    while bus != begin:
        bus, e = came[bus]
        if status[e] == UNDECIDED:
            some.append(e)
    return some
