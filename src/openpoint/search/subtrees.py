"""Subtrees of a search, explored by workers: what they are given, what they answer, and the work itself.

An answer depends on the task alone, so that it is the same whatever worker gives it, and how many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Floats, States
from openpoint.search.checkpoint import OF_BASE, OF_NODE, OF_ROWS
from openpoint.search.kernel.arrays import Model, work_for
from openpoint.search.kernel.bookkeeping import (
    Anchors,
    Counts,
    Pool,
    Record,
    counts,
    enlarged,
    pool_for,
    record_for,
    waiting,
)
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, WRITTEN, explore, leave
from openpoint.search.paths.checked import CheckedPaths
from openpoint.search.paths.explorer import PathExplorer
from openpoint.twostage.workers.pool import never

Rows = Mapping[str, npt.NDArray[Any]]
"""Waiting nodes: the arrays of `OF_ROWS`, and those that the bound by paths adds."""

MOST_LEAVES = 8
"""Radial states after which a subtree waits for their values, which may lower the cutoff."""
PIECE = 64
"""Nodes between two looks at whether the run is over."""


@dataclass(frozen=True)
class Task:
    """A subtree to explore.

    Attributes:
        rows: the node at its top. w: (N), (N) bounds of the squared voltages so far.
        cutoff: bound at which nodes are done. by_paths: whether nodes are bounded by paths, too.
        nodes: number of the last node before; those here follow.
        most: nodes here, after which the others wait. trials, gains: see `Counts`.
    """

    rows: Rows
    w: tuple[Floats, Floats]
    cutoff: float
    by_paths: bool
    nodes: int
    most: int
    trials: int
    gains: int


@dataclass(frozen=True)
class Answer:
    """What came of a subtree.

    Attributes:
        rows: the nodes that wait. leaves: (m) each, radial states to evaluate. floor: least bound of the nodes done.
        nodes, probes, trials, gains: how many more. tally: how often the bound by paths was used, and helped.
        lines: of a record, by the names of its arrays.
    """

    rows: Rows
    leaves: list[States]
    floor: float
    nodes: int
    probes: int
    trials: int
    gains: int
    tally: tuple[int, int]
    lines: Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class SubtreeWork:
    """The search in one subtree, a `Work` of `openpoint.twostage.workers`.

    Attributes:
        model: of the whole search, with the voltage bounds of its start. status: (m) states of the branches there.
        anchors, base_y, base_mu: of the pool. by_paths: `PathExplorer.from_first`, None without paths.
        recorded: lines of a certificate that are held at a time; 0 without one. checked: the paths of its checker.
    """

    model: Model
    status: States
    anchors: Anchors
    base_y: Floats
    base_mu: Floats
    by_paths: dict[str, Floats] | None
    recorded: int
    checked: CheckedPaths | None

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[Task], Answer]:
        """The function of a subtree."""
        return _Explorer(self, stop)


class _Explorer:
    """The search in subtrees, one after the other."""

    def __init__(self, work: SubtreeWork, stop: Callable[[], bool]) -> None:
        self.stop = stop
        self.model = replace(work.model, w_min=work.model.w_min.copy(), w_max=work.model.w_max.copy())
        self.work = work_for(self.model)
        self.work.status[:] = work.status
        self.first = {name: getattr(self.work, name).copy() for name in OF_NODE}
        self.pool = pool_for(self.model, PIECE, work.anchors if len(work.anchors.near) else None)
        for name in OF_BASE:
            getattr(self.pool, name)[:] = getattr(work, name)
        self.record = record_for(self.model, work.recorded)
        self.by_paths: PathExplorer | None = None
        if work.checked is not None:
            self.by_paths = PathExplorer(self.model, self.work, work.checked, self.record)
        elif work.by_paths is not None:
            self.by_paths = PathExplorer(self.model, self.work)
            self.by_paths.as_first(work.by_paths)

    def __call__(self, task: Task) -> Answer:
        """Explore a subtree."""
        count = self._begin(task)
        leaves: list[States] = []
        lines: list[dict[str, npt.NDArray[Any]]] = []
        event, certified = LEAF, len(self.record.kind) > 0
        while event != EXHAUSTED and len(leaves) < MOST_LEAVES:
            left = task.nodes + task.most - int(count.nodes[0])
            if left <= 0 or self.stop():
                if not count.active[0]:
                    break
                if not certified:
                    self._leave(count, task.by_paths)
                    break
                left = 1  # in a certificate the closed side follows its parent
            event = self._explore(count, min(left, PIECE), task.by_paths)
            if event == LEAF:
                leaves.append(self.work.status.copy())
                count.active[0] = 0
            elif event == FULL:
                self.pool = enlarged(self.pool)
            elif event == WRITTEN:
                lines.append(written(self.record))
        lines.append(written(self.record))
        return Answer(
            rows=rows_of(self.pool, count, self.by_paths if task.by_paths else None),
            leaves=leaves,
            floor=float(count.floor[0]),
            nodes=int(count.nodes[0]) - task.nodes,
            probes=int(count.probes[0]),
            trials=int(count.trials[0]) - task.trials,
            gains=int(count.gains[0]) - task.gains,
            tally=(0, 0) if self.by_paths is None else self.by_paths.tallied(),
            lines={name: np.concatenate([some[name] for some in lines]) for name in lines[0]},
        )

    def _begin(self, task: Task) -> Counts:
        """Load the top of the subtree; nothing is left of the subtree before."""
        for name, values in self.first.items():
            getattr(self.work, name)[:] = values
        self.model.w_min[:], self.model.w_max[:] = task.w
        if self.by_paths is not None:
            self.by_paths.tallied()
        count = counts()
        self.pool = put(task.rows, self.pool, count, self.by_paths if task.by_paths else None)
        count.nodes[0], count.trials[0], count.gains[0] = task.nodes, task.trials, task.gains
        count.cutoff[0] = task.cutoff
        return count

    def _explore(self, count: Counts, most: int, by_paths: bool) -> int:
        if by_paths and self.by_paths is not None:
            return self.by_paths.explore(self.pool, count, most)
        return explore(self.model, self.work, self.pool, count, self.record, most)

    def _leave(self, count: Counts, by_paths: bool) -> None:
        """The current node waits, too."""
        if count.size[0] == len(self.pool.heap):
            self.pool = enlarged(self.pool)
        if by_paths and self.by_paths is not None:
            self.by_paths.leave(self.pool, count)
        leave(self.model, self.work, self.pool, count)


def rows_of(pool: Pool, count: Counts, by_paths: PathExplorer | None) -> Rows:
    """All waiting nodes."""
    rows = waiting(pool, count)
    found = {name: getattr(pool, name)[rows] for name in OF_ROWS}
    return found if by_paths is None else found | by_paths.rows(pool, rows)


def put(rows: Rows, pool: Pool, count: Counts, by_paths: PathExplorer | None) -> Pool:
    """Add waiting nodes to the heap of a pool, whose stack is empty; returns it, or a larger one."""
    old, new = int(count.size[0]), len(rows["bound"])
    while len(pool.heap) < old + new:
        pool = enlarged(pool)
    places = pool.heap[old : old + new].copy()
    for name in OF_ROWS:
        getattr(pool, name)[places] = rows[name]
    if by_paths is not None:
        by_paths.put(rows, pool, places)
    some = pool.heap[: old + new].copy()
    pool.heap[: old + new] = some[np.argsort(pool.bound[some], kind="stable")]  # a sorted array is a heap
    count.size[0] = old + new
    return pool


def written(record: Record) -> dict[str, npt.NDArray[Any]]:
    """The lines of a record by the names of its arrays; it is empty then."""
    size = int(record.size[0])
    record.size[0] = 0
    names = [field.name for field in fields(record) if field.name not in ("base", "base_mu", "size")]
    return {name: getattr(record, name)[:size].copy() for name in names}
