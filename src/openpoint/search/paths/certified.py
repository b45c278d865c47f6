"""A search with both bounds for a certificate: what is decided by paths, the checker's own bound decides.

At a node the path bound of the search, in floating point, gives multipliers. Rounded, these go to that of the checker
(`openpoint.verify.path_table`): where it reaches the cutoff the node is done, and what it excludes is excluded. So the
checker comes to the same end at each line that is written. The least powers of paths are those of the first node here,
as the checker has them, and nothing is concluded from the flows of states below the cutoff.

The paths of the checker, and those of the search among them.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from openpoint.arrays import Bools, Ints, States
from openpoint.network import Network
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import NONE, PATHS, Counts, Pool, Record
from openpoint.search.kernel.entries import EXHAUSTED, FULL, PAUSED, WRITTEN, explore, propagate, take
from openpoint.search.kernel.node import MARGIN
from openpoint.search.model.build import Numbering
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import BACK, FORTH, OF_NODE, OPEN, PathPool, Paths, PathWork
from openpoint.search.paths.bound import HUGE
from openpoint.search.paths.build import obstacles, paths_of
from openpoint.verify import paths as checker
from openpoint.verify.data import read
from openpoint.verify.graph import Graph
from openpoint.verify.path_node import EXCLUDED, NEITHER, REACHED, PathTable
from openpoint.verify.path_table import PathNodes, nodes_of
from openpoint.verify.wires import CLOSED as IS_CLOSED
from openpoint.verify.wires import FREE
from openpoint.verify.wires import OPEN as IS_OPEN

_LOG = logging.getLogger(__name__)

BITS = 26
"""Binary digits of the multipliers; fewer where these suffice."""


@dataclass(frozen=True, eq=False)
class CheckedPaths:
    """The paths of the checker, and those of the search among them.

    Attributes:
        nodes: the checker's bound. branch: (m) branch of the network. branches: of the network, their number.
        path: (K) path of the search at each of the checker; flipped: (K) whether it is directed the other way. at: (K)
            of each path of the search one branch, and forth: (K) whether that is directed as the path.
        junction: (J) the same of junctions. swept: what the checker knows of the paths; None where it is not needed.
    """

    nodes: PathNodes
    branch: Ints
    branches: int
    path: Ints
    flipped: Bools
    at: Ints
    forth: Bools
    junction: Ints
    swept: checker.Swept | None

    @property
    def arcs(self) -> Ints:
        """(2K) arcs of the search at each of the checker."""
        return (2 * self.path[:, None] + np.where(self.flipped[:, None], [1, 0], [0, 1])).reshape(-1)

    def paths_of(self, some: Ints) -> list[int]:
        """Numbers that paths of the search have in the checker."""
        number = np.empty(len(self.path), dtype=np.int64)
        number[self.path] = np.arange(len(self.path))
        found: list[int] = number[some].tolist()
        return found

    def branch_of(self, some: Ints) -> Ints:
        """The first branches of paths of the search, which numbers them."""
        found: Ints = self.at[some]
        return found

    def of_checker(self, status: States, mask: States) -> tuple[States, States]:
        """(E) states of the branches and (K) of the paths of the checker, by (m) and (K) of the search."""
        whole = np.full(self.branches, IS_OPEN, dtype=np.int8)
        whole[self.branch] = status
        return whole, turned(mask[self.path], self.flipped)

    def fill(self, paths: Paths, of: PathWork, table: PathTable) -> None:
        """Take over what a table of the checker has of the paths."""
        one = 2.0**table.d
        bus = paths.bus[self.junction]
        of.load_p[bus], of.load_q[bus] = table.load_p / one, table.load_q / one
        of.nominal[:] = of.load_p
        if paths.junctions:
            of.nominal[bus[0]] -= table.fixed / one
        for name, to in (("f", of.end_p), ("g", of.end_q), ("s", of.send)):
            to[self.arcs] = getattr(table, name) / one
        of.inner[self.path] = table.load / one
        for k, own in enumerate(self.path.tolist()):
            here = np.arange(table.start[k], table.start[k + 1])
            at = np.arange(paths.start[own], paths.start[own + 1])
            sides = ("v", "u") if self.flipped[k] else ("u", "v")
            if self.branch[paths.branch[at[0]]] != table.branch[here[0]]:
                at = at[::-1]
            for mine, theirs in zip(sides, ("u", "v"), strict=True):
                for part in "pq":
                    getattr(of, f"{mine}_{part}")[at] = getattr(table, f"{theirs}_{part}")[here] / one

    def decided(self, status: States, mask: States, y: Ints, mu: Ints, bits: int, goal: float) -> int:
        """`PathNodes.decided` for (m) states of branches and (K) states of paths of the search, and its junctions."""
        whole, own = self.of_checker(status, mask)
        found = self.nodes.decided(whole, own, y[self.junction], mu[self.junction], bits, Fraction(goal))
        status[:], mask[self.path] = whole[self.branch], turned(own, self.flipped)
        return found


def turned(mask: States, flipped: Bools) -> States:
    """States of paths as bits, some of them directed the other way."""
    other = mask & OPEN | (mask & FORTH) * (BACK // FORTH) | (mask & BACK) // (BACK // FORTH)
    return np.where(flipped, other, mask).astype(np.int8)


def checked_paths(
    network: Network, model: Model, numbering: Numbering, locks: tuple[Bools, Bools]
) -> CheckedPaths | None:
    """The paths of the checker; None where it has none.

    Args:
        locks: (E) branches that must be closed, and that must be open.
    """
    data = read(network, [0.0] * network.n_conductors, Fraction(0))
    if obstacles(model) or checker.obstacles(data) or model.priced:
        return None
    fr, to = network.terminal_fr, network.terminal_to
    squares = {
        bus: Fraction(v.real) ** 2 + Fraction(v.imag) ** 2
        for bus, v in zip(network.source_terminal.tolist(), network.source_v.tolist(), strict=True)
    }
    graph = Graph(network.n_terminals, fr.tolist(), to.tolist(), set(squares), set(), math.inf)
    status = np.where(fr == to, IS_OPEN, FREE)
    for state, locked in ((IS_OPEN, locks[1]), (IS_CLOSED, locks[0])):
        status[locked] = state
    try:
        swept = checker.PathBound(data, graph, squares).swept(status.tolist())
        nodes = nodes_of(swept)
    except OverflowError:
        _LOG.info("no bound by paths in the certificate: the loads are too large for the numbers of the checker")
        return None
    paths = paths_of(model)
    table, bus = nodes.table, numbering.bus[paths.bus]
    if sorted(bus.tolist()) != nodes.buses.tolist() or len(paths.u) != len(table.u):
        return None
    place = {int(j): at for at, j in enumerate(bus)}
    junction = np.array([place[j] for j in nodes.buses.tolist()], dtype=np.int64)
    of = {int(numbering.branch[paths.branch[at]]): k for k, at in enumerate(paths.start[:-1])}
    of |= {int(numbering.branch[paths.branch[at - 1]]): k for k, at in enumerate(paths.start[1:])}
    path = np.array([of[e] for e in table.branch[table.start[:-1]].tolist()], dtype=np.int64)
    flipped = np.append(junction, paths.junctions)[table.u] != paths.u[path]
    at = paths.branch[paths.start[:-1]].astype(np.int64)
    forth = model.fr[at] == paths.u_bus
    return CheckedPaths(nodes, numbering.branch, network.n_conductors, path, flipped, at, forth, junction, swept)


FIRST, NEXT, AGAIN = 300, 12, 6
"""Evaluations of the path bound at most: at the first node, at others, and there where something was excluded."""
TURNS = 8
"""Times that the bound excludes states at a node, at most."""
BEYOND = 1e-7
"""By how much of itself the cutoff is to be exceeded, so that rounded multipliers reach it."""
ENOUGH, PAYING, STILL = 64, 0.7, 0.65
"""Nodes between two judgements whether the bound by paths pays; share at which it must help, first and later."""
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
