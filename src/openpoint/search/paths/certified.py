"""A search with both bounds for a certificate: what is decided by paths, the checker's own bound decides.

At a node the path bound of the search, in floating point, gives multipliers. Rounded, these go to that of the checker
(`openpoint.verify.path_table`): where it reaches the cutoff the node is done, and what it excludes is excluded. So the
checker comes to the same end at each line that is written. The least powers of paths are those of the first node here,
as the checker has them, and nothing is concluded from the flows of states below the cutoff.
"""

from __future__ import annotations

import logging

import numpy as np

from openpoint.arrays import Ints, States
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import NONE, PATHS, Counts, Pool, Record
from openpoint.search.kernel.entries import EXHAUSTED, FULL, PAUSED, WRITTEN, explore, propagate, take
from openpoint.search.kernel.node import MARGIN
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import BACK, FORTH, OF_NODE, PathPool, Paths, PathWork
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.checked import BITS, CheckedPaths
from openpoint.verify.path_node import EXCLUDED, NEITHER, REACHED

_LOG = logging.getLogger(__name__)

FIRST, NEXT, AGAIN = 300, 12, 6
"""Evaluations of the path bound at most: at the first node, at others, and there where something was excluded."""
TURNS = 8
"""Times that the bound excludes states at a node, at most."""
BEYOND = 1e-7
"""By how much of itself the cutoff is to be exceeded, so that rounded multipliers reach it."""
ENOUGH, PAYING, STILL = 64, 0.7, 0.65
"""Nodes between two judgements whether the bound by paths pays; share of them at which it must help, first and later.

A duel (`openpoint.search.duel`) would begin a certificate anew.
"""
LINES = 2 * TURNS + 4
"""Rows of a record that a node may take before its first bound."""


