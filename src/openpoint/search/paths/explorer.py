"""The nodes of a search, one by one: with both bounds where that by paths holds, else with the first alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Floats, Indices
from openpoint.search.certificate import Certificate
from openpoint.search.kernel.arrays import CLOSED, Model, Work
from openpoint.search.kernel.bookkeeping import (
    Counts,
    Pool,
    Record,
    begin_anew,
    lowest,
    raise_to,
    record_for,
    waiting,
)
from openpoint.search.kernel.entries import PAUSED
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import OF_NODE, OPEN, enlarged, path_pool_for, path_work_for
from openpoint.search.paths.build import paths_of
from openpoint.search.paths.certified import CertifiedNodes
from openpoint.search.paths.checked import CheckedPaths
from openpoint.search.paths.proven_parts import ProvenParts
from openpoint.search.paths.root_parts import LEAST, RootParts
from openpoint.search.saved import MOST, Saved

_LOG = logging.getLogger(__name__)

ANEW_AFTER, WAITING = 1500, 8
"""Nodes bounded by paths after which the search begins anew, with trials of paths, unless fewer than one node in so
many waits: then it is about to end."""

FROM_FIRST = (
    *("first_y", "first_mu", "first_p", "first_q", "first_w", "first_about_p", "first_about_q"),
    *("highest", "load_p", "load_q", "nominal", "inner"),
    *("u_p", "u_q", "v_p", "v_q"),
)
OF_ALL = ("tally", "trials", *FROM_FIRST)
UNSET = ("y", "mu", "first_y", "first_mu")
"""What is NaN before it is worked out."""
EVERY = 7
"""All states of a path, as bits."""
AS_AT_FIRST = (
    *(("y", "first_y"), ("mu", "first_mu")),
    *(("known_p", "first_p"), ("known_q", "first_q"), ("known_w", "first_w")),
)
"""What a search that begins anew has, and where the first node left it."""


class PathExplorer:
    """Branch and bound with both bounds on one model, without `openpoint.search.paths.build.obstacles`.

    Attributes:
        pays: whether the bound by paths is the higher one at the first node.
    """

    def __init__(
        self,
        model: Model,
        work: Work,
        checked: CheckedPaths | None = None,
        record: Record | None = None,
        certificate: Certificate | None = None,
        gap: float = 0.0,
    ) -> None:
        """`work`: with the branches that are decided in every state, as `propagate` leaves it. gap: as of a search.

        `checked`, `record`: for a certificate (`openpoint.search.paths.certified`), which is there where it is written.
        """
        self.model, self.work, self.record = model, work, record_for(model, 0)
        self.paths = paths_of(model)
        self.of_paths = path_work_for(self.paths, len(model.p))
        self.pool = path_pool_for(self.of_paths, 1)
        self.parts: RootParts | None = None
        self.certified: CertifiedNodes | None = None
        self.proven: ProvenParts | None = None
        if checked is not None:
            if checked.swept is not None and len(self.paths.u) >= LEAST:
                self.proven = ProvenParts(model, self.paths, (work.status, self.of_paths.mask), checked, certificate)
            shared = model, work, self.paths, self.of_paths, checked
            self.certified = CertifiedNodes(*shared, self.record if record is None else record)
        else:
            mask = self.of_paths.mask.copy()
            entries.begin(self.model, self.paths, self.of_paths, work)
            if len(self.paths.u) >= LEAST:
                self.parts = RootParts(self.model, self.paths, work.status, mask, gap)
        self.of_paths.y[:] = np.nan
        self.root = work.status.copy(), self.of_paths.mask.copy()
        self.pays = True

    def explore(self, pool: Pool, counts: Counts, most: int) -> int:
        """As `openpoint.search.kernel.entries.explore`; it pauses after the first node, where `pays` is asked."""
        self._make_room(pool)
        if self.proven is not None and most > 0:
            of = self.of_paths
            if (event := self.proven.step(int(of.tally[0]), of.y, of.mu, counts)) is not None:
                return event
        if self.certified is not None:
            event = self.certified.explore(pool, self.pool, counts, most)
            self.pays = self.certified.pays
            return event
        shared = self.model, self.paths, self.of_paths, self.work
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
