"""The topology search of a grid of any phases: nodes, which `openpoint.search.tree.grow` drives, and local search."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints, States
from openpoint.formulations.radiality import Switching
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.phases.bound import squares_for
from openpoint.search.phases.deviation import Ranges
from openpoint.search.phases.flow import CHANGE, CLOSED, LOOP, OPEN, UNDECIDED, Trees, sweep, trees_for
from openpoint.search.phases.known import StatesNear, largest_block, near_block
from openpoint.search.phases.model import Blocks, PhaseModel, box_rows
from openpoint.search.phases.multipliers import improve, pattern_for
from openpoint.search.phases.parts import rest_of
from openpoint.search.phases.pieces import Core, balanced, undecided
from openpoint.search.phases.states import (
    PROBE_SHARE,
    AllStates,
    OneState,
    choose,
    graph_for,
    probe,
    propagate,
    states_left,
)
from openpoint.search.tree import Queue
from openpoint.twostage.workers.pool import never

ROOT_ROUNDS, ROUNDS = 12, 3
"""Rounds of the fixed point at the first node, and at others."""
PAYS, PACE = 4, 16
"""Branches are probed at each node, where an estimate says that it pays, while one of so many probes closes its branch;
else all of them at one node in so many, and the others divide where the current is greatest."""
FEW = 500
"""Radial states up to which the flows of all that are left at a node are computed, instead of dividing it."""
MANY, TRIED = 200_000, 5
"""Radial states from which on bounds are computed in any case, and how many nodes tell whether they are else."""
PLENTY = 20_000
"""Radial states without parts of few up to which all of them are swept, instead of those without a block of many."""
FEWEST = 20
"""Radial states that such a block has more than."""
IN_VAIN = 2
"""Exchanges around a loop, one way, in a row that lose more than the one before, after which no more are tried."""
KICK, FAILED = 3, 10
"""Exchanges at random from the best state of local search, and after how many descents from there that find none
better it ends."""
MARGIN = 1e-9
"""Relative rounding error that a bound is lowered by."""


@dataclass(frozen=True)
class _Node:
    status: States
    h: Complexes


Price = Callable[[States], float]
"""What the switches cost that are decided in states (m), per unit; inf where they are more than may change."""


def free_of_charge(status: States) -> float:
    """No switching costs anything."""
    return 0.0


def jumping(blocks: Blocks) -> Bools:
    """(L) whether a load draws another power at once where its voltage leaves its band, so that flows may be several.

    One of constant power does not, nor one of constant current, which goes on from what it draws at the edge.
    """
    bounded = (blocks.low > 0.0) | np.isfinite(blocks.high)
    return np.asarray((blocks.degree > 0) & (blocks.outer == 0) & bounded)


class Flows:
    """Exact losses of radial states; where loads jump, of that of two flows which loses less."""

    def __init__(self, blocks: Blocks, price: Price = free_of_charge) -> None:
        self.blocks, self.price, self.trees = blocks, price, trees_for(blocks)
        self.priority: Ints = np.argsort(-blocks.has.sum(axis=1), kind="stable")
        self.count, self._warm, self.jumps = 0, False, bool(jumping(blocks).any())

    def loss(self, status: States) -> float:
        """The loss of a state (m) and its price, per unit; inf where it feeds not every phase, or has no flow."""
        self.count += 1
        found = math.inf
        for warm in (True, False):  # where loads jump, the flow found depends on where the sweep begins
            if (self.jumps or not math.isfinite(found)) and (self._warm or not warm):
                found = min(found, float(sweep(self.blocks, status, self.priority, self.trees, CHANGE, warm)))
        self._warm = math.isfinite(found)
        return found + self.price(status)


class Losses(Protocol):
    """What knows the losses of radial states, and the paths of the one asked for last."""

    blocks: Blocks
    trees: Trees

    def loss(self, status: States) -> float:
        """That of a state (m), per unit; inf where there is no flow."""
        ...


def descend(flows: Losses, status: States, over: Callable[[], bool]) -> tuple[States, float]:
    """Branch exchange from a radial state until none is better: each that is best of those tried around a loop.

    Around a loop, what is lost falls up to the best place to open it and rises beyond, where power flows one way: from
    the open branch, either way, further ones are tried until two in a row lose more.
    """
    here, least = status.copy(), flows.loss(status)
    while True:
        before = least
        for e in np.flatnonzero((here == OPEN) & flows.blocks.movable).tolist():
            if here[e] != OPEN or over():
                continue
            best, best_loss = here, least * (1.0 - 1e-10)
            for side in _sides(flows, here, e):
                last, worse = least, 0
                for k in side:
                    loss = flows.loss(other := _exchanged(here, e, k))
                    worse = worse + 1 if last < loss < math.inf else 0 if loss < math.inf else worse
                    last = loss if loss < math.inf else last
                    if loss < best_loss:
                        best, best_loss = other, loss
                    if worse == IN_VAIN:
                        break
            if best is not here:
                here, least = best, best_loss
        if least >= before or over():
            return here, least


def kicked(flows: Losses, status: States, over: Callable[[], bool]) -> States:
    """The best state that branch exchange reaches from a radial state, and from some near those that it reaches."""
    here, least = descend(flows, status, over)
    rng, failed = np.random.default_rng(0), 0
    while failed < FAILED and not over():
        other = here
        for _ in range(KICK):
            opened = np.flatnonzero((other == OPEN) & flows.blocks.movable)
            if not len(opened):
                break
            e = int(rng.choice(opened))
            loop = [k for side in _sides(flows, other, e) for k in side]
            other = _exchanged(other, e, int(rng.choice(loop))) if loop else other
        other, loss = descend(flows, other, over)
        failed = 0 if loss < least * (1.0 - 1e-10) else failed + 1
        here, least = (here, least) if failed else (other, loss)
    return here


def _exchanged(status: States, e: int, k: int) -> States:
    """A state in which one branch is closed and another one of the loop opened."""
    found = status.copy()
    found[e], found[k] = CLOSED, OPEN
    return found


def _sides(flows: Losses, status: States, e: int) -> tuple[list[int], list[int]]:
    """Branches of the loop that an open one would close, from either of its ends on, those that may open."""
    flows.loss(status)
    blocks, edge, way = flows.blocks, flows.trees.edge, flows.trees.way
    one, two = (_path(blocks, edge, way, int(end[e])) for end in (blocks.fr, blocks.to))
    shared = set(one) & set(two)
    one, two = ([k for k in side if k not in shared and blocks.movable[k]] for side in (one, two))
    return one, two


def _path(blocks: Blocks, edge: Ints, way: Ints, bus: int) -> list[int]:
    """Branches from a bus to its source."""
    found = list[int]()
    while (e := int(edge[bus])) >= 0:
        found.append(e)
        bus = int(blocks.fr[e] if way[bus] == 0 else blocks.to[e])
    return found


def bounds_pay(core: Core, known: States, enough: float) -> bool:
    """Whether any of some nodes is done by its bound that are drawn at random, and have few states.

    Args:
        known: (M) states of branches that are not in the core. enough: loss from which on a node is done.
    """
    of_all, blocks, graph, rng = core.unsampled, core.blocks, graph_for(core.blocks), np.random.default_rng(0)
    if of_all is None or states_left(blocks, undecided(blocks)) <= FEW or math.isinf(enough):
        return of_all is None
    for _ in range(TRIED):
        status = undecided(blocks)
        while propagate(blocks, status, graph) and states_left(blocks, status) > FEW:
            status[rng.choice(np.flatnonzero(status == UNDECIDED))] = rng.choice((OPEN, CLOSED))
        if of_all.bound(core.whole(status, known), ROUNDS, enough) >= enough:
            return True
    return False


def priority_of(core: Core) -> Ints:
    """(n) buses in the order in which they become tops: with most phases, and of these with the highest voltages."""
    return np.lexsort((-np.abs(core.v).max(axis=1), -core.blocks.has.sum(axis=1)))


class PhaseTree:
    """The nodes: states of branches of the core and multipliers of the bound; see `openpoint.search.tree.Tree`.

    The bound of a node is that of the loss, and the price of the switches that are decided in it. Where few radial
    states are left at a node, the flows of all of them are computed, in the core with what its pieces draw, and those
    are leaves that do not lose enough in the whole grid for sure. Before that, nodes are divided by the rest of the
    core without its parts of few states; where few states of the rest are left, their flows tell which of them are
    nodes, in which these parts alone are undecided. Of a core without samples of what pieces add to it there is no
    bound but that of all states: so all of them are swept, unless flows prove little of what they lose.

    Attributes:
        cutoff: bound at which a node is done. nodes: so far. root: the first bound. swept: flows of the core so far.
        left: leaves among these, of which it was not proved that they lose enough, or break limits.
    """

    def __init__(
        self,
        core: Core,
        cutoff: float,
        price: Price = free_of_charge,
        ranges: Ranges | None = None,
        over: Callable[[], bool] = never,
        *,
        bounded: bool = True,
    ) -> None:
        """With no node but the first.

        Args:
            ranges: limits; states that break them in each flow near that of the core are left out.
            over: whether there is no time for samples. bounded: whether nodes are bounded from the first one on.
        """
        blocks = core.blocks
        self._core, self._over = core, over
        self.blocks, self.cutoff, self.nodes, self.price = blocks, cutoff, 0, price
        self.priority = priority_of(core)
        self._trees, self._squares = trees_for(blocks), squares_for(blocks)
        self._pattern, self._graph = pattern_for(blocks), graph_for(blocks)
        self._probed = self._fixed = 0
        self._all = AllStates(blocks, FEW + 1, ranges=ranges)
        self._near, self._near_from = list[tuple[float, States]](), 0.0
        self.left = self._unproved = 0
        self._queue = Queue[_Node]()
        self._status: States = undecided(blocks)
        self._first: Bools = np.ones(len(blocks.fr), dtype=np.bool_)
        self._rest: Sequence[AllStates | StatesNear] = ()
        if states_left(blocks, self._status) > FEW:
            self._rest, left = _outside(core)
            self._first = np.isin(np.arange(len(blocks.fr)), left)
        self.root, first = math.inf, core.h
        rest = self._rest[0] if self._rest else self._all
        if bounded or isinstance(rest, StatesNear) or rest.left(self._status[self._first]) > MANY:
            self._sample()
        if self._follow(self._status):
            tried = []
            for h in (core.h.copy(), np.zeros_like(core.h)):  # without bounds the one near which samples are taken
                self._trees.v[:] = balanced(blocks)
                tried.append((self._bound(self._status, h, ROOT_ROUNDS), h))
            self.root, first = max(tried, key=lambda each: each[0])
        self._push(self.root, self._status, first)

    @property
    def status(self) -> States:
        """(m) states of the branches at the current node."""
        return self._status

    @property
    def lowest(self) -> float:
        """Least bound of the nodes that wait or are done without a leaf."""
        return min(self._queue.lowest, self._near_from) if self._near else self._queue.lowest

    @property
    def swept(self) -> int:
        return self._all.count + sum(each.count for each in self._rest)

    @property
    def learned(self) -> bool:
        """Whether states were proved near voltages that were learned from other states."""
        return any(isinstance(each, StatesNear) and each.count > 0 for each in self._rest)

    @property
    def mildest(self) -> tuple[float, States]:
        """Of the states left out for limits the least of the largest excesses, inf if there is none, and the state."""
        return self._all.mildest

    def explore(self, most: int) -> int:
        """As `openpoint.search.tree.Tree`."""
        while self._near:
            least, self._status = self._near.pop()
            if least + self.price(self._status) < self.cutoff * (1.0 + MARGIN):
                self.left += 1
                return LEAF
        for _ in range(most):
            if not self._queue.has(self.cutoff):
                return EXHAUSTED
            bound, node = self._queue.pop()
            self.nodes += 1
            if self._process(bound, node):
                break
        return PAUSED

    def _process(self, bound: float, node: _Node) -> bool:
        """Fix what follows and divide, or sweep all states, which takes long; whether that was so."""
        status, h = node.status, node.h
        value, guess, stepped = np.empty(len(status)), np.empty(len(status)), h.copy()
        while True:
            if not self._follow(status) or math.isinf(price := self.price(status)):
                return False
            bound = max(bound, self._bound(status, h, ROUNDS))
            if bound >= self.cutoff:
                self._queue.done(bound)
                return False
            # Where voltages are too low for flows in the core to prove much, bounds may: then one state is few.
            weak = 2 * self._unproved > self._all.count
            if weak and self._core.unsampled is not None:
                self._sample()
                continue
            if states_left(self.blocks, status) <= (1 if weak else FEW):
                self._near_from = bound
                self._complete(status)
                return True
            first = (status == UNDECIDED) & self._first
            if self._rest and first.any():
                if self._rest[0].left(status[self._first]) <= FEW:
                    self._divide(bound, _Node(status, h))
                    return True
            else:
                first = status == UNDECIDED
            of_all, pays = self._core.unsampled, self._fixed * PAYS >= self._probed
            if of_all is not None or not (pays or self.nodes % PACE == 0):
                i = np.linalg.norm(self._trees.i, axis=1) if of_all is None else of_all.current[self._core.branch]
                chosen = int(np.argmax(np.where(first, i, -1.0)))
                value[chosen], stepped[:] = -math.inf, h
                break
            enough = self._enough(status)
            tools = self._trees, self._squares, self._pattern, self._graph, value, guess
            fixed = probe(self.blocks, status, self.priority, h, enough, PROBE_SHARE if pays else 0.0, *tools)
            self._probed += int((value > -math.inf).sum())
            if fixed < 0:
                self._queue.done(self.cutoff)
                return False
            if fixed == 0:
                base = min(bound - price, enough)
                chosen = choose(self.blocks, status, first, self.priority, h, base, enough, *tools, stepped)
                if chosen >= 0:
                    break
                fixed = 1
            self._fixed += fixed
            self._queue.done(self.cutoff)
        for state, least in ((OPEN, max(bound, value[chosen] * (1.0 - MARGIN) + price)), (CLOSED, bound)):
            other = status.copy()
            other[chosen] = state
            self._push(least, other, stepped if state == OPEN else h)
        return False

    def _sample(self) -> None:
        """Find what pieces add to the bound."""
        self._core = self._core.sampled(self._over)
        self.blocks = self._core.blocks

    def _complete(self, status: States) -> None:
        """Sweep all radial states of a node; those that may lose less than the cutoff wait as leaves, the best first.

        So do those without a flow in the core, of which nothing is known.
        """
        found = self._all.of(status, self._enough(status))
        self._unproved += len(found)
        self._near = [(each.least, each.status) for each in sorted(found, key=lambda each: -each.loss)]
        self._queue.done(self.cutoff)

    def _divide(self, bound: float, node: _Node) -> None:
        """Sweep all radial states of the rest at a node; those that may lose less than the cutoff are nodes."""
        found: dict[bytes, OneState] = {}
        for rest in self._rest:
            for each in rest.of(node.status[self._first], self._enough(node.status)):
                key = each.status.tobytes()
                found[key] = min(each, found.get(key, each), key=lambda one: one.least)
        for each in found.values():
            other = node.status.copy()
            other[self._first] = each.status
            self._push(max(bound, each.least + self.price(other)), other, node.h.copy())
        self._queue.done(self.cutoff)

    def _enough(self, status: States) -> float:
        """The loss from which on a state does not matter."""
        return (self.cutoff - self.price(status)) * (1.0 + MARGIN)

    def _follow(self, status: States) -> bool:
        return bool(propagate(self.blocks, status, self._graph))

    def _bound(self, status: States, h: Complexes, rounds: int) -> float:
        if math.isinf(price := self.price(status)):
            return price
        found = self._core.bound
        if self._core.unsampled is None:
            tools = self._trees, self._squares, self._pattern
            found = max(found, improve(self.blocks, status, self.priority, h, rounds, self._enough(status), *tools))
        return price + float(found) * (1.0 - MARGIN)

    def _push(self, bound: float, status: States, h: Complexes) -> None:
        if bound < self.cutoff:
            self._queue.push(bound, _Node(status, h))
        elif math.isfinite(bound):
            self._queue.done(bound)


BEYOND, GRAIN = 0.02, 0.01
"""By how much, pu, a box goes beyond a voltage outside of it, and to what that is rounded outwards; degrees by 100."""


def _outside(core: Core) -> tuple[Sequence[AllStates | StatesNear], Ints]:
    """What sweeps the states of a core outside of its parts, and the branches there; none, and all, without parts."""
    rest = rest_of(core)
    simple = core.pieces is not None and not core.blocks.closes.any()
    if simple and states_left(rest.blocks, undecided(rest.blocks)) > PLENTY:
        block = largest_block(core, FEWEST)
        if block is not None and (near := near_block(core, *block, FEW + 1)):
            return near, near[0].branch
    return ([AllStates(rest.blocks, FEW + 1)] if len(rest.branch) < len(core.branch) else []), rest.branch


def box_around(v: Complexes, present: Bools, boxes: Floats, margin: float = BEYOND) -> Floats:
    """The box of each bus (n, 9), widened so that (n, 3) voltages lie in it with a margin (degrees: 100 times as many).

    What is widened ends at multiples of `GRAIN`, so that boxes are few.
    """
    size, turn = np.abs(v), np.zeros(len(v))
    for j, k in ((0, 1), (1, 2), (2, 0)):
        both = present[:, j] & present[:, k]
        far = np.abs(np.degrees(np.angle(v[both, j] * np.conj(v[both, k]))) - 120.0)
        turn[both] = np.maximum(turn[both], far)
    least = GRAIN * np.floor((np.where(present, size, np.inf) - margin) / GRAIN)
    most = GRAIN * np.ceil((np.where(present, size, 0.0) + margin) / GRAIN)
    return box_rows(
        np.fmin(boxes[:, :3], np.maximum(least, 0.01)),  # where there is no flow under a demand: as it was
        np.fmax(boxes[:, 3:6], most),
        np.fmax(boxes[:, 8], np.where(turn > 0.0, np.ceil(turn + 100.0 * margin), 0.0)),
    )


def status_of(model: PhaseModel, closed: Bools) -> States:
    """(m) states of the blocks of a state (B) of the branches."""
    status = np.full(len(model.blocks.fr), OPEN, dtype=np.int8)
    status[model.block_of[(model.block_of >= 0) & closed]] = CLOSED
    status[model.blocks.closes] = LOOP
    return status


def price_of(model: PhaseModel, switching: Switching, base_kw: float) -> Price:
    """The price of switches, with as many changes as are allowed; `base_kw`: kW of one per unit."""
    if switching.most is None and not switching.cost_kw:
        return free_of_charge
    today, known, at = switching.today, model.block_of >= 0, np.maximum(model.block_of, 0)
    most = math.inf if switching.most is None else switching.most

    def price(status: States) -> float:
        state = np.where(known, status[at], OPEN)
        changes = int(np.count_nonzero(np.where(today, state == OPEN, (state == CLOSED) | (state == LOOP))))
        return math.inf if changes > most else switching.cost_kw * changes / base_kw

    return price


def closed_of(model: PhaseModel, status: States) -> Bools:
    """(B) state of the branches from that of the blocks (m)."""
    known = model.block_of >= 0
    return np.asarray(known & np.isin(status[np.maximum(model.block_of, 0)], (CLOSED, LOOP)))
