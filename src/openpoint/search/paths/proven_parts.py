"""The paths of the checker, and those of the search among them.

The first node of a search for a certificate, proven by parts of its paths, and the lines that show it.

As `openpoint.search.paths.explorer`, with what the checker has in place of what the search knows: closed paths bounded
about flows that the file gives, multipliers and prices in whole numbers, and each junction fed by the path that costs
least. What each part adds is the checker's own number (`openpoint.verify.path_parts`). Where all of it reaches the
cutoff, the lines of the parts are the certificate, and take the place of all lines written so far.

Prices by which paths are divided into parts: multipliers, and what sets of junctions pay (`paths.parts`).

The tree of a part of the paths as a certificate has it, with few multipliers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints, States
from openpoint.compiled.jit import lean
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
from openpoint.search.paths.border import STEPS, Border, Part, node_of
from openpoint.search.paths.border import Prices as BorderPrices
from openpoint.search.paths.explorer import LEAST
from openpoint.search.paths.search import NO_STATE, PartNodes
from openpoint.verify import path_parts as checker
from openpoint.verify import paths as path_checker
from openpoint.verify.data import read
from openpoint.verify.graph import CLOSED as IS_CLOSED
from openpoint.verify.graph import FREE, Graph
from openpoint.verify.graph import OPEN as IS_OPEN
from openpoint.verify.part_node import (
    NEW,
    SAME,
    ZERO,
    PartTree,
    PathRoom,
    PathTable,
    divided,
    imply,
    leaf,
    places,
    take,
)
from openpoint.verify.paths import ONE, PathNodes, Swept, nodes_of
from openpoint.verify.schema import CertificateError

_LOG = logging.getLogger(__name__)

BITS = 26
"""Binary digits of the multipliers; fewer where these suffice."""


@dataclass(frozen=True, eq=False)
class CheckedPaths:
    """The paths of the checker, and those of the search among them.

    Attributes:
        paths: of the search. nodes: the checker's table, closed paths bounded at their least flows. branch: (m) branch
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

    def of_checker(self, status: States) -> States:
        """(E) states of the branches of the checker, by (m) of the search."""
        whole = np.full(self.branches, IS_OPEN, dtype=np.int8)
        whole[self.branch] = status
        return whole

    def fill(self, paths: Paths, of: PathWork, table: PathTable) -> None:
        """Take over what a table of the checker has of the paths."""
        one = 2.0**table.d
        bus = paths.bus[self.junction]
        of.load_p[bus], of.load_q[bus] = table.load_p / one, table.load_q / one
        of.nominal[:] = of.load_p
        if paths.junctions:
            of.nominal[bus[0]] -= table.fixed / one
        of.highest[:] = 1.0
        for name, to in (("f", of.end_p), ("g", of.end_q), ("s", of.firm), ("fall", of.drop)):
            to[self.arcs] = getattr(table, name) / one
        of.inner[self.path], of.inner_q[self.path] = table.load.T / one
        for k, own in enumerate(self.path.tolist()):
            here = np.arange(table.start[k], table.start[k + 1])
            at = np.arange(paths.start[own], paths.start[own + 1])
            drawn = table.drawn[here].reshape(-1, 2, 2, 2) / one
            drawn = drawn[:, :, ::-1] if self.flipped[k] else drawn
            if self.branch[paths.branch[at[0]]] != table.branch[here[0]]:
                at = at[::-1]
            of.stub[at] = drawn.reshape(-1, 8)


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
        nodes = nodes_of(swept, np.zeros((2 * len(swept.paths), 2), dtype=np.int64))
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

    def tolls(self, paths: Paths) -> Floats:
        """(2K) for each arc the sum of what the sets pay that it enters."""
        toll = np.zeros(2 * len(paths.u))
        for z, some in self.sets:
            within = np.zeros(paths.junctions + 1, dtype=bool)
            within[some] = True
            u, v = within[paths.u], within[paths.v]
            toll[0::2] += np.ldexp(float(z), -DIGITS) * (v & ~u)
            toll[1::2] += np.ldexp(float(z), -DIGITS) * (u & ~v)
        return toll


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


