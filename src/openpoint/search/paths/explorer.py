"""The nodes of a search, one by one: with both bounds where that by paths holds, else with the first alone.

The bound of the first node by parts of its paths, in the course of a search.

Theory: docs/methods.md M14.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Floats, Indices, States
from openpoint.search.checkpoint import MOST, Saved
from openpoint.search.kernel.arrays import CLOSED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import (
    Counts,
    Pool,
    begin_anew,
    lowest,
    operations,
    pool_for,
    raise_to,
    record_for,
    row_bytes,
    waiting,
)
from openpoint.search.kernel.entries import PAUSED
from openpoint.search.kernel.node import MARGIN
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import (
    OF_NODE,
    OPEN,
    Paths,
    enlarged,
    parts_of,
    path_pool_for,
    path_work_for,
    paths_of,
)
from openpoint.search.paths.border import STEPS, Border, Node, node_of
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.drawn import drawing, least_steady_loss
from openpoint.search.tree import CompiledTree

_LOG = logging.getLogger(__name__)

LEAST = 150
"""Paths from which on the first node is bounded by parts."""
ROUNDS = ((2, 32, 1000, 0.05),)
"""Nodes of the search after which this is done; paths of a part and nodes in its search, at most; how far ahead the
first level is for the prices at the border (`openpoint.search.paths.border`)."""


A_NODE = 16
"""Parts that count as a node where better states are looked for now and then."""
FIRST_ROWS = 256
"""Rows of a new pool, at least, and about as many."""


class RootParts:
    """The first node of a search, to be bounded by parts.

    Attributes:
        done: how many rounds were. searched: how many parts. border: the last parts, with the prices at their border.
    """

    def __init__(self, model: Model, paths: Paths, status: States, mask: States, gap: float) -> None:
        """`status`, `mask`: states of the branches and paths that are decided at all. gap: at which the search ends."""
        self.model, self.paths, self.gap = model, paths, gap
        self.status, self.mask = status.copy(), mask.copy()
        self.done, self.searched = 0, 0
        self.border: Border | None = None
        self._node: Node | None = None
        self._round: Iterator[float] | None = None

    @property
    def next(self) -> float:
        """Nodes after which the next round is due."""
        return ROUNDS[self.done][0] if self.done < len(ROUNDS) else np.inf

    def go_on(self, done: int) -> None:
        """Continue after so many rounds; from the first one if not all were, since prices are not kept."""
        self.done = done if done == len(ROUNDS) else 0

    def step(self, first: Mapping[str, Floats], y: Floats, mu: Floats, cutoff: float) -> float:
        """Search one part of the round that is due; a lower bound of all states below the cutoff.

        Args:
            first: what the first node left for all others. y, mu: multipliers to begin with.
        """
        if self._round is None:
            self._round = self._bounds(first, y, mu, cutoff)
        self.searched += 1
        value = next(self._round, None)
        if value is None:
            self._round = None
            self.done += 1
            return -np.inf
        return value if value == np.inf else value - MARGIN * abs(value)

    def _bounds(self, first: Mapping[str, Floats], y: Floats, mu: Floats, cutoff: float) -> Iterator[float]:
        """The bounds of a round, one after the other."""
        _, most, nodes, ahead = ROUNDS[self.done]
        if self._node is None:
            self._node = self._bounded(first, y, mu, cutoff)
        node = self._node
        if node is None or not -np.inf < node.bound < cutoff:
            return
        lost = self.paths.r * np.maximum(node.of.flow_p[0::2], node.of.flow_p[1::2]) ** 2
        parts = parts_of(self.paths, lost + 1e-9 * max(float(lost.max()), 1e-12), most)
        self.border = Border(self.model, self.paths, node, parts, None if self.border is None else self.border.prices)
        yield from self.border.rounds(cutoff, ahead, nodes, way=cutoff / (1.0 - self.gap) - node.bound)
        closed = 100.0 * (self.border.best - node.bound) / (cutoff - node.bound)
        _LOG.info("%d parts of the paths close %.3g %% of the gap of the first node", len(parts), closed)

    def _bounded(self, first: Mapping[str, Floats], y: Floats, mu: Floats, cutoff: float) -> Node | None:
        """The first node after its path bound; None where it has no state."""
        of, work = path_work_for(self.paths, len(self.model.p)), work_for(self.model)
        for name, values in first.items():
            getattr(of, name)[:] = values
        of.known_w[:] = of.first_w
        of.about_p[:], of.about_q[:] = of.first_about_p, of.first_about_q
        of.mask[:], work.status[:] = self.mask, self.status
        of.y[:], of.mu[:] = y, mu
        if not entries.prepared(self.model, self.paths, of, work):
            return None
        bound = entries.raised(self.model, self.paths, of, work, HUGE * cutoff, cutoff, STEPS)
        return node_of(self.paths, of, work.status, bound)


ANEW_AFTER, WAITING = 1500, 8
"""Nodes bounded by paths after which the search begins anew, with trials of paths, unless fewer than one node in so
many waits: then it is about to end."""

FROM_FIRST = (
    *("first_y", "first_mu", "first_w", "first_about_p", "first_about_q"),
    *("highest", "load_p", "load_q", "nominal", "inner"),
    *("stub", "steady"),
)
OF_ALL = ("tally", "trials", *FROM_FIRST)
OF_BRANCH, OF_PAIR = 24, 1
"""Operations of the bound by paths at a node: for each bus and branch, and for each pair of a path and a junction."""
UNSET = ("y", "mu", "first_y", "first_mu")
"""What is NaN before it is worked out."""
EVERY = 7
"""All states of a path, as bits."""
AS_AT_FIRST = (
    *(("y", "first_y"), ("mu", "first_mu")),
    ("known_w", "first_w"),
)
"""What a search that begins anew has, and where the first node left it."""


class PathExplorer:
    """Branch and bound with both bounds on one model, whose drawing grid (`openpoint.search.paths.drawn`) has no
    `openpoint.search.paths.arrays.obstacles`.

    Attributes:
        pays: whether the bound by paths is the higher one at the first node.
    """

    def __init__(
        self, model: Model, work: Work, gap: float = 0.0, loss: float = np.inf, drawn: Model | None = None
    ) -> None:
        """`work`: with the branches that are decided in every state, as `propagate` leaves it. gap: as of a search.

        `loss`: what states of interest do not exceed. drawn: the drawing grid, if it is at hand.
        """
        self.model, self.work, self.record = model, work, record_for(model, 0)
        self.drawing = drawing(model) if drawn is None else drawn
        self.paths = paths_of(model)
        self.of_paths = path_work_for(self.paths, len(model.p))
        self.pool = path_pool_for(self.of_paths, 1)
        self.parts: RootParts | None = None
        mask = self.of_paths.mask.copy()
        self.of_paths.steady[0] = least_steady_loss(self.model, self.drawing, work.status, loss)
        entries.begin(self.drawing, self.paths, self.of_paths, work)
        if len(self.paths.u) >= LEAST:
            self.parts = RootParts(self.drawing, self.paths, work.status, mask, gap)
        self.of_paths.y[:] = self.of_paths.first_y[:] = np.nan
        self.root = work.status.copy(), self.of_paths.mask.copy()
        self.pays = True

    def explore(self, pool: Pool, counts: Counts, most: int) -> int:
        """As `openpoint.search.kernel.entries.explore`; it pauses after the first node, where `pays` is asked."""
        self._make_room(pool)
        shared = self.model.specialised, self.drawing.specialised, self.paths, self.of_paths, self.work
        bounded = int(self.of_paths.tally[0])
        parts = np.inf if self.parts is None else self.parts.next
        if self.parts is not None and bounded >= parts:
            y, mu = self.of_paths.y, self.of_paths.mu
            raise_to(self.parts.step(self.from_first(), y, mu, float(counts.cutoff[0])), pool, counts)
            return PAUSED
        anew = np.inf
        if self.parts is None and self.of_paths.trials[2] == 0:
            if bounded >= ANEW_AFTER:
                self._try_paths(pool, counts)
                return PAUSED
            anew = ANEW_AFTER - bounded
        most = int(min(most, 1 if bounded == 0 else most, parts - bounded, anew))
        event = entries.explore(*shared, pool, self.pool, counts, self.record, most)
        if bounded == 0 and self.of_paths.tally[0] > 0:
            self.pays = bool(self.of_paths.both[0] > self.of_paths.both[1])
            if not self.pays:
                _LOG.info("no bound by paths: the first one is higher")
        return event

    def _try_paths(self, pool: Pool, counts: Counts) -> None:
        """Try paths from now on, and begin anew so, unless the search is about to end or others had a part in it."""
        of_paths = self.of_paths
        of_paths.trials[2] = 1
        if of_paths.tally[0] > ANEW_AFTER or counts.stack[0] or WAITING * counts.size[0] < counts.nodes[0]:
            return
        _LOG.info("the search begins anew: paths to divide are found by trials")
        begin_anew(counts, lowest(counts, pool))
        self.work.status[:], of_paths.mask[:] = self.root
        for name, first in AS_AT_FIRST:
            getattr(of_paths, name)[:] = getattr(of_paths, first)

    def rows(self, pool: Pool, rows: Indices) -> dict[str, npt.NDArray[Any]]:
        """What waiting nodes have in addition, by the names of a checkpoint."""
        self._make_room(pool)
        return {f"paths_{name}": getattr(self.pool, name)[rows] for name in OF_NODE}

    def put(self, values: Mapping[str, npt.NDArray[Any]], pool: Pool, rows: Indices) -> None:
        """Store that in rows of the pool."""
        self._make_room(pool)
        for name in OF_NODE:
            getattr(self.pool, name)[rows] = values[f"paths_{name}"]

    def from_first(self) -> dict[str, Floats]:
        """What the first node left for all others."""
        return {name: getattr(self.of_paths, name).copy() for name in FROM_FIRST}

    def as_first(self, values: Mapping[str, Floats]) -> None:
        """Take over what a first node left, which is not bounded again."""
        self.parts = None
        for name in FROM_FIRST:
            getattr(self.of_paths, name)[:] = values[name]

    def leave(self, pool: Pool, counts: Counts) -> None:
        """Store that of the current node in the row to which `openpoint.search.kernel.entries.leave` writes next."""
        self._make_room(pool)
        entries.store(self.of_paths, self.pool, int(pool.heap[counts.size[0] + counts.stack[0]]))

    def kept(self, pool: Pool, counts: Counts) -> dict[str, npt.NDArray[Any]]:
        """The arrays that `go_on` needs: of the open nodes, and of the current one."""
        state = self.rows(pool, waiting(pool, counts))
        state |= {f"path_{name}": getattr(self.of_paths, name) for name in OF_ALL}
        state["path_parts"] = np.array([0 if self.parts is None else self.parts.done])
        return state | {f"path_{name}": getattr(self.of_paths, name) for name in OF_NODE}

    def go_on(self, saved: Saved, pool: Pool, counts: Counts) -> None:
        """Continue from what was kept.

        Raises:
            OptionError: it has something that no search writes.
        """
        rows, of_paths = waiting(pool, counts), self.of_paths
        some = {
            name: saved.rows(name, getattr(self.pool, of), len(rows), nan=of in UNSET)
            for of in OF_NODE
            for name in (f"paths_{of}",)
        }
        saved.within("paths_mask", some["paths_mask"], 0, EVERY)
        self.put(some, pool, rows)
        done = saved.whole("path_parts", shape=(1,))
        if self.parts is not None:
            self.parts.go_on(done)
        for name in (*OF_ALL, *OF_NODE):
            values = getattr(of_paths, name)
            values[:] = saved.like(f"path_{name}", values, nan=name in UNSET)
        saved.within("path_mask", of_paths.mask, 0, EVERY)
        for name in ("tally", "trials"):
            saved.within(f"path_{name}", getattr(of_paths, name), 0, MOST)

    @property
    def searched(self) -> int:
        """How many nodes the parts stand for that were searched so far."""
        return 0 if self.parts is None else self.parts.searched // A_NODE

    def tallied(self) -> tuple[int, int]:
        """Nodes bounded by paths since the last call, and those of them where that helped."""
        nodes, helped = self.of_paths.tally.tolist()
        self.of_paths.tally[:] = 0
        self.of_paths.trials[:] = 0, 0, len(self.paths.u) < LEAST
        return nodes, helped

    def add(self, nodes: int, helped: int) -> None:
        """Count nodes that were bounded elsewhere."""
        self.of_paths.tally[:] += (nodes, helped)

    @property
    def row_bytes(self) -> int:
        """Memory of what a waiting node has in addition."""
        return len(self.of_paths.mask) + 4 * sum(len(getattr(self.of_paths, name)) for name in OF_NODE[1:])

    def operations(self, counts: Counts) -> int:
        """About how many operations the search took so far: those of nodes bounded by paths."""
        model, paths, nodes = self.model, self.paths, int(self.of_paths.tally[0])
        a_node = OF_BRANCH * (len(model.p) + len(model.fr)) + OF_PAIR * len(paths.u) * paths.junctions
        return operations(model, counts, nodes) + nodes * a_node

    def _make_room(self, pool: Pool) -> None:
        if len(self.pool.mask) < len(pool.heap):
            self.pool = enlarged(self.pool, self.of_paths, len(pool.heap))

    def tree_weight(self) -> Floats:
        """(m) weights whose spanning tree has the states that the last bound chose for the paths."""
        paths, chosen = self.paths, self.of_paths
        weight = np.ones(len(self.model.fr))
        opened = chosen.place[(chosen.state == OPEN) & (chosen.place >= 0)]
        weight[paths.branch[opened]] = -1.0
        weight[self.work.status == CLOSED] = 2.0
        return weight


PathTree = CompiledTree[PathExplorer]
"""The nodes of a search, which are bounded by paths, too, as long as it has an explorer for that."""


def pool_within(memory: float, model: Model, by_paths: PathExplorer | None, counts: Counts) -> Pool:
    """An empty pool that doubles to just what fits; sets the rows of the heap above which nodes go to its stack."""
    a_row = row_bytes(pool_for(model, 1)) + (0 if by_paths is None else by_paths.row_bytes)
    room = max(1, int(memory / a_row))
    counts.room[0] = room
    # A stack takes at most two rows for each branch and each position of a device that is undecided.
    rows = room + 2 * (len(model.fr) + len(model.value)) + 4
    return pool_for(model, -(-rows // 2 ** max(0, int(math.log2(rows / FIRST_ROWS)))))
