"""Branch and bound on which branches are closed, for the risk of the losses in many futures.

The bound of a node is that of `openpoint.search.futures.node`. A node in which every branch is decided is evaluated by
the exact AC power flow in all futures. A risk that is the worst expectation over many probability vectors is bounded by
some of them: those that are worst at the states that the search evaluates (cutting planes, Kelley 1960); only futures
that have a weight in one of them are bounded.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.search.futures.alone import Alone
from openpoint.search.futures.arrays import ROWS, UNKNOWN, Loads, loads_for
from openpoint.search.futures.certificate import FuturesCertificate
from openpoint.search.futures.certified import CertifiedNodes
from openpoint.search.futures.model import FuturesModel
from openpoint.search.futures.node import LEAF, bounds_of_futures, process_futures
from openpoint.search.futures.task import FuturesTask
from openpoint.search.infeasibility import NODE, InfeasibilitySearch, infeasibility_search
from openpoint.search.kernel import entries
from openpoint.search.kernel.arrays import CLOSED, OPEN, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.memory import MEMORY
from openpoint.search.no_flow import has_no_flow
from openpoint.search.result import OPTIMAL, SearchProgress, SearchResult, gap_between
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import SAME, Termination

_LOG = logging.getLogger(__name__)

FIRST, LATER, POPPED = 10, 2, 3
"""Iterations of the fixed point at the first node, at others, and at those that do not follow their parent."""
NODE_BYTES = 512
"""Memory of a waiting node beside its states and bounds: of Python's objects."""


@dataclass(order=True)
class _Node:
    """An open node: its bound, number and depth, states (m) and bounds in every future (K)."""

    bound: float
    number: int
    depth: int = field(compare=False)
    status: States = field(compare=False)
    value: Floats = field(compare=False)


def search_futures(
    task: FuturesTask,
    *,
    gap: float,
    deadline: Deadline,
    starts: Bools,
    progress: Callable[[SearchProgress], None] | None = None,
    built: FuturesModel | None = None,
    certificate: FuturesCertificate | None = None,
    memory: float = MEMORY,
) -> SearchResult:
    """The radial state of least risk that keeps the limits, proven to a relative gap.

    Args:
        task: what is searched. gap: at which to stop. deadline: until when.
        starts: (S, E) radial states to begin with, the better the quicker. progress: called regularly.
        built: `task.built()`, if it is there. certificate: for the proof; its file is there afterwards if the search
            came to its end with an answer. memory: bytes of waiting nodes, above which the search is depth-first.
    """
    run = _Run(task, built or task.built(), gap, deadline, progress, certificate, memory)
    try:
        return run.solve(starts)
    finally:
        if certificate is not None:
            certificate.drop()


