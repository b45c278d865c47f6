"""Branch and bound on which branches are open all day, least bound first.

A loop of branches that are not open must be opened somewhere: a node is divided by the branch of one of its loops that
opens, child i opening the i-th and closing those before it. Where the bound with a branch open reaches the cutoff, the
branch is closed at once.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED, span
from openpoint.search.tree import Queue
from openpoint.studies.dispatch.day.topology.relaxation import (
    LEAST_PRICE,
    LEAST_SQUARE,
    Conductances,
    DayRelaxation,
    NodeBound,
)


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


# Bounds of a node with one more branch open, without another program.
#
# Opening branch e sends its power over other ways. With the conductances of the node's program, u = L⁻¹ b_e and the
# resistance R = b_e·u between its ends, the multipliers that belong to the rerouted power are
#
#     y' = y − u p_e / (1 − G_e R)
#
# in every copy, and μ' likewise. A bus whose output is between its limits in the program keeps its multiplier, or
# moves it by the curvature of its cost: it is tied to the ground in L. What is scheduled hardly changes where one
# branch opens. Recourse of small range, such as load that moves between buses, soon reaches its limits instead, and
# its buses are then not tied. Both are tried, and the greater bound counts: it is rigorous at any multipliers.


INNER = 1e-4
"""Share of its range by which an output is off its limits where it counts as free."""
FREE = 30.0
"""Ratio of this share to the reduced cost, as a share of the price of energy, from which on it counts as free: at the
accuracy of the program an output that belongs at a limit is a little off it."""
LEAST_REST = 1e-7
"""Least share of the power of a branch that finds no other way; 0 at a bridge."""
TIED = 1e4
"""Conductance that holds a multiplier, in units of the largest of a branch."""


def probe(relaxation: DayRelaxation, status: States, found: NodeBound, cutoff: float = math.inf) -> Floats:
    """(m) bounds with an undecided branch open; inf where no radial state is left.

    Args:
        status: (m) of the node. found: its bound. cutoff: a bound that reaches it need not be the greater of the two.
    """
    bounds = np.full(len(status), found.value)
    count, model, n = len(relaxation.scale), relaxation.model, relaxation.model.n
    conductance = np.where(status != OPEN, 0.5 / np.maximum(found.conductances.square, LEAST_SQUARE), 0.0)
    scheduled, free = relaxation.columns.owner < 0, _free(relaxation, found)
    held = [free, free & scheduled] if (free & ~scheduled).any() else [free]
    potentials = _Potentials(relaxation, conductance)
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    inner = relaxation.bus[:n]
    for some in held:
        left = np.flatnonzero((status == UNDECIDED) & (bounds < cutoff))
        if not len(left):
            break
        moved = list[Floats]()
        for tie, flow in zip(_ties(relaxation, some, conductance), (found.p, found.q), strict=True):
            u = potentials.at(tie, left)  # (K, n + 1, B)
            here = np.arange(len(left))
            rest = np.maximum(1.0 - conductance[:, left] * (u[:, fr[left], here] - u[:, to[left], here]), LEAST_REST)
            step = np.zeros((len(left), count, len(relaxation.bus)))
            step[:, :, inner] = (-u[:, :n] * (flow[:, left] / rest)[:, None]).transpose(2, 0, 1)
            moved.append(step)
        bounds[left] = np.maximum(bounds[left], relaxation.values_opened(status, found, left, moved[0], moved[1]))
    return bounds


class _Potentials:
    """What a unit of power sent from one end of a branch to the other does to the multipliers."""

    def __init__(self, relaxation: DayRelaxation, conductance: Floats) -> None:
        """`conductance`: (K, m) of all branches in the copies."""
        model, n = relaxation.model, relaxation.model.n
        self._ends = np.minimum(model.fr, n), np.minimum(model.to, n)
        fr, to = self._ends
        self._laplacian = np.zeros((len(conductance), n + 1, n + 1))
        for a, b, sign in ((fr, fr, 1.0), (to, to, 1.0), (fr, to, -1.0), (to, fr, -1.0)):
            np.add.at(self._laplacian.transpose(1, 2, 0), (a, b), (sign * conductance).T)
        self._bus = relaxation.bus[:n]
        self._known = list[tuple[Floats, Ints, Floats]]()

    def at(self, ties: Floats, branches: Ints) -> Floats:
        """(K, n + 1, B) for some branches, with (K, N) conductances from the buses to the ground; the sources are the
        last bus."""
        for before, of, potential in self._known:
            if np.array_equal(of, branches) and np.array_equal(before, ties):
                return potential
        n, here = len(self._bus), np.arange(len(self._bus))
        sent, (fr, to) = np.zeros((n + 1, len(branches))), self._ends
        np.add.at(sent, (fr[branches], np.arange(len(branches))), 1.0)
        np.add.at(sent, (to[branches], np.arange(len(branches))), -1.0)
        tied = self._laplacian[:, :n, :n].copy()
        tied[:, here, here] += ties[:, self._bus]
        potential = np.zeros((len(tied), n + 1, len(branches)))
        potential[:, :n] = np.linalg.solve(tied, np.broadcast_to(sent[:n], (len(tied), *sent[:n].shape)))
        self._known.append((ties, branches, potential))
        return potential


def _free(relaxation: DayRelaxation, found: NodeBound) -> Bools:
    """(n) columns that are between their limits in the program."""
    columns, x = relaxation.columns, found.x
    span = columns.upper - columns.lower
    room = np.minimum(x - columns.lower, columns.upper - x)
    slope = np.abs(relaxation.reduced(found) + 2.0 * relaxation.square * x)
    worth = relaxation.scale * np.maximum(relaxation.price(), LEAST_PRICE)
    unit = np.append(worth, worth.mean())[columns.owner]
    return np.asarray((span > 0.0) & (room > INNER * span) & (room * unit > FREE * slope * span))


def _ties(relaxation: DayRelaxation, free: Bools, conductance: Floats) -> tuple[Floats, Floats]:
    """(K, N) conductances to the ground, of active and of reactive power, of the buses of free columns."""
    columns = relaxation.columns
    curved = free & (columns.square > 0.0)
    rigid = (free & ~curved).astype(np.float64)
    shape = (len(relaxation.scale), 2, len(relaxation.bus))
    size = relaxation.absolute_balance
    held = (size @ rigid).reshape(shape)
    scale = np.maximum(relaxation.columns.scale, 1e-12)[:, None, None]
    slack = np.where(curved, 0.5 / np.where(curved, columns.square, 1.0), 0.0)
    ties = (size @ slack).reshape(shape) * scale
    ties += TIED * conductance.max() * np.minimum(held, 1.0)
    return ties[:, 0], ties[:, 1]


# Good radial states for given outputs: one branch closes, another one of the loop opens, as long as losses fall.
#
# With the power that buses take held, moving the power δ around a loop changes the loss by Σ c (2 p δ + δ²) over its
# branches; opening a branch moves the power that it carried.


ROUNDS = 100
"""Exchanges between two solutions of the program, at most."""


def heaviest_state(relaxation: DayRelaxation, status: States, found: NodeBound) -> States:
    """A radial completion of a node (m) that closes the branches whose opening would cost most."""
    weight = gains(relaxation, status, found)
    relaxation.work.status[:] = status
    span(relaxation.model, relaxation.work, np.argsort(-weight, kind="stable").astype(np.int32))
    state = relaxation.work.status.copy()
    state[state == UNDECIDED] = OPEN
    return state


def exchanged(
    relaxation: DayRelaxation, state: States, decided: States, stop: Callable[[], bool] = lambda: False
) -> tuple[States, NodeBound] | None:
    """A radial state (m) from which no exchange is better, or the best until the stop, and its bound; None where it is
    not allowed.

    Args:
        state: a radial state. decided: (m) OPEN and CLOSED branches keep their state. stop: asked between programs.
    """
    best = relaxation.bound(state.copy(), None, 2)
    while best is not None:
        if stop():
            return state, best
        other = _descended(relaxation, state, best, decided)
        if np.array_equal(other, state):
            return state, best
        found = relaxation.bound(other.copy(), None, 2)
        if found is None or found.value >= best.value:
            return state, best
        state, best = other, found
    return None


def _descended(relaxation: DayRelaxation, state: States, found: NodeBound, decided: States) -> States:
    """The state after exchanges at the net loads of a solution."""
    cost = relaxation.scale[:, None] * relaxation.first.square
    flows, state = np.stack([found.p, found.q]), state.copy()
    for _ in range(ROUNDS):
        best, move = -1e-9 * abs(found.value), None
        for tie in np.flatnonzero((state == OPEN) & (decided == UNDECIDED)).tolist():
            loop, sign = _loop(relaxation, state, tie)
            if loop is None:
                continue
            along = sign * flows[:, :, loop]
            linear, square = (cost[:, loop] * along).sum(axis=2), cost[:, loop].sum(axis=1)
            change = (-2.0 * along * linear[:, :, None] + along**2 * square[None, :, None]).sum(axis=(0, 1))
            change[decided[loop] != UNDECIDED] = np.inf
            k = int(np.argmin(change))
            if change[k] < best:
                best, move = float(change[k]), (tie, int(loop[k]), loop, sign, along[:, :, k])
        if move is None:
            break
        tie, opened, loop, sign, carried = move
        flows[:, :, loop] -= sign * carried[:, :, None]
        state[tie], state[opened] = CLOSED, OPEN
        relaxation.work.status[:] = state
    return state


def _loop(relaxation: DayRelaxation, state: States, tie: int) -> tuple[Ints | None, Floats]:
    """Branches of the loop that a tie closes, itself last, and their direction in it; None where it closes none."""
    model, n = relaxation.model, relaxation.model.n
    fr, to = np.minimum(model.fr, n), np.minimum(model.to, n)
    around: dict[int, list[tuple[int, int, float]]] = {}
    for e in np.flatnonzero(state == CLOSED).tolist():
        around.setdefault(int(fr[e]), []).append((int(to[e]), e, 1.0))
        around.setdefault(int(to[e]), []).append((int(fr[e]), e, -1.0))
    begin, end = int(to[tie]), int(fr[tie])
    came: dict[int, tuple[int, int, float]] = {begin: (-1, -1, 0.0)}
    stack = [begin]
    while stack and end not in came:
        bus = stack.pop()
        for other, e, sign in around.get(bus, []):
            if other not in came:
                came[other] = (bus, e, sign)
                stack.append(other)
    if end not in came:
        return None, np.empty(0)
    branches, signs, bus = [tie], [1.0], end
    while bus != begin:
        bus, e, sign = came[bus]
        branches.append(e)
        signs.append(sign)
    return np.array(branches), np.array(signs)
