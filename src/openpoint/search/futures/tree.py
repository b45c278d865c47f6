"""The certificate of a search for many futures: bounds of single futures, and where their measure reaches the cutoff.

docs/formats.md describes the format. Lines of bounds give multipliers of one future as differences from those that this
future had before.

What a certificate claims of a year: of which steps it is, and in which groups these are bounded.

The steps themselves are not in the file: the checker reads them from the table of the user.

The nodes of a search under many load vectors, which wait with their bounds in every one of them.

Nodes of a search for many futures whose bounds are written to a certificate.

They are processed as `openpoint.search.futures.node.process_futures` does, in stages between which the multipliers are
written: with so few digits that a bound falls by no more than a margin. What is written counts from there on, so that
the checker reaches what the search relies on. Bounds with a branch open are written only where it has to close by them;
the open side of a branching starts with those of its parent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.compiled.jit import lean
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.search.certificate import Certificate, Steps
from openpoint.search.futures.model import FuturesModel
from openpoint.search.futures.node import (
    DONE,
    LEAF,
    SAMPLE,
    UNKNOWN,
    Loads,
    add_up,
    bounds_of_futures,
    divide_at,
    loads_for,
    probe_futures,
    process_futures,
    refresh,
    refresh_all,
    take_future,
)
from openpoint.search.kernel import entries
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.bookkeeping import Record, record_for
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.entries import propagate
from openpoint.search.kernel.multipliers import equalise_zero_impedance, estimate_voltages, multipliers_without
from openpoint.search.kernel.node import NO_BRANCH, record_bound, safe
from openpoint.search.tree import Queue
from openpoint.verify.asked import Asked

SPARE = 8
"""Rows of the record beyond one for each branch."""


class FuturesCertificate:
    """A certificate that is being written during a search for many futures.

    Attributes:
        lines: written so far. record: of the bounds that are written next. node: number of the current node.
        broken: whether something could not be proven, so that no file is left.
    """

    def __init__(
        self,
        path: Path,
        network: Network,
        built: FuturesModel,
        asked: Asked | None = None,
        *,
        alone: tuple[bytes, ...] = (),
        label: Ints | None = None,
    ) -> None:
        """`asked`: the question in words. alone: of regret certificates of what each future loses at best by itself,
        not packed. label: (T) of a year the number of the group of each step; the checker reads the steps from the
        table of the user.
        """
        self.lines = Certificate(path, network, no_devices(), built.model, built.numbering, asked=asked)
        self.network, self.numbering = network, built.numbering
        self.record = record_for(built.model, len(built.model.fr) + SPARE)
        self.more: dict[str, Any] = {"alone": [proof.count(b"\n") for proof in alone]} if alone else {}
        self.alone = b"".join(alone)
        if label is not None:
            self.more = {"groups": label.tolist()}
        self.each = [Steps.of(built.numbering, built.p.shape[1]) for _ in range(len(built.p))]
        self.node, self.broken = 1, False
        self.origin: dict[int, int] = {}

    def leaf(self) -> None:
        """A radial state for the power flow."""
        self.lines.write(["judged"])

    def nothing(self) -> None:
        """No radial state is left."""
        self.lines.write(["none"])

    def reached(self) -> None:
        """The bounds of the futures reach the cutoff."""
        self.lines.write(["bound"])

    def drop(self) -> None:
        """Delete the temporary file."""
        self.lines.drop()

    def bounds(self, k: int, rows: Iterable[int]) -> None:
        """Write the bounds of future k in these rows of the record: of the node, or with a branch open."""
        for row in rows:
            branch = int(self.record.branch[row])
            opened = -1 if branch < 0 else int(self.numbering.branch[branch])
            self.lines.write(["future", k, opened, *self.each[k].to(self.record, row)])

    def must_close(self, branches: Iterable[int]) -> None:
        """These branches cannot be open: the bounds with each of them open reach the cutoff."""
        for branch in branches:
            self.lines.write(["probe", int(self.numbering.branch[branch])])
        self.lines.write(["apply"])

    def split(self, branch: int, number: int) -> None:
        """A branch is decided; the open side waits under this number."""
        self.lines.write(["split", int(self.numbering.branch[branch])])
        self.origin[number] = self.node
        self.node += 1

    def go_on(self, number: int) -> None:
        """The open side that waits under this number is next."""
        self.lines.write(["from", self.origin.pop(number)])
        self.node += 1

    def end(self, closed: Bools, worth: tuple[float, float]) -> None:
        """Write the file; `worth`: of the best state, and the bound."""
        value, bound = worth
        if self.broken or not math.isfinite(bound):
            self.lines.drop()
            return
        head = self.lines.head(closed, (value, min(bound, value)))
        none = np.zeros(len(self.network.generator_names))
        head |= {"generation": [none.tolist(), none.tolist()]} | self.more
        self.lines.close(head, self.alone)


FIRST, LATER, POPPED = 10, 2, 3
"""Iterations of the fixed point at the first node, at others, and at those that do not follow their parent."""
NODE_BYTES = 512
"""Memory of a waiting node beside its states and bounds: of Python's objects."""