class _Run:
    """One search; bounds are without the cost of changes that every state has, `fixed_cost`."""

    def __init__(
        self,
        task: FuturesTask,
        built: FuturesModel,
        gap: float,
        deadline: Deadline,
        progress: Callable[[SearchProgress], None] | None,
        certificate: FuturesCertificate | None,
        memory: float,
    ) -> None:
        self.task, self.gap, self.deadline, self.progress = task, gap, deadline, progress
        self.built, self.model, self.numbering = built, built.of(0), built.numbering
        self.work, self.record = work_for(self.model), record_for(self.model, 0)
        self.loads: Loads = loads_for(self.model, built.p, built.q)
        self.loads.y[:], self.loads.mu[:] = self.work.y, self.work.mu
        self.root_multipliers = [each.copy() for each in (self.loads.y, self.loads.mu, self.loads.phi)]
        self.certificate, self.certified = certificate, None
        if certificate is not None:
            self.certified = CertifiedNodes(self.model, self.work, self.loads, certificate)
        self.heap, self.stack, self.nodes, self.leaves, self.done = list[_Node](), list[_Node](), 0, 0, 0.0
        self.room = max(1, int(memory / (NODE_BYTES + len(self.model.fr) + 8 * len(task.demands))))
        self.closed: Bools | None = None
        self.value, self.violation, self.least = math.inf, math.inf, math.inf
        self.value_bound = math.inf  # of the best state, with the most that each future may lose alone
        self.best_violation: Bools | None = None
        self.without = np.zeros(len(task.demands), dtype=np.bool_)  # futures where the last state has no power flow
        self.unproven = math.inf  # least bound of a state whose power flow was not found, and may exist
        self.kept = np.zeros((0, len(task.demands)))
        self.root_value = np.full(len(task.demands), UNKNOWN)
        self.limits: InfeasibilitySearch | None = None
        self.alone = None if certificate is not None else task.alone(gap, built)
        self.stopped = False  # in the evaluation of a state, which is not known then
        self.floor = -float(task.wait_and_see.max(initial=0.0))  # of the risk of every state: no loss is below 0
        self.highest = -math.inf
        self.began = deadline.passed()
        self.spread = spread(np.abs(task.demands).sum(axis=1))

    @property
    def cutoff(self) -> float:
        """The bound at which a node is done."""
        if math.isinf(self.value):
            return self.built.most + float(self.model.price.sum()) - float(self.task.wait_and_see.min(initial=0.0))
        return self.value - self.numbering.fixed_cost - self.tolerance

    @property
    def tolerance(self) -> float:
        """Difference of value and bound at which to stop."""
        value = self.cutoff if math.isinf(self.value) else self.value
        return max(self.gap * abs(value), SAME / self.task.network.s_base_kva)

    def solve(self, starts: Bools) -> SearchResult:
        """Run the search."""
        self.work.status[self.task.must_close[self.numbering.branch]] = CLOSED
        locks = self.task.must_close & (
            self.task.must_open | (self.task.network.terminal_fr == self.task.network.terminal_to)
        )
        if locks.any() or not entries.propagate(self.model, self.work):
            return self._result(Termination.INFEASIBLE, complete=True)
        self.root = self.work.status.copy()
        if len(starts):
            self._evaluate(starts)
        if self.task.probabilities.only is not None:
            self._add_row(self.task.probabilities.only)
        elif not len(self.kept):
            self._add_row(self.task.probabilities.worst(np.abs(self.task.demands).sum(axis=1))[1])
        if math.isinf(self.value) and self.task.limits:
            self._look_for_infeasibility()
        self.loads.value[:] = UNKNOWN if self.certified is not None else self.root_value
        self.work.status[:] = self.root
        active, depth, iterations = True, 0, FIRST
        while active or self._is_open():
            rest = [float(self.loads.reached[0])] if active else []
            if self.stopped or self.deadline.over():
                return self._result(self.deadline.why, complete=False, rest=rest)
            if self._hopeless():
                return self._result(Termination.INFEASIBLE, complete=True)
            if self.alone is not None and self.loads.refreshed[0] >= self.alone.due:
                self._bound_alone(self.alone, depth)
                if self.floor >= self.value - self.tolerance:
                    return self._result(Termination.OPTIMAL, complete=True, rest=rest)
                continue
            if not active:
                depth, iterations = self._pop(), POPPED
            self.nodes += 1
            branch = self._process(iterations)
            active, iterations = branch >= 0, LATER
            if branch == LEAF:
                self._leaf()
                active = self.stopped  # then it stays open
            if branch >= 0:
                depth += 1
                self._push(branch, depth)
            elif not active:
                self.done += 2.0**-depth
            self._report(depth)
        return self._result(Termination.OPTIMAL, complete=True)

    def _is_open(self) -> bool:
        """Whether a node waits that is to be bounded; in a certificate all are."""
        if self.certified is not None:
            return bool(self.stack or self.heap)
        while self.stack and self.stack[-1].bound >= self.cutoff:
            node = self.stack.pop()
            self.loads.floor[0] = min(self.loads.floor[0], node.bound)
            self.done += 2.0**-node.depth
        return bool(self.stack) or bool(self.heap and self.heap[0].bound < self.cutoff)

    def _process(self, iterations: int) -> int:
        """Bound the current node; returns the branch to decide next, `LEAF` or `DONE`."""
        if self.certified is not None:
            return self.certified.process(self.nodes, iterations, self.cutoff, self.tolerance)
        shared = self.model, self.work, self.loads, self.record
        return process_futures(*shared, self.nodes, iterations, self.cutoff)

    def _push(self, branch: int, depth: int) -> None:
        """Put the side with the branch open into the heap, and go on with the closed one."""
        if self.certificate is not None:
            self.certificate.split(branch, self.nodes)
        self.work.status[branch] = OPEN
        bound = max(float(self.loads.reached[0]), float(self.loads.opening[0]))
        value = np.maximum(self.loads.value, self.loads.opened)
        node = _Node(bound, self.nodes, depth, self.work.status.copy(), value)
        if len(self.heap) < self.room:
            heapq.heappush(self.heap, node)
        else:
            self.stack.append(node)
        self.loads.opened[:] = UNKNOWN
        self.work.status[branch] = CLOSED

    def _pop(self) -> int:
        """Make the last node of the stack the current one, else that of least bound; its depth."""
        node = self.stack.pop() if self.stack else heapq.heappop(self.heap)
        self.work.status[:] = node.status
        self.loads.value[:] = node.value
        if self.certificate is None:
            np.maximum(node.value, self.root_value, out=self.loads.value)
        else:
            self.certificate.go_on(node.number)
        self.loads.reached[0] = node.bound
        for mine, kept in zip((self.loads.y, self.loads.mu, self.loads.phi), self.root_multipliers):
            mine[:] = kept
        return node.depth

    def _leaf(self) -> None:
        """Evaluate the radial state that is left."""
        self.leaves += 1
        closed = self._full(self.work.status)
        flows = self._evaluate(closed[None, :])
        if self.certified is not None:
            self.certified.leaf(self.cutoff, flows=flows)
        elif not flows and not self._excludes(closed):
            self.unproven = min(self.unproven, float(self.loads.reached[0]) + self.numbering.fixed_cost)

    def _excludes(self, closed: Bools) -> bool:
        """Whether the state (E) evaluated last is proven to have no power flow of interest in some future."""
        if self.stopped or self.task.span is not None:
            return True  # it is still open; of means of groups the flows are those of their members
        low, high = np.empty((2, self.task.network.n_terminals))
        low[self.numbering.bus], high[self.numbering.bus] = self.model.w_min, self.model.w_max
        futures = (replace(self.task.network, s_power=self.task.demands[k]) for k in np.flatnonzero(self.without))
        return any(has_no_flow(future, closed, (low, high), self.built.most) for future in futures)

    def _full(self, status: States) -> Bools:
        closed = self.task.must_close.copy()
        closed[self.numbering.branch] = status == CLOSED
        return closed

    def _evaluate(self, closed: Bools) -> bool:
        """Evaluate radial states and keep the best; the probabilities that are worst there count from now on.

        Returns:
            whether all have a power flow in every future.
        """
        found = self.task.evaluate(closed)
        self.stopped |= found.stopped
        for c in range(len(closed)):
            if found.objective[c] < self.value:
                self.value, self.closed = float(found.objective[c]), closed[c]
                self.value_bound = float(found.bound[c])
            if math.isfinite(found.objective[c]):
                self.least = min(self.least, float(found.bound[c]))
            elif found.violation[c] < self.violation:
                self.violation, self.best_violation = float(found.violation[c]), closed[c]
            if self.task.probabilities.only is None and np.isfinite(found.losses[c]).all():
                self._add_row(self.task.probabilities.worst(found.losses[c] - self.task.wait_and_see)[1])
        self.without = ~np.isfinite(found.losses[-1])
        return bool(np.isfinite(found.losses).all())

    def _add_row(self, weight: Floats) -> None:
        """Add a probability vector; the oldest is dropped where there is no space."""
        if any(np.abs(weight - row).max() < 1e-12 for row in self.kept):
            return
        self.kept = np.vstack([self.kept, weight])[-ROWS:]
        loads, rows = self.loads, len(self.kept)
        loads.rows[0] = rows
        loads.weight[:rows] = self.kept
        loads.offset[:rows] = self.kept @ self.task.wait_and_see
        counts: Bools = np.any(self.kept > 0.0, axis=0)
        fresh = self.spread[(counts & (self.root_value <= UNKNOWN))[self.spread]]
        if len(fresh):
            status, value = self.work.status.copy(), loads.value.copy()
            self.work.status[:] = self.root
            entries.propagate(self.model, self.work)
            self._use(fresh)
            bounds_of_futures(self.model, self.work, loads, FIRST)
            self.root_value[fresh] = loads.value[fresh]
            for mine, kept in zip((loads.y, loads.mu, loads.phi), self.root_multipliers):
                kept[fresh] = mine[fresh]
            self.work.status[:] = status
            loads.value[:] = np.maximum(value, self.root_value) if self.certified is None else value
        self._use(self.spread[counts[self.spread]])

    def _use(self, order: Ints) -> None:
        self.loads.order[: len(order)] = order
        self.loads.used[0], self.loads.turn[0] = len(order), 0

    def _bound_alone(self, each: Alone, depth: int) -> None:
        """Bound the futures by themselves, in a round that is due, and judge whether there are more and when."""

        def tell() -> None:
            if self.task.probabilities.only is not None:
                self.floor = max(self.floor, each.bound(self.task.probabilities, self.task.wait_and_see))
            self._report(depth)

        starts = np.zeros((0, len(self.task.must_close)), dtype=bool) if self.closed is None else self.closed[None, :]
        each.round(starts, self.deadline, tell)
        self.floor = max(self.floor, each.bound(self.task.probabilities, self.task.wait_and_see))
        if each.states:
            self._evaluate(each.best())
        together = self._by_nodes([float(self.loads.reached[0])])
        each.judge(self.floor, together, self.value)
        _LOG.info("every future by itself: %.6g pu at least, by nodes for all %.6g pu", self.floor, together)

    def _look_for_infeasibility(self) -> None:
        """Prepare the proof that the limits cannot be kept in the future that is heaviest."""
        heaviest = int(np.abs(self.task.demands).sum(axis=1).argmax())
        self.limits = infeasibility_search(self.built.of(heaviest), self.root)

    def _hopeless(self) -> bool:
        """Whether no state keeps the limits in the heaviest future; searched in turns until a state is known.

        A node of K futures takes as long as K nodes of one.
        """
        if self.limits is None or math.isfinite(self.value):
            return False
        event = self.limits.explore(NODE * len(self.task.demands))
        if event == entries.LEAF:
            closed = self._full(self.limits.work.status)
            self.limits.proves &= self._evaluate(closed[None, :]) or self._excludes(closed)
        return event == entries.EXHAUSTED and self.limits.proves and math.isinf(self.value)

    def _by_nodes(self, rest: list[float]) -> float:
        """Lower bound of the whole search by its nodes."""
        waiting = (node.bound for node in (*self.heap[:1], *self.stack))
        return min([*rest, *waiting, float(self.loads.floor[0])]) + self.numbering.fixed_cost

    def _bound(self, rest: list[float]) -> float:
        """Lower bound of the whole search: the highest that was proven so far."""
        here = min(max(self._by_nodes(rest), self.floor), self.least, self.value, self.unproven)
        self.highest = max(self.highest, here)
        return min(self.highest, self.least, self.value)

    def _report(self, depth: int) -> None:
        if self.progress is None:
            return
        seconds = self.deadline.passed() - self.began
        bound = self._bound([float(self.loads.reached[0])])
        self.progress(
            SearchProgress(seconds, self.nodes, len(self.heap) + len(self.stack), depth, bound, self.value, self.done)
        )

    def _result(self, reason: Termination, *, complete: bool, rest: list[float] | None = None) -> SearchResult:
        holds = math.isfinite(self.value)
        bound = self._bound(rest or [])
        if self.certificate is not None and complete and holds and self.closed is not None:
            worth = self.value_bound, min(self.cutoff + self.numbering.fixed_cost, self.least)
            self.certificate.end(self.closed, worth)
        if complete and not holds and math.isfinite(self.unproven):
            reason = Termination.RELAXATION
        elif complete and not holds:
            reason, bound = Termination.INFEASIBLE, math.inf
        elif complete and (left := gap_between(bound, self.value)) > OPTIMAL:
            near = self.value - bound <= SAME / self.task.network.s_base_kva
            reason = (
                Termination.OPTIMAL
                if near
                else Termination.GAP
                if left <= self.gap * (1.0 + 1e-9)
                else Termination.ACCURACY
            )
        return SearchResult(
            termination=reason,
            closed=self.closed,
            generation=None,
            value=self.value,
            lower_bound=bound,
            least_violation=None if holds else self.best_violation,
            nodes=self.nodes + (0 if self.limits is None else self.limits.nodes),
            probes=int(self.loads.refreshed[0]),
            leaves=self.leaves,
            by_cone=0,
            seconds=self.deadline.passed() - self.began,
        )


def spread(size: Floats) -> Ints:
    """An order of the futures of which every part has small and large ones: by size, in steps of the golden section."""
    by_size, k = np.argsort(size, kind="stable"), len(size)
    step = max(1, round(0.6180339887 * k))
    while math.gcd(step, k) > 1:
        step += 1
    return by_size[(np.arange(k) * step) % k].astype(np.int64)
