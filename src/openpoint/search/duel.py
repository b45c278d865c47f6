"""Duels: whether a search goes on with both bounds, or from the root with the first bound alone.

Which of the two ends sooner differs from grid to grid, by a factor of ten in either direction, and at how many nodes
the bound by paths helps does not tell it. So the first bound alone is a rival: when the search has bounded a number of
nodes by paths, and later eight times as many, the rival explores the root with as many operations as the search has
had. The higher lower bound of the grid wins, and the nodes of the other are dropped. What either proves is a proof by
itself. Operations are counted, not measured, so that no clock decides.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import fields

from openpoint.arrays import States
from openpoint.search.checkpoint import OF_NODE
from openpoint.search.kernel.arrays import work_for
from openpoint.search.kernel.bookkeeping import Counts, counts, enlarged, lowest, operations, raise_to, record_for
from openpoint.search.kernel.entries import FULL, LEAF, explore
from openpoint.search.memory import pool_within
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.saving import SearchState
from openpoint.twostage.deadline import Deadline

_LOG = logging.getLogger(__name__)

AFTER, TIMES, DUELS = 128, 8, 2
"""Nodes bounded by paths before the first duel, the factor of this number from duel to duel, and most duels."""
CLEAR = 0.8
"""Share of the gap of the search that the rival may have at the first duel to win it; later any smaller gap does."""
EARLY = 4
"""Part of the operations after which a rival whose gap is too large is given up: from then on its gap falls at best in
proportion to the operations."""
PIECE = 16
"""Nodes of the rival between two comparisons."""
OF_BRANCH, OF_PAIR = 24, 1
"""Operations of the bound by paths at a node: for each bus and branch, and for each pair of a path and a junction."""


def of_a_node(by_paths: PathExplorer) -> int:
    """About how many operations the bound by paths of a node takes."""
    model, paths = by_paths.model, by_paths.paths
    return OF_BRANCH * (len(model.p) + len(model.fr)) + OF_PAIR * len(paths.u) * paths.junctions


def spent(state: SearchState) -> int:
    """Operations of a search so far; of one with both bounds those of nodes bounded by paths, rivals not counted."""
    if state.by_paths is None:
        return operations(state.model, state.counts, int(state.counts.nodes[0]))
    nodes = int(state.by_paths.of_paths.tally[0])
    return operations(state.model, state.counts, nodes) + nodes * of_a_node(state.by_paths)


def pace(state: SearchState) -> float:
    """Nodes until the next duel, at least: its time depends on nodes, not on the size of the pieces they come in."""
    if state.by_paths is None or state.duels == DUELS:
        return math.inf
    return int(AFTER * TIMES**state.duels) - int(state.by_paths.of_paths.tally[0])


class Rival:
    """The root explored with the first bound alone, within half of the memory."""

    def __init__(self, state: SearchState, memory: float) -> None:
        self.model, self.work, self.count = state.model, work_for(state.model), counts()
        self.pool = pool_within(memory, self.model, None, self.count)
        self.record = record_for(self.model, 0)
        self.work.status[:] = state.incumbent.exchange.status
        self.count.active[0], self.count.cutoff[0] = 1, state.counts.cutoff[0]

    def explore(self, evaluate_leaf: Callable[[States], None]) -> None:
        """Process some nodes."""
        event = explore(self.model, self.work, self.pool, self.count, self.record, PIECE)
        if event == FULL:
            self.pool = enlarged(self.pool)
        elif event == LEAF:
            self.count.active[0] = 0
            evaluate_leaf(self.work.status)

    @property
    def bound(self) -> float:
        """Lower bound of all states; inf where no nodes are left."""
        return lowest(self.count, self.pool) if self.count.active[0] or self.count.size[0] else math.inf

    @property
    def wide(self) -> bool:
        """Whether its nodes take half of the memory."""
        return bool(2 * self.count.size[0] > self.count.room[0])

    def take_over(self, state: SearchState) -> None:
        """Its nodes become those of the search, whose bound stays."""
        bound, before = lowest(state.counts, state.pool), state.counts
        self.count.nodes[0] += before.nodes[0]
        self.count.probes[0] += before.probes[0]
        for field in fields(Counts):
            getattr(before, field.name)[:] = getattr(self.count, field.name)
        for name in OF_NODE:
            getattr(state.work, name)[:] = getattr(self.work, name)
        state.pool, state.by_paths = self.pool, None
        raise_to(bound, state.pool, state.counts)


def hold(state: SearchState, memory: float, evaluate_leaf: Callable[[States], None], deadline: Deadline) -> None:
    """Hold the duel that is due; where the search is over it is broken off, and stays due.

    Args:
        memory: bytes of waiting nodes. evaluate_leaf: called with (m) branches of a radial state that the rival found.
    """
    if 2 * state.counts.size[0] > state.counts.room[0]:
        state.duels = DUELS
        return
    assert state.by_paths is not None
    share = CLEAR if state.duels == 0 else 1.0
    most, current = spent(state), state.work.status.copy()
    rival, bound = Rival(state, memory), lowest(state.counts, state.pool)
    won = False
    while not won and not rival.wide:
        if state.incumbent.exchange.over():
            return
        rival.explore(evaluate_leaf)
        state.work.status[:] = current
        cutoff = rival.count.cutoff[0] = state.counts.cutoff[0]
        gap, used = cutoff - rival.bound, operations(state.model, rival.count, int(rival.count.nodes[0]))
        won = gap < share * (cutoff - bound)
        hopeless = EARLY * used >= most and gap * used >= share * (cutoff - bound) * most
        if not won and (hopeless or used >= most):
            break
    state.duels += 1
    if won:
        _LOG.info("no bound by paths any more: the first bound alone closes more of the gap")
        rival.take_over(state)
    else:
        state.counts.nodes[0] += rival.count.nodes[0]
