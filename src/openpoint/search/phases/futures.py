"""The topology search of a grid of any phases under many demands: one state, multipliers and a bound of each demand.

The bound of a node is the worst expectation of the demands' bounds over a set of probabilities (docs/methods.md M43):
what no completion falls short of under each demand, none falls short of in a measure that does not fall in any of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats, States
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.phases.bound import squares_for
from openpoint.search.phases.flow import CLOSED, OPEN, UNDECIDED, trees_for
from openpoint.search.phases.model import Blocks
from openpoint.search.phases.multipliers import improve, pattern_for
from openpoint.search.phases.pieces import Core, balanced, core_of, loaded, undecided
from openpoint.search.phases.states import AllStates, graph_for, probe, propagate, states_left
from openpoint.search.phases.tree import FEW, MARGIN, ROOT_ROUNDS, ROUNDS, Flows, Price, free_of_charge, priority_of
from openpoint.search.tree import Queue
from openpoint.twostage.ambiguity import ProbabilitySet
from openpoint.twostage.workers.pool import never


class FuturesFlows:
    """Exact losses of radial states under K demands, as one number; see `openpoint.search.phases.tree.Losses`."""

    def __init__(self, blocks: Sequence[Blocks], risk: ProbabilitySet, price: Price = free_of_charge) -> None:
        self.each, self.risk, self.price = [Flows(each) for each in blocks], risk, price
        self.blocks, self.trees = blocks[0], self.each[0].trees  # the paths of a state are the same under any demand

    def loss(self, status: States) -> float:
        """That of a state (m) and its price, per unit; inf where under some demand that counts it has no flow."""
        return float(self.risk.worst(np.array([each.loss(status) for each in self.each]))[0]) + self.price(status)


def cores_of(
    blocks: Sequence[Blocks],
    status: States,
    over: Callable[[], bool] = never,
    *,
    whole: bool = False,
    sampled: bool = True,
) -> list[Core]:
    """The cores under each demand, of the same buses and branches; as `core_of`."""
    kept = np.any([loaded(each) for each in blocks], axis=0)
    return [core_of(each, status, kept, over, whole=whole, sampled=sampled) for each in blocks]


@dataclass(frozen=True)
class _Node:
    status: States
    h: Complexes  # (K, n, 3)


class FuturesTree:
    """The nodes; see `openpoint.search.tree.Tree`, and `openpoint.search.phases.tree.PhaseTree`.

    Attributes:
        cutoff: bound at which a node is done. nodes: so far. swept: states whose flows were computed in the core.
        left: leaves among these.
    """

    def __init__(self, cores: Sequence[Core], risk: ProbabilitySet, cutoff: float, price: Price) -> None:
        self.each, self.risk, self.cutoff, self.price = [core.blocks for core in cores], risk, cutoff, price
        self.blocks = first = self.each[0]
        self.priority = priority_of(cores[0])
        self.nodes = self.swept = self.left = 0
        self._tools = [(trees_for(each), squares_for(each), pattern_for(each)) for each in self.each]
        self._graph = graph_for(first)
        self._all = [AllStates(each, FEW + 1) for each in self.each]
        self._near, self._near_from, self._queue = list[tuple[float, States]](), 0.0, Queue[_Node]()
        self._status: States = undecided(first)
        root, h = math.inf, np.array([core.h for core in cores])
        if propagate(first, self._status, self._graph):
            tried = [np.zeros_like(h), h]
            bounds = [self._bounds(self._status, each, ROOT_ROUNDS) for each in tried]
            h = np.where((bounds[0] > bounds[1])[:, None, None], *tried)
            root = float(risk.worst(np.maximum(*bounds))[0])
        self._push(root, self._status, h)

    @property
    def status(self) -> States:
        """(m) states of the branches at the current node."""
        return self._status

    @property
    def lowest(self) -> float:
        """Least bound of the nodes that wait or are done without a leaf."""
        return min(self._queue.lowest, self._near_from) if self._near else self._queue.lowest

    def explore(self, most: int) -> int:
        """As `openpoint.search.tree.Tree`."""
        while self._near:
            least, self._status = self._near.pop()
            if least < self.cutoff * (1.0 + MARGIN):
                self.left += 1
                return LEAF
        for _ in range(most):
            if not self._queue.has(self.cutoff):
                return EXHAUSTED
            self.nodes += 1
            if self._process(*self._queue.pop()):
                break
        return PAUSED

    def _process(self, bound: float, node: _Node) -> bool:
        """Fix what follows and divide, or sweep all states, which takes long; whether that was so."""
        status, h = node.status, node.h
        while True:
            if not propagate(self.blocks, status, self._graph) or math.isinf(price := self.price(status)):
                return False
            value, weights = self.risk.worst(self._bounds(status, h, ROUNDS))
            bound = max(bound, value + price)
            if bound >= self.cutoff:
                self._queue.done(bound)
                return False
            if states_left(self.blocks, status) <= FEW:
                self._complete(status)
                self._near_from = bound
                return True
            opened = self._probed(status, h, weights)
            closed = (status == UNDECIDED) & (opened + price >= self.cutoff)
            if not closed.any():
                chosen = int(np.argmax(opened))
                break
            status[closed] = CLOSED
            self._queue.done(self.cutoff)
        for state, least in ((OPEN, max(bound, opened[chosen] + price)), (CLOSED, bound)):
            other = status.copy()
            other[chosen] = state
            self._push(least, other, h.copy())
        return False

    def _bounds(self, status: States, h: Complexes, rounds: int) -> Floats:
        """(K) bounds, with multipliers (K, n, 3) that become those of the best of some rounds."""
        found = np.zeros(len(self.each))
        for k, (blocks, tools) in enumerate(zip(self.each, self._tools, strict=True)):
            if self.nodes == 0:
                tools[0].v[:] = balanced(blocks)
            found[k] = improve(blocks, status, self.priority, h[k], rounds, math.inf, *tools)
        return np.maximum(found * (1.0 - MARGIN), 0.0)

    def _probed(self, status: States, h: Complexes, weights: Floats) -> Floats:
        """(m) bounds with each undecided branch open, −inf for others; any probabilities of the set give one."""
        found, value = np.zeros(len(status)), np.empty(len(status))
        for k in np.flatnonzero(weights > 0.0).tolist():
            trees, squares, pattern = self._tools[k]
            none = math.inf  # closes what must be closed under any demand, of which the bound is infinite
            tools = trees, squares, pattern, self._graph, value, np.empty(len(status))
            if probe(self.each[k], status.copy(), self.priority, h[k], none, 0.0, *tools) < 0:
                return np.where(status == UNDECIDED, math.inf, -math.inf)
            found += weights[k] * np.maximum(value * (1.0 - MARGIN), 0.0)
        return np.where(status == UNDECIDED, found, -math.inf)

    def _complete(self, status: States) -> None:
        """Sweep all radial states of a node under each demand; those that may cost less than the cutoff wait."""
        found = [each.of(status, math.inf) for each in self._all]
        self.swept += len(found[0])
        price, least = self.price(status), np.array([[max(state.least, 0.0) for state in each] for each in found])
        values = [price + float(self.risk.worst(each)[0]) for each in least.T]
        order = sorted(range(len(values)), key=lambda c: -values[c])
        self._near = [(values[c], found[0][c].status) for c in order if values[c] < self.cutoff * (1.0 + MARGIN)]
        self._queue.done(self.cutoff)

    def _push(self, bound: float, status: States, h: Complexes) -> None:
        if bound < self.cutoff:
            self._queue.push(bound, _Node(status, h))
        elif math.isfinite(bound):
            self._queue.done(bound)
