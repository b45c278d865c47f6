"""All radial states whose value over many steps, with prices on closed branches, lies below a threshold.

As `openpoint.search.switching.period` for one demand, with the bound of groups of steps
(`openpoint.search.futures.groups`). A price on a closed branch counts in every group alike; the weights of the groups
add up to 1, so that the bound of a node is that of the mean loss with the prices once.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.search.futures.arrays import UNKNOWN, Loads, loads_for
from openpoint.search.futures.model import FuturesModel
from openpoint.search.futures.node import DONE, LEAF, bounds_of_futures, process_futures
from openpoint.search.futures.search import FIRST, LATER, POPPED, spread
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.switching.below import Below, OpenNode, Wanted, no_states, stacked
from openpoint.search.switching.period import priced


@dataclass(frozen=True, eq=False)
class GroupedSearch:
    """Steps in groups, and the search for the states of small mean loss.

    Attributes:
        built: the model of the mean demands of the groups, its voltages those of all steps. weights: (K) of the groups,
            adding up to 1. must_close: (E) branches that are closed.
        evaluate: exact mean loss of a radial state over the steps, inf where limits are broken; per unit.
    """

    built: FuturesModel
    weights: Floats
    must_close: Bools
    evaluate: Callable[[Bools], float]

    def below(self, wanted: Wanted) -> Below:
        """The states whose mean loss, prices included, lies below a threshold."""
        prices, threshold = wanted.prices, wanted.threshold
        model, base = priced(self.built.model, self.must_close[self.built.numbering.branch], prices[self._branch])
        run = None if model is None else _Run(self, model, wanted, base)
        if run is None or not run.start():
            return no_states(len(prices))
        complete = True
        while complete and run.go_on():
            complete = not wanted.enough(run.nodes, len(run.states))
        states = stacked(run.states, len(prices))
        values = base + np.array(run.values, dtype=np.float64)
        kept = values < threshold
        bound = run.cutoff if complete else min(run.cutoff, run.lowest())
        return Below(states[kept], values[kept], base + bound, complete, run.nodes)

    @property
    def _branch(self) -> Ints:
        return self.built.numbering.branch


class _Run:
    """One search; values are without the cost of the cheapest tree."""

    def __init__(self, of: GroupedSearch, model: Model, wanted: Wanted, base: float) -> None:
        self.of, self.model, self.wanted, self.base = of, model, wanted, base
        self.cutoff = wanted.threshold - base
        self.work, self.record = work_for(model), record_for(model, 0)
        self.loads: Loads = loads_for(model, of.built.p, of.built.q)
        self.heap, self.nodes, self.active, self.iterations = list[OpenNode](), 0, True, FIRST
        self.states, self.values = list[Bools](), list[float]()

    def start(self) -> bool:
        """Bound the first node in all groups; False where there is no radial state."""
        work, loads, branch = self.work, self.loads, self.of._branch
        work.status[:] = np.where(self.of.must_close[branch], CLOSED, UNDECIDED)
        self.wanted.give(work.status, branch)
        if not propagate(self.model, work):
            return False
        loads.y[:], loads.mu[:] = work.y, work.mu
        order = spread(np.abs(loads.p).sum(axis=1))
        loads.rows[0], loads.used[0] = 1, len(order)
        loads.weight[0], loads.order[: len(order)] = self.of.weights, order
        first = work.status.copy()
        bounds_of_futures(self.model, work, loads, FIRST)
        work.status[:] = first
        self.root_value, self.root = loads.value.copy(), [each.copy() for each in (loads.y, loads.mu, loads.phi)]
        loads.reached[0] = -math.inf
        return True

    def go_on(self) -> bool:
        """Process a node; False where none is left of interest."""
        if not self.active:
            if not self.heap or self.heap[0].bound >= self.cutoff:
                return False
            self._pop()
        self.nodes += 1
        shared = self.model, self.work, self.loads, self.record
        branch = process_futures(*shared, self.nodes, self.iterations, self.cutoff)
        self.active, self.iterations = branch >= 0, LATER
        if branch == LEAF:
            self._leaf()
        elif branch != DONE:
            self._push(branch)
        return True

    def lowest(self) -> float:
        """Least bound of the nodes that are left."""
        rest = [float(self.loads.reached[0])] if self.active else []
        return min([*rest, *(node.bound for node in self.heap[:1])], default=math.inf)

    def _push(self, branch: int) -> None:
        """Keep the side with the branch open, and go on with the closed one."""
        work, loads = self.work, self.loads
        work.status[branch] = OPEN
        bound = max(float(loads.reached[0]), float(loads.opening[0]))
        value = np.maximum(loads.value, loads.opened)  # (K) bounds in every group
        heapq.heappush(self.heap, OpenNode(bound, self.nodes, work.status.copy(), value))
        loads.opened[:] = UNKNOWN
        work.status[branch] = CLOSED

    def _pop(self) -> None:
        """Make the node of least bound the current one."""
        node, loads = heapq.heappop(self.heap), self.loads
        self.work.status[:] = node.status
        loads.value[:] = np.maximum(node.kept, self.root_value)
        loads.reached[0], self.iterations = node.bound, POPPED
        for mine, kept in zip((loads.y, loads.mu, loads.phi), self.root):
            mine[:] = kept

    def _leaf(self) -> None:
        """Evaluate the radial state that is left."""
        state = self.of.must_close.copy()
        state[self.of._branch] = self.work.status == CLOSED
        value = self.of.evaluate(state) + float(self.wanted.prices[state].sum()) - self.base
        self.states.append(state)
        self.values.append(value)
        if not self.wanted.every:
            self.cutoff = min(self.cutoff, value)
