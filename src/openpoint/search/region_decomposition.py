"""When a search gives its nodes to their regions: where these say more of the root than all nodes so far.

Then the search begins anew, and every node is first given to its regions; what they leave of it is branched as ever.
While few nodes end so, few are given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openpoint.arrays import States
from openpoint.search.incumbent import Incumbent
from openpoint.search.kernel.arrays import UNDECIDED, Counts, Model, Pool, Work, lowest, take
from openpoint.search.model.build import Numbering
from openpoint.search.regions import Outcome, by_regions

FIRST, TIMES = 1000, 8
"""Nodes after which regions are tried at the root, and by how much they grow until that is done again."""
MOST = 1000
"""Nodes that a region may have."""
PAYING, REST = 4, 64
"""Nodes given to their regions for one that ends so, over which that does not pay; nodes between two of them then."""


class RegionDecomposition:
    """How it goes in one search.

    Attributes:
        going: whether nodes are given. patience: nodes after which the root is tried, or the next node while that does
            not pay. tried, done: nodes that were given, and those of them that ended so.
    """

    def __init__(
        self, model: Model, numbering: Numbering, work: Work, counts: Counts, best: Incumbent, over: Callable[[], bool]
    ) -> None:
        self.model, self.numbering, self.work, self.counts = model, numbering, work, counts
        self.incumbent, self.over = best, over
        self.going, self.patience, self.tried, self.done = False, FIRST, 0, 0

    @property
    def state(self) -> tuple[bool, int, int, int]:
        """What it needs to be gone on with."""
        return self.going, self.patience, self.tried, self.done

    @state.setter
    def state(self, state: tuple[bool, int, int, int]) -> None:
        self.going, self.patience, self.tried, self.done = state

    @property
    def pace(self) -> float:
        """Nodes until it is to be asked again."""
        return max(1.0, self.patience - self.counts.nodes[0]) if self.going else np.inf

    def step(self, pool: Pool) -> None:
        """Before a node is processed: try the root if it is time, and give the node at hand to its regions."""
        counts = self.counts
        left = counts.active[0] or counts.size[0]
        if not left or counts.nodes[0] < self.patience or not np.isfinite(self.incumbent.value):
            return
        if not self.going:
            self.patience = TIMES * int(counts.nodes[0])
            found = self._of_root()
            if found is None or found.bound <= lowest(counts, pool):
                return
            self.going, self.patience = True, 0
            counts.size[0], counts.active[0], counts.depth[0] = 0, 1, 0
            counts.bound[0], counts.floor[0] = -np.inf, counts.cutoff[0]
            self._settle(found)
        while (counts.active[0] or counts.size[0]) and not self.over():
            if not counts.active[0]:
                take(self.work, pool, counts)
            if counts.bound[0] >= counts.cutoff[0]:
                return
            if self.tried >= PAYING * (self.done + PAYING):
                self.patience = int(counts.nodes[0]) + REST
            found = self._by_regions(self.work.status.copy())
            if found is None:
                return
            self._settle(found)
            if counts.active[0]:
                return

    def _of_root(self) -> Outcome | None:
        """The root by its regions; where that does not end the search, also with all branches free.

        Branches that must be closed bring hubs nearer to the regions, and what a hub's voltage is priced at may lose
        more than the states that they rule out: the bound of all states is one of these, too.
        """
        status = self.incumbent.exchange.status
        found = self._by_regions(status)
        if found is None or found.bound >= self.counts.cutoff[0] or np.all(status == UNDECIDED):
            return found
        free = self._by_regions(np.full_like(status, UNDECIDED), offer=False)  # its state may break a lock
        return free if free is not None and free.bound >= self.counts.cutoff[0] else found

    def _by_regions(self, status: States, *, offer: bool = True) -> Outcome | None:
        """Give a node to its regions, and keep the state that they make together if it is a better one and on offer."""
        best = self.incumbent.candidate
        assert best is not None
        self.tried += 1
        value, cutoff = best.value - self.numbering.fixed_cost, float(self.counts.cutoff[0])
        found = by_regions(self.model, status, best.closed[self.numbering.branch], value, cutoff, MOST, self.over)
        if found is not None:
            self.counts.nodes[0] += found.nodes
        if found is not None and offer:
            candidate = self.incumbent.exchange.candidate(found.closed)
            if candidate is not None and candidate.beats(best):
                self.incumbent.offer(candidate)
        return found

    def _settle(self, found: Outcome) -> None:
        """Go on with what regions leave of the node at hand."""
        counts, work, node = self.counts, self.work, found.node
        counts.bound[0] = max(counts.bound[0], found.bound)
        work.status[:], work.y[:], work.mu[:], work.phi[:] = node.status, node.work.y, node.work.mu, node.work.phi
        if found.bound >= counts.cutoff[0]:
            self.done += 1
            counts.active[0], counts.floor[0] = 0, min(counts.floor[0], found.bound)