@dataclass(frozen=True)
class Goal:
    """The bound at which a node is done, and the difference of value and bound at which the search ends."""

    cutoff: float
    tolerance: float = 0.0


@dataclass(frozen=True)
class _Waiting:
    """A node that waits: number of its parent, depth, states (m) and bounds in every future (K)."""

    number: int
    depth: int
    status: States
    value: Floats


class FuturesTree:
    """The nodes of one search; bounds are without the cost of changes that every state has.

    Attributes:
        loads: the load vectors. nodes, depth: bounded so far, and branchings above the current one. active: whether it
            is open. done: share of the search that is done, where each side of a branching counts as half.
        kept: (V, K) probability vectors that count. certified: bounds nodes where a certificate is written, None else.
    """

    def __init__(
        self,
        built: FuturesModel,
        model: Model,
        goal: Callable[[], Goal],
        *,
        room: float = math.inf,
        order: Ints,
        certificate: FuturesCertificate | None = None,
    ) -> None:
        """`goal`: of the search, asked at every node. room: nodes that wait, above which it is depth-first.

        `order`: of the futures, of which every part has small and large ones.
        """
        self.model, self.goal, self._order, self.certificate = model, goal, order, certificate
        self.work, self._record = work_for(model), record_for(model, 0)
        self.loads = loads_for(model, built.p, built.q)
        self.loads.y[:], self.loads.mu[:] = self.work.y, self.work.mu
        self._root_multipliers = [each.copy() for each in self._multipliers]
        self.certified: CertifiedNodes | None = None
        if certificate is not None:
            self.certified = CertifiedNodes(model, self.work, self.loads, certificate)
        self.queue = Queue[_Waiting](room)
        self.active, self.nodes, self.depth, self.done, self._iterations = True, 0, 0, 0.0, FIRST
        self.kept = np.zeros((0, len(built.p)))
        self._root_value = np.full(len(built.p), UNKNOWN)
        self._root = self.work.status.copy()

    @property
    def status(self) -> States:
        return self.work.status

    @property
    def root(self) -> States:
        """(m) what is decided in every state."""
        return self._root

    @property
    def _multipliers(self) -> tuple[Floats, Floats, Floats]:
        return self.loads.y, self.loads.mu, self.loads.phi

    def start(self) -> bool:
        """Take the states in `work` for those of every state, with what follows; False where there is no such state."""
        if not entries.propagate(self.model, self.work):
            return False
        self._root = self.work.status.copy()
        return True

    def begin(self) -> None:
        """Make the root the current node."""
        self.loads.value[:] = UNKNOWN if self.certified is not None else self._root_value
        self.work.status[:] = self._root

    def explore(self, most: int) -> int:
        """Process one node, as `openpoint.search.tree.Tree`."""
        if not self.active and not self._take():
            return entries.EXHAUSTED
        self.nodes += 1
        branch = self._process()
        self.active, self._iterations = branch >= 0, LATER
        if branch >= 0:
            self.depth += 1
            self._divide(branch)
            return entries.PAUSED
        self.done += 2.0**-self.depth
        return entries.LEAF if branch == LEAF else entries.PAUSED

    @property
    def lowest(self) -> float:
        """Least bound of the nodes that are open, and of what was excluded."""
        here = float(self.loads.reached[0]) if self.active else math.inf
        return min(here, self.queue.lowest, float(self.loads.floor[0]))

    def _process(self) -> int:
        """Bound the current node; returns the branch to decide next, `LEAF` or `DONE`."""
        goal = self.goal()
        if self.certified is not None:
            return self.certified.process(self.nodes, self._iterations, goal.cutoff, goal.tolerance)
        shared = self.model, self.work, self.loads, self._record
        return int(process_futures(*shared, self.nodes, self._iterations, goal.cutoff))

    def _divide(self, branch: int) -> None:
        """Let the side with the branch open wait, and go on with the closed one."""
        loads = self.loads
        if self.certificate is not None:
            self.certificate.split(branch, self.nodes)
        self.work.status[branch] = OPEN
        bound = max(float(loads.reached[0]), float(loads.opening[0]))
        value = np.maximum(loads.value, loads.opened)
        self.queue.push(bound, _Waiting(self.nodes, self.depth, self.work.status.copy(), value))
        loads.opened[:] = UNKNOWN
        self.work.status[branch] = CLOSED

    def _take(self) -> bool:
        """Make the next node that is to be bounded the current one; in a certificate all are. False where none is."""
        if self.certified is None:
            cutoff = self.goal().cutoff
            self.done += sum(2.0**-node.depth for node in self.queue.drop(cutoff))
            if not self.queue.has(cutoff):
                return False
        elif not len(self.queue):
            return False
        bound, node = self.queue.pop()
        self.work.status[:] = node.status
        self.loads.value[:] = node.value
        if self.certificate is None:
            np.maximum(node.value, self._root_value, out=self.loads.value)
        else:
            self.certificate.go_on(node.number)
        self.loads.reached[0], self.depth, self._iterations = bound, node.depth, POPPED
        for mine, kept in zip(self._multipliers, self._root_multipliers):
            mine[:] = kept
        return True

    def weigh(self, rows: Floats, offset: Floats) -> None:
        """Let (V, K) probability vectors count, with (V) what is subtracted; futures that are new are bounded first."""
        loads, count = self.loads, len(rows)
        self.kept = rows
        loads.rows[0], loads.weight[:count], loads.offset[:count] = count, rows, offset
        counts: Bools = np.any(rows > 0.0, axis=0)
        fresh = self._order[(counts & (self._root_value <= UNKNOWN))[self._order]]
        if len(fresh):
            status, value = self.work.status.copy(), loads.value.copy()
            self.work.status[:] = self._root
            entries.propagate(self.model, self.work)
            self._use(fresh)
            bounds_of_futures(self.model, self.work, loads, FIRST)
            self._root_value[fresh] = loads.value[fresh]
            for mine, kept in zip(self._multipliers, self._root_multipliers):
                kept[fresh] = mine[fresh]
            self.work.status[:] = status
            loads.value[:] = np.maximum(value, self._root_value) if self.certified is None else value
        self._use(self._order[counts[self._order]])

    def _use(self, order: Ints) -> None:
        self.loads.order[: len(order)] = order
        self.loads.used[0], self.loads.turn[0] = len(order), 0