def preorder(nodes: PartNodes, start: Indices, flipped: Bools, reverse: Bools) -> tuple[Ints, Ints]:
    """The tree in the order of `openpoint.verify.part_node`, and the rows of its leaves.

    Args:
        start: (K + 1) first position of each path. flipped: (K) whether the checker has power forth the other way.
        reverse: (K) and the positions of the path.
    """
    own = len(flipped)
    tree, leaves, todo = list[int](), list[int](), [0]
    while todo:
        row = todo.pop()
        if nodes.split[row] == NO_STATE:
            continue
        below, k = int(nodes.below[row]), int(nodes.split[row])
        if below < 0:
            tree.append(NEW)
            leaves.append(row)
            continue
        if nodes.at[row] >= 0:
            at = int(nodes.at[row])
            tree.append(own + (int(start[k]) + int(start[k + 1]) - 2 - at if reverse[k] else at))
            todo += [below, below + 1] if reverse[k] else [below + 1, below]
            continue
        tree.append(k)
        states = [bit for bit in (OPEN, FORTH, BACK) if nodes.mask[row, k] & bit]
        order = (OPEN, BACK, FORTH) if flipped[k] else (OPEN, FORTH, BACK)
        todo += [below + states.index(bit) for bit in reversed(order) if bit in states]
    return np.array(tree, dtype=np.int64), np.array(leaves, dtype=np.int64)


@lean
def share(table: PathTable, room: PathRoom, tree: PartTree, status: Any, mask: Any, goal: int) -> None:
    """Let leaves have the multipliers of the leaf before where these reach a goal, and so have none of their own.

    As `openpoint.verify.part_node.least_of_tree`, for a tree that covers its part.
    """
    top, at, value = 1, 0, 0
    while top > 0:
        top -= 1
        take(tree, mask, top)
        if not (places(table, tree, status, mask) and imply(table, tree, mask)):
            continue
        what = ZERO + tree.nodes[at]
        at += 1
        if what >= 0:
            top = divided(table, tree, mask, what, top)
            continue
        if leaf(table, room, tree, status, mask) >= goal:
            tree.nodes[at - 1] = SAME
        else:
            for j in range(tree.inner):
                room.y[j] = tree.values[value, j] << tree.shift
                room.mu[j] = tree.values[value, tree.inner + j] << tree.shift
        value += 1


ROUNDS = ((1, 96, 1000, 0.1), (16, 96, 6000, 0.02))
"""Nodes of the search after which this is done; paths of a part and nodes in its search, at most; how far ahead the
first level is for the prices at the border (`openpoint.search.paths.border`)."""
FEW = 500
"""Nodes of a search after which this is done where there are fewer than `explorer.LEAST` paths."""
BEYOND = 1e-6
"""By how much of itself the cutoff is to be exceeded, so that rounded prices reach it."""
FAR = 0.02
"""Distance to the cutoff, as a share of it, that is taken for the gap where it is nearer."""
TURNS = 3
"""Times that closed paths are bounded about the flows found last."""
FLOW_BITS = 30
"""Binary digits of these flows."""
LEAF_BITS = 12, 16, 20, BITS
"""Binary digits of the multipliers of leaves: the first with which little is lost."""
BETTER = 0.05
"""Share of the gap by which bounds have to rise until there is another proof."""
LOST = 1e-4
"""How much is little in all parts together, as a share of the gap."""


@dataclass(frozen=True)
class Found:
    """The first node at its best multipliers: its arrays, the checker's bound about flows, and these."""

    of: PathWork
    work: Work
    about: PathNodes
    flows: Ints


@dataclass(frozen=True)
class Proof:
    """A bound of the first node, and the lines that show it."""

    bound: float
    lines: list[Line]


