"""Region decomposition in a search: when it is used, and what its result changes.

After a number of nodes the root is bounded by its regions (`openpoint.search.regions`). If this bound closes a part of
the gap that the search has left, the search restarts, without the bound by paths, and every node is first bounded by
its regions. A node that this does not prune is branched as usual. While few nodes are pruned so, few are tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from openpoint.arrays import States
from openpoint.search.incumbent import Incumbent
from openpoint.search.kernel.arrays import UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import Counts, Pool, begin_anew, lowest, record_for
from openpoint.search.kernel.entries import propagate, take
from openpoint.search.model.build import Numbering
from openpoint.search.regions import Outcome, by_regions

_LOG = logging.getLogger(__name__)

FIRST, TIMES = 1000, 8
"""Nodes after which regions are tried at the root, and the factor by which this number grows until the next try."""
OPEN = 8
"""Nodes so far for each one that waits, above which the search is about to end and regions are not tried."""
WORTH = 0.05
"""Share of the gap left by the search that the regions of the root must close for it to restart."""
MOST = 1000
"""Most nodes of the search in one region."""
PAYING, REST = 4, 64
"""Tried nodes for each one pruned, above which regions are tried rarely; nodes between two tries then."""


class RegionDecomposition:
    """The use of region decomposition in one search, and its statistics.

    Attributes:
        going: whether nodes are bounded by their regions. patience: number of nodes after which the root is tried, or
            the next node while few are pruned. tried, done: nodes that were tried, and nodes of these that were pruned.
    """

    def __init__(
        self, model: Model, numbering: Numbering, work: Work, counts: Counts, best: Incumbent, over: Callable[[], bool]
    ) -> None:
        self.model, self.numbering, self.work, self.counts = model, numbering, work, counts
        self.incumbent, self.over = best, over
        self.record = record_for(model, 0)
        self.going, self.patience, self.tried, self.done = False, FIRST, 0, 0

    @property
    def state(self) -> tuple[bool, int, int, int]:
        """The state for a checkpoint."""
        return self.going, self.patience, self.tried, self.done

    @state.setter
    def state(self, state: tuple[bool, int, int, int]) -> None:
        self.going, self.patience, self.tried, self.done = state

    @property
    def pace(self) -> float:
        """Nodes until `step` is due again: its times depend on nodes, not on the size of the pieces they come in."""
        left = self.patience - int(self.counts.nodes[0])
        return max(1, left) if self.going or left > 0 else np.inf

    def step(self, pool: Pool) -> bool:
        """Called before a node is processed: tries the root if due, and bounds the current node by its regions.

        Returns whether nodes are bounded by regions, in place of paths.
        """
        counts = self.counts
        left = (counts.active[0] or counts.size[0]) and not counts.stack[0]
        if self.model.devices or not left or counts.nodes[0] < self.patience or not np.isfinite(self.incumbent.value):
            return self.going
        if not self.going:
            self.patience = TIMES * int(counts.nodes[0])
            if counts.nodes[0] > OPEN * counts.size[0]:
                return False
            found, reached = self._of_root(), lowest(counts, pool)
            if found is None or counts.cutoff[0] - found.bound >= (1.0 - WORTH) * (counts.cutoff[0] - reached):
                return False
            _LOG.info("nodes are bounded by regions: at the root they close more of the gap")
            self.going, self.patience = True, 0
            begin_anew(counts, -np.inf)
            self._settle(found)
        while (counts.active[0] or counts.size[0]) and not self.over():
            if not counts.active[0]:
                take(self.model, self.work, pool, counts, self.record)
            if counts.bound[0] >= counts.cutoff[0]:
                break
            found = self._by_regions(self.work.status.copy())
            if self.tried >= PAYING * (self.done + PAYING):
                self.patience = int(counts.nodes[0]) + REST
            if found is None:
                break
            self._settle(found)
            if counts.active[0]:
                break
        return True

    def _of_root(self) -> Outcome | None:
        """Bound the root by its regions; where that does not end the search, also with all branches undecided.

        Branches that must be closed move the hubs closer to the regions. The terms for the voltages of hubs can then
        weaken the bound by more than the excluded states strengthen it. The bound with all branches undecided holds
        for all states, so it is valid for the root too.
        """
        status = self.incumbent.exchange.status
        found = self._by_regions(status)
        if found is None or found.bound >= self.counts.cutoff[0]:
            return found
        free = work_for(self.model)
        if propagate(self.model, free) and np.array_equal(free.status, status):
            return found  # nothing is locked: it would be the same search
        other = self._by_regions(np.full_like(status, UNDECIDED), offer=False)  # its state may violate a lock
        return other if other is not None and other.bound >= self.counts.cutoff[0] else found

    def _by_regions(self, status: States, *, offer: bool = True) -> Outcome | None:
        """Bound a node by its regions; with `offer`, the state made of their best ones is offered to the incumbent."""
        best = self.incumbent.candidate
        assert best is not None
        self.tried += 1
        value, cutoff = best.value - self.numbering.fixed_cost, float(self.counts.cutoff[0])
        loss, tree = self.numbering.loss_at(value), best.closed[self.numbering.branch]
        found = by_regions(self.model, status, tree, value, loss, cutoff, MOST, self.over)
        if found is not None:
            self.counts.nodes[0] += found.nodes
        if found is not None and offer:
            candidate = self.incumbent.exchange.candidate(found.closed)
            if candidate is not None and candidate.beats(best):
                self.incumbent.offer(candidate)
        return found

    def _settle(self, found: Outcome) -> None:
        """Apply the result of the regions to the current node."""
        counts, work, node = self.counts, self.work, found.node
        counts.bound[0] = max(counts.bound[0], found.bound)
        work.status[:], work.y[:], work.mu[:], work.phi[:] = node.status, node.work.y, node.work.mu, node.work.phi
        if found.bound >= counts.cutoff[0]:
            self.done += 1
            counts.active[0], counts.floor[0] = 0, min(counts.floor[0], found.bound)