class CertifiedNodes:
    """The nodes of a search with both bounds, one by one, with lines of a certificate.

    Attributes:
        checked: the paths of the checker. pays: as `openpoint.search.paths.explorer.PathExplorer`.
    """

    def __init__(
        self, model: Model, work: Work, paths: Paths, of_paths: PathWork, checked: CheckedPaths, record: Record
    ) -> None:
        """`record`: for the lines; one without rows holds none."""
        self.model, self.work, self.paths, self.of_paths = model, work, paths, of_paths
        self.checked, self.record, self.pays = checked, record, True
        checked.fill(paths, of_paths, checked.nodes.table)

    def explore(self, pool: Pool, more: PathPool, counts: Counts, most: int) -> int:
        """As `openpoint.search.kernel.entries.explore`; it pauses where `pays` is asked anew."""
        record, due = self.record, self._due()
        for _ in range(most):
            if 2 * (record.size[0] + LINES) > len(record.kind) > 0:
                return WRITTEN
            if not counts.active[0]:
                if counts.size[0] + counts.stack[0] == 0:
                    return EXHAUSTED
                last = counts.size[0] + counts.stack[0] - 1
                row = int(pool.heap[last if counts.stack[0] else 0])
                for name in OF_NODE:
                    getattr(self.of_paths, name)[:] = getattr(more, name)[row]
                take(self.model, self.work, pool, counts, record)
            if counts.size[0] + counts.stack[0] == len(pool.heap):
                return FULL
            event = self._explore_one(pool, more, counts)
            if event != PAUSED:
                return event
            if self.of_paths.tally[0] >= due:
                self._judge_whether_it_pays()
                return PAUSED
        return PAUSED

    def _due(self) -> int:
        """Number of nodes bounded by paths at which it is asked next whether that pays."""
        bounded = int(self.of_paths.tally[0])
        return 1 if bounded == 0 else ENOUGH * (bounded // ENOUGH + 1)

    def _judge_whether_it_pays(self) -> None:
        bounded, helped = self.of_paths.tally.tolist()
        share = PAYING if bounded == ENOUGH else STILL
        self.pays = bool(self.of_paths.both[0] > self.of_paths.both[1] if bounded == 1 else helped >= share * bounded)
        if not self.pays:
            _LOG.info("no bound by paths any more: it seldom helps")

    def _explore_one(self, pool: Pool, more: PathPool, counts: Counts) -> int:
        """Process the current node."""
        event = PAUSED
        own = counts.bound[0] < counts.cutoff[0]
        done, helped, value = self._by_paths(counts)
        if done:
            counts.nodes[0] += 1
            counts.active[0] = 0
            counts.bound[0] = max(counts.bound[0], counts.cutoff[0])
            counts.floor[0] = min(counts.floor[0], counts.bound[0])
        else:
            row = int(pool.heap[counts.size[0] + counts.stack[0]])
            for name in OF_NODE:
                getattr(more, name)[row] = getattr(self.of_paths, name)
            before, waiting = counts.bound[0], counts.size[0] + counts.stack[0]
            counts.bound[0] = max(before, min(value - MARGIN * abs(value), (1.0 - MARGIN) * counts.cutoff[0]))
            low = counts.bound[0]
            event = explore(self.model, self.work, pool, counts, self.record, 1)
            helped |= counts.bound[0] == low and counts.size[0] + counts.stack[0] > waiting
            self.of_paths.both[:] = value, counts.bound[0]
        if own:
            self.of_paths.tally[0] += 1
            self.of_paths.tally[1] += done or helped
        return event

    def _by_paths(self, counts: Counts) -> tuple[bool, bool, float]:
        """Whether the node is done by its paths, whether these excluded anything, and their bound."""
        of, work, cutoff = self.of_paths, self.work, float(counts.cutoff[0])
        if counts.bound[0] >= cutoff:
            return False, False, -np.inf
        if np.isnan(of.y[0]):
            at = self.paths.bus
            of.y[:-1], of.mu[:-1] = np.maximum(work.y[at], 0.0), np.maximum(work.mu[at], 0.0)
            of.y[-1] = of.mu[-1] = 0.0
        first = counts.nodes[0] == 0
        most, helped, value = FIRST if first else NEXT, False, -np.inf
        for _ in range(TURNS):
            if not propagate(self.model, work):
                self._line(NONE, 0)
                return True, helped, value
            if not np.any(work.status == UNDECIDED):
                break
            if entries.restricted(self.paths, of, work):
                goal = cutoff * (1.0 + BEYOND)
                value = entries.raised(self.model, self.paths, of, work, HUGE * cutoff, goal, most)
                if value == -np.inf:
                    break
            found = self._judged(cutoff, value)
            if found == REACHED:
                return True, True, value
            if found == NEITHER:
                break
            helped, most = True, AGAIN
        return False, helped, value

    def _judged(self, cutoff: float, value: float) -> int:
        """The checker's verdict, which is written where it has one."""
        of, work = self.of_paths, self.work
        for bits in (8, 14, 20, BITS) if value >= cutoff else (BITS,):
            status, mask = work.status.copy(), of.mask.copy()
            found = self.checked.decided(status, mask, *self._rounded(bits), bits, cutoff)
            if found == REACHED or bits == BITS:
                break
        if found != NEITHER:
            self._line(PATHS, bits)
        if found == EXCLUDED:
            self._exclude(status, mask)
        return found

    def _exclude(self, status: States, mask: States) -> None:
        """Go on to what is left, and write what is not."""
        of, work, checked = self.of_paths, self.work, self.checked
        if len(self.record.kind):
            out = self.record.out[self.record.size[0] - 1]
            out[:] = (status == CLOSED) & (work.status == UNDECIDED)
            lost = of.mask & ~mask
            for way, other in ((FORTH, BACK), (BACK, FORTH)):
                some = (lost & way) > 0
                out[checked.at[some]] |= np.where(checked.forth[some], way, other).astype(np.int8)
        work.status[:], of.mask[:] = status, mask

    def _rounded(self, bits: int) -> tuple[Ints, Ints]:
        """Multipliers of the junctions, times 2^bits."""
        y, mu = (np.rint(np.nan_to_num(part[:-1]) * 2.0**bits) for part in (self.of_paths.y, self.of_paths.mu))
        return y.astype(np.int64), mu.astype(np.int64)

    def _line(self, kind: int, bits: int) -> None:
        """Write a line, if anything is recorded."""
        record = self.record
        if len(record.kind) == 0:
            return
        row = int(record.size[0])
        record.kind[row], record.branch[row], record.bits[row] = kind, self.paths.junctions, bits
        if kind == PATHS:
            record.out[row] = 0
            y, mu = self._rounded(bits)
            record.y[row, : len(y)], record.mu[row, : len(y)] = y[self.checked.junction], mu[self.checked.junction]
        record.size[0] = row + 1
