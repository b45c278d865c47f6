"""Radial states that serve several periods alike: all whose values, added up, lie below a threshold.

Where no switch moves between periods they share one state. Its value is the sum of theirs, and so is the bound of a
node of branch and bound (`openpoint.search.kernel.joint`), which is far stronger than that of searches of their own
with prices for their differences: no period can have a branch closed that another one has open.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Floats, Singles, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.kernel.joint import bounded_with_estimates, close_some, probe_some
from openpoint.search.switching.period import Below, PeriodSearch

FIRST, LATER = 10, 2
"""Iterations of the fixed point at the first node, and at others."""
PROBE_SHARE = 0.7
"""Share of the way to the threshold that the estimate of a probe must reach for the probe to be made."""
TRIES = 8
"""Branches that are tried before a node is divided."""
LEAST_GAIN = 0.01
"""Least gain that counts, as a share of the way to the threshold."""


@dataclass(order=True)
class _Node:
    """An open node: its bound, states (m), and multipliers (T, 2, N) of the node above."""

    bound: float
    number: int
    status: States = field(compare=False)
    multipliers: Singles = field(compare=False)


class JointSearch:
    """The search for states that serve several periods."""

    def __init__(self, searches: Sequence[PeriodSearch], weights: Floats, prices: Floats, least: Floats) -> None:
        """Prepare it.

        Args:
            searches: (T) the periods. weights: (T) prices of their values. prices: (E) of closed branches, of all
                periods together. least: (T) lower bounds of the weighted values of the periods alone.
        """
        self._searches, self._weights, self._prices, self._least = searches, weights, prices, least
        branch = searches[0].branch
        without = np.zeros(len(branch))
        found = [search.priced(without) for search in searches]
        found[0] = searches[0].priced(prices[branch] / weights[0])
        self._models = [model for model, _ in found if model is not None]
        self._base = weights[0] * found[0][1]
        self._branch = branch

    def below(
        self,
        threshold: float,
        *,
        every: bool,
        given: tuple[Bools, Bools] | None = None,
        most_nodes: int | None = None,
        most_states: int | None = None,
        over: Callable[[], bool] = lambda: False,
    ) -> Below:
        """The states with a value, prices included, below a threshold; arguments as of `PeriodSearch.below`."""
        size = len(self._prices)
        if len(self._models) < len(self._searches):
            return Below(np.zeros((0, size), dtype=np.bool_), np.empty(0), math.inf, True, 0)
        run = _Run(self, threshold, every)
        run.start(given)
        while run.heap and run.heap[0].bound < run.cutoff:
            if over() or (most_nodes is not None and run.nodes >= most_nodes):
                break
            if most_states is not None and len(run.states) > most_states:
                break
            run.step()
        complete = not run.heap or run.heap[0].bound >= run.cutoff
        states = np.array(run.states, dtype=np.bool_).reshape(len(run.states), size)
        values = np.array(run.values)
        kept = values < threshold
        lower = min([run.cutoff, run.floor, *(node.bound for node in run.heap[:1])])
        return Below(states[kept], values[kept], lower, complete, run.nodes)


class _Run:
    """One search; bounds are weighted, with prices."""

    def __init__(self, of: JointSearch, threshold: float, every: bool) -> None:
        self.of, self.cutoff, self.every = of, threshold, every
        self.heap, self.floor, self.nodes, self._count = list[_Node](), math.inf, 0, 0
        self.states, self.values = list[Bools](), list[float]()
        spare = max(threshold - of._base - float(of._least.sum()), 0.0)
        self._models = [
            search.within(model, (least + spare) / weight)
            for search, model, least, weight in zip(of._searches, of._models, of._least, of._weights, strict=True)
        ]
        self._works = [work_for(model) for model in self._models]
        self._record = record_for(self._models[0], 0)

    def start(self, given: tuple[Bools, Bools] | None) -> None:
        """The first node."""
        branch, status = self.of._branch, self.of._searches[0].first_status()
        if given is not None:
            status[given[0][branch]] = CLOSED
            status[given[1][branch]] = OPEN
        first = np.array([(work.y, work.mu) for work in self._works], dtype=np.float32)
        self._push(-math.inf, status, first)

    def step(self) -> None:
        """Process the node of least bound."""
        node = heapq.heappop(self.heap)
        self.nodes += 1
        value, iterations = node.bound, FIRST if self.nodes == 1 else LATER
        for work, (y, mu) in zip(self._works, node.multipliers, strict=True):
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
        """(m) bounds with an undecided branch open, where an estimate promises much; estimates less half elsewhere."""
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
        of, state = self.of, np.zeros(len(self.of._prices), dtype=np.bool_)
        state[of._branch[status == CLOSED]] = True
        exact = sum(float(w * s.values(state[None])[0]) for s, w in zip(of._searches, of._weights, strict=True))
        exact += float(of._prices[state].sum())
        self.states.append(state)
        self.values.append(exact)
        if not self.every:
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
        self._count += 1
        heapq.heappush(self.heap, _Node(bound, self._count, status, multipliers))