def room_for(model: Model, futures: int, memory: float) -> int:
    """Nodes that may wait within so many bytes."""
    return max(1, int(memory / (NODE_BYTES + len(model.fr) + 8 * futures)))


def spread(size: Floats) -> Ints:
    """An order of the futures of which every part has small and large ones: by size, in steps of the golden section."""
    by_size, k = np.argsort(size, kind="stable"), len(size)
    step = max(1, round(0.6180339887 * k))
    while math.gcd(step, k) > 1:
        step += 1
    return by_size[(np.arange(k) * step) % k].astype(np.int64)


REFRESH, PROBE, DIVIDE, WRITE, WRITE_OPEN = 0, 1, 2, 3, 4
"""Stages: bounds of all futures; probes; the branch to decide next; write the bound of a future; and with branches
open."""
MARGIN = 0.05
"""Share of the tolerance of the value by which a bound may be lowered where it is written."""
MARGINS = 3.0
"""Margins between what the search aims at and what has to be proven."""
AT_LEAF = 20
"""Iterations of the fixed point where a radial state has no power flow."""


@lean
def stage(
    model: Model,
    work: Work,
    loads: Loads,
    record: Record,
    what: int,
    k: int,
    number: int,
    level: float,
    margin: float,
) -> int:
    """One stage at the node in `work.status`.

    Args:
        what: the stage. k: the future of WRITE and WRITE_OPEN. number: iterations of REFRESH, node of DIVIDE.
        level: cutoff, or the least bound to be written by WRITE. margin: by which WRITE_OPEN may lower bounds, which it
            leaves in `loads.gained[0]`, of the branches in `loads.closing`.

    Returns:
        whether the cutoff was reached or a bound was written; of DIVIDE the branch.
    """
    if what == REFRESH:
        add_up(loads)
        return 1 if refresh_all(model, work, loads, number, level) else 0
    if what == PROBE:
        add_up(loads)
        probe_futures(model, work, loads, record, level)
        return 0
    if what == DIVIDE:
        return divide_at(model, work, loads, number, level)
    if what == WRITE:
        take_future(model, work, loads, k)
        bound(model, work, work.y, work.mu)
        if model.rated or model.currents:
            estimate_voltages(model, work)
        return 1 if record_bound(model, work, record, NO_BRANCH, work.y, work.mu, level) else 0
    before = loads.value[k]
    refresh(model, work, loads, k, 1, before)
    loads.value[k] = before
    for e in range(len(loads.closing)):
        loads.gained[0, e] = UNKNOWN
        if loads.closing[e] and multipliers_without(model, work, e):
            work.status[e] = OPEN
            equalise_zero_impedance(model, work, work.y_next, work.mu_next)
            value = min(safe(bound(model, work, work.y_next, work.mu_next)), level) - margin
            if value > before and record_bound(model, work, record, e, work.y_next, work.mu_next, value):
                loads.gained[0, e] = value
            work.status[e] = UNDECIDED
    return 0


