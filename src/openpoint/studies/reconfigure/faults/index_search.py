"""Topology search for the least index of interruptions: SAIFI, SAIDI or energy not supplied.

Best-first branch and bound on the states of branches, by the bound of the interruptions in all completions
(`openpoint.studies.reconfigure.faults.partial`). The branch is decided whose two sides raise the bound most, by the
product of both gains (Achterberg, Koch, Martin 2005). Radial states are evaluated exactly, their limits without a fault
included. Where no limit binds and breakers stand at the feeders' heads alone, what is left open is mainly what faults
leave without supply until the repair, of which the bound knows only what no completion restores: then many nodes have
one bound. Where radial states are few, all are evaluated after `QUICK` nodes.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import Bools, Ints, States
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.studies.reconfigure.faults.exchange import FaultExchange
from openpoint.studies.reconfigure.faults.search import Found, ended
from openpoint.studies.reconfigure.faults.task import ROUNDED, EvaluatedState, FaultTask
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

TRIES = 12
"""Branches tried at a node, at most."""
MORE = 500
"""Nodes for how low the index may be, at least, where it is proven that it may not be as low as is asked for."""
QUICK, MOST_STATES, MOST_LOOPS = 200, 100_000, 8
"""Nodes after which all radial states are evaluated; how many these may be, and loops with which they are counted."""
CHUNK = 256
"""States whose losses are computed at a time."""
LEAST_GAIN = 1e-6
"""Least gain of a side in the score, relative to the bound; with a gain of 0 the product of both would be 0."""


class IndexSearch:
    """One search and its state."""

    def __init__(
        self,
        task: FaultTask,
        gap: float,
        deadline: Deadline,
        progress: Callable[[SearchProgress], None] | None,
        enough: float = -math.inf,
    ) -> None:
        """`enough`: the search ends once a state has no more, or none has, proven, and `MORE` nodes are done."""
        self.enough = enough
        self.task, self.gap, self.deadline, self.progress = task, gap, deadline, progress
        self.model, self.numbering = build_model(
            task.network, must_close=task.must_close, must_open=task.must_open, max_changes=task.max_changes
        )
        self.work = work_for(self.model)
        self.heap: list[tuple[float, int, States]] = []
        self.nodes, self.leaves, self.pushed = 0, 0, 0
        self.cutoff, self.floor = math.inf, math.inf
        self.exchange = FaultExchange(task, deadline.over, self._keep)

    def solve(self, starts: list[Bools]) -> Found:
        """Run the search."""
        self.work.status[self.task.must_close[self.numbering.branch]] = CLOSED
        root = self._bounded(self.work.status.copy())
        self.began = self.deadline.passed()
        if root is None:
            return Found(None, self._result(Termination.INFEASIBLE))
        for closed in starts:
            if not self._is_enough:
                self.exchange.offer(closed, self.exchange.patience)
        if not self._is_enough:
            self.exchange.kicks(self.exchange.patience)
        self._push(*root)
        reason = Termination.OPTIMAL
        while self.heap:
            if self.deadline.over():
                reason = self.deadline.why
                break
            too_much = self.enough >= 0.0 and self._lower() > self.enough * (1.0 + ROUNDED)
            if self._is_enough or (too_much and self.nodes >= MORE):
                reason = Termination.GAP
                break
            bound, _, status = heapq.heappop(self.heap)
            if bound >= self.cutoff:
                self.floor, self.heap = min(self.floor, bound), []
                break
            self._branch(bound, status)
            if self.nodes == QUICK and self._has_few_states() and self._evaluate_all():
                self.floor, self.heap = math.inf, []
                break
            if self.progress is not None:
                self.progress(self._progress())
            if self.nodes >= 64 and self.nodes.bit_count() == 1:  # 64, 128, 256, …
                self.exchange.kicks(self.exchange.patience)
        return Found(self.exchange.best, self._result(reason))

    def _bounded(self, status: States) -> tuple[float, States] | None:
        """The bound of a node and its state with all consequences; None where no completion keeps the limits."""
        self.work.status[:] = status
        if not propagate(self.model, self.work):
            return None
        known = np.full(self.task.network.n_conductors, OPEN, dtype=np.int8)
        known[self.numbering.branch] = self.work.status
        bound = self.task.least(known)
        return None if bound is None else (bound, self.work.status.copy())

    def _branch(self, bound: float, status: States) -> None:
        """Decide the branch of the best score, or evaluate a radial state."""
        self.nodes += 1
        free = np.flatnonzero(status == UNDECIDED)
        if not len(free):
            self.leaves += 1
            closed = np.zeros(self.task.network.n_conductors, dtype=np.bool_)
            closed[self.numbering.branch] = status == CLOSED
            self.exchange.offer(closed, 0)
            return
        best, chosen = -1.0, list[tuple[float, States] | None]()
        for e in self._candidates(status, free).tolist():
            sides = []
            for state in (CLOSED, OPEN):
                child = status.copy()
                child[e] = state
                sides.append(self._bounded(child))
            gains = [self._gain(bound, side) for side in sides]
            if gains[0] * gains[1] > best:
                best, chosen = gains[0] * gains[1], sides
            if None in sides:
                break
        for side in chosen:
            if side is not None:
                self._push(max(bound, side[0]), side[1])

    def _has_few_states(self) -> bool:
        """Whether radial states are so few that all can be evaluated."""
        task, network = self.task, self.task.network
        loops = int((~task.must_open).sum()) - network.n_terminals + len(network.source_terminal)
        if loops > MOST_LOOPS:
            return False
        return count_topologies(network, locked_closed=task.must_close, locked_open=task.must_open) <= MOST_STATES

    def _evaluate_all(self) -> bool:
        """Evaluate all radial states; whether that was done."""
        task = self.task
        every = topologies(task.network, locked_closed=task.must_close, locked_open=task.must_open, chunk=CHUNK)
        for states in every:
            loss, violation = task.ac.evaluate(states)
            for closed, each, miss in zip(states, loss.tolist(), violation.tolist(), strict=True):
                if self._is_enough or self.deadline.over():
                    return False
                if self._may_be_better(closed, miss):
                    self.exchange.keep(task.evaluated(closed, each, miss))
            if self.progress is not None:
                self.progress(self._progress())
        return True

    def _may_be_better(self, closed: Bools, violation: float) -> bool:
        """Whether a radial state may be better than the best one, by its bound and its limits without a fault."""
        task, best = self.task, self.exchange.best
        if task.max_changes is not None and np.sum(closed != task.network.closed) > task.max_changes:
            return False
        if best is None or not best.holds:
            return best is None or violation <= best.merit[0]
        bound = None if violation > 0.0 else task.least(np.where(closed, CLOSED, OPEN).astype(np.int8))
        return bound is not None and bound < best.merit[2]

    def _gain(self, bound: float, side: tuple[float, States] | None) -> float:
        most = self.cutoff if math.isfinite(self.cutoff) else 2.0 * bound + 1.0
        value = most if side is None else min(side[0], most)
        return max(value - bound, LEAST_GAIN * (bound + 1e-9))

    def _candidates(self, status: States, free: Ints) -> Ints:
        """Undecided branches between what is attached and the rest, those first that reach most."""
        known = np.full(self.task.network.n_conductors, OPEN, dtype=np.int8)
        known[self.numbering.branch] = status
        bound, network = self.task.bound, self.task.network
        bound.faults(known, self.task.limits.most)
        place, part = bound.work.place[: network.n_terminals], bound.work.part[: network.n_terminals]
        weight = np.bincount(part[part >= 0], bound.least.by_weight[part >= 0], minlength=network.n_terminals)
        branch = self.numbering.branch[free]
        fr, to = network.terminal_fr[branch], network.terminal_to[branch]
        reached = np.where(place[fr] < 0, weight[part[fr]], 0.0) + np.where(place[to] < 0, weight[part[to]], 0.0)
        beside = (place[fr] >= 0) != (place[to] >= 0)
        return free[np.lexsort((-reached, ~beside))[:TRIES]]

    def _push(self, bound: float, status: States) -> None:
        if bound >= self.cutoff:
            self.floor = min(self.floor, bound)
            return
        self.pushed += 1
        heapq.heappush(self.heap, (bound, self.pushed, status))

    def _keep(self, state: EvaluatedState) -> None:
        if state.holds:
            self.cutoff = min(self.cutoff, state.merit[2] * (1.0 - self.gap))

    @property
    def _is_enough(self) -> bool:
        """Whether a state has as little as is asked for."""
        return self._value <= self.enough * (1.0 + ROUNDED)

    @property
    def _value(self) -> float:
        best = self.exchange.best
        return best.merit[2] if best is not None and best.holds else math.inf

    def _lower(self) -> float:
        waiting = self.heap[0][0] if self.heap else math.inf
        return min(waiting, self.floor, self._value)

    def _progress(self) -> SearchProgress:
        seconds = self.deadline.passed() - self.began
        return SearchProgress(seconds, self.nodes, len(self.heap), 0, self._lower(), self._value, 0.0)

    def _result(self, reason: Termination) -> SearchResult:
        return replace(ended(self.task, self.exchange.best, reason, self._progress()), leaves=self.leaves)
