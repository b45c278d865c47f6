"""Region decomposition in a search: when it is used, and what its result changes.

After a number of nodes the root is bounded by its regions (`openpoint.search.regions`), with a quarter of the
operations that the search has had, or a few nodes of each. If this bound closes a part of the gap that the search has
left, the searches in regions go on with as many operations as the search has had, and the search restarts, without the
bound by paths, and every node is first bounded by its regions. A node that this does not prune is branched as usual.
While few nodes are pruned so, few are tried.

In a certificate nodes are ended by their regions or left as they are, and a restart drops the lines written so far.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from openpoint.arrays import Bools, States
from openpoint.search.incumbent import Incumbent
from openpoint.search.kernel.arrays import UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import Counts, begin_anew, record_for
from openpoint.search.kernel.entries import propagate, take
from openpoint.search.model.build import Numbering
from openpoint.search.regions import Effort, Outcome, by_regions
from openpoint.search.tree import CompiledTree

if TYPE_CHECKING:  # of a search that writes a certificate
    from openpoint.search.certificate import Certificate

_LOG = logging.getLogger(__name__)

FIRST, TIMES = 256, 4
"""Nodes after which regions are tried at the root, and the factor by which this number grows until the next try."""
CERTIFIED = 1000, 8
"""The same of a certificate, whose tries cost far more."""
OPEN = 8
"""Nodes so far for each one that waits, above which the search is about to end and regions are not tried."""
WORTH = 0.05
"""Share of the gap left by the search that the regions of the root must close for it to restart."""
PART, FEW, MANY = 4, 200, 1000
"""Operations of the search for each one that regions have to close more of the gap; those that do have as many then.
Nodes that each region may have in both cases, however many operations they take."""
MOST = (Effort(1000),)
"""Most nodes of the search in one region, but for tries at the root without a certificate."""
PAYING, REST = 4, 64
"""Tried nodes for each one pruned, above which regions are tried rarely; nodes between two tries then."""


class RegionDecomposition:
    """The use of region decomposition in one search, and its statistics.

    Attributes:
        going: whether nodes are bounded by their regions. patience: number of nodes after which the root is tried, or
            the next node while few are pruned. tried, done: nodes that were tried, and nodes of these that were pruned.
            more: nodes beside those that are counted: of a certificate those of regions, and before a restart.
    """

    def __init__(
        self,
        model: Model,
        numbering: Numbering,
        work: Work,
        counts: Counts,
        best: Incumbent,
        over: Callable[[], bool],
        certificate: Certificate | None = None,
    ) -> None:
        self.model, self.numbering, self.work, self.counts = model, numbering, work, counts
        self.incumbent, self.over, self.certificate = best, over, certificate
        self.record = record_for(model, 0) if certificate is None else certificate.record
        self.going, self.tried, self.done, self.more = False, 0, 0, 0
        self.patience, self.times = (FIRST, TIMES) if certificate is None else CERTIFIED

    @property
    def state(self) -> tuple[bool, int, int, int, int]:
        """The state for a checkpoint."""
        return self.going, self.patience, self.tried, self.done, self.more

    @state.setter
    def state(self, state: tuple[bool, int, int, int, int]) -> None:
        self.going, self.patience, self.tried, self.done, self.more = state

    @property
    def nodes(self) -> int:
        """All nodes so far."""
        return int(self.counts.nodes[0]) + self.more

    @property
    def pace(self) -> float:
        """Nodes until `step` is due again: its times depend on nodes, not on the size of the pieces they come in."""
        left = self.patience - int(self.counts.nodes[0])
        return max(1, left) if self.going or left > 0 else np.inf

    def step(self, tree: CompiledTree[Any]) -> bool:
        """Called before a node is processed: tries the root if due, and bounds the current node by its regions.

        Returns whether nodes are bounded by regions, in place of paths.
        """
        counts = self.counts
        left = (counts.active[0] or counts.size[0]) and not counts.stack[0]
        if self.model.devices or not left or counts.nodes[0] < self.patience or not np.isfinite(self.incumbent.value):
            return self.going
        if not self.going:
            self.patience = self.times * int(counts.nodes[0])
            if counts.nodes[0] > OPEN * counts.size[0]:
                return False
            found = self._better(counts.cutoff[0] - tree.lowest, tree.operations)
            if found is None:
                return False
            _LOG.info("nodes are bounded by regions: at the root they close more of the gap")
            self.going, self.patience = True, 0
            begin_anew(counts, -np.inf)
            if self.certificate is None:
                self._settle(found)
            else:
                self._begin_lines_anew(self.certificate)
        while (counts.active[0] or counts.size[0]) and not self.over():
            if not counts.active[0]:
                take(self.model, self.work, tree.pool, counts, self.record)
            if counts.bound[0] >= counts.cutoff[0]:
                break
            if self.certificate is not None:
                if self._ended(self.certificate):
                    continue
                break
            found = self._by_regions(self.work.status.copy(), MOST)
            if self.tried >= PAYING * (self.done + PAYING):
                self.patience = int(counts.nodes[0]) + REST
            if found is None:
                break
            self._settle(found)
            if counts.active[0]:
                break
        return True

    def _begin_lines_anew(self, certificate: Certificate) -> None:
        """Make the root the first node of an empty certificate, which numbers nodes by their count."""
        counts, work = self.counts, self.work
        self.more += int(counts.nodes[0])
        counts.nodes[0] = 0
        certificate.begin_anew()
        work.status[:] = self.incumbent.exchange.status
        for values, first in ((work.y, self.model.y_first), (work.mu, 0.0), (work.phi, 0.0)):
            values[:] = first

    def _ended(self, certificate: Certificate) -> bool:
        """End the current node by its regions, with their lines; whether they do."""
        counts, best = self.counts, self.incumbent.candidate
        if best is None or not propagate(self.model, self.work):
            return False
        from openpoint.search.region_lines import searched_by_regions

        self.tried += 1
        known = best.closed[self.numbering.branch], best.value - self.numbering.fixed_cost
        status, cutoff = self.work.status.copy(), float(counts.cutoff[0])
        found = searched_by_regions(self.model, self.numbering, status, known, cutoff, int(MOST[0].nodes), self.over)
        if self.tried >= PAYING * (self.done + PAYING):
            self.patience = int(counts.nodes[0]) + REST
        if found is None:
            return False
        self.more += found.nodes - 1
        self._offer(found.closed)
        self.work.status[:] = status
        if found.bound < counts.cutoff[0]:
            return False
        certificate.take()
        for line in found.lines():
            certificate.write(line)
        self.done += 1
        counts.nodes[0] += 1
        counts.active[0], counts.floor[0] = 0, min(counts.floor[0], found.bound)
        return True

    def _offer(self, closed: Bools) -> None:
        """Offer a state made of the best ones of regions, if it is better than the best one known."""
        candidate = self.incumbent.exchange.candidate(closed)
        if candidate is not None and candidate.beats(self.incumbent.candidate):
            self.incumbent.offer(candidate)

    def _better(self, gap: float, spent: int) -> Outcome | None:
        """The root by its regions, where that closes more of the gap than the search has; `spent`: its operations."""
        goal = self.counts.cutoff[0] - (1.0 - WORTH) * gap
        most: tuple[Effort, ...] = MOST
        if self.certificate is None:
            most = Effort(math.inf, spent / PART, FEW), Effort(math.inf, spent, MANY)
        found = self._of_root(most, goal)
        return None if found is None or found.bound <= goal else found

    def _of_root(self, most: tuple[Effort, ...], goal: float) -> Outcome | None:
        """Bound the root by its regions; where that does not end the search, also with all branches undecided.

        Branches that must be closed move the hubs closer to the regions. The terms for the voltages of hubs can then
        weaken the bound by more than the excluded states strengthen it. The bound with all branches undecided holds
        for all states, so it is valid for the root too.
        """
        status = self.incumbent.exchange.status
        found = self._by_regions(status, most, goal)
        if found is None or found.bound >= self.counts.cutoff[0]:
            return found
        free = work_for(self.model)
        if propagate(self.model, free) and np.array_equal(free.status, status):
            return found  # nothing is locked: it would be the same search
        other = self._by_regions(
            np.full_like(status, UNDECIDED), most, goal, offer=False
        )  # its state may violate a lock
        return other if other is not None and other.bound >= self.counts.cutoff[0] else found

    def _by_regions(
        self, status: States, most: tuple[Effort, ...], goal: float = math.inf, *, offer: bool = True
    ) -> Outcome | None:
        """Bound a node by its regions; with `offer`, the state made of their best ones is offered to the incumbent."""
        best = self.incumbent.candidate
        assert best is not None
        self.tried += 1
        value, cutoff = best.value - self.numbering.fixed_cost, float(self.counts.cutoff[0])
        loss, tree = self.numbering.loss_at(value), best.closed[self.numbering.branch]
        found = by_regions(self.model, status, tree, value, loss, cutoff, most, self.over, goal)
        if found is not None and self.certificate is None:
            self.counts.nodes[0] += found.nodes
        elif found is not None:
            self.more += found.nodes
        if found is not None and offer:
            self._offer(found.closed)
        return found

    def _settle(self, found: Outcome) -> None:
        """Apply the result of the regions to the current node."""
        counts, work, node = self.counts, self.work, found.node
        counts.bound[0] = max(counts.bound[0], found.bound)
        work.status[:], work.y[:], work.mu[:], work.phi[:] = node.status, node.work.y, node.work.mu, node.work.phi
        if found.bound >= counts.cutoff[0]:
            self.done += 1
            counts.active[0], counts.floor[0] = 0, min(counts.floor[0], found.bound)