class CertifiedNodes:
    """The nodes of one search, with the certificate to which they are written."""

    def __init__(self, model: Model, work: Work, loads: Loads, certificate: FuturesCertificate) -> None:
        self.model, self.work, self.loads, self.certificate = model, work, loads, certificate
        self.margin, self.silent = 0.0, record_for(model, 0)
        self.written = np.full(len(loads.value), UNKNOWN)

    def process(self, node: int, iterations: int, goal: float, tolerance: float) -> int:
        """Bound the node in `work.status`; returns the branch to decide next, `LEAF` or `DONE`, as `process_futures`.

        Args:
            node: its number. iterations: of the fixed point. goal: what has to be proven of a node that is done.
            tolerance: of the value; bounds may be lowered by a share of it where they are written.
        """
        self.margin = MARGIN * tolerance
        work, loads, cutoff = self.work, self.loads, goal + MARGINS * self.margin
        self.written[:] = loads.value
        while True:
            if not propagate(self.model, work):
                self.certificate.nothing()
                loads.reached[0] = np.inf
                return DONE
            if not (work.status == UNDECIDED).any():
                loads.reached[0] = self._reached(loads.value)
                return LEAF
            self._stage(REFRESH, 0, iterations, cutoff)
            if self._done(goal):
                return DONE
            self._stage(PROBE, 0, 0, cutoff)
            closing = loads.closing.copy()
            if self._done(goal):
                return DONE
            again = self._close(closing, goal) if closing.any() else False
            loads.turn[0] = (loads.turn[0] + SAMPLE) % max(loads.used[0], 1)
            if not again:
                branch = self._stage(DIVIDE, 0, node, cutoff)
                propagate(self.model, work)
                return branch
            iterations = 2

    def leaf(self, goal: float, *, flows: bool) -> None:
        """Write the end of a radial state; where it has no power flow (`flows`) bounds must exclude it."""
        if flows:
            self.certificate.leaf()
            return
        self._stage(REFRESH, 0, AT_LEAF, goal + MARGINS * self.margin)
        self.certificate.broken |= not self._done(goal)

    def _stage(self, what: int, k: int, number: int, level: float) -> int:
        record = self.certificate.record if what in (WRITE, WRITE_OPEN) else self.silent
        return stage(self.model, self.work, self.loads, record, what, k, number, level, self.margin)

    def _reached(self, values: Floats) -> float:
        rows = self.loads.rows[0]
        return float((self.loads.weight[:rows] @ values - self.loads.offset[:rows]).max())

    def _done(self, goal: float) -> bool:
        """Write the bounds that rose, and the end of the node if they reach the goal."""
        loads, most = self.loads, self._most(goal)
        for k in loads.order[: loads.used[0]]:
            if loads.value[k] > self.written[k] + 2.0 * self.margin:
                level = min(float(loads.value[k]), float(most[k])) - self.margin
                if level > self.written[k] and self._stage(WRITE, int(k), 0, level):
                    self.certificate.bounds(int(k), range(1))
                    self.written[k] = level
                self.certificate.record.size[0] = 0
        loads.value[:] = self.written
        loads.reached[0] = self._reached(self.written)
        done = bool(loads.reached[0] >= goal)
        if done:
            loads.floor[0] = min(loads.floor[0], loads.reached[0])
            self.certificate.reached()
        return done

    def _heaviest(self) -> list[int]:
        """The futures that count, those first that lose most by their probability, and so gain most."""
        loads, used = self.loads, self.loads.order[: self.loads.used[0]]
        share = loads.weight[: loads.rows[0]].max(axis=0) * np.maximum(self.written, 0.0)
        return [int(k) for k in used[np.argsort(-share[used], kind="stable")]]

    def _most(self, goal: float) -> Floats:
        """(K) bounds above which nothing is gained: those with which a future alone makes the node reach the goal."""
        loads, rows = self.loads, self.loads.rows[0]
        known = np.where(self.written > UNKNOWN, self.written, 0.0)
        short = goal - (loads.weight[:rows] @ known - loads.offset[:rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            more = np.where(loads.weight[:rows] > 0.0, np.maximum(short, 0.0)[:, None] / loads.weight[:rows], 0.0)
        most: Floats = known + more.max(axis=0) + MARGINS * self.margin + 2.0 * abs(goal)
        return most

    def _close(self, closing: np.ndarray, goal: float) -> bool:
        """Write the bounds with each of these branches open, and close those that reach the goal so; whether any."""
        loads, most = self.loads, self._most(goal)
        opened = {int(e): self.written.copy() for e in np.flatnonzero(closing)}
        left = set(opened)
        for k in self._heaviest():
            loads.closing[:] = False
            loads.closing[list(left)] = True
            self._stage(WRITE_OPEN, k, 0, float(most[k]))
            rows: Ints = np.arange(self.certificate.record.size[0])
            self.certificate.bounds(k, rows)
            for e in self.certificate.record.branch[rows].tolist():
                opened[e][k] = loads.gained[0, e]
            self.certificate.record.size[0] = 0
            left = {e for e in left if self._reached(opened[e]) < goal}
            if not left:
                break
        closed = sorted(set(opened) - left)
        if closed:
            self.certificate.must_close(closed)
            self.work.status[closed] = CLOSED
            loads.floor[0] = min(loads.floor[0], *(self._reached(opened[e]) for e in closed))
        return bool(closed)
