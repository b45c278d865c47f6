"""The paths of the checker, and those of the search among them.

The first node of a search for a certificate, proven by parts of its paths, and the lines that show it.

Prices divide the paths into parts as in `openpoint.search.paths.explorer`, and each part is proven by a tree of its own
(`openpoint.search.paths.proof_tree`). What a part adds is the checker's own number (`openpoint.verify.path_parts`).
Where all of it reaches the cutoff, the lines of the parts are the certificate, and take the place of all lines written
so far; where the search is stopped, they prove what it reached.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.network import Network
from openpoint.search.certificate import Certificate, Line
from openpoint.search.kernel.arrays import Model, Work, work_for
from openpoint.search.kernel.bookkeeping import Counts
from openpoint.search.kernel.entries import EXHAUSTED, PAUSED
from openpoint.search.model.build import Numbering
from openpoint.search.paths import entries
from openpoint.search.paths.arrays import (
    BACK,
    FORTH,
    OPEN,
    Paths,
    PathWork,
    obstacles,
    parts_of,
    path_work_for,
    paths_of,
)
from openpoint.search.paths.border import INNER, STEPS, Border, Part, node_of
from openpoint.search.paths.explorer import LEAST
from openpoint.search.paths.proof_tree import BITS as TREE_BITS
from openpoint.search.paths.proof_tree import ProofTree
from openpoint.verify import path_parts as checker
from openpoint.verify import paths as path_checker
from openpoint.verify.data import read
from openpoint.verify.graph import CLOSED as IS_CLOSED
from openpoint.verify.graph import FREE, Graph
from openpoint.verify.graph import OPEN as IS_OPEN
from openpoint.verify.part_node import SAME
from openpoint.verify.paths import ONE, PathNodes, nodes_of
from openpoint.verify.schema import CertificateError

_LOG = logging.getLogger(__name__)

BITS = 26
"""Binary digits of the multipliers; fewer where these suffice."""


@dataclass(frozen=True, eq=False)
class CheckedPaths:
    """The paths of the checker, and those of the search among them.

    Attributes:
        paths: of the search. nodes: the checker's table. branch: (m) branch
            of the network. branches: of the network, their number.
        path: (K) path of the search at each of the checker; flipped: (K) whether it is directed the other way. at: (K)
            of each path of the search one branch.
        junction: (J) the same of junctions. swept: what the checker knows of the paths.
    """

    paths: Paths
    nodes: PathNodes
    branch: Ints
    branches: int
    path: Ints
    flipped: Bools
    at: Ints
    junction: Ints
    swept: path_checker.Swept

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

    def of_checker(self, status: States) -> States:
        """(E) states of the branches of the checker, by (m) of the search."""
        whole = np.full(self.branches, IS_OPEN, dtype=np.int8)
        whole[self.branch] = status
        return whole


def checked_paths(
    network: Network, model: Model, numbering: Numbering, locks: tuple[Bools, Bools]
) -> CheckedPaths | None:
    """The paths of the checker; None where it has none.

    Args:
        locks: (E) branches that must be closed, and that must be open.
    """
    data = read(network, [0.0] * network.n_conductors, Fraction(0))
    if obstacles(model) or path_checker.obstacles(data) or model.priced:
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
        swept = path_checker.swept(data, graph, squares, status.tolist())
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
    return CheckedPaths(paths, nodes, numbering.branch, network.n_conductors, path, flipped, at, junction, swept)


DIGITS = 40
"""Binary digits of what sets pay."""


@dataclass(frozen=True)
class Prices:
    """Prices of a node, any of which are valid.

    Attributes:
        y, mu: (J + 1) multipliers, >= 0. sets: what each set of junctions pays, times 2^`DIGITS`, and its junctions: of
            any sign where it is one junction, else >= 0.
    """

    y: Floats
    mu: Floats
    sets: list[tuple[int, Ints]]

    def moved(self, y: Floats, mu: Floats, z: Floats) -> Prices:
        """Other multipliers, and (J + 1) by how much more each junction pays."""
        more = [0 if len(some) > 1 else round(np.ldexp(z[some[0]], DIGITS)) for _, some in self.sets]
        return Prices(y, mu, [(paid + add, some) for (paid, some), add in zip(self.sets, more, strict=True)])


def prices_of(paths: Paths, work: PathWork) -> Prices:
    """Those of the last path bound: its multipliers, and the duals of its arborescence."""
    within: dict[int, list[int]] = {}
    for j in range(paths.junctions):
        node = j
        while node >= 0:
            within.setdefault(node, []).append(j)
            node = int(work.tree[node])
    paid = {node: round(np.ldexp(work.dual[node], DIGITS)) for node in within}
    sets = [(paid[node] if len(some) == 1 else max(0, paid[node]), np.array(some)) for node, some in within.items()]
    return Prices(work.y.copy(), work.mu.copy(), sets)


WHOLE, MOST, NODES, AHEAD = 160, 64, 1000, 0.05
"""Paths that are one part, at most; else paths of a part and nodes in its search, at most, and how far ahead the first
level is for the prices at the border (`openpoint.search.paths.border`)."""
SMALL = 32
"""Paths of a part, at most, while prices are found."""
FEWEST = 8
"""Nodes of the search of a part where its tree is to do the same."""
FEW = 500
"""Nodes of a search after which this is done where there are fewer than `explorer.LEAST` paths."""
BEYOND = 1e-6
"""By how much of itself the cutoff is to be exceeded, so that rounded prices reach it."""
FAR = 0.02
"""Distance to the cutoff, as a share of it, that is taken for the gap where it is nearer."""
TURNS = 3
"""Times that closed paths are bounded about the flows found last."""


class ProvenParts:
    """The first node of a search, to be proven by parts.

    Attributes:
        bound: what is proven so far. ended: whether it ended the search. nodes: of the trees so far, and paths that
            were tried at them, each of which counts as a node.
    """

    def __init__(self, model: Model, checked: CheckedPaths, status: States, certificate: Certificate | None) -> None:
        """`status`: of the branches that are decided at all. certificate: where lines are written."""
        self.model, self.paths, self.checked, self.certificate = model, checked.paths, checked, certificate
        self.status, self.mask = status.copy(), path_work_for(self.paths, len(model.p)).mask.copy()
        # What a path costs open that cannot be so.
        self.huge = sum(checked.swept.p) / ONE
        self.pace = 1.0 if len(self.paths.u) >= LEAST else FEW
        self.bound, self.ended, self.nodes = -np.inf, False, 0
        self._trees = list[ProofTree]()
        self._lines, self._rest = list[Line](), 0.0
        self._cutoff = np.inf
        self._round: Iterator[bool] | None = None

    def step(self, work: Work, counts: Counts) -> int | None:
        """End the search where there is a proof, or search on in the parts; None where neither is.

        Args:
            work: with multipliers to begin with.
        """
        self._cutoff = float(counts.cutoff[0])
        if self.bound >= self._cutoff:
            self._end(counts)
            return EXHAUSTED
        if counts.nodes[0] < self.pace:
            return None
        if self._round is None:
            at = self.paths.bus
            y, mu = (np.nan_to_num(np.append(np.maximum(part[at], 0.0), 0.0)) for part in (work.y, work.mu))
            self._round = self._proven(y, mu)
        if not next(self._round, False):
            self.pace = np.inf
        return PAUSED

    def _end(self, counts: Counts) -> None:
        """Leave no node: the lines are to be those of the proof."""
        counts.size[0] = counts.stack[0] = counts.active[0] = 0
        counts.floor[0] = self.bound
        self.ended = True

    def write(self) -> bool:
        """Write the lines of the proof in the place of all others; whether there is one."""
        if self._trees and self.certificate is not None:
            lines = [line_of(tree.own, *tree.written()) for tree in self._trees]
            self.bound = self._rest + sum(line[2] for line in lines)
            self.certificate.begin_anew()
            for line in [*self._lines[:1], *lines, *self._lines[1:]]:
                self.certificate.write(line)
        return bool(self._trees)

    def _proven(self, y: Floats, mu: Floats) -> Iterator[bool]:
        """Prices at the border of parts, if there are several, and then the tree of each part."""
        cutoff = self._cutoff
        found = self._first_node(y, mu, cutoff)
        if found is None:
            return
        of, work = found
        begun = entries.path_bound(self.model, self.paths, of, work, self.huge)
        if not np.isfinite(begun):
            return
        lost = self.paths.r * np.maximum(of.flow_p[0::2], of.flow_p[1::2]) ** 2
        weight = lost + 1e-9 * max(float(lost.max()), 1e-12)
        parts = parts_of(self.paths, weight, WHOLE if len(self.paths.u) <= WHOLE else MOST)
        if not parts:  # all paths are between sources: the first node has nothing that parts could add
            return
        node = node_of(self.paths, of, work.status, begun)
        border = Border(self.model, self.paths, node, parts)
        held, gap = prices_of(self.paths, of), max(cutoff - begun, FAR * cutoff)
        # What a search has that is stopped soon.
        if not self._planted(border, held, (of, work.status), INNER * gap, FEWEST):
            return
        if len(parts) > 1:  # with the prices of small parts larger ones add no less
            priced = Border(self.model, self.paths, node, parts_of(self.paths, weight, SMALL))
            yield from (True for _ in priced.rounds(begun + gap, AHEAD, NODES, self.huge))
            prices = held.moved(priced.prices.y, priced.prices.mu, priced.prices.z)
            self._planted(border, prices, (of, work.status), INNER * gap, NODES)
        words = "%d parts of the paths begin at %.5g %% of the cutoff at the first node, where there were %.5g %%"
        _LOG.info(words, len(parts), 100.0 * self.bound / cutoff, 100.0 * begun / cutoff)
        growing = list(self._trees)
        while growing:
            more = self._cutoff * (1.0 + BEYOND) - self._rest - sum(tree.goal for tree in self._trees)
            if len(self._trees) == 1:
                self._trees[0].goal += more
            tree = max(growing, key=lambda one: one.goal - one.bound)
            tried = tree.tried
            if not tree.step():
                growing.remove(tree)
            self.nodes += 1 + tree.tried - tried
            self.bound = self._rest + sum(one.bound for one in self._trees)
            yield True

    def _planted(self, border: Border, prices: Prices, node: tuple[PathWork, States], ahead: float, nodes: int) -> bool:
        """Begin the trees of parts at such prices, after searches of so many nodes; whether the numbers suffice.

        Args:
            ahead: for the steps in a part, in terms of the loss (`openpoint.search.paths.ascent`).
        """
        checked, (of, status) = self.checked, node
        z = np.zeros(self.paths.junctions + 1, dtype=np.int64)
        for price, some in prices.sets:
            if len(some) == 1:
                z[some[0]] += price
        for bit, ends in ((FORTH, self.paths.v), (BACK, self.paths.u)):  # what such a path costs open is in no price
            z[ends[(of.mask & (bit | OPEN)) == bit]] += round(np.ldexp(self.huge, checker.DIGITS))
        y, mu = (np.rint(np.ldexp(part[checked.junction], BITS)).astype(np.int64) for part in (prices.y, prices.mu))
        try:
            priced = checker.Priced(checked.nodes, checked.of_checker(status), (y, mu, BITS), z[checked.junction])
        except CertificateError:
            return False
        one, toll, trees = 2.0**checked.nodes.table.d, np.zeros(2 * len(self.paths.u)), list[ProofTree]()
        for part in border.parts:
            at_border = np.zeros(self.paths.junctions + 1, dtype=bool)
            at_border[part.met[part.inner : -1]] = True
            pays = np.where(at_border, np.ldexp(z.astype(float), -checker.DIGITS), 0.0)
            toll[0::2], toll[1::2] = pays[self.paths.v], pays[self.paths.u]
            least = part.least(prices.y, prices.mu, toll, self.huge, ahead, nodes)
            own = priced.part(checked.paths_of(part.some))
            goal = least - part.given(prices.y, prices.mu, slice(part.inner, None))
            trees.append(ProofTree(part, own, *turned(checked, part, own), goal, self.huge))
        count, self._trees, self._lines = len(trees), trees, []
        if priced.free.any():  # paths between sources, which no part has
            rest = priced.part(np.flatnonzero(priced.free).tolist())
            self._lines = [line_of(rest, np.array([SAME]), np.zeros((0, 2 * rest.inner), dtype=np.int64))]
            count += 1
        self._rest = priced.total / one + sum(line[2] for line in self._lines)
        self._lines = [["parts", count, z[checked.junction].tolist(), BITS, y.tolist(), mu.tolist()], *self._lines]
        self.bound = self._rest + sum(tree.bound for tree in self._trees)
        return True

    def _first_node(self, y: Floats, mu: Floats, cutoff: float) -> tuple[PathWork, Work] | None:
        """The arrays of the first node at its best multipliers; None where it has no state."""
        of, work = path_work_for(self.paths, len(self.model.p)), work_for(self.model)
        work.status[:] = self.status
        entries.begin(self.model, self.paths, of, work)
        of.mask[:] = self.mask
        of.y[:], of.mu[:] = y, mu
        for _ in range(TURNS):
            if not entries.prepared(self.model, self.paths, of, work):
                return None
            entries.raised(self.model, self.paths, of, work, self.huge, cutoff, STEPS)
            of.about_p[:], of.about_q[:] = of.flow_p, of.flow_q
        return of, work


def turned(checked: CheckedPaths, part: Part, own: checker.Part) -> tuple[Ints, tuple[Bools, Bools]]:
    """Where the checker's inner junctions are in a part of the search, and which paths it has the other way."""
    first = own.table.branch[own.table.start[: own.count]]
    reverse = first != checked.branch[checked.branch_of(part.some)]
    place = {int(j): at for at, j in enumerate(part.met[: part.inner])}
    column = np.array([place[int(checked.junction[j])] for j in own.met[: own.inner]], dtype=np.int64)
    return column, (checked.flipped[checked.paths_of(part.some)], reverse)


def line_of(own: checker.Part, tree: Ints, values: Ints) -> Line:
    """The line of a part with such a tree and multipliers of it."""
    least = own.least(tree, values, TREE_BITS)
    assert least is not None
    exact = Fraction(least - 1, 1 << own.table.d)  # another checker rounds otherwise
    bound = float(exact)
    if Fraction(bound) > exact:
        bound = float(np.nextafter(bound, -np.inf))
    whole = own.of.nodes.table
    return ["part", whole.branch[whole.start[own.some]].tolist(), bound, tree.tolist(), TREE_BITS, values.tolist()]
