"""The nodes of a search under many load vectors, which wait with their bounds in every one of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.search.futures.arrays import UNKNOWN, loads_for
from openpoint.search.futures.certificate import FuturesCertificate
from openpoint.search.futures.certified import CertifiedNodes
from openpoint.search.futures.model import FuturesModel
from openpoint.search.futures.node import LEAF, bounds_of_futures, process_futures
from openpoint.search.kernel import entries
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.tree import Queue

FIRST, LATER, POPPED = 10, 2, 3
"""Iterations of the fixed point at the first node, at others, and at those that do not follow their parent."""
NODE_BYTES = 512
"""Memory of a waiting node beside its states and bounds: of Python's objects."""


@dataclass(frozen=True)
class Goal:
    """The bound at which a node is done, and the difference of value and bound at which the search ends."""

    cutoff: float
    tolerance: float = 0.0


@dataclass(frozen=True)
class _Waiting:
    """A node that waits: number of its parent, depth, states (m) and bounds in every future (K)."""

    number: int
    depth: int
    status: States
    value: Floats


class FuturesTree:
    """The nodes of one search; bounds are without the cost of changes that every state has.

    Attributes:
        loads: the load vectors. nodes, depth: bounded so far, and branchings above the current one. active: whether it
            is open. done: share of the search that is done, where each side of a branching counts as half.
        kept: (V, K) probability vectors that count. certified: bounds nodes where a certificate is written, None else.
    """

    def __init__(
        self,
        built: FuturesModel,
        model: Model,
        goal: Callable[[], Goal],
        *,
        room: float = math.inf,
        order: Ints,
        certificate: FuturesCertificate | None = None,
    ) -> None:
        """`goal`: of the search, asked at every node. room: nodes that wait, above which it is depth-first.

        `order`: of the futures, of which every part has small and large ones.
        """
        self.model, self.goal, self._order, self.certificate = model, goal, order, certificate
        self.work, self._record = work_for(model), record_for(model, 0)
        self.loads = loads_for(model, built.p, built.q)
        self.loads.y[:], self.loads.mu[:] = self.work.y, self.work.mu
        self._root_multipliers = [each.copy() for each in self._multipliers]
        self.certified: CertifiedNodes | None = None
        if certificate is not None:
            self.certified = CertifiedNodes(model, self.work, self.loads, certificate)
        self.queue = Queue[_Waiting](room)
        self.active, self.nodes, self.depth, self.done, self._iterations = True, 0, 0, 0.0, FIRST
        self.kept = np.zeros((0, len(built.p)))
        self._root_value = np.full(len(built.p), UNKNOWN)
        self._root = self.work.status.copy()

    @property
    def status(self) -> States:
        return self.work.status

    @property
    def root(self) -> States:
        """(m) what is decided in every state."""
        return self._root

    @property
    def _multipliers(self) -> tuple[Floats, Floats, Floats]:
        return self.loads.y, self.loads.mu, self.loads.phi

    def start(self) -> bool:
        """Take the states in `work` for those of every state, with what follows; False where there is no such state."""
        if not entries.propagate(self.model, self.work):
            return False
        self._root = self.work.status.copy()
        return True

    def begin(self) -> None:
        """Make the root the current node."""
        self.loads.value[:] = UNKNOWN if self.certified is not None else self._root_value
        self.work.status[:] = self._root

    def explore(self, most: int) -> int:
        """Process one node, as `openpoint.search.tree.Tree`."""
        if not self.active and not self._take():
            return entries.EXHAUSTED
        self.nodes += 1
        branch = self._process()
        self.active, self._iterations = branch >= 0, LATER
        if branch >= 0:
            self.depth += 1
            self._divide(branch)
            return entries.PAUSED
        self.done += 2.0**-self.depth
        return entries.LEAF if branch == LEAF else entries.PAUSED

    @property
    def lowest(self) -> float:
        """Least bound of the nodes that are open, and of what was excluded."""
        here = float(self.loads.reached[0]) if self.active else math.inf
        return min(here, self.queue.lowest, float(self.loads.floor[0]))

    def _process(self) -> int:
        """Bound the current node; returns the branch to decide next, `LEAF` or `DONE`."""
        goal = self.goal()
        if self.certified is not None:
            return self.certified.process(self.nodes, self._iterations, goal.cutoff, goal.tolerance)
        shared = self.model, self.work, self.loads, self._record
        return int(process_futures(*shared, self.nodes, self._iterations, goal.cutoff))

    def _divide(self, branch: int) -> None:
        """Let the side with the branch open wait, and go on with the closed one."""
        loads = self.loads
        if self.certificate is not None:
            self.certificate.split(branch, self.nodes)
        self.work.status[branch] = OPEN
        bound = max(float(loads.reached[0]), float(loads.opening[0]))
        value = np.maximum(loads.value, loads.opened)
        self.queue.push(bound, _Waiting(self.nodes, self.depth, self.work.status.copy(), value))
        loads.opened[:] = UNKNOWN
        self.work.status[branch] = CLOSED

    def _take(self) -> bool:
        """Make the next node that is to be bounded the current one; in a certificate all are. False where none is."""
        if self.certified is None:
            cutoff = self.goal().cutoff
            self.done += sum(2.0**-node.depth for node in self.queue.drop(cutoff))
            if not self.queue.has(cutoff):
                return False
        elif not len(self.queue):
            return False
        bound, node = self.queue.pop()
        self.work.status[:] = node.status
        self.loads.value[:] = node.value
        if self.certificate is None:
            np.maximum(node.value, self._root_value, out=self.loads.value)
        else:
            self.certificate.go_on(node.number)
        self.loads.reached[0], self.depth, self._iterations = bound, node.depth, POPPED
        for mine, kept in zip(self._multipliers, self._root_multipliers):
            mine[:] = kept
        return True

    def weigh(self, rows: Floats, offset: Floats) -> None:
        """Let (V, K) probability vectors count, with (V) what is subtracted; futures that are new are bounded first."""
        loads, count = self.loads, len(rows)
        self.kept = rows
        loads.rows[0], loads.weight[:count], loads.offset[:count] = count, rows, offset
        counts: Bools = np.any(rows > 0.0, axis=0)
        fresh = self._order[(counts & (self._root_value <= UNKNOWN))[self._order]]
        if len(fresh):
            status, value = self.work.status.copy(), loads.value.copy()
            self.work.status[:] = self._root
            entries.propagate(self.model, self.work)
            self._use(fresh)
            bounds_of_futures(self.model, self.work, loads, FIRST)
            self._root_value[fresh] = loads.value[fresh]
            for mine, kept in zip(self._multipliers, self._root_multipliers):
                kept[fresh] = mine[fresh]
            self.work.status[:] = status
            loads.value[:] = np.maximum(value, self._root_value) if self.certified is None else value
        self._use(self._order[counts[self._order]])

    def _use(self, order: Ints) -> None:
        self.loads.order[: len(order)] = order
        self.loads.used[0], self.loads.turn[0] = len(order), 0


def room_for(model: Model, futures: int, memory: float) -> int:
    """Nodes that may wait within so many bytes."""
    return max(1, int(memory / (NODE_BYTES + len(model.fr) + 8 * futures)))


def spread(size: Floats) -> Ints:
    """An order of the futures of which every part has small and large ones: by size, in steps of the golden section."""
    by_size, k = np.argsort(size, kind="stable"), len(size)
    step = max(1, round(0.6180339887 * k))
    while math.gcd(step, k) > 1:
        step += 1
    return by_size[(np.arange(k) * step) % k].astype(np.int64)
