"""The search shared among workers: rounds in which the most promising nodes are explored as subtrees.

The number of subtrees of a round and their sizes do not depend on the number of workers, and their answers are put
together in order. So one worker and several give the same search, node by node. What was found lowers the cutoff of the
next round. The nodes of a round stay here until all answers are there: a worker that ends, a limit of time or Ctrl-C
lose no node.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import States
from openpoint.search.checkpoint import OF_ROWS
from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.bookkeeping import FROM, Anchors, waiting
from openpoint.search.kernel.entries import EXHAUSTED, PAUSED, leave
from openpoint.search.saving import SearchState
from openpoint.search.subtrees import Answer, Rows, SubtreeWork, Task, put
from openpoint.twostage.workers.pool import Workers

_LOG = logging.getLogger(__name__)

ALONE = 1e7
"""Nodes times buses before a search is shared: most searches end earlier, and workers take seconds to start."""
TOGETHER = 16
"""Subtrees of a round."""
SIZE = 2e5
"""Nodes times buses of a subtree, at most."""


class Sharing:
    """One search that is shared among workers."""

    def __init__(self, model: Model, status: States, workers: Workers, over: Callable[[], bool]) -> None:
        """`model`: at the start of the search. `status`: (m) what is decided in every state, with its consequences."""
        self.model = replace(model, w_min=model.w_min.copy(), w_max=model.w_max.copy())
        self.status = status.copy()
        self.workers, self.over = workers, over
        self.work: SubtreeWork | None = None

    def due(self, state: SearchState) -> bool:
        """Whether the search has become long, and has nodes enough to be shared."""
        counts = state.counts
        long = counts.nodes[0] * len(self.model.p) >= ALONE
        return bool(long and counts.size[0] >= TOGETHER and not counts.stack[0])

    def pace(self, state: SearchState) -> int:
        """Nodes until `due` is asked next, by counts alone: by a clock the rounds would begin at any node."""
        return max(1, math.ceil(ALONE / len(self.model.p)) - int(state.counts.nodes[0]))

    def round(self, state: SearchState, evaluate_leaf: Callable[[States], None]) -> int:
        """Explore the nodes of least bound as subtrees; returns EXHAUSTED or PAUSED."""
        counts, by_paths = state.counts, state.by_paths
        if self.work is None:
            _LOG.info("the search is shared from here on")
            self.work = self._of(state)
        if counts.active[0]:
            if by_paths is not None:
                by_paths.leave(state.pool, counts)
            leave(state.model, state.work, state.pool, counts)
        rows = waiting(state.pool, counts)
        rows[:] = rows[np.argsort(state.pool.bound[rows], kind="stable")]  # a sorted array is a heap
        some = rows[:TOGETHER].copy()
        rows[:] = np.concatenate([rows[len(some) :], some])
        counts.size[0] -= len(some)
        begun = int(counts.nodes[0])
        taken = {name: getattr(state.pool, name)[some] for name in OF_ROWS}
        if by_paths is not None:
            taken |= by_paths.rows(state.pool, some)
        answers = self.workers.run(self.work, [self._task(state, taken, k) for k in range(len(some))], self.over)
        if answers is None:
            state.pool = put(taken, state.pool, counts, by_paths)
            return PAUSED
        for answer in answers:
            _merge(state, answer, begun)
        for answer in answers:
            for status in answer.leaves:
                evaluate_leaf(status)
        return PAUSED if counts.size[0] else EXHAUSTED

    def _of(self, state: SearchState) -> SubtreeWork:
        pool = state.pool
        anchors = Anchors(pool.kept, pool.near, pool.far, pool.share)
        base = pool.base_y.copy(), pool.base_mu.copy()
        recorded = 0 if state.certificate is None else len(state.certificate.record.kind)
        first = None if state.by_paths is None else state.by_paths.from_first()
        certified = None if state.by_paths is None else state.by_paths.certified
        checked = None if certified is None else replace(certified.checked, swept=None)
        return SubtreeWork(self.model, self.status, anchors, *base, first, recorded, checked)

    def _task(self, state: SearchState, taken: Rows, k: int) -> Task:
        counts = state.counts
        return Task(
            rows={name: values[k : k + 1] for name, values in taken.items()},
            w=(state.model.w_min.copy(), state.model.w_max.copy()),
            cutoff=float(counts.cutoff[0]),
            by_paths=state.by_paths is not None,
            nodes=int(counts.nodes[0]),
            most=max(1, int(SIZE / len(self.model.p))),
            trials=int(counts.trials[0]),
            gains=int(counts.gains[0]),
        )


def shared(model: Model, status: States, workers: Workers, over: Callable[[], bool]) -> Sharing | None:
    """As `Sharing`; None where trees have outputs or positions to choose, and are evaluated one after the other."""
    found = {"devices that may be set": model.devices, "generators to dispatch": model.dispatchable or model.costly}
    if why := [name for name, there in found.items() if there]:
        _LOG.info("the search is not shared: the grid has %s", " and ".join(why))
        return None
    return Sharing(model, status, workers, over)


def _merge(state: SearchState, answer: Answer, begun: int) -> None:
    """Add what came of a subtree, its nodes numbered on from those so far and not from `begun`."""
    counts, more = state.counts, int(state.counts.nodes[0]) - begun
    rows = dict(answer.rows)
    rows["origin"] = np.where(rows["origin"] > begun, rows["origin"] + more, rows["origin"])
    if state.certificate is not None:
        lines = dict(answer.lines)
        later = (lines["kind"] == FROM) & (lines["branch"] > begun)
        lines["branch"] = np.where(later, lines["branch"] + more, lines["branch"])
        state.certificate.add(lines)
    state.pool = put(rows, state.pool, counts, state.by_paths)
    counts.nodes[0] += answer.nodes
    counts.probes[0] += answer.probes
    counts.trials[0] += answer.trials
    counts.gains[0] += answer.gains
    counts.floor[0] = min(counts.floor[0], answer.floor)
    if state.by_paths is not None:
        state.by_paths.add(*answer.tally)