class ProvenParts:
    """The first node of a search, to be proven by parts.

    Attributes:
        done: how many rounds were. proof: the best so far. ended: whether it ended the search.
    """

    def __init__(self, model: Model, checked: CheckedPaths, status: States, certificate: Certificate | None) -> None:
        """`status`: of the branches that are decided at all. certificate: where lines are written."""
        self.model, self.paths, self.checked, self.certificate = model, checked.paths, checked, certificate
        self.status, self.mask = status.copy(), path_work_for(self.paths, len(model.p)).mask.copy()
        # What a path costs open that cannot be so.
        self.huge = sum(checked.swept.p) / ONE
        self.least = 0 if len(self.paths.u) >= LEAST else FEW
        self.done = 0
        self.proof = Proof(-np.inf, [])
        self.ended = False
        self._prices: BorderPrices | None = None
        self._round: Iterator[bool] | None = None

    @property
    def pace(self) -> float:
        """Nodes of the search after which `step` is due next."""
        return max(ROUNDS[self.done][0], self.least) if self.done < len(ROUNDS) else np.inf

    def step(self, work: Work, counts: Counts) -> int | None:
        """End the search where there is a proof, or search one part of the round that is due; None where neither is.

        Args:
            work: with multipliers to begin with.
        """
        cutoff = float(counts.cutoff[0])
        if self.proof.bound >= cutoff:
            self._end(counts)
            return EXHAUSTED
        if counts.nodes[0] < self.pace:
            return None
        if self._round is None:
            at = self.paths.bus
            y, mu = (np.nan_to_num(np.append(np.maximum(part[at], 0.0), 0.0)) for part in (work.y, work.mu))
            self._round = self._bounds(y, mu, cutoff)
        if not next(self._round, False):
            self._round = None
            self.done += 1
        return PAUSED

    def _end(self, counts: Counts) -> None:
        """Leave no node: the lines are to be those of the proof."""
        counts.size[0] = counts.stack[0] = counts.active[0] = 0
        counts.floor[0] = self.proof.bound
        self.ended = True

    def write(self) -> bool:
        """Write the lines of the proof in the place of all others; whether there is one."""
        found = bool(self.proof.lines)
        if found and self.certificate is not None:
            self.certificate.begin_anew()
            for line in self.proof.lines:
                self.certificate.write(line)
        return found

    def _bounds(self, y: Floats, mu: Floats, cutoff: float) -> Iterator[bool]:
        """Better and better prices at the border of parts, first those held, and proofs with some of them."""
        _, most, nodes, ahead = ROUNDS[self.done]
        found = self._about_flows(y, mu, cutoff)
        if found is None:
            return
        of = found.of
        begun = entries.path_bound(self.model, self.paths, of, found.work, self.huge)
        if not np.isfinite(begun):
            return
        lost = self.paths.r * np.maximum(of.flow_p[0::2], of.flow_p[1::2]) ** 2
        parts = parts_of(self.paths, lost + 1e-9 * max(float(lost.max()), 1e-12), most)
        if not parts:  # all paths are between sources: the first node has nothing that parts could add
            return
        node = node_of(self.paths, of, found.work.status, begun)
        border = Border(self.model, self.paths, node, parts, self._prices, firm=True)
        held, gap, goal = prices_of(self.paths, of), max(cutoff - begun, FAR * cutoff), cutoff * (1.0 + BEYOND)
        due = -np.inf
        for value in border.rounds(begun + gap, ahead, nodes, self.huge):
            yield True
            if -np.inf < value == border.best >= due:
                yield from self._written(found, border, held, gap)
                if value >= goal:
                    break
                due = min(goal, value + BETTER * (begun + gap - value))
        self._prices = border.prices
        words = "%d parts of the paths prove %.5g %% of the cutoff at the first node, where there were %.5g %%"
        _LOG.info(words, len(parts), 100.0 * self.proof.bound / cutoff, 100.0 * begun / cutoff)

    def _written(self, found: Found, border: Border, held: Prices, gap: float) -> Iterator[bool]:
        """A proof by the trees of the last search of each part, kept if it is the best one."""
        checked = self.checked
        prices = held.moved(border.prices.y, border.prices.mu, border.prices.z)
        z = np.zeros(self.paths.junctions + 1, dtype=np.int64)
        for price, some in prices.sets:
            if len(some) == 1:
                z[some[0]] += price
        for bit, ends in ((FORTH, self.paths.v), (BACK, self.paths.u)):  # what such a path costs open is in no price
            z[ends[(found.of.mask & (bit | OPEN)) == bit]] += round(np.ldexp(self.huge, checker.DIGITS))
        z = z[checked.junction]
        y, mu = (np.rint(np.ldexp(part[checked.junction], BITS)).astype(np.int64) for part in (prices.y, prices.mu))
        try:
            priced = checker.Priced(found.about, checked.of_checker(found.work.status), (y, mu, BITS), z)
        except CertificateError:
            return
        little = LOST * gap / max(1, len(border.parts))
        lines, total = list[Line](), Fraction(0)
        for part in border.parts:
            line = _of_part(checked, part, priced.part(checked.paths_of(part.some)), little)
            if line is None:
                return
            total += Fraction(line[2])
            lines.append(line)
            yield True
        if priced.free.any():  # paths between sources, which no part has
            line = _of_rest(priced.part(np.flatnonzero(priced.free).tolist()))
            total += Fraction(line[2])
            lines.append(line)
        lines = [_first(len(lines), checked.swept, found.flows, (y, mu), z), *lines]
        bound = float(np.nextafter(float(total + Fraction(priced.total, 1 << found.about.table.d)), -np.inf))
        if bound > self.proof.bound:
            self.proof = Proof(bound, lines)

    def _about_flows(self, y: Floats, mu: Floats, cutoff: float) -> Found | None:
        """The arrays of the first node at its best multipliers, with closed paths bounded about their flows there."""
        checked, swept = self.checked, self.checked.swept
        of, work = path_work_for(self.paths, len(self.model.p)), work_for(self.model)
        checked.fill(self.paths, of, checked.nodes.table)
        of.mask[:], work.status[:] = self.mask, self.status
        of.y[:], of.mu[:] = y, mu
        if not entries.restricted(self.paths, of, work):
            return None
        entries.scaled(self.paths, of)
        about, flows = checked.nodes, np.zeros((2 * len(self.paths.u), 2), dtype=np.int64)
        for turn in range(TURNS):
            if turn:
                arcs = checked.arcs
                flows = np.rint(np.ldexp(np.stack([of.flow_p[arcs], of.flow_q[arcs]], axis=1), FLOW_BITS)).astype(
                    np.int64
                )
                try:
                    about = nodes_of(swept, flows, FLOW_BITS)
                except OverflowError:
                    return None
                checked.fill(self.paths, of, about.table)
                entries.scaled(self.paths, of)
            entries.raised(self.model, self.paths, of, work, self.huge, cutoff, STEPS)
        return Found(of, work, about, flows)


