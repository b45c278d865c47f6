"""The lines of a certificate that end a node by its regions: a tree of each, with multipliers of its own.

Each region is searched as by `openpoint.search.regions`, with a record. A state of a region has no power flow, so
that its bound is its proof, lowered until few digits of multipliers suffice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints, States
from openpoint.search.certificate import MARGINS, ROUNDING, Line, Steps, of_record
from openpoint.search.kernel.arrays import CLOSED, PHI_BITS, W_BITS, Model
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import LEAF
from openpoint.search.model.build import Numbering
from openpoint.search.regions import CHUNK, SHARE, Division, Node, Region, divided, process
from openpoint.search.tree import PlainTree, grow

DIGITS = 24, 40
"""Binary digits of multipliers that are held, and of prices at hubs."""
ROWS = 256
"""Lines of a region that are held before they are written."""
SLACK = 1e-9
"""Share of the value by which bounds are lowered for what rounding makes of them."""


@dataclass(frozen=True)
class Searched:
    """A node whose regions were all searched, with a record.

    Attributes:
        bound: of the node, which `lines` show. nodes: of all searches. closed: (m) the best states of all regions.
    """

    division: Division
    trees: list[_Tree]
    bus: Ints
    bound: float

    @property
    def nodes(self) -> int:
        return 1 + sum(int(tree.count.nodes[0]) for tree in self.trees)

    @property
    def closed(self) -> Bools:
        found = self.division.tree.copy()
        for tree in self.trees:
            found[tree.region.branches] = tree.region.closed
        return found

    def lines(self) -> list[Line]:
        """Of the certificate."""
        region, found = self.division.parts.region, [_first(self.division, self.bus)]
        for k in sorted(range(len(self.trees)), key=lambda k: int(self.bus[region == k].min())):
            found += [self.trees[k].head(), *self.trees[k].lines]
        return found


def searched_by_regions(
    model: Model,
    numbering: Numbering,
    status: States,
    best: tuple[Bools, float],
    cutoff: float,
    most: int,
    over: Callable[[], bool],
) -> Searched | None:
    """Search a node by its regions; None where it has fewer than two, or one of them is not searched to its end.

    Args:
        status: (m) states of the branches, with what follows from them. best: (m) the best state, and its value.
        most: most nodes of the search in one region. over: called regularly; True stops.
    """
    closed, value = best
    nothing = np.zeros(len(model.p))
    root = Node(process(model, status, nothing, nothing, nothing, cutoff).work, -math.inf, status)
    division = divided(model, root, closed, value, numbering.loss_at(value), DIGITS)
    if division is None:
        return None
    tolerance, slack = SHARE * (value - cutoff) / len(division.regions), SLACK * abs(value)
    trees = [_Tree(region, numbering.bus, slack) for region in division.regions]
    for tree in sorted(trees, key=lambda tree: len(tree.region.branches)):
        if not tree.grow(tolerance, most, over):
            return None
    bound = division.supplied.bound - slack + sum(tree.bound for tree in trees)
    return Searched(division, trees, numbering.bus, bound)


def _first(division: Division, bus: Ints) -> Line:
    """The line that divides the node: buses left to regions, and the multipliers that are held."""
    size, work, of_supplied = len(bus), division.held.work, division.supplied.work
    held = np.zeros((2, size), dtype=np.int64)
    for row, values in zip(held, (work.y, work.mu), strict=True):
        row[bus] = np.rint(np.ldexp(values, DIGITS[0]))
    phi = np.rint(np.ldexp(of_supplied.phi, PHI_BITS)).astype(np.int64)
    near = np.where(of_supplied.used, np.maximum(np.rint(np.ldexp(of_supplied.w, W_BITS)), 1.0), 0.0).astype(np.int64)
    pairs = [[[int(bus[division.buses[k]]), int(a[k])] for k in np.flatnonzero(a)] for a in (phi, near)]
    return ["regions", sorted(bus[division.apart].tolist()), DIGITS[0], [], *pairs, *held.tolist()]


class _Tree:
    """The search in a region, and its lines.

    Attributes:
        bound: no state of the region has less, once it is done.
    """

    def __init__(self, region: Region, bus: Ints, slack: float) -> None:
        """`bus`: (N) of the grid. slack: by which its bound is lowered."""
        self.region, self.slack, self.bound = region, slack, -math.inf
        model, of = region.model, bus[region.bus]
        self.tree = PlainTree(model, record=record_for(model, ROWS), take=self._take)
        self.work, self.count, self.record = self.tree.work, self.tree.counts, self.tree.record
        hubs = np.arange(len(of)) >= model.n
        self.hubs = np.flatnonzero(hubs)[np.argsort(of[hubs])]
        _, y, mu, _ = region.begin
        self.record.base[:], self.record.base_mu[:] = np.where(hubs, y, 0.0), np.where(hubs, mu, 0.0)
        number = np.empty(len(of), dtype=np.int64)
        number[np.argsort(of)] = np.arange(len(of))
        self.steps = Steps(number, np.zeros((2, len(of)), dtype=np.int64))
        self.lines: list[Line] = []
        self.least = math.inf

    def head(self) -> Line:
        """The line before its tree."""
        prices = np.rint(np.ldexp(self.region.model.worth[self.hubs], DIGITS[1]))
        return ["region", self.bound, [int(price) for price in prices]]

    def grow(self, tolerance: float, most: int, over: Callable[[], bool]) -> bool:
        """Search the region with at most `most` nodes; whether its least g is known to a tolerance."""
        self.work.status[:], self.work.y[:], self.work.mu[:], self.work.phi[:] = self.region.begin
        self.tree.begin(self.region.best - tolerance)
        proven = True

        def leaf(status: States) -> None:
            nonlocal proven
            proven = self._prove(tolerance)

        def stopped() -> bool:
            return over() or self.tree.nodes >= most or not proven

        if stopped() or not grow(self.tree, leaf, stopped, piece=lambda: CHUNK):
            return False
        self._take()
        self.bound = min(self.tree.cutoff, self.least) - self.slack
        return math.isfinite(self.bound)

    def _take(self) -> None:
        branches = np.arange(len(self.region.branches))
        self.lines += of_record(self.record, branches, self.steps)

    def _prove(self, tolerance: float) -> bool:
        """Record the bound of a state in place of the line that is for a power flow; whether there is one."""
        region, work, count, record = self.region, self.work, self.count, self.record
        closed, found = work.status == CLOSED, float(count.bound[0])
        if (held := region.worth(closed)) > found:
            found = held
            work.y[:], work.mu[:], work.phi[:] = region.held
        if not math.isfinite(found):
            return False
        cutoff, floor = float(count.cutoff[0]), float(count.floor[0])
        proven = False
        for margin in MARGINS:
            record.size[0] -= 1
            self._take()
            count.nodes[0] -= 1
            count.active[0], count.bound[0] = 1, -math.inf
            count.cutoff[0] = found - margin * abs(found) - ROUNDING * region.far
            if self.tree.process_one() != LEAF:
                self.least, proven = min(self.least, float(count.cutoff[0])), True
                break
        count.active[0], count.cutoff[0], count.floor[0] = 0, cutoff, floor
        if proven and found < region.best:
            region.best, region.closed = found, closed
            count.cutoff[0] = min(cutoff, found - tolerance)
        return proven
