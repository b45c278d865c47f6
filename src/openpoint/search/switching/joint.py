"""Radial states that serve several periods alike: all whose values, added up, lie below a threshold.

Where no switch moves between periods they share one state. Its value is the sum of theirs, and so is the bound of a
node of branch and bound (`openpoint.search.kernel.joint`), which is far stronger than that of searches of their own
with prices for their differences: no period can have a branch closed that another one has open.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np

from openpoint.arrays import Bools, Floats, Singles, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.kernel.joint import bounded_with_estimates, close_some, probe_some
from openpoint.search.switching.below import Below, OpenNode, Wanted, no_states, stacked
from openpoint.search.switching.period import PeriodSearch

FIRST, LATER = 10, 2
"""Iterations of the fixed point at the first node, and at others."""
PROBE_SHARE = 0.7
"""Share of the way to the threshold that the estimate of a probe must reach for the probe to be made."""
TRIES = 8
"""Branches that are tried before a node is divided."""
LEAST_GAIN = 0.01
"""Least gain that counts, as a share of the way to the threshold."""


class JointSearch:
    """The search for states that serve several periods."""

    def __init__(self, searches: Sequence[PeriodSearch], weights: Floats, wanted: Wanted) -> None:
        """Prepare it.

        Args:
            searches: (T) the periods. weights: (T) prices of their values. wanted: the states sought, with (T) lower
                bounds of the weighted values of these periods.
        """
        self._searches, self._weights, self._wanted = searches, weights, wanted
        branch = searches[0].branch
        without = np.zeros(len(branch))
        found = [search.priced(without) for search in searches]
        found[0] = searches[0].priced(wanted.prices[branch] / weights[0])
        self._models = [model for model, _ in found if model is not None]
        self._base = weights[0] * found[0][1]
        self._branch = branch

    def below(self) -> Below:
        """The states whose weighted values, prices included, add up to less than the threshold."""
        wanted, size = self._wanted, len(self._wanted.prices)
        if len(self._models) < len(self._searches):
            return no_states(size)
        run = _Run(self)
        run.start()
        while run.heap and run.heap[0].bound < run.cutoff and not wanted.enough(run.nodes, len(run.states)):
            run.step()
        complete = not run.heap or run.heap[0].bound >= run.cutoff
        states, values = stacked(run.states, size), np.array(run.values)
        kept = values < wanted.threshold
        lower = min([run.cutoff, run.floor, *(node.bound for node in run.heap[:1])])
        return Below(states[kept], values[kept], lower, complete, run.nodes)


class _Run:
    """One search; bounds are weighted, with prices."""

    def __init__(self, of: JointSearch) -> None:
        self.of, self.wanted, self.cutoff = of, of._wanted, of._wanted.threshold
        self.heap, self.floor, self.nodes, self._count = list[OpenNode](), math.inf, 0, 0
        self.states, self.values = list[Bools](), list[float]()
        spare = max(self.cutoff - of._base - float(self.wanted.least.sum()), 0.0)
        self._models = [
            search.within(model, (least + spare) / weight)
            for search, model, least, weight in zip(
                of._searches, of._models, self.wanted.least, of._weights, strict=True
            )
        ]
        self._works = [work_for(model) for model in self._models]
        self._record = record_for(self._models[0], 0)

    def start(self) -> None:
        """The first node."""
        branch, status = self.of._branch, self.of._searches[0].first_status()
        self.wanted.give(status, branch)
        first = np.array([(work.y, work.mu) for work in self._works], dtype=np.float32)
        self._push(-math.inf, status, first)

    def step(self) -> None:
        """Process the node of least bound."""
        node = heapq.heappop(self.heap)
        self.nodes += 1
        value, iterations = node.bound, FIRST if self.nodes == 1 else LATER
        for work, (y, mu) in zip(self._works, node.kept, strict=True):
            n = self._models[0].n  # those of sources are given, and a node has half their digits
            work.y[:n], work.mu[:n] = y[:n], mu[:n]
        status = node.status
        while True:
            if not self._put(status):
                return
            status = self._works[0].status.copy()
            free = status == UNDECIDED
            value = max(value, self._bounded(iterations if free.any() else 20))
            if value >= self.cutoff:
                self.floor = min(self.floor, value)
                return
            if not free.any():
                self._leaf(status, value)
                return
            opened = self._opened(free, value)
            sure = free & (opened >= self.cutoff)
            if not sure.any():
                break
            self.floor = min(self.floor, float(opened[sure].min()))
            status[sure] = CLOSED
            iterations = LATER
        self._divide(status, free, value, opened)

    def _put(self, status: States) -> bool:
        """Make a node with its consequences the current one; False where no radial state is left."""
        for model, work in zip(self._models, self._works, strict=True):
            work.status[:] = status
            if not propagate(model, work):
                return False
        return True

    def _bounded(self, iterations: int) -> float:
        total = self.of._base
        for model, work, weight in zip(self._models, self._works, self.of._weights, strict=True):
            total += weight * bounded_with_estimates(model, work, iterations, math.inf)
        return float(total)

    def _opened(self, free: Bools, value: float) -> Floats:
        """(m) bounds with an undecided branch open, where an estimate is high; the node's bound elsewhere."""
        guess = self._sum("guess")
        some = free & (guess >= value + PROBE_SHARE * (self.cutoff - value))
        some[np.where(free, guess, -math.inf).argmax()] = True
        for model, work in zip(self._models, self._works, strict=True):
            probe_some(model, work, self._record, some, math.inf)
        self._guess = np.where(some, -math.inf, np.where(free, guess, -math.inf))
        return np.where(some, np.maximum(self._sum("value"), value), value)

    def _sum(self, name: str) -> Floats:
        parts = [weight * getattr(work, name) for work, weight in zip(self._works, self.of._weights, strict=True)]
        return np.asarray(np.sum(parts, axis=0) + self.of._base)

    def _leaf(self, status: States, value: float) -> None:
        """Evaluate a radial state exactly."""
        of, state = self.of, np.zeros(len(self.wanted.prices), dtype=np.bool_)
        state[of._branch[status == CLOSED]] = True
        exact = sum(float(w * s.values(state[None])[0]) for s, w in zip(of._searches, of._weights, strict=True))
        exact += float(self.wanted.prices[state].sum())
        self.states.append(state)
        self.values.append(exact)
        if not self.wanted.every:
            self.cutoff = min(self.cutoff, exact)

    def _divide(self, status: States, free: Bools, value: float, opened: Floats) -> None:
        """Decide the branch with the greatest product of gains, each up to the threshold."""
        expected = np.maximum(np.where(free, opened, -math.inf), self._guess)
        order = np.argsort(-expected, kind="stable")[: min(TRIES, int(free.sum()))]
        some = np.zeros(len(status), dtype=np.bool_)
        some[order] = True
        for model, work in zip(self._models, self._works, strict=True):
            close_some(model, work, some)
        closed = np.minimum(self._sum("value")[order], self.cutoff)
        least = LEAST_GAIN * (self.cutoff - value)
        scores = np.maximum(np.minimum(expected[order], self.cutoff) - value, least)
        e = int(order[np.argmax(scores * np.maximum(closed - value, least))])
        multipliers = np.array([(work.y, work.mu) for work in self._works], dtype=np.float32)
        for state, bound in ((OPEN, max(value, float(opened[e]))), (CLOSED, value)):
            child = status.copy()
            child[e] = state
            self._push(bound, child, multipliers)

    def _push(self, bound: float, status: States, multipliers: Singles) -> None:
        """Keep a node with the multipliers (T, 2, N) of the one above."""
        self._count += 1
        heapq.heappush(self.heap, OpenNode(bound, self._count, status, multipliers))