def _first(count: int, swept: Swept, flows: Ints, held: tuple[Ints, Ints], z: Ints) -> Line:
    """The line that divides the paths into so many parts."""
    ordered = flows.reshape(-1, 2, 2)[checker.order_of(swept)].reshape(-1, 2).T
    return ["parts", count, z.tolist(), FLOW_BITS, *ordered.tolist(), BITS, *(part.tolist() for part in held)]


def _of_part(checked: CheckedPaths, part: Part, own: checker.Part, little: float) -> Line | None:
    """The line of a part; None where the checker does not follow its tree."""
    nodes, some = part.nodes, checked.paths_of(part.some)
    assert nodes is not None
    first = own.table.branch[own.table.start[: len(some)]]
    begins = checked.branch[checked.branch_of(part.some)]
    tree, rows = preorder(nodes, part.paths.start, checked.flipped[some], first != begins)
    place = {int(j): at for at, j in enumerate(part.met[: part.inner])}
    column = np.array([place[int(checked.junction[j])] for j in own.met[: own.inner]], dtype=np.int64)
    y, mu = nodes.y[np.ix_(rows, column)], nodes.mu[np.ix_(rows, column)]
    best, kept = None, None
    for bits in reversed(LEAF_BITS):
        values = np.ascontiguousarray(np.rint(np.ldexp(np.hstack([y, mu]), bits)).astype(np.int64))
        least = own.least(tree, values, bits)
        if best is None:
            best = least
        if best is None or least is None or least < best - little * 2.0**own.table.d:
            break
        kept = least, values, bits
    if kept is None:
        return None
    least, values, bits = kept
    shared = own.tree(tree.copy(), values, bits)
    share(own.table, own.room(), shared, own.of.status, own.mask.copy(), least)
    tree = shared.nodes
    return _line(own, least, tree, bits, values[tree[tree < 0] == NEW])


def _of_rest(own: checker.Part) -> Line:
    """The line of a part whose tree is one leaf."""
    tree, none = np.array([SAME], dtype=np.int64), np.zeros((0, 2 * own.inner), dtype=np.int64)
    least = own.least(tree, none, BITS)
    assert least is not None
    return _line(own, least, tree, 0, none)


def _line(own: checker.Part, least: int, tree: Ints, bits: int, leaves: Ints) -> Line:
    """The line of a part with a least bound, times 2^d."""
    exact = Fraction(least - 1, 1 << own.table.d)  # another checker rounds otherwise
    bound = float(exact)
    if Fraction(bound) > exact:
        bound = float(np.nextafter(bound, -np.inf))
    whole = own.of.nodes.table
    return ["part", whole.branch[whole.start[own.some]].tolist(), bound, tree.tolist(), bits, leaves.tolist()]
