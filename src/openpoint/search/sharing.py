"""The mutable state of a search, and the checkpoint that keeps it.

The search shared among workers: rounds in which the most promising nodes are explored as subtrees.

The number of subtrees of a round and their sizes do not depend on the number of workers, and their answers are put
together in order. So one worker and several give the same search, node by node. What was found lowers the cutoff of the
next round. The nodes of a round stay here until all answers are there: a worker that ends, a limit of time or Ctrl-C
lose no node.

Subtrees of a search, explored by workers: what they are given, what they answer, and the work itself.

An answer depends on the task alone, so that it is the same whatever worker gives it, and how many there are.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Floats, States
from openpoint.search.checkpoint import (
    MOST,
    OF_NODE,
    OF_ROWS,
    Checkpoint,
    Saved,
    candidate_of,
    outputs_of,
    restored,
    state_of,
)
from openpoint.search.incumbent import Incumbent, next_perturbations
from openpoint.search.infeasibility import InfeasibilitySearch
from openpoint.search.kernel.arrays import Model
from openpoint.search.kernel.bookkeeping import FROM, Record, counts, record_for, waiting
from openpoint.search.kernel.entries import EXHAUSTED, PAUSED
from openpoint.search.paths.explorer import PathExplorer, PathTree
from openpoint.search.region_decomposition import RegionDecomposition
from openpoint.search.tree import grow
from openpoint.twostage.workers.pool import Workers, never

if TYPE_CHECKING:
    from openpoint.search.certificate import Certificate

LONGEST = 1e10
"""Seconds of a search, at most."""
SAVE_EVERY_S = 30.0
"""Seconds between two checkpoints."""


@dataclass
class SearchState:
    """All that changes while a search goes on.

    Attributes:
        tree: the nodes; the search tightens the voltage limits of its model.
        certificate: None where none is wanted. leaves: states evaluated so far. earlier: seconds before a break.
        limits: the infeasibility search; None where a state is known from the start that keeps all limits.
    """

    tree: PathTree
    incumbent: Incumbent
    decomposition: RegionDecomposition
    certificate: Certificate | None
    limits: InfeasibilitySearch | None = None
    leaves: int = 0
    earlier: float = 0.0

    @property
    def limits_open(self) -> InfeasibilitySearch | None:
        """The infeasibility search, until a state that keeps the limits is known."""
        return self.limits if math.isinf(self.incumbent.value) else None

    @property
    def explored(self) -> float:
        """Share of the search that is done, where each side of a decision counts as half of its node."""
        counts, pool = self.tree.counts, self.tree.pool
        depth = int(counts.depth[0])
        levels = np.bincount(pool.depth[waiting(pool, counts)], minlength=depth + 1)
        levels[depth] += counts.active[0]
        return 1.0 - math.fsum(np.ldexp(levels.astype(float), -np.arange(len(levels))))

    def kept(self, seconds: float) -> dict[str, npt.NDArray[Any]]:
        """The arrays that `go_on` needs. `seconds`: of the search so far."""
        tree = self.tree
        state = state_of(tree.work, tree.pool, tree.counts, self.incumbent.candidate) | {
            "leaves": np.array(self.leaves),
            "by_cone": np.array(self.incumbent.by_cone),
            "division": np.array(self.decomposition.state, dtype=np.int64),
            "seconds": np.array(seconds),
            "outputs": self.incumbent.exchange.evaluator.network.generator_s,
        }
        if tree.explorer is not None:
            state |= tree.explorer.kept(tree.pool, tree.counts)
        if self.limits is not None:
            state |= self.limits.kept()
        if self.certificate is not None:
            state |= self.certificate.pause()
        return state

    def go_on(self, saved: Saved) -> None:
        """Continue from what was kept; the infeasibility search (`limits`) continues by its own method of that name.

        Raises:
            OptionError: the file has something that no search writes.
        """
        if not saved:
            return
        incumbent, tree = self.incumbent, self.tree
        exchange, network = incumbent.exchange, incumbent.exchange.evaluator.network
        given = tree.model, exchange.status, tree.work, tree.pool, tree.counts, incumbent.sizes
        tree.pool = restored(saved, *given)
        if tree.explorer is not None and "path_mask" in saved:
            tree.explorer.go_on(saved, tree.pool, tree.counts)
        else:
            tree.explorer = None
        if self.certificate is not None:
            self.certificate.resume(saved)
        self.leaves, incumbent.by_cone = (saved.whole(name) for name in ("leaves", "by_cone"))
        self.earlier = saved.number("seconds", 0.0, LONGEST)
        division = saved.array("division", np.int64, (5,))
        saved.within("division", division, 0, MOST)
        self.decomposition.state = division.tolist()
        incumbent.next_perturbations = next_perturbations(tree.nodes)
        outputs = outputs_of(saved, "outputs", network)
        if (state := candidate_of(saved, network, incumbent.sizes)) is not None:
            saved.states("best_closed", state.closed[incumbent.numbering.branch].astype(np.int8), exchange.status)
            if (best := exchange.at(state, state.generation)) is None:
                raise saved.refused("best_closed", "has no power flow, or too many changes")
            # An exchange that was interrupted is completed now; any other state stays as it is.
            incumbent.offer(best)
            exchange.at(best, outputs)


class SearchCheckpoint:
    """The checkpoint of a search, written at its start, now and then, and where a limit stops it; none without a file.

    Attributes:
        saved: what the file held at the start; empty where there was none. mark: why the last one was not written.
    """

    def __init__(self, file: Checkpoint | None, seconds: Callable[[], float]) -> None:
        """Read the file, if it is there. `seconds`: of the search so far.

        Raises:
            OptionError: it is no checkpoint, is damaged, or is that of another search.
        """
        self._file, self._seconds = file, seconds
        arrays = None if file is None else file.read()
        self.saved = Saved(arrays or {}, "the checkpoint" if file is None else f"the checkpoint {file.path}")
        self.mark, self._last = "", 0.0

    @property
    def notes(self) -> tuple[str, ...]:
        """What a search that was continued rests on; empty of another one."""
        if not self.saved:
            return ()
        words = (
            f"the search went on from {self.saved.name}, on which its bound rests: what was excluded before is not "
            "checked again. Where the proof matters, add --certificate from the start, which openpoint verify checks"
        )
        return (words,)

    @property
    def kept(self) -> bool:
        """Whether the search can be continued."""
        return self._file is not None

    def begin(self, state: SearchState) -> None:
        """Write it for the first time.

        Raises:
            OSError: it cannot be written. OptionError: that at the start has something that no search writes.
        """
        self.saved.all_taken()
        self._last = state.earlier
        self._write(state)

    def now_and_then(self, state: SearchState) -> None:
        """Write it if the last one is old."""
        if self._seconds() - self._last >= SAVE_EVERY_S:
            self.try_to_write(state)
            self._last = self._seconds()

    def try_to_write(self, state: SearchState) -> None:
        """Write it in the middle of a search, which a full disk must not end."""
        try:
            self._write(state)
            self.mark = ""
        except OSError as error:
            self.mark = f"checkpoint not written: {error.strerror}"

    def _write(self, state: SearchState) -> None:
        if self._file is not None:
            self._file.write(state.kept(self._seconds()))

    def end(self, state: SearchState, *, done: bool) -> None:
        """Delete it after a search that is done, but not where its certificate could not be written: go on for that."""
        if done and (state.certificate is None or state.certificate.failure is None):
            self.forget()

    def forget(self) -> None:
        """Delete it: there is nothing to continue with."""
        if self._file is not None:
            self._file.path.unlink(missing_ok=True)


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
    """The outcome of a subtree.

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
        by_paths: `PathExplorer.from_first`, None without paths.
        recorded: lines of a certificate that are held at a time; 0 without one.
    """

    model: Model
    status: States
    by_paths: dict[str, Floats] | None
    recorded: int

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[Task], Answer]:
        """The function of a subtree."""
        return _Explorer(self, stop)


class _Explorer:
    """The search in subtrees, one after the other."""

    def __init__(self, work: SubtreeWork, stop: Callable[[], bool]) -> None:
        self.stop = stop
        self.model = replace(work.model, w_min=work.model.w_min.copy(), w_max=work.model.w_max.copy())
        record = record_for(self.model, work.recorded)
        self.tree = PathTree(self.model, record=record, take=self._take, rows=PIECE)
        self.tree.work.status[:] = work.status
        self.first = {name: getattr(self.tree.work, name).copy() for name in OF_NODE}
        self.lines = list[dict[str, npt.NDArray[Any]]]()
        self.by_paths: PathExplorer | None = None
        if work.by_paths is not None:
            self.by_paths = PathExplorer(self.model, self.tree.work)
            self.by_paths.as_first(work.by_paths)

    def __call__(self, task: Task) -> Answer:
        """Explore a subtree."""
        self._begin(task)
        tree, counts, leaves = self.tree, self.tree.counts, list[States]()
        certified = len(tree.record.kind) > 0

        def left() -> int:
            return task.nodes + task.most - tree.nodes

        def over() -> bool:
            if len(leaves) >= MOST_LEAVES:
                return True
            # In a certificate the closed side follows its parent.
            return (left() <= 0 or self.stop()) and not (certified and counts.active[0])

        if not over():
            grow(tree, lambda status: leaves.append(status.copy()), over, piece=lambda: min(left(), PIECE))
        if counts.active[0] and not certified:
            tree.leave()
        self._take()
        return Answer(
            rows=rows_of(tree),
            leaves=leaves,
            floor=float(counts.floor[0]),
            nodes=tree.nodes - task.nodes,
            probes=int(counts.probes[0]),
            trials=int(counts.trials[0]) - task.trials,
            gains=int(counts.gains[0]) - task.gains,
            tally=(0, 0) if self.by_paths is None else self.by_paths.tallied(),
            lines={name: np.concatenate([some[name] for some in self.lines]) for name in self.lines[0]},
        )

    def _begin(self, task: Task) -> None:
        """Load the top of the subtree; nothing is left of the subtree before."""
        tree = self.tree
        for name, values in self.first.items():
            getattr(tree.work, name)[:] = values
        self.model.w_min[:], self.model.w_max[:] = task.w
        if self.by_paths is not None:
            self.by_paths.tallied()
        tree.counts, tree.explorer, self.lines = counts(), self.by_paths if task.by_paths else None, []
        put(task.rows, tree)
        count = tree.counts
        count.nodes[0], count.trials[0], count.gains[0] = task.nodes, task.trials, task.gains
        count.cutoff[0] = task.cutoff

    def _take(self) -> None:
        self.lines.append(written(self.tree.record))


def rows_of(tree: PathTree) -> Rows:
    """All waiting nodes."""
    rows = waiting(tree.pool, tree.counts)
    found = {name: getattr(tree.pool, name)[rows] for name in OF_ROWS}
    return found if tree.explorer is None else found | tree.explorer.rows(tree.pool, rows)


def put(rows: Rows, tree: PathTree) -> None:
    """Add waiting nodes to the heap of a tree, whose stack is empty."""
    old, new = int(tree.counts.size[0]), len(rows["bound"])
    tree.make_room(old + new)
    pool = tree.pool
    places = pool.heap[old : old + new].copy()
    for name in OF_ROWS:
        getattr(pool, name)[places] = rows[name]
    if tree.explorer is not None:
        tree.explorer.put(rows, pool, places)
    some = pool.heap[: old + new].copy()
    pool.heap[: old + new] = some[np.argsort(pool.bound[some], kind="stable")]  # a sorted array is a heap
    tree.counts.size[0] = old + new


def written(record: Record) -> dict[str, npt.NDArray[Any]]:
    """The lines of a record by the names of its arrays; it is empty then."""
    size = int(record.size[0])
    record.size[0] = 0
    names = [field.name for field in fields(record) if field.name not in ("base", "base_mu", "size")]
    return {name: getattr(record, name)[:size].copy() for name in names}


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
        counts = state.tree.counts
        long = counts.nodes[0] * len(self.model.p) >= ALONE
        return bool(long and counts.size[0] >= TOGETHER and not counts.stack[0])

    def pace(self, state: SearchState) -> int:
        """Nodes until `due` is asked next, by counts alone: by a clock the rounds would begin at any node."""
        return max(1, math.ceil(ALONE / len(self.model.p)) - state.tree.nodes)

    def round(self, state: SearchState, evaluate_leaf: Callable[[States], None]) -> int:
        """Explore the nodes of least bound as subtrees; returns EXHAUSTED or PAUSED."""
        tree, counts = state.tree, state.tree.counts
        if self.work is None:
            _LOG.info("the search is shared from here on")
            self.work = self._of(state)
        if counts.active[0]:
            tree.leave()
        rows = waiting(tree.pool, counts)
        rows[:] = rows[np.argsort(tree.pool.bound[rows], kind="stable")]  # a sorted array is a heap
        some = rows[:TOGETHER].copy()
        rows[:] = np.concatenate([rows[len(some) :], some])
        counts.size[0] -= len(some)
        begun = int(counts.nodes[0])
        taken = {name: getattr(tree.pool, name)[some] for name in OF_ROWS}
        if tree.explorer is not None:
            taken |= tree.explorer.rows(tree.pool, some)
        answers = self.workers.run(self.work, [self._task(state, taken, k) for k in range(len(some))], self.over)
        if answers is None:
            put(taken, tree)
            return PAUSED
        for answer in answers:
            _merge(state, answer, begun)
        for answer in answers:
            for status in answer.leaves:
                evaluate_leaf(status)
        return PAUSED if counts.size[0] else EXHAUSTED

    def _of(self, state: SearchState) -> SubtreeWork:
        by_paths = state.tree.explorer
        recorded = 0 if state.certificate is None else len(state.certificate.record.kind)
        first = None if by_paths is None else by_paths.from_first()
        return SubtreeWork(self.model, self.status, first, recorded)

    def _task(self, state: SearchState, taken: Rows, k: int) -> Task:
        counts, model = state.tree.counts, state.tree.model
        return Task(
            rows={name: values[k : k + 1] for name, values in taken.items()},
            w=(model.w_min.copy(), model.w_max.copy()),
            cutoff=float(counts.cutoff[0]),
            by_paths=state.tree.explorer is not None,
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
    tree, counts = state.tree, state.tree.counts
    more = tree.nodes - begun
    rows = dict(answer.rows)
    rows["origin"] = np.where(rows["origin"] > begun, rows["origin"] + more, rows["origin"])
    if state.certificate is not None:
        lines = dict(answer.lines)
        later = (lines["kind"] == FROM) & (lines["branch"] > begun)
        lines["branch"] = np.where(later, lines["branch"] + more, lines["branch"])
        state.certificate.add(lines)
    put(rows, tree)
    counts.nodes[0] += answer.nodes
    counts.probes[0] += answer.probes
    counts.trials[0] += answer.trials
    counts.gains[0] += answer.gains
    counts.floor[0] = min(counts.floor[0], answer.floor)
    if tree.explorer is not None:
        tree.explorer.add(*answer.tally)
